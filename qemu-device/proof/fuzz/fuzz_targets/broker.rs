// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The broker under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ringbar_fuzz::broker::run(data);
});
