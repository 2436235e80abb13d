#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Builds all that a guest needs to boot; what is needed later ci/vm.sh has built meanwhile. The kernel's part and cargo's
# do not depend on each other.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

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
