// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Comparison of a run with the claims of tests and documents. `../README.md` lists the claims.

use std::collections::BTreeSet;

use ringbar_records::place::{Place, Space};
use ringbar_records::record::{Access, Hex, What};
use ringbar_spec::layout::REGISTER_BAR;

use crate::balance::check_device;
use crate::complaint::Complaint;
use crate::readme;
use crate::run::{Case, Happening, Moment, Phase, Run};
use crate::split::{by_register, pieces, Piece};

/// Claim of a case that writes to any offset of its own pages on purpose.
const SCRIBBLES: &str = "touches reserved";
/// Most complaints of one kind per case.
pub(crate) const MOST: usize = 5;

/// Findings of the witness.
#[derive(Debug, Default)]
pub(crate) struct Testimony {
    /// Broken claims and other faults, one line each.
    pub(crate) complaints: Vec<Complaint>,
    /// Checked claims: where they were made, and the accesses seen.
    pub(crate) seen: Vec<(String, String)>,
}

/// Compares a run with all claims.
pub(crate) fn examine(run: &Run) -> Testimony {
    let mut complaints = Vec::new();
    let mut seen = Vec::new();
    if !run.whole {
        complaints.push(Complaint::of_the_run(
            "the records have no end: some are missing",
        ));
    }
    if run.armed.is_none() {
        complaints.push(Complaint::of_the_run(
            "the guest never announced the driver, so nothing was recorded",
        ));
    }
    for (number, case) in run.cases.iter().enumerate() {
        let moments: Vec<&Moment> = run.moments_of(number).collect();
        let title = title(case);
        let mut told = check_case(case, &moments, run.other_device);
        if claims(&case.claims, "access ").next().is_some() {
            let made = own(&moments).count();
            seen.push((
                title.clone(),
                format!("{made} accesses, those that it claims"),
            ));
        }
        for (index, phase) in run.phases.iter().enumerate() {
            if phase.case != number {
                continue;
            }
            let of_phase = moments.iter().filter(|moment| moment.phase == Some(index));
            let of_phase: Vec<&Moment> = of_phase.copied().collect();
            told.extend(check_phase(phase, &of_phase));
            seen.push((title.clone(), seen_in(phase, &of_phase)));
        }
        complaints.extend(told.into_iter().map(|text| Complaint {
            place: Some(title.clone()),
            text,
        }));
    }
    if !run.other_device {
        complaints.extend(check_device(run).into_iter().map(Complaint::of_the_run));
    }
    Testimony { complaints, seen }
}

/// Returns the name of a case for people.
fn title(case: &Case) -> String {
    match (case.program.as_str(), case.name.as_str()) {
        ("", "") => "before the tests".to_owned(),
        ("", name) => name.to_owned(),
        (program, "") => format!("{program}, between cases"),
        (program, name) => format!("{program}: {name}"),
    }
}

/// Compares the accesses of a case with its claims. The reserved offsets of another device are
/// unknown.
fn check_case(case: &Case, moments: &[&Moment], other_device: bool) -> Vec<String> {
    let mut complaints = Vec::new();
    let claimed: Vec<&str> = claims(&case.claims, "access ").collect();
    let scribbles = case.claims.iter().any(|claim| claim == SCRIBBLES);
    let reserved = accesses(moments).filter_map(|(moment, access)| {
        let is_claimed = (scribbles || !claimed.is_empty()) && is_own(moment);
        let offset = reserved_offset(access).filter(|_| !is_claimed)?;
        let who = &moment.site;
        Some(format!(
            "{} touched reserved offset {offset:#x} ({} {})",
            who.owner, who.function, who.place
        ))
    });
    complaints.extend(reserved.filter(|_| !other_device).take(MOST));
    if !claimed.is_empty() {
        complaints.extend(check_exact(&claimed, moments));
    }
    complaints
        .extend(claims(&case.claims, "memory ").filter_map(|text| check_memory(text, moments)));
    let is_known = |text: &str| {
        text.starts_with("access ") || text.starts_with("memory ") || text == SCRIBBLES
    };
    let unknown = case.claims.iter().filter(|text| !is_known(text));
    complaints.extend(unknown.map(|text| not_known(text)));
    complaints
}

