#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs stages from the file `stages` side by side, as many as the processors allow.
#
# `stages.sh run WHAT...`: WHAT is a stage, `job:NAME`, `kernel:NAME` for the part of `make test`
# with that kernel, `vm:NAME` for the VM runs in it, `example:NAME` for the part about EXAMPLE, or
# `all`, which are those without another architecture or series of kernels. Stages that they need run as well.
# After a failed stage, all stages run that do not need it. `stages.sh jobs` prints the jobs of
# hosted CI as a JSON list.
#
# The output of a stage is in build/report/stages/NAME.log. At the end come a table of the stages,
# which is also in build/report/stages.json, and one line on stdout with the total of cases.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/lock.sh
source "$ci_dir/lock.sh"

: "${RINGBAR_STAGES:=$ci_dir/stages}"
logs=$checkout/build/report/stages
# In a project, the user is in another folder.
shown_logs=$logs
if [[ -z $project ]]; then shown_logs=${logs#"$checkout"/}; fi
# Rooms of the stages that run on one processor together.
readonly FULL_PERCENT=125
names=()
declare -A job=() kernel=() room=() after=() command=()

# read_stages: reads the file of stages.
read_stages() {
	local name job_ kernel_ room_ after_ command_ needed
	while read -r name job_ kernel_ room_ after_ command_; do
		[[ -n $name && $name != '#'* ]] || continue
		[[ $after_ != - ]] || after_=''
		# Needed stages stand above. So a walk from top to bottom sees them first.
		for needed in ${after_//,/ }; do
			[[ -n ${job[$needed]:-} ]] || die "$RINGBAR_STAGES: $name needs $needed, which is not above it"
		done
		names+=("$name")
		job[$name]=$job_ kernel[$name]=$kernel_ room[$name]=$room_ after[$name]=${after_//,/ } command[$name]=$command_
	done <"$RINGBAR_STAGES"
}

# names_of WHAT: prints the stages of WHAT, without those that they need.
names_of() {
	local name found=''
	for name in "${names[@]}"; do
		case $1 in
		all) [[ ${kernel[$name]} != @(arm64|linux-)* && ${job[$name]} != *-arm64* ]] || continue ;;
		"$name" | "job:${job[$name]}" | "kernel:${kernel[$name]}") ;;
		"example:${kernel[$name]}") [[ ${command[$name]} == *-examples ]] || continue ;;
		example:*) [[ $name == @(fmt|lint|module-lint|host-crates) ]] || continue ;;
		"vm:${kernel[$name]}") [[ ${command[$name]} =~ ci/(vm|shell-check|smmu-check).sh ]] || continue ;;
		kernel:*) [[ ${kernel[$name]} == any ]] || continue ;;
		*) continue ;;
		esac
		printf '%s\n' "$name"
		found=1
	done
	[[ -n $found ]] || die "$1 is not a stage: name one of ${names[*]}, job:NAME, kernel:stock, kernel:debug, vm:stock, vm:debug, example:stock, example:debug or all"
}

# want NAME: marks a stage and all that it needs as wanted.
declare -A state=() # wanted, running, passed, failed, left out
want() {
	local needed
	state[$1]=wanted
	for needed in ${after[$1]}; do want "$needed"; done
}

# processor_times: prints busy and idle time of all processors so far, in ticks.
processor_times() { awk '/^cpu / { print $2 + $3 + $4 + $7 + $8, $5 + $6 }' /proc/stat; }

# idle_since BUSY IDLE: prints the idle share of the processors' time since then, in percent.
idle_since() {
	local busy idle
	read -r busy idle < <(processor_times)
	busy=$((busy - $1)) idle=$((idle - $2))
	printf '%s\n' $((100 * idle / (busy + idle > 0 ? busy + idle : 1)))
}

declare -A pid=() began=() ticks=() wall=() cpu=() idle=()
# begin NAME: starts a stage in the background.
begin() {
	local name=$1
	state[$name]=running
	began[$name]=$(date +%s)
	ticks[$name]=$(processor_times)
	# The stage's output goes to the log, and the shell's line with its times to a file beside it.
	(
		# If a signal reaches all shells of this script at once, this one must survive it: `stop` finds
		# the stage's processes below it.
		trap : INT TERM HUP
		TIMEFORMAT='%R %U %S'
		cd "$checkout"
		{ time bash -c "${command[$name]}" >"$logs/$name.log" 2>&1 </dev/null; } 2>"$logs/$name.times"
	) &
	pid[$name]=$!
	say "$name begins"
}

