// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! One lie: what each use of the device gets, how the device comes back, and what is left.

use crate::liar::{needs_another_server, unbearable, Liar, DEVICE};
use crate::messages::Messages;
use crate::meters::{dma_of, is_unused, keeps, Meters};
use crate::others::{kernel_memory, Honest, Written};
use crate::table::{self, COLUMNS};
use crate::uses::Uses;
use ringbar_client::{Device, KernelMemory, Mapping};
use ringbar_lies::{Group, Lie};
use ringbar_tests::{assert_device_works, node, open, page_size, Runner, Skip, PATIENCE};
use std::fs;
use std::time::{Duration, Instant};

/// Times that a device is taken out for one lie, at most.
const UNPLUGS: usize = 2;

/// A word of the table, and how many milliseconds it took.
type Timed = (String, u128);

/// Has the device tell a lie while processes and the driver use it.
pub(crate) fn tell(lie: Lie) -> Result<(), Skip> {
    let liar = Liar::find()?;
    if let Some(reason) = unbearable(lie) {
        return Err(reason);
    }
    if needs_another_server(lie) {
        Runner::for_unplugs(UNPLUGS)?;
    }
    let other = open();
    let honest = Honest::of(&other);
    let anonymous = Mapping::anonymous(page_size()).expect("there is memory");
    let mut written = Written::new(honest.mappings().into_iter().chain([&anonymous]));
    let expected = table::row(lie);
    let mut messages = Messages::from_now();
    let (before, dma) = (Meters::read(), dma_of(&liar.function));

    let mut words = use_it(&liar, lie, time(lie, &expected));
    assert_device_works(&other);
    written.go_on();
    assert!(is_unused(DEVICE), "a closed file has objects");
    let keeps_memory = keeps(DEVICE);
    words.push(timed(|| meet_again(&liar, lie)));
    if let Some(line) = table::line(lie) {
        messages.wait_for(line);
    }
    if may_turn_bars_off(lie) {
        messages.assert_no_long_wait();
    }
    assert_device_works(&other);
    written.go_on();
    // The one that answers nothing has no count.
    let hangs = lie == Lie::AdminUnanswered;
    let told = if hangs { 1 } else { liar.truth() };
    if hangs {
        liar.kill();
    }
    words.push(timed(|| match needs_another_server(lie) {
        true => liar.replace().into(),
        false => liar.come_back().into(),
    }));

    for (column, (word, time)) in COLUMNS.iter().zip(&words) {
        println!("# {column}: {word} ({time} ms)");
    }
    assert!(told > 0, "the device did not tell this lie");
    for ((column, expected), (word, _)) in COLUMNS.iter().zip(expected).zip(&words) {
        assert!(
            expected.contains(&&**word),
            "{column}: {word}, expected {}",
            expected.join(" or ")
        );
    }
    if !may_turn_bars_off(lie) {
        messages.assert_no_long_wait();
    }
    assert_eq!(Meters::read(), before, "the lie has left something behind");
    // A device that the driver leaves while it is lost may still write its memory.
    if !keeps_memory && !messages.say("does not answer") {
        assert_eq!(dma_of(&liar.function), dma, "DMA memory was left behind");
    }
    Ok(())
}

/// Uses the device while it lies. Returns what each use got.
fn use_it(liar: &Liar, lie: Lie, time: Duration) -> Vec<Timed> {
    let device = Device::open(node(DEVICE)).expect("a device that tells the truth can be opened");
    let memory = kernel_memory(&device);
    let mut written = Written::new(memory.iter().map(KernelMemory::mapping));
    let mut uses = Uses::begin(&device, time);
    liar.lie(lie);
    let words = vec![
        timed(|| uses.execute()),
        timed(|| uses.transfer()),
        timed(|| uses.ring()),
        timed(|| uses.wait()),
        timed(|| uses.poll()),
        timed(|| uses.make()),
    ];
    // Whatever the device tells there, the file can be read.
    fs::read_to_string(format!("/sys/kernel/debug/ringbar{DEVICE}/errors")).expect("debugfs");
    written.go_on();
    words
}

/// Has the driver meet the device as one that it does not know. Returns whether it takes it.
fn meet_again(liar: &Liar, lie: Lie) -> String {
    match lie {
        // The kernel reads them when it finds a device.
        Lie::IdsChange => drop(liar.function.remove()),
        lie if lie.is_shape() => liar.plug_in(Some(lie)),
        _ => {}
    }
    liar.bind_again()
}

/// Returns whether the device may tell the truth again with its BARs off, as the kernel writes what it
/// has read. To the driver that is a reset, which it waits for longer than for a lie.
fn may_turn_bars_off(lie: Lie) -> bool {
    lie == Lie::ConfigRandom
}

/// Returns the time-out of calls. It ends those that the table expects to wait in vain, and of a
/// device whose interrupts are wrong also others. No other call may reach it on any busy machine.
fn time(lie: Lie, expected: &[Vec<&str>]) -> Duration {
    let waits = |words: &Vec<&str>| words.contains(&"ETIMEDOUT");
    match lie.group() {
        _ if expected.iter().any(waits) => Duration::from_millis(500),
        Group::Interrupts => Duration::from_secs(2),
        _ => PATIENCE,
    }
}

/// Returns a word, and how many milliseconds it took.
fn timed(f: impl FnOnce() -> String) -> Timed {
    let begin = Instant::now();
    (f(), begin.elapsed().as_millis())
}
