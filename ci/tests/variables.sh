#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Refused variables of make, before any build, and the quotes in the command that repeats a run.
# shellcheck disable=SC2016 # another shell expands what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
shipped_examples "$place/examples"
# said VARIABLE=VALUE...: prints the output of variables.sh.
said() { env "$@" "$ci/variables.sh" 2>&1 || true; }
# refused NAME WORDS VARIABLE=VALUE...: checks that it fails with an error that contains WORDS.
refused() {
	local name=$1 words=$2 text status=0
	shift 2
	text=$(env "$@" "$ci/variables.sh" 2>&1) || status=$?
	if ((status == 0)) || [[ $text != *"$words"* ]]; then text="status $status: $text"; else text=$words; fi
	equal "$name" "$words" "$text"
}

equal values_that_are_right_pass '' "$(said TESTS=dma,queue INTERRUPTS=msi HOTPLUG=acpi IOMMU=1 LIES=1 BROKER=1 WATCH=0 ACCEL=auto TRACE=boot DEVICES=4 CYCLES=0 FULL=1 SEED=18446744073709551615 KERNEL=debug)"
refused unknown_program_is_refused_with_the_closest 'no test program `wakeup` (did you mean wakeups?)' TESTS=dma,wakeup
refused unknown_program_is_refused_with_the_list 'the programs are: all accesses ' TESTS=nonsense
refused empty_name_of_a_program_is_refused 'no test program `' TESTS=dma,
equal all_programs_pass '' "$(said TESTS=all)"
for wrong in KERNEL=debg INTERRUPTS=msi-x HOTPLUG=pciehp IOMMU=2 COHERENT=yes MEMORY=disk MEMORY_SIZE=8 MEMORY_SIZE=0G LIES=2 BROKER=2 WATCH=yes KEXEC=yes IMAGE=yes ACCEL=kwm TRACE=yes DEVICES=5 DEVICES=0 CYCLES=-1 CYCLES=08 FULL=2 SEED=x TIMEOUT=0 GDB=2; do
	refused "${wrong%=*}_of_${wrong#*=}_is_refused" "$wrong: set it to" "$wrong"
done
equal examples_pass '' "$(said EXAMPLE=edu,sum)$(said EXAMPLE=all TRACE=0)$(said EXAMPLE=edu TESTS=edu ARGS=bytes)"
refused unknown_example_is_refused_with_the_closest 'there is no example `edo` (did you mean edu?); the examples are: all edu' EXAMPLE=edo
refused empty_name_of_an_example_is_refused 'there is no example ``' EXAMPLE=edu,
refused repeated_example_is_refused '`edu` is there twice' EXAMPLE=edu,sum,edu
refused all_among_examples_is_refused 'set EXAMPLE=all, or leave `all` out' EXAMPLE=edu,all
refused program_of_ringbar_is_refused_in_an_example 'no test program `dma`' EXAMPLE=edu TESTS=dma
refused example_among_programs_is_refused_with_its_variable '`edu` is an example: run it with EXAMPLE=edu' TESTS=dma,edu
for wrong in DEVICES=2 INTERRUPTS=msi; do
	refused "${wrong%=*}_is_refused_with_an_example" "$wrong: leave it out with EXAMPLE=edu" "$wrong" EXAMPLE=edu
done
equal example_with_a_server_can_be_traced '' "$(said EXAMPLE=sum TRACE=1)$(said EXAMPLE=sum TRACE=boot)"
refused trace_of_an_example_without_a_server_is_refused 'EXAMPLE=edu has no server' EXAMPLE=edu TRACE=1
refused trace_of_several_examples_is_refused 'name one example with a server, as in EXAMPLE=sum' EXAMPLE=edu,sum TRACE=1
refused blank_place_to_stop_is_refused 'STOP= : say boot' 'STOP= '
refused two_lines_for_gdb_are_refused 'say boot, driver, or a function' STOP=$'main\nshell'
equal place_in_the_driver_that_gdb_knows_passes '' "$(said STOP=guest-driver/queue.rs:10)$(said STOP=guest-driver/sum/sum_main.rs:10 EXAMPLE=sum,edu)$(said STOP=guest-driver/mapping/map.rs:95 EXAMPLE=sum)"
refused place_in_the_driver_of_an_example_is_refused_without_it 'belongs to another driver than gdb knows, `ringbar`, which is loaded first: set EXAMPLE=sum' STOP=guest-driver/sum/sum_main.rs:10
refused place_in_a_driver_that_is_not_loaded_first_is_refused '`sum`, which is loaded first: set EXAMPLE=edu' STOP=guest-driver/edu/edu_main.rs:10 EXAMPLE=sum,edu
refused place_in_ringbars_driver_is_refused_with_an_example 'leave EXAMPLE out' STOP=guest-driver/queue.rs:10 EXAMPLE=sum
refused missing_file_to_stop_in_is_named 'there is no file guest-driver/qeue.rs' STOP=guest-driver/qeue.rs:10
refused argument_without_a_program_is_refused 'name it, as in TESTS=dma' ARGS=read
equal argument_is_for_the_one_program_of_an_example '' "$(said EXAMPLE=sum ARGS=bytes)$(said EXAMPLE=sum TESTS=all ARGS=bytes)"
refused argument_for_one_of_several_programs_is_refused_with_them \
	'name it, as in TESTS=edu ARGS=bytes; EXAMPLE=edu,sum has the programs: edu sum' EXAMPLE=edu,sum ARGS=bytes
