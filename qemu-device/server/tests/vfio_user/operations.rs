// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Operations, and the events that stop them.

use ringbar_driver_side::descriptors::{copy, fill, nop, pattern};
use ringbar_endpoint::config_space::{COMMAND, DEVICE_CONTROL, FUNCTION_RESET, POWER_CONTROL};
use ringbar_server::options::InterruptKind::{Msi, Msix};
use ringbar_spec::ids;
use ringbar_spec::ids::IDENT;
use ringbar_spec::pattern::byte;
use ringbar_spec::regs::{Register, RESET_KEY};
use ringbar_spec::ring::Status;

use crate::guest::{Guest, BASE, BUFFER, BUFFER_SIZE, BUFFER_WINDOW, DEVICE_WINDOW, ENTRIES, SIZE};

/// Returns the bytes of a pattern.
fn expected(seed: u64, length: u64) -> Vec<u8> {
    (0..length).map(|offset| byte(seed, offset)).collect()
}

#[test]
fn pattern_reaches_guest_memory_and_nothing_around_it() {
    let mut guest = Guest::start(Msix);
    let (offset, length) = (0x1003, 0x2_3456);
    guest.poke(BUFFER + offset - 16, &[0xee; 16]);
    guest.poke(BUFFER + offset + length, &[0xee; 16]);

    let completion = guest.carry_out(&pattern(42, 0xfeed, (BUFFER_WINDOW, offset), length as u32));

    assert_eq!((completion.tag, completion.status), (42, Status::OK.0));
    assert!(guest.peek(BUFFER + offset, length as usize) == expected(0xfeed, length));
    assert_eq!(guest.peek(BUFFER + offset - 16, 16), [0xee; 16]);
    assert_eq!(guest.peek(BUFFER + offset + length, 16), [0xee; 16]);
}

#[test]
fn copy_goes_from_guest_to_device_memory_and_back() {
    let mut guest = Guest::start(Msix);
    let data = expected(3, 0x3001);
    guest.poke(BUFFER + 1, &data);

    let out = guest.carry_out(&copy(1, (BUFFER_WINDOW, 1), (DEVICE_WINDOW, 7), 0x3001));
    let seen = guest.peek_device(6, 0x3003);
    let back = guest.carry_out(&copy(
        2,
        (DEVICE_WINDOW, 7),
        (BUFFER_WINDOW, 0x8001),
        0x3001,
    ));

    assert_eq!((out.status, back.status), (Status::OK.0, Status::OK.0));
    assert!(seen[1..0x3002] == data);
    assert_eq!((seen[0], seen[0x3002]), (0, 0));
    assert!(guest.peek(BUFFER + 0x8001, 0x3001) == data);
    assert_eq!(guest.peek(BUFFER + 0x8000, 1), [0]);
    assert_eq!(guest.peek(BUFFER + 0x8001 + 0x3001, 1), [0]);
}

#[test]
fn msi_device_completes_with_an_interrupt() {
    let mut guest = Guest::start(Msi);

    let completion = guest.carry_out(&nop(5));

    assert_eq!((completion.tag, completion.status), (5, Status::OK.0));
}

#[test]
fn completion_raises_the_queue_vector() {
    let mut guest = Guest::start(Msix);
    guest.arm(0);
    guest.submit(&nop(1));

    guest.kick();

    assert_eq!(guest.wait_interrupt(1), 1);
    assert_eq!(guest.completion_tail(), 1);
}

#[test]
fn error_raises_vector_0() {
    let mut guest = Guest::start(Msix);

    guest.client.region_write(0, 0x0f00, &[1; 4]).unwrap();

    assert_eq!(guest.wait_interrupt(0), 1);
}

#[test]
fn ring_wraps_in_order() {
    let mut guest = Guest::start(Msix);
    let tags: Vec<u32> = (0..3 * ENTRIES)
        .map(|tag| guest.carry_out(&nop(tag)).tag)
        .collect();

    assert!(tags.into_iter().eq(0..3 * ENTRIES));
}

#[test]
fn bus_mastering_off_writes_nothing_until_it_is_on() {
    let mut guest = Guest::start(Msix);
    guest.set_bus_master(false);

    guest.submit(&fill(1, u64::MAX, (BUFFER_WINDOW, 0), 4096));
    guest.kick();
    guest.linger();
    let (tail, bytes) = (guest.completion_tail(), guest.peek(BUFFER, 4096));
    guest.set_bus_master(true);
    let completion = guest.wait();

    assert_eq!(tail, 0);
    assert_eq!(bytes, [0; 4096]);
    assert_eq!(completion.status, Status::OK.0);
    assert_eq!(guest.peek(BUFFER, 4096), [0xff; 4096]);
}

#[test]
fn d3hot_writes_nothing() {
    let mut guest = Guest::start(Msix);
    guest.write_config(POWER_CONTROL, &3_u16.to_le_bytes());

    guest.submit(&fill(1, u64::MAX, (BUFFER_WINDOW, 0), 4096));
    guest.kick();
    guest.linger();

    assert_eq!(guest.completion_tail(), 0);
    assert_eq!(guest.peek(BUFFER, 4096), [0; 4096]);
}

