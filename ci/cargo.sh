#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Runs cargo with intermediate files in the cache and results in build/cargo of the checkout, below
# the name of this machine's target: cargo.sh [--rustflags FLAGS] ARGS. Drops or refuses settings of
# the caller that would change results. RINGBAR_RUSTC_WRAPPER names a wrapper for rustc, such as
# sccache.
#
# With AT, cargo works on that project in place of the checkout, with a build folder of its own.
#
# Every checkout has its own build folder. cargo recognises a stale result by its time alone, so two
# checkouts in one folder could receive each other's programs. A new checkout starts with a copy of
# another one's folder, without the workspace's own crates. So it compiles no dependency again,
# unless all folders are in use. Folders of checkouts that no longer exist are removed.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# copy_dependencies FROM TO: copies everything except the workspace's crates. Each of their files
# has "ringbar" in its path. Other files in deps/ without one of these endings are test programs of
# the workspace.
#
# Libraries and build scripts become hard links: cargo, rustc and the linker remove the old file
# before they write a new one. They overwrite all other files in place, which would change the other
# checkout too. So those are copied, with times to the nanosecond: cargo takes a file as stale if it
# is older than its inputs.
copy_dependencies() {
	local ours=(-name '*ringbar*' -o -name incremental) whole=(-name '*.rlib' -o -name '*.rmeta' -o -name '*.so' -o -path '*/build/*/build[-_]script[-_]*' ! -name '*.d')
	(cd "$1" && find . \( "${ours[@]}" \) -prune -o -type f \( "${whole[@]}" \) -print0 | xargs -0 -r cp -l --parents -t "$2") &&
		(cd "$1" && find . \( "${ours[@]}" \) -prune -o -mindepth 2 -type f ! \( "${whole[@]}" \) \( ! -path './*/deps/*' -o -name '*.d' \) -print0) |
		tar -C "$1" -c --format=posix --null -T - | tar -C "$2" -x
}

# copy_at_rest FROM TO: copies unless cargo works in FROM, when it holds the lock of a profile, or
# has never worked there. It does not wait for a lock: with several locks held, two of these could
# wait for each other for ever.
copy_at_rest() (
	while IFS= read -r -d '' lock; do
		exec {fd}<"$lock"
		flock -n -s "$fd" || exit
	done < <(find "$1" -maxdepth 3 -name .cargo-lock -print0)
	[[ -n ${fd:-} ]] || exit
	copy_dependencies "$1" "$2"
)

# seed FOLDER: fills a new build folder from another checkout's, if possible.
seed() {
	local other folders
	# Folders with the most crates first. The newest one may hold a single checked crate.
	mapfile -t folders < <(for other in "$RINGBAR_CACHE/cargo-$rustc"-*; do
		if [[ -f $other/checkout ]]; then printf '%s %s\n' "$(find "$other" -name '*.rmeta' | wc -l)" "$other"; fi
	done | sort -rn | cut -d ' ' -f 2-)
	# Without a copy, everything is compiled again. That is slower, but no error.
	for other in "${folders[@]}"; do
		if copy_at_rest "$other" "$1"; then break; fi
		find "$1" -mindepth 1 -delete
	done
	printf '%s\n' "$tree" >"$1/checkout"
	for other in "$RINGBAR_CACHE"/cargo-*-*/checkout; do
		if [[ $other != "$1/"* && -f $other && ! -d $(<"$other") ]]; then rm -rf -- "${other%/checkout}"; fi
	done
}

# clear_environment: removes cargo's and rustc's variables, except those for the network and for
# messages.
clear_environment() {
	local name
	for name in $(compgen -e); do
		case $name in
		CARGO_HOME | CARGO_HTTP_* | CARGO_NET_* | CARGO_REGISTR* | CARGO_SOURCE_* | CARGO_TERM_* | CARGO_LOG | CARGO_BUILD_JOBS) ;;
		CARGO | CARGO_* | RUSTC | RUSTC_* | RUSTFLAGS | RUSTDOC | RUSTDOCFLAGS) unset "$name" ;;
		esac
	done
}

# configurations: prints the files from which cargo reads its configuration.
configurations() {
	local folder=$tree name
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

# check_configuration: fails if cargo's configuration has a setting that no variable overrides, such
# as profiles, patches, or variables for compilers.
check_configuration() {
	local files settings found
	files=$(configurations)
	[[ -n $files ]] || return 0
	settings=$(RUSTC_BOOTSTRAP=1 cargo -Z unstable-options config get 2>/dev/null) || {
		warn "this cargo does not show its configuration (${files//$'\n'/, }): profiles or patches in it would change what is built"
		return 0
	}
	# Any other setting may change the result, so it is refused. No match is good.
	found=$(grep -vE "$harmless" <<<"$settings" || true)
	[[ -z $found ]] ||
		die "your cargo configuration (${files//$'\n'/, }) would change what is built: ${found//$'\n'/, }: remove that, or set CARGO_HOME to a folder without it"
}

# settle FLAGS: sets everything that cargo would otherwise read from a configuration.
settle() {
	# Each value is set, even to nothing. An empty one overrides the configuration too.
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
if [[ -n $project ]]; then
	check_project
	work_on_project
fi
cd "$tree"
clear_environment
check_configuration
version=$(rustc -vV)
target=$(sed -n 's/^host: //p' <<<"$version")
# shellcheck disable=SC2119 # no files, only what comes from stdin
rustc=$(cache_key <<<"$version")
# shellcheck disable=SC2119
CARGO_BUILD_BUILD_DIR=$(cache_entry cargo "$rustc-$(cache_key <<<"$tree")" 3 seed)
export CARGO_BUILD_BUILD_DIR CARGO_TARGET_DIR="$checkout/build/cargo"
settle "$flags"
contents "${rust_sources[@]}" | notice_changes "$CARGO_BUILD_BUILD_DIR/contents"
# A compiler's daemon that cargo starts would hold the checkout's lock for hours.
if [[ -n ${RINGBAR_LOCK_FD:-} ]]; then exec {RINGBAR_LOCK_FD}>&-; fi
exec cargo "$@"
