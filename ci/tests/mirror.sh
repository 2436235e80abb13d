#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The choice of a mirror from the host's apt configuration.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
# shellcheck source=ci/mirror.sh
source "$ci/mirror.sh"

pick() { printf '%s\n' "$@" | pick_mirror; }

equal release_archive_is_picked http://m/debian "$(pick 'http://s/debian-security/ bookworm-security' 'http://m/debian/ bookworm')"
equal suite_names_are_equal_to_code_names http://m/debian "$(pick 'http://m/debian/ stable')"
equal whole_release_wins_over_updates http://b/debian "$(pick 'http://a/debian/ trixie-updates' 'http://b/debian/ trixie')"
equal backports_alone_will_do http://a/debian "$(pick 'http://a/debian/ trixie-backports')"
equal security_archive_is_never_picked '' "$(pick 'http://s/debian-security/ trixie-security' 'http://s/debian-security/ trixie')"
equal disk_is_never_picked http://m/debian "$(pick 'cdrom://Debian trixie' 'http://m/debian trixie')"
equal other_distribution_has_none '' "$(pick 'http://u/ubuntu/ noble' 'http://p/apt nodistro')"
equal override_wins http://mine/debian "$(RINGBAR_MIRROR=http://mine/debian "$ci/mirror.sh")"

list=$(mktemp)
trap 'rm -f "$list"' EXIT
printf '%s\n' '# comment' 'https://first/debian/ priority:1' 'https://second/debian' >"$list"
equal list_of_mirrors_gives_its_first https://first/debian "$(direct_uri "mirror+file:$list")"
equal direct_mirror_stays http://m/debian "$(direct_uri http://m/debian)"

# Both formats of sources. apt itself reads them, if the host has it.
if command -v apt-get >/dev/null; then
	root=$(mktemp -d)
	trap 'rm -rf "$list" "$root"' EXIT
	mkdir -p "$root/parts" "$root/lists"
	from_parts() {
		apt_sources -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts="$root/parts" \
			-o Dir::State::lists="$root/lists" | pick_mirror
	}
	echo 'deb [arch=amd64] http://one-line/debian trixie main' >"$root/parts/a.list"
	equal one_line_sources_are_read http://one-line/debian "$(from_parts)"
	rm "$root/parts/a.list"
	printf '%s\n' 'Types: deb' 'URIs: http://deb822/debian' 'Suites: trixie trixie-updates' 'Components: main' >"$root/parts/a.sources"
	equal deb822_sources_are_read http://deb822/debian "$(from_parts)"
else
	echo 'skipped one_line_sources_are_read, deb822_sources_are_read: this host has no apt'
fi
