// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The machine changes its kernel (kexec) while the device copies, and no driver says goodbye. The
//! device pauses, because the kernel that goes takes bus mastering away. It must never write the
//! memory of that time again, which belongs to others now.
//!
//! With `KEXEC=1` init boots the machine twice. In the first boot this program sets copies going
//! and starts the second kernel. In the second boot, before the driver is loaded, it fills all free
//! memory with canaries. The cases run when the driver is there.

mod former;
mod work_left;

use ringbar_tests::{arguments, assert_device_works, canaries, case, open, run, Skip};
use std::process::ExitCode;

fn main() -> ExitCode {
    match arguments::role().map(|words| words.concat()).as_deref() {
        Some("former") => former::go_on_with_another_kernel(),
        Some("heir") => {
            canaries::plant(u64::MAX);
            work_left::note();
        }
        Some(role) => panic!("{role} is not a role: former or heir"),
        None => {
            let ended = run();
            canaries::remove();
            return ended;
        }
    }
    ExitCode::SUCCESS
}

/// Skips a case unless this is the second kernel.
fn second_kernel() -> Result<(), Skip> {
    if canaries::are_planted() {
        return Ok(());
    }
    Err(Skip(
        "the machine has not changed its kernel: KEXEC=1".into(),
    ))
}

/// Otherwise no case could fail.
#[case]
fn device_had_work_left_when_the_driver_came() -> Result<(), Skip> {
    second_kernel()?;
    let left = work_left::queues();
    println!("# queues with work left: {left}");
    assert!(left > 0, "all copies had ended: start more of them");
    Ok(())
}

/// Otherwise a write of the device could hit other memory alone.
#[case]
fn canaries_lie_where_the_device_was_to_write() -> Result<(), Skip> {
    second_kernel()?;
    let former = former::frames_of_buffers();
    let canaries = canaries::frames();
    let covered = former.iter().filter(|frame| canaries.contains(frame));
    let (covered, all) = (covered.count(), former.len());
    println!("# pages of the former buffers that have canaries: {covered} of {all}");
    assert!(covered > all / 4, "{covered} of {all} pages have canaries");
    Ok(())
}

#[case]
fn no_canary_has_changed() -> Result<(), Skip> {
    second_kernel()?;
    canaries::check();
    Ok(())
}

#[case]
fn device_works_with_the_second_kernel() -> Result<(), Skip> {
    second_kernel()?;
    assert_device_works(&open());
    Ok(())
}
