// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Properties of machines that depend on the architecture of the guest. Pure.

use clap::ValueEnum;

/// Prevents a hang of Linux 7.3 at boot, about once in 50 times, just before its message "Switched
/// to clocksource".
///
/// Its clocksource watchdog runs on one processor with a lock held and interrupts off, and waits
/// for the other one. That one waits for the lock, with interrupts off too. The wait has a limit in
/// jiffies, but no processor counts them until a better clock is in use.
const NO_TSC_WATCHDOG: &str = "tsc=nowatchdog";
/// Prevents a boot failure on a busy host ("timer doesn't work through Interrupt-remapped
/// IO-APIC"). The kernel waits for some ticks in a counted loop, and QEMU may deliver them late.
const NO_TIMER_CHECK: &str = "no_timer_check";
/// Has the root ports stay awake. Otherwise Linux, except on x86, puts a port to sleep soon after its
/// device has left (D3hot), with the hot-plug interrupt off: a port that sleeps is to send a PME
/// instead. QEMU's has no power management and sends none, so a device that is plugged in then would not
/// be noticed.
const PORTS_STAY_AWAKE: &str = "pcie_port_pm=off";
/// Leaves the kernel's code where it is linked, as it is on x86-64 by the way in which QEMU starts that
/// kernel. The witness looks for the driver's callers there.
const NO_KASLR: &str = "nokaslr";

/// Architecture of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Architecture {
    /// x86-64, on QEMU's `q35`.
    #[value(name = "x86-64")]
    X86,
    /// arm64, on QEMU's `virt`. The guest learns of its machine by a device tree.
    #[value(name = "arm64")]
    Arm64,
}

/// A serial port beside the first two. Its place is fixed, because the guest finds it there
/// (`guest-rootfs/ports`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExtraPort {
    /// The third one, with the guest's requests.
    Requests,
    /// The fourth one, with the line to init or the terminal of a shell.
    Control,
}

impl Architecture {
    /// Returns QEMU's name of the machine, with its properties.
    pub(crate) fn machine(self) -> &'static str {
        match self {
            Self::X86 => "q35",
            // MSI and MSI-X need the ITS.
            Self::Arm64 => "virt,gic-version=3,its=on",
        }
    }

    /// Returns the processor of translated code.
    pub(crate) fn processor(self) -> &'static str {
        match self {
            Self::X86 => "max",
            // Not `max`: with that one, copies by the C library to memory of a device pass, which fault
            // on most processors.
            Self::Arm64 => "neoverse-n1",
        }
    }

    /// Returns the value of the kernel's `console=`.
    pub(crate) fn console(self) -> &'static str {
        match self {
            Self::X86 => "ttyS0,115200",
            Self::Arm64 => "ttyAMA0,115200",
        }
    }

    /// Returns words for the kernel command line without which a boot, hot plug or a trace may fail.
    pub(crate) fn words(self) -> &'static [&'static str] {
        match self {
            Self::X86 => &[NO_TSC_WATCHDOG, NO_TIMER_CHECK],
            Self::Arm64 => &[PORTS_STAY_AWAKE, NO_KASLR],
        }
    }

    /// Returns QEMU's arguments for an IOMMU. They must precede those of the devices that it serves.
    pub(crate) fn iommu(self) -> &'static [&'static str] {
        match self {
            Self::X86 => &[
                "-machine",
                "kernel-irqchip=split",
                "-device",
                "intel-iommu,caching-mode=on,intremap=on",
            ],
            // QEMU 11.1 refuses a vfio-user device behind the SMMU of this machine.
            Self::Arm64 => &["-device", "virtio-iommu-pci,bus=pcie.0,addr=0x1"],
        }
    }

    /// Returns the word for the kernel command line with which it uses the IOMMU, if it needs one.
    pub(crate) fn iommu_word(self) -> Option<&'static str> {
        match self {
            Self::X86 => Some("intel_iommu=on"),
            Self::Arm64 => None,
        }
    }

    /// Returns QEMU's device for a further serial port, without its character device.
    pub(crate) fn serial_port(self, port: ExtraPort) -> &'static str {
        match (self, port) {
            // Not by `-serial`: those ports would use the interrupts of the first two. Interrupt lines
            // of an ISA bus cannot be shared.
            (Self::X86, ExtraPort::Requests) => "isa-serial,index=2,irq=5",
            (Self::X86, ExtraPort::Control) => "isa-serial,index=3,irq=7",
            // The machine has two ports on its board, and no ISA bus.
            (Self::Arm64, ExtraPort::Requests) => "pci-serial,bus=pcie.0,addr=0x2",
            (Self::Arm64, ExtraPort::Control) => "pci-serial,bus=pcie.0,addr=0x3",
        }
    }

    /// Returns Debian's name of a gdb for this architecture, on a host of x86-64.
    pub(crate) fn gdb(self) -> &'static str {
        match self {
            Self::X86 => "gdb",
            Self::Arm64 => "gdb-multiarch",
        }
    }

    /// Returns whether a device may be told to leave by ACPI.
    pub(crate) fn has_acpi(self) -> bool {
        self == Self::X86
    }

    /// Returns whether QEMU can plug a processor in.
    pub(crate) fn plugs_processors(self) -> bool {
        self == Self::X86
    }
}
