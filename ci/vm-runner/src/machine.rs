// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! QEMU's command line. Pure: it depends on its input only.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{json, Value};

use crate::architecture::{Architecture, ExtraPort};
use crate::memory::{Backend, MemorySize};
use crate::options::SlotControl;
use crate::patience::patience;
use crate::slot;
use crate::spare_memory;

/// Skips the kernel's tests of its own cryptography. They would take a second of translated code.
const NO_CRYPTO_TESTS: &str = "cryptomgr.notests";

/// Size of the kernel's log. Init may have to wait while the kernel prints. Overwritten records
/// could hold a complaint that is never examined.
const LOG_ROOM: &str = "log_buf_len=1M";

/// Passes the speed of the TSC to the kernel, in kHz. Under TCG it is the host's.
///
/// Otherwise the kernel on a busy host sometimes measures 16 to 42 times too little, against timers
/// that QEMU emulates. Its clock is then too fast by the same factor. The kernel still refines the
/// given speed, by a percent at most.
const TSC_SPEED: &str = "tsc_early_khz=";

/// Turns hotplug by ACPI off.
const NO_ACPI_HOTPLUG: &str = "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off";

/// Resolved way in which QEMU runs the guest's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acceleration {
    /// Translated code.
    Tcg,
    /// The host's processors.
    Kvm,
}

impl Acceleration {
    /// Returns its name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcg => "TCG",
            Self::Kvm => "KVM",
        }
    }

    /// Returns QEMU's arguments for it.
    fn arguments(self, architecture: Architecture) -> [&'static str; 4] {
        match self {
            Self::Tcg => ["-accel", "tcg", "-cpu", architecture.processor()],
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
        }
    }
}

/// Additional ports of a machine with a shell: a serial port on this terminal, and a second one for
/// both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShellPorts {
    /// Log file of the terminal.
    pub(crate) log: PathBuf,
    /// Second serial port: a `pipe` character device, without `.in` and `.out`.
    pub(crate) line: PathBuf,
}

/// Paths of the lines for hot plug: `pipe` character devices, without `.in` and `.out`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HotplugPorts {
    /// QEMU's monitor.
    pub(crate) monitor: PathBuf,
    /// Third serial port, with the guest's requests.
    pub(crate) requests: PathBuf,
}

/// A machine with its devices. Each device is behind its own PCIe root port.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) architecture: Architecture,
    pub(crate) acceleration: Acceleration,
    pub(crate) memory: MemorySize,
    pub(crate) backend: Backend,
    /// Whether it has room for more memory.
    pub(crate) spare_memory: bool,
    pub(crate) processors: u32,
    /// Processors that can be plugged in.
    pub(crate) spare_processors: u32,
    pub(crate) iommu: bool,
    pub(crate) slots: SlotControl,
    /// Device tree in place of QEMU's own.
    pub(crate) device_tree: Option<PathBuf>,
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    /// Words for the guest's init, such as `ringbar.tests=all`.
    pub(crate) task: String,
    /// Additional words for the kernel command line.
    pub(crate) append: String,
    /// File behind the first serial port, the kernel's console.
    pub(crate) console: PathBuf,
    /// File behind the second serial port, with the results.
    pub(crate) results: PathBuf,
    /// Ports of a shell. If there is one, the machine has no file with results.
    pub(crate) shell: Option<ShellPorts>,
    /// Sockets of the servers, one per device.
    pub(crate) sockets: Vec<PathBuf>,
    /// Number of the first device for which a broker listens in place of the server.
    pub(crate) brokered_from: Option<u32>,
    /// Argument for the TCG plugin, if there is one.
    pub(crate) plugin: Option<OsString>,
    /// Lines for hot plug, if the runner serves them.
    pub(crate) hotplug: Option<HotplugPorts>,
    /// Fourth serial port, the line to init, if the runner listens. See [`HotplugPorts`].
    pub(crate) control: Option<PathBuf>,
    /// Speed of the host's time stamp counter in kHz, if known.
    pub(crate) tsc_khz: Option<u32>,
    /// Additional arguments.
    pub(crate) more: Vec<String>,
}

