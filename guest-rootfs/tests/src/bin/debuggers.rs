// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Debuggers see the rings at work, and lose what the process loses: when an object is destroyed,
//! and when the driver leaves the device. The rules of each kind of mapping are in `mappings`.

use ringbar_client::{Device, Mapping, MemoryKind, Part, Policy, Queue, Rights};
use ringbar_spec::ring::{Completion, Descriptor, Status};
use ringbar_tests::debugger::{read, write, Traced};
use ringbar_tests::{
    arguments, case, fork, nop, open, page_size, run, succeed, PciFunction, Skip, PATIENCE,
};
use rustix::io::Errno;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{self, Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use zerocopy::{FromBytes, IntoBytes};

const GDB: &str = "/usr/bin/gdb";
/// Value in the tags of descriptors.
const TAG: u32 = 0x5249_4e47;
/// Times that the driver leaves the device while debuggers are at work.
const ROUNDS: usize = 5;

fn main() -> ExitCode {
    if arguments::role().is_some() {
        wait_with_a_ring();
        return ExitCode::SUCCESS;
    }
    run()
}

/// Maps a region of a queue once more, where this program knows the address.
fn map(device: &Device, offset: u64, writable: bool) -> Mapping {
    let mapping = Mapping::new(Arc::clone(device.file()), offset, page_size(), writable);
    mapping.expect("a region can be mapped again")
}

fn address(mapping: &Mapping) -> usize {
    mapping.as_ptr().addr()
}

/// Carries out descriptors with the tags `TAG`, `TAG + 1`, and so on.
fn work(queue: &mut Queue, count: u32) {
    (0..count).for_each(|number| succeed(queue, nop(TAG + number)));
}

/// Reads a word of this process as a debugger does.
fn own_word(address: usize) -> Result<u32, Errno> {
    let mut bytes = [0; 4];
    let count = read(process::id(), address, &mut bytes)?;
    assert_eq!(count, 4);
    Ok(u32::from_ne_bytes(bytes))
}

#[case]
fn debugger_sees_descriptors_and_their_completions() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    work(&mut queue, 3);
    let submission = map(&device, queue.offsets().submission_ring, true);
    let completion = map(&device, queue.offsets().completion_ring, false);
    let mut descriptors = [0; 3 * size_of::<Descriptor>()];
    let mut completions = [0; 3 * size_of::<Completion>()];

    let own = process::id();
    read(own, address(&submission), &mut descriptors).expect("a debugger reads the ring");
    read(own, address(&completion), &mut completions).expect("a debugger reads the ring");

    let descriptors = <[Descriptor; 3]>::read_from_bytes(&descriptors).expect("three");
    let completions = <[Completion; 3]>::read_from_bytes(&completions).expect("three");
    let tags = [TAG, TAG + 1, TAG + 2];
    assert_eq!(descriptors.map(|descriptor| descriptor.tag), tags);
    assert_eq!(completions.map(|completion| completion.tag), tags);
    assert_eq!(completions.map(|it| Status(it.status)), [Status::OK; 3]);
}

#[case]
fn debugger_loses_a_destroyed_buffer_although_another_has_its_number() {
    let device = open();
    let make = || {
        let buffer = device.create_buffer(page_size(), Rights::ReadWrite);
        buffer.expect("there is memory")
    };
    let buffer = make();
    let (old, window) = (map(&device, buffer.offset(), true), buffer.window());
    assert_eq!(own_word(address(&old)), Ok(0));
    buffer.close().unwrap();
    assert_eq!(own_word(address(&old)), Err(Errno::IO), "destroyed");

    let buffer = make();
    assert_eq!(buffer.window(), window, "the lowest number is taken first");
    buffer.mapping().write(0, TAG);

    assert_eq!(own_word(address(&old)), Err(Errno::IO), "read");
    let written = write(process::id(), address(&old), &[1; 4]);
    assert_eq!(written, Err(Errno::IO), "written");
    assert_eq!(buffer.mapping().read::<u32>(0), TAG);
    assert_eq!(
        own_word(address(&map(&device, buffer.offset(), true))),
        Ok(TAG)
    );
}

