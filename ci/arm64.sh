#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the folder of what guests on arm64 need beside the sysroot: QEMU, a cross compiler, and the Rust of
# their programs for this host in `usr/`, and busybox, lspci and setpci for the guest in `guest/`.
#
# It is made on first use, and later taken from the cache. `run [OPTION...] CMD...` runs a command in the
# sysroot, with that folder as /arm64. `needed PROGRAM...` prints the libraries that programs of the guest need.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

libraries=usr/lib/x86_64-linux-gnu

build() {
	local log=$RINGBAR_CACHE/log/arm64.log
	command -v apt-get >/dev/null || die "this host has no apt-get, which fetches packages for arm64: install apt"
	mkdir -p "$RINGBAR_CACHE/log"
	if ! long_step 60 "$log" "arm64: QEMU and compilers" "$ci_dir/arm64-packages.sh" tools "$1"; then
		die "there is nothing for arm64: see above; if a mirror cannot be reached or lacks something, set RINGBAR_MIRROR to another"
	fi
	grep -h '^ringbar: warning' "$log" || true
}

# needed PROGRAM...: prints the libraries that these programs of the guest need, and those that they need, as
# paths in the guest. This host cannot run the guest's loader.
needed() {
	local all=("$@") name path file
	local -A seen=()
	while ((${#all[@]})); do
		file=${all[0]}
		all=("${all[@]:1}")
		for name in $(readelf -d "$file" | sed -n 's/.*(NEEDED).*\[\(.*\)\]$/\1/p'); do
			path=/usr/lib/aarch64-linux-gnu/$name
			if [[ -n ${seen[$path]:-} ]]; then continue; fi
			[[ -e $arm64/guest$path ]] || die "the packages for arm64 have no $name, which $file needs"
			seen[$path]=1
			all+=("$arm64/guest$path")
		done
	done
	printf '%s\n' "${!seen[@]}" | sort
}

# run [OPTION...] CMD...: runs CMD, with options of in-sysroot.sh. It is in the place of this script, so
# signals reach it.
run() {
	local options=() shown=()
	while [[ ${1:-} == --* ]]; do
		case $1 in
		--show)
			options+=("$1" "$2" "$3")
			shift 3
			;;
		*)
			options+=("$1")
			shift
			;;
		esac
	done
	show_arm64 "$arm64"
	exec "$ci_dir/in-sysroot.sh" "${options[@]}" "${shown[@]}" env LD_LIBRARY_PATH="/arm64/$libraries" "$@"
}

sysroot=$("$ci_dir/sysroot.sh")
key=$(cache_key "$ci_dir"/{arm64.env,arm64-packages.sh,apt.sh,resolve.sh} <<<"${sysroot##*/}")
arm64=$(cache_entry arm64 "$key" 3 build)
case ${1:-} in
'') printf '%s\n' "$arm64" ;;
run) run "${@:2}" ;;
needed) needed "${@:2}" ;;
*) die "usage: $0 [run [OPTION...] CMD...|needed PROGRAM...]" ;;
esac
