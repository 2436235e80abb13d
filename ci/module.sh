#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Builds the kernel module into build/module (build/module-debug for KERNEL=debug), or takes it from
# the cache. `lint` checks its formatting and lints it. `sabotage WHAT` builds a deliberately broken
# module into a folder of its own.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"

# Inputs of the module: its own files, and those that `interface.rs` names.
sources=(guest-driver/uapi/src qemu-device/spec/src)
mapfile -t -O "${#sources[@]}" sources < <(cd "$checkout" && find guest-driver -path guest-driver/uapi -prune -o -type f ! -name '*.md' -print)

# kbuild OUTPUT SABOTAGE ARGS...: runs Kbuild. The linter has an output folder of its own: otherwise
# it and the build would undo each other's work.
kbuild() {
	local output=$checkout/build/$1$kernel_suffix folder=$1$kernel_suffix sabotage=$2 toolchain=()
	shift 2
	if [[ $KERNEL == debug ]]; then toolchain=(LLVM=1); fi
	mkdir -p "$output"
	contents "${sources[@]}" | notice_changes "$output/contents"
	# Kbuild sees the checkout as /ringbar. It refuses some characters in paths, and the module's debug
	# information must not depend on the checkout's path.
	"$ci_dir/in-sysroot.sh" --kernel "$("$ci_dir/kernel.sh")" \
		make -s -C /kernel/build "${toolchain[@]}" M=/ringbar/guest-driver MO="/ringbar/build/$folder" RINGBAR_SABOTAGE="$sabotage" "$@" modules
}

output=$checkout/build/module$kernel_suffix

# check_sources: fails if the compilers report an input of the module that its key lacks.
check_sources() {
	local path
	local -A known=()
	while IFS= read -r path; do known[/ringbar/${path:66}]=1; done < <(contents "${sources[@]}")
	while IFS= read -r path; do
		[[ -n ${known[$path]:-} ]] || die "$path is compiled into the module, but ci/module.sh does not list it under sources"
	done < <(grep -ohE '/ringbar/[^ ]+\.(rs|c|h)\b' "$output"/.{ringbar_main,shim}.o.cmd | sort -u | xargs realpath -sm -- | sort -u)
}

# fill FOLDER: copies the module, and rustc's incremental results for the next build. rustc never
# overwrites those files.
fill() {
	cp -- "$output/ringbar.ko" "$1/"
	if [[ -d $output/incremental ]]; then copy_tree "$output/incremental" "$1/incremental"; fi
}

# copy_tree FROM TO: copies by hard links if possible.
copy_tree() { cp -al -- "$1" "$2" 2>/dev/null || { rm -rf -- "$2" && cp -a -- "$1" "$2"; }; }

# seed: takes rustc's results of the last build of this module in any checkout, so that rustc
# compiles only changes.
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

# made_from KERNEL: prints all that determines the module.
made_from() {
	printf '%s\n' "${1##*/}"
	contents "${sources[@]}" ci/module.sh ci/in-sysroot.sh
}

# build: makes the module, unless it is already there.
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
		# A change during the compilation may or may not be in the module. So the module is compiled again
		# until no source changed meanwhile.
		mkdir -p "$output"
		# Before the times are compared: this may set some.
		contents "${sources[@]}" | notice_changes "$output/contents"
		while :; do
			before=$(cd "$checkout" && files_of "${sources[@]}")
			from=$(made_from "$1")
			say "compiling the module for the $KERNEL kernel (usually takes 4 to 15 s)"
			# The old module may come from the cache, and be younger than its parts here. Kbuild would then
			# keep it.
			rm -f -- "$output/ringbar.ko"
			kbuild module ''
			if [[ $before == "$(cd "$checkout" && files_of "${sources[@]}")" ]]; then break; fi
			((++tries < 5)) || die "the sources changed during each compilation: do not edit them until the build has ended"
			say "the sources changed during the compilation: compiling again"
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
