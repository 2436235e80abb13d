// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Floods, random messages, reconnection, memory.

use std::os::fd::OwnedFd;

use fastrand::Rng;
use rustix::io::Errno;

use crate::case::Basis::{Spec, Strict};
use crate::case::{free, Case, Kit};
use crate::cases::samples;
use crate::client::Client;
use crate::outcome::{ensure, fail, skip, Outcome};
use crate::requests::{self, dma_map, set_irqs};
use crate::wire::{Request, HEADER, NO_REPLY, PAGE};

/// Most memory by which a server may grow, in bytes.
const GROWTH: u64 = 64 << 20;
/// Random messages per connection.
const PER_CONNECTION: u64 = 100;

pub(super) const CASES: &[Case] = &[
    free("client-that-comes-back-is-served", Spec, |kit| {
        drop(kit.client()?);
        let before = kit.target.starts();
        kit.serves()?;
        match kit.target.starts() == before {
            true => Ok(()),
            // The document: "the server can automatically exit".
            false => skip("the server ends with its client, as it may"),
        }
    }),
    free("client-that-comes-back-50-times-is-served", Spec, |kit| {
        (0..50).try_for_each(|round| {
            kit.step(round, 50);
            kit.serves()
        })
    }),
    free("new-client-has-to-negotiate-again", Strict, |kit| {
        kit.serves()?;
        let mut client = kit.connect()?;
        let sent = client.send(requests::get_info())?;
        client.refused_or_closed(sent)
    }),
    free("mappings-go-with-their-client", Spec, |kit| {
        kit.client()?.accepted(dma_map(0, PAGE))?;
        kit.client()?.accepted(dma_map(0, PAGE)).map(drop)
    }),
    free("interrupts-go-with-their-client", Spec, |kit| {
        let irq = kit.survey.irq(1)?.index;
        let event = requests::event()?;
        let connect = set_irqs(irq, 0x24, 0, 1).fd(requests::duplicate(&event)?);
        kit.client()?.accepted(connect)?;
        kit.client()?.answered(set_irqs(irq, 0x21, 0, 1))?;
        let mut value = [0; 8];
        match rustix::io::read(&event, &mut value) {
            Err(Errno::AGAIN) => Ok(()),
            _ => fail("the old client's eventfd was signalled"),
        }
    }),
    free("second-client-does-not-disturb-the-first", Strict, |kit| {
        let mut first = kit.client()?;
        let mut second = kit.connect()?;
        second.send(requests::version(requests::QEMU_VERSION))?;
        for _ in 0..10 {
            first.alive()?;
        }
        second.close();
        first.alive()
    }),
    free("100-silent-connections-do-no-harm", Strict, |kit| {
        for _ in 0..100 {
            kit.connect()?;
        }
        kit.serves()
    }),
    free("flood-of-10000-posted-messages-is-taken", Strict, |kit| {
        let mut client = kit.client()?;
        for _ in 0..10_000 {
            client.send(requests::get_info().no_reply())?;
        }
        client.alive()
    }),
    free(
        "flood-of-10000-refused-posted-messages-is-taken",
        Strict,
        |kit| {
            let mut client = kit.client()?;
            for _ in 0..10_000 {
                client.send(Request::new(1000).length(100).no_reply())?;
            }
            client.alive()
        },
    ),
    free(
        "flood-of-1000-large-refused-writes-is-taken",
        Strict,
        |kit| {
            let mut client = kit.client()?;
            let data = vec![0; 65_536];
            for _ in 0..1000 {
                client.send(requests::write(u32::MAX, 0, &data).no_reply())?;
            }
            client.alive()
        },
    ),
    free("random-messages-are-answered-in-step", Strict, |kit| {
        random(kit, 1, spoiled)
    }),
    free("random-payloads-are-answered-in-step", Strict, |kit| {
        random(kit, 2, |rng, _| {
            let length = rng.usize(0..200);
            let bytes: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
            // Any command but VERSION. A server may close the connection when it refuses VERSION.
            Ok(Request::new(rng.u16(2..30)).bytes(&bytes))
        })
    }),
    free("random-bytes-do-no-harm", Strict, |kit| {
        let mut rng = Rng::with_seed(kit.seed ^ 3);
        let connections = kit.messages.div_ceil(PER_CONNECTION);
        for number in 0..connections {
            step(kit, number, connections);
            let mut client = kit.client()?;
            let length = rng.usize(1..2000);
            let bytes: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
            client.send_bytes(&bytes, &[])?;
        }
        kit.serves()
    }),
    free("random-headers-do-no-harm", Strict, |kit| {
        let mut rng = Rng::with_seed(kit.seed ^ 4);
        let connections = kit.messages.div_ceil(PER_CONNECTION);
        for number in 0..connections {
            step(kit, number, connections);
            let mut client = kit.client()?;
            for _ in 0..20 {
                let length = rng.usize(0..64);
                let mut request = Request::new(rng.u16(0..20)).length(length);
                request.flags = rng.u32(..) & rng.u32(..) & 0x3f;
                let size = HEADER.saturating_add(rng.usize(0..80));
                client.send(request.size(u32::try_from(size).unwrap_or(0)))?;
            }
        }
        kit.serves()
    }),
    free("memory-stays-bounded", Strict, |kit| {
        // Things that a server could be made to keep: descriptors, mappings, announced sizes.
        kit.serves()?;
        let Some(before) = kit.target.peak_memory() else {
            return skip("this process may not look into the server's process");
        };
        for round in 0..20 {
            kit.step(round, 20);
            greedy(kit)?;
        }
        kit.serves()?;
        let Some(after) = kit.target.peak_memory() else {
            return fail("the server's process is gone");
        };
        let growth = after.saturating_sub(before);
        ensure(growth <= GROWTH, || format!("grew by {} KiB", growth >> 10))
    }),
];

