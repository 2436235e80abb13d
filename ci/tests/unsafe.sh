#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# The documents name the files with unsafe code, all of them and no others.
# shellcheck disable=SC2016 # the backticks are those of Markdown
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
cd "$ci/.."

# sources FOLDER...: their files, but for what builds leave behind.
sources() { find "$@" -name build -prune -o -name target -prune -o -name '*.rs' -print0; }
# named BEGIN END: what stands in backticks from one text to the other, braces expanded.
named() { sed -n "/$1/,/$2/p" "$3" | tr '\n' ' ' | sed "s/.*$1//; s/$2.*//" | grep -o '`[^`]*\.rs[^`]*`' | tr -d '`' | expand_braces | sort; }
expand_braces() {
	local word
	while read -r word; do
		# Names of files, by people, without blanks.
		eval "printf '%s\n' $word"
	done
}

equal contributing_names_files_with_unsafe_code \
	"$(sources ci guest-driver/uapi guest-rootfs qemu-device | xargs -0 grep -lE '^\s*(#!?\[expect\()?unsafe_code,' | sort)" \
	"$(named 'Outside of the module' 'In the module' CONTRIBUTING.md)"
equal readme_of_the_module_names_files_with_unsafe_code \
	"$(cd guest-driver && sources . -path ./uapi -prune -o | xargs -0 grep -lE '^[^/]*\bunsafe (\{|impl|fn|extern)' | sed 's|^\./||' | sort)" \
	"$(named '^`unsafe` is in' 'each block with' guest-driver/README.md)"
