// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The benchmark: what is compared with what, how, and the goal of each ratio.
//!
//! A [`Plan`] measures two things in turn, one of each a pair, and makes a [`Row`] of the ratios of
//! [`PAIRS`] pairs; [`Rounds`] does so for many rows together. What the host has to measure is asked
//! for through [`Outside`], so that both halves of a pair are of the same machine and the same
//! moment. No row is a test: a goal that is missed fails nothing.

mod bench;
mod edu;
mod interrupt;
mod plans;
mod queues;
mod rounds;
mod row;
mod spread;
pub mod table;

pub use bench::{Bench, Error, Outside};
pub use plans::{plans, Plan, PAIRS};
pub use rounds::Rounds;
pub use row::{Goal, LeftOut, Line, Op, Row, Side};
pub use spread::Spread;
