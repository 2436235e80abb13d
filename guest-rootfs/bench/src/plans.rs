// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Rows that the guest measures, the most important ones first.

use crate::bench::{
    memory_file, nanoseconds, page, ram, rate, run_ahead, run_batch, Bench, Copies, KICK, SMALL,
};
use crate::{clock, edu, interrupt, queues, Error, Goal, LeftOut, Line, Op, Row};
use ringbar_client::{descriptors, Mapping, Part, Rights};
use ringbar_spec::regs::IDENT;
use ringbar_spec::ring::Completion;
use std::hint::black_box;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

/// Pairs per row.
pub const PAIRS: usize = 15;
/// Longest time of a call.
const PATIENCE: Duration = Duration::from_secs(60);
/// Entries of a ring, with room for a batch.
const ENTRIES: u32 = 128;
/// Size of the area for loads and reads.
const AREA: usize = 64 << 10;
/// Words per check of the bounds. A check per load would be measured with it.
const RUN: usize = 64;

/// Half of a pair. It returns a figure.
type Half = fn(&mut Bench) -> Result<f64, Error>;

/// Figures of numerator and denominator, or the reason for which there are none.
pub(crate) type Pairs = Result<Vec<(f64, f64)>, Error>;

/// Definition of a row.
pub struct Plan {
    /// Short name, which never changes.
    pub name: &'static str,
    what: &'static str,
    unit: &'static str,
    goal: Option<Goal>,
    numerator: (&'static str, &'static str, Half),
    denominator: (&'static str, &'static str, Half),
}

impl Plan {
    /// Measures pairs one after the other, and returns the row.
    pub fn measure(&self, bench: &mut Bench, pairs: usize) -> Line {
        self.row((0..pairs).map(|number| self.pair(bench, number)).collect())
    }

    /// Measures both halves. They alternate in order, so that neither gains from coming second.
    pub(crate) fn pair(&self, bench: &mut Bench, number: usize) -> Result<(f64, f64), Error> {
        let ((_, _, above), (_, _, below)) = (self.numerator, self.denominator);
        if number.is_multiple_of(2) {
            let first = above(bench)?;
            Ok((first, below(bench)?))
        } else {
            let first = below(bench)?;
            Ok((above(bench)?, first))
        }
    }

    /// Returns the number of pairs in a round. Two servers that differ by a few hundredths take more
    /// pairs to tell apart.
    pub(crate) fn pairs_per_round(&self) -> usize {
        match self.name {
            "trapped-read-floor" | "trapped-read-peer" => 3,
            _ => 1,
        }
    }

    /// Returns the row of these pairs, or the reason for which there is none.
    pub(crate) fn row(&self, measured: Pairs) -> Line {
        let measured = measured.and_then(|pairs| {
            let names = (self.name, self.what, self.unit);
            let side = |(what, unit, _): (&'static str, &'static str, Half)| (what, unit);
            let sides = (side(self.numerator), side(self.denominator));
            let row = Row::new(names, self.goal, sides, &pairs);
            row.ok_or_else(|| Error::Missing("no pairs".into()))
        });
        match measured {
            Ok(row) => Line::Row(row),
            Err(error) => Line::LeftOut(LeftOut {
                name: self.name.to_owned(),
                reason: error.to_string(),
            }),
        }
    }
}

/// Returns a goal that is met below a value.
const fn at_most(value: f64) -> Option<Goal> {
    Some(Goal {
        op: Op::AtMost,
        value,
    })
}

/// Returns a goal that is met above a value.
const fn at_least(value: f64) -> Option<Goal> {
    Some(Goal {
        op: Op::AtLeast,
        value,
    })
}

