#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Has the readers of others read a run's results: readers.sh FOLDER NAME. They are the kernel's
# parser of KTAP (kunit.py, from the kernel's source) and the release's junitparser. FOLDER has the
# reports of the run NAME. Fails if they do not find there what results.json says.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

(($# == 2)) || die "usage: $0 FOLDER NAME"
folder=$(realpath -- "$1") name=$2
kernel=$("$ci_dir/kernel.sh")
library=$("$ci_dir/python.sh")
packages=${library%/*}/python3/dist-packages
"$ci_dir/in-sysroot.sh" --kernel "$kernel" env PYTHONPATH="$library:$library/lib-dynload:$packages" \
	python3 -B "$ci_dir/readers.py" "$folder" "$name"
