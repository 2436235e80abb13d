// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Doubles for tests and fuzzers: messages, file descriptors that are counted, a device that keeps
//! its calls.

use std::sync::Arc;

use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_MASKABLE, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS,
};

use crate::device::{
    Action, Area, Data, Device, DmaMap, DmaRange, Interrupts, Region, SetInterrupts,
};
use crate::ranges::Ranges;
use crate::requests::Requests;
use crate::session::{self, Session, Violation};
use crate::wire::{command, Builder, Header, HEADER_SIZE};
use crate::Refusal;

/// Source of fake file descriptors, with a count of the open ones.
#[derive(Clone, Debug, Default)]
pub struct Bank(Arc<()>);

/// A fake file descriptor.
#[derive(Debug)]
pub struct Token {
    /// Number that distinguishes it from others.
    pub number: u32,
    _counted: Arc<()>,
}

impl Bank {
    /// Makes one descriptor.
    pub fn open(&self, number: u32) -> Token {
        Token {
            number,
            _counted: Arc::clone(&self.0),
        }
    }

    /// Makes descriptors, numbered from `first`.
    pub fn open_many(&self, first: u32, count: u32) -> Vec<Token> {
        (first..first.saturating_add(count))
            .map(|number| self.open(number))
            .collect()
    }

    /// Returns the number of descriptors that have not been dropped.
    pub fn live(&self) -> usize {
        Arc::strong_count(&self.0).saturating_sub(1)
    }
}

/// A call of a [`FakeDevice`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Region, offset, length.
    Read(u32, u64, usize),
    /// Region, offset, data.
    Write(u32, u64, Vec<u8>),
    /// Range, rights to read and write, number and offset of the file.
    Map(DmaRange, bool, bool, Option<(u32, u64)>),
    /// Range.
    Unmap(DmaRange),
    /// Type, first, count, action, and the interrupts to which it applies.
    Interrupts(u32, u32, u32, Action, Data<u32>),
    /// Reset.
    Reset,
}

/// A device that keeps its calls.
///
/// | region | |
/// |---|---|
/// | 0 | trapped, 4 KiB |
/// | 1 | can be read only, 256 bytes |
/// | 2 | two areas can be mapped, 64 KiB, file 1000 |
/// | 3 | can be written only, 256 bytes |
/// | 4 | can be mapped as a whole, 8 KiB, file 1001 |
/// | 5 | trapped, 16 MiB |
/// | 6, 8 | none |
/// | 7 | trapped, 4 KiB |
///
/// There is one interrupt of type 0, which can be masked, none of type 1, four of type 2, one of
/// type 3 and none of type 4.
#[derive(Debug)]
pub struct FakeDevice {
    /// Its calls, in order.
    pub calls: Vec<Call>,
    /// Error that it returns instead of success.
    pub refuse: Option<Errno>,
    regions: Vec<Region<Token>>,
    interrupts: Vec<Interrupts>,
    files: Ranges<Option<Token>>,
    eventfds: Vec<Token>,
}

impl FakeDevice {
    /// Makes a device whose own two files come from `bank`.
    pub fn new(bank: &Bank) -> Self {
        let mut regions: Vec<Region<Token>> = (0..VFIO_PCI_NUM_REGIONS)
            .map(|index| match index {
                0 | 7 => Region::trapped(4096),
                1 => Region {
                    write: false,
                    ..Region::trapped(256)
                },
                2 => Region::shared(
                    0x1_0000,
                    bank.open(1000),
                    [(0x1000, 0x1000), (0x4000, 0x2000)]
                        .map(|(offset, size)| Area { offset, size })
                        .to_vec(),
                ),
                3 => Region {
                    read: false,
                    ..Region::trapped(256)
                },
                4 => Region::shared(0x2000, bank.open(1001), Vec::new()),
                5 => Region::trapped(16 << 20),
                _ => Region::EMPTY,
            })
            .collect();
        if let Some(shared) = regions.get_mut(4).and_then(|region| region.shared.as_mut()) {
            shared.offset = 0x3000;
        }
        let interrupts = (0..VFIO_PCI_NUM_IRQS)
            .map(|index| match index {
                0 => Interrupts {
                    count: 1,
                    flags: VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE,
                },
                2 => Interrupts {
                    count: 4,
                    flags: VFIO_IRQ_INFO_EVENTFD,
                },
                3 => Interrupts {
                    count: 1,
                    flags: VFIO_IRQ_INFO_EVENTFD,
                },
                _ => Interrupts::default(),
            })
            .collect();
        Self {
            calls: Vec::new(),
            refuse: None,
            regions,
            interrupts,
            files: Ranges::default(),
            eventfds: Vec::new(),
        }
    }

