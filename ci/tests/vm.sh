#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The results of vm.sh after a run, and the pages of its runs.
# shellcheck disable=SC2016 # another shell expands what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export RINGBAR_CACHE=$place/cache STATUS CALLS=$place/calls ARGUMENTS=$place/arguments DRAWN=$place/drawn
# The checkout's path contains words that have a meaning below build/report. Here they must have
# none.
checkout=$place/bench/sabotage-x
programs=$checkout/build/programs
mkdir -p "$programs" && cp -r "$ci" "$ci/../Cargo.toml" "$checkout"
unset EXAMPLE
shipped_examples "$place/examples"
for name in edu shared_buffer sum; do
	mkdir -p "$checkout/guest-driver/$name" && echo "obj-m := ringbar_$name.o" >"$checkout/guest-driver/$name/Kbuild"
done
# Stands in for the runner: notes the configuration, leaves results and logs, and ends with the
# given status. The report notes the run of its logs, and the verdict passes.
cat >"$programs/ringbar-vm-runner" <<'END'
#!/bin/sh
echo "$*" >"$ARGUMENTS"
while [ "$1" != --name ]; do shift; done
name=$2
echo "run $name" >>"$CALLS"
while [ "$1" != --report-dir ]; do shift; done
mkdir -p "$2/logs/$name" && touch "$2/results.json"
# Makes the next run younger: times of files have steps of some milliseconds.
sleep 0.02
exit "$STATUS"
END
printf '#!/bin/sh\necho "report ${3##*/}" >>"$CALLS"\necho "$*" >"$DRAWN"\n' >"$programs/ringbar-report"
printf '#!/bin/sh\n' | tee "$programs/"ringbar-{verdict,bench-host} "$checkout/ci/"{sysroot,programs}.sh >"$checkout/ci/kernel.sh"
printf '#!/bin/sh\necho module:/module\n' >"$checkout/ci/memory-modules.sh"
# Stands in for the build, which then runs the command.
printf '#!/bin/sh\n[ $# = 0 ] || echo build >>"$CALLS"\nexport RINGBAR_HELD=%q\nexec ${1:+"$@"}\n' "$checkout" >"$checkout/ci/build.sh"
chmod +x "$programs/"*

# vm STATUS ARG...: prints the exit status of vm.sh if each run ends with STATUS. `calls` has its
# calls.
vm() {
	local status=0
	STATUS=$1
	: >"$CALLS"
	"$checkout/ci/${script:-vm}.sh" "${@:2}" >/dev/null 2>&1 || status=$?
	calls=$(sort "$CALLS" | uniq -c | awk '{ print $1, $2, $3 }' | tr '\n' ' ')
	ended=$status
}

vm 1 configuration stock-msix
equal failed_run_has_a_page '1 report stock-msix 1 run stock-msix ' "$calls"
equal failed_run_fails_its_configuration 1 "$ended"
vm 130 configuration stock-msix
equal interrupted_run_has_no_page '1 run stock-msix ' "$calls"
equal interrupted_run_ends_with_its_status 130 "$ended"
vm 0 configuration stock-msi
equal missing_configuration_runs_nothing '' "$calls"

# told WORD: prints the value of the runner's option, or of the word on the kernel command line, in
# the last run.
told() { grep -oE -- "(^| )$1[= ][^ ]*" "$ARGUMENTS" | sed "s/^ *$1[= ]//" | tail -n 1; }
vm 0 configuration stock-msi-iommu
equal configuration_has_what_its_line_says '4 msi 10 -vanished_server' "$(told --devices) $(told --interrupts) $(told ringbar.cycles) $(told --tests)"
DEVICES=3 CYCLES=7 vm 0 configuration stock-msi-iommu
equal callers_variables_win '3 7' "$(told --devices) $(told ringbar.cycles)"
KERNEL_ARGS='more' vm 0 configuration stock-bounced
equal words_for_the_kernel_come_on_top 'swiotlb=force more' "$(grep -o 'swiotlb=force more' "$ARGUMENTS" | head -n 1)"
equal kernel_that_starts_another_has_its_image '/vmlinuz:/boot/vmlinuz ringbar.kexec' \
	"$(told --file) $(grep -o 'ringbar\.kexec' "$ARGUMENTS" | head -n 1)"
