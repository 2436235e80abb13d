// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The slot of a device with a native controller (pciehp), by the registers of its root port (PCI
//! Express Base Specification 4.0, 7.5.3).

use crate::{until, PciFunction, Skip};
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;

/// Offset of the first capability's offset.
const CAPABILITIES: u64 = 0x34;
/// Number of the capability of PCI Express.
const EXPRESS: u8 = 0x10;
/// Offset of Slot Control in it.
const SLOT_CONTROL: u64 = 0x18;
/// Hot-Plug Interrupt Enable.
const INTERRUPT: u16 = 1 << 5;
/// Power Indicator Control: off.
const INDICATOR_OFF: u16 = 3 << 8;
/// Power Indicator Control: blinks.
const INDICATOR_BLINKS: u16 = 2 << 8;
/// Power Controller Control: the slot has no power.
const POWER_OFF: u16 = 1 << 10;

/// The services of the ports that the kernel's driver of native controllers serves.
const SERVICES: &str = "/sys/bus/pci_express/drivers/pciehp";

/// A slot with a native controller.
#[derive(Debug)]
pub struct Slot {
    port: File,
    /// Offset of Slot Control in the port's configuration space.
    control: u64,
}

impl Slot {
    /// Returns whether the kernel serves slots by their native controllers. It also resets the bus
    /// behind a port by that controller then.
    pub fn is_native() -> bool {
        let names = fs::read_dir(SERVICES).into_iter().flatten();
        let mut names = names.map(|name| name.expect("sysfs can be read").file_name());
        // Services have the address of their port. The other entries are files of every driver.
        names.any(|name| name.as_encoded_bytes().starts_with(b"0000:"))
    }

    /// Returns the slot of a function.
    ///
    /// # Errors
    ///
    /// [`Skip`] if the kernel does not serve it by its native controller.
    pub fn of(function: &PciFunction) -> Result<Self, Skip> {
        let port = function.folder().parent().expect("a port is above it");
        let services = fs::read_dir(SERVICES);
        let name = port.file_name().expect("a port has a name");
        let served = services.into_iter().flatten().any(|service| {
            let service = service.expect("sysfs can be read").file_name();
            let service = service.as_encoded_bytes();
            service.starts_with(name.as_encoded_bytes())
        });
        if !served {
            return Err(Skip("ACPI serves the slots: HOTPLUG=native".into()));
        }
        let port = OpenOptions::new()
            .read(true)
            .write(true)
            .open(port.join("config"))
            .expect("configuration space can be opened");
        let control = express(&port) + SLOT_CONTROL;
        Ok(Self { port, control })
    }

    /// Waits until the kernel has seen that the button of the slot was pressed. It takes the device
    /// out 5 s later.
    #[track_caller]
    pub fn until_its_button_is_pressed(&self) {
        until("the indicator of the slot blinks", || {
            self.control() & INDICATOR_OFF == INDICATOR_BLINKS
        });
    }

    /// Takes the device out at once, without the driver's consent: QEMU does that when the slot has
    /// no power and its indicator is off. The kernel learns of it when the slot has power again.
    /// Without power it would take the slot for one that it has emptied itself.
    pub fn pull(&self) {
        let control = self.control();
        self.set_control((control | POWER_OFF | INDICATOR_OFF) & !INTERRUPT);
        self.set_control(control);
    }

    /// Waits until the kernel has switched the slot off. QEMU would take a device out that comes
    /// earlier.
    #[track_caller]
    pub fn until_off(&self) {
        const OFF: u16 = POWER_OFF | INDICATOR_OFF;
        until("the slot is off", || self.control() & OFF == OFF);
    }

    fn set_control(&self, control: u16) {
        let written = self.port.write_all_at(&control.to_le_bytes(), self.control);
        written.expect("the port takes it");
    }

    fn control(&self) -> u16 {
        let mut control = [0; 2];
        let read = self.port.read_exact_at(&mut control, self.control);
        read.expect("configuration space can be read");
        u16::from_le_bytes(control)
    }
}

/// Returns the offset of a port's capability of PCI Express.
fn express(port: &File) -> u64 {
    let mut next = CAPABILITIES;
    loop {
        let mut place = [0; 1];
        port.read_exact_at(&mut place, next)
            .expect("configuration space can be read");
        let [place] = place;
        assert_ne!(place, 0, "a root port has the capability of PCI Express");
        let mut capability = [0; 1];
        port.read_exact_at(&mut capability, place.into())
            .expect("configuration space can be read");
        if capability == [EXPRESS] {
            return place.into();
        }
        next = u64::from(place) + 1;
    }
}
