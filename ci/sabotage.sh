#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Shows that the checks notice faults. `module`: the debug run notices a broken driver. `device`:
# all paths and the tour notice a broken device. `witness`: the witness notices faults that no
# program can see. `log`: every run notices a warning that the console hides. Each deliberate fault
# must fail a run for the right reason. `hangs` does the same with programs that hang, and shows
# that a merely slow one passes. `arm64` and `arm64-16k`: runs of that architecture notice drivers with a fault
# that x86 does not show. The unbroken parts pass the same programs in `make test-vm
# KERNEL=debug`, and traced in `make test-vm`.
set -euo pipefail
if [[ ${1:-} == module ]]; then export KERNEL=debug; else export KERNEL=stock; fi
if [[ ${1:-} == arm64* ]]; then export ARCH=$1; fi
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
without_example "make test-sabotage"
if [[ ${1:-} != "$ARCH" ]]; then on_x86_only "sabotage.sh ${1:-}"; fi

# broken WHAT FOLDER: builds that module and a guest with it.
broken() {
	"$ci_dir/module.sh" sabotage "$1"
	grep -q sabotage "$2/ringbar.ko" || die "$2/ringbar.ko is not broken: RINGBAR_SABOTAGE did not get to Kbuild"
	"$ci_dir/guest.sh" initramfs "$2/ringbar.ko" "$2/initramfs.cpio"
}

# caught WHAT PROGRAMS FILE PATTERN: fails unless FILE of a run with that module contains PATTERN.
caught() {
	local folder=$checkout/build/sabotage/$1$kernel_suffix
	broken "$1" "$folder"
	fails "$1" "$2" "$3" "$4" 0 "$folder/ringbar.ko" "$folder/initramfs.cpio"
}

# fails WHAT PROGRAMS FILE PATTERN IOMMU MODULE INITRAMFS [SERVER]: fails if the run passes, or
# fails for another reason than PATTERN.
fails() {
	local what=$1 programs=$2 file=$3 pattern=$4 iommu=$5 output=$checkout/build/sabotage/$1.output
	local report=$checkout/build/report/sabotage-$what
	local logs=$report/logs/sabotage-$what
	shift 5
	say "sabotage: $what"
	# Results of an earlier run must not count.
	rm -rf -- "$report"
	if TESTS=$programs INTERRUPTS=msix IOMMU=$iommu "$ci_dir/vm.sh" sabotage "sabotage-$what" "$@" >"$output" 2>&1; then
		die "the run passed although something is broken ($what): see $logs"
	fi
	grep -qE "$pattern" "$logs/$file" || {
		cat "$output" >&2
		die "the run failed, but $logs/$file does not contain '$pattern': it failed for another reason than $what"
	}
	# Failed and broken-off runs are where results of guest and runner may differ.
	"$ci_dir/vm.sh" read "sabotage-$what" || die "other tools do not find in $report what the runner found"
	say "sabotage: $what was noticed: $(grep -m 1 -oE "$pattern.*" "$logs/$file")"
}

# wrong WHAT COMMAND...: runs COMMAND with a server that has the fault WHAT. One build has all
# faults. `on_sound` holds the arguments for such a server with an unbroken guest.
wrong_server=$programs/ringbar-server-sabotage
on_sound=("$checkout/build/module/ringbar.ko" "$checkout/build/guest/initramfs.cpio" "$wrong_server")
wrong() {
	"$ci_dir/programs.sh" wrong-server sabotage
	RINGBAR_SABOTAGE=$1 "${@:2}"
}

# off_by_one: checks each path of the test vectors by itself, with a device that copies one byte too
# few.
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

# witnessed WHAT PROGRAMS PATTERN MODULE INITRAMFS [SERVER]: fails unless the witness, and nothing
# else, notices the fault.
witnessed() {
	local kinds
	TRACE=1 fails "$1" "$2" witness.txt "$3" 0 "${@:4}"
	kinds=$(grep -o '"kind": "[^"]*"' "$checkout/build/report/sabotage-$1/results.json" || true)
	[[ $kinds == '"kind": "witness"' ]] ||
		die "not only the witness noticed $1, but ${kinds//$'\n'/, }: see $checkout/build/sabotage/$1.output"
	# A reader of one file alone must not take the run for a green one.
	told "$1" "logs/sabotage-$1/results.ktap" '^    not ok 1 witness$'
	told "$1" junit.xml "<testcase name=\"witness\" classname=\"sabotage-$1.machine\""
}

