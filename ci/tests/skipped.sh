#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Tests that skip themselves are shown with their reasons.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# shown OUTPUT [ERRORS]: prints the tests that skipped.sh finds in a report of two tests, the second
# of which printed OUTPUT, and ERRORS to its standard error.
shown() {
	cat >"$place/junit.xml" <<END_OF_REPORT
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="2" failures="0" errors="0" time="0.1">
    <testsuite name="ringbar-uapi::interface" tests="2" disabled="0" errors="0" failures="0">
        <testcase name="header_in_c" classname="ringbar-uapi::interface" time="0.1">
            <system-out>
running 1 test
test header_in_c ... ok
</system-out>
        </testcase>
        <testcase name="header_in_cpp" classname="ringbar-uapi::interface" time="0.1">
            <system-out>
running 1 test
$1
</system-out>
            <system-err>${2:-}</system-err>
        </testcase>
    </testsuite>
</testsuites>
END_OF_REPORT
	"$ci/skipped.sh" "$place/junit.xml"
}

equal test_that_passed_is_not_shown '' "$(shown 'test header_in_cpp ... ok')"
equal skipped_test_is_shown_with_its_reason \
	'skipped ringbar-uapi::interface header_in_cpp: no g++, "clang++"' \
	"$(shown $'skipped: no g++, &quot;clang++&quot;\ntest header_in_cpp ... ok')"
equal name_of_the_test_may_begin_the_line \
	'skipped ringbar-uapi::interface header_in_cpp: a & b < c' \
	"$(shown 'test header_in_cpp ... skipped: a &amp; b &lt; c')"
equal skipped_test_may_print_to_its_standard_error \
	'skipped ringbar-uapi::interface header_in_cpp: no g++' \
	"$(shown '' 'skipped: no g++')"
equal other_words_about_skipping_are_not_shown '' "$(shown $'3 were skipped: yes\n skipped: no')"

# Stands in for cargo: prints its arguments.
checkout=$place/checkout
mkdir "$checkout" && cp -r "$ci" "$ci/../Cargo.toml" "$checkout"
printf '#!/bin/sh\necho "$*"\n' >"$checkout/ci/cargo.sh"
shipped_examples "$place/examples"
equal example_has_its_skipped_tests_shown 'test --no-fail-fast --locked --package=ringbar-example-sum -- --show-output' \
	"$(EXAMPLE=sum RINGBAR_CACHE=$place/cache "$checkout/ci/test-host.sh" crates)"
