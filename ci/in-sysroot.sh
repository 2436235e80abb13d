#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs a command inside the sysroot: in-sysroot.sh [--network] [--kernel DIR | --build-kernel DIR]
# [--show DIR NAME]... CMD...
#
# There, the sysroot and the cache are read-only, and the checkout is read-only except build/. /tmp
# and $TMPDIR are the host's. All have their own names, and the checkout is also /ringbar.
#
# `--kernel` shows DIR as /kernel (`--build-kernel`: writable). A kernel tree holds absolute paths,
# which so stay valid wherever the cache is. `--show` shows DIR as NAME, read-only. There is no
# network by default. The caller's environment is dropped: ARCH or LLVM would change the kernel. The
# command dies with the caller: this script ends in `exec`, so the caller is bwrap's parent. The
# caller's times have those of the command.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

network=(--unshare-net)
binds=()
while [[ ${1:-} == --* ]]; do
	case $1 in
	--network)
		network=()
		shift
		;;
	--kernel)
		binds+=(--ro-bind "$2" /kernel)
		shift 2
		;;
	--build-kernel)
		binds+=(--bind "$2" /kernel)
		shift 2
		;;
	--show)
		binds+=(--ro-bind "$2" "$3")
		shift 3
		;;
	*) die "in-sysroot.sh does not know $1" ;;
	esac
done
(($# > 0)) || die "in-sysroot.sh: name a command"

sysroot=$("$ci_dir/sysroot.sh")
mkdir -p "$checkout/build"

# Folders of the sysroot are mounted one by one into an empty root. So any other path can be a mount
# point, even below /var, /usr/src or /home, where checkouts and caches are.
# A shell is the first process. bwrap's own one would be left without being waited for, and the
# command's processor time with it.
args=(--die-with-parent --unshare-pid --as-pid-1 "${network[@]}" --proc /proc --dev /dev --tmpfs /var --tmpfs /run)
for path in "$sysroot"/etc "$sysroot"/usr/* "$sysroot"/usr/src/*; do
	[[ $path == */usr/src || $path == */usr/local ]] || args+=(--ro-bind "$path" "${path#"$sysroot"}")
done
for path in bin sbin lib lib64; do args+=(--symlink "usr/$path" "/$path"); done
args+=(--bind /tmp /tmp)
if [[ -n ${TMPDIR:-} ]]; then args+=(--bind "$TMPDIR" "$TMPDIR" --setenv TMPDIR "$TMPDIR"); fi
args+=(--ro-bind "$RINGBAR_CACHE" "$RINGBAR_CACHE" --ro-bind "$checkout" "$checkout" --bind "$checkout/build" "$checkout/build")
args+=(--ro-bind "$checkout" /ringbar --bind "$checkout/build" /ringbar/build)
if [[ -e /dev/kvm ]]; then args+=(--dev-bind /dev/kvm /dev/kvm); fi

exec bwrap --clearenv "${args[@]}" "${binds[@]}" --chdir "$checkout" \
	--setenv PATH /usr/sbin:/usr/bin:/sbin:/bin --setenv LC_ALL C.UTF-8 sh -c '"$@"; exit' sh "$@"
