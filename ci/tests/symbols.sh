#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The symbols that gdb gets of the debug kernel.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cat >"$place/sections" <<'END_OF_SECTIONS'
Section Headers:
  [Nr] Name              Type            Address          Off    Size   ES Flg Lk Inf Al
  [ 1] .text             PROGBITS        ffffffff81000000 200000 000100 00 AXo  0   0 4096
  [15] .data             PROGBITS        ffffffff82600000 1800000 000200 00  WA  0   0 4096
  [31] .data..percpu     PROGBITS        ffffffff83133000 2333000 035440 00  WA  0   0 4096
END_OF_SECTIONS

# options MAP: prints the options for objcopy.
options() { awk -f "$ci/kernel-symbols.awk" "$place/sections" - <<<"$1"; }

equal function_is_an_offset_in_its_section '--add-symbol do_mmap=.text:255,global,function' \
	"$(options 'ffffffff810000ff T do_mmap')"
equal data_is_no_function '--add-symbol jiffies_64=.data:16,global' "$(options 'ffffffff82600010 D jiffies_64')"
equal address_behind_a_section_is_not_in_it '' "$(options 'ffffffff81000100 t beyond')"
equal sections_of_another_kind_have_no_symbols '' "$(options 'ffffffff83133008 D per_cpu')"
equal marks_of_the_compiler_are_no_symbols '' "$(options 'ffffffff81000010 t __pfx_do_mmap
0000000000000010 A absolute')"
