#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Checks the crates: lint.sh format|clippy. `format` compares all of them with what rustfmt writes.
# `clippy` lints all, or with EXAMPLE only the servers and test programs of these examples. With AT,
# the crates are those of that project. ci/module.sh checks modules.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/example.sh
source "$ci_dir/example.sh"

format() {
	local mend='ci/cargo.sh fmt'
	if [[ -n $project ]]; then mend="AT=$(printf '%q %q' "$project" "$ci_dir/cargo.sh") fmt"; fi
	"$ci_dir/cargo.sh" fmt --check || die "the format differs from rustfmt's (see above): to correct it run $mend"
}

clippy() {
	local status=0 locked
	set_locked "$project"
	if [[ -z ${EXAMPLE:-} || -n $project && $EXAMPLE == all ]]; then
		linted --workspace --all-targets
		return
	fi
	read_examples "$EXAMPLE"
	# A warning in a server must not hide those in a program.
	if ((${#example_servers[@]})); then linted "${example_servers[@]/#/--package=}" --all-targets || status=$?; fi
	linted --workspace "${example_programs[@]/#/--bin=}" || status=$?
	return "$status"
}

# linted CARGO_ARGS...: lints these parts of the crates.
linted() { "$ci_dir/cargo.sh" clippy "${locked[@]}" "$@" -- -D warnings; }

case ${1:-} in
format | clippy) "$1" ;;
*) die "usage: $0 format|clippy" ;;
esac
