// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The vectors: those made by hand, with their stated outcomes, and random ones.

use crate::path::{checksums, digest, ends, BATCH};
use crate::scene::{
    self, BIG, BIG_DEVICE, BIG_SIZE, CLOSED, CRUMBS, DEVICE, DEVICE_PART, FOREIGN, GUEST,
    NEVER_OPENED, READ_ONLY, SCATTERED, SINGLE, SIZE, WIDE, WRITE_ONLY,
};
use crate::{Generator, Images, Row};
use ringbar_spec::ring::{Completion, Descriptor, Opcode, Status, MAX_LENGTH};

/// Default seed of [`by_chance`].
pub const DEFAULT_SEED: u64 = 1;

/// Number of vectors that [`by_chance`] makes.
const BY_CHANCE: u64 = 64;

/// A batch of descriptors. Windows are named by the scene's numbers.
#[derive(Clone, Debug)]
pub struct TestVector {
    /// Name, without blanks.
    pub name: String,
    /// The descriptors; the tag of each is its index.
    pub descriptors: Vec<Descriptor>,
    /// Status and result of each descriptor as stated by hand; `None` for random vectors.
    pub stated: Option<Vec<(Status, u64)>>,
}

impl TestVector {
    /// Makes a vector with stated outcomes.
    fn new(name: impl Into<String>, steps: Vec<(Descriptor, Status, u64)>) -> Self {
        let (descriptors, stated) = steps
            .into_iter()
            .zip(0..)
            .map(|((descriptor, status, result), tag)| {
                (Descriptor { tag, ..descriptor }, (status, result))
            })
            .unzip();
        Self {
            name: name.into(),
            descriptors,
            stated: Some(stated),
        }
    }

    /// Returns the results that it must have: completions, and bytes of all memories.
    pub fn outcome(&self, initial: &Images) -> (Vec<Completion>, Images) {
        let mut images = initial.clone();
        let carry_out = |descriptor| images.carry_out(descriptor);
        let mut completions: Vec<_> = self.descriptors.iter().map(carry_out).collect();
        // The stated outcomes count. A test shows that the computed ones are the same.
        for (completion, (status, result)) in
            completions.iter_mut().zip(self.stated.iter().flatten())
        {
            completion.status = status.0;
            completion.result = *result;
        }
        (completions, images)
    }

    /// Returns the row of a path on which everything is right.
    pub fn expected(&self, initial: &Images) -> Row {
        let (completions, images) = self.outcome(initial);
        Row {
            name: self.name.clone(),
            ends: ends(&completions),
            digest: digest(&completions, &checksums(images.memories())),
            difference: None,
        }
    }
}

/// A place in a window: its number, and an offset.
type At = (u16, u64);

/// Makes a COPY.
fn copy((from, at): At, (to, there): At, length: u32) -> Descriptor {
    Descriptor {
        opcode: Opcode::COPY.0,
        length,
        source_window: from,
        source_offset: at,
        destination_window: to,
        destination_offset: there,
        ..Descriptor::default()
    }
}

/// Makes a FILL or PATTERN.
fn make(opcode: Opcode, (to, there): At, length: u32, operand: u64) -> Descriptor {
    Descriptor {
        opcode: opcode.0,
        length,
        destination_window: to,
        destination_offset: there,
        operand,
        ..Descriptor::default()
    }
}

/// Makes a VERIFY or CRC32C.
fn look(opcode: Opcode, (from, at): At, length: u32, operand: u64) -> Descriptor {
    Descriptor {
        opcode: opcode.0,
        length,
        source_window: from,
        source_offset: at,
        operand,
        ..Descriptor::default()
    }
}

/// States that a descriptor ends with OK and result 0.
fn ok(descriptor: Descriptor) -> (Descriptor, Status, u64) {
    (descriptor, Status::OK, 0)
}

/// Makes a vector of one descriptor that ends with OK.
fn one(name: impl Into<String>, descriptor: Descriptor) -> TestVector {
    TestVector::new(name, vec![ok(descriptor)])
}

