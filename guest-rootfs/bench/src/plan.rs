// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A row before it is measured: its halves and its goal.

use crate::{Bench, Error, Goal, LeftOut, Line, Op, Row};

/// Pairs per row.
pub const PAIRS: usize = 15;

/// Half of a pair. It returns a figure.
pub(crate) type Half = fn(&mut Bench) -> Result<f64, Error>;

/// Figures of numerator and denominator, or the reason for which there are none.
pub(crate) type Pairs = Result<Vec<(f64, f64)>, Error>;

/// Definition of a row.
pub struct Plan {
    /// Short name, which never changes.
    pub name: &'static str,
    /// What is divided by what, for people.
    pub(crate) what: &'static str,
    /// Unit that remains.
    pub(crate) unit: &'static str,
    /// Value that the row should reach, if it has one.
    pub(crate) goal: Option<Goal>,
    /// What is measured, its unit, and how.
    pub(crate) numerator: (&'static str, &'static str, Half),
    /// The same of what it is divided by.
    pub(crate) denominator: (&'static str, &'static str, Half),
}

impl Plan {
    /// Measures pairs one after the other, and returns the row.
    pub fn measure(&self, bench: &mut Bench, pairs: usize) -> Line {
        self.row((0..pairs).map(|number| self.pair(bench, number)).collect())
    }

    /// Measures both halves. They alternate in order, so that neither gains from coming second.
    pub(crate) fn pair(&self, bench: &mut Bench, number: usize) -> Result<(f64, f64), Error> {
        let ((_, _, above), (_, _, below)) = (self.numerator, self.denominator);
        if number.is_multiple_of(2) {
            let first = above(bench)?;
            Ok((first, below(bench)?))
        } else {
            let first = below(bench)?;
            Ok((above(bench)?, first))
        }
    }

    /// Returns the number of pairs in a round. Two servers that differ by a few hundredths take more
    /// pairs to tell apart.
    pub(crate) fn pairs_per_round(&self) -> usize {
        match self.name {
            "trapped-read-floor" | "trapped-read-peer" => 3,
            _ => 1,
        }
    }

    /// Returns the row of these pairs, or the reason for which there is none.
    pub(crate) fn row(&self, measured: Pairs) -> Line {
        let measured = measured.and_then(|pairs| {
            let names = (self.name, self.what, self.unit);
            let side = |(what, unit, _): (&'static str, &'static str, Half)| (what, unit);
            let sides = (side(self.numerator), side(self.denominator));
            let row = Row::new(names, self.goal, sides, &pairs);
            row.ok_or_else(|| Error::Missing("no pairs".into()))
        });
        match measured {
            Ok(row) => Line::Row(row),
            Err(error) => Line::LeftOut(LeftOut {
                name: self.name.to_owned(),
                reason: error.to_string(),
            }),
        }
    }
}

/// Returns a goal that is met below a value.
pub(crate) const fn at_most(value: f64) -> Option<Goal> {
    Some(Goal {
        op: Op::AtMost,
        value,
    })
}

/// Returns a goal that is met above a value.
pub(crate) const fn at_least(value: f64) -> Option<Goal> {
    Some(Goal {
        op: Op::AtLeast,
        value,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Plan {
        /// Returns a row of 6 to 2, which needs no device.
        pub(crate) fn of_nothing(name: &'static str) -> Self {
            Self {
                name,
                what: "six / two",
                unit: "x",
                goal: None,
                numerator: ("six", "1", |_| Ok(6.0)),
                denominator: ("two", "1", |_| Ok(2.0)),
            }
        }
    }

    #[test]
    fn row_has_the_ratio_of_its_halves() {
        let plan = Plan::of_nothing("ram");
        let line = plan.measure(&mut Bench::new("/dev/null", None), 4);

        let Line::Row(row) = line else {
            panic!("{line:?}");
        };
        assert_eq!((row.median, row.pairs), (3.0, 4));
    }
}
