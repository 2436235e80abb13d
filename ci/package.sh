#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Checks the crates that others can take, as cargo would publish them: package.sh [check|all].
#
# `check` packs all three in one call and looks into the packages, and fails on any warning of their
# documentation. `all` also compiles the packages, uses them in a project elsewhere, and compares
# their interface with that of the last release. For that it makes cargo-semver-checks on first use,
# which takes minutes, and later takes it from the cache.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
cd "$checkout"

# Not in versions.env, which is part of the sysroot's key: a change of it makes the kernels again.
SEMVER_CHECKS_VERSION=0.49.0

# Each crate and its folder. A crate stands behind those that it needs.
family=qemu-device/vfio-user
declare -A folder=([ringbar-vfio-user]=protocol [ringbar-endpoint]=endpoint [ringbar-conformance]=conformance)
crates=(ringbar-vfio-user ringbar-endpoint ringbar-conformance)
packed=$checkout/build/cargo/package

# version: prints the version that all of them have.
version() {
	local found
	found=$(for crate in "${crates[@]}"; do
		sed -n 's/^version = "\(.*\)"$/\1/p' "$family/${folder[$crate]}/Cargo.toml"
		sed -n "s/^$crate = .*, version = \"\(.*\)\" }\$/\1/p" Cargo.toml
	done | sort -u)
	[[ $found =~ ^[0-9]+\.[0-9]+\.[0-9]+$ ]] ||
		die "the crates in $family have the versions ${found//$'\n'/, }: give them one, in each Cargo.toml and in that of the workspace"
	printf '%s\n' "$found"
}

# needs PACKAGE FILE CONTENT: fails unless FILE of PACKAGE has the content of the file CONTENT.
needs() {
	cmp -s -- <(tar -xOf "$1" "$(basename "$1" .crate)/$2" 2>/dev/null) "$3" ||
		die "${1#"$checkout"/} lacks $2 with the text of $3: see \`include\` and the links beside Cargo.toml"
}

# look_into CRATE: fails if the package lacks a text, or a word that a registry wants.
look_into() {
	local crate=$1 package=$packed/$1-$version.crate word manifest
	needs "$package" README.md "$family/${folder[$crate]}/README.md"
	needs "$package" CHANGELOG.md "$family/CHANGELOG.md"
	for word in MIT GPL-2.0-only; do needs "$package" "LICENSES/$word.txt" "LICENSES/$word.txt"; done
	manifest=$(tar -xOf "$package" "$crate-$version/Cargo.toml")
	for word in description keywords categories license readme rust-version; do
		grep -q "^$word = " <<<"$manifest" || die "$family/${folder[$crate]}/Cargo.toml has no $word"
	done
	# cargo drops such paths from dependencies. What is left names a file of the crate itself.
	word=$(sed -n 's/^path = "\(\.\.\/.*\|\/.*\)"$/\1/p' <<<"$manifest")
	[[ -z $word ]] || die "$package names $word, a path outside of the crate"
}

# pack CARGO_ARGS...: packs all crates. In one call, the later ones find the earlier ones, which no
# registry has yet.
pack() {
	rm -rf -- "$packed"
	# cargo asks the registry again for what it has, and holds a lock of all builds meanwhile. So the
	# network is used only where something is missing.
	set -- --quiet --locked --allow-dirty "$@" "${crates[@]/#/--package=}"
	"$ci_dir/cargo.sh" package --offline "$@" 2>/dev/null || "$ci_dir/cargo.sh" package "$@"
	for crate in "${crates[@]}"; do look_into "$crate"; done
	say "packed ${crates[*]} $version"
}

# document: fails on any warning of rustdoc, such as a link that leads nowhere. cargo shows those of
# an earlier run again.
document() {
	local output
	output=$("$ci_dir/cargo.sh" doc --quiet --locked --no-deps --lib --all-features "${crates[@]/#/--package=}" 2>&1) ||
		die "no documentation: $output"
	! grep -q '^\(warning\|error\)' <<<"$output" || die "rustdoc warns: $output"
	say "documented ${crates[*]}"
}

# example FILE: prints the first example in Rust of a README.
# shellcheck disable=SC2016 # backticks of Markdown
example() { sed -n '/^```rust/,/^```$/p' "$1" | sed '/^```$/q' | sed '1d; $d'; }

