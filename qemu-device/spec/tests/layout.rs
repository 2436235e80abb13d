// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The interface is unchanged, and does not contradict itself.
//!
//! Numbers are pinned on purpose, as drivers are built for them. A change of one needs a change of
//! the interface's version.

use ringbar_spec::access::Access;
use ringbar_spec::layout::{
    memory_part, usable_memory, MemoryPart, ADMIN_PAGE, DEVICE_MEMORY_MAX, DEVICE_MEMORY_MIN,
    DEVICE_MEMORY_SIZE, DOORBELL_PAGES, KICK_PAGES, MAX_QUEUES, MSIX_BAR_SIZE, MSIX_PBA_OFFSET,
    MSIX_TABLE_OFFSET, PAGE_LENGTH, PAGE_STRIDE, PUBLIC_PAGE, REGISTER_BAR_SIZE, REPORT_PAGE,
    STATUS_PAGES,
};
use ringbar_spec::names::{self, NamedByte, PAGE_FIELDS};
use ringbar_spec::pages::{self, inline_completion, inline_descriptor, next_outcome};
use ringbar_spec::regs::{
    Register, ERROR_LAST, ERROR_LOG_ENTRIES, IRQ_CAUSE, IRQ_MASK, NO_QUEUE, QUEUE_LIMITS, STATUS,
    VERSION, WINDOW_LIMITS,
};
use ringbar_spec::ring::{
    distance, entries_valid, slot, Completion, Descriptor, Opcode, MAX_ENTRIES, MIN_ENTRIES,
};
use ringbar_spec::setup::{QueueSetup, Segment, WindowSetup, ALIGNMENT, MAX_SEGMENTS, MAX_WINDOWS};
use ringbar_spec::wake::Word;
use ringbar_spec::{ids, pattern, RegisterInfo};
use std::mem::align_of;

/// Returns first and last byte of every register and every field of a shared page, of all in an
/// array.
fn places() -> Vec<(usize, usize, &'static RegisterInfo)> {
    names::all()
        .flat_map(|info| {
            (0..info.count).map(move |index| {
                let start = info.offset_of(index).unwrap();
                (start, start + info.width - 1, info)
            })
        })
        .collect()
}

/// Checks whether a field belongs to the page that is there once.
fn is_in_report_page(info: &RegisterInfo) -> bool {
    (REPORT_PAGE..DOORBELL_PAGES).contains(&info.offset)
}

#[test]
fn outcomes_of_two_commands_differ_and_are_not_what_a_bar_reads_that_does_not_answer() {
    let outcomes = [0, 0x1_0000, 0xfffe_0031, 0xffff_ffff].map(|last| next_outcome(last, 0x31));

    assert_eq!(outcomes, [0x1_0031, 0x2_0031, 0xffff_0031, 0x1_0031]);
}

#[test]
fn identification_is_pinned() {
    assert_eq!((ids::VENDOR_ID, ids::DEVICE_ID), (0x1af4, 0x10f0));
    assert_eq!((ids::REVISION_ID, ids::CLASS_CODE), (1, 0x088000));
    assert_eq!(ids::IDENT.to_le_bytes(), *b"RBAR");
    assert_eq!((ids::VERSION_MAJOR, ids::VERSION_MINOR), (4, 0));
}

#[test]
fn sizes_of_device_memory_are_pinned() {
    let sizes = [DEVICE_MEMORY_MIN, DEVICE_MEMORY_SIZE, DEVICE_MEMORY_MAX];

    assert_eq!(sizes, [256 << 10, 16 << 20, 1 << 30]);
}

#[test]
fn offsets_are_pinned() {
    let offsets: Vec<_> = names::all().map(|info| (info.offset, info.width)).collect();

    assert_eq!(
        offsets,
        [
            (0x0, 4),
            (0x4, 4),
            (0x8, 8),
            (0x10, 4),
            (0x14, 4),
            (0x18, 8),
            (0x20, 8),
            (0x28, 4),
            (0x2c, 4),
            (0x30, 4),
            (0x38, 8),
            (0x40, 4),
            (0x44, 4),
            (0x48, 4),
            (0x4c, 4),
            (0x1_0000, 4),
            (0x1_0004, 4),
            (0x1_0008, 4),
            (0x1_000c, 4),
            (0x1_0010, 8),
            (0x1_0018, 8),
            (0x1_0020, 4),
            (0x1_0024, 4),
            (0x1_0100, 8),
            (0x1_0108, 8),
            (0x3f_0000, 4),
            (0x3f_0008, 4),
            (0x3f_0010, 4),
            (0x7f_0000, 4),
            (0x7f_0040, 8),
            (0x7f_0048, 4),
            (0x7f_004c, 4),
            (0x7f_0050, 4),
            (0x7f_0054, 4),
            (0x80_0000, 4),
            (0x80_0004, 4),
            (0x80_0010, 40),
            (0x80_0040, 4),
            (0x80_0080, 4),
            (0x80_0084, 4),
            (0xc0_0000, 4),
            (0xc0_0010, 16),
            (0xc0_0040, 4),
            (0xc0_0044, 4),
            (0xc0_0048, 4),
            (0xc0_0080, 4),
        ]
    );
}

