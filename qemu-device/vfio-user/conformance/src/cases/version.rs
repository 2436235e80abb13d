// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! VERSION, and messages before it.

use serde_json::Value;

use crate::case::Basis::{Qemu, Spec, Strict};
use crate::case::{free, session, Case, Kit};
use crate::client::Client;
use crate::outcome::{ensure, fail, Outcome};
use crate::requests::{self, version, version_bytes, QEMU_VERSION};
use crate::survey;
use crate::wire::{command, Message, Request, HEADER};

pub(super) const CASES: &[Case] = &[
    free("as-qemu-sends-it-is-accepted", Qemu, |kit| {
        accepted(kit, version(QEMU_VERSION)).map(drop)
    }),
    free("without-data-is-accepted", Spec, |kit| {
        accepted(kit, version_bytes(0, 0, &[])).map(drop)
    }),
    free("empty-object-is-accepted", Spec, |kit| {
        accepted(kit, version("{}")).map(drop)
    }),
    free("empty-capabilities-are-accepted", Spec, |kit| {
        accepted(kit, version(r#"{"capabilities":{}}"#)).map(drop)
    }),
    free(
        "capabilities-of-which-most-are-missing-are-accepted",
        Spec,
        |kit| accepted(kit, version(r#"{"capabilities":{"max_msg_fds":1}}"#)).map(drop),
    ),
    free("unknown-capability-is-ignored", Spec, |kit| {
        accepted(
            kit,
            version(r#"{"capabilities":{"future":{"x":[1,null]}}}"#),
        )
        .map(drop)
    }),
    free("unknown-key-beside-capabilities-is-ignored", Spec, |kit| {
        accepted(kit, version(r#"{"future":1,"capabilities":{}}"#)).map(drop)
    }),
    free("twin-socket-offer-is-not-misunderstood", Spec, |kit| {
        let offer = r#"{"capabilities":{"max_msg_fds":8,"twin_socket":{"supported":true}}}"#;
        let reply = accepted(kit, version(offer))?;
        let twin = survey::capabilities(&reply)
            .and_then(|data| data.pointer("/capabilities/twin_socket/supported").cloned());
        ensure(
            twin != Some(Value::Bool(true)) || !reply.fds.is_empty(),
            || "twin_socket taken up, and no socket came with the reply".into(),
        )
    }),
    free("white-space-around-the-data-is-accepted", Spec, |kit| {
        accepted(kit, version(" \n\t{ \"capabilities\" : { } } \r\n ")).map(drop)
    }),
    free("minor-0-is-answered-with-minor-0", Spec, |kit| {
        minor(kit, 0)
    }),
    free("minor-1-is-answered-with-at-most-1", Spec, |kit| {
        minor(kit, 1)
    }),
    free("minor-65535-is-accepted", Spec, |kit| minor(kit, u16::MAX)),
    free("major-1-is-refused-or-closed", Spec, |kit| {
        refused(kit, version_bytes(1, 0, b"{}\0"))
    }),
    free("major-65535-is-refused-or-closed", Spec, |kit| {
        refused(kit, version_bytes(u16::MAX, 0, b"{}\0"))
    }),
    free("reply-has-the-major-that-was-proposed", Spec, |kit| {
        let reply = accepted(kit, version(QEMU_VERSION))?;
        ensure(reply.u16(0) == 0, || format!("major {}", reply.u16(0)))
    }),
    free("reply-data-is-a-json-object-with-nul", Spec, |kit| {
        let reply = accepted(kit, version(QEMU_VERSION))?;
        if reply.payload.len() == 4 {
            return Ok(());
        }
        match survey::capabilities(&reply) {
            Some(Value::Object(_)) => Ok(()),
            Some(other) => fail(format!("{other} is not an object")),
            None => fail("the data is not JSON with a NUL behind it"),
        }
    }),
    free(
        "reply-is-not-longer-than-the-request-of-qemu",
        Qemu,
        |kit| {
            let request = version(QEMU_VERSION);
            let room = request.payload.len();
            let reply = accepted(kit, request)?;
            ensure(reply.payload.len() <= room, || {
                format!(
                    "{} bytes of payload, QEMU has room for {room}",
                    reply.payload.len()
                )
            })
        },
    ),
    free("reply-capabilities-have-the-right-types", Spec, |kit| {
        let reply = accepted(kit, version(QEMU_VERSION))?;
        let data = survey::capabilities(&reply).unwrap_or_default();
        let Some(capabilities) = data.get("capabilities") else {
            return Ok(());
        };
        for name in [
            "max_msg_fds",
            "max_data_xfer_size",
            "max_dma_maps",
            "pgsizes",
        ] {
            let value = capabilities.get(name);
            ensure(value.is_none_or(Value::is_u64), || {
                format!("{name} is not a number of 0 or more")
            })?;
        }
        let value = capabilities.get("write_multiple");
        ensure(value.is_none_or(Value::is_boolean), || {
            "write_multiple is not a boolean".into()
        })
    }),
    free(
        "reply-capabilities-are-within-the-limits-of-qemu",
        Qemu,
        |kit| {
            let reply = accepted(kit, version(QEMU_VERSION))?;
            let data = survey::capabilities(&reply).unwrap_or_default();
            let number = |name: &str| data.get("capabilities")?.get(name)?.as_u64();
            let within = |name: &str, limit: u64| {
                let value = number(name);
                ensure(value.is_none_or(|value| value <= limit), || {
                    format!("{name} is {value:?}, more than {limit}")
                })
            };
            within("max_msg_fds", 16)?;
            within("max_data_xfer_size", 64 << 20)?;
            within("max_dma_maps", 65_535)?;
            let pages = number("pgsizes");
            ensure(
                pages.is_none_or(|pages| pages != 0 && pages % 4096 == 0),
                || format!("pgsizes is {pages:?}"),
            )
        },
    ),
    free("data-without-nul-is-refused", Strict, |kit| {
        refused(kit, version_bytes(0, 0, b"{}"))
    }),
    free("data-with-nul-inside-is-refused", Strict, |kit| {
        refused(kit, version_bytes(0, 0, b"{}\0{}\0"))
    }),
    free(
        "data-that-is-a-lone-nul-leaves-the-server-well",
        Strict,
        |kit| answered(kit, version("")),
    ),
    free("non-json-data-is-refused", Strict, |kit| {
        refused(kit, version("hello"))
    }),
    free("data-cut-short-is-refused", Strict, |kit| {
        refused(kit, version(r#"{"capabilities":{"#))
    }),
    free("data-with-something-behind-it-is-refused", Strict, |kit| {
        refused(kit, version("{} trailing"))
    }),
    free("data-that-is-an-array-is-refused", Strict, |kit| {
        refused(kit, version("[]"))
    }),
    free("data-that-is-a-number-is-refused", Strict, |kit| {
        refused(kit, version("0"))
    }),
    free("data-that-is-a-string-is-refused", Strict, |kit| {
        refused(kit, version("\"x\""))
    }),
    free("data-that-is-null-is-refused", Strict, |kit| {
        refused(kit, version("null"))
    }),
    free(
        "capabilities-other-than-an-object-are-refused",
        Strict,
        |kit| refused(kit, version(r#"{"capabilities":[]}"#)),
    ),
    free(
        "capabilities-that-are-a-filled-array-are-refused",
        Strict,
        |kit| refused(kit, version(r#"{"capabilities":[1,1048576]}"#)),
    ),
    free("data-that-is-a-filled-array-is-refused", Strict, |kit| {
        refused(kit, version(r#"[{"max_msg_fds":1}]"#))
    }),
    free("max-msg-fds-that-is-a-string-is-refused", Strict, |kit| {
        refused(kit, version(r#"{"capabilities":{"max_msg_fds":"8"}}"#))
    }),
    free("max-msg-fds-below-0-is-refused", Strict, |kit| {
        refused(kit, version(r#"{"capabilities":{"max_msg_fds":-1}}"#))
    }),
    free(
        "max-data-xfer-size-with-a-fraction-is-refused",
        Strict,
        |kit| {
            refused(
                kit,
                version(r#"{"capabilities":{"max_data_xfer_size":4096.5}}"#),
            )
        },
    ),
    free(
        "max-data-xfer-size-beyond-64-bits-is-refused",
        Strict,
        |kit| {
            refused(
                kit,
                version(r#"{"capabilities":{"max_data_xfer_size":99999999999999999999}}"#),
            )
        },
    ),
    free(
        "max-data-xfer-size-of-0-leaves-the-server-well",
        Strict,
        |kit| answered(kit, version(r#"{"capabilities":{"max_data_xfer_size":0}}"#)),
    ),
    free("non-utf-8-data-is-refused", Strict, |kit| {
        refused(kit, version_bytes(0, 0, b"{\"\xff\xfe\":1}\0"))
    }),
    free("deeply-nested-data-is-refused", Strict, |kit| {
        refused(kit, version(&"[".repeat(100_000)))
    }),
    free(
        "deeply-nested-capability-leaves-the-server-well",
        Strict,
        |kit| {
            let depth = 50_000;
            let data = format!(
                r#"{{"capabilities":{{"x":{}{}}}}}"#,
                "[".repeat(depth),
                "]".repeat(depth)
            );
            answered(kit, version(&data))
        },
    ),
    free(
        "64-kib-of-white-space-leaves-the-server-well",
        Strict,
        |kit| answered(kit, version(&format!("{}{{}}", " ".repeat(65_536)))),
    ),
    free("payload-of-3-bytes-is-refused", Strict, |kit| {
        refused(kit, Request::new(command::VERSION).length(3))
    }),
    free("payload-of-1-byte-is-refused", Strict, |kit| {
        refused(kit, Request::new(command::VERSION).length(1))
    }),
    free("no-payload-is-refused", Strict, |kit| {
        refused(kit, Request::new(command::VERSION))
    }),
    session("second-version-is-refused-or-closed", Strict, |c| {
        let sent = c.send(version(QEMU_VERSION))?;
        c.refused_or_closed(sent)
    }),
    free("with-no-reply-is-not-answered", Strict, |kit| {
        let mut client = kit.connect()?;
        client.send(version(QEMU_VERSION).no_reply())?;
        client.end_of_writing();
        match client.receive()? {
            None => Ok(()),
            Some(reply) => fail(format!("answered, with error {}", reply.error)),
        }
    }),
    free(
        "refused-version-may-be-tried-again-or-closes",
        Strict,
        |kit| {
            let mut client = kit.connect()?;
            let first = client.send(version("hello"))?;
            let second = client.send(version(QEMU_VERSION))?;
            if let Some(reply) = client.receive()? {
                ensure(reply.id == first.id && reply.is_error(), || {
                    "accepted".into()
                })?;
                if let Some(reply) = client.receive()? {
                    ensure(reply.id == second.id, || {
                        format!("reply to message {}", reply.id)
                    })?;
                }
            }
            Ok(())
        },
    ),
    free("get-info-before-it-is-not-carried-out", Strict, |kit| {
        early(kit, requests::get_info())
    }),
    free(
        "get-region-info-before-it-is-not-carried-out",
        Strict,
        |kit| early(kit, requests::get_region_info(0, 4096)),
    ),
    free("dma-map-before-it-is-not-carried-out", Strict, |kit| {
        early(kit, requests::dma_map(0, 4096).fd(requests::memory(4096)?))
    }),
    free("dma-unmap-before-it-is-not-carried-out", Strict, |kit| {
        early(kit, requests::dma_unmap(0, 0, 4096))
    }),
    free("set-irqs-before-it-is-not-carried-out", Strict, |kit| {
        let irq = kit.survey.irq(1)?;
        early(
            kit,
            requests::set_irqs(irq.index, 0x24, 0, 1).fd(requests::event()?),
        )
    }),
    free("region-read-before-it-is-not-carried-out", Strict, |kit| {
        let region = kit.survey.readable()?.index;
        early(kit, requests::read(region, 0, 4))
    }),
    free("region-write-before-it-is-not-carried-out", Strict, |kit| {
        let region = kit.survey.writable()?.index;
        early(kit, requests::write(region, 0, &[0; 4]))
    }),
    free("reset-before-it-is-not-carried-out", Strict, |kit| {
        early(kit, requests::reset())
    }),
    free(
        "unknown-command-before-it-is-not-carried-out",
        Strict,
        |kit| early(kit, Request::new(1000).length(16)),
    ),
    free("no-reply-command-before-it-is-silent", Strict, |kit| {
        let mut client = kit.connect()?;
        client.send(requests::get_info().no_reply())?;
        client.end_of_writing();
        match client.receive()? {
            None => Ok(()),
            Some(reply) => fail(format!("answered, with error {}", reply.error)),
        }
    }),
    free("zeros-instead-of-it-do-no-harm", Strict, |kit| {
        let mut client = kit.connect()?;
        client.send_bytes(&[0; 4096], &[])?;
        drain(&mut client)
    }),
    free("http-instead-of-it-does-no-harm", Strict, |kit| {
        let mut client = kit.connect()?;
        client.send_bytes(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &[])?;
        drain(&mut client)
    }),
    free("header-alone-does-no-harm", Strict, |kit| {
        let mut client = kit.connect()?;
        let bytes = version(QEMU_VERSION).to_bytes(0);
        client.send_bytes(bytes.get(..HEADER).unwrap_or_default(), &[])?;
        drain(&mut client)
    }),
    free("silent-connection-does-no-harm", Strict, |kit| {
        kit.connect().map(drop)
    }),
];

/// Fails unless the server accepts this version and the session then works.
fn accepted(kit: &mut Kit<'_>, request: Request) -> Outcome<Message> {
    let mut client = kit.connect()?;
    let sent = client.send(request)?;
    let reply = client.reply_to(sent)?;
    ensure(!reply.is_error(), || {
        format!("refused with error {}", reply.error)
    })?;
    ensure(reply.payload.len() >= 4, || {
        format!("{} bytes of payload in the reply", reply.payload.len())
    })?;
    client.alive()?;
    Ok(reply)
}

fn minor(kit: &mut Kit<'_>, minor: u16) -> Outcome {
    let reply = accepted(kit, version_bytes(0, minor, b"{}\0"))?;
    ensure(reply.u16(2) <= minor, || format!("minor {}", reply.u16(2)))
}

/// Fails unless the server refuses this version or closes the connection.
fn refused(kit: &mut Kit<'_>, request: Request) -> Outcome {
    let mut client = kit.connect()?;
    let sent = client.send(request)?;
    client.refused_or_closed(sent)
}

/// Sends a version that the server may accept, refuse, or end the connection for.
fn answered(kit: &mut Kit<'_>, request: Request) -> Outcome {
    let mut client = kit.connect()?;
    client.send(request)?;
    client.receive().map(drop)
}

/// Sends a message before VERSION. Fails if the server carries it out.
fn early(kit: &mut Kit<'_>, request: Request) -> Outcome {
    let mut client = kit.connect()?;
    let sent = client.send(request)?;
    client.refused_or_closed(sent)
}

/// Reads until the server closes the connection.
fn drain(client: &mut Client) -> Outcome {
    client.end_of_writing();
    while client.receive()?.is_some() {}
    Ok(())
}
