// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Bytes that each operation writes, for all sizes, alignments and segments.

use proptest::prelude::*;
use ringbar_driver_side::descriptors::{copy, crc32c, fill, nop, pattern, verify};
use ringbar_model::test_driver::{Ring, TestDriver};
use ringbar_model::{Config, Location};
use ringbar_spec::pattern as spec_pattern;
use ringbar_spec::regs::Register;
use ringbar_spec::ring::{Completion, Descriptor, Status, MAX_LENGTH};
use ringbar_spec::setup::{Segment, RIGHT_READ, RIGHT_WRITE};

const BOTH: u32 = RIGHT_READ | RIGHT_WRITE;
const DOMAIN: u32 = 1;
const MEMORY: usize = 32 << 20;
/// Window on device memory, all of it.
const DEVICE: u16 = 1;
/// Window on one segment.
const PLAIN: u16 = 2;
/// Window on segments of odd lengths.
const PIECES: u16 = 3;
/// Bytes of the windows on guest memory.
const LENGTH: u64 = 400_000;
/// Byte that all memory holds before.
const GUARD: u8 = 0xa5;
/// Lengths around the words and pieces that the device works with.
const LENGTHS: [u32; 14] = [
    1, 2, 7, 8, 9, 15, 16, 17, 255, 4096, 65_535, 65_536, 65_537, 200_001,
];

struct Setup {
    driver: TestDriver,
    ring: Ring,
    plain: u64,
    pieces: Vec<Segment>,
}

impl Setup {
    fn new() -> Self {
        let mut driver = TestDriver::new(Config {
            queues: 1,
            vectors: 1,
            device_memory_size: MEMORY as u64,
            boot_number: 1,
        });
        let ring = driver.start_ring(0, DOMAIN, 4, 0);
        driver.open_device_memory(DEVICE, DOMAIN, BOTH, 0, MEMORY as u64);
        let plain = driver.allocate(LENGTH as usize);
        let list = [Segment {
            address: plain,
            length: LENGTH,
        }];
        driver.open_segments(PLAIN, DOMAIN, BOTH, &list);
        let pieces: Vec<_> = [1, 3, 4096, 1, 70_001, 13, 131_072, 64, 8]
            .into_iter()
            .chain([LENGTH - 205_259])
            .map(|length| Segment {
                address: driver.allocate(length as usize),
                length,
            })
            .collect();
        driver.open_segments(PIECES, DOMAIN, BOTH, &pieces);
        let mut setup = Self {
            driver,
            ring,
            plain,
            pieces,
        };
        let guard = vec![GUARD; LENGTH as usize];
        setup.put(DEVICE, &guard);
        setup.put(PLAIN, &guard);
        setup.put(PIECES, &guard);
        setup
    }

    fn places(&self, window: u16) -> Vec<(Location, usize)> {
        match window {
            DEVICE => vec![(Location::DeviceMemory(0), LENGTH as usize)],
            PLAIN => vec![(Location::Guest(self.plain), LENGTH as usize)],
            _ => {
                let place = |it: &Segment| (Location::Guest(it.address), it.length as usize);
                self.pieces.iter().map(place).collect()
            }
        }
    }

    /// Returns the first [`LENGTH`] bytes of a window.
    fn get(&self, window: u16) -> Vec<u8> {
        let places = self.places(window).into_iter();
        places
            .flat_map(|(place, length)| self.driver.host.peek(place, length))
            .collect()
    }

    fn put(&mut self, window: u16, bytes: &[u8]) {
        let mut rest = bytes;
        for (place, length) in self.places(window) {
            let (these, others) = rest.split_at(length);
            self.driver.host.poke(place, these);
            rest = others;
        }
    }

    fn carry_out(&mut self, descriptor: &Descriptor) -> Status {
        let completion = self.complete(descriptor);
        assert_eq!(completion.result, 0);
        Status(completion.status)
    }

    /// Carries out a descriptor. Returns status and result.
    fn ask(&mut self, descriptor: &Descriptor) -> (Status, u64) {
        let completion = self.complete(descriptor);
        (Status(completion.status), completion.result)
    }

