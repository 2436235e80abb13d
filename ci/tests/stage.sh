#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The records of a stage.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
# shellcheck source=ci/lib.sh
source "$ci/lib.sh"
checkout=$(mktemp -d)
trap 'rm -rf "$checkout"' EXIT

# field NAME: prints a field of the last line.
field() { tail -n 1 "$checkout/build/report/stages.jsonl" | sed -E "s/.*\"$1\":\"?([^,\"}]*).*/\1/"; }
# child: starts a child that computes for 20 ticks of processor time.
# shellcheck disable=SC2016 # another shell expands it
child() { timeout 120 bash -c 'until stat=$(</proc/$$/stat); stat=(${stat##*) }); ((stat[11] + stat[12] >= 20)); do :; done'; }
at_least() { awk -v a="$1" -v b="$2" 'BEGIN { exit !(a >= b) }'; }

STAGE_TARGET='test' stage first child
equal stage_has_its_name first "$(field stage)"
equal stage_has_its_target test "$(field target)"
equal stage_has_the_processor_time_of_children yes "$(at_least "$(field cpu)" 0.15 && echo yes)"
equal stage_has_the_time_that_passed yes "$(at_least "$(field wall)" 0.001 && echo yes)"
stage second sleep 0.2
equal stage_that_waits_takes_no_processor yes "$(at_least 0.1 "$(field cpu)" && echo yes)"
equal each_stage_has_a_line 2 "$(wc -l <"$checkout/build/report/stages.jsonl")"

status=0
stage third false || status=$?
equal stage_that_fails_ends_with_its_status 1 "$status"
equal stage_that_fails_is_written_down third "$(field stage)"
set_here() { here=yes; }
stage fourth set_here
equal stage_runs_in_this_shell yes "${here:-}"