refused argument_for_two_programs_of_examples_is_refused 'the programs: edu sum' EXAMPLE=edu,sum TESTS=edu,sum ARGS=bytes
refused argument_for_two_programs_is_refused 'are for one test program' ARGS=read TESTS=dma,queue
refused argument_that_would_add_kernel_words_is_refused 'read,init=x has other characters' TESTS=dma 'ARGS=read,init=x'
equal several_arguments_pass '' "$(said TESTS=dma 'ARGS=read write')"
refused open_quote_for_qemu_is_refused 'a quote is open' 'QEMU_ARGS=-device "edu'
touch "$place/a b"
equal file_with_a_blank_in_its_name_passes '' "$(said "FILES=$place/a b:/etc/a b")"
refused missing_file_is_named "there is no file $place/b" "FILES=$place/a b:/a,$place/b:/b"
refused place_that_is_not_absolute_is_named 'etc/b, does not begin with /' "FILES=$place/a b:etc/b"
refused file_without_a_place_is_refused 'write HOST:GUEST' "FILES=$place/a b"
refused folder_is_refused 'is not a readable file' "FILES=$place:/x"

for wrong in ACCEL=kvm HOTPLUG=acpi GDB=1 IMAGE=1 KEXEC=1; do
	refused "${wrong}_is_refused_on_arm64" "$wrong" ARCH=arm64 "$wrong"
done
refused machine_without_coherence_is_of_arm64 "COHERENT=0: devices of x86-64 always see the caches" COHERENT=0
refused unknown_architecture_is_refused_with_those_that_are_there 'ARCH=arm: set it to x86-64, arm64 or arm64-16k' ARCH=arm
equal architecture_passes '' "$(said ARCH=arm64-16k IOMMU=1 COHERENT=0 HOTPLUG=native INTERRUPTS=msi)"
for script in bench bench-trace coverage mutants sabotage initramfs-check unplug-check; do
	equal "${script}_refuses_another_architecture" 1 "$(ARCH=arm64 "$ci/$script.sh" device 2>&1 | grep -c 'ARCH=arm64: .* is for guests on x86-64 alone' || true)"
done

for script in bench bench-trace coverage mutants initramfs-check unplug-check; do
	equal "${script}_refuses_another_series" 1 "$(LINUX=7.2 "$ci/$script.sh" device 2>&1 | grep -c 'LINUX=7.2: .* is for Linux 7.3 alone' || true)"
done

misspelt() { "$ci/variables.sh" "$@" 2>&1 || true; }
refused native_controller_needs_the_stock_kernel "HOTPLUG=native: lockdep of the debug kernel reports pciehp's own order of locks" HOTPLUG=native KERNEL=debug
equal second_kernel_needs_the_stock_kernel 'ringbar: error: KEXEC=1: the debug kernel starts no other kernel: leave KERNEL=debug out' "$(said KEXEC=1 KERNEL=debug)"
equal second_kernel_needs_the_memory_without_an_iommu 'ringbar: error: KEXEC=1: the IOMMU of IOMMU=1 would keep the device from the memory: leave it out' "$(said KEXEC=1 IOMMU=1)"
equal misspelt_variable_is_refused_with_the_closest 'ringbar: error: there is no variable TEST: did you mean TESTS? `make` alone lists them' "$(misspelt IOMMU TEST)"
equal unrelated_variable_passes '' "$(misspelt CARGO_NET_OFFLINE V)"
equal make_names_the_given_variables 'ringbar: error: there is no variable IOMU: did you mean IOMMU? `make` alone lists them' \
	"$(make -C "$ci/.." variables IOMU=1 2>&1 | grep error:)"

