// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Judges any vfio-user server on a UNIX socket, ours or another: one case per rule.
//!
//! [`cases::select`] returns the rules, [`judge::Judge`] runs them one by one and keeps them apart.
//! A [`target::Target`] reaches the server and restarts it. A case that did not pass has an
//! [`outcome::Stop`] with the reason, and [`report::Report`] shows all results.
//!
//! The kit knows no device, shares no code with a server, and trusts no field that a server sends.
//! It surveys the server's properties first, and skips cases about parts that the server lacks.
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use ringbar_conformance::cases;
//! use ringbar_conformance::judge::Judge;
//! use ringbar_conformance::report::Report;
//! use ringbar_conformance::target::Target;
//!
//! # fn main() -> Result<(), ringbar_conformance::outcome::Stop> {
//! let target = Target::new("/run/device.sock".into(), Duration::from_secs(10), None);
//! let seed = 1;
//! let mut judge = Judge::new(target, seed, 3000)?;
//! let mut report = Report::new(seed);
//! for case in cases::select(&[], &["dma/".to_owned()]) {
//!     println!("{}", report.add(&judge.run(case, &|_done, _of| ())));
//! }
//! println!("{}", report.summary());
//! assert_eq!(report.failed, 0);
//! # Ok(())
//! # }
//! ```
//!
//! The feature `cli`, on by default, adds the program `ringbar-conformance`, and with it the traits
//! of `clap` for [`case::Group`]. A test that calls the library can do without it.

#![forbid(unsafe_code)]

pub mod case;
pub mod cases;
mod client;
pub mod judge;
pub mod outcome;
pub mod report;
mod requests;
mod survey;
pub mod target;
mod tripwire;
mod wire;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
