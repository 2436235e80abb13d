// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The first kernel: it sets copies going, and the second kernel takes over.

#![expect(unsafe_code, reason = "loads a kernel")]

use ringbar_client::{descriptors, Buffer, Device, Mapping, Queue, Rights, Window};
use ringbar_initramfs::archive;
use ringbar_initramfs::tree::{GuestPath, Mode, Node, Tree};
use ringbar_spec::ring::MAX_ENTRIES;
use ringbar_tests::{open, page_size, pages, parameter};
use rustix::system::{reboot, RebootCommand};
use std::collections::BTreeSet;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The image of the second kernel, which `ci/vm.sh` puts there.
const KERNEL: &str = "/boot/vmlinuz";
/// The initramfs of the second kernel.
const INITRAMFS: &str = "/tmp/initramfs";
/// Words for init in the first boot, and in the second one.
const FIRST: &str = "ringbar.kexec";
const SECOND: &str = "ringbar.heir";
/// The file that the second kernel finds: the pages that the device was to write.
const FRAMES: &str = "/former-pages";

/// Queues at work.
const QUEUES: usize = 8;
/// Bytes of a copy, as many as one descriptor may copy in a small machine.
const SIZE: usize = 1 << 20;
/// Bytes of memory between the destinations of two queues. The second kernel uses some parts of the
/// memory itself, and there are no canaries. So the destinations must not lie in one place.
const APART: usize = 24 << 20;
/// What a queue works on.
struct Work {
    queue: Queue,
    source: Buffer,
    /// Memory of this process, because the kernel shows where it is.
    destination: Mapping,
    window: Window,
}

impl Work {
    fn prepare(device: &Device, entries: u32) -> Self {
        let source = device.create_buffer(SIZE, Rights::Read).expect("memory");
        source.mapping().write_bytes(0, &vec![0xdb; SIZE]);
        let destination = Mapping::anonymous(SIZE).expect("memory");
        let window = device.open_user_window(&destination, 0..SIZE, Rights::Write);
        Self {
            queue: device.create_queue(entries).expect("a queue is free"),
            source,
            destination,
            window: window.expect("the device reaches memory of this process"),
        }
    }

    /// Has the device copy for as long as the ring allows.
    fn start(&mut self) {
        let copy = descriptors::copy(
            0,
            (self.source.window(), 0),
            (self.window.number(), 0),
            SIZE as u32,
        );
        while self.queue.push(copy).is_ok() {}
        self.queue.submit();
    }
}

/// Returns memory of this process, with a page of the machine behind each of its pages.
fn touched(size: usize) -> Mapping {
    let memory = Mapping::anonymous(size).expect("memory");
    (0..size)
        .step_by(page_size())
        .for_each(|page| memory.write_bytes(page, &[1]));
    memory
}

/// Starts the second kernel while the device copies. Returns only by a panic.
pub(crate) fn go_on_with_another_kernel() {
    let device = open();
    let entries = MAX_ENTRIES.min(device.info().expect("the driver answers").max_entries);
    let (mut works, between): (Vec<Work>, Vec<Mapping>) = (0..QUEUES)
        .map(|_| (Work::prepare(&device, entries), touched(APART)))
        .unzip();
    drop(between);
    let frames: Vec<String> = works
        .iter()
        .flat_map(|work| pages::frames(work.destination.as_ptr().addr(), SIZE))
        .map(|frame| frame.to_string())
        .collect();
    load(&frames.join("\n"), &command_line());
    works.iter_mut().for_each(Work::start);
    let outcome = reboot(RebootCommand::Kexec);
    panic!("the second kernel did not start: {outcome:?}");
}

/// Returns the command line of the second kernel. Words after `--` are for it alone.
fn command_line() -> String {
    let line = fs::read_to_string("/proc/cmdline").expect("procfs is mounted");
    let words = line
        .split_whitespace()
        .filter(|word| ![FIRST, "--"].contains(word));
    // As the first kernel: QEMU starts its image without that step.
    let words = words.chain([SECOND, "nokaslr"]);
    words.collect::<Vec<_>>().join(" ")
}

