#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The table of the judges that others wrote counts their cases, with the reasons of those that are skipped.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export RINGBAR_CACHE=$place/cache
mkdir -p "$place/ci" && cp -t "$place/ci" "$ci"/{judges,lib}.sh && cp -t "$place" "$ci/../Cargo.toml"

# table NAME: prints the table for results of the configuration NAME, which stdin has.
table() {
	rm -rf "$place/build"
	mkdir -p "$place/build/report/$1/logs/$1"
	sed 's/$/\r/' >"$place/build/report/$1/logs/$1/results.ktap"
	tail -n +3 "$("$place/ci/judges.sh")"
}

equal cases_are_counted_by_judge \
	'| `vfio_a_test` | debug-x | 4 | 1 | 0 | 3 | 2: no groups; 1: no memory |
| `vfio_b_test` | debug-x | 1 | 0 | 1 | 0 |  |
| `vfio_c_test` | debug-x | 1 | 0 | 0 | 1 | 1: no SR-IOV |
| `pfnmap` | debug-x | 1 | 1 | 0 | 0 |  |' \
	"$(table debug-x <<'END'
1..3
    # Subtest: dma
    ok 1 vfio_a_test: no case of a judge
ok 1 dma
    # Subtest: vfio_selftests
    1..6
    ok 1 vfio_a_test: a.one
    ok 2 vfio_a_test: a.two # SKIP no groups
    ok 3 vfio_a_test: a.three # SKIP no memory
    ok 4 vfio_a_test: a.four # SKIP no groups
    # ok 1 of theirs
    not ok 5 vfio_b_test: a.one
    ok 6 vfio_c_test # SKIP no SR-IOV
not ok 2 vfio_selftests
    # Subtest: pfnmap
    1..1
    ok 1 dma-buffer: pfnmap.fork
ok 3 pfnmap
END
	)"
equal runs_without_judges_have_no_row '' "$(table stock-y <<<$'    # Subtest: dma\n    ok 1 copy')"
