#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Boots the guest. `run` boots as the variables say, `shell` for a shell in it, and `debug` for a
# shell and gdb. `configuration NAME` boots a line of the file of configurations. `sabotage NAME MODULE INITRAMFS [SERVER]` boots
# with another module or server, `plain NAME INITRAMFS` does so without a page, and `bench` with the benchmark. `boot DEVICES` boots with so many
# devices and nothing to do. `measure NAME HINT` does the same as `run` for a benchmark, HINT, with
# a report of its own. `cover NAME` does the same as `run` for ci/coverage.sh, which sets COVERAGE to the
# folder for the reports; so do configurations then. `verdict NAME...` makes one table of the results of these configurations on
# each path to the device. `report` draws the page of the last run again, or that of NAME. `read
# NAME` has the readers of others read the results of that run, as `configuration` does.
#
# With EXAMPLE, these examples run in place of ringbar: `run`, `shell` and `configuration`. With AT,
# they are those of that project.
#
# ARCH, KERNEL, LINUX, KERNEL_ARGS, ACCEL, INTERRUPTS, HOTPLUG, IOMMU (0 or 1), COHERENT, MEMORY, MEMORY_SIZE, KEXEC, IMAGE, DEVICES, LIES, BROKER, WATCH, TRACE, TESTS, ARGS, TIMEOUT, CYCLES, FULL, SEED,
# SERVER_ARGS, QEMU_ARGS, FILES, GDB and STOP are explained by `make help`.
set -euo pipefail
# The name of a configuration begins with its kernel.
if [[ ${1:-} == configuration ]]; then
	case $2 in
	arm64-16k-*) export ARCH=arm64-16k KERNEL=stock ;;
	arm64-*) export ARCH=arm64 KERNEL=stock ;;
	linux-7.2-*) export ARCH=x86-64 KERNEL=stock LINUX=7.2 ;;
	*) export ARCH=x86-64 KERNEL=${2%%-*} ;;
	esac
fi
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/lock.sh
source "$ci_dir/lock.sh"
# shellcheck source=ci/example.sh
source "$ci_dir/example.sh"

module=$checkout/build/module$kernel_suffix/ringbar.ko
initramfs=$checkout/build/guest/initramfs$kernel_suffix.cpio
listed=$checkout/build/guest/programs$guest_suffix
server=$programs/ringbar-server
# Options of the runner for the drivers and devices of the examples in EXAMPLE.
driven=()
# Folders of a project's sources, as debug information names them.
roots=()
# Options of the runner that depend on the kernel, and the guest's memory if it is not the usual one.
for_kernel=() memory_size=''
if [[ $KERNEL == debug ]]; then
	# Any report ends the run. The debug kernel keeps records of all memory, so the guest needs more of
	# it.
	words=(panic_on_warn=1 oops=panic kasan.fault=panic)
	# With five levels of page tables, KASAN can report sound memory. Linux 7.3 clears the CPU's
	# features early at boot, and an interrupt then sees a kernel with four levels.
	words+=(no5lvl)
	# The poison in freed pages shows writes of the device, which bypass the kernel. page_owner is left
	# out: it only adds to a report the last owner of a page.
	words+=(page_poison=1 dma_debug_entries=65536)
	memory_size=2G
else
	# Memory of processes comes from a movable zone. Pages must leave it before they are pinned for
	# long, so the runs exercise that move.
	words=(movablecore=64M)
	# Soft lockups are reported after twice this time, in seconds.
	words+=(watchdog_thresh=60)
	if [[ -n $guest_suffix ]]; then
		# The image alone takes 50 MB, and the memory for contiguous buffers (CMA) 64 MB. The files of the
		# initramfs would fill the smaller zone.
		words=(movablecore=256M)
		for_kernel=(--architecture arm64)
		memory_size=1G
	fi
fi
# QEMU holds the whole machine while it waits for a server that a test has stopped, for seconds on a busy
# host and several times in a row. The kernel takes that for a stall. The runner notices real ones.
words+=(rcupdate.rcu_cpu_stall_timeout=300)

# runs_leaks TESTS: succeeds if the program `leaks` is among them.
runs_leaks() {
	case ,$1, in
	*,-leaks,* | ,,) return 1 ;;
	*,leaks,* | *,all,* | ,-*) ;;
	*) return 1 ;;
	esac
}

