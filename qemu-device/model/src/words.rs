// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The shared words of a queue, in pages that belong to the process around the model.

use crate::Host;
use ringbar_spec::pages::{inline_completion, inline_descriptor};
use ringbar_spec::ring::{Completion, Descriptor, INLINE_LENGTH};
use ringbar_spec::wake::{Word, Words};
use zerocopy::IntoBytes;

/// Access to the shared words of one queue.
pub(crate) struct QueueWords<'a, H: ?Sized> {
    host: &'a H,
    queue: u16,
}

impl<'a, H: Host + ?Sized> QueueWords<'a, H> {
    /// Makes the access to the words of a queue that the layout has pages for.
    #[inline]
    pub(crate) fn new(host: &'a H, queue: u16) -> Self {
        Self { host, queue }
    }

    /// Sets all words to 0 but the generation, which gets a value, and clears the inline completion
    /// (data sheet 12).
    pub(crate) fn reset(&self, generation: u32) {
        // First: the driver side copies words and the inline completion, then loads the generation
        // (data sheet 6). Stored last, it would still vouch for a copy of cleared bytes.
        self.show_generation(generation);
        // `write_shared` is a plain copy, which could be seen before an earlier store.
        self.fence();
        // A reset is the one case in which the device writes words of the driver side (data sheet
        // 6).
        for word in Word::ALL {
            if word != Word::Generation {
                self.store(word, 0);
            }
        }
        self.show_completion(&Completion::default());
    }

    /// Stores the generation.
    pub(crate) fn show_generation(&self, generation: u32) {
        self.store(Word::Generation, generation);
    }

    /// Copies the descriptor beside the submission tail. `None` if `submission_inline` is not 1.
    #[inline]
    pub(crate) fn inline_descriptor(&self) -> Option<Descriptor> {
        if self.load(Word::SubmissionInline) & 1 == 0 {
            return None;
        }
        // Copied once; the caller checks the copy (data sheet 6). The driver side may change the
        // bytes at any time. The reserved bytes have no inline copy, and stay 0.
        let mut descriptor = Descriptor::default();
        let bytes = descriptor.as_mut_bytes().get_mut(..INLINE_LENGTH)?;
        let place = inline_descriptor(self.queue.into());
        self.host.read_shared(place, bytes);
        Some(descriptor)
    }

    /// Writes a completion beside the completion tail. The tail must be stored after it (data sheet
    /// 6), or the driver side would read the completion before.
    #[inline]
    pub(crate) fn show_completion(&self, completion: &Completion) {
        let place = inline_completion(self.queue.into());
        self.host.write_shared(place, completion.as_bytes());
    }
}

impl<H: Host + ?Sized> Words for QueueWords<'_, H> {
    #[inline]
    fn load(&self, word: Word) -> u32 {
        self.host.load(word.offset(self.queue.into()))
    }

    #[inline]
    fn store(&self, word: Word, value: u32) {
        self.host.store(word.offset(self.queue.into()), value);
    }

    #[inline]
    fn fence(&self) {
        self.host.fence();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DmaAddress, Location, Unreachable};
    use std::cell::RefCell;

    /// A write of the device to a shared page, or a fence.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Step {
        Word(usize, u32),
        Bytes(usize),
        Fence,
    }

    /// Shared pages alone, with the order of what happens to them.
    #[derive(Default)]
    struct Pages(RefCell<Vec<Step>>);

    impl Host for Pages {
        fn unreachable(&self, address: DmaAddress, _: u64, _: bool) -> Option<DmaAddress> {
            Some(address)
        }

        fn read(&self, _: Location, _: &mut [u8]) -> Result<(), Unreachable> {
            unreachable!("a reset reads no memory")
        }

        fn write(&self, _: Location, _: &[u8]) -> Result<(), Unreachable> {
            unreachable!("a reset writes no memory")
        }

        fn copy(&self, _: Location, _: Location, _: usize) -> Result<(), Unreachable> {
            unreachable!("a reset copies nothing")
        }

        fn load(&self, _: usize) -> u32 {
            0
        }

        fn store(&self, offset: usize, value: u32) {
            self.0.borrow_mut().push(Step::Word(offset, value));
        }

        fn read_shared(&self, _: usize, _: &mut [u8]) {}

        fn write_shared(&self, offset: usize, _: &[u8]) {
            self.0.borrow_mut().push(Step::Bytes(offset));
        }

        fn fence(&self) {
            self.0.borrow_mut().push(Step::Fence);
        }

        fn now(&self) -> u64 {
            0
        }
    }

    #[test]
    fn reset_shows_the_generation_before_it_clears_anything() {
        let pages = Pages::default();
        let words = QueueWords::new(&pages, 3);

        words.reset(7);

        let steps = pages.0.take();
        let generation = Word::Generation.offset(3);
        let inline = inline_completion(3);
        assert_eq!(
            steps.get(..2),
            Some(&[Step::Word(generation, 7), Step::Fence][..])
        );
        assert_eq!(steps.last(), Some(&Step::Bytes(inline)));
        assert_eq!(steps.len(), Word::ALL.len() + 2);
    }
}
