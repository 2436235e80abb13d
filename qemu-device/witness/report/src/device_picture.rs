// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Mappings as SVG: the BARs and an operation's memory in the guest, and how driver, process and
//! device use each. Policies come from the driver's README.

use std::collections::BTreeMap;

use ringbar_records::place::Space;
use ringbar_spec::layout::{
    memory_part, MemoryPart, ADMIN_PAGE, DEVICE_MEMORY_BAR, DEVICE_MEMORY_SIZE, DOORBELL_PAGES,
    KICK_PAGES, MSIX_BAR, PUBLIC_PAGE, REGISTER_BAR, REPORT_PAGE, STATUS_PAGES,
};
use svg::node::element::{Group, Rectangle, Text, Title};
use svg::{Document, Node};

use crate::readme;
use crate::run::{Happening, Run};

const WIDTH: f64 = 1000.0;
const ROW: f64 = 40.0;
/// Height of a heading.
const HEADING: f64 = 30.0;
/// Left edges and widths of the columns.
const COLUMNS: [(f64, f64); 4] = [
    (86.0, 254.0),
    (352.0, 206.0),
    (570.0, 206.0),
    (788.0, 206.0),
];
const GAP: f64 = 3.0;

/// A part of the device or of the guest's memory.
struct Part {
    /// BAR and offset. `None` for the guest's memory.
    place: Option<(u32, usize)>,
    name: &'static str,
    backing: Backing,
    driver: &'static str,
    process: Process,
    device: &'static str,
}

#[derive(Clone, Copy)]
enum Backing {
    Trapped,
    Shared,
    Guest,
}