# detector_word: prints the word for the debug kernel's leak detector. It takes half of the
# guest's time, so it is on only where a program reads it. slab_debug goes with it. Without that,
# SLUB keeps a stale pointer to each object that it has handed out (its sheaves), the detector scans
# them, and no object counts as lost. KASAN sees what else slab_debug would.
detector_word() {
	if runs_leaks "${TESTS:-}"; then printf 'slab_debug=FZP\n'; else printf 'kmemleak=off\n'; fi
}

# one_is_named TESTS PROGRAM...: succeeds if the list names one of the programs. Only such a run gets the files
# of that program: a Python would make each other boot slower.
one_is_named() {
	local program
	for program in "${@:2}"; do
		if [[ ,$1, == *,"$program",* ]]; then return; fi
	done
	return 1
}

# files_of_programs: prints the files that the programs in TESTS bring.
files_of_programs() {
	if one_is_named "${TESTS:-}" languages; then "$ci_dir/languages.sh" || return; fi
	if one_is_named "${TESTS:-}" vfio_selftests pfnmap stress_ng; then on_x86_only "a selftest of the kernel and stress-ng"; fi
	if one_is_named "${TESTS:-}" vfio_selftests pfnmap; then "$ci_dir/selftests.sh" || return; fi
	if one_is_named "${TESTS:-}" memory_hotplug; then "$ci_dir/memory-modules.sh" || return; fi
	if one_is_named "${TESTS:-}" stress_ng; then "$ci_dir/extra.sh" files stress-ng; fi
}

