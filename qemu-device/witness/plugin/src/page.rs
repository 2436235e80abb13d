// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Accesses that reach two pages. QEMU translates the address of each page by itself, so each part
//! of such an access has a place of its own.

/// Bytes of a page.
const PAGE: u64 = 4096;
/// Bytes of the widest access.
const WIDEST: u64 = 16;

/// Returns how many bytes of an access lie in its first page, if it reaches a second one. `width`
/// is called only near the end of a page: most accesses lie elsewhere, and each one of the guest
/// comes here.
pub(crate) fn bytes_before_next(address: u64, width: impl FnOnce() -> u32) -> Option<u32> {
    let left = PAGE - address % PAGE;
    (left < WIDEST && left < width().into()).then_some(left as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_up_to_the_end_of_a_page_reaches_one() {
        assert_eq!(bytes_before_next(0x7ff8, || 8), None);
        assert_eq!(bytes_before_next(0x7fff, || 1), None);
        assert_eq!(bytes_before_next(0x8000, || 16), None);
    }

    #[test]
    fn access_beyond_the_end_of_a_page_reaches_two() {
        assert_eq!(bytes_before_next(0x7ff9, || 8), Some(7));
        assert_eq!(bytes_before_next(0x7ff1, || 16), Some(15));
        assert_eq!(bytes_before_next(u64::MAX, || 2), Some(1));
    }

    #[test]
    fn width_is_not_asked_for_far_from_the_end() {
        assert_eq!(bytes_before_next(0x7ff0, || unreachable!()), None);
    }
}
