// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! REGION_READ and REGION_WRITE.

use vfio_bindings::bindings::vfio::{
    VFIO_REGION_INFO_FLAG_READ as READ, VFIO_REGION_INFO_FLAG_WRITE as WRITE,
};

use crate::case::Basis::{Qemu, Spec, Strict};
use crate::case::{session, Case};
use crate::client::Client;
use crate::outcome::{ensure, Outcome};
use crate::requests::{read, write, write_counting};
use crate::wire::{command, Message, Request};

/// Offset of the interrupt line in configuration space: one byte that the device itself ignores.
const INTERRUPT_LINE: u64 = 0x3c;

pub(super) const CASES: &[Case] = &[
    session("read-of-1-byte-is-accepted", Spec, |c| {
        config_read(c, 0, 1).map(drop)
    }),
    session("read-of-2-bytes-is-accepted", Spec, |c| {
        config_read(c, 0, 2).map(drop)
    }),
    session("read-of-4-bytes-is-accepted", Spec, |c| {
        config_read(c, 0, 4).map(drop)
    }),
    session("read-of-all-of-config-space-is-accepted", Qemu, |c| {
        let size = c.survey().config()?.size;
        config_read(c, 0, u32::try_from(size).unwrap_or(256)).map(drop)
    }),
    session("read-of-parts-gives-the-same-as-of-the-whole", Spec, |c| {
        let whole = config_read(c, 0, 64)?;
        for offset in 0..64_u32 {
            let part = config_read(c, u64::from(offset), 1)?;
            ensure(part.get(16) == whole.get(offset as usize + 16), || {
                format!("byte {offset}")
            })?;
        }
        Ok(())
    }),
    session("config-space-has-a-vendor", Spec, |c| {
        let reply = config_read(c, 0, 2)?;
        ensure(reply.get(16..18) != Some(&[0xff, 0xff]), || {
            "vendor ffff".into()
        })
    }),
    session("read-reply-repeats-the-request", Spec, |c| {
        let index = c.survey().config()?.index;
        let reply = c.accepted(read(index, 4, 2))?;
        let repeated = (reply.u64(0), reply.u32(8), reply.u32(12));
        ensure(repeated == (4, index, 2), || format!("{repeated:?}"))
    }),
    session("read-up-to-the-end-is-answered", Spec, |c| {
        all_readable(c, |c, index, size| {
            c.answered(read(index, size - 1, 1)).map(drop)
        })
    }),
    session("read-of-0-bytes-is-answered", Strict, |c| {
        all_readable(c, |c, index, _| read_any(c, index, 0, 0))
    }),
    session("read-of-0-bytes-at-the-end-is-answered", Strict, |c| {
        all_readable(c, |c, index, size| read_any(c, index, size, 0))
    }),
    session("read-of-any-width-is-answered", Strict, |c| {
        all_readable(c, |c, index, size| {
            (1..=17)
                .filter(|width| *width <= size)
                .try_for_each(|width| read_any(c, index, 0, u32::try_from(width).unwrap_or(1)))
        })
    }),
    session("read-at-any-alignment-is-answered", Strict, |c| {
        all_readable(c, |c, index, size| {
            (0..8).filter(|at| at + 8 <= size).try_for_each(|at| {
                [1, 2, 4, 8]
                    .into_iter()
                    .try_for_each(|width| read_any(c, index, at, width))
            })
        })
    }),
    session("read-of-4096-bytes-is-answered", Strict, |c| {
        all_readable(c, |c, index, size| match size >= 4096 {
            true => read_any(c, index, 0, 4096),
            false => Ok(()),
        })
    }),
    session("read-of-the-most-bytes-is-answered", Strict, |c| {
        let most = c.survey().transfer();
        all_readable(c, |c, index, size| match size >= u64::from(most) {
            true => read_any(c, index, 0, most),
            false => Ok(()),
        })
    }),
    session(
        "read-of-more-than-max-data-xfer-size-is-refused",
        Spec,
        |c| {
            let most = c.survey().transfer();
            all_readable(c, |c, index, _| {
                c.refused(read(index, 0, most.saturating_add(1))).map(drop)
            })
        },
    ),
    session("read-of-4294967295-bytes-is-refused", Strict, |c| {
        all_readable(c, |c, index, _| {
            c.refused(read(index, 0, u32::MAX)).map(drop)
        })
    }),
    session("read-of-4-gib-less-32-bytes-is-refused", Strict, |c| {
        all_readable(c, |c, index, _| {
            c.refused(read(index, 0, u32::MAX - 31)).map(drop)
        })
    }),
    session("read-behind-the-end-is-refused", Strict, |c| {
        all_readable(c, |c, index, size| {
            c.refused(read(index, size, 1)).map(drop)
        })
    }),
    session("read-across-the-end-is-refused", Strict, |c| {
        all_readable(c, |c, index, size| {
            c.refused(read(index, size - 1, 2)).map(drop)
        })
    }),
    session("read-at-the-largest-offset-is-refused", Strict, |c| {
        all_readable(c, |c, index, _| {
            c.refused(read(index, u64::MAX, 1)).map(drop)
        })
    }),
    session("read-whose-end-overflows-is-refused", Strict, |c| {
        all_readable(c, |c, index, _| {
            c.refused(read(index, u64::MAX - 3, 8)).map(drop)
        })
    }),
    session("read-of-a-region-behind-the-last-is-refused", Spec, |c| {
        let index = c.survey().region_count();
        c.refused(read(index, 0, 4)).map(drop)
    }),
    session("read-of-region-4294967295-is-refused", Spec, |c| {
        c.refused(read(u32::MAX, 0, 4)).map(drop)
    }),
    session("read-of-an-empty-region-is-refused", Spec, |c| {
        let index = empty(c)?;
        c.refused(read(index, 0, 4)).map(drop)
    }),
    session("read-of-an-unreadable-region-is-refused", Spec, |c| {
        let survey = c.survey();
        let region = survey.region("without the right to read", |r| {
            r.size > 0 && r.flags & READ == 0
        })?;
        c.refused(read(region.index, 0, 1)).map(drop)
    }),
    session("read-without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::REGION_READ)).map(drop)
    }),
    session("read-cut-short-by-a-byte-is-refused", Strict, |c| {
        let index = c.survey().readable()?.index;
        c.refused(read(index, 0, 1).length(15)).map(drop)
    }),
    session("read-with-8-bytes-too-many-stays-in-step", Strict, |c| {
        let index = c.survey().readable()?.index;
        c.answered(read(index, 0, 1).length(24)).map(drop)
    }),
    session("read-with-no-reply-is-silent", Spec, |c| {
        let index = c.survey().readable()?.index;
        c.silent(read(index, 0, 4).no_reply())?;
        c.silent(read(u32::MAX, 0, 4).no_reply())
    }),
    session("write-is-accepted", Spec, |c| {
        let (index, data) = line(c)?;
        c.accepted(write(index, INTERRUPT_LINE, &data)).map(drop)
    }),
    session("write-reply-repeats-the-request-without-data", Spec, |c| {
        let (index, data) = line(c)?;
        let reply = c.accepted(write(index, INTERRUPT_LINE, &data))?;
        let repeated = (
            reply.u64(0),
            reply.u32(8),
            reply.u32(12),
            reply.payload.len(),
        );
        ensure(repeated == (INTERRUPT_LINE, index, 1, 16), || {
            format!("{repeated:?}")
        })
    }),
    session("write-of-config-space-as-it-is-is-answered", Strict, |c| {
        // All of these bytes are read-only or already have this value.
        let index = c.survey().config()?.index;
        let header = config_read(c, 0, 4)?;
        c.answered(write(index, 0, header.get(16..).unwrap_or_default()))
            .map(drop)
    }),
    session("write-with-no-reply-is-silent", Spec, |c| {
        let (index, data) = line(c)?;
        c.silent(write(index, INTERRUPT_LINE, &data).no_reply())
    }),
    session(
        "100-writes-with-no-reply-and-a-read-have-one-reply",
        Qemu,
        |c| {
            let (index, data) = line(c)?;
            for _ in 0..100 {
                c.send(write(index, INTERRUPT_LINE, &data).no_reply())?;
            }
            c.accepted(read(index, INTERRUPT_LINE, 1)).map(drop)
        },
    ),
    session("refused-write-with-no-reply-is-silent", Strict, |c| {
        c.silent(write(u32::MAX, 0, &[0; 4]).no_reply())?;
        let region = c.survey().writable()?.index;
        c.silent(write(region, u64::MAX, &[0; 4]).no_reply())?;
        c.silent(write_counting(region, 0, 4, &[0; 9]).no_reply())
    }),
    session("write-of-0-bytes-is-answered", Strict, |c| {
        let index = c.survey().writable()?.index;
        c.answered(write(index, 0, &[])).map(drop)
    }),
    session("write-with-less-data-than-count-is-refused", Strict, |c| {
        let index = c.survey().writable()?.index;
        c.refused(write_counting(index, 0, 4, &[0; 3])).map(drop)
    }),
    session("write-with-more-data-than-count-is-refused", Strict, |c| {
        let index = c.survey().writable()?.index;
        c.refused(write_counting(index, 0, 4, &[0; 5])).map(drop)
    }),
    session("write-with-count-0-and-data-is-refused", Strict, |c| {
        let index = c.survey().writable()?.index;
        c.refused(write_counting(index, 0, 0, &[0; 8])).map(drop)
    }),
    session("write-with-count-4294967295-is-refused", Strict, |c| {
        let index = c.survey().writable()?.index;
        c.refused(write_counting(index, 0, u32::MAX, &[0; 8]))
            .map(drop)
    }),
    session(
        "write-with-count-that-overflows-the-size-is-refused",
        Strict,
        |c| {
            let index = c.survey().writable()?.index;
            c.refused(write_counting(index, 0, u32::MAX - 31, &[]))
                .map(drop)
        },
    ),
    session(
        "write-to-a-region-behind-the-last-is-refused-and-drained",
        Strict,
        |c| {
            let index = c.survey().region_count();
            c.refused(write(index, 0, &[0; 64])).map(drop)
        },
    ),
    session(
        "write-to-region-4294967295-is-refused-and-drained",
        Strict,
        |c| c.refused(write(u32::MAX, 0, &[0; 8])).map(drop),
    ),
    session(
        "write-to-an-empty-region-is-refused-and-drained",
        Strict,
        |c| {
            let index = empty(c)?;
            c.refused(write(index, 0, &[0; 8])).map(drop)
        },
    ),
    session("write-behind-the-end-is-refused-and-drained", Strict, |c| {
        all_writable(c, |c, index, size| {
            c.refused(write(index, size, &[0; 4])).map(drop)
        })
    }),
    session("write-across-the-end-is-refused-and-drained", Strict, |c| {
        all_writable(c, |c, index, size| {
            c.refused(write(index, size - 1, &[0; 4])).map(drop)
        })
    }),
    session(
        "write-at-the-largest-offset-is-refused-and-drained",
        Strict,
        |c| {
            all_writable(c, |c, index, _| {
                c.refused(write(index, u64::MAX, &[0; 4])).map(drop)
            })
        },
    ),
    session("write-whose-end-overflows-is-refused", Strict, |c| {
        all_writable(c, |c, index, _| {
            c.refused(write(index, u64::MAX - 3, &[0; 8])).map(drop)
        })
    }),
    session("write-to-an-unwritable-region-is-refused", Spec, |c| {
        let survey = c.survey();
        let region = survey.region("without the right to write", |r| {
            r.size > 0 && r.flags & WRITE == 0
        })?;
        c.refused(write(region.index, 0, &[0; 4])).map(drop)
    }),
    session(
        "write-of-the-most-bytes-is-refused-and-drained-where-they-do-not-fit",
        Strict,
        |c| {
            let survey = c.survey();
            let most = survey.transfer() as usize;
            let config = survey.config()?.index;
            c.refused(write(config, 0, &vec![0; most])).map(drop)
        },
    ),
    session(
        "write-of-more-than-max-data-xfer-size-is-refused-or-closed",
        Spec,
        |c| {
            let survey = c.survey();
            let most = survey.transfer() as usize;
            let sent = c.send(write(
                survey.writable()?.index,
                0,
                &vec![0; most.saturating_add(1)],
            ))?;
            c.refused_or_closed(sent)
        },
    ),
    session("write-without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::REGION_WRITE)).map(drop)
    }),
    session("write-cut-short-by-a-byte-is-refused", Strict, |c| {
        let index = c.survey().writable()?.index;
        c.refused(write(index, 0, &[]).length(15)).map(drop)
    }),
];

