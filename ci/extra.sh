#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the folder of packages that only some runs need, with the libraries that the sysroot lacks:
# gdb and stress-ng of the release, and the library that the kernel's selftests are linked with.
#
# It is made on first use, and later taken from the cache. `gdb ARGS` runs that gdb, in the sysroot. For
# another architecture there is a folder of its own, with a gdb for many architectures alone.
# `files PROGRAM` prints the files of gdb or stress-ng for the guest, as HOST:GUEST lines.
#
# The sysroot cannot have them: a change of its recipe would have every machine make it and the
# kernels again.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/resolve.sh
source "$ci_dir/resolve.sh"
# shellcheck source=ci/apt.sh
source "$ci_dir/apt.sh"
# shellcheck source=ci/versions.env
source "$ci_dir/versions.env"

# As in versions.env, which is part of the sysroot's key and so does not have it.
GDB_VERSION=16.3-1
GDB_SERIES=16.
GDB_SHA256=f0cd9b3e7b47685cbc43ebfe3207760830cb7b570e615daee6dc91e50040c127

libraries=usr/lib/x86_64-linux-gnu
kind=extra gdb=gdb more=(stress-ng uuid-dev) wanted=(usr/bin/stress-ng "$libraries/libuuid.a")
if [[ -n $guest_suffix ]]; then kind=extra-arm64 gdb=gdb-multiarch more=() wanted=(); fi

# fetch FOLDER: unpacks gdb and the others, and the packages that they need and the sysroot lacks, into
# FOLDER. apt compares each with the signed index. What draws pictures for stress-ng is left out.
fetch() {
	local version
	lists "$DEBIAN_SUITE" || return
	version=$(pinned gdb "$GDB_VERSION" "$GDB_SERIES" "$GDB_SHA256" ci/extra.sh) || return
	# Both have the same version, and only that of the other one is exact by its dependencies.
	apt apt-get install --yes --no-install-recommends --download-only "gdb=$version" "$gdb=$version" "${more[@]}" || return
	unpack "$1" "$place"/cache/archives/*.deb || return
	rm -rf -- "$1/$libraries"/{libgallium*,dri} "$1/usr/share/fonts"
	(cd "$1" && ls -- "usr/bin/$gdb" "${wanted[@]}")
}

build() {
	local log=$RINGBAR_CACHE/log/$kind.log
	command -v apt-get >/dev/null || die "this host has no apt-get, which fetches packages of the release: install apt"
	mkdir -p "$RINGBAR_CACHE/log"
	# In the folder of the entry, so that it goes however the script ends.
	place=$1/.apt
	if ! long_step 20 "$log" "gdb and more of the release" fetch "$1"; then
		die "there is no $gdb${more[*]:+ ${more[*]}}: see above; if a mirror cannot be reached or lacks something, set RINGBAR_MIRROR to another"
	fi
	rm -rf -- "$place"
	grep -h '^ringbar: warning' "$log" || true
}

# gdb ARGS...: runs gdb in the sysroot. It is in the place of this script, so signals reach it.
gdb() {
	exec "$ci_dir/in-sysroot.sh" env HOME=/nonexistent LD_LIBRARY_PATH="$extra/$libraries" \
		"$extra/usr/bin/$gdb" --data-directory="$extra/usr/share/gdb" -nx "$@"
}

# needed PROGRAM...: prints the libraries that the programs need, as paths in the sysroot.
needed() {
	"$ci_dir/in-sysroot.sh" env LD_LIBRARY_PATH="$extra/$libraries" ldd "$@" | sed -nE 's/^\s(.* => )?(\/.*) \(0x[0-9a-f]+\)$/\2/p' | sort -u
}

# files PROGRAM: prints the program and its libraries, except those that every guest has. gdb does without
# the rest of Python, which its library misses there, and says so.
files() {
	local path
	printf '%s:%s\n' "$extra/usr/bin/$1" "/usr/bin/$1"
	comm -23 <(needed "$extra/usr/bin/$1") <(needed /usr/bin/lspci /usr/bin/setpci) | while read -r path; do
		case $path in
		"$extra"/*) printf '%s:%s\n' "$path" "/lib/x86_64-linux-gnu/${path##*/}" ;;
		*) printf '%s:%s\n' "$sysroot/usr$path" "$path" ;;
		esac
	done
}

sysroot=$("$ci_dir/sysroot.sh")
key=$(cache_key "$ci_dir"/{extra.sh,apt.sh,resolve.sh} <<<"${sysroot##*/}")
extra=$(cache_entry "$kind" "$key" 1 build)
case ${1:-} in
'') printf '%s\n' "$extra" ;;
gdb) gdb "${@:2}" ;;
files) files "${2:?name gdb or stress-ng}" ;;
*) die "usage: $0 [gdb ARGS...|files PROGRAM]" ;;
esac
