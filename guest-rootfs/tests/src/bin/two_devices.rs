// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Several devices are independent: whatever happens to one, the other works on.

use ringbar_client::{Device, Error};
use ringbar_tests::{
    arguments, case, fork, hammer, node, open, run, within, Case, Hammer, KeptOnPurpose,
    LongCopies, PciFunction, Runner, Skip, LOSS, NODE, PATIENCE,
};
use rustix::io::Errno;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::time::Duration;

/// The device that is unbound, killed and lost.
const OTHER: u32 = 1;
/// Role of a process that hammers the other device.
const HAMMER: &str = "hammer";
const COPY: &str = "copy";
/// Number of unbinds.
const UNBINDS: u32 = 10;
/// Number of killed processes.
const KILLS: u32 = 20;

fn main() -> ExitCode {
    if let Some(words) = arguments::role() {
        return use_device(&words.concat());
    }
    run()
}

/// Makes a case that needs two devices.
fn with_two_devices(name: &'static str, body: fn()) -> Case {
    Case::new(name, move || two_devices().map(|()| body()))
}

fn two_devices() -> Result<(), Skip> {
    match Path::new(&node(OTHER)).exists() {
        true => Ok(()),
        false => Err(Skip(
            "the machine has one device: start it with DEVICES=2".into(),
        )),
    }
}

/// Plays the role of a child: uses the other device until a call fails.
fn use_device(what: &str) -> ExitCode {
    let device = Device::open(node(OTHER)).expect("the device can be opened");
    let mut announced = false;
    let at_work = || {
        if !announced {
            println!("at work");
            announced = true;
        }
        true
    };
    let ended = match what {
        HAMMER => hammer(&device, at_work),
        _ => copy_at_length(&device, at_work),
    };
    match ended.expect_err("the loop ends only by an error") {
        Error::ServerGone { .. } => ExitCode::SUCCESS,
        error if [Some(Errno::IO), Some(Errno::NODEV)].contains(&error.errno()) => {
            ExitCode::SUCCESS
        }
        error => panic!("{error}"),
    }
}

fn copy_at_length(device: &Device, mut go_on: impl FnMut() -> bool) -> Result<(), Error> {
    let mut copies = LongCopies::prepare(device)?;
    loop {
        copies.start()?;
        if !go_on() {
            return Ok(());
        }
        copies.finish()?;
    }
}

/// A process that uses the other device. Killed when dropped.
struct User {
    process: Child,
    _output: BufReader<ChildStdout>,
}

impl User {
    /// Starts the process and waits until it is at work.
    fn start(what: &str) -> Self {
        let mut process = Command::new("/proc/self/exe")
            .args([arguments::AS, what])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program can start itself");
        let output = process.stdout.take().expect("its output is a pipe");
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line).expect("its output can be read");
        // Passes its lines for people on, for example its seed.
        while line.starts_with('#') {
            print!("{line}");
            line.clear();
            output.read_line(&mut line).expect("its output can be read");
        }
        assert_eq!(line, "at work\n");
        Self {
            process,
            _output: output,
        }
    }

    #[track_caller]
    fn ends(&mut self, limit: Duration) -> ExitStatus {
        within("the user of the device ends", limit, || {
            self.process.try_wait().expect("a child of ours")
        })
    }
}

impl Drop for User {
    fn drop(&mut self) {
        // The kill fails if the process has already ended.
        let _ended = self.process.kill();
        let _status = self.process.wait();
    }
}

/// Fails unless the device under test works all the time, while `happens` deals with the other one.
fn undisturbed(happens: impl FnOnce(&Hammer)) {
    let hammer = Hammer::start(open());
    hammer.goes_on();
    happens(&hammer);
    hammer.goes_on();
    hammer.finish();
}

#[case(with_two_devices)]
fn both_work_at_once() {
    let other = Device::open(node(OTHER)).expect("the device can be opened");
    undisturbed(|_| {
        let other = Hammer::start(other);
        for _ in 0..10 {
            other.goes_on();
        }
        other.finish();
    });
}

#[case(with_two_devices)]
fn unbinding_one_leaves_the_other_alone() {
    let function = PciFunction::of(OTHER);
    undisturbed(|hammer| {
        for _ in 0..UNBINDS {
            let mut user = User::start(HAMMER);
            let unbound = function.unbind();
            let status = user.ends(PATIENCE);
            drop(unbound);
            let gone = status.success() || status.signal() == Some(fork::SIGBUS);
            assert!(gone, "{status}");
            assert!(Path::new(NODE).exists());
            hammer.goes_on();
        }
    });
}

#[case(with_two_devices)]
fn killing_users_of_one_leaves_the_other_alone() {
    undisturbed(|hammer| {
        for _ in 0..KILLS {
            drop(User::start(HAMMER));
            hammer.goes_on();
        }
    });
}

#[case]
fn loss_of_one_leaves_the_other_alone() -> Result<(), Skip> {
    two_devices()?;
    let mut runner = Runner::for_unplugs(1)?;
    undisturbed(|hammer| {
        let mut users = [HAMMER, COPY].map(User::start);
        runner.must(&format!("server_kill {OTHER}"));
        for user in &mut users {
            let status = user.ends(LOSS);
            assert!(status.success(), "{status}");
        }
        hammer.goes_on();
        let kept = KeptOnPurpose::begin();
        runner.must(&format!("device_del {OTHER}"));
        drop(kept);
        runner.must(&format!("device_add {OTHER}"));
        within("the device comes back", PATIENCE, || {
            Path::new(&node(OTHER)).exists().then_some(())
        });
        drop(User::start(HAMMER));
    });
    Ok(())
}
