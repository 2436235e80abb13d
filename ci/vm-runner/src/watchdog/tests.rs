// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Tests with simulated guests, one second of the host after the other.

use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// Looks per second.
const LOOKS: u32 = 10;
/// Longer than any limit of the guests here.
const FOR_EVER: u32 = 5000;

/// A host, and a guest with two processors whose boot took four seconds.
struct Scene {
    dog: Watchdog,
    load: Load,
    clock: Duration,
    idle: Duration,
    running: Option<&'static str>,
}

impl Scene {
    fn new() -> Self {
        Self {
            dog: Watchdog::new(Limits::new(1), 2),
            load: Load::default(),
            clock: Duration::ZERO,
            idle: Duration::ZERO,
            running: None,
        }
    }

    /// Returns a guest in which a program runs.
    fn running(program: &'static str) -> Self {
        let mut scene = Self::new();
        scene.second(4 * SECOND, 4 * SECOND);
        scene.beat(Duration::ZERO);
        scene.running = Some(program);
        scene.result();
        scene.beat(Duration::ZERO);
        scene
    }

    /// Passes one second of the host. The virtual processors got `ran`, and QEMU wanted `wanted`.
    fn second(&mut self, ran: Duration, wanted: Duration) {
        for _ in 0..LOOKS {
            self.load.ran += ran / LOOKS;
            self.load.wanted += wanted / LOOKS;
            self.dog.look(self.load);
        }
        self.clock += SECOND;
    }

    /// Beats. Since the last beat the processors were idle for `idle`.
    fn beat(&mut self, idle: Duration) {
        self.idle += idle;
        self.dog.beat(Beat {
            clock: self.clock,
            idle: self.idle,
            program: self.running.map(str::to_owned),
        });
    }

    fn result(&mut self) {
        self.dog.result_line(self.running);
    }

    fn alarm(&mut self) -> Option<Alarm> {
        self.dog.alarm(self.running)
    }

    /// Repeats such seconds until an alarm comes. Returns the alarm and the number of seconds.
    fn first(&mut self, mut second: impl FnMut(&mut Self)) -> Option<(u32, Alarm)> {
        (1..FOR_EVER).find_map(|count| {
            second(self);
            self.alarm().map(|alarm| (count, alarm))
        })
    }
}

#[track_caller]
fn assert_kills(alarm: Option<(u32, Alarm)>, name: &str) -> u32 {
    match alarm {
        Some((seconds, Alarm::Kill { program, .. })) if program == name => seconds,
        other => panic!("{other:?}"),
    }
}

#[test]
fn program_that_spins_is_killed_after_its_limit() {
    let mut scene = Scene::running("dma");

    let alarm = scene.first(|scene| {
        scene.second(SECOND, SECOND);
        scene.beat(SECOND);
    });

    // Thirty boots of four seconds.
    assert_eq!(assert_kills(alarm, "dma"), 121);
}

#[test]
fn reason_names_the_time_and_the_limit() {
    let mut scene = Scene::running("dma");

    let alarm = scene.first(|scene| {
        scene.second(SECOND, SECOND);
        scene.beat(SECOND);
    });

    let Some((_, Alarm::Kill { reason, .. })) = alarm else {
        panic!("{alarm:?}");
    };
    let expected = "it printed no line in 121.0 s of the guest's time; the limit is 120.0 s, \
        which is 30 times the 4.0 s of processor time in which this guest booted";
    assert_eq!(reason, expected);
}

#[test]
fn program_that_sleeps_is_killed_after_its_limit() {
    let mut scene = Scene::running("dma");

    let alarm = scene.first(|scene| {
        scene.second(Duration::ZERO, Duration::ZERO);
        scene.beat(2 * SECOND);
    });

    assert_eq!(assert_kills(alarm, "dma"), 121);
}

#[test]
fn slow_program_with_output_lives() {
    let mut scene = Scene::running("dma");
    let mut seconds = 0;

    let alarm = scene.first(|scene| {
        scene.second(2 * SECOND, 2 * SECOND);
        scene.beat(Duration::ZERO);
        seconds += 1;
        if seconds % 45 == 0 {
            scene.result();
        }
    });

    assert_eq!(alarm, None);
}

#[test]
fn limit_on_a_busy_host_counts_the_guests_time() {
    let mut scene = Scene::running("dma");

    let alarm = scene.first(|scene| {
        // A tenth of a processor. The other processor is idle all the time.
        scene.second(SECOND / 10, SECOND);
        scene.beat(SECOND);
    });

    assert!(assert_kills(alarm, "dma") >= 1200);
}

