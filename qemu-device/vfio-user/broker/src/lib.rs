// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stands between QEMU and a vfio-user server, so that QEMU outlives the server.
//!
//! [`exchange::Exchange`] decides: it takes whole messages of both sides and a time, and has
//! messages for both. It does no input or output. [`record::Record`] is all that a new server must
//! be told, [`dead`] the answers without a server. [`serve`] has sockets and the loop.
//!
//! Nothing here knows a device.

#![forbid(unsafe_code)]

pub mod dead;
pub mod exchange;
pub mod fault;
pub mod hand_out;
pub mod message;
pub mod options;
pub mod peer;
pub mod record;
pub mod sandbox;
pub mod serve;
pub mod socket;

pub use exchange::Exchange;
pub use message::Message;
pub use record::Record;
