#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Builds Rust programs into build/programs, or takes them from the cache: programs.sh GROUP...
#
# `boot`: programs that a run needs before the guest boots: server, runner, packer, and the guest's
# programs, as built in guest/ and without line tables in packed/. `report`, `verdict`, `bench`, `mutants`,
# `liar`, `broker`, `shell`, `plugin`: programs for later or for some runs only. `hangs`: the guest's programs
# that hang, for ci/sabotage.sh. `server`: the server alone, for `make swap`. `wrong-server FEATURE`, alone: the server with a fault for
# ci/sabotage.sh, as build/programs/ringbar-server-FEATURE. `example NAMES`, alone: all programs that
# a run of these examples needs; those of the guest are below build/programs/example. With AT, these
# are the programs of that project alone, and `base` has the others. `apart PROGRAMS`, alone, builds
# programs of the guest for ci/mutants, whatever they are made of.
#
# With ARCH=arm64 or arm64-16k, the guest's programs are made for that architecture, with the compiler of
# ci/arm64.sh, and are below build/programs/arm64. Both page sizes have the same.
#
# The cache identifies programs by the contents of all their inputs. So a new checkout with known
# sources gets its programs at once, and cargo builds only what is new.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
# shellcheck source=ci/example.sh
source "$ci_dir/example.sh"

