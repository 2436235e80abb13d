// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A function with BARs of each kind: the target of each access, and the calls of the function.

use std::cell::RefCell;
use std::fs::File;
use std::io::Read as _;
use std::sync::Arc;

use ringbar_endpoint::config_space::{
    Identity, Messages, COMMAND, COMMAND_BUS_MASTER, COMMAND_MEMORY, DEVICE_CONTROL,
    FUNCTION_RESET, INTERRUPTS, REGION,
};
use ringbar_endpoint::function::{Bus, Function, Trapped};
use ringbar_endpoint::memory::SharedMemory;
use ringbar_endpoint::shape::{Backing, BarShape, Shape};
use ringbar_endpoint::Endpoint;
use ringbar_vfio_user::device::{Action, Area, Data, Device, DmaMap, DmaRange, SetInterrupts};
use rustix::event::{eventfd, EventfdFlags};
use vfio_bindings::bindings::vfio::VFIO_PCI_MSIX_IRQ_INDEX;

const PAGE: u64 = 4096;
/// BARs: registers and shared pages, memory, table of MSI-X, registers alone.
const MIXED: u32 = 0;
const MEMORY: u32 = 1;
const TABLE: u32 = 3;
const TRAPPED: u32 = 4;
/// The part of [`MIXED`] that the client maps.
const SHARED: Area = Area {
    offset: 2 * PAGE,
    size: PAGE,
};

/// Calls of the function, in order.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Read(u32, u64),
    Write(u32, u64),
    Reset,
    Master(bool),
}

/// Whether it is a write, region, offset and bytes of an access.
type Noted = (bool, u32, u64, Vec<u8>);

/// A function that keeps its calls, and its notes of accesses.
#[derive(Debug, Default)]
struct Listener {
    heard: RefCell<Vec<Heard>>,
    noted: RefCell<Vec<Noted>>,
}

impl Listener {
    fn hears(&self, call: Heard) {
        self.heard.borrow_mut().push(call);
    }
}

impl Function for Listener {
    fn read(&mut self, bar: u32, offset: u64, data: &mut [u8], _bus: &mut Bus) {
        self.hears(Heard::Read(bar, offset));
        data.fill(0x5a);
    }

    fn write(&mut self, bar: u32, offset: u64, _data: &[u8], _bus: &mut Bus) {
        self.hears(Heard::Write(bar, offset));
    }

    fn reset(&mut self, _bus: &mut Bus) {
        self.hears(Heard::Reset);
    }

    fn set_bus_master(&mut self, on: bool, bus: &mut Bus) {
        assert_eq!(bus.memory().is_some(), on);
        self.hears(Heard::Master(on));
    }

    fn note(&self, access: &Trapped<'_>) {
        let data = access.data.to_vec();
        let access = (access.write, access.region, access.offset, data);
        self.noted.borrow_mut().push(access);
    }
}

/// A function, and the memory of its BARs.
struct Served {
    endpoint: Endpoint<Listener>,
    shared: Arc<SharedMemory>,
    memory: Arc<SharedMemory>,
}

impl Served {
    fn new() -> Self {
        let shared = Arc::new(SharedMemory::new("test-shared", 4 * PAGE as usize).unwrap());
        let memory = Arc::new(SharedMemory::new("test-memory", PAGE as usize).unwrap());
        let bars = [
            (MIXED, Backing::Parts(Arc::clone(&shared), vec![SHARED])),
            (MEMORY, Backing::Memory(Arc::clone(&memory))),
            (TABLE, Backing::Messages(PAGE)),
            (TRAPPED, Backing::Trapped(PAGE)),
        ]
        .into_iter()
        .map(|(index, backing)| BarShape { index, backing })
        .collect();
        let shape = Shape {
            identity: Identity {
                vendor: 1,
                device: 2,
                class: 3,
                revision: 4,
            },
            bars,
            messages: Messages::MsiX {
                vectors: 2,
                bar: TABLE,
                table: 0,
                pending: 0x800,
            },
        };
        Self {
            endpoint: Endpoint::new(Listener::default(), shape).unwrap(),
            shared,
            memory,
        }
    }

    fn read(&mut self, region: u32, offset: u64) -> [u8; 4] {
        let mut bytes = [0xee; 4];
        self.endpoint.read(region, offset, &mut bytes).unwrap();
        bytes
    }

    fn write(&mut self, region: u32, offset: u64, data: &[u8]) {
        self.endpoint.write(region, offset, data).unwrap();
    }

