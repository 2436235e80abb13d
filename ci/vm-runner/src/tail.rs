// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Follows a file that another process writes.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::lines::Lines;

/// Most bytes per read. Otherwise a flood in one file would delay the others.
const PIECE: u64 = 256 * 1024;
/// Last lines kept for messages.
const KEPT: usize = 12;

/// Reader of a growing file.
#[derive(Debug)]
pub(crate) struct Tail {
    file: File,
    path: PathBuf,
    lines: Lines,
    last: VecDeque<String>,
}

impl Tail {
    /// Creates an empty file and follows it.
    pub(crate) fn create(path: &Path) -> Result<Self, Error> {
        let made = File::create(path).and_then(|_| File::open(path));
        let file = made.map_err(|source| Error::File {
            action: "made",
            path: path.to_owned(),
            source,
        })?;
        Ok(Self {
            file,
            path: path.to_owned(),
            lines: Lines::default(),
            last: VecDeque::new(),
        })
    }

    /// Returns the lines that were completed since the last call.
    pub(crate) fn read(&mut self) -> Result<Vec<String>, Error> {
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(PIECE).read_to_end(&mut bytes);
        read.map_err(|source| Error::File {
            action: "read",
            path: self.path.clone(),
            source,
        })?;
        let lines = self.lines.push(&bytes);
        self.keep(&lines);
        Ok(lines)
    }

    /// Returns all the rest, including a last line without a line feed. The writer must have ended.
    pub(crate) fn finish(&mut self) -> Result<Vec<String>, Error> {
        let mut all = Vec::new();
        loop {
            let lines = self.read()?;
            if lines.is_empty() {
                break;
            }
            all.extend(lines);
        }
        let rest: Vec<String> = self.lines.finish().into_iter().collect();
        self.keep(&rest);
        all.extend(rest);
        Ok(all)
    }

    /// Returns the last lines that are not empty.
    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    /// Keeps the last lines.
    fn keep(&mut self, lines: &[String]) {
        for line in lines.iter().filter(|line| !line.trim().is_empty()) {
            if self.last.len() >= KEPT {
                self.last.pop_front();
            }
            self.last.push_back(line.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn appended_lines_are_read_one_by_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut tail = Tail::create(&path).expect("a file");
        let mut writer = File::options().append(true).open(&path).expect("the file");

        writer.write_all(b"one\ntw").expect("written");
        let first = tail.read().expect("read");
        writer.write_all(b"o\nthree").expect("written");
        let second = tail.finish().expect("read");

        assert_eq!(first, ["one"]);
        assert_eq!(second, ["two", "three"]);
        assert_eq!(tail.last_lines(), ["one", "two", "three"]);
    }

    #[test]
    fn only_the_last_lines_are_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut tail = Tail::create(&path).expect("a file");

        std::fs::write(&path, "x\n".repeat(100) + "end\n\n").expect("written");
        tail.finish().expect("read");

        assert_eq!(tail.last_lines().len(), KEPT);
        assert_eq!(tail.last_lines().last().map(String::as_str), Some("end"));
    }
}
