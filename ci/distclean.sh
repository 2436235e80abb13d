#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Removes build/ and ringbar's part of the cache, and prints how much that was.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

"$ci_dir/clean.sh"
[[ -d $RINGBAR_CACHE ]] || exit 0
# The variable may name a folder with other contents. Only entries of known kinds are removed.
ours=("$RINGBAR_CACHE/locks" "$RINGBAR_CACHE/log")
for kind in "${cache_kinds[@]}"; do ours+=("$RINGBAR_CACHE/$kind"-*); done
say "removing $(du -shc -- "${ours[@]}" 2>/dev/null | awk 'END { print $1 }') from $RINGBAR_CACHE"
rm -rf -- "${ours[@]}"
rmdir --ignore-fail-on-non-empty -- "$RINGBAR_CACHE"
