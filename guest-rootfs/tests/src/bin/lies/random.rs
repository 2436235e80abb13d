// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Random lies. Whatever a call returns, it returns, and the device comes back.

use crate::liar::{bearable, Liar, DEVICE};
use crate::uses::Uses;
use ringbar_client::Device;
use ringbar_lies::Lie;
use ringbar_tests::{
    assert_device_works, has_iommu, node, on_debug_kernel, open, parameter, Skip, SHORT,
};
use std::time::{Duration, Instant};

/// Time for which lies are told, in a run of a mutant, in a short run and in a long one.
const TIME: [Duration; 3] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(600),
];
/// Cycles of removal (`CYCLES`) of a run of a mutant, and those from which on a run is a long one.
const ONCE: u64 = 1;
const LONG: u64 = 100;

/// Returns whether this is a long run.
pub(crate) fn is_long() -> bool {
    parameter::number("ringbar.cycles").is_some_and(|cycles| cycles >= LONG)
}

/// Returns the time for which lies are told.
fn time() -> Duration {
    let [once, short, long] = TIME;
    match parameter::number("ringbar.cycles") {
        Some(ONCE) => once,
        _ if is_long() => long,
        _ => short,
    }
}

/// Several lies at once.
pub(crate) fn several() -> Result<(), Skip> {
    rounds("several_at_once", |random| {
        let count = random.usize(2..=4);
        random.choose_multiple(bearable(), count)
    })
}

/// All that the driver reads may be a random number.
pub(crate) fn anything() -> Result<(), Skip> {
    rounds("anything", |_random| vec![Lie::Anything])
}

/// Uses the device again and again while it tells the lies that `choose` returns.
fn rounds(case: &str, choose: impl Fn(&mut fastrand::Rng) -> Vec<Lie>) -> Result<(), Skip> {
    let (begin, time) = (Instant::now(), time());
    let liar = Liar::find()?;
    for seed in (liar.seed..).take_while(|_| begin.elapsed() < time) {
        liar.seed(seed);
        let lies = choose(&mut fastrand::Rng::with_seed(seed));
        // Before the round: one that does not end has its seed in the log.
        println!("# seed {seed}: {lies:?}: {}", repeat(case, seed));
        round(&liar, &lies);
        liar.truth();
        liar.come_back();
        // The driver keeps the numbers of queues and windows that the device did not give back.
        liar.bind_again();
        // A file of its own each time: its objects last as long as it does.
        assert_device_works(&open());
    }
    Ok(())
}

/// Uses the device while it lies.
fn round(liar: &Liar, lies: &[Lie]) {
    let device = Device::open(node(DEVICE)).expect("a device that tells the truth can be opened");
    let mut uses = Uses::begin(&device, SHORT);
    lies.iter().for_each(|lie| liar.lie(*lie));
    uses.execute();
    uses.transfer();
    uses.ring();
    uses.wait();
    uses.poll();
    uses.make();
    drop((uses, device));
    liar.bind_again();
}

/// Returns the command that begins with the round of this seed.
fn repeat(case: &str, seed: u64) -> String {
    let kernel = if on_debug_kernel() {
        " KERNEL=debug"
    } else {
        ""
    };
    let iommu = if has_iommu() { " IOMMU=1" } else { "" };
    format!("make run{kernel}{iommu} LIES=1 DEVICES=3 TESTS=lies ARGS={case} SEED={seed}")
}
