// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Connecting, masking and raising interrupts.

use ringbar_vfio_user::device::{Action, Data};
use ringbar_vfio_user::testing::{set_interrupts, version, Call, TestSession, VERSION_TEXT};
use ringbar_vfio_user::Errno;

use crate::{lengthened, outcome, outcome_of, patched, reason, shortened};

const NONE: u32 = 1;
const BOOL: u32 = 2;
const EVENTFD: u32 = 4;
const MASK: u32 = 8;
const UNMASK: u32 = 16;
const TRIGGER: u32 = 32;

const INTX: u32 = 0;
const MSI: u32 = 1;
const MSIX: u32 = 2;
const ERR: u32 = 3;
const REQ: u32 = 4;

/// Returns the call that the device got.
fn call(bytes: &[u8], fds: u32) -> Call {
    let mut test = TestSession::negotiated();
    assert_eq!(outcome_of(&mut test, bytes, fds), None);
    test.device.calls.pop().unwrap()
}

#[test]
fn eventfds_are_connected_in_order() {
    assert_eq!(
        call(&set_interrupts(EVENTFD | TRIGGER, MSIX, 1, 3, &[]), 3),
        Call::Interrupts(MSIX, 1, 3, Action::Trigger, Data::Connect(vec![0, 1, 2]))
    );
}

#[test]
fn as_many_eventfds_as_the_device_has_vectors_come_with_one_message() {
    for (vectors, taken) in [(65, 65), (64, 64), (300, 253)] {
        let mut test = TestSession::new();
        test.device.set_vectors(vectors);
        test.send(&version(VERSION_TEXT), 0).unwrap();

        for fds in [taken, taken + 1] {
            test.device.calls.clear();
            let set = set_interrupts(EVENTFD | TRIGGER, MSIX, 0, fds.min(vectors), &[]);
            let outcome = outcome_of(&mut test, &set, fds);
            assert_eq!(outcome.is_some(), fds > taken, "{fds} of {vectors}");
        }
        assert_eq!(test.device.calls, []);
    }
}

#[test]
fn missing_eventfds_disconnect_their_interrupts() {
    assert_eq!(
        call(&set_interrupts(EVENTFD | TRIGGER, MSIX, 0, 4, &[]), 0),
        Call::Interrupts(MSIX, 0, 4, Action::Trigger, Data::Disconnect)
    );
}

#[test]
fn no_data_raises_each() {
    assert_eq!(
        call(&set_interrupts(NONE | TRIGGER, MSIX, 2, 2, &[]), 0),
        Call::Interrupts(MSIX, 2, 2, Action::Trigger, Data::Each)
    );
}

#[test]
fn booleans_raise_the_chosen_ones() {
    let data = Data::Chosen(vec![true, false, true]);

    assert_eq!(
        call(&set_interrupts(BOOL | TRIGGER, MSIX, 1, 3, &[1, 0, 255]), 0),
        Call::Interrupts(MSIX, 1, 3, Action::Trigger, data)
    );
}

#[test]
fn count_0_disables_all_of_the_type() {
    for index in [INTX, MSI, MSIX, ERR, REQ] {
        assert_eq!(
            call(&set_interrupts(NONE | TRIGGER, index, 0, 0, &[]), 0),
            Call::Interrupts(index, 0, 0, Action::Trigger, Data::DisableAll)
        );
    }
}

#[test]
fn count_0_means_nothing_else() {
    for (flags, start) in [
        (NONE | TRIGGER, 1),
        (BOOL | TRIGGER, 0),
        (EVENTFD | TRIGGER, 0),
        (NONE | MASK, 0),
        (NONE | UNMASK, 0),
    ] {
        let set = set_interrupts(flags, INTX, start, 0, &[]);
        assert_eq!(outcome(&set, 0), Some(Errno::INVAL), "{flags:#x} {start}");
    }
}

#[test]
fn maskable_type_is_masked() {
    for (flag, action) in [(MASK, Action::Mask), (UNMASK, Action::Unmask)] {
        assert_eq!(
            call(&set_interrupts(NONE | flag, INTX, 0, 1, &[]), 0),
            Call::Interrupts(INTX, 0, 1, action, Data::Each)
        );
    }
}

#[test]
fn unmaskable_type_is_not_masked() {
    for index in [MSIX, ERR] {
        for flag in [MASK, UNMASK] {
            let set = set_interrupts(NONE | flag, index, 0, 1, &[]);
            assert_eq!(outcome(&set, 0), Some(Errno::INVAL));
        }
    }
}

