// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server of a device is replaced by another one under the running machine: swapped, killed,
//! or stopped. A broker between QEMU and server keeps QEMU from noticing.

mod build;
mod held;

use ringbar_client::{Device, Error};
use ringbar_tests::debugfs::{RINGBAR, UNUSED};
use ringbar_tests::workers::{self, Workers};
use ringbar_tests::{
    arguments, assert_device_works, hammer, nop, open, parameter, run_all, seed, sleeper, steps,
    until, Case, PciFunction, Runner, Skip, PATIENCE,
};
use rustix::io::Errno;
use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;
use std::thread;
use std::time::Duration;

use build::Build;
use held::Held;

/// Number of times that a server is swapped, in a full run and in a short one. Even, so that the same
/// build serves in the end.
const SWAPS: (u64, u64) = (100, 4);
/// Number of times that a server is killed. Even for the same reason.
const KILLS: (u64, u64) = (20, 4);
/// Longest pause before a server goes, and before another one comes.
const PAUSE: Duration = Duration::from_millis(1500);
/// Time in which the driver looks at a lost device.
const LOOKS: Duration = Duration::from_secs(1);
/// Pause before a process begins again after the device has gone.
const AFTER_LOSS: Duration = Duration::from_millis(10);

fn main() -> ExitCode {
    if arguments::role().is_some_and(|words| words == [workers::WORK]) {
        return workers::work(copy);
    }
    let runner = Rc::new(RefCell::new(None));
    let case = |(name, step): (&'static str, Step)| {
        let runner = Rc::clone(&runner);
        Case::new(name, move || {
            let mut runner = runner.borrow_mut();
            if runner.is_none() {
                *runner = Some(find_runner()?);
            }
            step(runner.as_mut().expect("it was found"));
            Ok(())
        })
    };
    run_all(STEPS.into_iter().map(case).collect())
}

/// Copies and checks until `another_round` returns false or the device goes.
fn copy(another_round: &mut dyn FnMut() -> bool) {
    if let Err(error) = hammer(&open(), another_round) {
        assert_gone(&error);
        thread::sleep(AFTER_LOSS);
    }
}

/// A case.
type Step = fn(&mut Runner);

const STEPS: [(&str, Step); 8] = steps![Step:
    device_of_another_server_is_one_that_was_reset,
    sleeper_is_woken_with_eio_when_the_server_is_killed,
    calls_get_eio_while_there_is_no_server,
    stopped_server_is_left_and_taken_back,
    driver_can_be_bound_again_after_it_left_a_device_that_had_just_come_back,
    work_goes_on_after_each_swap_to_another_build,
    work_goes_on_after_each_kill,
    nothing_is_kept_in_the_end,
];

/// Returns the runner of a machine with a broker.
fn find_runner() -> Result<Runner, Skip> {
    let mut runner = Runner::find().ok_or(Skip(
        "the machine has no runner that can replace a server".into(),
    ))?;
    match runner.ask("server_swap") {
        Ok(_) => Ok(runner),
        Err(reason) if reason.contains("no broker") => Err(Skip(
            "no broker stands between QEMU and the server: start the machine with BROKER=1".into(),
        )),
        Err(reason) => panic!("server_swap: {reason}"),
    }
}

/// Waits until the device works again, without any help.
fn comes_back() {
    until("the device works again", || works(&open()));
    assert_device_works(&open());
}

/// Returns whether the device takes an operation.
fn works(device: &Device) -> bool {
    let run = || {
        let mut queue = device.create_queue(4)?;
        queue.push(nop(1))?;
        queue.run(PATIENCE)
    };
    run().is_ok()
}

/// Fails unless an error is one that the driver's README names for a device that has gone.
#[track_caller]
fn assert_gone(error: &Error) {
    let documented = matches!(error, Error::Reset { .. } | Error::ServerGone { .. })
        || error.errno() == Some(Errno::IO);
    assert!(documented, "{error}");
}

