// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Each allocation in open, ioctl, mmap and probe fails once (Linux
//! `Documentation/fault-injection`). The call must report it and leave nothing behind, and the next
//! call must work.

use ringbar_client::{descriptors, Device, Error, Mapping, MemoryKind, Part, Policy, Rights};
use ringbar_spec::ring::{Completion, Status};
use ringbar_tests::debugfs::{RINGBAR, UNUSED};
use ringbar_tests::{case, nop, page_size, run, Case, PciFunction, Skip, NODE, PATIENCE};
use rustix::event::{eventfd, EventfdFlags};
use rustix::io::Errno;
use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;

const FAIL_NTH: &str = "/proc/thread-self/fail-nth";
/// Switch that limits failures to chosen caches.
const CACHE_FILTER: &str = "/sys/kernel/debug/failslab/cache-filter";
/// More allocations than any of the calls makes.
const LIMIT: u32 = 2000;

fn main() -> ExitCode {
    run()
}

/// Makes a case in which each allocation of a call fails once.
fn at_each_allocation(name: &'static str, call: fn() -> Result<(), Error>) -> Case {
    let name = format!("{name}_fails_cleanly_at_each_allocation");
    Case::new(name, move || {
        require_injection()?;
        fail_each(call);
        Ok(())
    })
}

#[case(at_each_allocation)]
fn open() -> Result<(), Error> {
    Device::open(NODE).map(drop)
}

#[case(at_each_allocation)]
fn info() -> Result<(), Error> {
    node()?.info().map(drop)
}

#[case(at_each_allocation)]
fn create_queue() -> Result<(), Error> {
    node()?.create_queue(256).map(drop)
}

#[case(at_each_allocation)]
fn destroy_queue() -> Result<(), Error> {
    node()?.create_queue(4)?.close()
}

#[case(at_each_allocation)]
fn reset_queue() -> Result<(), Error> {
    node()?.create_queue(4)?.reset()
}

#[case(at_each_allocation)]
fn set_eventfd() -> Result<(), Error> {
    let queue = node()?.create_queue(4)?;
    let event = eventfd(0, EventfdFlags::CLOEXEC);
    let event = event.map_err(|errno| Error::Refused {
        call: "eventfd",
        errno,
    })?;
    queue.set_event_fd(Some(event.as_fd()))?;
    queue.set_event_fd(None)
}

#[case(at_each_allocation)]
fn execute() -> Result<(), Error> {
    let mut queue = node()?.create_kernel_queue(4)?;
    let mut completions = [Completion::default(); 9];
    let done = queue.execute(&[nop(1); 9], &mut completions, PATIENCE)?;
    assert_eq!(done, 9);
    Ok(())
}

#[case(at_each_allocation)]
fn create_buffer() -> Result<(), Error> {
    node()?
        .create_buffer(16 * page_size(), Rights::ReadWrite)
        .map(drop)
}

#[case(at_each_allocation)]
fn create_device_memory_uncached() -> Result<(), Error> {
    device_memory(Part::Uncached)
}

#[case(at_each_allocation)]
fn create_device_memory_lazy() -> Result<(), Error> {
    device_memory(Part::Lazy)
}

#[case(at_each_allocation)]
fn create_contiguous_memory() -> Result<(), Error> {
    memory(MemoryKind::Contiguous(Policy::WriteCombining))
}

#[case(at_each_allocation)]
fn create_vmalloc_memory() -> Result<(), Error> {
    memory(MemoryKind::Vmalloc)
}

#[case(at_each_allocation)]
fn map_public_registers() -> Result<(), Error> {
    node()?.map_public_registers().map(drop)
}

#[case(at_each_allocation)]
fn open_window() -> Result<(), Error> {
    let device = node()?;
    let buffer = device.create_buffer(page_size(), Rights::Read)?;
    let parts = [buffer.part(5..8), buffer.part(0..5)];
    device.open_window(&parts, Rights::Read)?.close()
}

#[case(at_each_allocation)]
fn open_user_window() -> Result<(), Error> {
    let memory = Mapping::anonymous(70 * page_size())?;
    let device = node()?;
    let window = device.open_user_window(&memory, 5..70 * page_size(), Rights::ReadWrite);
    window?.close()
}

#[case(at_each_allocation)]
fn transfer() -> Result<(), Error> {
    let device = node()?;
    let mut queue = device.create_kernel_queue(4)?;
    let buffer = device.create_buffer(page_size(), Rights::ReadWrite)?;
    let mut seen = [0; 9];
    queue.write(buffer.window(), 0, &[7; 9], PATIENCE)?;
    queue.read(buffer.window(), 0, &mut seen, PATIENCE)?;
    assert_eq!(seen, [7; 9]);
    Ok(())
}

#[case(at_each_allocation)]
fn destroy_buffer() -> Result<(), Error> {
    let device = node()?;
    let buffer = device.create_buffer(page_size(), Rights::Read)?;
    device.open_window(&[buffer.part(5..8)], Rights::Read)?;
    buffer.close()
}

