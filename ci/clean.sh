#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Removes build/, once no run works in it.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/lock.sh
source "$ci_dir/lock.sh"

hold_checkout "$@"
# The lock goes last: after that, the next run may create the folder again.
find "$checkout/build" -mindepth 1 -maxdepth 1 ! -name lock -exec rm -rf -- {} +
rm -f -- "$checkout/build/lock"
rmdir --ignore-fail-on-non-empty -- "$checkout/build"
