// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The server of a device is killed or stopped while the device is in use. Calls return `EIO`,
//! waiters are woken, and every call ends.

use ringbar_client::{Buffer, Device, Error, Mapping, Queue, Rights};
use ringbar_tests::{
    has_iommu, node, nop, page_size, parameter, pinned_pages, ready_for, run_all, steps, within,
    Case, Epoll, KeptOnPurpose, LongCopies, PciFunction, Runner, Skip, Trigger, LOSS, PATIENCE,
};
use ringbar_uapi::ioctl::Wait;
use rustix::event::PollFlags;
use rustix::io::Errno;
use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::rc::Rc;
use std::thread::{self, JoinHandle};

/// How a server vanishes, and its device. A lost device stays lost, unless the runner can replace
/// it. So each way has its own device.
#[derive(Clone, Copy)]
struct Way {
    device: u32,
    name: &'static str,
    request: &'static str,
    /// Request that ends the way, if there is one.
    afterwards: Option<&'static str>,
    /// QEMU closes the connection: it gets answers too late. The runner answers for a server that it
    /// has killed.
    closes_connection: bool,
}

/// Pages of the process in a window of the device.
const USER_PAGES: usize = 3;

const WAYS: [Way; 2] = [
    Way {
        device: 2,
        name: "killed",
        request: "server_kill",
        afterwards: None,
        closes_connection: false,
    },
    Way {
        device: 3,
        name: "stopped",
        request: "server_stop",
        afterwards: Some("server_cont"),
        closes_connection: true,
    },
];

fn main() -> ExitCode {
    run_all(WAYS.into_iter().flat_map(cases).collect())
}

/// Number of times that a server vanishes, in a full run and in a short one, if the device comes
/// back.
const TIMES: (u64, u64) = (20, 2);

/// The steps of each time.
const STEPS: [(&str, Step); 10] = steps![Step:
    sleepers_and_pollers_are_woken,
    calls_return_eio,
    mapped_pages_stay_and_report_the_lost_server,
    ringbarctl_reports_the_lost_server,
    files_can_be_closed,
    pages_of_the_process_stay_pinned,
    kept_memory_is_counted_in_whole_pages,
    driver_can_be_unbound,
    driver_refuses_a_dead_device,
    device_comes_back_with_another_server,
];

/// Returns the cases of a way. They are the steps of one story.
fn cases(way: Way) -> Vec<Case> {
    let story = Rc::new(RefCell::new(None));
    let case = |(name, step): (&str, Step)| {
        let story = Rc::clone(&story);
        Case::new(format!("{}/{name}", way.name), move || {
            let mut story = story.borrow_mut();
            if story.is_none() {
                *story = Some(Story::begin(way)?);
            }
            step(story.as_mut().expect("it has begun"))
        })
    };
    let all = STEPS
        .into_iter()
        .chain(steps![Step: device_comes_back_each_time]);
    all.map(case).collect()
}

/// Objects in use: all of them mapped, and DMA in flight.
struct Used {
    device: Device,
    queue: Queue,
    buffer: Buffer,
    copies: LongCopies,
    memory: Mapping,
}

/// A step of the story, which is a case.
type Step = fn(&mut Story) -> Result<(), Skip>;

struct Story {
    way: Way,
    runner: Runner,
    function: PciFunction,
    /// Objects in use when the server vanishes.
    used: Option<Used>,
    /// Pages pinned before the story began.
    pinned: i64,
}

impl Story {
    fn begin(way: Way) -> Result<Self, Skip> {
        if !Path::new(&node(way.device)).exists() {
            return Err(Skip(
                "the machine has too few devices: start it with DEVICES=4".into(),
            ));
        }
        let runner = Runner::find();
        let runner = runner.ok_or(Skip(
            "the machine has no runner that can kill or stop a server".into(),
        ))?;
        let function = PciFunction::of(way.device);
        if way.closes_connection && function.has_msix() && has_iommu() {
            return Err(Skip(
                "QEMU 11.1 aborts when it ends with a lost MSI-X device behind an IOMMU".into(),
            ));
        }
        let pinned = pinned_pages();
        let device = Device::open(node(way.device)).expect("the device can be opened");
        let queue = device.create_queue(8).expect("a queue");
        let buffer = device.create_buffer(1, Rights::Write).expect("a buffer");
        // In a file of its own, because the file becomes readable when a copy has ended.
        let copier = Device::open(node(way.device)).expect("the device can be opened");
        let copies = LongCopies::prepare(&copier).expect("another queue");
        let memory = Mapping::anonymous(USER_PAGES * page_size()).expect("there is memory");
        let window = device.open_user_window(&memory, 0..memory.len(), Rights::Write);
        window.expect("a window on it");
        Ok(Self {
            way,
            runner,
            function,
            pinned,
            used: Some(Used {
                device,
                queue,
                buffer,
                copies,
                memory,
            }),
        })
    }

    fn used(&mut self) -> &mut Used {
        self.used.as_mut().expect("the step before this one worked")
    }

    /// Skips the case if the device cannot come back.
    fn must_come_back(&self) -> Result<(), Skip> {
        Runner::for_unplugs(1).map(|_| ())
    }

    fn ask(&mut self, request: &str) {
        self.runner.must(&format!("{request} {}", self.way.device));
    }
}

/// Returns the result of a thread. Fails if the thread does not end.
#[track_caller]
fn end<T>(what: &str, thread: JoinHandle<T>) -> T {
    within(what, LOSS, || thread.is_finished().then_some(()));
    thread.join().expect("the thread does not panic")
}

