#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Refused variables of make, before any build, and the quotes in the command that repeats a run.
# shellcheck disable=SC2016 # another shell expands what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
unset EXAMPLE TESTS ARGS FILES QEMU_ARGS IOMMU ACCEL INTERRUPTS TRACE DEVICES CYCLES FULL SEED TIMEOUT GDB STOP

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

equal values_that_are_right_pass '' "$(said TESTS=dma,queue INTERRUPTS=msi IOMMU=1 ACCEL=auto TRACE=boot DEVICES=4 CYCLES=0 FULL=1 SEED=18446744073709551615 KERNEL=debug)"
refused unknown_program_is_refused_with_the_closest 'no test program `wakeup` (did you mean wakeups?)' TESTS=dma,wakeup
refused unknown_program_is_refused_with_the_list 'the programs are: all accesses ' TESTS=nonsense
refused empty_name_of_a_program_is_refused 'no test program `' TESTS=dma,
equal all_programs_pass '' "$(said TESTS=all)"
for wrong in KERNEL=debg INTERRUPTS=msi-x IOMMU=2 ACCEL=kwm TRACE=yes DEVICES=5 DEVICES=0 CYCLES=-1 CYCLES=08 FULL=2 SEED=x TIMEOUT=0 GDB=2; do
	refused "${wrong%=*}_of_${wrong#*=}_is_refused" "$wrong: set it to" "$wrong"
done
equal examples_pass '' "$(said EXAMPLE=edu,sum)$(said EXAMPLE=all TRACE=0)$(said EXAMPLE=edu TESTS=edu ARGS=bytes)"
refused unknown_example_is_refused_with_the_closest 'there is no example `edo` (did you mean edu?); the examples are: all edu' EXAMPLE=edo
refused empty_name_of_an_example_is_refused 'there is no example ``' EXAMPLE=edu,
refused repeated_example_is_refused '`edu` is there twice' EXAMPLE=edu,sum,edu
refused all_among_examples_is_refused 'set EXAMPLE=all, or leave `all` out' EXAMPLE=edu,all
refused program_of_ringbar_is_refused_in_an_example 'no test program `dma`' EXAMPLE=edu TESTS=dma
refused example_among_programs_is_refused_with_its_variable '`edu` is an example: run it with EXAMPLE=edu' TESTS=dma,edu
for wrong in DEVICES=2 INTERRUPTS=msi TRACE=1; do
	refused "${wrong%=*}_is_refused_with_an_example" "$wrong: leave it out with EXAMPLE=edu" "$wrong" EXAMPLE=edu
done
refused blank_place_to_stop_is_refused 'STOP= : say boot' 'STOP= '
refused two_lines_for_gdb_are_refused 'say boot, driver, or a function' STOP=$'main\nshell'
refused argument_without_a_program_is_refused 'name it, as in TESTS=dma' ARGS=read
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

misspelt() { "$ci/variables.sh" "$@" 2>&1 || true; }
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
equal words_for_qemu_and_files_reach_the_runner '--qemu-arg=-device --qemu-arg=edu,x=a b --qemu-arg=-name --qemu-arg=$HOME#1 --file=it'"'"'s:/etc/a --file=b:/b --arg=read --arg=write ' \
	"$(grep -E -- '--(qemu-arg|file|arg)=' "$place/hint.args" | tr '\n' ' ')"
