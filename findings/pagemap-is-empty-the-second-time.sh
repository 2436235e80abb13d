#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# pagemap 0.1.0 (crates.io): `PageMap::maps` and `PageMap::pagemap` read /proc/PID/maps through one open
# file that is never rewound. The first call of either sees the mappings. Each later call returns Ok
# and an empty list, as for a process that has no memory. `pagemap_region` seeks, and can be called
# again. Expected: the mappings at the time of each call.
#
# What it means for a watcher of dirty or present pages: open a new PageMap for each look.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

found=$(rust_program 'pagemap = "=0.1.0"' <<'END'
use pagemap::{PageMap, PageMapError};

fn main() -> Result<(), PageMapError> {
    let pid = std::process::id().into();
    let mut process = PageMap::new(pid)?;
    let first = process.maps()?;
    let (again, pages) = (process.maps()?, process.pagemap()?);
    let anew = PageMap::new(pid)?.maps()?;
    println!("{} {} {} {}", first.len() > 5, again.len(), pages.len(), anew.len() > 5);
    let region = first[0].memory_region();
    println!("{}", process.pagemap_region(&region)?.len() == process.pagemap_region(&region)?.len());
    Ok(())
}
END
)
seen 'mappings: first call, second, with pages, of a new PageMap' 'true 0 0 true' "$(sed -n 1p <<<"$found")"
seen 'pages of one region: two calls give the same number' true "$(sed -n 2p <<<"$found")"
finish
