// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests of claims with recorded runs of a few accesses.

use super::*;
use crate::names::Site;
use ringbar_records::record::Event;
use ringbar_spec::names;

fn access(owner: &str, offset: u64, write: bool, value: u128) -> Moment {
    Moment {
        case: 0,
        phase: None,
        site: Site {
            owner: owner.to_owned(),
            ..Site::default()
        },
        what: Happening::Access(crate::run::tests::access(offset, write, value)),
    }
}

fn event(what: What) -> Moment {
    let event = Event {
        time: 1,
        duration: None,
        what,
    };
    Moment {
        what: Happening::Event(event),
        ..access("device", 0, false, 0)
    }
}

/// Returns a run in which the device reports every access, and an interrupt.
fn run(claims: &[&str], mut moments: Vec<Moment>) -> Run {
    let heard = moments.iter().filter_map(|moment| match &moment.what {
        Happening::Access(access) => Some(Moment {
            case: moment.case,
            phase: moment.phase,
            ..event(What::Register {
                place: access.place.clone(),
                width: access.width,
                write: access.write,
                value: access.value,
            })
        }),
        _ => None,
    });
    let heard: Vec<Moment> = heard.collect();
    moments.extend(heard);
    moments.push(event(What::Interrupt { vector: 0 }));
    run_as_recorded(claims, moments)
}

fn run_as_recorded(claims: &[&str], moments: Vec<Moment>) -> Run {
    Run {
        whole: true,
        armed: Some(1),
        cases: vec![Case {
            claims: owned(claims),
            ..Case::default()
        }],
        moments,
        ..Run::default()
    }
}

/// Returns a run of one phase.
fn phase(name: &str, claims: &[&str], moments: Vec<Moment>) -> Run {
    let moments = moments.into_iter().map(|moment| Moment {
        phase: Some(0),
        ..moment
    });
    Run {
        phases: vec![Phase {
            case: 0,
            name: name.to_owned(),
            claims: owned(claims),
        }],
        ..run(&[], moments.collect())
    }
}

fn owned(claims: &[&str]) -> Vec<String> {
    claims.iter().map(|claim| (*claim).to_owned()).collect()
}

fn complaints(run: &Run) -> Vec<String> {
    let complaints = examine(run).complaints;
    complaints.iter().map(ToString::to_string).collect()
}

#[test]
fn claimed_access_passes() {
    let run = run(
        &["access read 0x0 4 0x1"],
        vec![access("registers", 0, false, 1)],
    );

    assert_eq!(complaints(&run), [""; 0]);
}

#[test]
fn unclaimed_access_is_reported() {
    let moments = vec![
        access("registers", 0, false, 1),
        access("registers", 4, false, 1),
    ];

    assert_eq!(
        complaints(&run(&["access read 0x0 4 0x1"], moments)).len(),
        1
    );
}

#[test]
fn other_value_than_claimed_is_reported() {
    let moments = vec![access("registers", 0, true, 2)];

    let told = complaints(&run(&["access write 0x0 4 0x1"], moments));

    assert!(
        told.iter().any(|line| line.contains("`write 0x0 4 0x2`")),
        "{told:?}"
    );
}

#[test]
fn reserved_offset_is_reported_with_its_author() {
    let told = complaints(&run(&[], vec![access("driver", 0x800, false, 0)]));

    assert!(
        told.iter()
            .any(|line| line.contains("driver touched reserved")),
        "{told:?}"
    );
}

#[test]
fn claim_of_a_reserved_offset_is_for_the_program_alone() {
    let claims = &["access read 0x800 4 0x0"];
    let own = || access("registers", 0x800, false, 0);
    let both = vec![own(), access("driver", 0x800, false, 0)];

    assert_eq!(complaints(&run(claims, vec![own()])), [""; 0]);
    assert_eq!(complaints(&run(claims, both)).len(), 1);
}

#[test]
fn case_that_scribbles_may_and_the_driver_may_not() {
    let scribble = |owner| run(&[SCRIBBLES], vec![access(owner, 0x80_0800, true, 1)]);

    assert_eq!(complaints(&scribble("attack")), [""; 0]);
    assert_eq!(complaints(&scribble("driver")).len(), 1);
}

#[test]
fn unknown_claim_is_reported() {
    assert_eq!(complaints(&run(&["acces read"], vec![])).len(), 1);
    assert_eq!(complaints(&phase("probe", &["trapped"], vec![])).len(), 1);
    assert_eq!(
        complaints(&phase("probe", &["touches some"], vec![])).len(),
        1
    );
}

#[test]
fn claim_about_traps_allows_as_many_and_no_more() {
    let kick = || access("dma", 0x3f_0000, true, 1);
    let twice = || vec![kick(), kick()];

    let run = |claim, moments| phase("mapped ring", &[claim], moments);
    assert_eq!(complaints(&run("trapped KICK 2", twice())), [""; 0]);
    assert_eq!(complaints(&run("trapped KICK 1", twice())).len(), 1);
}