/// Returns the complaint about an unknown claim.
fn not_known(claim: &str) -> String {
    format!("`{claim}` is not a known claim")
}

/// Returns the claims of a kind, without the kind.
fn claims<'a>(claims: &'a [String], kind: &'a str) -> impl Iterator<Item = &'a str> {
    claims
        .iter()
        .filter_map(move |claim| claim.strip_prefix(kind))
}

/// Returns the accesses among these moments.
fn accesses<'a>(moments: &'a [&Moment]) -> impl Iterator<Item = (&'a Moment, &'a Access)> {
    moments.iter().filter_map(|moment| match &moment.what {
        Happening::Access(access) => Some((*moment, access)),
        Happening::Sum(_) | Happening::Event(_) => None,
    })
}

/// Returns whether code of a test program did it, not the kernel on its behalf.
fn is_own(moment: &Moment) -> bool {
    !matches!(moment.site.owner.as_str(), "driver" | "kernel")
}

/// Returns the program's own accesses to registers.
fn own<'a>(moments: &'a [&Moment]) -> impl Iterator<Item = &'a Access> {
    let own = accesses(moments).filter(|(moment, _)| is_own(moment));
    own.map(|(_, access)| access)
        .filter(|access| in_registers(&access.place))
}

/// Returns the first reserved offset that an access reaches.
fn reserved_offset(access: &Access) -> Option<u64> {
    match access.place.space {
        Space::Reserved => Some(access.place.offset),
        Space::Register => pieces(access)
            .into_iter()
            .map(|piece| piece.offset)
            .find(|offset| Place::in_bar(REGISTER_BAR, *offset).space == Space::Reserved),
        Space::Memory | Space::MsixTable | Space::MsixPba | Space::Config => None,
    }
}

/// Checks the claim `memory read|write BYTES`: the program's own code moved so many bytes of device
/// memory, or more.
fn check_memory(claim: &str, moments: &[&Moment]) -> Option<String> {
    let parsed = claim.split_once(' ').and_then(|(verb, bytes)| {
        let write = match verb {
            "read" => false,
            "write" => true,
            _ => return None,
        };
        Some((write, bytes.parse::<u64>().ok()?))
    });
    let Some((write, claimed)) = parsed else {
        return Some(not_known(&format!("memory {claim}")));
    };
    let moved = |moment: &&&Moment| match &moment.what {
        Happening::Sum(sum) if sum.place.space == Space::Memory && sum.write == write => sum.bytes,
        _ => 0,
    };
    let own = moments.iter().filter(|moment| is_own(moment));
    let seen = own
        .map(|moment| moved(&moment))
        .fold(0, u64::saturating_add);
    let verb = verb(write);
    (seen < claimed).then(|| {
        format!("the program {verb} {seen} bytes of device memory; it claims {claimed} or more")
    })
}

/// Compares the accesses that a program claims with those of its own code.
fn check_exact(claimed: &[&str], moments: &[&Moment]) -> Vec<String> {
    let made: Vec<String> = own(moments)
        .flat_map(|access| {
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
            format!("access {number} was `{made}`; the program claims `{claimed}`")
        })
        .take(MOST)
        .collect();
    if claimed.len() != made.len() {
        differences.push(format!(
            "{} accesses were made; the program claims {}",
            made.len(),
            claimed.len()
        ));
    }
    differences
}

/// Returns whether a place lies in BAR 0.
pub(crate) fn in_registers(place: &Place) -> bool {
    matches!(place.space, Space::Register | Space::Reserved)
}

