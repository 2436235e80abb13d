// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A boot that is timed: the guest loads the driver and powers off.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::machine::{Acceleration, Console};
use crate::options::BootOptions;
use crate::process::Process;
use crate::run;
use crate::screen::Screen;
use crate::server;
use crate::tail::Tail;
use crate::workplace::Workplace;

/// Time between two looks: short, as it is the precision of the figure.
const STEP: Duration = Duration::from_millis(2);

/// How long QEMU was there. Starting the servers does not count.
pub(crate) fn run(
    options: &BootOptions,
    acceleration: Acceleration,
    place: &Workplace,
    interrupt: &Interrupt,
    screen: &Screen,
) -> Result<Duration, Error> {
    let machine_options = &options.machine;
    let mut servers = Vec::new();
    for device in 0..machine_options.devices {
        let mut log = Tail::create(&place.file(&server::log_name(device)))?;
        let server = server::start(machine_options, place, device, &mut log, interrupt);
        servers.push(server.inspect_err(|_| screen.details(&log.last_lines()))?);
    }
    let console = Console::File(place.file("console.log"));
    let task = "ringbar.boot".to_owned();
    let machine = run::machine(machine_options, acceleration, place, task, console, None);
    let mut command = run::qemu(machine_options, &machine, place)?;
    let log = place.append("qemu.log")?;
    let began = Instant::now();
    let mut qemu = Process::start(&mut command, &log)
        .map_err(|source| run::qemu_missing(machine_options, source))?;
    loop {
        interrupt.check()?;
        let time = began.elapsed();
        match qemu.end() {
            Some(end) if end.is_good() => return Ok(time),
            Some(end) => {
                return Err(Error::Boot {
                    reason: format!("QEMU ended with {end}"),
                })
            }
            None if time >= options.timeout => {
                return Err(Error::Boot {
                    reason: format!("not within {} s", options.timeout.as_secs()),
                })
            }
            None => sleep(STEP),
        }
    }
}