/// Makes the initramfs of the second kernel: the files of this one that it needs, and one with the
/// numbers of pages.
fn initramfs(frames: &str) -> Vec<u8> {
    fs::write(FRAMES, frames).expect("a file can be written");
    let mut tree = Tree::default();
    for place in ["/init", "/bin", "/lib", "/etc", FRAMES] {
        add(&mut tree, Path::new(place));
    }
    programs()
        .iter()
        .for_each(|place| add(&mut tree, Path::new(place)));
    for place in ["/proc", "/sys", "/dev", "/tmp", "/run"] {
        let place = GuestPath::new(place).expect("a path");
        tree.add(place, Node::Directory)
            .expect("no other file has the path");
    }
    let console = Node::CharDevice {
        major: 5,
        minor: 1,
        mode: Mode::PRIVATE,
    };
    let place = GuestPath::new("/dev/console").expect("a path");
    tree.add(place, console)
        .expect("no other file has the path");
    archive::build(&tree).expect("the files can be read")
}

/// Returns the programs that run in the second boot, and this one, which fills its memory.
fn programs() -> BTreeSet<String> {
    let tests = parameter::word("ringbar.tests").unwrap_or_default();
    match tests.as_str() {
        "" | "all" => BTreeSet::from(["/tests".to_owned()]),
        without if without.starts_with('-') => BTreeSet::from(["/tests".to_owned()]),
        names => {
            let names = names.split(',').chain(["kexec"]);
            names.map(|name| format!("/tests/{name}")).collect()
        }
    }
}

/// Adds a file, or a folder with all that is in it, if it is there.
fn add(tree: &mut Tree, path: &Path) {
    let Ok(found) = fs::symlink_metadata(path) else {
        return;
    };
    if found.is_dir() {
        let entries = fs::read_dir(path).expect("a folder can be read");
        entries.for_each(|entry| add(tree, &entry.expect("it can be read").path()));
        return;
    }
    let node = if found.is_symlink() {
        let target = fs::read_link(path).expect("a link can be read");
        Node::Symlink {
            target: target.to_string_lossy().into_owned(),
        }
    } else {
        Node::File {
            source: path.to_owned(),
            mode: match found.permissions().mode() & 0o111 {
                0 => Mode::PLAIN,
                _ => Mode::EXECUTABLE,
            },
        }
    };
    let place = GuestPath::new(&path.to_string_lossy()).expect("a path of this guest");
    tree.add(place, node).expect("no other file has the path");
}

/// Loads the second kernel.
fn load(frames: &str, line: &str) {
    fs::write(INITRAMFS, initramfs(frames)).expect("a file can be written");
    let kernel = File::open(KERNEL).expect("ci/vm.sh puts the kernel's image there");
    let initramfs = File::open(INITRAMFS).expect("it was just made");
    let line = CString::new(line).expect("a command line has no zero");
    let bytes = line.as_bytes_with_nul();
    // SAFETY: Both files are open, and the command line has as many bytes as the call says, with
    // the zero at its end.
    let loaded = unsafe {
        libc::syscall(
            libc::SYS_kexec_file_load,
            kernel.as_raw_fd(),
            initramfs.as_raw_fd(),
            bytes.len(),
            bytes.as_ptr(),
            0_usize,
        )
    };
    let error = io::Error::last_os_error();
    assert_eq!(loaded, 0, "kexec_file_load of {KERNEL}: {error}");
    fs::remove_file(INITRAMFS).expect("it is there");
}

/// Returns the numbers of all pages that the device was to write with the first kernel.
pub(crate) fn frames_of_buffers() -> Vec<u64> {
    let frames = fs::read_to_string(FRAMES).expect("the first kernel has left it");
    let numbers = frames.lines().map(|line| line.parse().expect("a number"));
    numbers.collect()
}
