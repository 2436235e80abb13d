// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests of pages with small and with large runs.

use super::*;
use crate::names::Site;
use crate::operations;
use ringbar_records::place::{Place, Space};
use ringbar_records::record::{Access, Hex};
use serde_json::json;

fn access(case: usize) -> Moment {
    Moment {
        case,
        phase: None,
        site: Site {
            owner: "dma".to_owned(),
            function: "a_function_with_a_name_of_usual_length".to_owned(),
            place: "guest-rootfs/tests/src/bin/dma.rs:100".to_owned(),
        },
        what: Happening::Access(Access {
            time: 1,
            cpu: 0,
            pc: Hex(0),
            callers: vec![],
            place: Place::in_bar(0, 0),
            width: 4,
            write: false,
            value: Some(Hex(1)),
            trapped: true,
            count: 1,
            until: None,
        }),
    }
}

fn page(run: &Run, bench: Option<&Benchmark>) -> String {
    let coverage = Coverage::of(run);
    page_of(run, bench, &coverage, vec![])
}

fn page_of(
    run: &Run,
    bench: Option<&Benchmark>,
    coverage: &Coverage,
    runs: Vec<TestRun>,
) -> String {
    render(&Content {
        results: &Results { runs },
        run,
        coverage,
        testimony: &Testimony::default(),
        operations: &operations::of(run),
        bench,
        versions: Some("QEMU_VERSION=1:11.1.99\nQEMU_SERIES=1:11.1.\n"),
        commands: &[],
    })
}

/// Returns a run with so many programs, and as many cases and failures in each.
fn results(many: usize) -> TestRun {
    let case = json!({ "name": "a_case_with_a_name_of_usual_length", "outcome": "passed" });
    let program = json!({ "name": "dma", "outcome": "passed", "parts": vec![case; many] });
    let failure = json!({ "message": "it failed", "details": vec!["a line of a log"; many] });
    let run = json!({
        "name": "run", "seconds": 1.0, "good": false, "passed": 0, "failed": 0, "skipped": 0,
        "configuration": {}, "guest": [], "again": "make run",
        "programs": vec![program; many], "failures": vec![failure; many],
    });
    serde_json::from_value(run).expect("a run")
}

#[test]
fn story_of_a_case_is_shown_and_other_diagnostics_are_not() {
    let mut run = results(1);
    run.programs[0].parts[0].diagnostics = ["| after <00>", "seed 5"].map(str::to_owned).into();

    let page = page_of(&Run::default(), None, &Coverage::default(), vec![run]);

    assert!(page.contains("<pre>after &lt;00&gt;\n</pre>"));
    assert!(!page.contains("seed 5"));
}

#[test]
fn seeds_of_a_program_are_one_line() {
    let mut run = results(20);
    for (number, part) in (10..).zip(&mut run.programs[0].parts) {
        part.diagnostics = vec![format!("seed {number}"), "seed 10".to_owned()];
    }

    let page = page_of(&Run::default(), None, &Coverage::default(), vec![run]);

    let line = "10, 11, 12, 13, 14, 15, 16, 17 and 12 more in results.ktap";
    assert_eq!(page.matches("seeds of").count(), 1);
    assert!(page.contains(line), "{page}");
}

#[test]
fn verdicts_differ_without_colours() {
    let mut run = results(3);
    for (outcome, part) in ["failed", "crashed", "skipped"]
        .iter()
        .zip(&mut run.programs[0].parts)
    {
        part.outcome = (*outcome).to_owned();
    }

    let page = page_of(&Run::default(), None, &Coverage::default(), vec![run]);

    for words in ["✗ FAILED", "✓ passed", "✗ failed", "✗ crashed", "– skipped"] {
        assert!(page.contains(words), "{words}");
    }
}

/// Returns a page with all pictures.
fn pictured() -> String {
    let run = Run {
        recorded: true,
        cases: vec![Case::default()],
        ..operations::tests::example()
    };
    page(&run, Some(&crate::bench::tests::example()))
}

#[test]
fn page_needs_no_style_inside_it() {
    let page = pictured();

    assert!(page.contains("<link rel=\"stylesheet\" href=\"report.css\">"));
    assert!(
        !page.contains(" style="),
        "an attribute that a server may forbid"
    );
    let shapes = page.split('<').filter(|tag| {
        let name = tag.split([' ', '>']).next();
        matches!(name, Some("rect" | "line" | "circle"))
    });
    let mut count = 0;
    for shape in shapes {
        let tag = shape.split('>').next().unwrap_or_default();
        assert!(
            tag.contains("fill=") || tag.contains("stroke="),
            "black without a style: {tag}"
        );
        count += 1;
    }
    assert!(count > 20, "{count}");
}

