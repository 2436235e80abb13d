// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Processes that use the device while it goes: this program in another role.
//!
//! A child has its parent's file as standard output, and a socket to its parent as standard input.
//! It sends a byte when it is ready. It receives one to begin, and one when the device is gone.

use crate::probe::Probe;
use crate::region::{Region, Touch};
use ringbar_client::{Device, Error, Mapping, MemoryKind, Part, Policy, Rights};
use ringbar_tests::{fork, page_size, NODE};
use rustix::io::Errno;
use rustix::process::setpriority_process;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::thread;

/// Threads of a child with several.
const THREADS: usize = 2;
/// Mappings that a racer keeps: the last ones before the driver refuses mmap.
const KEPT: usize = 8;

/// The work of a child.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// One process per region. Its threads touch the region's pages until a signal ends it.
    Touchers,
    /// Threads that map, probe and unmap all regions in turn until the driver refuses mmap.
    Racer,
    /// Forks children that probe all mappings.
    Forker,
    /// Opens the node, makes objects and closes the file, until the node is gone.
    Opener,
}

impl Role {
    pub(crate) const ALL: [Self; 4] = [Self::Touchers, Self::Racer, Self::Forker, Self::Opener];

    /// Returns the role's name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Touchers => "touchers",
            Self::Racer => "racer",
            Self::Forker => "forker",
            Self::Opener => "opener",
        }
    }
}

/// Plays a role with these regions. Panics if a result is wrong.
pub(crate) fn play(role: Role, regions: &[Region]) {
    let stage = Stage::enter();
    match role {
        Role::Touchers => touch(&stage, regions),
        Role::Racer => race(&stage, regions),
        Role::Forker => fork_on(&stage, regions),
        Role::Opener => open_and_close(&stage),
    }
}

struct Stage {
    file: Arc<File>,
    parent: UnixStream,
}

impl Stage {
    fn enter() -> Self {
        let clone = |fd: std::os::fd::BorrowedFd<'_>| {
            fd.try_clone_to_owned()
                .expect("a descriptor can be duplicated")
        };
        Self {
            file: Arc::new(clone(std::io::stdout().as_fd()).into()),
            parent: clone(std::io::stdin().as_fd()).into(),
        }
    }

    /// Reports that this child is ready, and waits until all of them are.
    fn begin(&self) {
        (&self.parent).write_all(b"!").expect("the parent is there");
        self.wait();
    }

    fn wait_until_gone(&self) {
        self.parent
            .set_nonblocking(false)
            .expect("a socket can be blocking");
        self.wait();
    }

    fn wait(&self) {
        (&self.parent)
            .read_exact(&mut [0])
            .expect("the parent is there");
    }

    fn is_gone(&self) -> bool {
        self.parent
            .set_nonblocking(true)
            .expect("a socket can be non-blocking");
        (&self.parent).read(&mut [0]).is_ok()
    }
}

fn touch(stage: &Stage, regions: &[Region]) {
    let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
    let touchers: Vec<_> = regions
        .iter()
        .map(|region| fork::start(|| touch_one(&stage.file, region, &theirs)))
        .collect();
    // Each toucher sends a byte when it is ready, and receives one to begin.
    let mut bytes = vec![0; touchers.len()];
    (&ours).read_exact(&mut bytes).expect("all are ready");
    stage.begin();
    (&ours).write_all(&bytes).expect("all are there");
    for (toucher, region) in touchers.into_iter().zip(regions) {
        let status = toucher.end();
        let signal = status.signal();
        assert_eq!(
            signal,
            Some(fork::SIGBUS),
            "toucher of {}: {status}",
            region.kind
        );
    }
    stage.wait_until_gone();
}

fn touch_one(file: &Arc<File>, region: &Region, mut parent: &UnixStream) -> bool {
    let mapping = region.map(file).expect("mapped");
    touch_pages(&mapping, region);
    parent.write_all(b"!").expect("the parent is there");
    parent.read_exact(&mut [0]).expect("the parent is there");
    // The touchers never sleep. At normal priority, a holder of a lock would wait for all of them
    // in turn.
    setpriority_process(None, 19).expect("a process may lower its own priority");
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| loop {
                touch_pages(&mapping, region);
            });
        }
    });
    false
}

fn touch_pages(mapping: &Mapping, region: &Region) {
    for page in region.pages() {
        let word: u32 = mapping.read(page);
        if region.touch == Touch::Write {
            mapping.write(page, word.wrapping_add(1));
        }
    }
}

fn race(stage: &Stage, regions: &[Region]) {
    let probe = &Probe::new();
    stage.begin();
    thread::scope(|scope| {
        let racers: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(move || race_until_refused(stage, regions, probe, number)))
            .collect();
        let kept: Vec<_> = racers
            .into_iter()
            .map(|racer| racer.join().expect("the racer does not panic"))
            .collect();
        stage.wait_until_gone();
        for (region, mapping) in kept.iter().flatten() {
            assert!(
                !probe.reaches(mapping, 0),
                "a mapping of {} made while the device went can still be reached",
                region.kind
            );
        }
    });
}

/// Returns the last mappings before the driver refused mmap.
fn race_until_refused<'a>(
    stage: &Stage,
    regions: &'a [Region],
    probe: &Probe,
    number: usize,
) -> VecDeque<(&'a Region, Mapping)> {
    let mut kept = VecDeque::new();
    // Each thread begins with another region.
    for region in regions
        .iter()
        .cycle()
        .skip(number * regions.len() / THREADS)
    {
        match region.map(&stage.file) {
            Ok(mapping) => {
                // The device may be there or gone at this moment, so both results are right.
                probe.reaches(&mapping, region.size - page_size());
                kept.push_back((region, mapping));
            }
            Err(error) => {
                assert_eq!(error.errno(), Some(Errno::NODEV), "{}", region.kind);
                break;
            }
        }
        if kept.len() > KEPT {
            kept.pop_front();
        }
    }
    kept
}

fn fork_on(stage: &Stage, regions: &[Region]) {
    let mappings: Vec<_> = regions
        .iter()
        .map(|region| region.map(&stage.file).expect("mapped"))
        .collect();
    let probe = Probe::new();
    let reached = || mappings.iter().filter(|mapping| probe.reaches(mapping, 0));
    stage.begin();
    while !stage.is_gone() {
        let status = fork::run(|| {
            reached().count();
            true
        });
        assert!(status.success(), "a forked child: {status}");
    }
    assert_eq!(reached().count(), 0, "mappings that can still be reached");
    let status = fork::run(|| reached().count() == 0);
    assert!(status.success(), "a child forked afterwards: {status}");
}

fn open_and_close(stage: &Stage) {
    stage.begin();
    loop {
        if let Err(error) = open_once() {
            let expected = [Some(Errno::NODEV), Some(Errno::NOENT)];
            assert!(expected.contains(&error.errno()), "{error}");
            break;
        }
    }
    stage.wait_until_gone();
}

/// Opens a file and makes objects. The close has to clear them away.
fn open_once() -> Result<(), Error> {
    let device = Device::open(NODE)?;
    device.create_buffer(page_size(), Rights::ReadWrite)?;
    device.create_device_memory(Part::Lazy, page_size(), Rights::Read)?;
    device.create_memory(MemoryKind::Contiguous(Policy::Uncached), page_size())?;
    device.create_memory(MemoryKind::Vmalloc, 4 * page_size())?;
    Ok(())
}
