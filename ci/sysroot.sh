#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the folder of the sysroot: a Debian with QEMU, the kernel's toolchain and the stock kernel.
#
# It is made on first use, and later taken from the cache. See ci/README.md. `place` prints its
# folder, whether it exists or not, and makes nothing.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

build() {
	local log=$RINGBAR_CACHE/log/sysroot.log
	"$ci_dir/setup.sh" sysroot
	mkdir -p "$RINGBAR_CACHE/log"
	long_step 90 "$log" "sysroot: Debian with QEMU and the kernel's toolchain" "$ci_dir/sysroot-build.sh" "$1" ||
		die "there is no sysroot: see above; if a mirror cannot be reached or lacks something, set RINGBAR_MIRROR to another"
	# Warnings about versions must be visible, not only in the log.
	grep -h '^ringbar: warning' "$log" || true
}

key=$(cache_key "$ci_dir"/{versions.env,resolve.sh,sysroot-install.sh,sysroot-build.sh} </dev/null)
case ${1:-} in
'') cache_entry sysroot "$key" 6 build ;;
place) printf '%s\n' "$RINGBAR_CACHE/sysroot-$key" ;;
*) die "usage: $0 [place]" ;;
esac
