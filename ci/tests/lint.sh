#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The crates that clippy gets, and the command that corrects their format.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(realpath -- "$(mktemp -d)")
trap 'rm -rf "$place"' EXIT
export RINGBAR_CACHE=$place/cache CALLS=$place/calls
shipped_examples "$place/examples"
checkout=$place/checkout
mkdir -p "$checkout" && cp -r "$ci" "$ci/../Cargo.toml" "$checkout"
# Stands in for cargo: notes its arguments. It fails for those that contain $BAD.
# shellcheck disable=SC2016 # the stand-in's own shell expands this
printf '#!/bin/sh\necho "$*" >>"$CALLS"\n[ -z "$BAD" ] || case " $* " in *"$BAD"*) exit 1 ;; esac\n' >"$checkout/ci/cargo.sh"
# lint ARG...: prints the calls of cargo, with | between them.
lint() {
	: >"$CALLS"
	"$checkout/ci/lint.sh" "$@" 2>"$place/err" || true
	paste -sd '|' "$CALLS"
}
# said ARG...: prints the error.
said() { lint "$@" >/dev/null && sed 's/^ringbar: error: //' "$place/err"; }

equal format_of_all_crates_is_checked 'fmt --check' "$(lint format)"
equal all_crates_are_linted 'clippy --locked --workspace --all-targets -- -D warnings' "$(lint clippy)"
equal of_an_example_its_server_and_its_program_are_linted \
	'clippy --locked --package=ringbar-example-sum --all-targets -- -D warnings|clippy --locked --workspace --bin=sum -- -D warnings' "$(EXAMPLE=sum lint clippy)"
equal of_an_example_without_a_server_its_program_is_linted 'clippy --locked --workspace --bin=edu -- -D warnings' "$(EXAMPLE=edu lint clippy)"
equal warning_in_a_server_hides_none_in_a_program 2 "$(BAD=--package EXAMPLE=sum lint clippy | tr '|' '\n' | wc -l)"
for bad in --package --bin; do
	BAD=$bad EXAMPLE=sum fails "warning_fails_the_lint $bad" "$checkout/ci/lint.sh" clippy
done
BAD='fmt' fails wrong_format_fails "$checkout/ci/lint.sh" format
equal wrong_format_is_told_with_the_command_that_corrects_it \
	"the format differs from rustfmt's (see above): to correct it run ci/cargo.sh fmt" "$(BAD=fmt said format)"

export AT="$place/own project"
mkdir -p "$AT/frob/driver" && ln -s ../checkout "$AT/ringbar"
touch "$AT/frob/driver/Kbuild"
crate "$AT/frob" frob-device frob-device frob
printf '%s\n' 'driver driver' 'program frob' 'server frob-device' >"$AT/frob/example"
equal all_crates_of_a_project_are_linted 'clippy --workspace --all-targets -- -D warnings' "$(lint clippy)"
equal of_one_example_of_a_project_its_parts_are_linted \
	'clippy --package=frob-device --all-targets -- -D warnings|clippy --workspace --bin=frob -- -D warnings' "$(EXAMPLE=frob lint clippy)"
mend=$(BAD=fmt said format | sed 's/.* to correct it run //')
: >"$CALLS"
(unset AT && cd / && bash -c "$mend")
equal command_that_corrects_the_format_of_a_project_works_from_any_folder fmt "$(<"$CALLS")"
