// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The rules of the mapping layer, for any driver that uses it. A test program describes its driver
//! with a table of kinds, and each rule becomes a case per kind:
//!
//! ```ignore
//! #[case(rules::each_kind)]
//! fn mappings() -> Driver { … }
//! ```

mod debugger;
mod mapping;
mod removal;

pub use removal::bound_device;

use crate::debugfs;
use crate::raw::{RawMapping, READ_WRITE};
use crate::{has_iommu, page_size, Case, Skip};
use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags};
use std::borrow::Cow;
use std::fs::{File, OpenOptions};
use std::rc::Rc;
use std::sync::Arc;

/// Result of a rule for a kind.
pub type Outcome = Result<(), Skip>;

/// A rule, which panics if the kind breaks it.
type Rule = fn(&Driver, &Kind) -> Outcome;

/// A driver that uses the mapping layer.
pub struct Driver {
    /// Name of its module.
    pub module: &'static str,
    /// Node of the device under test, in `/dev`.
    pub node: &'static str,
    /// Its kinds of mappings.
    pub kinds: Vec<Kind>,
}

impl Driver {
    /// Returns the folder of the device in debugfs.
    pub fn debugfs(&self) -> debugfs::Folder {
        debugfs::Folder(self.node_name())
    }

    /// Returns the name of the node, which debugfs and sysfs have too.
    fn node_name(&self) -> &'static str {
        let name = self.node.strip_prefix("/dev/");
        name.unwrap_or_else(|| panic!("{}: the table has a node that is not in /dev", self.node))
    }
}

/// Makes a region, whose file is opened read-only if asked for.
pub type Make = Rc<dyn Fn(bool) -> Region>;

/// A kind of mapping of a driver.
#[derive(Clone)]
pub struct Kind {
    /// Name in cases. The part before a `/` is its name in debugfs.
    pub name: &'static str,
    /// Makes a region of the kind, which lives as long as its file.
    pub make: Make,
    /// Flags of smaps, with blanks between them: `io`, `pf`, `mm`, `de`, `dd`, `dc`. `dma` stands
    /// for the flag that the DMA API chooses.
    pub flags: &'static str,
    /// Cache policy in debugfs; `none` if no page table entry can be read back.
    pub policy: &'static str,
    /// Whether a process can map it writable.
    pub writable: bool,
    /// Whether a forked child gets the mapping.
    pub inherited: bool,
    /// Access of a debugger, through a mapping with all the rights that the process may have.
    pub debugger: Debugger,
    /// Error of a mapping that starts right behind the region.
    pub behind: Errno,
    /// Whether any user may map it.
    pub for_everybody: bool,
}

/// Access of a debugger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Debugger {
    /// It reads and writes.
    Writes,
    /// It reads.
    Reads,
    /// It is refused.
    Refused,
}

/// A region that a process can map.
#[derive(Debug)]
pub struct Region {
    /// The open file that it belongs to.
    pub file: Arc<File>,
    /// mmap offset of its start.
    pub offset: u64,
    /// Size in bytes, in whole pages.
    pub size: usize,
}

impl Region {
    /// Maps all of it.
    pub fn map(&self, protection: ProtFlags, flags: MapFlags) -> Result<RawMapping, Errno> {
        RawMapping::new(&self.file, self.offset, self.size, protection, flags)
    }
}

impl Kind {
    /// Makes a region of the kind.
    fn region(&self) -> Region {
        (self.make)(false)
    }

    /// Returns the flags that smaps shows here, sorted.
    fn flags(&self) -> Vec<&'static str> {
        let shown = |flag| match (flag, has_iommu()) {
            ("dma", true) => "mm",
            ("dma", false) => "pf",
            (flag, _) => flag,
        };
        let mut flags: Vec<_> = self.flags.split_whitespace().map(shown).collect();
        flags.sort_unstable();
        flags
    }

    /// Maps all of a region, writable if the kind allows it.
    fn map(&self, region: &Region) -> RawMapping {
        let protection = match self.writable {
            true => READ_WRITE,
            false => ProtFlags::READ,
        };
        let mapped = region.map(protection, MapFlags::SHARED);
        mapped.expect("the kind can be mapped")
    }
}

/// Opens a node for a [`Region`], read-only if asked to.
#[track_caller]
pub fn open_node(node: &str, read_only: bool) -> Arc<File> {
    let file = OpenOptions::new().read(true).write(!read_only).open(node);
    Arc::new(file.unwrap_or_else(|error| panic!("{node}: {error}")))
}

/// Returns a [`Make`] for the region at a fixed mmap offset of a node. A mapping has whole pages.
pub fn fixed(node: &'static str, offset: u64, size: usize) -> Make {
    let size = size.next_multiple_of(page_size());
    Rc::new(move |read_only| Region {
        file: open_node(node, read_only),
        offset,
        size,
    })
}

/// Makes the cases of all rules about mappings, for `#[case]`. All rules run against one kind
/// before the next kind's turn.
pub fn each_kind(_name: &'static str, driver: fn() -> Driver) -> Vec<Case> {
    cases(&Rc::new(driver()), &[mapping::RULES, debugger::RULES])
}

/// Makes the cases of all rules about the removal of a device, for `#[case]`: one about its node,
/// and those about live mappings, which run per kind.
pub fn removal(_name: &'static str, driver: fn() -> Driver) -> Vec<Case> {
    let driver = Rc::new(driver());
    let mut cases = cases(&driver, &[removal::RULES]);
    let (name, rule) = removal::RULE_OF_THE_NODE;
    let behind_the_kinds = driver.kinds.len() + 1;
    cases.push(Case::new(name, move || rule(&driver)).in_turn(behind_the_kinds));
    cases
}

fn cases(driver: &Rc<Driver>, rules: &[&'static [(&'static str, Rule)]]) -> Vec<Case> {
    let mut cases = Vec::new();
    for (turn, kind) in (1..).zip(&driver.kinds) {
        for (name, rule) in rules.iter().copied().flatten() {
            let (driver, kind) = (Rc::clone(driver), kind.clone());
            let case = Case::new(format!("{}: {name}", kind.name), move || {
                rule(&driver, &kind)
            });
            cases.push(case.in_turn(turn));
        }
    }
    cases
}

/// Skips a case with `reason` unless something holds.
fn only_if(holds: bool, reason: &'static str) -> Outcome {
    match holds {
        true => Ok(()),
        false => Err(Skip(Cow::Borrowed(reason))),
    }
}

/// Names functions as rules.
macro_rules! rules {
    ($($rule:ident,)*) => {
        &[$((stringify!($rule), $rule as $crate::rules::Rule),)*]
    };
}
use rules;
