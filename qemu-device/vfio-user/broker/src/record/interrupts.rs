// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The eventfds of the client, by type, action and vector.

use std::collections::BTreeMap;

use ringbar_vfio_user::wire::command;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_ACTION_TYPE_MASK, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_IRQ_SET_DATA_TYPE_MASK,
};

use super::{NotRecorded, Step};
use crate::message::{Descriptor, Message};

/// Most eventfds: all vectors of MSI-X, and the other types.
pub const MAX_EVENTFDS: usize = 2048 + 64;
/// Payload of `DEVICE_SET_IRQS` without data.
const SET_IRQS_SIZE: u32 = 20;

/// The connected eventfds.
#[derive(Debug)]
pub(super) struct Interrupts<Fd> {
    eventfds: BTreeMap<Place, Fd>,
}

/// Place of an eventfd. The order is that in which a server gets them: the eventfd that an
/// interrupt triggers comes before those that mask it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    index: u32,
    masks: bool,
    action: u32,
    vector: u32,
}

/// Fields of a request.
struct Request {
    flags: u32,
    index: u32,
    start: u32,
    count: u32,
}

impl<Fd> Default for Interrupts<Fd> {
    fn default() -> Self {
        Self {
            eventfds: BTreeMap::new(),
        }
    }
}

impl Request {
    /// Parses the fixed part.
    fn parse<Fd>(request: &Message<Fd>) -> Option<Self> {
        let mut fields = request.fields();
        let _argsz = fields.u32()?;
        Some(Self {
            flags: fields.u32()?,
            index: fields.u32()?,
            start: fields.u32()?,
            count: fields.u32()?,
        })
    }

    /// Returns the action.
    fn action(&self) -> u32 {
        self.flags & VFIO_IRQ_SET_ACTION_TYPE_MASK
    }

    /// Checks whether the request is about this place.
    fn names(&self, place: &Place) -> bool {
        let after = place.vector.checked_sub(self.start);
        place.index == self.index
            && place.action == self.action()
            && after.is_some_and(|after| after < self.count)
    }

    /// Returns the place of the eventfd with this number in the message.
    fn place(&self, number: usize) -> Option<Place> {
        let action = self.action();
        Some(Place {
            index: self.index,
            masks: action != VFIO_IRQ_SET_ACTION_TRIGGER,
            action,
            vector: self.start.checked_add(u32::try_from(number).ok()?)?,
        })
    }
}

impl<Fd: Descriptor> Interrupts<Fd> {
    /// Fails if there is no room for the eventfds of a request.
    pub(super) fn check(&self, request: &Message<Fd>) -> Result<(), NotRecorded> {
        let Some(asked) = Request::parse(request) else {
            return Ok(());
        };
        let places = (0..request.fds.len()).filter_map(|number| asked.place(number));
        let new = places.filter(|place| !self.eventfds.contains_key(place));
        if self.eventfds.len().saturating_add(new.count()) > MAX_EVENTFDS {
            return Err(NotRecorded::Eventfds);
        }
        Ok(())
    }

    /// Connects or forgets eventfds. Raising and masking leave no trace.
    pub(super) fn note(&mut self, request: &Message<Fd>) -> Result<(), NotRecorded> {
        self.check(request)?;
        let asked = Request::parse(request).ok_or_else(|| NotRecorded::payload(request))?;
        match asked.flags & VFIO_IRQ_SET_DATA_TYPE_MASK {
            VFIO_IRQ_SET_DATA_EVENTFD => {
                let some = !request.fds.is_empty();
                if some && usize::try_from(asked.count) != Ok(request.fds.len()) {
                    return Err(NotRecorded::payload(request));
                }
                self.eventfds.retain(|place, _| !asked.names(place));
                for (number, fd) in request.fds.iter().enumerate() {
                    let place = asked
                        .place(number)
                        .ok_or_else(|| NotRecorded::payload(request))?;
                    self.eventfds.insert(place, fd.clone());
                }
            }
            // Switches the type off.
            VFIO_IRQ_SET_DATA_NONE
                if asked.count == 0 && asked.action() == VFIO_IRQ_SET_ACTION_TRIGGER =>
            {
                self.eventfds.retain(|place, _| place.index != asked.index);
            }
            _ => {}
        }
        Ok(())
    }

    /// Returns the requests that connect the eventfds, one per vector.
    pub(super) fn replay(&self) -> impl Iterator<Item = Step<Fd>> + use<'_, Fd> {
        self.eventfds.iter().map(|(place, fd)| {
            let flags = VFIO_IRQ_SET_DATA_EVENTFD | place.action;
            let words = [SET_IRQS_SIZE, flags, place.index, place.vector, 1];
            Step {
                command: command::DEVICE_SET_IRQS,
                payload: words.into_iter().flat_map(u32::to_ne_bytes).collect(),
                fds: vec![fd.clone()],
                expected: None,
            }
        })
    }
}
