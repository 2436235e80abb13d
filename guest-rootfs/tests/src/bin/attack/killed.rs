// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Processes that are killed while the device works for them.

use crate::victim::Victim;
use fastrand::Rng;
use ringbar_client::{descriptors, Part, Rights};
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::fork::SIGKILL;
use ringbar_tests::usage::{assert_back, Usage};
use ringbar_tests::{case, fork, open, parameter};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::thread::sleep;
use std::time::Duration;

/// Killed processes, in a full run and in a short one.
const KILLED: [u64; 2] = [200, 20];
/// Killed processes before the first count of memory and files. The first ones fill caches.
const WARM_UP: u64 = 10;
/// Bytes of a buffer: large enough that one descriptor on it takes the device a while.
const SIZE: usize = 1 << 20;
const ENTRIES: u32 = 8;

#[case]
fn processes_killed_with_dma_in_flight_leave_nothing_behind() {
    let seed = parameter::seed();
    let victim = Victim::start(seed);
    let mut random = Rng::with_seed(seed);
    let (before_all, mut before) = (RINGBAR.usage(), None);
    let [full, short] = KILLED;
    for number in 0..parameter::count(full, short) {
        if number == WARM_UP {
            before = Some(Usage::now());
        }
        kill_one(Duration::from_micros(random.u64(0..5000)));
    }
    assert_back(&before.expect("more than the first few were killed"));
    assert_eq!(RINGBAR.usage(), before_all, "what processes own");
    victim.assert_untouched();
}

/// Starts a process that keeps the device busy, and kills it after `time`.
fn kill_one(time: Duration) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let process = fork::start(move || work_without_end(&theirs));
    (&ours).read_exact(&mut [0]).expect("the process works");
    sleep(time);
    process.kill();
    let end = process.end();
    assert_eq!(
        end.signal(),
        Some(SIGKILL),
        "the process ended by itself: {end}"
    );
}

fn work_without_end(line: &UnixStream) -> bool {
    let device = open();
    let mut queues = [(); 2].map(|()| device.create_queue(ENTRIES).expect("a queue is free"));
    let buffers = [(); 2].map(|()| {
        device
            .create_buffer(SIZE, Rights::ReadWrite)
            .expect("there is memory")
    });
    let range = device
        .create_device_memory(Part::WriteCombining, SIZE, Rights::ReadWrite)
        .expect("there is device memory");
    let copy = |from, to| descriptors::copy(0, (from, 0), (to, 0), SIZE as u32);
    let copies = [
        copy(buffers[0].window(), buffers[1].window()),
        copy(range.window(), buffers[0].window()),
        copy(buffers[1].window(), range.window()),
    ];
    let mut next = copies.iter().cycle();
    let mut said = false;
    loop {
        for queue in &mut queues {
            while queue.in_flight() < ENTRIES {
                queue
                    .push(*next.next().expect("the cycle never ends"))
                    .expect("there is room");
            }
            queue.submit();
            while let Some(completion) = queue.pop().expect("the queue runs") {
                assert_eq!(completion.status, 0);
            }
        }
        if !said {
            (&*line).write_all(&[0]).expect("the parent listens");
            said = true;
        }
    }
}
