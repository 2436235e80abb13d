#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Builds the server anew. A machine that watches it (`make shell`, or WATCH=1) has the new one serve its
# devices within a second, and its guest goes on.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

server=$programs/ringbar-server
before=$(stat -c '%i %.9Y' -- "$server" 2>/dev/null || true)
"$ci_dir/programs.sh" server
if [[ $before == "$(stat -c '%i %.9Y' -- "$server")" ]]; then
	say "the server is as it was: nothing of it has changed since it was built last"
else
	say "there is a new server: a machine of make shell, or of WATCH=1, takes it now and says so; its open files see a reset"
fi
