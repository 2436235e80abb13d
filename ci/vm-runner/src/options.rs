// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The command line.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::RangedI64ValueParser;
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::architecture::Architecture;
use crate::debug::DebugOptions;
use crate::driver::Driver;
use crate::files::GuestFile;
use crate::memory::{Backend, MemorySize};
use crate::server::Server;

/// Starts the ringbar device server and QEMU, watches both, and reports the guest's results.
///
/// Exit status: 0 if all is well, 1 if anything failed, 2 if the command line is wrong, 128 + n
/// after signal n (130 after Ctrl-C).
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Options {
    /// Command to run.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Command to run.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Boots, runs the guest's test programs, and reports their results.
    Run(RunOptions),
    /// Boots to a shell on this terminal. Ctrl-A x ends QEMU.
    Shell(ShellOptions),
    /// Boots, loads the driver, powers off, and prints the seconds for which QEMU ran. Fails if the
    /// guest does not report that the driver is loaded.
    Boot(BootOptions),
}

/// The machine and its programs.
#[derive(Clone, Debug, Args)]
pub(crate) struct MachineOptions {
    /// Program of ringbar's device server.
    #[arg(long, value_name = "BIN", required_unless_present = "driver")]
    pub(crate) server: Option<PathBuf>,
    /// A driver that the guest loads in place of ringbar's, and the nodes that it must make; may be
    /// given more than once.
    #[arg(long, value_name = "NAME[:NODE,NODE]", conflicts_with = "server")]
    pub(crate) driver: Vec<Driver>,
    /// Program of a server for another device, of such a driver or of none; may be given more than once.
    /// It is called with `--socket PATH --once`, prints "listening on", and ends when QEMU does.
    #[arg(long, value_name = "BIN")]
    pub(crate) own_server: Vec<PathBuf>,
    /// Broker that QEMU connects to in place of each of ringbar's servers. The guest may then ask for
    /// another server behind a device.
    #[arg(long, value_name = "BIN", requires = "server")]
    pub(crate) broker: Option<PathBuf>,
    /// Number of the first device behind a broker. QEMU connects to the servers of those before it.
    #[arg(long, value_name = "N", default_value_t = 0, requires = "broker")]
    pub(crate) broker_from: u32,
    /// Another build of the server. Each `server_swap` of the guest starts the one that did not serve
    /// before.
    #[arg(long, value_name = "BIN", requires = "broker")]
    pub(crate) other_server: Option<PathBuf>,
    /// Ends the servers behind brokers when their program is another one than they were started from, and
    /// starts the new one.
    #[arg(long, requires = "broker")]
    pub(crate) watch: bool,
    /// QEMU, or a script that runs it with its arguments.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) qemu: PathBuf,
    /// Architecture of the guest, for which QEMU and the images must be.
    #[arg(long, value_enum, default_value_t = Architecture::X86)]
    pub(crate) architecture: Architecture,
    /// Image of the guest's kernel.
    #[arg(long, value_name = "FILE")]
    pub(crate) kernel: PathBuf,
    /// The guest's initramfs.
    #[arg(long, value_name = "FILE")]
    pub(crate) initrd: PathBuf,
    /// How QEMU runs the guest's code. `auto` boots the kernel under KVM, and uses TCG if that
    /// fails.
    #[arg(long, value_enum, default_value_t = Accelerator::Tcg)]
    pub(crate) accel: Accelerator,
    /// Interrupts that the device offers.
    #[arg(long, value_enum, default_value_t = Interrupts::Msix)]
    pub(crate) interrupts: Interrupts,
    /// Number of ringbar devices, each with its own server. 0 is for `boot` only: the guest's
    /// programs need a device.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = devices())]
    pub(crate) devices: u32,
    /// Adds an IOMMU to the machine, and lets the guest's kernel use it.
    #[arg(long)]
    pub(crate) iommu: bool,
    /// Has the machine's device tree say that devices do not see the processor's caches.
    #[arg(long)]
    pub(crate) non_coherent: bool,
    /// Controller by which the guest learns that a device is unplugged or plugged in.
    #[arg(long, value_enum, default_value_t = SlotControl::Acpi)]
    pub(crate) hotplug: SlotControl,
    /// Size of the guest's memory, in M or G.
    #[arg(long, value_name = "SIZE", default_value = "512M")]
    pub(crate) memory: MemorySize,
    /// QEMU's backend of the guest's memory, which decides how the servers reach it.
    #[arg(long, value_enum, default_value_t = Backend::Memfd)]
    pub(crate) memory_backend: Backend,
    /// Gives the machine a balloon and room for more memory, as DIMMs and as virtio-mem, which the guest
    /// asks for.
    #[arg(long)]
    pub(crate) spare_memory: bool,
    /// Number of the guest's processors, at least 2.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = processors)]
    pub(crate) smp: u32,
    /// Folder for reports and logs.
    #[arg(long, value_name = "DIR", default_value = "build/report")]
    pub(crate) report_dir: PathBuf,
    /// Additional words for the guest's kernel command line.
    #[arg(
        long,
        value_name = "STRING",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub(crate) append: String,
    /// Name of this configuration, in reports and for its folder of logs.
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = name)]
    pub(crate) name: String,
    /// TCG plugin that records accesses to the device; none by default.
    #[arg(long, value_name = "FILE")]
    pub(crate) plugin: Option<PathBuf>,
    /// An argument for the plugin; may be given more than once.
    #[arg(long, value_name = "KEY=VALUE", requires = "plugin")]
    pub(crate) plugin_arg: Vec<String>,
    /// Has the plugin record the executed code of the driver in place of accesses.
    #[arg(long, requires = "plugin")]
    pub(crate) coverage: bool,
    /// An argument for the device server; may be given more than once.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) server_arg: Vec<String>,
    /// An argument for QEMU; may be given more than once.
    #[arg(long, value_name = "ARG", allow_hyphen_values = true)]
    pub(crate) qemu_arg: Vec<String>,
    /// A file of this host and its place in the guest; may be given more than once. It is
    /// executable there if it is executable here.
    #[arg(long, value_name = "HOST:GUEST")]
    pub(crate) file: Vec<GuestFile>,
}

