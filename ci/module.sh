#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Builds kernel modules, or takes them from the cache: module.sh [build] [NAME...]. NAME is
# `ringbar`, the default, or a folder of guest-driver with a Kbuild of its own. The modules are in
# build/module and build/module-NAME (build/module-debug and build/module-NAME-debug for
# KERNEL=debug, with the name of ARCH for another architecture).
#
# `apart FOLDER` builds ringbar's module into build/FOLDER, whatever it is made of: for ci/mutants, whose modules no
# cache is to keep.
#
# `lint [NAME...]` checks formatting and lints, by default of the modules of EXAMPLE, or else of all. `sabotage WHAT [NAME]`
# builds a deliberately broken module into a folder of its own. `path NAME` prints the path of a
# module that `build` makes.
#
# With AT, the modules are those of EXAMPLE in that project: NAME is a folder of the project. Kbuild
# sees the folder and the checkout at places that relate to each other as they do in the project.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/example.sh
source "$ci_dir/example.sh"

# own_folders: prints the folders of drivers that have a Kbuild of their own.
own_folders() { (cd "$checkout" && find guest-driver -mindepth 2 -maxdepth 2 -name Kbuild -printf '%h\n' | sort); }

if [[ -n $project ]]; then
	work_on_project
	inside=/project
else
	inside=/ringbar
fi

# add_layer: adds the files of the mapping layer to `sources`. Tests have checkouts without it.
add_layer() {
	local layer=${in_tree}guest-driver/mapping
	[[ -d $tree/$layer ]] || return 0
	mapfile -t -O "${#sources[@]}" sources < <(cd "$tree" && find "$layer" -type f ! -name '*.md' -print)
}

# choose NAME: sets the module to work on: its folder and file, where its results are, its kind of
# entry in the cache, and its inputs.
choose() {
	name=$1 folder=guest-driver shown=()
	local prune=()
	case ${project:+project:}$name in
	project:*)
		folder=$name results=module-${name//\//-}
		kind=example-$results
		shown=(--show "$project/$folder" "$inside/$folder" --show "$checkout" "$inside/ringbar")
		sources=()
		add_layer
		;;
	ringbar)
		results=module kind=module
		# Its own files, and those that `interface.rs` names. Other drivers are no part of it.
		sources=(guest-driver/uapi/src qemu-device/spec/src)
		while IFS= read -r; do prune+=(-path "$REPLY" -prune -o); done < <(own_folders)
		;;
	*)
		folder=guest-driver/$name
		# The other two are what folders of results end with.
		[[ $name =~ ^[a-z][a-z0-9_]*$ && $name != @(clippy|debug|arm64) && -f $checkout/$folder/Kbuild ]] ||
			die "there is no module $name: $folder has no Kbuild; the modules are: ringbar $(own_folders | sed 's|.*/||' | paste -sd ' ')"
		results=module-$name kind=example-module-$name
		sources=()
		add_layer
		;;
	esac
	mapfile -t -O "${#sources[@]}" sources < <(cd "$tree" && find "$folder" \( -path guest-driver/uapi -o -path guest-driver/selftests \) -prune -o "${prune[@]}" -type f ! -name '*.md' -print)
	output=$checkout/build/$results$kernel_suffix
	object=$(sed -n 's/^obj-m := *\([a-z0-9_]*\)\.o$/\1/p' "$tree/$folder/Kbuild")
	[[ -n $object ]] || die "$folder/Kbuild has no line \`obj-m := NAME.o\`, which names the module"
	# What a person calls it.
	if [[ $name == ringbar ]]; then title='the module'; else title="the module of $name"; fi
}