equal kernel_starts_without_its_image vmlinux "$(basename "$(told --kernel)")"
equal configuration_has_its_memory file "$(told --memory-backend)"
MEMORY=memfd vm 0 configuration stock-bounced
equal memory_is_the_callers memfd "$(told --memory-backend)"
MEMORY_SIZE=8G vm 0 configuration stock-bounced
equal size_of_the_memory_is_the_callers 8G "$(told --memory)"
equal machine_has_no_room_for_more_memory '' "$(grep -oE -- '--spare-memory' "$ARGUMENTS" || true)"
IMAGE=1 vm 0 configuration stock-bounced
equal kernel_that_shall_wake_starts_by_its_image 'vmlinuz 1' "$(basename "$(told --kernel)") $(told ringbar.image)"
vm 0 configuration stock-swapped
equal broker_stands_before_servers_that_are_replaced 'ringbar-broker' "$(basename "$(told --broker)")"
equal another_build_takes_turns_with_the_server 'ringbar-server ringbar-liar' "$(basename "$(told --server)") $(basename "$(told --other-server)")"
equal servers_of_a_run_are_not_watched '' "$(grep -oE -- '--watch' "$ARGUMENTS" || true)"
WATCH=1 vm 0 configuration stock-bounced
equal watched_servers_have_a_broker 'ringbar-broker --watch' "$(basename "$(told --broker)") $(grep -oE -- '--watch' "$ARGUMENTS" | head -n 1)"
KEXEC=0 vm 0 configuration stock-bounced
equal caller_can_leave_the_second_kernel_out '' "$(grep -o 'ringbar\.kexec' "$ARGUMENTS" || true)"
vm 0 configuration stock-msi-iommu
equal one_configuration_has_the_native_controller_of_slots native "$(told --hotplug)"
HOTPLUG=acpi vm 0 configuration stock-msi-iommu
equal controller_of_the_slots_is_the_callers acpi "$(told --hotplug)"
TESTS=dma,attack,queue vm 0 configuration stock-bounced
equal of_the_callers_programs_those_of_the_configuration_run dma "$(told --tests)"
TESTS=vanished_server,queue vm 0 configuration stock-msi-iommu
equal program_that_is_left_out_stays_out queue "$(told --tests)"
TESTS=dma vm 0 configuration stock-vanished
equal configuration_that_has_none_of_the_programs_does_not_run '0 ' "$ended $calls"
ACCEL=kvm vm 0 configuration stock-traced
equal there_is_no_witness_under_kvm '0 ' "$ended $calls"

# options: prints the options of the last run that are about drivers and devices.
options() { grep -oE -- '--(driver|server|own-server|interrupts|devices|qemu-arg|initrd|name|tests)[= ][^ ]*' "$ARGUMENTS" | sed "s|$checkout/build/||" | sort | tr '\n' ' '; }
vm 0 configuration stock-examples
equal examples_run_with_their_drivers_and_devices_and_without_ringbar \
	'--driver ringbar_edu:/dev/ringbar-edu0 --driver ringbar_shared_buffer:/dev/ringbar-shared-buffer0 --driver ringbar_sum:/dev/ringbar-sum0 --initrd guest/example-all.cpio --interrupts msi --name stock-examples --own-server programs/ringbar-example-sum --qemu-arg=-device --qemu-arg=edu --tests=edu,shared_buffer,sum ' \
	"$(options)"
