#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs the tests of the protocol's core and of the rings, on both sides, under Miri. It comes with a nightly
# compiler only; where there is none, says so and does nothing.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

if ! cargo +nightly miri --version >/dev/null 2>&1; then
	say "skipped: no Miri here; rustup toolchain install nightly --component miri --component rust-src"
	exit 0
fi
# Random tests look for the inputs that failed before, which are files, and make a few of their own.
export MIRIFLAGS=-Zmiri-disable-isolation PROPTEST_CASES=4
miri() { "$ci_dir/cargo.sh" +nightly miri test --locked --quiet "$@"; }

miri -p ringbar-vfio-user
miri -p ringbar-model --test ring_faults
miri -p ringbar-client --lib ring::
