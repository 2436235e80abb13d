#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Kernel driver, driver side in user space and expectations of the test vectors have no code of each other. Otherwise a
# mistake in one would be in the others, and the table of all paths would not show it.
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"
cd "$ci/.."

# crates MANIFEST: the crates of ours that a package uses outside of tests.
crates() { sed -n '/^\[dependencies\]/,/^\[dev/s/^\(ringbar-[a-z-]*\) .*/\1/p' "$1" | sort | tr '\n' ' '; }
# names FOLDER PATTERN: files of a folder with such a name in their code.
names() { grep -rlE --include='*.rs' "^[^/]*$2" "$1" | sort | tr '\n' ' '; }

equal expectations_use_the_interface_alone 'ringbar-spec ' "$(crates qemu-device/proof/test-vectors/Cargo.toml)"
equal driver_side_uses_the_interface_and_that_of_a_path 'ringbar-spec ringbar-test-vectors ' "$(crates qemu-device/driver-side/Cargo.toml)"
equal driver_side_knows_test_vectors_only_as_a_path 'qemu-device/driver-side/src/path.rs ' "$(names qemu-device/driver-side/src ringbar_test_vectors)"
equal path_uses_no_expectation '' "$(grep -oE 'ringbar_test_vectors::.*' qemu-device/driver-side/src/path.rs |
	grep -vxE 'ringbar_test_vectors::(dma::DmaPath|scene::\{Backing, Part, Rights\}|\{Path, BATCH\});' || true)"
equal kernel_driver_has_no_code_of_either '' "$(grep -rlE --include='*.rs' 'driver_side|test_vectors|driver-side|test-vectors' guest-driver | tr '\n' ' ')"
