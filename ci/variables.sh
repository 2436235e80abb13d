#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Checks the values of make's variables before anything is built: variables.sh [NAME...]. NAMEs are
# those that the user gave to make.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/example.sh
source "$ci_dir/example.sh"

# programs: prints the names of the test programs. Each has a file or a folder.
programs() {
	if [[ -n ${EXAMPLE:-} ]]; then
		printf '%s\n' "${example_programs[@]}"
	else
		find "$checkout/guest-rootfs/tests/src/bin" -mindepth 1 -maxdepth 1 -printf '%f\n' | sed 's/\.rs$//' | sort
	fi
}

# known: prints the variables that the Makefile's help explains.
known() { sed -n 's/^#? \([A-Z_]*\).*/\1/p' "$checkout/Makefile" | grep . | sort -u; }

# one_of VARIABLE WORD...: fails if the variable has another value than these.
one_of() {
	local variable=$1 value=${!1:-} list
	shift
	[[ -n $value && " $* " != *" $value "* ]] || return 0
	printf -v list '%s, ' "$@"
	die "$variable=$value: set it to one of ${list%, }$(maybe "$value" "$@")"
}

# number VARIABLE LEAST MOST: fails if the variable is not such a number.
number() {
	local variable=$1 value=${!1:-}
	[[ -n $value ]] || return 0
	# At most as many digits as bash can compare. A leading 0 would make the number octal.
	if [[ ! $value =~ ^(0|[1-9][0-9]{0,17})$ ]] || ((value < $2 || value > $3)); then
		die "$variable=$value: set it to a number from $2 to $3"
	fi
}

# named NAME...: fails if a variable that the user gave to make is unknown but similar to a known
# one.
named() {
	local name best
	for name in "$@"; do
		if known | grep -qxF -- "$name"; then continue; fi
		best=$(known | closest "$name")
		[[ -z $best ]] || die "there is no variable $name: did you mean $best? \`make\` alone lists them"
	done
}

# example: fails if EXAMPLE names an unknown example, is given with a variable of ringbar's device, or is
# to be traced and has not one device with a server.
example() {
	local variable
	[[ -n ${EXAMPLE:-} ]] || return 0
	for variable in INTERRUPTS DEVICES KEXEC; do
		[[ ${!variable:-0} == 0 ]] || die "$variable=${!variable}: leave it out with EXAMPLE=$EXAMPLE: it is for ringbar's device alone"
	done
	read_examples "$EXAMPLE"
	if [[ ${TRACE:-0} != 0 ]]; then check_traceable; fi
}

# hotplug: fails if HOTPLUG asks for a controller that the kernel does not bear.
hotplug() {
	[[ ${HOTPLUG:-acpi},$KERNEL != native,debug ]] || die "HOTPLUG=native: lockdep of the debug kernel reports pciehp's own order of locks: leave it or KERNEL=debug out"
}

# architecture: fails if a variable asks for what only machines of x86-64 have.
architecture() {
	if [[ $ARCH == x86-64 ]]; then
		[[ ${COHERENT:-1} == 1 ]] || die "COHERENT=$COHERENT: devices of x86-64 always see the caches: set ARCH=arm64 or leave COHERENT out"
		return
	fi
	[[ ${ACCEL:-tcg} == tcg ]] || die "ACCEL=$ACCEL: a host on x86-64 runs the code of ARCH=$ARCH by TCG alone: leave ACCEL out"
	[[ ${HOTPLUG:-native} == native ]] || die "HOTPLUG=$HOTPLUG: the machine of ARCH=$ARCH has a device tree and no ACPI: leave HOTPLUG out"
	[[ ${GDB:-0} == 0 ]] || on_x86_only "gdb in the guest (GDB=$GDB)"
	[[ ${IMAGE:-0} == 0 ]] || on_x86_only "a machine that sleeps in RAM (IMAGE=$IMAGE)"
	[[ ${KEXEC:-0} == 0 ]] || on_x86_only "a second kernel (KEXEC=$KEXEC)"
}

# kexec: fails if KEXEC asks for a machine that cannot change its kernel.
kexec() {
	[[ ${KEXEC:-0} == 1 ]] || return 0
	[[ $KERNEL == stock ]] || die "KEXEC=1: the debug kernel starts no other kernel: leave KERNEL=$KERNEL out"
	[[ ${IOMMU:-0} == 0 ]] || die "KEXEC=1: the IOMMU of IOMMU=$IOMMU would keep the device from the memory: leave it out"
	[[ ${TRACE:-0} == 0 ]] || die "KEXEC=1: the witness of TRACE=$TRACE would take two kernels for one: leave it out"
}

