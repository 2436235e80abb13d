#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs QEMU for the guest of ARCH: the sysroot's in place of `qemu-system-x86_64`, or that of ci/arm64.sh in
# place of `qemu-system-aarch64`.
set -euo pipefail
if [[ ${ARCH:-} == arm64* ]]; then exec "$(dirname "$0")/arm64.sh" run --network /arm64/usr/bin/qemu-system-aarch64 "$@"; fi
exec "$(dirname "$0")/in-sysroot.sh" --network qemu-system-x86_64 "$@"
