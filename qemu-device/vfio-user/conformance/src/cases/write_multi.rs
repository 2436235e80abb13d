// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! REGION_WRITE_MULTI. A server that does not offer it must refuse it.

use crate::case::Basis::{Qemu, Spec, Strict};
use crate::case::{session, Case};
use crate::client::Client;
use crate::outcome::{ensure, skip, Outcome};
use crate::requests::{read, write_multi, Write};
use crate::wire::{command, Request};

/// Offset of the interrupt line in configuration space.
const INTERRUPT_LINE: u64 = 0x3c;
/// Most writes that QEMU joins.
const QEMU_MOST: usize = 200;

pub(super) const CASES: &[Case] = &[
    session("unless-offered-is-refused-and-drained", Strict, |c| {
        if c.survey().write_multiple() {
            return skip("offered");
        }
        let write = harmless(c)?;
        c.refused(write_multi(1, &[write])).map(drop)
    }),
    session("one-write-is-accepted-if-offered", Spec, |c| many(c, 1)),
    session("200-writes-are-accepted-if-offered", Qemu, |c| {
        many(c, QEMU_MOST)
    }),
    session("no-write-is-answered", Strict, |c| {
        c.answered(write_multi(0, &[])).map(drop)
    }),
    session("more-writes-claimed-than-sent-is-refused", Strict, |c| {
        let write = harmless(c)?;
        c.refused(write_multi(2, &[write])).map(drop)
    }),
    session("fewer-writes-claimed-than-sent-is-refused", Strict, |c| {
        let write = harmless(c)?;
        c.refused(write_multi(1, &[write, write])).map(drop)
    }),
    session("count-of-all-64-bits-is-refused", Strict, |c| {
        let write = harmless(c)?;
        c.refused(write_multi(u64::MAX, &[write])).map(drop)
    }),
    session(
        "count-that-overflows-to-the-right-size-is-refused",
        Strict,
        |c| {
            let write = harmless(c)?;
            // This count times 24 is 24 modulo 2^64.
            c.refused(write_multi((1 << 61) + 1, &[write])).map(drop)
        },
    ),
    session("write-of-9-bytes-is-refused", Spec, |c| {
        let write = Write {
            count: 9,
            ..harmless(c)?
        };
        c.refused(write_multi(1, &[write])).map(drop)
    }),
    session("write-of-4294967295-bytes-is-refused", Spec, |c| {
        let write = Write {
            count: u32::MAX,
            ..harmless(c)?
        };
        c.refused(write_multi(1, &[write])).map(drop)
    }),
    session("write-to-unknown-region-is-refused", Spec, |c| {
        let write = Write {
            region: u32::MAX,
            ..harmless(c)?
        };
        c.refused(write_multi(1, &[write])).map(drop)
    }),
    session("write-behind-the-end-is-refused", Spec, |c| {
        let write = Write {
            offset: u64::MAX,
            ..harmless(c)?
        };
        c.refused(write_multi(1, &[write])).map(drop)
    }),
    session("without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::REGION_WRITE_MULTI))
            .map(drop)
    }),
    session("count-cut-short-is-refused", Strict, |c| {
        c.refused(Request::new(command::REGION_WRITE_MULTI).length(7))
            .map(drop)
    }),
    session("write-cut-short-is-refused", Strict, |c| {
        let write = harmless(c)?;
        c.refused(write_multi(1, &[write]).length(31)).map(drop)
    }),
    session("with-no-reply-is-silent", Spec, |c| {
        let write = harmless(c)?;
        c.silent(write_multi(1, &[write]).no_reply())?;
        c.silent(write_multi(9, &[write]).no_reply())
    }),
];

/// Returns a write of the interrupt line's present value to it.
fn harmless(client: &mut Client) -> Outcome<Write> {
    let region = client.survey().config()?.index;
    let value = client.accepted(read(region, INTERRUPT_LINE, 1))?;
    Ok(Write {
        region,
        offset: INTERRUPT_LINE,
        count: 1,
        data: value.payload.get(16).copied().unwrap_or(0).into(),
    })
}

fn many(client: &mut Client, count: usize) -> Outcome {
    if !client.survey().write_multiple() {
        return skip("write_multiple is not offered");
    }
    let write = harmless(client)?;
    let reply = client.accepted(write_multi(count as u64, &vec![write; count]))?;
    ensure(reply.u64(0) == count as u64, || {
        format!("{} of {count} writes done", reply.u64(0))
    })
}
