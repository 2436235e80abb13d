#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Packages that setup.sh requires from an ordinary user, with and without a sysroot in the cache.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
# Others may read it, because a test started by root changes its user.
chmod 755 "$place"
cp -r "$ci" "$ci/../Cargo.toml" "$place"
mkdir "$place/bin" "$place/cache"
as_user=()
if ((EUID == 0)); then as_user=(setpriv --reuid=65534 --regid=65534 --clear-groups); fi

# commands WITHOUT...: links all commands of this host but these, with a bwrap that works.
commands() {
	rm -f "$place"/bin/*
	ln -s -t "$place/bin" /usr/bin/* 2>/dev/null || true
	ln -sf /bin/true "$place/bin/bwrap"
	(cd "$place/bin" && rm -f "$@")
}

# asked: prints the output of setup.sh for a user who wants to boot, in one line.
asked() {
	"${as_user[@]}" env HOME=/nowhere RINGBAR_CACHE="$place/cache" PATH="$place/bin" \
		"$place/ci/setup.sh" sysroot 2>&1 || true
}
# names WORD: returns whether stdin contains WORD.
names() { if grep -q -- "$1"; then echo "$1"; fi; }

commands newuidmap mmdebstrap
equal user_is_asked_for_newuidmap_when_a_sysroot_must_be_made uidmap "$(asked | names uidmap)"
equal user_is_asked_for_mmdebstrap_when_a_sysroot_must_be_made mmdebstrap "$(asked | names mmdebstrap)"

mkdir "$(RINGBAR_CACHE=$place/cache "$place/ci/sysroot.sh" place)"
equal user_with_a_sysroot_in_the_cache_needs_neither '' "$(asked)"
commands bwrap
equal user_with_a_sysroot_in_the_cache_needs_bubblewrap bubblewrap "$(asked | names bubblewrap)"