#[case]
fn debugger_loses_a_destroyed_lazy_range_although_another_has_its_number() {
    let device = open();
    let make = || device.create_device_memory(Part::Lazy, page_size(), Rights::ReadWrite);
    let memory = make().unwrap();
    let (old, offset) = (map(&device, memory.offset(), true), memory.offset());
    assert_eq!(own_word(address(&old)), Ok(0));
    memory.close().unwrap();

    let next = make().unwrap();
    assert_eq!(next.offset(), offset, "the lowest number is taken first");

    assert_eq!(own_word(address(&old)), Err(Errno::IO));
    assert_eq!(own_word(address(&map(&device, next.offset(), true))), Ok(0));
}

#[case]
fn debugger_loses_the_pages_of_a_destroyed_queue_although_another_has_its_number() {
    let device = open();
    let mapped = |queue: &Queue| {
        let at = queue.offsets();
        [
            at.submission_ring,
            at.completion_ring,
            at.doorbell,
            at.status,
        ]
        .map(|offset| map(&device, offset, false))
    };
    let queue = device.create_queue(4).unwrap();
    let (old, number) = (mapped(&queue), queue.number());
    for mapping in &old {
        own_word(address(mapping)).expect("a debugger reads it");
    }
    queue.close().unwrap();

    let queue = device.create_queue(4).unwrap();
    assert_eq!(queue.number(), number, "the lowest number is taken first");

    for mapping in &old {
        assert_eq!(own_word(address(mapping)), Err(Errno::IO));
    }
    for mapping in &mapped(&queue) {
        own_word(address(mapping)).expect("a debugger reads it");
    }
}

/// Mappings of every kind that debuggers reach by the driver, and what keeps them.
struct Ground {
    _objects: Box<dyn std::any::Any>,
    mappings: Vec<Mapping>,
}

impl Ground {
    fn new(device: &Device) -> Self {
        let queue = device.create_queue(4).unwrap();
        let buffer = device
            .create_buffer(page_size(), Rights::ReadWrite)
            .unwrap();
        let memory = device.create_memory(MemoryKind::Contiguous(Policy::Uncached), page_size());
        let memory = memory.unwrap();
        let parts = [Part::WriteCombining, Part::Uncached, Part::Lazy].map(|part| {
            let range = device.create_device_memory(part, page_size(), Rights::ReadWrite);
            range.unwrap()
        });
        let at = queue.offsets();
        let mut offsets = vec![at.submission_ring, at.doorbell];
        offsets.extend([buffer.offset(), memory.offset()]);
        offsets.extend(parts.iter().map(|part| part.offset()));
        let mut mappings: Vec<_> = offsets.iter().map(|it| map(device, *it, true)).collect();
        let read_only = [at.completion_ring, at.status];
        mappings.extend(read_only.map(|offset| map(device, offset, false)));
        Self {
            _objects: Box::new((queue, buffer, memory, parts)),
            mappings,
        }
    }

    /// The last word of each mapping, where no register is.
    fn addresses(&self) -> Vec<usize> {
        let last = |mapping: &Mapping| address(mapping) + page_size() - 4;
        self.mappings.iter().map(last).collect()
    }
}

#[case]
fn debugger_loses_every_mapping_when_the_driver_leaves_the_device() {
    let function = PciFunction::under_test();
    let device = open();
    let ground = Ground::new(&device);
    for address in ground.addresses() {
        own_word(address).expect("a debugger reads it");
    }

    let unbound = function.unbind();

    let mut left = Vec::new();
    for address in ground.addresses() {
        left.push(own_word(address));
        left.push(write(process::id(), address, &[1; 4]).map(|_| 0));
    }
    drop(unbound);
    assert!(left.iter().all(|it| *it == Err(Errno::IO)), "{left:?}");
    // Bound again, the old mappings stay without a device.
    for address in ground.addresses() {
        assert_eq!(own_word(address), Err(Errno::IO));
    }
}

#[case]
fn driver_leaves_the_device_while_debuggers_read_and_write() {
    let function = PciFunction::under_test();
    for _ in 0..ROUNDS {
        let device = open();
        let ground = Ground::new(&device);
        let (traced, addresses) = (process::id(), ground.addresses());
        let (started, announce) = std::io::pipe().expect("a pipe can be made");
        let debuggers: Vec<_> = (0..2)
            .map(|number| fork::start(|| work_until_gone(traced, &addresses, number, &announce)))
            .collect();
        // A byte of each tells that it has begun.
        let mut bytes = [0; 2];
        std::io::Read::read_exact(&mut &started, &mut bytes).expect("both begin");

        drop(function.unbind());

        for debugger in debuggers {
            let status = debugger.end();
            assert!(status.success(), "{status}");
        }
    }
}

