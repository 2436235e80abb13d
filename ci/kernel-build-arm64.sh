#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Inside the sysroot: fills /kernel for a stock kernel of arm64, from its packages, taken apart in
# /kernel/packages, and the sysroot's source. /arm64 has the cross compiler.
set -euo pipefail

packages=/kernel/packages
mv "$packages"/{release,modules} /kernel/
xz -d /kernel/modules/*.xz
# It is an image that QEMU boots as it is.
mv "$packages/vmlinuz" /kernel/
ln /kernel/vmlinuz /kernel/vmlinux
mkdir /kernel/src /kernel/build
tar -x -f /usr/src/ringbar-kernel/source.tar.xz -C /kernel/src --strip-components=1
cp "$packages/config" /kernel/build/.config

release=$(cat /kernel/release)
export LD_LIBRARY_PATH=/arm64/usr/lib/x86_64-linux-gnu
# The part of the release name that the source does not know; without it the module's version magic differs.
kbuild=(make -C /kernel/src O=/kernel/build ARCH=arm64 CROSS_COMPILE=/arm64/usr/bin/aarch64-linux-gnu-
	CC=/arm64/usr/bin/aarch64-linux-gnu-gcc-14 LOCALVERSION="+${release#*+}")
"${kbuild[@]}" olddefconfig
# An option that falls away for want of a tool (pahole, say) changes structures and so the names of
# Rust symbols. What the host's OpenSSL can sign with changes neither, nor does the vDSO for 32-bit
# programs, which wants a compiler for them.
lost=$(comm -23 <(grep -E '=[ym]$' "$packages/config" | sort) <(sort /kernel/build/.config) |
	grep -vE '^CONFIG_(OPENSSL_SUPPORTS_.*|COMPAT_VDSO|THUMB2_COMPAT_VDSO)=' || true)
[[ -z $lost ]] || {
	printf 'the stock kernel has options that this tree cannot have; a tool must be missing:\n%s\n' "$lost" >&2
	exit 1
}
"${kbuild[@]}" -j"$(nproc)" modules_prepare
mv "$packages"/{Module.symvers,vmlinux} /kernel/build/
rm -r "$packages"

built=$(cat /kernel/build/include/config/kernel.release)
[[ $built == "$release" ]] || {
	echo "the source tree calls itself $built, the stock kernel is $release" >&2
	exit 1
}
