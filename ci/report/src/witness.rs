// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Holds a run to what tests and documents say of it.
//!
//! - A case that claims accesses made just those, in order, with those widths and values.
//! - A case that claims `trapped REGISTER N` had at most N trapped accesses to registers, all to that one.
//! - In a phase of the driver, it touches what its README lists for that phase, and nothing else.
//! - Nobody touches a reserved offset, but cases that claim to.
//! - What the guest wrote or read, the device was asked for, and answered with that.

use std::collections::{BTreeMap, BTreeSet};

use ringbar_trace::place::{Place, Space};
use ringbar_trace::record::{Access, What};

use crate::run::{Case, Happening, Moment, Run};

/// Has the table of phases.
const DRIVER_README: &str = include_str!("../../../guest-driver/README.md");
/// Most complaints of one kind about one case.
const MOST: usize = 5;

/// What is not as it must be, a line each.
pub(crate) fn examine(run: &Run) -> Vec<String> {
    let mut complaints = Vec::new();
    if !run.whole {
        complaints.push("the records have no end: some are missing".to_owned());
    }
    if run.armed.is_none() {
        complaints
            .push("the guest never said that the driver comes: nothing was watched".to_owned());
    }
    for (number, case) in run.cases.iter().enumerate() {
        let moments: Vec<&Moment> = run.moments_of(number).collect();
        let told = check_case(case, &moments);
        complaints.extend(
            told.into_iter()
                .map(|text| format!("{}: {text}", title(case))),
        );
    }
    complaints.extend(check_device(run));
    complaints
}

fn title(case: &Case) -> String {
    match (case.program.as_str(), case.name.as_str()) {
        ("", "") => "before the tests".to_owned(),
        ("", name) => name.to_owned(),
        (program, "") => format!("{program}, between cases"),
        (program, name) => format!("{program}: {name}"),
    }
}

fn check_case(case: &Case, moments: &[&Moment]) -> Vec<String> {
    let mut complaints = Vec::new();
    let claimed: Vec<&str> = claims(case, "access ").collect();
    if claimed.is_empty() {
        let reserved =
            accesses(moments).filter(|(_, access)| access.place.space == Space::Reserved);
        complaints.extend(reserved.take(MOST).map(|(moment, access)| {
            let who = &moment.site;
            format!(
                "{} touched reserved offset {:#x} ({} {})",
                who.owner, access.place.offset, who.function, who.place
            )
        }));
    } else {
        complaints.extend(check_exact(&claimed, moments));
    }
    for claim in claims(case, "trapped ") {
        complaints.extend(check_trapped(claim, moments));
    }
    let phases: BTreeSet<&str> = moments
        .iter()
        .filter_map(|moment| moment.phase.as_deref())
        .collect();
    for phase in phases {
        complaints.extend(check_phase(phase, moments));
    }
    complaints
}

fn claims<'a>(case: &'a Case, kind: &'a str) -> impl Iterator<Item = &'a str> {
    case.claims
        .iter()
        .filter_map(move |claim| claim.strip_prefix(kind))
}

fn accesses<'a>(moments: &'a [&Moment]) -> impl Iterator<Item = (&'a Moment, &'a Access)> {
    moments.iter().filter_map(|moment| match &moment.what {
        Happening::Access(access) => Some((*moment, access)),
        Happening::Sum(_) | Happening::Event(_) => None,
    })
}

/// Accesses that a program claims, against those that its own code made.
fn check_exact(claimed: &[&str], moments: &[&Moment]) -> Vec<String> {
    let own = accesses(moments).filter(|(moment, access)| {
        in_registers(&access.place) && !matches!(moment.site.owner.as_str(), "driver" | "kernel")
    });
    let made: Vec<String> = own
        .flat_map(|(_, access)| {
            let times = usize::try_from(access.count).unwrap_or(usize::MAX);
            std::iter::repeat_n(claim_of(access), times)
        })
        .collect();
    let mut differences: Vec<String> = claimed
        .iter()
        .zip(&made)
        .enumerate()
        .filter(|(_, (claimed, made))| *claimed != made)
        .map(|(number, (claimed, made))| {
            format!("access {number} was `{made}`; the program says `{claimed}`")
        })
        .take(MOST)
        .collect();
    if claimed.len() != made.len() {
        differences.push(format!(
            "{} accesses were made; the program says {}",
            made.len(),
            claimed.len()
        ));
    }
    differences
}

fn in_registers(place: &Place) -> bool {
    matches!(place.space, Space::Register | Space::Reserved)
}

