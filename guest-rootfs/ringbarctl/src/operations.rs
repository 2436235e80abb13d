// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! `copy`, `fill` and `crc`: the device carries out an operation, and the result is checked.
//!
//! Bytes pass in pieces. So any length needs little memory.

use crate::error::Error;
use crate::options::{Copy, Crc, Fill, MemoryChoice, Source};
use ringbar_client::{page_size, Buffer, Device, DeviceMemory, Mapping, Queue, Rights};
use ringbar_spec::layout::{memory_part, MemoryPart};
use ringbar_spec::ring::{Completion, Descriptor, Opcode, Status};
use ringbar_uapi::ioctl;
use serde::Serialize;
use std::fmt;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Largest piece in bytes.
const PIECE: u64 = 1 << 20;
/// Path that stands for standard input or output.
const STREAM: &str = "-";
/// Longest time that a piece may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Result of an operation.
#[derive(Debug, Serialize)]
pub(crate) struct Answer {
    operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<&'static str>,
    bytes: u64,
    descriptors: u64,
    /// Time from submission to completion, added up over all descriptors.
    seconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    crc32c: Option<u64>,
}

/// Copies bytes from memory to memory.
pub(crate) fn copy(node: &Path, options: &Copy) -> Result<Answer, Error> {
    let twice = options.from == options.to && options.from.part().is_some();
    let mut worker = Worker::new(node, "copy", twice)?;
    let from = worker.memory(options.from, Rights::ReadWrite)?;
    let to = worker.memory(options.to, Rights::Write)?;
    let (input, mut output) = files(&options.source, options.output.as_deref())?;
    worker.feed(&options.source, input, &from, |worker, length| {
        worker.work(
            Opcode::COPY,
            Descriptor {
                length,
                source_window: from.window(),
                destination_window: to.window(),
                ..Descriptor::default()
            },
        )?;
        let expected = from.mapping().read_bytes(0, length as usize);
        worker.check(&to, &expected)?;
        output.write(&expected)
    })?;
    let names = (Some(options.from.name()), Some(options.to.name()));
    Ok(worker.answer(names, None))
}

/// Fills memory with a value.
pub(crate) fn fill(node: &Path, options: &Fill) -> Result<Answer, Error> {
    let mut worker = Worker::new(node, "fill", false)?;
    let to = worker.memory(options.to, Rights::Write)?;
    let mut output = Output::open(options.output.as_deref(), None)?;
    let value = options.value.to_le_bytes();
    // A piece is a multiple of the value's 8 bytes. Otherwise the next piece would begin inside a
    // value, and the comparison would fail.
    for length in pieces(options.length, worker.piece & !7) {
        worker.work(
            Opcode::FILL,
            Descriptor {
                length,
                destination_window: to.window(),
                operand: options.value,
                ..Descriptor::default()
            },
        )?;
        let expected: Vec<u8> = value
            .iter()
            .copied()
            .cycle()
            .take(length as usize)
            .collect();
        worker.check(&to, &expected)?;
        output.write(&expected)?;
    }
    Ok(worker.answer((None, Some(options.to.name())), None))
}

/// Computes a checksum over all pieces. The result of each piece is the operand of the next.
pub(crate) fn crc(node: &Path, options: &Crc) -> Result<Answer, Error> {
    let mut worker = Worker::new(node, "crc", false)?;
    let from = worker.memory(options.from, Rights::ReadWrite)?;
    let (input, _) = files(&options.source, None)?;
    let mut crc = 0;
    worker.feed(&options.source, input, &from, |worker, length| {
        let completion = worker.work(
            Opcode::CRC32C,
            Descriptor {
                length,
                source_window: from.window(),
                operand: crc,
                ..Descriptor::default()
            },
        )?;
        crc = completion.result;
        Ok(())
    })?;
    Ok(worker.answer((Some(options.from.name()), None), Some(crc)))
}

/// Memory that both the device and this process can access.
enum Reached {
    Buffer(Buffer),
    Device(DeviceMemory),
}

impl Reached {
    /// Returns the mapping of the memory.
    fn mapping(&self) -> &Mapping {
        match self {
            Self::Buffer(buffer) => buffer.mapping(),
            Self::Device(memory) => memory.mapping(),
        }
    }

    /// Returns the window of the memory.
    fn window(&self) -> u16 {
        match self {
            Self::Buffer(buffer) => buffer.window(),
            Self::Device(memory) => memory.window(),
        }
    }
}

