// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A change in the driver or in the client library: it is compiled, and the guest's programs use it
//! in one boot, and in more where some need another machine.

use std::fs;
use std::path::PathBuf;

use crate::error::Error;
use crate::guest_log;
use crate::interrupt::Interrupt;
use crate::judge::{Judge, Judgement};
use crate::place::{self, Place};
use crate::results::Verdict;
use crate::state::State;
use crate::step::{End, Step};
use crate::target::{Boot, Kind, Target, MACHINE};

/// Name of the configuration in reports, and of the folder with the changed module.
const NAME: &str = "mutant";

/// Builds and boots in the copy of the checkout.
#[derive(Debug)]
pub(crate) struct Guest<'a> {
    place: &'a Place,
    target: &'a Target,
    interrupt: &'a Interrupt,
}

impl<'a> Guest<'a> {
    /// Creates the guest for this target.
    pub(crate) fn new(place: &'a Place, target: &'a Target, interrupt: &'a Interrupt) -> Self {
        Self {
            place,
            target,
            interrupt,
        }
    }

    /// Compiles without a change and runs the programs.
    fn green(&self) -> Result<(), Error> {
        self.compile()
            .must("compiling without a change", self.interrupt)?;
        self.pack()?;
        self.boots().try_for_each(|boot| {
            self.boot(&boot)
                .must("running the programs without a change", self.interrupt)
        })
    }

    /// Returns the file with the output of the boot.
    fn log(&self) -> PathBuf {
        self.file("boot.log")
    }

    /// Returns the path of a file about this target.
    fn file(&self, name: &str) -> PathBuf {
        self.place.file(&format!("{}-{name}", self.target.name))
    }

    /// Returns a step that calls a script of the copy.
    fn script(&self, name: &str) -> Step {
        self.place
            .script(name, self.file(&name.replace(".sh", ".log")))
    }

    /// Returns the step that compiles the change, past the cache of modules and programs.
    fn compile(&self) -> Step {
        match self.target.kind {
            Kind::Driver => self.script("module.sh").args(["apart", NAME]),
            Kind::Client | Kind::Host => self
                .script("programs.sh")
                .args(["apart"])
                .args(self.target.tests),
        }
    }

    /// Returns the folder of the changed module and of the initramfs, in the copy.
    fn folder(&self) -> PathBuf {
        self.place.tree().join("build").join(NAME)
    }

    /// Returns the path of the initramfs.
    fn initramfs(&self) -> PathBuf {
        self.folder().join("initramfs.cpio")
    }

    /// Packs module and programs.
    fn pack(&self) -> Result<(), Error> {
        let folder = self.folder();
        fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
        let module = match self.target.kind {
            Kind::Driver => folder.join("ringbar.ko"),
            Kind::Client | Kind::Host => self.place.tree().join("build/module/ringbar.ko"),
        };
        self.script("guest.sh")
            .args(["initramfs"])
            .args([module, self.initramfs()])
            .must("packing the guest", self.interrupt)
    }

    /// Returns all boots, the one with most programs first.
    fn boots(&self) -> impl Iterator<Item = Boot> {
        let most = Boot {
            programs: self.target.tests,
            machine: &MACHINE,
        };
        std::iter::once(most).chain(self.target.more.iter().copied())
    }

    /// Returns the step that boots a machine and runs its programs.
    fn boot(&self, boot: &Boot) -> Step {
        let step = self
            .place
            .script("vm.sh", self.log())
            .args(["plain", NAME])
            .args([self.initramfs()])
            .env("TESTS", boot.programs.join(","))
            .env("CYCLES", "1")
            .env("FULL", "0");
        let machine = boot.machine.iter();
        machine.fold(step, |step, (name, value)| step.env(name, value))
    }
}

impl Judge for Guest<'_> {
    /// Builds all that a guest needs first. The run of the programs takes minutes, so it is not
    /// repeated for the same sources.
    fn baseline(&mut self, state: &State) -> Result<(), Error> {
        self.script("build.sh")
            .must("building the guest", self.interrupt)?;
        let (note, sum) = (self.file("green"), state.all().to_string());
        if place::text(&note) == sum {
            return Ok(());
        }
        self.green()?;
        fs::write(&note, sum).map_err(Error::file(&note))
    }

    /// Compiles, packs and boots. A boot ends at its first failed program, and no other follows. There
    /// is no limit of time: the runner ends a program that hangs, and a machine.
    fn judge(&self) -> Result<Judgement, Error> {
        if self.compile().watch(self.interrupt, |_| Ok(false))? != End::Good {
            return Ok((Verdict::Unviable, None));
        }
        self.pack()?;
        let log = self.log();
        for boot in self.boots() {
            let look = |_| Ok(guest_log::has_failed(&place::text(&log)));
            let end = self.boot(&boot).watch(self.interrupt, look)?;
            match (end, guest_log::failed_case(&place::text(&log))) {
                (End::Good, _) => {}
                (_, Some(by)) => return Ok((Verdict::Caught, Some(by))),
                (End::Bad | End::Cut, None) => {
                    return Err(Error::Failed {
                        what: "running the programs".to_owned(),
                        log,
                    })
                }
            }
        }
        Ok((Verdict::Missed, None))
    }
}
