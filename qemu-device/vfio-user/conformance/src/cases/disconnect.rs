// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The client leaves after each byte of each message. The server must serve the next client.

use std::rc::Rc;

use crate::case::Basis::Strict;
use crate::case::{free, Case, Kit};
use crate::cases::samples;
use crate::client::Client;
use crate::outcome::{fail, Outcome};
use crate::requests::{self, duplicate};
use crate::tripwire::Tripwire;

pub(super) const CASES: &[Case] = &[
    free("in-version", Strict, |kit| {
        let bytes = requests::version(requests::QEMU_VERSION).to_bytes(0);
        for end in 0..bytes.len() {
            kit.step(end, bytes.len());
            let mut client = kit.connect()?;
            client.send_bytes(bytes.get(..end).unwrap_or_default(), &[])?;
        }
        kit.serves()
    }),
    free("before-the-reply-to-version", Strict, |kit| {
        for _ in 0..20 {
            let mut client = kit.connect()?;
            client.send(requests::version(requests::QEMU_VERSION))?;
        }
        kit.serves()
    }),
    free("in-dma-map", Strict, |kit| at_every_byte(kit, "dma-map")),
    free("in-dma-unmap", Strict, |kit| {
        at_every_byte(kit, "dma-unmap")
    }),
    free("in-get-info", Strict, |kit| at_every_byte(kit, "get-info")),
    free("in-get-region-info", Strict, |kit| {
        at_every_byte(kit, "get-region-info")
    }),
    free("in-get-region-io-fds", Strict, |kit| {
        at_every_byte(kit, "get-region-io-fds")
    }),
    free("in-get-irq-info", Strict, |kit| {
        at_every_byte(kit, "get-irq-info")
    }),
    free("in-set-irqs", Strict, |kit| at_every_byte(kit, "set-irqs")),
    free("in-set-irqs-bool", Strict, |kit| {
        at_every_byte(kit, "set-irqs-bool")
    }),
    free("in-region-read", Strict, |kit| {
        at_every_byte(kit, "region-read")
    }),
    free("in-region-write", Strict, |kit| {
        at_every_byte(kit, "region-write")
    }),
    free("in-region-write-multi", Strict, |kit| {
        at_every_byte(kit, "region-write-multi")
    }),
    free("in-dma-write", Strict, |kit| {
        at_every_byte(kit, "dma-write")
    }),
    free("in-reset", Strict, |kit| at_every_byte(kit, "reset")),
    free("in-feature", Strict, |kit| at_every_byte(kit, "feature")),
    free("in-an-unknown-command", Strict, |kit| {
        at_every_byte(kit, "unknown")
    }),
    free("in-a-dma-map-that-brought-its-file", Strict, |kit| {
        let bytes = requests::dma_map(0, 4096).to_bytes(1);
        let (wire, fds) = Tripwire::many(1)?;
        for end in 1..bytes.len() {
            kit.step(end, bytes.len());
            let fds: Vec<_> = fds.iter().map(duplicate).collect::<Outcome<_>>()?;
            let mut client = kit.client()?;
            client.send_bytes(bytes.get(..end).unwrap_or_default(), &fds)?;
        }
        drop(fds);
        kit.serves()?;
        wire.closed(kit.target.timeout())
    }),
    free(
        "in-a-message-that-brought-the-clients-own-socket",
        Strict,
        |kit| {
            let bytes = requests::dma_map(0, 4096).to_bytes(1);
            let mut client = kit.client()?;
            let own = client.own_socket()?;
            client.send_bytes(bytes.get(..20).unwrap_or_default(), &[own])?;
            drop(client);
            kit.serves()
        },
    ),
    free("before-the-reply-of-every-message", Strict, |kit| {
        for (name, make) in samples::ALL {
            let Ok(request) = make(&kit.survey) else {
                continue;
            };
            kit.client()?.send(request)?;
            served(kit, name)?;
        }
        Ok(())
    }),
    free("with-100-replies-unread", Strict, |kit| {
        let mut client = kit.client()?;
        for _ in 0..100 {
            client.send(requests::get_info())?;
        }
        drop(client);
        kit.serves()
    }),
    free(
        "with-the-writing-half-only-is-the-end-all-the-same",
        Strict,
        |kit| {
            let mut client = kit.client()?;
            let sent = client.send(requests::get_info())?;
            client.end_of_writing();
            client.reply_to(sent)?;
            match client.receive()? {
                None => kit.serves(),
                Some(message) => fail(format!("another message: command {}", message.command)),
            }
        },
    ),
    free("in-the-middle-of-the-longest-message", Strict, |kit| {
        let most = kit.survey.transfer() as usize;
        let region = kit.survey.writable()?.index;
        let bytes = requests::write(region, 0, &vec![0; most]).to_bytes(1);
        for end in [32, 33, 4096, 65_536, most / 2, most] {
            let mut client = kit.client()?;
            client.send_bytes(bytes.get(..end).unwrap_or_default(), &[])?;
        }
        kit.serves()
    }),
];

/// Sends each proper part of a message, and disconnects.
fn at_every_byte(kit: &mut Kit<'_>, name: &str) -> Outcome {
    let bytes = samples::named(name, &Rc::clone(&kit.survey))?.to_bytes(1);
    for end in 0..bytes.len() {
        kit.step(end, bytes.len());
        let mut client: Client = kit.client()?;
        client.send_bytes(bytes.get(..end).unwrap_or_default(), &[])?;
    }
    served(kit, name)
}

fn served(kit: &mut Kit<'_>, after: &str) -> Outcome {
    match kit.serves() {
        Ok(()) => Ok(()),
        Err(stop) => fail(format!(
            "after {after} the server does not serve a new client: {stop}"
        )),
    }
}
