// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! DEVICE_SET_IRQS.

use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::event::PollFlags;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_INFO_MASKABLE as MASKABLE, VFIO_IRQ_SET_ACTION_MASK as MASK,
    VFIO_IRQ_SET_ACTION_TRIGGER as TRIGGER, VFIO_IRQ_SET_ACTION_UNMASK as UNMASK,
    VFIO_IRQ_SET_DATA_BOOL as BOOL, VFIO_IRQ_SET_DATA_EVENTFD as EVENTFD,
    VFIO_IRQ_SET_DATA_NONE as NONE, VFIO_PCI_ERR_IRQ_INDEX, VFIO_PCI_REQ_IRQ_INDEX,
};

use crate::case::Basis::{Qemu, Spec, Strict};
use crate::case::{session, Case};
use crate::client::{wait, Client};
use crate::outcome::{ensure, local, skip, Outcome};
use crate::requests::{duplicate, event, memory, set_irqs, set_irqs_bool};
use crate::tripwire::{EventTripwire, Tripwire};
use crate::wire::{command, Request};

/// Flags of QEMU's requests to connect eventfds.
const CONNECT: u32 = EVENTFD | TRIGGER;

pub(super) const CASES: &[Case] = &[
    session("one-eventfd-is-connected", Spec, |c| {
        let irq = c.survey().irq(1)?.index;
        c.accepted(set_irqs(irq, CONNECT, 0, 1).fd(event()?))
            .map(drop)
    }),
    session("every-interrupt-can-be-connected-in-turn", Qemu, |c| {
        let irq = c.survey().irq(1)?;
        (0..irq.count).try_for_each(|n| {
            c.accepted(set_irqs(irq.index, CONNECT, n, 1).fd(event()?))
                .map(drop)
        })
    }),
    session("as-many-as-max-msg-fds-are-connected-at-once", Qemu, |c| {
        let survey = c.survey();
        let irq = survey.irq(1)?;
        let count = irq.count.min(survey.message_fds());
        let fds = events(count)?;
        c.accepted(set_irqs(irq.index, CONNECT, 0, count).fds(fds))
            .map(drop)
    }),
    session("last-interrupt-is-connected", Spec, |c| {
        let irq = c.survey().irq(1)?;
        c.accepted(set_irqs(irq.index, CONNECT, irq.count - 1, 1).fd(event()?))
            .map(drop)
    }),
    session("connected-one-is-connected-again", Qemu, |c| {
        let irq = c.survey().irq(1)?.index;
        c.accepted(set_irqs(irq, CONNECT, 0, 1).fd(event()?))?;
        c.accepted(set_irqs(irq, CONNECT, 0, 1).fd(event()?))
            .map(drop)
    }),
    session("no-eventfd-disconnects", Spec, |c| {
        let irq = c.survey().irq(1)?.index;
        c.accepted(set_irqs(irq, CONNECT, 0, 1).fd(event()?))?;
        c.accepted(set_irqs(irq, CONNECT, 0, 1)).map(drop)
    }),
    session("no-eventfd-disconnects-all-in-one-message", Qemu, |c| {
        let irq = c.survey().irq(1)?;
        c.accepted(set_irqs(irq.index, CONNECT, 0, irq.count))
            .map(drop)
    }),
    session("count-0-disables-the-type", Spec, |c| {
        let irq = c.survey().irq(1)?.index;
        c.accepted(set_irqs(irq, CONNECT, 0, 1).fd(event()?))?;
        c.accepted(set_irqs(irq, NONE | TRIGGER, 0, 0)).map(drop)
    }),
    session("count-0-disables-an-idle-type", Qemu, |c| {
        let irq = c.survey().irq(1)?.index;
        c.accepted(set_irqs(irq, NONE | TRIGGER, 0, 0)).map(drop)
    }),
    session("reply-has-no-payload", Spec, |c| {
        let irq = c.survey().irq(1)?.index;
        let reply = c.accepted(set_irqs(irq, NONE | TRIGGER, 0, 0))?;
        ensure(reply.payload.is_empty(), || {
            format!("{} bytes", reply.payload.len())
        })
    }),
    session("trigger-by-none-signals-the-eventfd", Spec, |c| {
        triggered(c, |irq| set_irqs(irq, NONE | TRIGGER, 0, 1), true)
    }),
    session("trigger-by-bool-1-signals-the-eventfd", Spec, |c| {
        triggered(
            c,
            |irq| set_irqs_bool(irq, BOOL | TRIGGER, 0, 1, &[1]),
            true,
        )
    }),
    session("trigger-by-bool-0-does-not-signal", Spec, |c| {
        triggered(
            c,
            |irq| set_irqs_bool(irq, BOOL | TRIGGER, 0, 1, &[0]),
            false,
        )
    }),
    session("trigger-after-disconnecting-does-not-signal", Spec, |c| {
        let irq = c.survey().irq(1)?.index;
        let event = connect(c, irq)?;
        c.accepted(set_irqs(irq, CONNECT, 0, 1))?;
        c.answered(set_irqs(irq, NONE | TRIGGER, 0, 1))?;
        signalled(&event, c, false)
    }),
    session("trigger-after-disabling-does-not-signal", Spec, |c| {
        let irq = c.survey().irq(1)?.index;
        let event = connect(c, irq)?;
        c.accepted(set_irqs(irq, NONE | TRIGGER, 0, 0))?;
        c.answered(set_irqs(irq, NONE | TRIGGER, 0, 1))?;
        signalled(&event, c, false)
    }),
    session(
        "refused-request-leaves-the-eventfd-connected",
        Strict,
        |c| {
            let irq = c.survey().irq(1)?;
            let old = connect(c, irq.index)?;
            let count = irq.count.saturating_add(1);
            c.refused(set_irqs(irq.index, CONNECT, 0, count).fd(event()?))?;
            trigger(c, irq.index)?;
            signalled(&old, c, true)
        },
    ),
    session("trigger-without-an-eventfd-stays-in-step", Strict, |c| {
        let irq = c.survey().irq(1)?.index;
        c.answered(set_irqs(irq, NONE | TRIGGER, 0, 1)).map(drop)
    }),
    session("trigger-of-a-full-eventfd-stays-in-step", Strict, |c| {
        let irq = c.survey().irq(1)?.index;
        let event = connect(c, irq)?;
        // The largest value: the server's next write would block.
        local(
            rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes()),
            "write",
        )?;
        c.answered(set_irqs(irq, NONE | TRIGGER, 0, 1)).map(drop)
    }),
    session(
        "trigger-of-a-full-blocking-eventfd-stays-in-step",
        Strict,
        |c| {
            let irq = c.survey().irq(1)?.index;
            let flags = rustix::event::EventfdFlags::CLOEXEC;
            let event = local(rustix::event::eventfd(0, flags), "eventfd")?;
            local(
                rustix::io::write(&event, &(u64::MAX - 1).to_ne_bytes()),
                "write",
            )?;
            c.accepted(set_irqs(irq, CONNECT, 0, 1).fd(event))?;
            c.answered(set_irqs(irq, NONE | TRIGGER, 0, 1)).map(drop)
        },
    ),
    session(
        "descriptor-other-than-an-eventfd-stays-in-step",
        Strict,
        |c| {
            let irq = c.survey().irq(1)?.index;
            c.answered(set_irqs(irq, CONNECT, 0, 1).fd(memory(4096)?))?;
            c.answered(set_irqs(irq, NONE | TRIGGER, 0, 1)).map(drop)
        },
    ),
    session("pipe-without-a-reader-does-no-harm", Strict, |c| {
        let irq = c.survey().irq(1)?.index;
        let (wire, fd) = Tripwire::new()?;
        drop(wire);
        c.answered(set_irqs(irq, CONNECT, 0, 1).fd(fd))?;
        c.answered(set_irqs(irq, NONE | TRIGGER, 0, 1)).map(drop)
    }),
    session("fewer-descriptors-than-count-are-refused", Spec, |c| {
        let irq = c.survey().irq(2)?.index;
        c.refused(set_irqs(irq, CONNECT, 0, 2).fd(event()?))
            .map(drop)
    }),
    session(
        "more-descriptors-than-count-are-refused-and-closed",
        Strict,
        |c| {
            let irq = c.survey().irq(1)?.index;
            let (wire, fds) = Tripwire::many(2)?;
            c.refused(set_irqs(irq, CONNECT, 0, 1).fds(fds))?;
            wire.closed(c.timeout())
        },
    ),
    session(
        "descriptors-with-none-are-refused-and-closed",
        Strict,
        |c| surplus(c, |irq| set_irqs(irq, NONE | TRIGGER, 0, 1)),
    ),
    session(
        "descriptors-with-bool-are-refused-and-closed",
        Strict,
        |c| surplus(c, |irq| set_irqs_bool(irq, BOOL | TRIGGER, 0, 1, &[0])),
    ),
    session(
        "descriptors-with-disable-are-refused-and-closed",
        Strict,
        |c| surplus(c, |irq| set_irqs(irq, NONE | TRIGGER, 0, 0)),
    ),
    session("descriptors-of-a-refused-range-are-closed", Strict, |c| {
        let irq = c.survey().irq(1)?;
        let (wire, fd) = Tripwire::new()?;
        c.refused(set_irqs(irq.index, CONNECT, irq.count, 1).fd(fd))?;
        wire.closed(c.timeout())
    }),
    session("descriptors-of-an-unknown-type-are-closed", Strict, |c| {
        let (wire, fd) = Tripwire::new()?;
        c.refused(set_irqs(u32::MAX, CONNECT, 0, 1).fd(fd))?;
        wire.closed(c.timeout())
    }),
    session("disconnected-eventfd-is-closed", Strict, |c| {
        released(c, |c, irq| {
            c.accepted(set_irqs(irq, CONNECT, 0, 1)).map(drop)
        })
    }),
    session("disabled-eventfd-is-closed", Strict, |c| {
        released(c, |c, irq| {
            c.accepted(set_irqs(irq, NONE | TRIGGER, 0, 0)).map(drop)
        })
    }),
    session("replaced-eventfd-is-closed", Strict, |c| {
        released(c, |c, irq| {
            c.accepted(set_irqs(irq, CONNECT, 0, 1).fd(event()?))
                .map(drop)
        })
    }),
    session("count-0-with-eventfd-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, CONNECT, 0, 0))
    }),
    session("count-0-with-bool-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, BOOL | TRIGGER, 0, 0))
    }),
    session("count-0-with-mask-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, NONE | MASK, 0, 0))
    }),
    session("count-0-with-a-start-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, NONE | TRIGGER, 1, 0))
    }),
    session("flags-0-are-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, 0, 0, 1))
    }),
    session("no-data-type-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, TRIGGER, 0, 1))
    }),
    session("no-action-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, EVENTFD, 0, 1))
    }),
    session("data-types-none-and-bool-are-refused", Strict, |c| {
        bad(c, |irq| {
            set_irqs_bool(irq, NONE | BOOL | TRIGGER, 0, 1, &[0])
        })
    }),
    session("data-types-none-and-eventfd-are-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, NONE | EVENTFD | TRIGGER, 0, 1))
    }),
    session("data-types-bool-and-eventfd-are-refused", Strict, |c| {
        bad(c, |irq| {
            set_irqs_bool(irq, BOOL | EVENTFD | TRIGGER, 0, 1, &[0])
        })
    }),
    session("actions-mask-and-unmask-are-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, NONE | MASK | UNMASK, 0, 1))
    }),
    session("actions-mask-and-trigger-are-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, NONE | MASK | TRIGGER, 0, 1))
    }),
    session("all-flags-are-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, 0x3f, 0, 1))
    }),
    session("unknown-flag-bit-6-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, CONNECT | 1 << 6, 0, 1))
    }),
    session("unknown-flag-bit-31-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, CONNECT | 1 << 31, 0, 1))
    }),
    session("type-behind-the-last-is-refused", Spec, |c| {
        let index = c.survey().irq_count();
        c.refused(set_irqs(index, CONNECT, 0, 1).fd(event()?))
            .map(drop)
    }),
    session("type-4294967295-is-refused", Spec, |c| {
        c.refused(set_irqs(u32::MAX, NONE | TRIGGER, 0, 0))
            .map(drop)
    }),
    session("type-without-interrupts-is-refused", Spec, |c| {
        let irq = c
            .survey()
            .irq_that("without interrupts", |irq| irq.count == 0)?;
        c.refused(set_irqs(irq.index, CONNECT, 0, 1).fd(event()?))
            .map(drop)
    }),
    session("start-behind-the-last-is-refused", Strict, |c| {
        let irq = c.survey().irq(1)?;
        c.refused(set_irqs(irq.index, CONNECT, irq.count, 1).fd(event()?))
            .map(drop)
    }),
    session("range-across-the-end-is-refused", Strict, |c| {
        let irq = c.survey().irq(1)?;
        c.refused(set_irqs(irq.index, CONNECT, irq.count - 1, 2).fds(events(2)?))
            .map(drop)
    }),
    session("range-that-overflows-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, CONNECT, u32::MAX, 2))
    }),
    session("count-4294967295-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, CONNECT, 0, u32::MAX))
    }),
    session("count-4294967295-with-bool-is-refused", Strict, |c| {
        bad(c, |irq| {
            set_irqs_bool(irq, BOOL | TRIGGER, 0, u32::MAX, &[1])
        })
    }),
    session("argsz-19-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, NONE | TRIGGER, 0, 0).with_u32(0, 19))
    }),
    session("argsz-0-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, NONE | TRIGGER, 0, 0).with_u32(0, 0))
    }),
    session("without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::SET_IRQS)).map(drop)
    }),
    session("cut-short-by-a-byte-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, NONE | TRIGGER, 0, 0).length(19))
    }),
    session("bool-without-its-data-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs(irq, BOOL | TRIGGER, 0, 1))
    }),
    session("bool-with-less-data-than-count-is-refused", Strict, |c| {
        let irq = c.survey().irq(2)?.index;
        c.refused(set_irqs_bool(irq, BOOL | TRIGGER, 0, 2, &[0]))
            .map(drop)
    }),
    session("bool-with-more-data-than-count-is-refused", Strict, |c| {
        bad(c, |irq| set_irqs_bool(irq, BOOL | TRIGGER, 0, 1, &[0; 9]))
    }),
    session(
        "bool-for-an-unknown-type-is-refused-and-drained",
        Strict,
        |c| {
            c.refused(set_irqs_bool(u32::MAX, BOOL | TRIGGER, 0, 8, &[0; 8]))
                .map(drop)
        },
    ),
    session("bool-with-4096-bytes-of-data-stays-in-step", Strict, |c| {
        bad(c, |irq| {
            set_irqs_bool(irq, BOOL | TRIGGER, 0, 4096, &[1; 4096])
        })
    }),
    session("data-with-none-stays-in-step", Strict, |c| {
        let irq = c.survey().irq(1)?.index;
        c.answered(set_irqs_bool(irq, NONE | TRIGGER, 0, 0, &[0; 5]))
            .map(drop)
    }),
    session("mask-of-an-unmaskable-type-is-refused", Spec, |c| {
        let irq = not_maskable(c)?;
        c.refused(set_irqs(irq, NONE | MASK, 0, 1)).map(drop)
    }),
    session("unmask-of-an-unmaskable-type-is-refused", Spec, |c| {
        let irq = not_maskable(c)?;
        c.refused(set_irqs(irq, NONE | UNMASK, 0, 1)).map(drop)
    }),
    session(
        "mask-and-unmask-of-a-maskable-type-are-accepted",
        Spec,
        |c| {
            let irq = c.survey().irq_that("that can be masked", |irq| {
                irq.count > 0 && irq.flags & MASKABLE != 0
            })?;
            c.accepted(set_irqs(irq.index, NONE | MASK, 0, 1))?;
            c.accepted(set_irqs(irq.index, NONE | UNMASK, 0, 1))
                .map(drop)
        },
    ),
    session("mask-of-the-error-interrupt-is-refused", Strict, |c| {
        only_trigger(c, VFIO_PCI_ERR_IRQ_INDEX)
    }),
    session("mask-of-the-request-interrupt-is-refused", Strict, |c| {
        only_trigger(c, VFIO_PCI_REQ_IRQ_INDEX)
    }),
    session("with-no-reply-is-carried-out-silently", Spec, |c| {
        let irq = c.survey().irq(1)?.index;
        let event = event()?;
        c.silent(
            set_irqs(irq, CONNECT, 0, 1)
                .fd(duplicate(&event)?)
                .no_reply(),
        )?;
        trigger(c, irq)?;
        signalled(&event, c, true)
    }),
    session("refused-with-no-reply-is-silent", Strict, |c| {
        let irq = c.survey().irq(1)?.index;
        c.silent(set_irqs(irq, 0, 0, 1).no_reply())?;
        c.silent(set_irqs(u32::MAX, CONNECT, 0, 1).fd(event()?).no_reply())?;
        c.silent(set_irqs_bool(irq, BOOL | TRIGGER, 0, 1, &[0; 7]).no_reply())
    }),
];