/// A device with a queue, and the totals so far.
struct Worker {
    operation: &'static str,
    device: Device,
    queue: Queue,
    /// Size of a piece: every kind of memory has room for it.
    piece: u64,
    bytes: u64,
    descriptors: u64,
    spent: Duration,
}

impl Worker {
    /// Opens the device. `twice` is set if both memories lie in one part of the device memory.
    fn new(node: &Path, operation: &'static str, twice: bool) -> Result<Self, Error> {
        let device = Device::open(node)?;
        let piece = piece(&device.info()?, twice);
        Ok(Self {
            operation,
            queue: device.create_queue(2)?,
            device,
            piece,
            bytes: 0,
            descriptors: 0,
            spent: Duration::ZERO,
        })
    }

    /// Creates memory of the size of a piece.
    fn memory(&self, memory: MemoryChoice, rights: Rights) -> Result<Reached, Error> {
        let size = self.piece as usize;
        Ok(match memory.part() {
            None => Reached::Buffer(self.device.create_buffer(size, rights)?),
            Some(part) => Reached::Device(self.device.create_device_memory(part, size, rights)?),
        })
    }

    /// Puts the input or the pattern into memory piece by piece. Calls `act` with the length of
    /// each piece.
    fn feed(
        &mut self,
        source: &Source,
        input: Option<Input>,
        memory: &Reached,
        mut act: impl FnMut(&mut Self, u32) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let Some(mut input) = input else {
            for (number, length) in (0..).zip(pieces(source.length, self.piece)) {
                self.make_pattern(memory, length, source.seed.wrapping_add(number))?;
                act(self, length)?;
            }
            return Ok(());
        };
        let mut bytes = vec![0; self.piece as usize];
        loop {
            let read = input.fill(&mut bytes)?;
            if read == 0 {
                return Ok(());
            }
            memory
                .mapping()
                .write_bytes(0, bytes.get(..read).unwrap_or_default());
            act(self, read as u32)?;
        }
    }

    /// Lets the device write a piece of the pattern. It is not counted: it only prepares the
    /// operation.
    fn make_pattern(&mut self, memory: &Reached, length: u32, seed: u64) -> Result<(), Error> {
        let descriptor = Descriptor {
            length,
            destination_window: memory.window(),
            operand: seed,
            ..Descriptor::default()
        };
        self.carry_out(Opcode::PATTERN, descriptor).map(drop)
    }

    /// Carries out a descriptor and counts it.
    fn work(&mut self, opcode: Opcode, descriptor: Descriptor) -> Result<Completion, Error> {
        let start = Instant::now();
        let completion = self.carry_out(opcode, descriptor)?;
        self.spent = self.spent.saturating_add(start.elapsed());
        self.bytes = self.bytes.saturating_add(descriptor.length.into());
        self.descriptors = self.descriptors.saturating_add(1);
        Ok(completion)
    }

    /// Carries out a descriptor. Fails if the device reports an error.
    fn carry_out(&mut self, opcode: Opcode, descriptor: Descriptor) -> Result<Completion, Error> {
        self.queue.push(Descriptor {
            opcode: opcode.0,
            ..descriptor
        })?;
        let completion = self.queue.run(PATIENCE)?;
        match Status(completion.status) {
            Status::OK => Ok(completion),
            status => Err(Error::Status {
                operation: name(opcode),
                length: descriptor.length as usize,
                status,
            }),
        }
    }

    /// Compares the result of the last descriptor.
    fn check(&self, memory: &Reached, expected: &[u8]) -> Result<(), Error> {
        let found = memory.mapping().read_bytes(0, expected.len());
        let before = self.bytes.saturating_sub(expected.len() as u64);
        match first_difference(&found, expected) {
            None => Ok(()),
            Some((place, found, expected)) => Err(Error::Differs {
                offset: before.saturating_add(place),
                found,
                expected,
            }),
        }
    }

    /// Returns the totals as an answer.
    fn answer(
        &self,
        (from, to): (Option<&'static str>, Option<&'static str>),
        crc32c: Option<u64>,
    ) -> Answer {
        Answer {
            operation: self.operation,
            from,
            to,
            bytes: self.bytes,
            descriptors: self.descriptors,
            seconds: self.spent.as_secs_f64(),
            crc32c,
        }
    }
}

