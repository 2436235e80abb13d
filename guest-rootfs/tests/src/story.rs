// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The text of a case for people. The runner prints it below the line of the case's program.
//!
//! A line of the story is a KTAP diagnostic that begins with `# | `. The runner prints the rest of
//! the line unchanged.

use std::fmt::Display;

/// Bytes per row of a dump.
const ROW: usize = 16;
/// Columns of the headings.
const HEADINGS: usize = 14;
/// Columns of the labels of a dump.
const LABELS: usize = 7;

/// A part of the story. Its heading stands beside its first line. The other lines are aligned with
/// that line.
#[derive(Debug)]
pub struct Chapter {
    heading: &'static str,
}

impl Chapter {
    /// Begins a part of the story.
    pub fn new(heading: &'static str) -> Self {
        Self { heading }
    }

    /// Shows a line.
    pub fn tell(&mut self, line: impl Display) {
        println!("# | {}", self.line(line));
    }

    /// Shows bytes in hexadecimal, sixteen per row, each row with the offset of its first byte.
    /// `start` is the offset of `bytes[0]`.
    pub fn dump(&mut self, what: &str, start: usize, bytes: &[u8]) {
        for (row, text) in rows(start, bytes).enumerate() {
            let what = if row == 0 { what } else { "" };
            self.tell(format_args!("{what:<LABELS$} {text}"));
        }
    }

    fn line(&mut self, line: impl Display) -> String {
        let heading = std::mem::take(&mut self.heading);
        format!("{heading:<HEADINGS$} {line}")
    }
}

fn rows(start: usize, bytes: &[u8]) -> impl Iterator<Item = String> + '_ {
    let offsets = (start..).step_by(ROW);
    offsets
        .zip(bytes.chunks(ROW))
        .map(|(offset, row)| format!("+{offset:#05x}  {}", hex(row)))
}

/// Returns bytes in hexadecimal, with blanks between them.
pub fn hex(bytes: &[u8]) -> String {
    let bytes: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    bytes.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heading_stands_beside_the_first_line_only() {
        let mut chapter = Chapter::new("DMA");

        assert_eq!(chapter.line("one"), "DMA            one");
        assert_eq!(chapter.line("two"), "               two");
    }

    #[test]
    fn rows_have_sixteen_bytes_and_the_offset_of_the_first() {
        let bytes: Vec<u8> = (0..17).collect();

        let rows: Vec<_> = rows(0x100, &bytes).collect();

        assert_eq!(
            rows,
            [
                "+0x100  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f",
                "+0x110  10"
            ]
        );
    }
}
