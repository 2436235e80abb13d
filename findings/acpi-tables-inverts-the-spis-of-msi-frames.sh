#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# acpi_tables 0.2.1 (crates.io, rust-vmm): bit 0 of the flags in the MADT's GIC MSI frame is the wrong way
# round. The ACPI Specification (6.5, 5.2.12.16) has 1 for "the SPI count and base here override those of
# the frame's register MSI_TYPER", and 0 for "ignore them". A frame with `spi_count_and_base` says 0: the
# guest ignores them. One without says 1, with 0 SPIs from 0 on. Linux asks the same bit before it takes
# the values (drivers/irqchip/irq-gic-v2m.c). Expected: 1 with SPIs, and 0 without.
#
# What it means for MSI of virtual PCI devices on a GICv2m: flip the bit in the bytes of the table, and
# mend its checksum.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program 'acpi_tables = "=0.2.1"' <<'END'
use acpi_tables::{madt::GicMsi, Aml};

/// Prints bit 0 of the flags, the count and the base of a frame.
fn show(frame: GicMsi) {
    let mut bytes = Vec::new();
    frame.to_aml_bytes(&mut bytes);
    let half = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    println!("{} {} {}", bytes[16] & 1, half(20), half(22));
}

fn main() {
    let frame = GicMsi::new().base_addr(0x0802_0000);
    show(frame);
    show(frame.spi_count_and_base(64, 80));
}
END
)
seen 'no SPIs stated: override, count, base' '1 0 0' "$(sed -n 1p <<<"$found")"
seen '64 SPIs from 80 on: override, count, base' '0 64 80' "$(sed -n 2p <<<"$found")"
finish
