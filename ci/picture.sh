#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Draws the README's picture, ci/picture.svg: what `make run` prints, read from a run now. The part of
# the tour before the DMA is left out, so that the picture stays small.
#
# Needs python3 with venv, and the Python package index. No other script needs this one.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

rich=rich==14.1.0 # draws text as SVG
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

python3 -m venv "$place/venv"
"$place/venv/bin/pip" -q install "$rich"
make -C "$checkout" --no-print-directory run >"$place/all" 2>&1 || die "the run is red: make run shows why"
# What comes before the boot is about builds. The page's path is that of this checkout.
sed -n "s#$checkout#/home/you/ringbar#; /^booting/,\$p" "$place/all" >"$place/run"
awk '
	/│ registers / { print "  │ …"; hidden = 1 }
	/│ DMA / { hidden = 0 }
	!hidden' "$place/run" >"$place/text"
"$place/venv/bin/python" - "$place/text" "$ci_dir/picture.svg" <<'END'
import io, sys
from rich.console import Console
from rich.text import Text

lines = open(sys.argv[1], encoding="utf-8").read().splitlines()
console = Console(record=True, width=max(map(len, lines)) + 3, file=io.StringIO())
console.print(Text("$ make run", "bold"))
for line in lines:
    console.print(Text(line, "green" if line.startswith("✓") else ""))
console.print()  # the margin below
# The frame of the library fetches a font from elsewhere. This one uses the reader's own.
frame = """<!-- SPDX-License-Identifier: GPL-2.0-only OR MIT -->
<!-- Made by ci/picture.sh -->
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {terminal_width} {terminal_height}">
<title>What make run prints</title>
<style>
.{unique_id}-matrix {{ font-family: monospace; font-size: {char_height}px; line-height: {line_height}px; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}</defs>
<rect fill="#0c0c0c" width="100%" height="100%" rx="8"/>
<g transform="translate(18, 8)" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
console.save_svg(sys.argv[2], title="", code_format=frame, unique_id="run")
END
say "ci/picture.svg is drawn"
