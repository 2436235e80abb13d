#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Programs come from the cache if they were built from the same sources, and never from other ones.
# shellcheck disable=SC2016 # another shell expands what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export RINGBAR_CACHE=$place/cache CALLS=$place/calls
mkdir "$place/bin" && PATH=$place/bin:$PATH
# Stands in for cargo. Its programs are the text of their source and the flags. Like the real one,
# it compiles results older than their sources again, and lists the files that it has read. EXTRA is
# one more file.
cat >"$place/bin/cargo" <<'END'
#!/usr/bin/env bash
if [[ $1 == --version ]]; then echo cargo 1.95.0; exit; fi
echo called >>"$CALLS"
folder=$CARGO_TARGET_DIR/$CARGO_BUILD_TARGET/release
mkdir -p "$folder"
source=$PWD/qemu-device/server/src/main.rs
if [[ ! -e $source ]]; then source=$PWD/frob/device/src/main.rs; fi
for argument in "$@"; do
	case $argument in --bin=*) ;; *) continue ;; esac
	program=$folder/${argument#--bin=}
	if [[ -n ${AFTER:-} ]] && ! cmp -s "$AFTER" "$source"; then cp "$AFTER" "$source"; fi
	told=$(printf '%s ' "$CARGO_ENCODED_RUSTFLAGS" "$@")
	if [[ ! -e $program || $source -nt $program || $(tail -n 1 "$program") != "$told" ]]; then
		rm -f "$program"
		{ cat "$source" && printf '%s\n' "$told"; } >"$program"
	fi
	printf '%s: %s %s\n' "$program" "${source// /\\ }" "${EXTRA:-}" >"$program.d"
done
END
printf '#!/bin/sh\nprintf "rustc %%s\\nhost: x86_64-unknown-linux-gnu\\n" "${RUSTC_VERSION:-1}"\n' >"$place/bin/rustc"
printf '#!/bin/sh\n' >"$place/bin/strip"
chmod +x "$place/bin/"*

# checkout NAME: makes a checkout with a server and a guest program.
checkout() {
	local folder=$place/$1
	mkdir -p "$folder/qemu-device/server/src" "$folder/guest-rootfs/tests/src/bin"
	cp -r "$ci" "$ci/../Cargo.toml" "$folder"
	sed -n '/^members/,/^]/s/^ *"\(.*\)",$/\1/p' "$folder/Cargo.toml" | (cd "$folder" && xargs mkdir -p guest-driver/{mapping,selftests})
	touch "$folder/Cargo.lock" "$folder/guest-driver/"{README.md,mapping/offset.rs,selftests/README.md}
	touch "$folder/guest-rootfs/tests/src/bin/waiting.rs"
	echo one >"$folder/qemu-device/server/src/main.rs"
}
# programs NAME ARG...: builds there. served: prints the server's source. calls: prints the number
# of cargo calls since the last time.
programs() {
	: >"$CALLS"
	"$place/$1/ci/programs.sh" "${@:2}" 2>"$place/messages"
}
served() { head -n 1 "$place/$1/build/programs/ringbar-server"; }
calls() { wc -l <"$CALLS"; }
# result NAME: builds for the boot, and prints both.
result() {
	programs "$1" boot
	echo "$(served "$1"), $(calls)"
}

# The test uses paths with blanks.
checkout 'a b'
source="$place/a b/qemu-device/server/src/main.rs"
equal first_build_calls_cargo 'one, 1' "$(result 'a b')"
equal nothing_has_changed_and_cargo_is_not_called 'one, 0' "$(result 'a b')"
equal guest_has_its_programs 'ringbar-init ringbarctl waiting ' "$(find "$place/a b/build/programs/packed" -type f -printf '%f\n' | sort | tr '\n' ' ')"
checkout second
equal other_checkout_of_the_same_is_served 'one, 0' "$(result second)"

echo two >"$source"
equal edited_source_is_compiled 'two, 1' "$(result 'a b')"
echo one >"$source"
equal reverted_source_is_served 'one, 0' "$(result 'a b')"
echo moved >"$place/old" && touch -d '2001-01-01' "$place/old" && cp -p "$place/old" "$source"
# Again, because the file gets another time while cargo runs.
equal source_moved_back_with_an_old_time_is_compiled 'moved, 2' "$(result 'a b')"
echo two >"$source"
programs 'a b' boot
equal other_checkout_is_as_it_was 'one, 0' "$(result second)"

echo >>"$place/a b/guest-rootfs/tests/src/bin/waiting.rs"
equal other_source_counts_as_well 'two, 1' "$(result 'a b')"
touch "$place/a b/guest-rootfs/tests/src/bin/another.rs"
programs 'a b' boot
equal new_program_gets_into_the_guest yes "$(test -e "$place/a b/build/programs/packed/another" && echo yes)"
rm "$place/a b/guest-rootfs/tests/src/bin/another.rs"
programs 'a b' boot
fails gone_program_leaves_the_guest test -e "$place/a b/build/programs/packed/another"

RUSTC_VERSION=2 programs 'a b' boot
equal other_compiler_compiles_again 1 "$(calls)"
RUSTFLAGS=-g programs 'a b' boot
equal callers_flags_change_nothing 0 "$(calls)"
sed -i 's/^flags=.*/flags=-Cother/' "$place/a b/ci/programs.sh"
programs 'a b' boot
equal other_flags_compile_again 1 "$(calls)"
echo edited >>"$place/a b/build/programs/ringbar-server"
programs 'a b' boot
equal program_changed_by_hand_is_not_kept '0 ' "$(grep -c edited "$place/a b/build/programs/ringbar-server" || true) $(grep -l edited "$RINGBAR_CACHE"/programs-*/ringbar-server || true)"
rm "$place/a b/build/programs/packed/waiting"
programs 'a b' boot
equal program_that_is_gone_comes_back yes "$(test -e "$place/a b/build/programs/packed/waiting" && echo yes)"

echo three >"$source" && echo four >"$place/four"
AFTER=$place/four programs 'a b' boot
equal source_changed_during_the_build_is_compiled_as_it_is_then four "$(served 'a b')"
echo three >"$source"
programs 'a b' boot
equal and_is_not_taken_for_what_it_was three "$(served 'a b')"

programs 'a b' wrong-server sabotage
equal wrong_server_has_a_name_of_its_own yes "$(grep -q 'features ringbar-server/sabotage' "$place/a b/build/programs/ringbar-server-sabotage" && echo yes)"
fails right_server_stays_right grep -q features "$place/a b/build/programs/ringbar-server"

# packed: prints the guest's programs of examples.
packed() { find "$place/a b/build/programs/example/packed" -type f -printf '%f\n' | sort | tr '\n' ' '; }
programs 'a b' example sum
equal example_has_its_own_programs_and_init 'ringbar-init sum ' "$(packed)"
equal and_its_server yes "$(test -e "$place/a b/build/programs/ringbar-example-sum" && echo yes)"
programs 'a b' example edu,shared_buffer
equal other_examples_replace_them 'edu ringbar-init shared_buffer ' "$(packed)"
programs 'a b' example sum
equal example_that_was_built_before_is_served 'ringbar-init sum , 0' "$(packed), $(calls)"
programs 'a b' boot
equal examples_leave_ringbars_programs_alone yes,0 "$(test -e "$place/a b/build/programs/packed/waiting" && echo yes),$(calls)"
fails group_of_examples_needs_a_name programs 'a b' example

# A project outside, with a device and a test program, which uses this checkout.
project="$place/own project" device="$place/own project/frob/device/src/main.rs"
mkdir -p "$project"/frob/{driver,device/src} && ln -s '../a b' "$project/ringbar"
echo device >"$device"
crate "$project/frob/device" frob-device frob frob-device
touch "$project/frob/driver/"{Kbuild,frob_main.rs,uapi.rs}
printf '%s\n' 'driver driver' 'program frob' 'server frob-device' >"$project/frob/example"
# own: builds, and prints the source of the project's server and the number of cargo calls.
own() {
	AT=$project programs 'a b' example all
	echo "$(head -n 1 "$place/a b/build/programs/frob-device"), $(calls)"
}
equal project_has_its_programs_and_the_checkout_the_others 'device, 2' "$(own)"
equal its_test_program_is_for_the_guest 'frob ' "$(packed)"
equal and_init_is_there yes "$(test -e "$place/a b/build/programs/base/packed/ringbar-init" && echo yes)"
equal lock_of_a_project_may_follow_the_checkout 0 "$(grep -c -e --locked "$place/a b/build/programs/frob-device" || true)"
equal unchanged_project_calls_no_cargo 'device, 0' "$(own)"
echo edited >"$device"
equal edited_device_is_compiled_alone 'edited, 1' "$(own)"
echo edited >"$project/frob/driver/frob_main.rs"
equal driver_of_a_project_is_no_part_of_its_programs 'edited, 0' "$(own)"
echo edited >"$project/frob/driver/uapi.rs"
equal its_interface_is 'edited, 1' "$(own)"
echo changed >>"$source"
equal checkout_is_part_of_a_project 'edited, 2' "$(own)"
# read_by_own FILE: prints the error of a build whose compiler reads a file more.
read_by_own() {
	echo >>"$device"
	AT=$project EXTRA=${1// /\\ } "$place/a b/ci/programs.sh" example all 2>&1 | sed -n 's/^ringbar: error: //p' || true
}
end="a change of it would not be noticed: move it to a folder of $project, and correct the path that names it (path = in a Cargo.toml, or in an attribute)"
equal driver_that_a_program_of_a_project_reads_is_refused \
	"$project/frob/driver/frob_main.rs is compiled into frob-device, but has a place or a name there that is not for crates (target, build, .*, Kbuild, *_main.rs): $end" \
	"$(read_by_own "$project/frob/driver/frob_main.rs")"
equal crate_beside_a_project_is_refused "$place/shared/lib.rs is compiled into frob-device, but is in no folder of the project: $end" "$(read_by_own "$place/shared/lib.rs")"
programs 'a b' example sum
equal project_leaves_other_examples_alone 'ringbar-init sum ' "$(packed)"

echo >"$place/a b/README.md" && echo five >"$source"
fails file_that_the_key_lacks_is_refused env EXTRA="$place/a\\ b/README.md" "$place/a b/ci/programs.sh" boot
echo six >"$source" && printf '#!/bin/sh\n[ $1 != build ]\n' >"$place/bin/cargo"
fails build_that_fails_fails "$place/a b/ci/programs.sh" boot
