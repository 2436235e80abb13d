// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Children that share the memory of their parent (`CLONE_VM`), but not its files.
//!
//! Parent and child then also share all thread-local memory, and the allocator takes no locks in a
//! process with one thread. So only one of the two may run at a time.

#![expect(
    unsafe_code,
    reason = "starts processes that share this process's memory"
)]

use crate::fork::Fork;
use std::ffi::{c_char, c_int, c_void, CStr};
use std::io;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::process::ExitStatus;
use std::ptr;

/// Words of 16 bytes in a child's stack.
const STACK: usize = 1 << 14;

/// Runs `body` in a child, and returns the child's exit status. The parent sleeps meanwhile. The
/// child ends with code 0 if `body` returns true.
pub fn run(body: impl FnOnce() -> bool) -> ExitStatus {
    clone(0, body).end()
}

/// Starts `body` in a child, which ends with code 0 if `body` returns true. `body` makes one system
/// call, in which it stays while the parent does anything but wait for its end.
pub fn start(body: impl FnOnce() -> bool) -> Fork {
    clone(0, body)
}

/// Leaves `body` to a child, which may live longer than the calling process.
///
/// The caller ends with [`libc::_exit`] at once, as a forked child does whose body returns. `body`
/// begins with a wait for that end, without an allocation.
pub fn leave(body: impl FnOnce() -> bool + 'static) {
    clone(0, body).leave();
}

/// Starts a program as `vfork` does: a child that shares this process's memory calls `before` and
/// executes the program. The kernel lets the parent sleep until then.
pub fn execute(before: impl FnOnce(), program: &CStr, words: &[&CStr]) -> Fork {
    let mut arguments: Vec<*const c_char> = vec![program.as_ptr()];
    arguments.extend(words.iter().map(|word| word.as_ptr()));
    arguments.push(ptr::null());
    clone(libc::CLONE_VFORK, || {
        before();
        // SAFETY: The path is a C string, and the list ends with a null pointer. Both belong to the
        // parent, which sleeps until the kernel has read them.
        unsafe { libc::execv(program.as_ptr(), arguments.as_ptr()) };
        false
    })
}

/// Starts a child with a stack of its own that runs `body` in this process's memory. The stack is
/// never freed, because the child may outlive its parent.
fn clone<F: FnOnce() -> bool>(flags: c_int, body: F) -> Fork {
    let stack = Box::leak(vec![0_u128; STACK].into_boxed_slice());
    let body = Box::into_raw(Box::new(body));
    let flags = flags | libc::CLONE_VM | libc::SIGCHLD;
    let top = stack.as_mut_ptr_range().end.cast();
    // SAFETY: The child runs `enter` on a stack that no other code uses, with a pointer that
    // `enter::<F>` takes. The callers let only one of both processes run at a time.
    let process = unsafe { libc::clone(enter::<F>, top, flags, body.cast()) };
    let error = io::Error::last_os_error();
    assert!(process > 0, "cannot clone: {error}");
    Fork::of(process)
}

/// Runs the body of a child, and returns its exit code.
extern "C" fn enter<F: FnOnce() -> bool>(body: *mut c_void) -> c_int {
    // SAFETY: `clone` passes a pointer to an `F` that it has made for this call alone. The box
    // stays, as a parent that has not ended yet may use the allocator.
    let body = unsafe { body.cast::<F>().read() };
    let good = catch_unwind(AssertUnwindSafe(body)).unwrap_or(false);
    c_int::from(!good)
}
