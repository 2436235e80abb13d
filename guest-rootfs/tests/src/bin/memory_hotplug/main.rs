// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Memory comes to the machine and leaves it while four processes copy and check every byte: as DIMMs,
//! by virtio-mem, and into a balloon.
//!
//! `ci/memory-modules.sh` has the drivers of virtio-mem and of the balloon, and the machine has room for
//! more memory only if `TESTS` names this program.

mod copies;
mod hotplugged;

use copies::{copy, Memory};
use hotplugged::{bring_online, can_grow, total, Blocks, Online};
use ringbar_client::Device;
use ringbar_tests::debugfs::RINGBAR;
use ringbar_tests::workers::{self, Workers};
use ringbar_tests::{
    arguments, assert_device_works, has_iommu, modules, open, parameter, pinned_pages, run_all,
    steps, until, Case, Runner, Skip,
};
use std::cell::RefCell;
use std::process::ExitCode;
use std::rc::Rc;

/// Memory of a DIMM in MiB: one block of the kernel's hot plug.
const DIMM: u64 = 128;
/// Number of DIMMs that leave again, in full and as a rule.
const DIMMS: (u64, u64) = (7, 1);
/// MiB up to which virtio-mem grows, in full and as a rule.
const MOST: (u64, u64) = (1024, 256);
/// MiB by which it grows and shrinks at once.
const STEP: u64 = 128;
/// MiB that the balloon takes.
const BALLOON: u64 = 128;
/// Blocks of virtio-mem that the kernel may keep, in MiB, as it has put data of its own there.
const KEPT: u64 = STEP / 2;

fn main() -> ExitCode {
    if arguments::role().is_some_and(|words| words == [workers::WORK]) {
        return workers::work(copy);
    }
    let story = Rc::new(RefCell::new(None));
    let case = |(name, step): (&'static str, Step)| {
        let story = Rc::clone(&story);
        Case::new(name, move || {
            let mut story = story.borrow_mut();
            if story.is_none() {
                *story = Some(Story::begin()?);
            }
            step(story.as_mut().expect("it has begun"));
            Ok(())
        })
    };
    run_all(STEPS.into_iter().map(case).collect())
}

/// A case.
type Step = fn(&mut Story);

const STEPS: [(&str, Step); 6] = steps![Step:
    memory_of_a_dimm_is_reached_as_soon_as_it_is_online,
    dimm_with_pinned_memory_is_kept_and_works_on,
    dimms_of_movable_memory_leave_under_copies,
    virtio_mem_grows_and_shrinks_under_copies,
    balloon_takes_memory_and_gives_it_back_under_copies,
    nothing_is_kept_in_the_end,
];

/// The machine and the processes that copy from the first case to the last.
struct Story {
    runner: Runner,
    workers: Option<Workers>,
    device: Device,
    /// Bytes of memory that the machine began with.
    base: u64,
    /// Memory in the first DIMM.
    piece: Option<Memory>,
    /// Pages that were pinned before, and what the files of the device had.
    pinned: i64,
    usage: String,
}

impl Story {
    fn begin() -> Result<Self, Skip> {
        if !can_grow() {
            return Err(Skip(
                "this kernel takes no memory at run time (CONFIG_MEMORY_HOTPLUG)".into(),
            ));
        }
        let none = || Skip("the machine has no runner that takes requests".into());
        let mut runner = Runner::find().ok_or_else(none)?;
        match runner.ask("memory_plugged") {
            Ok(_) => {}
            Err(reason) if reason.contains("no room") => {
                return Err(Skip(
                    "this machine has no room for more memory: TESTS=memory_hotplug brings it"
                        .into(),
                ))
            }
            Err(reason) => panic!("memory_plugged: {reason}"),
        }
        for module in ["virtio_mem", "virtio_balloon"] {
            assert!(
                modules::load(module),
                "{module}: the guest has it with TESTS=memory_hotplug"
            );
        }
        let device = open();
        Ok(Self {
            runner,
            base: Blocks::now().bytes(),
            pinned: pinned_pages(),
            usage: RINGBAR.usage(),
            workers: Some(Workers::start()),
            device,
            piece: None,
        })
    }

    /// Plugs a DIMM in. Returns its blocks when they are online.
    fn plug(&mut self, slot: u64, how: Online) -> Blocks {
        bring_online(how);
        let before = Blocks::now();
        self.runner.must(&format!("dimm_add {slot} {DIMM}"));
        Blocks::since(&before, DIMM << 20)
    }

