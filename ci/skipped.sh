#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the tests that skipped themselves, with their reasons: skipped.sh JUNIT. JUNIT is a report
# of nextest with the output of tests that passed.
#
# Rust's tests have no result for a skipped test. So a test that cannot run prints a line
# `skipped: REASON` and passes.
set -euo pipefail

(($# == 1)) || {
	printf 'usage: %s JUNIT\n' "$0" >&2
	exit 2
}
awk '
	match($0, /<testcase name="[^"]*" classname="[^"]*"/) {
		split(substr($0, RSTART, RLENGTH), words, "\"")
		test = words[4] " " words[2]
	}
	# The harness may begin the line with the name of the test.
	match($0, /^( *<system-(out|err)>)?(test [^ ]+ \.\.\. )?skipped: /) {
		reason = substr($0, RSTART + RLENGTH)
		sub(/<\/system-(out|err)>.*/, "", reason)
		gsub(/&lt;/, "<", reason)
		gsub(/&gt;/, ">", reason)
		gsub(/&quot;/, "\"", reason)
		gsub(/&apos;/, "\047", reason)
		gsub(/&amp;/, "\\&", reason)
		print "skipped " test ": " reason
	}' "$1"
