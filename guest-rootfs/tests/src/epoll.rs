// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! epoll on a device's file.

use ringbar_client::Device;
use rustix::event::{epoll, Timespec};
use std::os::fd::OwnedFd;
use std::time::Duration;

/// The times at which epoll reports completions.
#[derive(Clone, Copy)]
pub enum Trigger {
    /// As long as there are completions to take.
    Level,
    /// When completions came.
    Edge,
}

/// An epoll instance with one device's file in it.
pub struct Epoll(OwnedFd);

impl Epoll {
    /// Makes an instance with this file in it.
    pub fn on(device: &Device, trigger: Trigger) -> Self {
        let flags = match trigger {
            Trigger::Level => epoll::EventFlags::IN,
            Trigger::Edge => epoll::EventFlags::IN | epoll::EventFlags::ET,
        };
        let instance = epoll::create(epoll::CreateFlags::CLOEXEC).expect("there is epoll");
        let added = epoll::add(&instance, device, epoll::EventData::new_u64(0), flags);
        added.expect("the file can be polled");
        Self(instance)
    }

    /// Returns whether the instance reports an event within `timeout`.
    pub fn tells(&self, timeout: Duration) -> bool {
        let mut events = Vec::with_capacity(4);
        let timeout = Timespec::try_from(timeout).expect("a short time");
        let space = rustix::buffer::spare_capacity(&mut events);
        epoll::wait(&self.0, space, Some(&timeout)).expect("it can be waited for") > 0
    }

    /// Takes all present events, which arms for the next completion.
    pub fn drain(&self) {
        while self.tells(Duration::ZERO) {}
    }
}
