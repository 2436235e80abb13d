// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Common parts of the test programs of the example drivers: [`node`] calls a driver, and [`uapi`]
//! has the interface of each. `ringbar_tests` has the rest, above all the rules of the mapping layer
//! (`ringbar_tests::rules`), which each program runs with a table of its own.

pub mod node;
pub mod uapi;
