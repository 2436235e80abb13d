// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Bytes to lines.

/// Longest line. A longer one becomes several lines, so that a broken guest cannot fill the memory.
/// QEMU's list of 128 processors has some 20 KiB.
const MAX_LINE: usize = 64 * 1024;

/// Splits a stream of bytes into lines.
///
/// Line feeds and carriage returns are dropped. Bytes that are not UTF-8 are replaced.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    rest: Vec<u8>,
}

impl Lines {
    /// Adds bytes. Returns the lines that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => lines.push(self.take()),
                _ => self.rest.push(*byte),
            }
            if self.rest.len() >= MAX_LINE {
                lines.push(self.take());
            }
        }
        lines
    }

    /// Takes the last line if it has no line feed.
    pub(crate) fn finish(&mut self) -> Option<String> {
        (!self.rest.is_empty()).then(|| self.take())
    }

    /// Takes the bytes so far as a line.
    fn take(&mut self) -> String {
        let line = String::from_utf8_lossy(&self.rest).replace('\r', "");
        self.rest.clear();
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn line_in_pieces_is_joined() {
        let mut lines = Lines::default();

        let first = lines.push(b"not o");
        let second = lines.push(b"k 1 x\r\nok");

        assert!(first.is_empty());
        assert_eq!(second, ["not ok 1 x"]);
        assert_eq!(lines.finish().as_deref(), Some("ok"));
    }

    #[test]
    fn endless_line_is_cut() {
        let mut lines = Lines::default();

        let cut = lines.push(&vec![b'x'; MAX_LINE * 2 + 1]);

        assert_eq!(cut.len(), 2);
        assert_eq!(lines.finish().as_deref(), Some("x"));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(bytes in any::<Vec<u8>>(), cut in any::<usize>()) {
            let mut whole = Lines::default();
            let mut pieces = Lines::default();
            let cut = cut.checked_rem(bytes.len()).unwrap_or(0);
            let (first, second) = bytes.split_at(cut);

            let mut expected = whole.push(&bytes);
            expected.extend(whole.finish());
            let mut got = pieces.push(first);
            got.extend(pieces.push(second));
            got.extend(pieces.finish());

            prop_assert_eq!(got, expected);
        }
    }
}
