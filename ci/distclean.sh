#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Removes build/ and what ringbar has put into its cache, and says how much that was.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

"$ci_dir/clean.sh"
[[ -d $RINGBAR_CACHE ]] || exit 0
# The variable may name a folder that holds other things: only our own kinds are touched.
ours=("$RINGBAR_CACHE/locks" "$RINGBAR_CACHE/log")
for kind in "${cache_kinds[@]}"; do ours+=("$RINGBAR_CACHE/$kind"-*); done
say "removing $(du -shc -- "${ours[@]}" 2>/dev/null | awk 'END { print $1 }') from $RINGBAR_CACHE"
rm -rf -- "${ours[@]}"
rmdir --ignore-fail-on-non-empty -- "$RINGBAR_CACHE"
