// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! An interrupt that the device raises before its vector of MSI-X was ever unmasked is not lost.
//!
//! The program takes the driver off the device, and is a driver that enables its vectors late. The
//! message of the vector is a word for memory of this process.

use ringbar_client::{page_size, Mapping};
use ringbar_spec::layout::{
    MSIX_BAR, MSIX_PBA_OFFSET, MSIX_TABLE_OFFSET, PUBLIC_PAGE, REGISTER_BAR,
};
use ringbar_spec::regs::IDENT;
use ringbar_tests::{
    assert_device_works, case, has_iommu, open, pages, run, until, PciFunction, Skip,
};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;
use std::sync::Arc;

/// Offset of the command register, and its bits for memory space and bus mastering (PCI 3.0, 6.2.2).
const COMMAND: (u64, u16) = (0x04, 1 << 1 | 1 << 2);
/// Offset of the pointer to the first capability (PCI 3.0, 6.7).
const CAPABILITIES: u64 = 0x34;
/// Number of the capability of MSI-X, and the bit of its control word that enables it (PCI 3.0, 6.8.2).
const MSIX: (u8, u16) = (0x11, 1 << 15);
/// The word that the message of the vector writes.
const MESSAGE: u32 = 0x5a5a_1234;

fn main() -> ExitCode {
    run()
}

#[case]
fn interrupt_before_the_first_unmask_is_pending_and_comes_with_the_unmask() -> Result<(), Skip> {
    let function = PciFunction::under_test();
    if !function.has_msix() {
        return Err(Skip("the device has MSI: INTERRUPTS=msix".into()));
    }
    if has_iommu() {
        return Err(Skip("an IOMMU takes each message: IOMMU=0".into()));
    }
    {
        let _unbound = function.unbind();
        let config = function.config();
        let control = msix(&config) + 2;
        set(&config, COMMAND.0, COMMAND.1);
        set(&config, control, MSIX.1);
        let registers = bar(&function, REGISTER_BAR, PUBLIC_PAGE);
        let messages = bar(&function, MSIX_BAR, 0);
        let inbox = Mapping::anonymous(page_size()).expect("there is memory");
        // The memory has a page from now on.
        inbox.write(0, 0u32);
        let pending = || messages.read::<u32>(MSIX_PBA_OFFSET) & 1;
        assert_eq!(pending(), 0);

        // An error of the device raises vector 0, and this register is read-only.
        registers.write(IDENT::INFO.offset - PUBLIC_PAGE, 0u32);
        assert_eq!((pending(), inbox.read::<u32>(0)), (1, 0));
        unmask(&messages, physical(&inbox));

        until("the message comes", || inbox.read::<u32>(0) == MESSAGE);
        assert_eq!(pending(), 0);
        clear(&config, control, MSIX.1);
    }
    assert_device_works(&open());
    Ok(())
}

/// Returns the offset of the capability of MSI-X.
fn msix(config: &File) -> u64 {
    let byte = |offset| {
        let mut byte = [0];
        config
            .read_exact_at(&mut byte, offset)
            .expect("it can be read");
        byte[0]
    };
    let mut offset = byte(CAPABILITIES).into();
    while byte(offset) != MSIX.0 {
        offset = byte(offset + 1).into();
        assert_ne!(offset, 0, "the device has MSI-X");
    }
    offset
}

/// Sets bits of a register of configuration space.
fn set(config: &File, offset: u64, bits: u16) {
    change(config, offset, |old| old | bits);
}

/// Clears bits of a register of configuration space.
fn clear(config: &File, offset: u64, bits: u16) {
    change(config, offset, |old| old & !bits);
}

fn change(config: &File, offset: u64, new: impl FnOnce(u16) -> u16) {
    let mut bytes = [0; 2];
    config
        .read_exact_at(&mut bytes, offset)
        .expect("it can be read");
    let value = new(u16::from_le_bytes(bytes));
    let written = config.write_all_at(&value.to_le_bytes(), offset);
    written.expect("it can be written");
}

/// Maps a part of a BAR through sysfs.
fn bar(function: &PciFunction, number: u32, offset: usize) -> Mapping {
    let path = function.folder().join(format!("resource{number}"));
    let file = OpenOptions::new().read(true).write(true).open(path);
    let file = Arc::new(file.expect("sysfs has the BAR"));
    Mapping::new(file, offset as u64, page_size(), true).expect("it can be mapped")
}

/// Returns the physical address of the beginning of a mapping.
fn physical(memory: &Mapping) -> u64 {
    let frames = pages::frames(memory.as_ptr() as usize, page_size());
    frames[0] * page_size() as u64
}

/// Sets the message of vector 0, and unmasks it.
fn unmask(messages: &Mapping, address: u64) {
    let entry = [address as u32, (address >> 32) as u32, MESSAGE, 0];
    for (place, word) in entry.into_iter().enumerate() {
        messages.write(MSIX_TABLE_OFFSET + 4 * place, word);
    }
}
