// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT

//! Facts of `ringbar.h`, as a compiler finds them.
//!
//! The preprocessor lists the header's macros and structures, so none is left out. A program that
//! is made from this list prints their values, sizes and offsets.

use crate::Facts;
use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Output};

/// A language in which programs include the header.
pub(crate) struct Language {
    /// Its compilers. The first that the host has is taken.
    pub(crate) compilers: &'static [&'static str],
    /// The standard, as compilers name it.
    pub(crate) standard: &'static str,
    /// The language, as compilers name it, and the ending of a file.
    name: &'static str,
}

/// C. `ci/setup.sh` has the host install gcc.
pub(crate) const C: Language = Language {
    compilers: &["gcc"],
    standard: "c11",
    name: "c",
};

/// C++, for which a host need not have a compiler.
pub(crate) const CPP: Language = Language {
    compilers: &["g++", "clang++"],
    standard: "c++17",
    name: "c++",
};

/// Every warning is an error.
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-Werror", "-pedantic"];

/// A structure in the header.
struct Structure {
    name: String,
    fields: Vec<Field>,
}

/// A field of a structure.
struct Field {
    name: String,
    /// Its type, as Rust names it.
    kind: String,
}

/// Returns the facts of the header. `None` if the host has no compiler for the language.
pub(crate) fn facts(language: &Language) -> Option<Facts> {
    let compiler = language.compilers.iter().copied().find(|it| is_there(it))?;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("header-{}", language.name));
    fs::create_dir_all(&folder).expect("a folder for the program");
    let header = Path::new(env!("CARGO_MANIFEST_DIR")).join("include");
    let compile = |file: &Path, more: &[&str]| -> String {
        let mut command = Command::new(compiler);
        command
            .arg(format!("-std={}", language.standard))
            .args(STRICT);
        command.arg("-I").arg(&header).args(["-x", language.name]);
        text(command.arg(file).args(more))
    };
    let header_file = header.join("ringbar.h");
    let list = compile(&header_file, &["-E", "-dM"]);
    let structures = structures(&compile(&header_file, &["-E", "-P"]));

    let source = folder.join("facts");
    fs::write(&source, program(&macros(&list), &structures)).expect("the program is written");
    let made = folder.join("made");
    compile(&source, &["-o", made.to_str().expect("a path in UTF-8")]);
    let printed = text(&mut Command::new(&made));
    let lines = printed.lines().map(|line| {
        let (name, fact) = line.split_once(": ").expect("a name and a fact");
        (name.to_owned(), fact.to_owned())
    });
    Some(lines.collect())
}

/// Returns whether the host has this program.
fn is_there(program: &str) -> bool {
    match Command::new(program).arg("--version").output() {
        Ok(output) => output.status.success(),
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => panic!("cannot start {program}: {error}"),
    }
}

/// Returns what a command prints. Panics with its messages if it fails.
fn text(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let messages = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{messages}");
    String::from_utf8(stdout).expect("UTF-8")
}

/// Returns the header's macros from the preprocessor's list of all macros.
fn macros(list: &str) -> Vec<&str> {
    let names = list.lines().filter_map(|line| {
        let name = line.strip_prefix("#define ")?.split(' ').next()?;
        name.starts_with("RINGBAR_").then_some(name)
    });
    names.collect()
}

/// Returns the header's structures from preprocessed text.
fn structures(text: &str) -> Vec<Structure> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let places = text.match_indices("struct ringbar_");
    let found = places.filter_map(|(place, _)| {
        let (name, rest) = text[place..].strip_prefix("struct ")?.split_once(' ')?;
        // Otherwise this is a field or an argument of that type.
        let (body, _) = rest.strip_prefix("{ ")?.split_once('}')?;
        let fields = body.split(';').map(str::trim).filter(|it| !it.is_empty());
        Some(Structure {
            name: name.to_owned(),
            fields: fields.map(field).filter(|it| !it.is_gap()).collect(),
        })
    });
    found.collect()
}

/// Returns the field that a declaration makes, such as `__u64 reserved[3]`.
fn field(declaration: &str) -> Field {
    let (kind, name) = declaration
        .rsplit_once(' ')
        .unwrap_or_else(|| panic!("`{declaration}` is no field"));
    let kind = match kind.strip_prefix("__") {
        Some(integer) => integer.replace('s', "i"),
        None => kind.trim_start_matches("struct ").to_owned(),
    };
    match name.strip_suffix(']').and_then(|it| it.split_once('[')) {
        Some((name, count)) => Field {
            name: name.to_owned(),
            kind: format!("[{kind}; {count}]"),
        },
        None => Field {
            name: name.to_owned(),
            kind,
        },
    }
}

impl Field {
    /// Checks whether it only fills a gap of a page.
    fn is_gap(&self) -> bool {
        self.name.starts_with("gap_")
    }
}

/// Returns a program that prints one fact per line. The header comes first, so it must include all
/// that it needs, and twice, which must do no harm.
fn program(macros: &[&str], structures: &[Structure]) -> String {
    let mut text = String::from(
        "#include <ringbar.h>\n#include <ringbar.h>\n#include <stddef.h>\n#include <stdio.h>\n\
         int main(void)\n{\n",
    );
    let mut line = |format: &str, values: &str| {
        writeln!(text, "\tprintf(\"{format}\\n\", {values});").expect("a string takes it");
    };
    for name in macros {
        line(
            &format!("{name}: %#llx"),
            &format!("(unsigned long long)({name})"),
        );
    }
    for Structure { name, fields } in structures {
        line(
            &format!("struct {name}: %zu bytes, aligned to %zu"),
            &format!("sizeof(struct {name}), __alignof__(struct {name})"),
        );
        for Field { name: field, kind } in fields {
            line(
                &format!("{name}.{field}: {kind} at %zu"),
                &format!("offsetof(struct {name}, {field})"),
            );
        }
    }
    text + "}\n"
}
