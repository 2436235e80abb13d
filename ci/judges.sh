#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Makes the table of the judges that others wrote from the results of all configurations that ran them:
# who judges, where, how many cases, passed, failed, and skipped with the reasons. Prints its path.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

reports=$checkout/build/report
table=$reports/judges.md

# rows CONFIGURATION FILE: prints the rows for the results in a file. The name of a case begins with that
# of its judge, except where the program of the guest has one.
rows() {
	awk -v configuration="$1" '
		# The lines came over a serial port.
		{ sub(/\r$/, "") }
		/^    # Subtest: / { program = $3 }
		program !~ /^(vfio_selftests|pfnmap|stress_ng)$/ { next }
		/^    (not )?ok [0-9]+ / {
			line = $0
			failed = sub(/^    not ok [0-9]+ /, "", line)
			sub(/^    ok [0-9]+ /, "", line)
			reason = ""
			if (at = index(line, " # SKIP ")) reason = substr(line, at + 8)
			judge = program
			if (program == "vfio_selftests" && line ~ /^vfio_/) { split(line, words, "[: ]"); judge = words[1] }
			if (!(judge in cases)) order[++judges] = judge
			cases[judge]++
			if (failed) bad[judge]++
			else if (reason == "") good[judge]++
			else {
				skipped[judge]++
				if (!((judge, reason) in times)) why[judge] = why[judge] (why[judge] == "" ? "" : "\n") reason
				times[judge, reason]++
			}
		}
		END {
			for (i = 1; i <= judges; i++) {
				judge = order[i]
				text = ""
				count = split(why[judge], reasons, "\n")
				for (j = 1; j <= count; j++) text = text (j == 1 ? "" : "; ") times[judge, reasons[j]] ": " reasons[j]
				printf "| `%s` | %s | %d | %d | %d | %d | %s |\n", judge, configuration, cases[judge],
					good[judge], bad[judge], skipped[judge], text
			}
		}' "$2"
}

mkdir -p "$reports"
{
	printf '%s\n' '| judge | configuration | cases | passed | failed | skipped | reasons |' '|---|---|---|---|---|---|---|'
	for folder in "$reports"/{,*/}logs/*/; do
		[[ -f $folder/results.ktap ]] || continue
		folder=${folder%/}
		rows "${folder##*/}" "$folder/results.ktap"
	done
} >"$table.new"
mv -- "$table.new" "$table"
printf '%s\n' "$table"
