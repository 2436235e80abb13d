#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Packs the guest's programs with the module of KERNEL, or MODULE, into build/guest/initramfs.cpio
# (initramfs-debug.cpio, or OUTPUT): guest.sh initramfs [MODULE OUTPUT]. `hangs MODULE OUTPUT` also
# packs programs that hang.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

guest=$checkout/build/guest

# tools: prints the paths of PCI tools for people, and of all shared objects that they need.
tools() {
	local tools=(/usr/bin/lspci /usr/bin/setpci)
	printf '%s\n' "${tools[@]}"
	"$ci_dir/in-sysroot.sh" ldd "${tools[@]}" | grep -oE '/lib[^ ]+' | sort -u
}

# packed MODULE OUTPUT PROGRAM...: packs these programs and those of each guest. Symbols stay in the
# module for backtraces. Line tables are in the module in build/ only.
packed() {
	local module=$1 output=$2 name program files=()
	strip --strip-debug -o "$output.ko" -- "$module"
	shift 2
	for program in "$programs"/packed/* "$@"; do
		name=${program##*/}
		case $name in
		ringbar-init) files+=(--file "/init=$program:755") ;;
		ringbarctl) files+=(--file "/bin/$name=$program:755") ;;
		*) files+=(--file "/tests/$name=$program:755") ;;
		esac
	done
	for name in "$kernel"/modules/*.ko; do
		if [[ -f $name ]]; then files+=(--file "/lib/modules/${name##*/}=$name:644"); fi
	done
	# Tools of the release, with their shared objects.
	while read -r program; do files+=(--file "$program=$sysroot/$program:755"); done < <(tools)
	"$packer" --output "$output" "${files[@]}" \
		--file "/bin/busybox=$sysroot/usr/bin/busybox:755" --symlink /bin/sh=busybox \
		--file "/lib/modules/ringbar.ko=$output.ko:644" \
		--dir /proc --dir /sys --dir /dev --dir /tmp --dir /run --node /dev/console=c:5:1
}

initramfs() {
	local module=$1 output=$2 packer=$programs/ringbar-initramfs sysroot kernel from
	shift 2
	sysroot=$("$ci_dir/sysroot.sh")
	kernel=$("$ci_dir/kernel.sh")
	mkdir -p "$guest"
	# ringbar-report searches these files for the code of the guest's programs.
	printf '%s\n' "$programs"/guest/* >"$guest/programs"
	# An entry of the cache never changes under its name, so its path stands for its contents.
	from=$(printf '%s\n' "$sysroot" "$kernel" && files_of "$ci_dir/guest.sh" "$packer" "$module" "$@" | sort && cat "$programs/.boot.from")
	unless_made "$output" "$from" packed "$module" "$output" "$@"
}

case ${1:-} in
initramfs)
	initramfs "${2:-$checkout/build/module$kernel_suffix/ringbar.ko}" "${3:-$guest/initramfs$kernel_suffix.cpio}"
	;;
hangs)
	"$ci_dir/programs.sh" boot hangs
	initramfs "$2" "$3" "$programs"/{leaves,sleeps,slow,spins,stuck}
	;;
*) die "usage: $0 initramfs [MODULE OUTPUT]|hangs MODULE OUTPUT" ;;
esac