fn device_of_another_server_is_one_that_was_reset(runner: &mut Runner) {
    comes_back();
    let device = open();
    let mut queue = device.create_queue(4).expect("a queue is free");
    queue.push(nop(1)).expect("the ring has room");
    queue.run(PATIENCE).expect("it works");
    runner.must("server_swap");
    let ran = queue.push(nop(2)).and_then(|()| queue.run(PATIENCE));
    assert_gone(&ran.expect_err("the queue has gone"));
    comes_back();
}

/// Ends the way to the server by a request of the runner. Fails unless a sleeper is woken with an
/// error that the README names.
#[track_caller]
fn sleeper_gets_eio(runner: &mut Runner, request: &str) {
    let device = open();
    let queue = device.create_queue(4).expect("a queue is free");
    let sleeper = sleeper(&device, &queue, 1);
    runner.must(request);
    let woken = sleeper.join().expect("the thread does not panic");
    assert_gone(&woken.expect_err("nothing was completed"));
}

fn sleeper_is_woken_with_eio_when_the_server_is_killed(runner: &mut Runner) {
    sleeper_gets_eio(runner, "server_kill");
    runner.must("server_swap");
    comes_back();
}

fn calls_get_eio_while_there_is_no_server(runner: &mut Runner) {
    let device = open();
    runner.must("server_kill");
    let refused = [
        device.create_queue(4).map(drop),
        open().create_queue(4).map(drop),
    ];
    for refused in refused {
        assert_gone(&refused.expect_err("the device has no server"));
    }
    runner.must("server_swap");
    comes_back();
}

fn stopped_server_is_left_and_taken_back(runner: &mut Runner) {
    sleeper_gets_eio(runner, "server_stop");
    // The server finds that it was left, and takes the next client, which is the broker again.
    runner.must("server_cont");
    comes_back();
}

fn driver_can_be_bound_again_after_it_left_a_device_that_had_just_come_back(runner: &mut Runner) {
    comes_back();
    let function = PciFunction::of(0);
    let device = open();
    let queue = device.create_queue(4).expect("a queue is free");
    runner.must("server_kill");
    assert_gone(
        &open()
            .create_queue(4)
            .expect_err("the device has no server"),
    );
    // The driver has looked and found nothing. Its next look may come after the driver has left.
    thread::sleep(LOOKS);
    runner.must("server_swap");
    until("a server answers", || queue.check().is_ok());
    // A driver that left it as a lost device could not have it again without a new scan of the bus.
    drop(function.unbind());
    assert_device_works(&open());
}

/// Has servers go at random moments while processes copy, and fails if one of them is wrong or does not
/// go on, or if anything is left behind on the host.
fn under_load(
    runner: &mut Runner,
    (full, short): (u64, u64),
    go: impl Fn(&mut Runner, &mut fastrand::Rng),
) {
    comes_back();
    let before = Held::now(runner);
    let workers = Workers::start();
    let mut random = fastrand::Rng::with_seed(seed());
    for _ in 0..parameter::count(full, short) {
        thread::sleep(PAUSE.mul_f64(random.f64()));
        go(runner, &mut random);
        workers.go_on();
    }
    workers.finish();
    comes_back();
    before.assert_again(runner);
}

fn work_goes_on_after_each_swap_to_another_build(runner: &mut Runner) {
    under_load(runner, SWAPS, |runner, _random| {
        let before = Build::of_server();
        runner.must("server_swap");
        until("another build serves the device", || {
            Build::of_server() != before
        });
    });
}

fn work_goes_on_after_each_kill(runner: &mut Runner) {
    under_load(runner, KILLS, |runner, random| {
        runner.must("server_kill");
        thread::sleep(PAUSE.mul_f64(random.f64()));
        runner.must("server_swap");
    });
}

fn nothing_is_kept_in_the_end(_runner: &mut Runner) {
    comes_back();
    assert_eq!(RINGBAR.kept(), "queues 0\nbuffers 0\nbytes 0\n");
    assert_eq!(RINGBAR.usage(), UNUSED);
}
