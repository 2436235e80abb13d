// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One client, from its first byte to its last.
#![doc = ""]
#![doc = include_str!("../RULES.md")]

use std::mem;

use rustix::io::Errno;
use vfio_bindings::bindings::vfio::{
    vfio_info_cap_header, vfio_irq_info, vfio_region_info, vfio_region_info_cap_sparse_mmap,
    vfio_region_sparse_mmap_area, VFIO_DEVICE_FEATURE_MASK, VFIO_DEVICE_FLAGS_PCI,
    VFIO_DEVICE_FLAGS_RESET, VFIO_DMA_MAP_FLAG_READ, VFIO_DMA_MAP_FLAG_WRITE,
    VFIO_DMA_UNMAP_FLAG_ALL, VFIO_IRQ_INFO_EVENTFD, VFIO_IRQ_INFO_MASKABLE,
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TYPE_MASK,
    VFIO_IRQ_SET_ACTION_UNMASK, VFIO_IRQ_SET_DATA_BOOL, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_TYPE_MASK, VFIO_PCI_ERR_IRQ_INDEX,
    VFIO_PCI_REQ_IRQ_INDEX, VFIO_REGION_INFO_CAP_SPARSE_MMAP, VFIO_REGION_INFO_FLAG_CAPS,
    VFIO_REGION_INFO_FLAG_MMAP, VFIO_REGION_INFO_FLAG_READ, VFIO_REGION_INFO_FLAG_WRITE,
};

use crate::access::{region, Access};
use crate::device::{self, most_fds, Data, Device, DmaMap, DmaRange, Interrupts, SetInterrupts};
use crate::incoming::Incoming;
use crate::refusal::Refusal;
use crate::version::Proposal;
use crate::wire::{
    command, to_usize, Builder, Fields, Header, DMA_MAP_FLAG_FILE_IO, DMA_MAP_FLAG_MMAP,
    FLAG_ERROR, FLAG_NO_REPLY, HEADER_SIZE, MAX_MESSAGE, PAGE_SIZE, SHORTEST_WITH_FDS,
    TYPE_COMMAND, TYPE_MASK, TYPE_REPLY,
};

pub use crate::incoming::Violation;
pub use crate::version::ClientLimits;

/// Payload of `DMA_MAP`.
const DMA_MAP_SIZE: usize = 32;
/// Payload of `DMA_UNMAP`, and of its reply.
const DMA_UNMAP_SIZE: usize = 24;
/// Payload of `DEVICE_GET_INFO`, and of its reply: shorter than the structure of VFIO.
const DEVICE_INFO_SIZE: usize = 16;
/// Payload of `DEVICE_GET_REGION_INFO`, and of its reply without capabilities.
const REGION_INFO_SIZE: usize = size_of::<vfio_region_info>();
/// Payload of `DEVICE_GET_IRQ_INFO`, and of its reply.
const IRQ_INFO_SIZE: usize = size_of::<vfio_irq_info>();
/// Payload of `DEVICE_SET_IRQS` without its data.
const SET_IRQS_SIZE: usize = 20;
// Of the three commands that take descriptors, none is shorter.
const _: () = assert!(SHORTEST_WITH_FDS == HEADER_SIZE + SET_IRQS_SIZE);
const _: () = assert!(SHORTEST_WITH_FDS <= HEADER_SIZE + DMA_MAP_SIZE);
const _: () = assert!(SHORTEST_WITH_FDS <= HEADER_SIZE + DMA_UNMAP_SIZE);
/// Payload of `REGION_READ` and `REGION_WRITE` without the data.
const ACCESS_SIZE: usize = 16;
/// Payload of `DEVICE_FEATURE` without its data.
const FEATURE_SIZE: usize = 8;

