#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# junitparser 5.0.3, `junitparser merge`: a suite that states its time, and whose cases state none,
# has time 0 in the merged file. In JUnit files `time` is optional for each element, and a runner
# that measures programs and not cases writes just this. Expected: the suite's own time is kept.
#
# What it means for a writer: give each case a time, or the file loses its suites' times here.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

python_packages junitparser==5.0.3
for name in stock debug; do
	cat >"$name.xml" <<END
<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
<testsuite name="$name" tests="2" failures="0" errors="0" skipped="0" time="3.5">
<testcase classname="$name.bars" name="map"/><testcase classname="$name.bars" name="unmap"/>
</testsuite>
</testsuites>
END
done
venv/bin/junitparser merge stock.xml debug.xml merged.xml
seen 'times of the suites before' '3.5 3.5' "$(grep -ho '<testsuite .*time="[^"]*"' stock.xml debug.xml | sed 's/.*time="//; s/"$//' | paste -sd ' ')"
seen 'times of the suites after' '0 0' "$(grep -o '<testsuite [^>]*' merged.xml | sed 's/.*time="//; s/".*//' | paste -sd ' ')"
finish
