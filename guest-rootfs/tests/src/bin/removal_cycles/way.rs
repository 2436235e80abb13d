// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The ways in which a device goes and comes back.

use ringbar_tests::{PciFunction, Runner, NODE, PATIENCE};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How the device goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Through `remove` in sysfs. It comes back by `rescan`.
    Remove,
    /// Through `unbind` in sysfs. It comes back by `bind`.
    Unbind,
    /// Out of its slot in QEMU. The runner puts it back.
    Unplug,
}

/// Number of times that the device was taken out of the machine.
static UNPLUGGED: AtomicUsize = AtomicUsize::new(0);

impl Way {
    /// Returns how often the device was taken out of the machine.
    pub(crate) fn unplugged() -> usize {
        UNPLUGGED.load(Ordering::Relaxed)
    }

    /// Returns the way's part of a case name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Remove => "sysfs_remove",
            Self::Unbind => "driver_unbind",
            Self::Unplug => "device_del",
        }
    }

    /// Makes the device go, runs `meanwhile`, and brings the device back.
    pub(crate) fn without_device<T>(self, meanwhile: impl FnOnce() -> T) -> T {
        let function = PciFunction::under_test();
        let result = match self {
            Self::Remove => {
                let _removed = function.remove();
                meanwhile()
            }
            Self::Unbind => {
                let _unbound = function.unbind();
                meanwhile()
            }
            Self::Unplug => {
                let _unplugged = Unplugged::unplug();
                meanwhile()
            }
        };
        wait_for_node();
        result
    }
}

/// A device out of its slot. Put back when dropped.
struct Unplugged {
    runner: Runner,
}

impl Unplugged {
    fn unplug() -> Self {
        let mut runner = Runner::find().expect("a runner takes the device out");
        runner.must("device_del");
        UNPLUGGED.fetch_add(1, Ordering::Relaxed);
        Self { runner }
    }
}

impl Drop for Unplugged {
    fn drop(&mut self) {
        self.runner.must("device_add");
    }
}

/// Waits for the node: the kernel finds a plugged-in device some time later.
fn wait_for_node() {
    let deadline = Instant::now() + PATIENCE;
    while !Path::new(NODE).exists() {
        assert!(
            Instant::now() < deadline,
            "{NODE} did not come back within {PATIENCE:?}"
        );
        thread::sleep(Duration::from_millis(1));
    }
}
