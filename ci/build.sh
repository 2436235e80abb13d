#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Checks what the user's variables say, waits until no other run works in this checkout, builds all that a guest needs to
# boot, and runs a command with it: build.sh [CMD...]. What is needed later ci/vm.sh has built meanwhile. The kernel's part
# and cargo's do not depend on each other.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/lock.sh
source "$ci_dir/lock.sh"

# shellcheck disable=SC2086 # names
"$ci_dir/variables.sh" ${RINGBAR_VARIABLES:-}
hold_checkout "$@"

# Both install what is missing on a new machine, which only one may do at a time.
"$ci_dir/setup.sh" cargo
"$ci_dir/setup.sh" sysroot

# Each part runs in the background, because bash answers signals only while it waits.
jobs=()
start() {
	"$@" &
	jobs+=($!)
}
stop() {
	local job
	for job in "${jobs[@]}"; do end_tree "$job"; done
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

groups=(boot)
if [[ ${TRACE:-0} != 0 ]]; then groups+=(plugin); fi
start stage build-module "$ci_dir/module.sh"
start stage build-programs "$ci_dir/programs.sh" "${groups[@]}"
# The first to fail ends the other.
for _ in "${jobs[@]}"; do wait -n || die "a part of the build failed: see the messages above"; done
jobs=()
stage build-initramfs "$ci_dir/guest.sh" initramfs
if (($# > 0)); then exec "$@"; fi
