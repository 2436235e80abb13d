// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Negotiation: the client's limits, and the text of the server's reply.

use serde::de::IgnoredAny;
use serde::Deserialize;

use crate::refusal::{Refusal, VersionFault};
use crate::wire::{Fields, MAX_DMA_MAPS, MAX_FDS, MAX_TRANSFER, PAGE_SIZE};

/// The only major version.
const MAJOR: u16 = 0;
/// The newest minor version that the server knows.
const MINOR: u16 = 0;
/// Longest text that is parsed. QEMU's has about 200 bytes.
const MAX_TEXT: usize = 16 << 10;
/// Most bytes of an error's text, which may repeat the client's bytes.
const MAX_ERROR: usize = 200;

/// The client's limits, from its version message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientLimits {
    /// Most file descriptors in one message.
    pub fds: u64,
    /// Most bytes of one transfer.
    pub transfer: u64,
}

impl Default for ClientLimits {
    /// Returns the limits that the protocol sets for a client that names none.
    fn default() -> Self {
        Self {
            fds: 1,
            transfer: 1 << 20,
        }
    }
}

/// A version message that was understood.
#[derive(Debug)]
pub(crate) struct Proposal {
    /// The client's limits.
    pub(crate) limits: ClientLimits,
    capabilities: Option<Capabilities>,
    text_length: usize,
}

/// The text of a version message.
#[derive(Debug, Default, Deserialize)]
struct Text {
    #[serde(default)]
    capabilities: Capabilities,
    /// All unknown entries. Without this field an array would be accepted in place of an object.
    #[serde(flatten)]
    _rest: IgnoredAny,
}

/// The capabilities that the server looks at.
#[derive(Debug, Default, Deserialize)]
struct Capabilities {
    max_msg_fds: Option<u64>,
    max_data_xfer_size: Option<u64>,
    max_dma_maps: Option<u64>,
    pgsizes: Option<u64>,
    /// As in [`Text`].
    #[serde(flatten)]
    _rest: IgnoredAny,
}

impl Proposal {
    /// Parses and checks the payload of a version message.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, Refusal> {
        let mut fields = Fields(payload);
        let (Some(major), Some(_minor)) = (fields.u16(), fields.u16()) else {
            return Err(Refusal::Payload {
                size: payload.len(),
                needed: 4,
            });
        };
        // Minor versions only add, so any will do.
        if major != MAJOR {
            return Err(VersionFault::Major(major).into());
        }
        // The text may be left out as a whole. The protocol has defaults then.
        let capabilities = match fields.rest() {
            [] => None,
            text => Some(parse_text(text)?),
        };
        let mut limits = ClientLimits::default();
        if let Some(named) = &capabilities {
            limits.fds = named.max_msg_fds.unwrap_or(limits.fds);
            limits.transfer = named.max_data_xfer_size.unwrap_or(limits.transfer);
        }
        Ok(Self {
            limits,
            capabilities,
            text_length: fields.rest().len(),
        })
    }

    /// Returns the payload of the reply: the capabilities that the client named and the server
    /// knows. It is no longer than the client's own, as QEMU reads the reply into the memory of its
    /// request. The server takes up to `fds` descriptors with a message.
    pub(crate) fn answer(&self, fds: usize) -> Vec<u8> {
        let mut payload = [MAJOR.to_ne_bytes(), MINOR.to_ne_bytes()].concat();
        let Some(named) = &self.capabilities else {
            return payload;
        };
        // QEMU refuses a server that names more than MAX_FDS, and names as many itself. So a larger
        // number is for clients that do the same.
        let fds = named
            .max_msg_fds
            .map_or(0, |own| own.max(MAX_FDS as u64))
            .min(fds as u64);
        let ours = [
            ("max_msg_fds", fds, named.max_msg_fds),
            (
                "max_data_xfer_size",
                MAX_TRANSFER as u64,
                named.max_data_xfer_size,
            ),
            ("max_dma_maps", MAX_DMA_MAPS as u64, named.max_dma_maps),
            ("pgsizes", PAGE_SIZE, named.pgsizes),
        ];
        let entries: Vec<String> = ours
            .into_iter()
            .filter(|(.., named)| named.is_some())
            .map(|(name, value, _)| format!("\"{name}\":{value}"))
            .collect();
        // From all entries down to none, the longest text that fits.
        let text = (0..=entries.len())
            .rev()
            .filter_map(|count| entries.get(..count))
            .map(|entries| format!("{{\"capabilities\":{{{}}}}}\0", entries.join(",")))
            .chain(["{}\0".to_owned()])
            .find(|text| text.len() <= self.text_length);
        payload.extend(text.unwrap_or_default().into_bytes());
        payload
    }
}

/// Returns the start of a text, as much as a log should have.
fn start(text: &str) -> String {
    // A cut in the middle of a character would not be text.
    let end = text.floor_char_boundary(MAX_ERROR);
    text.get(..end).unwrap_or_default().to_owned()
}

/// Parses and checks the text of a version message.
fn parse_text(text: &[u8]) -> Result<Capabilities, VersionFault> {
    // Before parsing, as the client decides on the length.
    if text.len() > MAX_TEXT {
        return Err(VersionFault::TooLong(text.len(), MAX_TEXT));
    }
    // The text is a C string: a NUL in the middle would end it for other readers.
    let Some((0, text)) = text.split_last() else {
        return Err(VersionFault::NotTerminated);
    };
    if text.contains(&0) {
        return Err(VersionFault::NotTerminated);
    }
    let Text { capabilities, .. } = serde_json::from_slice(text)
        .map_err(|error| VersionFault::Text(start(&error.to_string())))?;
    // With these limits of 0, no transfer or mapping could ever be made.
    let wrong = |name, value| Err(VersionFault::Value(name, value));
    match capabilities {
        Capabilities {
            max_data_xfer_size: Some(0),
            ..
        } => wrong("max_data_xfer_size", 0),
        Capabilities {
            max_dma_maps: Some(0),
            ..
        } => wrong("max_dma_maps", 0),
        Capabilities {
            pgsizes: Some(sizes),
            ..
        } if sizes == 0 || sizes % PAGE_SIZE != 0 => wrong("pgsizes", sizes),
        _ => Ok(capabilities),
    }
}