/// Returns all rows.
pub fn plans() -> Vec<Plan> {
    let mut plans = vec![Plan {
        name: "load",
        what: "load of 8 bytes: mapped device memory / RAM",
        unit: "x",
        goal: at_most(1.1),
        numerator: ("device memory, write-combining", "ns", load_from_device),
        denominator: ("RAM", "ns", load_from_ram),
    }];
    plans.extend(batches());
    plans.push(Plan {
        name: "doorbell",
        what: "64-byte copies one by one: mapped doorbell / doorbell that traps",
        unit: "x",
        goal: at_least(30.0),
        numerator: ("mapped doorbell", "op/s", mapped::<1>),
        denominator: ("a trapped write with each submission", "op/s", trapped),
    });
    plans.push(Plan {
        name: "doorbell-limit",
        what: "word there and back by way of a server that only returns it / 64-byte copy whose doorbell traps",
        unit: "x",
        goal: None,
        numerator: ("word there and back", "1/s", |_| {
            Ok(1e9 / edu::word_of_floor()?)
        }),
        denominator: ("a trapped write with each submission", "op/s", trapped),
    });
    plans.extend(reads());
    plans.extend(bandwidths());
    plans.extend(throughputs());
    plans.push(Plan {
        name: "server-instructions",
        what: "instructions of the server for a 64-byte copy, submitted 64 at a time, 1 queue",
        unit: "",
        goal: None,
        numerator: ("instructions", "1", queues::server_instructions),
        denominator: ("operations", "1", |_| Ok(1.0)),
    });
    plans.extend(interrupts());
    plans.push(Plan {
        name: "read-64k",
        what: "reading 64 KiB: through a mapping / read(2) of a file in memory (the driver has no read)",
        unit: "x",
        goal: None,
        numerator: ("a mapped DMA buffer", "ns", read_mapping),
        denominator: ("pread of a file in memory", "ns", read_file),
    });
    plans.push(Plan {
        name: "idle-wakeups",
        what: "wake-ups of the server while a queue is open and idle",
        unit: "/s",
        goal: at_most(0.0),
        numerator: ("wake-ups", "1", idle_wakeups),
        denominator: ("time", "s", |_| Ok(1.0)),
    });
    plans.push(Plan {
        name: "clock",
        what: "reading the guest's clock: HPET / TSC (the runner tells the kernel its speed)",
        unit: "x",
        goal: None,
        numerator: ("clock_gettime, HPET", "ns", clock::from_hpet),
        denominator: ("clock_gettime, TSC", "ns", clock::from_tsc),
    });
    plans
}

/// Returns the rows about batches of descriptors.
fn batches() -> [Plan; 5] {
    let plan =
        |name, what, goal, numerator: (&'static str, Half), denominator: (&'static str, Half)| {
            Plan {
                name,
                what,
                unit: "x",
                goal,
                numerator: (numerator.0, "op/s", numerator.1),
                denominator: (denominator.0, "op/s", denominator.1),
            }
        };
    let each: (_, Half) = ("one ioctl per operation", executed::<1>);
    let (by_1, by_8, by_64): ((_, Half), (_, Half), (_, Half)) = (
        ("mapped ring, one by one", mapped::<1>),
        ("mapped ring, batches of 8", mapped::<8>),
        ("mapped ring, batches of 64", mapped::<64>),
    );
    [
        plan(
            "batch-1",
            "64-byte copies: mapped ring one by one / one ioctl each",
            at_least(10.0),
            by_1,
            each,
        ),
        plan(
            "batch-8",
            "64-byte copies: mapped ring in batches of 8 / one ioctl each",
            at_least(40.0),
            by_8,
            each,
        ),
        plan(
            "batch-64",
            "64-byte copies: mapped ring in batches of 64 / one ioctl each",
            at_least(80.0),
            by_64,
            each,
        ),
        plan(
            "batch-8-ioctl",
            "64-byte copies in batches of 8: mapped ring / one ioctl per batch",
            None,
            by_8,
            ("one ioctl for 8", executed::<8>),
        ),
        plan(
            "batch-64-ioctl",
            "64-byte copies in batches of 64: mapped ring / one ioctl per batch",
            None,
            by_64,
            ("one ioctl for 64", executed::<64>),
        ),
    ]
}

/// Returns the rows about single round trips and trapped reads.
fn reads() -> [Plan; 9] {
    let edu: (_, _, Half) = ("read of a register of `edu`", "ns", read_edu);
    let ours: (_, _, Half) = ("trapped read of IDENT", "ns", read_ours);
    let trip: (_, _, Half) = ("64-byte copy there and back", "ns", |bench| {
        Ok(nanoseconds(mapped::<1>(bench)?))
    });
    [
        Plan {
            name: "round-trip",
            what: "64-byte copy, submitted until seen, polled / register read of QEMU's own `edu`",
            unit: "x",
            goal: None,
            numerator: trip,
            denominator: edu,
        },
        Plan {
            name: "round-trip-floor",
            what: "64-byte copy, submitted until seen, polled / a word there and back by way of a server that only returns it",
            unit: "x",
            goal: at_most(3.0),
            numerator: trip,
            denominator: ("word there and back", "ns", |_| edu::word_of_floor()),
        },
        Plan {
            name: "round-trip-word",
            what: "64-byte copy, submitted until seen, polled / a word there and back between two processors",
            unit: "x",
            goal: None,
            numerator: trip,
            denominator: ("word there and back, two threads of the host", "ns", |bench| {
                bench.ask("word")
            }),
        },
        Plan {
            name: "session",
            what: "open, create a queue and a buffer, copy once and close / trapped register read",
            unit: "x",
            goal: None,
            numerator: ("open to close", "ns", session),
            denominator: ours,
        },
        Plan {
            name: "trapped-read-edu",
            what: "trapped register read: ours / QEMU's own `edu`",
            unit: "x",
            goal: None,
            numerator: ours,
            denominator: edu,
        },
        Plan {
            name: "trapped-read-socket",
            what:
                "trapped register read / 32 bytes there and back on a socketpair of two processes",
            unit: "x",
            goal: at_most(4.0),
            numerator: ours,
            denominator: ("socketpair there and back", "ns", |bench| {
                bench.ask("socketpair")
            }),
        },
        Plan {
            name: "trapped-read-floor",
            what: "trapped register read: ours / a server that does nothing but answer",
            unit: "x",
            goal: at_most(1.05),
            numerator: ours,
            denominator: (
                "trapped read, answered in a loop",
                "ns",
                |_| register_read(&edu::map_floor()?, 0),
            ),
        },
        Plan {
            name: "trapped-read-peer",
            what: "trapped register read: ours / libvfio-user's sample",
            unit: "x",
            goal: at_most(1.0),
            numerator: ours,
            denominator: ("trapped read of the sample", "ns", |_| {
                register_read(&edu::map_peer()?, 0)
            }),
        },
        Plan {
            name: "trapped-read-broker",
            what: "trapped register read: server behind a broker / server alone",
            unit: "x",
            goal: at_most(1.5),
            numerator: (
                "trapped read of IDENT, behind a broker",
                "ns",
                read_brokered,
            ),
            denominator: ours,
        },
    ]
}

