// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Windows on parts of buffers: what they show, what they do not, and how they and what they show go.

mod gone;
mod pieces;
mod refused;
mod reused;
mod shown;

use ringbar_client::{Error, Part, Queue};
use ringbar_spec::ring::{Descriptor, Opcode, Status};
use ringbar_tests::{carry_out, run};
use rustix::io::Errno;
use std::process::ExitCode;

const PAGE: usize = 4096;
const UNTOUCHED: u8 = 0xa5;
const DEVICE_PARTS: [Part; 3] = [Part::WriteCombining, Part::Uncached, Part::Lazy];

fn main() -> ExitCode {
    run(&[
        (
            "device_writes_parts_in_their_order_and_nothing_else",
            shown::device_writes_parts_in_their_order,
        ),
        (
            "copies_across_parts_move_just_the_bytes_asked_for",
            shown::copies_across_parts,
        ),
        (
            "window_has_as_many_parts_as_allowed",
            shown::window_has_as_many_parts_as_allowed,
        ),
        (
            "window_on_device_memory_shows_its_part_alone",
            shown::window_on_device_memory,
        ),
        (
            "window_has_its_own_rights_not_those_of_its_buffer",
            shown::window_has_its_own_rights,
        ),
        (
            "rights_that_a_buffer_lacks_are_refused",
            refused::rights_that_a_buffer_lacks,
        ),
        (
            "part_that_leaves_its_buffer_is_refused",
            refused::part_that_leaves_its_buffer,
        ),
        (
            "device_memory_is_not_mixed_with_anything",
            refused::device_memory_is_not_mixed,
        ),
        (
            "part_of_what_is_no_buffer_of_the_file_is_refused",
            refused::part_of_no_buffer,
        ),
        (
            "offset_beyond_all_parts_is_out_of_bounds",
            shown::offset_beyond_all_parts,
        ),
        ("closed_window_is_a_bad_window", gone::closed_window_is_bad),
        (
            "only_a_window_that_was_opened_can_be_closed",
            refused::only_an_opened_window_can_be_closed,
        ),
        (
            "destroyed_buffer_takes_its_windows_along_and_no_others",
            gone::destroyed_buffer_takes_its_windows,
        ),
        (
            "mapping_of_a_destroyed_buffer_gives_sigbus",
            gone::mapping_of_a_destroyed_buffer,
        ),
        (
            "mapping_of_destroyed_device_memory_gives_sigbus",
            gone::mapping_of_destroyed_device_memory,
        ),
        (
            "destroyed_buffer_cannot_be_mapped_or_destroyed_again",
            gone::destroyed_buffer_is_unknown,
        ),
        (
            "next_owner_of_a_destroyed_buffer_finds_zeros",
            reused::next_owner_finds_zeros,
        ),
        (
            "buffer_destroyed_during_a_long_copy_is_not_written_afterwards",
            reused::destroyed_during_a_long_copy,
        ),
        (
            "buffers_and_windows_can_be_made_and_destroyed_without_end",
            gone::made_and_destroyed_without_end,
        ),
    ])
}

fn fill(window: u16, offset: u64, length: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::FILL.0,
        length,
        destination_window: window,
        destination_offset: offset,
        operand: u64::MAX,
        ..Default::default()
    }
}

fn copy(source: (u16, u64), destination: (u16, u64), length: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::COPY.0,
        length,
        source_window: source.0,
        source_offset: source.1,
        destination_window: destination.0,
        destination_offset: destination.1,
        ..Default::default()
    }
}

#[track_caller]
fn ends_with(queue: &mut Queue, descriptor: Descriptor, status: Status) {
    let completion = carry_out(queue, descriptor);
    assert_eq!(Status(completion.status), status, "{descriptor:?}");
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, errno: Errno) {
    let error = result.err().expect("the call is refused");
    assert_eq!(error.errno(), Some(errno), "{error}");
}
