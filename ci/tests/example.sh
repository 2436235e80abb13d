#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Descriptions of examples are read, and wrong ones refused with their place. Those of this checkout
# name drivers, programs and servers that are there.
# shellcheck disable=SC2016 # backticks are quotes in a message
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
# described NAME LINE...: writes the description of an example.
described() { printf '%s\n' "${@:2}" >"$place/$1"; }
# read_by NAMES: prints what ci/example.sh has read of these examples, or its error.
read_by() {
	RINGBAR_EXAMPLES=$place bash -c 'set -euo pipefail
		source "$1/lib.sh" && source "$1/example.sh"
		read_examples "$2"
		echo "${example_drivers[*]}|${example_nodes[*]}|${example_programs[*]}|${example_servers[*]}|${example_devices[*]}|$example_messages"' \
		_ "$ci" "$1" 2>&1 || true
}

described one '# a comment' 'driver one' 'node /dev/a' 'node   /dev/b' 'program one' '' 'device edu,dma_mask=1'
described two 'driver two' 'program two' 'program more' 'server two-server' 'messages msi'
equal example_is_read 'one|/dev/a,/dev/b|one||edu,dma_mask=1|msix' "$(read_by one)"
equal examples_are_joined 'one two|/dev/a,/dev/b |one two more|two-server|edu,dma_mask=1|msi' "$(read_by one,two)"
equal all_of_them_are_read "$(read_by one,two)" "$(read_by all)"
equal missing_example_is_named_with_those_that_are_there 'ringbar: error: EXAMPLE=tow: there is no example `tow`; the examples are: all one two' "$(read_by tow)"
equal empty_name_is_refused 'ringbar: error: EXAMPLE=one,: there is no example ``; the examples are: all one two' "$(read_by one,)"
equal path_is_refused 'ringbar: error: EXAMPLE=../one: there is no example `../one` (did you mean one?); the examples are: all one two' "$(read_by ../one)"
equal repeated_example_is_named 'ringbar: error: EXAMPLE=one,two,one: `one` is there twice: name each example once' "$(read_by one,two,one)"
equal all_among_examples_is_refused 'ringbar: error: EXAMPLE=all,one: `all` has all examples: set EXAMPLE=all, or leave `all` out' "$(read_by all,one)"
described three 'driver one' 'program three'
equal repeated_driver_is_named 'ringbar: error: EXAMPLE=one,three: two examples have the driver `one`, which a guest loads once: name one of them' "$(read_by one,three)"
described three 'driver three' 'program three' 'server three-server' 'server more'
equal interrupts_are_msix_by_default msix "$(read_by three | cut -d '|' -f 6)"
equal other_interrupts_of_a_second_server_are_refused \
	"ringbar: error: $place/three: its device has \`messages msix\`, one before it \`msi\`: run them one by one, as in EXAMPLE=three" "$(read_by two,three)"
described three 'driver three' 'program three' 'messages msix'
equal interrupts_without_a_server_do_not_matter msi "$(read_by two,three | cut -d '|' -f 6)"
described three 'driver three' 'programm three'
equal unknown_word_is_named_with_its_file "ringbar: error: $place/three: there is no word \`programm\`; ci/example.sh lists the words" "$(read_by three)"
described three 'driver' 'program three'
equal word_without_a_value_is_named "ringbar: error: $place/three: \`driver\` has no value" "$(read_by three)"
described three 'program three'
equal missing_driver_is_named "ringbar: error: $place/three: name the driver, as in \`driver three\`" "$(read_by three)"
described three 'driver three'
equal missing_program_is_named "ringbar: error: $place/three: name a test program, as in \`program three\`" "$(read_by three)"

# A project of the user's own, beside a checkout.
project=$place/frob\'s\ project
mkdir -p "$project"/{one/driver,one/device,two,.hidden}
ln -s "$ci/.." "$project/ringbar"
touch "$project/one/driver/Kbuild" "$project/.hidden/example"
crate "$project/one/device" one-device one-device
crate "$project/two" two one more
# described_there NAME LINE...: writes the description of an example of the project.
described_there() { printf '%s\n' "${@:2}" >"$project/$1/example"; }
# there NAMES: prints what ci/example.sh has read of these examples of the project, or its error.
there() { AT=$project read_by "$1"; }
equal project_without_an_example_is_told_how_to_make_one \
	"ringbar: error: AT=$project: the project has no example: make new NAME=frob AT=$project makes one" "$(there all)"