#[test]
fn time_in_which_a_machine_is_stopped_does_not_count() {
    let mut scene = Scene::running("dma");

    for _ in 0..20 {
        // One hour later both processors report that they were idle.
        scene.clock += 3600 * SECOND;
        scene.beat(2 * 3600 * SECOND);
    }

    assert_eq!(scene.alarm(), None);
}

#[test]
fn wait_for_a_dead_server_uses_no_time() {
    let mut scene = Scene::running("dma");

    // Ten accesses of 5 s each, with a little work and a beat after each.
    let alarm = (0..10).find_map(|_| {
        for _ in 0..5 {
            scene.second(Duration::ZERO, Duration::ZERO);
        }
        scene.second(SECOND / 10, SECOND / 10);
        scene.beat(Duration::ZERO);
        scene.alarm()
    });

    assert_eq!(alarm, None);
}

#[test]
fn motionless_machine_is_ended_after_many_looks() {
    let mut scene = Scene::running("dma");

    let alarm = scene.first(|scene| scene.second(Duration::ZERO, Duration::ZERO));

    assert_eq!(alarm, Some((120, Alarm::End(Hang::Still { looks: 1200 }))));
}

#[test]
fn machine_without_a_processor_is_not_motionless() {
    let mut scene = Scene::running("dma");

    let alarm = scene.first(|scene| scene.second(Duration::ZERO, SECOND));

    assert_eq!(alarm, None);
}

#[test]
fn spinning_kernel_is_detected_by_missing_beats() {
    let mut scene = Scene::running("attack");

    let alarm = scene.first(|scene| {
        scene.second(SECOND, SECOND);
        // The kernel may print that it is stuck.
        scene.dog.console_line();
    });

    // Thirty boots of four seconds.
    match alarm {
        Some((
            121,
            Alarm::End(Hang::Spins {
                program: Some(program),
                ..
            }),
        )) => assert_eq!(program, "attack"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn slow_boot_with_output_continues() {
    let mut scene = Scene::new();

    let alarm = scene.first(|scene| {
        scene.second(2 * SECOND, 2 * SECOND);
        scene.dog.console_line();
    });

    assert_eq!(alarm, None);
}

#[test]
fn endless_silent_boot_is_ended() {
    let mut scene = Scene::new();

    let alarm = scene.first(|scene| scene.second(SECOND, SECOND));

    assert!(
        matches!(alarm, Some((_, Alarm::End(Hang::Boot { .. })))),
        "{alarm:?}"
    );
}

#[test]
fn machine_that_never_starts_is_ended_after_many_looks() {
    let alarm = Scene::new().first(|scene| scene.second(Duration::ZERO, Duration::ZERO));

    assert!(
        matches!(alarm, Some((120, Alarm::End(Hang::Still { .. })))),
        "{alarm:?}"
    );
}

#[test]
fn idle_init_is_ended() {
    let mut scene = Scene::running("dma");
    scene.running = None;
    scene.result();

    let alarm = scene.first(|scene| {
        scene.second(Duration::ZERO, Duration::ZERO);
        scene.beat(2 * SECOND);
    });

    assert!(
        matches!(alarm, Some((121, Alarm::End(Hang::Idle { .. })))),
        "{alarm:?}"
    );
}

#[test]
fn program_is_killed_once_and_the_next_one_has_a_limit_of_its_own() {
    let mut scene = Scene::running("dma");
    let spin = |scene: &mut Scene| {
        scene.second(SECOND, SECOND);
        scene.beat(SECOND);
    };
    assert_kills(scene.first(spin), "dma");
    spin(&mut scene);
    let again = scene.alarm();
    scene.running = None;
    scene.result();
    scene.running = Some("queue");
    scene.result();

    let next = scene.first(spin);

    assert_eq!(again, None);
    assert_eq!(assert_kills(next, "queue"), 121);
}

#[test]
fn init_that_does_not_kill_is_ended() {
    let mut scene = Scene::running("dma");
    let spin = |scene: &mut Scene| {
        scene.second(SECOND, SECOND);
        scene.beat(SECOND);
    };
    assert_kills(scene.first(spin), "dma");

    let alarm = scene.first(spin);

    match alarm {
        Some((121, Alarm::End(Hang::Disobeyed { program, .. }))) => assert_eq!(program, "dma"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_guest_times_do_no_harm() {
    let mut scene = Scene::running("dma");

    for (clock, idle) in [
        (Duration::MAX, Duration::ZERO),
        (Duration::ZERO, Duration::MAX),
        (SECOND, SECOND),
    ] {
        scene.dog.beat(Beat {
            clock,
            idle,
            program: None,
        });
    }

    assert_eq!(scene.alarm(), None);
}
