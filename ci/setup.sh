#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Checks that the host has the needed tools. As root on Debian or Ubuntu it installs missing ones.
#
# `setup.sh` checks everything, `setup.sh cargo` the tools for builds and host tests, `setup.sh
# sysroot` those for the sysroot and the VM. Tools that only make a sysroot are not needed if the
# cache has one; `setup.sh packages` checks them alone.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

missing=()
# need COMMAND PACKAGE: notes the Debian package of a missing command.
need() { command -v "$1" >/dev/null || missing+=("$2"); }

# install_missing: installs the noted packages, or fails with the command that does.
install_missing() {
	((${#missing[@]} > 0)) || return 0
	if ! command -v apt-get >/dev/null; then
		die "missing on this host: ${missing[*]} (these are names of Debian packages; your distribution may have other names)"
	fi
	if ((EUID != 0)); then
		die "missing on this host: run  sudo apt-get install -y ${missing[*]}"
	fi
	say "installing missing packages: ${missing[*]}"
	{ apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}"; } >&2 ||
		die "apt-get could not install ${missing[*]}: see its messages above"
}

check_cargo() {
	local minimum version
	need gcc gcc
	need make make
	need strip binutils
	need flock util-linux
	need pgrep procps
	# The guest's programs are linked statically.
	[[ -f $(gcc -print-file-name=libc.a 2>/dev/null || true) ]] || missing+=(libc6-dev)
	install_missing
	minimum=$(sed -n 's/^rust-version = "\([0-9.]*\)".*/\1/p' "$checkout/Cargo.toml")
	command -v cargo >/dev/null ||
		die "cargo is missing: install Rust $minimum or newer with rustup (Debian's own is older), and have it in PATH"
	version=$(cargo --version | awk '{ print $2 }')
	[[ $(printf '%s\n' "$minimum" "$version" | sort -V | head -n 1) == "$minimum" ]] ||
		die "cargo is $version, $minimum or newer is needed: run  rustup update stable"
}

check_sysroot() {
	[[ $(uname -m) == x86_64 ]] || die "this host is $(uname -m): the sysroot and the guest are x86-64 and nothing else was tried"
	need bwrap bubblewrap
	need flock util-linux
	need pgrep procps
	need tar tar
	local place
	place=$("$ci_dir/sysroot.sh" place)
	if [[ -d $place ]]; then
		install_missing
	else
		check_making_a_sysroot
	fi
	bwrap --unshare-pid --unshare-net --ro-bind / / true 2>/dev/null || die_no_namespaces
}

# check_making_a_sysroot: checks the tools that make a sysroot. They are needed once; later runs
# find it in the cache.
check_making_a_sysroot() {
	local ids
	need mmdebstrap mmdebstrap
	[[ -e /usr/share/keyrings/debian-archive-keyring.gpg ]] || missing+=(debian-archive-keyring)
	if ((EUID != 0)); then need newuidmap uidmap; fi
	install_missing
	ids="^($(id -un)|$EUID):"
	if ((EUID != 0)) && ! { grep -qE "$ids" /etc/subuid && grep -qE "$ids" /etc/subgid; } 2>/dev/null; then
		die "$(id -un) has no range of user ids for a namespace: run  sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $(id -un)"
	fi
}

# die_no_namespaces: fails with advice for this host.
die_no_namespaces() {
	local hint="in a container, start it with the right to make namespaces (for example --privileged)"
	if [[ $(cat /proc/sys/kernel/apparmor_restrict_unprivileged_userns 2>/dev/null) == 1 ]]; then
		hint="run  sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0"
	elif [[ $(cat /proc/sys/kernel/unprivileged_userns_clone 2>/dev/null) == 0 ]]; then
		hint="run  sudo sysctl kernel.unprivileged_userns_clone=1"
	fi
	die "bubblewrap cannot make namespaces here ($(bwrap --unshare-pid --unshare-net --ro-bind / / true 2>&1 || true)): $hint"
}

case ${1:-} in
cargo) check_cargo ;;
sysroot) check_sysroot ;;
packages) check_making_a_sysroot ;;
'')
	check_cargo
	check_sysroot
	say "this host has all that ringbar needs; the cache is $RINGBAR_CACHE"
	;;
*) die "usage: $0 [cargo|sysroot|packages]" ;;
esac