/// Makes a vector of one descriptor that is refused.
fn bad(name: impl Into<String>, descriptor: Descriptor, status: Status) -> TestVector {
    TestVector::new(name, vec![(descriptor, status, 0)])
}

/// Returns all vectors: those made by hand, and the random ones of `seed`.
pub fn all(seed: u64) -> Vec<TestVector> {
    [by_hand(), by_chance(seed)].concat()
}

/// Returns the vectors that were made by hand.
pub fn by_hand() -> Vec<TestVector> {
    let mut vectors = Vec::new();
    copies(&mut vectors);
    overlaps(&mut vectors);
    makers(&mut vectors);
    lookers(&mut vectors);
    bounds(&mut vectors);
    refusals(&mut vectors);
    order_of_checks(&mut vectors);
    vectors
}

/// Returns vectors of random descriptors, half of them sound; always the same ones for a seed.
pub fn by_chance(seed: u64) -> Vec<TestVector> {
    // A copy between two windows on the same memory leaves unspecified bytes (data sheet 7), which
    // no image can predict.
    let shares = [SINGLE, BIG, WIDE];
    let mut targets: Vec<_> = scene::windows()
        .iter()
        .filter(|window| !shares.contains(&window.number))
        .map(scene::Window::target)
        .collect();
    for window in [0, NEVER_OPENED, NEVER_OPENED + 1, u16::MAX] {
        targets.push(crate::Target { window, open: None });
    }
    let mut generator = Generator::new(seed, targets);
    (0..BY_CHANCE)
        .map(|number| TestVector {
            name: format!("by_chance_{number}"),
            descriptors: (0..BATCH as u32)
                .map(|tag| Descriptor {
                    tag,
                    ..generator.descriptor()
                })
                .collect(),
            stated: None,
        })
        .collect()
}

/// Adds copies: every direction, lengths around every border, offsets of every alignment.
fn copies(vectors: &mut Vec<TestVector>) {
    const DIRECTIONS: [(&str, u16, u16); 6] = [
        ("guest_to_device", GUEST, DEVICE),
        ("device_to_guest", DEVICE, GUEST),
        ("guest_to_scattered", GUEST, SCATTERED),
        ("scattered_to_device_part", SCATTERED, DEVICE_PART),
        ("device_part_to_device", DEVICE_PART, DEVICE),
        ("crumbs_to_scattered", CRUMBS, SCATTERED),
    ];
    const SHAPES: [(u32, u64, u64); 16] = [
        (1, 0, 0),
        (1, 3, 64),
        (2, 1, 2),
        (3, 2, 5),
        (7, 1, 1),
        (8, 0, 0),
        (8, 8, 3),
        (9, 5, 0),
        (63, 1, 63),
        (64, 64, 64),
        (65, 7, 9),
        (201, 0, 17),
        (1000, 4095, 4095),
        (4095, 1, 0),
        (4096, 0, 0),
        (4097, 3, 1),
    ];
    for (name, from, to) in DIRECTIONS {
        for (length, at, there) in SHAPES {
            let fits = |window, offset| {
                let window = &scene::windows()[usize::from(window) - 1];
                offset + u64::from(length) <= window.length()
            };
            if fits(from, at) && fits(to, there) {
                let name = format!("copy_{name}_{length}_from_{at}_to_{there}");
                vectors.push(one(name, copy((from, at), (to, there), length)));
            }
        }
    }
    for (name, from, to) in [
        ("to_device", BIG, BIG_DEVICE),
        ("to_guest", BIG_DEVICE, BIG),
    ] {
        // The device works in pieces of 64 KiB (data sheet 6). Errors of its arithmetic show at
        // their borders.
        for length in [65_535, 65_536, 65_537, 131_073, BIG_SIZE as u32 - 5] {
            let name = format!("copy_big_{name}_{length}_from_3_to_5");
            vectors.push(one(name, copy((from, 3), (to, 5), length)));
        }
        let whole = copy((from, 0), (to, 0), BIG_SIZE as u32);
        vectors.push(one(format!("copy_big_{name}_whole"), whole));
    }
    for (name, from, to) in [
        ("from_single", SINGLE, DEVICE),
        ("to_single", DEVICE, SINGLE),
    ] {
        vectors.push(one(format!("copy_{name}"), copy((from, 0), (to, 0), 1)));
    }
    let there_and_back = vec![
        ok(copy((GUEST, 17), (DEVICE, 33), 5000)),
        ok(copy((DEVICE, 33), (SCATTERED, 1), 5000)),
        ok(copy((SCATTERED, 1), (GUEST, 30_000), 5000)),
    ];
    vectors.push(TestVector::new("copy_there_and_back", there_and_back));
}