/// Returns the rows about large copies.
fn bandwidths() -> [Plan; 4] {
    let memcpy = "memcpy by one host thread, equal buffers";
    let plan = |name, what, goal, ours: Half, theirs: Half| Plan {
        name,
        what,
        unit: "x",
        goal: at_least(goal),
        numerator: ("copies by the device", "B/s", ours),
        denominator: (memcpy, "B/s", theirs),
    };
    [
        plan(
            "copy-4k",
            "bandwidth of 4 KiB copies: device / memcpy",
            0.4,
            bandwidth::<{ 4 << 10 }, 64>,
            |bench| bench.ask("memcpy-4096"),
        ),
        Plan {
            name: "copy-4k-limit",
            what: "copies of 64 bytes, counted as if they had 4 KiB: device / memcpy of 4 KiB",
            unit: "x",
            goal: None,
            numerator: ("copies of 64 bytes, times 64", "B/s", |bench| {
                Ok(bandwidth::<SMALL, 64>(bench)? * ((4 << 10) / SMALL) as f64)
            }),
            denominator: (memcpy, "B/s", |bench| bench.ask("memcpy-4096")),
        },
        plan(
            "copy-64k",
            "bandwidth of 64 KiB copies: device / memcpy",
            0.8,
            bandwidth::<{ 64 << 10 }, 16>,
            |bench| bench.ask("memcpy-65536"),
        ),
        plan(
            "copy-1m",
            "bandwidth of 1 MiB copies: device / memcpy",
            0.8,
            bandwidth::<{ 1 << 20 }, 4>,
            |bench| bench.ask("memcpy-1048576"),
        ),
    ]
}

/// Returns the rows about interrupts.
fn interrupts() -> [Plan; 4] {
    let eventfd: (_, _, Half) = ("eventfd there and back, two threads", "ns", |bench| {
        bench.ask("eventfd")
    });
    [
        Plan {
            name: "interrupt",
            what: "completion to return of poll / eventfd there and back on the host",
            unit: "x",
            goal: None,
            numerator: ("completion to return of poll", "ns", interrupt::to_poll),
            denominator: eventfd,
        },
        Plan {
            name: "interrupt-floor",
            what: "completion to return of poll / expiry of a timer of the guest to return of poll",
            unit: "x",
            goal: at_most(3.0),
            numerator: ("completion to return of poll", "ns", interrupt::to_poll),
            denominator: (
                "expiry of a timer to return of poll",
                "ns",
                interrupt::timer_to_poll,
            ),
        },
        Plan {
            name: "interrupt-moderated",
            what:
                "last of 16 completions of an interrupt to return of poll / eventfd there and back",
            unit: "x",
            goal: None,
            numerator: (
                "completion to return of poll",
                "ns",
                interrupt::to_poll_under_load,
            ),
            denominator: eventfd,
        },
        Plan {
            name: "interrupt-guest",
            what: "completion to return of poll / eventfd there and back in the guest",
            unit: "x",
            goal: None,
            numerator: ("completion to return of poll", "ns", interrupt::to_poll),
            denominator: (
                "eventfd there and back, two threads of the guest",
                "ns",
                interrupt::eventfd_in_guest,
            ),
        },
    ]
}