# use_elsewhere: builds and runs the examples of the READMEs with the unpacked packages alone.
use_elsewhere() {
	local place crate paths
	place=$(mktemp -d)
	# shellcheck disable=SC2064 # the folder of now
	trap "rm -rf -- '$place'" EXIT
	for crate in "${crates[@]}"; do tar -xzf "$packed/$crate-$version.crate" -C "$place"; done
	mkdir -p "$place/stranger/src/bin"
	paths=$(for crate in "${crates[@]}"; do printf '%s = { path = "../%s" }\n' "$crate" "$crate-$version"; done)
	printf '[package]\nname = "stranger"\nedition = "2024"\n\n[dependencies]\n%s\n\n[patch.crates-io]\n%s\n' "$paths" "$paths" \
		>"$place/stranger/Cargo.toml"
	# The versions that were tested here.
	cp Cargo.lock "$place/stranger"
	for crate in "${crates[@]}"; do
		example "$place/$crate-$version/README.md" >"$place/stranger/src/bin/${folder[$crate]}.rs"
	done
	# The kit's example starts `my-server` on /tmp/s; here that is the endpoint's example.
	sed -i "s|my-server --socket /tmp/s|'$place/target/debug/endpoint' '$place/s'|; s|\"/tmp/s\"|\"$place/s\"|" "$place/stranger/src/bin/conformance.rs"
	(
		cd "$place/stranger"
		export CARGO_TARGET_DIR=$place/target
		cargo build --quiet
		"$place/target/debug/protocol"
		"$place/target/debug/conformance"
		cargo test --quiet --manifest-path "$place/ringbar-vfio-user-$version/Cargo.toml" --features test-utils --test protocol
	)
	rm -rf -- "$place"
	trap - EXIT
	say "the READMEs' examples ran elsewhere, and the server of one kept every rule"
}

# release: prints the tag of the last release, or its commit where a clone has no tags: the commit
# that wrote the heading of its version into the change log. A version that no commit has, or that
# was written by the last one, is being released: then the one before it counts.
release() {
	git describe --tags --match 'crates-v*' --abbrev=0 HEAD^ 2>/dev/null && return
	local heading commit
	git show "HEAD:$family/CHANGELOG.md" 2>/dev/null |
		{ grep -E '^## [0-9]+\.[0-9]+\.[0-9]+$' || true; } | while read -r heading; do
		commit=$(git log --format=%H --reverse -S"$heading" -- "$family/CHANGELOG.md" | sed -n 1p)
		if [[ -n $commit && $commit != $(git rev-parse HEAD) ]]; then
			printf '%s\n' "$commit"
			break
		fi
	done
}

# make_semver_checks FOLDER: compiles the tool.
make_semver_checks() {
	mkdir -p "$RINGBAR_CACHE/log"
	CARGO_TARGET_DIR=$1/target long_step 900 "$RINGBAR_CACHE/log/semver.log" "compiling cargo-semver-checks $SEMVER_CHECKS_VERSION" \
		cargo install --quiet --locked --root "$1" --version "$SEMVER_CHECKS_VERSION" cargo-semver-checks
	rm -rf -- "$1/target"
}

# compare: fails if the interface breaks users of the last release, and the version does not say so.
compare() {
	local from tool
	if [[ $(git rev-parse --is-shallow-repository 2>/dev/null) != false ]]; then
		say "skipped: the interface is not compared: $checkout has no history; clone it whole"
		return
	fi
	from=$(release)
	if [[ -z $from ]]; then
		say "skipped: the interface is not compared: no tag crates-v* and no version in an earlier $family/CHANGELOG.md"
		return
	fi
	# shellcheck disable=SC2119 # no files, only what comes from stdin
	tool=$(cache_entry semver "$(cache_key <<<"$SEMVER_CHECKS_VERSION $(rustc -vV)")" 3 make_semver_checks)
	say "comparing with $from"
	# A target folder of its own: the tool sets variables that have build scripts run again.
	CARGO_TARGET_DIR=$checkout/build/semver PATH=$tool/bin:$PATH \
		cargo semver-checks --baseline-rev "$from" "${crates[@]/#/--package=}"
}

version=$(version)
case ${1:-check} in
check)
	pack --no-verify
	document
	;;
all)
	pack
	document
	use_elsewhere
	compare
	;;
*) die "usage: $0 [check|all]" ;;
esac
