#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Measures which lines of the driver the VM tests reach: coverage.sh [CONFIGURATION...]. The plugin
# records the executed code of each run, and ringbar-report finds the lines. Writes
# build/report/coverage.json and coverage.html, and prints unreached lines and the table.
#
# Without arguments it runs `usual`, and fails if the lines are too few, or differ from
# guest-driver/coverage.md. With TESTS it boots once, with the user's variables, and runs these
# programs. That, and other configurations, fail for neither.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
without_example "make coverage"
on_x86_only "make coverage"

# Together they have each kind of interrupts and of slots, the IOMMU, lies, lost and swapped servers, bounced
# memory, many queues, and the debug kernel's faults of allocations.
usual=(stock-msix stock-msi-iommu stock-vanished stock-swapped stock-bounced stock-64-queues debug-msi)

[[ ${TRACE:-0} == 0 ]] || die "TRACE=$TRACE: leave it out: the witness records accesses or executed code, not both"
[[ ${ACCEL:-tcg} == tcg ]] || die "ACCEL=$ACCEL: leave it out: the plugin sees only code that QEMU translates"
# That builds, holds the checkout, and calls this script again.
if [[ ${RINGBAR_HELD:-} != "$checkout" ]]; then exec "$ci_dir/build.sh" "$0" "$@"; fi
report=$checkout/build/report
export COVERAGE=$report/coverage ACCEL=tcg
"$ci_dir/programs.sh" plugin report

# known_loop: fails unless the plugin records a known loop as it runs: a boot sector that counts to
# three, passes a jump that it never takes, and leaves QEMU.
known_loop() {
	local folder=$COVERAGE/known-loop
	local executed='"executed":\[\["0x7c00","0x7c1[02]"\]\]' # the last jump may come too late
	local jumps='"at":"0x7c04","taken":true,"passed":true},{"at":"0x7c08","taken":false,"passed":true}'
	mkdir -p "$folder"
	# mov cx, 3; again: nop; loop again; xor ax, ax; jnz 0x7c20; mov al, 0; mov dx, 0xf4; out dx, al;
	# stay: jmp stay
	printf '\xb9\x03\x00\x90\xe2\xfd\x31\xc0\x75\x16\xb0\x00\xba\xf4\x00\xee\xeb\xfe' >"$folder/sector"
	truncate -s 510 "$folder/sector"
	printf '\x55\xaa' >>"$folder/sector"
	# The device ends QEMU with status 1.
	timeout 120 "$ci_dir/qemu.sh" -machine pc -accel tcg -nodefaults -display none -no-reboot \
		-drive "file=$folder/sector,format=raw,if=ide,readonly=off" -device isa-debug-exit,iobase=0xf4 \
		-plugin "file=$programs/libringbar_plugin.so,out=$folder/executed.jsonl,record=code,range=0x7c00-0x7e00" \
		>"$folder/output" 2>&1 || true
	if ! grep -q "$executed" "$folder/executed.jsonl" || ! grep -qF "$jumps" "$folder/executed.jsonl"; then
		cat "$folder/output" "$folder/executed.jsonl" >&2 || true
		die "the plugin recorded another way through a known loop than 0x7c00 to 0x7c10, with the jump at 0x7c04 both taken and passed, and that at 0x7c08 passed"
	fi
	say "the plugin records a known loop as it ran"
}

# Results of an earlier run must not count.
rm -rf -- "$COVERAGE"
known_loop
partial=() failed=() runs=()
if [[ -n ${TESTS:-} ]]; then
	partial=(--partial)
	"$ci_dir/vm.sh" cover run || failed+=(run)
	runs=(run)
else
	if (($#)); then
		usual=("$@") partial=(--partial)
	fi
	# Counts are for the device's server and for races. The lines are the same.
	: "${FULL:=0}" "${CYCLES:=10}"
	export FULL CYCLES
	for name in "${usual[@]}"; do
		say "coverage: $name"
		if [[ $name == debug-* ]]; then KERNEL=debug "$ci_dir/build.sh"; else KERNEL=stock "$ci_dir/build.sh"; fi
		"$ci_dir/vm.sh" configuration "$name" || failed+=("$name")
		runs+=("$name")
	done
fi
logs=()
for name in "${runs[@]}"; do logs+=(--run "$COVERAGE/$name/logs/$name"); done
"$programs/ringbar-report" coverage "${logs[@]}" --sources "$checkout" --reasons "$checkout/guest-driver/coverage.md" \
	--out "$report" "${partial[@]}"
((${#failed[@]} == 0)) || die "programs failed in ${failed[*]}: the messages above name them; the lines count as reached"