#[test]
fn registers_are_sorted() {
    assert!(names::all().map(|info| info.offset).is_sorted());
}

#[test]
fn registers_do_not_overlap() {
    let mut places = places();

    places.sort_unstable_by_key(|&(start, ..)| start);

    let clash = places.windows(2).find(|pair| pair[0].1 >= pair[1].0);
    assert_eq!(clash, None);
}

#[test]
fn registers_are_aligned_to_their_width() {
    let crooked = places()
        .into_iter()
        .find(|&(start, end, _)| start % (end - start + 1).min(8) != 0);

    assert_eq!(crooked, None);
}

#[test]
fn registers_have_four_or_eight_bytes() {
    let odd = Register::ALL
        .iter()
        .find(|register| !matches!(register.info().width, 4 | 8));

    assert_eq!(odd, None);
}

#[test]
fn registers_lie_in_the_page_of_their_access() {
    let page = |register: Register| match register.access() {
        Access::Command => KICK_PAGES..REPORT_PAGE,
        Access::ReadOnly | Access::ReadWrite
            if [Register::QUEUE_ERRORS, Register::INTERRUPT_MODERATION].contains(&register) =>
        {
            KICK_PAGES..REPORT_PAGE
        }
        Access::ReadOnly | Access::ReadWrite | Access::WriteOneToClear | Access::WriteOnly => {
            PUBLIC_PAGE..ADMIN_PAGE + PAGE_LENGTH
        }
    };

    let stray = Register::ALL.iter().find(|register| {
        let info = register.info();
        let last = info.offset_of(info.count - 1).unwrap() + info.width - 1;
        !page(**register).contains(&info.offset) || !page(**register).contains(&last)
    });

    assert_eq!(stray, None);
}

/// x86 has pages of 4 KiB, arm64 of 4, 16 or 64 KiB.
#[test]
fn no_page_of_a_kernel_shows_two_pages_of_bar_0() {
    for kernel_page in [4 << 10, 16 << 10, 64 << 10] {
        assert_eq!(PAGE_STRIDE % kernel_page, 0, "{kernel_page} bytes");
        assert!(PAGE_LENGTH <= kernel_page, "{kernel_page} bytes");
    }
    let groups = [
        PUBLIC_PAGE,
        ADMIN_PAGE,
        KICK_PAGES,
        REPORT_PAGE,
        DOORBELL_PAGES,
        STATUS_PAGES,
        REGISTER_BAR_SIZE,
        MSIX_BAR_SIZE,
    ];
    assert_eq!(groups.map(|offset| offset % PAGE_STRIDE), [0; 8]);
}

#[test]
fn pages_of_all_queues_lie_before_the_next_group() {
    let groups = [
        (KICK_PAGES, REPORT_PAGE),
        (DOORBELL_PAGES, STATUS_PAGES),
        (STATUS_PAGES, REGISTER_BAR_SIZE),
    ];

    for (start, next) in groups {
        assert_eq!(next - start, MAX_QUEUES * PAGE_STRIDE, "{start:#x}");
    }
    assert_eq!(DOORBELL_PAGES - REPORT_PAGE, PAGE_STRIDE);
}

#[test]
fn all_that_has_a_meaning_lies_at_the_start_of_its_page() {
    let behind = places().into_iter().find(|(start, end, _)| {
        start / PAGE_STRIDE != end / PAGE_STRIDE || end % PAGE_STRIDE >= PAGE_LENGTH
    });

    assert_eq!(behind, None);
}

#[test]
fn public_page_has_no_command() {
    let on_public_page = |register: &&Register| register.info().offset < ADMIN_PAGE;

    let commands = Register::ALL
        .iter()
        .filter(on_public_page)
        .filter(|register| register.access() == Access::WriteOnly);

    assert_eq!(commands.count(), 0);
}