/// Mapping of a process.
enum Process {
    Nothing,
    /// A kind of mapping in the driver's README.
    Maps(&'static str),
    /// The same, with a condition for it.
    MapsWith(&'static str, &'static str),
}

/// Returns all parts, in the order of their offsets.
fn parts() -> Vec<Part> {
    use Backing::{Guest, Shared, Trapped};
    use Process::{Maps, MapsWith, Nothing};
    let registers = |offset| Some((REGISTER_BAR, offset));
    let memory = |part| Some((DEVICE_MEMORY_BAR, memory_part(DEVICE_MEMORY_SIZE, part).0));
    let part = |place, name, backing, driver, process, device| Part {
        place,
        name,
        backing,
        driver,
        process,
        device,
    };
    let raw = MapsWith("public-registers", "CAP_SYS_RAWIO");
    let (process, answers, copies) = ("zeroes it, gives it out", "answers", "copies in windows");
    let coherent = "allocates it, coherent";
    let (lazy, uncached) = ("lazy-device-memory", "device-memory/uncached");
    let combining = "device-memory/write-combining";
    vec![
        part(
            registers(PUBLIC_PAGE),
            "public registers",
            Trapped,
            "reads at probe",
            raw,
            answers,
        ),
        part(
            registers(ADMIN_PAGE),
            "admin registers",
            Trapped,
            "commands, resets",
            Nothing,
            answers,
        ),
        part(
            registers(KICK_PAGES),
            "kick pages, one per queue",
            Trapped,
            "kicks, checks",
            Maps("kick"),
            "wakes up",
        ),
        part(
            registers(REPORT_PAGE),
            "report page",
            Shared,
            "reads",
            Nothing,
            "writes",
        ),
        part(
            registers(DOORBELL_PAGES),
            "doorbell pages, one per queue",
            Shared,
            "arms",
            Maps("doorbell"),
            "reads, polls",
        ),
        part(
            registers(STATUS_PAGES),
            "status pages, one per queue",
            Shared,
            "reads",
            Maps("status"),
            "writes",
        ),
        part(
            memory(MemoryPart::WriteCombining),
            "device memory, first half",
            Shared,
            process,
            Maps(combining),
            copies,
        ),
        part(
            memory(MemoryPart::Uncached),
            "device memory, third quarter",
            Shared,
            process,
            Maps(uncached),
            copies,
        ),
        part(
            memory(MemoryPart::Lazy),
            "device memory, last quarter",
            Shared,
            process,
            Maps(lazy),
            copies,
        ),
        part(
            Some((MSIX_BAR, 0)),
            "MSI-X table, pending bits",
            Trapped,
            "set up by the kernel",
            Nothing,
            "none: QEMU's",
        ),
        part(
            None,
            "submission ring",
            Guest,
            coherent,
            Maps("submission-ring"),
            "reads descriptors",
        ),
        part(
            None,
            "completion ring",
            Guest,
            coherent,
            Maps("completion-ring"),
            "writes completions",
        ),
        part(
            None,
            "DMA buffers",
            Guest,
            coherent,
            Maps("dma-buffer"),
            copies,
        ),
    ]
}

/// Draws the parts, with the number of accesses to each if they were recorded.
pub(crate) fn draw(run: &Run) -> String {
    let parts = parts();
    let uses = uses(run, &parts);
    let height = HEADING + parts.len() as f64 * ROW + 2.0 * GAP;
    let mut picture = Document::new()
        .set("viewBox", format!("0 0 {WIDTH} {height}"))
        .set("role", "img")
        .add(Title::new("mappings with their owners and cache policies"));
    let headings = ["what", "driver and kernel", "process", "device"];
    for ((left, _), heading) in COLUMNS.iter().zip(headings) {
        picture.append(text(heading, *left + 6.0, 18.0).set("class", "head"));
    }
    for (number, part) in parts.iter().enumerate() {
        let top = HEADING + number as f64 * ROW;
        picture.append(row(number, part, top, &uses));
    }
    picture.to_string()
}

/// Draws the row of a part.
fn row(number: usize, part: &Part, top: f64, uses: &Uses) -> Group {
    let place = match part.place {
        Some((bar, offset)) => (format!("BAR {bar}"), format!("{offset:#x}")),
        None => ("guest".to_owned(), "memory".to_owned()),
    };
    let (class, backing) = match part.backing {
        Backing::Trapped => ("trapped", "each access traps"),
        Backing::Shared => ("shared", "memory, shared by server and guest"),
        Backing::Guest => ("guest", "memory, the device reaches it by DMA"),
    };
    let used = |driver| {
        uses.get(&(number, driver))
            .map(Use::words)
            .unwrap_or_default()
    };
    let process = match part.process {
        Process::Nothing => None,
        Process::Maps(kind) => Some(policy(kind, "")),
        Process::MapsWith(kind, needs) => Some(policy(kind, needs)),
    };
    let mut group = Group::new()
        .add(text(place.0, 0.0, top + 16.0).set("class", "soft"))
        .add(text(place.1, 0.0, top + 31.0).set("class", "soft"));
    let cells = [
        Some((class, part.name.to_owned(), backing.to_owned())),
        Some(("driver-cell", part.driver.to_owned(), used(true))),
        process.map(|policy| ("program-cell", policy, used(false))),
        Some(("device-cell", part.device.to_owned(), String::new())),
    ];
    for ((left, width), cell) in COLUMNS.iter().zip(cells) {
        let Some((class, first, second)) = cell else {
            group.append(text("not mapped", left + 6.0, top + 24.0).set("class", "soft"));
            continue;
        };
        let cell = Rectangle::new()
            .set("class", class)
            .set("x", *left)
            .set("y", top)
            .set("width", *width)
            .set("height", ROW - GAP)
            .set("rx", 3);
        group.append(cell);
        group.append(text(first, left + 6.0, top + 16.0));
        group.append(text(second, left + 6.0, top + 31.0).set("class", "soft"));
    }
    group
}

/// Returns a text at a place.
fn text(words: impl Into<String>, x: f64, y: f64) -> Text {
    Text::new(words.into()).set("x", x).set("y", y)
}

/// Returns how a process maps a kind, from the driver's README.
fn policy(kind: &str, needs: &str) -> String {
    let mut cells = readme::row(kind).into_iter().flatten().skip(1);
    let (policy, writable) = (cells.next().unwrap_or("?"), cells.next().unwrap_or("?"));
    let rights = if writable == "yes" { "" } else { ", read-only" };
    let comma = if needs.is_empty() { "" } else { ", " };
    format!("{policy}{rights}{comma}{needs}")
}

/// Accesses to a part.
#[derive(Default)]
struct Use {
    reads: u64,
    writes: u64,
}

impl Use {
    /// Returns the accesses in words.
    fn words(&self) -> String {
        let counts = [(self.reads, "reads"), (self.writes, "writes")];
        let some = counts.iter().filter(|(count, _)| *count > 0);
        let words: Vec<String> = some
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        words.join(", ")
    }
}

/// Accesses by number of the part, and by whether the driver or kernel made them.
type Uses = BTreeMap<(usize, bool), Use>;

/// Counts the accesses to each part.
fn uses(run: &Run, parts: &[Part]) -> Uses {
    let mut uses = Uses::new();
    for moment in &run.moments {
        let (place, write, count) = match &moment.what {
            Happening::Access(access) => (&access.place, access.write, access.count),
            Happening::Sum(sum) => (&sum.place, sum.write, sum.count),
            Happening::Event(_) => continue,
        };
        let bar = match place.space {
            Space::Register => REGISTER_BAR,
            Space::Memory => DEVICE_MEMORY_BAR,
            Space::MsixTable | Space::MsixPba => MSIX_BAR,
            Space::Reserved | Space::Config => continue,
        };
        // The parts of a BAR are sorted by offset, so the last one that begins before the access
        // contains it.
        let part = parts.iter().rposition(|part| {
            let begin = part.place.filter(|(of, _)| *of == bar);
            begin.is_some_and(|(_, begin)| begin as u64 <= place.offset)
        });
        let Some(part) = part else { continue };
        let by_driver = matches!(moment.site.owner.as_str(), "driver" | "kernel");
        let used = uses.entry((part, by_driver)).or_default();
        let side = if write {
            &mut used.writes
        } else {
            &mut used.reads
        };
        *side = side.saturating_add(count);
    }
    uses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_is_drawn_is_in_the_readme() {
        for part in parts() {
            if let Process::Maps(kind) | Process::MapsWith(kind, _) = part.process {
                assert!(!policy(kind, "").contains('?'), "{kind}");
            }
        }
    }

    #[test]
    fn policies_are_those_of_the_readme() {
        let picture = draw(&Run::default());

        for words in [
            "uncached, read-only",
            "device, CAP_SYS_RAWIO",
            "write-combining",
        ] {
            assert!(picture.contains(words), "{words}");
        }
    }
}
