#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the kernel's selftests as lines HOST:GUEST, for vm.sh, which adds them to the guest of a run
# that names `vfio_selftests` or `pfnmap`.
#
# They are built in the sysroot from the source of the pinned kernel, as that has them, with the driver
# of guest-driver/selftests. For the stock kernel come modules of vfio, built from the same source with
# iommufd, which Debian leaves out. All of it is an entry of the cache of its own.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

sources=guest-driver/selftests
header=guest-driver/uapi/include/ringbar.h

# add_driver TREE: makes a tree with the VFIO selftests, and our driver in their library.
add_driver() {
	local library=$1/tools/testing/selftests/vfio/lib
	mkdir -p "$1" &&
		(cd "$kernel/src" && cp -rL --parents tools/testing/selftests/vfio "$1") &&
		cp -r -t "$library/drivers" -- "$checkout/$sources/ringbar" &&
		cp -t "$library/drivers/ringbar" -- "$checkout/$header" || return
	# Below the checkout git would take the paths for those of the repository.
	(cd "$1" && GIT_CEILING_DIRECTORIES=${1%/*} git apply "$checkout/$sources/vfio.patch")
}

# make_all FOLDER: makes the selftests, in a folder of the checkout, which alone can be written in the
# sysroot. /usr/local has the library that they are linked with.
make_all() {
	local work=build/selftests$kernel_suffix
	rm -rf -- "${checkout:?}/$work"
	add_driver "$checkout/$work/tree" || return
	"$ci_dir/in-sysroot.sh" --kernel "$kernel" --show "$extra/usr" /usr/local \
		bash "$ci_dir/selftests-build.sh" "/ringbar/$work" "$KERNEL" || return
	cp -r -t "$1" -- "$checkout/$work"/out/* || return
	rm -rf -- "${checkout:?}/$work"
}

build() {
	local log=$RINGBAR_CACHE/log/selftests.log
	extra=$("$ci_dir/extra.sh")
	mkdir -p "$RINGBAR_CACHE/log"
	long_step 60 "$log" "the kernel's selftests" make_all "$1" ||
		die "there are no selftests: see above"
}

sysroot=$("$ci_dir/sysroot.sh")
kernel=$("$ci_dir/kernel.sh")
key=$(cache_key "$ci_dir"/selftests{,-build}.sh < <(printf '%s\n' "${sysroot##*/}" "${kernel##*/}" && contents "$sources" "$header" | grep -v '\.md$'))
entry=$(cache_entry selftests "$KERNEL-$key" 1 build)
find "$entry" -type f -printf '%p:/selftests/%P\n' | sort
