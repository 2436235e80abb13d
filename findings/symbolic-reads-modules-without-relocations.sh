#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# symbolic-debuginfo 13.9.0 (crates.io, Sentry): for a relocatable ELF file, as a kernel module is, it
# says that there is debug information, and reads that without applying the relocations. On x86-64
# the DWARF of such a file has zeros where strings and addresses belong. Here three functions have one
# name, and the path of the source is wrong. The same file after linking is read right. Upstream's
# pull request 1060 is about the strings. Expected: the names, or no debug information.
#
# What it means for symbols of a guest's modules: take a reader that relocates, as addr2line does.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

cat >driver.c <<'END'
int fill(int *ring, int count)
{
	for (int i = 0; i < count; i++)
		ring[i] = i;
	return count;
}
__attribute__((section(".init.text"))) int start(int *ring)
{
	return fill(ring, 4);
}
__attribute__((section(".exit.text"))) int stop(int *ring)
{
	return fill(ring, 0);
}
END
gcc -gdwarf-5 -O1 -fPIC -c driver.c -o driver.ko
gcc -shared driver.ko -o driver.so
found=$(rust_program 'symbolic-debuginfo = "=13.9.0"' <<'END'
use std::collections::BTreeSet;
use symbolic_debuginfo::Object;

fn main() {
    for name in ["driver.so", "driver.ko"] {
        let data = std::fs::read(name).unwrap();
        let object = Object::parse(&data).unwrap();
        println!("{} {}", object.kind().human_name(), object.has_debug_info());
        let session = object.debug_session().unwrap();
        let names: BTreeSet<String> =
            session.functions().map(|function| function.unwrap().name.to_string()).collect();
        let source = format!("{}/driver.c", std::env::var("PWD").unwrap());
        let right = session.files().all(|file| file.unwrap().abs_path_str() == source);
        println!("names {} start {} path {right}", names.len(), names.contains("start"));
    }
}
END
)
seen 'linked: kind, and debug information' 'library true' "$(sed -n 1p <<<"$found")"
seen 'linked: functions and path' 'names 3 start true path true' "$(sed -n 2p <<<"$found")"
seen 'module: kind, and debug information' 'object true' "$(sed -n 3p <<<"$found")"
seen 'module: functions and path' 'names 1 start false path false' "$(sed -n 4p <<<"$found")"
seen 'module: what GNU addr2line says of .init.text+4' "start $place/driver.c" \
	"$(addr2line -j .init.text -fe driver.ko 4 | sed 's/:.*//' | paste -sd ' ')"
finish
