#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# A module comes from the cache if it was built from the same sources, and never from other ones. A
# driver in a folder of its own is a module of its own.
# shellcheck disable=SC2016 # another shell expands what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export RINGBAR_CACHE=$place/cache CALLS=$place/calls

# checkout NAME: makes a checkout with a kernel, a driver `small` beside ringbar's, and a sysroot whose
# Kbuild makes a module from the text of its source. Like the real Kbuild, it compares times. It
# reports READ as a file of the checkout that it has read.
checkout() {
	local folder=$place/$1
	mkdir -p "$folder/guest-driver/"{folder,uapi/src,mapping,small} "$folder/qemu-device/spec/src" "$folder/build"
	echo 'obj-m := ringbar.o' >"$folder/guest-driver/Kbuild"
	echo 'obj-m := my_small.o' >"$folder/guest-driver/small/Kbuild"
	echo small >"$folder/guest-driver/small/small_main.rs"
	echo layer >"$folder/guest-driver/mapping/mod.rs"
	cp -r "$ci" "$ci/../Cargo.toml" "$folder"
	echo one >"$folder/guest-driver/ringbar_main.rs"
	printf '#!/bin/sh\necho /kernel-of-a-test\n' >"$folder/ci/kernel.sh"
	cat >"$folder/ci/in-sysroot.sh" <<'END'
#!/usr/bin/env bash
echo "$*" >>"$CALLS"
[[ $* != *rustfmt* ]] || exit "${FORMAT:-0}"
cd "$(dirname "$0")/.."
for word in "$@"; do
	case $word in
	M=/ringbar/*) from=${word#M=/ringbar/} ;;
	M=/project/*) from=$AT/${word#M=/project/} ;;
	MO=/ringbar/*) folder=${word#MO=/ringbar/} ;;
	RINGBAR_SABOTAGE=*) sabotage=${word#*=} ;;
	esac
done
source=$(echo $from/*_main.rs)
root=$(basename "$source" .rs)
name=$(sed -n 's/obj-m := \(.*\)\.o/\1/p' "$from/Kbuild")
grep -q broken $source && exit 1
if [[ ! -e $folder/$root.o || $source -nt $folder/$root.o ]]; then cp $source "$folder/$root.o"; fi
if [[ ! -e $folder/$name.ko || $folder/$root.o -nt $folder/$name.ko ]]; then { cat "$folder/$root.o" && echo "$sabotage"; } >"$folder/$name.ko"; fi
printf './%s.o\n' "$root" shim >"$folder/$name.mod"
echo "/ringbar/guest-driver/../$source /ringbar/${READ:-$source}" "${AT:+/project/frob/driver/../../${READ:-ringbar/guest-driver/mapping/mod.rs}}" | tee "$folder/.$root.o.cmd" >"$folder/.shim.o.cmd"
# Of an object that is no longer part of the module.
echo /ringbar/guest-driver/gone.c >"$folder/.old.o.cmd"
END
}
# result NAME: builds, and prints the module and the number of calls of Kbuild.
result() {
	: >"$CALLS"
	"$place/$1/ci/module.sh" 2>"$place/messages" || cat "$place/messages" >&2
	echo "$(head -n 1 "$place/$1/build/module/ringbar.ko"), $(wc -l <"$CALLS")"
}

checkout 'a b#c,d%eü'
source="$place/a b#c,d%eü/guest-driver/ringbar_main.rs"
equal first_build_calls_kbuild 'one, 1' "$(result 'a b#c,d%eü')"
equal kbuild_sees_a_plain_path yes "$(grep -q ' M=/ringbar/guest-driver MO=/ringbar/build/module ' "$CALLS" && echo yes)"
equal nothing_has_changed_and_kbuild_is_not_called 'one, 0' "$(result 'a b#c,d%eü')"
equal wrong_format_is_told_with_the_command_that_corrects_it \
	"ringbar: error: the format of the module of small differs from rustfmt's (see above): to correct it run rustfmt --edition 2021 guest-driver/small/small_main.rs" \
	"$(FORMAT=1 "$place/a b#c,d%eü/ci/module.sh" lint small 2>&1 || true)"
checkout second
equal other_checkout_of_the_same_is_served 'one, 0' "$(result second)"

echo two >"$source"
equal edited_source_is_compiled 'two, 1' "$(result 'a b#c,d%eü')"
echo one >"$source"
equal reverted_source_is_served 'one, 0' "$(result 'a b#c,d%eü')"
rm -r "$RINGBAR_CACHE"/module-*
echo two >"$place/old" && touch -d '2001-01-01' "$place/old" && cp -p "$place/old" "$source"
equal module_beside_parts_of_another_one_is_made_again 'two, 1' "$(result 'a b#c,d%eü')"
echo three >"$place/old" && touch -d '2001-01-01' "$place/old" && cp -p "$place/old" "$source"
equal source_moved_back_with_an_old_time_is_compiled 'three, 1' "$(result 'a b#c,d%eü')"
echo edited >>"$place/a b#c,d%eü/build/module/ringbar.ko"
equal module_changed_by_hand_is_not_kept 'three, 0' "$(result 'a b#c,d%eü')"
equal and_has_nothing_of_it 0 "$(grep -c edited "$place/a b#c,d%eü/build/module/ringbar.ko" || true)"

"$place/second/ci/module.sh" sabotage leak
equal broken_module_is_in_a_folder_of_its_own leak "$(tail -n 1 "$place/second/build/sabotage/leak/ringbar.ko")"
equal and_the_right_one_stays_right 'one, 0' "$(result second)"
echo five >"$source"
# Stands in for the folder of the other architecture.
printf '#!/bin/sh\necho /tools\n' >"$place/second/ci/arm64.sh"
: >"$CALLS"
ARCH=arm64 "$place/second/ci/module.sh" 2>"$place/messages" || cat "$place/messages" >&2
equal module_of_another_architecture_is_made_by_its_compiler_in_a_folder_of_its_own yes \
	"$(grep -q -- ' --show /tools /arm64 .* make .* ARCH=arm64 CROSS_COMPILE=/arm64/usr/bin/aarch64-linux-gnu- .* MO=/ringbar/build/module-arm64 ' "$CALLS" && echo yes)"
equal and_that_of_x86_64_is_another one,one "$(head -n 1 "$place/second/build/module-arm64/ringbar.ko"),$(head -n 1 "$place/second/build/module/ringbar.ko")"
fails file_that_the_key_lacks_is_refused env READ=qemu-device/other.rs "$place/a b#c,d%eü/ci/module.sh"
echo broken >"$source"
fails build_that_fails_fails "$place/a b#c,d%eü/ci/module.sh"
fails and_leaves_no_module test -e "$place/a b#c,d%eü/build/module/ringbar.ko"
# message CMD...: prints the error of CMD.
message() { ("$@" 2>&1 >/dev/null | grep error:) || true; }
equal build_that_fails_names_the_module_and_what_to_do \
	'ringbar: error: the module does not compile for the stock kernel: the first message above has the reason; correct guest-driver and run again' \
	"$(message "$place/a b#c,d%eü/ci/module.sh")"

# small: builds that driver in the second checkout, and prints the module and the number of calls of
# Kbuild. kbuild: prints the folders of its last call.
small() {
	: >"$CALLS"
	"$place/second/ci/module.sh" build small 2>"$place/messages" || cat "$place/messages" >&2
	echo "$(head -n 1 "$place/second/build/module-small/my_small.ko"), $(wc -l <"$CALLS")"
}
folder=$place/second/guest-driver
equal own_driver_is_a_module_of_its_own 'small, 1' "$(small)"
equal and_has_folders_of_its_own yes "$(grep -q ' M=/ringbar/guest-driver/small MO=/ringbar/build/module-small ' "$CALLS" && echo yes)"
equal path_of_a_module_is_printed "$place/second/build/module-small/my_small.ko" "$("$place/second/ci/module.sh" path small)"
equal unchanged_driver_is_not_compiled_again 'small, 0' "$(small)"
equal own_driver_is_no_part_of_ringbars 'one, 0' "$(result second)"
echo other >"$folder/small/small_main.rs"
equal edited_driver_is_compiled 'other, 1' "$(small)"
equal and_ringbars_is_not 'one, 0' "$(result second)"
echo one >"$folder/folder/part.rs"
equal part_of_ringbars_driver_is_no_part_of_another 'other, 0' "$(small)"
echo changed >"$folder/mapping/mod.rs"
equal layer_is_part_of_each_driver 'other, 1' "$(small)"
equal and_of_ringbars 'one, 1' "$(result second)"
equal missing_module_is_named_with_those_that_are_there \
	'ringbar: error: there is no module smal: guest-driver/smal has no Kbuild; the modules are: ringbar small' "$(message "$place/second/ci/module.sh" smal)"
echo 'obj-y := x.o' >"$folder/small/Kbuild"
equal build_file_without_a_module_is_named 'ringbar: error: guest-driver/small/Kbuild has no line `obj-m := NAME.o`, which names the module' \
	"$(message "$place/second/ci/module.sh" small)"

# A driver of a project outside, which uses the second checkout.
project=$place/own
mkdir -p "$project/frob/driver" && ln -s ../second "$project/ringbar"
echo 'obj-m := my_frob.o' >"$project/frob/driver/Kbuild"
echo frob >"$project/frob/driver/frob_main.rs"
crate "$project/frob" frob frob
printf '%s\n' 'driver driver' 'program frob' >"$project/frob/example"
# own: builds the modules of the project, and prints that one and the number of calls of Kbuild.
own() {
	: >"$CALLS"
	AT=$project "$place/second/ci/module.sh" 2>"$place/messages" || cat "$place/messages" >&2
	echo "$(head -n 1 "$place/second/build/module-frob-driver/my_frob.ko"), $(wc -l <"$CALLS")"
}
equal driver_of_a_project_is_built 'frob, 1' "$(own)"
equal and_kbuild_sees_it_where_the_project_has_it yes \
	"$(grep -q -- " --show $project/frob/driver /project/frob/driver --show $place/second /project/ringbar .* M=/project/frob/driver MO=/ringbar/build/module-frob-driver RINGBAR_ROOT=/project " "$CALLS" && echo yes)"
equal its_path_is_printed "$place/second/build/module-frob-driver/my_frob.ko" "$(AT=$project "$place/second/ci/module.sh" path frob/driver)"
equal unchanged_driver_of_a_project_is_not_compiled_again 'frob, 0' "$(own)"
echo edited >"$project/frob/driver/frob_main.rs"
equal edited_driver_of_a_project_is_compiled 'edited, 1' "$(own)"
echo again >"$place/second/guest-driver/mapping/mod.rs"
equal layer_is_part_of_the_driver_of_a_project 'edited, 1' "$(own)"
echo broken >"$project/frob/driver/frob_main.rs"
equal driver_of_a_project_that_fails_is_named_with_its_folder \
	'ringbar: error: the module of frob/driver does not compile for the stock kernel: the first message above has the reason; correct frob/driver and run again' \
	"$(AT=$project message "$place/second/ci/module.sh")"
echo other >"$project/frob/driver/frob_main.rs"
equal file_of_a_project_that_the_key_lacks_is_refused \
	"ringbar: error: $project/frob/device/registers.rs is compiled into the module of frob/driver, but is neither in $project/frob/driver nor in the mapping layer: a change of it would not be noticed: move it to frob/driver" \
	"$(AT=$project READ=frob/device/registers.rs message "$place/second/ci/module.sh")"