# kbuild OUTPUT SABOTAGE ARGS...: runs Kbuild. The linter has an output folder of its own: otherwise
# it and the build would undo each other's work.
kbuild() {
	local output=$checkout/build/$1$kernel_suffix into=$1$kernel_suffix sabotage=$2 toolchain=() around=()
	shift 2
	# The debug kernel has no debug information, but `make coverage` and gdb need that of the module.
	case $kernel_name in
	debug) toolchain=(LLVM=1 KRUSTFLAGS=-Cdebuginfo=2 KCFLAGS=-g) ;;
	arm64*)
		show_arm64 "$("$ci_dir/arm64.sh")"
		# As when the kernel was prepared (ci/kernel-build-arm64.sh).
		toolchain=(ARCH=arm64 CROSS_COMPILE=/arm64/usr/bin/aarch64-linux-gnu- CC=/arm64/usr/bin/aarch64-linux-gnu-gcc-14)
		around=(env LD_LIBRARY_PATH=/arm64/usr/lib/x86_64-linux-gnu)
		;;
	esac
	mkdir -p "$output"
	contents "${sources[@]}" | notice_changes "$output/contents"
	# Kbuild sees the checkout as /ringbar. It refuses some characters in paths, and the module's debug
	# information must not depend on the checkout's path.
	"$ci_dir/in-sysroot.sh" --kernel "$("$ci_dir/kernel.sh")" "${shown[@]}" \
		"${around[@]}" make -s -C /kernel/build "${toolchain[@]}" "M=$inside/$folder" MO="/ringbar/build/$into" RINGBAR_ROOT="$inside" RINGBAR_SABOTAGE="$sabotage" "$@" modules ||
		die "$title does not compile for the $kernel_name kernel: the first message above has the reason; correct $folder and run again"
}

# check_sources: fails if the compilers report an input of the module that its key lacks.
check_sources() {
	local path commands=()
	local -A known=()
	while IFS= read -r path; do known[$inside/${path:66}]=1; done < <(contents "${sources[@]}")
	# The file names the objects that the module is made of: ./shim.o. Those of older builds stay beside
	# them.
	while IFS= read -r path; do commands+=("$output/.${path#./}.cmd"); done <"$output/$object.mod"
	while IFS= read -r path; do
		[[ -n ${known[$path]:-} ]] || unlisted "$path"
	done < <(grep -ohE "$inside"'/[^ ]+\.(rs|c|h)\b' "${commands[@]}" | sort -u | xargs realpath -sm -- | sort -u)
}

# unlisted PATH: fails, as that input of the module is not among `sources`.
unlisted() {
	[[ -n $project ]] || die "$1 is compiled into $title, but ci/module.sh does not list it under sources"
	die "${1/#\/project\//"$project/"} is compiled into $title, but is neither in $project/$folder nor in the mapping layer: a change of it would not be noticed: move it to $folder"
}

# fill FOLDER: copies the module, and rustc's incremental results for the next build. rustc never
# overwrites those files.
fill() {
	cp -- "$output/$object.ko" "$1/"
	if [[ -d $output/incremental ]]; then copy_tree "$output/incremental" "$1/incremental"; fi
}

# copy_tree FROM TO: copies by hard links if possible.
copy_tree() { cp -al -- "$1" "$2" 2>/dev/null || { rm -rf -- "$2" && cp -a -- "$1" "$2"; }; }

# seed: takes rustc's results of the last build of this module in any checkout, so that rustc
# compiles only changes.
seed() {
	local newest
	[[ -d $RINGBAR_CACHE && ! -d $output/incremental ]] || return 0
	newest=$(find "$RINGBAR_CACHE" -mindepth 2 -maxdepth 2 -path "*/$kind-$kernel_name-*/incremental" -printf '%T@ %p\0' |
		sort -z -r -n | head -z -n 1 | cut -z -d ' ' -f 2- | tr '\0' '\n')
	if [[ -n $newest ]]; then
		mkdir -p "$output"
		copy_tree "$newest" "$output/incremental"
	fi
}

# made_from KERNEL: prints all that determines the module.
made_from() {
	printf '%s\n' "${1##*/}"
	contents "${sources[@]}" "$in_tree"ci/{module,in-sysroot}.sh
}

