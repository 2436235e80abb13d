#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Inside the sysroot: builds the kernel's selftests in the folder $1, for the kernel $2, stock or debug.
# $1/tree has those of VFIO, with our driver. Programs are in $1/out, and for the stock kernel modules in
# $1/out/modules.
#
# They are linked statically, because the guest has no libraries.
set -euo pipefail

work=$1 kernel=$2
ours=/ringbar/guest-driver/selftests
mkdir "$work/out"
tree=$work/tree

# complete: adds the parts of the source that they are built from. Some of these are links to others.
complete() {
	make -s -C /kernel/src "O=$tree" headers
	(cd /kernel/src && cp -rL --parents -t "$tree" scripts/subarch.include tools/arch/x86/include tools/include \
		tools/scripts tools/testing/selftests/{lib.mk,kselftest.h,kselftest_harness.h,kselftest,mm})
}

# vfio: builds the VFIO selftests by their own Makefile.
vfio() {
	env LDFLAGS=-static make -s -C "$tree/tools/testing/selftests/vfio" -j"$(nproc)"
	find "$tree/tools/testing/selftests/vfio" -maxdepth 1 -type f -name '*_test' -perm -u+x -exec cp -t "$work/out" {} +
}

# pfnmap: builds one program of the selftests of memory, whose Makefile builds all of them.
pfnmap() {
	local mm=$tree/tools/testing/selftests/mm
	gcc -Wall -Werror -c -o "$work/open_made.o" "$ours/open_made.c"
	gcc -O2 -D_GNU_SOURCE= -static -Wl,--wrap=open,--wrap=mmap -I"$tree/tools/testing/selftests" \
		-isystem "$tree/usr/include" -isystem "$tree/tools/include/uapi" \
		-o "$work/out/pfnmap" "$mm"/{pfnmap,vm_util}.c "$work/open_made.o"
}

# modules: builds vfio with iommufd and its device nodes, for the stock kernel. The options that Debian
# leaves out change no structure that the kernel itself has.
modules() {
	local folder=$work/modules
	mkdir "$folder"
	cp -r /kernel/src/drivers/vfio "$folder/vfio"
	cp -r /kernel/src/drivers/iommu/iommufd "$folder/iommufd"
	cp /kernel/src/drivers/iommu/iommu-{priv,pages}.h "$folder/"
	# A part of the kernel's library that only iommufd asks for, and parts that are no modules of their own.
	printf '%s\n' '#include <linux/export.h>' '#undef EXPORT_SYMBOL_GPL' '#define EXPORT_SYMBOL_GPL(symbol)' \
		'#include "/kernel/src/lib/interval_tree.c"' >"$folder/iommufd/interval_tree.c"
	printf '%s\n' 'iommufd-y += driver.o interval_tree.o iova_bitmap.o' >>"$folder/iommufd/Makefile"
	printf '%s\n' 'obj-m += iommufd/ vfio/' \
		'subdir-ccflags-y += -DCONFIG_IOMMUFD_MODULE=1 -DCONFIG_IOMMUFD_DRIVER=1 -DCONFIG_IOMMUFD_DRIVER_CORE=1' \
		'subdir-ccflags-y += -DCONFIG_VFIO_DEVICE_CDEV=1 -DCONFIG_INTERVAL_TREE_SPAN_ITER=1' >"$folder/Kbuild"
	make -s -C /kernel/build "M=$folder" -j"$(nproc)" CONFIG_IOMMUFD=m CONFIG_VFIO_DEVICE_CDEV=y CONFIG_VFIO_MDEV=n modules
	mkdir "$work/out/modules"
	cp -t "$work/out/modules" "$folder"/iommufd/iommufd.ko "$folder"/vfio/{vfio,vfio_iommu_type1}.ko \
		"$folder"/vfio/pci/vfio-pci{,-core}.ko
	strip --strip-debug "$work"/out/modules/*.ko
}

complete
vfio
pfnmap
if [[ $kernel == stock ]]; then modules; fi
strip "$work"/out/{*_test,pfnmap}
