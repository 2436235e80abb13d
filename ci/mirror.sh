#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the Debian mirror that the host itself uses, or nothing if it uses none.
#
# RINGBAR_MIRROR overrides it. If nothing is printed, mmdebstrap chooses.
set -euo pipefail

# apt_sources [OPTION...]: prints the host's archives as `URI SUITE` lines. apt reads both formats
# of its sources. It needs no privileges and, unlike `indextargets`, no index that was fetched
# before.
# shellcheck disable=SC2120 # the test gives options
apt_sources() {
	apt-get update --print-uris -o Debug::NoLocking=1 "$@" 2>/dev/null |
		sed -nE "s|^'(.+)/dists/([^/]+)/main/binary-.*|\1 \2|p"
}

# pick_mirror: prints the best of the `URI SUITE` lines. Security and update archives do not hold
# whole releases. Other distributions have no suites of these names.
pick_mirror() {
	awk '
		$1 ~ /security|^cdrom:/ { next }
		$2 ~ /^(bookworm|trixie|forky|duke|sid|oldstable|stable|testing|unstable)$/ && !whole { whole = $1 }
		$2 ~ /^(bookworm|trixie|forky|oldstable|stable)-(updates|backports)$/ && !part { part = $1 }
		END { uri = whole ? whole : part; sub(/\/+$/, "", uri); if (uri) print uri }'
}

# direct_uri URI: prints URI. A list of mirrors on the host (`mirror+file:`) becomes its first
# entry, because the sysroot does not have the list.
direct_uri() {
	case $1 in
	mirror+file:*) awk '/^[a-z]+:/ { sub(/\/+$/, "", $1); print $1; exit }' "${1#mirror+file:}" ;;
	*) printf '%s\n' "$1" ;;
	esac
}

main() {
	local uri
	if [[ -n ${RINGBAR_MIRROR:-} ]]; then
		printf '%s\n' "$RINGBAR_MIRROR"
	elif command -v apt-get >/dev/null; then
		# shellcheck disable=SC2119
		uri=$(apt_sources | pick_mirror)
		if [[ -n $uri ]]; then direct_uri "$uri"; fi
	fi
}

if [[ ${BASH_SOURCE[0]} == "$0" ]]; then main; fi
