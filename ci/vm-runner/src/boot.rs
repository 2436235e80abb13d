// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A timed boot: the guest loads the driver and powers off.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::interrupt::Interrupt;
use crate::machine::Acceleration;
use crate::options::BootOptions;
use crate::process::Process;
use crate::run;
use crate::screen::{printable, Screen};
use crate::service::{Service, Surroundings};
use crate::tail::Tail;
use crate::workplace::Workplace;

/// Time between two looks. It is short, because it limits the precision of the figure.
const STEP: Duration = Duration::from_millis(2);

/// Line of a guest that has loaded the driver, and prefix of the reason if it could not.
const LOADED: &str = "# driver: loaded";
const BAIL_OUT: &str = "Bail out! ";

/// Returns the time from the start of QEMU to its end. The start of the servers does not count.
pub(crate) fn run(
    options: &BootOptions,
    acceleration: Acceleration,
    place: &Workplace,
    interrupt: &Interrupt,
    screen: &Screen,
) -> Result<Duration, Error> {
    let machine_options = &options.machine;
    let around = Surroundings {
        options: machine_options,
        place,
        interrupt,
    };
    let _servers = Service::start_each(around, screen)?;
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

/// Fails if the guest did not report that the driver was loaded. It also powers off without the
/// driver, and after a panic, and QEMU's status is then the same.
fn driver_loaded(results: &[String]) -> Result<(), Error> {
    if results.iter().any(|line| line == LOADED) {
        return Ok(());
    }
    let said = results.iter().find_map(|line| line.strip_prefix(BAIL_OUT));
    let reason = said.map_or_else(
        || "the guest did not report that it has loaded the driver".to_owned(),
        |reason| format!("the guest reports: {}", printable(reason)),
    );
    Err(Error::Boot { reason })
}
