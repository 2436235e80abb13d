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
sum_alone "$checkout"
mkdir -p "$checkout/guest-driver/edu" "$checkout"/guest-rootfs/{tests/src/bin/vectors,hangs/src/bin}
touch "$checkout/guest-rootfs/tests/src/bin/dma.rs" "$checkout/guest-rootfs/hangs/src/bin/stuck.rs"

# refused NAME: prints the error for a name.
refused() { ("$checkout/ci/new.sh" "$1" 2>&1 >/dev/null | grep error: | sed 's/.*error: //') || true; }
equal missing_name_is_asked_for 'name the example, as in make new NAME=frob' "$(refused '')"
for name in 'my frob' Frob 1frob my-frob ../frob frob.rs my__frob frob_; do
	equal "name_with_other_characters_is_refused $name" "NAME=$name: use small letters and digits, with a letter first and single _ between them, as in NAME=my_frob" "$(refused "$name")"
done
for name in fn type self core debug uapi; do
	equal "word_with_a_meaning_is_refused $name" "NAME=$name: this word has a meaning in Rust or here: choose another, as in NAME=my_$name" "$(refused "$name")"
done
for name in dma vectors stuck; do
	equal "name_of_a_program_is_refused $name" "NAME=$name: choose another name, as in NAME=my_$name" "$(refused "$name" | sed 's/: there is a program [^:]*:/:/')"
done
for name in device kind result turns coherent_memory; do
	equal "name_of_a_type_in_the_copied_files_is_refused $name" "NAME=$name: choose another, as in NAME=my_$name" "$(refused "$name" | sed 's/: its type .*files use:/:/')"
done
equal existing_example_is_refused_with_its_place 'NAME=sum: there is qemu-device/vfio-user/examples/sum already: choose another name, or remove it' "$(refused sum)"
equal existing_driver_is_refused_with_its_place 'NAME=edu: there is guest-driver/edu already: choose another name, or remove it' "$(refused edu)"
equal long_name_is_refused_with_the_limit 'NAME=abcdefghijklmnopqrstu: it has 21 characters, the limit is 20' "$(refused abcdefghijklmnopqrstu)"
equal refused_names_leave_nothing '' "$(cd "$checkout" && find . -newer Cargo.toml -type f -path '*frob*')"

# with_cargo TEXT: has a script with this text stand in for cargo.
with_cargo() { printf '#!/bin/sh\n%s\n' "$1" >"$checkout/ci/cargo.sh"; }
# state: prints the contents of the whole checkout.
state() { (cd "$checkout" && find . -type f ! -path ./ci/cargo.sh -print0 | sort -z | xargs -0 sha256sum); }
before=$(state)
with_cargo 'echo changed >>Cargo.lock; exit 1'
equal failure_of_cargo_is_told 'cargo cannot add ringbar-example-frob to Cargo.lock (see above); nothing was made' "$(refused frob)"
equal failure_leaves_the_checkout_as_it_was "$before" "$(state)"
# A shell starts what it puts in the background with SIGINT ignored, and this test may be started so.
for signal in INT TERM; do
	with_cargo "kill -$signal \$PPID; sleep 0.2"
	fails "told_to_end_it_fails $signal" env "--default-signal=$signal" "$checkout/ci/new.sh" frob
	equal "told_to_end_it_leaves_the_checkout_as_it_was $signal" "$before" "$(state)"
