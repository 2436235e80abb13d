#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# What the TCG plugin costs: runs with it and without it, in pairs one after the other, into
# build/report/bench-trace.json. PAIRS=15 pairs; the first run of a pair is with the plugin in every other one.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

: "${PAIRS:=15}"
programs=(registers dma queue)
out=$checkout/build/report
figures=$(mktemp -d)
trap 'rm -rf -- "$figures"' EXIT

# number PATTERN FILE: the number behind the first match.
number() { grep -m 1 -oP "$1\\K[0-9.]+" "$2"; }

# measure TRACE: a run; adds what it took to the lists of its kind.
measure() {
	local results=$out/bench-$1/results.json program
	TRACE=$1 TESTS=$(IFS=, && echo "${programs[*]}") "$ci_dir/vm.sh" measure "bench-$1" >"$figures/output" 2>&1 || {
		cat "$figures/output" >&2
		die "a run failed"
	}
	number '"booted": ' "$results" >>"$figures/booted.$1"
	# What a program took stands behind its name and outcome.
	for program in "${programs[@]}"; do
		number "(?s)\"name\": \"$program\",\\s*\"outcome\": \"passed\",\\s*\"seconds\": " <(tr '\n' ' ' <"$results") >>"$figures/$program.$1"
	done
}

# row FIGURE NAME WHAT GOAL: a ratio of bench-trace.json.
row() {
	paste "$figures/$1.1" "$figures/$1.0" | awk -v name="$2" -v what="$3" -v goal="$4" '
		function rank(list, count, share) { return list[int(share * (count - 1) + 0.5) + 1] }
		function sorted(list, count,  i, j, held) {
			for (i = 2; i <= count; i++) {
				held = list[i]
				for (j = i - 1; j >= 1 && list[j] > held; j--) list[j + 1] = list[j]
				list[j + 1] = held
			}
		}
		{ with[NR] = $1; without[NR] = $2; ratio[NR] = $1 / $2 }
		END {
			sorted(with, NR); sorted(without, NR); sorted(ratio, NR)
			printf "{\"name\":\"%s\",\"what\":\"%s\",\"unit\":\"x\",\"goal\":%s,", name, what, goal
			printf "\"median\":%.3f,\"low\":%.3f,\"high\":%.3f,\"pairs\":%d,", rank(ratio, NR, 0.5), rank(ratio, NR, 0.2), rank(ratio, NR, 0.8), NR
			printf "\"numerator\":{\"what\":\"with the plugin\",\"unit\":\"s\",\"median\":%.3f},", rank(with, NR, 0.5)
			printf "\"denominator\":{\"what\":\"without\",\"unit\":\"s\",\"median\":%.3f}}\n", rank(without, NR, 0.5)
		}'
}

for ((pair = 1; pair <= PAIRS; pair++)); do
	say "pair $pair of $PAIRS"
	measure $((pair % 2))
	measure $(((pair + 1) % 2))
done
{
	printf '{"ratios":[\n'
	row booted boot_with_plugin 'boot until the driver is loaded, nothing watched yet' '{"op":"<=","value":1.2}'
	for program in "${programs[@]}"; do
		printf ','
		row "$program" "${program}_watched" "the program $program, all its code and the kernel watched" null
	done
	printf ']}\n'
} >"$out/bench-trace.json"
cat "$out/bench-trace.json"
