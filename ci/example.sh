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
#
# With AT, the examples are those of that project: each folder of it with a file `example`. There,
# `driver` is a folder beside that file. `program` and `server` are programs of the project's crates.
: "${ci_dir:?comes from lib.sh}" "${checkout:?}" "${kernel_suffix=}"
: "${RINGBAR_EXAMPLES:=$ci_dir/examples}"

# examples: prints the names of all examples.
examples() {
	if [[ -n $project ]]; then
		(cd "$project" && find . -mindepth 2 -maxdepth 2 -type f -name example ! -path './ringbar/*' ! -path './.*' -printf '%h\n') | sed 's|^\./||' | sort
		return
	fi
	find "$RINGBAR_EXAMPLES" -mindepth 1 -maxdepth 1 -type f -printf '%f\n' | sort
}

# example_initramfs NAMES: prints the path of the packed guest of these examples.
example_initramfs() { printf '%s\n' "$checkout/build/guest/example-${1//,/-}$kernel_suffix.cpio"; }

# The values of all examples that `read_examples` has read. Each driver has its entry in
# `example_nodes`: its nodes, with commas between them.
example_drivers=() example_nodes=() example_programs=() example_servers=() example_devices=()
example_messages=msix

# read_examples NAMES: reads the descriptions of these examples, with commas between them, or `all`.
read_examples() {
	local names name twice all
	if [[ -n $project ]]; then check_project; fi
	mapfile -t all < <(examples)
	for name in "${all[@]}"; do
		[[ -z $project || $name =~ ^[a-z][a-z0-9_]*$ ]] || die "$project/$name has an example, but its name has more than small letters, digits and _: rename the folder"
	done
	[[ -z $project ]] || ((${#all[@]})) || die "AT=${AT:-}: the project has no example: make new NAME=frob AT=${AT:-} makes one"
	[[ ,$1, != *,all,* || $1 == all ]] || die "EXAMPLE=$1: \`all\` has all examples: set EXAMPLE=all, or leave \`all\` out"
	if [[ $1 == all ]]; then names=("${all[@]}"); else IFS=, read -ra names <<<"$1,"; fi
	for name in "${names[@]}"; do
		[[ " ${all[*]} " == *" ${name:-?} "* ]] || die "EXAMPLE=$1: there is no example \`$name\`$(maybe "$name" "${all[@]}"); the examples are: all ${all[*]}"
	done
	twice=$(printf '%s\n' "${names[@]}" | sort | uniq -d | head -n 1)
	[[ -z $twice ]] || die "EXAMPLE=$1: \`$twice\` is there twice: name each example once"
	for name in "${names[@]}"; do read_example "$name"; done
	twice=$(printf '%s\n' "${example_drivers[@]}" | sort | uniq -d | head -n 1)
	[[ -z $twice ]] || die "EXAMPLE=$1: two examples have the driver \`$twice\`, which a guest loads once: name one of them"
}

# traceable: succeeds if the witness knows the device: ringbar's, or that of the one example that was
# read.
traceable() { [[ -z ${EXAMPLE:-} ]] || ((${#example_drivers[@]} == 1 && ${#example_servers[@]} > 0)); }

# check_traceable: fails with the reason if it does not.
check_traceable() {
	! traceable || return 0
	((${#example_drivers[@]} > 1)) ||
		die "TRACE=$TRACE: EXAMPLE=$EXAMPLE has no server, and the witness watches a device that a server serves: try make run EXAMPLE=$EXAMPLE"
	die "TRACE=$TRACE: EXAMPLE=$EXAMPLE has several drivers, and the witness watches one device: name one example with a server, as in EXAMPLE=sum"
}

# made_by PROGRAM PACKAGE MANIFEST: succeeds if that crate makes the program, and is of the package, or of
# any if that is empty.
made_by() {
	local folder=${3%/*}
	[[ -z $2 ]] || names package "$2" "$3" || return
	names bin "$1" "$3" || [[ -f $folder/src/bin/$1.rs || -f $folder/src/bin/$1/main.rs ]] ||
		{ [[ -f $folder/src/main.rs ]] && names package "$1" "$3"; }
}

# names KIND NAME MANIFEST: succeeds if the manifest has a section KIND of this name.
names() {
	awk -v kind="$1" -v line="name = \"$2\"" \
		'/^\[/ { gsub(/[][ \t]/, ""); section = $0 } section == kind && $0 == line { found = 1 } END { exit !found }' "$3"
}

# check_made PROGRAM PACKAGE: fails unless a crate of the project makes the program of the example `file`.
check_made() {
	local manifest
	while IFS= read -r -d '' manifest; do
		if made_by "$1" "$2" "$project/$manifest"; then return; fi
	done < <(cd "$project" && find . \( -path ./ringbar -o -name build -o -name target \) -prune -o -name Cargo.toml -print0)
	[[ -n $2 ]] || die "$file: there is no program \`$1\`: no Cargo.toml in $project has a [[bin]] with \`name = \"$1\"\`, and no package has that name and a src/main.rs"
	die "$file: there is no server \`$1\`: no Cargo.toml in $project has a [package] with \`name = \"$1\"\` that makes a program of this name, as with a src/main.rs"
}

# check_parts NAME DRIVER: fails if the project lacks parts of the example that was just read. Has its
# entry in `example_drivers` be a folder of the project.
check_parts() {
	local file=$project/$1/example folder program
	folder=$(realpath -m --relative-to="$project" -- "$project/$1/$2")
	[[ $folder != ..* && -f $project/$folder/Kbuild ]] ||
		die "$file: \`driver $2\`: $project has no folder $folder with a Kbuild: name the driver's folder, from the folder of this file on"
	example_drivers[-1]=$folder
	for program in "${example_programs[@]}"; do check_made "$program" ''; done
	for program in "${example_servers[@]}"; do check_made "$program" "$program"; done
}

# read_example NAME: adds the values of one example.
read_example() {
	local file=${project:+$project/$1/example} word value driver='' nodes=() programs=0 servers=0 messages=msix
	: "${file:=$RINGBAR_EXAMPLES/$1}"
	while read -r word value || [[ -n $word ]]; do
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
	if [[ -n $project ]]; then check_parts "$1" "$driver"; fi
	if ((servers)); then
		# The runner has one kind for the devices of all servers.
		((${#example_servers[@]} == servers)) || [[ $messages == "$example_messages" ]] ||
			die "$file: its device has \`messages $messages\`, one before it \`$example_messages\`: run them one by one, as in EXAMPLE=$1"
		example_messages=$messages
	fi
	example_nodes+=("$(IFS=, && printf '%s' "${nodes[*]}")")
}
