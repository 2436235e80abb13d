// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Judges any vfio-user server on a UNIX socket, ours or another: one case per rule.
//!
//! [`cases`] has the rules by group. Each is a small function on a [`client::Client`], which can
//! send anything. It returns its findings as an [`outcome::Stop`]. [`survey`] reads the server's
//! properties, [`target`] reaches and restarts it, [`judge`] runs the cases and keeps them apart,
//! and [`report`] shows the results.
//!
//! The kit knows no device, shares no code with a server, and trusts no field that a server sends.

#![forbid(unsafe_code)]

pub mod case;
pub mod cases;
pub mod client;
pub mod judge;
pub mod options;
pub mod outcome;
pub mod report;
pub mod requests;
pub mod survey;
pub mod target;
pub mod tripwire;
pub mod wire;
