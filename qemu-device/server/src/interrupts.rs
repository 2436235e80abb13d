// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The eventfds through which vectors reach the client.

use std::fs::File;
use std::io::Write;

use rustix::fs::{fcntl_getfl, fcntl_setfl, OFlags};
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TYPE_MASK, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_TYPE_MASK, VFIO_PCI_MSIX_IRQ_INDEX,
    VFIO_PCI_MSI_IRQ_INDEX,
};

use crate::error::Error;
use crate::options::InterruptKind;

/// The vectors of the device, each with an eventfd or none.
///
/// A vector without eventfd is dropped when it is raised: the client keeps pending bits itself.
#[derive(Debug)]
pub struct Interrupts {
    index: u32,
    eventfds: Vec<Option<File>>,
}

impl Interrupts {
    /// `vectors` vectors of one kind, none connected.
    pub fn new(kind: InterruptKind, vectors: u16) -> Self {
        Self {
            index: match kind {
                InterruptKind::Msix => VFIO_PCI_MSIX_IRQ_INDEX,
                InterruptKind::Msi => VFIO_PCI_MSI_IRQ_INDEX,
            },
            eventfds: (0..vectors).map(|_| None).collect(),
        }
    }

    /// How many vectors of the interrupt type `index` of VFIO there are.
    pub fn count(&self, index: u32) -> usize {
        if index == self.index {
            self.eventfds.len()
        } else {
            0
        }
    }

    /// Carries out a `VFIO_DEVICE_SET_IRQS`: connects, disconnects or raises vectors.
    pub fn set(
        &mut self,
        index: u32,
        flags: u32,
        start: u32,
        count: u32,
        eventfds: Vec<File>,
    ) -> Result<(), Error> {
        let request = Error::InterruptRequest {
            flags,
            count,
            fds: eventfds.len(),
        };
        if flags & VFIO_IRQ_SET_ACTION_TYPE_MASK != VFIO_IRQ_SET_ACTION_TRIGGER {
            return Err(request);
        }
        match flags & VFIO_IRQ_SET_DATA_TYPE_MASK {
            VFIO_IRQ_SET_DATA_NONE if !eventfds.is_empty() => Err(request),
            VFIO_IRQ_SET_DATA_NONE if start == 0 && count == 0 => {
                if index == self.index {
                    self.eventfds.fill_with(|| None);
                }
                Ok(())
            }
            VFIO_IRQ_SET_DATA_NONE => {
                self.vectors(index, start, count)?
                    .iter_mut()
                    .flatten()
                    .for_each(signal);
                Ok(())
            }
            VFIO_IRQ_SET_DATA_EVENTFD if eventfds.is_empty() => {
                self.vectors(index, start, count)?.fill_with(|| None);
                Ok(())
            }
            VFIO_IRQ_SET_DATA_EVENTFD if usize::try_from(count) == Ok(eventfds.len()) => {
                let vectors = self.vectors(index, start, count)?;
                for (vector, eventfd) in vectors.iter_mut().zip(eventfds) {
                    do_not_block(&eventfd);
                    *vector = Some(eventfd);
                }
                Ok(())
            }
            _ => Err(request),
        }
    }

    /// Raises a vector; without effect if it is not connected.
    pub fn raise(&mut self, vector: usize) {
        if let Some(Some(eventfd)) = self.eventfds.get_mut(vector) {
            signal(eventfd);
        }
    }

    fn vectors(
        &mut self,
        index: u32,
        start: u32,
        count: u32,
    ) -> Result<&mut [Option<File>], Error> {
        let limit = self.count(index);
        let first = usize::try_from(start).unwrap_or(usize::MAX);
        let end = first.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
        self.eventfds
            .get_mut(first..end)
            .filter(|vectors| !vectors.is_empty() && end <= limit)
            .ok_or(Error::Interrupts {
                index,
                start,
                count,
                limit,
            })
    }
}

/// Adds 1 to an eventfd.
fn signal(eventfd: &mut File) {
    // Full means that the client has not taken the earlier ones: it will look anyway.
    if let Err(error) = eventfd.write(&1_u64.to_ne_bytes()) {
        log::debug!("interrupt not delivered: {error}");
    }
}

/// A client that does not read its eventfds must not stop the device.
fn do_not_block(eventfd: &File) {
    let set = fcntl_getfl(eventfd).and_then(|flags| fcntl_setfl(eventfd, flags | OFlags::NONBLOCK));
    if let Err(error) = set {
        log::debug!("cannot make an eventfd non-blocking: {error}");
    }
}