# build: makes the module, unless it is already there.
build() {
	local kernel from note=$output/$object.ko.from
	kernel=$("$ci_dir/kernel.sh")
	from=$(made_from "$kernel")
	if [[ -f $note && -f $output/$object.ko && ! $output/$object.ko -nt $note && $(<"$note") == "$from" ]]; then return; fi
	rm -f -- "$note"
	provide "$kernel"
	printf '%s\n' "$from" >"$note"
}

# provide KERNEL: puts the module that belongs to `from` in its place.
provide() {
	local before entry key tries=0
	# shellcheck disable=SC2119 # no files, only what comes from stdin
	key=$kernel_name-$(cache_key <<<"$from")
	if [[ ! -d $RINGBAR_CACHE/$kind-$key ]]; then
		seed
		# A change during the compilation may or may not be in the module. So the module is compiled again
		# until no source changed meanwhile.
		mkdir -p "$output"
		# Before the times are compared: this may set some.
		contents "${sources[@]}" | notice_changes "$output/contents"
		while :; do
			before=$(cd "$tree" && files_of "${sources[@]}")
			from=$(made_from "$1")
			say "compiling $title for the $kernel_name kernel (usually takes 4 to 15 s)"
			# The old module may come from the cache, and be younger than its parts here. Kbuild would then
			# keep it.
			rm -f -- "$output/$object.ko"
			kbuild "$results" ''
			if [[ $before == "$(cd "$tree" && files_of "${sources[@]}")" ]]; then break; fi
			((++tries < 5)) || die "the sources changed during each compilation: do not edit them until the build has ended"
			say "the sources changed during the compilation: compiling again"
		done
		check_sources
		# shellcheck disable=SC2119
		key=$kernel_name-$(cache_key <<<"$from")
	fi
	entry=$(cache_entry "$kind" "$key" 1 fill)
	mkdir -p "$output"
	if ! cmp -s "$entry/$object.ko" "$output/$object.ko"; then cp -- "$entry/$object.ko" "$output/"; fi
}

# lint: checks the module's formatting, and lints it.
lint() {
	local roots
	mapfile -t roots < <(cd "$tree" && find "$folder" -maxdepth 1 -name '*_main.rs' -printf "$inside/%p\\n")
	((${#roots[@]} == 1)) || die "$folder has ${#roots[@]} files *_main.rs: it needs one, the crate root"
	"$ci_dir/in-sysroot.sh" "${shown[@]}" rustfmt --check --edition 2021 --config-path /ringbar "${roots[@]}" ||
		die "the format of $title differs from rustfmt's (see above): to correct it run rustfmt --edition 2021 $(printf '%q' "${project:+$project/}${roots[0]#"$inside/"}")"
	kbuild "${results/module/module-clippy}" '' CLIPPY=1 KRUSTFLAGS=-Dwarnings
}

case ${1:-build} in
lint)
	shift
	names=("$@")
	if (($# == 0)) && [[ -n ${EXAMPLE:-} ]]; then
		read_examples "$EXAMPLE"
		names=("${example_drivers[@]}")
	elif (($# == 0)); then
		mapfile -t names < <(echo ringbar && own_folders | sed 's|.*/||')
	fi
	for name in "${names[@]}"; do
		choose "$name"
		lint
	done
	;;
sabotage)
	choose "${3:-ringbar}"
	kbuild "sabotage/$2" "$2"
	;;
apart)
	choose ringbar
	output=$checkout/build/$2$kernel_suffix
	seed
	kbuild "$2" ''
	;;
path)
	choose "$2"
	printf '%s\n' "$output/$object.ko"
	;;
*)
	if [[ ${1:-} == build ]]; then shift; fi
	names=("${@:-ringbar}")
	if (($# == 0)) && [[ -n $project ]]; then
		read_examples "$EXAMPLE"
		names=("${example_drivers[@]}")
	fi
	for name in "${names[@]}"; do
		choose "$name"
		build
	done
	;;
esac