# tests: fails if TESTS names an unknown program.
tests() {
	local name all names unknown=()
	[[ -n ${TESTS:-} && $TESTS != all ]] || return 0
	mapfile -t all < <(programs)
	IFS=, read -ra names <<<"$TESTS,"
	for name in "${names[@]}"; do
		# A leading - leaves the program out.
		name=${name#-}
		if [[ " ${all[*]} " != *" ${name:-?} "* ]]; then unknown+=("$name"); fi
	done
	((${#unknown[@]})) || return 0
	if examples | grep -qxF -- "${unknown[0]}"; then die "TESTS=$TESTS: \`${unknown[0]}\` is an example: run it with EXAMPLE=${unknown[0]}"; fi
	die "TESTS=$TESTS: there is no test program \`${unknown[0]}\`$(maybe "${unknown[0]}" "${all[@]}"); the programs are: all ${all[*]}"
}

# arguments: fails if ARGS does not suit the one program in TESTS, or that of EXAMPLE.
arguments() {
	local word words
	[[ -n ${ARGS:-} ]] || return 0
	if [[ -n ${EXAMPLE:-} ]]; then
		[[ ${TESTS:-all} != all && $TESTS != *,* ]] || ((${#example_programs[@]} == 1)) ||
			die "ARGS=$ARGS: arguments are for one test program: name it, as in TESTS=${example_programs[0]} ARGS=$ARGS; EXAMPLE=$EXAMPLE has the programs: ${example_programs[*]}"
	else
		[[ -n ${TESTS:-} && $TESTS != all && $TESTS != *,* ]] ||
			die "ARGS=$ARGS: arguments are for one test program: name it, as in TESTS=dma ARGS=$ARGS"
	fi
	read -ra words <<<"$ARGS"
	for word in "${words[@]}"; do
		[[ $word =~ ^[A-Za-z0-9_-]+$ ]] || die "ARGS=$ARGS: $word has other characters than letters, digits, - and _; write names of cases, or parts of them, with blanks between them"
	done
}

# files: fails if FILES names a missing file or a wrong place.
files() {
	local file files host guest
	IFS=, read -ra files <<<"${FILES:-}"
	for file in "${files[@]}"; do
		host=${file%:*} guest=${file##*:}
		[[ $file == ?*:?* ]] || die "FILES: $file: write HOST:GUEST, as in hello.txt:/etc/hello.txt, with commas between several"
		[[ $guest == /* ]] || die "FILES: $file: the path in the guest, $guest, does not begin with /"
		[[ -e $host ]] || die "FILES: $file: there is no file $host on this host"
		[[ -f $host && -r $host ]] || die "FILES: $file: $host is not a readable file"
	done
}

# stop: fails if STOP cannot be a place, or is a line of another driver than the one that gdb knows.
stop() {
	local file folder of=ringbar known=${example_drivers[0]:-ringbar}
	if [[ -n $project && ${STOP:-} =~ ^(.*/.*):[0-9]+$ && $STOP != guest-driver/* ]]; then
		file=${BASH_REMATCH[1]}
		[[ -f $project/$file ]] || die "STOP=$STOP: there is no file $file in $project: name it as seen from there, as in STOP=$known/${known%%/*}_main.rs:1"
		[[ $file == "$known"/* ]] || die "STOP=$STOP: gdb knows the driver in $known, which is loaded first, and $file is no part of it: set EXAMPLE to its example, or name a file in $known"
		return
	fi
	[[ ${STOP:-driver} =~ ^[[:print:]]*[^[:space:]][[:print:]]*$ ]] || die "STOP=$STOP: say boot, driver, or a function or FILE:LINE of the driver"
	[[ ${STOP:-} =~ ^(guest-driver/(.*)):[0-9]+$ ]] || return 0
	file=${BASH_REMATCH[1]} folder=guest-driver/${BASH_REMATCH[2]%%/*}
	[[ -f $checkout/$file ]] || die "STOP=$STOP: there is no file $file"
	# Each driver has the mapping layer compiled into it.
	[[ $folder != guest-driver/mapping ]] || return 0
	[[ -z $project ]] || die "STOP=$STOP: $file is of the checkout, gdb knows the driver $known of the project: name a file of that"
	if [[ -f $checkout/$folder/Kbuild ]]; then of=${folder#*/}; fi
	case $of in
	"$known") ;;
	ringbar) die "STOP=$STOP: $file belongs to ringbar's driver, gdb knows that of EXAMPLE=$EXAMPLE: leave EXAMPLE out" ;;
	*) die "STOP=$STOP: $file belongs to another driver than gdb knows, \`$known\`, which is loaded first: set EXAMPLE=$of" ;;
	esac
}

named "$@"
one_of INTERRUPTS msix msi
one_of HOTPLUG acpi native
one_of IOMMU 0 1
one_of COHERENT 0 1
one_of MEMORY memfd shm file
[[ ${MEMORY_SIZE:-128M} =~ ^[1-9][0-9]{0,5}[MG]$ ]] || die "MEMORY_SIZE=$MEMORY_SIZE: set it to a number with M or G after it, from 128M on"
one_of KEXEC 0 1
one_of IMAGE 0 1
one_of LIES 0 1
one_of BROKER 0 1
one_of WATCH 0 1
one_of ACCEL tcg kvm auto
one_of TRACE 0 1 boot
one_of FULL 0 1
one_of GDB 0 1
number DEVICES 1 4
number CYCLES 0 1000000
number TIMEOUT 1 1000000
# It has up to 64 bits, which bash cannot compare.
[[ ${SEED:-0} =~ ^[0-9]{1,20}$ ]] || die "SEED=$SEED: set it to the number that a random test printed"
example
hotplug
architecture
kexec
tests
arguments
files
stop
[[ -z ${QEMU_ARGS:-} ]] || words_of "$QEMU_ARGS" >/dev/null 2>&1 || die "QEMU_ARGS=$QEMU_ARGS: a quote is open; quote as in a shell"
