#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The modules are built against the series of kernels that they know, and refuse the others. The table of what
# Linux 7.2 lacks names what the driver takes from the file that stands in for it.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

driver=$ci/../guest-driver
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# read_kbuild FOLDER SERIES [VARIABLE]: has make read a Kbuild as the kernel of that series does. Prints the
# status of make, and the parts of its message that matter.
read_kbuild() {
	local status=0 text
	text=$(make --no-builtin-rules --silent --file="$1/Kbuild" \
		--eval='read:;@echo $(if $(filter linux_7_2,$(rustflags-y)),stands in,read)' src="$1" obj="$place" \
		VERSION="${2%.*}" PATCHLEVEL="${2#*.}" ${3:+"$3"} read 2>&1) || status=$?
	printf '%s:%s' "$status" "$(grep -oE 'this kernel is Linux [0-9.]+|ringbar[a-z_]*\.ko is written for the Rust interface of Linux [0-9. ]+|kernel-series=[0-9.]+|^read$|^stands in$' <<<"$text" | sed 's/^/ /' | tr -d '\n')"
}

equal pinned_series_is_built_with_its_own_interface '0: read' "$(read_kbuild "$driver" 7.3)"
equal older_series_is_built_with_what_stands_in '0: stands in' "$(read_kbuild "$driver" 7.2)"
for other in 7.1 7.20 8.3; do
	equal "other_series_is_refused_with_both_numbers $other" \
		"2: this kernel is Linux $other ringbar.ko is written for the Rust interface of Linux 7.2 7.3 kernel-series=$other" "$(read_kbuild "$driver" "$other")"
done
equal other_series_can_be_tried_by_name '0: read' "$(read_kbuild "$driver" 7.4 kernel-series=7.4)"
equal driver_that_knows_fewer_series_is_refused_by_its_name \
	"2: this kernel is Linux 7.2 ringbar_shared_buffer.ko is written for the Rust interface of Linux 7.3 kernel-series=7.2" "$(read_kbuild "$driver/shared_buffer" 7.2)"
equal series_of_the_scripts_are_those_of_the_modules '7.2 7.3' \
	"$(sed -n 's/^LINUX_SERIES=\(.*\)\.$/\1/p' "$ci"/versions.env "$ci"/linux-*.env | sort | paste -sd ' ')"

half=$driver/mapping/series
# words README: prints the names in the first column of the table.
words() { sed -n '/^| from `series.rs`/,/^$/p' "$1" | tail -n +3 | cut -d '|' -f 2 | grep -oE '`[^`]+`' | tr -d '`!' | sort; }
exported() {
	tr '\n' ' ' <"$half/linux_7_3.rs" | grep -oE 'pub\(crate\) (use kernel::[^;]*;|fn [a-z_]+|type [A-Za-z]+)' |
		sed -E 's/pub\(crate\) (fn|type|use) //; s/[a-z_]+:://g' | tr -c 'A-Za-z_\n' '\n' | grep -vxE '(irq|module|pci|sync|barrier|io|kernel|)' | sort -u
}
equal table_names_what_the_driver_takes_from_the_file "$(exported)" "$(words "$driver/README.md" | sort -u)"
