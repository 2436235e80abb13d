#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Has the kernel judge the limits of ringbar-initramfs. Boots an archive with the longest names and
# targets that the tool accepts, and appends by hand some entries that it refuses. The guest must
# have all of the former and read none of the latter. A link without a target is there, and leads
# nowhere.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
on_x86_only "${0##*/}"

if [[ -n ${TESTS:-} ]]; then
	say "the limits of the initramfs are left out: only $TESTS is asked for"
	exit
fi

# times TEXT COUNT: prints TEXT so many times.
times() { printf -- "$1%.0s" $(seq "$2"); }

# entry NAME MODE CONTENTS: prints an entry of the format, with MODE in octal and its kind.
entry() {
	local size=$((${#1} + 1))
	printf '070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%s\0' \
		1 "$((8#$2))" 0 0 1 0 "${#3}" 0 0 0 0 "$size" 0 "$1"
	zeros $(((4 - (110 + size) % 4) % 4))
	printf '%s' "$3"
	zeros $(((4 - ${#3} % 4) % 4))
}
zeros() { head -c "$1" /dev/zero; }

# check: what the guest runs first. Each line tells of a file with its own text, or of the lack of it.
check() {
	cat <<-END
		#!/bin/busybox sh
		/bin/busybox --install -s /bin
		cd /
		has() { printf '%s: %s\n' "\$1" "\$(cat "\$2" 2>/dev/null || echo missing)"; }
		exec >/dev/console 2>&1
		echo begin
		has name-255 "edge/$name"
		has path-4095 "$path"
		has trailer-below edge/TRAILER!!!
		echo "target-4095: \$(readlink edge/link | tr -d '\n' | wc -c)"
		echo "device: \$(stat -c %t:%T edge/device)"
		has name-256 "lost/${name}n"
		has empty-target lost/link
		has trailer TRAILER!!!
		echo "lost: \$(echo \$(ls -A lost))"
		has after after
		echo end
		exec poweroff -f
	END
}

sysroot=$("$ci_dir/sysroot.sh")
kernel=$("$ci_dir/kernel.sh" stock)
"$ci_dir/programs.sh" boot
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
name=$(times n 255)
path=$(times "$(times p 199)/" 20)$(times q 95)
check >"$place/init"
printf there >"$place/file"
"$programs/ringbar-initramfs" --output "$place/cpio" --node /dev/console=c:5:1 \
	--file "/init=$place/init:755" --file "/bin/busybox=$sysroot/usr/bin/busybox:755" --symlink /bin/sh=busybox \
	--file "/edge/$name=$place/file" --file "/$path=$place/file" --file "/edge/TRAILER!!!=$place/file" \
	--symlink "/edge/link=$(times t 4095)" --node /edge/device=c:4095:1048575 --dir /lost
size=$(stat -c %s "$place/cpio")
{
	zeros $(((4 - size % 4) % 4))
	entry "lost/${name}n" 100644 there
	entry lost/link 120777 ''
	entry 'TRAILER!!!' 100644 there
	entry after 100644 there
} >>"$place/cpio"

timeout 600 "$ci_dir/qemu.sh" -nodefaults -no-user-config -display none -no-reboot -M q35 -accel tcg -cpu max -m 512M \
	-kernel "$kernel/vmlinux" -initrd "$place/cpio" -serial "file:$place/console" \
	-append 'console=ttyS0 panic=-1 quiet tsc=nowatchdog no_timer_check cryptomgr.notests' </dev/null || true
expected='name-255: there
path-4095: there
trailer-below: there
target-4095: 4095
device: fff:fffff
name-256: missing
empty-target: missing
trailer: missing
lost: link
after: there'
seen=$(tr -d '\r' <"$place/console" | sed -n '/^begin$/,/^end$/p' | sed '1d;$d')
if [[ $seen != "$expected" ]]; then
	diff <(printf '%s\n' "$expected") <(printf '%s\n' "$seen") >&2 || true
	tail -n 20 "$place/console" >&2
	die "the kernel has unpacked something else than ringbar-initramfs promises (< expected, > seen): see its limits in guest-rootfs/initramfs/src/tree.rs"
fi
say "the kernel unpacks what ringbar-initramfs accepts up to its limits, and nothing of use where the tool refuses"