done
for line in 'Cargo.toml:"qemu-device/vfio-user/examples/frob"' 'guest-rootfs/examples/src/uapi.rs:pub mod frob;' 'guest-driver/README.md:`frob/frob_main.rs`'; do
	file=${line%%:*} words=${line#*:}
	cp "$checkout/$file" "$place/kept"
	printf '%s\n' "$words" >>"$checkout/$file"
	equal "leftover_of_an_example_is_named $file" "NAME=frob: $file has \`$words\` already: choose another name, or take that out" "$(refused frob)"
	cp "$place/kept" "$checkout/$file"
done

# A crate of another platform was never fetched, so cargo cannot list all; and without the network it
# cannot add the new one.
with_cargo 'case "$*" in *metadata* | *--offline*) exit 1 ;; esac; echo "$*" >>Cargo.lock'
cd "$checkout"
ci/new.sh my_frob 2>/dev/null
equal network_is_used_where_it_is_needed 'update --workspace --quiet' "$(tail -n 1 Cargo.lock)"
equal example_is_described 'driver   my_frob node     /dev/ringbar-my_frob0 program  my_frob server   ringbar-example-my_frob messages msi' \
	"$(grep -v '^#' ci/examples/my_frob | paste -sd ' ')"
equal example_can_be_read my_frob "$(bash -c 'source ci/lib.sh; source ci/example.sh; read_examples my_frob; echo "${example_programs[*]}"')"
equal driver_has_the_names_of_its_module 'obj-m := ringbar_my_frob.o' "$(grep obj-m guest-driver/my_frob/Kbuild)"
equal crate_is_in_the_workspace 1 "$(grep -c '"qemu-device/vfio-user/examples/my_frob",' Cargo.toml)"
equal interface_is_in_the_library yes "$(grep -q 'pub mod my_frob;' guest-rootfs/examples/src/uapi.rs && echo yes)"
equal file_with_unsafe_code_is_listed yes "$(grep -q '^`unsafe` is in `my_frob/my_frob_main.rs`,$' guest-driver/README.md && echo yes)"
made=(guest-driver/my_frob qemu-device/vfio-user/examples/my_frob guest-rootfs/examples/src/bin/my_frob.rs ci/examples/my_frob)
equal nothing_of_the_copied_name_is_left '' "$(grep -rnE '(ringbar[_-](example[_-])?sum|/sum\b|\bSum\b|uapi::sum|sum_main)' "${made[@]}" | grep -v 'HERE: tests of the device' || true)"
equal device_number_is_its_own '0x10f2 0x10f2' "$(grep -rohE '0x10f[0-9a-f]' guest-driver/my_frob/my_frob_main.rs qemu-device/vfio-user/examples/my_frob/src/lib.rs | paste -sd ' ')"
# marked FILE: prints the first two words of each line that a mark is above.
marked() { sed -n '/HERE: /{ n; s/^ *//; s/^\([^ ]*\( [A-Za-z_]*\)\?\).*/\1/p }' "$1" | paste -sd ,; }
equal device_says_where_to_write '//! A,const ADDRESS_LOW,/// The,let shape,fn run,impl Function' "$(marked "${made[1]}/src/lib.rs")"
equal driver_says_where_to_write '//! The,// Registers,fn start,fn sum,fn add_up,const KINDS,uapi::ADD_UP' "$(marked "${made[0]}/my_frob_main.rs" | sed 's,([^,]*,,g; s, $,,')"
equal interface_says_where_to_write '/// Has,/// Argument' "$(marked "${made[0]}/uapi.rs")"
equal test_program_says_where_to_write '//! The,/// Offset,/// Has,#[case]' "$(marked "${made[2]}")"
equal other_files_say_where_to_write 'Cargo.toml README.md conformance.rs device.rs' \
	"$(grep -rlE '(//|#|<!--) HERE: ' "${made[@]}" --include={Cargo.toml,README.md,conformance.rs,device.rs} | sed 's|.*/||' | sort | paste -sd ' ')"
equal tests_that_it_has_hold_for_any_device 'conformance.rs device.rs registers.rs' "$(find "${made[1]}/tests" -type f -printf '%f\n' | sort | paste -sd ' ')"
equal titles_are_about_no_work '' "$(grep -nE '^ *(description|/// Serves).*\b(adds?|sum)\b' -r "${made[@]}" || true)"
equal its_document_does_not_offer_itself '' "$(grep -niE 'to copy|to begin' "${made[0]}/README.md" || true)"
equal what_is_made_is_formatted '' "$(rustfmt --check --config-path . --edition 2024 "${made[1]}"/src/*.rs "${made[1]}"/tests/*.rs guest-rootfs/examples/src/uapi.rs "${made[2]}" 2>&1)"
with_cargo 'echo "$*" >>Cargo.lock'
ci/new.sh other 2>/dev/null
equal network_is_left_alone_otherwise 'update --workspace --offline --quiet' "$(tail -n 1 Cargo.lock)"
equal next_example_has_the_next_number 0x10f3 "$(grep -ohE '0x10f[0-9a-f]' guest-driver/other/other_main.rs)"
# A longer name makes longer lines, and a shorter one lines that would fit into one.
for name in x abcdefgh_ijklmnopqrs; do
	ci/new.sh "$name" 2>/dev/null
	equal "lines_of_documents_are_short $name" '' "$(for document in guest-driver/{README.md,"$name/README.md"}; do long_lines "$document"; done)"
	equal "driver_is_formatted $name" '' "$(for file in guest-driver/"$name"/{"${name}_main",uapi}.rs; do rustfmt --check --config-path . --edition 2021 <"$file" 2>&1 || echo "$file"; done)"
done
