// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Regions, interrupts and resets through `vfio-pci`. The device must look like real hardware, and
//! a refused request must not harm it. The last case gives the device back.

use crate::ground::Ground;
use crate::on_ground;
use ringbar_driver_side::path::Transport;
use ringbar_driver_side::{bring_up, Error, Registers};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::layout::{DEVICE_MEMORY_SIZE, MSIX_BAR_SIZE, REGISTER_BAR_SIZE};
use ringbar_spec::regs::Register;
use ringbar_spec::ring::{Descriptor, Status};
use ringbar_test_vectors::{Path, BATCH};
use ringbar_tests::{assert_device_works, case, open};
use ringbar_vfio::calls::{self, InterruptSet};
use ringbar_vfio::{Space, VfioDriver};
use rustix::io::Errno;
use std::fs;
use std::os::unix::fs::FileExt;
use vfio_bindings::bindings::vfio::{
    VFIO_IRQ_SET_ACTION_MASK, VFIO_IRQ_SET_ACTION_TRIGGER, VFIO_IRQ_SET_DATA_EVENTFD,
    VFIO_IRQ_SET_DATA_NONE, VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX,
    VFIO_PCI_BAR4_REGION_INDEX, VFIO_PCI_CONFIG_REGION_INDEX, VFIO_PCI_INTX_IRQ_INDEX,
    VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_NUM_IRQS, VFIO_PCI_NUM_REGIONS,
    VFIO_REGION_INFO_FLAG_MMAP,
};

/// Bits of an offset in the device's file below the number of the region.
const REGION_SHIFT: u32 = 40;

/// Returns the bytes of configuration space that this kernel reaches: only 256 on the debug kernel.
fn config_size(ground: &Ground) -> u64 {
    let config = fs::metadata(ground.folder().join("config"));
    config.expect("sysfs has it").len()
}

/// Returns the kind of interrupts that the device has, and their number.
fn interrupts(driver: &mut VfioDriver) -> (u32, u32) {
    let mut count =
        |index| calls::interrupts(driver.transport().device(), index).expect("it is a kind");
    match (
        count(VFIO_PCI_MSIX_IRQ_INDEX),
        count(VFIO_PCI_MSI_IRQ_INDEX),
    ) {
        (0, msi) => (VFIO_PCI_MSI_IRQ_INDEX, msi),
        (msix, _) => (VFIO_PCI_MSIX_IRQ_INDEX, msix),
    }
}

/// Fails unless the device carries out a batch and its interrupt comes.
pub(crate) fn assert_alive(driver: &mut VfioDriver) {
    let done = driver.run(&[Descriptor::default(); BATCH]);
    let done = done.expect("the device works");
    assert!(done.iter().all(|it| it.status == Status::OK.0), "{done:?}");
}

#[case(on_ground)]
fn regions_are_those_of_the_device(ground: Ground) {
    let mut driver = ground.driver();
    let (kind, _) = interrupts(&mut driver);
    for index in 0..VFIO_PCI_NUM_REGIONS {
        let size = match index {
            VFIO_PCI_BAR0_REGION_INDEX => REGISTER_BAR_SIZE as u64,
            VFIO_PCI_BAR2_REGION_INDEX => DEVICE_MEMORY_SIZE as u64,
            VFIO_PCI_BAR4_REGION_INDEX if kind == VFIO_PCI_MSIX_IRQ_INDEX => MSIX_BAR_SIZE as u64,
            VFIO_PCI_CONFIG_REGION_INDEX => config_size(&ground),
            _ => 0,
        };
        // The kernel refuses a region that the device lacks, or reports it as empty.
        let info = calls::region_info(driver.transport().device(), index);
        let found = info.as_ref().map_or(0, |info| info.size);
        assert_eq!(found, size, "region {index}: {info:?}");
        let mapped = [VFIO_PCI_BAR0_REGION_INDEX, VFIO_PCI_BAR2_REGION_INDEX].contains(&index);
        let flags = info.map_or(0, |info| info.flags);
        assert!(!mapped || flags & VFIO_REGION_INFO_FLAG_MMAP != 0);
    }
}

#[case(on_ground)]
fn missing_regions_are_refused(ground: Ground) {
    let mut driver = ground.driver();
    for index in [VFIO_PCI_NUM_REGIONS, u32::MAX] {
        let info = calls::region_info(driver.transport().device(), index);
        assert_eq!(info.err(), Some(Errno::INVAL), "region {index}");
    }
    let file = driver.transport().file().expect("a descriptor more");
    for (region, offset) in [
        (VFIO_PCI_BAR0_REGION_INDEX, REGISTER_BAR_SIZE as u64),
        (VFIO_PCI_BAR2_REGION_INDEX, DEVICE_MEMORY_SIZE as u64),
        (VFIO_PCI_BAR2_REGION_INDEX, (1 << REGION_SHIFT) - 4),
        (VFIO_PCI_CONFIG_REGION_INDEX, config_size(&ground)),
        (VFIO_PCI_BAR0_REGION_INDEX + 1, 0),
        (VFIO_PCI_NUM_REGIONS, 0),
    ] {
        let place = u64::from(region) << REGION_SHIFT | offset;
        let read = file.read_at(&mut [0; 4], place);
        let written = file.write_at(&[0; 4], place);
        assert!(
            read.is_err() && written.is_err(),
            "region {region}, {offset:#x}"
        );
    }
    assert_alive(&mut driver);
}

