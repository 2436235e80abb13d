#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# fdt 0.1.5 and flat_device_tree 3.1.1 (crates.io): `FdtNode::interrupts` of a node below an interrupt
# controller
# - of one cell (RISC-V's PLIC) gives the number;
# - of two cells (RISC-V's APLIC: number, trigger) gives both as one number, 10 << 32 | 4 for UART 10;
# - of three cells (ARM's GIC: type, number, trigger) gives none, as for a device without interrupts.
# Neither crate's documentation names a limit. The cells here are those of the serial ports of QEMU's
# `virt` machines. The issue 12 of fdt names it; the versions that answer it are previews. Expected: the
# cells, or an error.
#
# What it means for a kernel: read the property `interrupts` by its cells; on ARM none is seen at all.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program $'fdt = "=0.1.5"\nflat_device_tree = "=3.1.1"\nvm-fdt = "=0.3.0"' <<'END'
use vm_fdt::{Error, FdtWriter};

/// Writes a tree with a controller of this many cells, and a serial port below it.
fn tree(interrupt: &[u32]) -> Result<Vec<u8>, Error> {
    let mut tree = FdtWriter::new()?;
    let root = tree.begin_node("")?;
    tree.property_u32("#address-cells", 2)?;
    tree.property_u32("#size-cells", 2)?;
    let controller = tree.begin_node("controller@8000000")?;
    tree.property_null("interrupt-controller")?;
    tree.property_u32("#interrupt-cells", interrupt.len() as u32)?;
    tree.property_phandle(1)?;
    tree.end_node(controller)?;
    let port = tree.begin_node("serial@9000000")?;
    tree.property_u32("interrupt-parent", 1)?;
    tree.property_array_u32("interrupts", interrupt)?;
    tree.end_node(port)?;
    tree.end_node(root)?;
    tree.finish()
}

fn main() {
    for interrupt in [&[10][..], &[10, 4], &[0, 1, 4]] {
        let tree = tree(interrupt).unwrap();
        let by_fdt = fdt::Fdt::new(&tree).unwrap();
        let port = by_fdt.find_node("/serial@9000000").unwrap();
        print!("{:x?} ", port.interrupts().map(|found| found.collect::<Vec<_>>()));
        let by_flat = flat_device_tree::Fdt::new(&tree).unwrap();
        let port = by_flat.find_node("/serial@9000000").unwrap();
        println!("{:x?}", port.interrupts().collect::<Vec<_>>());
    }
}
END
)
seen 'PLIC, cells <10>: fdt, flat_device_tree' 'Some([a]) [a]' "$(sed -n 1p <<<"$found")"
seen 'APLIC, cells <10 4>: fdt, flat_device_tree' 'Some([a00000004]) [a00000004]' "$(sed -n 2p <<<"$found")"
seen 'GIC, cells <0 1 4>: fdt, flat_device_tree' 'Some([]) []' "$(sed -n 3p <<<"$found")"
finish
