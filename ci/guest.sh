#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Packs the guest's programs with the module of KERNEL and ARCH, or MODULE, into build/guest/initramfs.cpio
# (initramfs-debug.cpio, initramfs-arm64.cpio, ..., or OUTPUT): guest.sh initramfs [MODULE OUTPUT]. `hangs MODULE OUTPUT` also
# packs programs that hang. `example NAMES` packs modules and programs of these examples alone, into
# build/guest/example-NAMES.cpio.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/example.sh
source "$ci_dir/example.sh"

guest=$checkout/build/guest

# tools: prints PCI tools for people, and all shared objects that they need, as GUEST=HOST lines.
tools() {
	local tools=(/usr/bin/lspci /usr/bin/setpci) path release=$sysroot libraries
	if [[ -n $guest_suffix ]]; then
		release=$("$ci_dir/arm64.sh")/guest
		libraries=$("$ci_dir/arm64.sh" needed "${tools[@]/#/"$release"}")
		path=/lib/ld-linux-aarch64.so.1
		printf '%s=%s\n' "$path" "$release/usr$path"
	else
		libraries=$("$ci_dir/in-sysroot.sh" ldd "${tools[@]}" | grep -oE '/lib[^ ]+' | sort -u)
	fi
	while read -r path; do printf '%s=%s\n' "$path" "$release$path"; done < <(printf '%s\n' "${tools[@]}" "$libraries")
	printf '/bin/busybox=%s\n' "$release/usr/bin/busybox"
}

# without_lines FROM TO: copies a module without line tables.
without_lines() {
	if [[ -n $guest_suffix ]]; then
		"$ci_dir/arm64.sh" run /arm64/usr/bin/aarch64-linux-gnu-strip --strip-debug -o "$2" -- "$1"
	else
		strip --strip-debug -o "$2" -- "$1"
	fi
}

# packed OUTPUT: packs `modules` and `packing`, the chosen programs. Symbols stay in the modules for
# backtraces. Line tables are in the modules in build/ only.
packed() {
	local output=$1 name module program files=()
	for module in "${modules[@]}"; do
		name=${module##*/}
		without_lines "$module" "$output.$name"
		files+=(--file "/lib/modules/$name=$output.$name:644")
	done
	for program in "${packing[@]}"; do
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
	while read -r program; do files+=(--file "$program:755"); done < <(tools)
	"$packer" --output "$output" "${files[@]}" \
		--symlink /bin/sh=busybox --dir /proc --dir /sys --dir /dev --dir /tmp --dir /run --node /dev/console=c:5:1
}

# pack OUTPUT: packs `modules` and `packing`, unless that is there.
pack() {
	local packer=$programs/ringbar-initramfs sysroot kernel from
	sysroot=$("$ci_dir/sysroot.sh")
	kernel=$("$ci_dir/kernel.sh")
	mkdir -p "$guest"
	# An entry of the cache never changes under its name, so its path stands for its contents.
	from=$(printf '%s\n' "$sysroot" "$kernel" && files_of "$ci_dir/guest.sh" "$packer" "${modules[@]}" "${packing[@]}" | sort)
	unless_made "$1" "$from" packed "$1"
}

initramfs() {
	local modules=("$1") packing=("$guest_programs"/packed/* "${@:3}")
	mkdir -p "$guest"
	# ringbar-report searches these files for the code of the guest's programs.
	printf '%s\n' "$guest_programs"/guest/* >"$guest/programs$guest_suffix"
	pack "$2"
}

# example NAMES: packs what the examples need.
example() {
	local modules=() packing=("$guest_programs"/example/packed/*) built=("$guest_programs"/example/guest/*) driver
	read_examples "$1"
	if [[ -n $project ]]; then packing+=("$guest_programs"/base/packed/*) built+=("$guest_programs"/base/guest/*); fi
	for driver in "${example_drivers[@]}"; do modules+=("$("$ci_dir/module.sh" path "$driver")"); done
	mkdir -p "$guest"
	printf '%s\n' "${built[@]}" >"$guest/example-programs$guest_suffix"
	pack "$(example_initramfs "$1")"
}

case ${1:-} in
initramfs)
	initramfs "${2:-$checkout/build/module$kernel_suffix/ringbar.ko}" "${3:-$guest/initramfs$kernel_suffix.cpio}"
	;;
hangs)
	"$ci_dir/programs.sh" boot hangs
	initramfs "$2" "$3" "$programs"/{leaves,sleeps,slow,spins,stuck}
	;;
example) example "$2" ;;
*) die "usage: $0 initramfs [MODULE OUTPUT]|hangs MODULE OUTPUT|example NAMES" ;;
esac
