#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Builds the kernel module into build/module (build/module-debug for KERNEL=debug), or takes it from the cache; `lint` checks
# its formatting and lints it, `sabotage WHAT` builds a module that is broken on purpose, into a folder of its own.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# The files that the module is made from: its own, and those that `interface.rs` names.
sources=(guest-driver/uapi/src qemu-device/spec/src)
mapfile -t -O "${#sources[@]}" sources < <(cd "$checkout" && find guest-driver -path guest-driver/uapi -prune -o -type f ! -name '*.md' -print)

# kbuild OUTPUT SABOTAGE ARGS...: the linter has an output folder of its own, or each would undo the other's work.
kbuild() {
	local output=$checkout/build/$1$kernel_suffix folder=$1$kernel_suffix sabotage=$2 toolchain=()
	shift 2
	if [[ $KERNEL == debug ]]; then toolchain=(LLVM=1); fi
	mkdir -p "$output"
	contents "${sources[@]}" | notice_changes "$output/contents"
	# Kbuild sees the checkout as /ringbar: it refuses some characters in paths, and the module's debug information is the
	# same wherever the checkout is.
	"$ci_dir/in-sysroot.sh" --kernel "$("$ci_dir/kernel.sh")" \
		make -s -C /kernel/build "${toolchain[@]}" M=/ringbar/guest-driver MO="/ringbar/build/$folder" RINGBAR_SABOTAGE="$sabotage" "$@" modules
}

output=$checkout/build/module$kernel_suffix

# check_sources: what the compilers say that the module was made from must all be in its key.
check_sources() {
	local path
	local -A known=()
	while IFS= read -r path; do known[/ringbar/${path:66}]=1; done < <(contents "${sources[@]}")
	while IFS= read -r path; do
		[[ -n ${known[$path]:-} ]] || die "$path is compiled into the module, but the sources in ci/module.sh do not have it"
	done < <(grep -ohE '/ringbar/[^ ]+\.(rs|c|h)\b' "$output"/.{ringbar_main,shim}.o.cmd | sort -u | xargs realpath -sm -- | sort -u)
}

# fill FOLDER: with what was built, and what rustc keeps of it for the next time, whose files it never writes again.
fill() {
	cp -- "$output/ringbar.ko" "$1/"
	if [[ -d $output/incremental ]]; then copy_tree "$output/incremental" "$1/incremental"; fi
}

# copy_tree FROM TO: by links where that is possible.
copy_tree() { cp -al -- "$1" "$2" 2>/dev/null || { rm -rf -- "$2" && cp -a -- "$1" "$2"; }; }

# seed: what rustc kept where this module was built last, by whomever: it compiles what has changed since.
seed() {
	local newest
	[[ -d $RINGBAR_CACHE && ! -d $output/incremental ]] || return 0
	newest=$(find "$RINGBAR_CACHE" -mindepth 2 -maxdepth 2 -path "*/module-$KERNEL-*/incremental" -printf '%T@ %p\0' |
		sort -z -r -n | head -z -n 1 | cut -z -d ' ' -f 2- | tr '\0' '\n')
	if [[ -n $newest ]]; then
		mkdir -p "$output"
		copy_tree "$newest" "$output/incremental"
	fi
}

# made_from KERNEL: all that decides what comes out.
made_from() {
	printf '%s\n' "${1##*/}"
	contents "${sources[@]}" ci/module.sh ci/in-sysroot.sh
}

build() {
	local kernel from note=$output/ringbar.ko.from
	kernel=$("$ci_dir/kernel.sh")
	from=$(made_from "$kernel")
	if [[ -f $note && -f $output/ringbar.ko && ! $output/ringbar.ko -nt $note && $(<"$note") == "$from" ]]; then return; fi
	rm -f -- "$note"
	provide "$kernel"
	printf '%s\n' "$from" >"$note"
}

# provide KERNEL: puts the module that belongs to `from` in its place.
provide() {
	local before entry key tries=0
	# shellcheck disable=SC2119 # no files, only what comes from stdin
	key=$KERNEL-$(cache_key <<<"$from")
	if [[ ! -d $RINGBAR_CACHE/module-$key ]]; then
		seed
		# What changes while it is compiled is in the module or not; then it is compiled once more.
		mkdir -p "$output"
		# Before the times are looked at: it may set some.
		contents "${sources[@]}" | notice_changes "$output/contents"
		while :; do
			before=$(cd "$checkout" && files_of "${sources[@]}")
			from=$(made_from "$1")
			say "compiling the module for the $KERNEL kernel (usually takes 4 to 15 s)"
			# It may come from the cache, and be younger than the parts that lie beside it.
			rm -f -- "$output/ringbar.ko"
			kbuild module ''
			if [[ $before == "$(cd "$checkout" && files_of "${sources[@]}")" ]]; then break; fi
			((++tries < 5)) || die "sources were changed each time while they were compiled: leave them alone for a while"
			say "sources were changed while they were compiled: once more"
		done
		check_sources
		# shellcheck disable=SC2119
		key=$KERNEL-$(cache_key <<<"$from")
	fi
	entry=$(cache_entry module "$key" 1 fill)
	mkdir -p "$output"
	if ! cmp -s "$entry/ringbar.ko" "$output/ringbar.ko"; then cp -- "$entry/ringbar.ko" "$output/"; fi
}

case ${1:-build} in
build) build ;;
lint)
	"$ci_dir/in-sysroot.sh" bash -c 'rustfmt --check --edition 2021 --config-path /ringbar /ringbar/guest-driver/ringbar_main.rs'
	kbuild module-clippy '' CLIPPY=1 KRUSTFLAGS=-Dwarnings
	;;
sabotage) kbuild "sabotage/$2" "$2" ;;
*) die "usage: $0 [build|lint|sabotage WHAT]" ;;
esac