/// Adds copies within one window, which have the result of `memmove` (data sheet 7).
fn overlaps(vectors: &mut Vec<TestVector>) {
    for (name, window, length) in [
        ("guest", GUEST, 9001),
        ("device", DEVICE, 9001),
        ("scattered", SCATTERED, 6001),
        ("crumbs", CRUMBS, 150),
        ("big", BIG, 150_001),
    ] {
        for distance in [0, 1, 7, 64, 4096] {
            let end = u64::from(length) + distance;
            if end > scene::windows()[usize::from(window) - 1].length() {
                continue;
            }
            let name = format!("overlap_{name}_by_{distance}");
            let up = copy((window, 0), (window, distance), length);
            let down = copy((window, distance), (window, 0), length);
            vectors.push(one(format!("{name}_up"), up));
            vectors.push(one(format!("{name}_down"), down));
        }
    }
}

/// Adds FILL and PATTERN (data sheet 7).
fn makers(vectors: &mut Vec<TestVector>) {
    for (name, opcode, operand) in [
        ("fill", Opcode::FILL, 0x0123_4567_89ab_cdef),
        ("pattern", Opcode::PATTERN, 77),
    ] {
        for (place, window) in [
            ("guest", GUEST),
            ("device", DEVICE),
            ("scattered", SCATTERED),
            ("device_part", DEVICE_PART),
            ("write_only", WRITE_ONLY),
        ] {
            for (length, there) in [(1, 0), (3, 5), (8, 0), (8, 3), (9, 7), (4097, 3000)] {
                let name = format!("{name}_{place}_{length}_at_{there}");
                vectors.push(one(name, make(opcode, (window, there), length, operand)));
            }
        }
        let whole = scene::windows()[usize::from(CRUMBS) - 1].length() as u32;
        let crumbs = make(opcode, (CRUMBS, 0), whole, operand);
        vectors.push(one(format!("{name}_all_crumbs"), crumbs));
        let single = make(opcode, (SINGLE, 0), 1, operand);
        vectors.push(one(format!("{name}_single"), single));
        let big = make(opcode, (BIG, 1), BIG_SIZE as u32 - 1, operand);
        vectors.push(one(format!("{name}_big"), big));
    }
    // Operations of a queue take effect in order (data sheet 6).
    let over_each_other = vec![
        ok(make(Opcode::FILL, (GUEST, 0), 4096, u64::MAX)),
        ok(make(Opcode::PATTERN, (GUEST, 100), 1000, 5)),
        ok(make(Opcode::FILL, (GUEST, 500), 100, 0)),
        ok(copy((GUEST, 0), (DEVICE, 4096), 4096)),
    ];
    vectors.push(TestVector::new(
        "fill_pattern_copy_in_order",
        over_each_other,
    ));
}