/// Action that the caller owes the session.
#[derive(Debug)]
pub enum Action<'a, Fd> {
    /// Send these bytes, with the file descriptor if there is one, in one piece.
    Send {
        /// A whole message.
        bytes: &'a [u8],
        /// File descriptor that goes with it.
        file: Option<&'a Fd>,
    },
    /// The client has answered a request of the server: input of
    /// [`Requests`](crate::requests::Requests).
    Answer(Answer<'a>),
    /// A command was not carried out. If the client waits for a reply, an error has been sent.
    Refused {
        /// The command.
        command: u16,
        /// Reason. The log must limit itself, as a client may cause any number of these.
        refusal: &'a Refusal,
    },
}

/// The client's reply to a message of the server.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Its header.
    pub header: Header,
    /// Bytes behind the header; none if the message was longer than any reply.
    pub payload: &'a [u8],
}

/// A client, with its negotiated limits.
#[derive(Debug)]
pub struct Session<Fd> {
    incoming: Incoming<Fd>,
    limits: Option<ClientLimits>,
    outgoing: Builder,
    violation: Option<Violation>,
}

/// Reply to a command, beside the payload that has been built.
struct Reply {
    /// Region whose file goes with it.
    file_of: Option<u32>,
}

const NO_FILE: Reply = Reply { file_of: None };

impl<Fd> Default for Session<Fd> {
    fn default() -> Self {
        Self::new()
    }
}

impl<Fd> Session<Fd> {
    /// Makes the session of a client that has sent nothing yet.
    pub fn new() -> Self {
        Self {
            incoming: Incoming::new(),
            limits: None,
            outgoing: Builder::default(),
            violation: None,
        }
    }

    /// Returns the number of bytes up to the end of the header or the payload that is arriving;
    /// never 0.
    ///
    /// The caller must read at most this many bytes at a time. Otherwise descriptors can be
    /// attributed to the wrong message.
    pub fn wanted(&self) -> usize {
        self.incoming.wanted()
    }

    /// Returns the client's limits; `None` before the version is negotiated.
    pub fn client_limits(&self) -> Option<ClientLimits> {
        self.limits
    }

    /// Returns how many bytes of the arriving message are kept; never more than the longest
    /// message.
    pub fn kept(&self) -> usize {
        self.incoming.kept()
    }

