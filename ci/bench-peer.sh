#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Starts a server of others for the benchmark. The runner calls this script as it calls a server:
# --socket PATH, and more that is of no meaning here. PEER is the program, which takes the path alone.
set -euo pipefail

socket=
while (($#)); do
	case $1 in
	--socket) socket=$2 && shift 2 ;;
	*) shift ;;
	esac
done
"$PEER" "$socket" &
peer=$!
trap 'kill "$peer" 2>/dev/null || true' EXIT
trap 'exit 143' TERM INT
until [[ -S $socket ]]; do
	kill -0 "$peer" 2>/dev/null || exit 1
	sleep 0.1
done
# Between the socket's file and listening there is one system call.
sleep 0.1
# The runner waits for this line.
echo "listening on $socket" >&2

# served: checks whether a client is connected. 03 is the kernel's state SS_CONNECTED.
served() { grep -F -- " $socket" /proc/net/unix | grep -qE '^([^ ]+ +){5}03 '; }

# The sample waits for its next client when one has gone, and the runner waits for the server's end.
until served; do
	kill -0 "$peer" 2>/dev/null || exit 1
	sleep 0.1
done
while served; do sleep 1; done
# One that ended by itself may have failed. The others are killed.
kill -0 "$peer" 2>/dev/null || wait "$peer"