/// An access in the words of a claim.
fn claim_of(access: &Access) -> String {
    let verb = if access.write { "write" } else { "read" };
    let value = access
        .value
        .map(|value| value.to_string())
        .unwrap_or_default();
    format!("{verb} {:#x} {} {value}", access.place.offset, access.width)
}

fn check_trapped(claim: &str, moments: &[&Moment]) -> Option<String> {
    let parsed = claim
        .split_once(' ')
        .and_then(|(name, most)| Some((name, most.parse::<u64>().ok()?)));
    let Some((name, most)) = parsed else {
        return Some(format!("`trapped {claim}` is no claim that is known"));
    };
    let trapped =
        accesses(moments).filter(|(_, access)| access.trapped && in_registers(&access.place));
    let (mut count, mut other) = (0u64, None);
    for (moment, access) in trapped {
        count = count.saturating_add(access.count);
        if register(&access.place) != name {
            other = other.or(Some((moment, access)));
        }
    }
    if let Some((moment, access)) = other {
        let who = &moment.site;
        return Some(format!(
            "{} trapped at {} ({} {}); the program says that only {name} does",
            who.owner, access.place.name, who.function, who.place
        ));
    }
    (count > most).then(|| format!("{count} trapped accesses; the program says at most {most}"))
}

/// Name of the register at a place, without index and byte.
fn register(place: &Place) -> &str {
    place.name.split(['[', '+']).next().unwrap_or_default()
}

/// What the driver's README lists for a phase, against what was touched in it.
fn check_phase(phase: &str, moments: &[&Moment]) -> Vec<String> {
    let Some(listed) = listed_for(phase) else {
        return vec![format!(
            "guest-driver/README.md lists nothing for `{phase}`"
        )];
    };
    let touched = accesses(moments).filter(|(moment, access)| {
        moment.phase.as_deref() == Some(phase) && in_registers(&access.place)
    });
    let more = touched.filter(|(_, access)| {
        let verb = if access.write { 'w' } else { 'r' };
        !listed.contains(&(register(&access.place), verb))
    });
    more.take(MOST)
        .map(|(moment, access)| {
            let verb = if access.write { "wrote" } else { "read" };
            let who = &moment.site;
            format!(
                "in `{phase}` the {} {verb} {} ({} {}), which is not listed",
                who.owner, access.place.name, who.function, who.place
            )
        })
        .collect()
}

/// Registers of a phase: rows `| phase | reads | writes |` of the README, names in backticks.
fn listed_for(phase: &str) -> Option<BTreeSet<(&'static str, char)>> {
    let row = DRIVER_README.lines().find_map(|line| {
        let mut cells = line.strip_prefix('|')?.split('|').map(str::trim);
        (cells.next()? == phase).then_some(cells)
    })?;
    let cells = row.take(2).zip(['r', 'w']);
    Some(
        cells
            .flat_map(|(cell, verb)| {
                cell.split('`')
                    .skip(1)
                    .step_by(2)
                    .map(move |name| (name, verb))
            })
            .collect(),
    )
}

/// Trapped accesses to registers, against what the device says it was asked for.
///
/// Counted and not compared in order: what two vCPUs did within microseconds may be noted the other way round.
fn check_device(run: &Run) -> Vec<String> {
    let armed = run.armed.unwrap_or_default();
    let mut balance = BTreeMap::<String, (u64, u64, Option<&Moment>)>::new();
    for moment in run.moments.iter().filter(|moment| moment.time() >= armed) {
        match &moment.what {
            Happening::Event(event) => {
                if let Some(heard) = heard(&event.what) {
                    balance.entry(heard).or_default().1 += 1;
                }
            }
            Happening::Access(access) if access.trapped && in_registers(&access.place) => {
                let (made, _, first) = balance.entry(claim_of(access)).or_default();
                *made = made.saturating_add(access.count);
                first.get_or_insert(moment);
            }
            Happening::Access(_) | Happening::Sum(_) => {}
        }
    }
    if balance.values().all(|(_, heard, _)| *heard == 0) {
        return Vec::new();
    }
    let differ = balance.iter().filter(|(_, (made, heard, _))| made != heard);
    differ
        .take(MOST)
        .map(|(access, (made, heard, first))| {
            let who = first.map(|moment| format!(" ({})", moment.site.function));
            let who = who.unwrap_or_default();
            format!("the guest made `{access}` {made} times{who}, the device knows of {heard}")
        })
        .collect()
}

