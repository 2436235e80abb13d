# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
# shellcheck disable=SC2034 # variables are for the scripts that source this file
# Reads the descriptions of examples: a driver of its own with its device and its test programs.
# Sourced after lib.sh, never run.
#
# Each file in ci/examples describes an example, one word and its value per line:
#
#   driver   folder of guest-driver with the module
#   node     node that the driver makes; may be there more than once, or be left out
#   program  test program in guest-rootfs/examples/src/bin; may be there more than once
#   server   crate and program that serves the device; it is called with `--socket PATH --once`
#   messages msi, or msix by default: the interrupts of that device
#   device   a device of QEMU itself, as after `-device`
#
# Without server and device, the driver needs no hardware.
: "${ci_dir:?comes from lib.sh}" "${checkout:?}" "${kernel_suffix=}"
: "${RINGBAR_EXAMPLES:=$ci_dir/examples}"

# examples: prints the names of all examples.
examples() { find "$RINGBAR_EXAMPLES" -mindepth 1 -maxdepth 1 -type f -printf '%f\n' | sort; }

# example_initramfs NAMES: prints the path of the packed guest of these examples.
example_initramfs() { printf '%s\n' "$checkout/build/guest/example-${1//,/-}$kernel_suffix.cpio"; }

# The values of all examples that `read_examples` has read. Each driver has its entry in
# `example_nodes`: its nodes, with commas between them.
example_drivers=() example_nodes=() example_programs=() example_servers=() example_devices=()
example_messages=msix

# read_examples NAMES: reads the descriptions of these examples, with commas between them, or `all`.
read_examples() {
	local names name twice
	[[ ,$1, != *,all,* || $1 == all ]] || die "EXAMPLE=$1: \`all\` has all examples: set EXAMPLE=all, or leave \`all\` out"
	if [[ $1 == all ]]; then mapfile -t names < <(examples); else IFS=, read -ra names <<<"$1,"; fi
	for name in "${names[@]}"; do
		[[ $name =~ ^[a-z][a-z0-9_]*$ && -f $RINGBAR_EXAMPLES/$name ]] || die "EXAMPLE=$1: there is no example \`$name\`; the examples are: all $(examples | paste -sd ' ')"
	done
	twice=$(printf '%s\n' "${names[@]}" | sort | uniq -d | head -n 1)
	[[ -z $twice ]] || die "EXAMPLE=$1: \`$twice\` is there twice: name each example once"
	for name in "${names[@]}"; do read_example "$name"; done
	twice=$(printf '%s\n' "${example_drivers[@]}" | sort | uniq -d | head -n 1)
	[[ -z $twice ]] || die "EXAMPLE=$1: two examples have the driver \`$twice\`, which a guest loads once: name one of them"
}

# read_example NAME: adds the values of one example.
read_example() {
	local file=$RINGBAR_EXAMPLES/$1 word value driver='' nodes=() programs=0 servers=0 messages=msix
	while read -r word value; do
		case $word in
		'' | '#'*) continue ;;
		driver)
			driver=$value
			example_drivers+=("$value")
			;;
		node) nodes+=("$value") ;;
		program)
			programs=1
			example_programs+=("$value")
			;;
		server)
			servers=$((servers + 1))
			example_servers+=("$value")
			;;
		messages) messages=$value ;;
		device) example_devices+=("$value") ;;
		*) die "$file: there is no word \`$word\`; ci/example.sh lists the words" ;;
		esac
		[[ -n $value ]] || die "$file: \`$word\` has no value"
	done <"$file"
	[[ -n $driver ]] || die "$file: name the driver, as in \`driver $1\`"
	((programs)) || die "$file: name a test program, as in \`program $1\`"
	if ((servers)); then
		# The runner has one kind for the devices of all servers.
		((${#example_servers[@]} == servers)) || [[ $messages == "$example_messages" ]] ||
			die "$file: its device has \`messages $messages\`, one before it \`$example_messages\`: run them one by one, as in EXAMPLE=$1"
		example_messages=$messages
	fi
	example_nodes+=("$(IFS=, && printf '%s' "${nodes[*]}")")
}
