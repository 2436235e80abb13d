// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! All that a new server must be told, as the client never sends it again.

mod config;
mod info;
mod interrupts;
mod maps;

use std::rc::Rc;

use ringbar_vfio_user::ranges::RangeFault;
use ringbar_vfio_user::wire::command::{self, Name};
use ringbar_vfio_user::Errno;

use crate::message::{Descriptor, Message};
use config::ConfigWrites;
use info::Infos;
use interrupts::Interrupts;
use maps::Maps;

pub use config::{MAX_BYTES, MAX_WRITES};
pub use info::{RegionFile, MAX_INFOS, MAX_INFO_SIZE};
pub use interrupts::MAX_EVENTFDS;
pub use maps::MAX_FILES;

/// State of the device as the client left it: version, DMA mappings, configuration writes,
/// interrupts, and the answers that describe the device.
///
/// Its memory and its descriptors are bounded, whatever the client does.
#[derive(Debug)]
pub struct Record<Fd> {
    version: Option<Rc<[u8]>>,
    infos: Infos<Fd>,
    maps: Maps<Fd>,
    config: ConfigWrites,
    interrupts: Interrupts<Fd>,
}

/// A request for a new server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<Fd> {
    /// Command of the request.
    pub command: u16,
    /// Its payload.
    pub payload: Rc<[u8]>,
    /// Its descriptors.
    pub fds: Vec<Fd>,
    /// The answer that it must get; any success will do if there is none.
    pub expected: Option<Message<Fd>>,
}

/// Reason for which a request is not recorded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRecorded {
    /// The payload is not that of the command.
    #[error("{} with {size} bytes of payload is not understood", Name(*.command))]
    Payload {
        /// Command of the request.
        command: u16,
        /// Bytes of the payload.
        size: usize,
    },
    /// The list of DMA mappings does not allow it.
    #[error(transparent)]
    Range(#[from] RangeFault),
    /// There are too many files of memory.
    #[error("{MAX_FILES} files of guest memory are the limit: use fewer memory backends")]
    Files,
    /// There are too many eventfds.
    #[error("{MAX_EVENTFDS} eventfds of interrupts are the limit: use fewer vectors")]
    Eventfds,
    /// There are too many configuration writes.
    #[error("{MAX_WRITES} configuration writes of {MAX_BYTES} bytes in all are the limit: the oldest is forgotten")]
    ConfigWrites,
    /// There are too many questions, or the answer is too long.
    #[error(
        "{MAX_INFOS} questions of {MAX_INFO_SIZE} bytes are the limit: this one is not remembered"
    )]
    Infos,
}

impl NotRecorded {
    /// Returns the error number for the client.
    pub fn errno(&self) -> Errno {
        match self {
            Self::Payload { .. } => Errno::INVAL,
            Self::Range(fault) => fault.errno(),
            Self::Files | Self::Eventfds | Self::ConfigWrites | Self::Infos => Errno::NOSPC,
        }
    }

    /// Makes the error of a payload that is not understood.
    fn payload<Fd>(request: &Message<Fd>) -> Self {
        Self::Payload {
            command: request.header.command,
            size: request.payload.len(),
        }
    }
}

impl<Fd> Default for Record<Fd> {
    fn default() -> Self {
        Self {
            version: None,
            infos: Infos::default(),
            maps: Maps::default(),
            config: ConfigWrites::default(),
            interrupts: Interrupts::default(),
        }
    }
}

impl<Fd: Descriptor> Record<Fd> {
    /// Returns whether a version has been agreed on.
    pub fn is_agreed(&self) -> bool {
        self.version.is_some()
    }

    /// Fails if the limits leave no room for the request. To be asked before a server carries it
    /// out: the record would not have it afterwards.
    pub fn check(&self, request: &Message<Fd>) -> Result<(), NotRecorded> {
        match request.header.command {
            command::DMA_MAP => self.maps.check(request),
            command::DEVICE_SET_IRQS => self.interrupts.check(request),
            _ => Ok(()),
        }
    }

    /// Notes a request that was carried out, with the server's reply if there was one. A refused
    /// request changes nothing, except that a refused question is remembered.
    ///
    /// # Errors
    ///
    /// Fails if the request is not understood, or a limit is reached. Nothing is noted then, but a
    /// configuration write is, and the oldest one is forgotten.
    pub fn note(
        &mut self,
        request: &Message<Fd>,
        reply: Option<&Message<Fd>>,
    ) -> Result<(), NotRecorded> {
        let refused = reply.is_some_and(Message::is_error);
        match (request.header.command, reply) {
            (
                command::DEVICE_GET_INFO
                | command::DEVICE_GET_REGION_INFO
                | command::DEVICE_GET_IRQ_INFO,
                Some(reply),
            ) => self.infos.note(request, reply),
            _ if refused => Ok(()),
            (command::VERSION, _) => {
                self.version = Some(Rc::clone(&request.payload));
                Ok(())
            }
            (command::DMA_MAP, _) => self.maps.map(request),
            (command::DMA_UNMAP, _) => self.maps.unmap(request),
            (command::REGION_WRITE, _) => self.config.note(request),
            (command::DEVICE_SET_IRQS, _) => self.interrupts.note(request),
            (command::DEVICE_RESET, _) => {
                // Mappings and connected interrupts survive a reset, configuration space does not.
                self.config.clear();
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Returns the recorded answer to a question, as the reply to this request.
    pub fn info(&self, request: &Message<Fd>) -> Option<Message<Fd>> {
        self.infos.find(request)
    }

    /// Returns the region files that the client has, by index of their regions.
    pub fn region_files(&self) -> Vec<RegionFile<Fd>> {
        self.infos.region_files()
    }

    /// Returns the requests for a new server, in order.
    ///
    /// The questions come before the mappings: a server of another device is refused before it has
    /// the guest's memory. Interrupts come last, when configuration space is as the guest left it.
    pub fn replay(&self) -> impl Iterator<Item = Step<Fd>> + use<'_, Fd> {
        let version = self.version.iter().map(|payload| Step {
            command: command::VERSION,
            payload: Rc::clone(payload),
            fds: Vec::new(),
            expected: None,
        });
        version
            .chain(self.infos.replay())
            .chain(self.maps.replay())
            .chain(self.config.replay())
            .chain(self.interrupts.replay())
    }
}

impl<Fd: Descriptor> Step<Fd> {
    /// Makes the step that repeats a request of the client.
    pub fn repeat(request: &Message<Fd>) -> Self {
        Self {
            command: request.header.command,
            payload: Rc::clone(&request.payload),
            fds: request.fds.clone(),
            expected: None,
        }
    }
}

/// Checks whether the request changes what the record keeps, or resets the device.
pub fn is_change<Fd>(request: &Message<Fd>) -> bool {
    match request.header.command {
        command::DMA_MAP
        | command::DMA_UNMAP
        | command::DEVICE_SET_IRQS
        | command::DEVICE_RESET => true,
        command::REGION_WRITE => config::is_of_config_space(request),
        _ => false,
    }
}
