#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# cargo with intermediate files in the cache and results in build/cargo of the checkout, below the name of this machine's
# target: cargo.sh [--rustflags FLAGS] ARGS. What of the caller's environment and configuration would change results is
# left out or refused. RINGBAR_RUSTC_WRAPPER names a wrapper for rustc, such as sccache.
#
# Every checkout has a build folder of its own: cargo tells a stale result by its time alone, so two
# checkouts that share one can be given each other's programs. A new checkout starts with what another one's folder has,
# without our own crates, and compiles no dependency again, unless all folders are in use. The
# folders of checkouts that are gone go as well.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# Every file of one of our crates has its name in its path, and all of them are named ringbar. What deps/ has without one of
# these endings is a test program of ours.
#
# Libraries and build scripts become links: cargo, rustc and the linker remove an old one before they put a new one in its
# place. All else they write where it is, so that the other checkout would have it too: that is copied, with times to the
# nanosecond, as cargo takes what is older than what it needs for stale.
copy_dependencies() {
	local ours=(-name '*ringbar*' -o -name incremental) whole=(-name '*.rlib' -o -name '*.rmeta' -o -name '*.so' -o -path '*/build/*/build[-_]script[-_]*' ! -name '*.d')
	(cd "$1" && find . \( "${ours[@]}" \) -prune -o -type f \( "${whole[@]}" \) -print0 | xargs -0 -r cp -l --parents -t "$2") &&
		(cd "$1" && find . \( "${ours[@]}" \) -prune -o -mindepth 2 -type f ! \( "${whole[@]}" \) \( ! -path './*/deps/*' -o -name '*.d' \) -print0) |
		tar -C "$1" -c --format=posix --null -T - | tar -C "$2" -x
}

# copy_at_rest FROM TO: not while cargo writes there, when it holds the lock of a profile, and not if it never has. As it takes
# one lock after the other, whoever has one and waits for the next would wait for ever.
copy_at_rest() (
	while IFS= read -r -d '' lock; do
		exec {fd}<"$lock"
		flock -n -s "$fd" || exit
	done < <(find "$1" -maxdepth 3 -name .cargo-lock -print0)
	[[ -n ${fd:-} ]] || exit
	copy_dependencies "$1" "$2"
)

seed() {
	local other folders
	# The richest first: in the newest one a single crate may have been checked.
	mapfile -t folders < <(for other in "$RINGBAR_CACHE/cargo-$rustc"-*; do
		if [[ -f $other/checkout ]]; then printf '%s %s\n' "$(find "$other" -name '*.rmeta' | wc -l)" "$other"; fi
	done | sort -rn | cut -d ' ' -f 2-)
	# Without a copy everything is merely compiled again.
	for other in "${folders[@]}"; do
		if copy_at_rest "$other" "$1"; then break; fi
		find "$1" -mindepth 1 -delete
	done
	printf '%s\n' "$checkout" >"$1/checkout"
	for other in "$RINGBAR_CACHE"/cargo-*-*/checkout; do
		if [[ $other != "$1/"* && -f $other && ! -d $(<"$other") ]]; then rm -rf -- "${other%/checkout}"; fi
	done
}

# Of cargo's and rustc's variables only those stay that lead to the network, or that a person sees.
clear_environment() {
	local name
	for name in $(compgen -e); do
		case $name in
		CARGO_HOME | CARGO_HTTP_* | CARGO_NET_* | CARGO_REGISTR* | CARGO_SOURCE_* | CARGO_TERM_* | CARGO_LOG | CARGO_BUILD_JOBS) ;;
		CARGO | CARGO_* | RUSTC | RUSTC_* | RUSTFLAGS | RUSTDOC | RUSTDOCFLAGS) unset "$name" ;;
		esac
	done
}

# configurations: the files that cargo reads its configuration from.
configurations() {
	local folder=$checkout name
	local -A seen=()
	while :; do
		seen[${folder%/}/.cargo]=1
		[[ -n ${folder%/} ]] || break
		folder=${folder%/*}
	done
	seen[${CARGO_HOME:-${HOME:-}/.cargo}]=1
	for folder in "${!seen[@]}"; do
		for name in config config.toml; do
			if [[ -f $folder/$name ]]; then printf '%s\n' "$folder/$name"; fi
		done
	done
}

# Settings that change no result, or that `settle` overrides.
harmless='^((alias|cache|cargo-new|credential-alias|doc|future-incompat-report|http|include|install|net|registry|registries|resolver|source|term)[. ]'
harmless+='|build\.(build-dir|incremental|jobs|rustc-wrapper|rustc-workspace-wrapper|rustdocflags|rustflags|target|target-dir) '
harmless+='|target\..*\.(linker|rustdocflags|rustflags) |#|$)'

# A configuration may change what no variable can override: profiles, patches, variables for compilers.
check_configuration() {
	local files settings found
	files=$(configurations)
	[[ -n $files ]] || return 0
	settings=$(RUSTC_BOOTSTRAP=1 cargo -Z unstable-options config get 2>/dev/null) || {
		warn "this cargo does not show its configuration (${files//$'\n'/, }): profiles or patches in it would change what is built"
		return 0
	}
	# Variables of tests alone change no program.
	found=$(grep -vE "$harmless" <<<"$settings" || true)
	[[ -z $found ]] ||
		die "your cargo configuration (${files//$'\n'/, }) would change what is built: ${found//$'\n'/, }: take that out, or set CARGO_HOME to a folder without it"
}

# settle FLAGS: what cargo would else take from a configuration.
settle() {
	# Values of their own; an empty one stands for none, whatever a configuration says.
	export CARGO_BUILD_TARGET=$target CARGO_ENCODED_RUSTFLAGS=${1// /$'\x1f'} CARGO_ENCODED_RUSTDOCFLAGS=''
	export RUSTC_WRAPPER=${RINGBAR_RUSTC_WRAPPER:-} RUSTC_WORKSPACE_WRAPPER=''
	local name=${target^^}
	export "CARGO_TARGET_${name//-/_}_LINKER=cc"
}

flags=
if [[ ${1:-} == --rustflags ]]; then
	flags=$2
	shift 2
fi
"$ci_dir/setup.sh" cargo
cd "$checkout"
clear_environment
check_configuration
version=$(rustc -vV)
target=$(sed -n 's/^host: //p' <<<"$version")
# shellcheck disable=SC2119 # no files, only what comes from stdin
rustc=$(cache_key <<<"$version")
# shellcheck disable=SC2119
CARGO_BUILD_BUILD_DIR=$(cache_entry cargo "$rustc-$(cache_key <<<"$checkout")" 3 seed)
export CARGO_BUILD_BUILD_DIR CARGO_TARGET_DIR="$checkout/build/cargo"
settle "$flags"
contents "${rust_sources[@]}" | notice_changes "$CARGO_BUILD_BUILD_DIR/contents"
# A compiler's daemon below would hold the lock of the checkout for hours.
if [[ -n ${RINGBAR_LOCK_FD:-} ]]; then exec {RINGBAR_LOCK_FD}>&-; fi
exec cargo "$@"
