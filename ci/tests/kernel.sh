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
