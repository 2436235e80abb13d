#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The choice of kernel and architecture in the scripts.
# shellcheck disable=SC2016 # other shells expand what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

# suffix KERNEL
suffix() { KERNEL=$1 bash -c 'source "$1/lib.sh"; printf "%s %s" "$KERNEL" "$kernel_suffix"' _ "$ci"; }

equal stock_kernel_is_the_default 'stock ' "$(suffix '')"
equal files_of_the_debug_kernel_have_names_of_their_own 'debug -debug' "$(suffix debug)"
fails unknown_kernel_is_refused suffix mainline

# names ARCH: prints the kernel's name, and the suffixes of its files and of the guest's programs.
names() { ARCH=$1 KERNEL=${2:-} bash -c 'source "$1/lib.sh"; printf "%s %s %s %s" "$kernel_name" "$kernel_suffix" "$guest_suffix" "${guest_programs##*/}"' _ "$ci"; }
equal x86_64_is_the_default "$(names x86-64)" "$(names '')"
equal files_of_arm64_have_names_of_their_own 'arm64 -arm64 -arm64 arm64' "$(names arm64)"
equal both_page_sizes_have_the_same_programs 'arm64_16k -arm64-16k -arm64 arm64' "$(names arm64-16k)"
fails unknown_architecture_is_refused names arm
fails debug_kernel_of_arm64_is_refused names arm64 debug

# series LINUX [KERNEL] [ARCH]: prints the kernel's name, and the suffix of its files, or the refusal.
series() { LINUX=$1 KERNEL=${2:-} ARCH=${3:-} bash -c 'source "$1/lib.sh"; printf "%s %s" "$kernel_name" "$kernel_suffix"' _ "$ci" 2>&1; }
pinned=$(sed -n 's/^LINUX_SERIES=\(.*\)\.$/\1/p' "$ci/versions.env")
equal series_of_the_pinned_kernel_is_the_default 'stock stock stock' "$(for name in '' "$pinned"; do series "$name"; done)stock"
equal files_of_another_series_have_names_of_their_own 'linux-7.2 -7.2' "$(series 7.2)"
equal unknown_series_is_refused_with_those_that_are_there "ringbar: error: LINUX=7.1: set it to $pinned or 7.2" "$(series 7.1 || true)"
refusal='ringbar: error: LINUX=7.2: there is a stock kernel for x86-64 only: leave it, KERNEL=%s or ARCH=%s out'
# shellcheck disable=SC2059 # a format
equal debug_kernel_of_another_series_is_refused "$(printf "$refusal" debug x86-64)" "$(series 7.2 debug || true)"
# shellcheck disable=SC2059 # a format
equal other_architecture_of_another_series_is_refused "$(printf "$refusal" stock arm64)" "$(series 7.2 '' arm64 || true)"
for file in "$ci"/linux-*.env; do
	name=${file##*/linux-}
	equal "${file##*/}_pins_the_series_of_its_name" "${name%.env}." "$(sed -n 's/^LINUX_SERIES=//p' "$file")"
done

# A kernel of another series is made as the stock one is, from packages in the place of those of the sysroot.
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
checkout=$place/checkout
mkdir -p "$checkout" "$place/sysroot"/{etc,usr/src/ringbar-kernel} && cp -r "$ci" "$ci/../Cargo.toml" "$checkout"
echo 7.3.4 >"$place/sysroot/usr/src/ringbar-kernel/release"
echo versions >"$place/sysroot/etc/ringbar-versions"
cd "$checkout/ci"
printf '#!/bin/sh\necho %q\n' "$place/sysroot" >sysroot.sh
printf '#!/bin/sh\nmkdir -p "$1" && echo "$LINUX" >"$1/release"\n' >linux-packages.sh
printf '#!/bin/sh\necho "$@" >>%q\n' "$place/calls" >in-sysroot.sh
# kernel [LINUX]: prints the entry of the cache, without its key.
kernel() { LINUX=${1:-} RINGBAR_CACHE=$place/cache ./kernel.sh "${@:2}" | sed -E "s|^$place/cache/||; s/-[0-9a-f]{16}$//"; }
equal kernel_of_another_series_is_an_entry_of_its_own 'kernel-linux-7.2' "$(kernel 7.2)"
equal named_kernel_is_of_the_pinned_series 'kernel' "$(kernel 7.2 stock)"
equal packages_of_another_series_are_in_the_place_of_the_sysroots 'kernel-build.sh' \
	"$(sed -nE 's|^--show .*/kernel-linux-7.2-.*/packages /usr/src/ringbar-kernel --build-kernel .* bash .*/(kernel-build.sh)$|\1|p' "$place/calls")"
