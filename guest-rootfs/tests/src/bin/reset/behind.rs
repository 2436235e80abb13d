// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A bus reset behind the kernel's back: by the control register of the port, as `setpci` writes
//! it. The function loses its base addresses, bus mastering and interrupts, and the kernel does not
//! know. The cases are the steps of one story.

use crate::load::{idle, refused, Load};
use crate::{generation, ENTRIES};
use ringbar_client::{Error, Rights};
use ringbar_tests::kernel_log::KernelLog;
use ringbar_tests::{
    assert_device_works, case, open, poller, steps, until, Case, KeptOnPurpose, PciFunction, NODE,
    PATIENCE, SHORT,
};
use rustix::event::PollFlags;
use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::thread;

/// Message of the driver.
const LOST: &str = "configuration was reset";

struct Story {
    function: PciFunction,
    log: KernelLog,
    load: Option<Load>,
}

type Step = fn(&mut Story);

const STEPS: [(&str, Step); 6] = steps![Step:
    sleepers_and_pollers_are_woken,
    log_names_the_loss_and_the_way_back,
    calls_return_eio,
    client_sees_a_reset_in_its_pages,
    driver_can_be_unbound_and_refuses_the_device,
    remove_and_rescan_bring_the_device_back,
];

/// Makes a case of each step.
fn story(name: &'static str, begin: fn() -> Story) -> Vec<Case> {
    let told = Rc::new(RefCell::new(None));
    STEPS
        .map(|(step_name, step)| {
            let told = Rc::clone(&told);
            Case::new(format!("{name}/{step_name}"), move || {
                step(told.borrow_mut().get_or_insert_with(begin));
            })
            // The device is not itself until the last step.
            .in_turn(1)
        })
        .into()
}

#[case(story)]
fn behind_the_kernel() -> Story {
    Story {
        function: PciFunction::under_test(),
        log: KernelLog::from_now(),
        load: Some(Load::start()),
    }
}

impl Story {
    fn load(&mut self) -> &mut Load {
        self.load.as_mut().expect("it is not given back yet")
    }
}

fn sleepers_and_pollers_are_woken(story: &mut Story) {
    let (idle, _queue) = idle();
    let (sleeper, poller) = (story.load().sleeper(), poller(&idle));
    thread::sleep(SHORT);
    story.function.reset_bus_behind_the_kernel();
    refused(sleeper.join().unwrap());
    let ready = poller.join().unwrap();
    assert!(ready.contains(PollFlags::ERR), "{ready:?}");
}

fn log_names_the_loss_and_the_way_back(story: &mut Story) {
    let messages = story.log.messages();
    let told: Vec<_> = messages.iter().filter(|line| line.contains(LOST)).collect();
    assert_eq!(told.len(), 1, "{messages:#?}");
    for word in [
        "base addresses",
        "bus mastering",
        "interrupts",
        "remove",
        "rescan",
    ] {
        assert!(told[0].contains(word), "{word}: {told:?}");
    }
}

fn calls_return_eio(story: &mut Story) {
    let load = story.load();
    refused(load.device.create_queue(4));
    refused(load.device.create_buffer(1, Rights::Read));
    refused(load.device.reset_queue(load.queues[0].number()));
    refused(open().create_queue(4));
}

/// The pages show nothing of the device any more. The client takes that for a reset.
fn client_sees_a_reset_in_its_pages(story: &mut Story) {
    let queue = &mut story.load().queues[1];
    let ended = queue.wait(ENTRIES, PATIENCE);
    assert!(matches!(ended, Err(Error::Reset { .. })), "{ended:?}");
}

fn driver_can_be_unbound_and_refuses_the_device(story: &mut Story) {
    drop(story.load.take());
    let _kept = KeptOnPurpose::begin();
    let unbound = story.function.unbind();
    assert!(!Path::new(NODE).exists());
    assert!(!unbound.try_bind());
    // It stays unbound: the next step needs that.
    std::mem::forget(unbound);
}

fn remove_and_rescan_bring_the_device_back(story: &mut Story) {
    drop(story.function.remove());
    until("the node comes back", || Path::new(NODE).exists());
    assert_device_works(&open());
    let before = generation();
    story.function.reset();
    assert_ne!(generation(), before);
    assert_device_works(&open());
}
