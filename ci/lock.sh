# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
# One run at a time in a checkout: two would write the same logs and reports, and boot what the other one builds.
# Sourced after lib.sh, never run.
: "${checkout:?comes from lib.sh}"
#
# The lock is on build/lock, which says who holds it. The outermost script takes it, and all that it starts have it
# open on purpose: as long as one of them works, nobody else may begin. cargo.sh closes it for cargo, below which a
# compiler's daemon may stay for hours.

# command_typed ARGS...: what the user typed, if that was make, else this script with ARGS.
command_typed() {
	local pid=$PPID words
	# make calls a script by itself or by a shell.
	for _ in 1 2; do
		mapfile -d '' words 2>/dev/null <"/proc/$pid/cmdline" || break
		if [[ ${words[0]:-} == make || ${words[0]:-} == */make ]]; then
			printf '%s' "make ${words[*]:1}"
			return
		fi
		pid=$(ps -o ppid= -p "$pid") || break
		pid=${pid// /}
	done
	printf '%s' "${0##*/} $*"
}

# hold_checkout ARGS...: waits until no other run works here, and says for whom; ARGS are those of the script.
hold_checkout() {
	# Whoever called this script holds it.
	[[ ${RINGBAR_HELD:-} != "$checkout" ]] || return 0
	local file=$checkout/build/lock fd asked=$SECONDS
	# What lies there from now on is of somebody else: see own_place.
	export RINGBAR_ASKED=$EPOCHREALTIME
	while :; do
		mkdir -p "$checkout/build"
		exec {fd}<>"$file"
		if ! flock -n "$fd"; then
			say "in this checkout works $(<"$file"); waiting for it, Ctrl-C to give up"
			flock "$fd"
			say "waited $((SECONDS - asked)) s"
		fi
		# `make clean` takes the file away with all else; whoever waits then holds a lock that nobody sees.
		if [[ $file -ef /proc/self/fd/$fd ]]; then break; fi
		exec {fd}>&-
	done
	printf '%s' "\`$(command_typed "$@")\` (process $$, since $(printf '%(%T)T'))" >"$file"
	export RINGBAR_HELD=$checkout RINGBAR_LOCK_FD=$fd
}

# release_checkout: before a program that stays open for hours.
release_checkout() {
	local fd=${RINGBAR_LOCK_FD:-}
	if [[ -n $fd ]]; then exec {fd}>&-; fi
	unset RINGBAR_HELD RINGBAR_LOCK_FD
}

# own_place FOLDER: prints the folder for a report, FOLDER unless a run for which this one waited has left its own
# there: then the next one of FOLDER/run-2, FOLDER/run-3, ... that holds none of those.
own_place() {
	local place=$1 number=2
	while [[ -n ${RINGBAR_ASKED:-} && -n $(find "$place/results.json" -newermt "@$RINGBAR_ASKED" 2>/dev/null) ]]; do
		place=$1/run-$((number++))
	done
	printf '%s\n' "$place"
}
