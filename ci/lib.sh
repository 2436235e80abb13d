# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
# Functions for the scripts beside it: messages, long steps with progress, the cache. Sourced, never
# run.
#
# Only results go to stdout. Text for people goes to stderr.

# The tools print numbers with a point and lists in one order, whatever the host's language is.
export LC_ALL=C.UTF-8
# CDPATH makes `cd` print its target, or enter another folder. The other variables change the
# behaviour of tools.
unset CDPATH TAR_OPTIONS XZ_DEFAULTS XZ_OPT POSIXLY_CORRECT

# Otherwise a failing command inside `$(...)` would not end the script.
shopt -s inherit_errexit

ci_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck disable=SC2034 # for the scripts that source this file
checkout=$(dirname "$ci_dir")
# An empty XDG variable counts as unset, by its specification.
: "${RINGBAR_CACHE:=${XDG_CACHE_HOME:-${HOME:?is not set: set RINGBAR_CACHE to a folder for the cache}/.cache}/ringbar}"
if [[ $RINGBAR_CACHE != /* ]]; then RINGBAR_CACHE=$PWD/$RINGBAR_CACHE; fi
export RINGBAR_CACHE
# Entries of the cache are named `<kind>-<key>`. `make distclean` removes these kinds only.
cache_kinds=(sysroot kernel arm64 extra semver mutants python selftests cargo module programs example-module example-programs)
# Kinds with a new entry per change, and how many of their entries stay.
numerous_kinds=(module programs example-module example-programs)
numerous=10
# Folder of the programs that ci/programs.sh builds.
# shellcheck disable=SC2034 # for the scripts that source this file
programs=$checkout/build/programs

say() { printf 'ringbar: %s\n' "$*" >&2; }
warn() { printf 'ringbar: warning: %s\n' "$*" >&2; }
die() {
	printf 'ringbar: error: %s\n' "$*" >&2
	exit 1
}

# check_path NAME PATH CHARACTER...: fails if PATH contains one of the characters.
check_path() {
	local name=$1 path=$2 character
	shift 2
	for character in "$@"; do
		[[ $path != *"$character"* ]] || die "$name is $path: cargo cannot work there because of the character ${character@Q}: move or rename it"
	done
}
check_path "this checkout" "$checkout" ':' $'\\' $'\n'
check_path "RINGBAR_CACHE" "$RINGBAR_CACHE" ':' '{' '}' $'\\' $'\n'
# A project of the user's own, outside of this checkout: its folder, or nothing. ci/project.sh makes one.
project=
if [[ -n ${AT:-} ]]; then
	project=$(realpath -m -- "$AT")
	check_path "the project of AT" "$project" ':' $'\\' $'\n'
	# Other scripts run in other folders.
	export AT=$project EXAMPLE=${EXAMPLE:-all}
fi
if [[ -n ${TMPDIR:-} && ! (-d $TMPDIR && -w $TMPDIR) ]]; then die "TMPDIR=$TMPDIR is not a folder that you can write to: set it to one"; fi

# Architecture of the guest and its kernel, the kernel's name in the cache and in messages, the suffix of
# files made for it, and that of the guest's programs.
: "${ARCH:=x86-64}" "${KERNEL:=stock}" "${LINUX:=7.3}"
export ARCH KERNEL LINUX
# shellcheck disable=SC2034 # for the scripts that source this file
case $ARCH,$KERNEL in
x86-64,stock) kernel_name=stock kernel_suffix= guest_suffix= ;;
x86-64,debug) kernel_name=debug kernel_suffix=-debug guest_suffix= ;;
arm64*,debug) die "KERNEL=debug: there is a debug kernel for x86-64 only: leave it or ARCH=$ARCH out" ;;
arm64,stock | arm64-16k,stock) kernel_name=${ARCH/-/_} kernel_suffix=-$ARCH guest_suffix=-arm64 ;;
*,stock | *,debug) die "ARCH=$ARCH: set it to x86-64, arm64 or arm64-16k" ;;
*) die "KERNEL=$KERNEL: set it to stock or debug" ;;
esac
# shellcheck disable=SC2034 # for the scripts that source this file
case $LINUX,$kernel_name in
7.3,*) ;;
7.2,stock) kernel_name=linux-7.2 kernel_suffix=-7.2 ;;
7.2,*) die "LINUX=7.2: there is a stock kernel for x86-64 only: leave it, KERNEL=$KERNEL or ARCH=$ARCH out" ;;
*) die "LINUX=$LINUX: set it to 7.3 or 7.2" ;;
esac

# Folder of the guest's programs in `programs`.
# shellcheck disable=SC2034 # for the scripts that source this file
guest_programs=$programs${guest_suffix/-//}

# Variables of make that change a run of tests.
# shellcheck disable=SC2034 # for the scripts that source this file
run_variables=(EXAMPLE ARCH KERNEL LINUX KERNEL_ARGS ACCEL INTERRUPTS HOTPLUG IOMMU COHERENT MEMORY MEMORY_SIZE KEXEC IMAGE DEVICES LIES BROKER WATCH TRACE TESTS ARGS TIMEOUT CYCLES FULL SEED SERVER_ARGS QEMU_ARGS FILES GDB)

# set_locked AT: sets `locked`: the words with which cargo refuses to change Cargo.lock. Without AT it is
# that of this checkout. That of the project AT may be older than the checkout that it uses, so there are
# none.
# shellcheck disable=SC2034 # for the scripts that source this file
set_locked() { if [[ -n $1 ]]; then locked=(); else locked=(--locked); fi; }

# check_project: fails if the folder of AT is no project of this checkout.
check_project() {
	[[ -d $project ]] || die "AT=$AT: there is no such folder: make new NAME=frob AT=$(printf %q "$AT") makes a project there"
	[[ -e $project/ringbar ]] || die "AT=$AT: there is no ringbar in it, a link to a checkout or a submodule: for this one run ln -sfn $(printf '%q %q' "$checkout" "$project/ringbar")"
	[[ $project/ringbar -ef $checkout ]] || die "AT=$AT: its ringbar is $(realpath -- "$project/ringbar"), this one is $checkout: run make in the project"
}

# closest WORD: prints the word on stdin that differs from WORD in the fewest letters, if it is
# similar at all.
closest() {
	awk -v word="$1" '
		function least(a, b, c) { if (b < a) a = b; return c < a ? c : a }
		function changes(a, b,    i, j, row, before, diagonal) {
			for (j = 0; j <= length(b); j++) row[j] = j
			for (i = 1; i <= length(a); i++) {
				diagonal = row[0]
				row[0] = i
				for (j = 1; j <= length(b); j++) {
					before = row[j]
					row[j] = least(row[j] + 1, row[j - 1] + 1, diagonal + (substr(a, i, 1) != substr(b, j, 1)))
					diagonal = before
				}
			}
			return row[length(b)]
		}
		{ n = changes(word, $0); if (NR == 1 || n < fewest) { fewest = n; best = $0 } }
		# Up to half of the letters may differ. Otherwise it is an unrelated word.
		END { if (NR && fewest * 2 <= length(word)) print best }'
}

# maybe WORD WORD...: prints a question in parentheses, if one of the other words is similar to the
# first.
maybe() {
	local best
	best=$(printf '%s\n' "${@:2}" | closest "$1")
	if [[ -n $best ]]; then printf ' (did you mean %s?)' "$best"; fi
}

# without_example WHAT: fails if EXAMPLE is set. WHAT would run nothing of an example, and pass.
without_example() {
	[[ -z ${EXAMPLE:-} ]] || die "EXAMPLE=$EXAMPLE: $1 is for ringbar alone: leave EXAMPLE out, or run make test EXAMPLE=$EXAMPLE"
}

# show_arm64 FOLDER: has in-sysroot.sh, by the options in `shown`, show the folder of ci/arm64.sh as /arm64. The cross
# compiler's library has paths of its own in it, and is there too.
show_arm64() { shown+=(--show "$1" /arm64 --show "$1/usr/aarch64-linux-gnu" /usr/aarch64-linux-gnu); }

# on_x86_only WHAT: fails if the guest is to have another architecture, or another series of kernels,
# than WHAT is made for.
on_x86_only() {
	[[ $ARCH == x86-64 ]] || die "ARCH=$ARCH: $1 is for guests on x86-64 alone: leave ARCH out"
	[[ $LINUX == 7.3 ]] || die "LINUX=$LINUX: $1 is for Linux 7.3 alone: leave LINUX out"
}

# words_of TEXT: prints the words of TEXT, quoted as in a shell, each with a NUL after it. Fails if
# a quote is open.
words_of() { [[ -z $1 ]] || xargs printf '%s\0' <<<"$1"; }

# descendants PID: prints all processes that PID started, directly or not.
descendants() {
	local child
	for child in $(pgrep -P "$1"); do
		printf '%s\n' "$child"
		descendants "$child"
	done
}

# end_tree PID: ends a process and all that it started, and returns when they are gone. Process
# groups do not help: without job control, a script and its children share the group of make's
# caller.
end_tree() {
	local all
	mapfile -t all < <(printf '%s\n' "$1" && descendants "$1")
	kill -TERM "${all[@]}" 2>/dev/null || true
	# They may need some time to remove gigabytes.
	for _ in {1..300}; do
		kill -0 "${all[@]}" 2>/dev/null || return 0
		sleep 0.1
	done
	kill -KILL "${all[@]}" 2>/dev/null || true
}

# long_step SECONDS LOG WHAT CMD...: runs CMD with its output in LOG, shows progress, and on failure
# prints the end of LOG. A TERM or INT to the script ends CMD too. CMD runs in the background,
# because bash runs traps only during `wait`.
long_step() {
	local usual=$1 log=$2 what=$3 start=$SECONDS status=0
	shift 3
	say "$what (usually takes $usual s)"
	"$@" >"$log" 2>&1 &
	step_pid=$!
	while [[ -t 2 ]] && kill -0 "$step_pid" 2>/dev/null; do
		printf '\r  %s: %d s \033[K' "$what" $((SECONDS - start)) >&2
		sleep 0.5 &
		wait -n "$step_pid" $! || true
	done
	if [[ -t 2 ]]; then printf '\r\033[K' >&2; fi
	wait "$step_pid" || status=$?
	step_pid=
	if ((status != 0)); then
		tail -n 40 "$log" >&2
		say "$what: failed with status $status; the whole output is in $log"
		return "$status"
	fi
	say "$what: done in $((SECONDS - start)) s"
}

# busy PID: prints the processor time in seconds of this process and all children that it has waited
# for.
busy() {
	local stat
	stat=$(</proc/"$1"/stat)
	# The name of the program, in parentheses, may contain any character. The last parenthesis ends it.
	awk -v hz="$(getconf CLK_TCK)" '{ printf "%.2f", ($12 + $13 + $14 + $15) / hz }' <<<"${stat##*) }"
}
# idle: prints the idle seconds of all processors together since the machine started.
idle() { awk -v hz="$(getconf CLK_TCK)" '/^cpu / { printf "%.2f", ($5 + $6) / hz; exit }' /proc/stat; }

# stage NAME CMD...: runs CMD in this shell and adds a line to build/report/stages.jsonl. The line
# has CMD's duration, its processor time including children that were waited for, and the machine's
# idle time meanwhile. STAGE_TARGET is the target with this stage. A failure that ends the script
# leaves no line.
stage() {
	local name=$1 pid=$BASHPID began=$EPOCHREALTIME busy idle status
	busy=$(busy "$pid")
	idle=$(idle)
	shift
	"$@"
	status=$?
	mkdir -p "$checkout/build/report"
	awk -v name="$name" -v target="${STAGE_TARGET:-}" -v began="$began" -v ended="$EPOCHREALTIME" \
		-v busy="$busy" -v busy_after="$(busy "$pid")" -v idle="$idle" -v idle_after="$(idle)" 'BEGIN {
		printf "{\"stage\":\"%s\",\"target\":\"%s\",\"wall\":%.3f,\"cpu\":%.3f,\"idle\":%.2f,\"began\":%.3f}\n",
			name, target, ended - began, busy_after - busy, idle_after - idle, began }' >>"$checkout/build/report/stages.jsonl"
	return "$status"
}

# files_of DIR...: prints name, size and time of each file in DIRs, except build results and git's
# files.
files_of() {
	find "$@" \( -path "$checkout/build" -o -path "$checkout/target" -o -path "$checkout/.git" \) -prune -o -type f -printf '%p %s %T@\n' | sort
}

# Inputs of the workspace's crates: the members' folders, and files elsewhere that they include.
mapfile -t rust_sources < <(sed -n '/^members = \[/,/^]/s/^ *"\(.*\)",$/\1/p' "$checkout/Cargo.toml")
for file in "$checkout"/guest-driver/{*/uapi,mapping/offset}.rs; do
	if [[ -f $file ]]; then rust_sources+=("${file#"$checkout/"}"); fi
done
rust_sources+=(Cargo.toml Cargo.lock ci/versions.env guest-driver{,/selftests}/README.md)

# Folder of the sources that a script works on, and the way to this checkout in it.
# shellcheck disable=SC2034 # for the scripts that source this file
tree=$checkout in_tree=
# work_on_project: has the script work on the sources of the project. Its crates use those of this
# checkout. Roots and rules of modules are no part of them.
work_on_project() {
	# shellcheck disable=SC2034
	tree=$project in_tree=ringbar/
	rust_sources=("${rust_sources[@]/#/ringbar/}")
	mapfile -t -O "${#rust_sources[@]}" rust_sources < <(cd "$project" && find . -mindepth 1 \( -path ./ringbar -o -path ./build -o -name target -o -name '.*' \) -prune -o \
		-type f ! -name '*_main.rs' ! -name Kbuild -printf '%P\n' | sort)
}

# contents PATH...: prints SHA-256 and name of each file at or below PATHs of `tree`, except cargo's
# leftovers.
contents() (
	cd "$tree" || exit
	for path in "$@"; do
		if [[ -e $path ]]; then find "$path" -name target -prune -o -type f -print0; fi
	done | sort -z | xargs -0 -r sha256sum --
)

# notice_changes NOTE: reads contents from stdin and notes them. A changed file whose time is older
# than the note gets a new time: it was moved back, and cargo and make compare times only.
notice_changes() {
	local note=$1 now line file
	now=$(cat)
	if [[ -f $note ]]; then
		while IFS= read -r line; do
			file=$tree/${line:66}
			if [[ ! $file -nt $note ]]; then touch -- "$file"; fi
		done < <(comm -13 <(sort "$note") <(sort <<<"$now"))
	fi
	printf '%s\n' "$now" >"$note.new.$$"
	mv -f -- "$note.new.$$" "$note"
}

# unless_made OUTPUT FROM CMD...: runs CMD, which makes OUTPUT, unless CMD already ran with the same
# text FROM and OUTPUT is unchanged since then.
unless_made() {
	local output=$1 from=$2 note=$1.from
	shift 2
	if [[ -f $output && -f $note && ! $output -nt $note && $(<"$note") == "$from" ]]; then return; fi
	rm -f -- "$note"
	"$@"
	printf '%s\n' "$from" >"$note"
}

# cache_key FILE...: prints a key for the contents and names of FILEs (without their folders) and
# stdin.
cache_key() {
	{
		local file
		for file in "$@"; do
			printf '%s\n' "${file##*/}"
			cat "$file"
		done
		cat
	} | sha256sum | cut -c 1-16
}

# cache_entry KIND KEY GIB BUILD...: prints the folder of this entry. If it does not exist, runs
# `BUILD... DIR` first. DIR becomes the entry by a rename, so an entry is always whole. Each entry
# has a lock: a second run waits for the first. GIB is the space that BUILD needs.
cache_entry() {
	local kind=$1 key=$2 gib=$3
	local entry=$RINGBAR_CACHE/$kind-$key
	shift 3
	if [[ ! -d $entry ]]; then
		cache_build "$entry" "$gib" "$@" >&2
	fi
	# The time of an entry shows its last use.
	touch -- "$entry"
	printf '%s\n' "$entry"
}

# cache_build ENTRY GIB BUILD...: makes an entry under its lock.
cache_build() {
	local entry=$1 gib=$2
	shift 2
	mkdir -p "$RINGBAR_CACHE/locks" || die "cannot make the cache folder $RINGBAR_CACHE: set RINGBAR_CACHE to a folder that you may write"
	cache_sweep
	# Children inherit the lock on purpose: no other run may write while one of them still does.
	exec {cache_lock}>"$RINGBAR_CACHE/locks/${entry##*/}"
	if ! flock -n "$cache_lock"; then
		say "another run is making ${entry##*/}; waiting for it"
		flock "$cache_lock"
	fi
	if [[ ! -d $entry ]]; then
		need_space "$RINGBAR_CACHE" "$gib"
		# Only the holder of the lock writes, so other half-made folders belong to dead runs.
		rm -rf -- "$entry".tmp.*
		cache_tmp=$entry.tmp.$$
		trap 'cache_abandon' EXIT
		trap 'exit 130' INT
		trap 'exit 143' TERM HUP
		mkdir "$cache_tmp"
		"$@" "$cache_tmp"
		mv -T -- "$cache_tmp" "$entry"
		trap - EXIT INT TERM HUP
	fi
	exec {cache_lock}>&-
}

# cache_abandon: removes the half-made folder when a build ends before its rename. The log is
# elsewhere and stays.
cache_abandon() {
	if [[ -n ${step_pid:-} ]]; then
		end_tree "$step_pid"
	fi
	rm -rf -- "$cache_tmp"
}

# entries KIND TEST...: calls find for the entries of a kind. Another build may rename the folder that
# it has made meanwhile, which is no error.
entries() { find "$RINGBAR_CACHE" -mindepth 1 -maxdepth 1 -name "$1-*" "${@:2}" 2>/dev/null || true; }

# cache_sweep: removes half-made entries whose lock is free, since their run was killed. Also
# removes entries that were not used for a month, and the least recently used ones of numerous
# kinds. One run does so at a time: two would remove the same entries.
cache_sweep() {
	local path name kind sweep
	exec {sweep}>"$RINGBAR_CACHE/locks/sweep"
	if ! flock -n "$sweep"; then
		exec {sweep}>&-
		return
	fi
	for path in "$RINGBAR_CACHE"/*.tmp.*; do
		[[ -d $path ]] || continue
		name=${path##*/}
		flock -n "$RINGBAR_CACHE/locks/${name%.tmp.*}" rm -rf -- "$path" || true
	done
	for kind in "${cache_kinds[@]}"; do
		entries "$kind" -mtime +30 -print0 | xargs -0 -r rm -rf --
	done
	for kind in "${numerous_kinds[@]}"; do
		entries "$kind" ! -name '*.tmp.*' -printf '%T@ %p\0' |
			sort -z -r -n | tail -z -n "+$((numerous + 1))" | cut -z -d ' ' -f 2- | xargs -0 -r rm -rf --
	done
	exec {sweep}>&-
}

# free_kib DIR: prints the free space.
free_kib() { df -P -k -- "$1" | awk 'NR == 2 { print $4 }'; }

# need_space DIR GIB: fails if DIR has less space.
need_space() {
	local free
	free=$(free_kib "$1")
	((free >= $2 * 1024 * 1024)) ||
		die "$1 has $((free / 1024 / 1024)) GiB free, this step needs $2 GiB: make room, or set RINGBAR_CACHE to a folder on a larger disk"
}
