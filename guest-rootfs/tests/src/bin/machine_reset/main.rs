// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The machine restarts while all devices copy and processes wait: by a reset from outside at a
//! random moment, and by a reboot of the guest. Then the devices are as after a reset, and write
//! nothing that the kernel before had them write. The programs behind this one run in the machine
//! that has restarted.
//!
//! In the boot after, init calls this program before it loads the driver. The program fills the free
//! memory with canaries then: a device that was not reset goes on as soon as the driver lets it.

mod note;
mod work;

use note::Note;
use ringbar_client::Device;
use ringbar_spec::pattern;
use ringbar_spec::wake::Word;
use ringbar_tests::{
    arguments, assert_device_works, canaries, node, parameter, restart, run_all, Case, Runner,
    Skip, LOSS, SHORT,
};
use rustix::system::{reboot, RebootCommand};
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;
use work::Work;

/// Resets in a full run and in a short one.
const RESETS: (u64, u64) = (50, 1);
/// Most pages with canaries, because each takes time. A machine of 512 MiB has fewer.
const CANARIES: u64 = 1 << 16;
/// The reset comes within so many milliseconds.
const MOMENTS: u64 = 700;

/// The origin of the reset.
#[derive(Clone, Copy)]
enum Origin {
    /// QEMU, as by the button of a machine.
    Button,
    /// The guest's kernel.
    Kernel,
}

fn main() -> ExitCode {
    match arguments::role().map(|words| words.concat()).as_deref() {
        Some(restart::HEIR) => {
            canaries::plant(CANARIES);
            return ExitCode::SUCCESS;
        }
        Some(role) => panic!("{role} is not a role: {}", restart::HEIR),
        None => {}
    }
    let (full, short) = RESETS;
    let resets = (1..=parameter::count(full, short)).map(|round| {
        let name = format!("devices_work_after_a_system_reset_{round:02}");
        Case::new(name, move || devices_work_after_a_system_reset(round))
    });
    let reboot = Case::new("devices_work_after_a_reboot", devices_work_after_a_reboot);
    run_all(resets.chain([reboot]).collect())
}

fn devices_work_after_a_system_reset(round: u64) -> Result<(), Skip> {
    restarts(Origin::Button, round)
}

fn devices_work_after_a_reboot() -> Result<(), Skip> {
    restarts(Origin::Kernel, 0)
}

/// Restarts the machine while it works. In the machine that has restarted, checks it.
fn restarts(origin: Origin, round: u64) -> Result<(), Skip> {
    match restart::note() {
        Some(note) => examine(&note),
        None => {
            let runner = Runner::find().ok_or(Skip("the machine has no runner".into()))?;
            leave(runner, origin, round);
        }
    }
    Ok(())
}

/// Has the machine restart at a random moment.
fn leave(mut runner: Runner, origin: Origin, round: u64) {
    let note = Note {
        seed: ringbar_tests::seed(),
        generations: devices().map(|device| generation(&device)).collect(),
    };
    let moment = pattern::word(note.seed, round) % MOMENTS;
    println!("# the reset comes after {moment} ms");
    let _at_work: Vec<Work> = devices()
        .map(|device| Work::start(&device, note.seed))
        .collect();
    match origin {
        Origin::Button => runner.must(&format!("machine_reset {moment} {note}")),
        Origin::Kernel => {
            runner.must(&format!("machine_reboot {note}"));
            thread::sleep(Duration::from_millis(moment));
            let refused = reboot(RebootCommand::Restart);
            panic!("the kernel does not reboot: {refused:?}");
        }
    }
    thread::sleep(LOSS);
    panic!("the machine was not reset within {LOSS:?}");
}

/// Checks the devices of a machine that has restarted.
fn examine(note: &str) {
    assert!(canaries::are_planted(), "init plants canaries");
    thread::sleep(SHORT);
    canaries::check();
    let note: Note = note.parse().expect("the note of the boot before");
    println!("# the boot before had {note}");
    let devices: Vec<Device> = devices().collect();
    assert_eq!(devices.len(), note.generations.len(), "devices");
    for (device, before) in devices.iter().zip(&note.generations) {
        let resets = generation(device).wrapping_sub(*before);
        // One of the machine, and one of the driver.
        assert!(resets >= 2, "{resets} resets since {before}");
    }
    for (device, number) in devices.iter().zip(0..) {
        assert_queues_are_free(number);
        assert_device_works(device);
    }
    canaries::check();
    canaries::remove();
}

/// Fails unless a file can have all queues of a device. They are free again when the file closes.
#[track_caller]
fn assert_queues_are_free(number: u32) {
    let device = Device::open(node(number)).expect("the device can be opened");
    let queues = device.info().expect("it can be asked").queues;
    for queue in 0..queues {
        let made = device.create_queue(2);
        made.unwrap_or_else(|error| panic!("queue {queue} of {queues}: {error}"));
    }
}

/// Opens all devices of the machine.
fn devices() -> impl Iterator<Item = Device> {
    let nodes = (0..).map(node).take_while(|node| Path::new(node).exists());
    nodes.map(|node| Device::open(node).expect("the device can be opened"))
}

/// Returns the reset generation of a device.
fn generation(device: &Device) -> u32 {
    let queue = device.create_queue(2).expect("a queue is free");
    let generation = queue.word(Word::Generation);
    queue.close().expect("it is given back");
    generation
}
