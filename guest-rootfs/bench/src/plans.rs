// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Rows that the guest measures, the most important ones first.

use crate::bench::{nanoseconds, SMALL};
use crate::halves::{
    bandwidth, executed, idle_wakeups, load_from_device, load_from_ram, mapped, read_brokered,
    read_edu, read_file, read_mapping, read_ours, register_read, session, trapped,
};
use crate::plan::{at_least, at_most, Half, Plan};
use crate::{clock, interrupt, peers, queues};

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
            Ok(1e9 / peers::word_of_floor()?)
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
            denominator: ("word there and back", "ns", |_| peers::word_of_floor()),
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
                |_| register_read(&peers::map_floor()?, 0),
            ),
        },
        Plan {
            name: "trapped-read-peer",
            what: "trapped register read: ours / libvfio-user's sample",
            unit: "x",
            goal: at_most(1.0),
            numerator: ours,
            denominator: ("trapped read of the sample", "ns", |_| {
                register_read(&peers::map_peer()?, 0)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Bench, Line};
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
}