equal examples_have_a_page_of_their_own '1 report stock-examples 1 run stock-examples ' "$calls"
EXAMPLE=edu vm 0 configuration stock-examples
equal callers_example_runs_alone '--driver ringbar_edu:/dev/ringbar-edu0 --initrd guest/example-edu.cpio --interrupts msix --name stock-examples --qemu-arg=-device --qemu-arg=edu --tests=edu ' "$(options)"
TESTS=dma vm 0 configuration stock-examples
equal examples_have_none_of_ringbars_programs '0 ' "$ended $calls"
TESTS=dma,sum vm 0 configuration stock-examples
equal of_the_callers_programs_those_of_the_examples_run sum "$(told --tests)"
EXAMPLE=edu vm 0 configuration stock-msix
equal other_configuration_has_no_example '0 ' "$ended $calls"
TRACE=1 vm 0 configuration stock-examples
equal there_is_no_witness_for_examples '' "$(grep -o -- --plugin "$ARGUMENTS" || true)"
EXAMPLE=edu,sum vm 0 run
equal examples_run_in_place_of_the_chain 'edu-sum ' "$(told --name) $(told --tests)"
equal failed_case_of_several_examples_is_not_traced '' "$(grep -o -- --trace-hint "$ARGUMENTS" || true)"
EXAMPLE=sum ARGS='bytes sum' vm 0 run
equal arguments_are_for_the_one_program_of_an_example 'sum --arg=bytes --arg=sum' "$(told --tests) $(grep -oE -- '--arg=[a-z]+' "$ARGUMENTS" | paste -sd ' ')"
EXAMPLE=sum vm 0 shell
equal shell_of_an_example_has_its_server '--driver ringbar_sum:/dev/ringbar-sum0 --initrd guest/example-sum.cpio --interrupts msi --name shell --own-server programs/ringbar-example-sum ' "$(options)"
EXAMPLE=tow vm 0 run
equal missing_example_runs_nothing '1 ' "$ended $calls"
TESTS=-sum vm 0 configuration stock-examples
equal program_that_the_caller_leaves_out_of_a_list_stays_out edu,shared_buffer "$(told --tests)"
EXAMPLE=sum TESTS=-sum vm 0 configuration stock-examples
equal configuration_whose_last_program_is_left_out_does_not_run '0 ' "$ended $calls"
TESTS=-dma vm 0 configuration stock-msi-iommu
equal programs_that_caller_and_configuration_leave_out_stay_out -dma,-vanished_server "$(told --tests)"
DEVICES=2 INTERRUPTS=msix vm 0 configuration stock-examples
equal command_that_repeats_examples_has_no_variable_of_ringbars_device '' "$(grep -oE -- "--rerun-hint.*--" "$ARGUMENTS" | grep -oE '(DEVICES|INTERRUPTS)=' || true)"
for script in bench bench-trace sabotage; do
	EXAMPLE=edu script=$script vm 0 device
	equal "script_for_ringbar_alone_refuses_an_example $script" '1 ' "$ended $calls"
	equal "script_for_ringbar_alone_names_the_way_with_an_example $script" 1 \
		"$(EXAMPLE=edu "$checkout/ci/$script.sh" device 2>&1 | grep -c 'leave EXAMPLE out, or run make test EXAMPLE=edu' || true)"
done
unset script

# judge: the options of the judge that the last run got.
judge() { grep -oE -- '--judge[^ ]*( /[^ ]*)?' "$ARGUMENTS" | sed "s|$checkout|.|" || true; }
TRACE=1 vm 0 run
equal traced_run_is_judged_with_the_code_that_it_ran "--judge ./build/programs/ringbar-report
--judge-arg=judge
--judge-arg=--module=./build/module/ringbar.ko
--judge-arg=--programs=./build/guest/programs" "$(judge)"
printf '#!/bin/sh\necho "0 0x0c START $*"\n' >"$programs/ringbar-example-sum"
chmod +x "$programs/ringbar-example-sum"
TRACE=1 EXAMPLE=sum vm 0 run
equal traced_run_of_an_example_is_judged_with_the_code_that_it_ran "--judge-arg=--module=./build/module-sum/ringbar_sum.ko
--judge-arg=--programs=./build/guest/example-programs" "$(judge | grep -e '=--')"
equal witness_gets_the_names_of_the_registers_from_the_examples_server '0 0x0c START --registers' "$(cat "$(told --plugin-arg=registers)")"
printf '#!/bin/sh\nexit 2\n' >"$programs/ringbar-example-sum"
TRACE=1 EXAMPLE=sum vm 0 run
equal server_without_names_of_registers_runs_nothing '1 ' "$ended $calls"
equal server_without_names_of_registers_is_named_with_what_to_do 1 \
	"$(TRACE=1 EXAMPLE=sum "$checkout/ci/vm.sh" run 2>&1 | grep -c '`ringbar-example-sum --registers` printed no registers.*have it print a line BAR OFFSET NAME')"
