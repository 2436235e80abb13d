#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Shows that the debug run notices a broken driver (`module`), all paths and the tour a broken device (`device`), the
# witness what no program can see (`witness`), and every run a warning that the console hides (`log`): each that is broken
# on purpose must make a run fail, for the right reason. `hangs` does so with programs that hang, and shows that one which is
# merely slow is good. The unbroken ones pass the same programs in
# `make test-vm KERNEL=debug`, and traced in `make test-vm`.
set -euo pipefail
if [[ ${1:-} == module ]]; then export KERNEL=debug; else export KERNEL=stock; fi
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# broken WHAT FOLDER: makes that module and the guest with it.
broken() {
	"$ci_dir/module.sh" sabotage "$1"
	grep -q sabotage "$2/ringbar.ko" || die "$2/ringbar.ko is not broken: RINGBAR_SABOTAGE did not get to Kbuild"
	"$ci_dir/guest.sh" initramfs "$2/ringbar.ko" "$2/initramfs.cpio"
}

# caught WHAT PROGRAMS FILE PATTERN: FILE of a run with that module must tell what was found.
caught() {
	local folder=$checkout/build/sabotage/$1-debug
	broken "$1" "$folder"
	fails "$1" "$2" "$3" "$4" 0 "$folder/ringbar.ko" "$folder/initramfs.cpio"
}

# fails WHAT PROGRAMS FILE PATTERN IOMMU MODULE INITRAMFS [SERVER]
fails() {
	local what=$1 programs=$2 file=$3 pattern=$4 iommu=$5 output=$checkout/build/sabotage/$1.output
	local report=$checkout/build/report/sabotage-$what
	local logs=$report/logs/sabotage-$what
	shift 5
	say "sabotage: $what"
	# Of a former run nothing may count.
	rm -rf -- "$report"
	if TESTS=$programs INTERRUPTS=msix IOMMU=$iommu "$ci_dir/vm.sh" sabotage "sabotage-$what" "$@" >"$output" 2>&1; then
		die "the run passed although something is broken ($what): see $logs"
	fi
	grep -qE "$pattern" "$logs/$file" || {
		cat "$output" >&2
		die "the run failed, but $logs/$file does not say '$pattern': it failed for another reason than $what"
	}
	say "sabotage: $what was noticed: $(grep -m 1 -oE "$pattern.*" "$logs/$file")"
}

# wrong WHAT COMMAND...: runs it with a server that is WHAT, which is one build for all. `on_sound` is what such a server is
# given to.
wrong_server=$programs/ringbar-server-sabotage
on_sound=("$checkout/build/module/ringbar.ko" "$checkout/build/guest/initramfs.cpio" "$wrong_server")
wrong() {
	"$ci_dir/programs.sh" wrong-server sabotage
	RINGBAR_SABOTAGE=$1 "${@:2}"
}

# The device that is off by one, on each path of the test vectors by itself.
off_by_one() {
	local folder=$checkout/build/sabotage/off-by-one difference='copy_guest_to_device_[^ ]* OK [0-9a-f]* byte'
	mkdir -p "$folder"
	"$ci_dir/programs.sh" verdict
	fails path-a vectors results.ktap "vector: A $difference" 0 "${on_sound[@]}"
	fails path-b vfio results.ktap "vector: B $difference" 1 "${on_sound[@]}"
	if "$programs/ringbar-verdict" --server "$wrong_server" --paths C --table "$folder/vectors.md" 2>"$folder/output"; then
		die "path C agrees although the device is off by one: see $folder/vectors.md"
	fi
	grep -q 'path C, copy_guest_to_device_.*: byte' "$folder/output" || die "path C failed for another reason: see $folder/output"
	say "sabotage: path-c was noticed: $(grep -m 1 'path C, copy' "$folder/output")"
}

# witnessed WHAT PATTERN MODULE INITRAMFS [SERVER]: the witness tells, and nobody else has anything to say.
witnessed() {
	TRACE=1 fails "$1" phases,dma witness.txt "$2" 0 "${@:3}"
	grep -q '"good": true' "$checkout/build/report/sabotage-$1/results.json" ||
		die "$1 was noticed by others than the witness: see $checkout/build/sabotage/$1.output"
}

