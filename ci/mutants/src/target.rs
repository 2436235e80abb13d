// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The parts that are changed, and the tests that must notice.

use crate::error::Error;

/// Mutants per target. A target that has fewer runs all of them.
const SAMPLE: usize = 300;

/// Where a change is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By `cargo test` on the host.
    Host,
    /// By the programs of a guest, which are compiled again with it.
    Client,
    /// By the programs of a guest that loads the module.
    Driver,
}

/// A part that is changed, and its tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    /// Name for people.
    pub(crate) name: &'static str,
    /// Where a change is noticed.
    pub(crate) kind: Kind,
    /// Name of the package.
    pub(crate) package: &'static str,
    /// Folder of the sources.
    pub(crate) folder: &'static str,
    /// Files that no build of the tests has, or that are tests themselves.
    pub(crate) excluded: &'static [&'static str],
    /// Tests that must notice. On the host these are packages: its own, and those of its users that are
    /// quick. In a guest these are programs, the quick ones first.
    pub(crate) tests: &'static [&'static str],
    /// Boots for programs that need another machine. They follow if the first boot notices nothing.
    pub(crate) more: &'static [Boot],
    /// Folders of these tests, and of the sources. A change there may let a test notice more.
    pub(crate) folders: &'static [&'static str],
    /// Number of mutants to run.
    pub(crate) sample: usize,
    /// Percentage that must be noticed.
    pub(crate) goal: u32,
}

/// A boot of a guest.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Boot {
    /// Its programs.
    pub(crate) programs: &'static [&'static str],
    /// Its machine, in variables as of `make run`.
    pub(crate) machine: &'static [(&'static str, &'static str)],
}

/// All targets, in the order of the table.
pub(crate) const TARGETS: [Target; 6] = [
    Target {
        name: "model",
        kind: Kind::Host,
        package: "ringbar-model",
        folder: "qemu-device/model/src",
        // A build on purpose broken, the pretended guest memory, and the driver side of tests.
        excluded: &["sabotage.rs", "fake.rs", "test_driver.rs"],
        tests: &["ringbar-model", "ringbar-driver-side"],
        more: &[],
        folders: &["qemu-device/model", "qemu-device/driver-side"],
        sample: SAMPLE,
        goal: 90,
    },
    Target {
        name: "protocol",
        kind: Kind::Host,
        package: "ringbar-vfio-user",
        folder: "qemu-device/vfio-user/protocol/src",
        // The peer of tests.
        excluded: &["testing.rs"],
        tests: &["ringbar-vfio-user"],
        more: &[],
        folders: &["qemu-device/vfio-user/protocol"],
        sample: SAMPLE,
        goal: 90,
    },
    Target {
        name: "endpoint",
        kind: Kind::Host,
        package: "ringbar-endpoint",
        folder: "qemu-device/vfio-user/endpoint/src",
        excluded: &[],
        tests: &["ringbar-endpoint", "ringbar-example-sum"],
        more: &[],
        folders: &[
            "qemu-device/vfio-user/endpoint",
            "qemu-device/vfio-user/examples/sum",
        ],
        sample: SAMPLE,
        goal: 90,
    },
    Target {
        name: "spec",
        kind: Kind::Host,
        package: "ringbar-spec",
        folder: "qemu-device/spec/src",
        excluded: &[],
        tests: &[
            "ringbar-spec",
            "ringbar-model",
            "ringbar-driver-side",
            "ringbar-uapi",
        ],
        more: &[],
        folders: &[
            "qemu-device/spec",
            "qemu-device/model",
            "qemu-device/driver-side",
            "guest-driver/uapi",
        ],
        sample: SAMPLE,
        goal: 90,
    },
    Target {
        name: "client",
        kind: Kind::Client,
        package: "ringbar-client",
        folder: "guest-rootfs/client/src",
        excluded: &[],
        tests: &CLIENT_PROGRAMS,
        more: &[],
        folders: &["guest-rootfs", "qemu-device/driver-side"],
        sample: SAMPLE,
        goal: 90,
    },
    Target {
        name: "driver",
        kind: Kind::Driver,
        package: "driver",
        folder: "guest-driver",
        // A build on purpose broken, and what only Linux 7.2 needs.
        excluded: &[
            "sabotage.rs",
            "mapping/series/linux_7_2.rs",
            "mapping/series/linux_7_2/interrupts.rs",
            "mapping/series/linux_7_2/memory.rs",
            "mapping/series/linux_7_2/srcu.rs",
        ],
        tests: &DRIVER_PROGRAMS,
        more: &[LOST_AND_FOUND, LIARS],
        folders: &[
            "guest-driver",
            "guest-rootfs",
            "qemu-device/spec",
            "qemu-device/proof/liar",
            "qemu-device/proof/lies",
            "qemu-device/vfio-user/broker",
        ],
        sample: SAMPLE,
        goal: 80,
    },
];

