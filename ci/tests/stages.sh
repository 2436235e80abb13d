#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Stages run side by side where there is room, and in order where one needs another. Their counts
# are added up.
# shellcheck disable=SC2016 # the stages' own shells expand what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
unset EXAMPLE
checkout=$place/checkout
mkdir -p "$checkout" "$place/bin" && cp -r "$ci" "$ci/../Cargo.toml" "$checkout"
export RINGBAR_STAGES=$place/stages RINGBAR_CACHE=$place/cache CALLS=$place/calls
PATH=$place/bin:$PATH
# A machine of two processors, on any host.
printf '#!/bin/sh\necho 2\n' >"$place/bin/nproc"
# Stands in for a stage: reports its begin and end, and waits for another one's begin if told to.
cat >"$place/bin/work" <<'END_OF_WORK'
#!/bin/sh
echo "+$1" >>"$CALLS"
for _ in $(seq 100); do
	[ -z "$2" ] || grep -qxF "+$2" "$CALLS" && break
	sleep 0.05
done
echo "-$1" >>"$CALLS"
[ -z "$2" ] || grep -qxF "+$2" "$CALLS"
END_OF_WORK
chmod +x "$place/bin/"*

# stages STATUS OUT WHAT...: runs the stages on stdin. OUT gets stdout, $place/err the rest.
stages() {
	cat >"$RINGBAR_STAGES"
	rm -f "$CALLS" && touch "$CALLS"
	"$checkout/ci/stages.sh" run "$@" >"$place/out" 2>"$place/err"
}
calls() { tr '\n' ' ' <"$CALLS"; }

stages all <<<'
a  x  stock  100  -  work a b
b  x  stock  100  -  work b a
'
equal two_stages_of_one_processor_run_side_by_side '0 passed, 0 failed, 0 skipped' "$(<"$place/out")"

stages all <<<'
a  x              stock      100  -  work a
b  vm-arm64       arm64      100  -  work b
c  vm-arm64-16k   arm64-16k  100  -  work c
d  sabotage-arm64 -          100  -  work d
e  -              linux-7.2  100  -  work e
f  arm64-short    -          100  b  work f
'
equal all_has_of_another_architecture_what_is_short_and_no_other_series '+a +b +f -a -b -f' "$(LC_ALL=C sort "$CALLS" | paste -sd ' ')"
stages vm:arm64 <<<'
a  x  stock  100  -  work a; : ci/vm.sh
b  y  arm64  100  -  work b; : ci/vm.sh
'
equal vm_runs_of_another_architecture_run_by_its_name '+b -b ' "$(calls)"

stages all <<<'
a  x  stock  200  -  work a
b  x  stock  200  -  work b
'
equal stages_that_want_the_whole_machine_run_one_after_the_other '+a -a +b -b ' "$(calls)"

stages all <<<'
a  x  stock  200  -  work a b
b  x  stock  0  -  work b a
'
equal stage_that_waits_runs_beside_one_that_wants_all '0 passed, 0 failed, 0 skipped' "$(<"$place/out")"

stages all <<<'
a  x  stock  100  -  work a
b  x  stock  200  -  work b
c  x  stock  100  -  work c
'
equal nothing_overtakes_a_stage_that_waits_for_room '+a -a +b -b +c -c ' "$(calls)"

stages all <<<'
a  x  stock  90  -  work a b
b  x  stock  90  -  work b c
c  x  stock  70  -  work c a
'
equal machine_takes_a_quarter_more_than_its_processors '0 passed, 0 failed, 0 skipped' "$(<"$place/out")"

stages all <<<'
a  x  stock  90  -  work a b
b  x  stock  90  -  work b a
c  x  stock  80  -  work c
'
equal stage_waits_when_the_machine_is_full 1 "$(calls | grep -c -- '-[ab] .*+c ')"

stages all <<<'
a  x  stock  700  -  work a
'
equal stage_that_wants_more_than_there_is_runs_alone '+a -a ' "$(calls)"