#[test]
fn registers_from_the_kick_pages_on_have_a_page_for_each_queue() {
    let odd = names::all().find(|info| {
        let of_queues = info.offset >= KICK_PAGES && !is_in_report_page(info);
        of_queues && (info.count, info.stride) != (MAX_QUEUES, PAGE_STRIDE)
    });

    assert_eq!(odd, None);
}

#[test]
fn error_log_has_a_value_behind_each_entry() {
    let entries = Register::ERROR_LOG_ENTRY.info();
    let values = Register::ERROR_LOG_VALUE.info();

    let places = |index| (entries.offset_of(index), values.offset_of(index));

    assert_eq!(places(15), (Some(0x1_01f0), Some(0x1_01f8)));
    assert_eq!(
        (entries.count, values.count),
        (ERROR_LOG_ENTRIES, ERROR_LOG_ENTRIES)
    );
}

#[test]
fn words_that_change_often_have_a_cache_line_of_their_own() {
    let fields = PAGE_FIELDS.iter().filter(|info| !is_in_report_page(info));
    let lines: Vec<_> = fields
        .map(|info| {
            let first = info.offset % PAGE_STRIDE;
            (first / 64, (first + info.width - 1) / 64)
        })
        .collect();

    // Tails with their inline copies, and the head; then the words of sleeping and waiting; then
    // the heartbeat.
    let doorbell = [0, 0, 0, 1, 2, 2].map(|line| (line, line));
    let status = [0, 0, 1, 1, 1, 2].map(|line| (line, line));
    assert_eq!(lines, [doorbell, status].concat()[..]);
}

#[test]
fn fields_of_shared_pages_are_all_listed() {
    let lines = include_str!("../src/pages.rs").lines();
    let fields = lines.filter_map(|line| line.strip_prefix("    pub ")?.split(':').next());

    assert_eq!(
        fields.collect::<Vec<_>>(),
        PAGE_FIELDS.map(|info| info.name)
    );
}

#[test]
fn inline_entries_of_each_queue_are_pinned() {
    assert_eq!([0, 63].map(inline_descriptor), [0x80_0010, 0xbf_0010]);
    assert_eq!([0, 63].map(inline_completion), [0xc0_0010, 0xff_0010]);
}

#[test]
fn field_of_the_report_page_has_the_name_and_the_width_of_its_register() {
    for (register, offset) in names::REPORTED {
        let field = PAGE_FIELDS.iter().find(|field| field.offset == offset);

        let info = register.info();
        let wanted = (info.name.to_lowercase(), info.width);
        assert_eq!(
            field.map(|field| (field.name.to_owned(), field.width)),
            Some(wanted)
        );
    }
}

#[test]
fn places_in_the_report_page_are_pinned() {
    let places = [
        pages::OUTCOME,
        pages::REPORTED_FEATURES,
        pages::REPORTED_QUEUE_LIMITS,
        pages::REPORTED_WINDOW_LIMITS,
        pages::REPORTED_LENGTH_LIMIT,
        pages::REPORTED_BOOT_NUMBER,
    ];

    let pinned = [
        0x7f_0000, 0x7f_0040, 0x7f_0048, 0x7f_004c, 0x7f_0050, 0x7f_0054,
    ];
    assert_eq!(places, pinned);
}

#[test]
fn word_lies_in_the_page_of_the_side_that_writes_it() {
    for word in Word::ALL {
        let group = match word.is_in_doorbell() {
            true => DOORBELL_PAGES,
            false => STATUS_PAGES,
        };

        let place = group + 3 * PAGE_STRIDE + word.in_page();

        assert_eq!(place, word.offset(3), "{word:?}");
    }
}

#[test]
fn byte_is_shown_with_its_index_and_its_number_if_it_has_one() {
    let names =
        [0x0, 0x1, 0x41_0000, 0x41_0002].map(|at| NamedByte::at(at).map(|it| it.to_string()));

    let shown = ["IDENT", "IDENT+1", "KICK[2]", "KICK[2]+2"];
    assert_eq!(names, shown.map(|name| Some(name.to_owned())));
}

#[test]
fn words_are_the_fields_of_shared_pages_with_four_bytes() {
    let of_queues = |info: &&RegisterInfo| !is_in_report_page(info);
    let fields = PAGE_FIELDS
        .iter()
        .filter(of_queues)
        .filter(|info| info.width == 4);

    let words = Word::ALL.map(|word| word.offset(63));

    let offsets: Vec<_> = fields.map(|info| info.offset_of(63).unwrap()).collect();
    assert_eq!(words, offsets[..]);
}