/// Returns an access in the words of a claim.
pub(crate) fn claim_of(access: &Access) -> String {
    in_words(
        access.write,
        access.place.offset,
        access.width,
        access.value,
    )
}

/// Returns direction, offset, width and value in the words of a claim.
pub(crate) fn in_words(write: bool, offset: u64, width: u32, value: Option<Hex>) -> String {
    let verb = if write { "write" } else { "read" };
    let value = value.map(|value| value.to_string()).unwrap_or_default();
    format!("{verb} {offset:#x} {width} {value}")
}

/// Compares the accesses of a phase with its claims and with the list in the driver's README.
fn check_phase(phase: &Phase, moments: &[&Moment]) -> Vec<String> {
    let Some(listed) = listed_for(&phase.name) else {
        let name = &phase.name;
        return vec![format!("guest-driver/README.md lists nothing for `{name}`")];
    };
    let mut complaints: Vec<String> = touches(moments)
        .filter(|touch| !listed.iter().any(|item| item.allows(touch)))
        .take(MOST)
        .map(|touch| {
            let who = &touch.moment.site;
            format!(
                "in `{}` the {} {} ({} {}), which is not listed",
                phase.name, who.owner, touch, who.function, who.place
            )
        })
        .collect();
    for claim in &phase.claims {
        let (kind, rest) = claim.split_once(' ').unwrap_or((claim, ""));
        match kind {
            "trapped" => complaints.extend(check_trapped(rest, moments)),
            "operations" => complaints.extend(check_operations(rest, moments)),
            "touches" if rest == "all" => {
                let missing = listed
                    .iter()
                    .filter(|item| !item.optional)
                    .filter(|item| !touches(moments).any(|touch| item.allows(&touch)));
                complaints.extend(missing.map(|item| {
                    let Listed { name, write, .. } = item;
                    let verb = verb(*write);
                    format!("`{}` lists {name}, which no access {verb}", phase.name)
                }));
            }
            _ => complaints.push(not_known(claim)),
        }
    }
    complaints
}

/// Returns a summary of a phase.
fn seen_in(phase: &Phase, moments: &[&Moment]) -> String {
    let (mut count, mut names) = (0u64, BTreeSet::new());
    for (_, access) in trapped(moments) {
        count = count.saturating_add(access.count);
        names.insert(access.place.register());
    }
    let names = Vec::from_iter(names).join(", ");
    let operations = match claims(&phase.claims, "operations ").next() {
        Some(_) => format!("{} operations with ", completions(moments)),
        None => String::new(),
    };
    let of = if names.is_empty() { "" } else { " of " };
    format!(
        "{}: {operations}{count} trapped accesses{of}{names}",
        phase.name
    )
}

/// Returns the trapped accesses to BAR 0.
fn trapped<'a>(moments: &'a [&Moment]) -> impl Iterator<Item = (&'a Moment, &'a Access)> {
    accesses(moments).filter(|(_, access)| access.trapped && in_registers(&access.place))
}

/// Checks the claim `trapped NAME MOST`: only this register trapped, at most so often.
fn check_trapped(claim: &str, moments: &[&Moment]) -> Option<String> {
    let parsed = claim
        .split_once(' ')
        .and_then(|(name, most)| Some((name, most.parse::<u64>().ok()?)));
    let Some((name, most)) = parsed else {
        return Some(not_known(&format!("trapped {claim}")));
    };
    let (mut count, mut other) = (0u64, None);
    for (moment, access) in trapped(moments) {
        count = count.saturating_add(access.count);
        if access.place.register() != name {
            other = other.or(Some((moment, access)));
        }
    }
    if let Some((moment, access)) = other {
        let who = &moment.site;
        return Some(format!(
            "{} trapped at {} ({} {}); the program claims that only {name} does",
            who.owner, access.place.name, who.function, who.place
        ));
    }
    (count > most).then(|| format!("{count} trapped accesses; the program claims at most {most}"))
}

