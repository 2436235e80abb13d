// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A boot that is timed: the guest loads the driver and powers off.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::machine::Acceleration;
use crate::options::BootOptions;
use crate::process::Process;
use crate::run;
use crate::screen::{printable, Screen};
use crate::server;
use crate::tail::Tail;
use crate::workplace::Workplace;

/// Time between two looks: short, as it is the precision of the figure.
const STEP: Duration = Duration::from_millis(2);

/// What the guest says when it has loaded the driver, and what goes before the reason if it could not.
const LOADED: &str = "# driver: loaded";
const BAIL_OUT: &str = "Bail out! ";

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
    let mut results = Tail::create(&place.file("results.ktap"))?;
    let task = "ringbar.boot".to_owned();
    let machine = run::machine(machine_options, acceleration, place, task)?;
    let mut command = run::qemu(machine_options, &machine, place)?;
    let log = place.append("qemu.log")?;
    let began = Instant::now();
    let mut qemu = Process::start(&mut command, &log)
        .map_err(|source| run::qemu_missing(machine_options, source))?;
    loop {
        interrupt.check()?;
        let time = began.elapsed();
        match qemu.end() {
            Some(end) if end.is_good() => {
                return driver_loaded(&results.finish()?).map(|()| time);
            }
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

/// The guest powers off without a driver as well, and after a panic of its kernel; QEMU ends well then.
fn driver_loaded(results: &[String]) -> Result<(), Error> {
    if results.iter().any(|line| line == LOADED) {
        return Ok(());
    }
    let said = results.iter().find_map(|line| line.strip_prefix(BAIL_OUT));
    let reason = said.map_or_else(
        || "the guest did not say that it has loaded the driver".to_owned(),
        |reason| format!("the guest says: {}", printable(reason)),
    );
    Err(Error::Boot { reason })
}
