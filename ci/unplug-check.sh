#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Shows that QEMU survives that a device with MSI-X leaves while a spare vCPU holds it, as
# ci/vm-runner/src/hold.rs has it. No guest runs: a reset of the machine ejects a device that was told
# to leave. Fails with a QEMU of another series than the one that needs the vCPU, as a person then has
# to see whether it still does.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
on_x86_only "${0##*/}"

if [[ -n ${TESTS:-} ]]; then
	say "the unplug by hand is left out: only $TESTS is asked for"
	exit
fi

"$ci_dir/sysroot.sh" >/dev/null
"$ci_dir/programs.sh" boot
# The series of QEMU that was seen to need the vCPU.
needs_help=11.1
place=$(mktemp -d)
server='' from='' to=''
trap '[[ -z $server ]] || kill "$server" 2>/dev/null || true; rm -rf -- "$place"' EXIT
# A QEMU that has ended takes no command.
trap '' PIPE

# ask COMMAND [ARGUMENTS]: has QEMU carry out a command. Fails if QEMU ends.
ask() {
	printf '{"execute":"%s","arguments":%s,"id":1}\n' "$1" "${2:-{\}}" 2>/dev/null >&"$to" || return
	answer=
	while IFS= read -r -t 60 answer <&"$from"; do
		case $answer in
		*'"error"'*) die "QEMU refused $1: $answer" ;;
		*'"id": 1'*) return ;;
		esac
	done
	return 1
}

# unplug: has a device leave a machine with a vCPU that holds it. Sets `status` to that of QEMU, and
# `left` to 1 if the device was out of the machine before.
unplug() {
	local path=/machine/peripheral/d device
	device='{"driver":"vfio-user-pci","id":"d","bus":"p","socket":{"type":"unix","path":"'$place'/s"}}'
	: >"$place/server"
	"$programs/ringbar-server" --socket "$place/s" --once --interrupts msix >"$place/server" 2>&1 &
	server=$!
	until grep -q 'listening on' "$place/server"; do
		kill -0 "$server" || die "the server did not start: $(<"$place/server")"
		sleep 0.02
	done
	coproc qemu {
		exec "$ci_dir/qemu.sh" -nodefaults -no-user-config -display none -M q35 -accel tcg -cpu max -m 256M -smp 1,maxcpus=2 \
			-object memory-backend-memfd,id=m,size=256M,share=on -machine memory-backend=m -qmp stdio \
			-device pcie-root-port,id=p,chassis=1 -device "$device" 2>"$place/qemu"
	}
	local pid=$qemu_PID
	# bash forgets those of its own when QEMU ends.
	exec {from}<&"${qemu[0]}" {to}>&"${qemu[1]}"
	left=0 status=0
	ask qmp_capabilities
	ask device_add '{"driver":"max-x86_64-cpu","id":"h","socket-id":0,"core-id":1,"thread-id":0,"memory":"'$path'/msix-table[0]"}'
	ask device_del '{"id":"d"}'
	# The device goes during the reset, or soon after it: QEMU frees it a little later.
	if ask system_reset && sleep 2 && ask qom-list '{"path":"/machine/peripheral"}' && [[ $answer != *'"d"'* ]]; then left=1; fi
	if ((left)); then ask quit || true; fi
	wait "$pid" || status=$?
	exec {from}<&- {to}>&-
	kill "$server" 2>/dev/null || true
	wait "$server" || true
}

series=$("$ci_dir/qemu.sh" --version | sed -n 's/^QEMU emulator version \([0-9]*\.[0-9]*\)\..*/\1/p')
[[ $series == "$needs_help" ]] ||
	die "this QEMU is ${series:-of unknown version}, and $needs_help needs ci/vm-runner/src/hold.rs: see by hand whether this one frees a device with MSI-X. If so, take out hold.rs, stand_in.rs and what ci/README.md says of them; if not, write $series into this script"
unplug
if ((!left || status)); then
	cat "$place/qemu" >&2
	die "QEMU did not survive that a device with MSI-X left while a vCPU held it (status $status): correct ci/vm-runner/src/hold.rs"
fi
say "QEMU $series survives that a device with MSI-X leaves while a vCPU holds it"
