#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Checks that `vm.sh shell` gives a terminal. Boots it once on a pseudo-terminal and types like a
# person, with a file of the host in the guest and an additional device in the machine. Then checks
# that `vm.sh debug` lets gdb stop in the driver.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

if [[ -n ${TESTS:-} ]]; then
	say "skipped the shell: TESTS asks only for $TESTS"
	exit
fi
"$ci_dir/programs.sh" shell
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
printf '#!/bin/sh\necho from the host\n' >"$place/file"
chmod +x "$place/file"
SERVER=$programs/ringbar-server FILES=$place/file:/bin/shell-check-file QEMU_ARGS='-device edu' \
	"$programs/ringbar-shell-check" "$ci_dir/vm.sh" shell
# The mmap hook of the driver's node.
STOP='ringbar_main::mapping::file_operations::mmap_hook<ringbar_main::device::Ringbar>' \
	"$programs/ringbar-shell-check" --gdb "$ci_dir/extra.sh" gdb -- "$ci_dir/vm.sh" debug
