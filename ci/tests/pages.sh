#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Programs of the guest ask for the size of a page: kernels for arm64 have pages of 4, 16 or 64 KiB.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
cd "$ci/.."

# assumed FILE...: prints the lines with a page, or three, of 4096 bytes. `memcpy-4096` is a name of the
# benchmark, -4095 an error of a system call, and the public registers end at 0xfff with any page.
assumed() {
	grep -nHE '\b(409[56]|12288|0x1000|0xfff)\b|\b(const|static) PAGE(_SIZE)?: usize|<< 12\b|>> 12\b' -- "$@" |
		grep -vE 'memcpy-4096|-4095|public registers|end at 0xfff|Offset\(0xfff\)|access\("0xfff"' || true
}

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cat >"$place/program.rs" <<'END_OF_PROGRAM'
const PAGE: usize = 1 << 14;
let mapping = map(offset, 4096);
let size = 2 * page_size();
END_OF_PROGRAM
equal page_of_4096_bytes_is_found '1 2' "$(assumed "$place/program.rs" | cut -d: -f2 | paste -sd ' ')"

mapfile -t programs < <(find guest-rootfs/{bench,client,examples,ringbarctl,tests,vfio} guest-driver/uapi/examples \
	\( -name '*.rs' -o -name '*.c' -o -name '*.py' \) | sort)
equal programs_ask_for_the_size_of_a_page '' "$(assumed "${programs[@]}")"
