#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR MIT
# Environment and cargo configuration of the caller change no result, or are refused.
# shellcheck disable=SC2016 # other shells expand what is quoted here
set -euo pipefail
# shellcheck source=ci/tests/assert.sh
source "$(dirname "$0")/assert.sh"

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
export RINGBAR_CACHE=$place/cache CARGO_HOME=$place/home
mkdir "$place/bin" "$CARGO_HOME" "$place/checkout"
cp -r "$ci" "$ci/../Cargo.toml" "$place/checkout"
real=$(command -v cargo)
# Stands in for cargo: prints its variables, and its configuration like the real one.
cat >"$place/bin/cargo" <<END
#!/bin/sh
case \$* in
--version) echo cargo 1.95.0 ;;
*config*) RUSTC_BOOTSTRAP=1 exec "$real" "\$@" ;;
*) env ;;
esac
END
chmod +x "$place/bin/cargo"
unset CARGO_BUILD_BUILD_DIR CARGO_TARGET_DIR
host=$(rustc -vV | sed -n 's/^host: //p')

# The variables of make do not reach the script tests: with FUZZ_SEED=1, one failed in CI alone.
equal variables_of_make_do_not_reach_the_tests '' "$(FUZZ_SEED=1 KERNEL=debug TESTS=pages EXAMPLE=edu bash -c 'source "$1/tests/assert.sh"; env' _ "$ci" | grep -E '^(FUZZ_SEED|KERNEL|TESTS|EXAMPLE)=')"

# Nor does make itself, which runs all of them: below it, a make of a test printed two lines more.
printf 'all:\n\t@bash -c '\''source "$(CI)/tests/assert.sh"; env'\''\n' >"$place/Makefile"
equal variables_of_a_running_make_do_not_reach_the_tests '' "$(make --no-print-directory -C "$place" CI="$ci" | grep -E '^(MAKE|MFLAGS|GNUMAKE)' || true)"

# told ARG...: prints the variables of cargo and rustc, without folders and those that are always
# there.
told() {
	PATH=$place/bin:$PATH "$place/checkout/ci/cargo.sh" "$@" | grep -aE '^(CARGO|RUSTC|RUSTFLAGS|RUSTDOC)' |
		grep -avE '^CARGO_(HOME|TARGET_DIR|BUILD_BUILD_DIR)=' | sort | tr '\n' ' '
}
linker=CARGO_TARGET_$(tr 'a-z-' 'A-Z_' <<<"$host")_LINKER
plain="CARGO_BUILD_TARGET=$host CARGO_ENCODED_RUSTDOCFLAGS= CARGO_ENCODED_RUSTFLAGS= $linker=cc RUSTC_WORKSPACE_WRAPPER= RUSTC_WRAPPER= "

equal cargo_gets_every_setting_of_a_configuration "$plain" "$(told build)"
equal callers_target_is_none_of_ours "$plain" "$(CARGO_BUILD_TARGET=wasm32-wasip1 told build)"
equal callers_flags_are_left_out "$plain" "$(RUSTFLAGS=-Cdebuginfo=1 CARGO_ENCODED_RUSTFLAGS=-Cdebuginfo=1 CARGO_BUILD_RUSTFLAGS=-g told build)"
equal callers_wrapper_is_left_out "$plain" "$(RUSTC_WRAPPER=false RUSTC_WORKSPACE_WRAPPER=false told build)"
equal callers_profile_is_left_out "$plain" "$(CARGO_INCREMENTAL=1 CARGO_PROFILE_RELEASE_PANIC=abort CARGO_PROFILE_DEV_OPT_LEVEL=3 told build)"
equal callers_compiler_is_left_out "$plain" "$(RUSTC=false RUSTC_BOOTSTRAP=1 RUSTDOCFLAGS=-x told build)"
equal callers_linker_is_left_out "$plain" "$(export "$linker=false" && told build)"
equal ways_to_the_network_stay "${plain/ $linker/ CARGO_HTTP_PROXY=a CARGO_NET_OFFLINE=true $linker}" \
	"$(CARGO_HTTP_PROXY=a CARGO_NET_OFFLINE=true told build | tr ' ' '\n' | sed "s/^\$//" | sort | tr '\n' ' ' | sed 's/^ //')"
