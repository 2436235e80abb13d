# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
# Copies files of the example `sum` under another name. Sourced after lib.sh, never run.
: "${ci_dir:?comes from lib.sh}" "${name=}"

# Words of Rust, which cannot be names of modules, and names that have another meaning here.
words="as async await abstract become box break const continue crate do dyn else enum extern false final fn for gen if impl
in let loop macro match mod move mut override priv pub ref return self static struct super trait true try type typeof
unsafe unsized use virtual where while yield alloc core kernel libc main std test zerocopy all arm64 clippy debug examples mapping ringbar uapi"
longest=20

# check_name NAME: fails if the name suits no example.
check_name() {
	[[ -n $1 ]] || die "name the example, as in make new NAME=frob"
	[[ $1 =~ ^[a-z][a-z0-9]*(_[a-z0-9]+)*$ ]] || die "NAME=$1: use small letters and digits, with a letter first and single _ between them, as in NAME=my_frob"
	((${#1} <= longest)) || die "NAME=$1: it has ${#1} characters, the limit is $longest"
	[[ " ${words//$'\n'/ } " != *" $1 "* ]] || die "NAME=$1: this word has a meaning in Rust or here: choose another, as in NAME=my_$1"
}

# Parts of the example to copy.
copied_device=qemu-device/vfio-user/examples/sum copied_driver=guest-driver/sum copied_program=guest-rootfs/examples/src/bin/sum.rs

# choose_type: sets the name of types: my_frob is MyFrob. Fails if the copied files have that name.
choose_type() {
	type=$(sed -E 's/(^|_)([a-z0-9])/\U\2/g' <<<"$name")
	! grep -rqw --include='*.rs' --exclude-dir=target -- "$type" "$copied_device" "$copied_driver" "$copied_program" guest-driver/mapping/prelude.rs ||
		die "NAME=$name: its type would be $type, a name that the copied files use: choose another, as in NAME=my_$name"
}

# has_word WORD FOLDER...: succeeds if a file there has the word. Folders below with other sources and
# builds do not count; that a folder itself has such a name does not matter.
has_word() {
	local word=$1 folder
	shift
	for folder in "$@"; do
		if (cd "$folder" && grep -rqw --include='*.rs' --exclude-dir={ringbar,build,target} -- "$word" .); then return; fi
	done
	return 1
}

# choose_number FOLDER...: sets the device's number to one that no file there has. QEMU leaves those
# from 0x10f0 to 0x10ff to experiments. The first are taken here.
choose_number() {
	local number
	for number in {242..255}; do
		printf -v id '0x10%x' "$number"
		if ! has_word "$id" "$@"; then return; fi
	done
	die "all device numbers up to 0x10ff are taken: remove an example of $*"
}

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

# Tests that hold for any device. The others are about the work of `sum`, or about its program.
copied_tests="conformance.rs device.rs registers.rs"

# each_renamed COPY FROM TO: has COPY copy each file of the folder of a device or driver.
each_renamed() {
	local path to
	while IFS= read -r path; do
		[[ $path != */tests/* || " $copied_tests " == *" ${path##*/} "* ]] || continue
		to=$3${path#"$2"}
		"$1" "$path" "${to/%sum_main.rs/${name}_main.rs}"
	done < <(find "$2" -name target -prune -o -type f -print)
}

# here FILE PATTERN TEXT: marks the first line that fits the pattern as a place to write.
here() {
	local comment='// HERE: ' end=''
	case $1 in
	*.toml) comment='# HERE: ' ;;
	*.md) comment='<!-- HERE: ' end=' -->' ;;
	esac
	grep -qE -- "$2" "$1" || die "$1 has no line that fits $2: ci/copy.sh is older than the example it copies"
	pattern=$2 mark=$comment$3$end awk '
		!done && $0 ~ ENVIRON["pattern"] {
			done = match($0, /[^ ]/)
			printf "%s%s\n", substr($0, 1, RSTART - 1), ENVIRON["mark"]
		}
		{ print }' "$1" >"$1.new"
	mv -- "$1.new" "$1"
}

# mark DEVICE DRIVER PROGRAM: marks the places to write one's own.
mark() {
	local lib=$1/src/lib.rs main=$2/${name}_main.rs
	here "$1/Cargo.toml" '^description' "the device in one line."
	here "$lib" '^//! A PCI device' "the device, and the table of its registers. \`tests/registers.rs\` compares it with REGISTERS."
	here "$lib" '^const ADDRESS_LOW' "offsets of the registers, and their names in REGISTERS."
	here "$lib" '^/// The registers;' "the state of the device."
	here "$lib" '^        let shape = ' "identity, BARs and interrupts. The driver's table has the identity too."
	here "$lib" '^    fn run\(' "the work that a write starts."
	here "$lib" '^impl Function for ' "the value that a read returns, and the effect of a write."
	here "$1/tests/conformance.rs" '^/// Rules about parts' "rules about parts that the device does not have. A failure names those to add or to take out."
	here "$1/tests/device.rs" '^#\[test\]$' "tests of the device. Those of \`sum\` map memory and wait for interrupts: ${project:+ringbar/}$copied_device/tests/sum.rs"
	here "$2/README.md" '^# ' "the driver and its interface."
	here "$main" '^//! ' "the driver in a few lines."
	here "$main" '^// Registers of BAR 0' "registers, as in the device."
	here "$main" '^    fn start\(' "the accesses that start the work."
	here "$main" '^    fn sum\(' "the result of the work, and its errors."
	here "$main" '^fn add_up' "the calls: they check the numbers of the process, then use the device."
	here "$main" '^    const KINDS' "the mappings: an \`impl Kind\` for each, and a row in the table of the test program."
	here "$main" '^            uapi::ADD_UP' "an arm per call."
	here "$2/uapi.rs" '^/// Has the device ' "the calls, for the driver and for programs."
	here "$2/uapi.rs" '^/// Argument of ' "the arguments of the calls."
	here "$3" '^//! ' "the test in a few lines."
	here "$3" '^/// Offset of the register' "registers that a test reads in the mapping."
	here "$3" '^    /// Has the device' "a function per call."
	here "$3" '^#\[case\]$' "a case per behaviour of the device. \`mappings\` and \`removal\` above run the rules of the mapping layer."
}