/// Adds VERIFY and CRC32C (data sheet 7).
fn lookers(vectors: &mut Vec<TestVector>) {
    for (name, window, memory) in [
        ("guest", GUEST, 0),
        ("device", DEVICE, 1),
        ("read_only", READ_ONLY, 4),
    ] {
        for length in [1, 7, 8, 4097, 16_384] {
            let verify = look(Opcode::VERIFY, (window, 0), length, scene::seed(memory));
            let name = format!("verify_{name}_{length}");
            vectors.push(TestVector::new(
                name,
                vec![(verify, Status::OK, length.into())],
            ));
        }
        for at in [0_u64, 1, 4095, 4096, 9000] {
            if window == READ_ONLY {
                continue;
            }
            // The pattern has another byte than 0x11 there. The result is the number of the first
            // wrong byte (data sheet 7).
            let steps = vec![
                ok(make(Opcode::FILL, (window, at), 1, 0x11)),
                (
                    look(Opcode::VERIFY, (window, 0), 9001, scene::seed(memory)),
                    Status::MISMATCH,
                    at,
                ),
            ];
            vectors.push(TestVector::new(
                format!("verify_{name}_wrong_at_{at}"),
                steps,
            ));
        }
    }
    let seed = scene::seed(7);
    // The longest descriptor (data sheet 13). The pattern goes on where the memory begins again.
    let wide = look(Opcode::VERIFY, (WIDE, 0), MAX_LENGTH, seed);
    let steps = vec![(wide, Status::MISMATCH, BIG_SIZE as u64)];
    vectors.push(TestVector::new("verify_wide_16_mib", steps));

    // The check value of data sheet 7.
    let nine = vec![
        ok(make(
            Opcode::FILL,
            (GUEST, 40),
            8,
            u64::from_le_bytes(*b"12345678"),
        )),
        ok(make(Opcode::FILL, (GUEST, 48), 1, u64::from(b'9'))),
        (
            look(Opcode::CRC32C, (GUEST, 40), 9, 0),
            Status::OK,
            0xe306_9283,
        ),
    ];
    vectors.push(TestVector::new("crc32c_of_123456789", nine));
    // The checksum of the first part is the operand of the second (data sheet 7).
    let parts = vec![
        ok(make(
            Opcode::FILL,
            (DEVICE, 40),
            8,
            u64::from_le_bytes(*b"12345678"),
        )),
        ok(make(Opcode::FILL, (DEVICE, 48), 1, u64::from(b'9'))),
        (
            look(Opcode::CRC32C, (DEVICE, 40), 4, 0),
            Status::OK,
            0xf63a_f4ee,
        ),
        (
            look(Opcode::CRC32C, (DEVICE, 44), 5, 0xf63a_f4ee),
            Status::OK,
            0xe306_9283,
        ),
    ];
    vectors.push(TestVector::new("crc32c_in_two_parts", parts));
    for (name, length, sum) in CHECKSUMS {
        let zeros = make(Opcode::FILL, (GUEST, 0), length, 0);
        let sum = (look(Opcode::CRC32C, (GUEST, 0), length, 0), Status::OK, sum);
        vectors.push(TestVector::new(name, vec![ok(zeros), sum]));
    }
}

/// Checksums of zeros. That of 32 is in RFC 3720, B.4.
const CHECKSUMS: [(&str, u32, u64); 2] = [
    ("crc32c_of_32_zeros", 32, 0x8a91_36aa),
    ("crc32c_of_1_zero", 1, 0x527d_5351),
];

