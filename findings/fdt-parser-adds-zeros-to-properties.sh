#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# fdt-parser 0.5.1 (crates.io): the value of a property includes the bytes that align the next one. A
# MAC address of 6 bytes has 8, a flag byte has 4, and a list of one string whose length is no multiple
# of four has empty strings at its end. The length that the tree states (Devicetree Specification, 5.4.1)
# is without them. Values of whole cells are right. Expected: as many bytes as the tree states.
#
# What it means for a driver: one that checks the length of an address or a seed, refuses valid trees.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program $'fdt-parser = "=0.5.1"\nfdt = "=0.1.5"\nvm-fdt = "=0.3.0"' <<'END'
use vm_fdt::{Error, FdtWriter};

/// Writes a tree with a host bridge and a network device.
fn tree() -> Result<Vec<u8>, Error> {
    let mut tree = FdtWriter::new()?;
    let root = tree.begin_node("")?;
    let bridge = tree.begin_node("pcie@10000000")?;
    tree.property_string("compatible", "pci-host-ecam-generic")?;
    tree.property_array_u32("bus-range", &[0, 0xff])?;
    tree.end_node(bridge)?;
    let network = tree.begin_node("ethernet@9000000")?;
    tree.property("local-mac-address", &[0x52, 0x54, 0x00, 0x12, 0x34, 0x56])?;
    tree.end_node(network)?;
    tree.end_node(root)?;
    tree.finish()
}

fn main() {
    let tree = tree().unwrap();
    let by_fdt = fdt::Fdt::new(&tree).unwrap();
    let by_parser = fdt_parser::Fdt::from_bytes(&tree).unwrap();
    for (path, name) in [
        ("/pcie@10000000", "bus-range"),
        ("/pcie@10000000", "compatible"),
        ("/ethernet@9000000", "local-mac-address"),
    ] {
        let length = by_fdt.find_node(path).unwrap().property(name).unwrap().value.len();
        let node = by_parser.get_node_by_path(path).unwrap();
        let property = node.find_property(name).unwrap();
        println!("{length} {}", property.raw_value().len());
        if name == "compatible" {
            println!("{:?}", property.str_list().collect::<Vec<_>>());
        }
    }
}
END
)
seen 'bytes of bus-range: stated, seen' '8 8' "$(sed -n 1p <<<"$found")"
seen 'bytes of compatible: stated, seen' '22 24' "$(sed -n 2p <<<"$found")"
seen 'strings of compatible' '["pci-host-ecam-generic", "", ""]' "$(sed -n 3p <<<"$found")"
seen 'bytes of a MAC address: stated, seen' '6 8' "$(sed -n 4p <<<"$found")"
finish
