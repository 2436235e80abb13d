// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Whole runs in a checkout of a few lines. A script stands for cargo: it lists two mutants of the
//! model as cargo-mutants does, and the tests of a user of the model notice the first one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

/// Folders that the parts name.
const FOLDERS: [&str; 11] = [
    "qemu-device/model/src",
    "qemu-device/driver-side",
    "qemu-device/spec",
    "qemu-device/vfio-user/protocol",
    "qemu-device/vfio-user/endpoint",
    "qemu-device/vfio-user/examples/sum",
    "qemu-device/vfio-user/broker",
    "qemu-device/proof/liar",
    "qemu-device/proof/lies",
    "guest-driver/uapi",
    "guest-rootfs",
];

/// Stands for cargo. `$RUNS` gets a line per mutant that runs, `$STOP` is a mutant during which the
/// caller is stopped. Each mutant deletes a line of one letter.
const CARGO: &str = r#"#!/bin/bash
set -eu
entry() {
	printf '{"name": "qemu-device/model/src/a.rs:%s:1: %s", "file": "qemu-device/model/src/a.rs", "replacement": "",
		"span": {"start": {"line": %s, "column": 1}, "end": {"line": %s, "column": 2}}}' "$1" "$2" "$1" "$1"
}
case "$*" in
*--list*--package=ringbar-model*) echo "[$(entry 1 'delete one'), $(entry 2 'delete two')]" ;;
*--list*) echo '[]' ;;
test*)
	echo '     Running tests/rules.rs (/b/deps/rules-0123456789abcdef)'
	name=
	if ! sed -n 1p qemu-device/model/src/a.rs | grep -q '^[a-z]'; then name=one; fi
	if ! sed -n 2p qemu-device/model/src/a.rs | grep -q '^[a-z]'; then name=two; fi
	if [[ -n $name && ${STOP:-} == "$name" ]]; then
		kill -TERM $PPID
		sleep 1000
	fi
	if [[ -n $name && $* == *--lib* ]]; then echo "$name" >>"$RUNS"; fi
	if [[ ($name == one && $* == *--package=ringbar-driver-side*) || ($name == two && -e qemu-device/model/src/test) ]]; then
		echo "test notices_$name ... FAILED"
		exit 101
	fi
	;;
esac
"#;

/// A checkout with a folder for the work.
struct Fixture {
    place: TempDir,
}

impl Fixture {
    /// Makes the checkout.
    fn new() -> Self {
        let fixture = Self {
            place: tempfile::tempdir().expect("a folder"),
        };
        for folder in FOLDERS {
            fixture.write(&format!("checkout/{folder}/other"), "");
        }
        fixture.write("checkout/qemu-device/model/src/a.rs", "x\ny\n");
        fixture.write("checkout/ci/cargo.sh", CARGO);
        let script = fixture.path("checkout/ci/cargo.sh");
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("a mode");
        fixture.write("checkout/ci/mutants.sh", "");
        fixture.write("survivors", "");
        fixture
    }

    /// Returns the path of a file.
    fn path(&self, name: &str) -> std::path::PathBuf {
        self.place.path().join(name)
    }

    /// Writes a file.
    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    /// Runs mutants of the model with these arguments.
    fn run(&self, args: &[&str], stop: &str) -> Output {
        Command::new(env!("CARGO_BIN_EXE_ringbar-mutants"))
            .arg("--checkout")
            .arg(self.path("checkout"))
            .arg("--work")
            .arg(self.path("work"))
            .arg("--reasons")
            .arg(self.path("survivors"))
            .args(["--part", "model"])
            .args(args)
            .env("RUNS", self.path("runs"))
            .env("STOP", stop)
            .output()
            .expect("a run")
    }

    /// Returns the mutants that have run so far, in order.
    fn runs(&self) -> Vec<String> {
        let text = fs::read_to_string(self.path("runs")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// Returns the row of the model.
fn row(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout);
    let row = text.lines().find(|line| line.starts_with("| model |"));
    row.unwrap_or_else(|| {
        panic!(
            "no table: {text}{}",
            String::from_utf8_lossy(&output.stderr)
        )
    })
    .to_owned()
}

#[test]
fn second_run_goes_on_where_the_first_one_ended() {
    let fixture = Fixture::new();
    let first = fixture.run(&["--count", "1"], "");
    assert!(
        row(&first).starts_with("| model | 2 | 2 | 1 |"),
        "{}",
        row(&first)
    );
    let second = fixture.run(&[], "");
    assert_eq!(
        row(&second),
        "| model | 2 | 2 | 2 | 1 | 0 | 1 | 0 | 0 | 50.0 % |"
    );
    let mut runs = fixture.runs();
    runs.sort();
    assert_eq!(runs, ["one", "two"], "a mutant ran twice");
    assert_eq!(second.status.code(), Some(1), "one survived");
    let third = fixture.run(&[], "");
    assert_eq!(row(&third), row(&second));
    assert_eq!(fixture.runs().len(), 2);
}

#[test]
fn stopped_run_keeps_its_results_and_leaves_the_checkout_alone() {
    let fixture = Fixture::new();
    let stopped = fixture.run(&["--only", "delete"], "two");
    assert_eq!(stopped.status.code(), Some(130));
    assert!(
        row(&stopped).starts_with("| model | 2 | 2 | 1 | 1 |"),
        "{}",
        row(&stopped)
    );
    let text =
        fs::read_to_string(fixture.path("checkout/qemu-device/model/src/a.rs")).expect("a file");
    assert_eq!(text, "x\ny\n");
    fixture.run(&[], "");
    assert_eq!(fixture.runs(), ["one", "two"]);
}

#[test]
fn changed_source_makes_results_void() {
    let fixture = Fixture::new();
    fixture.run(&[], "");
    fixture.write("checkout/qemu-device/model/src/a.rs", "x\nz\n");
    let table = fixture.run(&["--count", "0"], "");
    assert_eq!(row(&table), "| model | 2 | 2 | 0 | 0 | 0 | 0 | 0 | 0 | - |");
}

#[test]
fn new_test_has_the_survivor_run_again_and_no_other() {
    let fixture = Fixture::new();
    fixture.run(&[], "");
    fixture.write("checkout/qemu-device/model/src/test", "");
    let after = fixture.run(&[], "");
    assert_eq!(
        row(&after),
        "| model | 2 | 2 | 2 | 2 | 0 | 0 | 0 | 0 | 100.0 % |"
    );
    assert_eq!(after.status.code(), Some(0));
    assert_eq!(
        fixture.runs().iter().filter(|name| *name == "one").count(),
        1
    );
}

#[test]
fn explained_survivor_is_good_until_a_test_notices_it() {
    let fixture = Fixture::new();
    fixture.write(
        "survivors",
        "qemu-device/model/src/a.rs: delete two | both are the same\n",
    );
    let explained = fixture.run(&["--only", "two"], "");
    assert_eq!(
        explained.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&explained.stdout)
    );
    fixture.write("checkout/qemu-device/model/src/test", "");
    let caught = fixture.run(&["--only", "two"], "");
    assert_eq!(caught.status.code(), Some(1));
    let text = String::from_utf8_lossy(&caught.stdout).into_owned();
    assert!(
        text.contains("wrong reason: qemu-device/model/src/a.rs: delete two: "),
        "{text}"
    );
}
