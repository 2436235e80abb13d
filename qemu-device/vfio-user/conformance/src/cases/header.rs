// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Header: sizes, types, ids, unknown commands.

use crate::case::Basis::{Spec, Strict};
use crate::case::{free, session, Case};
use crate::client::Client;
use crate::outcome::Outcome;
use crate::requests;
use crate::wire::{command, Request, ERROR, HEADER, NO_REPLY, TYPE_REPLY};

pub(super) const CASES: &[Case] = &[
    session("command-0-is-refused-and-drained", Strict, |c| {
        c.refused(Request::new(0).length(64)).map(drop)
    }),
    session("command-65535-is-refused-and-drained", Strict, |c| {
        c.refused(Request::new(u16::MAX).length(64)).map(drop)
    }),
    session("unused-command-14-is-refused-and-drained", Strict, |c| {
        c.refused(Request::new(command::UNUSED_14).length(32))
            .map(drop)
    }),
    session("unknown-command-without-payload-is-refused", Strict, |c| {
        c.refused(Request::new(command::FIRST_UNKNOWN)).map(drop)
    }),
    session("every-unknown-command-up-to-255-is-refused", Strict, |c| {
        (command::FIRST_UNKNOWN..=255)
            .try_for_each(|number| c.refused(Request::new(number).length(24)).map(drop))
    }),
    session(
        "unknown-command-of-one-payload-byte-is-drained",
        Strict,
        |c| c.refused(Request::new(1000).length(1)).map(drop),
    ),
    session(
        "unknown-command-of-the-longest-payload-is-drained",
        Strict,
        |c| {
            let longest = c.survey().transfer() as usize + 16;
            c.refused(Request::new(1000).length(longest)).map(drop)
        },
    ),
    session(
        "unknown-command-with-no-reply-is-drained-silently",
        Strict,
        |c| c.silent(Request::new(1000).length(64).no_reply()),
    ),
    session(
        "payload-that-looks-like-a-message-is-not-carried-out",
        Strict,
        |c| {
            // A server that does not drain the payload takes it for a message, and replies to it.
            let inner = requests::get_info().to_bytes(77);
            c.refused(Request::new(1000).bytes(&inner).bytes(&inner))
                .map(drop)
        },
    ),
    session("unrequested-reply-is-not-carried-out", Strict, |c| {
        no_command(c, requests::get_info().flags(TYPE_REPLY))
    }),
    session("unrequested-error-reply-is-not-carried-out", Strict, |c| {
        no_command(c, requests::get_info().flags(TYPE_REPLY | ERROR))
    }),
    session(
        "unrequested-dma-read-reply-is-not-carried-out",
        Strict,
        |c| {
            let reply = Request::new(command::DMA_READ).flags(TYPE_REPLY);
            no_command(c, reply.u64(0).u64(64).length(80))
        },
    ),
    session("type-2-is-not-carried-out", Strict, |c| {
        no_command(c, requests::get_info().flags(2))
    }),
    session("type-15-is-not-carried-out", Strict, |c| {
        no_command(c, requests::get_info().flags(15))
    }),
    session("size-0-is-not-carried-out", Strict, |c| {
        wrong_info_size(c, 0)
    }),
    session("size-1-is-not-carried-out", Strict, |c| {
        wrong_info_size(c, 1)
    }),
    session("size-15-is-not-carried-out", Strict, |c| {
        wrong_info_size(c, 15)
    }),
    session(
        "size-of-the-header-alone-is-refused-where-a-payload-is-due",
        Strict,
        |c| c.refused(Request::new(command::GET_INFO)).map(drop),
    ),
    session(
        "size-beyond-the-longest-message-is-not-carried-out",
        Strict,
        |c| {
            let size = c.survey().transfer().saturating_add(33);
            too_long(c, requests::get_info().size(size))
        },
    ),
    session("size-of-2-gib-is-not-carried-out", Strict, |c| {
        too_long(c, requests::get_info().size(1 << 31))
    }),
    session("size-of-4-gib-is-not-carried-out", Strict, |c| {
        too_long(c, requests::get_info().size(u32::MAX))
    }),
    session(
        "message-longer-than-the-longest-is-drained-or-closed",
        Strict,
        |c| {
            let longest = c.survey().transfer() as usize + 16;
            let sent = c.send(Request::new(1000).length(longest + 4096))?;
            c.refused_or_closed(sent)
        },
    ),
    session(
        "size-too-long-for-version-is-not-carried-out",
        Strict,
        |c| too_long(c, requests::version("{}").size(u32::MAX)),
    ),
    free("size-0-before-version-is-not-carried-out", Strict, |kit| {
        wrong_info_size(&mut kit.connect()?, 0)
    }),
    free(
        "size-of-4-gib-before-version-is-not-carried-out",
        Strict,
        |kit| {
            too_long(
                &mut kit.connect()?,
                requests::version(requests::QEMU_VERSION).size(u32::MAX),
            )
        },
    ),
    free("version-with-size-16-is-not-carried-out", Strict, |kit| {
        wrong_size(&mut kit.connect()?, Request::new(command::VERSION).size(16))
    }),
    free("version-with-size-0-is-not-carried-out", Strict, |kit| {
        wrong_size(&mut kit.connect()?, requests::version("{}").size(0))
    }),
    session("id-0-is-echoed", Spec, |c| {
        c.accepted(requests::get_info().id(0)).map(drop)
    }),
    session("id-65535-is-echoed", Spec, |c| {
        c.accepted(requests::get_info().id(u16::MAX)).map(drop)
    }),
    session("id-may-be-used-twice-at-once", Spec, |c| {
        let first = c.send(requests::get_info().id(5))?;
        let second = c.send(requests::get_irq_info(0).id(5))?;
        c.reply_to(first)?;
        c.reply_to(second).map(drop)
    }),
    session("error-field-of-a-command-means-nothing", Spec, |c| {
        let mut request = requests::get_info();
        request.error = 22;
        c.accepted(request).map(drop)
    }),
    session("reserved-flags-leave-the-stream-in-step", Strict, |c| {
        (6..32).try_for_each(|bit| c.answered(requests::get_info().flags(1 << bit)).map(drop))
    }),
    session(
        "error-flag-in-a-command-leaves-the-stream-in-step",
        Strict,
        |c| c.answered(requests::get_info().flags(ERROR)).map(drop),
    ),
    session("two-messages-in-one-send-are-both-answered", Spec, |c| {
        let mut bytes = requests::get_info().to_bytes(1);
        bytes.extend(requests::get_irq_info(0).to_bytes(2));
        c.send_bytes(&bytes, &[])?;
        c.reply_to(sent(1, command::GET_INFO))?;
        c.reply_to(sent(2, command::GET_IRQ_INFO)).map(drop)
    }),
    session("message-and-half-of-the-next-in-one-send", Spec, |c| {
        let mut bytes = requests::get_info().to_bytes(1);
        bytes.extend(requests::get_info().to_bytes(2));
        let (now, later) = bytes.split_at(bytes.len() - HEADER);
        c.send_bytes(now, &[])?;
        c.reply_to(sent(1, command::GET_INFO))?;
        c.send_bytes(later, &[])?;
        c.reply_to(sent(2, command::GET_INFO)).map(drop)
    }),
    session(
        "header-without-its-payload-is-not-answered-yet",
        Spec,
        |c| {
            let bytes = requests::get_info().to_bytes(1);
            let (header, payload) = bytes.split_at(HEADER);
            // The server has replied to the message before the header, so it has had time for the
            // header.
            let before = c.send(requests::get_info())?;
            c.send_bytes(header, &[])?;
            c.reply_to(before)?;
            c.send_bytes(payload, &[])?;
            c.reply_to(sent(1, command::GET_INFO)).map(drop)
        },
    ),
    session("64-messages-at-once-are-answered-in-order", Spec, |c| {
        let sent: Vec<_> = (0..64)
            .map(|_| c.send(requests::get_info()))
            .collect::<Outcome<_>>()?;
        sent.into_iter()
            .try_for_each(|sent| c.reply_to(sent).map(drop))
    }),
    session(
        "no-reply-and-error-flags-together-are-silent",
        Strict,
        |c| c.silent(requests::get_info().flags(NO_REPLY | ERROR)),
    ),
];

fn sent(id: u16, command: u16) -> crate::client::Sent {
    crate::client::Sent { id, command }
}

/// Sends a message that is not a command. The server may ignore it, refuse it or close the
/// connection.
fn no_command(client: &mut Client, request: Request) -> Outcome {
    let sent = client.send(request)?;
    client.not_carried_out(sent)
}

/// Sends a message that claims an impossibly small size. The server cannot know where the next one
/// begins.
fn wrong_size(client: &mut Client, request: Request) -> Outcome {
    let sent = client.send(request)?;
    client.refused_or_closed(sent)
}

fn wrong_info_size(client: &mut Client, size: u32) -> Outcome {
    wrong_size(client, requests::get_info().size(size))
}

/// Sends a message that claims more than the longest size. The server may go on reading, but must
/// notice the end of the connection.
fn too_long(client: &mut Client, request: Request) -> Outcome {
    let sent = client.send(request)?;
    client.not_carried_out(sent)
}
