#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Fuzzes the code that receives bytes from QEMU and the guest.
#
# `fuzz.sh short` runs a fixed number of messages, operations or descriptors from a seed. It needs
# only Rust's compiler. `fuzz.sh long` runs libFuzzer, which searches for new paths, and needs a C++
# compiler. The flags are those of cargo-fuzz without a sanitizer. So the stable compiler suffices:
# there is no unsafe code to check.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

targets=(session broker dma device)
: "${FUZZ_TIME:=600}"
build=(--locked --profile fuzz -p ringbar-fuzz)

triple=$(rustc -vV | sed -n 's/^host: //p')

short() {
	"$ci_dir/cargo.sh" build --quiet "${build[@]}"
	for target in "${targets[@]}"; do
		"$checkout/build/cargo/$triple/fuzz/ringbar-fuzz" "$target" ${FUZZ_COUNT:+--count "$FUZZ_COUNT"} ${FUZZ_SEED:+--seed "$FUZZ_SEED"}
	done
}

long() {
	command -v c++ >/dev/null || die "libFuzzer needs a C++ compiler: apt-get install g++"
	local coverage option target folders folder=$checkout/build/fuzz
	coverage='-Cpasses=sancov-module -Ccodegen-units=1'
	for option in level=4 inline-8bit-counters pc-table trace-compares; do
		coverage+=" -Cllvm-args=-sanitizer-coverage-$option"
	done
	"$ci_dir/cargo.sh" --rustflags "--cfg fuzzing $coverage" build --quiet "${build[@]}" --features libfuzzer \
		"${targets[@]/#/--bin=fuzz-}"
	for target in "${targets[@]}"; do
		folders=("$folder/corpus/$target" "$checkout/qemu-device/proof/fuzz/regressions/$target")
		mkdir -p "${folders[0]}"
		[[ -d ${folders[1]} ]] || unset 'folders[1]'
		say "$target for $FUZZ_TIME s; the corpus is in $folder/corpus/$target"
		"$checkout/build/cargo/$triple/fuzz/fuzz-$target" -max_total_time="$FUZZ_TIME" -max_len=1000 -rss_limit_mb=512 -timeout=10 \
			-print_final_stats=1 -artifact_prefix="$folder/$target-" "${folders[@]}" ||
			die "$target failed: move $folder/$target-* to qemu-device/proof/fuzz/regressions/$target and commit it with the repair"
	done
}

case ${1:-} in
short) short ;;
long) long ;;
*) die "usage: $0 short|long" ;;
esac
