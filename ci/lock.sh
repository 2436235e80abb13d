# SPDX-License-Identifier: GPL-2.0-only OR MIT
# shellcheck shell=bash
# Lets one run work in a checkout at a time. Two would write the same logs and reports, and boot
# each other's builds. Sourced after lib.sh, never run.
#
# The lock is on build/lock, which names its holder. The outermost script takes it, and all its
# children inherit it on purpose: no other run may begin while one of them works. cargo.sh closes it
# for cargo, which may start a compiler's daemon that lives for hours.
: "${checkout:?comes from lib.sh}"

# command_typed ARGS...: prints the user's command: that of make, or else this script with ARGS.
command_typed() {
	local pid=$PPID words
	# make starts a script directly or by a shell.
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

# hold_checkout ARGS...: waits until no other run works here, and names the one that does. ARGS are
# the script's.
hold_checkout() {
	# The caller of this script holds the lock.
	[[ ${RINGBAR_HELD:-} != "$checkout" ]] || return 0
	local file=$checkout/build/lock fd asked=$SECONDS
	# Results that appear from now on belong to another run: see own_place.
	export RINGBAR_ASKED=$EPOCHREALTIME
	while :; do
		mkdir -p "$checkout/build"
		exec {fd}<>"$file"
		if ! flock -n "$fd"; then
			say "$(<"$file") works in this checkout; waiting for it, Ctrl-C to give up"
			flock "$fd"
			say "waited $((SECONDS - asked)) s"
		fi
		# `make clean` removes the file too. A waiting run then has a lock on a file that no other run can
		# find, so it tries again.
		if [[ $file -ef /proc/self/fd/$fd ]]; then break; fi
		exec {fd}>&-
	done
	printf '%s' "\`$(command_typed "$@")\` (process $$, since $(printf '%(%T)T'))" >"$file"
	export RINGBAR_HELD=$checkout RINGBAR_LOCK_FD=$fd
}

# release_checkout: releases the lock, before a program that stays open for hours.
release_checkout() {
	local fd=${RINGBAR_LOCK_FD:-}
	if [[ -n $fd ]]; then exec {fd}>&-; fi
	unset RINGBAR_HELD RINGBAR_LOCK_FD
}

# own_place FOLDER: prints the folder for a report. It is FOLDER, unless a run for which this one
# waited left its report there. Then it is the first free one of FOLDER/run-2, FOLDER/run-3 and so
# on.
own_place() {
	local place=$1 number=2
	while [[ -n ${RINGBAR_ASKED:-} && -n $(find "$place/results.json" -newermt "@$RINGBAR_ASKED" 2>/dev/null) ]]; do
		place=$1/run-$((number++))
	done
	printf '%s\n' "$place"
}
