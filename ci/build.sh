#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Checks the user's variables, waits until no other run works in this checkout, builds everything
# that a guest needs to boot, and then runs a command: build.sh [CMD...]. With EXAMPLE that is what
# these examples need, and nothing of ringbar. ci/vm.sh builds the programs that are needed later,
# while the guest runs. The kernel's part and cargo's part do not depend on each other.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/lock.sh
source "$ci_dir/lock.sh"
# shellcheck source=ci/example.sh
source "$ci_dir/example.sh"

# A caller that holds the checkout has checked them. What it has set since then is none of the user's.
if [[ ${RINGBAR_HELD:-} != "$checkout" ]]; then
	# shellcheck disable=SC2086 # names
	"$ci_dir/variables.sh" ${RINGBAR_VARIABLES:-}
fi
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

if [[ -n ${EXAMPLE:-} ]]; then
	read_examples "$EXAMPLE"
	modules=("${example_drivers[@]}") groups=(example "$EXAMPLE") packed=(example "$EXAMPLE")
else
	modules=(ringbar) groups=(boot) packed=(initramfs)
	if [[ ${TRACE:-0} != 0 ]]; then groups+=(plugin); fi
fi
start stage build-module "$ci_dir/module.sh" build "${modules[@]}"
module_job=$!
start stage build-programs "$ci_dir/programs.sh" "${groups[@]}"
programs_job=$!
failed="a part of the build failed: see the messages above"
# The first failure ends the other part.
wait -n -p ended "${jobs[@]}" || die "$failed"
if [[ $ended == "$programs_job" ]]; then
	jobs=("$module_job")
	# On a new machine the kernel takes longest, and leaves a processor idle. If the program that
	# draws the report were compiled only after the boot, the first run would end by waiting for it.
	# It may take longer than the rest, and the next run does not wait for it.
	(
		release_checkout
		exec nice "$ci_dir/programs.sh" report >/dev/null 2>&1
	) &
else
	jobs=("$programs_job")
fi
wait "${jobs[0]}" || die "$failed"
jobs=()
stage build-initramfs "$ci_dir/guest.sh" "${packed[@]}"
if (($# > 0)); then exec "$@"; fi
