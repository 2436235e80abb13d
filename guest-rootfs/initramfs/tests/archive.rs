// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests of whole archives, from the command line to the bytes.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use clap::Parser;
use ringbar_initramfs::archive;
use ringbar_initramfs::options::Options;

/// An entry as a reader sees it: name, type and permissions, size.
type Seen = (String, u32, u32);

fn build(arguments: &[String]) -> Vec<u8> {
    let fixed = ["ringbar-initramfs", "--output", "unused"].map(str::to_owned);
    let options = Options::parse_from(fixed.iter().chain(arguments));
    archive::build(&options.tree().expect("the arguments are right")).expect("the files are there")
}

fn arguments(source: &Path) -> Vec<String> {
    let source = source.display();
    vec![
        format!("--file=/init={source}:755"),
        "--dir=/proc".to_owned(),
        "--symlink=/bin/sh=busybox".to_owned(),
        format!("--file=/bin/busybox={source}:755"),
        "--node=/dev/console=c:5:1".to_owned(),
        format!("--file=/lib/modules/a.ko={source}"),
    ]
}

fn source(dir: &tempfile::TempDir) -> std::path::PathBuf {
    let path = dir.path().join("source");
    fs::write(&path, b"hello").expect("the folder is ours");
    path
}

/// Reads the format by its definition, independent of the crate that wrote it.
fn read(mut archive: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    loop {
        let field = |index: usize| {
            let start = 6 + index * 8;
            let digits =
                std::str::from_utf8(&archive[start..start + 8]).expect("headers are ASCII");
            u32::from_str_radix(digits, 16).expect("headers are hexadecimal")
        };
        assert_eq!(&archive[..6], b"070701");
        let (mode, size, name_size) = (field(1), field(6), field(11) as usize);
        assert_eq!((field(2), field(3), field(5)), (0, 0, 0), "owner and time");
        let name = String::from_utf8(archive[110..110 + name_size - 1].to_vec())
            .expect("names are UTF-8 here");
        if name == "TRAILER!!!" {
            return seen;
        }
        let data = (110 + name_size).next_multiple_of(4);
        archive = &archive[(data + size as usize).next_multiple_of(4)..];
        seen.push((name, mode, size));
    }
}

#[test]
fn archive_holds_what_was_asked_for() {
    let dir = tempfile::tempdir().expect("a temporary folder");

    let seen = read(&build(&arguments(&source(&dir))));

    let entry = |name: &str, mode, size| (name.to_owned(), mode, size);
    assert_eq!(
        seen,
        [
            entry("bin", 0o040_755, 0),
            entry("bin/busybox", 0o100_755, 5),
            entry("bin/sh", 0o120_777, 7),
            entry("dev", 0o040_755, 0),
            entry("dev/console", 0o020_600, 0),
            entry("init", 0o100_755, 5),
            entry("lib", 0o040_755, 0),
            entry("lib/modules", 0o040_755, 0),
            entry("lib/modules/a.ko", 0o100_644, 5),
            entry("proc", 0o040_755, 0),
        ]
    );
}

#[test]
fn order_of_arguments_does_not_matter() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let mut arguments = arguments(&source(&dir));
    let before = build(&arguments);

    arguments.reverse();

    assert_eq!(build(&arguments), before);
}

#[test]
fn time_and_permissions_of_a_source_do_not_matter() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let source = source(&dir);
    let before = build(&arguments(&source));

    File::options()
        .write(true)
        .open(&source)
        .and_then(|file| file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(1)))
        .and_then(|()| fs::set_permissions(&source, Permissions::from_mode(0o700)))
        .expect("the file is ours");

    assert_eq!(build(&arguments(&source)), before);
}

#[test]
fn contents_of_a_source_matter() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let source = source(&dir);
    let before = build(&arguments(&source));

    fs::write(&source, b"other").expect("the file is ours");

    assert_ne!(build(&arguments(&source)), before);
}

#[test]
fn missing_source_ends_with_its_name_and_no_archive() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let output = dir.path().join("archive");

    let ended = Command::new(env!("CARGO_BIN_EXE_ringbar-initramfs"))
        .arg("--output")
        .arg(&output)
        .arg("--file=/init=/nonexistent/init:755")
        .output()
        .expect("the program starts");

    assert_eq!(ended.status.code(), Some(1));
    let message = String::from_utf8_lossy(&ended.stderr);
    assert!(message.contains("/nonexistent/init"), "{message}");
    assert!(!output.exists());
}

#[test]
fn unwritable_output_ends_with_its_name_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let output = dir.path().join("occupied");
    fs::create_dir(&output).expect("the folder is ours");

    let ended = Command::new(env!("CARGO_BIN_EXE_ringbar-initramfs"))
        .arg("--output")
        .arg(&output)
        .output()
        .expect("the program starts");

    assert_eq!(ended.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("occupied"));
    assert_eq!(
        fs::read_dir(dir.path())
            .expect("the folder is ours")
            .count(),
        1
    );
}

#[test]
fn second_implementation_lists_the_same_names() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let archive = build(&arguments(&source(&dir)));
    let path = dir.path().join("archive");
    fs::write(&path, &archive).expect("the folder is ours");

    let Ok(listed) = Command::new("cpio")
        .args(["--list", "--quiet"])
        .stdin(Stdio::from(File::open(&path).expect("just written")))
        .output()
    else {
        eprintln!("skipped: this host has no cpio program");
        return;
    };

    let names: Vec<_> = read(&archive).into_iter().map(|(name, ..)| name).collect();
    let listed = String::from_utf8_lossy(&listed.stdout);
    assert_eq!(listed.lines().collect::<Vec<_>>(), names);
}
