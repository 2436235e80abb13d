#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The steps of the page "Your first device" fit the files that `make new` writes, one after the other.
# Compiles nothing: that would take longer than all other tests of scripts.
# shellcheck disable=SC2016 # the backticks are those of Markdown
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export RINGBAR_CACHE=$place/cache
page=$(cd "$ci/.." && pwd)/qemu-device/vfio-user/examples/first-device.md
checkout=$place/checkout
sum_alone "$checkout"
cd "$checkout"
ci/new.sh frob 2>/dev/null

# follow PAGE: carries out the steps of a page. Prints the files that they change, or the first step
# that does not fit.
follow() { { awk -v under=. -f "$tests_dir/first-device.awk" "$1" | sort; } 2>&1 || true; }

# small LINE...: follows a page with these steps in the file `small`. Prints its lines, or the complaint.
small() {
	local followed
	printf '%s\n' one two one two three >small
	printf '%s\n' 'Words.' '```diff' '--- small' "$@" >"$place/page"
	followed=$(follow "$place/page")
	if [[ $followed == small ]]; then followed=$(<small); fi
	paste -sd ' ' <<<"${followed#"$place/"}"
}
equal lines_of_a_step_come_and_go 'one two 2 3 three' "$(small @@ ' two' '-one' '-two' '+2' '+3' ' three' '```')"
equal step_can_need_the_one_before_it 'one two one two 3 4' "$(small @@ '-three' '+3' @@ ' 3' '+4' '```')"
equal step_without_a_place_is_for_the_end 'one two one two three  four' "$(small @@ '+' '+four' '```')"
equal part_of_a_line_is_no_place 'page:4: small has no such lines: thre' "$(small @@ ' thre' '+4' '```')"
equal place_that_is_gone_is_named 'page:6: small has no such lines: one three' "$(small @@ '+four' @@ ' one' '-three' '```')"
equal place_that_is_not_unique_is_named 'page:4: small has these lines more than once: one two' "$(small @@ ' one' ' two' '+2.5' '```')"
equal file_that_is_not_there_is_named 'page:5: there is no file ./other' "$(small '--- other' @@ '+1' '```')"
equal other_lines_are_refused 'page:5: a line begins with a blank, - or +: two' "$(small @@ 'two' '```')"
equal step_without_its_beginning_is_refused 'page:4: a step begins with a line `@@`' "$(small ' two' '```')"
equal block_without_an_end_is_refused 'page:5: the last block has no end' "$(small @@ '+4')"

# The first column of the page's table.
files=$(sed -n 's/^| `\([^`]*\)` | .*/\1/p' "$page" | sort)
fails page_has_a_table_of_files test -z "$files"
equal every_step_fits_the_files_of_make_new "$files" "$(follow "$page")"
equal every_change_is_a_step '' "$(grep -n '^```rust' "$page" || true)"
equal result_of_the_steps_is_formatted '' "$(
	for file in $files; do
		edition=2024
		if [[ $file == guest-driver/* ]]; then edition=2021; fi
		# Without its name: a driver's modules are not here.
		rustfmt --check --config-path . --edition "$edition" <"$file" 2>&1 || echo "$file"
	done
)"
