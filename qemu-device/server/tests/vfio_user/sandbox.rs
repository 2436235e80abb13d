// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The sandbox of a real server, as the kernel shows it and as the server reports it.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use ringbar_driver_side::descriptors::nop;
use ringbar_server::options::InterruptKind;
use seccompiler::{apply_filter, BpfProgram, SeccompAction, SeccompFilter};
use vfio_user::Client;

use crate::guest::Guest;
use crate::process::{command, text, Running};

impl Running {
    /// Returns a file of its folder in `/proc`.
    fn proc(&self, name: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{name}", self.child.id())).unwrap()
    }

    /// Returns a limit by name, soft and hard.
    fn limit(&self, name: &str) -> Vec<String> {
        let limits = self.proc("limits");
        let line = limits.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap()
            .split_whitespace()
            .take(2)
            .map(str::to_owned)
            .collect()
    }
}

/// Returns the log lines before the one with which the server begins to listen.
fn log_until_it_listens(child: &mut Child) -> Vec<String> {
    BufReader::new(child.stderr.as_mut().unwrap())
        .lines()
        .map(Result::unwrap)
        .take_while(|line| !line.starts_with("listening on"))
        .collect()
}

/// Returns the targets of a process's descriptors, by number.
fn descriptors(process: u32) -> BTreeMap<u32, String> {
    fs::read_dir(format!("/proc/{process}/fd"))
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let number = entry.file_name().to_str().unwrap().parse().unwrap();
            let target = fs::read_link(entry.path()).unwrap();
            (number, target.to_str().unwrap().to_owned())
        })
        .collect()
}