#[test]
fn fields_lie_in_their_register_and_do_not_overlap() {
    for register in Register::ALL {
        let info = register.info();
        let bits: u32 = info.fields.iter().map(|it| it.mask().count_ones()).sum();

        assert_eq!(bits, info.field_mask().count_ones(), "{register:?}");
        let highest = info.fields.iter().map(|it| it.high).max();
        assert!(highest < Some(8 * info.width as u32), "{register:?}");
    }
}

#[test]
fn reset_values_lie_in_the_fields() {
    for register in Register::ALL {
        let value = register.reset_value().unwrap_or(0);

        assert_eq!(value & !register.info().field_mask(), 0, "{register:?}");
    }
}

#[test]
fn features_names_the_opcodes_that_have_a_meaning() {
    let opcodes = Opcode::ALL
        .iter()
        .fold(0, |bits, (opcode, _)| bits | 1 << opcode.0);

    assert_eq!(Register::FEATURES.reset_value(), Some(opcodes));
}

#[test]
fn reset_value_of_error_last_names_no_queue() {
    let empty = ERROR_LAST::zeroed().with_queue(NO_QUEUE.into());

    assert_eq!(
        Register::ERROR_LAST.reset_value(),
        Some(empty.into_raw().into())
    );
}

#[test]
fn irq_mask_and_irq_cause_have_the_same_bits() {
    assert_eq!(IRQ_MASK::INFO.fields, IRQ_CAUSE::INFO.fields);
}

#[test]
fn limits_fit_their_fields() {
    let queues = QUEUE_LIMITS::zeroed()
        .with_entries(MAX_ENTRIES)
        .with_queues(MAX_QUEUES as u32);
    let windows = WINDOW_LIMITS::zeroed()
        .with_segments(MAX_SEGMENTS)
        .with_windows(MAX_WINDOWS.into());

    assert_eq!(
        (queues.entries(), queues.queues() as usize),
        (MAX_ENTRIES, MAX_QUEUES)
    );
    assert_eq!(
        (windows.segments(), windows.windows()),
        (MAX_SEGMENTS, MAX_WINDOWS.into())
    );
    let running = STATUS::zeroed().with_running_queues(MAX_QUEUES as u32);
    assert_eq!(running.running_queues() as usize, MAX_QUEUES);
}

#[test]
fn locate_finds_every_byte_of_a_register_and_no_other() {
    let info = Register::QUEUE_ERRORS.info();

    let found = [
        0x3f_0007, 0x3f_0008, 0x3f_000b, 0x3f_000c, 0x7e_0009, 0x80_0008,
    ]
    .map(|at| info.locate(at));

    assert_eq!(
        found,
        [None, Some((0, 0)), Some((0, 3)), None, Some((63, 1)), None]
    );
}

#[test]
fn each_register_and_field_is_located_at_its_offset() {
    for info in names::all() {
        assert_eq!(info.locate(info.offset), Some((0, 0)), "{}", info.name);
    }
}

#[test]
fn offset_of_ends_with_the_array() {
    let info = Register::KICK.info();

    let offsets = [0, 63, 64, usize::MAX].map(|index| info.offset_of(index));

    assert_eq!(offsets, [Some(0x3f_0000), Some(0x7e_0000), None, None]);
}

#[test]
fn getter_takes_its_field_out_of_the_bits() {
    let version = VERSION::from_raw(0x1234_5678);

    assert_eq!((version.major(), version.minor()), (0x1234, 0x5678));
}

#[test]
fn setter_changes_its_field_alone() {
    let version = VERSION::from_raw(u32::MAX).with_major(0x1234);

    assert_eq!(version.into_raw(), 0x1234_ffff);
}

#[test]
fn setter_drops_bits_that_the_field_has_no_room_for() {
    let status = STATUS::zeroed().with_running_queues(0x1ff);

    assert_eq!(status.into_raw(), 0xff00);
}

#[test]
fn bool_field_reads_and_writes_one_bit() {
    let set = STATUS::zeroed().with_error(true);
    let cleared = STATUS::from_raw(u32::MAX).with_error(false);

    assert_eq!((set.into_raw(), set.error()), (4, true));
    assert_eq!((cleared.into_raw(), cleared.error()), (!4, false));
}

