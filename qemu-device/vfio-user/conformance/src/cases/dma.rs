// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! DMA_MAP and DMA_UNMAP. The cases detect a mapping by the refusal to map over it.

use rustix::io::Errno;
use vfio_bindings::bindings::vfio::VFIO_DMA_UNMAP_FLAG_ALL as ALL;

use crate::case::Basis::{Qemu, Spec, Strict};
use crate::case::{session, Case};
use crate::client::Client;
use crate::outcome::{ensure, Outcome};
use crate::requests::{
    self, dma_map, dma_map_raw, dma_unmap, duplicate, memory, unsealed_memory, READ_WRITE,
};
use crate::tripwire::Tripwire;
use crate::wire::{command, Request, PAGE};

/// Address of the cases' mappings.
const BASE: u64 = 0x1_0000_0000;
/// First address of the last page.
const LAST_PAGE: u64 = u64::MAX - (PAGE - 1);

pub(super) const CASES: &[Case] = &[
    session("map-with-file-is-accepted", Spec, |c| {
        c.accepted(dma_map(BASE, 4 * PAGE).fd(memory(4 * PAGE)?))
            .map(drop)
    }),
    session("map-without-file-is-accepted", Spec, |c| {
        c.accepted(dma_map(BASE, PAGE)).map(drop)
    }),
    session("map-reply-has-no-payload", Spec, |c| {
        let reply = c.accepted(dma_map(BASE, PAGE))?;
        ensure(reply.payload.is_empty(), || {
            format!("{} bytes", reply.payload.len())
        })
    }),
    session("map-at-file-offset-is-accepted", Spec, |c| {
        c.accepted(dma_map_raw(READ_WRITE, 2 * PAGE, BASE, PAGE).fd(memory(3 * PAGE)?))
            .map(drop)
    }),
    session("map-read-only-is-accepted", Spec, |c| {
        c.accepted(dma_map_raw(1, 0, BASE, PAGE).fd(memory(PAGE)?))
            .map(drop)
    }),
    session("map-write-only-is-accepted", Spec, |c| {
        c.accepted(dma_map_raw(2, 0, BASE, PAGE).fd(memory(PAGE)?))
            .map(drop)
    }),
    session("map-without-any-right-is-answered", Strict, |c| {
        c.answered(dma_map_raw(0, 0, BASE, PAGE).fd(memory(PAGE)?))
            .map(drop)
    }),
    session("map-at-address-0-is-accepted", Qemu, |c| {
        c.accepted(dma_map(0, PAGE).fd(memory(PAGE)?)).map(drop)
    }),
    session("map-of-the-last-page-is-accepted", Strict, |c| {
        c.accepted(dma_map(LAST_PAGE, PAGE)).map(drop)
    }),
    session("map-next-to-another-is-accepted", Spec, |c| {
        c.accepted(dma_map(BASE, PAGE))?;
        c.accepted(dma_map(BASE + PAGE, PAGE))?;
        c.accepted(dma_map(BASE - PAGE, PAGE)).map(drop)
    }),
    session("map-of-one-file-at-100-addresses-is-accepted", Qemu, |c| {
        let file = memory(PAGE)?;
        (0..100).try_for_each(|n| {
            c.accepted(dma_map(BASE + n * 2 * PAGE, PAGE).fd(duplicate(&file)?))
                .map(drop)
        })
    }),
    session("map-with-unknown-flag-bit-4-is-refused", Strict, |c| {
        c.refused(dma_map_raw(READ_WRITE | 1 << 4, 0, BASE, PAGE))
            .map(drop)
    }),
    session("map-with-unknown-flag-bit-31-is-refused", Strict, |c| {
        c.refused(dma_map_raw(READ_WRITE | 1 << 31, 0, BASE, PAGE))
            .map(drop)
    }),
    session("map-of-size-0-is-refused", Strict, |c| {
        c.refused(dma_map(BASE, 0)).map(drop)
    }),
    session("map-of-half-a-page-is-refused", Strict, |c| {
        c.refused(dma_map(BASE, PAGE / 2)).map(drop)
    }),
    session("map-of-a-page-and-a-byte-is-refused", Strict, |c| {
        c.refused(dma_map(BASE, PAGE + 1)).map(drop)
    }),
    session("map-at-unaligned-address-is-refused", Strict, |c| {
        c.refused(dma_map(BASE + 8, PAGE)).map(drop)
    }),
    session("map-at-unaligned-file-offset-is-refused", Strict, |c| {
        c.refused(dma_map_raw(READ_WRITE, 8, BASE, PAGE).fd(memory(2 * PAGE)?))
            .map(drop)
    }),
    session("map-beyond-the-top-of-addresses-is-refused", Strict, |c| {
        c.refused(dma_map(LAST_PAGE, 2 * PAGE)).map(drop)
    }),
    session("map-of-all-64-bits-of-size-is-refused", Strict, |c| {
        c.refused(dma_map(BASE, LAST_PAGE)).map(drop)
    }),
    session("map-beyond-the-end-of-the-file-is-refused", Strict, |c| {
        c.refused(dma_map(BASE, 2 * PAGE).fd(memory(PAGE)?))
            .map(drop)
    }),
    session("map-behind-the-end-of-the-file-is-refused", Strict, |c| {
        c.refused(dma_map_raw(READ_WRITE, PAGE, BASE, PAGE).fd(memory(PAGE)?))
            .map(drop)
    }),
    session("map-with-offset-that-overflows-is-refused", Strict, |c| {
        c.refused(dma_map_raw(READ_WRITE, LAST_PAGE, BASE, 2 * PAGE).fd(memory(PAGE)?))
            .map(drop)
    }),
    session("map-with-offset-beyond-63-bits-is-refused", Strict, |c| {
        c.refused(dma_map_raw(READ_WRITE, 1 << 63, BASE, PAGE).fd(memory(PAGE)?))
            .map(drop)
    }),
    session("map-of-an-empty-file-is-refused", Strict, |c| {
        c.refused(dma_map(BASE, PAGE).fd(memory(0)?)).map(drop)
    }),
    session("map-with-two-files-is-refused", Spec, |c| {
        c.refused(dma_map(BASE, PAGE).fd(memory(PAGE)?).fd(memory(PAGE)?))
            .map(drop)
    }),
    session("map-of-a-pipe-is-refused-and-closed", Strict, |c| {
        let (wire, fd) = Tripwire::new()?;
        c.refused(dma_map(BASE, PAGE).fd(fd))?;
        wire.closed(c.timeout())
    }),
    session("map-of-an-eventfd-is-refused", Strict, |c| {
        c.refused(dma_map(BASE, PAGE).fd(requests::event()?))
            .map(drop)
    }),
    session("map-refused-for-its-flags-closes-the-file", Strict, |c| {
        let (wire, fd) = Tripwire::new()?;
        c.refused(dma_map_raw(1 << 31, 0, BASE, PAGE).fd(fd))?;
        wire.closed(c.timeout())
    }),
    session("map-with-two-files-closes-both", Strict, |c| {
        let (wire, fds) = Tripwire::many(2)?;
        c.refused(dma_map(BASE, PAGE).fds(fds))?;
        wire.closed(c.timeout())
    }),
    session(
        "map-over-the-same-range-is-refused-with-eexist",
        Spec,
        |c| overlap(c, BASE, 4 * PAGE),
    ),
    session("map-over-the-start-is-refused-with-eexist", Spec, |c| {
        overlap(c, BASE - PAGE, 2 * PAGE)
    }),
    session("map-over-the-end-is-refused-with-eexist", Spec, |c| {
        overlap(c, BASE + 3 * PAGE, 2 * PAGE)
    }),
    session("map-over-the-inside-is-refused-with-eexist", Spec, |c| {
        overlap(c, BASE + PAGE, PAGE)
    }),
    session("map-around-another-is-refused-with-eexist", Spec, |c| {
        overlap(c, BASE - PAGE, 6 * PAGE)
    }),
    session("map-over-the-last-page-is-refused-with-eexist", Spec, |c| {
        c.accepted(dma_map(LAST_PAGE, PAGE))?;
        c.refused_with(dma_map(LAST_PAGE, PAGE), Errno::EXIST)
    }),
    session("map-refused-for-overlap-leaves-the-old-one", Strict, |c| {
        c.accepted(dma_map(BASE, 4 * PAGE))?;
        c.refused(dma_map(BASE - PAGE, 2 * PAGE))?;
        reaches_mapped(c, BASE, PAGE)?;
        c.accepted(dma_map(BASE - PAGE, PAGE)).map(drop)
    }),
    session("map-refused-for-its-file-leaves-nothing", Strict, |c| {
        c.refused(dma_map(BASE, 2 * PAGE).fd(memory(PAGE)?))?;
        c.accepted(dma_map(BASE, PAGE).fd(memory(PAGE)?)).map(drop)
    }),
    session("map-with-argsz-31-is-refused", Strict, |c| {
        c.refused(dma_map(BASE, PAGE).with_u32(0, 31)).map(drop)
    }),
    session("map-with-argsz-0-is-refused", Strict, |c| {
        c.refused(dma_map(BASE, PAGE).with_u32(0, 0)).map(drop)
    }),
    session("map-without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::DMA_MAP)).map(drop)
    }),
    session("map-cut-short-by-a-byte-is-refused", Strict, |c| {
        c.refused(dma_map(BASE, PAGE).length(31)).map(drop)
    }),
    session("map-with-8-bytes-too-many-stays-in-step", Strict, |c| {
        c.answered(dma_map(BASE, PAGE).length(40)).map(drop)
    }),
    session("map-with-no-reply-is-carried-out-silently", Spec, |c| {
        c.silent(dma_map(BASE, PAGE).no_reply())?;
        reaches_mapped(c, BASE, 2 * PAGE)
    }),
    session("map-refused-with-no-reply-is-silent", Strict, |c| {
        c.silent(dma_map(BASE, 0).no_reply())?;
        c.silent(dma_map(BASE, PAGE).fd(memory(0)?).no_reply())
    }),
    session(
        "map-of-a-read-only-file-for-writing-is-answered",
        Strict,
        |c| {
            let file = std::fs::File::open("/proc/self/exe");
            let file = crate::outcome::local(file, "opening a file")?;
            c.answered(dma_map(BASE, PAGE).fd(file)).map(drop)
        },
    ),
    session("file-truncated-under-a-mapping-does-no-harm", Strict, |c| {
        let file = unsealed_memory(16 * PAGE)?;
        c.answered(dma_map(BASE, 16 * PAGE).fd(duplicate(&file)?))?;
        crate::outcome::local(rustix::fs::ftruncate(&file, 0), "ftruncate")?;
        c.alive()?;
        c.answered(dma_unmap(0, BASE, 16 * PAGE)).map(drop)
    }),
    session(
        "maps-up-to-the-limit-are-accepted-and-one-more-is-refused",
        Spec,
        |c| {
            let most = c.survey().dma_maps();
            if most > 100_000 {
                return crate::outcome::skip(format!("max_dma_maps is {most}"));
            }
            for n in 0..most.saturating_sub(1) {
                c.send(dma_map(BASE + n * PAGE, PAGE).no_reply())?;
                if n % 1024 == 0 {
                    c.alive()?;
                }
            }
            c.accepted(dma_map(BASE + (most - 1) * PAGE, PAGE))?;
            c.refused(dma_map(BASE - PAGE, PAGE))?;
            c.accepted(dma_unmap(ALL, 0, 0))?;
            c.accepted(dma_map(BASE - PAGE, PAGE)).map(drop)
        },
    ),
    session("unmap-is-accepted-and-frees-the-range", Spec, |c| {
        c.accepted(dma_map(BASE, PAGE).fd(memory(PAGE)?))?;
        c.accepted(dma_unmap(0, BASE, PAGE))?;
        c.accepted(dma_map(BASE, PAGE)).map(drop)
    }),
    session(
        "unmap-with-the-file-of-the-mapping-is-answered",
        Strict,
        |c| {
            // SPDK's client sends it. Whether it is accepted is the server's choice.
            let file = memory(PAGE)?;
            c.accepted(dma_map(BASE, PAGE).fd(duplicate(&file)?))?;
            c.answered(dma_unmap(0, BASE, PAGE).fd(file))?;
            c.alive()
        },
    ),
    session("unmap-reply-repeats-the-request", Spec, |c| {
        c.accepted(dma_map(BASE, PAGE))?;
        let request = dma_unmap(0, BASE, PAGE);
        let payload = request.payload.clone();
        let reply = c.accepted(request)?;
        ensure(reply.payload == payload, || format!("{:?}", reply.payload))
    }),
    session("unmap-of-several-at-once-is-accepted", Qemu, |c| {
        three(c)?;
        c.accepted(dma_unmap(0, BASE, 5 * PAGE))?;
        c.accepted(dma_map(BASE, 5 * PAGE)).map(drop)
    }),
    session("unmap-leaves-what-is-beside-the-range", Strict, |c| {
        three(c)?;
        c.accepted(dma_unmap(0, BASE, 3 * PAGE))?;
        c.accepted(dma_map(BASE, 3 * PAGE))?;
        reaches_mapped(c, BASE + 4 * PAGE, 2 * PAGE)
    }),
    session("unmap-of-nothing-is-answered", Qemu, |c| {
        c.answered(dma_unmap(0, BASE, PAGE)).map(drop)
    }),
    session(
        "unmap-that-would-split-off-the-end-splits-nothing",
        Strict,
        |c| split(c, BASE + 2 * PAGE, 2 * PAGE),
    ),
    session(
        "unmap-that-would-split-off-the-start-splits-nothing",
        Strict,
        |c| split(c, BASE, 2 * PAGE),
    ),
    session("unmap-that-would-make-a-hole-splits-nothing", Strict, |c| {
        split(c, BASE + PAGE, PAGE)
    }),
    session(
        "unmap-that-would-split-one-of-several-is-refused-whole",
        Strict,
        |c| {
            c.accepted(dma_map(BASE, PAGE))?;
            c.accepted(dma_map(BASE + PAGE, 2 * PAGE))?;
            c.refused(dma_unmap(0, BASE, 2 * PAGE))?;
            reaches_mapped(c, BASE - PAGE, 2 * PAGE)?;
            reaches_mapped(c, BASE + 2 * PAGE, 2 * PAGE)
        },
    ),
    session("unmap-that-would-split-is-refused", Strict, |c| {
        c.accepted(dma_map(BASE, 4 * PAGE))?;
        c.refused(dma_unmap(0, BASE, PAGE)).map(drop)
    }),
    session("unmap-all-is-accepted-and-frees-everything", Qemu, |c| {
        three(c)?;
        c.accepted(dma_map(LAST_PAGE, PAGE))?;
        c.accepted(dma_map(0, PAGE))?;
        c.accepted(dma_unmap(ALL, 0, 0))?;
        c.accepted(dma_map(0, BASE + 5 * PAGE))?;
        c.accepted(dma_map(LAST_PAGE, PAGE)).map(drop)
    }),
    session("unmap-all-of-nothing-is-accepted", Qemu, |c| {
        c.accepted(dma_unmap(ALL, 0, 0)).map(drop)
    }),
    session("unmap-all-with-a-size-is-refused", Strict, |c| {
        c.refused(dma_unmap(ALL, 0, PAGE)).map(drop)
    }),
    session("unmap-all-with-an-address-is-refused", Strict, |c| {
        c.refused(dma_unmap(ALL, BASE, 0)).map(drop)
    }),
    session("unmap-with-unknown-flag-is-refused", Strict, |c| {
        c.accepted(dma_map(BASE, PAGE))?;
        c.refused(dma_unmap(1 << 31, BASE, PAGE))?;
        reaches_mapped(c, BASE, 2 * PAGE)
    }),
    session("unmap-of-size-0-is-refused", Strict, |c| {
        c.refused(dma_unmap(0, BASE, 0)).map(drop)
    }),
    session("unmap-of-the-last-page-frees-it", Strict, |c| {
        c.accepted(dma_map(LAST_PAGE, PAGE))?;
        c.accepted(dma_unmap(0, LAST_PAGE, PAGE))?;
        c.accepted(dma_map(LAST_PAGE, PAGE)).map(drop)
    }),
    session("unmap-beyond-the-top-of-addresses-is-answered", Qemu, |c| {
        c.accepted(dma_map(BASE, PAGE))?;
        c.answered(dma_unmap(0, BASE, LAST_PAGE)).map(drop)
    }),
    session("unmap-of-the-largest-size-is-answered", Qemu, |c| {
        c.answered(dma_unmap(0, 0, u64::MAX)).map(drop)
    }),
    session("unmap-with-argsz-23-is-refused", Strict, |c| {
        c.accepted(dma_map(BASE, PAGE))?;
        c.refused(dma_unmap(0, BASE, PAGE).with_u32(0, 23))?;
        reaches_mapped(c, BASE, 2 * PAGE)
    }),
    session("unmap-cut-short-by-a-byte-is-refused", Strict, |c| {
        c.refused(dma_unmap(0, BASE, PAGE).length(23)).map(drop)
    }),
    session("unmap-without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::DMA_UNMAP)).map(drop)
    }),
    session("unmap-with-8-bytes-too-many-stays-in-step", Strict, |c| {
        c.answered(dma_unmap(0, BASE, PAGE).length(32)).map(drop)
    }),
    session("unmap-with-no-reply-is-carried-out-silently", Spec, |c| {
        c.accepted(dma_map(BASE, PAGE))?;
        c.silent(dma_unmap(0, BASE, PAGE).no_reply())?;
        c.accepted(dma_map(BASE, PAGE)).map(drop)
    }),
    session("unmap-refused-with-no-reply-is-silent", Strict, |c| {
        c.silent(dma_unmap(1 << 31, BASE, PAGE).no_reply())
    }),
];

