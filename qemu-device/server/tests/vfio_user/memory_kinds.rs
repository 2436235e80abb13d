// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Guest memory that the server must not touch, behind a server in its sandbox.

use std::fs::File;

use ringbar_driver_side::descriptors::{copy, crc32c, fill, pattern, verify};
use ringbar_server::options::InterruptKind;
use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::Register;
use ringbar_spec::ring::{Descriptor, Status};

use crate::common::{memory_file, unsealed_file};
use crate::guest::{Guest, BASE, BUFFER, BUFFER_WINDOW, DEVICE_WINDOW, SIZE};
use crate::process::Running;

/// Bytes of guest memory that a client keeps when it makes its file shorter: rings, blocks, and the
/// start of the buffer.
const KEPT: u64 = 1 << 20;

/// Sets up a device whose guest memory is a file.
fn device_on(file: File) -> (Running, Guest) {
    let server = Running::start(&["--once"]);
    let mut guest = Guest::attach_with(&server.socket, InterruptKind::Msix, file);
    guest.set_up();
    (server, guest)
}

/// Carries out descriptors one after the other. Returns status and result of each.
fn carry_out(guest: &mut Guest, descriptors: &[Descriptor]) -> Vec<(Status, u64)> {
    descriptors
        .iter()
        .map(|descriptor| {
            let done = guest.carry_out(descriptor);
            (Status(done.status), done.result)
        })
        .collect()
}

/// Ends the client. Returns the server's exit status and log.
fn end(guest: Guest, mut server: Running) -> (Option<i32>, String) {
    drop(guest);
    server.finish()
}

#[test]
fn memory_that_can_shrink_gives_the_results_of_memory_that_cannot() {
    let (odd, far) = (0x1233, 0x10_0001);
    let (buffer, device) = (BUFFER_WINDOW, DEVICE_WINDOW);
    let descriptors = [
        pattern(1, 7, (buffer, odd), 200_000),
        copy(2, (buffer, odd), (buffer, far), 200_000),
        copy(3, (buffer, far), (buffer, far + 9), 150_000),
        copy(4, (buffer, far + 9), (device, 5), 150_000),
        copy(5, (device, 5), (buffer, 3 * far), 150_000),
        fill(6, 0x0102_0304_0506_0708, (buffer, 3 * far + 11), 70_001),
        verify(7, 7, (buffer, far), 200_000),
        crc32c(8, 0, (buffer, 3 * far), 150_000),
    ];

    let ends = [memory_file(SIZE), unsealed_file(SIZE)].map(|file| {
        let (server, mut guest) = device_on(file);
        let done = carry_out(&mut guest, &descriptors);
        let bytes = guest.peek(BUFFER, 4 << 20);
        let (code, _log) = end(guest, server);
        (code, done, bytes)
    });

    let [sealed, copied] = ends;
    assert_eq!((sealed.0, sealed.1), (copied.0, copied.1));
    assert!(sealed.2 == copied.2, "other bytes in guest memory");
}

#[test]
fn client_that_makes_its_file_shorter_loses_operations_and_no_server() {
    let (server, mut guest) = device_on(unsealed_file(SIZE));
    let lost = 2 * KEPT;
    guest.file().set_len(KEPT).unwrap();

    let done = carry_out(
        &mut guest,
        &[
            fill(1, 0, (BUFFER_WINDOW, lost), 100),
            fill(2, 0, (BUFFER_WINDOW, KEPT - BUFFER - 50), 100),
            crc32c(3, 0, (BUFFER_WINDOW, lost), 100_000),
            fill(4, 0, (BUFFER_WINDOW, 0), 100),
        ],
    );

    let statuses: Vec<Status> = done.iter().map(|(status, _)| *status).collect();
    let aborted = Status::ABORTED;
    assert_eq!(statuses, [aborted, aborted, aborted, Status::OK]);
    let errors = guest.get(Register::ERROR_COUNT);
    let last = guest.get(Register::ERROR_LAST) as u16;
    let value = guest.get(Register::ERROR_VALUE);
    assert_eq!((errors, last), (3, ErrorCode::MEMORY_FAULT.0));
    assert_eq!(value, BASE + BUFFER + lost);
    assert_eq!(guest.file().metadata().unwrap().len(), KEPT);
    let (code, log) = end(guest, server);
    assert_eq!(code, Some(0), "{log}");
    let said = "cannot copy guest memory";
    assert_eq!(log.matches(said).count(), 1, "{log}");
}

#[test]
fn memory_of_copies_is_named_once_in_the_log() {
    let (server, guest) = device_on(unsealed_file(SIZE));

    let (_, log) = end(guest, server);

    assert_eq!(log.matches("memory-backend-memfd").count(), 1, "{log}");
}

#[test]
fn block_of_zeros_is_named_with_the_remedy() {
    // The device sees zeros if QEMU keeps the guest's memory to itself.
    let server = Running::start(&["--once"]);
    let mut guest = Guest::attach(&server.socket, InterruptKind::Msix);
    guest.map_memory();
    guest.set_bus_master(true);

    guest.set(Register::QUEUE_START, BASE);

    let code = ErrorCode(guest.get(Register::ADMIN_STATUS) as u16);
    assert_eq!(code, ErrorCode::BAD_ENTRIES);
    let (_, log) = end(guest, server);
    assert!(log.contains("share=on"), "{log}");
}
