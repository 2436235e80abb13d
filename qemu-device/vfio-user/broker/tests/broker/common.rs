// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Messages with fake descriptors, and the answers of a server that works.

use ringbar_broker::message::Descriptor;
use ringbar_broker::Message;
use ringbar_vfio_user::testing::words;
use ringbar_vfio_user::wire::{command, Fields, Header, HEADER_SIZE};

/// A fake descriptor: its own number, and the file that it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct File {
    pub(crate) number: u32,
    pub(crate) file: u32,
}

impl Descriptor for File {
    fn is_same_file(&self, other: &Self) -> bool {
        self.file == other.file
    }
}

/// Makes a descriptor of a file of its own.
pub(crate) fn file(number: u32) -> File {
    File {
        number,
        file: number,
    }
}

/// Parses a message, and adds descriptors.
pub(crate) fn message<Fd>(bytes: &[u8], fds: Vec<Fd>) -> Message<Fd> {
    Message {
        header: Header::parse(bytes).unwrap(),
        payload: bytes[HEADER_SIZE..].into(),
        fds,
    }
}

/// Byte that a working server reads from every register.
pub(crate) const ALIVE: u8 = 0x11;

/// Returns the payload of a working server's success, for a device of two regions.
pub(crate) fn payload_of_success(command: u16, payload: &[u8]) -> Vec<u8> {
    match command {
        command::REGION_READ => {
            let count = Fields(&payload[12..]).u32().unwrap() as usize;
            [&payload[..16], &vec![ALIVE; count]].concat()
        }
        command::REGION_WRITE => payload[..16].to_vec(),
        command::REGION_WRITE_MULTI => payload[..8].to_vec(),
        command::DMA_UNMAP => payload[..24].to_vec(),
        command::VERSION => payload.to_vec(),
        command::DEVICE_GET_INFO => words(&[16, 3, 2, 1]),
        command::DEVICE_GET_REGION_INFO => {
            let index = Fields(&payload[8..]).u32().unwrap();
            let fields = words(&[32, 7, index, 0]);
            [fields, [0x2000_u64, 0].map(u64::to_ne_bytes).concat()].concat()
        }
        command::DEVICE_GET_IRQ_INFO => words(&[16, 1, 2, 9]),
        _ => Vec::new(),
    }
}
