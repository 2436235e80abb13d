# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
# What the script tests share. Sourced, never run.

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

# listed NAME WHERE THERE NAMED: two lists, a line each, hold the same. If not, says what is to be written where and
# what is to go, and goes on: `failed` is 1 then.
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

# fails NAME CMD...
fails() {
	local name=$1
	shift
	# In a shell of its own, because what ends the script shall end only that.
	if ("$@") >/dev/null 2>&1; then
		printf 'not ok %s: "%s" succeeded\n' "$name" "$*" >&2
		exit 1
	fi
	printf 'ok %s\n' "$name"
}
