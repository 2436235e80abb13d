#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# cargo with intermediate files in the cache and results in build/cargo of the checkout.
#
# Every checkout has a build folder of its own: cargo tells a stale result by its time alone, so two
# checkouts that share one can be given each other's programs. A new checkout starts with a copy of the
# folder used last, without our own crates, and compiles no dependency again, unless that is in use. The
# folders of checkouts that are gone go as well.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# Every file of one of our crates has its name in its path, and all of them are named ringbar.
copy_dependencies() { tar -C "$1" -c --exclude='*ringbar*' --exclude=incremental . | tar -C "$2" -x; }

# copy_at_rest FROM TO: not while cargo writes there, when it holds the lock of a profile. As it takes one after
# the other, whoever has one and waits for the next would wait for ever.
copy_at_rest() (
	while IFS= read -r -d '' lock; do
		exec {fd}<"$lock"
		flock -n -s "$fd" || exit
	done < <(find "$1" -maxdepth 3 -name .cargo-lock -print0)
	copy_dependencies "$1" "$2"
)

seed() {
	local other newest=''
	for other in "$RINGBAR_CACHE/cargo-$rustc"-*; do
		if [[ -f $other/checkout && (-z $newest || $other -nt $newest) ]]; then newest=$other; fi
	done
	# Without a copy everything is merely compiled again.
	if [[ -n $newest ]] && ! copy_at_rest "$newest" "$1"; then find "$1" -mindepth 1 -delete; fi
	printf '%s\n' "$checkout" >"$1/checkout"
	for other in "$RINGBAR_CACHE"/cargo-*-*/checkout; do
		if [[ $other != "$1/"* && -f $other && ! -d $(<"$other") ]]; then rm -rf -- "${other%/checkout}"; fi
	done
}

"$ci_dir/setup.sh" cargo
# shellcheck disable=SC2119 # no files, only what comes from stdin
rustc=$(rustc -vV | cache_key)
# shellcheck disable=SC2119
CARGO_BUILD_BUILD_DIR=$(cache_entry cargo "$rustc-$(cache_key <<<"$checkout")" 3 seed)
export CARGO_BUILD_BUILD_DIR CARGO_TARGET_DIR="$checkout/build/cargo"
cd "$checkout"
exec cargo "$@"
