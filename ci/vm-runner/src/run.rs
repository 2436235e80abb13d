// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One run: the loop that watches the servers, QEMU, and the guest's output.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use ringbar_kernel_log::{self as kernel_log, Complaint};

use crate::device_tree;
use crate::error::Error;
use crate::files;
use crate::guard::Guard;
use crate::hang::Hang;
use crate::hold::SPARE_PROCESSORS;
use crate::hotplug::Hotplug;
use crate::interrupt::Interrupt;
use crate::kernel::Kernel;
use crate::ktap::{Progress, Stream};
use crate::limits::Limits;
use crate::machine::{self, Acceleration, Machine};
use crate::options::{MachineOptions, RunOptions};
use crate::process::{End, Process};
use crate::screen::Screen;
use crate::silence::Silence;
use crate::slot::Leave;
use crate::tail::Tail;
use crate::tsc;
use crate::verdict::{Ending, Observed, Stage};
use crate::workplace::Workplace;

/// Time between two looks.
const STEP: Duration = Duration::from_millis(10);
/// Longest time between the end of QEMU and that of a server. The server sees the end at once, but
/// may have to wait for a processor.
const SERVER_STAYS: Duration = Duration::from_secs(60);
/// Longest time between the good end of a server and that of QEMU. Both end together, if they get
/// processors.
const QEMU_STAYS: Duration = Duration::from_secs(30);
/// Time for the guest after a fatal complaint: enough to print the trace.
const AFTER_FATAL: Duration = Duration::from_secs(2);
/// Time for the guest to power off after it gave up.
const AFTER_BAIL_OUT: Duration = Duration::from_secs(5);
/// Time in which a process must end after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);

/// Starts all processes and watches them until the end.
pub(crate) fn run(
    options: &RunOptions,
    acceleration: Acceleration,
    place: &Workplace,
    interrupt: &Interrupt,
    screen: &mut Screen,
) -> Result<Observed, Error> {
    let began = Instant::now();
    let logs = Logs::create(place)?;
    screen.booting(acceleration);
    let measure = options.measure.as_deref();
    // A vCPU that holds a device never pauses, and QEMU waits for all to pause when the plugin has
    // the code translated again: at each load of the driver.
    let has_spares = options.machine.architecture.plugs_processors() && !options.machine.coverage;
    let leave = Leave::of(options.machine.interrupts, acceleration, has_spares);
    let hotplug = Hotplug::start(&options.machine, leave, measure, place, interrupt, screen)?;
    let haste = options.haste;
    let mut guard = Guard::start(place, options.machine.smp, Limits::new(haste))?;
    let mut machine = machine(&options.machine, acceleration, place, options.task())?;
    machine.hotplug = Some(place.hotplug_ports());
    if leave == Leave::Held {
        machine.spare_processors = SPARE_PROCESSORS;
    }
    machine.control = Some(place.control_port());
    let mut command = qemu(&options.machine, &machine, place)?;
    let qemu = Process::start(&mut command, &place.append("qemu.log")?)
        .map_err(|source| qemu_missing(&options.machine, source))?;
    guard.watch(qemu.id());
    Watch {
        limit: options.timeout,
        haste,
        began,
        qemu,
        hotplug,
        guard,
        logs,
        stream: Stream::default(),
        kernel: Kernel::default(),
        silence: Silence::default(),
        first_end: None,
        stop_at: None,
    }
    .watch(interrupt, screen)
}

