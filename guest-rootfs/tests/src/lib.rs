// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Test programs that run in the guest.
