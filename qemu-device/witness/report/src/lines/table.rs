// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The lines of a module, from its DWARF.

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

use addr2line::Context;

use crate::error::Error;
use crate::names::Sources;
use crate::object_file::{dwarf, Layout, Reader};

/// A place in the sources.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    /// Path in the checkout.
    pub(crate) file: String,
    /// Number, from 1 on.
    pub(crate) number: u32,
}

/// Code of a line: a row of the line table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// Place of the code in the layout of the file.
    pub(crate) code: Range<u64>,
    /// Line.
    pub(crate) line: Line,
}

/// All lines of a module.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Rows by the place of their code. Inlined code has rows of its own, and each instance of
    /// generic code has its own.
    pub(crate) rows: Vec<Row>,
    /// Function of each line.
    pub(crate) functions: BTreeMap<Line, String>,
    /// Sections with code: name, place and size.
    pub(crate) parts: BTreeMap<String, (u64, u64)>,
}

impl Table {
    /// Reads a module. Fails if it has no lines of the checkout.
    pub(crate) fn load(path: &Path) -> Result<Self, Error> {
        let bytes = fs::read(path).map_err(|source| Error::file("read", path, source))?;
        Self::read(&bytes).map_err(|reason| Error::Code {
            path: path.to_owned(),
            reason,
        })
    }

    /// Parses the bytes of a module.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        let file = object::File::parse(bytes).map_err(|error| error.to_string())?;
        let layout = Layout::of(&file);
        let mut table = Self {
            parts: layout.parts(&file),
            ..Self::default()
        };
        let context =
            Context::from_dwarf(dwarf(&file, &layout)?).map_err(|error| error.to_string())?;
        table
            .add_rows(&context)
            .map_err(|error| error.to_string())?;
        table.name_functions(&context);
        if table.rows.is_empty() {
            return Err("it has no debug information about files of this checkout".to_owned());
        }
        Ok(table)
    }

    /// Adds the rows of each section. Code without a line, or of other sources, has none.
    fn add_rows(&mut self, context: &Context<Reader>) -> Result<(), gimli::Error> {
        let sources = Sources::default();
        for (begin, size) in self.parts.values() {
            let rows = context.find_location_range(*begin, begin.saturating_add(*size))?;
            self.rows
                .extend(rows.filter_map(|(begin, length, location)| {
                    let line = Line {
                        file: normal(sources.shown(location.file?)?),
                        number: location.line?,
                    };
                    let code = begin..begin.saturating_add(length);
                    Some(Row { code, line })
                }));
        }
        self.rows.sort_by_key(|row| row.code.start);
        Ok(())
    }

    /// Finds the function of each line: the innermost one at its code.
    fn name_functions(&mut self, context: &Context<Reader>) {
        for row in &self.rows {
            if self.functions.contains_key(&row.line) {
                continue;
            }
            let frames = context.find_frames(row.code.start).skip_all_loads();
            let innermost = frames.ok().and_then(|mut frames| frames.next().ok()?);
            let name =
                innermost.and_then(|frame| Some(frame.function?.demangle().ok()?.into_owned()));
            let name = name.as_deref().map(plain).unwrap_or_default();
            self.functions.insert(row.line.clone(), name);
        }
    }
}

/// Returns a path without `.` and `..`.
fn normal(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns the last name in the path of a function, without closures and generic arguments.
fn plain(path: &str) -> String {
    let mut depth = 0usize;
    let mut names = vec![String::new()];
    for letter in path.chars() {
        match letter {
            '<' | '(' | '[' => depth += 1,
            '>' | ')' | ']' => depth = depth.saturating_sub(1),
            ':' if depth == 0 => names.push(String::new()),
            _ if depth == 0 => names
                .last_mut()
                .into_iter()
                .for_each(|name| name.push(letter)),
            _ => {}
        }
    }
    let is_name = |name: &&String| !name.is_empty() && !name.starts_with('{');
    let name = names.iter().rev().find(is_name);
    name.cloned().unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::process::Command;

    /// Source whose lines the tests know.
    pub(crate) const SOURCE: &str = include_str!("fixture.rs");

    /// Compiles [`SOURCE`] to an object file, like a module.
    pub(crate) fn compiled() -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let source = folder.path().join("guest-driver/fixture.rs");
        fs::create_dir(folder.path().join("guest-driver")).expect("made");
        fs::write(&source, SOURCE).expect("written");
        let object = folder.path().join("fixture.o");
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let built = Command::new(rustc)
            .args([
                "--edition=2021",
                "--crate-type=lib",
                "--emit=obj",
                "-Cdebuginfo=2",
            ])
            .args([
                "-Copt-level=2",
                "-Cpanic=abort",
                "-Ccodegen-units=1",
                "--target=x86_64-unknown-linux-gnu",
            ])
            .arg("-o")
            .arg(&object)
            .arg(&source)
            .output()
            .expect("rustc");
        let errors = String::from_utf8_lossy(&built.stderr);
        assert!(built.status.success(), "{errors}");
        fs::read(object).expect("the object")
    }

    /// Returns the number of the line of [`SOURCE`] with this text.
    pub(crate) fn number(text: &str) -> u32 {
        let is_there = |line: &&str| line.contains(text);
        let mut lines = (1..).zip(SOURCE.lines());
        lines.find(|(_, line)| is_there(line)).expect("a line").0
    }

    fn line(text: &str) -> Line {
        Line {
            file: "guest-driver/fixture.rs".to_owned(),
            number: number(text),
        }
    }

    #[test]
    fn lines_of_inlined_and_generic_code_are_known_with_their_functions() {
        let table = Table::read(&compiled()).expect("a table");

        let function = |text| table.functions.get(&line(text)).map(String::as_str);
        assert_eq!(function("inlined line"), Some("inlined"));
        assert_eq!(function("generic line"), Some("generic"));
        assert_eq!(function("closure line"), Some("with_closure"));
        assert_eq!(function("a comment"), None);
    }

    #[test]
    fn each_instance_of_generic_code_has_its_rows() {
        let table = Table::read(&compiled()).expect("a table");

        let rows = table
            .rows
            .iter()
            .filter(|row| row.line == line("generic line"));

        assert!(rows.count() >= 2);
    }

    #[test]
    fn file_without_lines_of_the_checkout_is_refused() {
        let bytes = fs::read("/bin/true").expect("a program");

        let error = Table::read(&bytes).expect_err("refused");

        assert!(error.contains("no debug information"), "{error}");
    }

    #[test]
    fn name_of_a_function_is_the_last_one_of_its_path() {
        for (path, name) in [
            ("ringbar::queue::Queue::start", "start"),
            ("<ringbar::queue::Queue as core::ops::Drop>::drop", "drop"),
            ("ringbar::map::<alloc::Vec<u8>>::{closure#0}", "map"),
            (
                "core::ptr::drop_in_place::<ringbar::Queue>",
                "drop_in_place",
            ),
            ("ringbar_pci_release", "ringbar_pci_release"),
        ] {
            assert_eq!(plain(path), name);
        }
    }

    #[test]
    fn way_back_in_a_path_is_gone() {
        assert_eq!(normal("guest-driver/uapi/../a.rs"), "guest-driver/a.rs");
    }
}
