#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# xunit-viewer 10.6.1 (npm): two JUnit files of a test matrix have a suite, class and case of the
# same names; the case failed in the first and passed in the second. The page and the console show
# one case, which passed: the last file wins, and the failure is gone. Expected: two cases.
#
# What it means for a writer: suite names have to differ over all files of a matrix.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

node_packages xunit-viewer@10.6.1
# file NAME SUITE FAILURES CASE: writes a JUnit file with one case.
file() {
	mkdir -p "$(dirname "$1")"
	printf '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites><testsuite name="%s" tests="1" failures="%s" errors="0" skipped="0">%s</testsuite></testsuites>\n' \
		"$2" "$3" "$4" >"$1"
}
bad='<testcase classname="bars" name="map"><failure message="no bytes">no bytes</failure></testcase>'
good='<testcase classname="bars" name="map"/>'
# total FOLDER: the last line of the result that the console shows.
total() { npx xunit-viewer -r "$1" -o page.html --console | grep -oE '^[0-9]+ (passed|failure).*'; }

file equal/1.xml guest 1 "$bad"
file equal/2.xml guest 0 "$good"
file different/1.xml stock 1 "$bad"
file different/2.xml debug 0 "$good"
seen 'a failure and a pass, suites of one name' '1 passed' "$(total equal)"
seen 'a failure and a pass, suites of two names' '1 passed, 1 failure' "$(total different)"
finish
