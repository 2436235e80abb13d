// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The guest's part of `make bench`: a case a row. A case passes also if its goal is missed or it
//! cannot be measured: the table tells.

use ringbar_bench::{plans, Bench, Outside, PAIRS};
use ringbar_tests::{run_all, Case, Runner, NODE};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = plans().into_iter().map(|plan| {
        Case::new(plan.name, move || {
            let outside = Runner::find().map(|runner| Box::new(Host(runner)) as Box<dyn Outside>);
            let line = plan.measure(&mut Bench::new(NODE, outside), PAIRS);
            let line = serde_json::to_string(&line).expect("a row can be written as JSON");
            println!("# bench {line}");
        })
    });
    run_all(cases.collect())
}

/// The machine that the guest runs on.
struct Host(Runner);

impl Outside for Host {
    fn measure(&mut self, what: &str) -> Result<f64, String> {
        let figure = self.0.ask(&format!("measure {what}"))?;
        figure
            .parse()
            .map_err(|error| format!("the runner answered {figure:?}: {error}"))
    }
}
