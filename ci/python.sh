#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the folder of Python's library, for the sysroot's interpreter, which has the smallest one.
# The library comes from the same release. The release's junitparser is in python3/dist-packages
# beside it. It is an entry of the cache of its own: in the sysroot it would change that one's key, and
# with it each kernel.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/versions.env
source "$ci_dir/versions.env"

# fetch DIR: unpacks the library and junitparser. All packages that it depends on come too, and go.
fetch() {
	local mirror
	# The host's ways to the network, as for the sysroot.
	apt-config dump --format '%F "%v";%n' Acquire 2>/dev/null |
		grep -E '^Acquire::((https?|ftp)::|Retries|Check-Valid-Until|Check-Date|Queue-Mode)' |
		grep -v ' "";$' >"$1/apt.conf" || true
	mirror=$("$ci_dir/mirror.sh")
	mmdebstrap --quiet --mode=auto --variant=extract --format=tar --components=main --architectures=amd64 \
		--aptopt="$1/apt.conf" --include="lib$python-stdlib,python3-junitparser" "$DEBIAN_SUITE" - ${mirror:+"$mirror"} |
		tar -x -C "$1" --no-same-owner "./usr/lib/$python" ./usr/lib/python3/dist-packages
	rm -r "$1/apt.conf"
	chmod -R u+rwX "$1"
}

build() {
	local log=$RINGBAR_CACHE/log/python.log
	"$ci_dir/setup.sh" packages
	mkdir -p "$RINGBAR_CACHE/log"
	long_step 15 "$log" "Python's library" fetch "$1" ||
		die "there is no library for Python: see above; if a mirror cannot be reached or lacks something, set RINGBAR_MIRROR to another"
}

sysroot=$("$ci_dir/sysroot.sh")
python=$(readlink "$sysroot/usr/bin/python3")
key=$(cache_key "$ci_dir/python.sh" <<<"${sysroot##*/}")
printf '%s\n' "$(cache_entry python "$key" 1 build)/usr/lib/$python"
