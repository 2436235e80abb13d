// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The lying device, and the orders that it takes in its configuration space.

use ringbar_client::Device;
use ringbar_lies::{Group, Lie, IDENT, ORDER, SEED, TRUTH};
use ringbar_tests::{
    has_iommu, node, nop, seed, until, KeptOnPurpose, PciFunction, Runner, Skip, PATIENCE,
};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// Number of the device that lies. QEMU waits a second for it, and not five (`ci/vm-runner`).
pub(crate) const DEVICE: u32 = 2;

/// A device that lies on order.
#[derive(Debug)]
pub(crate) struct Liar {
    pub(crate) function: PciFunction,
    /// The first seed.
    pub(crate) seed: u64,
    /// The driver keeps memory that a device which it gave up may still write.
    _kept: KeptOnPurpose,
}

impl Liar {
    /// Returns the lying device, which tells the truth now.
    pub(crate) fn find() -> Result<Self, Skip> {
        if !Path::new(&node(DEVICE)).exists() {
            return Err(Skip(
                "the machine has too few devices: start it with DEVICES=3".into(),
            ));
        }
        let liar = Self {
            function: PciFunction::of(DEVICE),
            seed: seed(),
            _kept: KeptOnPurpose::begin(),
        };
        if liar.read(SEED) != IDENT {
            return Err(Skip(
                "the server tells the truth: start it with LIES=1".into(),
            ));
        }
        liar.order(TRUTH);
        liar.seed(liar.seed);
        Ok(liar)
    }

    /// Chooses what is random in later lies.
    pub(crate) fn seed(&self, seed: u64) {
        self.write(SEED, seed as u32);
    }

    /// Takes the driver off the device, and on again.
    pub(crate) fn bind_again(&self) -> String {
        if self.is_bound() {
            self.function.unbind_if_bound();
        }
        match self.function.try_bind() {
            true => "ok".into(),
            false => "refused".into(),
        }
    }

    /// Puts another device into the slot, with another server.
    pub(crate) fn replace(&self) -> &'static str {
        self.plug_in(None);
        until("the device is there again", works);
        "another server"
    }

    /// Ends a server that answers nothing any more.
    pub(crate) fn kill(&self) {
        let mut runner = Runner::find().expect("a runner");
        runner.must(&format!("server_kill {DEVICE}"));
    }

    /// Takes the device out, and puts in one that tells this lie from the start, or none.
    pub(crate) fn plug_in(&self, lie: Option<Lie>) {
        let mut runner = Runner::find().expect("a runner");
        let name = lie.map_or("", Lie::name);
        for request in [
            format!("device_del {DEVICE}"),
            format!("device_add {DEVICE} {name}"),
        ] {
            runner.must(request.trim_end());
        }
        until("the kernel finds the device", || {
            self.function.folder().join("config").exists()
        });
    }

    /// Brings the device back, by the least that does it. Panics if nothing does.
    pub(crate) fn come_back(&self) -> &'static str {
        if works() {
            return "itself";
        }
        self.bind_again();
        if works() {
            return "bind";
        }
        drop(self.function.remove());
        assert!(works(), "the device does not come back");
        "rescan"
    }

    fn is_bound(&self) -> bool {
        self.function.folder().join("driver").exists()
    }

    /// Has the device tell a lie, until [`Liar::truth`].
    pub(crate) fn lie(&self, lie: Lie) {
        self.order(lie as u32);
    }

    /// Has the device tell the truth. Returns how many lies it told.
    pub(crate) fn truth(&self) -> u32 {
        let told = self.read(ORDER);
        self.order(TRUTH);
        told
    }

    fn order(&self, order: u32) {
        self.write(ORDER, order);
    }

    fn write(&self, at: u16, value: u32) {
        let config = self.function.config();
        let written = config.write_all_at(&value.to_le_bytes(), at.into());
        written.expect("configuration space can be written");
    }

    fn read(&self, at: u16) -> u32 {
        let mut bytes = [0; 4];
        let read = self.function.config().read_exact_at(&mut bytes, at.into());
        read.expect("configuration space can be read");
        u32::from_le_bytes(bytes)
    }
}

/// Returns why this machine cannot bear a lie. Most change what the device says, and one what it does.
pub(crate) fn unbearable(lie: Lie) -> Option<Skip> {
    let overwrites = lie == Lie::StaleDma && !has_iommu();
    overwrites.then(|| {
        Skip("without an IOMMU, the device would overwrite memory that others have by now".into())
    })
}

/// Returns whether only another server ends a lie. One that answers nothing is as one that was
/// stopped, and the shape of a device lasts as long as its connection.
pub(crate) fn needs_another_server(lie: Lie) -> bool {
    lie == Lie::AdminUnanswered || lie.is_shape()
}

/// Returns the lies that this machine bears, one by one and in any mixture, with one server.
pub(crate) fn bearable() -> impl Iterator<Item = Lie> + Clone {
    let lies = Lie::ALL.iter().copied();
    lies.filter(|lie| {
        let alone = lie.group() == Group::Everything || needs_another_server(*lie);
        !alone && unbearable(*lie).is_none()
    })
}

/// Returns whether a process can use the device.
fn works() -> bool {
    let device = Device::open(node(DEVICE));
    device.is_ok_and(|device| {
        let made = device.create_queue(4).and_then(|mut queue| {
            queue.push(nop(1))?;
            queue.run(PATIENCE)
        });
        made.is_ok()
    })
}