# silenced: checks a driver that makes the kernel warn, while the console hides the warning.
silenced() {
	local module=$checkout/build/sabotage/warning words name
	broken warning "$module"
	for words in loglevel=3 quiet; do
		name=warning-${words%=*}
		KERNEL_ARGS=$words fails "$name" registers results.ktap \
			'# kernel-log said registers: WARNING: .*sabotage' 0 "$module/ringbar.ko" "$module/initramfs.cpio"
		if grep -q WARNING: "$checkout/build/report/sabotage-$name/logs/sabotage-$name/console.log"; then
			die "$name: the console shows the warning despite $words, so this run proves nothing"
		fi
		grep -q "FAILED: kernel warning in the kernel's log" "$checkout/build/sabotage/$name.output" ||
			die "$name: the run failed for another reason than the warning: see $checkout/build/sabotage/$name.output"
	done
}

# unseen: checks a driver with an unwanted trapped access, a server that silently drops a write, and
# one that answers half of a wide read with a wrong byte.
unseen() {
	local module=$checkout/build/sabotage/extra-read
	broken extra-read "$module"
	witnessed extra-read phases,dma 'in .probe. the driver read STATUS' "$module/ringbar.ko" "$module/initramfs.cpio"
	wrong dropped-write witnessed dropped-write phases,dma \
		'made .write 0x10004 4 0x2. [0-9]+ times .*the device recorded 0' "${on_sound[@]}"
	wrong wrong-byte witnessed wrong-byte accesses \
		'made .read 0x20 8 .*a part of .read 0x18 16 .*the device recorded 0' "${on_sound[@]}"
}

# told WHAT FILE PATTERN...: fails unless FILE of the run's report contains each PATTERN.
told() {
	local file=$checkout/build/report/sabotage-$1/$2 pattern
	for pattern in "${@:3}"; do
		grep -qE "$pattern" "$file" || die "$file does not contain '$pattern': see $checkout/build/sabotage/$1.output"
	done
}

# hangs: checks that programs that hang are named and killed while the others run on. A program that
# survives SIGKILL ends the run and is shown. A merely slow one passes: SLOW rounds, each as long as
# some boots of its guest.
hangs() {
	local -x HASTE=10
	local module=$checkout/build/module/ringbar.ko stuck=$checkout/build/sabotage/stuck packed=$checkout/build/sabotage/hangs.cpio
	local results=logs/sabotage-hangs/results.ktap round
	mkdir -p "$checkout/build/sabotage"
	"$ci_dir/guest.sh" hangs "$module" "$packed"
	fails hangs spins,sleeps,leaves,registers results.ktap '^not ok 1 spins' 0 "$module" "$packed"
	told hangs "$results" '# spins: hung and was killed: it printed no line' '^not ok 2 sleeps' \
		'# sleeps: hung and was killed: it printed no line' '^not ok 3 leaves' \
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
			>"$checkout/build/sabotage/slow.output" 2>&1 || die "the run failed, although its program is only slow: see $checkout/build/sabotage/slow.output"
	done
}

# The fault must not reach the builds that other runs use.
for sound in "$checkout"/build/module*/ringbar.ko "$programs/ringbar-server"; do
	if grep -qi sabotage "$sound"; then die "$sound has sabotage in it"; fi
done
case ${1:-} in
module)
	caught use-after-free registers console.log 'BUG: KASAN: slab-use-after-free in .*sabotage'
	caught no-revocation removal results.ktap 'not ok [0-9]+ .*raises_sigbus_after_unbind'
	caught leak registers,leaks results.ktap 'not ok [0-9]+ driver_leaves_no_memory_behind'
	;;
device)
	wrong off-by-one off_by_one
	# The device completes a write without making it. The tour compares the bytes and must notice.
	wrong lost-dma fails lost-dma tour results.ktap 'the device did not write: bytes 0x104' 0 "${on_sound[@]}"
	;;
witness) unseen ;;
log) silenced ;;
hangs) hangs ;;
# The device finds memory of a process by its offset in a page.
arm64-16k) caught page-of-4096 user_memory results.ktap 'not ok [0-9]+ device_writes_just_the_bytes_of_the_window' ;;
# Windows on memory of a process need a device that sees the caches.
arm64) COHERENT=0 caught sees-caches user_memory results.ktap 'not ok [0-9]+ memory_that_process_and_device_cannot_share_is_refused' ;;
*) die "usage: $0 module|device|witness|log|hangs|arm64|arm64-16k" ;;
esac