# A checkout in which stand-ins replace all builds. Its runner writes down the command that repeats
# the run.
checkout=$place/checkout
mkdir -p "$checkout/build/programs" "$checkout/guest-rootfs/tests/src/bin" && cp -r "$ci" "$ci/../Cargo.toml" "$checkout"
mkdir -p "$checkout/guest-driver/edu" && echo 'obj-m := ringbar_edu.o' >"$checkout/guest-driver/edu/Kbuild"
printf '#!/bin/sh\nwhile [ $# -gt 0 ]; do case $1 in --rerun-hint) echo "$2" >>"$HINT";; esac; printf "%%s\\n" "$1" >>"$HINT.args"; shift; done\n' \
	>"$checkout/build/programs/ringbar-vm-runner"
printf '#!/bin/sh\n' | tee "$checkout/ci/"{sysroot,programs}.sh >"$checkout/ci/kernel.sh"
chmod +x "$checkout/build/programs/ringbar-vm-runner"
given=(TESTS=dma 'ARGS=read write' "QEMU_ARGS=-device 'edu,x=a b' -name \$HOME#1" "FILES=it's:/etc/a,b:/b")
env HINT="$place/hint" "${given[@]}" "$checkout/ci/vm.sh" run
# make must turn the printed command into the given values again.
printf 'run:\n\t@printf "%%s\\n" "TESTS=$$TESTS" "ARGS=$$ARGS" "QEMU_ARGS=$$QEMU_ARGS" "FILES=$$FILES"\n' >"$place/Makefile"
equal command_that_repeats_a_run_gives_the_same "$(printf '%s\n' "${given[@]}")" "$(cd "$place" && bash -c "$(<"$place/hint")")"
hint=$(EXAMPLE=edu HINT=$place/hint-of-example "$checkout/ci/vm.sh" run && cat "$place/hint-of-example")
equal command_that_repeats_a_run_names_the_example "make run EXAMPLE='edu'" "$hint"
# A project outside, which uses this checkout.
project="$place/own project"
mkdir -p "$project/frob/driver" && ln -s ../checkout "$project/ringbar"
echo 'obj-m := ringbar_frob.o' >"$project/frob/driver/Kbuild"
crate "$project/frob" frob frob
printf '%s\n' 'driver driver' 'program frob' >"$project/frob/example"
touch "$project/frob/driver/frob_main.rs" "$project/frob/lib.rs"
hint=$(AT=$project HINT=$place/hint-of-project "$checkout/ci/vm.sh" run && cat "$place/hint-of-project")
equal command_that_repeats_a_run_names_the_project "make -C '$project' run EXAMPLE='all'" "$hint"
equal examples_of_a_project_pass '' "$(AT=$project "$checkout/ci/variables.sh" 2>&1 || true)"
# stops PLACE: prints the error of a place to stop in the project.
stops() { AT=$project STOP=$1 "$checkout/ci/variables.sh" 2>&1 | sed 's/^ringbar: error: //' || true; }
equal place_in_the_driver_of_a_project_passes '' "$(stops frob/driver/frob_main.rs:10)$(stops frob_main.rs:10)$(stops frob_main::probe)"
equal missing_file_to_stop_in_of_a_project_is_named \
	"STOP=frob/frob_main.rs:10: there is no file frob/frob_main.rs in $project: name it as seen from there, as in STOP=frob/driver/frob_main.rs:1" "$(stops frob/frob_main.rs:10)"
equal place_beside_the_driver_of_a_project_is_refused \
	'STOP=frob/lib.rs:10: gdb knows the driver in frob/driver, which is loaded first, and frob/lib.rs is no part of it: set EXAMPLE to its example, or name a file in frob/driver' "$(stops frob/lib.rs:10)"
equal variable_of_a_project_is_known '' "$("$ci/variables.sh" AT 2>&1 || true)"
equal unknown_example_of_a_project_is_refused_with_the_closest \
	'ringbar: error: EXAMPLE=frop: there is no example `frop` (did you mean frob?); the examples are: all frob' "$(AT=$project EXAMPLE=frop "$checkout/ci/variables.sh" 2>&1 || true)"
equal words_for_qemu_and_files_reach_the_runner '--qemu-arg=-device --qemu-arg=edu,x=a b --qemu-arg=-name --qemu-arg=$HOME#1 --file=it'"'"'s:/etc/a --file=b:/b --arg=read --arg=write ' \
	"$(grep -E -- '--(qemu-arg|file|arg)=' "$place/hint.args" | tr '\n' ' ')"
