// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One line of a KTAP stream.

/// Largest indentation that is reported; a deeper line gets this one. It bounds the depth of the tree of results.
const MAX_INDENT: usize = 64;

/// A line and its indentation.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Indentation in characters.
    pub(super) indent: usize,
    /// Content of the line.
    pub(super) kind: Kind<'a>,
}

/// Kinds of lines.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// `KTAP version 1`: a level begins.
    Version,
    /// `1..4`: this many results follow or came before.
    Plan(u64),
    /// `# Subtest: name`: the results of `name` follow.
    Subtest(&'a str),
    /// `ok` or `not ok`.
    Result(ResultLine<'a>),
    /// `Bail out! reason`.
    BailOut(&'a str),
    /// `# text`.
    Comment(&'a str),
    /// A line that is none of these.
    Other(&'a str),
}

/// A parsed result line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResultLine<'a> {
    /// Whether it begins with `ok`, not with `not ok`.
    pub(super) ok: bool,
    /// Number, if there is one.
    pub(super) number: Option<u64>,
    /// Name of the test, possibly empty.
    pub(super) name: &'a str,
    /// Directive after ` # `, if there is one.
    pub(super) directive: Option<Directive<'a>>,
}

/// A directive and its reason.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    /// Kind of directive.
    pub(super) kind: DirectiveKind,
    /// Rest of the line.
    pub(super) reason: &'a str,
}

/// Directives of KTAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DirectiveKind {
    /// The test did not run, for a reason.
    Skip,
    /// The test is known to fail for now.
    Todo,
    /// The test is expected to fail.
    ExpectedFailure,
    /// The test took too long.
    Timeout,
    /// The test could not run.
    Error,
}

/// Parses one line, whose line feed is cut off already. Any text is accepted: the guest may be broken.
pub(super) fn parse(text: &str) -> Line<'_> {
    let text = text.trim_end();
    let body = text.trim_start();
    let indent = text.chars().take_while(|c| c.is_whitespace()).count();
    Line {
        indent: indent.min(MAX_INDENT),
        kind: kind(body),
    }
}

/// Returns the kind of a line whose indentation is cut off.
fn kind(body: &str) -> Kind<'_> {
    if let Some(reason) = body.strip_prefix("Bail out!") {
        return Kind::BailOut(reason.trim());
    }
    if let Some(name) = body.strip_prefix("# Subtest:") {
        return Kind::Subtest(name.trim());
    }
    if let Some(comment) = body.strip_prefix('#') {
        return Kind::Comment(comment.trim());
    }
    if body.starts_with("KTAP version ") || body.starts_with("TAP version ") {
        return Kind::Version;
    }
    plan(body)
        .map(Kind::Plan)
        .or_else(|| result(body).map(Kind::Result))
        .unwrap_or(Kind::Other(body))
}

/// Parses `1..N`. Text after a space is ignored.
fn plan(body: &str) -> Option<u64> {
    let rest = body.strip_prefix("1..")?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Parses a result line.
fn result(body: &str) -> Option<ResultLine<'_>> {
    let (ok, rest) = match body.strip_prefix("not ok") {
        Some(rest) => (false, rest),
        None => (true, body.strip_prefix("ok")?),
    };
    if !(rest.is_empty() || rest.starts_with(char::is_whitespace)) {
        return None;
    }
    let rest = rest.trim_start();
    let (number, rest) = split_number(rest);
    let rest = rest.strip_prefix("- ").unwrap_or(rest);
    let (name, directive) = split_directive(rest);
    Some(ResultLine {
        ok,
        number,
        name,
        directive,
    })
}

/// Splits the number of a result from the rest, if there is one.
fn split_number(rest: &str) -> (Option<u64>, &str) {
    let (word, tail) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    match word.parse() {
        Ok(number) => (Some(number), tail.trim_start()),
        Err(_) => (None, rest),
    }
}

/// Splits `name # SKIP reason`. A `#` without a directive after it belongs to the name.
fn split_directive(rest: &str) -> (&str, Option<Directive<'_>>) {
    let mut splits = rest.match_indices('#').filter_map(|(at, _)| {
        let (name, tail) = rest.split_at_checked(at)?;
        let hash_begins_word = name.is_empty() || name.ends_with(char::is_whitespace);
        let directive = read_directive(tail.strip_prefix('#')?.trim_start())?;
        hash_begins_word.then_some((name.trim_end(), Some(directive)))
    });
    splits.next().unwrap_or((rest, None))
}

