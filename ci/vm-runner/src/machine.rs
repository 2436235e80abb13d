// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! QEMU's command line. Pure: looks at nothing but its input.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde_json::{json, Value};

use crate::options::Memory;
use crate::slot;

/// Keeps Linux 7.3 from hanging at boot, once in some 50 times, just before it says "Switched to
/// clocksource".
///
/// Its clocksource watchdog waits on one processor, with a lock held and interrupts off, for the
/// other one, which waits for that lock with interrupts off. The wait has a time limit, but it is
/// measured by jiffies until a better clock is switched to, and then nobody counts those.
const NO_TSC_WATCHDOG: &str = "tsc=nowatchdog";
/// Keeps the kernel from giving up at boot ("timer doesn't work through Interrupt-remapped IO-APIC")
/// on a busy host: it waits for a few ticks in a loop that it counts, and QEMU may be late with them.
const NO_TIMER_CHECK: &str = "no_timer_check";
/// The kernel need not test its own cryptography before it reads the keys that it was built with: a second of translated code.
const NO_CRYPTO_TESTS: &str = "cryptomgr.notests";

/// Room for what the kernel says while init, which reads its log, has to wait: what was overwritten nobody has examined.
const LOG_ROOM: &str = "log_buf_len=1M";

/// Gives the kernel the speed of its TSC, which is the host's under TCG, in kHz.
///
/// On a busy host the kernel now and then measures it as 16 to 42 times slower than it is, by timers that QEMU emulates, and
/// its clock is then as many times too fast. What it is given it still refines, by a percent at most.
const TSC_SPEED: &str = "tsc_early_khz=";

/// How QEMU runs the guest's code, settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acceleration {
    /// Translation.
    Tcg,
    /// Hardware.
    Kvm,
}

impl Acceleration {
    /// Name for people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcg => "TCG",
            Self::Kvm => "KVM",
        }
    }

    fn arguments(self) -> [&'static str; 4] {
        match self {
            Self::Tcg => ["-accel", "tcg", "-cpu", "max"],
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
        }
    }
}

/// What a machine with a shell has besides: a serial port that leads to this terminal, and a second one
/// that leads both ways.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShellPorts {
    /// File with all that the guest writes on the terminal.
    pub(crate) log: PathBuf,
    /// The second serial port: a `pipe` character device, without `.in` and `.out`.
    pub(crate) line: PathBuf,
}

/// Where the lines for hot plug lead: `pipe` character devices, without `.in` and `.out`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HotplugPorts {
    /// QEMU's monitor.
    pub(crate) monitor: PathBuf,
    /// The third serial port, with the guest's requests.
    pub(crate) requests: PathBuf,
}

/// A machine with its devices, each behind a PCIe root port.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) acceleration: Acceleration,
    pub(crate) memory: Memory,
    pub(crate) processors: u32,
    pub(crate) iommu: bool,
    pub(crate) kernel: PathBuf,
    pub(crate) initrd: PathBuf,
    /// Words for the guest's init, such as `ringbar.tests=all`.
    pub(crate) task: String,
    /// More words for the kernel's command line.
    pub(crate) append: String,
    /// File that the first serial port, the kernel's console, leads to.
    pub(crate) console: PathBuf,
    /// File that the second serial port leads to, with the results.
    pub(crate) results: PathBuf,
    /// Ports for a shell, if a person is to have one; there is no file with results then.
    pub(crate) shell: Option<ShellPorts>,
    /// Where the servers listen, one for each device.
    pub(crate) sockets: Vec<PathBuf>,
    /// The TCG plugin's argument, if there is one.
    pub(crate) plugin: Option<OsString>,
    /// Lines to change the devices while the guest runs, if somebody serves them.
    pub(crate) hotplug: Option<HotplugPorts>,
    /// Where the fourth serial port leads, the line to init, if somebody listens: as in [`HotplugPorts`].
    pub(crate) control: Option<PathBuf>,
    /// Speed of the host's time stamp counter in kHz, if it is known.
    pub(crate) tsc_khz: Option<u32>,
    /// More arguments.
    pub(crate) more: Vec<String>,
}

