// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Finds out whether KVM runs the guest's kernel, by booting it. The device node alone proves
//! nothing: it can exist where KVM runs no guest.

use std::fs::File;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ringbar_kernel_log::kernel_started;

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::machine::{self, Acceleration};
use crate::options::{Accelerator, MachineOptions};
use crate::process::Process;
use crate::run;
use crate::screen::Screen;
use crate::tail::Tail;
use crate::workplace::Workplace;

/// Longest time until the kernel's first line. Under KVM it takes well under a second.
const LIMIT: Duration = Duration::from_secs(10);
const NODE: &str = "/dev/kvm";

/// Returns how QEMU runs the guest.
pub(crate) fn settle(
    options: &MachineOptions,
    interrupt: &Interrupt,
    screen: &mut Screen,
) -> Result<Acceleration, Error> {
    if options.accel == Accelerator::Tcg {
        return Ok(Acceleration::Tcg);
    }
    match (probe(options, interrupt)?, options.accel) {
        (Ok(()), _) => Ok(Acceleration::Kvm),
        (Err(reason), Accelerator::Kvm) => Err(Error::Kvm { reason }),
        (Err(reason), _) => {
            screen.note(&format!("no KVM: {reason}; fell back to TCG"));
            Ok(Acceleration::Tcg)
        }
    }
}

/// Boots the kernel under KVM. The inner error is the reason for which KVM cannot be used.
fn probe(options: &MachineOptions, interrupt: &Interrupt) -> Result<Result<(), String>, Error> {
    if let Err(error) = File::options().read(true).write(true).open(NODE) {
        return Ok(Err(format!("{NODE} cannot be opened: {error}")));
    }
    let place = Workplace::create()?;
    let path = place.file("console.log");
    let mut log = Tail::create(&path)?;
    let mut output = Tail::create(&place.file("qemu.log"))?;
    let mut command = Command::new(&options.qemu);
    command.args(machine::probe(
        options.architecture,
        Acceleration::Kvm,
        &options.kernel,
        &path,
    ));
    let mut qemu = Process::start(&mut command, &place.append("qemu.log")?)
        .map_err(|source| run::qemu_missing(options, source))?;
    let deadline = Instant::now() + LIMIT;
    loop {
        interrupt.check()?;
        let end = qemu.end();
        if log.read()?.iter().any(|line| kernel_started(line)) {
            return Ok(Ok(()));
        }
        if let Some(end) = end {
            let said = output.finish()?.into_iter().find(|line| !line.is_empty());
            let said = said.map_or(String::new(), |line| format!(" ({line})"));
            return Ok(Err(format!("QEMU with KVM ended with {end}{said}")));
        }
        if Instant::now() >= deadline {
            let limit = LIMIT.as_secs();
            let reason = format!("the guest's kernel printed nothing under KVM within {limit} s");
            return Ok(Err(reason));
        }
        sleep(Duration::from_millis(10));
    }
}