impl MachineOptions {
    /// Returns whether accesses to the device are recorded.
    pub(crate) fn records_accesses(&self) -> bool {
        self.plugin.is_some() && !self.coverage
    }

    /// Returns the broker before a device of ringbar's, if there is one.
    pub(crate) fn broker_of(&self, device: u32) -> Option<&Path> {
        let broker = self.broker.as_deref();
        broker.filter(|_| device >= self.broker_from)
    }

    /// Returns the server of each device.
    pub(crate) fn servers(&self) -> Vec<Server<'_>> {
        let devices = self.server.iter().flat_map(|server| {
            let server = Server::Ringbar(server);
            (0..self.devices).map(move |_| server)
        });
        let own = self.own_server.iter().map(|server| Server::Own(server));
        devices.chain(own).collect()
    }

    /// Returns the words for the guest's init that name its drivers, each with a blank before it.
    pub(crate) fn drivers(&self) -> String {
        self.driver.iter().map(Driver::word).collect()
    }
}

/// Options of `run`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    /// Test programs to run, separated by commas, or `all`.
    #[arg(long, value_name = "NAMES", default_value = "all", value_parser = tests)]
    pub(crate) tests: String,
    /// An argument for the test program; may be given more than once.
    #[arg(long, value_name = "WORD", value_parser = word)]
    pub(crate) arg: Vec<String>,
    /// Longest time for the whole run, in seconds. None by default: a run ends when nothing moves
    /// any more, however slow it is, and a hanging program is killed.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// Divides the limits for a hang of a program or the guest. For tests in which a hang is
    /// expected.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) haste: u32,
    /// Command to print for repeating the run; by default this command line.
    #[arg(long, value_name = "STRING")]
    pub(crate) rerun_hint: Option<String>,
    /// Command that repeats the run with the witness. It is printed with the names of the failed
    /// programs, if a trace would show more.
    #[arg(long, value_name = "STRING")]
    pub(crate) trace_hint: Option<String>,
    /// Program that measures this host at the guest's request. It is called with `measure`, the
    /// guest's word and `--server-pid`, and prints a figure.
    #[arg(long, value_name = "PROGRAM")]
    pub(crate) measure: Option<PathBuf>,
    /// Program that judges the plugin's records after the run. It is called with `--logs` and their
    /// folder. With any exit status but 0 the run has failed, and each line that it printed is a
    /// complaint.
    #[arg(long, value_name = "PROGRAM", requires = "plugin")]
    pub(crate) judge: Option<PathBuf>,
    /// An argument for the judge, before `--logs`; may be given more than once.
    #[arg(
        long,
        value_name = "ARG",
        requires = "judge",
        allow_hyphen_values = true
    )]
    pub(crate) judge_arg: Vec<String>,
}

impl RunOptions {
    /// Returns the task for the guest's init, as words for the kernel command line.
    pub(crate) fn task(&self) -> String {
        let tests = format!("ringbar.tests={}", self.tests);
        match self.arg.as_slice() {
            [] => tests,
            words => format!("{tests} ringbar.args={}", words.join(",")),
        }
    }
}

/// Options of `shell`.
#[derive(Clone, Debug, Args)]
pub(crate) struct ShellOptions {
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    /// Command to show among the examples for the user.
    #[arg(long, value_name = "COMMAND", default_value = "/tests/registers")]
    pub(crate) example: String,
    #[command(flatten)]
    pub(crate) debug: DebugOptions,
}

