// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kit detects the known defects of the server of the crate `vfio_user` 0.1.7, and passes its
//! correct parts. Otherwise a green server might be one whose defects the kit cannot see.

mod server;

use std::collections::BTreeSet;
use std::time::Duration;

use ringbar_conformance::cases;
use ringbar_conformance::judge::{Judge, Selected, Verdict};
use ringbar_conformance::outcome::Stop;
use ringbar_conformance::target::Target;

/// Time after which a server counts as hung. A case in which it hangs must only fail.
const SHORT: Duration = Duration::from_secs(2);
/// The kit's default.
const LONG: Duration = Duration::from_secs(30);

/// Has `run` judge the crate's server by the named cases.
fn judge<T>(
    names: &[&str],
    timeout: Duration,
    run: impl FnOnce(&mut Judge, &[Selected]) -> T,
) -> T {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    server::start(&path);
    let mut judge = Judge::new(Target::new(path, timeout, None), 1, 1000).unwrap();
    let selected: Vec<_> = cases::select(&[], &[])
        .into_iter()
        .filter(|selected| names.contains(&selected.name().as_str()))
        .collect();
    assert_eq!(
        selected.len(),
        names.len(),
        "a case has another name now: {names:?}"
    );
    run(&mut judge, &selected)
}

/// Returns the verdict of each of the named cases.
fn verdicts(names: &[&str], timeout: Duration) -> Vec<Verdict> {
    judge(names, timeout, |judge, cases| {
        let verdicts = cases.iter().map(|case| judge.run(*case, &|_, _| ()));
        verdicts.collect()
    })
}

fn is_seen(verdict: &Verdict) -> bool {
    matches!(verdict.outcome, Err(Stop::Failed(_)))
}

#[track_caller]
fn assert_seen(names: &[&str]) {
    for verdict in verdicts(names, SHORT) {
        assert!(
            is_seen(&verdict),
            "{} is not seen: {:?}",
            verdict.selected.name(),
            verdict.outcome
        );
    }
}

#[track_caller]
fn assert_fine(names: &[&str]) {
    for verdict in verdicts(names, LONG) {
        assert_eq!(verdict.outcome, Ok(()), "{}", verdict.selected.name());
    }
}

#[test]
fn payload_of_unsupported_commands_that_is_not_drained_is_seen() {
    assert_seen(&[
        "header/command-0-is-refused-and-drained",
        "header/every-unknown-command-up-to-255-is-refused",
        "header/unknown-command-of-the-longest-payload-is-drained",
        "header/payload-that-looks-like-a-message-is-not-carried-out",
        "write-multi/unless-offered-is-refused-and-drained",
        "other/region-io-fds-stays-in-step",
        "other/dma-write-from-a-client-is-refused-and-drained",
        "other/feature-probe-stays-in-step",
        "fds/with-unknown-command-are-closed",
    ]);
}

#[test]
fn payload_of_refused_messages_that_is_not_drained_is_seen() {
    assert_seen(&[
        "irqs/bool-for-an-unknown-type-is-refused-and-drained",
        "irqs/bool-with-4096-bytes-of-data-stays-in-step",
        "region/write-to-region-4294967295-is-refused-and-drained",
        "region/write-to-a-region-behind-the-last-is-refused-and-drained",
        "info/device-with-8-bytes-too-many-stays-in-step",
        "dma/map-cut-short-by-a-byte-is-refused",
        "replies/every-command-with-4096-bytes-of-payload-stays-in-step",
    ]);
}

#[test]
fn refusals_without_an_error_number_are_seen() {
    assert_seen(&[
        "replies/refused-dma-map-has-a-reason",
        "replies/read-refused-for-its-range-has-a-reason",
        "replies/refused-write-has-a-reason",
        "replies/refused-unknown-command-has-a-reason",
        "dma/map-over-the-same-range-is-refused-with-eexist",
    ]);
}

#[test]
fn error_replies_to_commands_that_want_none_are_seen() {
    assert_seen(&[
        "dma/map-refused-with-no-reply-is-silent",
        "info/device-with-no-reply-is-silent",
        "irqs/refused-with-no-reply-is-silent",
        "region/read-with-no-reply-is-silent",
        "replies/every-command-with-no-reply-has-none",
    ]);
}

#[test]
fn short_read_of_a_header_is_seen() {
    assert_seen(&[
        "drip/get-info-split-at-every-byte",
        "drip/version-split-at-every-byte",
        "drip/every-message-byte-by-byte",
    ]);
}

