// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Median and spread of values.

/// Distribution of values: the median, and the range that holds eight in ten.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The tenth percentile.
    pub low: f64,
    /// The median.
    pub median: f64,
    /// The ninetieth percentile.
    pub high: f64,
}

impl Spread {
    /// Returns the spread of these values, or `None` without values.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            low: percentile(&sorted, 0.1)?,
            median: percentile(&sorted, 0.5)?,
            high: percentile(&sorted, 0.9)?,
        })
    }
}

/// Returns the value below which this part of the sorted values lies. Interpolates between two
/// values.
fn percentile(sorted: &[f64], part: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = part * last as f64;
    let below = *sorted.get(place.floor() as usize)?;
    let above = *sorted.get(place.ceil() as usize)?;
    Some(below + (above - below) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_has_no_spread() {
        assert_eq!(Spread::of(&[]), None);
    }

    #[test]
    fn one_value_is_its_own_spread() {
        let spread = Spread::of(&[3.0]).expect("a value");
        assert_eq!((spread.low, spread.median, spread.high), (3.0, 3.0, 3.0));
    }

    #[test]
    fn order_of_the_values_does_not_matter() {
        let values = [5.0, 1.0, 4.0, 2.0, 3.0, 6.0, 9.0, 8.0, 7.0, 10.0, 11.0];
        let spread = Spread::of(&values).expect("values");
        assert_eq!((spread.low, spread.median, spread.high), (2.0, 6.0, 10.0));
    }

    #[test]
    fn median_of_an_even_number_lies_between() {
        let spread = Spread::of(&[1.0, 2.0]).expect("values");
        assert_eq!(spread.median, 1.5);
    }
}