equal wrapper_that_is_meant_is_used "${plain/RUSTC_WRAPPER=/RUSTC_WRAPPER=sccache}" "$(RINGBAR_RUSTC_WRAPPER=sccache told build)"
equal flags_of_a_script_get_to_cargo "${plain/RUSTFLAGS=/RUSTFLAGS=-Ca$'\x1f'-Cb}" "$(told --rustflags '-Ca -Cb' build)"

# configured LINE...: prints the result with a configuration of these lines.
configured() {
	printf '%s\n' "$@" >"$CARGO_HOME/config.toml"
	told build 2>&1
}
equal settings_with_a_variable_are_overridden "$plain" "$(configured '[build]' 'target="wasm32-wasip1"' 'rustflags=["-g"]' 'target-dir="/x"' \
	'rustc-wrapper="x"' "[target.$host]" 'linker="x"' 'rustflags="-g"' '[net]' 'retry=1' '[http]' 'timeout=9' '[alias]' 'b="build"')"
# refused LINE...: prints the refusal of a configuration of these lines.
refused() { PATH=$place/bin:$PATH bash -c 'printf "%s\n" "${@:2}" >"$CARGO_HOME/config.toml"; "$1/ci/cargo.sh" build 2>&1 >/dev/null' _ "$place/checkout" "$@" || true; }
# names WORD TEXT
names() { if [[ $2 == *error*"$1"* ]]; then echo yes; else echo "$2"; fi; }
equal profile_of_a_configuration_is_refused yes "$(names 'profile.release.panic = "abort"' "$(refused '[profile.release]' 'panic="abort"')")"
equal patch_of_a_configuration_is_refused yes "$(names 'patch.crates-io.libc' "$(refused '[patch.crates-io]' 'libc={path="/x"}')")"
equal variable_of_a_configuration_is_refused yes "$(names 'env.CC' "$(refused '[env]' 'CC="x"')")"
equal refusal_names_the_file yes "$(names "$CARGO_HOME/config.toml" "$(refused '[env]' 'CC="x"')")"
rm "$CARGO_HOME/config.toml"
mkdir "$place/.cargo" && printf '[profile.dev]\nopt-level=3\n' >"$place/.cargo/config.toml"
fails configuration_of_a_folder_above_is_seen told build
rm -r "$place/.cargo"

# Other variables of the shell and its tools.
cd "$place/checkout"
equal cdpath_leads_nowhere_else "$place/checkout" "$(CDPATH=/:. bash -c 'source ci/lib.sh && echo "$checkout"')"
equal relative_cache_is_in_this_folder "$place/checkout/x" "$(RINGBAR_CACHE=x bash -c 'source ci/lib.sh && echo "$RINGBAR_CACHE"')"
fails temporary_folder_that_is_not_there_is_refused env TMPDIR="$place/gone" bash -c 'source ci/lib.sh'

# Paths. A blank, a comma, a hash, a percent sign and an umlaut in them do no harm.
checkout_named() {
	rm -rf "$place/named" && mkdir "$place/named" && cp -r "$place/checkout" "$place/named/$1"
	PATH=$place/bin:$PATH "$place/named/$1/ci/cargo.sh" build
}
equal odd_path_of_a_checkout_gets_to_cargo "CARGO_TARGET_DIR=$place/named/a b,c#d%eü/build/cargo" "$(checkout_named 'a b,c#d%eü' | grep ^CARGO_TARGET_DIR)"
equal odd_path_of_a_cache_gets_to_cargo "CARGO_BUILD_BUILD_DIR=$place/c a,c#d%eü" "$(RINGBAR_CACHE="$place/c a,c#d%eü" checkout_named x | grep ^CARGO_BUILD_BUILD | sed 's|/cargo-.*||')"
# refusal CMD...: prints the error of CMD.
refusal() { ({ "$@" >/dev/null; } 2>&1) || true; }
equal colon_in_the_path_of_a_checkout_is_named yes "$(names "':'" "$(refusal checkout_named 'a:b')")"
equal colon_in_the_path_of_the_cache_is_named yes "$(names "':'" "$(RINGBAR_CACHE=/a:b refusal checkout_named x)")"
equal brace_in_the_path_of_the_cache_is_named yes "$(names "'{'" "$(RINGBAR_CACHE='/a{b' refusal checkout_named x)")"