    /// Changes the number of interrupts of type 2.
    pub fn set_vectors(&mut self, count: u32) {
        if let Some(type_2) = self.interrupts.get_mut(2) {
            type_2.count = count;
        }
    }

    /// Returns the number of DMA mappings.
    pub fn mappings(&self) -> usize {
        self.files.len()
    }

    /// Returns the byte that a read finds at an offset.
    pub fn byte(region: u32, offset: u64) -> u8 {
        offset.wrapping_mul(31).wrapping_add(u64::from(region)) as u8
    }

    fn asked(&mut self, call: Call) -> Result<(), Errno> {
        self.calls.push(call);
        self.refuse.map_or(Ok(()), Err)
    }
}

impl Device for FakeDevice {
    type Fd = Token;

    fn regions(&self) -> &[Region<Token>] {
        &self.regions
    }

    fn interrupts(&self) -> &[Interrupts] {
        &self.interrupts
    }

    fn read(&mut self, region: u32, offset: u64, data: &mut [u8]) -> Result<(), Errno> {
        for (place, byte) in (offset..).zip(data.iter_mut()) {
            *byte = Self::byte(region, place);
        }
        self.asked(Call::Read(region, offset, data.len()))
    }

    fn write(&mut self, region: u32, offset: u64, data: &[u8]) -> Result<(), Errno> {
        self.asked(Call::Write(region, offset, data.to_vec()))
    }

    fn dma_map(&mut self, map: DmaMap<Token>) -> Result<(), Refusal> {
        self.files.check_new(map.range)?;
        let file = map.file.as_ref();
        self.asked(Call::Map(
            map.range,
            map.read,
            map.write,
            file.map(|(file, offset)| (file.number, *offset)),
        ))?;
        let file = map.file.map(|(file, _)| file);
        Ok(self.files.insert(map.range, file)?)
    }

    fn dma_unmap(&mut self, range: DmaRange) -> Result<(), Refusal> {
        self.files.check_whole(range)?;
        self.asked(Call::Unmap(range))?;
        self.files.remove(range)?;
        Ok(())
    }

    fn set_interrupts(&mut self, request: SetInterrupts<Token>) -> Result<(), Errno> {
        let (data, eventfds) = match request.data {
            Data::DisableAll => (Data::DisableAll, Vec::new()),
            Data::Each => (Data::Each, Vec::new()),
            Data::Chosen(chosen) => (Data::Chosen(chosen), Vec::new()),
            Data::Connect(fds) => (Data::Connect(fds.iter().map(|fd| fd.number).collect()), fds),
            Data::Disconnect => (Data::Disconnect, Vec::new()),
        };
        self.asked(Call::Interrupts(
            request.index,
            request.start,
            request.count,
            request.action,
            data,
        ))?;
        self.eventfds = eventfds;
        Ok(())
    }

    fn reset(&mut self) -> Result<(), Errno> {
        self.asked(Call::Reset)
    }
}

/// An [`Action`](session::Action) that can be kept and compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A message was sent, with this file.
    Sent(Header, Vec<u8>, Option<u32>),
    /// The client has answered a request.
    Answered(Header, Vec<u8>),
    /// A command was refused.
    Refused(u16, Refusal),
}

/// A session with a [`FakeDevice`] behind it.
#[derive(Debug)]
pub struct TestSession {
    /// Source of its descriptors.
    pub bank: Bank,
    /// The session.
    pub session: Session<Token>,
    /// The device.
    pub device: FakeDevice,
    /// Requests to the client.
    pub requests: Requests,
    /// Actions of the session, in order.
    pub seen: Vec<Seen>,
}

impl Default for TestSession {
    fn default() -> Self {
        Self::new()
    }
}

impl TestSession {
    /// Makes a session whose client has sent nothing yet.
    pub fn new() -> Self {
        let bank = Bank::default();
        Self {
            session: Session::new(),
            device: FakeDevice::new(&bank),
            requests: Requests::default(),
            seen: Vec::new(),
            bank,
        }
    }

    /// Makes a session whose client has negotiated.
    pub fn negotiated() -> Self {
        let mut test = Self::new();
        // The outcome is for the tests to check.
        let _agreed = test.send(&version(VERSION_TEXT), 0);
        test.seen.clear();
        test
    }

