# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints options by which objcopy adds a kernel's symbols to its image. Reads the sections of the
# image (readelf -SW), then the list of symbols that its build left (System.map).
#
# Addresses of the kernel begin with the same 32 bits. Only the others are computed with: all 64
# would lose bits in a number of awk.

function number(hex, value, place) {
	for (place = 1; place <= length(hex); place++)
		value = 16 * value + index("0123456789abcdef", substr(hex, place, 1)) - 1
	return value
}
function low(address) { return number(substr(address, 9)) }

NR == FNR {
	sub(/^ *\[ *[0-9]+\] */, "")
	if ($1 ~ /^\.(text|rodata|data|bss|init\.text|init\.data)$/) {
		begin[$1] = low($3)
		end[$1] = begin[$1] + number($5)
	}
	next
}
# The compiler marks the place before a function by `__pfx_` and its name. gdb would name it instead
# of the function before it.
$1 ~ /^ffffffff/ && $2 ~ /^[TtDdBbRr]$/ && $3 !~ /^__(pfx|cfi)_/ {
	address = low($1)
	kind = $2 ~ /[Tt]/ ? ",function" : ""
	for (section in begin)
		if (begin[section] <= address && address < end[section])
			printf "--add-symbol %s=%s:%d,global%s\n", $3, section, address - begin[section], kind
}
