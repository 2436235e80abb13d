// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! QEMU and the driver in one: guest memory, mapped BARs, rings.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use ringbar_checked_client::Client;
use ringbar_driver_side::ring::Ring;
use ringbar_driver_side::{admin, blocks, QueueMemory, Registers, Shared};
use ringbar_endpoint::config_space::{COMMAND, COMMAND_BUS_MASTER, COMMAND_MEMORY, INTERRUPTS};
use ringbar_mapped::Mapped;
use ringbar_server::options::InterruptKind;
use ringbar_server::{Error, Options, Server};
use ringbar_spec::layout::{DEVICE_MEMORY_SIZE, REGISTER_BAR_SIZE};
use ringbar_spec::regs::Register;
use ringbar_spec::ring::{Completion, Descriptor};
use ringbar_spec::setup::{QueueSetup, Segment, WindowSetup, RIGHT_READ, RIGHT_WRITE};
use ringbar_spec::wake::{self, Waiter, Word, Words};
use rustix::event::{eventfd, poll, EventfdFlags, PollFd, PollFlags, Timespec};
use tempfile::TempDir;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD, VFIO_IRQ_SET_DATA_NONE,
    VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX,
};
use vm_memory::{FileOffset, MmapRegion, VolatileMemory};

use crate::common::memory_file;

/// DMA address of guest memory.
pub(crate) const BASE: u64 = 0x1_0000_0000;
/// Size of guest memory.
pub(crate) const SIZE: u64 = 32 << 20;
/// Offset of the tests' buffers in guest memory.
pub(crate) const BUFFER: u64 = 0x1_0000;
/// Number of the window on [`BUFFER`].
pub(crate) const BUFFER_WINDOW: u16 = 1;
/// Number of the window on the device memory.
pub(crate) const DEVICE_WINDOW: u16 = 2;
/// Length of [`BUFFER_WINDOW`].
pub(crate) const BUFFER_SIZE: u64 = 16 << 20;
/// Entries of both rings.
pub(crate) const ENTRIES: u32 = 64;

const BLOCK: u64 = 0x2000;
const DOMAIN: u32 = 7;
const PATIENCE: Timespec = Timespec {
    tv_sec: 20,
    tv_nsec: 0,
};

/// A client, the memory that it shares with its server, and mostly that server on a thread.
pub(crate) struct Guest {
    /// The connection.
    pub(crate) client: Client,
    /// BAR 0, and guest memory. The device reaches it once [`map_memory`](Self::map_memory) was
    /// called.
    pub(crate) shared: Mapped,
    /// BAR 2 as mapped.
    pub(crate) device_memory: MmapRegion,
    /// Path of the server's socket.
    pub(crate) socket: PathBuf,
    interrupts: InterruptKind,
    file: File,
    eventfds: Vec<File>,
    server: Option<(JoinHandle<Result<(), Error>>, TempDir)>,
    ring: Ring<QueueMemory<Mapped>>,
}

/// Parts that threads of a test share.
pub(crate) struct Parts<'a> {
    /// The connection.
    pub(crate) client: &'a mut Client,
    /// BAR 0 and guest memory.
    pub(crate) shared: &'a Mapped,
    /// Eventfds of the vectors.
    pub(crate) eventfds: &'a [File],
}

