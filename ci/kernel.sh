#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the folder of the stock kernel: `vmlinuz`, `release`, and `src` and `build`, a source tree
# prepared for building Rust modules for it.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

build() {
	local log=$RINGBAR_CACHE/log/kernel.log
	mkdir -p "$RINGBAR_CACHE/log"
	long_step 90 "$log" "kernel: Rust metadata for $(cat "$sysroot/usr/src/ringbar-kernel/release")" \
		"$ci_dir/in-sysroot.sh" --build-kernel "$1" bash "$ci_dir/kernel-build.sh"
}

sysroot=$("$ci_dir/sysroot.sh")
# The sysroot's name stands for its recipe, its list of versions for what the mirror really gave.
key=$(cache_key "$ci_dir/kernel-build.sh" "$sysroot/etc/ringbar-versions" <<<"${sysroot##*/}")
cache_entry kernel "$key" 4 build
