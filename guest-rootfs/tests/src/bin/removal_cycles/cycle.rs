// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One cycle: everything is in use, the device goes, every user notices, the device comes back and
//! works.

use crate::child::Role;
use crate::crew::Member;
use crate::probe::Probe;
use crate::region::{self, Region};
use crate::way::Way;
use ringbar_client::{descriptors, Device, Error, Mapping, Rights};
use ringbar_spec::ring::Completion;
use ringbar_tests::{open, page_size, pinned_pages, seed, succeed, NODE, SHORT};
use ringbar_uapi::ioctl::Wait;
use rustix::event::{poll, PollFd, PollFlags};
use rustix::io::Errno;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

const ENTRIES: u32 = 256;
/// Bytes of a copy that is in flight when the device goes.
const COPY: usize = 1 << 20;
/// The children that use the device while it goes. There are several racers, because they must meet
/// a moment of a few instructions.
const CREW: [Role; 8] = [
    Role::Touchers,
    Role::Forker,
    Role::Opener,
    Role::Racer,
    Role::Racer,
    Role::Racer,
    Role::Racer,
    Role::Racer,
];
/// More completions than the queue ever posts.
const NEVER: u32 = 1 << 30;

/// Runs a cycle.
pub(crate) fn run(way: Way) {
    let scene = Scene::set();
    thread::sleep(SHORT);
    let began = Instant::now();
    let scene = way.without_device(|| {
        println!("# the device went in {} ms", began.elapsed().as_millis());
        assert!(
            !Path::new(NODE).exists(),
            "{NODE} is still there without a device"
        );
        scene.assert_gone()
    });
    // An old file must not reach the device that came back.
    scene.assert_unreachable();
    drop(scene);
    assert_works();
}

/// A file with all its objects in use.
struct Scene {
    device: Device,
    mappings: Vec<(Region, Mapping)>,
    crew: Vec<Member>,
    sleeper: JoinHandle<Result<(), Error>>,
    poller: JoinHandle<PollFlags>,
    copier: JoinHandle<Error>,
    /// Pages pinned before this cycle: a device that was lost earlier keeps some.
    pinned: i64,
}

impl Scene {
    fn set() -> Self {
        let pinned = pinned_pages();
        let device = open();
        let queue = device.start_queue(ENTRIES).expect("a queue");
        let regions = region::make_all(&device, &queue);
        let mappings = regions
            .iter()
            .map(|region| (region.clone(), region.map(device.file()).expect("mapped")))
            .collect();
        let sleeper = sleep_in_wait(device.clone(), queue.queue);
        let poller = sleep_in_poll(device.clone());
        let copier = keep_copying(&device);
        let mut crew: Vec<_> = CREW
            .into_iter()
            .map(|role| Member::start(&device, role, &regions))
            .collect();
        crew.iter_mut().for_each(Member::tell);
        Self {
            device,
            mappings,
            crew,
            sleeper,
            poller,
            copier,
            pinned,
        }
    }

    /// Fails unless all users have noticed that the device is gone.
    fn assert_gone(mut self) -> Gone {
        self.crew.iter_mut().for_each(Member::tell);
        let sleeper = self.sleeper.join().expect("the sleeper does not panic");
        let poller = self.poller.join().expect("the poller does not panic");
        let copier = self.copier.join().expect("the copier does not panic");
        assert_eq!(pinned_pages(), self.pinned, "pages of the copier");
        assert_eq!(sleeper.unwrap_err().errno(), Some(Errno::NODEV), "WAIT");
        assert_eq!(poller, PollFlags::HUP | PollFlags::ERR, "poll");
        assert_eq!(copier.errno(), Some(Errno::NODEV), "the copier");
        for member in &mut self.crew {
            let status = member.end();
            assert!(
                status.success(),
                "{}: {status}; see the console",
                member.what()
            );
        }
        let gone = Gone {
            device: self.device,
            mappings: self.mappings,
        };
        gone.assert_unreachable();
        gone
    }
}

/// A file whose device is gone.
struct Gone {
    device: Device,
    mappings: Vec<(Region, Mapping)>,
}

impl Gone {
    fn assert_unreachable(&self) {
        let probe = Probe::new();
        for (region, mapping) in &self.mappings {
            let reached = region.pages().find(|page| probe.reaches(mapping, *page));
            assert_eq!(reached, None, "{} can still be reached", region.kind);
            let again = region.map(self.device.file());
            let errno = again.expect_err("no device").errno();
            assert_eq!(errno, Some(Errno::NODEV), "mmap of {}", region.kind);
        }
        let errno = self.device.info().expect_err("no device").errno();
        assert_eq!(errno, Some(Errno::NODEV), "INFO");
    }
}

fn sleep_in_wait(device: Device, queue: u32) -> JoinHandle<Result<(), Error>> {
    thread::spawn(move || {
        let mut wait = Wait {
            queue,
            completion_tail: NEVER,
            timeout_ms: u32::MAX,
            began: 0,
        };
        device.wait(&mut wait)
    })
}

/// Polls for no event. The kernel reports hang-up and error in any case.
fn sleep_in_poll(device: Device) -> JoinHandle<PollFlags> {
    thread::spawn(move || {
        let mut files = [PollFd::new(&**device.file(), PollFlags::empty())];
        poll(&mut files, None).expect("the file can be polled");
        files[0].revents()
    })
}

/// Fills a queue of the kernel with large copies to memory of the process, until the driver
/// refuses. A mapped queue would not do: its mapping disappears while the thread writes to it.
fn keep_copying(device: &Device) -> JoinHandle<Error> {
    let source = device.create_buffer(COPY, Rights::Read);
    let source = source.expect("a large buffer");
    let memory = Mapping::anonymous(COPY).expect("memory");
    let destination = device.open_user_window(&memory, 0..COPY, Rights::Write);
    let copy = descriptors::copy(
        0,
        (source.window(), 0),
        (destination.expect("a window").number(), 0),
        COPY as u32,
    );
    let copies = [copy; ENTRIES as usize];
    let mut completions = [Completion::default(); ENTRIES as usize];
    let mut queue = device.create_kernel_queue(ENTRIES).expect("a queue");
    thread::spawn(move || {
        let _owned = (source, memory);
        loop {
            if let Err(error) = queue.execute(&copies, &mut completions, Duration::MAX) {
                return error;
            }
        }
    })
}

/// Fails unless a new file can make and use objects.
fn assert_works() {
    let device = open();
    let mut queue = device.create_queue(4).expect("a queue");
    let size = 4 * page_size();
    let source = device.create_buffer(size, Rights::Read).expect("a buffer");
    let target = device.create_buffer(size, Rights::Write).expect("a buffer");
    let word = seed();
    source.mapping().write(size - 8, word);
    succeed(
        &mut queue,
        descriptors::copy(0, (source.window(), 0), (target.window(), 0), size as u32),
    );
    assert_eq!(target.mapping().read::<u64>(size - 8), word);
}
