// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A device that lies from the moment on at which its driver is taken off, with files in use.

use crate::liar::{bearable, Liar, DEVICE};
use crate::messages::Messages;
use crate::meters::Meters;
use crate::others::{Honest, Written};
use crate::uses::Uses;
use ringbar_client::Device;
use ringbar_lies::{Group, Lie};
use ringbar_tests::{assert_device_works, node, open, parameter, Case, Skip, SHORT};

/// Returns a case for each lie: those about resets, in a full run all.
pub(crate) fn cases() -> impl Iterator<Item = Case> {
    let is_full = parameter::number("ringbar.full") == Some(1);
    let lies = bearable().filter(move |lie| is_full || lie.group() == Group::Resets);
    lies.map(|lie| Case::new(format!("removed/{}", lie.name()), move || removed(lie)))
}

/// Takes the driver off a device that is in use, and begins to lie.
fn removed(lie: Lie) -> Result<(), Skip> {
    let liar = Liar::find()?;
    let other = open();
    let honest = Honest::of(&other);
    let mut written = Written::new(honest.mappings());
    let mut messages = Messages::from_now();
    let before = Meters::read();
    let device = Device::open(node(DEVICE)).expect("a device that tells the truth can be opened");
    let mut uses = Uses::begin(&device, SHORT);
    let sleeper = uses.sleeper();

    liar.lie(lie);
    let again = liar.bind_again();

    println!("# bind again: {again}");
    let woken = sleeper.join().expect("the sleeper does not panic");
    println!("# the sleeper: {woken}");
    let words = [uses.execute(), uses.transfer(), uses.make(), uses.poll()];
    assert_eq!(words, ["ENODEV", "ENODEV", "ENODEV", "POLLHUP"]);
    drop((uses, device));
    assert_device_works(&other);
    written.go_on();
    liar.truth();
    println!("# comes back by {}", liar.come_back());
    messages.assert_no_long_wait();
    assert_eq!(Meters::read(), before, "the lie has left something behind");
    Ok(())
}
