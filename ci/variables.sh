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

# closest WORD: prints the word on stdin that differs from WORD in the fewest letters, if it is
# similar at all.
closest() {
	awk -v word="$1" '
		function least(a, b, c) { if (b < a) a = b; return c < a ? c : a }
		function changes(a, b,    i, j, row, before, diagonal) {
			for (j = 0; j <= length(b); j++) row[j] = j
			for (i = 1; i <= length(a); i++) {
				diagonal = row[0]
				row[0] = i
				for (j = 1; j <= length(b); j++) {
					before = row[j]
					row[j] = least(row[j] + 1, row[j - 1] + 1, diagonal + (substr(a, i, 1) != substr(b, j, 1)))
					diagonal = before
				}
			}
			return row[length(b)]
		}
		{ n = changes(word, $0); if (NR == 1 || n < fewest) { fewest = n; best = $0 } }
		# Up to half of the letters may differ. Otherwise it is an unrelated word.
		END { if (NR && fewest * 2 <= length(word)) print best }'
}

# maybe WORD WORD...: prints a question in parentheses, if one of the other words is similar to the
# first.
maybe() {
	local best
	best=$(printf '%s\n' "${@:2}" | closest "$1")
	if [[ -n $best ]]; then printf ' (did you mean %s?)' "$best"; fi
}

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

# example: fails if EXAMPLE names an unknown example, or is given with a variable of ringbar's device.
example() {
	local name names all variable
	[[ -n ${EXAMPLE:-} ]] || return 0
	mapfile -t all < <(examples)
	IFS=, read -ra names <<<"$EXAMPLE,"
	for name in "${names[@]}"; do
		[[ " all ${all[*]} " == *" ${name:-?} "* ]] ||
			die "EXAMPLE=$EXAMPLE: there is no example \`$name\`$(maybe "$name" "${all[@]}"); the examples are: all ${all[*]}"
	done
	for variable in INTERRUPTS DEVICES TRACE; do
		[[ ${!variable:-0} == 0 ]] || die "$variable=${!variable}: leave it out with EXAMPLE=$EXAMPLE: it is for ringbar's device alone"
	done
	read_examples "$EXAMPLE"
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

# arguments: fails if ARGS does not suit the one program in TESTS.
arguments() {
	local word words
	[[ -n ${ARGS:-} ]] || return 0
	[[ -n ${TESTS:-} && $TESTS != all && $TESTS != *,* ]] ||
		die "ARGS=$ARGS: arguments are for one test program: name it, as in TESTS=dma ARGS=$ARGS"
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

named "$@"
one_of INTERRUPTS msix msi
one_of IOMMU 0 1
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
tests
arguments
files
[[ ${STOP:-driver} =~ ^[[:print:]]*[^[:space:]][[:print:]]*$ ]] || die "STOP=$STOP: say boot, driver, or a function or FILE:LINE of the driver"
[[ -z ${QEMU_ARGS:-} ]] || words_of "$QEMU_ARGS" >/dev/null 2>&1 || die "QEMU_ARGS=$QEMU_ARGS: a quote is open; quote as in a shell"
