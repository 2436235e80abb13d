#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Shows that QEMU refuses a vfio-user device behind an SMMUv3, in each way to have one, before any guest
# runs. Fails as soon as one of them is accepted: the machine of arm64 can then have that IOMMU, and VFIO
# in its guest.
set -euo pipefail
export ARCH=arm64
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

if [[ -n ${TESTS:-} ]]; then
	say "the SMMUv3 is left out: only $TESTS is asked for"
	exit
fi

"$ci_dir/programs.sh" boot
place=$(mktemp -d)
server=''
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf -- "$place"' EXIT
# QEMU's words for what its SMMUv3 does not do.
reason='requires iommu MAP notifier which is not currently supported'

# refused MACHINE [DEVICE]: fails unless QEMU ends with the reason.
refused() {
	local device iommu=() status=0
	device='{"driver":"vfio-user-pci","id":"d","bus":"p","socket":{"type":"unix","path":"'$place'/s"}}'
	if [[ -n ${2:-} ]]; then iommu=(-device "$2"); fi
	: >"$place/server"
	"$programs/ringbar-server" --socket "$place/s" --once >"$place/server" 2>&1 &
	server=$!
	until grep -q 'listening on' "$place/server"; do
		kill -0 "$server" || die "the server did not start: $(<"$place/server")"
		sleep 0.02
	done
	timeout 120 "$ci_dir/qemu.sh" -nodefaults -no-user-config -display none -M "$1" -accel tcg -cpu neoverse-n1 -m 256M -S -qmp stdio \
		-object memory-backend-memfd,id=m,size=256M,share=on -machine memory-backend=m "${iommu[@]}" \
		-device pcie-root-port,id=p,chassis=1 -device "$device" \
		<<<'{"execute":"qmp_capabilities"}{"execute":"quit"}' >"$place/qemu" 2>&1 || status=$?
	kill "$server" 2>/dev/null || true
	wait "$server" || true
	if ((status == 0)); then
		die "QEMU accepts the device behind an SMMUv3 ($1 ${2:-}): have ci/vm-runner/src/architecture.rs take that IOMMU, and \`vfio\` run in a configuration of arm64"
	fi
	grep -qF "$reason" "$place/qemu" || die "QEMU refuses the device behind an SMMUv3 ($1 ${2:-}) for another reason: $(<"$place/qemu")"
}

refused virt,gic-version=3,its=on,iommu=smmuv3
refused virt,gic-version=3,its=on arm-smmuv3,primary-bus=pcie.0,id=smmu
say "QEMU refuses a vfio-user device behind an SMMUv3: $reason"
