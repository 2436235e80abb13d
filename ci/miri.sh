#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs the tests of the protocol's core and of both sides of the rings under Miri. Miri exists for
# nightly compilers only; without one, prints that and does nothing.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

if ! cargo +nightly miri --version >/dev/null 2>&1; then
	say "skipped: no Miri here; rustup toolchain install nightly --component miri --component rust-src"
	exit 0
fi
# Without isolation, random tests read the files with inputs that failed before. Four new inputs per
# test limit the time.
export MIRIFLAGS=-Zmiri-disable-isolation PROPTEST_CASES=4
miri() { "$ci_dir/cargo.sh" +nightly miri test --locked --quiet "$@"; }

miri -p ringbar-vfio-user
miri -p ringbar-model --test ring_faults
miri -p ringbar-driver-side
