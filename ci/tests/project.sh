#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# `make new` with AT makes an example in a project outside of the checkout, which stays as it is, and
# refuses folders that would not work.
# shellcheck disable=SC2016 # backticks are quotes in a message
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(realpath -- "$(mktemp -d)")
trap 'rm -rf "$place"' EXIT
export RINGBAR_CACHE=$place/cache
# No character in a path does harm that cargo accepts.
checkout="$place/a b#c,d%eü/ringbar" at="$place/a b#c,d%eü/frob's project"
sum_alone "$checkout"
# What a project names.
(cd "$ci/.." && cp -r --parents -t "$checkout" README.md Makefile guest-driver/mapping guest-rootfs/{examples,tests}/Cargo.toml \
	qemu-device/vfio-user/{endpoint,conformance}/Cargo.toml qemu-device/vfio-user/examples/first-device.md)

# with_cargo TEXT: has a script with this text stand in for cargo.
with_cargo() { printf '#!/bin/sh\n%s\n' "$1" >"$checkout/ci/cargo.sh"; }
with_cargo 'echo "$*" >>"$AT/Cargo.lock"'
# state FOLDER: prints the contents of a folder.
state() { (cd "$1" && find . -type f ! -path ./ci/cargo.sh -print0 | sort -z | xargs -0 sha256sum && find . -type l); }
# new AT NAME: makes an example. refused AT NAME: prints the error.
new() { AT=$1 "$checkout/ci/new.sh" "$2" 2>/dev/null; }
refused() { (AT=$1 "$checkout/ci/new.sh" "$2" 2>&1 >/dev/null | grep error: | sed 's/.*error: //') || true; }
before=$(state "$checkout")

equal wrong_name_is_refused 'NAME=fn: this word has a meaning in Rust or here: choose another, as in NAME=my_fn' "$(refused "$at" fn)"
equal folder_in_the_checkout_is_refused \
	"AT=$checkout/x: this is in the checkout, which stays as it is: name a folder outside of it, as in AT=../frob-project" "$(refused "$checkout/x" frob)"
equal checkout_itself_is_refused \
	"AT=$checkout: this is in the checkout, which stays as it is: name a folder outside of it, as in AT=../frob-project" "$(cd "$checkout" && refused . frob)"
equal colon_in_the_path_is_refused "the project of AT is $place/a:b: cargo cannot work there because of the character ':': move or rename it" "$(refused "$place/a:b" frob)"
touch "$place/file"
equal file_is_refused "AT=$place/file: there is a file of this name: name a new folder" "$(refused "$place/file" frob)"
mkdir "$place/full" && touch "$place/full/.hidden"
equal folder_that_is_not_empty_is_refused_with_the_link_to_make \
	"AT=$place/full: the folder is not empty, and has no ringbar: name a new folder, or put this checkout into it: ln -sfn $(printf '%q %q' "$checkout" "$place/full/ringbar")" \
	"$(refused "$place/full" frob)"
mkdir "$place/full/ringbar"
equal other_checkout_in_it_is_named "AT=$place/full: its ringbar is $place/full/ringbar, this one is $checkout: run make in the project" "$(refused "$place/full" frob)"
rmdir "$place/full/ringbar" && ln -s "$checkout" "$place/full/ringbar"
for file in Cargo.toml Makefile; do
	echo foreign >"$place/full/$file"
	equal "file_of_another_kind_of_project_is_named $file" "AT=$place/full: its $file does not have: name a new folder, or move the file away" \
		"$(refused "$place/full" frob | sed 's/ `[^`]*`, as that of a project has//')"
	rm "$place/full/$file"
done

with_cargo 'echo changed >>"$AT/Cargo.lock"; exit 1'
equal failure_of_cargo_is_told "cargo cannot make $at/Cargo.lock (see above); nothing was made" "$(refused "$at" frob)"
fails failure_leaves_no_folder test -e "$at"
mkdir "$at"
# A shell starts what it puts in the background with SIGINT ignored, and this test may be started so.
for signal in INT TERM; do
	with_cargo "kill -$signal \$PPID; sleep 0.2"
	fails "told_to_end_it_fails $signal" env "--default-signal=$signal" AT="$at" "$checkout/ci/new.sh" frob
	equal "told_to_end_it_leaves_the_folder_empty $signal" '' "$(ls -A "$at")"
done

with_cargo 'case "$*" in *--offline*) exit 1 ;; esac; echo "$*" >>"$AT/Cargo.lock"'
new "$at" my_frob
equal checkout_stays_as_it_was "$before" "$(state "$checkout")"
cd "$at"
equal network_is_used_where_it_is_needed 'update --workspace --quiet' "$(tail -n 1 Cargo.lock)"
equal ringbar_is_a_link_that_moves_with_both ../ringbar "$(readlink ringbar)"
equal example_is_described 'driver   driver node     /dev/ringbar-my_frob0 program  my_frob server   my_frob-device messages msi' \
	"$(grep -v '^#' my_frob/example | paste -sd ' ')"
equal example_can_be_read 'my_frob/driver my_frob my_frob-device' \
	"$(AT=. bash -c 'source ringbar/ci/lib.sh; source ringbar/ci/example.sh; read_examples all; echo "${example_drivers[*]} ${example_programs[*]} ${example_servers[*]}"')"
equal nothing_of_the_copied_name_is_left '' "$(grep -rnE '(ringbar[_-](example[_-])?sum|/sum\b|\bSum\b|uapi::sum|sum_main|ringbar-example-)' my_frob Makefile Cargo.toml README.md | grep -v 'HERE: tests of the device' || true)"
equal nothing_of_the_templates_name_is_left '' "$(grep -rnw frob . --exclude=Makefile --exclude-dir=ringbar || true)"
equal each_part_says_where_to_write 'Cargo.toml README.md conformance.rs device.rs lib.rs main.rs my_frob_main.rs uapi.rs' \
	"$(grep -rl 'HERE: ' my_frob | sed 's|.*/||' | sort | paste -sd ' ')"
