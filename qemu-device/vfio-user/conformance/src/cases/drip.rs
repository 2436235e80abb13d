// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Each message split at each byte. The server must understand it like a whole one.

use std::thread;
use std::time::Duration;

use crate::case::Basis::{Spec, Strict};
use crate::case::{free, Case, Kit};
use crate::cases::samples;
use crate::client::Client;
use crate::outcome::{ensure, fail, Outcome};
use crate::requests;
use crate::wire::{Request, HEADER};

/// Time in which most servers read the first part before the second comes. No result depends on it.
const MOMENT: Duration = Duration::from_micros(200);

pub(super) const CASES: &[Case] = &[
    free("version-split-at-every-byte", Spec, |kit| {
        let bytes = requests::version(requests::QEMU_VERSION).to_bytes(0);
        for at in 1..bytes.len() {
            kit.step(at, bytes.len());
            let mut client = kit.connect()?;
            let sent = halves(&mut client, &bytes, at)?;
            let reply = client.reply_to(sent)?;
            ensure(!reply.is_error(), || {
                format!("split at {at}: error {}", reply.error)
            })?;
            client.alive()?;
        }
        Ok(())
    }),
    free("dma-map-split-at-every-byte", Spec, |kit| {
        split(kit, "dma-map")
    }),
    free("dma-unmap-split-at-every-byte", Spec, |kit| {
        split(kit, "dma-unmap")
    }),
    free("get-info-split-at-every-byte", Spec, |kit| {
        split(kit, "get-info")
    }),
    free("get-region-info-split-at-every-byte", Spec, |kit| {
        split(kit, "get-region-info")
    }),
    free("get-region-io-fds-split-at-every-byte", Spec, |kit| {
        split(kit, "get-region-io-fds")
    }),
    free("get-irq-info-split-at-every-byte", Spec, |kit| {
        split(kit, "get-irq-info")
    }),
    free("set-irqs-split-at-every-byte", Spec, |kit| {
        split(kit, "set-irqs")
    }),
    free("set-irqs-bool-split-at-every-byte", Spec, |kit| {
        split(kit, "set-irqs-bool")
    }),
    free("region-read-split-at-every-byte", Spec, |kit| {
        split(kit, "region-read")
    }),
    free("region-write-split-at-every-byte", Spec, |kit| {
        split(kit, "region-write")
    }),
    free("region-write-multi-split-at-every-byte", Spec, |kit| {
        split(kit, "region-write-multi")
    }),
    free("dma-write-split-at-every-byte", Spec, |kit| {
        split(kit, "dma-write")
    }),
    free("reset-split-at-every-byte", Spec, |kit| split(kit, "reset")),
    free("feature-split-at-every-byte", Spec, |kit| {
        split(kit, "feature")
    }),
    free("unknown-command-split-at-every-byte", Spec, |kit| {
        split(kit, "unknown")
    }),
    free("every-message-byte-by-byte", Spec, |kit| {
        for (done, (name, make)) in samples::ALL.iter().enumerate() {
            kit.step(done, samples::ALL.len());
            let Ok(request) = make(&kit.survey) else {
                continue;
            };
            let mut client = kit.client()?;
            let bytes = request.to_bytes(1);
            for byte in &bytes {
                client.send_bytes(&[*byte], &[])?;
                thread::yield_now();
            }
            let sent = crate::client::Sent {
                id: 1,
                command: request.command,
            };
            if client.answer_before_probe(sent)?.is_none() {
                return fail(format!("{name}: no reply"));
            }
        }
        Ok(())
    }),
    free(
        "file-that-comes-with-the-first-byte-of-dma-map-is-taken",
        Strict,
        |kit| {
            let mut client = kit.client()?;
            let bytes = requests::dma_map(0, 4096).to_bytes(1);
            let (first, rest) = bytes.split_at(1);
            client.send_bytes(first, &[requests::memory(4096)?])?;
            thread::sleep(MOMENT);
            client.send_bytes(rest, &[])?;
            let sent = crate::client::Sent { id: 1, command: 2 };
            let reply = client.answer_before_probe(sent)?;
            ensure(reply.is_some_and(|reply| !reply.is_error()), || {
                "not accepted".into()
            })
        },
    ),
    free("stream-of-messages-cut-at-odd-places", Spec, |kit| {
        let mut client = kit.client()?;
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for round in 0..4_u16 {
            for (number, (_, make)) in (0_u16..).zip(samples::ALL) {
                let Ok(request) = make(&kit.survey) else {
                    continue;
                };
                let id = round * 100 + number;
                stream.extend(request.to_bytes(id));
                expected.push(crate::client::Sent {
                    id,
                    command: request.command,
                });
            }
        }
        for part in stream.chunks(HEADER + 7) {
            client.send_bytes(part, &[])?;
            thread::yield_now();
        }
        expected
            .into_iter()
            .try_for_each(|sent| client.reply_to(sent).map(drop))
    }),
];

/// Sends a message of a kind in two parts, cut at each byte in turn, all on one connection.
fn split(kit: &mut Kit<'_>, name: &str) -> Outcome {
    let mut client = kit.client()?;
    let request: Request = samples::named(name, &kit.survey)?;
    let bytes = request.to_bytes(1);
    for at in 1..bytes.len() {
        kit.step(at, bytes.len());
        let sent = halves(&mut client, &bytes, at)?;
        match client.answer_before_probe(sent) {
            Ok(Some(_)) => {}
            Ok(None) => return fail(format!("split at {at}: no reply")),
            Err(stop) => return Err(stop.at(format_args!("split at {at}"))),
        }
    }
    Ok(())
}

fn halves(client: &mut Client, bytes: &[u8], at: usize) -> Outcome<crate::client::Sent> {
    let (first, second) = bytes.split_at(at);
    client.send_bytes(first, &[])?;
    thread::sleep(MOMENT);
    client.send_bytes(second, &[])?;
    let field = |at: usize| bytes.get(at..at + 2).and_then(|bytes| bytes.first_chunk());
    let number = |at| u16::from_ne_bytes(field(at).copied().unwrap_or_default());
    Ok(crate::client::Sent {
        id: number(0),
        command: number(2),
    })
}
