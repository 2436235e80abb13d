#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Circles of imports in the driver are small, and its folders import only folders below them.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

# imports FOLDER MAIN SETTING...: prints the output of circles.awk for a crate with the root file
# MAIN. Folders with a Kbuild of their own are other crates.
imports() {
	local folder=$1 setting settings=(-v root="$1" -v main="$1/$2")
	for setting in "${@:3}"; do settings+=(-v "$setting"); done
	find "$folder" -mindepth 1 \( -path "$folder/uapi" -o -type d -exec test -e '{}/Kbuild' \; \) -prune -o -name '*.rs' -print0 | sort -z |
		xargs -0 awk "${settings[@]}" -f "$tests_dir/circles.awk"
}

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# crate NAME=TEXT...: makes a crate of these modules alone.
crate() {
	local module
	rm -rf -- "${place:?}/crate"
	for module in "$@"; do
		mkdir -p "$(dirname "$place/crate/${module%%=*}")"
		printf '%s\n' "${module#*=}" >"$place/crate/${module%%=*}.rs"
	done
}
# found MOST FOLDERS: prints the circles with more modules or folders.
found() { imports "$place/crate" main.rs most="$1" folders="$2"; }

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
equal comments_and_strings_are_not_imports '' "$(found 1 9)"
crate main='mod a; mod b; use a::A; use b::B;' a='use crate::LocalModule;' b='use crate::a;'
equal root_of_the_crate_is_not_a_module '' "$(found 1 9)"
crate main='' x='' y='' x/a='use crate::y::b;' y/b='' y/c='use crate::x::d;' x/d=''
equal folders_make_a_circle_where_modules_make_none \
	'circle of 2 folders: x, y; cut x::a -> y::b (leaves none)' "$(found 1 1)"
crate main='' x='use self::a::A; use b::B;' x/a='use super::b;' x/b='use super::a;'
equal circle_inside_a_folder_is_not_one_between_folders \
	'circle of 2 modules: x::a, x::b; cut x::a -> x::b (leaves none)' "$(found 1 1)"

crate main='' a='use crate::b;' b='use crate::a;' other/a='use crate::other::b;' other/b='use crate::other::a;'
touch "$place/crate/other/Kbuild"
equal folder_with_a_kbuild_is_another_crate 'circle of 2 modules: a, b; cut a -> b (leaves none)' "$(found 1 9)"

driver=$ci/../guest-driver
equal driver_has_no_large_circle '' "$(imports "$driver" ringbar_main.rs most=2 folders=1)"

# named FOLDER: prints the lines in which the code of a folder names its crate, and so a module that
# another crate does not have.
named() { sed -E 's|//.*||' "$1"/*.rs | grep -F 'crate::' || true; }
crate main='' layer/a=$'pub(crate) mod b;\n// crate::x\nuse super::b;' layer/b='use crate::layer::a;'
equal name_of_the_crate_is_found 'use crate::layer::a;' "$(named "$place/crate/layer")"
equal mapping_layer_names_no_module_of_a_driver '' "$(named "$driver/mapping")"

# order README: prints the driver's folders and the files beside them, from top to bottom, as in the
# README's table.
order() {
	sed -n '/^| folder /,/^$/p' "$1" | cut -d '|' -f 2,3 | grep -oE '`[a-z_]+(/|\.rs)' | tr -d '`' | sed -E 's/(\/|\.rs)$//' | awk '!seen[$0]++'
}
# upwards: reads the order, then imports as `FROM TO`. Prints imports of a folder above, or of one
# that the order lacks.
upwards() {
	awk '
		NF == 1 { place[$1] = NR }
		NF == 2 {
			from = $1; to = $2
			sub(/::.*/, "", from); sub(/::.*/, "", to)
			if (from != to && !(place[from] && place[from] < place[to])) print $1 " -> " $2
		}'
}
equal import_of_a_folder_above_is_upwards 'low -> high::a' "$(printf '%s\n' high low 'high::a low::b' 'low high::a' | upwards)"
equal import_of_an_unknown_folder_is_upwards 'high -> other' "$(printf '%s\n' high low 'high other' | upwards)"
equal folders_of_the_driver_use_those_below_them '' \
	"$({ order "$driver/README.md" && imports "$driver" ringbar_main.rs list=1; } | upwards)"
