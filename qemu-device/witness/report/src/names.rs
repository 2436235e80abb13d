// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Names for addresses of the guest: function, file and line of the code there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use addr2line::Context;
use object::{Object, ObjectSymbol};
use ringbar_marks::Mark;
use ringbar_records::record::{Access, Hex, Record};
use serde::Serialize;

use crate::error::Error;
use crate::object_file::{dwarf, Layout, Reader};
use crate::options::Recorded;

/// Start of the kernel's half of an address space.
const KERNEL: u64 = 1 << 63;
/// Folders of the checkout. They identify its files among the paths in debug information.
const FOLDERS: &[&str] = &["guest-driver/", "guest-rootfs/", "qemu-device/"];
/// Way from a project of the user's own to the checkout.
const CHECKOUT: &str = "ringbar/";
/// Files that only carry out accesses for their callers. The caller is more informative.
const ACCESSORS: &[&str] = &[
    "guest-rootfs/client/src/mapping.rs",
    "guest-rootfs/tests/src/raw.rs",
    "guest-driver/device/registers.rs",
    "qemu-device/spec/src/wake.rs",
];
/// Functions that do the same in any file: those of the trait `Words`.
const ACCESSOR_FUNCTIONS: &[&str] = &["load", "store"];

/// Code that made an access.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub(crate) struct Site {
    /// `driver`, `kernel`, or the name of the test program.
    pub(crate) owner: String,
    /// Function; empty if unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) function: String,
    /// File and line; empty if unknown.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) place: String,
}

/// Code that ran in the guest.
pub(crate) struct Names {
    driver: Code,
    programs: BTreeMap<String, Code>,
    sources: Sources,
    /// Sections of the driver: where they were loaded, and where they are in `driver`. Sorted by
    /// time.
    sections: Vec<Section>,
}

struct Section {
    /// Time of the guest's mark.
    time: u64,
    loaded: u64,
    size: u64,
    here: u64,
}

impl Names {
    /// Reads the code that the records refer to.
    pub(crate) fn load(recorded: &Recorded, records: &[Record]) -> Result<Self, Error> {
        let Recorded {
            module, programs, ..
        } = recorded;
        let mut names = Self {
            driver: Code::default(),
            programs: BTreeMap::new(),
            sources: Sources(recorded.root.clone()),
            sections: Vec::new(),
        };
        if records.is_empty() {
            return Ok(names);
        }
        names.driver = Code::load(module)?;
        let list = fs::read_to_string(programs);
        let list = list.map_err(|source| Error::file("read", programs, source))?;
        let ran: Vec<String> = marks(records)
            .filter_map(|(_, mark)| match mark {
                Mark::Program { name, .. } => Some(name),
                _ => None,
            })
            .collect();
        for path in list.lines().map(Path::new) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if ran.iter().any(|ran| *ran == name) {
                names.programs.insert(name.into_owned(), Code::load(path)?);
            }
        }
        let loaded = marks(records).filter_map(|(time, mark)| match mark {
            Mark::Section { name, address } => Some((time, name, address)),
            _ => None,
        });
        let parts = &names.driver.parts;
        names.sections = loaded
            .filter_map(|(time, name, loaded)| {
                let (here, size) = *parts.get(&name)?;
                Some(Section {
                    time,
                    loaded,
                    size,
                    here,
                })
            })
            .collect();
        Ok(names)
    }

    /// Returns the code of an access. `program` is the running program and the address of its code.
    pub(crate) fn site(&self, access: &Access, program: Option<(&str, u64)>) -> Site {
        self.site_at(access.time, access.pc, &access.callers, program)
    }

    /// Returns the code of the instruction at `pc`. For a helper function of the kernel it returns
    /// the nearest caller in the driver.
    pub(crate) fn site_at(
        &self,
        time: u64,
        pc: Hex,
        callers: &[Hex],
        program: Option<(&str, u64)>,
    ) -> Site {
        let pc = address(pc);
        if pc < KERNEL {
            let Some((name, base)) = program else {
                return Site::default();
            };
            let code = self.programs.get(name);
            let found = code.and_then(|code| code.find(pc.checked_sub(base)?, &self.sources));
            return Site {
                owner: name.to_owned(),
                ..found.unwrap_or_default()
            };
        }
        // A return address is behind the call. One byte less lies inside it.
        let returns = callers
            .iter()
            .map(|caller| address(*caller).wrapping_sub(1));
        let here = std::iter::once(pc)
            .chain(returns)
            .find_map(|address| self.in_driver(time, address));
        match here {
            Some(here) => Site {
                owner: "driver".to_owned(),
                ..self.driver.find(here, &self.sources).unwrap_or_default()
            },
            None => Site {
                owner: "kernel".to_owned(),
                ..Site::default()
            },
        }
    }

    /// Returns the place of an address in `driver`. Sections before `time` come first, the latest
    /// of them at the front. The driver accesses the device before the guest marks its sections, so
    /// later ones are tried too.
    fn in_driver(&self, time: u64, address: u64) -> Option<u64> {
        let now = self
            .sections
            .partition_point(|section| section.time <= time);
        let (before, after) = self.sections.split_at(now);
        before.iter().rev().chain(after).find_map(|section| {
            let offset = address.checked_sub(section.loaded)?;
            (offset < section.size).then_some(section.here + offset)
        })
    }
}

