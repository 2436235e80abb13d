#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Packages that are fetched beside the sysroot: their versions and sums, and the mirror.
# shellcheck disable=SC2034 # the functions under test read these
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
# shellcheck source=ci/lib.sh
source "$ci/lib.sh"
# shellcheck source=ci/resolve.sh
source "$ci/resolve.sh"
# shellcheck source=ci/apt.sh
source "$ci/apt.sh"
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

# Stands in for the host's apt: a mirror with two versions of each package.
apt() {
	case $1 in
	apt-cache)
		case $2 in
		madison) printf '%s | 1.2-1 | mirror\n%s | 1.3-1 | mirror\n' "$3" "$3" ;;
		show) printf 'Package: %s\nVersion: 1.2-1\nSHA256: two\n\nVersion: 1.3-1\nSHA256: three\n' "$3" ;;
		esac
		;;
	esac
}
# told CMD...: prints what CMD prints, with its error.
told() { ("$@" 2>&1) || true; }

equal pinned_version_with_its_sum_is_taken 1.2-1 "$(told pinned a 1.2-1 1. two pins)"
equal other_sum_is_refused 'ringbar: error: the archive gives SHA-256 two for a 1.2-1, pins says one: do not go on before you know why' \
	"$(told pinned a 1.2-1 1. one pins)"
equal dropped_version_is_replaced_with_a_warning \
	$'ringbar: warning: the mirror no longer has a 1.1-1; using 1.3-1, checked against the signed index only\n1.3-1' "$(told pinned a 1.1-1 1. one pins)"
equal missing_series_is_refused_with_what_to_do \
	'ringbar: error: the mirror has no a 2.1-1 and none beginning with 2.: set version and series in pins, or RINGBAR_MIRROR to a mirror that still has it' \
	"$(told pinned a 2.1-1 2. one pins)"

export RINGBAR_MIRROR=file:/mirror
equal each_suite_has_its_line $'deb file:/mirror trixie main\ndeb file:/mirror trixie-backports main' "$(sources trixie trixie-backports)"