stages c <<<'
a  x  stock  200  -    work a
b  x  stock  200  -    work b
c  y  debug  100  a    work c
'
equal stage_runs_after_what_it_needs_and_nothing_else_runs '+a -a +c -c ' "$(calls)"

kinds='
a  x  stock  200  -  work a
b  x  any    200  -  ci/vm.sh configuration b
c  y  debug  200  -  work c
d  y  -      200  -  work d
e  -  debug  200  -  ci/vm.sh configuration e
'
stages kernel:stock <<<"${kinds//ci\/vm.sh configuration/work}"
equal kernel_selects_its_stages_and_those_of_any '+a -a +b -b ' "$(calls)"
stages job:y <<<"$kinds"
equal job_selects_its_stages '+c -c +d -d ' "$(calls)"
printf '#!/bin/sh\nwork $2\n' >"$checkout/ci/vm.sh"
stages vm:debug <<<"$kinds"
equal vm_selects_the_runs_of_a_kernel '+e -e ' "$(calls)"
equal jobs_are_printed_as_json '["x","y"]' "$("$checkout/ci/stages.sh" jobs)"
for what in vm:debug job:y kernel:stock e; do
	EXAMPLE=edu fails "example_is_refused_with_stages_that_run_none $what" stages "$what" <<<"$kinds"
	equal "refused_example_runs_nothing $what" '' "$(calls)"
	equal "refused_example_is_named $what" "ringbar: error: EXAMPLE=edu: $what is for ringbar alone: leave EXAMPLE out, or run make test EXAMPLE=edu" "$(<"$place/err")"
done
examples='
a            x  stock  200  -  work a
host-crates  x  any    200  -  work crates
fmt          x  any    200  -  work fmt
b            x  stock  100  -  ci/vm.sh configuration stock-examples
c            x  debug  100  -  ci/vm.sh configuration debug-examples
lint         x  any    200  -  work clippy
package      x  any    100  -  work package
module-lint  x  any    100  -  work lint
'
EXAMPLE=edu stages example:stock <<<"$examples"
equal example_selects_its_run_its_lints_and_its_crates '+clippy +crates +fmt +lint +stock-examples ' "$(grep -F + "$CALLS" | sort | tr '\n' ' ')"
mkdir -p "$place/own/frob" && ln -s ../checkout "$place/own/ringbar"
touch "$place/own/frob/Kbuild"
crate "$place/own/frob" frob frob
printf '%s\n' 'driver .' 'program frob' >"$place/own/frob/example"
AT=$place/own stages example:stock <<<"$examples"
equal example_of_a_project_selects_the_same '+clippy +crates +fmt +lint +stock-examples ' "$(grep -F + "$CALLS" | sort | tr '\n' ' ')"
fails unknown_stage_is_refused stages what <<<"$kinds"
fails stage_that_needs_a_later_one_is_refused stages all <<<'
a  x  stock  100  b  work a
b  x  stock  100  -  work b
'

failing='
a  x  stock  200  -    echo because; false
b  x  stock  200  a    work b
c  x  stock  200  b    work c
d  x  stock  200  -    work d
'
fails failed_stage_fails_the_whole stages all <<<"$failing"
equal failed_stage_keeps_only_those_back_that_need_it '+d -d ' "$(calls)"
equal stages_that_failed_or_were_left_out_count_as_failed '0 passed, 3 failed, 0 skipped' "$(<"$place/out")"
equal output_of_a_failed_stage_is_shown because "$(grep -x because "$place/err")"
equal last_lines_are_the_failure_its_log_and_its_command \
	'ringbar: a failed: all its output is in build/report/stages/a.log; again: echo because; false
ringbar: error: failed: a b c' "$(tail -n 2 "$place/err")"