/// Reads (debugger 0) or writes (debugger 1) all addresses by turns, until none is left. Returns
/// whether each of them was there first, and then gone for good.
fn work_until_gone(
    traced: u32,
    addresses: &[usize],
    number: u8,
    mut announce: &std::io::PipeWriter,
) -> bool {
    let mut announced = false;
    loop {
        let outcomes: Vec<_> = addresses
            .iter()
            .map(|address| match number {
                0 => read(traced, *address, &mut [0; 4]),
                // The last two are read-only.
                _ => write(traced, *address, &[1; 4]),
            })
            .collect();
        if !announced {
            announced = true;
            let there = outcomes.iter().filter(|it| **it == Ok(4)).count();
            let expected = addresses.len() - usize::from(number) * 2;
            if there != expected || std::io::Write::write_all(&mut announce, &[1]).is_err() {
                println!("# debugger {number} begins with {outcomes:?}");
                return false;
            }
        }
        if outcomes
            .iter()
            .any(|it| !matches!(it, Ok(4) | Err(Errno::IO)))
        {
            println!("# debugger {number}: {outcomes:?}");
            return false;
        }
        if outcomes.iter().all(Result::is_err) {
            return true;
        }
    }
}

/// In a process of its own: fills a ring, prints its address, and waits for a completion that does
/// not come.
fn wait_with_a_ring() {
    let device = open();
    let mut queue = device.create_queue(4).unwrap();
    work(&mut queue, 3);
    let ring = map(&device, queue.offsets().submission_ring, true);
    println!("{}", address(&ring));
    let waited = queue.wait(4, PATIENCE);
    println!("# the wait ended: {waited:?}");
}

/// A process that waits with a ring, and the address of that ring.
fn waiter() -> (Child, usize) {
    let mut child = Command::new("/proc/self/exe")
        .args([arguments::AS, "waiter"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program can start itself");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is piped"))
        .read_line(&mut line)
        .expect("the address comes");
    let address = line.trim().parse().expect("an address");
    (child, address)
}

#[case]
fn ptrace_reads_the_ring_of_a_process_that_waits() {
    let (mut child, ring) = waiter();
    let traced = Traced::stop(child.id());
    let tag = std::mem::offset_of!(Descriptor, tag);
    let word = ring + tag / 8 * 8;
    let read = traced.peek(word).map(|word| (word >> (tag % 8 * 8)) as u32);
    drop(traced);
    child.kill().expect("the process is there");
    child.wait().expect("the process ends");
    assert_eq!(read, Ok(TAG));
}

#[case]
fn gdb_prints_the_ring_of_a_process_that_waits() -> Result<(), Skip> {
    if !Path::new(GDB).exists() {
        return Err(Skip(
            "there is no gdb in this guest: GDB=1 brings it".into(),
        ));
    }
    let (mut child, ring) = waiter();
    let words = size_of::<Descriptor>() / 4;
    let output = Command::new(GDB)
        .args(["-nx", "-batch", "-p", &child.id().to_string()])
        .args(["-ex", &format!("x/{words}xw {ring}")])
        .args([
            "-ex",
            &format!("x/{words}xw {}", ring + size_of::<Descriptor>()),
        ])
        .output()
        .expect("gdb runs");
    child
        .kill()
        .expect("the process is there after gdb has left");
    child.wait().expect("the process ends");
    let text = String::from_utf8_lossy(&output.stdout);
    let expected: Vec<_> = [nop(TAG), nop(TAG + 1)]
        .iter()
        .flat_map(|descriptor| printed(descriptor.as_bytes()))
        .collect();
    // Lines of an examination: an address, a colon, words after tabs.
    let shown: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once(":\t"))
        .flat_map(|(_, words)| words.split_whitespace())
        .collect();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(shown, expected, "{text}{errors}");
    Ok(())
}

/// Words as gdb prints them.
fn printed(bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    bytes.chunks_exact(4).map(|word| {
        let word = word.try_into().expect("four bytes");
        format!("{:#010x}", u32::from_ne_bytes(word))
    })
}
