#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# cargo with intermediate files in the cache and results in build/cargo of the checkout.
#
# Every checkout has a build folder of its own: cargo tells a stale result by its time alone, so two
# checkouts that share one can be given each other's programs. A new checkout starts with a copy of the
# folder used last, without our own crates, and compiles no dependency again.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

seed() {
	local newest=$RINGBAR_CACHE other profile lock
	for other in "$RINGBAR_CACHE/cargo-$rustc"-*; do
		if [[ -d $other && $other != *.tmp.* && ($newest == "$RINGBAR_CACHE" || $other -nt $newest) ]]; then newest=$other; fi
	done
	[[ $newest != "$RINGBAR_CACHE" ]] || return 0
	# cargo holds this lock of a profile while it writes there.
	while IFS= read -r profile; do
		mkdir -p "$1/$profile"
		exec {lock}<"$newest/$profile/.cargo-lock"
		flock -s "$lock"
		cp -a --reflink=auto "$newest/$profile/." "$1/$profile/"
		exec {lock}<&-
	done < <(find "$newest" -maxdepth 3 -name .cargo-lock -printf '%P\n' | sed 's|/.cargo-lock$||')
	# Every file of one of our crates has its name in its path, and all of them are named ringbar.
	(cd "$1" && find . -depth -path '*ringbar*' -delete)
}

"$ci_dir/setup.sh" cargo
# shellcheck disable=SC2119 # no files, only what comes from stdin
rustc=$(rustc -vV | cache_key)
# shellcheck disable=SC2119
CARGO_BUILD_BUILD_DIR=$(cache_entry cargo "$rustc-$(cache_key <<<"$checkout")" 3 seed)
export CARGO_BUILD_BUILD_DIR CARGO_TARGET_DIR="$checkout/build/cargo"
cd "$checkout"
exec cargo "$@"
