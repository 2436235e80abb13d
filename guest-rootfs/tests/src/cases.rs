// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Cases, and the functions of a program that are cases.

use linkme::distributed_slice;
use std::borrow::Cow;

/// A reason not to run a case here. It is printed beside the case's name.
#[derive(Clone, Debug)]
pub struct Skip(pub Cow<'static, str>);

/// The return type of a case's function: nothing, or a reason not to run it here.
pub trait Outcome {
    /// Returns the same as a `Result`.
    fn into_result(self) -> Result<(), Skip>;
}

impl Outcome for () {
    fn into_result(self) -> Result<(), Skip> {
        Ok(())
    }
}

impl Outcome for Result<(), Skip> {
    fn into_result(self) -> Result<(), Skip> {
        self
    }
}

/// A case. It passes unless it panics or returns [`Skip`].
pub struct Case {
    pub(crate) name: Cow<'static, str>,
    pub(crate) body: Box<dyn FnOnce() -> Result<(), Skip>>,
    turn: usize,
}

impl Case {
    /// Makes a case of a name and a function.
    pub fn new<T: Outcome>(
        name: impl Into<Cow<'static, str>>,
        body: impl FnOnce() -> T + 'static,
    ) -> Self {
        Self {
            name: name.into(),
            body: Box::new(|| body().into_result()),
            turn: 0,
        }
    }

    /// Puts the case behind all cases of earlier turns. The default is turn 0.
    pub fn in_turn(mut self, turn: usize) -> Self {
        self.turn = turn;
        self
    }
}

/// Returns functions of one type with their names: `steps![Step: one, two]`. For cases that are
/// steps of a story, each of which goes on where the last one ended.
#[macro_export]
macro_rules! steps {
    ($type:ty: $($step:ident),* $(,)?) => { [$((stringify!($step), $step as $type)),*] };
}

impl From<Case> for Vec<Case> {
    fn from(case: Case) -> Self {
        vec![case]
    }
}

/// A function that [`case`](ringbar_case::case) marks. Only that attribute writes this.
pub struct Listed {
    /// Path of its module, and the line of the attribute.
    pub place: (&'static str, u32),
    /// Makes its case or cases.
    pub make: fn() -> Vec<Case>,
}

/// The functions of the program that [`case`](ringbar_case::case) marks, in the linker's order.
#[distributed_slice]
pub static CASES: [Listed];

/// Makes the cases of marked functions and sorts them by turn, module and line. The linker's order
/// may differ from build to build. The root of a program is its first module. The others follow by
/// name, which is the order that rustfmt keeps in `main.rs`.
pub(crate) fn in_order(marked: &[Listed]) -> Vec<Case> {
    let mut marked: Vec<_> = marked.iter().collect();
    marked.sort_by_key(|function| function.place);
    let mut cases: Vec<_> = marked.iter().flat_map(|it| (it.make)()).collect();
    cases.sort_by_key(|case| case.turn);
    cases
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(cases: Vec<Case>) -> Vec<Cow<'static, str>> {
        cases.into_iter().map(|case| case.name).collect()
    }

    #[test]
    fn cases_are_sorted_by_module_and_line() {
        let at = |place, make| Listed { place, make };
        let marked = [
            at(("program::two", 8), || Case::new("two_8", || ()).into()),
            at(("program::one", 70), || Case::new("one_70", || ()).into()),
            at(("program::one", 9), || Case::new("one_9", || ()).into()),
            at(("program", 99), || Case::new("root", || ()).into()),
        ];

        assert_eq!(
            names(in_order(&marked)),
            ["root", "one_9", "one_70", "two_8"]
        );
    }

    #[test]
    fn turns_come_before_places() {
        let at = |line, make| Listed {
            place: ("program", line),
            make,
        };
        let marked = [
            at(1, || in_turns("read")),
            at(2, || in_turns("write")),
            at(3, || Case::new("no_turn", || ()).into()),
        ];

        assert_eq!(
            names(in_order(&marked)),
            ["no_turn", "read_1", "write_1", "read_2", "write_2"]
        );
    }

    fn in_turns(name: &str) -> Vec<Case> {
        let case = |turn| Case::new(format!("{name}_{turn}"), || ()).in_turn(turn);
        (1..3).map(case).collect()
    }

    #[test]
    fn skipped_case_returns_its_reason() {
        let case = Case::new("skipped", || Err(Skip("on purpose".into())));
        let skip = (case.body)().expect_err("skipped");

        assert_eq!(skip.0, "on purpose");
    }
}
