// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The guest's part of `make bench`: one case per round, which measures a pair for each row, and a
//! last case that prints the rows. A case passes even if a goal is missed or a row cannot be
//! measured. The table shows that.

use ringbar_bench::{plans, Bench, Outside, Rounds, PAIRS};
use ringbar_tests::{node, parameter, run_all, Case, Runner, NODE};
use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

fn main() -> ExitCode {
    let rounds = Rc::new(RefCell::new(Rounds::new(plans())));
    let round = |number: usize| {
        let rounds = rounds.clone();
        Case::new(format!("round_{number}"), move || {
            let outside = Runner::find().map(|runner| Box::new(Host(runner)) as Box<dyn Outside>);
            let mut bench = Bench::new(NODE, outside);
            if let Some(number) = brokered() {
                bench = bench.with_brokered(node(number));
            }
            rounds.borrow_mut().measure(&mut bench);
        })
    };
    let mut cases: Vec<_> = (1..=PAIRS).map(round).collect();
    cases.push(Case::new("rows", move || {
        for line in rounds.replace(Rounds::new(Vec::new())).lines() {
            let line = serde_json::to_string(&line).expect("a row can be written as JSON");
            println!("# bench {line}");
        }
    }));
    run_all(cases)
}

/// Returns the number of the device whose server is behind a broker, if `ci/vm.sh` names one.
fn brokered() -> Option<u32> {
    parameter::number("ringbar.brokered")?.try_into().ok()
}

/// The host, through the runner.
struct Host(Runner);

impl Outside for Host {
    fn measure(&mut self, what: &str) -> Result<f64, String> {
        let figure = self.0.ask(&format!("measure {what}"))?;
        figure
            .parse()
            .map_err(|error| format!("the runner answered {figure:?}: {error}"))
    }
}