/// Options of `boot`.
#[derive(Clone, Debug, Args)]
pub(crate) struct BootOptions {
    #[command(flatten)]
    pub(crate) machine: MachineOptions,
    /// Longest time for the boot, in seconds.
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = seconds)]
    pub(crate) timeout: Duration,
}

/// How QEMU runs the guest's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Accelerator {
    /// Translates it. Works everywhere.
    Tcg,
    /// Runs it on the host's processors. Fails if that does not work.
    Kvm,
    /// Uses KVM if it runs the kernel, otherwise TCG.
    Auto,
}

/// Interrupts that the device offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Interrupts {
    /// MSI-X, several vectors.
    Msix,
    /// MSI. QEMU 11.1 frees only such a device when it is unplugged.
    Msi,
}

impl Interrupts {
    /// Returns its name on command lines.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Msix => "msix",
            Self::Msi => "msi",
        }
    }
}

/// Controller of the slots, by which the guest learns of a device that goes or comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SlotControl {
    /// That of ACPI, QEMU's own choice.
    Acpi,
    /// That of PCI Express in each root port (pciehp).
    Native,
}

/// Parses the number of devices: one under test, and one per way in which the guest's programs lose
/// a device.
fn devices() -> RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(0..=4)
}

/// Parses the number of processors.
fn processors(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(0 | 1) => Err(
            "at least 2: with one processor TCG turns locked instructions into plain ones, so the \
             guest's fences would not order anything against the device server"
                .to_owned(),
        ),
        Ok(count) => Ok(count),
        Err(error) => Err(error.to_string()),
    }
}

/// Parses a time in whole seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 second".to_owned()),
        Ok(count) => Ok(Duration::from_secs(count)),
        Err(error) => Err(format!("{error}; write whole seconds")),
    }
}

/// Parses the name of a configuration. It becomes the name of a folder.
fn name(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if text.is_empty() || text.starts_with('.') || !text.chars().all(plain) {
        return Err("letters, digits, '-', '_' and '.' only; it names a folder".to_owned());
    }
    Ok(text.to_owned())
}

/// Returns whether a word can stand between commas on the kernel command line.
pub(crate) fn is_plain(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    !word.is_empty() && word.chars().all(plain)
}

/// Parses an argument for a test program.
fn word(text: &str) -> Result<String, String> {
    match is_plain(text) {
        true => Ok(text.to_owned()),
        false => Err("letters, digits, '-' and '_' only".to_owned()),
    }
}

/// Parses names of programs.
pub(crate) fn tests(text: &str) -> Result<String, String> {
    if !text.split(',').all(is_plain) {
        return Err("names with letters, digits, '-' and '_', separated by commas".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use std::path::Path;

    #[test]
    fn command_line_definition_is_consistent() {
        Options::command().debug_assert();
    }

    #[test]
    fn one_processor_is_refused_with_the_reason() {
        let error = processors("1").expect_err("refused");

        assert!(error.contains("fences"), "{error}");
    }

    /// Parses a command line of `run` with these options besides the necessary ones.
    fn parsed(options: &[&str]) -> Result<MachineOptions, String> {
        let necessary = ["runner", "run", "--qemu=q", "--kernel=k", "--initrd=i"];
        let all = necessary.iter().chain(options);
        match Options::try_parse_from(all)
            .map_err(|error| error.to_string())?
            .command
        {
            Command::Run(options) => Ok(options.machine),
            other => panic!("not a run: {other:?}"),
        }
    }

    #[test]
    fn each_device_of_ringbar_has_its_server() {
        let options = parsed(&["--server=s", "--devices=2"]).expect("accepted");

        let server = Server::Ringbar(Path::new("s"));
        assert_eq!(options.servers(), [server, server]);
    }

    #[test]
    fn drivers_of_ones_own_have_their_servers_alone() {
        let options = ["--driver=edu", "--driver=sum", "--own-server=s"];
        let options = parsed(&options).expect("accepted");

        assert_eq!(options.servers(), [Server::Own(Path::new("s"))]);
    }

    #[test]
    fn driver_of_ones_own_needs_no_server() {
        let options = parsed(&["--driver=edu:/dev/edu0"]).expect("accepted");

        assert_eq!(options.servers(), []);
        assert_eq!(options.drivers(), " ringbar.driver=edu:/dev/edu0");
    }

    #[test]
    fn server_is_missed_without_a_driver() {
        let error = parsed(&[]).expect_err("refused");

        assert!(error.contains("--server <BIN>"), "{error}");
    }

    #[test]
    fn name_that_leaves_the_folder_is_refused() {
        assert!(name("../x").is_err());
        assert!(name("..").is_err());
        assert!(name("").is_err());
    }

    #[test]
    fn tests_that_would_add_kernel_words_are_refused() {
        assert!(tests("poke init=/bin/sh").is_err());
        assert!(tests("poke,").is_err());
    }
}
