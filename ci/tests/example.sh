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
equal path_is_refused 'ringbar: error: EXAMPLE=../one: there is no example `../one`; the examples are: all one two' "$(read_by ../one)"
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

cd "$ci/.."
equal servers_are_crates_of_the_workspace '' "$(sed -n 's/^server *//p' ci/examples/* | while read -r name; do
	grep -rqx --include=Cargo.toml "name = \"$name\"" qemu-device || echo "$name"
done)"
equal programs_are_there '' "$(sed -n 's/^program *//p' ci/examples/* | while read -r name; do
	[[ -e guest-rootfs/examples/src/bin/$name || -e guest-rootfs/examples/src/bin/$name.rs ]] || echo "$name"
done)"
equal each_program_belongs_to_an_example "$(sed -n 's/^program *//p' ci/examples/* | sort)" \
	"$(find guest-rootfs/examples/src/bin -mindepth 1 -maxdepth 1 -printf '%f\n' | sed 's/\.rs$//' | sort)"
equal drivers_are_there '' "$(sed -n 's/^driver *//p' ci/examples/* | while read -r name; do
	[[ -e guest-driver/$name/Kbuild ]] || echo "$name"
done)"
