// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Behaviour of the ringbar device, without I/O, threads or clock.