/// Fails unless the range, which is not that of a mapping, reaches into one. A server that has another
/// error for that, or accepts a mapping again as it is, fails the cases about `EEXIST` alone.
pub(super) fn reaches_mapped(client: &mut Client, address: u64, size: u64) -> Outcome {
    client.refused(dma_map(address, size)).map(drop)
}

/// Maps four pages at `BASE`. Fails unless the server then refuses to map the given range.
fn overlap(client: &mut Client, address: u64, size: u64) -> Outcome {
    client.accepted(dma_map(BASE, 4 * PAGE))?;
    client.refused_with(dma_map(address, size), Errno::EXIST)
}

/// Maps four pages at `BASE`. Fails unless all of them are still there after an unmap of a part.
fn split(client: &mut Client, address: u64, size: u64) -> Outcome {
    client.accepted(dma_map(BASE, 4 * PAGE))?;
    client.answered(dma_unmap(0, address, size))?;
    (0..4).try_for_each(|page| reaches_mapped(client, BASE + page * PAGE, PAGE))
}

/// Maps three single pages, with a page between two of them.
fn three(client: &mut Client) -> Outcome {
    [0, 2, 4]
        .into_iter()
        .try_for_each(|page| client.accepted(dma_map(BASE + page * PAGE, PAGE)).map(drop))
}