impl Machine {
    /// Returns QEMU's arguments.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut line = bare(self);
        // Shared memory in a file, because the servers reach it so.
        let logs = self.console.parent().unwrap_or(Path::new("."));
        line.extend(["-object".into(), self.backend.object(self.memory, logs)]);
        add(&mut line, ["-machine", "memory-backend=memory"]);
        if self.slots == SlotControl::Native && self.architecture.has_acpi() {
            // Without that of ACPI, the firmware's tables leave the root ports to the kernel.
            add(&mut line, ["-global", NO_ACPI_HOTPLUG]);
        }
        if self.spare_memory {
            line.extend(spare_memory::arguments());
        }
        for (number, socket) in (0..).zip(&self.sockets) {
            let port = root_port(number);
            let brokered = self.brokered_from.is_some_and(|first| number >= first);
            let device = device(number, brokered, socket).to_string();
            add(&mut line, ["-device", &port, "-device", &device]);
        }
        self.serial_ports(&mut line);
        if let Some(plugin) = &self.plugin {
            line.extend(["-plugin".into(), plugin.clone()]);
        }
        if let Some(tree) = &self.device_tree {
            line.extend(["-dtb".into(), tree.clone().into()]);
        }
        line.extend(["-kernel".into(), self.kernel.clone().into()]);
        line.extend(["-initrd".into(), self.initrd.clone().into()]);
        add(&mut line, ["-append", &self.kernel_command_line()]);
        line.extend(self.more.iter().map(OsString::from));
        line
    }

    /// Returns the value of `-smp`.
    fn processor_numbers(&self) -> String {
        match self.spare_processors {
            0 => self.processors.to_string(),
            spare => {
                let most = self.processors.saturating_add(spare);
                format!("{},maxcpus={most}", self.processors)
            }
        }
    }

    /// Returns the guest's kernel command line.
    pub(crate) fn kernel_command_line(&self) -> String {
        let first = first_words(self.architecture);
        let mut words = vec![first.as_str(), NO_CRYPTO_TESTS, LOG_ROOM, &self.task];
        let speed = self.tsc_khz.map(|khz| format!("{TSC_SPEED}{khz}"));
        // Under KVM the processor itself reports the speed of its counter, and that of arm64 always does.
        if let (Some(speed), Acceleration::Tcg, Architecture::X86) =
            (&speed, self.acceleration, self.architecture)
        {
            words.push(speed);
        }
        if self.iommu {
            words.extend(self.architecture.iommu_word());
        }
        if !self.append.is_empty() {
            words.push(&self.append);
        }
        words.join(" ")
    }

    /// Adds the serial ports.
    fn serial_ports(&self, line: &mut Vec<OsString>) {
        file_port(line, "console", &self.console);
        match &self.shell {
            None => file_port(line, "results", &self.results),
            Some(ports) => self.shell_ports(line, ports),
        }
        if let Some(ports) = &self.hotplug {
            pipe(line, "monitor", &ports.monitor);
            add(line, ["-mon", "chardev=monitor,mode=control"]);
            pipe(line, "requests", &ports.requests);
            self.extra_port(line, ExtraPort::Requests, "requests");
        }
        if let Some(path) = &self.control {
            pipe(line, "control", path);
            self.extra_port(line, ExtraPort::Control, "control");
        }
    }

    /// Adds a serial port beside the first two.
    fn extra_port(&self, line: &mut Vec<OsString>, port: ExtraPort, chardev: &str) {
        let device = self.architecture.serial_port(port);
        add(line, ["-device", &format!("{device},chardev={chardev}")]);
    }

    /// Adds the ports of a shell. The terminal is the fourth port. On the third one, programs would
    /// find a runner that takes requests, and write requests on the terminal.
    fn shell_ports(&self, line: &mut Vec<OsString>, ports: &ShellPorts) {
        pipe(line, "results", &ports.line);
        add(line, ["-serial", "chardev:results"]);
        // With QEMU's multiplexer, so that Ctrl-A x ends QEMU. `signal=off` passes Ctrl-C to the
        // guest.
        let mut terminal = OsString::from("stdio,id=terminal,mux=on,signal=off,logfile=");
        terminal.push(doubled_commas(&ports.log));
        line.extend(["-chardev".into(), terminal]);
        add(line, ["-mon", "chardev=terminal"]);
        self.extra_port(line, ExtraPort::Control, "terminal");
    }
}

/// Returns the words of the kernel command line that each boot has.
fn first_words(architecture: Architecture) -> String {
    let console = format!("console={}", architecture.console());
    let mut words = vec![console.as_str(), "panic=-1"];
    words.extend(architecture.words());
    words.join(" ")
}

/// Returns the argument for a TCG plugin that writes records of the device behind `socket` to
/// `out`.
pub(crate) fn plugin(file: &Path, out: &Path, socket: &Path, arguments: &[String]) -> OsString {
    let mut value = OsString::from("file=");
    value.push(doubled_commas(file));
    value.push(",out=");
    value.push(doubled_commas(out));
    value.push(",socket=");
    value.push(doubled_commas(socket));
    for argument in arguments {
        value.push(",");
        value.push(doubled_commas(Path::new(argument)));
    }
    value
}