#[test]
fn claim_about_traps_allows_no_other_register() {
    let moments = vec![access("driver", 0x10, false, 1)];

    let told = complaints(&phase("mapped ring", &["trapped KICK 9"], moments));

    assert!(
        told.iter().any(|line| line.contains("only KICK")),
        "{told:?}"
    );
}

#[test]
fn claim_about_operations_is_held_against_what_the_device_completed() {
    let completion = || {
        event(What::Completion {
            queue: 0,
            tag: Hex(1),
            status: 0,
            result: Hex(0),
        })
    };
    let run = |claim| phase("mapped ring", &[claim], vec![completion(), completion()]);

    assert_eq!(complaints(&run("operations 2")), [""; 0]);
    assert_eq!(complaints(&run("operations 3")).len(), 1);
}

#[test]
fn claim_about_operations_does_not_hold_if_there_are_none() {
    let told = complaints(&phase("mapped ring", &["operations 1"], vec![]));

    assert!(
        told.iter()
            .any(|line| line.contains("completed 0 operations")),
        "{told:?}"
    );
}

#[test]
fn mapped_ring_shows_its_operations_and_traps() {
    let done = What::Completion {
        queue: 0,
        tag: Hex(1),
        status: 0,
        result: Hex(0),
    };
    let moments = vec![access("dma", 0x3f_0000, true, 1), event(done)];

    let testimony = examine(&phase("mapped ring", &["operations 1"], moments));

    let said: Vec<&str> = testimony
        .seen
        .iter()
        .map(|(_, what)| what.as_str())
        .collect();
    assert_eq!(
        said,
        ["mapped ring: 1 operations with 1 trapped accesses of KICK"]
    );
}

#[test]
fn register_not_listed_for_probe_is_reported() {
    let probe = |offset, write| {
        let moments = vec![access("driver", offset, write, 1)];
        complaints(&phase("probe", &[], moments))
    };

    assert_eq!(probe(4, false), [""; 0]);
    assert_eq!(probe(4, true).len(), 1);
    assert_eq!(probe(0x2c, false).len(), 1);
}

#[test]
fn registers_that_are_read_at_once_are_each_held_to_the_list() {
    let probe = |ident: u128| {
        let mut moment = access("driver", 0, false, 0);
        moment.what = Happening::Access(Access {
            width: 8,
            value: Some(Hex(4 << 48 | ident)),
            ..crate::run::tests::access(0, false, 0)
        });
        complaints(&phase("probe", &[], vec![moment]))
    };

    assert_eq!(probe(0x5241_4252), [""; 0]);
    assert_eq!(probe(1).len(), 1);
}

#[test]
fn other_value_than_listed_for_remove_is_reported() {
    let remove = |value| {
        let moments = vec![access("driver", 0x1_0000, true, value)];
        complaints(&phase("remove", &[], moments))
    };

    assert_eq!(remove(0x2154_5352), [""; 0]);
    assert_eq!(remove(1).len(), 1);
}

#[test]
fn untouched_listed_register_is_reported_if_all_are_claimed() {
    let told = complaints(&phase("remove", &["touches all"], vec![]));

    assert!(
        told.iter()
            .any(|line| line.contains("RESET, which no access wrote")),
        "{told:?}"
    );
}

#[test]
fn listed_register_in_brackets_may_be_missing_but_has_its_value() {
    let remove = |moments| complaints(&phase("remove", &["touches all"], moments));
    let kick = |value| access("driver", 0x3f_0000, false, value);
    let of_kick = |told: Vec<String>| told.iter().filter(|line| line.contains("KICK")).count();

    assert_eq!(of_kick(remove(vec![])), 0);
    assert_eq!(of_kick(remove(vec![kick(0x6b63_696b)])), 0);
    assert_eq!(of_kick(remove(vec![kick(1)])), 1);
}

#[test]
fn unlisted_phase_is_reported() {
    assert_eq!(complaints(&phase("lunch", &[], vec![])).len(), 1);
}

#[test]
fn every_register_that_is_listed_exists() {
    let known: BTreeSet<&str> = names::all().map(|info| info.name).collect();

    for phase in ["probe", "remove", "mapped ring"] {
        let listed = listed_for(phase).expect("a row");
        assert!(!listed.is_empty());
        assert!(
            listed.iter().all(|item| known.contains(item.name)),
            "{listed:?}"
        );
    }
}

/// Returns a read of 16 bytes at offset 4, and the device's events for its four pieces.
fn split_read(pieces: [u128; 4]) -> Vec<Moment> {
    let value = 0x1f1e_1d1c_1b1a_1918_1716_1514_1312_1110;
    let made = Moment {
        what: Happening::Access(Access {
            width: 16,
            ..crate::run::tests::access(4, false, value)
        }),
        ..access("accesses", 0, false, 0)
    };
    let heard = (4..).step_by(4).zip(pieces).map(|(offset, value)| {
        event(What::Register {
            place: Place::in_bar(0, offset),
            width: 4,
            write: false,
            value: Some(Hex(value)),
        })
    });
    std::iter::once(made).chain(heard).collect()
}