#[test]
fn structs_have_no_padding() {
    assert_eq!(size_of::<Descriptor>(), 64);
    assert_eq!(size_of::<Completion>(), 16);
    assert_eq!(size_of::<QueueSetup>(), 64);
    assert_eq!(size_of::<WindowSetup>(), 64);
    assert_eq!(size_of::<Segment>(), 16);
    let alignments = [
        align_of::<Descriptor>(),
        align_of::<Completion>(),
        align_of::<QueueSetup>(),
        align_of::<WindowSetup>(),
    ];
    assert_eq!(alignments, [8; 4]);
}

#[test]
fn blocks_of_a_page_hold_whole_entries() {
    assert_eq!(PAGE_LENGTH % size_of::<Descriptor>(), 0);
    assert_eq!(PAGE_LENGTH as u64 % ALIGNMENT, 0);
}

#[test]
fn rings_have_a_power_of_two_of_entries_within_the_limits() {
    let valid: Vec<_> = [0, 1, MIN_ENTRIES, 3, 64, MAX_ENTRIES, 2 * MAX_ENTRIES]
        .into_iter()
        .filter(|&entries| entries_valid(entries))
        .collect();

    assert_eq!(valid, [MIN_ENTRIES, 64, MAX_ENTRIES]);
}

#[test]
fn distance_goes_over_the_wrap() {
    assert_eq!(distance(u32::MAX - 1, 3), 5);
}

#[test]
fn slot_goes_over_the_wrap() {
    let slots = [u32::MAX, 0, 1].map(|index| slot(index, 8));

    assert_eq!(slots, [7, 0, 1]);
}

#[test]
fn parts_of_the_device_memory_cover_it_in_whole_pages() {
    for size in [DEVICE_MEMORY_MIN, 16 << 20, DEVICE_MEMORY_MAX] {
        let parts = [
            MemoryPart::WriteCombining,
            MemoryPart::Uncached,
            MemoryPart::Lazy,
        ]
        .map(|part| memory_part(size, part));

        let end = parts.iter().fold(0, |end, &(offset, length)| {
            assert_eq!(offset, end);
            assert_eq!(length % PAGE_STRIDE, 0);
            offset + length
        });
        assert_eq!(end, size);
    }
}

#[test]
fn device_memory_is_used_as_far_as_the_interface_has_it() {
    let (least, most) = (DEVICE_MEMORY_MIN as u64, DEVICE_MEMORY_MAX as u64);

    let used = [least, most, most * 2].map(usable_memory);

    assert_eq!(
        used.map(Option::unwrap),
        [DEVICE_MEMORY_MIN, DEVICE_MEMORY_MAX, DEVICE_MEMORY_MAX]
    );
}

#[test]
fn device_memory_without_whole_pages_for_each_part_is_unusable() {
    let least = DEVICE_MEMORY_MIN as u64;

    for size in [
        0,
        1,
        least / 2,
        least - 1,
        least + PAGE_STRIDE as u64,
        least * 3,
    ] {
        assert_eq!(usable_memory(size), None, "{size} bytes");
    }
}

#[test]
fn msix_table_and_pending_bits_have_room_for_all_vectors() {
    let vectors = MAX_QUEUES + 1;

    assert!(MSIX_TABLE_OFFSET + 16 * vectors <= MSIX_PBA_OFFSET);
    assert!(MSIX_PBA_OFFSET + vectors.div_ceil(64) * 8 <= MSIX_BAR_SIZE);
}

/// Compares with the first words of the reference implementation of SplitMix64.
#[test]
fn pattern_makes_the_words_of_splitmix64() {
    let zero: Vec<_> = (0..3).map(|index| pattern::word(0, index)).collect();
    let seeded: Vec<_> = (0..2).map(|index| pattern::word(1234567, index)).collect();

    assert_eq!(
        zero,
        [
            0xe220_a839_7b1d_cdaf,
            0x6e78_9e6a_a1b9_65f4,
            0x06c4_5d18_8009_454f
        ]
    );
    assert_eq!(seeded, [6457827717110365317, 3203168211198807973]);
}

#[test]
fn pattern_has_the_least_significant_byte_first() {
    let bytes: Vec<_> = (0..9).map(|at| pattern::byte(0, at)).collect();

    assert_eq!(
        bytes,
        [0xaf, 0xcd, 0x1d, 0x7b, 0x39, 0xa8, 0x20, 0xe2, 0xf4]
    );
}