# choose_examples: has the examples in EXAMPLE run, if there are any.
choose_examples() {
	local number path name device program
	[[ -n ${EXAMPLE:-} ]] || return 0
	read_examples "$EXAMPLE"
	initramfs=$(example_initramfs "$EXAMPLE")
	listed=$checkout/build/guest/example-programs$guest_suffix
	for number in "${!example_drivers[@]}"; do
		path=$("$ci_dir/module.sh" path "${example_drivers[number]}")
		# gdb and the report know one module. The first one is loaded first.
		if ((number == 0)); then module=$path; fi
		name=${path##*/}
		driven+=(--driver "${name%.ko}${example_nodes[number]:+:${example_nodes[number]}}")
	done
	# Kbuild sees the project as /project. A module names its files by their paths from there on, and the
	# folder in which it was compiled.
	if [[ -n $project ]]; then roots=("$project" /project "/ringbar${module#"$checkout"}") roots[2]=${roots[2]%/*}; fi
	for program in "${example_servers[@]}"; do driven+=(--own-server "$programs/$program"); done
	for device in "${example_devices[@]}"; do driven+=(--qemu-arg=-device "--qemu-arg=$device"); done
	driven+=(--interrupts "$example_messages")
	# ci/variables.sh has refused ARGS for one of several programs.
	if [[ -n ${ARGS:-} && ${TESTS:-all} == all ]]; then TESTS=${example_programs[0]}; fi
}

# name_registers: has the witness learn the names of the registers of the example's device from its
# server.
named=()
name_registers() {
	[[ ${TRACE:-0} != 0 && -n ${EXAMPLE:-} ]] || return 0
	check_traceable
	local server=${example_servers[0]} file=$checkout/build/guest/example-registers
	mkdir -p "${file%/*}"
	# A server that does not know the word may begin to serve.
	if ! timeout 60 "$programs/$server" --registers >"$file" </dev/null || [[ ! -s $file ]]; then
		die "\`$server --registers\` printed no registers, so a trace would have no names: have it print a line BAR OFFSET NAME for each, as qemu-device/vfio-user/examples/sum/src/main.rs does"
	fi
	named=("--plugin-arg=registers=$file")
}

# vm COMMAND NAME ARGS...: calls the runner for one configuration.
vm() {
	local command=$1 name=$2 args=() word words=("${words[@]}") files gdb boots=$kernel/vmlinux
	local image=$kernel/vmlinuz
	shift 2
	if [[ ${IMAGE:-0} == 1 ]]; then
		boots=$image
		words+=(ringbar.image=1 nokaslr)
	fi
	args+=(--qemu "$ci_dir/qemu.sh")
	args+=(--kernel "$boots" --initrd "$initramfs" --name "$name" "${for_kernel[@]}")
	if [[ -n ${ACCEL:-} ]]; then args+=(--accel "$ACCEL"); fi
	if [[ -n ${EXAMPLE:-} ]]; then
		args+=("${driven[@]}")
	else
		if [[ ${LIES:-0} == 1 ]]; then
			"$ci_dir/programs.sh" liar || return
			server=$programs/ringbar-liar
		fi
		args+=(--server "$server")
		if [[ ${BROKER:-0} == 1 || ${WATCH:-0} == 1 ]]; then
			"$ci_dir/programs.sh" broker || return
			args+=(--broker "$programs/ringbar-broker")
		fi
		if [[ ${BROKER:-0} == 1 ]]; then
			# Another build of the model. It tells no lie unless the guest orders one.
			"$ci_dir/programs.sh" liar || return
			args+=(--other-server "$programs/ringbar-liar")
		fi
		if [[ ${WATCH:-0} == 1 ]]; then args+=(--watch); fi
		if [[ -n ${INTERRUPTS:-} ]]; then args+=(--interrupts "$INTERRUPTS"); fi
		if [[ -n ${DEVICES:-} ]]; then args+=(--devices "$DEVICES"); fi
	fi
	if [[ -n ${HOTPLUG:-} ]]; then args+=(--hotplug "$HOTPLUG"); fi
	case ${IOMMU:-0} in
	0) ;;
	1) args+=(--iommu) ;;
	*) die "IOMMU=$IOMMU: set it to 0 or 1" ;;
	esac
	if [[ ${COHERENT:-1} == 0 ]]; then args+=(--non-coherent); fi
	if [[ -n ${MEMORY:-} ]]; then args+=(--memory-backend "$MEMORY"); fi
	if [[ -n ${MEMORY_SIZE:-$memory_size} ]]; then args+=(--memory "${MEMORY_SIZE:-$memory_size}"); fi
	words+=("ringbar.cycles=${CYCLES:-0}" "ringbar.full=${FULL:-0}")
	if [[ ${KEXEC:-0} == 1 ]]; then
		# The kernel starts no other.
		args+=("--file=$image:/boot/vmlinuz")
		words+=(ringbar.kexec)
	fi
	if [[ $KERNEL == debug ]]; then words+=("$(detector_word)"); fi
	if [[ -n ${SEED:-} ]]; then words+=("ringbar.seed=$SEED"); fi
	# The first kernel takes no word after `--`; the second one does.
	if [[ ${KEXEC:-0} == 1 ]]; then words+=(--); fi
	if [[ -n ${KERNEL_ARGS:-} ]]; then words+=("$KERNEL_ARGS"); fi
	args+=(--append "${words[*]}")
	case ${TRACE:-0} in
	0) ;;
	1) args+=(--plugin "$programs/libringbar_plugin.so") ;;
	boot) args+=(--plugin "$programs/libringbar_plugin.so" --plugin-arg=from=boot) ;;
	*) die "TRACE=$TRACE: set it to 0, 1 or boot" ;;
	esac
	# The plugin records executed code in place of accesses.
	if [[ -n ${COVERAGE:-} ]]; then args+=(--plugin "$programs/libringbar_plugin.so" --coverage); fi
	if [[ ${TRACE:-0} != 0 || -n ${COVERAGE:-} ]]; then "$ci_dir/programs.sh" plugin; fi
	args+=("${named[@]}")
	for word in ${SERVER_ARGS:-}; do args+=("--server-arg=$word"); done
	while IFS= read -r -d '' word; do args+=("--qemu-arg=$word"); done < <(words_of "${QEMU_ARGS:-}")
	IFS=, read -ra files <<<"${FILES:-}"
	for word in "${files[@]}"; do args+=("--file=$word"); done
	if [[ ${GDB:-0} == 1 ]]; then
		gdb=$("$ci_dir/extra.sh" files gdb) || return
		while IFS= read -r word; do args+=("--file=$word"); done <<<"$gdb"
	fi
	"$programs/ringbar-vm-runner" "$command" "${args[@]}" "$@"
}

# hint GOAL [PATTERN]: prints the command that repeats this run, without the variables that match
# PATTERN. make needs each dollar doubled.
hint() {
	local variable value hint='' but=${2:-}
	for variable in "${run_variables[@]}"; do
		value=${!variable:-}
		# shellcheck disable=SC2053 # a pattern
		if [[ -n $value && $value != @(stock|x86-64|7.3) && $variable != $but ]]; then hint+=" $variable=${value@Q}"; fi
	done
	printf 'make %s%s\n' "${project:+-C ${project@Q} }$1" "${hint//\$/\$\$}"
}

# run NAME REPORT [HINT]: runs test programs. TESTS, ARGS and TIMEOUT matter here only. `more` has
# further options for the runner.
more=()
run() {
	local word files args=() code=(--module="$module" --programs="$listed" "${roots[@]/#/--root=}")
	name_registers
	# With the witness, a run takes longer and suits some programs only, so those variables are
	# dropped. A caller with a hint of its own runs something else than `make trace` does.
	if [[ -z ${3:-} ]] && traceable; then args+=(--trace-hint "$(hint trace '@(TRACE|TESTS|ARGS|TIMEOUT)')"); fi
	if [[ -n ${TESTS:-} ]]; then args+=("--tests=$TESTS"); fi
	if [[ -n ${TIMEOUT:-} ]]; then args+=(--timeout "$TIMEOUT"); fi
	for word in ${ARGS:-}; do args+=("--arg=$word"); done
	files=$(files_of_programs) || return
	if [[ -n $files ]]; then
		while IFS= read -r word; do args+=("--file=$word"); done <<<"$files"
	fi
	if one_is_named "${TESTS:-}" memory_hotplug; then
		args+=(--spare-memory)
		# With room above 4 GiB the kernel sets 64 MiB aside to bounce memory (swiotlb). In 512M it would then
		# cut an initramfs of 140 MB short.
		if [[ $KERNEL == stock ]]; then memory_size=1G; fi
	fi
	# They map 1 GiB.
	if one_is_named "${TESTS:-}" vfio_selftests; then memory_size=2G; fi
	if [[ ${TRACE:-0} != 0 ]]; then
		# It judges the records as soon as the guest has ended.
		"$ci_dir/programs.sh" report || return
		args+=(--judge "$programs/ringbar-report")
		for word in judge "${code[@]}"; do args+=("--judge-arg=$word"); done
	fi
	args+=("${more[@]}")
	local status=0 builder
	# The program that draws the report is compiled while the guest runs.
	nice "$ci_dir/programs.sh" report >/dev/null 2>&1 &
	builder=$!
	vm run "$1" --report-dir "$2" --rerun-hint "${3:-$(hint run)}" "${args[@]}" || status=$?
	# The user stopped the run. No other run begins, and the page stays that of an earlier run.
	if ((status >= 128)); then
		end_tree "$builder"
		exit "$status"
	fi
	# For a later `make report`: the report needs the code that ran.
	if [[ -d $2/logs/$1 ]]; then printf '%s\n' "$module" "$listed" "${roots[@]}" >"$2/logs/$1/code.txt"; fi
	if kill -0 "$builder" 2>/dev/null; then say "the results are complete; now compiling the program that draws their page"; fi
	# If it failed, `report` compiles again, and shows why.
	wait "$builder" || true
	report "$1" "$2" || status=1
	return "$status"
}

# report NAME REPORT: draws the run's page. A run that could not begin may have left no results.
report() {
	[[ -e $2/results.json ]] || return 0
	local code=("$module" "$listed" "${roots[@]}") root=()
	if [[ -e $2/logs/$1/code.txt ]]; then mapfile -t code <"$2/logs/$1/code.txt"; fi
	"$ci_dir/programs.sh" report || return
	root=("${code[@]:2}")
	"$programs/ringbar-report" draw --logs "$2/logs/$1" --results "$2/results.json" \
		--module "${code[0]}" --programs "${code[1]}" "${root[@]/#/--root=}" --out "$2" \
		--versions "$sysroot/etc/ringbar-versions" \
		--bench "$checkout/build/report/bench.json" --bench "$checkout/build/report/bench-trace.json"
}

# again: draws the page of the last run again, since a benchmark may have run meanwhile. Runs that
# are meant to fail do not count.
again() {
	local reports=$checkout/build/report folder logs
	folder=$(cd "$reports" 2>/dev/null && find . -maxdepth 2 -name results.json ! -path './sabotage-*' ! -path './bench*' \
		-printf '%T@ %h\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-) || true
	[[ -n $folder ]] || die "there is no run to report: try make trace"
	folder=$(realpath -- "$reports/$folder")
	logs=$(find "$folder/logs" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %f\n' | sort -n | tail -n 1 | cut -d ' ' -f 2-)
	report "$logs" "$folder"
}

# configuration_line NAME: prints its variables from the file of configurations.
configuration_line() {
	local name variables
	while read -r name variables; do
		if [[ $name == "$1" ]]; then
			printf '%s\n' "$variables"
			return
		fi
	done <"$ci_dir/configurations"
	die "there is no configuration $1; there are: $(sed -n 's/^\([a-z][a-z0-9.-]*\) .*/\1/p' "$ci_dir/configurations" | tr '\n' ' ')"
}

# Programs of `run` if TESTS is not set: a tour for people, then one program per link of the chain.
# Together they take seconds.
chain=tour,registers,device_memory,dma,checks,queue,client_examples,refusals,removal

# both_tests CALLER HERE: prints the programs that both lists have, in the guest's format. A list
# without a name to run has all programs but those that it leaves out.
both_tests() {
	local list name bit=1 naming=0 both=() without=()
	# For each name, the lists that have it, as `naming` has the lists with names.
	local -A lists=()
	for list in "$1" "$2"; do
		for name in ${list//,/ }; do
			case $name in
			all) ;;
			-*) without+=("$name") ;;
			*)
				lists[$name]=$((${lists[$name]:-0} | bit))
				naming=$((naming | bit))
				;;
			esac
		done
		bit=2
	done
	if ((naming == 0)); then
		both=("${without[@]}")
		if [[ ${#both[@]} == 0 && -n $1$2 ]]; then both=(all); fi
	fi
	for name in ${1//,/ } ${2//,/ }; do
		if [[ ${lists[$name]:-} == "$naming" && " ${without[*]} " != *" -$name "* ]]; then
			both+=("$name")
			unset "lists[$name]"
		fi
	done
	(IFS=, && printf '%s\n' "${both[*]}")
}

# configuration NAME: runs a line of the file of configurations.
configuration() {
	local name=$1 line word variable value tests=''
	line=$(configuration_line "$name")
	for word in $line; do
		variable=${word%%=*} value=${word#*=}
		case $variable in
		KERNEL_ARGS | SERVER_ARGS) printf -v "$variable" '%s' "$value ${!variable:-}" ;;
		TESTS) tests=$value ;;
		*) if [[ -z ${!variable:-} ]]; then printf -v "$variable" '%s' "$value"; fi ;;
		esac
	done
	if [[ -n ${EXAMPLE:-} && $line != *EXAMPLE=* ]]; then
		say "$name runs no example: leave out EXAMPLE=$EXAMPLE"
		return
	fi
	if [[ -n ${EXAMPLE:-} ]]; then
		choose_examples
		# These programs alone are packed.
		tests=$(IFS=, && printf '%s' "${example_programs[*]}")
		# The witness would watch one of several devices.
		traceable || TRACE=0
		# These variables are for ringbar, and make would refuse them if they were in the command that
		# repeats the run.
		unset DEVICES INTERRUPTS KEXEC
	fi
	if [[ -n ${TESTS:-} && -z $(both_tests "$TESTS" "$tests") ]]; then
		say "$name runs none of $TESTS"
		return
	fi
	TESTS=$(both_tests "${TESTS:-}" "$tests")
	if [[ -n ${EXAMPLE:-} ]]; then EXAMPLE=$EXAMPLE "$ci_dir/build.sh" || return; fi
	# The plugin sees only code that QEMU translates.
	if [[ ${TRACE:-0} != 0 && ${ACCEL:-tcg} != tcg ]]; then
		say "$name is left out: there is no witness under ACCEL=$ACCEL"
		return
	fi
	local status=0
	if [[ -n ${COVERAGE:-} ]]; then
		run "$name" "$COVERAGE/$name" "make coverage"
		return
	fi
	run "$name" "$checkout/build/report/$name" || status=$?
	read_by_others "$name" || status=1
	if one_is_named "${TESTS:-}" vfio_selftests pfnmap stress_ng; then "$ci_dir/judges.sh" >/dev/null || status=1; fi
	return "$status"
}

# read_by_others NAME: fails if other tools do not find in the reports of a run what the runner
# found. A run that could not begin may have left no results.
read_by_others() {
	local reports=$checkout/build/report/$1
	[[ -e $reports/results.json ]] || return 0
	"$ci_dir/readers.sh" "$reports" "$1"
}

# verdict CONFIGURATION...: makes one table of all paths to the device from the results of these
# configurations and a run without a guest. One of the configurations has an IOMMU.
verdict() {
	local name args=()
	if [[ -n ${TESTS:-} ]]; then
		say "no table of all paths: only $TESTS ran"
		return
	fi
	for name in "$@"; do args+=(--results "$checkout/build/report/$name/logs/$name/results.ktap"); done
	if [[ -n ${SEED:-} ]]; then args+=(--seed "$SEED"); fi
	"$ci_dir/programs.sh" verdict || return
	"$programs/ringbar-verdict" --server "$server" \
		"${args[@]}" --table "$checkout/build/report/vectors$kernel_suffix.md"
}

# run_once: makes a run for the user. If it waited for another run, it leaves that one's report
# alone.
run_once() {
	local usual=$checkout/build/report place
	place=$(own_place "$usual")
	if [[ $place != "$usual" ]]; then say "the other run's report stays in ${usual#"$checkout/"}, this one's goes to ${place#"$checkout/"}"; fi
	if [[ -n ${EXAMPLE:-} ]]; then
		run "${EXAMPLE//,/-}" "$place"
		return
	fi
	if [[ -z ${TESTS:-} ]]; then more=(--tests "$chain"); fi
	run run "$place"
	if [[ -z ${TESTS:-} ]]; then say "these were short tests of the chain; for all programs: make run TESTS=all"; fi
}

# shell NAME ARGS...: opens a shell on this terminal. It may stay open for hours, and needs nothing
# of build/ once it runs.
shell() {
	local example=()
	if ((${#example_programs[@]})); then example=(--example "/tests/${example_programs[0]}"); fi
	if [[ ${TESTS:-all} != all ]]; then example=(--example "/tests/${TESTS%%,*}${ARGS:+ $ARGS}"); fi
	name_registers
	# So that `make swap` can replace the server meanwhile.
	: "${WATCH:=1}"
	release_checkout
	vm shell "$1" --report-dir "$(own_place "$checkout/build/report")" "${example[@]}" "${@:2}"
}

# debug: opens a shell, and lets gdb attach to the machine. gdb needs the module in build/. The
# release has its kernel's symbols only in a package of several hundred megabytes.
debug() {
	local symbols=() file gdb
	if [[ $KERNEL == debug ]]; then
		file=$("$ci_dir/kernel-symbols.sh")
		symbols=(--kernel-symbols "$file")
	fi
	printf -v gdb '%q gdb' "$ci_dir/extra.sh"
	# Another terminal does not know it.
	if [[ -n $guest_suffix ]]; then gdb="ARCH=$ARCH $gdb"; fi
	shell debug --debug="${STOP:-driver}" --module "$module" "${symbols[@]}" --sources "${project:-$checkout}" --gdb "$gdb"
}

# Drawing a page again or reading reports changes nothing that a run needs, so they take no lock.
if [[ ${1:-} != report && ${1:-} != read ]]; then hold_checkout "$@"; fi
sysroot=$("$ci_dir/sysroot.sh")
kernel=$("$ci_dir/kernel.sh")
if [[ ${1:-} == @(run|shell|debug) ]]; then choose_examples; fi
case ${1:-} in
run) run_once ;;
shell) shell shell ;;
debug) debug ;;
configuration) configuration "$2" ;;
read) read_by_others "$2" ;;
verdict) verdict "${@:2}" ;;
measure) run "$2" "$checkout/build/report/$2" "$3" ;;
cover) run "$2" "$COVERAGE/$2" "make coverage" ;;
report) if [[ -n ${2:-} ]]; then report "$2" "$checkout/build/report/$2"; else again; fi ;;
sabotage)
	module=$3 initramfs=$4
	server=${5:-$server}
	# An expected hang need not take the usual time.
	more=(--haste "${HASTE:-1}")
	run "$2" "$checkout/build/report/$2" "make test-sabotage"
	;;