#[test]
fn flags_that_are_not_one_action_and_one_kind_of_data_are_refused() {
    let data = [NONE, BOOL, EVENTFD];
    let actions = [MASK, UNMASK, TRIGGER];
    for flags in 0..64 {
        let one_of = |bits: [u32; 3]| bits.iter().filter(|&&bit| flags & bit != 0).count() == 1;
        if one_of(data) && one_of(actions) {
            continue;
        }
        let set = set_interrupts(flags, INTX, 0, 1, &[]);
        assert_eq!(outcome(&set, 0), Some(Errno::INVAL), "{flags:#x}");
    }
}

#[test]
fn unknown_flags_are_refused() {
    for bit in 6..32 {
        let set = set_interrupts(NONE | TRIGGER | 1 << bit, MSIX, 0, 1, &[]);
        assert_eq!(outcome(&set, 0), Some(Errno::INVAL), "{bit}");
    }
}

#[test]
fn interrupts_out_of_range_are_refused() {
    for (start, count) in [(0, 5), (4, 1), (3, 2), (u32::MAX, 1), (1, u32::MAX)] {
        for flags in [NONE | TRIGGER, EVENTFD | TRIGGER] {
            let set = set_interrupts(flags, MSIX, start, count, &[]);
            assert_eq!(outcome(&set, 0), Some(Errno::INVAL), "{start} {count}");
        }
    }
}

#[test]
fn interrupts_of_an_empty_type_are_refused() {
    for index in [MSI, REQ] {
        let set = set_interrupts(NONE | TRIGGER, index, 0, 1, &[]);
        assert_eq!(outcome(&set, 0), Some(Errno::INVAL));
    }
}

#[test]
fn eventfds_for_a_type_without_are_refused() {
    let mut test = TestSession::negotiated();
    let set = set_interrupts(EVENTFD | TRIGGER, MSI, 0, 1, &[]);

    assert_eq!(outcome_of(&mut test, &set, 1), Some(Errno::INVAL));

    // Not for their number.
    let flags = EVENTFD | TRIGGER;
    assert_eq!(
        reason(&test),
        format!("interrupt flags {flags:#x} are not for interrupt type {MSI}")
    );
}

#[test]
fn type_out_of_range_is_refused() {
    for index in [5, u32::MAX] {
        let set = set_interrupts(NONE | TRIGGER, index, 0, 1, &[]);
        assert_eq!(outcome(&set, 0), Some(Errno::INVAL));
    }
}

#[test]
fn number_of_eventfds_that_is_not_the_count_is_refused() {
    for fds in [1, 2, 4, 16, 17, 200] {
        let set = set_interrupts(EVENTFD | TRIGGER, MSIX, 0, 3, &[]);
        assert_eq!(outcome(&set, fds), Some(Errno::INVAL), "{fds}");
    }
}

#[test]
fn eventfds_with_other_data_are_refused() {
    for (flags, data) in [(NONE | TRIGGER, &[][..]), (BOOL | TRIGGER, &[1])] {
        let set = set_interrupts(flags, MSIX, 0, 1, data);
        assert_eq!(outcome(&set, 1), Some(Errno::INVAL));
    }
}

#[test]
fn eventfds_to_disable_all_are_refused() {
    let set = set_interrupts(NONE | TRIGGER, MSIX, 0, 0, &[]);

    assert_eq!(outcome(&set, 1), Some(Errno::INVAL));
}

#[test]
fn number_of_booleans_that_is_not_the_count_is_refused() {
    let set = set_interrupts(BOOL | TRIGGER, MSIX, 0, 3, &[1, 1, 1]);

    assert_eq!(outcome(&shortened(&set), 0), Some(Errno::INVAL));
    assert_eq!(outcome(&lengthened(&set), 0), Some(Errno::INVAL));
    assert_eq!(outcome(&patched(&set, 16, u32::MAX), 0), Some(Errno::INVAL));
}

#[test]
fn unexpected_data_is_refused() {
    for flags in [NONE | TRIGGER, EVENTFD | TRIGGER] {
        let set = set_interrupts(flags, MSIX, 0, 1, &[0; 4]);
        assert_eq!(outcome(&set, 0), Some(Errno::INVAL));
    }
}

#[test]
fn short_payload_or_small_argsz_is_refused() {
    let set = set_interrupts(NONE | TRIGGER, MSIX, 0, 1, &[]);

    assert_eq!(outcome(&shortened(&set), 0), Some(Errno::INVAL));
    assert_eq!(outcome(&patched(&set, 0, 19), 0), Some(Errno::INVAL));
}

#[test]
fn refusal_of_the_device_reaches_the_client_and_closes_the_eventfds() {
    let mut test = TestSession::negotiated();
    test.device.refuse = Some(Errno::BADF);

    let set = set_interrupts(EVENTFD | TRIGGER, MSIX, 0, 2, &[]);

    assert_eq!(outcome_of(&mut test, &set, 2), Some(Errno::BADF));
}
