#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The module comes from the cache if it was built from the same sources, and never from other ones.
# shellcheck disable=SC2016 # another shell expands what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export RINGBAR_CACHE=$place/cache CALLS=$place/calls

# checkout NAME: makes a checkout with a kernel, and a sysroot whose Kbuild makes a module from the
# text of its source. Like the real Kbuild, it compares times. It reports READ as a file of the
# checkout that it has read.
checkout() {
	local folder=$place/$1
	mkdir -p "$folder/guest-driver/"{folder,uapi/src} "$folder/qemu-device/spec/src" "$folder/build"
	cp -r "$ci" "$ci/../Cargo.toml" "$folder"
	echo one >"$folder/guest-driver/ringbar_main.rs"
	printf '#!/bin/sh\necho /kernel-of-a-test\n' >"$folder/ci/kernel.sh"
	cat >"$folder/ci/in-sysroot.sh" <<'END'
#!/usr/bin/env bash
echo "$*" >>"$CALLS"
cd "$(dirname "$0")/.."
for word in "$@"; do
	case $word in MO=/ringbar/*) folder=${word#MO=/ringbar/} ;; RINGBAR_SABOTAGE=*) sabotage=${word#*=} ;; esac
done
source=guest-driver/ringbar_main.rs
grep -q broken $source && exit 1
if [[ ! -e $folder/ringbar_main.o || $source -nt $folder/ringbar_main.o ]]; then cp $source "$folder/ringbar_main.o"; fi
if [[ ! -e $folder/ringbar.ko || $folder/ringbar_main.o -nt $folder/ringbar.ko ]]; then { cat "$folder/ringbar_main.o" && echo "$sabotage"; } >"$folder/ringbar.ko"; fi
echo "/ringbar/guest-driver/../$source /ringbar/${READ:-$source}" | tee "$folder/.ringbar_main.o.cmd" >"$folder/.shim.o.cmd"
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
fails file_that_the_key_lacks_is_refused env READ=qemu-device/other.rs "$place/a b#c,d%eü/ci/module.sh"
echo broken >"$source"
fails build_that_fails_fails "$place/a b#c,d%eü/ci/module.sh"
fails and_leaves_no_module test -e "$place/a b#c,d%eü/build/module/ringbar.ko"
