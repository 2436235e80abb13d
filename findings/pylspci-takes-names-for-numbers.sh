#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# pylspci 0.4.3 (PyPI), `SimpleParser` on what `lspci -mm` prints: a name of nothing but hexadecimal digits
# is taken for a number, however long. QEMU's SCSI adapters have such names in the list of PCI ids, 53c810
# and 53c895a. Their name is None, and the number of the second, 0x53c895a, fits no PCI id. The class
# documents ids of four digits. With `lspci -mmnn`, where the number follows, both are right.
# Expected: the name, and no number, as for the other fields. The list here is a part of pci.ids.
#
# What it means for a reader: call lspci with -nn, as pylspci's functions do, but not its own command.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

debian_packages_of_one_version pciutils libpci3 -- 1:3.9.0-4 1:3.13.0-2
python_packages pylspci==0.4.3
printf '%s  %s\n' 1000 'Broadcom / LSI' $'\t0001' 53c810 $'\t0012' 53c895a \
	'C 01' 'Mass storage controller' $'\t00' 'SCSI storage controller' >ids
# dump DEVICE NUMBER: what `lspci -x` writes of this device of QEMU.
dump() {
	cat <<-END
		00:0$1.0 0100: 1000:00$2
		00: 00 10 $2 00 00 00 00 00 00 00 00 01 00 00 00 00
		10: 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
		20: 00 00 00 00 00 00 00 00 00 00 00 00 00 10 00 10
		30: 00 00 00 00 00 00 00 00 00 00 00 00 00 01 00 00

	END
}
{ dump 3 01; dump 4 12; } >devices
# devices OPTION: the name and number of each device that pylspci reads.
devices() {
	LD_LIBRARY_PATH=$(echo debian/usr/lib/*-linux-gnu) debian/usr/bin/lspci -i ids -F devices "$1" |
		venv/bin/python -c 'if True:
			import sys
			from pylspci.parsers import SimpleParser
			for read in SimpleParser().parse(sys.stdin.read()):
				print(read.device.name, read.device.id and hex(read.device.id))' | paste -sd '|'
}
seen 'lspci -mm: name and number' 'None 0x53c810|None 0x53c895a' "$(devices -mm)"
seen 'lspci -mmnn: name and number' '53c810 0x1|53c895a 0x12' "$(devices -mmnn)"
finish