    /// Connects vector 1 of MSI-X. Returns its eventfd, which holds what was raised.
    fn connect(&mut self) -> File {
        let interrupt = File::from(eventfd(0, EventfdFlags::NONBLOCK).unwrap());
        let connect = SetInterrupts {
            index: VFIO_PCI_MSIX_IRQ_INDEX,
            start: 1,
            count: 1,
            action: Action::Trigger,
            data: Data::Connect(vec![interrupt.try_clone().unwrap().into()]),
        };
        self.endpoint.set_interrupts(connect).unwrap();
        interrupt
    }

    fn set_bus_master(&mut self, on: bool) {
        let command = if on { COMMAND_BUS_MASTER } else { 0 };
        self.write(
            REGION,
            COMMAND as u64,
            &(COMMAND_MEMORY | command).to_le_bytes(),
        );
    }

    fn reset_function(&mut self) {
        self.write(REGION, DEVICE_CONTROL as u64, &FUNCTION_RESET.to_le_bytes());
    }

    fn heard(&self) -> Vec<Heard> {
        self.endpoint.function().heard.take()
    }
}

fn bytes(memory: &SharedMemory, offset: u64) -> [u8; 4] {
    let mut bytes = [0; 4];
    memory.slice(offset, 4).unwrap().copy_to(&mut bytes);
    bytes
}

#[test]
fn access_of_a_shared_part_reaches_the_memory_alone() {
    let mut served = Served::new();

    for (offset, data) in [(2 * PAGE, b"head"), (3 * PAGE - 4, b"tail")] {
        served.write(MIXED, offset, data);
        assert_eq!(&bytes(&served.shared, offset), data);
        assert_eq!(&served.read(MIXED, offset), data);
    }

    assert_eq!(served.heard(), []);
}

#[test]
fn access_beside_a_shared_part_reaches_the_function_alone() {
    let mut served = Served::new();

    for offset in [0, 2 * PAGE - 1, 3 * PAGE, 4 * PAGE - 4] {
        served.write(MIXED, offset, b"regs");
        assert_eq!(served.read(MIXED, offset), [0x5a; 4]);
        let heard = [Heard::Write(MIXED, offset), Heard::Read(MIXED, offset)];
        assert_eq!(served.heard(), heard);
        assert_eq!(bytes(&served.shared, offset & !3), [0; 4]);
    }
}

#[test]
fn memory_is_reached_without_the_function() {
    let mut served = Served::new();

    served.write(MEMORY, PAGE - 4, b"last");

    assert_eq!(&bytes(&served.memory, PAGE - 4), b"last");
    assert_eq!(&served.read(MEMORY, PAGE - 4), b"last");
    assert_eq!(served.heard(), []);
}

#[test]
fn table_of_messages_reads_0_and_is_not_written() {
    let mut served = Served::new();

    served.write(TABLE, 0, b"mask");

    assert_eq!(served.read(TABLE, 0), [0; 4]);
    assert_eq!(served.heard(), []);
}

#[test]
fn pending_bits_are_read_and_gone_after_a_reset() {
    for bus_reset in [false, true] {
        let mut served = Served::new();
        served.set_bus_master(true);
        let control = INTERRUPTS as u64 + 2;
        served.write(REGION, control, &0x8000_u16.to_le_bytes());
        served.endpoint.run(|_, bus| bus.interrupt(1));

        assert_eq!(served.read(TABLE, 0x800), [2, 0, 0, 0]);
        served.write(TABLE, 0x800, &[0xff; 4]);
        assert_eq!(served.read(TABLE, 0x800), [2, 0, 0, 0]);
        assert_eq!(served.read(TABLE, 0x808), [0; 4]);
        match bus_reset {
            true => served.endpoint.reset().unwrap(),
            false => served.reset_function(),
        }
        served.set_bus_master(true);

        assert_eq!(served.read(TABLE, 0x800), [0; 4]);
    }
}

#[test]
fn trapped_bar_is_the_functions() {
    let mut served = Served::new();

    served.write(TRAPPED, 8, &[1]);

    assert_eq!(served.read(TRAPPED, 12), [0x5a; 4]);
    assert_eq!(
        served.heard(),
        [Heard::Write(TRAPPED, 8), Heard::Read(TRAPPED, 12)]
    );
}

#[test]
fn client_may_map_the_shared_parts_and_the_memory() {
    let served = Served::new();

    let regions = served.endpoint.regions();

    let areas = |index: u32| {
        let shared = regions[index as usize].shared.as_ref();
        shared.map(|shared| shared.areas.clone())
    };
    assert_eq!(areas(MIXED), Some(vec![SHARED]));
    let whole = Area {
        offset: 0,
        size: PAGE,
    };
    assert_eq!(areas(MEMORY), Some(vec![whole]));
    assert_eq!([TABLE, TRAPPED, REGION].map(areas), [None, None, None]);
    let sizes: Vec<u64> = regions.iter().map(|region| region.size / PAGE).collect();
    assert_eq!(sizes, [4, 1, 0, 1, 1, 0, 0, 1, 0]);
}

