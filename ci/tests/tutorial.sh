#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The table "From a tutorial to the code" of guest-driver/README.md: the code that it shows stands in
# the file that it names, and each case is one of the guest's programs. The small drivers are small.
# shellcheck disable=SC2016 # the backticks are those of Markdown
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
cd "$ci/.."

# missing ROW...: prints the code and the cases of the rows that are nowhere.
missing() {
	local row rest file code name
	for row in "$@"; do
		IFS='|' read -r _ _ code _ rest _ <<<"$row"
		file=$(cut -d '`' -f 2 <<<"$code") code=$(cut -d '`' -f 4 <<<"$code")
		grep -qF -- "$code" "guest-driver/$file" 2>/dev/null || echo "$file: $code"
		while read -r name; do
			grep -rqE "^fn $name\(" guest-rootfs/tests/src/rules guest-rootfs/examples/src || echo "$name"
		done < <(grep -o '[a-z_]*' <<<"$rest")
	done
}

mapfile -t rows < <(sed -n '/^### From a tutorial/,/^## /p' guest-driver/README.md | grep '^| [a-z]' | tail -n +2)
fails table_has_rows test "${#rows[@]}" -lt 10
equal code_and_cases_of_the_table_are_there '' "$(missing "${rows[@]}")"
equal missing_code_and_case_are_named $'sum/sum_main.rs: no such code\nno_such_case' \
	"$(missing '| topic | `sum/sum_main.rs`: `no such code` | trap | `no_such_case`, `destroyed_buffer_raises_sigbus` |')"

# longer LINES FILE...: prints the files with more lines than that.
longer() { wc -l "${@:2}" | awk -v most="$1" '$2 != "total" && $1 > most { print $2 ": " $1 " lines" }'; }
small=(guest-driver/{edu,shared_buffer,sum}/*_main.rs)
equal small_driver_has_at_most_250_lines '' "$(longer 250 "${small[@]}")"
equal longer_driver_is_named_with_its_lines "${#small[@]}" "$(longer 1 "${small[@]}" | grep -cE '_main\.rs: [0-9]+ lines$')"