/// Returns the root port of a device. Its address is fixed, whatever else the machine has. So the
/// devices are 0000:01:00.0, 0000:02:00.0 and so on, and the driver finds them in this order.
fn root_port(number: u32) -> String {
    let (address, slot) = (number.saturating_add(4), number.saturating_add(1));
    let name = port_name(number);
    format!("pcie-root-port,id={name},bus=pcie.0,addr={address:#x},chassis={slot},slot={slot}")
}

/// Returns QEMU's name of the root port above a device.
pub(crate) fn port_name(number: u32) -> String {
    format!("port{number}")
}

/// Returns a device in the form of QEMU's `device_add`, which its command line also accepts.
pub(crate) fn device(number: u32, brokered: bool, socket: &Path) -> Value {
    json!({
        "driver": "vfio-user-pci",
        "id": slot::name(number),
        "bus": port_name(number),
        "addr": "0x0",
        "x-msg-timeout": patience(number, brokered),
        "socket": { "type": "unix", "path": socket.to_string_lossy() },
    })
}

/// Returns arguments that boot a kernel without devices, to see whether it prints a line.
pub(crate) fn probe(
    architecture: Architecture,
    acceleration: Acceleration,
    kernel: &Path,
    console: &Path,
) -> Vec<OsString> {
    let mut line = basics(architecture, acceleration);
    add(&mut line, ["-m", "256M", "-smp", "2"]);
    file_port(&mut line, "console", console);
    line.extend(["-kernel".into(), kernel.into()]);
    add(&mut line, ["-append", &first_words(architecture)]);
    line
}

/// Returns the arguments of the machine without its devices.
pub(crate) fn bare(machine: &Machine) -> Vec<OsString> {
    let mut line = basics(machine.architecture, machine.acceleration);
    let memory = match machine.spare_memory {
        true => spare_memory::sizes(machine.memory),
        false => machine.memory.to_string(),
    };
    add(&mut line, ["-m", &memory]);
    add(&mut line, ["-smp", &machine.processor_numbers()]);
    if machine.iommu {
        line.extend(machine.architecture.iommu().iter().map(OsString::from));
    }
    line
}

/// Returns the arguments that every machine has.
fn basics(architecture: Architecture, acceleration: Acceleration) -> Vec<OsString> {
    let mut line = Vec::new();
    add(
        &mut line,
        ["-nodefaults", "-no-user-config", "-display", "none"],
    );
    add(&mut line, ["-no-reboot", "-M", architecture.machine()]);
    add(&mut line, acceleration.arguments(architecture));
    line
}

/// Adds words to a command line.
fn add<const N: usize>(line: &mut Vec<OsString>, words: [&str; N]) {
    line.extend(words.map(OsString::from));
}

/// Adds a serial port that writes to a file.
fn file_port(line: &mut Vec<OsString>, id: &str, path: &Path) {
    let mut file = OsString::from(format!("file,id={id},path="));
    file.push(doubled_commas(path));
    line.extend(["-chardev".into(), file]);
    add(line, ["-serial", &format!("chardev:{id}")]);
}

/// Adds a character device with two named pipes.
fn pipe(line: &mut Vec<OsString>, id: &str, path: &Path) {
    let mut pipe = OsString::from(format!("pipe,id={id},path="));
    pipe.push(doubled_commas(path));
    line.extend(["-chardev".into(), pipe]);
}

/// Doubles commas. QEMU takes a single comma as the end of the value.
pub(crate) fn doubled_commas(path: &Path) -> OsString {
    match path.to_str() {
        Some(path) => path.replace(',', ",,").into(),
        None => path.into(),
    }
}

/// Returns a command as a line for a shell.
pub(crate) fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    shell_line(words.map(OsStr::to_owned))
}

