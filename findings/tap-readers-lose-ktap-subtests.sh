#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# KTAP (Linux, Documentation/dev-tools/ktap.rst) nests with two spaces, TAP 14 with four. Two readers
# of TAP take a nested KTAP result for text between results, without a word:
# - tap-parser 18.0.0 (npm): a failed case below a parent that passed is not counted, and the run is
#   good. With four spaces and TAP's version line it is a subtest, and the run is bad.
# - tap.py 3.2.1 (PyPI): sees no subtest with either.
# Expected: a complaint, or the subtest, as the only difference is the width of the indent.
#
# What it means for a writer: indent by four, which the kernel's own parser reads as well.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

node_packages tap-parser@18.0.0
python_packages tap.py==3.2.1
# results VERSION INDENT: a suite whose first group has a failed case and is said to have passed.
results() {
	printf '%s\n1..2\n' "$1"
	printf "$2%s\n" '# Subtest: bars' '1..2' 'ok 1 map' 'not ok 2 unmap'
	printf 'ok 1 bars\nok 2 rings\n'
}
results 'KTAP version 1' '  ' >ktap
results 'TAP version 14' '    ' >tap
# verdict FILE: what tap-parser says of the run, by its status.
verdict() { if npx tap-parser -s <"$1" >/dev/null 2>&1; then echo good; else echo bad; fi; }
# cases FILE: the results that tap.py finds.
cases() {
	# The package warns on stdout that it reads no YAML.
	venv/bin/python - "$1" <<'END' | tail -n 1
import sys
from tap.parser import Parser
print(sum(line.category == "test" for line in Parser().parse_file(sys.argv[1])))
END
}
seen 'tap-parser, KTAP with two spaces' good "$(verdict ktap)"
seen 'tap-parser, TAP 14 with four' bad "$(verdict tap)"
seen 'tap.py, results of KTAP, of four' 2 "$(cases ktap)"
seen 'tap.py, results of TAP 14, of four' 2 "$(cases tap)"
finish
