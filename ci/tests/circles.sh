#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The driver's modules import each other in small circles at most.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

# circles FOLDER MAIN MOST FOLDERS: the circles of more than MOST modules or FOLDERS folders in a crate, whose root is MAIN.
circles() {
	find "$1" -path "$1/uapi" -prune -o -name '*.rs' -print0 | sort -z |
		xargs -0 awk -v root="$1" -v main="$1/$2" -v most="$3" -v folders="$4" -f "$tests_dir/circles.awk"
}

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# crate NAME=TEXT...: a crate of these modules alone.
crate() {
	local module
	rm -rf -- "${place:?}/crate"
	for module in "$@"; do
		mkdir -p "$(dirname "$place/crate/${module%%=*}")"
		printf '%s\n' "${module#*=}" >"$place/crate/${module%%=*}.rs"
	done
}
# found MOST FOLDERS: the circles in it.
found() { circles "$place/crate" main.rs "$@"; }

crate main='mod a;' a='use crate::b::B;' b='use super::a;'
equal two_modules_that_import_each_other_are_a_circle 'circle of 2 modules: a, b; cut a -> b (leaves none)' "$(found 1 9)"
equal circle_that_is_small_enough_passes '' "$(found 2 9)"
crate main='' a='use crate::b;' b='use crate::c;' c='use crate::d;' d='use crate::{a, b};'
equal import_to_cut_leaves_the_smallest_circle 'circle of 4 modules: a, b, c, d; cut b -> c (leaves none)' "$(found 3 9)"
crate main='' a=$'use crate::{\n    x::Y,\n    b::{\n        self as other,\n        C, //\n    },\n};' b=$'use crate::{\n    c::D,\n    a::A, //\n};'
equal braces_over_several_lines_are_read 'circle of 2 modules: a, b; cut a -> b (leaves none)' "$(found 1 9)"
crate main='' a='fn f() { crate::b::g() }' b='fn g() -> super::a::A { x }'
equal path_in_code_is_an_import 'circle of 2 modules: a, b; cut a -> b (leaves none)' "$(found 1 9)"
crate main='' a='use crate::b; fn f() { b::c::g() }' b='' b/c='use crate::a;'
equal module_is_found_behind_the_name_of_another 'circle of 2 modules: a, b::c; cut a -> b::c (leaves none)' "$(found 1 9)"
crate main='' a=$'// use crate::b;\n/* use crate::b; */\nconst T: &str = "crate::b";' b='use crate::a;'
equal comments_and_strings_are_no_imports '' "$(found 1 9)"
crate main='mod a; mod b; use a::A; use b::B;' a='use crate::LocalModule;' b='use crate::a;'
equal root_of_the_crate_is_no_module '' "$(found 1 9)"
crate main='' x='' y='' x/a='use crate::y::b;' y/b='' y/c='use crate::x::d;' x/d=''
equal folders_make_a_circle_where_modules_make_none \
	'circle of 2 folders: x, y; cut x::a -> y::b (leaves none)' "$(found 1 1)"
crate main='' x='use self::a::A; use b::B;' x/a='use super::b;' x/b='use super::a;'
equal circle_inside_a_folder_is_none_between_folders \
	'circle of 2 modules: x::a, x::b; cut x::a -> x::b (leaves none)' "$(found 1 1)"

equal driver_has_no_large_circle '' "$(circles "$ci/../guest-driver" ringbar_main.rs 2 1)"
