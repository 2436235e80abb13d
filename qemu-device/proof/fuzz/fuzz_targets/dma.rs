// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The DMA map under libFuzzer.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    ringbar_fuzz::dma::run(data);
});