/// Runs a program in a kernel that does not have a system call.
fn without(call: libc::c_long, arguments: &[&str]) -> Output {
    let filter: BpfProgram = SeccompFilter::new(
        BTreeMap::from([(call, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::ENOSYS.unsigned_abs()),
        ARCH.try_into().unwrap(),
    )
    .unwrap()
    .try_into()
    .unwrap();
    thread::scope(|scope| {
        // The filter is the thread's own, and passes to the programs that it starts.
        scope
            .spawn(|| {
                apply_filter(&filter).unwrap();
                command().args(arguments).output().unwrap()
            })
            .join()
            .unwrap()
    })
}

fn printed(arguments: &[&str]) -> String {
    let output = command().args(arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    text(&output.stdout)
}

fn print_json(arguments: &[&str]) -> serde_json::Value {
    let arguments = [&["--print-sandbox=json"], arguments].concat();
    serde_json::from_str(&printed(&arguments)).unwrap()
}

#[test]
fn all_threads_are_filtered_and_get_no_privileges() {
    let server = Running::start(&[]);
    let _client = Client::new(&server.socket).unwrap();

    let mut threads = 0;
    for task in fs::read_dir(format!("/proc/{}/task", server.child.id())).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
        assert!(status.contains("\nNoNewPrivs:\t1\n"), "{status}");
        assert!(status.contains("\nSeccomp:\t2\n"), "{status}");
        threads += 1;
    }
    // One each for the signals, the device and the client.
    assert_eq!(threads, 3);
}

#[test]
fn kernel_shows_the_limits_of_the_options() {
    let options = ["--queues", "7", "--interrupts", "msix"];
    let server = Running::start(&options);
    let told = print_json(&options);

    let shown = ["Max open files", "Max data size", "Max core file size"]
        .map(|name| server.limit(name))
        .concat();

    let told: Vec<String> = told["values"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|limit| [limit["value"].to_string(), limit["value"].to_string()])
        .collect();
    assert_eq!(shown, told);
}

#[test]
fn waiting_server_has_no_descriptor_but_those_it_needs() {
    let folder = tempfile::tempdir().unwrap();
    // The shell leaves it a descriptor that it does not need.
    let mut child = Command::new("sh")
        .args(["-c", "exec 9</dev/null; exec \"$0\" --socket \"$1\""])
        .arg(command().get_program())
        .arg(folder.path().join("socket"))
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    log_until_it_listens(&mut child);
    let kinds: Vec<String> = descriptors(child.id())
        .split_off(&3)
        .into_values()
        .map(|target| target.split(['[', ' ']).next().unwrap().to_owned())
        .collect();
    child.kill().unwrap();
    child.wait().unwrap();

    assert_eq!(
        kinds,
        [
            // It listens.
            "socket:",
            // Those of the device.
            "/memfd:ringbar-shared-pages",
            "/memfd:ringbar-device-memory",
            "/memfd:ringbar-shared-pages",
            "/memfd:ringbar-device-memory",
            // For signals.
            "socket:",
            "socket:",
        ]
    );
}

#[test]
fn client_that_goes_leaves_no_descriptor() {
    let server = Running::start(&[]);
    let count = || {
        let mut guest = Guest::attach(&server.socket, InterruptKind::Msix);
        guest.set_up();
        guest.carry_out(&nop(1));
        descriptors(server.child.id()).len()
    };

    let first = count();
    let later: Vec<usize> = (0..5).map(|_| count()).collect();

    assert_eq!(later, [first; 5]);
}

#[test]
fn sandbox_is_on_without_any_option() {
    let report = print_json(&[]);

    for part in ["no_new_privs", "seccomp", "limits"] {
        assert_eq!(report[part]["state"], "on", "{part}");
    }
    // Missing if the kernel of this host has none.
    assert_ne!(report["landlock"]["state"], "off");
}

#[test]
fn parts_that_are_not_named_are_off() {
    let report = print_json(&["--sandbox", "limits"]);

    assert_eq!(report["limits"]["state"], "on");
    assert_eq!(report["no_new_privs"]["state"], "on");
    assert_eq!(report["landlock"]["state"], "off");
    assert_eq!(report["seccomp"]["state"], "off");
}

#[test]
fn table_shows_each_part_and_limited_calls() {
    let table = printed(&["--print-sandbox"]);

    for line in ["no_new_privs on", "seccomp      on", "limits       on"] {
        assert!(table.contains(line), "{table}");
    }
    let mmap = table.lines().find(|line| line.starts_with("  mmap "));
    assert!(mmap.unwrap().contains(" not executable"), "{table}");
}

#[test]
fn none_leaves_the_process_alone() {
    let server = Running::start(&["--sandbox", "none"]);

    let status = server.proc("status");

    assert!(status.contains("\nNoNewPrivs:\t0\n"), "{status}");
    assert!(status.contains("\nSeccomp:\t0\n"), "{status}");
}

#[test]
fn part_that_is_off_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = command()
        .arg("--socket")
        .arg(folder.path().join("socket"))
        .args(["--sandbox", "limits"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let log = log_until_it_listens(&mut child);
    child.kill().unwrap();
    child.wait().unwrap();

    let log = log.join("\n");
    assert!(log.contains("sandbox: seccomp is off"), "{log}");
    assert!(log.contains("sandbox: no_new_privs, limits"), "{log}");
}

#[test]
fn kernel_without_landlock_is_warned_of_and_the_rest_is_on() {
    let output = without(libc::SYS_landlock_create_ruleset, &["--print-sandbox"]);

    let table = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(table.contains("landlock     missing the kernel"), "{table}");
    assert!(table.contains("seccomp      on"), "{table}");
}

#[test]
fn kernel_without_seccomp_is_an_error_that_names_the_way_out() {
    let output = without(libc::SYS_seccomp, &["--print-sandbox"]);

    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        error.contains("seccomp") && error.contains("--sandbox"),
        "{error}"
    );
}

#[test]
fn kernel_without_seccomp_is_accepted_when_seccomp_is_left_out() {
    let arguments = ["--print-sandbox", "--sandbox", "landlock,limits"];

    let output = without(libc::SYS_seccomp, &arguments);

    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn unknown_part_exits_with_2_and_the_names() {
    let output = command()
        .args(["--socket", "unused", "--sandbox", "walls"])
        .stdin(Stdio::null())
        .output()
        .unwrap();

    assert_eq!(output.status.code(), Some(2));
    let message = text(&output.stderr);
    assert!(
        message.contains("walls") && message.contains("landlock"),
        "{message}"
    );
}
