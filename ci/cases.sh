#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the cases that one checkout has and another one lacks: cases.sh BEFORE [AFTER]. AFTER is
# this checkout by default.
#
# Cases are those of the guest's programs, by kernel, from the results of VM runs in build/report;
# the tests of the crates, from the sources; and the checks of the scripts. Prints lost cases with
# `-` and new ones with `+`, and fails if a case is lost. A moved or renamed case appears as both,
# and the reader has to match them.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# guest CHECKOUT: prints `guest KERNEL PROGRAM: CASE` for each case that ran or was skipped. Each
# run that is not named after the debug kernel belongs to the stock kernel.
guest() {
	local results kernel
	while IFS= read -r -d '' results; do
		kernel=stock
		if [[ $results == */debug-* ]]; then kernel=debug; fi
		# Lines are grouped by their depth: a program's cases are below `# Subtest: PROGRAM`.
		sed -E 's/\x1b\[[0-9;]*m//g' "$1/build/report/$results" | awk -v kernel="$kernel" '
			/^(    )?# Subtest: / { program = $3 }
			/^    (not )?ok [0-9]+ / { sub(/^    (not )?ok [0-9]+ (- )?/, ""); sub(/ # .*/, ""); print "guest " kernel " " program ": " $0 }'
	done < <(cd "$1/build/report" && find . -name results.ktap ! -path './sabotage-*' ! -path './bench*' -printf '%p\0') | sort -u
}

# crates CHECKOUT: prints `test FILE: NAME` for each test function. FILE begins in the crate's folder: otherwise every test of a
# crate that moved would count as lost.
# shellcheck disable=SC2016 # awk's
crates() {
	(cd "$1" && find ci guest-driver guest-rootfs qemu-device -name build -prune -o -name target -prune -o -name '*.rs' -print0 | sort -z |
		xargs -0 awk '
			/^ *#\[(tokio::)?test\]/ { test = 1 }
			test && /^ *(pub )?(async )?fn / { name = $0; sub(/.*fn /, "", name); sub(/[(<].*/, "", name)
				file = FILENAME; sub(/.*\/(src|tests|benches|examples)\//, "", file); print "test " file ": " name; test = 0 }')
}

# scripts CHECKOUT: prints `script FILE: NAME` for each check.
scripts() {
	(cd "$1" && grep -oE '^\s*(equal|fails) [a-z0-9_]+' ci/tests/*.sh | sed -E 's/:\s*(equal|fails) /: /; s/^/script /')
}

cases() {
	guest "$1"
	crates "$1"
	scripts "$1"
}

(($# == 1 || $# == 2)) || die "usage: $0 BEFORE [AFTER]"
before=$1 after=${2:-$checkout}
for folder in "$before" "$after"; do
	[[ -e $folder/ci/lib.sh ]] || die "$folder is not a checkout of ringbar"
	[[ -n $(guest "$folder") ]] || die "$folder has no results of a VM run: try make test-vm there"
done
difference=$(diff <(cases "$before" | sort -u) <(cases "$after" | sort -u) | sed -n 's/^< /- /p; s/^> /+ /p') || true
[[ -z $difference ]] || printf '%s\n' "$difference"
say "$(grep -c '^-' <<<"$difference") gone, $(grep -c '^+' <<<"$difference") new, of $(cases "$before" | sort -u | wc -l) before"
! grep -q '^-' <<<"$difference"