/// Returns the links to the sections of a page.
fn nav(page: &str) -> &str {
    let (_, nav) = page.split_once("<nav>").expect("links");
    nav.split_once("</nav>").expect("an end").0
}

/// Returns the anchors to which these links lead.
fn anchors(nav: &str) -> Vec<&str> {
    let links = nav.split("href=\"#").skip(1);
    links.filter_map(|link| link.split('"').next()).collect()
}

#[test]
fn links_to_sections_stand_apart_and_lead_somewhere() {
    let page = pictured();

    let nav = nav(&page);
    assert!(nav.contains("</a> <a"), "{nav}");
    let anchors = anchors(nav);
    assert!(anchors.len() > 5, "{nav}");
    for id in anchors {
        assert!(page.contains(&format!(" id=\"{id}\"")), "{id}");
    }
}

#[test]
fn each_section_of_a_page_has_a_link_and_each_link_a_section() {
    let bare = Run {
        recorded: true,
        ..Run::default()
    };
    let pages = [
        (pictured(), 8),
        (page(&bare, None), 6),
        (page(&Run::default(), None), 3),
    ];

    for (page, count) in pages {
        let headings = page.split("<h2 id=\"").skip(1);
        let sections: Vec<_> = headings.filter_map(|it| it.split('"').next()).collect();
        assert_eq!(sections.len(), count, "{sections:?}");
        assert_eq!(anchors(nav(&page)), sections);
    }
}

#[test]
fn printed_page_is_light_and_shows_the_cases() {
    let (_, print) = STYLE.split_once("@media print").expect("a style for paper");

    for words in [
        "color-scheme: light",
        "--text: #000",
        "table.programs details::details-content",
    ] {
        assert!(print.contains(words), "{words}");
    }
    let page = page_of(
        &Run::default(),
        None,
        &Coverage::default(),
        vec![results(1)],
    );
    assert!(page.contains("<table class=\"programs\">"));
}

#[test]
fn run_of_some_programs_names_the_command_for_all() {
    let some = |tests: &str| {
        let mut run = results(1);
        run.configuration.insert("tests".to_owned(), tests.into());
        page_of(&Run::default(), None, &Coverage::default(), vec![run])
    };

    assert!(some("tour,dma").contains("make run TESTS=all"));
    assert!(!some("all").contains("make run TESTS=all"));
}

#[test]
fn page_of_a_long_run_has_its_limit() {
    let run = Run {
        recorded: true,
        cases: vec![Case::default(); 1000],
        moments: (0..1000).flat_map(|case| vec![access(case); 100]).collect(),
        ..Run::default()
    };

    let page = page(&run, None);

    assert!(page.len() <= LARGEST, "{}", page.len());
    assert!(
        page.contains("dma.rs:100"),
        "nothing of the timeline is left"
    );
}

#[test]
fn page_with_long_tables_has_its_limit_and_counts_the_omitted_rows() {
    let run = Run {
        recorded: true,
        ..Run::default()
    };
    let many = 20_000;
    let site = || access(0).site;
    let coverage = Coverage {
        unknown: (0..many)
            .map(|offset| ((Space::Reserved, offset, site()), 1))
            .collect(),
        spins: (0..many)
            .map(|number| ((format!("REGISTER {number}"), site()), 1))
            .collect(),
        ..Coverage::default()
    };

    let page = page_of(&run, None, &coverage, vec![results(300)]);

    assert!(page.len() <= LARGEST, "{}", page.len());
    for words in ["0x0", "REGISTER 0", "dma", "more are left out"] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn benchmark_is_shown_with_goals_met_and_missed() {
    let bench = crate::bench::tests::example();

    let page = page(&Run::default(), Some(&bench));

    for words in ["at least 150, ✓ met", "at most 1.03, ✗ missed", "<circle"] {
        assert!(page.contains(words), "{words}");
    }
}

#[test]
fn versions_are_those_that_the_run_had() {
    let page = page(&Run::default(), None);

    assert!(page.contains("1:11.1.99"));
    assert!(!page.contains("QEMU_SERIES"));
    assert!(!page.contains("LINUX_VERSION"), "a pinned one is shown");
}

#[test]
fn pinned_versions_are_parsed() {
    assert!(versions(PINNED).any(|(name, _)| name == "QEMU_VERSION"));
}

#[test]
fn figure_has_only_significant_digits() {
    let figures = [0.0, 0.0123, 0.5, 1.034, 12.34, 2_100_000.0].map(figure);

    assert_eq!(figures, ["0", "1.23e-2", "0.50", "1.03", "12.3", "2100000"]);
}
