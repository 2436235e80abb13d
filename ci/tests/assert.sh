# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
# Functions for all script tests. Sourced, never run.

# The functions under test.
tests_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for the tests
ci=$(dirname "$tests_dir")

# What the caller runs does not matter here. With a variable of make's, a test would see other commands
# than it expects. Those of the cache and the mirror stay: they say where packages come from.
while read -r make_variable; do
	unset -v "$make_variable"
done < <(sed -n 's/^#? \([A-Z_]*\)=.*/\1/p' "$ci/../Makefile" | grep -v '^RINGBAR_')
# Those that make itself exports: below another make, a make of a test prints the folders it enters.
unset -v make_variable MAKEFLAGS MAKEOVERRIDES MAKELEVEL MAKEFILES MFLAGS GNUMAKEFLAGS MAKE_TERMOUT MAKE_TERMERR RINGBAR_VARIABLES

# Scripts under test see a disk with room, or with `free_kib_here` KiB: those that only pretend to build
# must not fail on a full one.
df() { printf 'Filesystem 1024-blocks Used Available\nroomy 0 0 %s\n' "${free_kib_here:-1000000000}"; }
export -f df

# equal NAME EXPECTED ACTUAL
equal() {
	if [[ $2 != "$3" ]]; then
		printf 'not ok %s\n  expected: %s\n  actual:   %s\n' "$1" "$2" "$3" >&2
		exit 1
	fi
	printf 'ok %s\n' "$1"
}

# listed NAME WHERE THERE NAMED: compares two lists with one entry per line. If they differ, prints
# the entries to write and to remove, sets `failed` to 1 and goes on.
failed=0
listed() {
	local missing gone
	# An empty list is an empty line here.
	mapfile -t missing < <(comm -23 <(sort <<<"$3") <(sort <<<"$4") | grep .)
	mapfile -t gone < <(comm -13 <(sort <<<"$3") <(sort <<<"$4") | grep .)
	if ((${#missing[@]} + ${#gone[@]} == 0)); then
		printf 'ok %s\n' "$1"
		return
	fi
	# shellcheck disable=SC2034 # for the tests
	failed=1
	printf 'not ok %s: %s\n' "$1" "$2" >&2
	if ((${#missing[@]})); then printf '  write there: %s\n' "${missing[@]}" >&2; fi
	if ((${#gone[@]})); then printf '  take out:    %s\n' "${gone[@]}" >&2; fi
}

# shipped_examples FOLDER: has scripts read copies of the descriptions of ringbar's own examples in
# FOLDER. A checkout may have others, which `make new` has made.
shipped_examples() {
	export RINGBAR_EXAMPLES=$1
	mkdir -p "$1"
	cp -t "$1" -- "$ci"/examples/{edu,shared_buffer,sum}
}

# crate FOLDER PACKAGE PROGRAM...: writes the Cargo.toml of a package with these programs.
crate() {
	printf '[package]\nname = "%s"\n' "$2" >"$1/Cargo.toml"
	printf '\n[[bin]]\nname = "%s"\n' "${@:3}" >>"$1/Cargo.toml"
}

# sum_alone FOLDER: makes a checkout in which ci/new.sh works, with the example `sum` and no other. Its
# cargo does nothing.
sum_alone() {
	local checkout=$1
	mkdir -p "$checkout/guest-rootfs/examples/src"
	(cd "$ci/.." && cp -r --parents -t "$checkout" ci Cargo.toml Cargo.lock rustfmt.toml guest-driver/{README.md,sum,mapping/prelude.rs} guest-rootfs/examples/src/bin/sum.rs qemu-device/vfio-user/examples/sum)
	# Examples that were made in this checkout are no part of it.
	find "$checkout/ci/examples" -type f ! -name sum -delete
	sed -i '\|"qemu-device/vfio-user/examples/|{ \|/sum"|!d }' "$checkout/Cargo.toml"
	printf '#[path = "../../../guest-driver/sum/uapi.rs"]\npub mod sum;\n' >"$checkout/guest-rootfs/examples/src/uapi.rs"
	printf '#!/bin/sh\n' >"$checkout/ci/cargo.sh"
}

# long_lines DOCUMENT: prints the places of its lines above 100 characters, and of its cells above 160.
long_lines() {
	local LC_ALL=C.UTF-8 line cell number=0 code='' cells
	while IFS= read -r line; do
		number=$((number + 1))
		case $line in
		'```'*) [[ $code ]] && code='' || code=yes ;;
		'!['*) ;;
		'|'*)
			IFS='|' read -ra cells <<<"$line"
			for cell in "${cells[@]}"; do
				((${#cell} <= 162)) || echo "$1:$number: a cell of $((${#cell} - 2)) characters, the limit is 160"
			done
			;;
		*) [[ $code ]] || ((${#line} <= 100)) || echo "$1:$number: ${#line} characters, the limit is 100" ;;
		esac
	done <"$1"
}

# fails NAME CMD...
fails() {
	local name=$1
	shift
	# In a shell of its own: an exit of the script must not end the test.
	if ("$@") >/dev/null 2>&1; then
		printf 'not ok %s: "%s" succeeded\n' "$name" "$*" >&2
		exit 1
	fi
	printf 'ok %s\n' "$name"
}
