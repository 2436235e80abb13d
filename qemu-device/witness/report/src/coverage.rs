// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Coverage: the registers, fields, operations and errors that a run used.

use std::collections::{BTreeMap, BTreeSet};

use ringbar_records::place::{Place, Space};
use ringbar_records::record::{Access, What};
use ringbar_spec::error::ErrorCode;
use ringbar_spec::names::{self, NamedByte};
use ringbar_spec::regs::{ERROR_LAST, IRQ_CAUSE};
use ringbar_spec::ring::{Opcode, Status};
use ringbar_spec::RegisterInfo;

use crate::names::Site;
use crate::run::{Happening, Run};

/// Equal reads in a row from which on they count as polling.
const SPIN: u64 = 100;

/// Coverage of a run.
#[derive(Debug, Default)]
pub(crate) struct Coverage {
    /// Use of every register, and of every field of a shared page.
    pub(crate) registers: Vec<RegisterUse>,
    /// Names with counts. Empty if the device wrote no events.
    pub(crate) opcodes: Vec<(&'static str, u64)>,
    pub(crate) statuses: Vec<(&'static str, u64)>,
    /// Names with counts, from the error log and from events.
    pub(crate) errors: Vec<(&'static str, u64)>,
    /// Names with counts: how often the driver side read the cause as set, or the device raised a
    /// vector for it.
    pub(crate) causes: Vec<(&'static str, u64)>,
    /// Accesses to offsets that the device does not model, with their code.
    pub(crate) unknown: BTreeMap<(Space, u64, Site), u64>,
    /// Registers that code polled.
    pub(crate) spins: BTreeMap<(String, Site), u64>,
    /// Whether the device wrote events.
    pub(crate) has_events: bool,
}

/// Use of a register, or of a field of a shared page.
#[derive(Debug)]
pub(crate) struct RegisterUse {
    pub(crate) info: &'static RegisterInfo,
    pub(crate) reads: u64,
    pub(crate) writes: u64,
    pub(crate) widths: BTreeSet<u32>,
    /// All fields, and whether a bit of each was set in a value read or written.
    pub(crate) fields: Vec<(&'static str, bool)>,
}

impl Coverage {
    /// Counts the accesses and events of a run.
    pub(crate) fn of(run: &Run) -> Self {
        let mut coverage = Self::default();
        let mut bits = BTreeMap::<&str, u64>::new();
        let mut uses = BTreeMap::<&str, RegisterUse>::new();
        let mut codes = Codes::default();
        for moment in &run.moments {
            match &moment.what {
                Happening::Access(access) => {
                    coverage.access(access, &moment.site);
                    codes.access(access);
                    if let Some(NamedByte { info, byte, .. }) = named_byte(&access.place) {
                        count(
                            uses.entry(info.name)
                                .or_insert_with(|| RegisterUse::none(info)),
                            access,
                        );
                        *bits.entry(info.name).or_default() |= value_in_register(access, byte);
                    }
                }
                Happening::Sum(sum) => {
                    if let Some(NamedByte { info, .. }) = named_byte(&sum.place) {
                        let used = uses
                            .entry(info.name)
                            .or_insert_with(|| RegisterUse::none(info));
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
        coverage.registers = names::all()
            .map(|info| {
                let mut used = uses
                    .remove(info.name)
                    .unwrap_or_else(|| RegisterUse::none(info));
                let bits = bits.get(info.name).copied().unwrap_or_default();
                let fields = info.fields.iter();
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

    /// Counts an access to an unknown offset, and polling.
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

/// Codes by number, with counts.
#[derive(Default)]
struct Codes {
    opcodes: BTreeMap<u16, u64>,
    statuses: BTreeMap<u16, u64>,
    errors: BTreeMap<u16, u64>,
    causes: BTreeMap<&'static str, u64>,
}

impl Codes {
    /// Counts the codes in the value of an access.
    fn access(&mut self, access: &Access) {
        let value = access.value.map_or(0, |value| value.0 as u32);
        let info = named_byte(&access.place).map(|it| it.info);
        if info == Some(&ERROR_LAST::INFO) && access.width == 4 {
            let code = ERROR_LAST::from_raw(value).code() as u16;
            *self.errors.entry(code).or_default() += access.count;
        }
        if info == Some(&IRQ_CAUSE::INFO) && !access.write {
            self.causes(value, access.count);
        }
    }

    /// Counts the codes in an event.
    fn event(&mut self, what: &What) {
        match what {
            What::Descriptor { opcode, .. } => *self.opcodes.entry(*opcode).or_default() += 1,
            What::Completion { status, .. } => *self.statuses.entry(*status).or_default() += 1,
            What::Error { code, .. } => *self.errors.entry(*code).or_default() += 1,
            What::Interrupt { vector } => self.causes(cause_of(*vector).into_raw(), 1),
            What::Register { .. } => {}
        }
    }

    /// Counts the causes whose bits are set in a value of `IRQ_CAUSE`.
    fn causes(&mut self, value: u32, count: u64) {
        for field in IRQ_CAUSE::INFO.fields {
            if u64::from(value) & field.mask() != 0 {
                *self.causes.entry(field.name).or_default() += count;
            }
        }
    }
}

/// Returns the cause of a vector. A queue that shares vector 0 with errors cannot be distinguished
/// from them.
fn cause_of(vector: u16) -> IRQ_CAUSE {
    IRQ_CAUSE::zeroed()
        .with_error(vector == 0)
        .with_completion(vector != 0)
}

impl RegisterUse {
    /// Returns a register without uses.
    fn none(info: &'static RegisterInfo) -> Self {
        Self {
            info,
            reads: 0,
            writes: 0,
            widths: BTreeSet::new(),
            fields: Vec::new(),
        }
    }
}

/// Counts an access to a register.
fn count(used: &mut RegisterUse, access: &Access) {
    let side = if access.write {
        &mut used.writes
    } else {
        &mut used.reads
    };
    *side = side.saturating_add(access.count);
    used.widths.insert(access.width);
}

/// Returns the byte of a register or field at a place.
fn named_byte(place: &Place) -> Option<NamedByte> {
    NamedByte::at(place.offset).filter(|_| place.space == Space::Register)
}

/// Returns the value of an access from `byte` of a register on, shifted to its bits there.
fn value_in_register(access: &Access, byte: usize) -> u64 {
    let value = access.value.map_or(0, |value| value.0 as u64);
    value.checked_shl(8 * byte as u32).unwrap_or_default()
}

/// Returns all names with their counts.
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
    use crate::run::tests::{access, event, moment, sum};
    use ringbar_records::record::Hex;
    use ringbar_spec::regs::STATUS;

    fn of(happenings: Vec<Happening>) -> Coverage {
        Coverage::of(&Run {
            moments: happenings.into_iter().map(moment).collect(),
            ..Run::default()
        })
    }

    /// Returns the registers that were polled, with counts.
    fn spins(coverage: &Coverage) -> Vec<(&str, u64)> {
        let spins = coverage.spins.iter();
        spins
            .map(|((name, _), count)| (name.as_str(), *count))
            .collect()
    }

    #[test]
    fn counted_reads_are_polling() {
        let reads = || Happening::Sum(sum(0x10, false, 3));

        assert_eq!(spins(&of(vec![reads(), reads()])), [("STATUS", 6)]);
    }

    #[test]
    fn counted_writes_are_not_polling() {
        let coverage = of(vec![Happening::Sum(sum(0x10, true, 3))]);

        assert_eq!(spins(&coverage), []);
    }

    #[test]
    fn only_long_read_runs_count_as_polling() {
        let row = |write, count| {
            Happening::Access(Access {
                count,
                ..access(0x10, write, 1)
            })
        };

        assert_eq!(spins(&of(vec![row(false, SPIN)])), [("STATUS", SPIN)]);
        assert_eq!(spins(&of(vec![row(false, SPIN - 1)])), []);
        assert_eq!(spins(&of(vec![row(true, SPIN)])), []);
    }

    #[test]
    fn register_has_its_reads_writes_widths_and_the_fields_that_were_set() {
        let narrow = Access {
            width: 2,
            ..access(0x14, true, 2)
        };
        let coverage = of(vec![
            Happening::Access(access(0x14, false, 0)),
            Happening::Access(narrow),
        ]);

        assert_eq!(coverage.registers.len(), names::all().count());
        let used = |wanted: RegisterInfo| {
            let mut registers = coverage.registers.iter();
            registers.find(|used| *used.info == wanted).expect("all")
        };
        let cause = used(IRQ_CAUSE::INFO);
        assert_eq!((cause.reads, cause.writes), (1, 1));
        assert_eq!(Vec::from_iter(&cause.widths), [&2, &4]);
        assert_eq!(cause.fields, [("error", true), ("completion", false)]);
        let status = used(STATUS::INFO);
        assert_eq!((status.reads, status.writes), (0, 0));
    }

    #[test]
    fn reserved_offset_is_unknown_with_its_author() {
        let coverage = of(vec![Happening::Access(access(0x800, true, 1))]);

        let unknown = [((Space::Reserved, 0x800, Site::default()), 1)];
        assert_eq!(coverage.unknown, BTreeMap::from(unknown));
    }

    #[test]
    fn opcodes_statuses_and_errors_come_from_the_devices_events() {
        let coverage = of(vec![
            event(What::Descriptor {
                queue: 0,
                opcode: Opcode::COPY.0,
                tag: Hex(1),
                length: 1,
            }),
            event(What::Completion {
                queue: 0,
                tag: Hex(1),
                status: Status::BAD_WINDOW.0,
                result: Hex(0),
            }),
            event(What::Error {
                code: ErrorCode::BAD_WIDTH.0,
                queue: None,
                value: Hex(0),
            }),
        ]);

        let seen = |codes: &[(&'static str, u64)]| {
            let seen = codes.iter().filter(|(_, count)| *count > 0);
            seen.copied().collect::<Vec<_>>()
        };
        assert!(coverage.has_events);
        assert_eq!(coverage.opcodes.len(), Opcode::ALL.len());
        assert_eq!(seen(&coverage.opcodes), [("COPY", 1)]);
        assert_eq!(seen(&coverage.statuses), [("BAD_WINDOW", 1)]);
        assert_eq!(seen(&coverage.errors), [("BAD_WIDTH", 1)]);
    }

    #[test]
    fn error_that_is_read_in_the_log_counts() {
        let error = ERROR_LAST::zeroed().with_code(ErrorCode::BAD_WIDTH.0.into());
        let read = access(
            ERROR_LAST::INFO.offset as u64,
            false,
            error.into_raw().into(),
        );

        let coverage = of(vec![Happening::Access(read)]);

        assert!(coverage.errors.contains(&("BAD_WIDTH", 1)));
        assert!(!coverage.has_events);
    }

    #[test]
    fn raised_vectors_distinguish_the_causes() {
        let raised = |vector| event(What::Interrupt { vector });

        let causes = |vectors: &[u16]| of(vectors.iter().copied().map(raised).collect()).causes;

        assert_eq!(causes(&[0]), [("error", 1), ("completion", 0)]);
        assert_eq!(causes(&[1, 2]), [("error", 0), ("completion", 2)]);
    }
}