equal marks_name_files_that_are_there '' "$(grep -rhoE 'HERE: .*' my_frob | grep -oE 'ringbar/[a-z/_.-]*\.rs|qemu-device/[a-z/_.-]*' | while read -r file; do [[ -e $file ]] || echo "$file"; done)"
equal what_is_made_is_formatted '' "$(rustfmt --check --config-path . --edition 2024 my_frob/device/{src,tests}/*.rs my_frob/test/src/*.rs 2>&1)"
equal each_file_has_its_licence '' "$(find . -type f ! -name Cargo.lock -exec grep -L SPDX {} +)"
equal crates_are_taken_from_ringbar 'conformance endpoint examples tests' "$(sed -n 's|^ringbar-.* = { path = "ringbar/.*/\([a-z]*\)".*|\1|p' Cargo.toml | paste -sd ' ')"
equal paths_of_crates_lead_somewhere '' "$(sed -n 's|.*path = "\(ringbar/[^"]*\)".*|\1/Cargo.toml|p' Cargo.toml | while read -r file; do [[ -e $file ]] || echo "$file"; done)"
equal paths_of_modules_lead_somewhere '' "$(grep -rn '#\[path = ' my_frob | while IFS=: read -r file _ line; do
	line=${line#*\"} line=${line%%\"*}
	[[ -e ${file%/*}/$line ]] || echo "$file: $line"
done)"
equal rules_of_the_module_are_those_of_the_layer yes "$(include=$(sed -n 's|^include $(src)/||p' my_frob/driver/Kbuild) && [[ -e my_frob/driver/$include ]] && echo yes)"
equal links_of_its_documents_lead_somewhere '' "$(find . -name '*.md' | while read -r document; do
	grep -oE '\]\([^)#:]+' "$document" | sed 's/^](//' | while read -r link; do [[ -e ${document%/*}/$link ]] || echo "$document: $link"; done
done)"
equal readme_fits_one_screen yes "$( (($(wc -l <README.md) <= 50)) && echo yes)"
equal targets_that_it_has_are_ringbars '' "$(sed -n 's/^\([a-z][a-z-]*\):.*##.*/\1/p' Makefile | while read -r target; do
	grep -q "^$target:" ringbar/Makefile || echo "$target"
done)"

# A second example in it, and a failure in between.
equal name_that_is_taken_is_refused_with_its_place "NAME=my_frob: $at/my_frob is taken: choose another name, or remove it" "$(refused "$at" my_frob)"
equal name_of_results_is_refused "NAME=build: $at/build is taken: choose another name, or remove it" "$(refused "$at" build)"
echo mine >README.md && echo '# mine' >>Cargo.toml
before=$(state .)
with_cargo 'echo changed >>"$AT/Cargo.lock"; exit 1'
equal failure_of_a_second_example_is_told "cargo cannot make $at/Cargo.lock (see above); nothing was made" "$(refused "$at" other)"
equal and_leaves_the_project_as_it_was "$before" "$(state .)"
with_cargo 'echo "$*" >>"$AT/Cargo.lock"'
new "$at" other
equal second_example_changes_no_other_file "$(grep -v Cargo.lock <<<"$before")" "$(state . | grep -v -e Cargo.lock -e ' ./other/')"
equal network_is_left_alone_otherwise 'update --workspace --offline --quiet' "$(tail -n 1 Cargo.lock)"
equal device_numbers_are_their_own '0x10f2 0x10f2 0x10f3 0x10f3' \
	"$(grep -rohE '0x10f[0-9a-f]' my_frob/driver/*.rs my_frob/device/src other/driver/*.rs other/device/src | paste -sd ' ')"

# called ARG...: prints what the project's Makefile has the checkout's do, for which another stands in.
cp "$checkout/Makefile" "$place/kept"
printf '%%:\n\t@echo "$@ $$AT $$EXAMPLE $(KERNEL)"\n' >"$checkout/Makefile"
called() { make -s "$@" 2>&1 || true; }
for target in run test shell trace debug report module fmt lint module-lint clean; do
	equal "target_is_ringbars $target" "$target $at frob debug" "$(called "$target" EXAMPLE=frob KERNEL=debug)"
done
cp "$place/kept" "$checkout/Makefile"
equal help_lists_its_targets yes "$(called | grep -q '  make run ' && called | grep -q 'EXAMPLE=all' && echo yes)"
rm ringbar
equal project_without_ringbar_is_told_what_to_do \
	'there is no ringbar/Makefile: run  git submodule update --init  or  ln -sfn PATH-OF-A-CHECKOUT ringbar' "$(called run | head -n 1)"

# The checkout as a submodule.
mkdir "$place/whole" && mv "$checkout" "$place/whole/ringbar" && checkout=$place/whole/ringbar
echo mine >"$place/whole/README.md"
new "$place/whole" frob
equal submodule_stays_what_it_is no "$([[ -L $place/whole/ringbar ]] && echo yes || echo no)"
equal file_that_is_there_stays mine "$(<"$place/whole/README.md")"
equal and_the_example_is_made yes "$([[ -f $place/whole/frob/example && -f $place/whole/Makefile ]] && echo yes)"
mkdir "$place/deep" && mkdir "$place/deep/third" && mv "$checkout" "$place/deep/third/ringbar" && checkout=$place/deep/third/ringbar
equal checkout_deeper_in_the_project_is_refused "AT=$place/deep: this checkout is in it, at third/ringbar: move it to $place/deep/ringbar, or name a folder beside it" \
	"$(refused "$place/deep" frob)"
