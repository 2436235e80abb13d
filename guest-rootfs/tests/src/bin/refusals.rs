// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Refusals of driver and device, with their names. Refused work writes nothing.

use ringbar_client::{descriptors, Buffer, Device, Error, Mapping, Queue, Rights};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::ring::{self, Completion, Descriptor, Status, MAX_ENTRIES};
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::{
    break_ring, carry_out, case, nop, open, page_size, run, PciFunction, PATIENCE, SHORT,
};
use ringbar_uapi::ioctl::{self, Object, OpenWindow, Wait, WindowPart};
use ringbar_uapi::mmap;
use rustix::io::Errno;
use rustix::ioctl::{Opcode, Updater};
use std::process::ExitCode;

const UNTOUCHED: u8 = 0x5a;

fn main() -> ExitCode {
    run()
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, errno: Errno) {
    let error = result.err().expect("the call is refused");
    assert_eq!(error.errno(), Some(errno), "{error}");
}

#[case]
fn queue_is_refused_when_all_are_taken_and_free_again_when_a_file_is_closed() {
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

#[case]
fn invalid_ring_sizes_are_refused() {
    let device = open();
    for entries in [0, 1, 3, 1000, 2 * MAX_ENTRIES, u32::MAX] {
        refused(device.create_queue(entries), Errno::INVAL);
    }
}

#[case]
fn buffer_sizes_out_of_range_are_refused() {
    let device = open();
    let largest = device.info().unwrap().max_buffer as usize;
    device.create_buffer(largest, Rights::Read).unwrap();
    for size in [0, largest + 1, usize::MAX] {
        refused(device.create_buffer(size, Rights::Read), Errno::INVAL);
    }
}

#[case]
fn foreign_queue_is_refused() {
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

#[case]
fn tail_beyond_the_ring_stops_the_queue() {
    let mut queue = open().create_queue(4).unwrap();
    break_ring(&queue);
    match queue.wait(1, PATIENCE) {
        Err(Error::QueueStopped {
            code: ErrorCode::BAD_TAIL,
        }) => {}
        other => panic!("{other:?}"),
    }
}

#[case]
fn wait_without_a_completion_times_out() {
    let mut queue = open().create_queue(4).unwrap();
    refused(queue.wait(1, SHORT), Errno::TIMEDOUT);
}

#[expect(unsafe_code, reason = "no library offers an ioctl that does not exist")]
#[case]
fn unknown_ioctl_is_refused() {
    let device = open();
    // SAFETY: The driver knows no ioctl of this number, so it reads and writes nothing.
    let call = unsafe { rustix::ioctl::NoArg::<0xbaff>::new() };
    // SAFETY: The driver knows no ioctl of this number, so it touches no memory of the process.
    let answer = unsafe { rustix::ioctl::ioctl(&**device.file(), call) };
    assert_eq!(answer, Err(Errno::NOTTY));
}

/// Issues an ioctl with unchecked arguments, which the client library would not issue.
fn call<const NUMBER: Opcode, T>(device: &Device, mut argument: T) -> Result<(), Errno> {
    update::<NUMBER, T>(device, &mut argument)
}

/// As [`call`], and shows the argument as the driver leaves it.
#[expect(unsafe_code, reason = "no library offers calls with bad arguments")]
fn update<const NUMBER: Opcode, T>(device: &Device, argument: &mut T) -> Result<(), Errno> {
    // SAFETY: The driver writes at most the argument of a call. It only reads the parts of an
    // `OpenWindow` and the bytes of a `Transfer`. An `Execute` points to arrays of its case, or to
    // addresses without memory.
    let call = unsafe { Updater::<NUMBER, T>::new(argument) };
    // SAFETY: The file is the driver's. The driver writes at most the argument, which outlives the
    // call.
    unsafe { rustix::ioctl::ioctl(&**device.file(), call) }
}

/// Fails if the refused call took objects or bytes.
fn takes_nothing(refuse: impl FnOnce()) {
    let before = RINGBAR.usage();
    refuse();
    assert_eq!(RINGBAR.usage(), before);
}

/// Opens a window on one unchecked part.
fn open_window(device: &Device, part: WindowPart, open: OpenWindow) -> Result<(), Errno> {
    let open = OpenWindow {
        parts: (&raw const part).expose_provenance() as u64,
        ..open
    };
    call::<{ ioctl::OPEN_WINDOW as Opcode }, _>(device, open)
}

#[case]
fn reserved_fields_of_calls_on_windows_and_buffers_must_be_0() {
    let device = open();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    let part = buffer.part(0..8);
    let open = OpenWindow {
        count: 1,
        rights: ioctl::RIGHT_READ,
        ..Default::default()
    };
    let window = device.open_window(&[part], Rights::Read).unwrap();
    let queue = device.create_queue(4).unwrap();
    takes_nothing(|| {
        for reserved in [1, 1 << 31] {
            let in_part = WindowPart { reserved, ..part };
            assert_eq!(open_window(&device, in_part, open), Err(Errno::INVAL));
            let in_open = OpenWindow { reserved, ..open };
            assert_eq!(open_window(&device, part, in_open), Err(Errno::INVAL));
            let object = |number| Object { number, reserved };
            let own = object(buffer.window().into());
            let destroyed = call::<{ ioctl::DESTROY_BUFFER as Opcode }, _>(&device, own);
            assert_eq!(destroyed, Err(Errno::INVAL));
            let opened = object(window.number().into());
            let closed = call::<{ ioctl::CLOSE_WINDOW as Opcode }, _>(&device, opened);
            assert_eq!(closed, Err(Errno::INVAL));
            let number = object(queue.number());
            let reset = call::<{ ioctl::RESET_QUEUE as Opcode }, _>(&device, number);
            assert_eq!(reset, Err(Errno::INVAL));
            let destroyed = call::<{ ioctl::DESTROY_QUEUE as Opcode }, _>(&device, number);
            assert_eq!(destroyed, Err(Errno::INVAL));
            let memory = ioctl::CreateDeviceMemory {
                size: 1,
                rights: ioctl::RIGHT_READ,
                reserved,
                ..Default::default()
            };
            let created = call::<{ ioctl::CREATE_DEVICE_MEMORY as Opcode }, _>(&device, memory);
            assert_eq!(created, Err(Errno::INVAL));
        }
    });
    assert_eq!(open_window(&device, part, open), Ok(()));
}

#[case]
fn unknown_rights_are_refused() {
    let device = open();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    let part = buffer.part(0..8);
    takes_nothing(|| {
        for rights in [0, 4, ioctl::RIGHT_READ | 4, 1 << 31, u32::MAX] {
            let open = OpenWindow {
                count: 1,
                rights,
                ..Default::default()
            };
            assert_eq!(open_window(&device, part, open), Err(Errno::INVAL));
            let create = ioctl::CreateBuffer {
                size: 1,
                rights,
                ..Default::default()
            };
            let created = call::<{ ioctl::CREATE_BUFFER as Opcode }, _>(&device, create);
            assert_eq!(created, Err(Errno::INVAL));
            let create = ioctl::CreateDeviceMemory {
                size: 1,
                rights,
                ..Default::default()
            };
            let created = call::<{ ioctl::CREATE_DEVICE_MEMORY as Opcode }, _>(&device, create);
            assert_eq!(created, Err(Errno::INVAL));
        }
    });
}

#[case]
fn number_of_parts_out_of_range_is_refused() {
    let device = open();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    takes_nothing(|| {
        for count in [0, ioctl::MAX_PARTS + 1, 1 << 31, u32::MAX] {
            let open = OpenWindow {
                count,
                rights: ioctl::RIGHT_READ,
                ..Default::default()
            };
            let part = buffer.part(0..8);
            assert_eq!(open_window(&device, part, open), Err(Errno::INVAL));
        }
    });
}

#[case]
fn unreadable_parts_are_refused() {
    let device = open();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    let array = device.create_buffer(page_size(), Rights::Read).unwrap();
    let mapped = Mapping::new(device.file().clone(), array.offset(), page_size(), true).unwrap();
    let last = page_size() - size_of::<WindowPart>();
    // A little-endian machine stores a part as: buffer and reserved field, offset, length.
    mapped.write_words(last, [u64::from(buffer.window()), 0, 8]);
    let last = mapped.as_ptr().addr() as u64 + last as u64;
    let open = |parts| {
        let open = OpenWindow {
            parts,
            count: 1,
            rights: ioctl::RIGHT_READ,
            ..Default::default()
        };
        call::<{ ioctl::OPEN_WINDOW as Opcode }, _>(&device, open)
    };
    takes_nothing(|| {
        // Null, two addresses of the kernel, and an invalid address.
        for address in [0, 1 << 63, 0xffff_8880_0000_0000, u64::MAX] {
            assert_eq!(open(address), Err(Errno::FAULT), "{address:#x}");
        }
    });
    assert_eq!(open(last), Ok(()));
    // The process still has its mapping, but the pages are gone.
    array.close().unwrap();
    takes_nothing(|| assert_eq!(open(last), Err(Errno::FAULT)));
}

/// Returns a queue, and a marked buffer of one page that the device may read and write.
fn set_up() -> (Device, Queue, Buffer) {
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    buffer
        .mapping()
        .write_bytes(0, &vec![UNTOUCHED; page_size()]);
    (device, queue, buffer)
}

fn fill(buffer: &Buffer) -> Descriptor {
    descriptors::fill(0, u64::MAX, (buffer.window(), 0), 64)
}

#[track_caller]
fn ends_with(queue: &mut Queue, buffer: &Buffer, descriptor: Descriptor, status: Status) {
    let completion = carry_out(queue, descriptor);
    assert_eq!(Status(completion.status), status);
    assert!(buffer
        .mapping()
        .read_bytes(0, page_size())
        .iter()
        .all(|byte| *byte == UNTOUCHED));
}

#[case]
fn unreadable_and_unwritable_arrays_are_refused() {
    let device = open();
    let mut queue = device.create_kernel_queue(4).unwrap();
    let descriptors = [nop(1); 3];
    let mut completions = [Completion::default(); 3];
    let good = ioctl::Execute {
        descriptors: descriptors.as_ptr().expose_provenance() as u64,
        completions: completions.as_mut_ptr().expose_provenance() as u64,
        queue: queue.number(),
        count: 3,
        timeout_ms: PATIENCE.as_millis() as u32,
        began: 0,
    };
    let execute = |argument| call::<{ ioctl::EXECUTE as Opcode }, _>(&device, argument);
    // The first page, and addresses of the kernel.
    for address in [0, 8, 1 << 63, u64::MAX - 63] {
        let descriptors = ioctl::Execute {
            descriptors: address,
            ..good
        };
        assert_eq!(execute(descriptors), Err(Errno::FAULT), "{address:#x}");
        let completions = ioctl::Execute {
            completions: address,
            ..good
        };
        assert_eq!(execute(completions), Err(Errno::FAULT), "{address:#x}");
    }
    static READ_ONLY: [Completion; 3] = [Completion {
        tag: 0,
        status: 0,
        reserved: 0,
        result: 0,
    }; 3];
    let completions = ioctl::Execute {
        completions: READ_ONLY.as_ptr().expose_provenance() as u64,
        ..good
    };
    assert_eq!(execute(completions), Err(Errno::FAULT), "read-only memory");
    // The next call must not return completions that these calls left in the rings.
    let mut completions = [Completion::default(); 2];
    let done = queue.execute(&[nop(7), nop(8)], &mut completions, PATIENCE);
    assert_eq!(done.unwrap(), 2);
    assert_eq!(completions.map(|completion| completion.tag), [7, 8]);
}

#[case]
fn flags_and_reserved_fields_of_calls_on_queues_must_be_0() {
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let create = ioctl::CreateQueue {
        entries: 4,
        ..Default::default()
    };
    let flags = ioctl::CreateQueue {
        flags: 1 << 1,
        ..create
    };
    let reserved = ioctl::CreateQueue {
        reserved: 1,
        ..create
    };
    takes_nothing(|| {
        for create in [flags, reserved] {
            let created = call::<{ ioctl::CREATE_QUEUE as Opcode }, _>(&device, create);
            assert_eq!(created, Err(Errno::INVAL), "{create:?}");
        }
        let object = Object {
            number: queue.number(),
            reserved: 1,
        };
        let reset = call::<{ ioctl::RESET_QUEUE as Opcode }, _>(&device, object);
        assert_eq!(reset, Err(Errno::INVAL));
        let destroyed = call::<{ ioctl::DESTROY_QUEUE as Opcode }, _>(&device, object);
        assert_eq!(destroyed, Err(Errno::INVAL));
    });
}

#[case]
fn mark_that_the_driver_did_not_give_gains_no_time() {
    let device = open();
    let queue = device.create_queue(4).unwrap();
    for began in [1, 1 << 31, u32::MAX] {
        let wait = |completion_tail| Wait {
            queue: queue.number(),
            completion_tail,
            timeout_ms: 1,
            began,
        };
        let mut there = wait(0);
        device.wait(&mut there).expect("none is awaited");
        assert_eq!(there.began, 0, "{began}");
        let mut missing = wait(1);
        refused(device.wait(&mut missing), Errno::TIMEDOUT);
        assert_eq!((missing.completion_tail, missing.began), (0, 0), "{began}");
    }
}

#[case]
fn mark_that_the_driver_did_not_give_gains_a_call_on_a_kernel_queue_no_time() {
    let device = open();
    let mut queue = device.create_kernel_queue(4).unwrap();
    let buffer = device
        .create_buffer(page_size(), Rights::ReadWrite)
        .unwrap();
    // The first transfer makes the kernel's memory for transfers, which takes bus mastering.
    queue.write(buffer.window(), 0, &[1], PATIENCE).unwrap();
    let function = PciFunction::under_test();
    // The device carries nothing out: without its time, a call would never end.
    let silent = function.without_bus_master();
    let (descriptors, mut completions) = ([nop(1)], [Completion::default()]);
    let bytes = [2; 8];
    for began in [1, 1 << 31, u32::MAX] {
        let mut execute = ioctl::Execute {
            descriptors: descriptors.as_ptr().expose_provenance() as u64,
            completions: completions.as_mut_ptr().expose_provenance() as u64,
            queue: queue.number(),
            count: 1,
            timeout_ms: 1,
            began,
        };
        let executed = update::<{ ioctl::EXECUTE as Opcode }, _>(&device, &mut execute);
        assert_eq!(executed, Err(Errno::TIMEDOUT), "{began}");
        assert_eq!((execute.count, execute.began), (0, 0), "{began}");
        let mut transfer = ioctl::Transfer {
            address: bytes.as_ptr().expose_provenance() as u64,
            length: bytes.len() as u64,
            queue: queue.number(),
            window: buffer.window().into(),
            direction: ioctl::TRANSFER_INTO_WINDOW,
            timeout_ms: 1,
            began,
            ..Default::default()
        };
        let moved = update::<{ ioctl::TRANSFER as Opcode }, _>(&device, &mut transfer);
        assert_eq!(moved, Err(Errno::TIMEDOUT), "{began}");
        assert_eq!((transfer.length, transfer.began), (0, 0), "{began}");
    }
    drop(silent);
    // The queue takes the next call, and the device has not seen the refused bytes.
    let done = queue.execute(&[nop(7)], &mut completions, PATIENCE);
    assert_eq!((done.unwrap(), completions[0].tag), (1, 7));
    assert_eq!(buffer.mapping().read_bytes(0, 8), [1, 0, 0, 0, 0, 0, 0, 0]);
}

#[case]
fn unknown_opcode_ends_with_bad_opcode() {
    let (_device, mut queue, buffer) = set_up();
    let descriptor = Descriptor {
        opcode: 0xffff,
        ..fill(&buffer)
    };
    ends_with(&mut queue, &buffer, descriptor, Status::BAD_OPCODE);
}

#[case]
fn unopened_window_ends_with_bad_window() {
    let (_device, mut queue, buffer) = set_up();
    for window in [0, buffer.window() + 1, u16::MAX] {
        let descriptor = Descriptor {
            destination_window: window,
            ..fill(&buffer)
        };
        ends_with(&mut queue, &buffer, descriptor, Status::BAD_WINDOW);
    }
}

#[case]
fn window_of_another_file_ends_with_bad_window() {
    let (_device, mut queue, buffer) = set_up();
    let other = open();
    let foreign = other.create_buffer(page_size(), Rights::ReadWrite).unwrap();
    foreign
        .mapping()
        .write_bytes(0, &vec![UNTOUCHED; page_size()]);
    ends_with(&mut queue, &buffer, fill(&foreign), Status::BAD_WINDOW);
    assert!(foreign
        .mapping()
        .read_bytes(0, page_size())
        .iter()
        .all(|byte| *byte == UNTOUCHED));
}

#[case]
fn offset_beyond_the_window_ends_with_out_of_bounds() {
    let (_device, mut queue, buffer) = set_up();
    for offset in [
        page_size() as u64 - 63,
        page_size() as u64,
        u64::MAX - 63,
        u64::MAX,
    ] {
        let descriptor = Descriptor {
            destination_offset: offset,
            ..fill(&buffer)
        };
        ends_with(&mut queue, &buffer, descriptor, Status::OUT_OF_BOUNDS);
    }
}

#[case]
fn write_to_a_read_window_ends_with_not_writable() {
    let (device, mut queue, buffer) = set_up();
    let source = device.create_buffer(page_size(), Rights::Read).unwrap();
    let descriptor = Descriptor {
        destination_window: source.window(),
        ..fill(&buffer)
    };
    ends_with(&mut queue, &buffer, descriptor, Status::NOT_WRITABLE);
    assert!(source
        .mapping()
        .read_bytes(0, page_size())
        .iter()
        .all(|byte| *byte == 0));
}

#[case]
fn read_of_a_write_window_ends_with_not_readable() {
    let (device, mut queue, buffer) = set_up();
    let source = device.create_buffer(page_size(), Rights::Write).unwrap();
    let descriptor = Descriptor {
        opcode: ring::Opcode::COPY.0,
        source_window: source.window(),
        operand: 0,
        ..fill(&buffer)
    };
    ends_with(&mut queue, &buffer, descriptor, Status::NOT_READABLE);
}

#[case]
fn length_zero_ends_with_bad_length() {
    let (_device, mut queue, buffer) = set_up();
    let descriptor = Descriptor {
        length: 0,
        ..fill(&buffer)
    };
    ends_with(&mut queue, &buffer, descriptor, Status::BAD_LENGTH);
}

#[case]
fn length_over_the_limit_ends_with_bad_length() {
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

#[case]
fn reserved_bits_end_with_reserved_field() {
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

#[case]
fn mapping_beyond_the_region_is_refused() {
    let (device, _queue, buffer) = set_up();
    let file = device.file();
    let offset = buffer.offset();
    refused(
        Mapping::new(file.clone(), offset, 2 * page_size(), true),
        Errno::OVERFLOW,
    );
    refused(
        Mapping::new(file.clone(), offset + page_size() as u64, page_size(), true),
        Errno::OVERFLOW,
    );
    refused(
        Mapping::new(file.clone(), mmap::PUBLIC_REGISTERS, 2 * page_size(), true),
        Errno::OVERFLOW,
    );
    let admin = mmap::PUBLIC_REGISTERS + page_size() as u64;
    refused(
        Mapping::new(file.clone(), admin, page_size(), true),
        Errno::PERM,
    );
}

#[case]
fn mapping_of_an_unknown_region_is_refused() {
    let device = open();
    refused(
        Mapping::new(device.file().clone(), 0, page_size(), true),
        Errno::NXIO,
    );
    let unknown = mmap::encode(0x7f, 0);
    refused(
        Mapping::new(device.file().clone(), unknown, page_size(), true),
        Errno::NXIO,
    );
}

#[case]
fn mapping_of_a_foreign_buffer_is_refused() {
    let (_device, _queue, buffer) = set_up();
    let other = open();
    refused(
        Mapping::new(other.file().clone(), buffer.offset(), page_size(), true),
        Errno::PERM,
    );
}

#[case]
fn writable_mapping_of_the_completion_ring_is_refused() {
    let device = open();
    let queue = device.create_queue(4).unwrap();
    let ring = mmap::encode(mmap::KIND_COMPLETION_RING, queue.number() as u16);
    refused(
        Mapping::new(device.file().clone(), ring, page_size(), true),
        Errno::ACCESS,
    );
    Mapping::new(device.file().clone(), ring, page_size(), false).unwrap();
}
