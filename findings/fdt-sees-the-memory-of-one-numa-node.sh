#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# fdt 0.1.5 and flat_device_tree 3.1.1 (crates.io): `Fdt::memory().regions()` is documented to give all
# of the available memory regions. It gives those of the first node named "memory". The Devicetree
# Specification (3.4) lets a tree have several, and QEMU's `virt` for ARM writes one for each NUMA node,
# the last node first. Of a machine of two nodes of 1 GiB, as here, the upper GiB is seen, and not the
# one that the kernel is loaded into. Two ranges in one node are both seen. Expected: 2 GiB.
#
# What it means for a kernel: take `find_all_nodes("/memory")`, which gives each of them.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program $'fdt = "=0.1.5"\nflat_device_tree = "=3.1.1"\nvm-fdt = "=0.3.0"' <<'END'
use vm_fdt::{Error, FdtWriter};

/// Writes a tree with nodes of memory, the last first; each has ranges as (address, size).
fn tree(nodes: &[&[u64]]) -> Result<Vec<u8>, Error> {
    let mut tree = FdtWriter::new()?;
    let root = tree.begin_node("")?;
    tree.property_u32("#address-cells", 2)?;
    tree.property_u32("#size-cells", 2)?;
    for (number, ranges) in nodes.iter().enumerate() {
        let memory = tree.begin_node(&format!("memory@{:x}", ranges[0]))?;
        tree.property_string("device_type", "memory")?;
        tree.property_u32("numa-node-id", (nodes.len() - 1 - number) as u32)?;
        tree.property_array_u64("reg", ranges)?;
        tree.end_node(memory)?;
    }
    tree.end_node(root)?;
    tree.finish()
}

fn main() {
    let (first, second) = (&[0x4000_0000, 1 << 30][..], &[0x8000_0000, 1 << 30][..]);
    for nodes in [&[second, first][..], &[&[first, second].concat()[..]]] {
        let tree = tree(nodes).unwrap();
        let by_fdt = fdt::Fdt::new(&tree).unwrap();
        let all = by_fdt.find_all_nodes("/memory").flat_map(|node| node.reg().unwrap());
        let memory = by_fdt.memory();
        let seen: usize = memory.regions().filter_map(|region| region.size).sum();
        let all: usize = all.filter_map(|region| region.size).sum();
        let by_flat = flat_device_tree::Fdt::new(&tree).unwrap();
        let memory = by_flat.memory().unwrap();
        let flat: usize = memory.regions().filter_map(|region| region.size).sum();
        let lowest = memory.regions().map(|region| region.starting_address as usize).min();
        println!("{} {} {} {:x?}", seen >> 30, flat >> 30, all >> 30, lowest.unwrap());
    }
}
END
)
seen 'GiB of two nodes: fdt, flat_device_tree, find_all_nodes; lowest' '1 1 2 80000000' "$(sed -n 1p <<<"$found")"
seen 'GiB of one node of two ranges: fdt, flat_device_tree, find_all_nodes; lowest' '2 2 2 40000000' "$(sed -n 2p <<<"$found")"
finish