/// Parses a directive and its reason.
fn read_directive(text: &str) -> Option<Directive<'_>> {
    let (word, reason) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let kind = match word.trim_end_matches(':').to_ascii_uppercase().as_str() {
        "SKIP" => DirectiveKind::Skip,
        "TODO" => DirectiveKind::Todo,
        "XFAIL" => DirectiveKind::ExpectedFailure,
        "TIMEOUT" => DirectiveKind::Timeout,
        "ERROR" => DirectiveKind::Error,
        _ => return None,
    };
    Some(Directive {
        kind,
        reason: reason.trim(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn result_of(text: &str) -> ResultLine<'_> {
        result(text).expect("a result line")
    }

    #[test]
    fn version_line_is_known() {
        assert_eq!(parse("KTAP version 1\r").kind, Kind::Version);
    }

    #[test]
    fn plan_gives_its_count() {
        assert_eq!(parse("    1..12").kind, Kind::Plan(12));
    }

    #[test]
    fn plan_of_nothing_may_have_a_reason() {
        assert_eq!(parse("1..0 # SKIP no device").kind, Kind::Plan(0));
    }

    #[test]
    fn plan_that_overflows_is_not_a_plan() {
        let line = parse("1..99999999999999999999999");

        assert_eq!(line.kind, Kind::Other("1..99999999999999999999999"));
    }

    #[test]
    fn subtest_gives_its_name() {
        assert_eq!(parse("# Subtest: poke").kind, Kind::Subtest("poke"));
    }

    #[test]
    fn passed_result_has_number_and_name() {
        let result = result_of("ok 1 ident_reads_magic");

        assert!(result.ok);
        assert_eq!(result.number, Some(1));
        assert_eq!(result.name, "ident_reads_magic");
    }

    #[test]
    fn failed_result_is_not_ok() {
        assert!(!result_of("not ok 2 scratch").ok);
    }

    #[test]
    fn dash_before_the_name_is_dropped() {
        assert_eq!(result_of("ok 3 - name").name, "name");
    }

    #[test]
    fn result_without_a_number_keeps_its_name() {
        let result = result_of("ok name of it");

        assert_eq!(result.number, None);
        assert_eq!(result.name, "name of it");
    }

    #[test]
    fn bare_ok_is_a_result() {
        assert_eq!(result_of("ok").name, "");
    }

    #[test]
    fn word_beginning_with_ok_is_not_a_result() {
        assert_eq!(parse("okay 1 x").kind, Kind::Other("okay 1 x"));
    }

    #[test]
    fn skip_has_a_reason() {
        let result = result_of("ok 3 foo # SKIP no such part");

        assert_eq!(result.name, "foo");
        assert_eq!(
            result.directive,
            Some(Directive {
                kind: DirectiveKind::Skip,
                reason: "no such part",
            })
        );
    }

    #[test]
    fn directive_needs_no_name_and_no_capitals() {
        let result = result_of("ok 3 # todo");

        assert_eq!(result.name, "");
        assert_eq!(result.directive.map(|d| d.kind), Some(DirectiveKind::Todo));
    }

    #[test]
    fn number_sign_in_a_name_stays_there() {
        let result = result_of("ok 1 case #7 # of nine # XFAIL known");

        assert_eq!(result.name, "case #7 # of nine");
        assert_eq!(
            result.directive.map(|d| d.kind),
            Some(DirectiveKind::ExpectedFailure)
        );
    }

    #[test]
    fn bail_out_gives_its_reason() {
        let line = parse("Bail out! cannot load ringbar.ko: ENOEXEC");

        assert_eq!(line.kind, Kind::BailOut("cannot load ringbar.ko: ENOEXEC"));
    }

    #[test]
    fn indentation_is_counted_and_bounded() {
        let deep = format!("{}ok 1", " ".repeat(1000));

        assert_eq!(parse("    ok 1").indent, 4);
        assert_eq!(parse(&deep).indent, MAX_INDENT);
    }

    proptest! {
        #[test]
        fn any_text_is_accepted(text in any::<String>()) {
            parse(&text);
        }

        #[test]
        fn any_result_line_comes_back(
            ok in any::<bool>(),
            number in any::<u64>(),
            name in "[a-z][a-z0-9_]{0,20}",
        ) {
            let word = if ok { "ok" } else { "not ok" };
            let text = format!("{word} {number} {name}");

            let expected = ResultLine { ok, number: Some(number), name: &name, directive: None };
            prop_assert_eq!(result(&text), Some(expected));
        }
    }
}