#[test]
fn access_that_qemu_splits_is_what_the_device_knows() {
    let moments = split_read([0x1312_1110, 0x1716_1514, 0x1b1a_1918, 0x1f1e_1d1c]);

    assert_eq!(complaints(&run_as_recorded(&[], moments)), [""; 0]);
}

#[test]
fn wrong_byte_in_a_piece_is_told_with_the_whole_access() {
    let moments = split_read([0x1312_1110, 0x1716_1514, 0x1b1a_1918, 0x1f1e_ff1c]);

    let told = complaints(&run_as_recorded(&[], moments));

    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains(
            "`read 0x10 4 0x1f1e1d1c` 1 times \
             (a part of `read 0x4 16 0x1f1e1d1c1b1a19181716151413121110`"
        ),
        "{told:?}"
    );
    assert!(
        told[1].contains("`read 0x10 4 0x1f1eff1c` 0 times"),
        "{told:?}"
    );
}

#[test]
fn lost_piece_is_told() {
    let mut moments = split_read([0x1312_1110, 0x1716_1514, 0x1b1a_1918, 0x1f1e_1d1c]);
    moments.pop();

    assert_eq!(complaints(&run_as_recorded(&[], moments)).len(), 1);
}

#[test]
fn piece_at_a_reserved_offset_is_told() {
    let wide = |offset| Moment {
        what: Happening::Access(Access {
            width: 16,
            ..crate::run::tests::access(offset, false, 0)
        }),
        ..access("driver", 0, false, 0)
    };
    let told = |offset| complaints(&run(&[], vec![wide(offset)]));

    let reserved = |line: &String| line.contains("touched reserved offset 0x10200");
    assert!(told(0x1_01f8).iter().any(reserved), "{:?}", told(0x1_01f8));
    assert!(!told(0x10).iter().any(|line| line.contains("reserved")));
}

#[test]
fn piece_of_a_register_that_is_not_listed_is_told() {
    let wide = Moment {
        what: Happening::Access(Access {
            width: 16,
            ..crate::run::tests::access(0x8, false, 0)
        }),
        ..access("driver", 0, false, 0)
    };

    let told = complaints(&phase("probe", &[], vec![wide]));

    assert!(
        told.iter().any(|line| line.contains("read STATUS")),
        "{told:?}"
    );
}

fn moved(owner: &str, write: bool, bytes: u64) -> Moment {
    Moment {
        what: Happening::Sum(ringbar_records::record::Sum {
            place: Place::in_bar(2, 0),
            bytes,
            ..crate::run::tests::sum(0, write, 1)
        }),
        ..access(owner, 0, false, 0)
    }
}

#[test]
fn claim_about_device_memory_holds_from_so_many_bytes_on() {
    let told = |claim, moments| complaints(&run(&[claim], moments));
    let twice = || vec![moved("accesses", true, 8), moved("accesses", true, 8)];

    assert_eq!(told("memory write 16", twice()), [""; 0]);
    assert_eq!(told("memory write 17", twice()).len(), 1);
    assert_eq!(told("memory read 1", twice()).len(), 1);
    assert_eq!(
        told("memory write 1", vec![moved("kernel", true, 8)]).len(),
        1
    );
    assert_eq!(told("memory moved 1", twice()).len(), 1);
}

#[test]
fn dropped_write_is_reported() {
    let heard = |value| {
        event(What::Register {
            place: Place::in_bar(0, 0x18),
            width: 4,
            write: true,
            value: Some(Hex(value)),
        })
    };
    let made = |value| access("driver", 0x18, true, value);

    let both = vec![made(1), heard(1), made(2), heard(2)];
    assert_eq!(complaints(&run_as_recorded(&[], both)), [""; 0]);
    let dropped = vec![made(1), heard(1), made(2)];
    assert_eq!(complaints(&run_as_recorded(&[], dropped)).len(), 1);
}

#[test]
fn accesses_unknown_to_the_device_are_reported_beside_other_events() {
    let moments = vec![
        access("driver", 0x18, true, 1),
        event(What::Interrupt { vector: 0 }),
    ];

    assert_eq!(complaints(&run_as_recorded(&[], moments)).len(), 1);
}

#[test]
fn device_without_events_is_reported() {
    let told = complaints(&run_as_recorded(&[], vec![]));

    assert!(
        told.iter().any(|line| line.contains("wrote no event")),
        "{told:?}"
    );
}

#[test]
fn records_without_an_end_are_reported() {
    let run = Run {
        whole: false,
        ..run(&[], vec![])
    };

    assert_eq!(complaints(&run).len(), 1);
}