#[test]
fn function_hears_of_bus_mastering_when_it_changes() {
    let mut served = Served::new();

    for on in [true, true, false] {
        served.set_bus_master(on);
    }

    assert_eq!(served.heard(), [Heard::Master(true), Heard::Master(false)]);
}

#[test]
fn function_hears_of_bus_mastering_before_each_reset() {
    let mut served = Served::new();
    served.set_bus_master(true);
    served.heard();

    served.reset_function();
    assert_eq!(served.heard(), [Heard::Master(false), Heard::Reset]);
    served.set_bus_master(true);
    served.heard();
    served.endpoint.reset().unwrap();

    assert_eq!(served.heard(), [Heard::Master(false), Heard::Reset]);
    assert_eq!(served.read(REGION, COMMAND as u64)[0], 0);
}

#[test]
fn bars_are_silent_from_a_function_reset_until_memory_space_is_on() {
    let mut served = Served::new();
    served.set_bus_master(true);
    served.write(MEMORY, 0, b"kept");
    // No reset: the client knows whether memory space is on.
    served.write(REGION, COMMAND as u64, &[0, 0]);
    assert_eq!(&served.read(MEMORY, 0), b"kept");
    served.reset_function();
    served.heard();

    for bar in [MIXED, MEMORY, TABLE, TRAPPED] {
        served.write(bar, 0, b"lost");
        assert_eq!(served.read(bar, 0), [0xff; 4], "{bar}");
    }
    assert_eq!(served.heard(), []);
    served.write(REGION, COMMAND as u64, &COMMAND_MEMORY.to_le_bytes());

    assert_eq!(&served.read(MEMORY, 0), b"kept");
    assert_eq!(served.read(TRAPPED, 0), [0x5a; 4]);
}

#[test]
fn interrupts_are_dropped_from_a_function_reset_until_messages_are_on() {
    let mut served = Served::new();
    // QEMU takes the reset for any write, and leaves the eventfd where it is.
    let interrupt = served.connect();
    served.reset_function();
    served.set_bus_master(true);
    let raised = |served: &mut Served| {
        served.endpoint.run(|_, bus| bus.interrupt(1));
        (&interrupt).read(&mut [0; 8]).is_ok()
    };

    let dropped = raised(&mut served);
    served.write(REGION, INTERRUPTS as u64 + 2, &0x8000_u16.to_le_bytes());

    assert_eq!((dropped, raised(&mut served)), (false, true));
}

#[test]
fn bus_reaches_memory_and_raises_interrupts_with_bus_mastering_only() {
    let mut served = Served::new();
    let guest = SharedMemory::new("test-guest", PAGE as usize).unwrap();
    let file = guest.file().try_clone().unwrap();
    let map = DmaMap {
        range: DmaRange::new(PAGE, PAGE).unwrap(),
        read: true,
        write: true,
        file: Some((file.into(), 0)),
    };
    served.endpoint.dma_map(map).unwrap();
    let interrupt = served.connect();

    let tries = [false, true, false].map(|on| {
        served.set_bus_master(on);
        let reached = served.endpoint.run(|_, bus| {
            bus.interrupt(1);
            bus.write(PAGE, b"dma").is_ok() && bus.read(PAGE, &mut [0; 3]).is_ok()
        });
        (reached, (&interrupt).read(&mut [0; 8]).is_ok())
    });

    assert_eq!(tries, [(false, false), (true, true), (false, false)]);
}

#[test]
fn each_access_by_message_is_noted_with_its_bytes() {
    let mut served = Served::new();
    served.memory.store(0, 7).unwrap();

    for region in [MIXED, MEMORY, TABLE, REGION] {
        served.write(region, 0x20, &[1, 2]);
        served.read(region, 0);
    }

    let read = |region, data: [u8; 4]| (false, region, 0, data.to_vec());
    let write = |region| (true, region, 0x20, vec![1, 2]);
    let noted = served.endpoint.function().noted.take();
    assert_eq!(
        noted,
        [
            write(MIXED),
            read(MIXED, [0x5a; 4]),
            write(MEMORY),
            read(MEMORY, [7, 0, 0, 0]),
            write(TABLE),
            read(TABLE, [0; 4]),
            write(REGION),
            read(REGION, [1, 0, 2, 0]),
        ]
    );
}
