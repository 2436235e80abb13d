#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Builds the kernel module into build/module (build/module-debug for KERNEL=debug); `lint` checks its formatting and lints
# it, `sabotage WHAT` builds a module that is broken on purpose, into a folder of its own.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# kbuild OUTPUT SABOTAGE ARGS...: the linter has an output folder of its own, or each would undo the other's work.
# What is not to be broken says so: the variable may stand in the environment.
kbuild() {
	local output=$checkout/build/$1$kernel_suffix sabotage=$2 kernel toolchain=()
	shift 2
	kernel=$("$ci_dir/kernel.sh")
	if [[ $KERNEL == debug ]]; then toolchain=(LLVM=1); fi
	mkdir -p "$output"
	"$ci_dir/in-sysroot.sh" --kernel "$kernel" \
		make -s -C /kernel/build "${toolchain[@]}" M="$checkout/guest-driver" MO="$output" RINGBAR_SABOTAGE="$sabotage" "$@" modules
}

build() {
	local from
	# Kbuild takes most of a second to see that there is nothing to do. It alone knows what the module is made from, so
	# any change in the checkout makes it look; variables of its own begin with K.
	from=$("$ci_dir/kernel.sh" && files_of "$checkout" && { env | grep '^K' | sort || true; })
	unless_made "$checkout/build/module$kernel_suffix/ringbar.ko" "$from" kbuild module ''
}

case ${1:-build} in
build) build ;;
lint)
	"$ci_dir/in-sysroot.sh" rustfmt --check --edition 2021 --config-path "$checkout" "$checkout"/guest-driver/*.rs
	kbuild module-clippy '' CLIPPY=1 KRUSTFLAGS=-Dwarnings
	;;
sabotage) kbuild "sabotage/$2" "$2" ;;
*) die "usage: $0 [build|lint|sabotage WHAT]" ;;
esac
