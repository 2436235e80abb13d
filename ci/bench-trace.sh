#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Measures the cost of the TCG plugin: PAIRS pairs of runs with it and without it. Writes
# build/report/bench-trace.json and bench-trace.md, and prints the table. A missed goal fails
# nothing.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
without_example "make bench-trace"
on_x86_only "make bench-trace"

: "${PAIRS:=15}"
[[ $PAIRS =~ ^[1-9][0-9]*$ ]] || die "PAIRS=$PAIRS: set it to a number, at least 1"
# What was refused so far costs no build. That builds, holds the checkout, and calls this script again.
if [[ ${RINGBAR_HELD:-} != "$checkout" ]]; then exec "$ci_dir/build.sh" "$0"; fi
report=$checkout/build/report
"$ci_dir/programs.sh" report bench plugin
runs=$(mktemp -d)
trap 'rm -rf -- "$runs"' EXIT

# measure TRACE FILE: makes a run, and copies its results to FILE.
measure() {
	TRACE=$1 TESTS=registers,dma,queue "$ci_dir/vm.sh" measure "bench-$1" "make bench-trace" >"$runs/output" 2>&1 || {
		cat "$runs/output" >&2
		die "a run failed"
	}
	cp -- "$report/bench-$1/results.json" "$2"
}

files=()
for ((pair = 1; pair <= PAIRS; pair++)); do
	say "pair $pair of $PAIRS"
	# The order within a pair alternates. Otherwise a change over time would always favour the same
	# half.
	for trace in $((pair % 2)) $(((pair + 1) % 2)); do measure "$trace" "$runs/$pair-$trace.json"; done
	files+=("$runs/$pair-1.json" "$runs/$pair-0.json")
done
"$programs/ringbar-bench-host" witness --out "$report" "${files[@]}" \
	--environment "processors=$(nproc)" --environment "host=$(uname -sr)" \
	--environment "load=$(cut -d ' ' -f 1-3 /proc/loadavg)"
