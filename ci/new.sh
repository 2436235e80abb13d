#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Makes an example to begin with: new.sh NAME. It has a device, its driver, and a test program in the
# guest. All are copies of the example `sum` under the new name, which work at once. Comments that
# begin with HERE mark the places to write one's own.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$checkout"

# Words of Rust, which cannot be names of modules, and names that have another meaning here.
words="as async await abstract become box break const continue crate do dyn else enum extern false final fn for gen if impl
in let loop macro match mod move mut override priv pub ref return self static struct super trait true try type typeof
unsafe unsized use virtual where while yield alloc core kernel libc main std test zerocopy all clippy debug examples mapping ringbar uapi"
longest=20

name=${1:-}
[[ -n $name ]] || die "name the example, as in make new NAME=frob"
[[ $name =~ ^[a-z][a-z0-9]*(_[a-z0-9]+)*$ ]] || die "NAME=$name: use small letters and digits, with a letter first and single _ between them, as in NAME=my_frob"
((${#name} <= longest)) || die "NAME=$name: it has ${#name} characters, the limit is $longest"
[[ " ${words//$'\n'/ } " != *" $name "* ]] || die "NAME=$name: this word has a meaning in Rust or here: choose another, as in NAME=my_$name"

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

# The name of types: my_frob is MyFrob.
type=$(sed -E 's/(^|_)([a-z0-9])/\U\2/g' <<<"$name")
copied=(guest-driver/sum qemu-device/vfio-user/examples/sum guest-rootfs/examples/src/bin/sum.rs)
! grep -rqw --include='*.rs' --exclude-dir=target -- "$type" "${copied[@]}" guest-driver/mapping/prelude.rs ||
	die "NAME=$name: its type would be $type, a name that the copied files use: choose another, as in NAME=my_$name"
# Numbers of devices that QEMU leaves to experiments, from 0x10f0 to 0x10ff. The first are taken here.
id=
for number in {242..255}; do
	printf -v id '0x10%x' "$number"
	if ! grep -rqw "$id" qemu-device/vfio-user/examples; then break; fi
	id=
done
[[ -n $id ]] || die "all device numbers up to 0x10ff are taken: remove an example of qemu-device/vfio-user/examples"

# renamed FROM TO: copies a file of `sum` under the new name.
renamed() {
	mkdir -p "$(dirname "$2")"
	sed -E "s/\bsum_main\b/${name}_main/g
		s/(ringbar[_-](example[_-])?)sum/\1$name/g
		s#(guest-driver|examples)/sum\b#\1/$name#g
		s/\buapi::sum\b/uapi::$name/g
		s/\`sum\`/\`$name\`/g
		s/\bexample device sum\b/device $name/g
		s/\bEXAMPLE=sum\b/EXAMPLE=$name/g
		s/^(driver|program)( +)sum\$/\1\2$name/
		s/\bSum\b/$type/g
		s/\b0x10f1\b/$id/g" "$1" >"$2"
}

# here FILE PATTERN TEXT: marks the first line that fits the pattern as a place to write.
here() {
	grep -qE "$2" "$1" || die "$1 has no line that fits $2: ci/new.sh is older than the example it copies"
	sed -i -E "0,\|$2|s|$2|// HERE: $3\n&|" "$1"
}

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
from=qemu-device/vfio-user/examples/sum
while IFS= read -r path; do renamed "$path" "$device${path#"$from"}"; done < <(find "$from" -name target -prune -o -type f -print)
from=guest-driver/sum
while IFS= read -r path; do
	to=$driver${path#"$from"}
	renamed "$path" "${to/%sum_main.rs/${name}_main.rs}"
done < <(find "$from" -type f)
renamed guest-rootfs/examples/src/bin/sum.rs "$program"
renamed ci/examples/sum "ci/examples/$name"

here "$device/src/lib.rs" '^impl Function for ' "the registers of your device: the value that a read returns, and the work that a write starts."
here "$driver/${name}_main.rs" '^fn add_up' "the calls of your driver. \`uapi.rs\` has their numbers and arguments."
here "$driver/uapi.rs" '^/// Has the device ' "the calls of your driver, for the driver and for programs."
here "$program" '^#\[case\]$' "a case per behaviour of your device. The rules of the mapping layer are run by the first two."

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