/// Returns a command line with the quotes that a shell needs.
pub(crate) fn shell_line(words: impl IntoIterator<Item = OsString>) -> String {
    let quoted = |word: OsString| {
        let word = word.to_string_lossy().into_owned();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@%".contains(c);
        if !word.is_empty() && word.chars().all(plain) {
            return word;
        }
        format!("'{}'", word.replace('\'', r"'\''"))
    };
    words.into_iter().map(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine() -> Machine {
        Machine {
            architecture: Architecture::X86,
            acceleration: Acceleration::Tcg,
            memory: "512M".parse().expect("a size"),
            backend: Backend::Memfd,
            spare_memory: false,
            processors: 2,
            spare_processors: 0,
            iommu: false,
            slots: SlotControl::Acpi,
            device_tree: None,
            kernel: "/k/vmlinux".into(),
            initrd: "/k/initrd".into(),
            task: "ringbar.tests=all".into(),
            append: String::new(),
            console: "/t/console.log".into(),
            results: "/t/results.ktap".into(),
            shell: None,
            sockets: vec!["/t/device0.sock".into()],
            brokered_from: None,
            plugin: None,
            hotplug: None,
            control: None,
            tsc_khz: None,
            more: Vec::new(),
        }
    }

    fn text(machine: &Machine) -> String {
        shell_line(machine.arguments())
    }

    #[test]
    fn plain_machine_is_as_documented() {
        let expected = "-nodefaults -no-user-config -display none -no-reboot -M q35 \
            -accel tcg -cpu max -m 512M -smp 2 \
            -object memory-backend-memfd,id=memory,size=512M,share=on \
            -machine memory-backend=memory \
            -device pcie-root-port,id=port0,bus=pcie.0,addr=0x4,chassis=1,slot=1 \
            -device '{\"addr\":\"0x0\",\"bus\":\"port0\",\"driver\":\"vfio-user-pci\",\
            \"id\":\"ringbar0\",\"socket\":{\"path\":\"/t/device0.sock\",\"type\":\"unix\"},\"x-msg-timeout\":5000}' \
            -chardev file,id=console,path=/t/console.log -serial chardev:console \
            -chardev file,id=results,path=/t/results.ktap -serial chardev:results \
            -kernel /k/vmlinux -initrd /k/initrd \
            -append 'console=ttyS0,115200 panic=-1 tsc=nowatchdog no_timer_check cryptomgr.notests log_buf_len=1M ringbar.tests=all'";

        assert_eq!(text(&machine()), expected);
    }

    #[test]
    fn machine_of_arm64_is_as_documented() {
        let machine = Machine {
            architecture: Architecture::Arm64,
            iommu: true,
            slots: SlotControl::Native,
            tsc_khz: Some(2_100_000),
            hotplug: Some(HotplugPorts {
                monitor: "/t/monitor".into(),
                requests: "/t/requests".into(),
            }),
            control: Some("/t/control".into()),
            ..machine()
        };

        let line = text(&machine);

        for words in [
            "-M virt,gic-version=3,its=on -accel tcg -cpu neoverse-n1 ",
            "-smp 2 -device virtio-iommu-pci,bus=pcie.0,addr=0x1 ",
            "-device pci-serial,bus=pcie.0,addr=0x2,chardev=requests ",
            "-device pci-serial,bus=pcie.0,addr=0x3,chardev=control ",
            "-append 'console=ttyAMA0,115200 panic=-1 pcie_port_pm=off nokaslr cryptomgr.notests log_buf_len=1M ringbar.tests=all'",
        ] {
            assert!(line.contains(words), "{words}\n{line}");
        }
    }

    #[test]
    fn more_arguments_come_last() {
        let machine = Machine {
            more: vec!["-device".to_owned(), "edu".to_owned()],
            ..machine()
        };

        assert!(text(&machine).ends_with("' -device edu"));
    }

    #[test]
    fn iommu_precedes_the_devices_and_its_kernel_argument_is_set() {
        let machine = Machine {
            iommu: true,
            ..machine()
        };

        let line = text(&machine);

        assert!(line.find("intel-iommu,caching-mode=on") < line.find("pcie-root-port"));
        assert!(line.contains("kernel-irqchip=split"));
        assert!(machine.kernel_command_line().ends_with("intel_iommu=on"));
    }

    #[test]
    fn machine_with_spare_memory_has_room_virtio_mem_and_a_balloon() {
        let machine = Machine {
            spare_memory: true,
            ..machine()
        };

        let line = text(&machine);

        assert!(line.contains(" -m 512M,slots=8,maxmem=4608M "), "{line}");
        assert!(
            line.contains(" -device virtio-mem-pci,id=spare0,"),
            "{line}"
        );
        assert!(line.contains(" -device virtio-balloon-pci,"), "{line}");
    }

    #[test]
    fn native_controller_takes_the_slots_from_acpi() {
        let machine = Machine {
            slots: SlotControl::Native,
            ..machine()
        };

        let expected = "-global ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off";
        assert!(text(&machine).contains(expected));
    }

    #[test]
    fn device_tree_takes_the_place_of_the_machines_own() {
        let machine = Machine {
            device_tree: Some("/t/machine.dtb".into()),
            ..machine()
        };

        assert!(text(&machine).contains(" -dtb /t/machine.dtb -kernel "));
    }

    #[test]
    fn second_device_has_a_port_and_a_server_of_its_own() {
        let machine = Machine {
            sockets: vec!["/t/device0.sock".into(), "/t/device1.sock".into()],
            ..machine()
        };

        let line = text(&machine);

        assert!(line.contains("id=port1,bus=pcie.0,addr=0x5,chassis=2,slot=2"));
        assert!(line.contains("\"bus\":\"port1\",\"driver\":\"vfio-user-pci\",\"id\":\"ringbar1\""));
        assert!(line.contains("/t/device1.sock"));
    }

    #[test]
    fn spare_processors_are_not_started() {
        let machine = Machine {
            spare_processors: 126,
            ..machine()
        };

        assert!(text(&machine).contains("-smp 2,maxcpus=128 "));
    }

    #[test]
    fn appended_words_come_last() {
        let machine = Machine {
            append: "debug loglevel=8".into(),
            ..machine()
        };

        assert!(machine.kernel_command_line().ends_with(" debug loglevel=8"));
    }

    #[test]
    fn kvm_uses_the_hosts_processor() {
        let machine = Machine {
            acceleration: Acceleration::Kvm,
            ..machine()
        };

        assert!(text(&machine).contains("-accel kvm -cpu host"));
    }

    #[test]
    fn comma_in_a_path_does_not_end_the_value() {
        let machine = Machine {
            results: "/t,u/results.ktap".into(),
            ..machine()
        };

        assert!(text(&machine).contains("path=/t,,u/results.ktap"));
    }

    #[test]
    fn shell_has_a_port_of_its_own_and_the_console_goes_to_a_file() {
        let machine = Machine {
            shell: Some(ShellPorts {
                log: "/t,u/terminal.log".into(),
                line: "/t/line".into(),
            }),
            ..machine()
        };

        let line = text(&machine);

        assert!(line.contains("stdio,id=terminal,mux=on,signal=off,logfile=/t,,u/terminal.log"));
        assert!(line.contains("-device isa-serial,index=3,irq=7,chardev=terminal"));
        assert!(line.contains("-chardev file,id=console,path=/t/console.log"));
        assert!(line.contains("-chardev pipe,id=results,path=/t/line -serial chardev:results"));
    }

    #[test]
    fn requests_come_on_the_third_serial_port_with_an_interrupt_of_its_own() {
        let machine = Machine {
            hotplug: Some(HotplugPorts {
                monitor: "/t/monitor".into(),
                requests: "/t,u/requests".into(),
            }),
            ..machine()
        };

        let line = text(&machine);

        assert!(line.contains("-chardev pipe,id=requests,path=/t,,u/requests"));
        assert!(line.contains("-device isa-serial,index=2,irq=5,chardev=requests"));
        assert!(line.contains("-mon chardev=monitor,mode=control"));
    }

    #[test]
    fn line_to_init_is_the_fourth_serial_port_with_an_interrupt_of_its_own() {
        let machine = Machine {
            control: Some("/t/control".into()),
            ..machine()
        };

        let line = text(&machine);

        assert!(line.contains("-chardev pipe,id=control,path=/t/control"));
        assert!(line.contains("-device isa-serial,index=3,irq=7,chardev=control"));
    }

    #[test]
    fn translated_kernel_gets_the_speed_of_its_counter() {
        let machine = Machine {
            tsc_khz: Some(2_100_000),
            ..machine()
        };

        assert!(machine
            .kernel_command_line()
            .contains(" tsc_early_khz=2100000"));
    }

    #[test]
    fn kernel_under_kvm_asks_its_processor() {
        let machine = Machine {
            acceleration: Acceleration::Kvm,
            tsc_khz: Some(2_100_000),
            ..machine()
        };

        assert!(!machine.kernel_command_line().contains("tsc_early_khz"));
    }

    #[test]
    fn plugin_gets_its_output_path() {
        let plugin = plugin(
            Path::new("/p/plugin.so"),
            Path::new("/t,u/trace.jsonl"),
            Path::new("/t/device0.sock"),
            &["from=boot".into()],
        );
        let machine = Machine {
            plugin: Some(plugin),
            ..machine()
        };

        let expected =
            "-plugin file=/p/plugin.so,out=/t,,u/trace.jsonl,socket=/t/device0.sock,from=boot";
        assert!(text(&machine).contains(expected));
    }

    #[test]
    fn words_with_quotes_survive_a_shell() {
        let line = shell_line(["it's".into(), "".into()]);

        assert_eq!(line, r"'it'\''s' ''");
    }
}