    /// Takes bytes of the client, in any portion, and carries out each message that is complete.
    /// File descriptors belong to the message of the first byte.
    ///
    /// # Errors
    ///
    /// Fails if the client broke the protocol, now or before.
    pub fn receive<D: Device<Fd = Fd>>(
        &mut self,
        mut bytes: &[u8],
        fds: impl IntoIterator<Item = Fd>,
        device: &mut D,
        act: &mut impl FnMut(Action<'_, Fd>),
    ) -> Result<(), Violation> {
        if let Some(violation) = self.violation {
            return Err(violation);
        }
        self.incoming.take_fds(fds);
        let mut result = Ok(());
        while result.is_ok() && !bytes.is_empty() {
            result = self.incoming.take(&mut bytes);
            // Refused by its header. A client that waits for the answer must not wait until it has sent
            // gigabytes, and one that sends less would wait for ever.
            if result.is_ok() && (self.incoming.is_complete() || self.incoming.is_too_long()) {
                result = self.carry_out(device, act);
                self.incoming.clear();
            }
        }
        if let Err(violation) = result {
            // Nothing is kept of a client that is dropped. Its descriptors would stay open until
            // the session ends.
            self.incoming = Incoming::new();
            self.violation = Some(violation);
        }
        result
    }

    /// Takes the end of the client's bytes. Fails if it is in the middle of a message.
    pub fn end(&self) -> Result<(), Violation> {
        match self.violation {
            Some(violation) => Err(violation),
            None if self.incoming.is_empty() => Ok(()),
            None => Err(Violation::Truncated),
        }
    }

    /// Carries out the message that has arrived: a command, or an answer to a request of the
    /// server. Of one that is too long only the header has; it is refused, and the client dropped.
    fn carry_out<D: Device<Fd = Fd>>(
        &mut self,
        device: &mut D,
        act: &mut impl FnMut(Action<'_, Fd>),
    ) -> Result<(), Violation> {
        let Some(header) = self.incoming.header() else {
            return Ok(());
        };
        let length = match self.incoming.is_too_long() {
            true => Err(Violation::Length(header.size)),
            false => Ok(()),
        };
        if header.flags & TYPE_MASK == TYPE_REPLY {
            length?;
            act(Action::Answer(Answer {
                header,
                payload: self.incoming.payload(),
            }));
            return Ok(());
        }
        let wants_reply = header.flags & FLAG_NO_REPLY == 0;
        // Asked before the command, which may be the one that negotiates.
        let negotiated = self.limits.is_some();
        self.outgoing.start();
        let result = self.answer(header, device);
        let reply_header = Header {
            id: header.id,
            command: header.command,
            flags: TYPE_REPLY,
            ..Header::default()
        };
        match &result {
            Ok(reply) if wants_reply => act(Action::Send {
                bytes: self.outgoing.finish(reply_header),
                file: reply
                    .file_of
                    .and_then(|index| find(device.regions(), index))
                    .and_then(|region| region.shared.as_ref())
                    .map(|shared| &shared.file),
            }),
            Ok(_) => {}
            Err(refusal) => {
                // A refusal is sent from an empty start, as a part of the reply may have been
                // built.
                if wants_reply {
                    act(Action::Send {
                        bytes: self.outgoing.start().finish(Header {
                            flags: TYPE_REPLY | FLAG_ERROR,
                            error: error_number(refusal.errno()),
                            ..reply_header
                        }),
                        file: None,
                    });
                }
                act(Action::Refused {
                    command: header.command,
                    refusal,
                });
            }
        }
        // A client must ask for a reply to VERSION, and must send VERSION first. Anything else ends
        // the connection.
        if negotiated || (result.is_ok() && wants_reply) {
            length
        } else {
            Err(Violation::NoVersion)
        }
    }

    /// Carries out a command and builds the payload of its reply.
    fn answer<D: Device<Fd = Fd>>(
        &mut self,
        header: Header,
        device: &mut D,
    ) -> Result<Reply, Refusal> {
        let unknown = header.flags & !FLAG_NO_REPLY;
        // A flag that the server ignored could be one that changes the meaning of the command.
        if unknown != TYPE_COMMAND {
            return Err(Refusal::Flags(unknown));
        }
        // Before the length: descriptors of a message that is too long are refused as those of any
        // other.
        self.check_fds(header.command, device)?;
        if self.incoming.is_too_long() {
            return Err(Refusal::TooLong {
                size: header.size,
                limit: MAX_MESSAGE,
            });
        }
        // Before VERSION no other command is carried out. The client's limits are not known yet.
        let Some(limits) = self.limits else {
            return match header.command {
                command::VERSION => self.negotiate(device),
                other => Err(Refusal::NotNegotiated(other)),
            };
        };
        match header.command {
            command::VERSION => Err(Refusal::Negotiated),
            command::DMA_MAP => self.dma_map(device),
            command::DMA_UNMAP => self.dma_unmap(device),
            command::DEVICE_GET_INFO => self.device_info(device),
            command::DEVICE_GET_REGION_INFO => self.region_info(device, limits),
            command::DEVICE_GET_IRQ_INFO => self.interrupt_info(device),
            command::DEVICE_SET_IRQS => self.set_interrupts(device),
            command::REGION_READ => self.region_read(device),
            command::REGION_WRITE => self.region_write(device),
            command::DEVICE_RESET => self.reset(device),
            command::DEVICE_FEATURE => self.feature(),
            other => Err(Refusal::Unsupported(other)),
        }
    }

    /// Fails if the message has more file descriptors than its command takes.
    fn check_fds<D: Device<Fd = Fd>>(&self, command: u16, device: &D) -> Result<(), Refusal> {
        let limit = match command {
            // SPDK's client sends the file of the mapping with DMA_UNMAP too. It is closed, as it has no
            // meaning; a refusal would leave the memory mapped for ever.
            command::DMA_MAP | command::DMA_UNMAP => 1,
            command::DEVICE_SET_IRQS => most_fds(device),
            _ => 0,
        };
        let count = self.incoming.fd_count();
        if count > limit {
            return Err(Refusal::Fds { count, limit });
        }
        Ok(())
    }

    /// Carries out VERSION.
    fn negotiate<D: Device<Fd = Fd>>(&mut self, device: &D) -> Result<Reply, Refusal> {
        let proposal = Proposal::parse(self.incoming.payload())?;
        let fds = most_fds(device);
        self.outgoing.bytes(&proposal.answer(fds));
        self.incoming.accept_fds(fds);
        self.limits = Some(proposal.limits);
        Ok(NO_FILE)
    }

    /// Carries out DMA_MAP.
    fn dma_map<D: Device<Fd = Fd>>(&mut self, device: &mut D) -> Result<Reply, Refusal> {
        let mut fields = self.incoming.fields(DMA_MAP_SIZE)?;
        check_argsz(&mut fields, DMA_MAP_SIZE)?;
        let (Some(flags), Some(offset), Some(address), Some(size)) =
            (fields.u32(), fields.u64(), fields.u64(), fields.u64())
        else {
            return Err(self.incoming.wrong_size(DMA_MAP_SIZE));
        };
        let rights = flags & (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE);
        let modes = flags & (DMA_MAP_FLAG_MMAP | DMA_MAP_FLAG_FILE_IO);
        let file_named = self.incoming.fd_count() > 0;
        // A mapping without rights would have no use, and a mode without a file no meaning.
        if flags != rights | modes || rights == 0 || (modes != 0 && !file_named) {
            return Err(Refusal::DmaFlags(flags));
        }
        // The device reaches files by mappings only.
        if modes == DMA_MAP_FLAG_FILE_IO {
            return Err(Refusal::DmaFileIo);
        }
        let range = DmaRange::new(address, size)
            .filter(|_| whole_pages(address, size))
            .ok_or(Refusal::DmaRange { address, size })?;
        // Offsets of files are signed 64-bit numbers in the kernel.
        let end = offset.checked_add(size);
        if end.is_none_or(|end| i64::try_from(end).is_err()) || !offset.is_multiple_of(PAGE_SIZE) {
            return Err(Refusal::DmaFile { offset, size });
        }
        device.dma_map(DmaMap {
            range,
            read: rights & VFIO_DMA_MAP_FLAG_READ != 0,
            write: rights & VFIO_DMA_MAP_FLAG_WRITE != 0,
            file: self.incoming.fds().pop().map(|file| (file, offset)),
        })?;
        Ok(NO_FILE)
    }

    /// Carries out DMA_UNMAP.
    fn dma_unmap<D: Device<Fd = Fd>>(&mut self, device: &mut D) -> Result<Reply, Refusal> {
        let mut fields = self.incoming.fields(DMA_UNMAP_SIZE)?;
        // The reply repeats the request, so it is kept before the fields are taken.
        let entry = fields.rest();
        check_argsz(&mut fields, DMA_UNMAP_SIZE)?;
        let (Some(flags), Some(address), Some(size)) = (fields.u32(), fields.u64(), fields.u64())
        else {
            return Err(self.incoming.wrong_size(DMA_UNMAP_SIZE));
        };
        let range = match flags {
            VFIO_DMA_UNMAP_FLAG_ALL if address == 0 && size == 0 => DmaRange::ALL,
            VFIO_DMA_UNMAP_FLAG_ALL => return Err(Refusal::DmaAll { address, size }),
            0 => DmaRange::up_to_end(address, size)
                .filter(|_| whole_pages(address, size))
                .ok_or(Refusal::DmaRange { address, size })?,
            other => return Err(Refusal::DmaFlags(other)),
        };
        device.dma_unmap(range)?;
        self.outgoing
            .bytes(entry.get(..DMA_UNMAP_SIZE).unwrap_or(entry));
        Ok(NO_FILE)
    }

    /// Carries out DEVICE_GET_INFO.
    fn device_info<D: Device<Fd = Fd>>(&mut self, device: &D) -> Result<Reply, Refusal> {
        let mut fields = self.incoming.fields(DEVICE_INFO_SIZE)?;
        check_argsz(&mut fields, DEVICE_INFO_SIZE)?;
        self.outgoing
            .u32(DEVICE_INFO_SIZE as u32)
            .u32(VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET)
            .u32(length(device.regions()))
            .u32(length(device.interrupts()));
        Ok(NO_FILE)
    }

    /// Carries out DEVICE_GET_REGION_INFO.
    fn region_info<D: Device<Fd = Fd>>(
        &mut self,
        device: &D,
        limits: ClientLimits,
    ) -> Result<Reply, Refusal> {
        let mut fields = self.incoming.fields(REGION_INFO_SIZE)?;
        let room = check_argsz(&mut fields, REGION_INFO_SIZE)?;
        let (Some(_flags), Some(index)) = (fields.u32(), fields.u32()) else {
            return Err(self.incoming.wrong_size(REGION_INFO_SIZE));
        };
        let region = region(device, index)?;
        // A client that takes no file descriptor cannot map anything.
        let shared = region.shared.as_ref().filter(|_| limits.fds > 0);
        let areas = shared.map_or(&[][..], |shared| &shared.areas);
        let mut flags = 0;
        for (set, flag) in [
            (region.read, VFIO_REGION_INFO_FLAG_READ),
            (region.write, VFIO_REGION_INFO_FLAG_WRITE),
            (shared.is_some(), VFIO_REGION_INFO_FLAG_MMAP),
            (!areas.is_empty(), VFIO_REGION_INFO_FLAG_CAPS),
        ] {
            if set {
                flags |= flag;
            }
        }
        let (cap_offset, needed) = if areas.is_empty() {
            (0, REGION_INFO_SIZE)
        } else {
            let area = size_of::<vfio_region_sparse_mmap_area>();
            let capability = size_of::<vfio_region_info_cap_sparse_mmap>()
                .saturating_add(area.saturating_mul(areas.len()));
            (
                REGION_INFO_SIZE as u32,
                REGION_INFO_SIZE.saturating_add(capability),
            )
        };
        // Without room for the capability the client learns the size that it needs, and asks again.
        // The offset of the capability is set all the same: QEMU refuses the flag without it.
        let complete = room >= needed;
        self.outgoing
            .u32(u32::try_from(needed).unwrap_or(u32::MAX))
            .u32(flags)
            .u32(index)
            .u32(cap_offset)
            .u64(region.size)
            .u64(shared.map_or(0, |shared| shared.offset));
        if complete && !areas.is_empty() {
            let header = vfio_info_cap_header {
                id: VFIO_REGION_INFO_CAP_SPARSE_MMAP as u16,
                version: 1,
                next: 0,
            };
            self.outgoing
                .u16(header.id)
                .u16(header.version)
                .u32(header.next)
                .u32(length(areas))
                .u32(0);
            for area in areas {
                self.outgoing.u64(area.offset).u64(area.size);
            }
        }
        Ok(Reply {
            file_of: (complete && shared.is_some()).then_some(index),
        })
    }

    /// Carries out DEVICE_GET_IRQ_INFO.
    fn interrupt_info<D: Device<Fd = Fd>>(&mut self, device: &D) -> Result<Reply, Refusal> {
        let mut fields = self.incoming.fields(IRQ_INFO_SIZE)?;
        check_argsz(&mut fields, IRQ_INFO_SIZE)?;
        let (Some(_flags), Some(index)) = (fields.u32(), fields.u32()) else {
            return Err(self.incoming.wrong_size(IRQ_INFO_SIZE));
        };
        let interrupts = interrupts(device, index)?;
        // For these two types QEMU takes an error to mean that there are none, and warns of a count
        // of 0.
        if is_notification(index) && interrupts.count == 0 {
            return Err(no_interrupts(device, index));
        }
        self.outgoing
            .u32(IRQ_INFO_SIZE as u32)
            .u32(interrupts.flags)
            .u32(index)
            .u32(interrupts.count);
        Ok(NO_FILE)
    }

    /// Carries out DEVICE_SET_IRQS.
    fn set_interrupts<D: Device<Fd = Fd>>(&mut self, device: &mut D) -> Result<Reply, Refusal> {
        let mut fields = self.incoming.fields(SET_IRQS_SIZE)?;
        check_argsz(&mut fields, SET_IRQS_SIZE)?;
        let (Some(flags), Some(index), Some(start), Some(count)) =
            (fields.u32(), fields.u32(), fields.u32(), fields.u32())
        else {
            return Err(self.incoming.wrong_size(SET_IRQS_SIZE));
        };
        if flags & !(VFIO_IRQ_SET_ACTION_TYPE_MASK | VFIO_IRQ_SET_DATA_TYPE_MASK) != 0 {
            return Err(Refusal::InterruptFlags(flags));
        }
        let action = match flags & VFIO_IRQ_SET_ACTION_TYPE_MASK {
            VFIO_IRQ_SET_ACTION_MASK => device::Action::Mask,
            VFIO_IRQ_SET_ACTION_UNMASK => device::Action::Unmask,
            VFIO_IRQ_SET_ACTION_TRIGGER => device::Action::Trigger,
            _ => return Err(Refusal::InterruptFlags(flags)),
        };
        let interrupts = interrupts(device, index)?;
        let masks = action != device::Action::Trigger;
        if masks && (interrupts.flags & VFIO_IRQ_INFO_MASKABLE == 0 || is_notification(index)) {
            return Err(Refusal::InterruptAction { flags, index });
        }
        let data = fields.rest();
        let chosen = flags & VFIO_IRQ_SET_DATA_TYPE_MASK == VFIO_IRQ_SET_DATA_BOOL;
        // Compared with the data before anything is allocated: the count is the client's.
        let entries = if chosen { to_usize(count) } else { 0 };
        // The data must fill the message exactly. Otherwise client and server disagree on the
        // request.
        if data.len() != entries {
            return Err(self
                .incoming
                .wrong_size(SET_IRQS_SIZE.saturating_add(entries)));
        }
        let fds = self.incoming.fd_count();
        let data = match flags & VFIO_IRQ_SET_DATA_TYPE_MASK {
            VFIO_IRQ_SET_DATA_EVENTFD if interrupts.flags & VFIO_IRQ_INFO_EVENTFD == 0 => {
                return Err(Refusal::InterruptAction { flags, index });
            }
            VFIO_IRQ_SET_DATA_EVENTFD if fds == 0 => Data::Disconnect,
            VFIO_IRQ_SET_DATA_EVENTFD if fds == to_usize(count) => Data::Connect(Vec::new()),
            _ if fds != 0 => return Err(Refusal::InterruptFds { fds, count }),
            VFIO_IRQ_SET_DATA_NONE if masks || start != 0 || count != 0 => Data::Each,
            VFIO_IRQ_SET_DATA_NONE => Data::DisableAll,
            VFIO_IRQ_SET_DATA_BOOL => Data::Chosen(data.iter().map(|&byte| byte != 0).collect()),
            _ => return Err(Refusal::InterruptFlags(flags)),
        };
        let end = start.checked_add(count);
        let all = matches!(data, Data::DisableAll);
        if !all && (count == 0 || end.is_none_or(|end| end > interrupts.count)) {
            return Err(Refusal::InterruptRange {
                start,
                count,
                limit: interrupts.count,
            });
        }
        // The descriptors are taken only now, when the session refuses nothing any more. Until then
        // `clear` closes them.
        let data = match data {
            Data::Connect(_) => Data::Connect(mem::take(self.incoming.fds())),
            other => other,
        };
        device.set_interrupts(SetInterrupts {
            index,
            start,
            count,
            action,
            data,
        })?;
        Ok(NO_FILE)
    }

    /// Carries out REGION_READ.
    fn region_read<D: Device<Fd = Fd>>(&mut self, device: &mut D) -> Result<Reply, Refusal> {
        let (access, data) = self.access()?;
        if !data.is_empty() {
            return Err(self.incoming.wrong_size(ACCESS_SIZE));
        }
        // The check bounds the count, and so the reply that is allocated next.
        access.check(device, |region| region.read)?;
        let data = access
            .echo(&mut self.outgoing)
            .space(to_usize(access.count));
        // An access of no bytes is valid, and no access of the device.
        if !data.is_empty() {
            device.read(access.region, access.offset, data)?;
        }
        Ok(NO_FILE)
    }

    /// Carries out REGION_WRITE.
    fn region_write<D: Device<Fd = Fd>>(&mut self, device: &mut D) -> Result<Reply, Refusal> {
        let (access, data) = self.access()?;
        access.check(device, |region| region.write)?;
        if data.len() != to_usize(access.count) {
            let needed = ACCESS_SIZE.saturating_add(to_usize(access.count));
            return Err(self.incoming.wrong_size(needed));
        }
        if !data.is_empty() {
            device.write(access.region, access.offset, data)?;
        }
        access.echo(&mut self.outgoing);
        Ok(NO_FILE)
    }

    /// Parses the fixed part of a read or write.
    fn access(&self) -> Result<(Access, &[u8]), Refusal> {
        let mut fields = self.incoming.fields(ACCESS_SIZE)?;
        let (Some(offset), Some(region), Some(count)) = (fields.u64(), fields.u32(), fields.u32())
        else {
            return Err(self.incoming.wrong_size(ACCESS_SIZE));
        };
        let access = Access {
            offset,
            region,
            count,
        };
        Ok((access, fields.rest()))
    }

    /// Carries out DEVICE_RESET.
    fn reset<D: Device<Fd = Fd>>(&mut self, device: &mut D) -> Result<Reply, Refusal> {
        if !self.incoming.payload().is_empty() {
            return Err(self.incoming.wrong_size(0));
        }
        device.reset()?;
        Ok(NO_FILE)
    }

    /// Refuses DEVICE_FEATURE: the device has no features of VFIO.
    fn feature(&self) -> Result<Reply, Refusal> {
        let mut fields = self.incoming.fields(FEATURE_SIZE)?;
        check_argsz(&mut fields, FEATURE_SIZE)?;
        let flags = fields.u32().unwrap_or_default();
        Err(Refusal::Feature(flags & VFIO_DEVICE_FEATURE_MASK))
    }
}

/// Takes `argsz` from the fields: the room that the client has for the payload of the reply. Fails
/// if it is less than `least`.
fn check_argsz(fields: &mut Fields<'_>, least: usize) -> Result<usize, Refusal> {
    let argsz = fields.u32().unwrap_or_default();
    if to_usize(argsz) < least {
        return Err(Refusal::ArgSize { argsz, least });
    }
    Ok(to_usize(argsz))
}

/// Checks whether a DMA range consists of whole pages.
fn whole_pages(address: u64, size: u64) -> bool {
    address.is_multiple_of(PAGE_SIZE) && size.is_multiple_of(PAGE_SIZE)
}

/// Returns the interrupts of a type. Fails if the device has no such type.
fn interrupts<D: Device>(device: &D, index: u32) -> Result<Interrupts, Refusal> {
    find(device.interrupts(), index)
        .copied()
        .ok_or_else(|| no_interrupts(device, index))
}

/// Makes the refusal of a type of interrupt that the device does not have.
fn no_interrupts<D: Device>(device: &D, index: u32) -> Refusal {
    Refusal::InterruptType {
        index,
        count: device.interrupts().len(),
    }
}

/// Checks whether interrupts of this type are for the client, and not for the guest.
fn is_notification(index: u32) -> bool {
    index == VFIO_PCI_ERR_IRQ_INDEX || index == VFIO_PCI_REQ_IRQ_INDEX
}

/// Returns the item with this index.
pub(crate) fn find<T>(items: &[T], index: u32) -> Option<&T> {
    items.get(to_usize(index))
}

/// Returns the number of items.
fn length<T>(items: &[T]) -> u32 {
    u32::try_from(items.len()).unwrap_or(u32::MAX)
}

/// Returns the error number for the reply, never 0: QEMU takes an error 0 for success.
fn error_number(errno: Errno) -> u32 {
    errno.raw_os_error().unsigned_abs().max(1)
}
