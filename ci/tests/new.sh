#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# `make new` makes an example under a name of its own, and refuses names that would not work.
# shellcheck disable=SC2016 # backticks are quotes in a message
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export RINGBAR_CACHE=$place/cache
checkout=$place/checkout
cd "$ci/.."
mkdir -p "$checkout/guest-driver/edu"
# Examples that were made in this checkout are no part of it.
cp -r --parents ci Cargo.toml rustfmt.toml guest-driver/{README.md,sum} guest-rootfs/examples/src/bin/sum.rs qemu-device/vfio-user/examples/sum "$checkout"
find "$checkout/ci/examples" -type f ! -name sum -delete
sed -i '\|"qemu-device/vfio-user/examples/|{ \|/sum"|!d }' "$checkout/Cargo.toml"
printf '#[path = "../../../guest-driver/sum/uapi.rs"]\npub mod sum;\n' >"$checkout/guest-rootfs/examples/src/uapi.rs"
printf '#!/bin/sh\n' >"$checkout/ci/cargo.sh"

# refused NAME: prints the error for a name.
refused() { ("$checkout/ci/new.sh" "$1" 2>&1 >/dev/null | grep error: | sed 's/.*error: //') || true; }
equal missing_name_is_asked_for 'name the example, as in make new NAME=frob' "$(refused '')"
for name in 'my frob' Frob 1frob my-frob ../frob frob.rs; do
	equal "name_with_other_characters_is_refused $name" "NAME=$name: use small letters, digits and _ only, with a letter first, as in NAME=frob" "$(refused "$name")"
done
for name in fn type self core debug uapi; do
	equal "word_with_a_meaning_is_refused $name" "NAME=$name: this word has a meaning in Rust or here: choose another, as in NAME=my_$name" "$(refused "$name")"
done
equal existing_example_is_refused_with_its_place 'NAME=sum: there is qemu-device/vfio-user/examples/sum already: choose another name, or remove it' "$(refused sum)"
equal existing_driver_is_refused_with_its_place 'NAME=edu: there is guest-driver/edu already: choose another name, or remove it' "$(refused edu)"
equal long_name_is_refused_with_the_limit 'NAME=abcdefghijklmnopqrstu: it has 21 characters, the limit is 20' "$(refused abcdefghijklmnopqrstu)"
equal refused_names_leave_nothing '' "$(cd "$checkout" && find . -newer Cargo.toml -type f -path '*frob*')"

cd "$checkout"
ci/new.sh my_frob 2>/dev/null
equal example_is_described 'driver   my_frob node     /dev/ringbar-my_frob0 program  my_frob server   ringbar-example-my_frob messages msi' \
	"$(grep -v '^#' ci/examples/my_frob | paste -sd ' ')"
equal example_can_be_read my_frob "$(bash -c 'source ci/lib.sh; source ci/example.sh; read_examples my_frob; echo "${example_programs[*]}"')"
equal driver_has_the_names_of_its_module 'obj-m := ringbar_my_frob.o' "$(grep obj-m guest-driver/my_frob/Kbuild)"
equal crate_is_in_the_workspace 1 "$(grep -c '"qemu-device/vfio-user/examples/my_frob",' Cargo.toml)"
equal interface_is_in_the_library yes "$(grep -q 'pub mod my_frob;' guest-rootfs/examples/src/uapi.rs && echo yes)"
equal file_with_unsafe_code_is_listed yes "$(grep -q '^`unsafe` is in `my_frob/my_frob_main.rs`,$' guest-driver/README.md && echo yes)"
made=(guest-driver/my_frob qemu-device/vfio-user/examples/my_frob guest-rootfs/examples/src/bin/my_frob.rs ci/examples/my_frob)
equal nothing_of_the_copied_name_is_left '' "$(grep -rnE '(ringbar[_-](example[_-])?sum|/sum\b|\bSum\b|uapi::sum|sum_main)' "${made[@]}" || true)"
equal device_number_is_its_own '0x10f2 0x10f2' "$(grep -rohE '0x10f[0-9a-f]' guest-driver/my_frob/my_frob_main.rs qemu-device/vfio-user/examples/my_frob/src/lib.rs | paste -sd ' ')"
equal each_part_says_where_to_write 4 "$(grep -rl 'HERE: ' "${made[@]}" | wc -l)"
equal what_is_made_is_formatted '' "$(rustfmt --check --config-path . --edition 2024 "${made[1]}"/src/*.rs "${made[1]}"/tests/*.rs guest-rootfs/examples/src/uapi.rs "${made[2]}" 2>&1)"
ci/new.sh other 2>/dev/null
equal next_example_has_the_next_number 0x10f3 "$(grep -ohE '0x10f[0-9a-f]' guest-driver/other/other_main.rs)"
