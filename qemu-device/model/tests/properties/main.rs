// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Whatever the guest does, the device does not panic and keeps what the data sheet promises.

mod action;
mod world;

use action::{action, Action};
use proptest::collection::vec;
use proptest::prelude::*;
use ringbar_model::{Config, Device};
use ringbar_spec::regs::Register;
use world::World;

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn any_sequence_of_actions_keeps_the_invariants(actions in vec(action(), 1..120)) {
        let mut world = World::new();

        for action in &actions {
            world.act(action);
            world.check(action);
        }
    }

    #[test]
    fn reset_restores_everything(actions in vec(action(), 1..60), bus_master: bool) {
        let mut world = World::new();
        for action in &actions {
            world.act(action);
        }
        let generation = world.driver.get(Register::RESET_GENERATION);

        world.act(&Action::BusMaster(bus_master));
        world.driver.reset();

        world.check_reset(generation.wrapping_add(1), bus_master);
    }

    #[test]
    fn nothing_is_touched_while_bus_mastering_is_off(
        before in vec(action(), 1..60),
        after in vec(action(), 1..60),
    ) {
        let mut world = World::new();
        for action in &before {
            world.act(action);
        }
        world.act(&Action::BusMaster(false));

        for action in after.iter().filter(|it| !matches!(it, Action::BusMaster(true))) {
            let before = world.status_words();
            prop_assert_eq!(world.act(action), []);
            if matches!(action, Action::Step | Action::Run | Action::Poll | Action::Sleep) {
                prop_assert_eq!(world.status_words(), before);
            }
        }
    }

    #[test]
    fn accesses_at_any_offset_and_width_are_answered(
        accesses in vec((any::<bool>(), 0u64..0x11_0000, 0usize..20, any::<[u8; 20]>()), 1..50),
        queues in 1u16..=64,
    ) {
        let world = World::new();
        let mut device = Device::new(Config {
            queues,
            vectors: 1,
            device_memory_size: 1 << 20,
            boot_number: 1,
        }).unwrap();

        for (write, offset, width, mut data) in accesses {
            let effects = if write {
                device.write(offset, &data[..width], 5, &*world.driver.host)
            } else {
                device.read(offset, &mut data[..width], 5)
            };
            prop_assert!(effects.interrupts.iter().all(|vector| vector == 0));
            prop_assert!(!effects.work);
        }
        prop_assert_eq!(world.driver.host.take_record(), []);
    }
}
