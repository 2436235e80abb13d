#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Builds all that a VM run needs. The kernel's part, the host's and the guest's do not depend on each other.
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

start "$ci_dir/module.sh"
start "$ci_dir/cargo.sh" build --locked --release --bins --lib -p ringbar-server -p ringbar-vm-runner -p ringbar-initramfs \
	-p ringbar-report -p ringbar-raw-client -p ringbar-bench-host -p ringbar-plugin
start "$ci_dir/guest.sh" programs
# The first to fail ends the other.
for _ in "${jobs[@]}"; do wait -n || die "a part of the build failed: see the messages above"; done
jobs=()
"$ci_dir/guest.sh" initramfs
