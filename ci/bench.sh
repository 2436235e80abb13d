#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The benchmark: boots once and measures guest and host alternately, then times BOOTS pairs of whole
# boots. Writes build/report/bench.json and bench.md, and prints the table and its page. A missed
# goal fails nothing.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
without_example "make bench"
on_x86_only "make bench"

: "${BOOTS:=15}"
[[ $BOOTS =~ ^[0-9]+$ ]] || die "BOOTS=$BOOTS: set it to a number"
if [[ -n ${PEER:-} ]]; then
	[[ -f $PEER && -x $PEER ]] || die "PEER=$PEER: set it to the path of a program"
	# The runner starts it from elsewhere.
	PEER=$(realpath -- "$PEER")
	export PEER
fi
# What was refused so far costs no build. That builds, holds the checkout, and calls this script again.
if [[ ${RINGBAR_HELD:-} != "$checkout" ]]; then exec "$ci_dir/build.sh" "$0"; fi
report=$checkout/build/report
times=$report/bench/times

# seconds CMD...: runs CMD and prints its duration.
seconds() {
	local start=$EPOCHREALTIME
	"$@" >"$report/bench/timed.log" 2>&1 || die "failed, see build/report/bench/timed.log: $*"
	awk "BEGIN { print $EPOCHREALTIME - $start }"
}

# make_run: does the same as `make run`, but leaves the page of the last run alone.
make_run() { "$ci_dir/build.sh" && "$ci_dir/vm.sh" measure bench-run "make bench"; }

# pair NUMBER: times one pair of each row. The order alternates, otherwise a change over time would
# always favour the same half.
pair() {
	local with without again run
	if (($1 % 2)); then
		with=$("$ci_dir/vm.sh" boot 1)
		without=$("$ci_dir/vm.sh" boot 0)
		again=$("$ci_dir/vm.sh" boot 0)
	else
		again=$("$ci_dir/vm.sh" boot 0)
		without=$("$ci_dir/vm.sh" boot 0)
		with=$("$ci_dir/vm.sh" boot 1)
	fi
	run=$(TESTS=registers seconds make_run)
	printf 'boot %s %s\nboot-limit %s %s\nmake-run %s %s\n' \
		"$with" "$without" "$again" "$without" "$run" "$without" >>"$times"
}

"$ci_dir/programs.sh" report bench broker
"$ci_dir/vm.sh" bench
: >"$times"
for ((i = 1; i <= BOOTS; i++)); do
	say "whole boots, pair $i of $BOOTS"
	pair "$i"
done

model=$(sed -n 's/^model name[^:]*: //p;T;q' /proc/cpuinfo)
"$programs/ringbar-bench-host" report --out "$report" --times "$times" \
	--results "$report/bench/logs/bench/results.ktap" \
	--environment "accelerator=${ACCEL:-tcg}" \
	--environment "kernel=$KERNEL" \
	--environment "processor=$(nproc) x ${model:-unknown}" \
	--environment "host=$(uname -sr)" \
	--environment "load=$(cut -d ' ' -f 1-3 /proc/loadavg)"
# The page of the run was drawn before the figures existed.
"$ci_dir/vm.sh" report bench