/// Reads configuration space. Fails unless the reply has all requested bytes.
fn config_read(client: &mut Client, offset: u64, count: u32) -> Outcome<Vec<u8>> {
    let index = client.survey().config()?.index;
    let reply = client.accepted(read(index, offset, count))?;
    complete(&reply, count)?;
    Ok(reply.payload)
}

/// Reads a region. The server may refuse, but a reply must have all requested bytes.
fn read_any(client: &mut Client, index: u32, offset: u64, count: u32) -> Outcome {
    let reply = client.answered(read(index, offset, count))?;
    if reply.is_error() {
        Ok(())
    } else {
        complete(&reply, count)
    }
}

fn complete(reply: &Message, count: u32) -> Outcome {
    let wanted = 16_usize.saturating_add(count as usize);
    ensure(
        reply.payload.len() == wanted && reply.u32(12) == count,
        || {
            format!(
                "{} bytes of payload with count {} for a read of {count}",
                reply.payload.len(),
                reply.u32(12)
            )
        },
    )
}

/// Returns the index of configuration space and the value of its interrupt line.
fn line(client: &mut Client) -> Outcome<(u32, [u8; 1])> {
    let index = client.survey().config()?.index;
    let value = config_read(client, INTERRUPT_LINE, 1)?;
    Ok((index, [value.get(16).copied().unwrap_or(0)]))
}

fn empty(client: &Client) -> Outcome<u32> {
    let survey = client.survey();
    Ok(survey.region("is empty", |region| region.size == 0)?.index)
}

/// Calls a check with index and size of each readable region.
fn all_readable(
    client: &mut Client,
    check: impl FnMut(&mut Client, u32, u64) -> Outcome,
) -> Outcome {
    client.survey().readable()?;
    all(client, READ, check)
}

/// Calls a check with index and size of each writable region.
fn all_writable(
    client: &mut Client,
    check: impl FnMut(&mut Client, u32, u64) -> Outcome,
) -> Outcome {
    client.survey().writable()?;
    all(client, WRITE, check)
}

fn all(
    client: &mut Client,
    right: u32,
    mut check: impl FnMut(&mut Client, u32, u64) -> Outcome,
) -> Outcome {
    let survey = client.survey();
    survey
        .regions
        .iter()
        .filter(|region| region.size > 0 && region.flags & right != 0)
        .try_for_each(|region| {
            check(client, region.index, region.size)
                .map_err(|stop| stop.at(format_args!("region {}", region.index)))
        })
}
