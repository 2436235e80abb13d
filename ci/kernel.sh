#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the folder of a kernel, `stock` or `debug`, by default that of KERNEL, ARCH and LINUX. It holds `vmlinux`,
# `vmlinuz`, its image that unpacks itself, `release`, `src` and `build`, a source tree prepared for
# Rust modules. `stock` also has `modules`: those that guest programs need and that the debug kernel
# has built in. A named kernel is one for x86-64, of Linux 7.3. On arm64 both images are the same.
set -euo pipefail
if (($# > 0)); then KERNEL=$1 ARCH=x86-64 LINUX=7.3; fi
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# in_sysroot DIR LOG SECONDS WHAT SCRIPT: runs SCRIPT in the sysroot with DIR as /kernel.
in_sysroot() {
	local log=$RINGBAR_CACHE/log/$2.log
	mkdir -p "$RINGBAR_CACHE/log"
	long_step "$3" "$log" "$4" "$ci_dir/in-sysroot.sh" "${shown[@]}" --build-kernel "$1" bash "$ci_dir/$5"
}
build_stock() { in_sysroot "$1" kernel 90 "kernel: Rust metadata for $release" kernel-build.sh; }
build_arm64() {
	"$ci_dir/arm64-packages.sh" kernel "$ARCH" "$1/packages" || die "there is no kernel for ARCH=$ARCH: see above"
	in_sysroot "$1" "kernel-$ARCH" 240 "kernel: Rust metadata for ARCH=$ARCH" kernel-build-arm64.sh
}
# The packages are where the sysroot has those of the stock kernel.
build_other() {
	"$ci_dir/linux-packages.sh" "$1/packages" || die "there is no kernel for LINUX=$LINUX: see above"
	shown=(--show "$1/packages" /usr/src/ringbar-kernel)
	in_sysroot "$1" "$kernel_name" 90 "kernel: Rust metadata for LINUX=$LINUX" kernel-build.sh
	rm -r -- "$1/packages"
}
build_debug() { in_sysroot "$1" kernel-debug 600 "debug kernel: from the source of $release" kernel-build-debug.sh; }

shown=()
sysroot=$("$ci_dir/sysroot.sh")
release=$(cat "$sysroot/usr/src/ringbar-kernel/release")
# The sysroot's name stands for its recipe, and its list of versions for the packages that the
# mirror really had.
case $kernel_name in
arm64*)
	arm64=$("$ci_dir/arm64.sh")
	show_arm64 "$arm64"
	key=$(cache_key "$ci_dir/kernel-build-arm64.sh" "$sysroot/etc/ringbar-versions" <<<"${arm64##*/} $ARCH")
	cache_entry kernel "$kernel_name-$key" 4 build_arm64
	;;
linux-*)
	key=$(cache_key "$ci_dir"/{kernel-build,linux-packages,apt,resolve}.sh "$ci_dir/linux-$LINUX.env" "$sysroot/etc/ringbar-versions" <<<"${sysroot##*/}")
	cache_entry kernel "$kernel_name-$key" 4 build_other
	;;
stock)
	key=$(cache_key "$ci_dir/kernel-build.sh" "$sysroot/etc/ringbar-versions" <<<"${sysroot##*/}")
	cache_entry kernel "$key" 4 build_stock
	;;
debug)
	key=$(cache_key "$ci_dir"/{kernel-build-debug.sh,debug.config} "$sysroot/etc/ringbar-versions" <<<"${sysroot##*/}")
	cache_entry kernel "debug-$key" 6 build_debug
	;;
esac
