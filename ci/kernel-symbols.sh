#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints a file with the debug kernel's symbols for gdb, at the addresses at which it runs. The
# image that boots has none, and is loaded faster for it.
#
# Their table is rebuilt from System.map, because the build deletes the image with symbols. A build
# that kept it would have another key in the cache: every machine would compile that kernel again.
set -euo pipefail
export KERNEL=debug
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

kernel=$("$ci_dir/kernel.sh")
symbols=$checkout/build/kernel-symbols

make_symbols() {
	# shellcheck disable=SC2016 # bash in the sysroot expands it
	"$ci_dir/in-sysroot.sh" bash -euo pipefail -c '
		kernel=$1 symbols=$2
		readelf -SW "$kernel/vmlinux" | awk -f "$3" - "$kernel/build/System.map" >"$symbols.options"
		objcopy --only-keep-debug "@$symbols.options" "$kernel/vmlinux" "$symbols"
		rm -- "$symbols.options"' \
		- "$kernel" "$symbols" "$ci_dir/kernel-symbols.awk"
}

unless_made "$symbols" "$kernel $(sha256sum <"$ci_dir/kernel-symbols.awk")" make_symbols
printf '%s\n' "$symbols"
