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
