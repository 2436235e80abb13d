#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Lists in the documents are complete: files with unsafe code, programs, scripts, configurations,
# targets. Their links lead somewhere, and their lines are short.
# shellcheck disable=SC2016 # the backticks are those of Markdown
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
cd "$ci/.."
mapfile -t documents < <(find . -path ./build -prune -o -path '*/target' -prune -o -name '*.md' -print | sort)

# sources FOLDER...: lists their Rust files, without results of builds.
sources() { find "$@" -name build -prune -o -name target -prune -o -name '*.rs' -print0; }
# files FOLDER PATTERN...: lists the names in a folder that fit one of the patterns.
files() {
	local folder=$1 pattern
	shift
	for pattern in "$@"; do find "$folder" -mindepth 1 -maxdepth 1 -name "$pattern" -printf '%f\n'; done | sort
}
# between BEGIN END FILE: prints the text between two texts, in one line.
between() { sed -n "/$1/,/$2/p" "$3" | tr '\n' ' ' | sed "s/.*$1//; s/$2.*//"; }
# quoted: prints the file names in backticks, with their braces expanded.
quoted() {
	local word
	grep -o '`[^`]*\.\(rs\|c\|sh\)[^`]*`' | tr -d '`' | while read -r word; do
		# People write these names, without blanks.
		eval "printf '%s\n' $word"
	done | sort
}

listed contributing_names_files_with_unsafe_code 'CONTRIBUTING.md, "House rules", after "Outside of the module these files do"' \
	"$(sources ci guest-driver/uapi guest-rootfs qemu-device | xargs -0 grep -lE '^\s*(#!?\[expect\()?unsafe_code,' | sort)" \
	"$(between 'Outside of the module' 'In the module' CONTRIBUTING.md | quoted)"
listed module_names_files_with_unsafe_code 'guest-driver/README.md, "Files", the sentence that begins with "`unsafe` is in"' \
	"$(cd guest-driver && sources . -path ./uapi -prune -o | xargs -0 grep -lE '^[^/]*\bunsafe (\{|impl|fn|extern)' | sed 's|^\./||' | sort)" \
	"$(between '^`unsafe` is in' 'each block with' guest-driver/README.md | quoted)"
listed module_names_its_files 'guest-driver/README.md, "Files"' \
	"$(cd guest-driver && find . -mindepth 1 \( -path ./uapi -o -path ./selftests -o -type d -exec test -e '{}/Kbuild' \; \) -prune -o \( -name '*.rs' -o -name '*.c' \) -printf '%P\n' | sort)" \
	"$(between '^## Files' '^## ioctls' guest-driver/README.md | sed 's/`unsafe` is in.*//' | quoted | grep -vx 'ci/.*')"
listed guest_rootfs_names_its_programs 'guest-rootfs/README.md, the table with the heading "program"' \
	"$(files guest-rootfs/tests/src/bin '*' | sed 's/\.rs$//')" \
	"$(between '^| program' '^The kernel command line' guest-rootfs/README.md | grep -o '| `[a-z_]*` |' | tr -d '|` ' | sort)"
listed driver_readme_names_the_cases_of_lives 'guest-driver/README.md, "When a process changes"' \
	"$(grep -rhA 1 '^#\[case' guest-rootfs/tests/src/bin/lives | sed -n 's/^fn \([a-z0-9_]*\).*/\1/p' | sort)" \
	"$(between '^## When a process changes' '^## When the machine changes' guest-driver/README.md | grep -o '`[a-z0-9]*_[a-z0-9_]*` |' | tr -d '`| ' | sort)"
listed cases_of_the_machine_are_there 'guest-driver/README.md, "When the machine changes": there are no such cases' '' \
	"$(between '^## When the machine changes' '^## When the device is reset' guest-driver/README.md | grep -o '`[a-z0-9]*_[a-z0-9_]*` |' | tr -d '`| ' | sort -u |
		grep -vxFf <(grep -rhoE '^fn [a-z0-9_]+' guest-rootfs/tests/src/bin | sed 's/^fn //') || true)"
listed guest_rootfs_names_the_files_of_the_library 'guest-rootfs/README.md, "The library of the test programs"' \
	"$(cd guest-rootfs && find tests/src examples/src -maxdepth 1 -name '*.rs' ! -path examples/src/lib.rs | sort)" \
	"$(between '^## The library' '^## ringbarctl' guest-rootfs/README.md | grep -oE '`[a-z]+/src/[a-z_]+\.rs` ' | tr -d '` ' | sort)"
listed ci_names_its_scripts 'ci/README.md, the table with the heading "script"' \
	"$(files ci '*.sh')" \
	"$(between '^| script' '^## Jobs' ci/README.md | grep -oE '`[a-z0-9-]+\.sh' | tr -d '`' | sort -u)"
listed ci_names_the_configurations 'ci/README.md, "Configurations"' \
	"$(sed -n 's/^\([a-z][a-z0-9.-]*\) .*/\1/p' ci/configurations | sort)" \
	"$(between '^## Configurations' '^`make test` runs' ci/README.md | grep -oE '`(stock|debug|arm64|linux)-[a-z0-9.-]*`' | tr -d '`' | sort)"

targets=$(sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' Makefile)
listed targets_that_documents_name_are_there 'documents: the Makefile has no such target' '' \
	"$(grep -ohE '(`|^ *)make [a-z][a-z-]*' "${documents[@]}" | sed 's/.*make //' | sort -u | grep -vxF "$targets" || true)"
listed links_of_documents_lead_somewhere 'documents: these links lead nowhere' '' "$(
	for document in "${documents[@]}"; do
		grep -oE '\]\([^)#:]+' "$document" | sed 's/^](//' | while read -r link; do
			[[ -e ${document%/*}/$link ]] || echo "$document: $link"
		done
	done
)"

listed lines_of_documents_are_short 'documents: these lines are too long' '' \
	"$(for document in "${documents[@]}"; do long_lines "$document"; done)"
exit "$failed"
