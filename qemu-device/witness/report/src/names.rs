// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Names for addresses of the guest: function, file and line of the code there.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;
use std::rc::Rc;

use addr2line::Context;
use gimli::{EndianRcSlice, RunTimeEndian};
use object::{Object, ObjectSection, ObjectSymbol, RelocationTarget, SectionIndex};
use ringbar_marks::Mark;
use ringbar_records::record::{Access, Hex, Record};
use serde::Serialize;

use crate::error::Error;

/// Start of the kernel's half of an address space.
const KERNEL: u64 = 1 << 63;
/// Distance between the module's sections in this layout. In an object file all of them are at 0.
const PART: u64 = 1 << 32;
/// Folders of this project. They identify its files among the paths in debug information.
const FOLDERS: &[&str] = &["guest-driver/", "guest-rootfs/", "qemu-device/"];
/// Files that only carry out accesses for their callers. The caller is more informative.
const ACCESSORS: &[&str] = &[
    "guest-rootfs/client/src/mapping.rs",
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
    pub(crate) fn load(module: &Path, programs: &Path, records: &[Record]) -> Result<Self, Error> {
        let mut names = Self {
            driver: Code::default(),
            programs: BTreeMap::new(),
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
            let found = code.and_then(|code| code.find(pc.checked_sub(base)?));
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
                ..self.driver.find(here).unwrap_or_default()
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
fn address(number: Hex) -> u64 {
    u64::try_from(number.0).unwrap_or_default()
}

type Reader = EndianRcSlice<RunTimeEndian>;

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
        let mut code = Self::default();
        for section in file.sections() {
            if let Some(place) = layout.0.get(&section.index()) {
                let name = section.name().unwrap_or_default().to_owned();
                code.parts.insert(name, (*place, section.size()));
            }
        }
        for symbol in file.symbols().filter(|symbol| symbol.is_definition()) {
            let begin = layout.place(symbol.section_index(), symbol.address());
            let name = rustc_demangle::demangle(symbol.name().unwrap_or_default());
            let end = begin.saturating_add(symbol.size());
            code.symbols.insert(begin, (end, format!("{name:#}")));
        }
        let load = |id: gimli::SectionId| -> Result<Reader, String> {
            let data = section_data(&file, &layout, id.name())?;
            Ok(EndianRcSlice::new(Rc::from(data), RunTimeEndian::Little))
        };
        let dwarf = gimli::Dwarf::load(load)?;
        let context = Context::from_dwarf(dwarf).map_err(|error| error.to_string())?;
        code.context = Some(context);
        Ok(code)
    }

    /// Returns the innermost function of this project around an address that does more than
    /// accesses. Without one, returns the innermost function of all.
    fn find(&self, address: u64) -> Option<Site> {
        let context = self.context.as_ref()?;
        let mut innermost = None;
        if let Ok(mut frames) = context.find_frames(address).skip_all_loads() {
            while let Ok(Some(frame)) = frames.next() {
                let function = frame.function.as_ref();
                let function = function.and_then(|name| Some(name.demangle().ok()?.into_owned()));
                let location = frame.location.as_ref();
                let file = location.and_then(|location| ours(location.file?));
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

/// Returns a file's path below the checkout, if it belongs to this project.
fn ours(file: &str) -> Option<&str> {
    FOLDERS
        .iter()
        .filter_map(|folder| file.find(folder))
        .min()
        .and_then(|at| file.get(at..))
}

/// Returns a function's name without the compiler's hash.
fn short(name: &str) -> String {
    let plain = name.rsplit_once("::h").filter(|(_, hash)| {
        hash.len() == 16 && hash.chars().all(|digit| digit.is_ascii_hexdigit())
    });
    plain.map_or(name, |(name, _)| name).to_owned()
}

/// Places of sections with code. They differ from each other, in an object file too.
struct Layout(HashMap<SectionIndex, u64>);

impl Layout {
    /// Places the sections of a file.
    fn of(file: &object::File<'_>) -> Self {
        let apart = file.kind() == object::ObjectKind::Relocatable;
        let code = file
            .sections()
            .filter(|section| section.kind() == object::SectionKind::Text);
        let places = (1..).zip(code).map(|(number, section)| {
            let place = if apart {
                number * PART
            } else {
                section.address()
            };
            (section.index(), place)
        });
        Self(places.collect())
    }

    /// Returns the place of a symbol. In an object file its address counts from its section.
    fn place(&self, section: Option<SectionIndex>, address: u64) -> u64 {
        let place = section.and_then(|section| self.0.get(&section));
        match place {
            Some(place) if *place >= PART && address < PART => place + address,
            _ => address,
        }
    }
}

/// Returns the bytes of a section, with an object file's relocations applied.
fn section_data(file: &object::File<'_>, layout: &Layout, name: &str) -> Result<Vec<u8>, String> {
    let Some(section) = file.section_by_name(name) else {
        return Ok(Vec::new());
    };
    let data = section.uncompressed_data();
    let mut data = data
        .map_err(|error| format!("{name}: {error}"))?
        .into_owned();
    for (offset, relocation) in section.relocations() {
        let RelocationTarget::Symbol(index) = relocation.target() else {
            continue;
        };
        let symbol = file.symbol_by_index(index);
        let symbol = symbol.map_err(|error| format!("{name}: {error}"))?;
        let place = layout.place(symbol.section_index(), symbol.address());
        let value = place.wrapping_add_signed(relocation.addend()).to_le_bytes();
        let bytes = usize::from(relocation.size() / 8);
        let target = usize::try_from(offset)
            .ok()
            .and_then(|offset| data.get_mut(offset..offset.checked_add(bytes)?));
        if let Some((target, value)) = target.zip(value.get(..bytes)) {
            target.copy_from_slice(value);
        }
    }
    Ok(data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_of_this_project_is_cut_to_the_checkout() {
        assert_eq!(
            ours("/c/x/guest-driver/queue.rs"),
            Some("guest-driver/queue.rs")
        );
        assert_eq!(ours("/kernel/src/rust/kernel/io.rs"), None);
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

        let site = code.find(*address).expect("a place");

        assert!(site.function.ends_with("short"), "{site:?}");
    }
}
