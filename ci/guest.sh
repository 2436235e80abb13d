#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The guest: `programs` builds its static programs, `initramfs` packs them with the module that KERNEL names
# (or MODULE) into build/guest/initramfs.cpio (initramfs-debug.cpio; or OUTPUT): guest.sh initramfs [MODULE OUTPUT]
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

guest=$checkout/build/guest

# Without a target of its own, build scripts would be linked statically too. A RUSTFLAGS of the caller
# would hide one in the configuration, hence the variable.
programs() {
	mkdir -p "$guest"
	# cargo names what it made: what former builds left in its folder must not get into the guest.
	RUSTFLAGS="${RUSTFLAGS:-} -Ctarget-feature=+crt-static" \
		"$ci_dir/cargo.sh" build --locked --profile guest --target x86_64-unknown-linux-gnu \
		--message-format json-render-diagnostics --bins -p ringbar-init -p ringbar-ctl -p ringbar-tests |
		sed -n 's/.*"executable":"\([^"]*\)".*/\1/p' >"$guest/programs.new"
	mv "$guest/programs.new" "$guest/programs"
}

# tools: paths of what a person looks at a PCI device with, and of all shared objects that this needs.
tools() {
	local tools=(/usr/bin/lspci /usr/bin/setpci)
	printf '%s\n' "${tools[@]}"
	"$ci_dir/in-sysroot.sh" ldd "${tools[@]}" | grep -oE '/lib[^ ]+' | sort -u
}

# packed MODULE OUTPUT PROGRAM...
packed() {
	local module=$1 output=$2 name program files=()
	shift 2
	# Symbols stay, for backtraces. What names lines is with the unstripped programs.
	rm -rf "$guest/stripped"
	mkdir -p "$guest/stripped"
	cp -t "$guest/stripped" "$@"
	"$ci_dir/in-sysroot.sh" strip --strip-debug "${@/#*\//$guest/stripped/}"
	for name in "${@##*/}"; do
		case $name in
		ringbar-init) files+=(--file "/init=$guest/stripped/$name:755") ;;
		ringbarctl) files+=(--file "/bin/$name=$guest/stripped/$name:755") ;;
		*) files+=(--file "/tests/$name=$guest/stripped/$name:755") ;;
		esac
	done
	for name in "$kernel"/modules/*.ko; do
		if [[ -f $name ]]; then files+=(--file "/lib/modules/${name##*/}=$name"); fi
	done
	# Tools of the release, with what they are linked to.
	while read -r program; do files+=(--file "$program=$sysroot/$program:755"); done < <(tools)
	"$packer" --output "$output" "${files[@]}" \
		--file "/bin/busybox=$sysroot/usr/bin/busybox:755" --symlink /bin/sh=busybox \
		--file "/lib/modules/ringbar.ko=$module" \
		--dir /proc --dir /sys --dir /dev --dir /tmp --dir /run --node /dev/console=c:5:1
}

initramfs() {
	local module=$1 output=$2 packer=$checkout/build/cargo/release/ringbar-initramfs sysroot kernel programs from
	sysroot=$("$ci_dir/sysroot.sh")
	kernel=$("$ci_dir/kernel.sh")
	mapfile -t programs <"$guest/programs"
	# What is in the cache never changes under its name.
	from=$(printf '%s\n' "$sysroot" "$kernel" && files_of "$ci_dir/guest.sh" "$packer" "$module" "${programs[@]}")
	unless_made "$output" "$from" packed "$module" "$output" "${programs[@]}"
}

case ${1:-} in
programs) programs ;;
initramfs)
	initramfs "${2:-$checkout/build/module$kernel_suffix/ringbar.ko}" "${3:-$guest/initramfs$kernel_suffix.cpio}"
	;;
*) die "usage: $0 programs|initramfs [MODULE OUTPUT]" ;;
esac
