#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Two runs in one checkout do not overlap, and `make clean` removes nothing that a run uses.
# shellcheck disable=SC2016 # another shell expands what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
unset RINGBAR_HELD RINGBAR_LOCK_FD RINGBAR_ASKED RINGBAR_VARIABLES EXAMPLE TESTS ARGS FILES

place=$(mktemp -d)
started=()
stop() {
	if ((${#started[@]})); then kill "${started[@]}" 2>/dev/null || true; fi
	rm -rf "$place"
}
trap stop EXIT
export RINGBAR_CACHE=$place/cache ORDER=$place/order
checkout=$place/checkout
mkdir -p "$checkout/guest-rootfs/tests/src/bin" && cp -r "$ci" "$ci/../Makefile" "$checkout"
# Builds nothing. A run notes its begin and end, and leaves a report with its own number. Its runner
# waits for a file `go`. Programs are copied once: ci/build.sh still calls programs.sh while the
# runner runs, and a shell reads its script as it goes.
for script in setup module guest sysroot kernel; do printf '#!/bin/sh\n' >"$checkout/ci/$script.sh"; done
printf '#!/bin/sh\nmkdir -p "%s/build/programs"; cp -n "%s/ringbar-"* "%s/build/programs"\n' "$checkout" "$place" "$checkout" >"$checkout/ci/programs.sh"
cat >"$place/ringbar-vm-runner" <<'END'
#!/bin/sh
while [ "$1" != --report-dir ]; do shift; done
mkdir -p "$2"
echo "begin $RUN" >>"$ORDER"
while [ ! -e "$GO" ]; do sleep 0.02; done
echo "$RUN" >"$2/results.json"
echo "end $RUN" >>"$ORDER"
END
printf '#!/bin/sh\n' >"$place/ringbar-report"
chmod +x "$place/ringbar-"* "$checkout/ci/"*.sh

# run NUMBER: starts `make run` in the background, identified by its number. It ends when there is a
# file goNUMBER.
run() {
	RUN=$1 GO=$place/go$1 make -C "$checkout" run TESTS='' >"$place/output$1" 2>&1 &
	started+=($!)
}
# appears TEXT FILE: waits until FILE contains TEXT, at most for a time.
appears() {
	for _ in {1..500}; do
		if grep -qs -- "$1" "$2"; then return; fi
		sleep 0.02
	done
	printf 'not ok: "%s" did not come in %s in time\n' "$1" "$2" >&2
	cat "$place"/output* >&2
	exit 1
}

run 1
appears 'begin 1' "$ORDER"
run 2
appears 'waiting for it' "$place/output2"
equal second_run_names_the_first_one_and_its_start 1 \
	"$(grep -cE '`make .*run.*` \(process [0-9]+, since [0-9:]+\) works in this checkout; waiting for it' "$place/output2")"
make -C "$checkout" clean >"$place/output-clean" 2>&1 &
started+=($!)
appears 'waiting for it' "$place/output-clean"
fails clean_removes_nothing_during_a_run test ! -e "$checkout/build/programs/ringbar-vm-runner"
# The second run may come before or after `make clean`: both orders are right.
touch "$place/go1" "$place/go2"
wait "${started[@]}"
equal second_run_begins_when_the_first_has_ended 'begin 1 end 1 begin 2 end 2 ' "$(tr '\n' ' ' <"$ORDER")"

# Without `make clean`, both reports are there.
rm -rf "$place"/go* "$ORDER" "$checkout/build" && started=()
run 3
appears 'begin 3' "$ORDER"
run 4
appears 'waiting for it' "$place/output4"
touch "$place/go3" "$place/go4"
wait "${started[@]}" && started=()
equal report_of_the_first_run_stays 3 "$(<"$checkout/build/report/results.json")"
equal report_of_the_second_run_is_beside_it 4 "$(<"$checkout/build/report/run-2/results.json")"
equal second_run_names_its_report 1 "$(grep -c "this one's goes to build/report/run-2" "$place/output4")"
touch "$place/go5" && run 5 && wait "${started[@]}" && started=()
equal run_that_did_not_wait_has_the_usual_place 5 "$(<"$checkout/build/report/results.json")"

# A killed run frees the checkout. A script within a run does not wait for the run.
run 6
appears 'begin 6' "$ORDER"
kill -KILL "$(sed -n 's/.*(process \([0-9]*\),.*/\1/p' "$checkout/build/lock")"
touch "$place/go6" "$place/go7"
wait "${started[@]}" || true
started=()
run 7
wait "${started[@]}" && started=()
# What the killed run had started may end before or after.
equal killed_run_frees_the_checkout 1 "$(grep -cx 'end 7' "$ORDER")"
nested='source ci/lib.sh; source ci/lock.sh; hold_checkout; ci/build.sh bash -c "ci/build.sh echo inner"'
equal script_within_a_run_does_not_wait inner "$(cd "$checkout" && timeout 60 bash -c "set -euo pipefail; ${nested//source ci/source $checkout/ci}" 2>/dev/null)"

# The program that draws the report may be compiled for longer than a build takes.
cp "$checkout/ci/programs.sh" "$place/programs.sh"
printf '#!/bin/sh\nif [ "$1" = report ]; then echo $$ >"%s/reporter"; exec sleep 30; fi\n' "$place" >"$checkout/ci/programs.sh"
printf '#!/bin/sh\nfor _ in $(seq 500); do [ ! -s "%s/reporter" ] || break; sleep 0.02; done\n' "$place" >"$checkout/ci/module.sh"
"$checkout/ci/build.sh" >/dev/null 2>&1
started=("$(<"$place/reporter")")
equal program_for_the_report_is_still_compiled yes "$(kill -0 "${started[0]}" && echo yes)"
equal compiling_it_does_not_keep_the_lock free "$(flock -n "$checkout/build/lock" echo free)"
kill "${started[0]}" && started=()
cp "$place/programs.sh" "$checkout/ci/programs.sh"

# cargo may start a daemon that stays for hours. It must not keep the lock.
cp "$ci/cargo.sh" "$checkout/ci/cargo.sh"
cp "$ci/../Cargo.toml" "$checkout"
mkdir "$place/bin"
printf '#!/bin/sh\nif [ "$1" = --version ]; then echo cargo 1.95.0; else sleep 30 & echo $! >"%s/daemon"; fi\n' "$place" >"$place/bin/cargo"
printf '#!/bin/sh\necho rustc 1.95.0\n' >"$place/bin/rustc"
chmod +x "$place/bin/"*
(cd "$checkout" && PATH=$place/bin:$PATH bash -c 'set -euo pipefail; source ci/lib.sh; source ci/lock.sh; hold_checkout; ci/cargo.sh build' >/dev/null 2>&1)
started=("$(<"$place/daemon")")
equal daemon_of_a_compiler_does_not_keep_the_lock free "$(flock -n "$checkout/build/lock" echo free)"
