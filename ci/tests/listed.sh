#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The output of `listed` for an incomplete document: the missing entries and their place.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

# said THERE NAMED: prints the output for two lists, and `failed` after it.
said() {
	{ listed programs_are_named README.md "$1" "$2" && echo "failed $failed"; } 2>&1
}

equal same_lists_pass $'ok programs_are_named\nfailed 0' "$(said $'a\nb' $'b\na')"
equal missing_entry_is_to_be_written_with_its_place \
	$'not ok programs_are_named: README.md\n  write there: b\nfailed 1' "$(said $'a\nb\nc' $'a\nc')"
equal surplus_is_to_be_removed \
	$'not ok programs_are_named: README.md\n  take out:    d\nfailed 1' "$(said $'a\nc' $'a\nc\nd')"
equal duplicate_is_to_be_removed_once \
	$'not ok programs_are_named: README.md\n  take out:    a\nfailed 1' "$(said $'a\nc' $'a\na\nc')"
