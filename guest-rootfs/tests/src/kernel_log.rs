// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The kernel's log from a moment on.

use rustix::fs::{open, seek, Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use std::os::fd::OwnedFd;

const FILE: &str = "/dev/kmsg";
/// Longer than any record of the kernel.
const RECORD: usize = 8192;

/// The records that the kernel writes after the call of [`KernelLog::from_now`].
#[derive(Debug)]
pub struct KernelLog {
    file: OwnedFd,
}

impl KernelLog {
    /// Begins behind the last record.
    pub fn from_now() -> Self {
        let file = open(FILE, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
        let file = file.expect("the log can be read");
        seek(&file, SeekFrom::End(0)).expect("the log has an end");
        Self { file }
    }

    /// Returns the messages since then, or since the last call.
    pub fn messages(&mut self) -> Vec<String> {
        let mut messages = Vec::new();
        loop {
            let mut record = [0; RECORD];
            let read = match rustix::io::read(&self.file, &mut record) {
                Ok(read) => read,
                Err(Errno::AGAIN) => return messages,
                // Some records were overwritten. The next read returns the oldest one that is left.
                Err(Errno::PIPE) => continue,
                Err(errno) => panic!("{FILE}: {errno}"),
            };
            let record = String::from_utf8_lossy(&record[..read]);
            // `PRIORITY,NUMBER,TIME,FLAGS;MESSAGE`, then lines with the device (Linux
            // `Documentation/ABI/testing/dev-kmsg`).
            let message = record.split_once(';').map(|(_, text)| text);
            let message = message.and_then(|text| text.lines().next());
            messages.extend(message.map(str::to_owned));
        }
    }

    /// Fails unless one of the messages since the last call contains `words`.
    #[track_caller]
    pub fn assert_says(&mut self, words: &str) {
        let messages = self.messages();
        assert!(
            messages.iter().any(|message| message.contains(words)),
            "no message of the kernel has {words:?}: {messages:#?}"
        );
    }
}
