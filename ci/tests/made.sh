#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# A step is skipped only if its result and its inputs are unchanged.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
# shellcheck source=ci/lib.sh
source "$ci/lib.sh"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

copy() {
	echo copied >>"$folder/count"
	cp "$folder/source" "$folder/result"
}
make_result() { unless_made "$folder/result" "$(files_of "$folder/source")" copy; }
times() { wc -l <"$folder/count"; }
make_again() {
	make_result
	times
}

echo 1 >"$folder/source"
make_result
equal nothing_has_changed_and_the_step_is_left_out 1 "$(make_again)"
touch -d '2001-01-01' "$folder/source"
equal source_with_another_time_is_another_one 2 "$(make_again)"
echo 22 >"$folder/source"
touch -d '2001-01-01' "$folder/source"
equal source_with_another_size_is_another_one 3 "$(make_again)"
rm "$folder/result"
equal result_that_is_gone_is_made_again 4 "$(make_again)"
touch -d '+1 minute' "$folder/result"
equal result_changed_by_hand_is_made_again 5 "$(make_again)"
touch "$folder/source"
# In a condition or before `||`, a failing command would not end the script.
set +e
(
	set -e
	# shellcheck disable=SC2317 # make_result calls it
	copy() { false; }
	make_result
)
set -e
equal step_that_failed_is_done_again 6 "$(make_again)"
