#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Shows that the debug run notices a broken driver: each module that is broken on purpose must make it fail,
# for the right reason. The unbroken module passes the same programs in `make test KERNEL=debug`.
set -euo pipefail
export KERNEL=debug
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# caught WHAT PROGRAMS FILE PATTERN: FILE of the run's logs must tell what was found.
caught() {
	local what=$1 programs=$2 file=$3 pattern=$4
	local report=$checkout/build/report/sabotage-$what folder=$checkout/build/sabotage/$what-debug
	local logs=$report/logs/sabotage-$what
	"$ci_dir/module.sh" sabotage "$what"
	grep -q sabotage "$folder/ringbar.ko" || die "$folder/ringbar.ko is not broken: RINGBAR_SABOTAGE did not get to Kbuild"
	"$ci_dir/guest.sh" initramfs "$folder/ringbar.ko" "$folder/initramfs.cpio"
	say "sabotage: $what"
	# Of a former run nothing may count.
	rm -rf -- "$report"
	if TESTS=$programs INTERRUPTS=msix IOMMU=0 "$ci_dir/vm.sh" sabotage "sabotage-$what" "$folder/initramfs.cpio" >"$folder/output" 2>&1; then
		die "the run passed although the driver is broken ($what): see $logs"
	fi
	grep -qE "$pattern" "$logs/$file" || {
		cat "$folder/output" >&2
		die "the run failed, but $logs/$file does not say '$pattern': it failed for another reason than $what"
	}
	say "sabotage: $what was noticed: $(grep -m 1 -oE "$pattern.*" "$logs/$file")"
}

# It must not get into the module that everybody else uses.
for module in "$checkout"/build/module*/ringbar.ko; do
	if grep -q sabotage "$module"; then die "$module has sabotage in it"; fi
done
caught use-after-free registers console.log 'BUG: KASAN: slab-use-after-free in .*sabotage'
caught no-revocation removal results.ktap 'not ok [0-9]+ .*gives_sigbus_after_unbind'
caught leak registers,leaks results.ktap 'not ok [0-9]+ driver_leaves_no_memory_behind'