#[case(on_ground)]
fn bad_interrupt_requests_are_refused(ground: Ground) {
    let mut driver = ground.driver();
    let (kind, count) = interrupts(&mut driver);
    let fd = driver.transport().interrupt_fd();
    let connect = InterruptSet {
        flags: VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
        index: kind,
        start: 0,
        count: 1,
        data: [fd; 4],
        ..Default::default()
    };
    let other = VFIO_PCI_MSIX_IRQ_INDEX + VFIO_PCI_MSI_IRQ_INDEX - kind;
    let refused = [
        (
            "no such kind",
            InterruptSet {
                index: VFIO_PCI_NUM_IRQS,
                ..connect
            },
        ),
        (
            "a kind that the device lacks",
            InterruptSet {
                index: other,
                ..connect
            },
        ),
        (
            "INTx",
            InterruptSet {
                index: VFIO_PCI_INTX_IRQ_INDEX,
                ..connect
            },
        ),
        (
            "a start behind the last interrupt",
            InterruptSet {
                start: count,
                ..connect
            },
        ),
        (
            "one interrupt too many",
            InterruptSet {
                start: count - 1,
                count: 2,
                ..connect
            },
        ),
        (
            "a range that wraps around",
            InterruptSet {
                start: u32::MAX,
                count: 2,
                ..connect
            },
        ),
        (
            "more interrupts than descriptors",
            InterruptSet {
                count: 5,
                ..connect
            },
        ),
        (
            "an invalid descriptor",
            InterruptSet {
                data: [9999; 4],
                ..connect
            },
        ),
        (
            "a file that is not an eventfd",
            InterruptSet {
                data: [0; 4],
                ..connect
            },
        ),
        (
            "two actions",
            InterruptSet {
                flags: connect.flags | VFIO_IRQ_SET_ACTION_MASK,
                ..connect
            },
        ),
        (
            "no action",
            InterruptSet {
                flags: VFIO_IRQ_SET_DATA_EVENTFD,
                ..connect
            },
        ),
        (
            "no data, and a start behind the first interrupt",
            InterruptSet {
                flags: VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER,
                start: count,
                count: 1,
                ..connect
            },
        ),
    ];
    for (what, set) in refused {
        let answer = calls::set_interrupts(driver.transport().device(), set);
        assert!(answer.is_err(), "{what}: {answer:?}");
        // Linux disconnects the old eventfd of a vector before it finds the new descriptor invalid.
        // With MSI, the message of all vectors goes with the first one. So the driver connects all
        // of them again.
        let again = driver.transport().request_interrupts();
        again.expect("they can be set up");
        assert_alive(&mut driver);
    }
}

#[case(on_ground)]
fn interrupts_that_are_set_up_twice_still_come(ground: Ground) {
    let mut driver = ground.driver();
    for _ in 0..3 {
        let again = driver.transport().request_interrupts();
        again.expect("they can be set up");
        assert_alive(&mut driver);
    }
    let (kind, _) = interrupts(&mut driver);
    driver
        .transport()
        .device()
        .disable_irq(kind)
        .expect("they can be turned off");
    let again = driver.transport().request_interrupts();
    again.expect("and on again");
    assert_alive(&mut driver);
}

#[case(on_ground)]
fn active_parts_cannot_be_set_up_again(ground: Ground) {
    let mut driver = ground.driver();

    let space = Space::new(Ground::kind()).expect("an address space can be made");
    let other = ringbar_vfio::open(space, ground.folder());
    assert!(
        other.is_err(),
        "the kernel opened an open device a second time"
    );
    match driver.start_queue() {
        Err(Error::Refused { code, .. }) => assert_eq!(code, ErrorCode::QUEUE_RUNS),
        other => panic!("the device started a running queue: {other:?}"),
    }

    assert_alive(&mut driver);
}

/// A reset puts registers back to their reset values, while a queue runs.
#[case(on_ground)]
fn function_is_reset_by_vfio_and_by_sysfs(ground: Ground) {
    let mut driver = ground.driver();
    let sysfs = ground.folder().to_owned();
    fs::write(sysfs.join("reset_method"), "flr").expect("the function has FLR");
    for way in ["VFIO", "sysfs"] {
        assert_alive(&mut driver);
        let registers = driver.transport();
        let written = registers.set(Register::SCRATCH, 0x5ca7);
        written.expect("it is mapped");
        let before = registers.get(Register::RESET_GENERATION);
        let before = before.expect("it is mapped");

        match way {
            "VFIO" => calls::reset(driver.transport().device()).expect("the function is reset"),
            _ => fs::write(sysfs.join("reset"), "1").expect("the function is reset"),
        }

        // The reset may have turned the memory space off.
        let registers = driver.transport();
        bring_up::enable(registers).expect("configuration space is there");
        let (scratch, generation) = (Register::SCRATCH, Register::RESET_GENERATION);
        let read = [scratch, generation].map(|it| registers.get(it).expect("it is mapped"));
        let [scratch, generation] = read;
        assert!(scratch == 0, "{way}: SCRATCH: read {scratch:#x}, not 0x0");
        assert!(
            generation != before,
            "{way}: RESET_GENERATION: read {generation:#x}, as before"
        );
        driver.begin_again().expect("the device can be brought up");
        assert_alive(&mut driver);
    }
}

#[case(on_ground)]
fn kernel_driver_works_again_when_the_device_is_given_back(ground: Ground) {
    drop(ground.driver());
    let driver = ground.give_back();

    assert_eq!(driver, "ringbar");
    assert_device_works(&open());
}
