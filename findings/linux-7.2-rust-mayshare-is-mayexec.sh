#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Linux 7.2.12: the constant `kernel::mm::virt::flags::MAYSHARE` for drivers in Rust has the bit of `MAYEXEC`. Its
# value comes from `rust/bindings/bindings_helper.h`, which defines VM_MAYSHARE as VM_MAYEXEC.
# Expected: each constant of that file has the value of the C constant of its name. Linux 7.3.4 has it so.
#
# What it means for who writes an mmap hook: MAYSHARE is how it recognises a shared mapping of a file that was
# opened read-only, which lacks SHARED. A hook that refuses private mappings by it lets them pass.
#
# The sources are those of Debian's backports, from the archive of this host.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

# wrong SERIES VERSION: prints the constants of VMA flags in that kernel that have another one's value.
wrong() {
	apt download "linux-source-$1=$2" >/dev/null
	dpkg-deb -x "linux-source-$1"_*.deb "$1"
	tar -xJOf "$1/usr/src/linux-source-$1.tar.xz" --occurrence=1 "linux-source-$1/rust/bindings/bindings_helper.h" |
		sed -nE 's/^const vm_flags_t RUST_CONST_HELPER_(VM_[A-Z0-9_]+) = (VM_[A-Z0-9_]+);/\1 \2/p' |
		awk '$1 != $2 { print $1 " is " $2 }; END { if (!NR) print "no constants" }'
}
# apt WORD...: calls apt-get with trixie-backports alone.
apt() {
	apt-get -qq -o APT::Sandbox::User=root -o Dir::State="$place/state" -o Dir::Cache="$place/cache" \
		-o Dir::State::status="$place/status" -o Dir::Etc::SourceList="$place/sources.list" -o Dir::Etc::SourceParts=/dev/null "$@"
}
mkdir -p state/lists/partial cache/archives/partial
: >status
archive=$(apt-get update --print-uris -o Debug::NoLocking=1 2>/dev/null | sed -nE "/security/d; s|^'(.+)/dists/[^/]+/main/.*|\1|p" | sed -n 1p)
echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $archive trixie-backports main" >sources.list
apt update

seen 'constants of Linux 7.2.12' 'VM_MAYSHARE is VM_MAYEXEC' "$(wrong 7.2 7.2.12-1~bpo13+1)"
seen 'constants of Linux 7.3.4' '' "$(wrong 7.3 7.3.4-1~bpo13+1)"
finish