/// Returns the size of a piece: every kind of memory has room for it. With `twice`, a part of the
/// device memory has room for two.
fn piece(info: &ioctl::Info, twice: bool) -> u64 {
    let parts = [
        MemoryPart::WriteCombining,
        MemoryPart::Uncached,
        MemoryPart::Lazy,
    ];
    let parts = parts.map(|part| {
        let size = memory_part(info.device_memory_size as usize, part).1;
        let pages = size / page_size() / if twice { 2 } else { 1 };
        // At least a page, even if the part has no room for two. The driver then refuses the second
        // one with its reason.
        (pages.max(1) * page_size()) as u64
    });
    let limits = parts
        .into_iter()
        .chain([info.max_length.into(), info.max_buffer.into()]);
    limits.fold(PIECE, u64::min)
}

/// Returns the data sheet's name of an opcode.
fn name(opcode: Opcode) -> &'static str {
    let known = Opcode::ALL.iter().find(|(known, _)| *known == opcode);
    known.map_or("an unknown operation", |(_, name)| name)
}

/// Returns place and values of the first bytes that differ.
fn first_difference(found: &[u8], expected: &[u8]) -> Option<(u64, u8, u8)> {
    let mut pairs = (0..).zip(found.iter().zip(expected));
    let (place, (found, expected)) = pairs.find(|(_, (found, expected))| found != expected)?;
    Some((place, *found, *expected))
}

/// Returns the lengths of the pieces of `total` bytes, each at most `piece`.
fn pieces(total: u64, piece: u64) -> impl Iterator<Item = u32> {
    let mut left = total;
    std::iter::from_fn(move || {
        let next = left.min(piece);
        left = left.saturating_sub(next);
        u32::try_from(next).ok().filter(|next| *next > 0)
    })
}

/// Opens the input, then the output. In the other order an unreadable input would still empty the
/// output.
fn files(source: &Source, output: Option<&Path>) -> Result<(Option<Input>, Output), Error> {
    let input = source.input.as_deref().map(Input::open).transpose()?;
    let output = Output::open(output, input.as_ref())?;
    Ok((input, output))
}

/// A file to read, or standard input.
struct Input {
    path: PathBuf,
    file: File,
    metadata: Metadata,
}

impl Input {
    /// Opens the file. Fails if it is a directory.
    fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| failed("read", path, source);
        let file = if path == Path::new(STREAM) {
            stream(io::stdin())
        } else {
            File::open(path)
        };
        let file = file.map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        // Opening a directory succeeds. Without this check the output would be emptied before the
        // read fails.
        if metadata.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            metadata,
        })
    }

    /// Reads until `bytes` is full or the file ends. Returns the number of bytes.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.file.read(rest) {
                Ok(0) => break,
                Ok(read) => filled = filled.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(failed("read", &self.path, source)),
            }
        }
        Ok(filled)
    }
}

/// A file to write, standard output, or nothing.
struct Output(Option<(PathBuf, File)>);

impl Output {
    /// Opens the file and empties it. Fails if it is the input.
    fn open(path: Option<&Path>, input: Option<&Input>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self(None));
        };
        let failed = |source| failed("write", path, source);
        let is_stream = path == Path::new(STREAM);
        let file = if is_stream {
            stream(io::stdout())
        } else {
            let mut options = OpenOptions::new();
            // Not truncated yet: if it is the input, its bytes must survive.
            options.write(true).create(true).truncate(false).open(path)
        };
        let file = file.map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if let Some(input) = input.filter(|input| same(&input.metadata, &metadata)) {
            return Err(Error::SameFile {
                input: input.path.clone(),
                output: path.to_owned(),
            });
        }
        // Standard output is left alone: the shell has emptied it, or the user appends to it. Nodes
        // and pipes have no length.
        if metadata.is_file() && !is_stream {
            file.set_len(0).map_err(failed)?;
        }
        Ok(Self(Some((path.to_owned(), file))))
    }

    /// Writes bytes, if there is an output.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.0 {
            None => Ok(()),
            Some((path, file)) => {
                let written = file.write_all(bytes);
                written.map_err(|source| failed("write", path, source))
            }
        }
    }
}

/// Returns a standard stream as a file, without the buffer of the standard library.
fn stream(stream: impl AsFd) -> io::Result<File> {
    stream.as_fd().try_clone_to_owned().map(File::from)
}

/// Returns whether both are the same regular file. A terminal or a node may be input and output.
fn same(one: &Metadata, other: &Metadata) -> bool {
    one.is_file() && (one.dev(), one.ino()) == (other.dev(), other.ino())
}