/// Returns the known marks, with their times.
fn marks(records: &[Record]) -> impl Iterator<Item = (u64, Mark)> + '_ {
    records.iter().filter_map(|record| match record {
        Record::Mark { time, text, .. } => Some((*time, text.parse().ok()?)),
        _ => None,
    })
}

/// Converts an address.
pub(crate) fn address(number: Hex) -> u64 {
    u64::try_from(number.0).unwrap_or_default()
}

/// An ELF file with its debug information.
#[derive(Default)]
struct Code {
    context: Option<Context<Reader>>,
    /// Functions by address, with their ends.
    symbols: BTreeMap<u64, (u64, String)>,
    /// Sections with code: name, place and size.
    parts: BTreeMap<String, (u64, u64)>,
}

impl Code {
    /// Reads a file.
    fn load(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| Error::file("read", path, source))?;
        Self::read(&bytes).map_err(|reason| Error::Code {
            path: path.to_owned(),
            reason,
        })
    }

    /// Parses the bytes of a file.
    fn read(bytes: &[u8]) -> Result<Self, String> {
        let file = object::File::parse(bytes).map_err(|error| error.to_string())?;
        let layout = Layout::of(&file);
        let mut code = Self {
            parts: layout.parts(&file),
            ..Self::default()
        };
        for symbol in file.symbols().filter(|symbol| symbol.is_definition()) {
            let begin = layout.place(symbol.section_index(), symbol.address());
            let name = rustc_demangle::demangle(symbol.name().unwrap_or_default());
            let end = begin.saturating_add(symbol.size());
            code.symbols.insert(begin, (end, format!("{name:#}")));
        }
        let context =
            Context::from_dwarf(dwarf(&file, &layout)?).map_err(|error| error.to_string())?;
        code.context = Some(context);
        Ok(code)
    }

    /// Returns the innermost function of these sources around an address that does more than
    /// accesses. Without one, returns the innermost function of all.
    fn find(&self, address: u64, sources: &Sources) -> Option<Site> {
        let context = self.context.as_ref()?;
        let mut innermost = None;
        if let Ok(mut frames) = context.find_frames(address).skip_all_loads() {
            while let Ok(Some(frame)) = frames.next() {
                let function = frame.function.as_ref();
                let function = function.and_then(|name| Some(name.demangle().ok()?.into_owned()));
                let location = frame.location.as_ref();
                let file = location.and_then(|location| sources.shown(location.file?));
                let line = location.and_then(|location| location.line).unwrap_or(0);
                let site = Site {
                    owner: String::new(),
                    function: match function {
                        Some(name) => short(&name),
                        // Line tables alone have no names of functions.
                        None => self.symbol(address).unwrap_or_default(),
                    },
                    place: file.map_or_else(String::new, |file| format!("{file}:{line}")),
                };
                let name = site.function.rsplit("::").next().unwrap_or_default();
                let carries_out = ACCESSORS.iter().any(|file| site.place.starts_with(file))
                    || ACCESSOR_FUNCTIONS.contains(&name);
                if !site.place.is_empty() && !carries_out {
                    return Some(site);
                }
                let better = innermost
                    .as_ref()
                    .is_none_or(|known: &Site| known.place.is_empty());
                if better {
                    innermost = Some(site);
                }
            }
        }
        if innermost
            .as_ref()
            .is_some_and(|site| !site.place.is_empty())
        {
            return innermost;
        }
        let symbol = self.symbol(address).map(|function| Site {
            function,
            ..Site::default()
        });
        symbol.or(innermost)
    }

    /// Returns the name of the symbol at an address.
    fn symbol(&self, address: u64) -> Option<String> {
        let (_, (end, name)) = self.symbols.range(..=address).next_back()?;
        (address < *end).then(|| short(name))
    }
}