    /// Sends bytes as the client, with `fds` descriptors numbered from 0.
    pub fn send(&mut self, bytes: &[u8], fds: u32) -> Result<(), Violation> {
        let fds = self.bank.open_many(0, fds);
        let seen = &mut self.seen;
        self.session
            .receive(bytes, fds, &mut self.device, &mut |action| {
                seen.push(match action {
                    session::Action::Send { bytes, file } => Seen::Sent(
                        Header::parse(bytes).unwrap_or_default(),
                        bytes.get(HEADER_SIZE..).unwrap_or_default().to_vec(),
                        file.map(|file| file.number),
                    ),
                    session::Action::Answer(answer) => {
                        Seen::Answered(answer.header, answer.payload.to_vec())
                    }
                    session::Action::Refused { command, refusal } => {
                        Seen::Refused(command, refusal.clone())
                    }
                });
            })
    }
}

/// Version text of QEMU 11.1.
pub const VERSION_TEXT: &str = concat!(
    r#"{"capabilities": {"migration": {"pgsize": 4096, "max_bitmap_size": 268435456}, "#,
    r#""max_msg_fds": 16, "max_data_xfer_size": 1048576, "pgsizes": 4096, "#,
    r#""max_dma_maps": 65535, "write_multiple": true}}"#,
);

/// Makes a command with number 7 and the right size.
pub fn message(command: u16, payload: &[u8]) -> Vec<u8> {
    with_header(
        Header {
            id: 7,
            command,
            ..Header::default()
        },
        payload,
    )
}

/// Makes a message with the right size and otherwise this header.
pub fn with_header(header: Header, payload: &[u8]) -> Vec<u8> {
    let mut builder = Builder::default();
    builder.start().bytes(payload).finish(header).to_vec()
}

/// Returns numbers of 32 bits, one behind the other.
pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// Makes a `VERSION` 0.0 with a text, which gets its NUL.
pub fn version(text: &str) -> Vec<u8> {
    let payload = [&[0; 4], text.as_bytes(), &[0]].concat();
    message(command::VERSION, &payload)
}

/// Makes a `DMA_MAP`.
pub fn dma_map(flags: u32, offset: u64, address: u64, size: u64) -> Vec<u8> {
    let payload = [
        words(&[32, flags]),
        [offset, address, size].map(u64::to_ne_bytes).concat(),
    ]
    .concat();
    message(command::DMA_MAP, &payload)
}

/// Makes a `DMA_UNMAP`.
pub fn dma_unmap(flags: u32, address: u64, size: u64) -> Vec<u8> {
    let payload = [
        words(&[24, flags]),
        [address, size].map(u64::to_ne_bytes).concat(),
    ]
    .concat();
    message(command::DMA_UNMAP, &payload)
}

/// Makes a `DEVICE_GET_REGION_INFO`.
pub fn region_info(argsz: u32, index: u32) -> Vec<u8> {
    let payload = words(&[argsz, 0, index, 0, 0, 0, 0, 0]);
    message(command::DEVICE_GET_REGION_INFO, &payload)
}

/// Makes a `DEVICE_GET_IRQ_INFO`.
pub fn interrupt_info(argsz: u32, index: u32) -> Vec<u8> {
    message(command::DEVICE_GET_IRQ_INFO, &words(&[argsz, 0, index, 0]))
}

/// Makes a `DEVICE_SET_IRQS`.
pub fn set_interrupts(flags: u32, index: u32, start: u32, count: u32, data: &[u8]) -> Vec<u8> {
    let size = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let argsz = size.saturating_add(20);
    let payload = [words(&[argsz, flags, index, start, count]), data.to_vec()].concat();
    message(command::DEVICE_SET_IRQS, &payload)
}

/// Makes a `REGION_READ`.
pub fn region_read(region: u32, offset: u64, count: u32) -> Vec<u8> {
    let payload = [offset.to_ne_bytes().to_vec(), words(&[region, count])].concat();
    message(command::REGION_READ, &payload)
}

/// Makes a `REGION_WRITE`.
pub fn region_write(region: u32, offset: u64, data: &[u8]) -> Vec<u8> {
    let count = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let payload = [
        offset.to_ne_bytes().to_vec(),
        words(&[region, count]),
        data.to_vec(),
    ]
    .concat();
    message(command::REGION_WRITE, &payload)
}