# where NAME: prints the log of a failed stage and the command that repeats it, in any folder if there
# is a project.
where() {
	local variable value given='' again=${command[$1]}
	for variable in AT "${run_variables[@]}" FUZZ_TIME FUZZ_COUNT FUZZ_SEED; do
		value=${!variable:-}
		if [[ -n $value && $variable=$value != @(KERNEL=stock|ARCH=x86-64|LINUX=7.3) ]]; then given+="$variable=${value@Q} "; fi
	done
	# The variables must reach each part of the command.
	if [[ -n $given && $again == *[\&\;\|]* ]]; then again="bash -c ${again@Q}"; fi
	again=$given$again
	if [[ -n $project ]]; then again="(cd $(printf '%q' "$checkout") && $again)"; fi
	printf 'all its output is in %s; again: %s\n' "$shown_logs/$1.log" "$again"
}

# end NAME STATUS: notes the result of a stage and reports it.
end() {
	local name=$1 status=$2 user system
	read -r wall["$name"] user system < <(tail -n 1 "$logs/$name.times")
	rm -f -- "$logs/$name.times"
	cpu[$name]=$(awk "BEGIN { printf \"%.1f\", $user + $system }")
	# shellcheck disable=SC2086 # two numbers
	idle[$name]=$(idle_since ${ticks[$name]})
	unset "pid[$name]"
	if ((status == 0)); then
		state[$name]=passed
		say "$name passed after ${wall[$name]} s"
	else
		state[$name]=failed
		tail -n 60 "$logs/$name.log" >&2
		say "$name FAILED after ${wall[$name]} s with status $status: $(where "$name")"
	fi
}

# is_ready NAME: succeeds if all needed stages have passed. A stage that can never begin is left
# out.
is_ready() {
	local needed
	for needed in ${after[$1]}; do
		case ${state[$needed]} in
		passed) ;;
		failed | 'left out')
			state[$1]='left out'
			say "$1 is left out: $needed has not passed"
			return 1
			;;
		*) return 1 ;;
		esac
	done
}

# has_room NAME: succeeds if the processors are not full.
has_room() {
	local other taken=0
	for other in "${!pid[@]}"; do taken=$((taken + room[$other])); done
	# A stage that wants more processors than there are runs alone.
	((room[$1] == 0 || taken == 0 || taken + room[$1] <= processors * FULL_PERCENT))
}

# stop: ends all running stages.
stop() {
	local name
	for name in "${!pid[@]}"; do end_tree "${pid[$name]}"; done
}

