// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The eventfds through which vectors reach the client.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;

use ringbar_vfio_user::device::{Action, Data, Interrupts, SetInterrupts};
use ringbar_vfio_user::Errno;
use rustix::event::{poll, PollFd, PollFlags, Timespec};
use rustix::fs::{fcntl_getfl, fcntl_setfl, FileType, OFlags};
use vfio_bindings::bindings::vfio::{VFIO_IRQ_INFO_EVENTFD, VFIO_PCI_NUM_IRQS};

use crate::status::Status;

/// The vectors of a device, each with an eventfd or none.
///
/// A vector without eventfd is dropped when it is raised: the client keeps pending bits itself.
#[derive(Debug)]
pub struct Vectors {
    index: u32,
    eventfds: Vec<Option<File>>,
}

impl Vectors {
    /// `count` vectors of one type, an index of VFIO. None is connected.
    pub fn new(index: u32, count: u16) -> Self {
        Self {
            index,
            eventfds: (0..count).map(|_| None).collect(),
        }
    }

    /// The interrupt types of a device that has these vectors and no other interrupts.
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

    /// Connects, disconnects or raises vectors. All eventfds of a request are connected, or none.
    pub fn set(&mut self, request: SetInterrupts<OwnedFd>) -> Result<(), Errno> {
        if request.action != Action::Trigger {
            return Err(Errno::INVAL);
        }
        if request.index != self.index {
            // There is nothing to disable.
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
                if !eventfds.iter().all(may_be_eventfd) {
                    return Err(Errno::INVAL);
                }
                for (vector, eventfd) in vectors.iter_mut().zip(eventfds) {
                    do_not_block(&eventfd);
                    *vector = Some(File::from(eventfd));
                }
            }
            Data::Disconnect => vectors.fill_with(|| None),
        }
        Ok(())
    }

    /// Raises a vector; without effect if it is not connected.
    pub fn raise(&mut self, vector: usize) {
        if let Some(Some(eventfd)) = self.eventfds.get_mut(vector) {
            signal(eventfd);
        }
    }
}

/// Adds 1 to an eventfd, unless it is full: then the client has not taken the earlier ones, and will
/// look anyway.
fn signal(eventfd: &mut File) {
    // The client has the same open file and can make it blocking again at any time. What it does
    // between the look and the write is its own harm: its device waits until it reads.
    let added = has_room(eventfd).and_then(|room| match room {
        true => eventfd.write(&1_u64.to_ne_bytes()),
        false => Err(io::ErrorKind::WouldBlock.into()),
    });
    if let Err(error) = added {
        log::debug!("interrupt not delivered: {error}");
    }
}

/// Whether a write would not wait.
fn has_room(eventfd: &File) -> io::Result<bool> {
    let mut looked_at = [PollFd::new(eventfd, PollFlags::OUT)];
    Ok(poll(&mut looked_at, Some(&Timespec::default()))? != 0)
}

/// Whether it is a file without a type, as eventfds are. Of the others, a file could be one on a disk
/// that does not answer, and a pipe or socket would take what is written for something else.
fn may_be_eventfd(fd: &OwnedFd) -> bool {
    Status::of(fd).is_ok_and(|found| found.kind == FileType::Unknown)
}

/// A client that does not read its eventfds must not stop the device.
fn do_not_block(eventfd: &OwnedFd) {
    let set = fcntl_getfl(eventfd).and_then(|flags| fcntl_setfl(eventfd, flags | OFlags::NONBLOCK));
    if let Err(error) = set {
        log::debug!("cannot make an eventfd non-blocking: {error}");
    }
}