/// An access that the device answered, in the words of a claim.
fn heard(what: &What) -> Option<String> {
    match what {
        What::Register {
            place,
            width,
            write,
            value,
        } if in_registers(place) => {
            let verb = if *write { "write" } else { "read" };
            let value = value.map(|value| value.to_string()).unwrap_or_default();
            Some(format!("{verb} {:#x} {width} {value}", place.offset))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Site;
    use ringbar_trace::record::{Event, Hex};

    fn access(owner: &str, offset: u64, write: bool, value: u128) -> Moment {
        Moment {
            case: 0,
            phase: None,
            site: Site {
                owner: owner.to_owned(),
                ..Site::default()
            },
            what: Happening::Access(Access {
                time: 1,
                cpu: 0,
                pc: Hex(0),
                callers: vec![],
                place: Place::in_bar(0, offset),
                width: 4,
                write,
                value: Some(Hex(value)),
                trapped: true,
                count: 1,
                until: None,
            }),
        }
    }

    fn run(claims: &[&str], moments: Vec<Moment>) -> Run {
        Run {
            whole: true,
            armed: Some(1),
            cases: vec![Case {
                claims: claims.iter().map(|claim| (*claim).to_owned()).collect(),
                ..Case::default()
            }],
            moments,
            ..Run::default()
        }
    }

    #[test]
    fn claimed_access_that_was_made_is_fine() {
        let run = run(
            &["access read 0x0 4 0x1"],
            vec![access("registers", 0, false, 1)],
        );

        assert_eq!(examine(&run), [""; 0]);
    }

    #[test]
    fn access_that_is_not_claimed_is_told() {
        let moments = vec![
            access("registers", 0, false, 1),
            access("registers", 4, false, 1),
        ];

        assert_eq!(examine(&run(&["access read 0x0 4 0x1"], moments)).len(), 1);
    }

    #[test]
    fn other_value_than_claimed_is_told() {
        let moments = vec![access("registers", 0, true, 2)];

        let told = examine(&run(&["access write 0x0 4 0x1"], moments));

        assert!(
            told.iter().any(|line| line.contains("`write 0x0 4 0x2`")),
            "{told:?}"
        );
    }

    #[test]
    fn reserved_offset_is_told_with_who_touched_it() {
        let told = examine(&run(&[], vec![access("driver", 0x800, false, 0)]));

        assert!(
            told.iter()
                .any(|line| line.contains("driver touched reserved")),
            "{told:?}"
        );
    }

    #[test]
    fn claim_about_traps_allows_as_many_and_no_more() {
        let kick = || access("dma", 0x40000, true, 1);

        assert_eq!(
            examine(&run(&["trapped KICK 2"], vec![kick(), kick()])),
            [""; 0]
        );
        assert_eq!(
            examine(&run(&["trapped KICK 1"], vec![kick(), kick()])).len(),
            1
        );
    }

    #[test]
    fn claim_about_traps_allows_no_other_register() {
        let moments = vec![access("driver", 0x10, false, 1)];

        assert_eq!(examine(&run(&["trapped KICK 9"], moments)).len(), 1);
    }

    #[test]
    fn register_that_is_not_listed_for_probe_is_told() {
        let in_probe = |offset, write| Moment {
            phase: Some("probe".to_owned()),
            ..access("driver", offset, write, 1)
        };

        assert_eq!(examine(&run(&[], vec![in_probe(0, false)])), [""; 0]);
        assert_eq!(examine(&run(&[], vec![in_probe(0, true)])).len(), 1);
        assert_eq!(examine(&run(&[], vec![in_probe(0x2c, false)])).len(), 1);
    }

    #[test]
    fn every_register_that_is_listed_exists() {
        let known: BTreeSet<&str> = ringbar_spec::regs::Register::ALL
            .iter()
            .map(|register| register.info().name)
            .collect();

        for phase in ["probe", "remove"] {
            let listed = listed_for(phase).expect("a row");
            assert!(!listed.is_empty());
            assert!(
                listed.iter().all(|(name, _)| known.contains(name)),
                "{listed:?}"
            );
        }
    }

    #[test]
    fn write_that_the_device_dropped_is_told() {
        let event = |value| Moment {
            what: Happening::Event(Event {
                time: 1,
                duration: None,
                what: What::Register {
                    place: Place::in_bar(0, 0x18),
                    width: 4,
                    write: true,
                    value: Some(Hex(value)),
                },
            }),
            ..access("device", 0x18, true, value)
        };
        let made = |value| access("driver", 0x18, true, value);

        let both = vec![made(1), event(1), made(2), event(2)];
        assert_eq!(examine(&run(&[], both)), [""; 0]);
        assert_eq!(
            examine(&run(&[], vec![made(1), event(1), made(2)])).len(),
            1
        );
    }

    #[test]
    fn records_without_an_end_are_told() {
        let run = Run {
            whole: false,
            ..run(&[], vec![])
        };

        assert_eq!(examine(&run).len(), 1);
    }
}