    fn complete(&mut self, descriptor: &Descriptor) -> Completion {
        let completion = self.ring.carry_out(&mut self.driver, descriptor);
        assert_eq!(completion.tag, descriptor.tag);
        completion
    }

    /// Changes one byte of a window.
    fn spoil(&mut self, window: u16, offset: u64) {
        let mut memory = self.get(window);
        memory[offset as usize] ^= 0x80;
        self.put(window, &memory);
    }
}

/// Returns bytes that differ from offset to offset.
fn content() -> Vec<u8> {
    (0..LENGTH).map(|at| spec_pattern::byte(99, at)).collect()
}

/// Returns memory that is [`GUARD`] but for `bytes` at `offset`.
fn guarded(offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut memory = vec![GUARD; LENGTH as usize];
    memory[offset as usize..][..bytes.len()].copy_from_slice(bytes);
    memory
}

#[test]
fn nop_completes_and_writes_nothing() {
    let mut setup = Setup::new();

    let status = setup.carry_out(&nop(1));

    assert_eq!(status, Status::OK);
    assert_eq!(setup.get(PLAIN), guarded(0, &[]));
}

#[test]
fn pattern_writes_the_bytes_that_the_seed_makes() {
    let mut setup = Setup::new();
    let expected: Vec<_> = (0..1000).map(|at| spec_pattern::byte(7, at)).collect();

    let status = setup.carry_out(&pattern(1, 7, (PLAIN, 100), 1000));

    assert_eq!(status, Status::OK);
    assert_eq!(setup.get(PLAIN), guarded(100, &expected));
}

#[test]
fn pattern_has_any_length_and_alignment_and_stays_in_its_bytes() {
    for length in LENGTHS {
        for (window, offset) in [(DEVICE, 0), (PLAIN, 3), (PIECES, 0), (PIECES, 4099)] {
            let mut setup = Setup::new();
            let expected: Vec<_> = (0..length.into())
                .map(|at| spec_pattern::byte(0xfeed, at))
                .collect();

            setup.carry_out(&pattern(1, 0xfeed, (window, offset), length));

            assert!(
                setup.get(window) == guarded(offset, &expected),
                "{length} bytes at {offset} of window {window}"
            );
        }
    }
}

#[test]
fn fill_repeats_the_operand_from_the_first_byte_on() {
    let mut setup = Setup::new();
    let expected = [1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3];

    let status = setup.carry_out(&fill(1, 0x0807_0605_0403_0201, (PLAIN, 5), 11));

    assert_eq!(status, Status::OK);
    assert_eq!(setup.get(PLAIN), guarded(5, &expected));
}

#[test]
fn fill_has_any_length_and_alignment_and_stays_in_its_bytes() {
    for length in LENGTHS {
        for (window, offset) in [(DEVICE, 9), (PLAIN, 0), (PIECES, 1), (PIECES, 4100)] {
            let mut setup = Setup::new();
            let word = 0x8877_6655_4433_2211_u64;
            let bytes = word.to_le_bytes().into_iter().cycle();
            let expected: Vec<_> = bytes.take(length as usize).collect();

            setup.carry_out(&fill(1, word, (window, offset), length));

            assert!(
                setup.get(window) == guarded(offset, &expected),
                "{length} bytes at {offset} of window {window}"
            );
        }
    }
}

#[test]
fn copy_has_any_length_and_goes_between_all_kinds_of_memory() {
    let content = content();
    for length in LENGTHS {
        for (from, to) in [
            (PLAIN, PIECES),
            (PIECES, PLAIN),
            (PLAIN, DEVICE),
            (DEVICE, PIECES),
            (PIECES, DEVICE),
            (DEVICE, PLAIN),
        ] {
            let mut setup = Setup::new();
            setup.put(from, &content);

            setup.carry_out(&copy(1, (from, 3), (to, 4098), length));

            assert!(
                setup.get(to) == guarded(4098, &content[3..][..length as usize]),
                "{length} bytes from window {from} to {to}"
            );
            assert!(setup.get(from) == content, "source window {from}");
        }
    }
}