    /// Waits until all processes have done more.
    #[track_caller]
    fn goes_on(&self) {
        let workers = self.workers.as_ref();
        workers.expect("they run until the last case").go_on();
    }

    /// Returns the number of files and of shared mappings of the processes that serve the device.
    fn held(&mut self) -> Vec<String> {
        let answer = self.runner.ask("held").expect("the runner can look");
        let ours = answer.split("; ").filter(|it| it.starts_with("ringbar-"));
        // The last word is the memory of a process.
        let held = ours.filter_map(|process| process.rsplit_once(' '));
        held.map(|(held, _memory)| held.to_owned()).collect()
    }

    /// Returns the MiB of virtio-mem that the guest uses.
    fn plugged(&mut self) -> u64 {
        let answer = self.runner.ask("memory_plugged");
        answer
            .expect("the machine has it")
            .parse()
            .expect("a number")
    }

    /// Asks the guest for another size of virtio-mem, and waits until it differs by no more than `most`
    /// from that. Returns the size.
    #[track_caller]
    fn resize(&mut self, size: u64, most: u64) -> u64 {
        self.runner.must(&format!("memory_size {size}"));
        let mut now = 0;
        until("virtio-mem has the size", || {
            now = self.plugged();
            now.abs_diff(size) <= most
        });
        now
    }
}

fn memory_of_a_dimm_is_reached_as_soon_as_it_is_online(story: &mut Story) {
    let blocks = story.plug(0, Online::ForAll);
    story.piece = Some(Memory::inside(&story.device, &blocks));
    story.goes_on();
}

fn dimm_with_pinned_memory_is_kept_and_works_on(story: &mut Story) {
    let before = Blocks::now();
    let answer = story.runner.ask("dimm_del 0");
    let reason = answer.expect_err("its pages are pinned");
    assert!(reason.contains("the guest keeps the DIMM"), "{reason}");
    assert_eq!(Blocks::now(), before);
    let piece = story.piece.take().expect("the case before has made it");
    piece.is_reached(&story.device, 7);
    piece.close();
    story.goes_on();
}

fn dimms_of_movable_memory_leave_under_copies(story: &mut Story) {
    let before = Blocks::now();
    let held = story.held();
    for slot in 1..=parameter::count(DIMMS.0, DIMMS.1) {
        story.plug(slot, Online::Movable);
        story.goes_on();
    }
    if !has_iommu() {
        assert_ne!(story.held(), held, "each DIMM is a file of its own");
    }
    for slot in 1..=parameter::count(DIMMS.0, DIMMS.1) {
        story.runner.must(&format!("dimm_del {slot}"));
        story.goes_on();
    }
    assert_eq!(Blocks::now(), before);
    until("the server lets the files go", || story.held() == held);
}

fn virtio_mem_grows_and_shrinks_under_copies(story: &mut Story) {
    let steps = parameter::count(MOST.0, MOST.1) / STEP;
    bring_online(Online::ForAll);
    let before = Blocks::now();
    story.resize(STEP, 0);
    let blocks = Blocks::since(&before, STEP << 20);
    Memory::inside(&story.device, &blocks).close();
    bring_online(Online::Movable);
    for step in 2..=steps {
        story.resize(step * STEP, 0);
        story.goes_on();
    }
    for step in (0..steps).rev() {
        story.resize(step * STEP, KEPT);
        story.goes_on();
    }
    let kept = story.plugged();
    println!("# the kernel keeps {kept} MiB of virtio-mem");
    // It tries to give them back until nothing asks for that.
    story.resize(kept, 0);
}

fn balloon_takes_memory_and_gives_it_back_under_copies(story: &mut Story) {
    let before = total();
    // QEMU counts all memory that the machine has at the moment, that of the first DIMM too.
    let all = (story.base >> 20) + DIMM + story.plugged();
    story.runner.must(&format!("balloon {}", all - BALLOON));
    until("the balloon takes memory", || {
        total() + BALLOON / 2 < before
    });
    story.goes_on();
    story.runner.must(&format!("balloon {all}"));
    until("the balloon gives it back", || total() >= before);
    story.goes_on();
}

fn nothing_is_kept_in_the_end(story: &mut Story) {
    let workers = story.workers.take();
    workers.expect("they have run so far").finish();
    until("all pages are given back", || {
        pinned_pages() == story.pinned
    });
    assert_eq!(RINGBAR.kept(), "queues 0\nbuffers 0\nbytes 0\n");
    until("all objects are given back", || {
        RINGBAR.usage() == story.usage
    });
    assert_device_works(&story.device);
}
