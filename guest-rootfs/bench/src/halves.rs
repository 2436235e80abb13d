// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Halves of pairs: what the guest measures with the device, and what it compares with.

use crate::bench::{
    memory_file, nanoseconds, page, ram, rate, run_ahead, run_batch, Bench, Copies, KICK, PATIENCE,
    SMALL,
};
use crate::{peers, Error};
use ringbar_client::{descriptors, Mapping, Part, Rights};
use ringbar_spec::regs::IDENT;
use ringbar_spec::ring::Completion;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// Entries of a ring, with room for a batch.
const ENTRIES: u32 = 128;
/// Size of the area for loads and reads.
const AREA: usize = 64 << 10;
/// Words per check of the bounds. A check per load would be measured with it.
const RUN: usize = 64;

/// Measures loads from mapped device memory.
pub(crate) fn load_from_device(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let memory = device.create_device_memory(Part::WriteCombining, AREA, Rights::Read)?;
    loads(memory.mapping())
}

/// Measures loads from ordinary memory.
pub(crate) fn load_from_ram(_: &mut Bench) -> Result<f64, Error> {
    loads(&ram(AREA)?)
}

/// Returns the nanoseconds per load.
fn loads(memory: &Mapping) -> Result<f64, Error> {
    let bytes = RUN * size_of::<u64>();
    let loads = rate(|| {
        for offset in (0..AREA).step_by(bytes) {
            black_box(memory.read_words::<u64, RUN>(offset));
        }
        Ok((AREA / size_of::<u64>()) as u64)
    })?;
    Ok(nanoseconds(loads))
}

/// Returns operations per second through a mapped ring, one batch at a time.
pub(crate) fn mapped<const BATCH: u32>(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let copies = Copies::new(&device, SMALL)?;
    let mut queue = device.create_queue(ENTRIES)?;
    rate(|| {
        let batches = (0..64).map(|_| run_batch(&mut queue, &copies.descriptor, BATCH, || ()));
        batches.sum()
    })
}

/// Returns operations per second one by one, with a trapped write after each submission.
pub(crate) fn trapped(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let copies = Copies::new(&device, SMALL)?;
    let mut queue = device.create_queue(ENTRIES)?;
    let kick = page(&device, queue.offsets().kick, true)?;
    rate(|| {
        run_batch(&mut queue, &copies.descriptor, 1, || {
            kick.write(KICK, 1u32);
        })
    })
}

/// Returns operations per second with one ioctl per batch.
pub(crate) fn executed<const BATCH: usize>(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let copies = Copies::new(&device, SMALL)?;
    let mut queue = device.create_kernel_queue(ENTRIES)?;
    let descriptors = [copies.descriptor; BATCH];
    let mut completions = [Completion::default(); BATCH];
    rate(|| {
        let done = queue.execute(&descriptors, &mut completions, PATIENCE)?;
        completions.iter().try_for_each(crate::bench::check)?;
        Ok(done as u64)
    })
}

/// Measures a trapped read of this device.
pub(crate) fn read_ours(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    register_read(&device.map_public_registers()?, IDENT::INFO.offset)
}

/// Measures a trapped read of the device behind a broker.
pub(crate) fn read_brokered(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open_brokered()?;
    register_read(&device.map_public_registers()?, IDENT::INFO.offset)
}

/// Measures a trapped read of `edu`.
pub(crate) fn read_edu(_: &mut Bench) -> Result<f64, Error> {
    register_read(&peers::map_edu()?, 0)
}

/// Measures all that a process does for a single copy, from opening the device to closing it.
pub(crate) fn session(bench: &mut Bench) -> Result<f64, Error> {
    let sessions = rate(|| {
        let device = bench.open()?;
        let mut queue = device.create_queue(ENTRIES)?;
        let buffer = device.create_buffer(2 * SMALL, Rights::ReadWrite)?;
        let (from, to) = ((buffer.window(), 0), (buffer.window(), SMALL as u64));
        let copy = descriptors::copy(0, from, to, SMALL as u32);
        run_batch(&mut queue, &copy, 1, || ())
    })?;
    Ok(nanoseconds(sessions))
}

/// Returns the nanoseconds per read of 4 bytes.
pub(crate) fn register_read(registers: &Mapping, offset: usize) -> Result<f64, Error> {
    let reads = rate(|| {
        for _ in 0..64 {
            black_box(registers.read::<u32>(offset));
        }
        Ok(64)
    })?;
    Ok(nanoseconds(reads))
}

/// Returns bytes per second for copies of `SIZE`, with `BATCH` in progress and as many submitted.
pub(crate) fn bandwidth<const SIZE: usize, const BATCH: u32>(
    bench: &mut Bench,
) -> Result<f64, Error> {
    let device = bench.open()?;
    let copies = Copies::new(&device, SIZE)?;
    let mut queue = device.create_queue(ENTRIES)?;
    let copied = rate(|| run_ahead(&mut queue, &copies.descriptor, BATCH))?;
    Ok(copied * SIZE as f64)
}

/// Measures a read of a mapped DMA buffer.
pub(crate) fn read_mapping(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let buffer = device.create_buffer(AREA, Rights::Read)?;
    let mut bytes = vec![0; AREA];
    let reads = rate(|| {
        buffer.mapping().read_into(0, black_box(&mut bytes));
        Ok(1)
    })?;
    Ok(nanoseconds(reads))
}

/// Measures a read system call on a file in memory.
pub(crate) fn read_file(_: &mut Bench) -> Result<f64, Error> {
    let file = memory_file(AREA)?;
    let mut bytes = vec![0x5a; AREA];
    let failed = |error| Error::Missing(format!("a file in memory: {error}"));
    file.write_all_at(&bytes, 0).map_err(failed)?;
    let reads = rate(|| {
        file.read_exact_at(black_box(&mut bytes), 0)
            .map_err(failed)?;
        Ok(1)
    })?;
    Ok(nanoseconds(reads))
}

/// Returns the server's wake-ups per second while a queue is idle.
pub(crate) fn idle_wakeups(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let mut queue = device.create_queue(ENTRIES)?;
    let nop = ringbar_spec::ring::Descriptor::default();
    // After an operation and a pause the device sleeps again, as it does in use.
    run_batch(&mut queue, &nop, 1, || ())?;
    std::thread::sleep(Duration::from_millis(100));
    bench.ask("server-wakeups")
}
