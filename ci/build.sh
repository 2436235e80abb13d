#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Checks the user's variables, waits until no other run works in this checkout, builds everything
# that a guest needs to boot, and then runs a command: build.sh [CMD...]. ci/vm.sh builds the
# programs that are needed later, while the guest runs. The kernel's part and cargo's part do not
# depend on each other.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/lock.sh
source "$ci_dir/lock.sh"

# shellcheck disable=SC2086 # names
"$ci_dir/variables.sh" ${RINGBAR_VARIABLES:-}
hold_checkout "$@"

# Both install missing packages on a new machine. apt-get allows one at a time.
"$ci_dir/setup.sh" cargo
"$ci_dir/setup.sh" sysroot

# Each part runs in the background: bash handles a signal only during `wait`.
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
# The first failure ends the other part.
for _ in "${jobs[@]}"; do wait -n || die "a part of the build failed: see the messages above"; done
jobs=()
stage build-initramfs "$ci_dir/guest.sh" initramfs
if (($# > 0)); then exec "$@"; fi