/// Folders with the sources of a user's own project, as debug information names them. The checkout
/// needs none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources(Vec<String>);

impl Sources {
    /// Returns a file's path below the project or the checkout, if it belongs to one of them.
    pub(crate) fn shown<'a>(&self, file: &'a str) -> Option<&'a str> {
        let below = |root: &String| file.strip_prefix(root.as_str())?.strip_prefix('/');
        match self.0.iter().find_map(below) {
            Some(file) => Some(of_checkout(file, CHECKOUT).unwrap_or(file)),
            None => of_checkout(file, ""),
        }
    }
}

/// Returns a file's path below the checkout, to which `way` leads.
fn of_checkout<'a>(file: &'a str, way: &str) -> Option<&'a str> {
    FOLDERS
        .iter()
        .filter_map(|folder| file.find(&format!("{way}{folder}")))
        .min()
        .and_then(|at| file.get(at.checked_add(way.len())?..))
}

/// Returns a function's name without the compiler's hash.
fn short(name: &str) -> String {
    let plain = name.rsplit_once("::h").filter(|(_, hash)| {
        hash.len() == 16 && hash.chars().all(|digit| digit.is_ascii_hexdigit())
    });
    plain.map_or(name, |(name, _)| name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object_file::PART;

    #[test]
    fn path_of_this_project_is_cut_to_the_checkout() {
        let sources = Sources::default();

        assert_eq!(
            sources.shown("/c/x/guest-driver/queue.rs"),
            Some("guest-driver/queue.rs")
        );
        assert_eq!(sources.shown("/kernel/src/rust/kernel/io.rs"), None);
    }

    #[test]
    fn path_of_another_project_is_cut_to_that_project() {
        let sources = Sources(
            ["/guest-driver/own", "/build/module"]
                .map(str::to_owned)
                .into(),
        );
        let shown = |file| sources.shown(file);

        assert_eq!(
            shown("/guest-driver/own/frob/test/src/main.rs"),
            Some("frob/test/src/main.rs")
        );
        assert_eq!(
            shown("/build/module/frob/driver/frob_main.rs"),
            Some("frob/driver/frob_main.rs")
        );
        assert_eq!(shown("/guest-driver-old/x.rs"), None);
        assert_eq!(shown("/kernel/src/rust/kernel/io.rs"), None);
    }

    #[test]
    fn path_of_the_checkout_in_another_project_is_cut_to_the_checkout() {
        let sources = Sources(vec!["/own".to_owned()]);

        assert_eq!(
            sources.shown("/own/frob/driver/../../ringbar/guest-driver/mapping/gate.rs"),
            Some("guest-driver/mapping/gate.rs")
        );
        assert_eq!(
            sources.shown("/c/guest-rootfs/tests/src/raw.rs"),
            Some("guest-rootfs/tests/src/raw.rs")
        );
    }

    #[test]
    fn driver_that_was_loaded_again_is_found_where_it_is() {
        let section = |time, loaded| Section {
            time,
            loaded,
            size: 0x100,
            here: PART,
        };
        let names = Names {
            driver: Code::default(),
            programs: BTreeMap::new(),
            sources: Sources::default(),
            sections: vec![section(10, 0x1000), section(20, 0x1080)],
        };

        // A time during the first load, one between both loads, and one after the second.
        let places = [5, 15, 25].map(|time| names.in_driver(time, 0x1090));

        assert_eq!(places, [PART + 0x90, PART + 0x90, PART + 0x10].map(Some));
    }

    #[test]
    fn hash_of_a_name_is_cut() {
        assert_eq!(short("a::b::h0123456789abcdef"), "a::b");
        assert_eq!(short("a::hello"), "a::hello");
    }

    #[test]
    fn functions_of_this_program_are_found() {
        let program = std::env::current_exe().expect("a program");
        let code = Code::load(&program).expect("debug information");
        let (address, _) = code
            .symbols
            .iter()
            .find(|(_, (_, name))| name.ends_with("names::short"))
            .expect("a symbol");

        let site = code.find(*address, &Sources::default());
        let site = site.expect("a place");

        assert!(site.function.ends_with("short"), "{site:?}");
    }
}