#[test]
fn function_reset_stops_the_queue_and_steps_the_generation() {
    let mut guest = Guest::start(Msix);
    guest.carry_out(&nop(1));
    guest.set(Register::SCRATCH, 5);

    guest.write_config(DEVICE_CONTROL, &FUNCTION_RESET.to_le_bytes());

    assert_eq!(guest.read_config(COMMAND) & 0xffff, 0);
    guest.set_bus_master(false);
    let boot = guest.get(Register::BOOT_NUMBER);
    assert_eq!(guest.get(Register::RESET_GENERATION), boot + 1);
    assert_eq!(guest.get(Register::SCRATCH), 0);
    assert_eq!(guest.get(Register::STATUS), 1);
    assert_eq!(guest.completion_tail(), 0);
}

#[test]
fn registers_do_not_answer_between_function_reset_and_memory_space() {
    let mut guest = Guest::start(Msix);
    guest.set_bus_master(true);
    guest.write_config(DEVICE_CONTROL, &FUNCTION_RESET.to_le_bytes());

    let silent = guest.get(Register::IDENT);
    guest.set(Register::SCRATCH, 5);
    guest.set_bus_master(false);

    assert_eq!(silent, u64::from(u32::MAX));
    assert_eq!(guest.get(Register::IDENT), u64::from(IDENT));
    assert_eq!(guest.get(Register::SCRATCH), 0);
}

#[test]
fn device_works_again_after_function_reset() {
    let mut guest = Guest::start(Msix);
    guest.carry_out(&nop(1));
    guest.write_config(DEVICE_CONTROL, &FUNCTION_RESET.to_le_bytes());

    guest.set_bus_master(true);
    guest.switch_msix_on();
    guest.start_queue();
    let completion = guest.carry_out(&nop(2));

    assert_eq!((completion.tag, completion.status), (2, Status::OK.0));
}

#[test]
fn register_reset_leaves_bus_mastering_on() {
    let mut guest = Guest::start(Msix);

    guest.set(Register::RESET, u64::from(RESET_KEY));
    guest.start_queue();

    assert_eq!(guest.carry_out(&nop(3)).tag, 3);
}

#[test]
fn device_reset_message_resets_configuration_space_too() {
    let mut guest = Guest::start(Msix);
    guest.set(Register::SCRATCH, 5);

    guest.client.reset().unwrap();

    assert_eq!(guest.get(Register::SCRATCH), 0);
    let boot = guest.get(Register::BOOT_NUMBER);
    assert_eq!(guest.get(Register::RESET_GENERATION), boot + 1);
    assert_eq!(guest.read_config(COMMAND) & 0xffff, 0);
}

#[test]
fn window_on_unmapped_memory_gives_dma_fault_and_writes_nothing() {
    let mut guest = Guest::start(Msix);
    // Only the rings are mapped again.
    guest.client.dma_unmap(BASE, SIZE).unwrap();
    guest.map_part(BUFFER);

    let completion = guest.carry_out(&fill(1, u64::MAX, (BUFFER_WINDOW, 0), 4096));

    assert_eq!(completion.status, Status::DMA_FAULT.0);
    assert_eq!(guest.peek(BUFFER, 4096), [0; 4096]);
}

#[test]
fn nothing_is_written_once_unmap_is_answered() {
    let mut guest = Guest::start(Msix);
    for tag in 0..ENTRIES {
        guest.submit(&fill(tag, u64::MAX, (BUFFER_WINDOW, 0), BUFFER_SIZE as u32));
    }
    guest.kick();

    guest.client.dma_unmap(BASE, SIZE).unwrap();
    guest.poke(BUFFER, &vec![0; BUFFER_SIZE as usize]);
    guest.linger();

    assert!(guest.completion_tail() < ENTRIES);
    assert!(guest.peek(BUFFER, BUFFER_SIZE as usize) == vec![0; BUFFER_SIZE as usize]);
}

#[test]
fn register_is_read_while_long_operations_run() {
    let mut guest = Guest::start(Msix);
    for tag in 0..ENTRIES {
        guest.submit(&fill(tag, 1, (BUFFER_WINDOW, 0), BUFFER_SIZE as u32));
    }
    guest.kick();

    let ident = guest.get(Register::IDENT);
    let tail = guest.completion_tail();

    assert_eq!(ident, u64::from(ids::IDENT));
    assert!(tail < ENTRIES, "{tail} operations went first");
}

#[test]
fn server_ends_well_and_removes_its_socket_when_the_client_hangs_up() {
    let guest = Guest::start(Msix);
    let socket = guest.socket.clone();

    let result = guest.hang_up();

    assert!(result.is_ok(), "{result:?}");
    assert!(!socket.exists());
}

#[test]
fn server_ends_well_in_the_middle_of_an_operation() {
    let mut guest = Guest::start(Msix);
    guest.submit(&fill(1, 1, (BUFFER_WINDOW, 0), BUFFER_SIZE as u32));
    guest.kick();

    let result = guest.hang_up();

    assert!(result.is_ok(), "{result:?}");
}