/// Returns the error of a file operation.
fn failed(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File {
        action,
        path: path.to_owned(),
        source,
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(crc) = self.crc32c {
            write!(f, "{crc:#010x}  ")?;
        }
        write!(f, "{} of {} bytes", self.operation, self.bytes)?;
        if let Some(from) = self.from {
            write!(f, " from {from}")?;
        }
        if let Some(to) = self.to {
            write!(f, " to {to}")?;
        }
        let microseconds = self.seconds * 1e6;
        writeln!(
            f,
            " in {} descriptors and {microseconds:.1} us",
            self.descriptors
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use tempfile::TempDir;

    #[test]
    fn pieces_add_up_and_none_is_empty() {
        assert_eq!(pieces(10, 4).collect::<Vec<_>>(), [4, 4, 2]);
        assert_eq!(pieces(8, 4).collect::<Vec<_>>(), [4, 4]);
        assert_eq!(pieces(0, 4).count(), 0);
    }

    #[track_caller]
    fn assert_piece(device_memory: u64, twice: bool, expected: u64) {
        let info = ioctl::Info {
            device_memory_size: device_memory,
            max_length: u32::MAX,
            max_buffer: u32::MAX,
            ..ioctl::Info::default()
        };
        assert_eq!(piece(&info, twice), expected);
    }

    #[test]
    fn smallest_part_has_room_for_a_piece() {
        assert_piece(16 << 20, false, PIECE);
        assert_piece(2 << 20, false, 512 << 10);
        assert_piece(256 << 10, false, 64 << 10);
    }

    #[test]
    fn part_that_is_both_memories_has_room_for_two_pieces() {
        assert_piece(8 << 20, true, PIECE);
        assert_piece(4 << 20, true, 512 << 10);
        assert_piece(512 << 10, true, 64 << 10);
    }

    #[test]
    fn piece_has_a_page_at_least() {
        let page = page_size() as u64;
        assert_piece(4 * page, true, page);
    }

    #[test]
    fn first_byte_that_differs_is_found() {
        assert_eq!(first_difference(&[1, 2, 3], &[1, 5, 6]), Some((1, 2, 5)));
        assert_eq!(first_difference(&[1, 2], &[1, 2]), None);
    }

    /// Opens the files as `copy` does before it copies.
    fn open_files(input: &Path, output: &Path) -> Result<(), Error> {
        let source = Source {
            input: Some(input.to_owned()),
            length: 0,
            seed: 0,
        };
        files(&source, Some(output)).map(drop)
    }

    /// Returns a folder with one file, and the path of the file.
    fn folder_with_a_file() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "old").expect("the folder is ours");
        (folder, file)
    }

    #[test]
    fn output_is_emptied() {
        let (folder, input) = folder_with_a_file();
        let output = folder.path().join("output");
        fs::write(&output, "old").expect("the folder is ours");

        open_files(&input, &output).expect("fine");

        assert_eq!(fs::read(&output).expect("it is there"), b"");
    }

    #[test]
    fn missing_input_leaves_the_output_unchanged() {
        let (folder, output) = folder_with_a_file();

        open_files(&folder.path().join("missing"), &output).expect_err("refused");

        assert_eq!(fs::read(&output).expect("it is there"), b"old");
    }

    #[test]
    fn folder_as_input_leaves_the_output_unchanged() {
        let (folder, output) = folder_with_a_file();

        open_files(folder.path(), &output).expect_err("refused");

        assert_eq!(fs::read(&output).expect("it is there"), b"old");
    }

    #[test]
    fn output_that_is_the_input_is_refused_and_unchanged() {
        let (folder, input) = folder_with_a_file();
        let output = folder.path().join("link");
        fs::hard_link(&input, &output).expect("the folder is ours");

        let error = open_files(&input, &output).expect_err("refused");

        assert!(matches!(error, Error::SameFile { .. }), "{error}");
        assert_eq!(error.status(), 2);
        assert_eq!(fs::read(&input).expect("it is there"), b"old");
    }

    #[test]
    fn node_may_be_input_and_output() {
        let node = Path::new("/dev/null");

        assert!(open_files(node, node).is_ok());
    }

    #[test]
    fn checksum_is_shown_first_and_left_out_where_there_is_none() {
        let mut answer = Answer {
            operation: "crc",
            from: Some("buffer"),
            to: None,
            bytes: 9,
            descriptors: 1,
            seconds: 1.25e-5,
            crc32c: Some(0xe306_9283),
        };
        let line = "0xe3069283  crc of 9 bytes from buffer in 1 descriptors and 12.5 us\n";
        assert_eq!(answer.to_string(), line);

        answer.crc32c = None;
        let json = serde_json::to_value(&answer).expect("JSON");
        assert!(json.get("crc32c").is_none());
        assert_eq!(json["bytes"], 9);
    }
}
