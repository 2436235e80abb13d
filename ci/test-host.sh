#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs the tests that need neither root nor QEMU: `scripts` those of the scripts, `crates` those of
# the crates, or only of the servers of EXAMPLE; both by default.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/example.sh
source "$ci_dir/example.sh"

# Words for the end of a `cargo test`. Otherwise a test that skips itself would not show its reason.
show_output=(-- --show-output)

scripts() {
	if command -v shellcheck >/dev/null; then
		(cd "$checkout" && shellcheck -x ci/*.sh ci/tests/*.sh .ci/run)
	else
		say "skipped: this host has no shellcheck"
	fi
	local test
	for test in "$ci_dir"/tests/*.sh; do
		case ${test##*/} in
		assert.sh | documents.sh) ;;
		*) "$test" ;;
		esac
	done
	# Last: a developer needs the result of the code before that of its documents.
	"$ci_dir/tests/documents.sh"
}

# nextest is faster and isolates tests; cargo's own runner gives the same verdict. Some tests
# compare tables of documents with the code. A missing row must not keep the other tests from
# running.
crates() {
	if [[ -n ${EXAMPLE:-} ]]; then
		read_examples "$EXAMPLE"
		if ((${#example_servers[@]})); then
			local locked
			set_locked "$project"
			"$ci_dir/cargo.sh" test --no-fail-fast "${locked[@]}" "${example_servers[@]/#/--package=}" "${show_output[@]}"
		else
			say "skipped: EXAMPLE=$EXAMPLE has no crate with tests on the host"
		fi
		return
	fi
	if cargo nextest --version >/dev/null 2>&1; then
		tested nextest run --config-file "$ci_dir/nextest.toml" --no-fail-fast
		"$ci_dir/cargo.sh" test --locked --workspace --exclude ringbar-tests --exclude ringbar-examples --doc
	else
		show=("${show_output[@]}")
		tested test --no-fail-fast
	fi
}

show=()
# tested CARGO_ARGS...: calls cargo with the packages that have tests. Of the guest's test programs
# that is their libraries: the programs have none of their own, and building 37 empty tests takes a
# minute.
tested() {
	if grep -rlE '#\[test\]' "$checkout"/guest-rootfs/{tests,examples}/src/bin; then
		die "the host does not run the tests in these files: move them into the library beside bin/"
	fi
	packages "$@" --locked --workspace --exclude ringbar-tests --exclude ringbar-examples
	packages "$@" --locked -p ringbar-tests -p ringbar-examples --lib
}

# packages CARGO_ARGS...: calls cargo, and shows which tests skipped themselves.
packages() {
	local status=0 report=$checkout/build/nextest/default/junit.xml
	# A report of an earlier run must not count.
	rm -f -- "$report"
	"$ci_dir/cargo.sh" "$@" "${show[@]}" || status=$?
	if [[ -e $report ]]; then "$ci_dir/skipped.sh" "$report"; fi
	return "$status"
}

case ${1:-} in
scripts) scripts ;;
crates) crates ;;
'')
	crates
	scripts
	;;
*) die "usage: $0 [scripts|crates]" ;;
esac
