// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! A thread that rewrites descriptors while the device reads them.

use crate::ground::Ground;
use ringbar_client::Mapping;
use ringbar_spec::ring::Descriptor;
use ringbar_test_vectors::Generator;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

/// The thread.
#[derive(Debug)]
pub(crate) struct Scribbler {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Scribbler {
    /// Starts a thread that writes words of random descriptors to random slots of the ring.
    pub(crate) fn start(ground: &Ground, mut generator: Generator) -> Self {
        let entries = ground.queue.entries();
        let ring = Mapping::new(
            ground.device.file().clone(),
            ground.queue.offsets().submission_ring,
            entries as usize * size_of::<Descriptor>(),
            true,
        )
        .expect("the ring can be mapped again");
        let stop = Arc::new(AtomicBool::new(false));
        let seen = stop.clone();
        let thread = thread::spawn(move || {
            let mut written = 0;
            while !seen.load(Ordering::Relaxed) {
                let words: [u64; 8] = zerocopy::transmute!(generator.descriptor());
                let slot = generator.below(entries) as usize;
                let index = generator.below(words.len() as u32) as usize;
                ring.write(slot * size_of::<Descriptor>() + index * 8, words[index]);
                written += 1;
            }
            written
        });
        Self { stop, thread }
    }

    /// Stops the thread.
    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        let written = self.thread.join().expect("the thread only writes");
        println!("# {written} words were rewritten");
        assert_ne!(written, 0);
    }
}