described_there one 'driver driver' 'node /dev/a' 'program one' 'server one-device'
equal example_of_a_project_is_read 'one/driver|/dev/a|one|one-device||msix' "$(there one)"
described_there two 'driver ../one/driver' 'program more'
equal driver_is_found_from_the_folder_of_the_description 'one/driver||more|||msix' "$(there two)"
equal examples_of_ringbar_are_none_of_the_project "ringbar: error: EXAMPLE=sum: there is no example \`sum\`; the examples are: all one two" "$(there sum)"
equal driver_of_two_examples_is_named 'ringbar: error: EXAMPLE=all: two examples have the driver `one/driver`, which a guest loads once: name one of them' "$(there all)"
for driver in gone ../../ringbar/guest-driver/sum; do
	described_there two "driver $driver" 'program more'
	equal "folder_that_is_no_drivers_is_named $driver" "ringbar: error: $project/two/example: \`driver $driver\`: $project has no folder with a Kbuild: name the driver's folder, from the folder of this file on" \
		"$(there two | sed 's/no folder [^ ]* with/no folder with/')"
done
described_there two 'driver ../one/driver' 'program more' 'server gone'
no_server="ringbar: error: $project/two/example: there is no server \`gone\`: no Cargo.toml in $project has a [package] with \`name = \"gone\"\` that makes a program of this name, as with a src/main.rs"
equal server_that_no_crate_makes_is_named "$no_server" "$(there two)"
mkdir -p "$project/two/device/src"
printf '%s\n' '[package]' 'name = "two-device"' '[[bin]]' 'name = "gone"' >"$project/two/device/Cargo.toml"
equal program_of_another_package_is_no_server "$no_server" "$(there two)"
printf '%s\n' '[package]' 'name = "gone"' '[lib]' >"$project/two/device/Cargo.toml"
equal package_without_a_program_is_no_server "$no_server" "$(there two)"
touch "$project/two/device/src/main.rs"
equal package_with_a_main_file_is_a_server 'one/driver||more|gone||msix' "$(there two)"
described_there two 'driver ../one/driver' 'program lib'
printf '%s\n' '[package]' 'name = "two-device"' '[lib]' 'name = "lib"' >"$project/two/device/Cargo.toml"
equal library_is_no_program \
	"ringbar: error: $project/two/example: there is no program \`lib\`: no Cargo.toml in $project has a [[bin]] with \`name = \"lib\"\`, and no package has that name and a src/main.rs" "$(there two)"
mkdir "$project/two/device/src/bin" && touch "$project/two/device/src/bin/lib.rs"
equal file_of_a_program_is_enough 'one/driver||lib|||msix' "$(there two)"
equal missing_project_is_named "ringbar: error: AT=$place/gone: there is no such folder: make new NAME=frob AT=$place/gone makes a project there" "$(AT=$place/gone read_by all)"
rm "$project/ringbar"
equal project_without_ringbar_is_named_with_the_link_to_make \
	"ringbar: error: AT=$project: there is no ringbar in it, a link to a checkout or a submodule: for this one run ln -sfn $(printf '%q %q' "$(cd "$ci/.." && pwd)" "$project/ringbar")" "$(there all)"
mkdir "$project/ringbar"
equal project_of_another_checkout_is_named \
	"ringbar: error: AT=$project: its ringbar is $project/ringbar, this one is $(cd "$ci/.." && pwd): run make in the project" "$(there all)"

cd "$ci/.."
equal servers_are_crates_of_the_workspace '' "$(sed -n 's/^server *//p' ci/examples/* | while read -r name; do
	[[ -n $(sed -n 's/^    "\(.*\)",$/\1/p' Cargo.toml | while read -r folder; do
		if bash -c 'source ci/lib.sh && source ci/example.sh && made_by "$1" "$1" "$2"' _ "$name" "$folder/Cargo.toml"; then echo "$folder"; fi
	done) ]] || echo "$name"
done)"
equal programs_are_there '' "$(sed -n 's/^program *//p' ci/examples/* | while read -r name; do
	[[ -e guest-rootfs/examples/src/bin/$name || -e guest-rootfs/examples/src/bin/$name.rs ]] || echo "$name"
done)"
equal each_program_belongs_to_an_example "$(sed -n 's/^program *//p' ci/examples/* | sort)" \
	"$(find guest-rootfs/examples/src/bin -mindepth 1 -maxdepth 1 -printf '%f\n' | sed 's/\.rs$//' | sort)"
equal drivers_are_there '' "$(sed -n 's/^driver *//p' ci/examples/* | while read -r name; do
	[[ -e guest-driver/$name/Kbuild ]] || echo "$name"
done)"
