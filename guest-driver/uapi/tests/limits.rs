// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Holds the table of limits in `guest-driver/README.md` to the module's parameters.

const README: &str = include_str!("../../README.md");
const MODULE: &str = include_str!("../../ringbar_main.rs");

/// Names and defaults of the parameters in the module's declaration, where each begins with a line
/// `name: u32 {` and has a line `default: 1 << 2,`.
fn declared() -> Vec<(String, u64)> {
    let (_, parameters) = MODULE
        .split_once("params: {")
        .expect("there are parameters");
    let mut found = Vec::new();
    let mut name = None;
    for line in parameters.lines().map(str::trim) {
        if let Some((start, _)) = line.split_once(": u").filter(|_| line.ends_with('{')) {
            name = Some(start.to_owned());
        } else if let Some(default) = line.strip_prefix("default: ") {
            let value = value(default.trim_end_matches(','));
            found.push((name.take().expect("a name comes first"), value));
        }
    }
    found
}

/// A number, or one that is shifted.
fn value(expression: &str) -> u64 {
    let number = |text: &str| -> u64 { text.trim().parse().expect("a number") };
    match expression.split_once("<<") {
        Some((value, places)) => number(value) << number(places),
        None => number(expression),
    }
}

/// Names and defaults in the README's table.
fn documented() -> Vec<(String, u64)> {
    let rows = README.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split("` | ");
        let name = cells.next()?;
        let (default, _) = cells.next()?.split_once(" |")?;
        Some((name.to_owned(), default.parse().ok()?))
    });
    rows.collect()
}

#[test]
fn limits_in_the_readme_are_those_of_the_module() {
    let (documented, declared) = (documented(), declared());
    let lines = |what: &str, rows: &[(String, u64)], others: &[(String, u64)]| -> String {
        let rows = rows.iter().filter(|row| !others.contains(row));
        rows.map(|(name, default)| format!("\n  {what}| `{name}` | {default} |"))
            .collect()
    };
    assert!(
        documented == declared,
        "guest-driver/README.md, the table of limits, rows in the order of `params` in ringbar_main.rs:{}{}",
        lines("write there: ", &declared, &documented),
        lines("take out:    ", &documented, &declared)
    );
    assert_eq!(declared.len(), 8);
}
