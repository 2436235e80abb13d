# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
# Chooses package versions. Sourced; pure functions over text, so that they can be tested.

# resolve_version PINNED SERIES: reads candidate versions from stdin, one a line, and prints PINNED if
# it is among them, else the newest that begins with SERIES; fails if there is none.
resolve_version() {
	local pinned=$1 series=$2 version newest=
	while read -r version; do
		if [[ $version == "$pinned" ]]; then
			newest=$pinned
			break
		fi
		# Debian's order: GNU `sort -V` knows the tilde as dpkg does.
		if [[ $version == "$series"* ]]; then
			newest=$(printf '%s\n' "$newest" "$version" | sort -V | tail -n 1)
		fi
	done
	[[ -n $newest ]] && printf '%s\n' "$newest"
}

# sha256_of VERSION: the SHA256 field of that version in `apt-cache show` text on stdin.
sha256_of() {
	awk -v version="$1" '
		/^Version: / { current = $2 }
		/^SHA256: / && current == version { print $2; exit }'
}

# kernel_release VERSION FLAVOUR: the release name that a Debian kernel of that version reports.
kernel_release() { printf '%s%s\n' "${1%%-*}" "$2"; }
