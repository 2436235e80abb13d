#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The choice of a version among those of a mirror.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
# shellcheck source=ci/resolve.sh
source "$ci/resolve.sh"

choose() { printf '%s\n' "${@:3}" | resolve_version "$1" "$2"; }

equal pinned_version_wins_over_newer 7.3.4-1 "$(choose 7.3.4-1 7.3. 7.3.9-1 7.3.4-1 7.3.2-1)"
equal newest_of_the_series_replaces_a_dropped_one 7.3.10-1 "$(choose 7.3.4-1 7.3. 7.3.9-1 7.3.10-1 7.4.1-1)"
equal tilde_sorts_before_the_release 7.3.5-1 "$(choose 7.3.4-1 7.3. 7.3.5-1 '7.3.5-1~bpo13+1')"
equal epoch_belongs_to_the_series 1:11.1.4+ds-1 "$(choose 1:11.1.3+ds-1 1:11.1. 11.1.9 1:11.1.4+ds-1 1:11.2.0+ds-1)"
fails other_series_is_no_replacement choose 1.85.1+x 1.85.1+ 1.96.1+x 1.85.10+x
fails empty_mirror_is_no_replacement choose 7.3.4-1 7.3. ''

index='Package: a
Version: 2
SHA256: two

Package: a
Version: 1
SHA256: one'
equal sum_is_of_that_version one "$(sha256_of 1 <<<"$index")"
equal sum_of_unknown_version_is_empty '' "$(sha256_of 3 <<<"$index")"
equal release_is_version_and_flavour 7.3.4+deb13-amd64 "$(kernel_release '7.3.4-1~bpo13+1' +deb13-amd64)"