# A driver that makes the kernel warn, with a console that is told not to show it.
silenced() {
	local module=$checkout/build/sabotage/warning words name
	broken warning "$module"
	for words in loglevel=3 quiet; do
		name=warning-${words%=*}
		KERNEL_ARGS=$words fails "$name" registers results.ktap \
			'# kernel-log said registers: WARNING: .*sabotage' 0 "$module/ringbar.ko" "$module/initramfs.cpio"
		if grep -q WARNING: "$checkout/build/report/sabotage-$name/logs/sabotage-$name/console.log"; then
			die "$name: the console shows the warning in spite of $words, so that this run proves nothing"
		fi
		grep -q "FAILED: kernel warning in the kernel's log" "$checkout/build/sabotage/$name.output" ||
			die "$name: the run failed for another reason than the warning: see $checkout/build/sabotage/$name.output"
	done
}

# A driver with an access that traps where none should, and a server that loses a write without a word.
unseen() {
	local module=$checkout/build/sabotage/extra-read
	broken extra-read "$module"
	witnessed extra-read 'in .probe. the driver read STATUS' "$module/ringbar.ko" "$module/initramfs.cpio"
	wrong dropped-write witnessed dropped-write 'made .write 0x1004 4 0x2. [0-9]+ times .*the device knows of 0' "${on_sound[@]}"
}

# told WHAT FILE PATTERN...: FILE of the run's report has all of this.
told() {
	local file=$checkout/build/report/sabotage-$1/$2 pattern
	for pattern in "${@:3}"; do
		grep -qE "$pattern" "$file" || die "$file does not say '$pattern': see $checkout/build/sabotage/$1.output"
	done
}

# Programs that hang are named and killed, and the others run on; what cannot be killed ends the run and is shown; what is
# merely slow is good: SLOW times, each for so many boots of its guest.
hangs() {
	local -x HASTE=10
	local module=$checkout/build/module/ringbar.ko stuck=$checkout/build/sabotage/stuck packed=$checkout/build/sabotage/hangs.cpio
	local results=logs/sabotage-hangs/results.ktap round
	mkdir -p "$checkout/build/sabotage"
	"$ci_dir/guest.sh" hangs "$module" "$packed"
	fails hangs spins,sleeps,leaves,registers results.ktap '^not ok 1 spins' 0 "$module" "$packed"
	told hangs "$results" '# spins: hung and was killed: no line of it' '^not ok 2 sleeps' \
		'# sleeps: hung and was killed: no line of it' '^not ok 3 leaves' \
		'# leaves: left [0-9]+ \(busybox\) running, which held its output' '^ok 4 registers'
	told hangs results.json 'program spins hung and was killed' 'program sleeps hung and was killed' 'left [0-9]+ .busybox. running'
	"$ci_dir/module.sh" sabotage stuck
	"$ci_dir/guest.sh" hangs "$stuck/ringbar.ko" "$stuck.cpio"
	fails stuck stuck,registers results.ktap '^Bail out! program stuck .* cannot be killed: [0-9]+ .stuck., state D' 0 \
		"$stuck/ringbar.ko" "$stuck.cpio"
	told stuck results.json 'program stuck hung' 'sabotage[^ ]*at_release'
	for ((round = 1; round <= ${SLOW:-1}; round++)); do
		say "sabotage: slow, round $round of ${SLOW:-1}"
		TESTS=slow KERNEL_ARGS="ringbar.slow=${SLOW_BOOTS:-6}" "$ci_dir/vm.sh" sabotage sabotage-slow "$module" "$packed" \
			>"$checkout/build/sabotage/slow.output" 2>&1 || die "a program that is slow is no good: see $checkout/build/sabotage/slow.output"
	done
}

# It must not get into what everybody else uses.
for sound in "$checkout"/build/module*/ringbar.ko "$programs/ringbar-server"; do
	if grep -qi sabotage "$sound"; then die "$sound has sabotage in it"; fi
done
case ${1:-} in
module)
	# The detector of leaks is for the leak alone: it takes more of the guest's time than all else in it.
	export KERNEL_ARGS=kmemleak=off
	caught use-after-free registers console.log 'BUG: KASAN: slab-use-after-free in .*sabotage'
	caught no-revocation removal results.ktap 'not ok [0-9]+ .*gives_sigbus_after_unbind'
	export KERNEL_ARGS=''
	caught leak registers,leaks results.ktap 'not ok [0-9]+ driver_leaves_no_memory_behind'
	;;
device)
	wrong off-by-one off_by_one
	# What it completes it has not written: the tour shows the bytes, and is not taken in.
	wrong lost-dma fails lost-dma tour results.ktap 'the device did not write: bytes 0x104' 0 "${on_sound[@]}"
	;;
witness) unseen ;;
log) silenced ;;
hangs) hangs ;;
*) die "usage: $0 module|device|witness|log|hangs" ;;
esac