/// Returns the rows about the number of queues.
fn throughputs() -> [Plan; 4] {
    let plan = |name, what, operations: Half| Plan {
        name,
        what,
        unit: "/s",
        goal: at_least(10e6),
        numerator: ("operations", "1", operations),
        denominator: ("time", "s", |_| Ok(1.0)),
    };
    [
        plan(
            "queues-1",
            "64-byte copies per second, submitted 64 at a time, 1 queue",
            queues::operations::<1>,
        ),
        plan(
            "queues-2",
            "64-byte copies per second, submitted 64 at a time, 2 queues",
            queues::operations::<2>,
        ),
        plan(
            "queues-4",
            "64-byte copies per second, submitted 64 at a time, 4 queues",
            queues::operations::<4>,
        ),
        plan(
            "queues-8",
            "64-byte copies per second, submitted 64 at a time, 8 queues",
            queues::operations::<8>,
        ),
    ]
}

/// Measures loads from mapped device memory.
fn load_from_device(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let memory = device.create_device_memory(Part::WriteCombining, AREA, Rights::Read)?;
    loads(memory.mapping())
}

/// Measures loads from ordinary memory.
fn load_from_ram(_: &mut Bench) -> Result<f64, Error> {
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
fn mapped<const BATCH: u32>(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let copies = Copies::new(&device, SMALL)?;
    let mut queue = device.create_queue(ENTRIES)?;
    rate(|| {
        let batches = (0..64).map(|_| run_batch(&mut queue, &copies.descriptor, BATCH, || ()));
        batches.sum()
    })
}

/// Returns operations per second one by one, with a trapped write after each submission.
fn trapped(bench: &mut Bench) -> Result<f64, Error> {
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
fn executed<const BATCH: usize>(bench: &mut Bench) -> Result<f64, Error> {
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
fn read_ours(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    register_read(&device.map_public_registers()?, IDENT::INFO.offset)
}

/// Measures a trapped read of the device behind a broker.
fn read_brokered(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open_brokered()?;
    register_read(&device.map_public_registers()?, IDENT::INFO.offset)
}

/// Measures a trapped read of `edu`.
fn read_edu(_: &mut Bench) -> Result<f64, Error> {
    register_read(&edu::map()?, 0)
}

/// Measures all that a process does for a single copy, from opening the device to closing it.
fn session(bench: &mut Bench) -> Result<f64, Error> {
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
fn register_read(registers: &Mapping, offset: usize) -> Result<f64, Error> {
    let reads = rate(|| {
        for _ in 0..64 {
            black_box(registers.read::<u32>(offset));
        }
        Ok(64)
    })?;
    Ok(nanoseconds(reads))
}

/// Returns bytes per second for copies of `SIZE`, with `BATCH` in progress and as many submitted.
fn bandwidth<const SIZE: usize, const BATCH: u32>(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let copies = Copies::new(&device, SIZE)?;
    let mut queue = device.create_queue(ENTRIES)?;
    let copied = rate(|| run_ahead(&mut queue, &copies.descriptor, BATCH))?;
    Ok(copied * SIZE as f64)
}

/// Measures a read of a mapped DMA buffer.
fn read_mapping(bench: &mut Bench) -> Result<f64, Error> {
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
fn read_file(_: &mut Bench) -> Result<f64, Error> {
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
fn idle_wakeups(bench: &mut Bench) -> Result<f64, Error> {
    let device = bench.open()?;
    let mut queue = device.create_queue(ENTRIES)?;
    let nop = ringbar_spec::ring::Descriptor::default();
    // After an operation and a pause the device sleeps again, as it does in use.
    run_batch(&mut queue, &nop, 1, || ())?;
    std::thread::sleep(Duration::from_millis(100));
    bench.ask("server-wakeups")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn names_are_unique() {
        let names: HashSet<_> = plans().iter().map(|plan| plan.name).collect();
        assert_eq!(names.len(), plans().len());
    }

    #[test]
    fn unmeasurable_row_has_a_reason() {
        let plan = &plans()[0];
        let line = plan.measure(&mut Bench::new("/dev/no-such-node", None), 1);

        let Line::LeftOut(left_out) = line else {
            panic!("{line:?}");
        };
        assert_eq!(left_out.name, plan.name);
        assert!(
            left_out.reason.contains("/dev/no-such-node"),
            "{left_out:?}"
        );
    }

    impl Plan {
        /// Returns a row of 6 to 2, which needs no device.
        pub(crate) fn of_nothing(name: &'static str) -> Self {
            Self {
                name,
                what: "six / two",
                unit: "x",
                goal: None,
                numerator: ("six", "1", |_| Ok(6.0)),
                denominator: ("two", "1", |_| Ok(2.0)),
            }
        }
    }

    #[test]
    fn row_has_the_ratio_of_its_halves() {
        let plan = Plan::of_nothing("ram");
        let line = plan.measure(&mut Bench::new("/dev/null", None), 4);

        let Line::Row(row) = line else {
            panic!("{line:?}");
        };
        assert_eq!((row.median, row.pairs), (3.0, 4));
    }
}
