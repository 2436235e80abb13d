#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the help in a Makefile: `target: ... ## text`, `#: heading`, `#? variable`.
set -euo pipefail

awk '
	/^#: / { printf "\n%s\n", substr($0, 4) }
	/^[a-z][a-z-]*:.*## / {
		target = $0; sub(/:.*/, "", target)
		text = $0; sub(/.*## /, "", text)
		printf "  make %-16s %s\n", target, text
	}
	/^#\? / {
		if (!variables++) print "\nVariables, with what they are if not set"
		print "  " substr($0, 4)
	}' "$1"