/// Adds the last offset that fits, and the first that does not (data sheet 8: OUT_OF_BOUNDS).
fn bounds(vectors: &mut Vec<TestVector>) {
    for (name, window) in [
        ("guest", GUEST),
        ("device", DEVICE),
        ("scattered", SCATTERED),
        ("device_part", DEVICE_PART),
        ("crumbs", CRUMBS),
        ("single", SINGLE),
    ] {
        let size = scene::windows()[usize::from(window) - 1].length();
        let fill = |there, length| make(Opcode::FILL, (window, there), length, 0x5a);
        let last = fill(size - 1, 1);
        vectors.push(one(format!("bounds_{name}_last_byte"), last));
        for (what, there, length) in [
            ("one_too_many", size - 1, 2),
            ("behind", size, 1),
            ("far_behind", 1 << 32, 1),
            ("largest_offset", u64::MAX, 1),
            ("wraps_around", u64::MAX - 7, 8),
            ("longest", 0, MAX_LENGTH),
        ] {
            let name = format!("bounds_{name}_{what}");
            vectors.push(bad(name, fill(there, length), Status::OUT_OF_BOUNDS));
        }
        let other = if window == GUEST { DEVICE } else { GUEST };
        let from = copy((window, size), (other, 0), 1);
        let name = format!("bounds_{name}_source_behind");
        vectors.push(bad(name, from, Status::OUT_OF_BOUNDS));
    }
    for (what, length) in [
        ("zero", 0),
        // Data sheet 7: a length is from 1 to the limit.
        ("limit", MAX_LENGTH + 1),
        ("all_ones", u32::MAX),
    ] {
        let fill = make(Opcode::FILL, (GUEST, 0), length, 1);
        vectors.push(bad(format!("length_{what}_fill"), fill, Status::BAD_LENGTH));
        let verify = look(Opcode::VERIFY, (WIDE, 0), length, 1);
        vectors.push(bad(
            format!("length_{what}_verify"),
            verify,
            Status::BAD_LENGTH,
        ));
    }
}

/// Adds descriptors with one field of a value that it must not have (data sheet 8).
fn refusals(vectors: &mut Vec<TestVector>) {
    let nop = Descriptor::default();
    vectors.push(one("nop", nop));
    vectors.push(TestVector::new("nop_batch", vec![ok(nop); BATCH]));
    for opcode in [6, 7, 0x100, u16::MAX] {
        let unknown = Descriptor { opcode, ..nop };
        vectors.push(bad(format!("opcode_{opcode}"), unknown, Status::BAD_OPCODE));
    }
    for (name, window) in [
        ("none", 0),
        ("closed", CLOSED),
        ("foreign", FOREIGN),
        ("never_opened", NEVER_OPENED),
        ("beyond_the_limit", NEVER_OPENED + 1),
        ("largest", u16::MAX),
    ] {
        // Data sheet 8: BAD_WINDOW, whether the window is read or written.
        let to = make(Opcode::FILL, (window, 0), 8, 1);
        let from = look(Opcode::CRC32C, (window, 0), 8, 0);
        let both = copy((window, 0), (window, 64), 8);
        for (what, descriptor) in [("written", to), ("read", from), ("copied", both)] {
            let name = format!("window_{name}_{what}");
            vectors.push(bad(name, descriptor, Status::BAD_WINDOW));
        }
    }
    let into = |window| copy((GUEST, 0), (window, 0), 64);
    let out_of = |window| copy((window, 0), (GUEST, 0), 64);
    vectors.push(bad(
        "rights_write_to_read_only",
        into(READ_ONLY),
        Status::NOT_WRITABLE,
    ));
    vectors.push(bad(
        "rights_read_of_write_only",
        out_of(WRITE_ONLY),
        Status::NOT_READABLE,
    ));
    vectors.push(one("rights_read_of_read_only", out_of(READ_ONLY)));
    vectors.push(one("rights_write_to_write_only", into(WRITE_ONLY)));
    unused_fields(vectors);
}

