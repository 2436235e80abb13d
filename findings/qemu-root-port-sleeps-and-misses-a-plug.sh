#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# QEMU (seen with 7.2 and 11.1.3) and Linux (seen with 6.1 and 7.3.4): a root port of QEMU, `pcie-root-port`,
# has no capability of power management. Linux leaves it awake at first. But when the device behind it has
# left, Linux puts the port to sleep: by itself except on x86, there with `pcie_port_pm=force`. It turns the
# interrupts of the slot off, and counts on a PME, which a port without that capability cannot send. A device
# that is plugged in afterwards is not noticed.
# Expected: the port has the capability, as PCI Express asks of each function (6.0, 7.5.2), and sends the PME;
# or Linux leaves a port without it awake after the device as before (`pci_bridge_d3_update` decides otherwise
# than `pci_pm_init`).
#
# What it means for who tests hot plug in QEMU on arm64 or RISC-V: a plug at once after an unplug works, a
# later one does not, and nothing says why. With `pcie_port_pm=off` the port stays awake.
#
# On x86 here, as Debian 12 has its packages for each such host. Two boots of translated code.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"
qemu=1:7.2+dfsg-7+deb12u18+b3 busybox=1:1.35.0-4+deb12u1+b1 linux=6.1.192-3 release=6.1.0-57-cloud-amd64

mkdir -p archives/partial
: >status
# As on a host without any package, so that QEMU's libraries come too.
apt-get -qq -o APT::Sandbox::User=root -o Dir::State::status="$place/status" -o Dir::Cache::archives="$place/archives" \
	--no-install-recommends --download-only --yes install "qemu-system-x86=$qemu" "busybox-static=$busybox" >/dev/null
(cd archives && apt-get -qq -o APT::Sandbox::User=root download "linux-image-$release=$linux" >/dev/null)
for name in archives/*.deb; do dpkg-deb -x "$name" debian; done
libraries=$place/debian/lib/x86_64-linux-gnu

# The guest says when it is there, when the device has left and the port is as it will be, and whether the next
# device was noticed.
mkdir -p root/bin root/proc root/sys root/dev
cp debian/bin/busybox root/bin/
cat >root/init <<'END'
#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc none /proc && mount -t sysfs none /sys && mount -t devtmpfs none /dev
exec >/dev/ttyS0 2>&1
port=/sys/bus/pci/devices/0000:00:04.0 device=/sys/bus/pci/devices/0000:01:00.0
# within SECONDS TEST...: waits until the test succeeds, at most so long.
within() {
	seconds=$1
	shift
	while [ "$seconds" -gt 0 ] && ! [ "$@" ]; do
		sleep 1
		seconds=$((seconds - 1))
	done
}
echo ready
within 60 ! -e $device
for second in 1 2 3 4 5 6 7 8 9 10; do
	[ "$(cat $port/power/runtime_status)" != suspended ] || break
	sleep 1
done
echo "port: $(cat $port/power/runtime_status)"
within 20 -e $device
if [ -e $device ]; then echo "plug: noticed"; else echo "plug: missed"; fi
echo "config: $(od -A n -v -t x1 $port/config | tr -d ' \n')"
poweroff -f
END
chmod +x root/init
(cd root && find . | "$place/root/bin/busybox" cpio -o -H newc 2>/dev/null) >initrd

# wait_for WORD: waits until the guest has said it.
wait_for() {
	until grep -q "^$1" said || ! kill -0 "$pid" 2>/dev/null; do sleep 0.2; done
}

# boot WORD: boots with that word for the kernel, takes the device away, and brings another one. Fills `said`.
boot() {
	local pid device=virtio-rng-pci,bus=p,id=
	rm -f monitor && mkfifo monitor
	: >said
	QEMU_MODULE_DIR=$place/debian/usr/lib/x86_64-linux-gnu/qemu \
		"$libraries/ld-linux-x86-64.so.2" --library-path "$libraries:$place/debian/usr/lib/x86_64-linux-gnu" debian/usr/bin/qemu-system-x86_64 \
		-L debian/usr/share/qemu -L debian/usr/share/seabios -nodefaults -display none -no-reboot -M q35 -accel tcg -cpu max -m 512M \
		-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off -device pcie-root-port,id=p,bus=pcie.0,addr=4,chassis=1,slot=1 \
		-device "${device}first" -serial file:said -monitor stdio -kernel "debian/boot/vmlinuz-$release" -initrd initrd \
		-append "console=ttyS0 quiet panic=-1 $1" <monitor >qemu 2>&1 &
	pid=$!
	exec 5<>monitor
	wait_for ready
	echo 'device_del first' >&5
	wait_for port:
	echo "device_add ${device}second" >&5
	wait "$pid" || cat qemu >&2
	exec 5<&-
	tr -d '\r' <said | grep -E '^(port|plug):' | paste -sd ';' | sed 's/;/; /g'
}

# capabilities: prints the numbers of the port's capabilities, from the guest's copy of its configuration.
capabilities() {
	local config at next
	config=$(tr -d '\r' <said | sed -n 's/^config: //p')
	at=$((16#${config:104:2}))
	while ((at)); do
		printf '%s ' "${config:at*2:2}"
		next=${config:at*2+2:2}
		at=$((16#$next))
	done
}

seen 'a port that stays awake' 'port: active; plug: noticed' "$(boot pcie_port_pm=off)"
seen 'a port that may sleep' 'port: suspended; plug: missed' "$(boot pcie_port_pm=force)"
# 01 would be power management; 10 is PCI Express, 11 MSI-X, 0d the numbers of the subsystem.
seen 'capabilities of the port' '10 11 0d ' "$(capabilities)"
finish
