// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The benchmark: its comparisons, methods and goals.
//!
//! A [`Plan`] measures two things alternately, one of each per pair. It makes a [`Row`] from the
//! ratios of [`PAIRS`] pairs; [`Rounds`] does so for many rows together. Figures of the host come
//! through [`Outside`], so that both halves of a pair come from the same machine and moment. No row
//! is a test: a missed goal fails nothing.

mod bench;
mod clock;
pub mod floor;
mod halves;
mod interrupt;
mod peers;
mod plan;
mod plans;
mod queues;
mod rounds;
mod row;
mod spread;
pub mod table;

pub use bench::{Bench, Error, Outside};
pub use plan::{Plan, PAIRS};
pub use plans::plans;
pub use rounds::Rounds;
pub use row::{Goal, LeftOut, Line, Op, Row, Side};
pub use spread::Spread;