impl Machine {
    /// QEMU's arguments.
    pub(crate) fn arguments(&self) -> Vec<OsString> {
        let mut line = basics(self.acceleration);
        let memory = format!(
            "memory-backend-memfd,id=memory,size={},share=on",
            self.memory
        );
        // Shared, so that the server can map it.
        add(
            &mut line,
            ["-object", &memory, "-machine", "memory-backend=memory"],
        );
        add(&mut line, ["-m", &self.memory.to_string()]);
        add(&mut line, ["-smp", &self.processors.to_string()]);
        if self.iommu {
            // Before all devices that it is to serve.
            add(&mut line, ["-machine", "kernel-irqchip=split"]);
            add(
                &mut line,
                ["-device", "intel-iommu,caching-mode=on,intremap=on"],
            );
        }
        for (number, socket) in (0..).zip(&self.sockets) {
            let port = root_port(number);
            let device = device(number, socket).to_string();
            add(&mut line, ["-device", &port, "-device", &device]);
        }
        self.serial_ports(&mut line);
        if let Some(plugin) = &self.plugin {
            line.extend(["-plugin".into(), plugin.clone()]);
        }
        line.extend(["-kernel".into(), self.kernel.clone().into()]);
        line.extend(["-initrd".into(), self.initrd.clone().into()]);
        add(&mut line, ["-append", &self.kernel_command_line()]);
        line.extend(self.more.iter().map(OsString::from));
        line
    }

    /// The guest kernel's command line.
    pub(crate) fn kernel_command_line(&self) -> String {
        let mut words = vec![
            "console=ttyS0,115200",
            "panic=-1",
            NO_TSC_WATCHDOG,
            NO_TIMER_CHECK,
            NO_CRYPTO_TESTS,
            LOG_ROOM,
            &self.task,
        ];
        let speed = self.tsc_khz.map(|khz| format!("{TSC_SPEED}{khz}"));
        // A processor that runs the guest's code itself says how fast its counter is.
        if let (Some(speed), Acceleration::Tcg) = (&speed, self.acceleration) {
            words.push(speed);
        }
        if self.iommu {
            words.push("intel_iommu=on");
        }
        if !self.append.is_empty() {
            words.push(&self.append);
        }
        words.join(" ")
    }

    fn serial_ports(&self, line: &mut Vec<OsString>) {
        file_port(line, "console", &self.console);
        match &self.shell {
            None => file_port(line, "results", &self.results),
            Some(ports) => shell_ports(line, ports),
        }
        if let Some(ports) = &self.hotplug {
            pipe(line, "monitor", &ports.monitor);
            add(line, ["-mon", "chardev=monitor,mode=control"]);
            pipe(line, "requests", &ports.requests);
            // Not by -serial: it would share its interrupt with the first port, and lines of an
            // ISA bus cannot be shared.
            add(
                line,
                ["-device", "isa-serial,chardev=requests,index=2,irq=5"],
            );
        }
        if let Some(path) = &self.control {
            pipe(line, "control", path);
            // Its usual interrupt is the second port's.
            add(
                line,
                ["-device", "isa-serial,chardev=control,index=3,irq=7"],
            );
        }
    }
}

/// The argument for a TCG plugin that writes records of the device behind `socket` to `out`.
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

/// The port of a device. Its address is fixed, whatever else is added: the devices are 0000:01:00.0,
/// 0000:02:00.0, and the driver finds them in this order.
fn root_port(number: u32) -> String {
    let (address, slot) = (number.saturating_add(4), number.saturating_add(1));
    format!(
        "pcie-root-port,id=port{number},bus=pcie.0,addr={address:#x},chassis={slot},slot={slot}"
    )
}

/// Devices from this one on are there to be lost.
const TO_BE_LOST: u32 = 2;

/// How long QEMU waits for an answer of a device's server, in milliseconds. The whole machine stands
/// still then, and taking a driver off makes several accesses: with the usual time, the kernel
/// reports stalls while a server is stopped.
fn patience(number: u32) -> u32 {
    match number {
        0..TO_BE_LOST => 5000,
        TO_BE_LOST.. => 1000,
    }
}

/// A device, on the command line and for QEMU's `device_add`.
pub(crate) fn device(number: u32, socket: &Path) -> Value {
    json!({
        "driver": "vfio-user-pci",
        "id": slot::name(number),
        "bus": format!("port{number}"),
        "addr": "0x0",
        "x-msg-timeout": patience(number),
        "socket": { "type": "unix", "path": socket.to_string_lossy() },
    })
}

