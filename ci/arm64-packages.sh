#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Fetches and unpacks the packages that guests on arm64 need: `arm64-packages.sh tools FOLDER` those of
# ci/arm64.sh, `kernel FLAVOUR FOLDER` those of a stock kernel, taken apart.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/resolve.sh
source "$ci_dir/resolve.sh"
# shellcheck source=ci/apt.sh
source "$ci_dir/apt.sh"
# shellcheck source=ci/versions.env
source "$ci_dir/versions.env"
# shellcheck source=ci/arm64.env
source "$ci_dir/arm64.env"

backports=$DEBIAN_SUITE-backports

# pin PACKAGE PREFIX [SUM]: prints `PACKAGE=VERSION`, as the versions PREFIX_* and the sum SUM say.
pin() {
	local version=$2_VERSION series=$2_SERIES sum=${3:-$2}_SHA256
	version=$(pinned "$1" "${!version}" "${!series}" "${!sum}" ci/arm64.env)
	printf '%s=%s\n' "$1" "$version"
}

# fetch_for FOLDER ARCHITECTURE PIN...: unpacks the pinned packages, and those that they need and that are not
# there, into FOLDER. PIN has the words for `pin`, with colons between.
fetch_for() {
	local folder=$1 pins=() pin words
	apt_architecture=$2
	rm -rf -- "$place"
	lists "$DEBIAN_SUITE" "$backports"
	for pin in "${@:3}"; do
		IFS=: read -ra words <<<"$pin"
		pins+=("$(pin "${words[@]}")")
	done
	apt apt-get install --yes --no-install-recommends --download-only "${pins[@]}"
	mkdir -p "$folder"
	unpack "$folder" "$place"/cache/archives/*.deb
}

# tools FOLDER: fills the folder with what ci/arm64.sh has.
tools() {
	# In the folder, which goes if this fails.
	place=$1/.apt
	fetch_for "$1" amd64 qemu-system-arm:QEMU:QEMU_SYSTEM_ARM \
		gcc-14-aarch64-linux-gnu:CROSS_GCC binutils-aarch64-linux-gnu:CROSS_BINUTILS libc6-dev-arm64-cross:CROSS_LIBC \
		rustc:GUEST_RUSTC cargo:GUEST_RUSTC:GUEST_CARGO libstd-rust-dev:GUEST_RUSTC:GUEST_LIBSTD
	fetch_for "$1/guest" arm64 busybox-static:BUSYBOX pciutils:PCIUTILS
	# The standard library for the guest stands beside the one for this host. What its package needs is no
	# part of it.
	(
		cd "$place" && apt apt-get download "$(pin libstd-rust-dev GUEST_RUSTC GUEST_LIBSTD_ARM64)"
	)
	unpack "$1" "$place"/libstd-rust-dev_*.deb
	rm -rf -- "$place"
	[[ -x $1/usr/bin/qemu-system-aarch64 && -d $1/usr/lib/rustlib/aarch64-unknown-linux-gnu && -x $1/guest/usr/bin/lspci ]]
}

# member DEB PATH FILE: unpacks one file of a package.
member() { "$ci_dir/in-sysroot.sh" dpkg-deb --fsys-tarfile "$1" | tar -xO "./$2" >"$3"; }

# kernel FLAVOUR FOLDER: takes the packages of a stock kernel apart, as the sysroot has those of x86-64.
kernel() {
	local flavour=$1 folder=$2 part release version prefix=LINUX_${1^^}
	prefix=${prefix//-/_}
	place=$folder/.apt apt_architecture=arm64
	version=$(sed -n 's/^LINUX_VERSION=//p' "$sysroot/etc/ringbar-versions")
	# The source is the sysroot's, so no other version will do.
	LINUX_SERIES=$version
	release=$(kernel_release "$version" "${LINUX_FLAVOUR%-*}-$flavour")
	lists "$backports"
	for part in binary modules headers; do
		(cd "$place" && apt apt-get download "$(pin "linux-$part-$release" LINUX "${prefix}_${part^^}")")
	done
	mkdir -p "$folder/modules"
	member "$place"/linux-binary-*.deb "usr/lib/modules/$release/vmlinuz" "$folder/vmlinuz"
	member "$place"/linux-modules-*.deb "usr/lib/modules/$release/kernel/drivers/iommu/virtio-iommu.ko.xz" "$folder/modules/virtio-iommu.ko.xz"
	for part in .config Module.symvers vmlinux; do
		member "$place"/linux-headers-*.deb "usr/src/linux-headers-$release/$part" "$folder/${part#.}"
	done
	rm -rf -- "$place"
	printf '%s\n' "$release" >"$folder/release"
}

sysroot=$("$ci_dir/sysroot.sh")
case ${1:-} in
tools) tools "$2" ;;
kernel) kernel "$2" "$3" ;;
*) die "usage: $0 tools FOLDER|kernel FLAVOUR FOLDER" ;;
esac
