// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What driver and device refuse, and by which name. Nothing refused writes anything.

use ringbar_client::{Buffer, Device, Error, Mapping, Queue, Rights};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ring::{Descriptor, Opcode, Status, MAX_ENTRIES};
use ringbar_tests::{break_ring, carry_out, open, run, PATIENCE, SHORT};
use ringbar_uapi::ioctl::Wait;
use ringbar_uapi::mmap;
use rustix::io::Errno;
use std::process::ExitCode;

const PAGE: usize = 4096;
const UNTOUCHED: u8 = 0x5a;

fn main() -> ExitCode {
    run(&[
        (
            "queue_is_refused_when_all_are_taken_and_free_again_when_a_file_is_closed",
            all_queues_are_taken,
        ),
        ("ring_sizes_that_no_ring_has_are_refused", bad_ring_sizes),
        ("buffer_sizes_out_of_range_are_refused", bad_buffer_sizes),
        ("foreign_queue_is_refused", foreign_queue),
        ("tail_beyond_the_ring_stops_the_queue", tail_beyond_the_ring),
        ("wait_for_what_never_comes_times_out", wait_times_out),
        ("unknown_ioctl_is_refused", unknown_ioctl),
        ("unknown_opcode_completes_with_its_name", bad_opcode),
        (
            "window_that_is_not_open_completes_with_its_name",
            bad_window,
        ),
        (
            "window_of_another_file_completes_with_its_name",
            window_of_another_file,
        ),
        (
            "offset_beyond_the_window_completes_with_its_name",
            out_of_bounds,
        ),
        (
            "write_to_a_read_window_completes_with_its_name",
            not_writable,
        ),
        (
            "read_of_a_write_window_completes_with_its_name",
            not_readable,
        ),
        ("length_zero_completes_with_its_name", length_zero),
        (
            "length_over_the_limit_completes_with_its_name",
            length_over_the_limit,
        ),
        ("reserved_field_completes_with_its_name", reserved_field),
        (
            "mapping_beyond_the_region_is_refused",
            mapping_beyond_the_region,
        ),
        (
            "mapping_of_an_unknown_region_is_refused",
            mapping_of_an_unknown_region,
        ),
        (
            "mapping_of_a_foreign_buffer_is_refused",
            mapping_of_a_foreign_buffer,
        ),
        (
            "writable_mapping_of_the_completion_ring_is_refused",
            writable_completion_ring,
        ),
    ])
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, errno: Errno) {
    let error = result.err().expect("the call is refused");
    assert_eq!(error.errno(), Some(errno), "{error}");
}

fn all_queues_are_taken() {
    let most = open().info().unwrap().queues as usize;
    let mut taken = Vec::new();
    let refusal = loop {
        assert!(taken.len() <= most, "the device has {most} queues");
        match open().create_queue(4) {
            Ok(queue) => taken.push(queue),
            Err(error) => break error,
        }
    };
    assert_eq!(refusal.errno(), Some(Errno::NOSPC), "{refusal}");
    drop(taken.pop().expect("there was a queue to take"));
    open().create_queue(4).unwrap();
}

fn bad_ring_sizes() {
    let device = open();
    for entries in [0, 1, 3, 1000, 2 * MAX_ENTRIES, u32::MAX] {
        refused(device.create_queue(entries), Errno::INVAL);
    }
}

fn bad_buffer_sizes() {
    let device = open();
    let largest = device.info().unwrap().max_buffer as usize;
    device.create_buffer(largest, Rights::Read).unwrap();
    for size in [0, largest + 1, usize::MAX] {
        refused(device.create_buffer(size, Rights::Read), Errno::INVAL);
    }
}

fn foreign_queue() {
    let queue = open().create_queue(4).unwrap();
    let number = queue.number();
    let other = open();
    let mut wait = Wait {
        queue: number,
        ..Default::default()
    };
    refused(other.wait(&mut wait), Errno::NXIO);
    refused(other.reset_queue(number), Errno::NXIO);
    refused(other.destroy_queue(number), Errno::NXIO);
    refused(other.set_event_fd(number, None), Errno::NXIO);
}

fn tail_beyond_the_ring() {
    let mut queue = open().create_queue(4).unwrap();
    break_ring(&queue);
    match queue.wait(1, PATIENCE) {
        Err(Error::QueueStopped {
            code: ErrorCode::BAD_TAIL,
        }) => {}
        other => panic!("{other:?}"),
    }
}

fn wait_times_out() {
    let mut queue = open().create_queue(4).unwrap();
    refused(queue.wait(1, SHORT), Errno::TIMEDOUT);
}

#[expect(unsafe_code, reason = "no library offers an ioctl that does not exist")]
fn unknown_ioctl() {
    let device = open();
    // SAFETY: The number has no meaning to the driver, which reads and writes nothing.
    let call = unsafe { rustix::ioctl::NoArg::<0xbaff>::new() };
    // SAFETY: As above.
    let answer = unsafe { rustix::ioctl::ioctl(&**device.file(), call) };
    assert_eq!(answer, Err(Errno::NOTTY));
}

/// A queue and a marked buffer of one page that may be read and written.
fn set_up() -> (Device, Queue, Buffer) {
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let buffer = device.create_buffer(PAGE, Rights::ReadWrite).unwrap();
    buffer.mapping().write_bytes(0, &[UNTOUCHED; PAGE]);
    (device, queue, buffer)
}

fn fill(buffer: &Buffer) -> Descriptor {
    Descriptor {
        opcode: Opcode::FILL.0,
        length: 64,
        destination_window: buffer.window(),
        operand: u64::MAX,
        ..Default::default()
    }
}

