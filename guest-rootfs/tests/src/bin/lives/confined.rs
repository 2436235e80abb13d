// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A process that denies itself the ioctls of device files (Landlock).

use crate::{all_is_freed, refused};
use landlock::{
    AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreated, RulesetError,
};
use ringbar_tests::{assert_device_works, case, child, open, page_size, Skip};
use rustix::io::Errno;

/// Returns rules that deny the ioctls of device files.
fn without_ioctls() -> Result<RulesetCreated, RulesetError> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::IoctlDev)?
        .create()
}

#[case]
fn file_that_is_opened_under_landlock_can_be_mapped_but_takes_no_ioctl() -> Result<(), Skip> {
    let rules = without_ioctls().map_err(|error| Skip(format!("no Landlock: {error}").into()))?;
    let status = child::run(|| {
        let earlier = open();
        rules.restrict_self().unwrap();
        let later = open();
        refused(later.info(), Errno::ACCESS);
        refused(later.start_queue(4), Errno::ACCESS);
        let registers = later.map_public_registers().unwrap();
        assert_eq!(registers.len(), page_size());
        registers.read::<u32>(0);
        // The right belongs to the open file.
        assert_device_works(&earlier);
    });
    assert!(status.success(), "{status}");
    all_is_freed();
    Ok(())
}