/// Fails if a file for the guest cannot be read. Otherwise QEMU's message would be the only hint.
pub(crate) fn check_inputs(options: &MachineOptions) -> Result<(), Error> {
    for (what, path) in [
        ("the guest kernel", &options.kernel),
        ("the initramfs", &options.initrd),
    ] {
        File::open(path).map_err(|source| Error::Input {
            what,
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}

/// Returns the machine that the options describe, with its files in `place`.
pub(crate) fn machine(
    options: &MachineOptions,
    acceleration: Acceleration,
    place: &Workplace,
    task: String,
) -> Result<Machine, Error> {
    let mut machine = Machine {
        architecture: options.architecture,
        acceleration,
        memory: options.memory,
        backend: options.memory_backend,
        spare_memory: options.spare_memory,
        processors: options.smp,
        spare_processors: 0,
        iommu: options.iommu,
        slots: options.hotplug,
        device_tree: None,
        kernel: options.kernel.clone(),
        initrd: files::initramfs(&options.initrd, &options.file, place)?,
        task: task + &options.drivers(),
        append: options.append.clone(),
        console: place.file("console.log"),
        results: place.file("results.ktap"),
        shell: None,
        sockets: (0..)
            .zip(options.servers())
            .map(|(device, _)| place.socket(device))
            .collect(),
        brokered_from: options.broker.as_ref().map(|_| options.broker_from),
        plugin: options.plugin.as_ref().map(|file| {
            let (out, what) = match options.coverage {
                true => ("executed.jsonl", Some("record=code".to_owned())),
                false => ("accesses.jsonl", None),
            };
            let arguments: Vec<_> = options.plugin_arg.iter().cloned().chain(what).collect();
            // The plugin watches the first of several devices.
            machine::plugin(file, &place.file(out), &place.socket(0), &arguments)
        }),
        hotplug: None,
        control: None,
        tsc_khz: tsc::khz(),
        more: options.qemu_arg.clone(),
    };
    if options.non_coherent {
        let tree = device_tree::without_coherence(options, &machine, place)?;
        machine.device_tree = Some(tree);
    }
    Ok(machine)
}

/// Returns QEMU's command, and writes it to the logs.
pub(crate) fn qemu(
    options: &MachineOptions,
    machine: &Machine,
    place: &Workplace,
) -> Result<Command, Error> {
    let arguments = machine.arguments();
    let mut command = Command::new(&options.qemu);
    command.args(arguments);
    place.note("qemu-command.txt", &command)?;
    Ok(command)
}

/// Returns the error for a QEMU that does not start.
pub(crate) fn qemu_missing(options: &MachineOptions, source: std::io::Error) -> Error {
    Error::Start {
        what: "QEMU",
        program: options.qemu.clone(),
        source,
        hint: "install it, or give its path with --qemu",
    }
}

/// Files that QEMU and the guest write.
struct Logs {
    console: Tail,
    results: Tail,
    qemu: Tail,
}

impl Logs {
    /// Creates the files.
    fn create(place: &Workplace) -> Result<Self, Error> {
        let follow = |name: &str| -> Result<Tail, Error> {
            let path: &Path = &place.file(name);
            Tail::create(path)
        };
        Ok(Self {
            console: follow("console.log")?,
            results: follow("results.ktap")?,
            qemu: follow("qemu.log")?,
        })
    }
}

/// The process that ended first, and the time at which the runner saw it.
#[derive(Clone, Copy)]
struct FirstEnd {
    server: bool,
    at: Instant,
}

/// State of a run. Fields drop in order, so QEMU ends before the servers that it uses.
struct Watch<'a> {
    limit: Option<Duration>,
    haste: u32,
    began: Instant,
    qemu: Process,
    hotplug: Hotplug<'a>,
    guard: Guard,
    logs: Logs,
    stream: Stream,
    kernel: Kernel,
    silence: Silence,
    first_end: Option<FirstEnd>,
    stop_at: Option<Instant>,
}

impl Watch<'_> {
    /// Watches until the run ends. Returns the observations, also of a run that broke off.
    fn watch(mut self, interrupt: &Interrupt, screen: &mut Screen) -> Result<Observed, Error> {
        let ending = match self.until_end(interrupt, screen) {
            Ok(ending) => ending,
            Err(Error::Interrupted { signal }) => {
                self.read(screen)?;
                let stage = Some(self.stage());
                Ending::Interrupted { signal, stage }
            }
            Err(error) => Ending::NotMade(error.to_string()),
        };
        let ending_details = self.details(&ending);
        if let held @ 1.. = self.hotplug.held() {
            screen.note(&format!(
                "devices with MSI-X that left, and that QEMU keeps until its end: {held}, each held by one of \
                 {SPARE_PROCESSORS} spare vCPUs"
            ));
        }
        self.qemu.stop(GRACE);
        self.hotplug.stop();
        self.read_rest(screen)?;
        Ok(Observed {
            ending,
            ending_details,
            kernel: self.kernel,
            results: self.stream.finish(self.began.elapsed()),
            watched: self.guard.finish(),
            witness: Vec::new(),
        })
    }

    /// Watches until the run ends. Returns the reason for its end.
    fn until_end(&mut self, interrupt: &Interrupt, screen: &mut Screen) -> Result<Ending, Error> {
        loop {
            interrupt.check()?;
            // Before the logs are read. Otherwise lines between the last read and the end would be
            // lost.
            let qemu_end = self.qemu.end();
            let server_end = self.hotplug.server_end();
            self.read(screen)?;
            self.hotplug.step(self.stream.place(), screen)?;
            if qemu_end.is_some() {
                self.hotplug.release()?;
            }
            let running = self.stream.running().map(|(program, _)| program);
            let restarting = self.hotplug.is_restarting();
            let hang = self.guard.step(self.began.elapsed(), running, restarting)?;
            if let Some(ending) = self.ending(qemu_end, server_end, hang) {
                return Ok(ending);
            }
            screen.tick(self.stream.running());
            self.show_silence(screen);
            sleep(STEP);
        }
    }

    /// Shows a case that runs for long.
    fn show_silence(&mut self, screen: &Screen) {
        let (Some((program, _)), Some((case, began))) = (self.stream.running(), self.stream.case())
        else {
            return;
        };
        if let Some(ran) = self.silence.due(began, self.began.elapsed()) {
            screen.still(program, case, ran);
        }
    }

    /// Reads new lines of all files.
    fn read(&mut self, screen: &mut Screen) -> Result<(), Error> {
        let console = self.logs.console.read()?;
        let results = self.logs.results.read()?;
        self.hotplug.read_logs()?;
        self.logs.qemu.read()?;
        self.take(&console, &results, screen);
        Ok(())
    }

    /// Reads the rest of the console and the results.
    fn read_rest(&mut self, screen: &mut Screen) -> Result<(), Error> {
        let console = self.logs.console.finish()?;
        let results = self.logs.results.finish()?;
        self.take(&console, &results, screen);
        Ok(())
    }

    /// Takes lines of the console, then lines of results.
    fn take(&mut self, console: &[String], results: &[String], screen: &mut Screen) {
        for line in console {
            let running = self.stream.running().map(|(program, _)| program);
            let complaint = self.kernel.console_line(line, running);
            self.guard.console_line();
            self.complained(complaint, screen);
        }
        for line in results {
            if let Some(line) = kernel_log::Line::parse(line) {
                let complaint = self.kernel.log_line(line);
                self.complained(complaint, screen);
                continue;
            }
            let progress = self.stream.line(line, self.began.elapsed());
            let running = self.stream.running().map(|(program, _)| program);
            self.guard.result_line(running);
            if let Some(Progress::BailedOut(_)) = progress {
                self.stop_within(AFTER_BAIL_OUT);
            }
            screen.progress(progress.as_ref());
        }
    }

    /// Shows a complaint. A fatal one ends the run soon.
    fn complained(&mut self, complaint: Option<Complaint>, screen: &mut Screen) {
        let Some(complaint) = complaint else { return };
        screen.complaint(&complaint);
        if complaint.fatal {
            self.stop_within(AFTER_FATAL);
        }
    }

    /// Ends the run at the latest after this time.
    fn stop_within(&mut self, time: Duration) {
        let at = Instant::now() + time;
        self.stop_at = Some(self.stop_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Returns the reason for the end, if the run is over.
    fn ending(
        &mut self,
        qemu: Option<End>,
        server: Option<(u32, End)>,
        hang: Option<Hang>,
    ) -> Option<Ending> {
        let stage = self.stage();
        if qemu.is_none() && server.is_none() {
            return self.out_of_time(stage, hang);
        }
        // The process that ended first is the likely cause. The other may only follow, a moment
        // later.
        let first = *self.first_end.get_or_insert(FirstEnd {
            server: server.is_some(),
            at: Instant::now(),
        });
        let waited = first.at.elapsed();
        match (qemu, server) {
            (Some(qemu), _) if !first.server && !qemu.is_good() => {
                Some(Ending::QemuFailed { end: qemu, stage })
            }
            (_, Some((device, end))) if !end.is_good() => {
                Some(Ending::ServerDied { device, end, stage })
            }
            (Some(qemu), Some(_)) if !qemu.is_good() => {
                Some(Ending::QemuFailed { end: qemu, stage })
            }
            (None, Some((device, end))) => (waited > self.hasty(QEMU_STAYS))
                .then_some(Ending::ServerDied { device, end, stage }),
            _ => match self.hotplug.running() {
                None => Some(Ending::PoweredOff),
                Some(device) => {
                    let limit = self.hasty(SERVER_STAYS);
                    (waited > limit).then_some(Ending::ServerStuck { device, limit })
                }
            },
        }
    }

    /// Returns the reason for ending a run whose processes all still run.
    fn out_of_time(&self, stage: Stage, hang: Option<Hang>) -> Option<Ending> {
        if self.stop_at.is_some_and(|at| Instant::now() >= at) {
            return Some(Ending::Stopped { stage });
        }
        if let Some(hang) = hang {
            return Some(Ending::Hung { hang, stage });
        }
        let limit = self.limit.filter(|limit| self.began.elapsed() >= *limit)?;
        Some(Ending::TimeLimit { limit, stage })
    }

    /// Returns a limit, shortened where a hang is expected.
    fn hasty(&self, limit: Duration) -> Duration {
        limit.checked_div(self.haste).unwrap_or(limit)
    }

    /// Returns the progress of the guest.
    fn stage(&self) -> Stage {
        if let Some((program, results)) = self.stream.running() {
            let program = program.to_owned();
            return Stage::Running { program, results };
        }
        match self.stream.ended() {
            Some(_) if self.stream.is_complete() => Stage::Done,
            Some(program) => Stage::After {
                program: program.to_owned(),
            },
            None if self.kernel.has_started() => Stage::Booting,
            None => Stage::NoKernel,
        }
    }

    /// Returns the last lines of the log that explains an end best.
    fn details(&self, ending: &Ending) -> Vec<String> {
        let named = |name: &str, log: &Tail| (name.to_owned(), log.last_lines());
        let (name, lines) = match ending {
            Ending::ServerDied { device, .. } | Ending::ServerStuck { device, .. } => {
                self.hotplug.last_lines(*device)
            }
            Ending::QemuFailed { .. } => named("qemu.log", &self.logs.qemu),
            Ending::TimeLimit { .. } | Ending::Hung { .. } => {
                named("console.log", &self.logs.console)
            }
            Ending::PoweredOff
            | Ending::Stopped { .. }
            | Ending::Interrupted { .. }
            | Ending::NotMade(_) => return Vec::new(),
        };
        if lines.is_empty() {
            return vec![format!("{name} is empty")];
        }
        let heading = format!("the end of {name}:");
        std::iter::once(heading).chain(lines).collect()
    }
}
