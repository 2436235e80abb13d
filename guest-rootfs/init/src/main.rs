// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! First process of the guest.

fn main() {}
