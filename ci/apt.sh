# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
# Fetches packages of the sysroot's release with the host's apt, without installing them. Sourced after
# lib.sh and resolve.sh, never run.
#
# The caller sets `sysroot`, and `place`, a folder for apt's lists and packages.
: "${ci_dir:?comes from lib.sh}" "${DEBIAN_SUITE:=}" "${sysroot:=}" "${place:=}"

# Architecture of the packages. Those of another one than the sysroot's are seen as if none was installed.
apt_architecture=amd64

# apt PROGRAM ARGS...: runs a program of the host's apt on the release of the sysroot, with the
# sysroot's keys and its list of installed packages.
apt() {
	local program=$1 status=$sysroot/var/lib/dpkg/status
	shift
	if [[ $apt_architecture != amd64 ]]; then status=$place/status; fi
	"$program" -q -o Dir::Etc::SourceList="$place/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::Etc::Trusted=/dev/null -o Dir::Etc::TrustedParts="$sysroot/etc/apt/trusted.gpg.d" \
		-o Dir::State="$place/state" -o Dir::State::status="$status" -o Dir::Cache="$place/cache" \
		-o APT::Architecture="$apt_architecture" -o APT::Architectures="$apt_architecture" -o APT::Sandbox::User=root "$@"
}

# sources SUITE...: prints lines for apt: the host's mirror, or the one that the sysroot came from.
sources() {
	local mirror suite
	mirror=$("$ci_dir/mirror.sh")
	if [[ -z $mirror ]]; then mirror=$(sed -n "s/^deb \([^ ]*\) $DEBIAN_SUITE .*/\1/p" "$sysroot/etc/apt/sources.list"); fi
	[[ -n $mirror ]] || die "there is no usable mirror: set RINGBAR_MIRROR"
	for suite in "$@"; do printf 'deb %s %s main\n' "$mirror" "$suite"; done
}

# lists SUITE...: fetches the signed lists of the packages of these suites.
lists() {
	mkdir -p "$place/state/lists/partial" "$place/cache/archives/partial"
	: >"$place/status"
	sources "$@" >"$place/sources.list"
	apt apt-get update
}

# pinned PACKAGE VERSION SERIES SUM FILE: prints the version of the package to take, which FILE pins. Fails if
# the signed index has another sum for it.
pinned() {
	local package=$1 pinned=$2 series=$3 expected=$4 file=$5 version sum
	version=$(apt apt-cache madison "$package" | awk -F '|' '{ gsub(/ /, "", $2); print $2 }' | resolve_version "$pinned" "$series") ||
		die "the mirror has no $package $pinned and none beginning with $series: set version and series in $file, or RINGBAR_MIRROR to a mirror that still has it"
	if [[ $version != "$pinned" ]]; then
		warn "the mirror no longer has $package $pinned; using $version, checked against the signed index only"
	else
		sum=$(apt apt-cache show "$package" | sha256_of "$version")
		[[ $sum == "$expected" ]] ||
			die "the archive gives SHA-256 $sum for $package $version, $file says $expected: do not go on before you know why"
	fi
	printf '%s\n' "$version"
}

# unpack FOLDER PACKAGE...: unpacks files of packages into FOLDER, without what only people read.
unpack() {
	local folder=$1 package
	shift
	for package in "$@"; do
		"$ci_dir/in-sysroot.sh" dpkg-deb --fsys-tarfile "$package" |
			tar -x -C "$folder" --no-same-owner --exclude=./etc --exclude=./usr/share/{doc,man,locale} || return
	done
}