# again: prints the command that repeats the last failed stage.
again() { sed -n 's/.*; again: //p' "$place/err" | tail -n 1; }
noted='
host-crates  x  any  100  -  test 1 && echo "$EXAMPLE|$AT|$KERNEL|$KERNEL_ARGS|$SEED|$QEMU_ARGS" >>"$CALLS" && false
'
export KERNEL_ARGS='swiotlb=force quiet' SEED=7 QEMU_ARGS="-name 'a b'"
for at in '' "$place/own"; do
	what=host-crates
	if [[ -n $at ]]; then what=example:debug; fi
	AT=$at EXAMPLE=${at:+frob} KERNEL=debug fails "stage_with_variables_fails $at" stages "$what" <<<"$noted"
	calls=$(calls)
	equal "stage_gets_the_variables $at" "${at:+frob}|$at|debug|$KERNEL_ARGS|7|$QEMU_ARGS " "$calls"
	# A checkout's user is in its folder, a project's in any.
	(cd "${at:-$checkout}" && unset KERNEL_ARGS SEED QEMU_ARGS && bash -c "$(again)") || true
	equal "command_that_repeats_a_stage_gives_it_the_same $at" "$calls$calls" "$(calls)"
done
unset KERNEL_ARGS SEED QEMU_ARGS
EXAMPLE=edu fails failed_crates_of_an_example_fail_the_whole stages example:stock <<<'
host-crates  x  any  100  -  ci/test-host.sh nothing
'
equal command_that_repeats_them_names_the_example "EXAMPLE='edu' ci/test-host.sh nothing" "$(again)"

stages all <<<'
a  x  stock  100  -  printf "7 passed, 0 failed, 1 skipped\n"
b  x  stock  100  -  printf "     Summary [  1.0s] 5 tests run: 4 passed (1 slow), 2 skipped\ntest result: ok. 3 passed; 0 failed; 1 ignored; 0 measured\n"
'
equal cases_of_runner_nextest_and_cargo_are_added_up '14 passed, 0 failed, 4 skipped' "$(<"$place/out")"
equal table_for_tools_has_each_stage '"a" "b" ' "$(grep -o '"stage":"[a-z]*"' "$checkout/build/report/stages.json" | cut -d : -f 2 | tr '\n' ' ')"

# The host's own programs stand in for the sysroot. The stage ends after so many ticks of its own
# processor time.
mkdir -p "$place/sysroot" "$RINGBAR_CACHE" && ln -s /etc /usr "$place/sysroot"
printf '#!/bin/sh\necho %q\n' "$place/sysroot" >"$checkout/ci/sysroot.sh"
cat >"$place/bin/compute" <<'END'
#!/usr/bin/env bash
while read -r stat </proc/self/stat && read -r -a fields <<<"${stat##*) }" && ((fields[11] < 80)); do
	for ((number = 0; number < 20000; number++)); do :; done
done
END
chmod +x "$place/bin/compute" && cp "$place/bin/compute" "$checkout/build/compute"
stages all <<<'
a  x  stock  100  -  ci/in-sysroot.sh build/compute
'
equal processor_time_in_the_sysroot_counts yes "$(awk -F '"cpu":' '/"a"/ && $2 + 0 >= 0.8 { print "yes" }' "$checkout/build/report/stages.json")"

cat >"$RINGBAR_STAGES" <<<'a  x  stock  1  -  echo $$ >"$CALLS"; exec sleep 600'
rm -f "$CALLS"
"$checkout/ci/stages.sh" run all >/dev/null 2>&1 &
runner=$!
for _ in {1..200}; do [[ ! -s $CALLS ]] || break; sleep 0.05; done
# The shell of the stage gets the signal as well, as from pkill.
# shellcheck disable=SC2046 # numbers
kill -TERM "$runner" $(pgrep -P "$runner")
status=0
wait "$runner" || status=$?
equal told_to_end_it_ends_with_that_status 143 "$status"
fails told_to_end_it_leaves_no_stage_running kill -0 "$(<"$CALLS")"
