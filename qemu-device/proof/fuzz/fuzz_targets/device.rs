// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device and its rings under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ringbar_fuzz::device::run(data);
});
