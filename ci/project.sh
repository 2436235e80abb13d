#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Makes an example in a project of the user's own: project.sh NAME, with the project's folder in AT. A
# new folder becomes a project: a workspace of cargo, a Makefile that calls the one of this checkout,
# and `ringbar`, a link to this checkout, or it as a submodule. All paths of the project go through
# `ringbar`. It has no copy of the mapping layer or of another crate, and this checkout stays as it is.
#
# The example is a folder with device, driver, test program and a description, copies of `sum` (see
# new.sh). A project may have several. ci/project has its other files, with `frob` for the name.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/copy.sh
source "$ci_dir/copy.sh"
cd "$checkout"
name=${1:-}
check_name "$name"
[[ -n $project ]] || die "name the project's folder, as in make new NAME=$name AT=../$name-project"

# check_place: fails if the folder can neither become a project nor is one.
check_place() {
	local file words
	[[ $project/ != "$checkout"/* ]] || die "AT=$AT: this is in the checkout, which stays as it is: name a folder outside of it, as in AT=../$name-project"
	[[ ! -e $project || -d $project ]] || die "AT=$AT: there is a file of this name: name a new folder"
	if [[ -e $project/ringbar ]]; then
		check_project
	elif [[ $checkout/ == "$project"/* ]]; then
		# Its sources would count as those of the project.
		die "AT=$AT: this checkout is in it, at ${checkout#"$project"/}: move it to $AT/ringbar, or name a folder beside it"
	elif [[ -n $(find "$project" -mindepth 1 -print -quit 2>/dev/null) ]]; then
		die "AT=$AT: the folder is not empty, and has no ringbar: name a new folder, or put this checkout into it: ln -sfn $(printf '%q %q' "$checkout" "$project/ringbar")"
	fi
	# shellcheck disable=SC2016 # a variable of make
	while IFS=: read -r file words; do
		[[ ! -e $project/$file ]] || grep -qF -- "$words" "$project/$file" ||
			die "AT=$AT: its $file does not have \`$words\`, as that of a project has: name a new folder, or move the file away"
	done <<-'END'
		Cargo.toml:exclude = ["ringbar"]
		Makefile:$(MAKE) -C ringbar
	END
	[[ $name != @(build|target) && ! -e $project/$name ]] || die "NAME=$name: $project/$name is taken: choose another name, or remove it"
}
check_place
choose_type
if [[ -d $project ]]; then choose_number "$copied_device" "$project"; else choose_number "$copied_device"; fi

# outside FROM TO: copies a file of `sum` under the new name, with the paths of a project.
outside() {
	renamed "$@"
	sed -i -E "s/ringbar-example-$name\b/$name-device/g
		s/ringbar_example_$name\b/${name}_device/g
		s#(\.\./)+qemu-device/vfio-user/examples/$name\b#../device#g
		s#\bqemu-device/vfio-user/examples/$name\b#$name/device#g
		s#\bguest-driver/$name\b#$name/driver#g
		s#(\.\./)(mapping|README\.md)#../../ringbar/guest-driver/\2#g
		s/\bringbar_examples::uapi::$name\b/uapi/
		s/^(driver +)$name\$/\1driver/" "$2"
}

# template FROM TO: copies a file of ci/project. A file that is there stays.
template() {
	[[ ! -e $2 ]] || return 0
	made+=("$2")
	sed "s/\bfrob\b/$name/g" "ci/project/$1" >"$2"
}

# section NAME: prints that section of this workspace's Cargo.toml, without comments.
section() { awk -v head="[$1]" '/^\[/ { inside = $0 == head } inside && !/^#/ { sub(/ # .*/, ""); print }' Cargo.toml; }

# dependencies MANIFEST...: prints what these crates take from the workspace's dependencies.
dependencies() {
	local crate
	sed -n 's/^\([a-z0-9_-]*\) = { workspace = true.*/\1/p' "$@" | sort -u | while read -r crate; do
		section workspace.dependencies | grep "^$crate = " | sed 's|path = "|&ringbar/|; /path = /s|, version = "[^"]*"||' ||
			die "Cargo.toml has no dependency $crate: ci/project is older than that file"
	done
}

# workspace: makes the project's files around its examples.
workspace() {
	template Makefile "$project/Makefile"
	template README "$project/README.md"
	template gitignore "$project/.gitignore"
	if [[ ! -e $project/rustfmt.toml ]]; then
		made+=("$project/rustfmt.toml")
		cp rustfmt.toml "$project"
	fi
	[[ ! -e $project/Cargo.toml ]] || return 0
	template Cargo.toml "$project/Cargo.toml"
	{
		echo
		section workspace.package
		section workspace.lints.rust
		section workspace.lints.clippy
		echo '[workspace.dependencies]'
		dependencies "$example"/{device,test}/Cargo.toml
	} >>"$project/Cargo.toml"
	# The same versions as here. cargo takes out what is not needed.
	made+=("$project/Cargo.lock")
	cp Cargo.lock "$project"
}

# Half of an example would be in the way of the next try.
example=$project/$name made=("$project/$name")
before=$(mktemp)
undo() {
	if [[ -s $before ]]; then cp -- "$before" "$project/Cargo.lock"; fi
	rm -rf -- "$before" "${made[@]}"
}
trap undo EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
if [[ -f $project/Cargo.lock ]]; then cp -- "$project/Cargo.lock" "$before"; fi
if [[ ! -e $project ]]; then made+=("$project"); fi
mkdir -p "$example/test/src"
if [[ ! -e $project/ringbar ]]; then
	made+=("$project/ringbar")
	ln -sfnr -- "$checkout" "$project/ringbar"
fi
program=$example/test/src/main.rs
each_renamed outside "$copied_device" "$example/device"
each_renamed outside "$copied_driver" "$example/driver"
outside "$copied_program" "$program"
outside ci/examples/sum "$example/example"
template test.toml "$example/test/Cargo.toml"
# The program compiles the driver's own file.
sed -i '0,/^use /s|^use |#[path = "../../driver/uapi.rs"]\npub mod uapi;\n\n&|' "$program"
mark "$example/device" "$example/driver" "$program"
workspace
rustfmt --config-path "$project" --edition 2024 "$example"/device/src/{lib,main}.rs "$example"/device/tests/*.rs "$program"
"$ci_dir/cargo.sh" update --workspace --offline --quiet || "$ci_dir/cargo.sh" update --workspace --quiet ||
	die "cargo cannot make $project/Cargo.lock (see above); nothing was made"

trap - EXIT INT TERM HUP
rm -f -- "$before"
say "made $example: device, driver, test and example, which names them; README.md beside it says more"
say "it works: make -C ${project@Q} run EXAMPLE=$name; then write your own, where a comment says HERE: grep -rn HERE: ${example@Q}"