/// Sends random messages. Fails unless the server replies to each one whose flags ask for a reply.
fn random(
    kit: &mut Kit<'_>,
    number: u64,
    make: impl Fn(&mut Rng, &Client) -> Outcome<Request>,
) -> Outcome {
    let mut rng = Rng::with_seed(kit.seed ^ number);
    let connections = kit.messages.div_ceil(PER_CONNECTION);
    for done in 0..connections {
        step(kit, done, connections);
        let mut client = kit.client()?;
        for message in 0..PER_CONNECTION {
            let request = make(&mut rng, &client)?;
            let quiet = request.flags & NO_REPLY != 0;
            let shown = show(&request);
            let result = match quiet {
                true => client.silent(request),
                false => client.answered(request).and_then(|reply| {
                    ensure(reply.is_error() == (reply.error != 0), || {
                        "refused without a reason".into()
                    })
                }),
            };
            if let Err(stop) = result {
                let at = done * PER_CONNECTION + message;
                return fail(format!("seed {}, message {at}, {shown}: {stop}", kit.seed));
            }
        }
    }
    Ok(())
}

/// Returns a message with some random 32-bit fields, and perhaps a wrong length.
fn spoiled(rng: &mut Rng, client: &Client) -> Outcome<Request> {
    let survey = client.survey();
    let kinds = samples::ALL;
    let mut request = loop {
        let (_, make) = kinds.get(rng.usize(0..kinds.len())).unwrap_or(&kinds[0]);
        if let Ok(request) = make(&survey) {
            break request;
        }
    };
    let fields = request.payload.len() / 4;
    for _ in 0..rng.usize(0..3) {
        if fields > 0 {
            request = request.with_u32(rng.usize(0..fields) * 4, number(rng));
        }
    }
    if rng.u8(..) < 40 {
        let length = rng.usize(0..request.payload.len() + 40);
        request = request.length(length);
    }
    if rng.u8(..) < 60 {
        request = request.no_reply();
    }
    let fds: Vec<OwnedFd> = (0..rng.usize(0..8).saturating_sub(5))
        .map(|_| match rng.bool() {
            true => requests::memory(PAGE),
            false => requests::event(),
        })
        .collect::<Outcome<_>>()?;
    Ok(request.fds(fds))
}

/// Returns a number near one of the limits.
fn number(rng: &mut Rng) -> u32 {
    let near = [
        0,
        1,
        2,
        3,
        8,
        16,
        20,
        24,
        32,
        256,
        4096,
        8192,
        1 << 20,
        1 << 31,
        u32::MAX,
    ];
    match rng.u8(..4) {
        0 => rng.u32(..),
        1 => 1 << rng.u32(0..32),
        _ => {
            let base: u32 = near[rng.usize(0..near.len())];
            base.wrapping_add(rng.u32(0..3)).wrapping_sub(1)
        }
    }
}

fn show(request: &Request) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "command {} flags {:#x} with {} descriptors:",
        request.command,
        request.flags,
        request.fds.len()
    );
    for byte in request.payload.iter().take(64) {
        let _infallible = write!(text, " {byte:02x}");
    }
    text
}

/// Asks the server to keep as much as possible.
fn greedy(kit: &mut Kit<'_>) -> Outcome {
    let mut client = kit.client()?;
    for _ in 0..100 {
        client.answered(requests::read(0, 0, u32::MAX))?;
        client.answered(requests::get_region_info(0, u32::MAX))?;
        client.answered(requests::set_irqs_bool(0, 0x22, 0, u32::MAX, &[1; 64]))?;
        client.answered(requests::write_counting(0, 0, u32::MAX, &[0; 64]))?;
    }
    // The server closes the connection, or refuses the message.
    client.send(Request::new(10).size(u32::MAX).length(65_536))?;
    client.end_of_writing();
    while client.receive()?.is_some() {}
    Ok(())
}

fn step(kit: &Kit<'_>, done: u64, of: u64) {
    kit.step(
        usize::try_from(done).unwrap_or(0),
        usize::try_from(of).unwrap_or(0),
    );
}
