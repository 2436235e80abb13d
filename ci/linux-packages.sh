#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Fetches the packages of the kernel of LINUX, which linux-LINUX.env pins, and takes them apart as the sysroot
# has those of the stock kernel: `linux-packages.sh FOLDER`.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/resolve.sh
source "$ci_dir/resolve.sh"
# shellcheck source=ci/apt.sh
source "$ci_dir/apt.sh"
# shellcheck source=ci/versions.env
source "$ci_dir/versions.env"
# shellcheck source=ci/linux-7.2.env
source "$ci_dir/linux-$LINUX.env"

folder=$1
place=$folder/.apt
source_package=linux-source-${LINUX_SERIES%.}

# fetch PACKAGE PART: fetches the pinned version of a package. PART names its sum.
fetch() {
	local sum=LINUX_$2_SHA256
	version=$(pinned "$1" "$LINUX_VERSION" "$LINUX_SERIES" "${!sum}" "ci/linux-$LINUX.env")
	(cd "$place" && apt apt-get download "$1=$version")
}
# member PACKAGE PATH FILE: takes one file of a fetched package.
member() { "$ci_dir/in-sysroot.sh" dpkg-deb --fsys-tarfile "$place/$1"_*.deb | tar -xO "./$2" >"$folder/$3"; }

sysroot=$("$ci_dir/sysroot.sh")
mkdir -p "$folder/modules"
lists "$DEBIAN_SUITE-backports"
fetch "$source_package" SOURCE
# A mirror that has dropped the pinned version has another one of the series.
release=$(kernel_release "$version" "$LINUX_FLAVOUR")
for part in binary modules headers; do fetch "linux-$part-$release" "${part^^}"; done

member "$source_package" "usr/src/$source_package.tar.xz" source.tar.xz
member "linux-binary-$release" "usr/lib/modules/$release/vmlinuz" vmlinuz
for part in .config Module.symvers vmlinux; do
	member "linux-headers-$release" "usr/src/linux-headers-$release/$part" "${part#.}"
done
# Those that guests on the stock kernel have, too.
for module in virt/lib/irqbypass drivers/vfio/{vfio,vfio_iommu_type1,pci/vfio-pci-core,pci/vfio-pci}; do
	member "linux-modules-$release" "usr/lib/modules/$release/kernel/$module.ko.xz" "modules/${module##*/}.ko.xz"
done
rm -rf -- "$place"
printf '%s\n' "$release" >"$folder/release"