# A project outside, which uses this checkout. Its sources are where it is, and where Kbuild sees them.
project=$place/own
mkdir -p "$project/frob/driver" && ln -s "$checkout" "$project/ringbar"
echo 'obj-m := ringbar_frob.o' >"$project/frob/driver/Kbuild"
crate "$project/frob" frob-device frob-device frob
printf '%s\n' 'driver driver' 'program frob' 'server frob-device' >"$project/frob/example"
printf '#!/bin/sh\necho "0 0x0c START"\n' >"$programs/frob-device"
chmod +x "$programs/frob-device"
of_project="--root=$project --root=/project --root=/ringbar/build/module-frob-driver"
AT=$project TRACE=1 vm 0 run
equal traced_run_of_a_project_is_judged_with_its_sources "$of_project" "$(judge | sed -n 's/^--judge-arg=\(--root\)/\1/p' | paste -sd ' ')"
equal page_of_a_project_is_drawn_with_its_sources "$of_project" "$(grep -o -e '--root=[^ ]*' "$DRAWN" | paste -sd ' ')"
: >"$DRAWN"
vm 0 report
equal page_of_a_project_is_drawn_again_with_its_sources "$of_project" "$(grep -o -e '--root=[^ ]*' "$DRAWN" | paste -sd ' ')"
TRACE=1 vm 0 sabotage sabotage-leak broken.ko initramfs
equal traced_run_of_another_module_is_judged_with_that_module --judge-arg=--module=broken.ko "$(judge | grep module)"
vm 0 run
equal run_without_the_witness_has_no_judge '' "$(judge)"

# detector: the words for the leak detector that the last run's kernel got.
detector() { grep -oE 'kmemleak=[a-z]+|slab_debug=[A-Z]+' "$ARGUMENTS" || true; }
for tests in leaks queue,leaks all -queue; do
	KERNEL=debug TESTS=$tests vm 0 run
	equal "leak_detector_is_on_where_leaks_runs $tests" slab_debug=FZP "$(detector)"
done
for tests in '' queue -queue,-leaks; do
	KERNEL=debug TESTS=$tests vm 0 run
	equal "leak_detector_is_off_where_leaks_does_not_run '$tests'" kmemleak=off "$(detector)"
done
TESTS=leaks vm 0 run
equal stock_kernel_has_no_leak_detector '' "$(detector)"

# files: the files that the last run got in addition.
files() { grep -oE -- '--file=[^ ]+' "$ARGUMENTS" || true; }
printf '#!/bin/sh\necho copy:/copy\necho python:/python\n' >"$checkout/ci/languages.sh"
for tests in languages dma,languages; do
	TESTS=$tests vm 0 run
	equal "run_that_names_languages_has_its_files $tests" $'--file=copy:/copy\n--file=python:/python' "$(files)"
done
printf '#!/bin/sh\necho selftest:/selftest\n' >"$checkout/ci/selftests.sh"
printf '#!/bin/sh\necho "$2":/"$2"\n' >"$checkout/ci/extra.sh"
for tests in vfio_selftests pfnmap; do
	TESTS=$tests vm 0 run
	equal "run_that_names_selftests_has_their_files $tests" --file=selftest:/selftest "$(files)"
done
TESTS=dma,stress_ng vm 0 run
equal run_that_names_stress_ng_has_its_files --file=stress-ng:/stress-ng "$(files)"
TESTS=dma,memory_hotplug vm 0 run
equal run_that_names_memory_hotplug_has_its_modules --file=module:/module "$(files)"
equal run_that_names_memory_hotplug_has_room_for_more_memory --spare-memory "$(grep -oE -- '--spare-memory' "$ARGUMENTS")"
equal run_that_names_memory_hotplug_has_memory_for_its_files 1G "$(told --memory)"
TESTS=vfio_selftests vm 0 run
equal vfio_selftests_have_room_for_their_memory 2G "$(told --memory)"
for tests in '' dma all -languages; do
	TESTS=$tests vm 0 run
	equal "other_run_has_no_files '$tests'" '' "$(files)"
done