fn events(count: u32) -> Outcome<Vec<OwnedFd>> {
    (0..count).map(|_| event()).collect()
}

/// Fails unless the server refuses a request to the first interrupt type.
fn bad(client: &mut Client, request: impl Fn(u32) -> Request) -> Outcome {
    let irq = client.survey().irq(1)?.index;
    client.refused(request(irq)).map(drop)
}

/// Fails unless the server refuses a request with a useless descriptor, and closes the descriptor.
fn surplus(client: &mut Client, request: impl Fn(u32) -> Request) -> Outcome {
    let irq = client.survey().irq(1)?.index;
    let (wire, fd) = Tripwire::new()?;
    client.refused(request(irq).fd(fd))?;
    wire.closed(client.timeout())
}

/// Connects an eventfd to interrupt 0.
fn connect(client: &mut Client, irq: u32) -> Outcome<OwnedFd> {
    let event = event()?;
    client.accepted(set_irqs(irq, CONNECT, 0, 1).fd(duplicate(&event)?))?;
    Ok(event)
}

/// Raises interrupt 0. Skips the case if the server cannot do that on request.
fn trigger(client: &mut Client, irq: u32) -> Outcome {
    let reply = client.answered(set_irqs(irq, NONE | TRIGGER, 0, 1))?;
    if reply.is_error() {
        return skip(format!(
            "interrupts cannot be raised on request: error {}",
            reply.error
        ));
    }
    Ok(())
}

