#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# hermit-dtb 0.1.1 (crates.io): `get_property` and `enum_properties` take a node whose name is the
# beginning of the path's next part. For /cpus/cpu@10 that is cpu@1, which comes first, and they look
# for a node "0" below it: None. QEMU's `virt` for ARM names its CPUs so, in this order, with `-smp 11`.
# The short form without an address (`cpu@`), for which the crate compares beginnings, is right. Where
# cpu@10 stands first, it is found, but for /cpus/cpu@1 as well. Expected: the node of that name.
#
# What it means for a kernel: the eleventh CPU is not started. The list of names (`enum_subnodes`) has
# it, so take the number from the name.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program $'hermit-dtb = "=0.1.1"\nvm-fdt = "=0.3.0"' <<'END'
use hermit_dtb::Dtb;
use vm_fdt::{Error, FdtWriter};

/// Writes a tree with CPUs of these numbers, in this order.
fn tree(cpus: impl Iterator<Item = u32>) -> Result<Vec<u8>, Error> {
    let mut tree = FdtWriter::new()?;
    let root = tree.begin_node("")?;
    let all = tree.begin_node("cpus")?;
    tree.property_u32("#address-cells", 1)?;
    tree.property_u32("#size-cells", 0)?;
    for number in cpus {
        let cpu = tree.begin_node(&format!("cpu@{number}"))?;
        tree.property_string("device_type", "cpu")?;
        tree.property_u32("reg", number)?;
        tree.end_node(cpu)?;
    }
    tree.end_node(all)?;
    tree.end_node(root)?;
    tree.finish()
}

/// Says of some paths which number the CPU has that is found there.
fn show(tree: &[u8]) {
    // SAFETY: the tree is whole, and outlives the reader.
    let tree = unsafe { Dtb::from_raw(tree.as_ptr()) }.unwrap();
    println!("{}", tree.enum_subnodes("/cpus").count());
    for path in ["/cpus/cpu@1", "/cpus/cpu@9", "/cpus/cpu@10", "/cpus/cpu@"] {
        println!("{:?}", tree.get_property(path, "reg").map(|value| value[3]));
    }
    println!("{}", tree.enum_properties("/cpus/cpu@10").count());
}

fn main() {
    show(&tree(0..11).unwrap());
    show(&tree((0..11).rev()).unwrap());
}
END
)
seen 'CPUs in the tree' 11 "$(sed -n 1p <<<"$found")"
seen 'numbers at cpu@1, cpu@9, cpu@10, cpu@' 'Some(1) Some(9) None Some(0)' "$(sed -n 2,5p <<<"$found" | paste -sd ' ')"
seen 'properties of cpu@10' 0 "$(sed -n 6p <<<"$found")"
seen 'the same, with cpu@10 first' 'Some(10) Some(9) Some(10) Some(10)' "$(sed -n 8,11p <<<"$found" | paste -sd ' ')"
seen 'properties of cpu@10, if first' 2 "$(sed -n 12p <<<"$found")"
finish