#[test]
fn verify_finds_what_pattern_wrote() {
    for length in LENGTHS {
        for (window, offset) in [(DEVICE, 3), (PIECES, 4099)] {
            let mut setup = Setup::new();
            setup.carry_out(&pattern(1, 0xfeed, (window, offset), length));

            let answer = setup.ask(&verify(2, 0xfeed, (window, offset), length));

            assert_eq!(
                answer,
                (Status::OK, length.into()),
                "{length} bytes at {offset} of window {window}"
            );
        }
    }
}

#[test]
fn verify_names_the_first_byte_that_differs() {
    const LENGTH: u32 = 200_001;
    for offset in [0, 3] {
        for wrong in [0, 1, 7, 8, 4095, 65_535, 65_536, 131_071, 200_000] {
            let mut setup = Setup::new();
            setup.carry_out(&pattern(1, 5, (PIECES, offset), LENGTH));
            setup.spoil(PIECES, offset + u64::from(LENGTH) - 1);
            if wrong != u64::from(LENGTH) - 1 {
                setup.spoil(PIECES, offset + wrong);
            }

            let answer = setup.ask(&verify(2, 5, (PIECES, offset), LENGTH));

            assert_eq!(answer, (Status::MISMATCH, wrong));
        }
    }
}

#[test]
fn verify_ignores_the_bytes_around() {
    for (offset, length) in [(100, 5), (101, 16), (107, 8)] {
        let mut setup = Setup::new();
        setup.carry_out(&pattern(1, 5, (PLAIN, offset), length));
        setup.spoil(PLAIN, offset - 1);
        setup.spoil(PLAIN, offset + u64::from(length));

        let answer = setup.ask(&verify(2, 5, (PLAIN, offset), length));

        assert_eq!(answer, (Status::OK, length.into()));
    }
}

#[test]
fn verify_with_another_seed_is_a_mismatch() {
    let mut setup = Setup::new();
    setup.carry_out(&pattern(1, 5, (PLAIN, 0), 4096));

    let (status, _) = setup.ask(&verify(2, 6, (PLAIN, 0), 4096));

    assert_eq!(status, Status::MISMATCH);
}

#[test]
fn mismatch_is_not_an_error() {
    let mut setup = Setup::new();

    setup.ask(&verify(2, 6, (PLAIN, 0), 4096));

    assert_eq!(setup.driver.get(Register::ERROR_COUNT), 0);
}

#[test]
fn verify_and_crc32c_write_nothing() {
    for descriptor in [
        verify(1, 5, (PIECES, 1), 150_000),
        crc32c(1, 0, (PIECES, 1), 150_000),
    ] {
        let mut setup = Setup::new();
        let ring = Location::Guest(setup.ring.setup.completion_ring);
        setup.driver.host.start_recording();

        setup.ask(&descriptor);

        let touches = setup.driver.host.take_record();
        let writes: Vec<_> = touches.iter().filter(|touch| touch.write).collect();
        assert!(writes.iter().all(|touch| touch.place == ring), "{writes:?}");
    }
}

/// Compares with the check value of the catalogue, and those of RFC 3720, B.4.
#[test]
fn crc32c_has_the_known_values() {
    let mut command = [0; 48];
    for (place, byte) in [
        (0, 0x01),
        (1, 0xc0),
        (16, 0x14),
        (22, 0x04),
        (27, 0x14),
        (31, 0x18),
        (32, 0x28),
        (40, 0x02),
    ] {
        command[place] = byte;
    }
    let ascending: Vec<u8> = (0..32).collect();
    let descending: Vec<u8> = (0..32).rev().collect();
    let known: [(&[u8], u64); 6] = [
        (b"123456789", 0xe306_9283),
        (&[0; 32], 0x8a91_36aa),
        (&[0xff; 32], 0x62a8_ab43),
        (&ascending, 0x46dd_794e),
        (&descending, 0x113f_db5c),
        (&command, 0xd996_3a56),
    ];

    for (bytes, checksum) in known {
        let mut setup = Setup::new();
        setup.put(PIECES, &guarded(3, bytes));

        let answer = setup.ask(&crc32c(1, 0, (PIECES, 3), bytes.len() as u32));

        assert_eq!(answer, (Status::OK, checksum));
    }
}

