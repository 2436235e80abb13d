// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Source that tests compile: they find its lines by the words in comments.

use std::ops::Mul;

#[inline(always)]
fn inlined(number: &mut u64) {
    *number += 3; // inlined line
}

#[inline(never)]
fn generic<T: Copy + Mul<Output = T>>(value: &mut T) {
    *value = *value * *value; // generic line
}

#[inline(never)]
pub fn small(number: &mut u32) {
    generic(number);
    *number += 7;
}

#[inline(never)]
pub fn large(number: &mut u64) {
    // a comment
    inlined(number);
    generic(number); // call in large
    *number += 5;
}

#[inline(never)]
pub fn with_closure(number: &mut u64) {
    let mut add = |more: u64| {
        *number ^= more; // closure line
    };
    add(4);
}
