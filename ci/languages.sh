#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Prints the files that the guest's program `languages` runs, as lines HOST:GUEST: the examples in C
# and Python, and an interpreter. vm.sh adds them to the guest of a run that names the program.
#
# The C example is compiled in the sysroot, whose compiler is that of the release, and linked
# statically, because the guest has no libraries. The interpreter is the sysroot's. With it come its
# shared objects and the modules that the Python example imports, and no others.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

uapi=guest-driver/uapi
copy=$checkout/build/guest/copy

# compile: builds the C example.
compile() {
	mkdir -p "${copy%/*}"
	"$ci_dir/in-sysroot.sh" gcc -std=c11 -O2 -static -s -Wall -Wextra -Werror -pedantic \
		-I"$uapi/include" -o "$copy" "$uapi/examples/copy.c"
}

# modules: prints the files of the modules that the Python example imports, and of those that Python
# imports to start.
modules() {
	"$ci_dir/in-sysroot.sh" env PYTHONPATH="$library:$library/lib-dynload" "$python" -B -S -c '
import sys
exec(open(sys.argv[1]).read(), {"__name__": "example"})
files = {getattr(module, "__file__", None) for module in sys.modules.values()}
print(*sorted(filter(None, files)), sep="\n")
' "$uapi/examples/copy.py"
}

# interpreter: prints the interpreter, its modules and all shared objects.
interpreter() {
	local path objects=("$sysroot/usr/bin/$python") place=/usr/lib/$python
	printf '%s:/usr/bin/python3\n' "${objects[0]}"
	while read -r path; do
		case $path in
		"$library"/*) ;;
		"$place"/*) path=$sysroot$path ;;
		*) die "$uapi/examples/copy.py imports $path, which is no module of Python's library" ;;
		esac
		if [[ $path == *.so ]]; then objects+=("$path"); fi
		printf '%s:%s\n' "$path" "$place/${path##*"$place"/}"
	done < <(modules)
	# The loader is there already, for other tools of the release. So are some objects, in another of
	# the folders in which it looks.
	"$ci_dir/in-sysroot.sh" ldd "${objects[@]}" | sed -n 's|.* => \(/lib/[^ ]*\) .*|\1|p' | sort -u | while read -r path; do
		printf '%s:/usr%s\n' "$sysroot/usr$path" "$path"
	done
}

sysroot=$("$ci_dir/sysroot.sh")
library=$("$ci_dir/python.sh")
python=${library##*/}
unless_made "$copy" "$(printf '%s\n' "$sysroot" && contents "$uapi/include" "$uapi/examples" ci/languages.sh)" compile
printf '%s:/examples/copy\n' "$copy"
printf '%s:/examples/copy.py\n' "$checkout/$uapi/examples/copy.py"
interpreter
