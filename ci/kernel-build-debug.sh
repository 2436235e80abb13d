#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Inside the sysroot: builds the debug kernel of ci/debug.config in /kernel, from the stock kernel's source.
set -euo pipefail

wanted=$(dirname "$0")/debug.config
mkdir /kernel/src /kernel/build
tar -x -f /usr/src/ringbar-kernel/source.tar.xz -C /kernel/src --strip-components=1

# KASAN and Rust together want clang. The names keep the host's out of the image.
kbuild=(make -C /kernel/src O=/kernel/build LLVM=1 KBUILD_BUILD_USER=ringbar KBUILD_BUILD_HOST=ringbar)
"${kbuild[@]}" KCONFIG_ALLCONFIG="$(realpath "$wanted")" allnoconfig
# Kconfig drops what it does not know, and what lacks something else, without a word.
lost=$(comm -23 <(grep -E '^(# )?CONFIG_' "$wanted" | sort) <(sort /kernel/build/.config))
[[ -z $lost ]] || {
	printf 'the debug kernel would not be as ci/debug.config says; these lines do not hold:\n%s\n' "$lost" >&2
	exit 1
}

# So long a build must not be in the way of whoever works on the machine.
nice "${kbuild[@]}" -j"$(nproc)" bzImage modules
llvm-objcopy --strip-all --remove-section .comment /kernel/build/vmlinux /kernel/vmlinux
cp /kernel/build/arch/x86/boot/bzImage /kernel/vmlinuz
cp /kernel/build/include/config/kernel.release /kernel/release
# Modules are built with what is left: headers, tools, Rust metadata, symbol versions.
find /kernel/build -path /kernel/build/scripts -prune -o -path /kernel/build/tools -prune -o \
	\( -name '*.[oa]' -o -name 'vmlinux*' -o -name '.vmlinux*' \) -type f -exec rm -f -- {} +