#[test]
fn unchecked_type_and_size_are_seen() {
    assert_seen(&[
        "header/unrequested-reply-is-not-carried-out",
        "header/type-2-is-not-carried-out",
        "header/size-0-is-not-carried-out",
        "header/size-15-is-not-carried-out",
        "header/size-of-4-gib-is-not-carried-out",
        "header/size-of-the-header-alone-is-refused-where-a-payload-is-due",
    ]);
}

#[test]
fn version_that_is_not_checked_or_wrongly_refused_is_seen() {
    assert_seen(&[
        "version/without-data-is-accepted",
        "version/empty-object-is-accepted",
        "version/second-version-is-refused-or-closed",
        "version/get-info-before-it-is-not-carried-out",
        "version/dma-map-before-it-is-not-carried-out",
        "version/no-payload-is-refused",
    ]);
}

#[test]
fn reads_and_writes_without_limits_are_seen() {
    assert_seen(&[
        "region/write-with-count-4294967295-is-refused",
        "region/write-with-less-data-than-count-is-refused",
        "region/write-with-more-data-than-count-is-refused",
    ]);
}

#[test]
fn unchecked_fields_of_dma_and_interrupts_are_seen() {
    assert_seen(&[
        "dma/map-with-argsz-0-is-refused",
        "dma/map-with-unknown-flag-bit-31-is-refused",
        "dma/map-of-half-a-page-is-refused",
        "dma/map-beyond-the-end-of-the-file-is-refused",
        "dma/unmap-with-unknown-flag-is-refused",
        "irqs/fewer-descriptors-than-count-are-refused",
        "irqs/range-that-overflows-is-refused",
        "irqs/flags-0-are-refused",
        "irqs/mask-of-an-unmaskable-type-is-refused",
    ]);
}

/// The server sends the pieces one right after the other. On a busy machine both have often come
/// before the judge runs, in each of the replies that it watches.
#[test]
fn reply_in_two_pieces_is_seen_sooner_or_later() {
    const TRIES: usize = 50;
    let mut tries =
        (0..TRIES).flat_map(|_| verdicts(&["replies/read-reply-comes-in-one-piece"], SHORT));
    assert!(
        tries.any(|verdict| is_seen(&verdict)),
        "not seen in {TRIES} tries"
    );
}

#[test]
fn correct_server_passes() {
    assert_fine(&[
        "header/id-0-is-echoed",
        "header/64-messages-at-once-are-answered-in-order",
        "version/as-qemu-sends-it-is-accepted",
        "version/reply-is-not-longer-than-the-request-of-qemu",
        "dma/map-with-file-is-accepted",
        "dma/map-with-two-files-closes-both",
        "dma/unmap-reply-repeats-the-request",
        "info/every-region-is-answered-with-its-index",
        "info/region-capabilities-are-left-out-if-there-is-no-room",
        "info/region-sparse-areas-are-pages-inside-the-region",
        "info/region-file-covers-the-mappable-areas",
        "irqs/one-eventfd-is-connected",
        "irqs/replaced-eventfd-is-closed",
        "region/read-of-all-of-config-space-is-accepted",
        "region/100-writes-with-no-reply-and-a-read-have-one-reply",
        "other/reset-is-accepted",
        "fds/with-get-info-are-closed",
        "fds/connected-as-interrupts-are-closed-with-the-connection",
        "replies/get-info-reply-comes-in-one-piece",
        "disconnect/in-dma-map",
        "disconnect/with-the-writing-half-only-is-the-end-all-the-same",
        "robustness/client-that-comes-back-50-times-is-served",
        "robustness/interrupts-go-with-their-client",
    ]);
}

#[test]
fn many_cases_at_once_are_sorted_by_their_results() {
    let failed = "dma/map-of-half-a-page-is-refused";
    let skipped = "other/reset-of-a-device-without-reset-is-refused";
    let passed = "header/id-0-is-echoed";

    let (reasons, names) = judge(&[failed, skipped, passed], SHORT, Judge::run_all);

    assert_eq!(reasons.len(), 1, "{reasons:?}");
    assert!(
        reasons[0].starts_with(&format!("{failed}: ")),
        "{reasons:?}"
    );
    assert_eq!(names, BTreeSet::from([skipped.to_owned()]));
}
