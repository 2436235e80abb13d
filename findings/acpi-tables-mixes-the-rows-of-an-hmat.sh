#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# acpi_tables 0.2.1 (crates.io, rust-vmm): `SystemLocality::set_entry_value` of the HMAT puts a row of the
# matrix of latencies or bandwidths behind as many entries as there are initiators. The ACPI Specification
# (6.3, 5.2.27.4) has a row for each initiator, of one entry for each target. With more targets than
# initiators, as of two nodes with processors and one with memory only, the second row overwrites the end
# of the first, and the last entries stay "unreachable". A square matrix is right.
# Expected: 10 11 12 20 21 22 here.
#
# What it means for a machine with CXL memory: set entry (i, j) as (0, i * number of targets + j).
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program 'acpi_tables = "=0.2.1"' <<'END'
use acpi_tables::{hmat::*, Aml};

/// Prints the entries of a matrix. That from initiator 0 to target 1 is 11, and so on. Each is set at the
/// row and column that `place` gives for it.
fn show(initiators: usize, targets: usize, place: fn(usize, usize) -> (usize, usize)) {
    let (memory, latency, size) = (LocalityType::Memory, DataType::AccessLatency, MinTransferSize::SizeByteAligned);
    let mut matrix = SystemLocality::new(memory, latency, size, 1000, initiators, targets);
    for target in 0..targets {
        matrix.set_target_value(target, target as u32);
    }
    for initiator in 0..initiators {
        matrix.set_initiator_value(initiator, initiator as u32);
        for target in 0..targets {
            let (row, column) = place(initiator, target);
            matrix.set_entry_value(row, column, (10 * (initiator + 1) + target) as u16);
        }
    }
    let mut bytes = Vec::new();
    matrix.to_aml_bytes(&mut bytes);
    let entries = bytes[32 + 4 * (initiators + targets)..].chunks(2);
    let entries: Vec<_> = entries.map(|two| u16::from_le_bytes([two[0], two[1]]).to_string()).collect();
    println!("{}", entries.join(" "));
}

fn main() {
    show(2, 2, |initiator, target| (initiator, target));
    show(2, 3, |initiator, target| (initiator, target));
    show(2, 3, |initiator, target| (0, 3 * initiator + target));
}
END
)
seen 'two initiators, two targets' '10 11 20 21' "$(sed -n 1p <<<"$found")"
seen 'two initiators, three targets' '10 11 20 21 22 65535' "$(sed -n 2p <<<"$found")"
seen 'the same, all in row 0' '10 11 12 20 21 22' "$(sed -n 3p <<<"$found")"
finish