usage="usage: $0 boot|base|report|verdict|bench|mutants|liar|broker|server|shell|plugin|hangs..., wrong-server FEATURE, example NAMES, or apart PROGRAMS"
flags=-Ctarget-feature=+crt-static
# Version of rustc, and cargo's folders of results: for this host, and for the guest.
version='' made='' made_guest=''
# Target of the guest's programs on another architecture, and a flag for its compiler, which would else repeat
# the linker's remarks on what the standard library could do with shared objects.
target=aarch64-unknown-linux-gnu quiet=-Alinker-messages
# choose GROUP [FEATURE|NAMES]: sets the programs to build, their kind of entry in the cache, what
# their names end with, and the folder of the guest's programs.
choose() {
	host=() guest=() library='' features=() kind=programs suffix='' into=''
	case $1 in
	boot)
		host=(ringbar-server ringbar-vm-runner ringbar-initramfs)
		guest=(ringbar-init ringbarctl)
		mapfile -t -O 2 guest < <(find "$checkout/guest-rootfs/tests/src/bin" -mindepth 1 -maxdepth 1 -printf '%f\n' | sed 's/\.rs$//' | sort)
		;;
	report) host=(ringbar-report) ;;
	liar) host=(ringbar-liar) ;;
	broker) host=(ringbar-broker) ;;
	server) host=(ringbar-server) ;;
	verdict) host=(ringbar-verdict) ;;
	bench) host=(ringbar-bench-host ringbar-bench-floor) ;;
	mutants) host=(ringbar-mutants) ;;
	shell) host=(ringbar-shell-check) ;;
	hangs) host=(leaves sleeps slow spins stuck) ;;
	plugin) library=libringbar_plugin.so ;;
	wrong-server) host=(ringbar-server) features=(--features "ringbar-server/$2") suffix=-$2 ;;
	base)
		host=(ringbar-vm-runner ringbar-initramfs)
		guest=(ringbar-init)
		kind=example-programs into=base/
		;;
	example)
		read_examples "$2"
		host=("${example_servers[@]}") guest=("${example_programs[@]}")
		kind=example-programs into=example/
		if [[ -n $project ]]; then
			work_on_project
		else
			host=(ringbar-vm-runner ringbar-initramfs "${host[@]}") guest=(ringbar-init "${guest[@]}")
		fi
		;;
	*) die "$usage" ;;
	esac
	if ((${#guest[@]})); then into=${guest_suffix:+${guest_suffix#-}/}$into; fi
}

# made_from GROUP: prints all that determines the group's programs. Static ones contain the C
# library.
made_from() {
	local libc
	libc=$(gcc -print-file-name=libc.a)
	printf '%s\n' "$1" "$flags" "${features[@]}" "${host[@]}" "$version" "${RINGBAR_RUSTC_WRAPPER:-}"
	gcc -dumpfullversion
	stat -L -c '%n %s %Y' "$libc"
	printf '%s\n' "${guest[@]}"
	if [[ -n $guest_suffix ]] && ((${#guest[@]})); then printf '%s\n' "$target" "$quiet" "$("$ci_dir/arm64.sh")"; fi
	contents "${rust_sources[@]}" "$in_tree"ci/{cargo,programs}.sh
}

# compile: builds the chosen programs. All are linked statically: the guest has no libraries, and
# for the host this compiles dependencies once for both. Each build sees the same packages.
# Otherwise cargo would choose other features, and compile the dependencies again.
compile() {
	local at='' which=(--workspace --exclude ringbar-fuzz) locked here=("${guest[@]}")
	# The group `base` of a project is of this checkout.
	if [[ $tree != "$checkout" ]]; then at=$project which=(--workspace); fi
	set_locked "$at"
	if [[ -n $guest_suffix ]]; then here=(); fi
	if [[ -n $library ]]; then
		# A plugin is a shared object, so it cannot be static.
		AT=$at "$ci_dir/cargo.sh" build "${locked[@]}" --release -p ringbar-plugin --lib 9>&-
	elif ((${#host[@]} + ${#here[@]})); then
		AT=$at "$ci_dir/cargo.sh" --rustflags "$flags" build --release "${locked[@]}" "${which[@]}" "${features[@]}" \
			"${host[@]/#/--bin=}" "${here[@]/#/--bin=}" 9>&-
	fi
	if [[ -n $guest_suffix ]] && ((${#guest[@]})); then compile_guest; fi
}

# compile_guest: builds the guest's programs for another architecture, in the sysroot. Cargo's packages are
# fetched before: there is no network there.
compile_guest() {
	local name settings=() shown=()
	AT=$at "$ci_dir/cargo.sh" fetch "${locked[@]}" --target "$(basename "${made%/release}")" --target "$target" 9>&-
	for name in $(compgen -e); do
		case $name in
		CARGO_REGISTR* | CARGO_SOURCE_* | CARGO_TERM_* | CARGO_BUILD_JOBS) settings+=("$name=${!name}") ;;
		esac
	done
	if [[ -n $at ]]; then shown=(--show "$at" "$at"); fi
	"$ci_dir/arm64.sh" run "${shown[@]}" --show "${CARGO_HOME:-$HOME/.cargo}" /cargo \
		env "${settings[@]}" CARGO_HOME=/cargo CARGO_TARGET_DIR="${made_guest%/*/release}" RUSTC=/arm64/usr/bin/rustc \
		CARGO_ENCODED_RUSTFLAGS="$flags"$'\x1f'"$quiet" CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=/arm64/usr/bin/aarch64-linux-gnu-gcc-14 \
		/arm64/usr/bin/cargo build --manifest-path "$tree/Cargo.toml" --release "${locked[@]}" --offline --target "$target" \
		"${which[@]}" "${guest[@]/#/--bin=}" 9>&-
	rm -rf -- "$made_guest/packed"
	mkdir "$made_guest/packed"
	# shellcheck disable=SC2016 # that shell expands it
	"$ci_dir/arm64.sh" run sh -c 'for name; do /arm64/usr/bin/aarch64-linux-gnu-strip --strip-debug -o "$0/packed/$name" -- "$0/$name" || exit; done' \
		"$made_guest" "${guest[@]}"
}

# check_sources: fails if cargo reports an input of a program that the key lacks.
check_sources() {
	local file name path
	local -A known=()
	while IFS= read -r path; do known[${path:66}]=1; done < <(contents "${rust_sources[@]}")
	for file in "${host[@]/#/$made/}" "${guest[@]/#/$made_guest/}" ${library:+"$made/${library%.so}"}; do
		name=${file##*/}
		[[ -s $file.d ]] || die "cargo lists no sources of $name: there is no $file.d"
		while IFS= read -r path; do
			path=$(realpath -sm -- "$path")
			[[ -n ${known[${path#"$tree/"}]:-} ]] || unlisted "$path" "$name"
		done < <(dependencies "$file.d")
	done
}

# unlisted PATH NAME: fails, as that input of a program is not among `rust_sources`.
unlisted() {
	local why='is in no folder of the project'
	[[ $tree != "$checkout" && $1 != "$tree"/ringbar/* ]] || die "$1 is compiled into $2, but ci/lib.sh does not list it under rust_sources"
	if [[ $1 == "$tree"/* ]]; then why='has a place or a name there that is not for crates (target, build, .*, Kbuild, *_main.rs)'; fi
	die "$1 is compiled into $2, but $why: a change of it would not be noticed: move it to a folder of $project, and correct the path that names it (path = in a Cargo.toml, or in an attribute)"
}

# dependencies FILE: prints the paths in it, except that of the program. A blank within a path has a
# backslash.
dependencies() { sed 's|^.*/release/[^:]*: ||; s|\\ |\x01|g; s| |\n|g; s|\x01| |g' "$1" | sed '/^$/d' | sort -u; }

# link FROM TO: links if possible, otherwise copies. The linker replaces a file and never writes
# into it.
link() { ln -f -- "$1" "$2" 2>/dev/null || cp -p -- "$1" "$2"; }

# state FOLDER: prints the state of its files, which shows a change by another program.
state() { (cd "$1" && find . -type f ! -name .state -printf '%p %s %T@\n' | sort); }

# pack_into FOLDER: puts the guest's programs there, without line tables, which would be the largest part.
# Symbols stay for backtraces.
pack_into() {
	if [[ -n $guest_suffix ]]; then
		cp -t "$1" -- "${guest[@]/#/$made_guest/packed/}"
		return
	fi
	cp -t "$1" -- "${guest[@]/#/$made_guest/}"
	strip --strip-debug -- "${guest[@]/#/$1/}"
}

# fill FOLDER: copies the built programs.
fill() {
	local name
	for name in "${host[@]}" $library; do link "$made/$name" "$1/$name$suffix"; done
	if ((${#guest[@]} > 0)); then
		mkdir -p "$1/${into}guest" "$1/${into}packed"
		for name in "${guest[@]}"; do link "$made_guest/$name" "$1/${into}guest/$name"; done
		pack_into "$1/${into}packed"
	fi
	state "$1" >"$1/.state"
}

# place ENTRY: copies the programs of an entry into build/programs, each as a whole, except those
# that are there. They are copies: with links, a change to a program would reach the cache and
# cargo's folder.
place() {
	local path gone
	while IFS= read -r path; do
		path=${path% * *}
		mkdir -p "$programs/$(dirname "$path")"
		cp -p --reflink=auto -T -- "$1/$path" "$programs/.new"
		mv -T -- "$programs/.new" "$programs/$path"
	done < <(comm -23 <(state "$1") <(state "$programs"))
	((${#guest[@]} == 0)) || while IFS= read -r gone; do
		rm -f -- "$programs/$into$gone"
	done < <(comm -13 <(cd "$1/$into" && find guest packed -type f | sort) <(cd "$programs/$into" && find guest packed -type f | sort))
}

# there: prints size and time of each program of the group in build/programs, or nothing if one is
# missing.
there() {
	local paths=("${host[@]/#/$programs/}" "${guest[@]/#/$programs/${into}guest/}" "${guest[@]/#/$programs/${into}packed/}")
	if [[ -n $library ]]; then paths=("$programs/$library"); fi
	stat -c '%n %s %.9Y' -- "${paths[@]/%/$suffix}" 2>/dev/null || true
}

# provide GROUP [FEATURE|NAMES]: puts the programs of a group in their place.
provide() {
	local from key entry before note tries=0
	choose "$@"
	note=$programs/.$1${2:+-$2}$guest_suffix.from
	from=$(made_from "$1")
	# shellcheck disable=SC2119 # no files, only what comes from stdin
	key=$1-$(cache_key <<<"$from")
	if [[ -f $note && $(<"$note") == "$key"$'\n'$(there) ]]; then return; fi
	# Held to the end. A group that is already there did not come this far, so it never waits.
	if ! flock -n 9; then
		say "waiting until the programs of \`$(cat "$programs/.compiles" 2>/dev/null)\` are compiled, which this run or another one has begun"
		flock 9
	fi
	printf '%s\n' "$*" >"$programs/.compiles"
	entry=$RINGBAR_CACHE/$kind-$key
	if [[ -d $entry && $(state "$entry") != "$(cat "$entry/.state")" ]]; then
		warn "programs in $entry were changed by hand: building them again"
		rm -rf -- "$entry"
	fi
	if [[ ! -d $entry ]]; then
		# A change during the compilation may or may not be in the programs. So they are compiled again
		# until no source changed meanwhile.
		while :; do
			before=$(cd "$tree" && files_of "${rust_sources[@]}")
			from=$(made_from "$1")
			compile
			if [[ $before == "$(cd "$tree" && files_of "${rust_sources[@]}")" ]]; then break; fi
			((++tries < 5)) || die "the sources changed during each compilation: do not edit them until the build has ended"
			say "the sources changed during the compilation: compiling again"
		done
		check_sources
		# shellcheck disable=SC2119
		key=$1-$(cache_key <<<"$from")
	fi
	entry=$(cache_entry "$kind" "$key" 1 fill)
	place "$entry"
	printf '%s\n%s\n' "$key" "$(there)" >"$note"
}

# apart NAMES...: builds these programs of the guest, and puts them among those to pack, past the cache.
apart() {
	host=() guest=("$@") library='' features=()
	compile
	pack_into "$guest_programs/packed"
}

(($# > 0)) || die "$usage"
"$ci_dir/setup.sh" cargo
version=$(cd "$checkout" && rustc -vV)
made=$checkout/build/cargo/$(sed -n 's/^host: //p' <<<"$version")/release
made_guest=$made
if [[ -n $guest_suffix ]]; then made_guest=$checkout/build/cargo$guest_suffix/$target/release; fi
mkdir -p "$programs"
# One build at a time per checkout.
exec 9>"$programs/.lock"
if [[ $1 == apart ]]; then
	apart "${@:2}"
elif [[ $1 == wrong-server || $1 == example ]]; then
	(($# == 2)) || die "$usage"
	if [[ $1 == example && -n $project ]]; then provide base; fi
	provide "$@"
else
	for group in "$@"; do provide "$group"; done
fi