fn triggered(client: &mut Client, request: impl Fn(u32) -> Request, wanted: bool) -> Outcome {
    let irq = client.survey().irq(1)?.index;
    let event = connect(client, irq)?;
    let reply = client.answered(request(irq))?;
    if reply.is_error() {
        return skip(format!(
            "interrupts cannot be raised on request: error {}",
            reply.error
        ));
    }
    signalled(&event, client, wanted)
}

/// Fails unless the eventfd was signalled, or was not, as `wanted`. Waits, because another thread
/// of the server may signal after the reply.
fn signalled(event: &OwnedFd, client: &Client, wanted: bool) -> Outcome {
    let deadline = match wanted {
        true => Instant::now() + client.timeout(),
        false => Instant::now(),
    };
    let signalled = wait(event, PollFlags::IN, deadline)?;
    ensure(signalled == wanted, || match signalled {
        true => "signalled".into(),
        false => "not signalled".into(),
    })
}

/// Fails unless the server closes a connected descriptor after `release`. A pipe stands in for the
/// eventfd.
fn released(client: &mut Client, release: impl Fn(&mut Client, u32) -> Outcome) -> Outcome {
    let irq = client.survey().irq(1)?.index;
    let (wire, event) = EventTripwire::new()?;
    client.accepted(set_irqs(irq, CONNECT, 0, 1).fd(event))?;
    release(client, irq)?;
    wire.closed(client.timeout())
}

fn not_maskable(client: &Client) -> Outcome<u32> {
    let irq = client.survey().irq_that("that cannot be masked", |irq| {
        irq.count > 0 && irq.flags & MASKABLE == 0
    })?;
    Ok(irq.index)
}

fn only_trigger(client: &mut Client, index: u32) -> Outcome {
    let irq = client
        .survey()
        .irq_that("of this kind", |irq| irq.index == index)?;
    client
        .refused(set_irqs(irq.index, NONE | MASK, 0, 1))
        .map(drop)
}