/// Adds descriptors with one unused field that is not 0 (data sheet 8: RESERVED_FIELD).
fn unused_fields(vectors: &mut Vec<TestVector>) {
    let sound = [
        ("nop", Descriptor::default()),
        ("copy", copy((GUEST, 0), (DEVICE, 0), 16)),
        ("fill", make(Opcode::FILL, (GUEST, 0), 16, 1)),
        ("pattern", make(Opcode::PATTERN, (GUEST, 0), 16, 1)),
        ("verify", look(Opcode::VERIFY, (GUEST, 0), 16, 1)),
        ("crc32c", look(Opcode::CRC32C, (GUEST, 0), 16, 1)),
    ];
    for (name, sound) in sound {
        let reads = sound.source_window != 0;
        let writes = sound.destination_window != 0;
        let mut spoiled = vec![
            ("flags", Descriptor { flags: 1, ..sound }),
            (
                "reserved_0",
                Descriptor {
                    reserved: [1, 0, 0],
                    ..sound
                },
            ),
            (
                "reserved_1",
                Descriptor {
                    reserved: [0, 1 << 63, 0],
                    ..sound
                },
            ),
            (
                "reserved_2",
                Descriptor {
                    reserved: [0, 0, 1 << 32],
                    ..sound
                },
            ),
        ];
        if !reads {
            spoiled.push((
                "source_window",
                Descriptor {
                    source_window: GUEST,
                    ..sound
                },
            ));
            spoiled.push((
                "source_offset",
                Descriptor {
                    source_offset: 1,
                    ..sound
                },
            ));
        }
        if !writes {
            let window = Descriptor {
                destination_window: GUEST,
                ..sound
            };
            spoiled.push(("destination_window", window));
            let offset = Descriptor {
                destination_offset: 1,
                ..sound
            };
            spoiled.push(("destination_offset", offset));
        }
        if !reads && !writes {
            spoiled.push(("length", Descriptor { length: 1, ..sound }));
        }
        // NOP and COPY have no operand (data sheet 7).
        if reads == writes {
            spoiled.push((
                "operand",
                Descriptor {
                    operand: 1,
                    ..sound
                },
            ));
        }
        // A checksum has 32 bits; an operand over that is refused (data sheet 7).
        if name == "crc32c" {
            spoiled.push((
                "operand",
                Descriptor {
                    operand: 1 << 32,
                    ..sound
                },
            ));
        }
        for (field, descriptor) in spoiled {
            let name = format!("unused_{name}_{field}");
            vectors.push(bad(name, descriptor, Status::RESERVED_FIELD));
        }
    }
}

/// Adds descriptors with two mistakes: the check that comes first names the outcome (data sheet 8).
fn order_of_checks(vectors: &mut Vec<TestVector>) {
    let opcode = Descriptor {
        opcode: 9,
        flags: 1,
        ..Descriptor::default()
    };
    vectors.push(bad(
        "order_opcode_before_reserved",
        opcode,
        Status::BAD_OPCODE,
    ));
    let length = make(Opcode::FILL, (CLOSED, 0), 0, 1);
    vectors.push(bad(
        "order_length_before_window",
        length,
        Status::BAD_LENGTH,
    ));
    let window = copy((GUEST, u64::MAX), (CLOSED, 0), 8);
    vectors.push(bad(
        "order_window_before_bounds",
        window,
        Status::BAD_WINDOW,
    ));
    let bounds = copy((WRITE_ONLY, 0), (READ_ONLY, u64::MAX), 8);
    vectors.push(bad(
        "order_bounds_before_rights",
        bounds,
        Status::OUT_OF_BOUNDS,
    ));
    let source = copy((WRITE_ONLY, 0), (READ_ONLY, 0), 8);
    vectors.push(bad(
        "order_source_before_destination",
        source,
        Status::NOT_READABLE,
    ));
    let rights = Descriptor {
        flags: 1,
        ..copy((GUEST, 0), (READ_ONLY, 0), 8)
    };
    vectors.push(bad(
        "order_rights_before_reserved",
        rights,
        Status::NOT_WRITABLE,
    ));
    // A refused descriptor writes nothing, and those behind it are carried out (data sheet 8).
    let refused_between = vec![
        ok(make(Opcode::FILL, (GUEST, 0), SIZE as u32, 1)),
        (
            make(Opcode::FILL, (GUEST, 1), SIZE as u32, 2),
            Status::OUT_OF_BOUNDS,
            0,
        ),
        (
            make(Opcode::FILL, (READ_ONLY, 0), 8, 3),
            Status::NOT_WRITABLE,
            0,
        ),
        ok(make(Opcode::FILL, (GUEST, 8), 8, 4)),
    ];
    vectors.push(TestVector::new(
        "order_refused_between_sound",
        refused_between,
    ));
}
