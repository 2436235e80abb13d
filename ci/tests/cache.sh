#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Cache entries are whole or absent, whatever runs at the same time.
# shellcheck disable=SC2016 # other shells expand what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

RINGBAR_CACHE=$(mktemp -d)/cache
export RINGBAR_CACHE
trap 'rm -rf "${RINGBAR_CACHE%/cache}"' EXIT
# shellcheck source=ci/lib.sh
source "$ci/lib.sh"

# new_entry KEY: requests an entry by substitution in a shell of its own, as the scripts do. stdin
# defines its `build`.
new_entry() { exec bash -c 'set -euo pipefail; source "$1/lib.sh"; source /dev/stdin; entry=$(cache_entry sysroot "$2" 0 build); echo "$entry"' _ "$ci" "$1"; }
counted='build() { echo built >>"$RINGBAR_CACHE/count"; echo part >"$1/a"; sleep 0.5; echo whole >"$1/b"; }'
broken='build() { echo part >"$1/a"; false; echo whole >"$1/b"; }'
hanging='build() { echo part >"$1/a"; echo $$ >"$RINGBAR_CACHE/pid"; sleep 600; }'
stepping='build() { long_step 1 "$RINGBAR_CACHE/log" step bash -c "echo \$\$ >$RINGBAR_CACHE/step; exec sleep 600"; }'
leftovers() { find "$RINGBAR_CACHE" -name '*.tmp.*'; }
# appears FILE: waits until a process has written FILE.
appears() { for _ in {1..200}; do [[ ! -s $1 ]] || return 0; sleep 0.05; done; return 1; }

mkdir -p "$RINGBAR_CACHE"
for _ in 1 2; do (new_entry race) <<<"$counted" >/dev/null 2>&1 & done
entry=$( (new_entry race) <<<"$counted" 2>/dev/null)
equal racing_runs_all_get_a_whole_entry whole "$(cat "$entry/b")"
wait
equal racing_runs_build_once built "$(cat "$RINGBAR_CACHE/count")"
equal finished_build_leaves_nothing_half_made '' "$(leftovers)"

fails failed_build_fails new_entry broken <<<"$broken"
fails failed_build_makes_no_entry test -e "$RINGBAR_CACHE/sysroot-broken"
equal failed_build_leaves_nothing_half_made '' "$(leftovers)"

# No trap can clean up after KILL. With a session of its own, the test reaches the builder's child
# as well.
export -f new_entry
export ci
setsid bash -c 'new_entry killed' <<<"$hanging" >/dev/null 2>&1 &
appears "$RINGBAR_CACHE/pid"
pkill -KILL --session "$(cat "$RINGBAR_CACHE/pid")"
wait "$!" || true
fails killed_build_makes_no_entry test -e "$RINGBAR_CACHE/sysroot-killed"
equal killed_build_leaves_a_half_made_folder 1 "$(leftovers | wc -l)"
(new_entry other) <<<'build() { :; }' >/dev/null
equal next_build_sweeps_it '' "$(leftovers)"

(new_entry stopped) <<<"$stepping" >/dev/null 2>&1 &
appears "$RINGBAR_CACHE/step"
# Signals the whole process group, as build.sh, a terminal or a runner does.
stopped=$!
end_tree "$stopped"
status=0
wait "$stopped" || status=$?
equal stopped_build_reports_it 143 "$status"
fails stopped_build_makes_no_entry test -e "$RINGBAR_CACHE/sysroot-stopped"
equal stopped_build_leaves_nothing_half_made '' "$(leftovers)"
fails stopped_build_ends_its_step kill -0 "$(cat "$RINGBAR_CACHE/step")"

equal same_contents_give_the_same_key "$(cache_key "$ci/lib.sh" <<<x)" "$(cache_key "$ci/lib.sh" <<<x)"
fails other_contents_give_another_key test "$(cache_key "$ci/lib.sh" <<<x)" = "$(cache_key "$ci/lib.sh" <<<y)"
# room_for GIB: succeeds if a disk with 4 GiB free is enough.
room_for() { free_kib_here=$((4 * 1024 * 1024)) need_space "$RINGBAR_CACHE" "$1"; }
equal just_enough_space_is_enough '' "$(room_for 4 2>&1)"
equal too_little_space_is_refused "ringbar: error: $RINGBAR_CACHE has 4 GiB free, this step needs 5 GiB: make room, or set RINGBAR_CACHE to a folder on a larger disk" \
	"$(room_for 5 2>&1 || true)"
mkdir "$RINGBAR_CACHE/sysroot-old"
touch -d '40 days ago' "$RINGBAR_CACHE/sysroot-old"
cache_sweep
fails entry_unused_for_a_month_goes test -e "$RINGBAR_CACHE/sysroot-old"
fails entry_in_use_stays test ! -e "$RINGBAR_CACHE/sysroot-race"
for number in {10..30}; do mkdir "$RINGBAR_CACHE/programs-$number" && touch -d "$number minutes ago" "$RINGBAR_CACHE/programs-$number"; done
cache_sweep
equal of_a_numerous_kind_the_newest_stay '10 19' "$(find "$RINGBAR_CACHE" -name 'programs-*' -printf '%f\n' | sort | sed -n 's/programs-//; 1p; $p' | tr '\n' ' ' | sed 's/ $//')"

# Builds of several checkouts clean up at the same time, and each finds entries that another removes.
statuses=()
for round in {1..10}; do
	mkdir "$RINGBAR_CACHE"/programs-"$round"-{1..60}
	sweeps=()
	for _ in {1..6}; do
		(cache_sweep) 2>/dev/null &
		sweeps+=($!)
	done
	for sweep in "${sweeps[@]}"; do wait "$sweep" || statuses+=("$?"); done
done
equal sweeps_at_the_same_time_do_not_fail '' "${statuses[*]}"
