#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# cargo-mutants 27.1.0 (crates.io): a struct expression that ends in `..base` gets mutants that delete
# a field. `--re` and `--exclude-re` choose mutants by their names, and skip none of these. They are
# made in the functions that `--exclude-re` leaves out, and where `--re` asks for others. The same
# patterns choose well among all other mutants, and `--exclude` skips these by their file. Upstream's
# issue 632 names it. Expected: the mutants whose names match.
#
# What it means for a run: the time of a shard grows by builds that nobody asked for. A survivor that
# is known to be equivalent has to be left out by an attribute in the source.
# shellcheck source=findings/lib.sh
source "$(dirname "$(realpath "$0")")/lib.sh"

# Without optimization the tool is ready in half the time.
CARGO_TARGET_DIR=$place/target cargo install -q --locked --debug --root "$place" --version 27.1.0 cargo-mutants
mkdir -p tiny/src
printf '[package]\nname = "tiny"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n' >tiny/Cargo.toml
cat >tiny/src/lib.rs <<'END'
#[derive(Default)]
pub struct Limits {
    pub vectors: u32,
    pub regions: u32,
}
pub fn limits() -> Limits {
    Limits { vectors: 8, ..Limits::default() }
}
pub fn mask(bits: u32) -> u32 {
    !bits
}
END
# mutants OPTION...: the names of the mutants that these options leave, without their places.
mutants() { bin/cargo-mutants mutants --dir tiny --list "$@" | sed 's/^[^ ]* //' | paste -sd ';'; }
function_of_limits='replace limits -> Limits with Default::default()'
field='delete field vectors from struct Limits expression in limits'
mask='replace mask -> u32 with 0;replace mask -> u32 with 1;delete ! in mask'
seen 'no filter' "$function_of_limits;$field;$mask" "$(mutants)"
seen '--re mask' "$field;$mask" "$(mutants --re mask)"
seen '--exclude-re limits' "$field;$mask" "$(mutants --exclude-re limits)"
seen '--exclude-re "delete field"' "$function_of_limits;$field;$mask" "$(mutants --exclude-re 'delete field')"
seen '--exclude src/lib.rs' '' "$(mutants --exclude src/lib.rs)"
finish
