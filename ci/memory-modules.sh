#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the drivers of virtio-mem and of the balloon as lines HOST:GUEST, for vm.sh, which adds them to
# the guest of a run that names `memory_hotplug`.
#
# They are built in the sysroot from the source of the stock kernel, as that has them: the package with
# Debian's own has all other modules too, 100 MB of them. The debug kernel has no memory hot plug.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

names=(virtio_mem virtio_balloon)

# make_all FOLDER: makes the modules, in a folder of the checkout, which alone can be written in the
# sysroot.
make_all() {
	local work=build/memory-modules name
	rm -rf -- "${checkout:?}/$work"
	mkdir -p "$checkout/$work"
	for name in "${names[@]}"; do
		cp -t "$checkout/$work" -- "$kernel/src/drivers/virtio/$name.c" || return
		printf 'obj-m += %s.o\n' "$name" >>"$checkout/$work/Kbuild"
	done
	"$ci_dir/in-sysroot.sh" --kernel "$kernel" make -s -C /kernel/build "M=/ringbar/$work" modules || return
	for name in "${names[@]}"; do strip --strip-debug -o "$1/$name.ko" -- "$checkout/$work/$name.ko" || return; done
	rm -rf -- "${checkout:?}/$work"
}

build() {
	local log=$RINGBAR_CACHE/log/memory-modules.log
	mkdir -p "$RINGBAR_CACHE/log"
	long_step 10 "$log" "drivers of virtio-mem and the balloon" make_all "$1" ||
		die "there are no drivers for memory that comes and goes: see above"
}

on_x86_only "memory that comes and goes"
[[ $KERNEL == stock ]] || exit 0
sysroot=$("$ci_dir/sysroot.sh")
kernel=$("$ci_dir/kernel.sh")
key=$(cache_key "$ci_dir/memory-modules.sh" < <(printf '%s\n' "${sysroot##*/}" "${kernel##*/}"))
entry=$(cache_entry memory-modules "$key" 1 build)
for name in "${names[@]}"; do printf '%s:%s\n' "$entry/$name.ko" "/lib/modules/$name.ko"; done
