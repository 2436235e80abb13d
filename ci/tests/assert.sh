# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
# Functions for all script tests. Sourced, never run.

# The functions under test.
tests_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for the tests
ci=$(dirname "$tests_dir")

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
