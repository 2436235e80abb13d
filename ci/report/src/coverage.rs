// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! What a run exercised, and what not.

use std::collections::{BTreeMap, BTreeSet};

use ringbar_spec::error::ErrorCode;
use ringbar_spec::regs::{Register, ERROR_LAST, IRQ_CAUSE};
use ringbar_spec::ring::{Opcode, Status};
use ringbar_trace::place::{register_at, Space};
use ringbar_trace::record::{Access, What};

use crate::names::Site;
use crate::run::{Happening, Run};

/// The same access so often in a row is waiting by reading.
const SPIN: u64 = 100;

/// What was exercised.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    /// By register, all there are.
    pub(crate) registers: Vec<RegisterUse>,
    /// By name, with how often. Nothing if the device wrote no events.
    pub(crate) opcodes: Vec<(&'static str, u64)>,
    pub(crate) statuses: Vec<(&'static str, u64)>,
    /// By name, with how often it was seen in the error log or in an event.
    pub(crate) errors: Vec<(&'static str, u64)>,
    /// By name, with how often the driver side saw it set, or the device raised a vector for it.
    pub(crate) causes: Vec<(&'static str, u64)>,
    /// What the device does not model, with who touched it.
    pub(crate) unknown: BTreeMap<(Space, u64, Site), u64>,
    /// Registers that code waited for by reading them over and over.
    pub(crate) spins: BTreeMap<(String, Site), u64>,
    /// Whether the device wrote events.
    pub(crate) has_events: bool,
}

/// What was done to a register.
#[derive(Debug)]
pub(crate) struct RegisterUse {
    pub(crate) register: Register,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) widths: BTreeSet<u32>,
    /// Fields that had a bit set in a value read or written, of all of them.
    pub(crate) fields: Vec<(&'static str, bool)>,
}

impl Coverage {
    /// Counts.
    pub(crate) fn of(run: &Run) -> Self {
        let mut coverage = Self::default();
        let mut bits = BTreeMap::<Register, u64>::new();
        let mut uses = BTreeMap::<Register, RegisterUse>::new();
        let mut codes = Codes::default();
        for moment in &run.moments {
            match &moment.what {
                Happening::Access(access) => {
                    coverage.access(access, &moment.site);
                    codes.access(access);
                    if let Some(register) = of_register(access) {
                        count(
                            uses.entry(register)
                                .or_insert_with(|| RegisterUse::none(register)),
                            access,
                        );
                        *bits.entry(register).or_default() |= value_in_register(access);
                    }
                }
                Happening::Sum(sum) => {
                    if let Some((register, ..)) =
                        register_at(sum.place.offset).filter(|_| sum.place.space == Space::Register)
                    {
                        let used = uses
                            .entry(register)
                            .or_insert_with(|| RegisterUse::none(register));
                        let side = if sum.write {
                            &mut used.writes
                        } else {
                            &mut used.reads
                        };
                        *side = side.saturating_add(sum.count);
                        if !sum.write {
                            let key = (sum.place.name.clone(), moment.site.clone());
                            *coverage.spins.entry(key).or_default() += sum.count;
                        }
                    }
                }
                Happening::Event(event) => {
                    coverage.has_events = true;
                    codes.event(&event.what);
                }
            }
        }
        let all = Register::ALL.iter().copied();
        coverage.registers = all
            .map(|register| {
                let mut used = uses
                    .remove(&register)
                    .unwrap_or_else(|| RegisterUse::none(register));
                let bits = bits.get(&register).copied().unwrap_or_default();
                let fields = register.info().fields.iter();
                used.fields = fields
                    .map(|field| (field.name, bits & field.mask() != 0))
                    .collect();
                used
            })
            .collect();
        coverage.opcodes = named(Opcode::ALL, |code| codes.opcodes.get(&code.0));
        coverage.statuses = named(Status::ALL, |code| codes.statuses.get(&code.0));
        coverage.errors = named(ErrorCode::ALL, |code| codes.errors.get(&code.0));
        coverage.causes = IRQ_CAUSE::INFO
            .fields
            .iter()
            .map(|field| {
                (
                    field.name,
                    codes.causes.get(field.name).copied().unwrap_or_default(),
                )
            })
            .collect();
        coverage
    }

    fn access(&mut self, access: &Access, site: &Site) {
        if access.place.space == Space::Reserved {
            let key = (Space::Reserved, access.place.offset, site.clone());
            *self.unknown.entry(key).or_default() += access.count;
        }
        if access.place.space == Space::Register && access.count >= SPIN && !access.write {
            let key = (access.place.name.clone(), site.clone());
            *self.spins.entry(key).or_default() += access.count;
        }
    }
}

/// Codes by number, with how often.
#[derive(Default)]
struct Codes {
    opcodes: BTreeMap<u16, u64>,
    statuses: BTreeMap<u16, u64>,
    errors: BTreeMap<u16, u64>,
    causes: BTreeMap<&'static str, u64>,
}

impl Codes {
    fn access(&mut self, access: &Access) {
        let value = access.value.map_or(0, |value| value.0 as u32);
        match of_register(access) {
            Some(Register::ERROR_LAST) if access.width == 4 => {
                let code = ERROR_LAST::from_raw(value).code() as u16;
                *self.errors.entry(code).or_default() += access.count;
            }
            Some(Register::IRQ_CAUSE) if !access.write => self.causes(value, access.count),
            _ => {}
        }
    }

    fn event(&mut self, what: &What) {
        match what {
            What::Descriptor { opcode, .. } => *self.opcodes.entry(*opcode).or_default() += 1,
            What::Completion { status, .. } => *self.statuses.entry(*status).or_default() += 1,
            What::Error { code, .. } => *self.errors.entry(*code).or_default() += 1,
            What::Interrupt { vector } => self.causes(cause_of(*vector).into_raw(), 1),
            What::Register { .. } => {}
        }
    }

    /// Those whose bits are set in a value of `IRQ_CAUSE`.
    fn causes(&mut self, value: u32, count: u64) {
        for field in IRQ_CAUSE::INFO.fields {
            if u64::from(value) & field.mask() != 0 {
                *self.causes.entry(field.name).or_default() += count;
            }
        }
    }
}

/// What a vector stands for; a queue that shares the one of errors cannot be told from them.
fn cause_of(vector: u16) -> IRQ_CAUSE {
    IRQ_CAUSE::zeroed()
        .with_error(vector == 0)
        .with_completion(vector != 0)
}

impl RegisterUse {
    fn none(register: Register) -> Self {
        Self {
            register,
            reads: 0,
            writes: 0,
            widths: BTreeSet::new(),
            fields: Vec::new(),
        }
    }
}

fn count(used: &mut RegisterUse, access: &Access) {
    let side = if access.write {
        &mut used.writes
    } else {
        &mut used.reads
    };
    *side = side.saturating_add(access.count);
    used.widths.insert(access.width);
}

fn of_register(access: &Access) -> Option<Register> {
    let found = register_at(access.place.offset)?;
    (access.place.space == Space::Register).then_some(found.0)
}

/// What was read or written, at the bits of the register.
fn value_in_register(access: &Access) -> u64 {
    let byte = register_at(access.place.offset).map_or(0, |(_, _, byte)| byte);
    let value = access.value.map_or(0, |value| value.0 as u64);
    value.checked_shl(8 * byte as u32).unwrap_or_default()
}

fn named<'a, T>(
    all: &'static [(T, &'static str)],
    count: impl Fn(&T) -> Option<&'a u64>,
) -> Vec<(&'static str, u64)> {
    all.iter()
        .map(|(code, name)| (*name, count(code).copied().unwrap_or_default()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::tests::{event, moment, sum};

    fn of(happenings: Vec<Happening>) -> Coverage {
        Coverage::of(&Run {
            moments: happenings.into_iter().map(moment).collect(),
            ..Run::default()
        })
    }

    /// Registers that were waited for, with how often.
    fn spins(coverage: &Coverage) -> Vec<(&str, u64)> {
        let spins = coverage.spins.iter();
        spins
            .map(|((name, _), count)| (name.as_str(), *count))
            .collect()
    }

    #[test]
    fn reads_that_were_only_counted_are_waiting() {
        let reads = || Happening::Sum(sum(0x10, false, 3));

        assert_eq!(spins(&of(vec![reads(), reads()])), [("STATUS", 6)]);
    }

    #[test]
    fn writes_that_were_only_counted_are_no_waiting() {
        let coverage = of(vec![Happening::Sum(sum(0x10, true, 3))]);

        assert_eq!(spins(&coverage), []);
    }

    #[test]
    fn vectors_that_were_raised_tell_causes_apart() {
        let raised = |vector| event(What::Interrupt { vector });

        let causes = |vectors: &[u16]| of(vectors.iter().copied().map(raised).collect()).causes;

        assert_eq!(causes(&[0]), [("error", 1), ("completion", 0)]);
        assert_eq!(causes(&[1, 2]), [("error", 0), ("completion", 2)]);
    }
}