# Stands in for the compilation of the report program: it ends when the run says that it waits for
# it, or after half a minute.
cp "$checkout/ci/programs.sh" "$place/programs.sh"
cat >"$checkout/ci/programs.sh" <<'END'
#!/bin/sh
[ "$1" = report ] || exit 0
for _ in $(seq 600); do
	grep -q page "$CALLS.err" && break
	sleep 0.05
done
END
STATUS=0 "$checkout/ci/vm.sh" run 2>"$CALLS.err" >/dev/null
equal run_says_that_it_waits_for_the_program_of_the_page 1 "$(grep -c 'now compiling the program that draws their page' "$CALLS.err")"
mv "$place/programs.sh" "$checkout/ci/programs.sh"

printf '#!/bin/sh\necho /symbols\n' >"$checkout/ci/kernel-symbols.sh"
KERNEL=debug vm 0 debug
equal gdb_gets_the_symbols_of_the_debug_kernel /symbols "$(told --kernel-symbols)"
vm 0 debug
equal gdb_gets_no_symbols_of_a_kernel_that_has_none '' "$(told --kernel-symbols)"
EXAMPLE=sum STOP=guest-driver/sum/sum_main.rs:69 vm 0 debug
equal gdb_gets_the_place_and_the_driver_of_an_example 'guest-driver/sum/sum_main.rs:69 ringbar_sum.ko' "$(told --debug) $(basename "$(told --module)")"
EXAMPLE=edu,sum vm 0 debug
equal gdb_gets_the_driver_that_is_loaded_first ringbar_edu.ko "$(basename "$(told --module)")"

chain=$(sed -n 's/^chain=//p' "$ci/vm.sh")
vm 0 run
equal default_run_is_the_short_chain "$chain" "$(told --tests)"
equal run_of_the_chain_is_repeated_without_naming_programs 1 "$(grep -c -- '--rerun-hint make run --' "$ARGUMENTS")"
TESTS=all vm 0 run
equal run_of_all_programs_is_one_word_away all "$(told --tests)"
equal programs_of_the_chain_are_there '' "$(for program in ${chain//,/ }; do
	[[ -e $ci/../guest-rootfs/tests/src/bin/$program || -e $ci/../guest-rootfs/tests/src/bin/$program.rs ]] || echo "$program"
done)"

# trace_hint: prints the command with make trace that the last run got.
trace_hint() { grep -oE -- "--trace-hint make trace( [A-Z_]+='[^']*')*" "$ARGUMENTS" || true; }
IOMMU=1 TESTS=dma TIMEOUT=9 vm 0 run
equal failed_case_may_be_traced_in_the_same_machine "--trace-hint make trace IOMMU='1'" "$(trace_hint)"
EXAMPLE=sum vm 0 run
equal failed_case_of_an_example_with_a_server_may_be_traced "--trace-hint make trace EXAMPLE='sum'" "$(trace_hint)"
vm 0 measure bench 'make bench'
equal failed_case_of_another_target_is_not_traced '' "$(trace_hint)"

vm 0 configuration stock-msix
vm 0 configuration stock-64-queues
vm 0 sabotage sabotage-leak module initramfs
vm 0 bench
equal second_device_of_the_benchmark_is_behind_a_broker 'ringbar-broker 1 2 1' \
	"$(basename "$(told --broker)") $(told --broker-from) $(told --devices) $(told ringbar.brokered)"
vm 0 report
equal last_real_run_is_drawn_again '1 report stock-64-queues ' "$calls"
# The runner makes the folder anew.
rm -r "$checkout/build/report/logs/sum"
EXAMPLE=sum vm 0 run
vm 0 report
equal page_is_drawn_again_with_the_code_that_ran 'ringbar_sum.ko example-programs' \
	"$(sed -nE 's|.*--module [^ ]*/([^ ]*) --programs [^ ]*/([^ ]*) .*|\1 \2|p' "$DRAWN")"
vm 0 report bench
equal page_of_a_benchmark_is_drawn_again_on_request '1 report bench ' "$calls"
rm -r "$checkout/build/report"
BOOTS=1 script=bench vm 0
equal benchmark_draws_its_page_again_in_the_end 2 "$(grep -c 'report bench$' "$CALLS")"
fails benchmark_leaves_the_page_of_the_last_run_alone test -e "$checkout/build/report/results.json"
