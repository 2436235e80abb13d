#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# junit2html 31.1.4, `--report-matrix`: files whose cases state no time, which JUnit allows, end it
# with a ZeroDivisionError, as it divides each class's time by that of all. The report of one such
# file, without a matrix, is written. Expected: the matrix of passed and failed cases.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

python_packages junit2html==31.1.4
cat >stock.xml <<'END'
<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
<testsuite name="stock" tests="1" failures="0" errors="0" skipped="0">
<testcase classname="stock.bars" name="map"/>
</testsuite>
</testsuites>
END
sed 's/stock/debug/g' stock.xml >debug.xml
status=0
venv/bin/junit2html stock.xml page.html || status=$?
seen 'status of a report' 0 "$status"
status=0
venv/bin/junit2html --report-matrix matrix.html stock.xml debug.xml 2>errors || status=$?
seen 'status of a matrix' 1 "$status"
seen 'error of a matrix' 'ZeroDivisionError: float division by zero' "$(tail -n 1 errors)"
finish
