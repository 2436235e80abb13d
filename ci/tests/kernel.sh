#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The choice of the kernel in the scripts.
# shellcheck disable=SC2016 # other shells expand what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

# suffix KERNEL
suffix() { KERNEL=$1 bash -c 'source "$1/lib.sh"; printf "%s %s" "$KERNEL" "$kernel_suffix"' _ "$ci"; }

equal stock_kernel_is_the_default 'stock ' "$(suffix '')"
equal files_of_the_debug_kernel_have_names_of_their_own 'debug -debug' "$(suffix debug)"
fails unknown_kernel_is_refused suffix mainline
