#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs the sysroot's QEMU in place of `qemu-system-x86_64`.
set -euo pipefail
exec "$(dirname "$0")/in-sysroot.sh" --network qemu-system-x86_64 "$@"