plain)
	initramfs=$3
	vm run "$2" --report-dir "$checkout/build/report/$2" --rerun-hint "make mutants" --tests="$TESTS"
	;;
bench)
	# For comparison there are QEMU's own device `edu`, a second device whose server is behind a broker, one whose
	# server does nothing but answer and return words, and with PEER one whose server others wrote.
	DEVICES=2 KERNEL_ARGS="ringbar.brokered=1 ${KERNEL_ARGS:-}"
	more=(--measure "$programs/ringbar-bench-host" --qemu-arg=-device --qemu-arg=edu --broker "$programs/ringbar-broker" --broker-from 1)
	more+=(--own-server "$programs/ringbar-bench-floor")
	if [[ -n ${PEER:-} ]]; then more+=(--own-server "$ci_dir/bench-peer.sh"); fi
	TESTS=bench run bench "$checkout/build/report/bench" "make bench"
	;;
boot) DEVICES=$2 vm boot boot --report-dir "$checkout/build/report/bench" ;;
*) die "usage: $0 run|shell|debug|configuration NAME|verdict NAME...|report [NAME]|read NAME|measure NAME HINT|cover NAME|sabotage NAME MODULE INITRAMFS [SERVER]|plain NAME INITRAMFS|bench|boot DEVICES" ;;
esac
