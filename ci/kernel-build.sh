#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Inside the sysroot: fills /kernel from the stock kernel's packages.
set -euo pipefail

packages=/usr/src/ringbar-kernel
cp "$packages"/{release,vmlinuz} /kernel/
cp -r "$packages/modules" /kernel/
xz -d /kernel/modules/*.xz
mkdir /kernel/src /kernel/build
tar -x -f "$packages/source.tar.xz" -C /kernel/src --strip-components=1
# QEMU boots the kernel that is in the image; the image would unpack itself with translated code, for seconds.
/kernel/src/scripts/extract-vmlinux "$packages/vmlinuz" >/kernel/vmlinux
cp "$packages/config" /kernel/build/.config

release=$(cat "$packages/release")
# The part of the release name that the source does not know; without it the module's version magic differs.
kbuild=(make -C /kernel/src O=/kernel/build LOCALVERSION="+${release#*+}")
"${kbuild[@]}" olddefconfig
# An option that falls away for want of a tool (pahole, say) changes structures and so the names of
# Rust symbols. What the host's OpenSSL can sign with changes neither.
lost=$(comm -23 <(grep -E '=[ym]$' "$packages/config" | sort) <(sort /kernel/build/.config) |
	grep -v '^CONFIG_OPENSSL_SUPPORTS_' || true)
[[ -z $lost ]] || {
	printf 'the stock kernel has options that this tree cannot have; a tool must be missing:\n%s\n' "$lost" >&2
	exit 1
}
"${kbuild[@]}" -j"$(nproc)" modules_prepare
cp "$packages/Module.symvers" "$packages/vmlinux" /kernel/build/

built=$(cat /kernel/build/include/config/kernel.release)
[[ $built == "$release" ]] || {
	echo "the source tree calls itself $built, the stock kernel is $release" >&2
	exit 1
}
