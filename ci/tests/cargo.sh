#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# A new checkout gets the dependencies that another one has compiled. Folders of gone checkouts are
# removed.
# shellcheck disable=SC2016 # another shell expands what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export RINGBAR_CACHE=$place/cache
mkdir "$place/bin" && PATH=$place/bin:$PATH
# Stands in for cargo: prints its build folder and, if asked, fills it.
printf '#!/bin/sh\ncase $1 in fill) d=$CARGO_BUILD_BUILD_DIR/debug; mkdir -p $d/incremental $d/deps && touch $d/.cargo-lock $d/fingerprint $d/libringbar_spec $d/incremental/x $d/deps/libserde.rlib $d/deps/serde.d $d/deps/a-test-0d;; esac\n[ $1 = --version ] && echo cargo 1.95.0 || echo $CARGO_BUILD_BUILD_DIR\n' >"$place/bin/cargo"
printf '#!/bin/sh\nprintf "rustc 1.95.0\nhost: x86_64-unknown-linux-gnu\n"\n' >"$place/bin/rustc"
chmod +x "$place/bin/"*

# checkout NAME: makes the parts of a checkout that cargo.sh reads.
checkout() { mkdir -p "$place/$1" && cp -r "$ci" "$ci/../Cargo.toml" "$place/$1"; }
# cargo_of NAME ARG: prints the output of cargo in that checkout, which is its build folder.
cargo_of() { "$place/$1/ci/cargo.sh" "$2"; }
# left FOLDER: lists a build folder.
left() { (cd "$1" && find . -type f -printf '%P\n' | sort | tr '\n' ' '); }

checkout first && checkout second && checkout third
first=$(cargo_of first fill)
second=$(cargo_of second look)
fails checkouts_have_folders_of_their_own test "$first" = "$second"
equal new_checkout_starts_with_the_dependencies_alone 'checkout contents debug/.cargo-lock debug/deps/libserde.rlib debug/deps/serde.d debug/fingerprint ' "$(left "$second")"
equal copy_leaves_the_other_as_it_was \
	'checkout contents debug/.cargo-lock debug/deps/a-test-0d debug/deps/libserde.rlib debug/deps/serde.d debug/fingerprint debug/incremental/x debug/libringbar_spec ' "$(left "$first")"
equal library_is_the_very_file_that_there_was "$(stat -c %i "$first/debug/deps/libserde.rlib")" "$(stat -c %i "$second/debug/deps/libserde.rlib")"
fails file_that_cargo_writes_in_place_is_a_copy test "$first/debug/fingerprint" -ef "$second/debug/fingerprint"

checkout busy
equal new_checkout_does_not_wait_for_folders_in_use 'checkout contents ' \
	"$(flock "$first/debug/.cargo-lock" flock "$second/debug/.cargo-lock" timeout 20 "$place/busy/ci/cargo.sh" look | (read -r folder; left "$folder"))"
rm -r "$place/busy"
checkout other
equal folder_in_use_is_passed_over_for_one_at_rest "$(left "$second")" \
	"$(flock "$second/debug/.cargo-lock" timeout 20 "$place/other/ci/cargo.sh" look | (read -r folder; left "$folder"))"
rm -r "$place/other"

rm -r "$place/first"
cargo_of third look >/dev/null
fails folder_of_a_gone_checkout_goes test -e "$first"
equal folder_of_a_present_one_stays "$second" "$(cargo_of second look)"

# Like a full disk: the copy fails in the middle.
printf '#!/bin/sh\ncase "$*" in *-x*) touch "$2/half"; cat >/dev/null; exit 1;; esac\nexec /usr/bin/env -i /bin/tar "$@"\n' >"$place/bin/tar"
chmod +x "$place/bin/tar" && checkout fourth
equal copy_that_fails_leaves_an_empty_folder 'checkout contents ' "$(left "$(cargo_of fourth look 2>/dev/null)")"