/// Arguments to boot a kernel alone and see whether it prints anything.
pub(crate) fn probe(acceleration: Acceleration, kernel: &Path, console: &Path) -> Vec<OsString> {
    let mut line = basics(acceleration);
    add(&mut line, ["-m", "256M", "-smp", "2"]);
    file_port(&mut line, "console", console);
    line.extend(["-kernel".into(), kernel.into()]);
    let words = format!("console=ttyS0,115200 panic=-1 {NO_TSC_WATCHDOG} {NO_TIMER_CHECK}");
    add(&mut line, ["-append", &words]);
    line
}

fn basics(acceleration: Acceleration) -> Vec<OsString> {
    let mut line = Vec::new();
    add(
        &mut line,
        ["-nodefaults", "-no-user-config", "-display", "none"],
    );
    add(&mut line, ["-no-reboot", "-M", "q35"]);
    add(&mut line, acceleration.arguments());
    line
}

fn add<const N: usize>(line: &mut Vec<OsString>, words: [&str; N]) {
    line.extend(words.map(OsString::from));
}

/// A serial port that leads to a file.
fn file_port(line: &mut Vec<OsString>, id: &str, path: &Path) {
    let mut file = OsString::from(format!("file,id={id},path="));
    file.push(doubled_commas(path));
    line.extend(["-chardev".into(), file]);
    add(line, ["-serial", &format!("chardev:{id}")]);
}

/// The ports of a shell. Its terminal is the fourth one: on the third one a program would look for a
/// runner that takes requests, and write them on the terminal.
fn shell_ports(line: &mut Vec<OsString>, ports: &ShellPorts) {
    pipe(line, "results", &ports.line);
    add(line, ["-serial", "chardev:results"]);
    // With the multiplexer, so that Ctrl-A x ends QEMU and Ctrl-C goes to the guest.
    let mut terminal = OsString::from("stdio,id=terminal,mux=on,signal=off,logfile=");
    terminal.push(doubled_commas(&ports.log));
    line.extend(["-chardev".into(), terminal]);
    add(line, ["-mon", "chardev=terminal"]);
    // With an interrupt of its own, as the third port has.
    add(
        line,
        ["-device", "isa-serial,chardev=terminal,index=3,irq=7"],
    );
}

/// A character device that leads to two named pipes.
fn pipe(line: &mut Vec<OsString>, id: &str, path: &Path) {
    let mut pipe = OsString::from(format!("pipe,id={id},path="));
    pipe.push(doubled_commas(path));
    line.extend(["-chardev".into(), pipe]);
}

/// QEMU takes a doubled comma for one that belongs to the value.
fn doubled_commas(path: &Path) -> OsString {
    match path.to_str() {
        Some(path) => path.replace(',', ",,").into(),
        None => path.into(),
    }
}

/// A command line as one would type it into a shell.
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
            acceleration: Acceleration::Tcg,
            memory: "512M".parse().expect("a size"),
            processors: 2,
            iommu: false,
            kernel: "/k/vmlinux".into(),
            initrd: "/k/initrd".into(),
            task: "ringbar.tests=all".into(),
            append: String::new(),
            console: "/t/console.log".into(),
            results: "/t/results.ktap".into(),
            shell: None,
            sockets: vec!["/t/device0.sock".into()],
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
            -accel tcg -cpu max \
            -object memory-backend-memfd,id=memory,size=512M,share=on \
            -machine memory-backend=memory -m 512M -smp 2 \
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
    fn more_arguments_come_last() {
        let machine = Machine {
            more: vec!["-device".to_owned(), "edu".to_owned()],
            ..machine()
        };

        assert!(text(&machine).ends_with("' -device edu"));
    }

    #[test]
    fn iommu_comes_before_the_devices_and_the_kernel_is_told() {
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
    fn appended_words_come_last() {
        let machine = Machine {
            append: "debug loglevel=8".into(),
            ..machine()
        };

        assert!(machine.kernel_command_line().ends_with(" debug loglevel=8"));
    }

    #[test]
    fn kvm_takes_the_processor_of_the_host() {
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
        assert!(line.contains("-device isa-serial,chardev=terminal,index=3,irq=7"));
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
        assert!(line.contains("-device isa-serial,chardev=requests,index=2,irq=5"));
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
        assert!(line.contains("-device isa-serial,chardev=control,index=3,irq=7"));
    }

    #[test]
    fn translated_kernel_is_told_the_speed_of_its_counter() {
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
    fn plugin_is_told_where_to_write() {
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
