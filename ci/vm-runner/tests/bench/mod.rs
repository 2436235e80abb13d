// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Stand-ins for the device server and QEMU: shell scripts of a test.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{kill_process, Pid, Signal};

/// A server that reports that it is ready and ends with its client.
pub(crate) const GOOD_SERVER: &str = r#"listening; until gone; do sleep 0.02; done"#;

/// A guest with one program and two cases.
pub(crate) const GOOD_GUEST: &str = r#"
say '[    0.000000] Linux version 7.3.4'
tell 'KTAP version 1' '# kernel: Linux 7.3.4' '1..1' '# Subtest: poke'
tell '    1..2' '    ok 1 reads' '    ok 2 writes' 'ok 1 poke'
leave
"#;

/// Functions for all scripts.
const WORDS: &str = r#"
for word in "$@"; do case "$word" in
    file,id=console,path=*) console=${word#*path=} ;;
    file,id=results,path=*) results=${word#*path=} ;;
    pipe,id=results,path=*) results=${word#*path=}.out requests=${word#*path=} ;;
    pipe,id=monitor,path=*) monitor=${word#*path=} ;;
    pipe,id=requests,path=*) requests=${word#*path=} ;;
    pipe,id=control,path=*) control=${word#*path=} ;;
esac; done
listening() { echo "listening on somewhere" >&2; }
gone() { [ -e "$RINGBAR_BENCH/gone" ]; }
off() { touch "$RINGBAR_BENCH/gone"; }
leave() { tell '# kernel-log end: 400 records, taint 0x3000'; off; }
say() { printf '%s\r\n' "$@" >> "$console"; }
tell() { printf '%s\r\n' "$@" >> "$results"; }
ready() { touch "$RINGBAR_BENCH/ready"; }
ask() { echo "$1" >> "$requests.out"; }
answered() { read -r answer < "$requests.in"; echo "answer: $answer" >&2; }
beat() { echo "beat $*" >> "$control.out"; }
now() { cut -d " " -f 1 /proc/uptime; }
ordered() { read -r order < "$control.in"; echo "order: $order" >&2; }
told() { read -r command < "$monitor.in"; echo "command: $command" >&2; }
monitor() { printf '%s\r\n' "$1" >> "$monitor.out"; }
"#;

/// Folder with the scripts of one test. Its path marks all processes of the test.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
}

/// Result of a run of the runner.
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Bench {
    /// Writes the scripts.
    pub(crate) fn new(server: &str, qemu: &str) -> Self {
        let bench = Self {
            folder: tempfile::tempdir().expect("a folder"),
        };
        bench.script("server", server);
        bench.script("qemu", qemu);
        fs::write(bench.path("kernel"), "").expect("written");
        fs::write(bench.path("initrd"), "").expect("written");
        bench
    }

    /// Returns a path in the folder.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns a file of the kept logs.
    pub(crate) fn log(&self, name: &str) -> String {
        fs::read_to_string(self.path("report/logs/default").join(name)).expect("a log")
    }

    /// Returns the runner's command with the necessary options and these.
    pub(crate) fn command(&self, options: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ringbar-vm-runner"));
        command.args(self.arguments()).args(options);
        if !options.contains(&"--timeout") {
            // A run that should end by itself, but does not, fails by this limit.
            command.args(["--timeout", "120"]);
        }
        self.surround(&mut command);
        command
    }

    /// Returns the necessary arguments.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["run".to_owned()];
        for (option, file) in [
            ("--server", "server"),
            ("--qemu", "qemu"),
            ("--kernel", "kernel"),
            ("--initrd", "initrd"),
            ("--report-dir", "report"),
        ] {
            arguments.push(option.to_owned());
            arguments.push(self.path(file).display().to_string());
        }
        arguments
    }

    /// Sets the environment that the scripts need.
    pub(crate) fn surround(&self, command: &mut Command) {
        command
            .env("RINGBAR_BENCH", self.folder.path())
            .env("TMPDIR", self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
    }

    /// Runs the runner to its end.
    pub(crate) fn run(&self, options: &[&str]) -> Finished {
        let output = self.command(options).output().expect("the runner starts");
        Finished {
            status: output.status,
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }

    /// Runs the runner until a script calls `ready`, then signals it. Returns its exit status.
    /// Asserts that no process is left.
    pub(crate) fn interrupt(&self, how: Signal) -> Option<i32> {
        let runner = self.command(&[]).spawn().expect("the runner starts");
        self.wait_until_ready();
        signal(runner.id(), how);
        let output = runner.wait_with_output().expect("it ends");
        assert_eq!(self.processes(), [""; 0]);
        output.status.code()
    }

    /// Waits until a script calls `ready`.
    pub(crate) fn wait_until_ready(&self) {
        let path = self.path("ready");
        wait_for("a script to be ready", || path.exists());
    }

    /// Returns the numbers of all processes of this test's scripts, including their children.
    pub(crate) fn process_ids(&self) -> Vec<u32> {
        let mark = format!("RINGBAR_BENCH={}", self.folder.path().display());
        fs::read_dir("/proc")
            .expect("/proc")
            .flatten()
            .filter(|entry| is_marked(&entry.path(), &mark))
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .collect()
    }

    /// Returns the command lines of these processes.
    pub(crate) fn processes(&self) -> Vec<String> {
        let line = |pid| fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        self.process_ids().into_iter().map(line).collect()
    }

    fn script(&self, name: &str, body: &str) {
        let path = self.path(name);
        fs::write(&path, format!("#!/bin/sh\n{WORDS}\n{body}\n")).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("made executable");
    }
}

impl Finished {
    /// Returns the runner's last line for people.
    pub(crate) fn summary(&self) -> &str {
        self.stderr
            .lines()
            .find(|line| line.starts_with("ringbar: "))
            .unwrap_or_default()
    }
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).expect("a number")).expect("not 0");
    kill_process(pid, signal).expect("sent");
}

/// Waits for an event that happens soon. Panics if it does not.
pub(crate) fn wait_for(what: &str, mut happened: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !happened() {
        assert!(Instant::now() < deadline, "{what} did not come in time");
        sleep(Duration::from_millis(10));
    }
}

fn is_marked(process: &Path, mark: &str) -> bool {
    let environment = fs::read(process.join("environ")).unwrap_or_default();
    environment
        .split(|byte| *byte == 0)
        .any(|variable| variable == mark.as_bytes())
}
