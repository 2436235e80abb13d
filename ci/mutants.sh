#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Changes one thing at a time in crates and driver, and records which test notices: mutants.sh.
#
# CRATE is the part, all by default. COUNT mutants at most run of each part, and those with a result
# do not run again: COUNT=0 prints the table alone. ONLY names mutants by a text of their file or
# change. SEED draws the sample. Results and table are in build/mutants; all work is done in a copy of
# the checkout there. The first call compiles cargo-mutants.
set -euo pipefail
# shellcheck source=ci/lib.sh
source "$(dirname "$0")/lib.sh"
without_example "make mutants"
on_x86_only "make mutants"

# Not in versions.env, which is part of the sysroot's key: a change of it makes the kernels again.
CARGO_MUTANTS_VERSION=27.1.0

# make_tool FOLDER: compiles cargo-mutants.
make_tool() {
	mkdir -p "$RINGBAR_CACHE/log"
	CARGO_TARGET_DIR=$1/target long_step 600 "$RINGBAR_CACHE/log/mutants.log" "compiling cargo-mutants $CARGO_MUTANTS_VERSION" \
		cargo install --quiet --locked --root "$1" --version "$CARGO_MUTANTS_VERSION" cargo-mutants
	rm -rf -- "$1/target"
}

for name in COUNT SEED; do
	[[ ${!name:-0} =~ ^(0|[1-9][0-9]{0,8})$ ]] || die "$name=${!name}: set it to a number from 0 to 999999999"
done
args=()
if [[ -n ${CRATE:-} ]]; then args+=("--part=$CRATE"); fi
if [[ -n ${COUNT:-} ]]; then args+=("--count=$COUNT"); fi
if [[ -n ${ONLY:-} ]]; then args+=("--only=$ONLY"); fi
if [[ -n ${SEED:-} ]]; then args+=("--seed=$SEED"); fi
# shellcheck disable=SC2119 # no files, only what comes from stdin
tool=$(cache_entry mutants "$(cache_key <<<"$CARGO_MUTANTS_VERSION $(rustc -vV)")" 3 make_tool)
"$ci_dir/programs.sh" mutants
# The copy is a checkout of its own: it has its own folder of builds, and none of this run's locks. Its
# guests are those that ci/mutants names.
unset RINGBAR_HELD RINGBAR_LOCK_FD "${run_variables[@]}"
PATH=$tool/bin:$PATH exec "$programs/ringbar-mutants" --checkout "$checkout" --work "$checkout/build/mutants" \
	--reasons "$ci_dir/mutants/survivors" "${args[@]}"
