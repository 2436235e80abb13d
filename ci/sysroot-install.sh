#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# mmdebstrap's customize hook: installs QEMU and the kernel's toolchain, fetches the stock kernel.
#
# Runs outside of the sysroot (its folder is $1) with apt's index at hand, as root or as the root of a
# user namespace. apt runs outside too, so that the host's proxy and certificates serve it.
set -euo pipefail

root=$1
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=ci/resolve.sh
source "$here/resolve.sh"
# shellcheck source=ci/versions.env
source "$here/versions.env"

die() {
	printf 'ringbar: error: %s\n' "$*" >&2
	exit 1
}
with_apt() { env --unset=TMPDIR APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" DEBIAN_FRONTEND=noninteractive "$@"; }

# choose PREFIX PACKAGE: sets PREFIX_VERSION to the version to install.
choose() {
	local name=$1_VERSION series=$1_SERIES found
	found=$(with_apt apt-cache madison "$2" | awk -F '|' '{ gsub(/ /, "", $2); print $2 }' |
		resolve_version "${!name}" "${!series}") ||
		die "the mirror has no $2 ${!name} and none beginning with ${!series}: set $name and $series in ci/versions.env, or RINGBAR_MIRROR to a mirror that still has it"
	if [[ $found != "${!name}" ]]; then
		printf 'ringbar: warning: the mirror no longer has %s %s; using %s, checked against the signed index only\n' "$2" "${!name}" "$found" >&2
		changed+=" $1"
	fi
	printf -v "$name" %s "$found"
}

# pin PREFIX PACKAGE SUM: checks the signed index against the pinned sum, writes apt's preference.
pin() {
	local version=$1_VERSION expected=$3_SHA256 actual
	actual=$(with_apt apt-cache show "$2" | sha256_of "${!version}")
	[[ -n $actual ]] || die "the mirror has no $2 ${!version}"
	if [[ $changed != *" $1"* && $actual != "${!expected}" ]]; then
		die "the archive gives SHA-256 $actual for $2 ${!version}, ci/versions.env says ${!expected}: do not go on before you know why"
	fi
	printf 'Package: %s\nPin: version %s\nPin-Priority: 1001\n\n' "$2" "${!version}" >>"$root/etc/apt/preferences.d/ringbar"
}

# unpack DEB MEMBER FILE
unpack() { dpkg-deb --fsys-tarfile "$1" | tar -xO "./$2" >"$3"; }

changed=
choose QEMU qemu-system-x86
choose LINUX linux-source-"${LINUX_SERIES%.}"
choose RUSTC rustc
choose BINDGEN bindgen
choose CLANG clang-19
release=$(kernel_release "$LINUX_VERSION" "$LINUX_FLAVOUR")

pin QEMU qemu-system-x86 QEMU_SYSTEM_X86
pin QEMU qemu-system-common QEMU_SYSTEM_COMMON
pin QEMU qemu-system-data QEMU_SYSTEM_DATA
pin LINUX "linux-binary-$release" LINUX_BINARY
pin LINUX "linux-modules-$release" LINUX_MODULES
pin LINUX "linux-headers-$release" LINUX_HEADERS
pin LINUX "linux-source-${LINUX_SERIES%.}" LINUX_SOURCE
pin RUSTC rustc RUSTC
pin RUSTC libstd-rust-dev LIBSTD_RUST_DEV
pin RUSTC rust-src RUST_SRC
pin RUSTC rustfmt RUSTFMT
pin RUSTC rust-clippy RUST_CLIPPY
pin BINDGEN bindgen BINDGEN
pin CLANG clang-19 CLANG

# This QEMU wants newer firmware than the release has; all other packages come from the release.
printf 'Package: seabios ipxe-qemu\nPin: release n=%s-backports\nPin-Priority: 1001\n' "$DEBIAN_SUITE" >>"$root/etc/apt/preferences.d/ringbar"

with_apt apt-get install --yes --no-install-recommends -o DPkg::Chroot-Directory="$root" \
	qemu-system-x86 \
	rustc rust-src rustfmt rust-clippy bindgen clang lld llvm \
	gcc make bc bison flex libelf-dev libssl-dev kmod pahole python3-minimal xz-utils zstd busybox-static pciutils

# The kernel packages are taken apart, not installed: their scripts want a boot loader.
kernel=$root/usr/src/ringbar-kernel
mkdir "$kernel"
cd "$kernel"
with_apt apt-get download "linux-binary-$release" "linux-modules-$release" "linux-headers-$release" "linux-source-${LINUX_SERIES%.}"
unpack linux-binary-*.deb "usr/lib/modules/$release/vmlinuz" vmlinuz
# What gives a device to a process.
mkdir modules
for module in virt/lib/irqbypass drivers/vfio/{vfio,vfio_iommu_type1,pci/vfio-pci-core,pci/vfio-pci}; do
	unpack linux-modules-*.deb "usr/lib/modules/$release/kernel/$module.ko.xz" "modules/${module##*/}.ko.xz"
done
unpack linux-headers-*.deb "usr/src/linux-headers-$release/.config" config
unpack linux-headers-*.deb "usr/src/linux-headers-$release/Module.symvers" Module.symvers
# Type information only: what BTF of a module is made against.
unpack linux-headers-*.deb "usr/src/linux-headers-$release/vmlinux" vmlinux
unpack linux-source-*.deb "usr/src/linux-source-${LINUX_SERIES%.}.tar.xz" source.tar.xz
rm -- *.deb
printf '%s\n' "$release" >release

printf '%s\n' "QEMU_VERSION=$QEMU_VERSION" "LINUX_VERSION=$LINUX_VERSION" "RUSTC_VERSION=$RUSTC_VERSION" \
	"BINDGEN_VERSION=$BINDGEN_VERSION" "CLANG_VERSION=$CLANG_VERSION" >"$root/etc/ringbar-versions"
