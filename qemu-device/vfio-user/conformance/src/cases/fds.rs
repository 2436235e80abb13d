// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! File descriptors: the server must keep none without a use. The cases send the writing end of a
//! pipe. The reading end shows when the server has closed it.

use crate::case::Basis::Strict;
use crate::case::{free, session, Case, Kit};
use crate::cases::samples;
use crate::client::{Client, MOST_FDS};
use crate::outcome::{ensure, skip, Outcome};
use crate::requests::{self, duplicate};
use crate::target::OpenFile;
use crate::tripwire::{EventTripwire, Tripwire};
use crate::wire::{Request, HEADER};

/// Messages per flood.
const FLOOD: usize = 1000;

pub(super) const CASES: &[Case] = &[
    session("with-dma-unmap-are-closed", Strict, |c| {
        closed(c, "dma-unmap", 1)
    }),
    session("with-get-info-are-closed", Strict, |c| {
        closed(c, "get-info", 1)
    }),
    session("with-get-region-info-are-closed", Strict, |c| {
        closed(c, "get-region-info", 1)
    }),
    session("with-get-region-io-fds-are-closed", Strict, |c| {
        closed(c, "get-region-io-fds", 1)
    }),
    session("with-get-irq-info-are-closed", Strict, |c| {
        closed(c, "get-irq-info", 1)
    }),
    session("with-region-read-are-closed", Strict, |c| {
        closed(c, "region-read", 1)
    }),
    session("with-region-write-are-closed", Strict, |c| {
        closed(c, "region-write", 1)
    }),
    session("with-region-write-multi-are-closed", Strict, |c| {
        closed(c, "region-write-multi", 1)
    }),
    session("with-dma-read-are-closed", Strict, |c| {
        closed(c, "dma-read", 1)
    }),
    session("with-dma-write-are-closed", Strict, |c| {
        closed(c, "dma-write", 1)
    }),
    session("with-reset-are-closed", Strict, |c| closed(c, "reset", 1)),
    session("with-feature-are-closed", Strict, |c| {
        closed(c, "feature", 1)
    }),
    session("with-unknown-command-are-closed", Strict, |c| {
        closed(c, "unknown", 1)
    }),
    session("16-with-one-message-are-closed", Strict, |c| {
        closed(c, "get-info", 16)
    }),
    session("with-no-reply-are-closed", Strict, |c| {
        let (wire, fd) = Tripwire::new()?;
        c.silent(requests::get_info().no_reply().fd(fd))?;
        wire.closed(c.timeout())
    }),
    session("17-with-one-message-are-closed", Strict, |c| {
        flood_of_one(c, 17)
    }),
    session("64-with-one-message-are-closed", Strict, |c| {
        flood_of_one(c, 64)
    }),
    session("253-with-one-message-are-closed", Strict, |c| {
        flood_of_one(c, MOST_FDS)
    }),
    session("too-many-for-a-dma-map-are-closed", Strict, |c| {
        let (wire, fds) = Tripwire::many(MOST_FDS)?;
        c.send(requests::dma_map(0, 4096).fds(fds))?;
        c.end_of_writing();
        wire.closed(c.timeout())
    }),
    session("too-many-for-set-irqs-are-closed", Strict, |c| {
        let irq = c.survey().irq(1)?;
        let (wire, fds) = Tripwire::many(MOST_FDS)?;
        c.send(requests::set_irqs(irq.index, 0x24, 0, irq.count).fds(fds))?;
        c.end_of_writing();
        wire.closed(c.timeout())
    }),
    free("with-version-are-closed", Strict, |kit| {
        let mut client = kit.connect()?;
        let (wire, fd) = Tripwire::new()?;
        client.send(requests::version(requests::QEMU_VERSION).fd(fd))?;
        client.receive()?;
        wire.closed(client.timeout())
    }),
    free("with-refused-version-are-closed", Strict, |kit| {
        let mut client = kit.connect()?;
        let (wire, fd) = Tripwire::new()?;
        client.send(requests::version("hello").fd(fd))?;
        client.receive()?;
        wire.closed(client.timeout())
    }),
    session("with-every-byte-of-a-message-are-closed", Strict, |c| {
        let (wire, fds) = Tripwire::many(1)?;
        for byte in requests::get_info().to_bytes(1) {
            let fds: Vec<_> = fds.iter().map(duplicate).collect::<Outcome<_>>()?;
            c.send_bytes(&[byte], &fds)?;
        }
        drop(fds);
        c.end_of_writing();
        wire.closed(c.timeout())
    }),
    session("with-the-payload-are-closed", Strict, |c| {
        let (wire, fds) = Tripwire::many(3)?;
        let bytes = requests::get_info().to_bytes(1);
        let (header, payload) = bytes.split_at(HEADER);
        c.send_bytes(header, &[])?;
        c.send_bytes(payload, &fds)?;
        drop(fds);
        c.end_of_writing();
        wire.closed(c.timeout())
    }),
    session(
        "with-half-a-message-are-closed-with-the-connection",
        Strict,
        |c| {
            let (wire, fds) = Tripwire::many(8)?;
            let bytes = requests::dma_map(0, 4096).to_bytes(1);
            c.send_bytes(bytes.get(..20).unwrap_or_default(), &fds)?;
            drop(fds);
            c.close();
            wire.closed(c.timeout())
        },
    ),
    session(
        "with-half-a-header-are-closed-with-the-connection",
        Strict,
        |c| {
            let (wire, fds) = Tripwire::many(8)?;
            c.send_bytes(&[1, 0, 2], &fds)?;
            drop(fds);
            c.close();
            wire.closed(c.timeout())
        },
    ),
    session(
        "connected-as-interrupts-are-closed-with-the-connection",
        Strict,
        |c| {
            let irq = c.survey().irq(1)?.index;
            let (wire, event) = EventTripwire::new()?;
            c.accepted(requests::set_irqs(irq, 0x24, 0, 1).fd(event))?;
            c.close();
            wire.closed(c.timeout())
        },
    ),
    session(
        "flood-of-1000-messages-with-16-each-are-closed",
        Strict,
        |c| {
            let (wire, fds) = Tripwire::many(16)?;
            for _ in 0..FLOOD {
                let fds: Vec<_> = fds.iter().map(duplicate).collect::<Outcome<_>>()?;
                c.answered(requests::get_info().fds(fds))?;
            }
            drop(fds);
            wire.closed(c.timeout())
        },
    ),
    session("flood-of-refused-dma-maps-are-closed", Strict, |c| {
        flood(c, |_| Ok(requests::dma_map(0, 0)))
    }),
    session("flood-of-refused-set-irqs-are-closed", Strict, |c| {
        flood(c, |_| Ok(requests::set_irqs(u32::MAX, 0x24, 0, 1)))
    }),
    session("flood-of-unknown-commands-are-closed", Strict, |c| {
        flood(c, |c| samples::named("unknown", &c.survey()))
    }),
    free("kept-ones-are-closed-on-exec", Strict, |kit| {
        let mut client = kit.client()?;
        let before = open_files(kit)?;
        client.answered(requests::dma_map(0, 4096).fd(requests::memory(4096)?))?;
        if let Ok(irq) = kit.survey.irq(1) {
            let connect = requests::set_irqs(irq.index, 0x24, 0, 1);
            client.answered(connect.fd(requests::event()?))?;
        }
        let leak = open_files(kit)?
            .into_iter()
            .find(|file| file.inherited && !before.contains(file));
        ensure(leak.is_none(), || format!("{leak:?}"))
    }),
    free(
        "open-in-the-server-are-as-many-after-as-before",
        Strict,
        |kit| {
            let before = settled(kit, usize::MAX)?;
            for round in 0..20 {
                kit.step(round, 20);
                let mut client = kit.client()?;
                client.answered(requests::dma_map(0, 1 << 20).fd(requests::memory(1 << 20)?))?;
                client.answered(requests::dma_map(0, 4096).fd(requests::memory(4096)?))?;
                if let Ok(irq) = kit.survey.irq(1) {
                    let connect = requests::set_irqs(irq.index, 0x24, 0, 1);
                    client.answered(connect.fd(requests::event()?))?;
                }
                client.answered(requests::get_region_info(0, 4096))?;
            }
            let after = settled(kit, before)?;
            ensure(after <= before, || {
                format!("{before} before, {after} after")
            })
        },
    ),
];