# run_all: runs the wanted stages.
run_all() {
	local name ended status full
	trap stop EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM HUP
	while :; do
		full=0
		for name in "${names[@]}"; do
			[[ ${state[$name]:-} == wanted ]] || continue
			is_ready "$name" || continue
			# No stage overtakes one that waits for room. Otherwise stages that want the whole machine would
			# come last.
			if ((room[$name] == 0)) || { ((full == 0)) && has_room "$name"; }; then
				begin "$name"
			else
				full=1
			fi
		done
		((${#pid[@]} > 0)) || break
		status=0
		wait -n -p ended "${pid[@]}" || status=$?
		for name in "${!pid[@]}"; do
			if [[ ${pid[$name]} == "${ended:-}" ]]; then end "$name" "$status"; fi
		done
	done
	trap - EXIT
}

# cases NAME: prints how many cases passed, failed and were skipped, from the output of the runner,
# nextest and cargo's documentation tests.
cases() {
	sed -E 's/\x1b\[[0-9;]*m//g' "$logs/$1.log" | awk '
		function count(word) { return match($0, "[0-9]+ " word) ? substr($0, RSTART, RLENGTH) + 0 : 0 }
		/^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ || /^ *Summary \[.*tests? run:/ || /^test result: / {
			passed += count("passed"); failed += count("failed"); skipped += count("skipped") + count("ignored")
		}
		END { print passed + 0, failed + 0, skipped + 0 }'
}

# table: prints the stages in the order of the file, for people on stderr and as JSON. Then prints
# the total of cases on stdout.
table() {
	local name passed failed skipped sum=(0 0 0) comma='' total_cpu=0 json=$checkout/build/report/stages.json
	printf '%-20s %8s %8s %6s  %s\n' stage 'wall s' 'cpu s' 'idle %' '' >&2
	printf '{"stages":[' >"$json.new"
	for name in "${names[@]}"; do
		case ${state[$name]:-} in
		'') continue ;;
		'left out')
			printf '%-20s %8s %8s %6s  %s\n' "$name" - - - 'left out' >&2
			sum[1]=$((sum[1] + 1))
			printf '%s\n{"stage":"%s","result":"left out"}' "$comma" "$name" >>"$json.new"
			comma=,
			continue
			;;
		esac
		read -r passed failed skipped < <(cases "$name")
		# A failed stage without a failed case counts as one.
		if [[ ${state[$name]} == failed ]] && ((failed == 0)); then failed=1; fi
		sum=($((sum[0] + passed)) $((sum[1] + failed)) $((sum[2] + skipped)))
		total_cpu=$(awk "BEGIN { printf \"%.1f\", $total_cpu + ${cpu[$name]} }")
		printf '%-20s %8.1f %8.1f %6d  %s\n' "$name" "${wall[$name]}" "${cpu[$name]}" "${idle[$name]}" \
			"${state[$name]}$( ((passed + failed + skipped == 0)) || echo ": $passed passed, $failed failed, $skipped skipped")" >&2
		printf '%s\n{"stage":"%s","result":"%s","began":%s,"wall":%s,"cpu":%s,"idle_percent":%s,"passed":%s,"failed":%s,"skipped":%s}' \
			"$comma" "$name" "${state[$name]}" "${began[$name]}" "${wall[$name]}" "${cpu[$name]}" "${idle[$name]}" \
			"$passed" "$failed" "$skipped" >>"$json.new"
		comma=,
	done
	printf '%-20s %8.1f %8.1f %6d\n' all "$SECONDS" "$total_cpu" "$1" >&2
	printf '\n],"wall":%s,"cpu":%s,"idle_percent":%s,"processors":%s,"load":"%s"}\n' "$SECONDS" "$total_cpu" "$1" "$processors" \
		"$(cut -d ' ' -f 1-3 /proc/loadavg)" >>"$json.new"
	mv -- "$json.new" "$json"
	printf '%s passed, %s failed, %s skipped\n' "${sum[@]}"
	((sum[1] == 0))
}

# failures: ends this script with the stages that have not passed, as its last lines.
failures() {
	local name failed=()
	for name in "${names[@]}"; do
		[[ ${state[$name]:-passed} != passed ]] || continue
		failed+=("$name")
		if [[ ${state[$name]} == failed ]]; then say "$name failed: $(where "$name")"; fi
	done
	die "failed: ${failed[*]}"
}

run() {
	local what chosen name all_ticks
	# Variables of OpenMP change nproc's answer, but mean OpenMP programs only.
	processors=$(env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc)
	chosen=$(for what in "$@"; do names_of "$what"; done)
	for name in $chosen; do want "$name"; done
	# Results of an earlier run must not count.
	rm -rf -- "$logs"
	mkdir -p "$logs"
	all_ticks=$(processor_times)
	SECONDS=0
	run_all
	# shellcheck disable=SC2086 # two numbers
	table "$(idle_since $all_ticks)" || failures
}

jobs_as_json() {
	local name
	for name in "${names[@]}"; do
		[[ ${job[$name]} == - ]] || printf '%s\n' "${job[$name]}"
	done | sort -u | sed 's/.*/"&"/' | paste -sd , | sed 's/.*/[&]/'
}

read_stages
case ${1:-} in
run)
	# shellcheck disable=SC2086 # names
	"$ci_dir/variables.sh" ${RINGBAR_VARIABLES:-}
	for what in "${@:2}"; do
		[[ $what == example:* ]] || without_example "$what"
	done
	hold_checkout "$@"
	run "${@:2}"
	;;
jobs) jobs_as_json ;;
*) die "usage: $0 run STAGE|job:NAME|kernel:NAME|vm:NAME|all...|jobs" ;;
esac