#[test]
fn crc32c_has_any_length_and_alignment() {
    let content = content();
    for length in LENGTHS {
        for (window, offset) in [(DEVICE, 9), (PIECES, 1)] {
            let mut setup = Setup::new();
            setup.put(window, &content);

            let answer = setup.ask(&crc32c(1, 0, (window, offset), length));

            let bytes = &content[offset as usize..][..length as usize];
            assert_eq!(
                answer,
                (Status::OK, bitwise_crc32c(bytes).into()),
                "{length} bytes at {offset} of window {window}"
            );
        }
    }
}

#[test]
fn crc32c_goes_on_from_its_operand() {
    let mut setup = Setup::new();
    setup.put(PLAIN, &content());
    let (_, whole) = setup.ask(&crc32c(1, 0, (PLAIN, 10), 150_003));

    let (_, first) = setup.ask(&crc32c(1, 0, (PLAIN, 10), 70_001));
    let rest = setup.ask(&crc32c(1, first as u32, (PLAIN, 70_011), 80_002));

    assert_eq!(rest, (Status::OK, whole));
}

/// Computes CRC-32C by its definition, one bit at a time.
fn bitwise_crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |checksum, byte| {
        (0..8).fold(checksum ^ u32::from(*byte), |checksum, _| {
            (checksum >> 1) ^ ((checksum & 1) * 0x82f6_3b78)
        })
    })
}

#[test]
fn operations_may_be_as_long_as_the_limit() {
    let mut setup = Setup::new();

    let status = setup.carry_out(&fill(1, u64::MAX, (DEVICE, 1), MAX_LENGTH));

    assert_eq!(status, Status::OK);
    let last = setup
        .driver
        .host
        .peek(Location::DeviceMemory(u64::from(MAX_LENGTH)), 2);
    assert_eq!(last, [0xff, 0]);
}

#[test]
fn operations_may_end_with_the_window() {
    let mut setup = Setup::new();

    let status = setup.carry_out(&fill(1, 0, (PIECES, LENGTH - 1), 1));

    assert_eq!(status, Status::OK);
    assert_eq!(setup.get(PIECES), guarded(LENGTH - 1, &[0]));
}

#[test]
fn copy_onto_itself_changes_nothing() {
    let mut setup = Setup::new();
    let content = content();
    setup.put(PIECES, &content);

    let status = setup.carry_out(&copy(1, (PIECES, 17), (PIECES, 17), 150_000));

    assert_eq!(status, Status::OK);
    assert!(setup.get(PIECES) == content);
}

#[test]
fn copy_works_in_steps_of_64_kib() {
    let mut setup = Setup::new();
    let descriptor = copy(1, (PLAIN, 0), (DEVICE, 0), 256 << 10);
    setup.ring.push(&setup.driver, &descriptor);
    setup.ring.kick(&mut setup.driver);
    setup.driver.host.start_recording();

    setup.driver.step();

    let written: u64 = setup
        .driver
        .host
        .take_record()
        .iter()
        .filter(|touch| touch.write)
        .map(|touch| touch.length)
        .sum();
    assert_eq!(written, 64 << 10);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(200) })]

    #[test]
    fn overlapping_copy_acts_as_memmove(
        window in DEVICE..=PIECES,
        from in 0u64..150_000,
        shift in -70_000i64..70_000,
        length in 1u32..200_000,
    ) {
        let to = from.saturating_add_signed(shift).min(LENGTH - u64::from(length));
        let mut setup = Setup::new();
        let mut expected = content();
        setup.put(window, &expected);
        let source = from as usize..from as usize + length as usize;
        expected.copy_within(source, to as usize);

        let status = setup.carry_out(&copy(1, (window, from), (window, to), length));

        prop_assert_eq!(status, Status::OK);
        prop_assert!(setup.get(window) == expected);
    }
}