#[track_caller]
fn ends_with(queue: &mut Queue, buffer: &Buffer, descriptor: Descriptor, status: Status) {
    let completion = carry_out(queue, descriptor);
    assert_eq!(Status(completion.status), status);
    assert!(buffer
        .mapping()
        .read_bytes(0, PAGE)
        .iter()
        .all(|byte| *byte == UNTOUCHED));
}

fn bad_opcode() {
    let (_device, mut queue, buffer) = set_up();
    let descriptor = Descriptor {
        opcode: 0xffff,
        ..fill(&buffer)
    };
    ends_with(&mut queue, &buffer, descriptor, Status::BAD_OPCODE);
}

fn bad_window() {
    let (_device, mut queue, buffer) = set_up();
    for window in [0, buffer.window() + 1, u16::MAX] {
        let descriptor = Descriptor {
            destination_window: window,
            ..fill(&buffer)
        };
        ends_with(&mut queue, &buffer, descriptor, Status::BAD_WINDOW);
    }
}

fn window_of_another_file() {
    let (_device, mut queue, buffer) = set_up();
    let other = open();
    let foreign = other.create_buffer(PAGE, Rights::ReadWrite).unwrap();
    foreign.mapping().write_bytes(0, &[UNTOUCHED; PAGE]);
    ends_with(&mut queue, &buffer, fill(&foreign), Status::BAD_WINDOW);
    assert!(foreign
        .mapping()
        .read_bytes(0, PAGE)
        .iter()
        .all(|byte| *byte == UNTOUCHED));
}

fn out_of_bounds() {
    let (_device, mut queue, buffer) = set_up();
    for offset in [PAGE as u64 - 63, PAGE as u64, u64::MAX - 63, u64::MAX] {
        let descriptor = Descriptor {
            destination_offset: offset,
            ..fill(&buffer)
        };
        ends_with(&mut queue, &buffer, descriptor, Status::OUT_OF_BOUNDS);
    }
}

fn not_writable() {
    let (device, mut queue, buffer) = set_up();
    let source = device.create_buffer(PAGE, Rights::Read).unwrap();
    let descriptor = Descriptor {
        destination_window: source.window(),
        ..fill(&buffer)
    };
    ends_with(&mut queue, &buffer, descriptor, Status::NOT_WRITABLE);
    assert!(source
        .mapping()
        .read_bytes(0, PAGE)
        .iter()
        .all(|byte| *byte == 0));
}

fn not_readable() {
    let (device, mut queue, buffer) = set_up();
    let source = device.create_buffer(PAGE, Rights::Write).unwrap();
    let descriptor = Descriptor {
        opcode: Opcode::COPY.0,
        source_window: source.window(),
        operand: 0,
        ..fill(&buffer)
    };
    ends_with(&mut queue, &buffer, descriptor, Status::NOT_READABLE);
}

fn length_zero() {
    let (_device, mut queue, buffer) = set_up();
    let descriptor = Descriptor {
        length: 0,
        ..fill(&buffer)
    };
    ends_with(&mut queue, &buffer, descriptor, Status::BAD_LENGTH);
}

fn length_over_the_limit() {
    let (device, mut queue, buffer) = set_up();
    let limit = device.info().unwrap().max_length;
    for length in [limit + 1, u32::MAX] {
        let descriptor = Descriptor {
            length,
            ..fill(&buffer)
        };
        ends_with(&mut queue, &buffer, descriptor, Status::BAD_LENGTH);
    }
}

fn reserved_field() {
    let (_device, mut queue, buffer) = set_up();
    let flags = Descriptor {
        flags: 1,
        ..fill(&buffer)
    };
    ends_with(&mut queue, &buffer, flags, Status::RESERVED_FIELD);
    let reserved = Descriptor {
        reserved: [0, 0, 1],
        ..fill(&buffer)
    };
    ends_with(&mut queue, &buffer, reserved, Status::RESERVED_FIELD);
}

fn mapping_beyond_the_region() {
    let (device, _queue, buffer) = set_up();
    let file = device.file();
    let offset = buffer.offset();
    refused(
        Mapping::new(file.clone(), offset, 2 * PAGE, true),
        Errno::OVERFLOW,
    );
    refused(
        Mapping::new(file.clone(), offset + PAGE as u64, PAGE, true),
        Errno::OVERFLOW,
    );
    refused(
        Mapping::new(file.clone(), mmap::PUBLIC_REGISTERS, 2 * PAGE, true),
        Errno::OVERFLOW,
    );
    let admin = mmap::PUBLIC_REGISTERS + PAGE as u64;
    refused(Mapping::new(file.clone(), admin, PAGE, true), Errno::PERM);
}

fn mapping_of_an_unknown_region() {
    let device = open();
    refused(
        Mapping::new(device.file().clone(), 0, PAGE, true),
        Errno::NXIO,
    );
    let unknown = mmap::encode(0x7f, 0);
    refused(
        Mapping::new(device.file().clone(), unknown, PAGE, true),
        Errno::NXIO,
    );
}

fn mapping_of_a_foreign_buffer() {
    let (_device, _queue, buffer) = set_up();
    let other = open();
    refused(
        Mapping::new(other.file().clone(), buffer.offset(), PAGE, true),
        Errno::PERM,
    );
}

fn writable_completion_ring() {
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let ring = mmap::encode(mmap::KIND_COMPLETION_RING, queue.number() as u16);
    refused(
        Mapping::new(device.file().clone(), ring, PAGE, true),
        Errno::ACCESS,
    );
    Mapping::new(device.file().clone(), ring, PAGE, false).unwrap();
}
