#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# `make swap` says whether there is another server.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
mkdir -p "$place/build/programs" && cp -r "$ci" "$ci/../Cargo.toml" "$place"
# Stands in for the build: puts a copy of `new` into the server's place, if that is another one.
cat >"$place/ci/programs.sh" <<'END'
#!/bin/sh
cd "$(dirname "$0")/.." && cmp -s new build/programs/ringbar-server || { cp new .new && mv .new build/programs/ringbar-server; }
END
swap() { "$place/ci/swap.sh" 2>&1 | grep -oE 'as it was|a new server'; }
echo one >"$place/new"
equal first_server_is_a_new_one 'a new server' "$(swap)"
equal same_server_is_as_it_was 'as it was' "$(swap)"
echo two >"$place/new"
equal other_server_is_a_new_one 'a new server' "$(swap)"
printf '#!/bin/sh\nexit 1\n' >"$place/ci/programs.sh"
fails server_that_does_not_compile_fails "$place/ci/swap.sh"
