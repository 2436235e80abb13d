// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Judges any vfio-user server on a UNIX socket, ours or others': one case a rule.
//!
//! [`cases`] has the rules by group. Each is a small function on a [`client::Client`], which can
//! send anything, and says with an [`outcome::Stop`] what it saw. [`survey`] is what the server
//! has, [`target`] how to reach and restart it, [`judge`] runs the cases and keeps them apart,
//! [`report`] shows the results.
//!
//! It knows no device, shares no code with a server, and trusts nothing that one says.

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