/// Fails unless the server closes the descriptors of a message that has no use for them.
fn closed(client: &mut Client, name: &str, count: usize) -> Outcome {
    let (wire, fds) = Tripwire::many(count)?;
    let request = samples::named(name, &client.survey())?;
    client.answered(request.fds(fds))?;
    wire.closed(client.timeout())
}

/// Sends more descriptors than the server takes in one message. The server may refuse them or close
/// the connection, but must close them.
fn flood_of_one(client: &mut Client, count: usize) -> Outcome {
    let (wire, fds) = Tripwire::many(count)?;
    client.send(requests::get_info().fds(fds))?;
    client.end_of_writing();
    wire.closed(client.timeout())
}

/// Sends many messages that the server refuses, each with a descriptor.
fn flood(client: &mut Client, request: impl Fn(&Client) -> Outcome<Request>) -> Outcome {
    let (wire, fd) = Tripwire::new()?;
    for _ in 0..FLOOD {
        let request = request(client)?.fd(duplicate(&fd)?);
        client.refused(request)?;
    }
    drop(fd);
    wire.closed(client.timeout())
}

/// Returns the number of descriptors that the server has open with an idle client. Waits until
/// there are at most `limit`, because the end of another connection may take a moment.
///
/// Without a client, the number would depend on whether the server has prepared for the next one.
fn settled(kit: &mut Kit<'_>, limit: usize) -> Outcome<usize> {
    let mut client = kit.client()?;
    client.alive()?;
    let deadline = std::time::Instant::now() + kit.target.timeout();
    loop {
        let open = open_files(kit)?.len();
        if open <= limit || std::time::Instant::now() > deadline {
            return Ok(open);
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn open_files(kit: &Kit<'_>) -> Outcome<Vec<OpenFile>> {
    match kit.target.open_files() {
        Some(files) => Ok(files),
        None => skip("this process may not look into the server's process"),
    }
}