impl Guest {
    /// Returns its parts, for several threads at once.
    pub(crate) fn parts(&mut self) -> Parts<'_> {
        Parts {
            client: &mut self.client,
            shared: &self.shared,
            eventfds: &self.eventfds,
        }
    }

    /// Connects to a server on a thread; nothing is set up yet.
    pub(crate) fn connect(interrupts: InterruptKind) -> Self {
        Self::connect_with(interrupts, |_| ())
    }

    /// Connects to a server with other options, on a thread; nothing is set up yet.
    pub(crate) fn connect_with(
        interrupts: InterruptKind,
        change: impl FnOnce(&mut Options),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path().join("socket"));
        options.interrupts = interrupts;
        options.once = true;
        change(&mut options);
        let server = Server::bind(&options).unwrap();
        let server = thread::spawn(|| server.run());
        Self {
            server: Some((server, folder)),
            ..Self::attach(&options.socket, interrupts)
        }
    }

    /// Connects to a server that listens; nothing is set up yet.
    pub(crate) fn attach(socket: &Path, interrupts: InterruptKind) -> Self {
        Self::attach_with(socket, interrupts, memory_file(SIZE))
    }

    /// Connects to a server that listens, with this file of [`SIZE`] bytes as guest memory.
    pub(crate) fn attach_with(socket: &Path, interrupts: InterruptKind, file: File) -> Self {
        let client = Client::new(socket).unwrap();
        let shared = Mapped {
            registers: Arc::new(map(region_file(&client, 0), REGISTER_BAR_SIZE)),
            memory: Arc::new(map(&file, SIZE as usize)),
            base: BASE,
        };
        let memory = QueueMemory::new(shared.clone(), &blocks::queue(BASE, ENTRIES));
        Self {
            ring: Ring::new(memory, ENTRIES, false),
            shared,
            device_memory: map(region_file(&client, 2), DEVICE_MEMORY_SIZE),
            socket: socket.to_owned(),
            client,
            interrupts,
            file,
            eventfds: Vec::new(),
            server: None,
        }
    }

    /// Connects to a server on a thread and sets everything up.
    pub(crate) fn start(interrupts: InterruptKind) -> Self {
        let mut guest = Self::connect(interrupts);
        guest.set_up();
        guest
    }

    /// Connects to a server that polls for this many microseconds, and sets everything up.
    pub(crate) fn start_polling(poll_time: u32) -> Self {
        let mut guest = Self::connect_with(InterruptKind::Msix, |it| it.poll_time = poll_time);
        guest.set_up();
        guest
    }

    /// Sets up memory, interrupts, bus mastering, queue 0 and both windows.
    pub(crate) fn set_up(&mut self) {
        self.map_memory();
        self.connect_interrupts();
        self.set_bus_master(true);
        self.start_queue();
        // Two segments, so that operations cross from one to the next.
        let list = [(0, 0x1234), (0x1234, BUFFER_SIZE - 0x1234)].map(|(start, length)| Segment {
            address: BASE + BUFFER + start,
            length,
        });
        let both = RIGHT_READ | RIGHT_WRITE;
        self.open_window(BUFFER_WINDOW, blocks::segments(both, &list), &list);
        self.open_window(
            DEVICE_WINDOW,
            blocks::device_memory(both, 0, BUFFER_SIZE),
            &[],
        );
    }

    /// Makes guest memory reachable for the device.
    pub(crate) fn map_memory(&mut self) {
        self.map_part(SIZE);
    }

    /// Makes the first `size` bytes of guest memory reachable for the device.
    pub(crate) fn map_part(&mut self, size: u64) {
        self.client
            .dma_map(0, BASE, size, self.file.as_raw_fd())
            .unwrap();
    }

    /// Returns the file of guest memory.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Connects an eventfd to each vector, one at a time as QEMU does.
    pub(crate) fn connect_interrupts(&mut self) {
        let index = match self.interrupts {
            InterruptKind::Msix => VFIO_PCI_MSIX_IRQ_INDEX,
            InterruptKind::Msi => VFIO_PCI_MSI_IRQ_INDEX,
        };
        let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
        for vector in 0..self.client.get_irq_info(index).unwrap().count {
            let eventfd = File::from(eventfd(0, EventfdFlags::NONBLOCK).unwrap());
            self.client
                .set_irqs(index, flags, vector, 1, &[eventfd.as_raw_fd()])
                .unwrap();
            self.eventfds.push(eventfd);
        }
    }

    /// Connects an eventfd to each vector, all with one message.
    pub(crate) fn connect_interrupts_at_once(&mut self) {
        let flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
        let index = VFIO_PCI_MSIX_IRQ_INDEX;
        let count = self.client.get_irq_info(index).unwrap().count;
        self.eventfds = (0..count)
            .map(|_| File::from(eventfd(0, EventfdFlags::NONBLOCK).unwrap()))
            .collect();
        let fds: Vec<_> = self.eventfds.iter().map(AsRawFd::as_raw_fd).collect();
        self.client.set_irqs(index, flags, 0, count, &fds).unwrap();
    }

    /// Has the server raise a vector.
    pub(crate) fn raise(&mut self, vector: u32) {
        let flags = VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER;
        let index = VFIO_PCI_MSIX_IRQ_INDEX;
        self.client.set_irqs(index, flags, vector, 1, &[]).unwrap();
    }

    /// Switches bus mastering.
    pub(crate) fn set_bus_master(&mut self, on: bool) {
        let command = if on { COMMAND_BUS_MASTER } else { 0 };
        self.write_config(COMMAND, &(COMMAND_MEMORY | command).to_le_bytes());
    }

    /// Switches MSI-X on.
    pub(crate) fn switch_msix_on(&mut self) {
        self.write_config(INTERRUPTS + 2, &0x8000_u16.to_le_bytes());
    }

    /// Writes configuration space.
    pub(crate) fn write_config(&mut self, offset: usize, data: &[u8]) {
        self.client
            .region_write(VFIO_PCI_CONFIG_REGION_INDEX, offset as u64, data)
            .unwrap();
    }

    /// Reads configuration space.
    pub(crate) fn read_config(&mut self, offset: usize) -> u32 {
        let mut bytes = [0; 4];
        self.client
            .region_read(VFIO_PCI_CONFIG_REGION_INDEX, offset as u64, &mut bytes)
            .unwrap();
        u32::from_le_bytes(bytes)
    }

    /// Reads a register.
    pub(crate) fn get(&mut self, register: Register) -> u64 {
        Registers::get(self, register).unwrap()
    }

    /// Writes a register.
    pub(crate) fn set(&mut self, register: Register, value: u64) {
        Registers::set(self, register, value).unwrap();
    }

    /// Writes guest memory.
    pub(crate) fn poke(&self, offset: u64, data: &[u8]) {
        self.shared.write(BASE + offset, data);
    }

    /// Reads guest memory.
    pub(crate) fn peek(&self, offset: u64, length: usize) -> Vec<u8> {
        read(&self.shared.memory, offset as usize, length)
    }

    /// Reads the mapped device memory.
    pub(crate) fn peek_device(&self, offset: u64, length: usize) -> Vec<u8> {
        read(&self.device_memory, offset as usize, length)
    }

    /// Starts queue 0. Fails the test if the device refuses.
    pub(crate) fn start_queue(&mut self) {
        self.start_with(&QueueSetup {
            vector: 1,
            ..blocks::queue(BASE, ENTRIES)
        });
        self.ring.restart();
    }

    /// Starts a queue. Fails the test if the device refuses.
    pub(crate) fn start_with(&mut self, setup: &QueueSetup) {
        let setup = QueueSetup {
            domain: DOMAIN,
            ..*setup
        };
        let shared = self.shared.clone();
        admin::start_queue(self, shared, BASE + BLOCK, &setup).unwrap();
    }

    fn open_window(&mut self, window: u16, setup: WindowSetup, list: &[Segment]) {
        let setup = WindowSetup {
            window: window.into(),
            domain: DOMAIN,
            ..setup
        };
        let shared = self.shared.clone();
        admin::open_window(self, shared, BASE + BLOCK, &setup, list).unwrap();
    }

    /// Puts a descriptor into the ring and moves the tail in the mapped doorbell page. Returns
    /// whether the queue sleeps.
    pub(crate) fn submit(&mut self, descriptor: &Descriptor) -> bool {
        self.ring.push(descriptor).unwrap();
        self.ring.submit()
    }

    /// Wakes the queue.
    pub(crate) fn kick(&mut self) {
        Registers::kick(self, 0).unwrap();
    }

    /// Returns the number of completions posted so far, from the mapped status page.
    pub(crate) fn completion_tail(&self) -> u32 {
        self.ring.memory().load(Word::CompletionTail)
    }

    /// Asks for the queue's interrupt when completion `index` is posted. Returns the number of
    /// completions posted.
    pub(crate) fn arm(&self, index: u32) -> u32 {
        wake::arm(self.ring.memory(), Waiter::Process, index)
    }

    /// Takes the next completion. Waits for the queue's interrupt as long as there is none.
    pub(crate) fn wait(&mut self) -> Completion {
        while self.ring.arm(1).unwrap() {
            self.wait_interrupt(1);
        }
        self.ring.pop().unwrap().unwrap()
    }

    /// Submits one descriptor, kicks, and waits for its completion.
    pub(crate) fn carry_out(&mut self, descriptor: &Descriptor) -> Completion {
        self.submit(descriptor);
        self.kick();
        self.wait()
    }

    /// Waits for a vector. Fails the test if it does not come.
    pub(crate) fn wait_interrupt(&mut self, vector: usize) -> u64 {
        let mut eventfd = &self.eventfds[vector];
        let mut polled = [PollFd::new(eventfd, PollFlags::IN)];
        assert_eq!(
            poll(&mut polled, Some(&PATIENCE)).unwrap(),
            1,
            "no interrupt"
        );
        let mut count = [0; 8];
        eventfd.read_exact(&mut count).unwrap();
        u64::from_ne_bytes(count)
    }

    /// Waits long enough for the work of a server that goes on to show.
    pub(crate) fn linger(&self) {
        thread::sleep(Duration::from_millis(50));
    }

    /// Ends the connection. Returns the server's outcome.
    pub(crate) fn hang_up(self) -> Result<(), Error> {
        self.client.shutdown().unwrap();
        let (server, _folder) = self.server.unwrap();
        let start = Instant::now();
        while !server.is_finished() {
            let waited = start.elapsed().as_secs();
            assert!(waited < PATIENCE.tv_sec as u64, "the server does not end");
            thread::sleep(Duration::from_millis(1));
        }
        server.join().unwrap()
    }

    /// Submits one descriptor, kicks if the queue sleeps, and waits for the completion.
    pub(crate) fn carry_out_by_the_rules(&mut self, descriptor: &Descriptor) -> Completion {
        if self.submit(descriptor) {
            self.kick();
        }
        self.wait()
    }

    /// Returns whether queue 0 announces that it sleeps.
    pub(crate) fn sleeps(&self) -> bool {
        self.word(Word::Sleeping.offset(0)).load(Ordering::Acquire) != 0
    }

    /// Waits until the condition holds for the mapped words. Fails the test if it never does.
    pub(crate) fn wait_until(&self, what: &str, condition: impl Fn(&Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed().as_secs() < PATIENCE.tv_sec as u64, "{what}");
            thread::yield_now();
        }
    }

    /// Returns a word of BAR 0 as mapped.
    pub(crate) fn word(&self, offset: usize) -> &AtomicU32 {
        self.shared.registers.get_atomic_ref(offset).unwrap()
    }
}

impl Registers for Guest {
    type Error = ringbar_checked_client::Error;

    fn read_register(&mut self, offset: usize, bytes: &mut [u8]) -> Result<(), Self::Error> {
        self.client.region_read(0, offset as u64, bytes)
    }

    fn write_register(&mut self, offset: usize, bytes: &[u8]) -> Result<(), Self::Error> {
        self.client.region_write(0, offset as u64, bytes)
    }
}

fn region_file(client: &Client, index: u32) -> &File {
    let file = client.region(index).unwrap().file_offset.as_ref().unwrap();
    assert_eq!(file.start(), 0);
    file.file()
}

fn map(file: &File, size: usize) -> MmapRegion {
    MmapRegion::from_file(FileOffset::new(file.try_clone().unwrap(), 0), size).unwrap()
}

fn read(memory: &MmapRegion, offset: usize, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    memory
        .get_slice(offset, length)
        .unwrap()
        .copy_to(&mut bytes);
    bytes
}
