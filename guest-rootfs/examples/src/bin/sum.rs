// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The example device `sum` (`qemu-device/vfio-user/examples/sum`) with the driver of
//! `guest-driver/sum`: the device adds up bytes that a process has written into its own mapping.

use ringbar_examples::node::Node;
use ringbar_examples::uapi::sum::{AddUp, ADD_UP, BUFFER, BUFFER_SIZE, REGISTERS};
use ringbar_tests::raw::RawMapping;
use ringbar_tests::rules::{self, Debugger, Driver, Kind};
use ringbar_tests::signals::{Handler, Timer};
use ringbar_tests::{case, fork, page_size, run, until, Runner, Skip, PATIENCE};
use rustix::io::Errno;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

const NODE: &str = "/dev/ringbar-sum0";
/// Offset of the register with the last sum.
const SUM: usize = 0x10;

fn main() -> ExitCode {
    run()
}

fn driver() -> Driver {
    Driver {
        module: "ringbar_sum",
        node: NODE,
        kinds: vec![
            Kind {
                name: "registers",
                make: rules::fixed(NODE, REGISTERS, page_size()),
                flags: "io pf de dd dc",
                policy: "uncached",
                writable: false,
                inherited: false,
                debugger: Debugger::Refused,
                behind: Errno::OVERFLOW,
                for_everybody: true,
            },
            Kind {
                name: "dma-buffer",
                make: rules::fixed(NODE, BUFFER, BUFFER_SIZE),
                flags: "io dma de dd",
                policy: "cached",
                writable: true,
                inherited: true,
                debugger: Debugger::Writes,
                behind: Errno::OVERFLOW,
                for_everybody: true,
            },
        ],
    }
}

/// The rules of the mapping layer, for each kind.
#[case(rules::each_kind)]
fn mappings() -> Driver {
    driver()
}

/// The rules about a device that leaves: for its node, and for each kind.
#[case(rules::removal)]
fn removal() -> Driver {
    driver()
}

/// An open file of the driver, with its mapped buffer.
struct Sum {
    node: Node,
    buffer: RawMapping,
}

impl Sum {
    fn open() -> Self {
        let node = Node::open(NODE);
        Self {
            buffer: node.map(BUFFER, BUFFER_SIZE),
            node,
        }
    }

    /// Has the device add up bytes of the buffer.
    fn add_up(&self, offset: usize, length: usize) -> Result<u32, Errno> {
        let mut add = AddUp {
            offset: offset as u32,
            length: length as u32,
            ..AddUp::default()
        };
        self.node.call(ADD_UP, &mut add)?;
        Ok(add.sum)
    }
}

#[case]
fn device_adds_up_the_bytes_that_the_process_wrote() {
    let file = Sum::open();
    file.buffer.write(0x100, 0x0403_0201);
    file.buffer.write(0x104, 0xff00_0010);

    assert_eq!(file.add_up(0x100, 8), Ok(1 + 2 + 3 + 4 + 0x10 + 0xff));
    assert_eq!(file.add_up(0x101, 3), Ok(2 + 3 + 4), "not aligned");
}

#[case]
fn sum_is_in_the_mapped_register() {
    let file = Sum::open();
    let registers = file.node.map_read_only(REGISTERS, page_size());
    file.buffer.write(0, 0x0202_0202);

    assert_eq!(file.add_up(0, 4), Ok(8));
    assert_eq!(registers.read(SUM), 8);
}

#[case]
fn whole_buffer_is_added_up_and_no_byte_is() {
    let file = Sum::open();
    for offset in (0..BUFFER_SIZE).step_by(4) {
        file.buffer.write(offset, 0xffff_ffff);
    }

    assert_eq!(file.add_up(0, BUFFER_SIZE), Ok(255 * BUFFER_SIZE as u32));
    assert_eq!(file.add_up(BUFFER_SIZE, 0), Ok(0));
}

#[case]
fn bytes_outside_of_the_buffer_are_refused() {
    let file = Sum::open();

    assert_eq!(file.add_up(0, BUFFER_SIZE + 1), Err(Errno::INVAL));
    assert_eq!(file.add_up(BUFFER_SIZE, 1), Err(Errno::INVAL));
    let overflow = file.add_up(u32::MAX as usize, 1);
    assert_eq!(overflow, Err(Errno::INVAL));
}

#[case]
fn reserved_field_that_is_not_0_is_refused() {
    let file = Sum::open();
    let mut add = AddUp {
        reserved: 1,
        ..AddUp::default()
    };

    assert_eq!(file.node.call(ADD_UP, &mut add), Err(Errno::INVAL));
}

