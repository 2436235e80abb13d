#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Builds the kernel module into build/module; `clippy` lints it, `fmt` checks its formatting.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# kbuild OUTPUT ARGS...: the linter has an output folder of its own, or each would undo the other's work.
kbuild() {
	local output=$checkout/build/$1 kernel
	shift
	kernel=$("$ci_dir/kernel.sh")
	mkdir -p "$output"
	"$ci_dir/in-sysroot.sh" --kernel "$kernel" \
		make -s -C /kernel/build M="$checkout/guest-driver" MO="$output" "$@" modules
}

case ${1:-build} in
build) kbuild module ;;
clippy) kbuild module-clippy CLIPPY=1 KRUSTFLAGS=-Dwarnings ;;
fmt)
	"$ci_dir/in-sysroot.sh" rustfmt --check --edition 2021 --config-path "$checkout" "$checkout"/guest-driver/*.rs
	;;
*) die "usage: $0 [build|clippy|fmt]" ;;
esac
