// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Form and order of replies. All cases check id, command and flags of each reply.

use crate::case::Basis::{Qemu, Spec, Strict};
use crate::case::{free, session, Case};
use crate::cases::samples;
use crate::client::Client;
use crate::outcome::{ensure, Outcome};
use crate::requests::{self, get_irq_info, get_region_info, read, set_irqs};
use crate::wire::{HEADER, NO_REPLY, TYPE_REPLY};

/// Number of replies that a case watches while they arrive.
const WATCHED: usize = 2000;

pub(super) const CASES: &[Case] = &[
    session("refused-dma-map-has-a-reason", Qemu, |c| {
        // By its flags: some servers accept a size of 0.
        c.refused_with_reason(requests::dma_map_raw(1 << 31, 0, 0, 4096))
    }),
    session("refused-dma-unmap-has-a-reason", Qemu, |c| {
        c.accepted(requests::dma_map(0, 8192))?;
        c.refused_with_reason(requests::dma_unmap(1 << 31, 0, 8192))
    }),
    session("refused-region-info-has-a-reason", Qemu, |c| {
        c.refused_with_reason(get_region_info(u32::MAX, 4096))
    }),
    session("refused-irq-info-has-a-reason", Qemu, |c| {
        c.refused_with_reason(get_irq_info(u32::MAX))
    }),
    session("refused-set-irqs-has-a-reason", Qemu, |c| {
        c.refused_with_reason(set_irqs(u32::MAX, 0x24, 0, 1))
    }),
    session("set-irqs-refused-for-its-range-has-a-reason", Qemu, |c| {
        let irq = c.survey().irq(1)?;
        c.refused_with_reason(set_irqs(irq.index, 0x24, irq.count, 1))
    }),
    session("refused-read-has-a-reason", Qemu, |c| {
        c.refused_with_reason(read(u32::MAX, 0, 4))
    }),
    session("read-refused-for-its-range-has-a-reason", Qemu, |c| {
        let index = c.survey().readable()?.index;
        c.refused_with_reason(read(index, u64::MAX, 4))
    }),
    session("refused-write-has-a-reason", Qemu, |c| {
        let index = c.survey().writable()?.index;
        c.refused_with_reason(requests::write(index, u64::MAX, &[0; 4]))
    }),
    session("refused-unknown-command-has-a-reason", Qemu, |c| {
        let unknown = samples::named("unknown", &c.survey())?;
        c.refused_with_reason(unknown.length(0))
    }),
    session(
        "every-command-cut-short-is-refused-with-a-reason",
        Qemu,
        |c| {
            samples::ALL.iter().try_for_each(|(name, make)| {
                let Ok(request) = make(&c.survey()) else {
                    return Ok(());
                };
                if request.payload.is_empty() {
                    return Ok(());
                }
                c.refused_with_reason(request.length(3))
                    .map_err(|stop| stop.at(name))
            })
        },
    ),
    session("every-command-has-one-reply-with-its-id", Spec, |c| {
        samples::ALL.iter().try_for_each(|(name, make)| {
            let Ok(request) = make(&c.survey()) else {
                return Ok(());
            };
            c.answered(request).map(drop).map_err(|stop| stop.at(name))
        })
    }),
    session("every-command-with-no-reply-has-none", Spec, |c| {
        samples::ALL.iter().try_for_each(|(name, make)| {
            let Ok(request) = make(&c.survey()) else {
                return Ok(());
            };
            c.silent(request.no_reply()).map_err(|stop| stop.at(name))
        })
    }),
    session(
        "every-command-cut-to-its-header-with-no-reply-has-none",
        Strict,
        |c| {
            samples::ALL.iter().try_for_each(|(name, make)| {
                let Ok(request) = make(&c.survey()) else {
                    return Ok(());
                };
                c.silent(request.length(0).no_reply())
                    .map_err(|stop| stop.at(name))
            })
        },
    ),
    session(
        "every-command-cut-to-4-bytes-of-payload-stays-in-step",
        Strict,
        |c| {
            samples::ALL.iter().try_for_each(|(name, make)| {
                let Ok(request) = make(&c.survey()) else {
                    return Ok(());
                };
                c.answered(request.length(4))
                    .map(drop)
                    .map_err(|stop| stop.at(name))
            })
        },
    ),
    session(
        "every-command-with-4096-bytes-of-payload-stays-in-step",
        Strict,
        |c| {
            samples::ALL.iter().try_for_each(|(name, make)| {
                let Ok(request) = make(&c.survey()) else {
                    return Ok(());
                };
                c.answered(request.length(4096))
                    .map(drop)
                    .map_err(|stop| stop.at(name))
            })
        },
    ),
    session("flags-of-a-reply-are-its-type-alone", Spec, |c| {
        let reply = c.accepted(requests::get_info())?;
        ensure(reply.flags == TYPE_REPLY, || {
            format!("flags {:#x}", reply.flags)
        })?;
        ensure(reply.flags & NO_REPLY == 0, || "no_reply in a reply".into())
    }),
    session("mixed-messages-at-once-are-answered-in-order", Spec, |c| {
        let mut expected = Vec::new();
        for _ in 0..10 {
            for (_, make) in samples::ALL {
                if let Ok(request) = make(&c.survey()) {
                    expected.push(c.send(request)?);
                }
            }
        }
        expected
            .into_iter()
            .try_for_each(|sent| c.reply_to(sent).map(drop))
    }),
    session("read-reply-comes-in-one-piece", Qemu, |c| {
        let index = c.survey().config()?.index;
        in_one_piece(c, HEADER + 16 + 4, |c| c.send(read(index, 0, 4)))
    }),
    session("get-info-reply-comes-in-one-piece", Qemu, |c| {
        in_one_piece(c, HEADER + 16, |c| c.send(requests::get_info()))
    }),
    session("client-that-reads-late-gets-every-reply", Strict, |c| {
        late(c)?
            .into_iter()
            .try_for_each(|sent| c.reply_to(sent).map(drop))
    }),
    free(
        "client-that-never-reads-does-not-hold-the-next-one-up",
        Strict,
        |kit| {
            late(&mut kit.client()?)?;
            kit.serves()
        },
    ),
    free("version-reply-comes-in-one-piece", Qemu, |kit| {
        for _ in 0..50 {
            let mut client = kit.connect()?;
            client.send(requests::version(requests::QEMU_VERSION))?;
            let first = client.first_bytes()?;
            ensure(first > HEADER, || format!("{first} bytes came first"))?;
        }
        Ok(())
    }),
];

/// Requests more bytes than fit into the server's socket buffer, in requests that all fit into
/// ours.
fn late(client: &mut Client) -> Outcome<Vec<crate::client::Sent>> {
    let survey = client.survey();
    let config = survey.config()?;
    let size = u32::try_from(config.size).unwrap_or(256);
    (0..150)
        .map(|_| client.send(read(config.index, 0, size)))
        .collect()
}

/// Reads often, as soon as bytes arrive. If the server sends header and payload apart, a read
/// returns a header alone sooner or later.
fn in_one_piece(
    client: &mut Client,
    length: usize,
    send: impl Fn(&mut Client) -> Outcome<crate::client::Sent>,
) -> Outcome {
    for _ in 0..WATCHED {
        let sent = send(client)?;
        let first = client.first_bytes()?;
        ensure(first == length, || {
            format!("{first} of {length} bytes came first: QEMU needs a wake-up for each part")
        })?;
        client.reply_to(sent)?;
    }
    Ok(())
}
