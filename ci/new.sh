#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Makes an example to begin with: new.sh NAME. It has a device, its driver, and a test program in the
# guest. All are copies of the example `sum` under the new name, which work at once. Comments that
# begin with HERE mark the places to write one's own. With AT, project.sh makes it outside.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$checkout"
if [[ -n $project ]]; then exec "$ci_dir/project.sh" "$@"; fi
# shellcheck source=ci/copy.sh
source "$ci_dir/copy.sh"
name=${1:-}
check_name "$name"
device=qemu-device/vfio-user/examples/$name driver=guest-driver/$name program=guest-rootfs/examples/src/bin/$name.rs
for path in "$device" "$driver" "$program" "${program%.rs}" "ci/examples/$name"; do
	[[ ! -e $path ]] || die "NAME=$name: there is $path already: choose another name, or remove it"
done
# The build finds programs by their names alone.
for path in guest-rootfs/{tests,hangs}/src/bin/"$name"{,.rs}; do
	[[ ! -e $path ]] || die "NAME=$name: there is a program $path: choose another name, as in NAME=my_$name"
done
# Lines of an example that was taken out in part.
interfaces=guest-rootfs/examples/src/uapi.rs unsafe_files=guest-driver/README.md
while IFS=: read -r path words; do
	! grep -qF -- "$words" "$path" || die "NAME=$name: $path has \`$words\` already: choose another name, or take that out"
done <<-END
	Cargo.toml:"$device"
	$interfaces:pub mod $name;
	$unsafe_files:\`$name/${name}_main.rs\`
END

choose_type
choose_number qemu-device/vfio-user/examples

# insert_after FILE LINE TEXT: adds a line behind one that is there.
insert_after() {
	grep -qxF -- "$2" "$1" || die "$1 has no line \`$2\`: ci/new.sh is older than that file"
	awk -v line="$2" -v text="$3" '{ print } $0 == line { print text }' "$1" >"$1.new"
	mv -- "$1.new" "$1"
}

# Half of an example would be in the way of the next try.
changed=(Cargo.toml Cargo.lock "$unsafe_files" "$interfaces")
before=$(mktemp -d)
cp -p --parents -t "$before" -- "${changed[@]}"
undo() {
	local file
	rm -rf -- "$device" "$driver" "$program" "ci/examples/$name"
	for file in "${changed[@]}"; do
		rm -f -- "$file.new"
		cmp -s -- "$before/$file" "$file" || cp -p -- "$before/$file" "$file"
	done
	rm -rf -- "$before"
}
trap undo EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
each_renamed renamed "$copied_device" "$device"
each_renamed renamed "$copied_driver" "$driver"
renamed "$copied_program" "$program"
renamed ci/examples/sum "ci/examples/$name"
mark "$device" "$driver" "$program"

insert_after Cargo.toml '    "qemu-device/vfio-user/examples/sum",' "    \"$device\","
# A driver has `unsafe` where the kernel's interface asks for it, and the README lists such files.
sed -i "s|^\`unsafe\` is in |&\`$name/${name}_main.rs\`,\n|" "$unsafe_files"
printf '#[path = "../../../%s/uapi.rs"]\npub mod %s;\n' "$driver" "$name" >>"$interfaces"
rustfmt --config-path . --edition 2024 "$interfaces" "$device/src/lib.rs" "$device/src/main.rs" "$device"/tests/*.rs "$program"
# Cargo.lock names the crates of the workspace, and each build takes it as it is. The new
# crate has no new dependencies, so the network is rarely needed. `cargo metadata` would need the
# crates of all platforms.
"$ci_dir/cargo.sh" update --workspace --offline --quiet || "$ci_dir/cargo.sh" update --workspace --quiet ||
	die "cargo cannot add ringbar-example-$name to Cargo.lock (see above); nothing was made"

trap - EXIT INT TERM HUP
rm -rf -- "$before"
say "made $device, $driver, $program and ci/examples/$name; Cargo.toml, Cargo.lock, $unsafe_files and $interfaces name them"
say "it works: make run EXAMPLE=$name; then write your own, where a comment says HERE: grep -rn HERE: $device $driver $program"
