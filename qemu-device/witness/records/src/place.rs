// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Places in the device that an access can go to.

use ringbar_spec::layout::{
    DEVICE_MEMORY_BAR, MSIX_BAR, MSIX_PBA_OFFSET, MSIX_TABLE_OFFSET, REGISTER_BAR,
};
use ringbar_spec::names::NamedByte;
use serde::{Deserialize, Serialize};

/// A part of the device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Space {
    /// A register of BAR 0, or a field of a shared page there.
    Register,
    /// An offset of BAR 0 with neither of them, or a BAR that the device does not have.
    Reserved,
    /// Device memory.
    Memory,
    /// The MSI-X table.
    MsixTable,
    /// The MSI-X pending bits.
    MsixPba,
    /// Configuration space.
    Config,
}

/// A place in the device.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Place {
    /// Part of the device.
    pub space: Space,
    /// Name of the register or field in the data sheet, with index and byte: `KICK[3]+1`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Offset in the BAR or in configuration space.
    pub offset: u64,
}

impl Place {
    /// Returns the place at `offset` of BAR `bar`.
    pub fn in_bar(bar: u32, offset: u64) -> Self {
        let (space, name) = match bar {
            REGISTER_BAR => match NamedByte::at(offset) {
                Some(byte) => (Space::Register, byte.to_string()),
                None => (Space::Reserved, String::new()),
            },
            DEVICE_MEMORY_BAR => (Space::Memory, String::new()),
            MSIX_BAR if offset >= MSIX_PBA_OFFSET as u64 => (Space::MsixPba, String::new()),
            MSIX_BAR if offset >= MSIX_TABLE_OFFSET as u64 => (Space::MsixTable, String::new()),
            _ => (Space::Reserved, String::new()),
        };
        Self {
            space,
            name,
            offset,
        }
    }

    /// Returns the name of the register or field, without index and byte. It is empty if the place
    /// has none.
    pub fn register(&self) -> &str {
        self.name.split(['[', '+']).next().unwrap_or_default()
    }

    /// Returns the index of the register in its array: the queue, for registers of queues.
    pub fn index(&self) -> Option<u16> {
        let (_, rest) = self.name.split_once('[')?;
        rest.split_once(']')?.0.parse().ok()
    }

    /// Returns the place at `offset` of configuration space.
    pub fn in_config(offset: u64) -> Self {
        Self {
            space: Space::Config,
            name: String::new(),
            offset,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_have_the_names_of_the_data_sheet() {
        let names =
            [0x0, 0x1f, 0x3f_0000 + 3 * 0x1_0000].map(|offset| Place::in_bar(0, offset).name);

        assert_eq!(names, ["IDENT", "SCRATCH+7", "KICK[3]"]);
    }

    #[test]
    fn fields_of_shared_pages_have_the_names_of_the_data_sheet() {
        let names = [0x80_0000, 0x81_0018, 0xc0_0040].map(|offset| Place::in_bar(0, offset).name);

        assert_eq!(
            names,
            [
                "submission_tail[0]",
                "inline_descriptor[1]+8",
                "sleeping[0]"
            ]
        );
        assert_eq!(Place::in_bar(0, 0x80_0008).space, Space::Reserved);
    }

    #[test]
    fn name_has_a_register_and_its_index() {
        let place = |offset| Place::in_bar(0, offset);

        assert_eq!(place(0x1f).register(), "SCRATCH");
        assert_eq!(place(0x1f).index(), None);
        assert_eq!(place(0x3f_0000 + 3 * 0x1_0000 + 1).register(), "KICK");
        assert_eq!(place(0x3f_0000 + 3 * 0x1_0000 + 1).index(), Some(3));
    }

    #[test]
    fn offset_without_a_register_is_reserved() {
        assert_eq!(Place::in_bar(0, 0x800).space, Space::Reserved);
        assert_eq!(Place::in_bar(0, u64::MAX).space, Space::Reserved);
    }

    #[test]
    fn interrupt_table_and_pending_bits_are_distinguished() {
        assert_eq!(Place::in_bar(4, 0x10).space, Space::MsixTable);
        assert_eq!(Place::in_bar(4, 0x800).space, Space::MsixPba);
    }
}