/// Programs that use most of the client library.
const CLIENT_PROGRAMS: [&str; 12] = [
    "registers",
    "client_examples",
    "checks",
    "device_memory",
    "errors",
    "refusals",
    "moderation",
    "queue",
    "kernel_queue",
    "waiting",
    "queue_life",
    "windows",
];

/// Machine of most programs.
pub(crate) const MACHINE: [(&str, &str); 2] = [("DEVICES", "4"), ("INTERRUPTS", "msix")];

/// Servers that go and come back behind the back of QEMU.
const LOST_AND_FOUND: Boot = Boot {
    programs: &["swap"],
    machine: &[("DEVICES", "1"), ("INTERRUPTS", "msix"), ("BROKER", "1")],
};

/// Servers that lie, without a broker.
const LIARS: Boot = Boot {
    programs: &["lies"],
    machine: &[("DEVICES", "3"), ("INTERRUPTS", "msi"), ("LIES", "1")],
};

/// Programs that use the driver. Left out are those that repeat for minutes, restart the machine, or
/// need files or a kernel of their own.
const DRIVER_PROGRAMS: [&str; 35] = [
    "registers",
    "client_examples",
    "checks",
    "device_memory",
    "errors",
    "dma",
    "refusals",
    "phases",
    "config_space",
    "accesses",
    "compat",
    "moderation",
    "removal",
    "queue",
    "kernel_queue",
    "waiting",
    "signals",
    "debuggers",
    "lives",
    "queue_life",
    "reset",
    "sleep",
    "two_devices",
    "windows",
    "limits",
    "mappings",
    "user_memory",
    "attack",
    "removal_cycles",
    "pending",
    "copies",
    "link_errors",
    "vectors",
    "wakeups",
    // Takes devices out and adds them, which changes their numbers.
    "vanished_server",
];

/// Returns the targets with this name, or all without one.
pub(crate) fn named(name: Option<&str>) -> Result<Vec<Target>, Error> {
    let Some(name) = name else {
        return Ok(TARGETS.to_vec());
    };
    let found = TARGETS
        .iter()
        .find(|target| target.name == name || target.package == name);
    found
        .map(|target| vec![*target])
        .ok_or_else(|| Error::Unknown {
            name: name.to_owned(),
            known: TARGETS.map(|target| target.name).join(", "),
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reasons::Reasons;
    use std::path::{Path, PathBuf};

    #[test]
    fn target_is_found_by_its_name_or_its_package() {
        assert_eq!(
            named(Some("protocol")).expect("a target")[0].package,
            "ringbar-vfio-user"
        );
        assert_eq!(
            named(Some("ringbar-vfio-user")).expect("a target")[0].name,
            "protocol"
        );
        assert_eq!(named(None).expect("targets").len(), TARGETS.len());
    }

    #[test]
    fn unknown_target_is_refused_with_the_known_ones() {
        let error = named(Some("modle")).expect_err("no target").to_string();
        assert!(
            error.contains("modle") && error.contains("model, protocol"),
            "{error}"
        );
    }

    /// Returns the path of a file of the checkout.
    fn path(below: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../..")
            .join(below)
    }

    #[test]
    fn sources_and_tests_of_each_target_are_there() {
        for target in TARGETS {
            for folder in target.folders.iter().chain([&target.folder]) {
                assert!(path(folder).is_dir(), "{}: {folder}", target.name);
            }
            for file in target.excluded {
                let file = path(target.folder).join(file);
                assert!(file.is_file(), "{}: {}", target.name, file.display());
            }
        }
    }

    #[test]
    fn programs_of_a_guest_are_there() {
        let folder = path("guest-rootfs/tests/src/bin");
        for target in TARGETS.iter().filter(|target| target.kind != Kind::Host) {
            let more = target.more.iter().flat_map(|boot| boot.programs);
            for program in target.tests.iter().chain(more) {
                let found = [program.to_string(), format!("{program}.rs")];
                assert!(
                    found.iter().any(|name| folder.join(name).exists()),
                    "{}: {program}",
                    target.name
                );
            }
        }
    }

    #[test]
    fn survivors_are_in_files_of_a_target() {
        let reasons = Reasons::read(&path("ci/mutants/survivors")).expect("reasons");
        for mutant in reasons.mutants() {
            let file = mutant.split(": ").next().unwrap_or_default();
            let of = |target: &Target| file.starts_with(target.folder);
            assert!(TARGETS.iter().any(of) && path(file).is_file(), "{mutant}");
        }
    }
}
