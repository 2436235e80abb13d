#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Boots the guest: `run` as the variables say, `shell` for a shell in it, `test` all configurations.
#
# ACCEL, INTERRUPTS, IOMMU (0 or 1), TESTS, TIMEOUT and SERVER_ARGS are explained by `make help`.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# vm COMMAND NAME ARGS...: calls the runner for one configuration.
vm() {
	local command=$1 name=$2 args=() word
	shift 2
	args+=(--server "$checkout/build/cargo/release/ringbar-server" --qemu "$ci_dir/qemu.sh")
	args+=(--kernel "$kernel/vmlinuz" --initrd "$checkout/build/guest/initramfs.cpio" --name "$name")
	if [[ -n ${ACCEL:-} ]]; then args+=(--accel "$ACCEL"); fi
	if [[ -n ${INTERRUPTS:-} ]]; then args+=(--interrupts "$INTERRUPTS"); fi
	case ${IOMMU:-0} in
	0) ;;
	1) args+=(--iommu) ;;
	*) die "IOMMU=$IOMMU: say 0 or 1" ;;
	esac
	for word in ${SERVER_ARGS:-}; do args+=("--server-arg=$word"); done
	"$checkout/build/cargo/release/ringbar-vm-runner" "$command" "${args[@]}" "$@"
}

# run NAME REPORT: TESTS and TIMEOUT only make sense here.
run() {
	local variable hint="make run" args=()
	for variable in ACCEL INTERRUPTS IOMMU TESTS TIMEOUT SERVER_ARGS; do
		if [[ -n ${!variable:-} ]]; then hint+=" $variable=${!variable@Q}"; fi
	done
	if [[ -n ${TESTS:-} ]]; then args+=(--tests "$TESTS"); fi
	if [[ -n ${TIMEOUT:-} ]]; then args+=(--timeout "$TIMEOUT"); fi
	vm run "$1" --report-dir "$2" --rerun-hint "$hint" "${args[@]}"
}

# Every configuration runs, also after one has failed.
test_all() {
	local failed=()
	INTERRUPTS=msix IOMMU=0 run stock-msix "$checkout/build/report/stock-msix" || failed+=(stock-msix)
	INTERRUPTS=msi IOMMU=1 run stock-msi-iommu "$checkout/build/report/stock-msi-iommu" || failed+=(stock-msi-iommu)
	((${#failed[@]} == 0)) || die "failed: ${failed[*]}"
}

kernel=$("$ci_dir/kernel.sh")
case ${1:-} in
run) run run "$checkout/build/report" ;;
shell) vm shell shell ;;
test) test_all ;;
*) die "usage: $0 run|shell|test" ;;
esac