/// Checks the claim `operations COUNT`: the device completed so many.
fn check_operations(claim: &str, moments: &[&Moment]) -> Option<String> {
    let Ok(claimed) = claim.parse::<u64>() else {
        return Some(not_known(&format!("operations {claim}")));
    };
    let completed = completions(moments);
    (completed != claimed).then(|| {
        format!("the device completed {completed} operations; the program claims {claimed}")
    })
}

/// Returns how many operations the device completed.
fn completions(moments: &[&Moment]) -> u64 {
    let is_completion = |moment: &&&Moment| matches!(&moment.what, Happening::Event(event) if matches!(event.what, What::Completion { .. }));
    moments.iter().filter(is_completion).count() as u64
}

/// An access to a register, or a piece of one, once for equal ones.
struct Touch<'a> {
    moment: &'a Moment,
    name: String,
    write: bool,
    value: Option<u128>,
}

impl std::fmt::Display for Touch<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {}", verb(self.write), self.name)?;
        match self.value {
            Some(value) if self.write => write!(f, " = {value:#x}"),
            _ => Ok(()),
        }
    }
}

/// Returns the verb of an access.
fn verb(write: bool) -> &'static str {
    if write {
        "wrote"
    } else {
        "read"
    }
}

/// Returns all accesses to registers, piece by piece, once for those that are only counted.
fn touches<'a>(moments: &'a [&Moment]) -> impl Iterator<Item = Touch<'a>> {
    moments.iter().flat_map(|moment| {
        let (write, touched) = match &moment.what {
            Happening::Access(access) if in_registers(&access.place) => {
                let parts = pieces(access).into_iter().flat_map(by_register);
                let touched = parts.map(|Piece { offset, value, .. }| (offset, value));
                (access.write, touched.collect())
            }
            Happening::Sum(sum) if in_registers(&sum.place) => {
                (sum.write, vec![(sum.place.offset, None)])
            }
            Happening::Access(_) | Happening::Sum(_) | Happening::Event(_) => (false, Vec::new()),
        };
        touched.into_iter().map(move |(offset, value)| Touch {
            moment,
            name: Place::in_bar(REGISTER_BAR, offset).register().to_owned(),
            write,
            value: value.map(|value: Hex| value.0),
        })
    })
}

/// A register that a phase may access.
#[derive(Debug, PartialEq, Eq)]
struct Listed {
    name: &'static str,
    write: bool,
    /// The only permitted value, if there is one.
    value: Option<u128>,
    /// The access may be missing.
    optional: bool,
}

impl Listed {
    /// Parses `` `NAME` `` or `` `NAME` = 0x1 ``, in brackets if the access may be missing.
    fn parse(item: &'static str, write: bool) -> Option<Self> {
        let item = item.trim();
        let inside = item
            .strip_prefix('(')
            .and_then(|rest| rest.strip_suffix(')'));
        let mut parts = inside.unwrap_or(item).split('`');
        let (_, name, rest) = (parts.next()?, parts.next()?, parts.next()?);
        let value = match rest.trim().strip_prefix("= 0x") {
            Some(digits) => Some(u128::from_str_radix(digits, 16).ok()?),
            None => None,
        };
        Some(Self {
            name,
            write,
            value,
            optional: inside.is_some(),
        })
    }

    /// Returns whether the list permits this access.
    fn allows(&self, touch: &Touch<'_>) -> bool {
        (self.name, self.write) == (touch.name.as_str(), touch.write)
            && self.value.is_none_or(|value| touch.value == Some(value))
    }
}

/// Returns the registers of a phase, from the row `| phase | reads | writes |` of the README.
fn listed_for(phase: &str) -> Option<Vec<Listed>> {
    let cells = readme::row(phase)?.take(2).zip([false, true]);
    let items = cells.flat_map(|(cell, write)| cell.split(',').map(move |item| (item, write)));
    items
        .map(|(item, write)| Listed::parse(item, write))
        .collect()
}

#[cfg(test)]
mod tests;