#[case(at_each_allocation)]
fn whole_life_of_a_descriptor() -> Result<(), Error> {
    let device = node()?;
    let mut queue = device.create_queue(4)?;
    let buffer = device.create_buffer(page_size(), Rights::Write)?;
    queue.push(descriptors::fill(
        0,
        u64::MAX,
        (buffer.window(), 0),
        page_size() as u32,
    ))?;
    let completion = queue.run(PATIENCE)?;
    assert_eq!(Status(completion.status), Status::OK);
    assert_eq!(buffer.mapping().read::<u32>(0), u32::MAX);
    Ok(())
}

#[case]
fn probe_fails_cleanly_at_each_allocation() -> Result<(), Skip> {
    require_injection()?;
    fail_each_probe();
    Ok(())
}

fn require_injection() -> Result<(), Skip> {
    if !Path::new(FAIL_NTH).exists() {
        return Err(Skip("this kernel has no fault injection".into()));
    }
    for kind in ["failslab", "fail_page_alloc"] {
        let file = format!("/sys/kernel/debug/{kind}/ignore-gfp-wait");
        fs::write(&file, "N").unwrap_or_else(|error| panic!("cannot write {file}: {error}"));
    }
    // Single pages as well, such as a contiguous memory of one page.
    let order = "/sys/kernel/debug/fail_page_alloc/min-order";
    fs::write(order, "0").unwrap_or_else(|error| panic!("cannot write {order}: {error}"));
    Ok(())
}

/// Calls with a failure of the first allocation, then of the second, until the call makes no more.
fn fail_each(call: fn() -> Result<(), Error>) {
    let mut refused = 0;
    for nth in 1..LIMIT {
        let (result, injected) = with_failure(nth, call);
        assert_eq!(
            RINGBAR.mappings(),
            "count 0\n",
            "the call left a mapping behind when allocation {nth} failed"
        );
        assert_eq!(
            RINGBAR.usage(),
            UNUSED,
            "the call left an object behind when allocation {nth} failed"
        );
        match result {
            Ok(()) if !injected => {
                println!("# {nth} calls, {refused} refused");
                call().expect("the call works without a failure");
                return;
            }
            // The kernel could do without this allocation.
            Ok(()) => {}
            Err(error) if says_so(&error) => refused += 1,
            Err(error) => {
                panic!("the call reports another error when allocation {nth} failed: {error}")
            }
        }
    }
    panic!("the call makes more than {LIMIT} allocations: raise LIMIT");
}

/// Returns whether a failed allocation, or a failed copy from the process, may cause this error.
fn says_so(error: &Error) -> bool {
    match error {
        // The kernel returns INVAL if it has no memory for an entry of x86's list of memory types.
        Error::Refused {
            call: "mmap",
            errno,
        } => [Errno::NOMEM, Errno::INVAL].contains(errno),
        error => [Some(Errno::NOMEM), Some(Errno::FAULT)].contains(&error.errno()),
    }
}

fn fail_each_probe() {
    // The kernel itself warns when it removes entries of /proc/irq that it could not make. These
    // have a cache of their own, so only kmalloc fails here.
    let only_kmalloc = fail_only_kmalloc();
    let function = PciFunction::under_test();
    let unbound = function.unbind();
    for nth in 1..LIMIT {
        let (bound, injected) = with_failure(nth, || unbound.try_bind());
        if bound && !injected {
            println!("# {nth} probes");
            drop(only_kmalloc);
            whole_life_of_a_descriptor().expect("the device works");
            return;
        }
        if bound {
            unbound.unbind_again();
        }
    }
    panic!("the probe makes more than {LIMIT} allocations: raise LIMIT");
}

/// While this value lives, only allocations of kmalloc and of whole pages fail.
struct OnlyKmalloc(());

fn fail_only_kmalloc() -> OnlyKmalloc {
    let caches = fs::read_dir("/sys/kernel/slab").expect("the kernel shows its caches");
    for cache in caches {
        let cache = cache.expect("the kernel shows its caches").path();
        let name = cache
            .file_name()
            .map(|name| name.to_string_lossy().into_owned());
        if name.is_some_and(|name| name.starts_with("kmalloc-")) {
            fs::write(cache.join("failslab"), "1").expect("a cache can be chosen");
        }
    }
    fs::write(CACHE_FILTER, "Y").expect("caches can be chosen");
    OnlyKmalloc(())
}

impl Drop for OnlyKmalloc {
    fn drop(&mut self) {
        fs::write(CACHE_FILTER, "N").expect("caches can be chosen");
    }
}

/// Makes the `nth` allocation of `call` fail. Returns whether the call made that many.
fn with_failure<R>(nth: u32, call: impl FnOnce() -> R) -> (R, bool) {
    fs::write(FAIL_NTH, nth.to_string()).expect("the failure can be set");
    let result = call();
    // The file shows the allocations left to count. 0 means that one has failed.
    let left = fs::read_to_string(FAIL_NTH);
    let _cleared = fs::write(FAIL_NTH, "0");
    (result, left.is_ok_and(|left| left.trim() == "0"))
}

fn device_memory(part: Part) -> Result<(), Error> {
    node()?
        .create_device_memory(part, 4 * page_size(), Rights::ReadWrite)
        .map(drop)
}

fn memory(memory: MemoryKind) -> Result<(), Error> {
    node()?.create_memory(memory, 4 * page_size()).map(drop)
}

fn node() -> Result<Device, Error> {
    Device::open(NODE)
}
