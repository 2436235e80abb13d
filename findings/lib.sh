# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Shared by the scripts of this folder: a temporary folder, and the comparison of what was seen.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf -- "$place"' EXIT
cd "$place"
failed=0

# seen WHAT EXPECTED FOUND: prints WHAT was found, and notes a difference from what was seen before.
seen() {
	if [[ $3 == "$2" ]]; then
		printf 'as before: %s: %s\n' "$1" "$3"
	else
		printf 'CHANGED: %s: now %s, seen before %s\n' "$1" "$3" "$2"
		failed=1
	fi
}

# python_packages SPEC...: installs pinned Python packages below the folder.
python_packages() {
	python3 -m venv "$place/venv"
	"$place/venv/bin/pip" -q --disable-pip-version-check install "$@"
}

# node_packages SPEC...: installs pinned packages of npm into the folder.
node_packages() { npm install --silent --no-fund --no-audit --no-update-notifier "$@" >/dev/null; }

# debian_packages_of_one_version NAME... -- VERSION...: unpacks packages of Debian below `debian`, without
# installing them. Takes the first of these versions that apt offers on this host.
debian_packages_of_one_version() {
	local names=() version name
	while [[ $1 != -- ]]; do
		names+=("$1")
		shift
	done
	shift
	for version in "$@"; do
		if apt-get -qq -o APT::Sandbox::User=root download "${names[@]/%/=$version}" 2>apt-errors; then
			printf 'with %s %s\n' "${names[0]}" "$version"
			for name in *.deb; do dpkg-deb -x "$name" debian; done
			return
		fi
	done
	cat apt-errors >&2
	printf 'apt offers no %s of these versions, or has no index (apt-get update): %s\n' "${names[0]}" "$*" >&2
	return 1
}

# rust_program DEPENDENCIES: builds the program on stdin with these lines of Cargo.toml and runs it.
rust_program() {
	mkdir -p program/src
	printf '[package]\nname = "program"\nversion = "0.0.0"\nedition = "2021"\n[dependencies]\n%s\n[workspace]\n' "$1" >program/Cargo.toml
	cat >program/src/main.rs
	CARGO_TARGET_DIR=$place/target cargo run -q --manifest-path program/Cargo.toml
}

# finish: ends the script, with status 1 if something was not as before.
finish() { exit "$failed"; }
