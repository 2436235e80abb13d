// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The device is taken out of the machine and put back, with MSI and more than one vector.

use ringbar_tests::{
    case, has_iommu, interrupts, nop, open, until, PciFunction, Runner, Skip, NODE, PATIENCE,
};
use std::path::Path;

/// Fails unless the driver has more than one vector, all of MSI, and gets an interrupt.
#[track_caller]
fn assert_has_several(when: &str) {
    let vectors = PciFunction::under_test().vectors();
    println!("# {} vectors {when}", vectors.len());
    assert!(vectors.len() > 1, "{vectors:?}");
    assert!(vectors.iter().all(|kind| kind == "msi"), "{vectors:?}");
    let mut queue = open().create_queue(4).expect("a queue");
    let before = interrupts();
    assert!(queue.arm(1).expect("armed"));
    queue.push(nop(1)).expect("the ring has room");
    queue.run(PATIENCE).expect("it is completed");
    until("an interrupt", || interrupts() > before);
}

/// An IOMMU that remaps interrupts gives a function with MSI more than one vector. And QEMU frees
/// such a device: it can be unplugged without end.
#[case]
fn device_with_msi_behind_an_iommu_has_several_vectors_and_leaves_nothing() -> Result<(), Skip> {
    if PciFunction::under_test().has_msix() || !has_iommu() {
        return Err(Skip(
            "for MSI behind an IOMMU: INTERRUPTS=msi IOMMU=1".into(),
        ));
    }
    let mut runner = Runner::for_unplugs(usize::MAX)?;
    assert_has_several("before");

    runner.must("device_del");
    assert!(
        !Path::new(NODE).exists(),
        "{NODE} stayed without its device"
    );
    runner.must("device_add");
    until("the node comes back", || Path::new(NODE).exists());

    assert_has_several("afterwards");
    assert_eq!(runner.unplugs(), Ok(usize::MAX));
    Ok(())
}
