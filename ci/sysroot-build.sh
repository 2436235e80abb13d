#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Makes the sysroot in the folder $1: plain files of the caller, no device nodes, so `rm -rf` removes it.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/versions.env
source "$ci_dir/versions.env"

# What the sysroot never needs, most of it by size: the other 90 % of rust-src, static LLVM, documents.
excludes=(
	'--dpkgopt=path-exclude=/usr/src/rustc-*/*'
	'--dpkgopt=path-include=/usr/src/rustc-*/library/*'
	'--dpkgopt=path-include=/usr/src/rustc-*/Cargo.*'
	'--dpkgopt=path-exclude=/usr/lib/llvm-*/lib/lib*.a'
	'--dpkgopt=path-exclude=/usr/share/doc/*'
	'--dpkgopt=path-exclude=/usr/share/man/*'
	'--dpkgopt=path-exclude=/usr/share/locale/*'
)

# mmdebstrap works in a folder of its own first. The root of a user namespace must be able to reach it,
# which rules out most home folders, and it needs room.
pick_stage() {
	local dir
	for dir in "${TMPDIR:-/tmp}" /tmp /var/tmp; do
		[[ -d $dir ]] || continue
		sweep_stages "$dir"
		if (($(free_kib "$dir") >= 3 * 1024 * 1024)); then
			mktemp -d -p "$dir" ringbar-sysroot.XXXXXX
			return
		fi
	done
	die "neither ${TMPDIR:-/tmp} nor /var/tmp has 3 GiB free: set TMPDIR to a folder that has and that every user may enter"
}

# remove_stage DIR: killed children may take a moment to be gone, and may have left files of another user
# id, which a namespace can remove.
remove_stage() {
	for _ in 1 2 3; do
		rm -rf --one-file-system -- "$1" 2>/dev/null && return
		((EUID == 0)) || unshare --map-root-user --map-auto rm -rf --one-file-system -- "$1" 2>/dev/null || true
		sleep 1
	done
	warn "could not remove $1"
}

# Removes what killed runs of this user have left in a folder: no living process holds their lock.
sweep_stages() {
	local path lock
	while IFS= read -r path; do
		exec {lock}<"$path"
		if flock -n "$lock"; then remove_stage "$path"; fi
		exec {lock}<&-
	done < <(find "$1" -maxdepth 1 -name 'ringbar-sysroot.*' -type d -user "$EUID" -mmin +1 2>/dev/null)
}

stage=$(pick_stage)
trap 'remove_stage "$stage"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
exec {stage_lock}<"$stage"
flock "$stage_lock"
chmod 755 "$stage"
install -m 755 "$ci_dir/sysroot-install.sh" "$stage/"
install -m 644 "$ci_dir/resolve.sh" "$ci_dir/versions.env" "$stage/"

# The host's ways to the network: proxies, certificates, and checks that its clock makes it relax.
apt-config dump --format '%F "%v";%n' Acquire 2>/dev/null |
	grep -E '^Acquire::((https?|ftp)::|Retries|Check-Valid-Until|Check-Date|Queue-Mode)' |
	grep -v ' "";$' >"$stage/apt.conf" || true
chmod 644 "$stage/apt.conf"

mirror=$("$ci_dir/mirror.sh")
say "mirror: ${mirror:-as mmdebstrap chooses}"

# The backports line is the release line with another suite, wherever the mirror came from.
# shellcheck disable=SC2016 # mmdebstrap's shell expands it
backports='sed -n "s/ '"$DEBIAN_SUITE"' / '"$DEBIAN_SUITE"'-backports /p" "$1/etc/apt/sources.list" > "$1/etc/apt/sources.list.d/backports.list"; test -s "$1/etc/apt/sources.list.d/backports.list" || { echo "ringbar: error: no usable mirror: set RINGBAR_MIRROR" >&2; exit 1; }'

# As root, mmdebstrap mounts /proc, /sys and /dev in its folder. In namespaces of its own those mounts,
# and all its processes, go with it, however it ends; for an ordinary user it makes such itself.
unshared=()
if ((EUID == 0)); then unshared=(unshare --mount --pid --fork --kill-child --mount-proc); fi

TMPDIR=$stage "${unshared[@]}" mmdebstrap --mode=auto --variant=apt --format=tar --components=main --architectures=amd64 \
	--aptopt="$stage/apt.conf" --dpkgopt=force-unsafe-io "${excludes[@]}" \
	--setup-hook="$backports" --customize-hook="$stage/sysroot-install.sh" \
	"$DEBIAN_SUITE" - ${mirror:+"$mirror"} |
	tar -x -C "$1" --no-same-owner --delay-directory-restore --exclude='./dev/*' --exclude='./var/cache/*' --exclude='./var/lib/apt/lists/*'
# What was not readable or enterable for its owner would resist `rm -rf` and reading alike.
chmod -R u+rwX "$1"
