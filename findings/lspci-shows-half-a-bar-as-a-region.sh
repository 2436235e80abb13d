#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# lspci 3.9.0 and 3.13.0 (Debian's pciutils), `lspci -F DUMP`: a 64-bit BAR above 4 GiB is listed with
# its whole address, and its upper half once more as a region of its own. The type of that region
# follows from the address: an odd upper half is I/O ports. A BAR below 4 GiB has one region.
# The dump is what `lspci -x` writes: bytes, and no flags from the kernel, which hide this on a live
# device. Upstream's issue 225 names it in passing. Expected: one region for each 64-bit BAR.
#
# What it means for a test: one that reads regions from a dump has to skip those "<unassigned>".
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

debian_packages_of_one_version pciutils libpci3 -- 1:3.9.0-4 1:3.13.0-2
# regions UPPER: the regions of a device whose BAR 0 is a 64-bit BAR of this upper half, in hex.
regions() {
	cat >dump <<-END
		00:03.0 0880: 1234:5678
		00: 34 12 78 56 02 00 00 00 00 00 80 08 00 00 00 00
		10: 04 00 00 fe $1 00 00 00 00 00 00 00 00 00 00 00
		20: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
		30: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
	END
	LD_LIBRARY_PATH=$(echo debian/usr/lib/*-linux-gnu) debian/usr/bin/lspci -vv -F dump 2>errors |
		sed -n 's/^\tRegion //p' | paste -sd '|'
}
seen 'BAR 0 at fe000000' '0: Memory at fe000000 (64-bit, non-prefetchable)' "$(regions 00)"
seen 'BAR 0 at 1fe000000' \
	'0: Memory at 1fe000000 (64-bit, non-prefetchable)|1: I/O ports at <unassigned> [disabled]' "$(regions 01)"
seen 'BAR 0 at 38fe000000' \
	'0: Memory at 38fe000000 (64-bit, non-prefetchable)|1: Memory at <unassigned> (32-bit, prefetchable)' "$(regions 38)"
seen 'BAR 0 at afe000000' \
	'0: Memory at afe000000 (64-bit, non-prefetchable)|1: Memory at <unassigned> (low-1M, prefetchable)' "$(regions 0a)"
finish