fn sleepers_and_pollers_are_woken(story: &mut Story) -> Result<(), Skip> {
    // This file has no other waiter and no completions to take. So only the loss of the server can
    // wake it.
    let watched = Device::open(node(story.way.device)).expect("the device can be opened");
    let _queue = watched.create_queue(4).expect("a queue");
    let edges = Epoll::on(&watched, Trigger::Edge);
    edges.drain();
    let used = story.used();
    let mut wait = Wait {
        queue: used.queue.number(),
        completion_tail: 1,
        timeout_ms: 10 * LOSS.as_millis() as u32,
        began: 0,
    };
    let (sleeping, polling) = (used.device.clone(), used.device.clone());
    let sleeper = thread::spawn(move || sleeping.wait(&mut wait));
    let poller = thread::spawn(move || ready_for(&polling, 10 * LOSS));
    used.copies.start().expect("the ring has room");
    story.ask(story.way.request);
    let woken = end("the sleeper wakes", sleeper).expect_err("nothing was completed");
    assert_eq!(woken.errno(), Some(Errno::IO));
    assert!(edges.tells(LOSS));
    let ready = end("the poller is told", poller);
    assert!(ready.contains(PollFlags::ERR), "{ready:?}");
    Ok(())
}

fn calls_return_eio(story: &mut Story) -> Result<(), Skip> {
    let used = story.used();
    let (old, number) = (used.device.clone(), used.queue.number());
    let new = Device::open(node(story.way.device)).expect("the node is there");
    let calls = thread::spawn(move || {
        [
            old.create_queue(4).map(drop),
            old.create_buffer(1, Rights::Read).map(drop),
            old.reset_queue(number),
            new.create_queue(4).map(drop),
            new.create_buffer(1, Rights::Read).map(drop),
        ]
        .map(|answer| answer.expect_err("the device has no server").errno())
    });
    assert_eq!(end("the calls", calls), [Some(Errno::IO); 5]);
    Ok(())
}

fn mapped_pages_stay_and_report_the_lost_server(story: &mut Story) -> Result<(), Skip> {
    let Used { queue, buffer, .. } = story.used();
    buffer.mapping().write(0, 7u32);
    assert_eq!(buffer.mapping().read::<u32>(0), 7);
    queue.push(nop(1)).expect("the ring has room");
    let error = queue.run(PATIENCE).expect_err("the device has no server");
    assert!(matches!(error, Error::ServerGone { .. }), "{error}");
    Ok(())
}

fn ringbarctl_reports_the_lost_server(story: &mut Story) -> Result<(), Skip> {
    let node = node(story.way.device);
    for command in [&["peek", "IDENT"][..], &["watch", "--count", "1"]] {
        let mut prompt = Command::new("/bin/ringbarctl");
        let output = prompt.args(command).args(["--device", &node]).output();
        let output = output.expect("the program runs");
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(
            told.contains("the device has no server"),
            "{command:?}: {told}"
        );
    }
    Ok(())
}

fn files_can_be_closed(story: &mut Story) -> Result<(), Skip> {
    let Used { memory, .. } = story.used();
    // The old server may still write the pages. The process can use its own mapping nevertheless.
    memory.write(0, 7u32);
    let used = story.used.take();
    end("closing", thread::spawn(move || drop(used)));
    Ok(())
}

fn pages_of_the_process_stay_pinned(story: &mut Story) -> Result<(), Skip> {
    // The lost device has never reported that it no longer writes the pages.
    assert_eq!(pinned_pages() - story.pinned, USER_PAGES as i64);
    Ok(())
}

fn kept_memory_is_counted_in_whole_pages(story: &mut Story) -> Result<(), Skip> {
    let counts = format!("/sys/kernel/debug/ringbar{}/kept", story.way.device);
    let counts = fs::read_to_string(counts).expect("the driver counts");
    let bytes = counts.lines().find_map(|line| line.strip_prefix("bytes "));
    let bytes: usize = bytes.expect(&counts).parse().expect("a number");
    // Beside those pages there are the rings and the buffer.
    assert!(bytes > USER_PAGES * page_size(), "{counts}");
    assert_eq!(bytes % page_size(), 0, "{counts}");
    Ok(())
}

fn driver_can_be_unbound(story: &mut Story) -> Result<(), Skip> {
    // The driver stays unbound: the next steps need that.
    let function = story.function.clone();
    let _kept = KeptOnPurpose::begin();
    end(
        "unbinding",
        thread::spawn(move || std::mem::forget(function.unbind())),
    );
    assert!(!Path::new(&node(story.way.device)).exists());
    Ok(())
}

fn driver_refuses_a_dead_device(story: &mut Story) -> Result<(), Skip> {
    if let Some(request) = story.way.afterwards {
        story.ask(request);
    }
    let function = story.function.clone();
    let bound = end("binding", thread::spawn(move || function.try_bind()));
    assert!(!bound);
    Ok(())
}

/// Repeats all steps for the remaining times.
fn device_comes_back_each_time(story: &mut Story) -> Result<(), Skip> {
    story.must_come_back()?;
    let way = story.way;
    let (full, short) = TIMES;
    for time in 1..parameter::count(full, short) {
        println!("# {} {} times before", way.name, time);
        *story = Story::begin(way)?;
        for (name, step) in STEPS {
            println!("# {name}");
            step(story)?;
        }
    }
    Ok(())
}

fn device_comes_back_with_another_server(story: &mut Story) -> Result<(), Skip> {
    story.must_come_back()?;
    story.ask("device_del");
    story.ask("device_add");
    let node = node(story.way.device);
    within("the node comes back", PATIENCE, || {
        Path::new(&node).exists().then_some(())
    });
    let device = Device::open(node).expect("the device can be opened");
    let mut queue = device.create_queue(4).expect("a queue");
    queue.push(nop(3)).expect("the ring has room");
    assert_eq!(queue.run(PATIENCE).expect("it works").tag, 3);
    Ok(())
}
