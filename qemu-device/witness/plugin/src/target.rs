// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What the plugin must know of the guest's architecture.

use std::ops::Range;

/// Architecture of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// x86-64.
    X86,
    /// arm64.
    Arm64,
}

impl Target {
    /// Returns the architecture with this name of QEMU's.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "x86_64" => Some(Self::X86),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// Returns the addresses of Linux's code and of its modules.
    pub(crate) fn kernel_code(self) -> Range<u64> {
        match self {
            Self::X86 => 0xffff_ffff_8000_0000..0xffff_ffff_ff00_0000,
            // Modules come first, then the image (Linux `arch/arm64/include/asm/memory.h`). Both have
            // 2 GiB.
            Self::Arm64 => 0xffff_8000_0000_0000..0xffff_8001_0000_0000,
        }
    }

    /// Returns whether there are instructions for I/O ports.
    pub(crate) fn has_ports(self) -> bool {
        self == Self::X86
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn architectures_have_qemus_names() {
        assert_eq!(Target::named("x86_64"), Some(Target::X86));
        assert_eq!(Target::named("aarch64"), Some(Target::Arm64));
        assert_eq!(Target::named("riscv64"), None);
    }
}