#[case]
fn sums_among_signals_are_right() {
    const TICKS: u32 = 50;
    let file = Sum::open();
    file.buffer.write(0, 0x0101_0101);
    let timer = Timer::start(Duration::from_millis(5), Handler::Restarts);

    while timer.ticks() < TICKS {
        assert_eq!(file.add_up(0, 4), Ok(4));
    }
}

/// Has another process keep the device busy while `body` runs, so that calls wait for their turn.
fn beside_another_process(body: impl FnOnce(&Sum)) {
    let file = Sum::open();
    file.buffer.write(0, 0x0101_0101);
    let other = fork::start(|| {
        let other = Sum::open();
        other.buffer.write(0, 0x0202_0202);
        loop {
            assert_eq!(other.add_up(0, 4), Ok(8));
        }
    });
    body(&file);
    other.kill();
    let status = other.end();
    assert_eq!(status.signal(), Some(fork::SIGKILL), "{status}");
}

/// The handler has no `SA_RESTART`. Only a call that waits for its turn has done nothing.
#[case]
fn call_that_waits_for_its_turn_is_interrupted() {
    beside_another_process(|file| {
        let deadline = Instant::now() + PATIENCE;
        let _timer = Timer::start(Duration::from_millis(5), Handler::Interrupts);
        loop {
            match file.add_up(0, 4) {
                Ok(sum) => assert_eq!(sum, 4),
                Err(error) => {
                    assert_eq!(error, Errno::INTR);
                    break;
                }
            }
            assert!(Instant::now() < deadline, "no signal met a wait for a turn");
        }
    });
}

#[case]
fn sums_beside_another_process_among_signals_are_right() {
    const TICKS: u32 = 100;
    beside_another_process(|file| {
        let timer = Timer::start(Duration::from_millis(5), Handler::Restarts);
        while timer.ticks() < TICKS {
            assert_eq!(file.add_up(0, 4), Ok(4));
        }
    });
}

#[case]
fn each_file_has_a_buffer_of_its_own() {
    let (first, second) = (Sum::open(), Sum::open());
    first.buffer.write(0, 0x0101_0101);
    second.buffer.write(0, 0x0303_0303);

    assert_eq!((first.add_up(0, 4), second.add_up(0, 4)), (Ok(4), Ok(12)));
}

#[case]
fn new_buffer_has_none_of_the_last_ones_bytes() {
    let used = Sum::open();
    for offset in (0..BUFFER_SIZE).step_by(4) {
        used.buffer.write(offset, 0xa5a5_a5a5);
    }
    drop(used);

    let file = Sum::open();

    assert_eq!(file.add_up(0, BUFFER_SIZE), Ok(0));
}

/// Returns the runner's number of the driver's device: device n is on bus n + 1.
fn device_number() -> u32 {
    let device = rules::bound_device(&driver());
    let bus = device
        .split(':')
        .nth(1)
        .and_then(|bus| u32::from_str_radix(bus, 16).ok());
    let number = bus.and_then(|bus| bus.checked_sub(1));
    number.unwrap_or_else(|| panic!("{device}: the runner's devices are on bus 1 and up"))
}

/// The runner kills the server, and starts another one when it puts the device back.
#[case]
fn call_ends_when_the_server_is_killed() -> Result<(), Skip> {
    let Some(mut runner) = Runner::find() else {
        return Err(Skip("no runner at the third serial port".into()));
    };
    let old = Sum::open();
    let number = device_number();

    runner.must(&format!("server_kill {number}"));
    let lost = old.add_up(0, 4);
    runner.must(&format!("device_del {number}"));
    runner.must(&format!("device_add {number}"));
    until("the node comes back", || Path::new(NODE).exists());

    assert_eq!(lost, Err(Errno::TIMEDOUT), "no interrupt comes");
    assert_eq!(Sum::open().add_up(0, 4), Ok(0));
    Ok(())
}

/// The runner takes the device out of the machine and puts it back, with another server.
#[case]
fn device_comes_back_with_another_server() -> Result<(), Skip> {
    let Some(mut runner) = Runner::find() else {
        return Err(Skip("no runner at the third serial port".into()));
    };
    let old = Sum::open();
    // Another example may have a server too.
    let number = device_number();

    runner.must(&format!("device_del {number}"));
    let gone = old.add_up(0, 4);
    let node_was_there = Path::new(NODE).exists();
    runner.must(&format!("device_add {number}"));
    until("the node comes back", || Path::new(NODE).exists());

    assert_eq!(gone, Err(Errno::NODEV));
    assert!(!node_was_there, "{NODE} stayed without its device");
    let file = Sum::open();
    file.buffer.write(0, 0x0101_0101);
    assert_eq!(file.add_up(0, 4), Ok(4));
    Ok(())
}
