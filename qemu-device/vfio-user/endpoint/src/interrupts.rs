// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The eventfds through which vectors reach the client.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use ringbar_vfio_user::device::{Action, Data, Interrupts, SetInterrupts};
use ringbar_vfio_user::Errno;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{fcntl_getfl, fcntl_setfl, FileType, OFlags};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_EVENTFD, VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_NUM_IRQS,
};

use crate::status::Status;

/// The vectors of a device, each with an eventfd or none.
///
/// A client that masks a vector which has an eventfd keeps its pending bit itself. One without an
/// eventfd, which the guest has not unmasked yet, has its pending bit here, while MSI-X is on: it is
/// raised when the eventfd comes. Otherwise it is dropped. A device in an
/// [`Endpoint`](crate::Endpoint) has the vectors behind its [`Bus`](crate::Bus).
#[derive(Debug)]
pub struct Vectors {
    index: u32,
    eventfds: Vec<Option<File>>,
    /// By vector. Nothing is pending while MSI-X is off.
    pending: Vec<bool>,
    msix_is_on: bool,
}

impl Vectors {
    /// Makes `count` vectors of one type, an index of VFIO. None is connected.
    pub fn new(index: u32, count: u16) -> Self {
        Self {
            index,
            eventfds: (0..count).map(|_| None).collect(),
            pending: vec![false; count.into()],
            msix_is_on: false,
        }
    }

    /// Takes whether MSI-X is on, as the guest has set it. Nothing is pending while it is off.
    pub fn set_msix(&mut self, on: bool) {
        self.msix_is_on = on && self.index == VFIO_PCI_MSIX_IRQ_INDEX;
        if !self.msix_is_on {
            self.pending.fill(false);
        }
    }

    /// Reads pending bits, from a byte of them on. Behind the last they are 0.
    pub fn read_pending(&self, offset: usize, data: &mut [u8]) {
        let bytes = self.pending.chunks(8).map(|bits| {
            let bits = bits.iter().rev();
            bits.fold(0, |byte, bit| byte << 1 | u8::from(*bit))
        });
        let bytes = bytes.chain(std::iter::repeat(0)).skip(offset);
        for (place, byte) in data.iter_mut().zip(bytes) {
            *place = byte;
        }
    }

    /// Returns the interrupt types of a device that has these vectors and no other interrupts.
    pub fn types(&self) -> Vec<Interrupts> {
        (0..VFIO_PCI_NUM_IRQS)
            .map(|index| {
                if index == self.index {
                    Interrupts {
                        count: u32::try_from(self.eventfds.len()).unwrap_or(u32::MAX),
                        flags: VFIO_IRQ_INFO_EVENTFD,
                    }
                } else {
                    Interrupts::default()
                }
            })
            .collect()
    }

    /// Connects, disconnects or raises vectors. Connects all eventfds of a request, or none.
    ///
    /// # Errors
    ///
    /// Fails if the device does not have these vectors or this action, or a file is no eventfd.
    pub fn set(&mut self, request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        if request.action != Action::Trigger {
            return Err(Errno::INVAL);
        }
        if request.index != self.index {
            // The type has no interrupts here, so disabling them all is done.
            return match request.data {
                Data::DisableAll => Ok(()),
                _ => Err(Errno::INVAL),
            };
        }
        let start = usize::try_from(request.start).unwrap_or(usize::MAX);
        let count = usize::try_from(request.count).unwrap_or(usize::MAX);
        let vectors = self
            .eventfds
            .get_mut(start..start.saturating_add(count))
            .ok_or(Errno::INVAL)?;
        match request.data {
            Data::DisableAll => self.eventfds.fill_with(|| None),
            Data::Each => vectors.iter_mut().flatten().for_each(signal),
            Data::Chosen(chosen) => {
                for (vector, chosen) in vectors.iter_mut().zip(chosen) {
                    if let (Some(eventfd), true) = (vector, chosen) {
                        signal(eventfd);
                    }
                }
            }
            Data::Connect(eventfds) => {
                // All before the first one, as a refused request must change nothing.
                if !eventfds.iter().all(may_be_eventfd) {
                    return Err(Errno::INVAL);
                }
                let pending = self.pending.iter_mut().skip(start);
                for ((vector, eventfd), pending) in vectors.iter_mut().zip(eventfds).zip(pending) {
                    do_not_block(&eventfd);
                    let eventfd = vector.insert(File::from(eventfd));
                    if std::mem::take(pending) {
                        signal(eventfd);
                    }
                }
            }
            Data::Disconnect => vectors.fill_with(|| None),
        }
        Ok(())
    }

    /// Raises a vector. One that is not connected becomes pending while MSI-X is on.
    pub fn raise(&mut self, vector: usize) {
        match self.eventfds.get_mut(vector) {
            Some(Some(eventfd)) => signal(eventfd),
            Some(None) if self.msix_is_on => {
                if let Some(pending) = self.pending.get_mut(vector) {
                    *pending = true;
                }
            }
            _ => {}
        }
    }
}

/// Adds 1 to an eventfd, unless it is full. A client that has not taken the earlier interrupts
/// looks anyway.
fn signal(eventfd: &mut File) {
    // The client has the same open file and can make it blocking again at any time. If it does so
    // between the look and the write, it harms itself only: its own device waits until it reads.
    let added = has_room(eventfd).and_then(|room| match room {
        true => eventfd.write(&1_u64.to_ne_bytes()),
        false => Err(io::ErrorKind::WouldBlock.into()),
    });
    // No error for the device: it goes on without a client that listens. At level debug, as a
    // client could fill the log with these.
    if let Err(error) = added {
        log::debug!("interrupt not delivered: {error}");
    }
}

/// Checks whether a write would not wait.
fn has_room(eventfd: &File) -> io::Result<bool> {
    let mut looked_at = [PollFd::new(eventfd, PollFlags::OUT)];
    Ok(poll(&mut looked_at, Some(&Timespec::default()))? != 0)
}

/// Checks whether it is a file without a type, as eventfds are. A regular file could be on a disk
/// that does not respond. A pipe or socket would take the written bytes for something else.
fn may_be_eventfd(fd: &OwnedFd) -> bool {
    Status::of(fd).is_ok_and(|found| found.kind == FileType::Unknown)
}

/// Makes writes to an eventfd fail instead of wait. Otherwise a client that does not read its
/// eventfds would stop the device.
fn do_not_block(eventfd: &OwnedFd) {
    let set = fcntl_getfl(eventfd).and_then(|flags| fcntl_setfl(eventfd, flags | OFlags::NONBLOCK));
    if let Err(error) = set {
        log::debug!("cannot make an eventfd non-blocking: {error}");
    }
}
