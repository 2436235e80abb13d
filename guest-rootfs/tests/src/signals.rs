// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Signals that interrupt this process again and again, and processes asleep in the kernel.

#![expect(unsafe_code, reason = "sets a signal handler and a timer")]

use crate::{status, until};
use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use std::{io, ptr};

/// Signal of the timer.
const SIGALRM: i32 = libc::SIGALRM;
/// Signal that stops a process.
pub const SIGSTOP: i32 = libc::SIGSTOP;
/// Signal that makes a stopped process go on.
pub const SIGCONT: i32 = libc::SIGCONT;

/// How often the handler has run.
static TICKS: AtomicU32 = AtomicU32::new(0);

/// What happens to an interrupted system call after the handler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// The kernel restarts it (`SA_RESTART`).
    Restarts,
    /// It fails with `EINTR`.
    Interrupts,
}

/// A timer that sends this process [`SIGALRM`] again and again, which a handler counts. There may
/// be one at a time. Stops when dropped. A forked child has none.
#[derive(Debug)]
pub struct Timer {
    before: u32,
}

impl Timer {
    /// Starts the timer.
    pub fn start(period: Duration, handler: Handler) -> Self {
        // SAFETY: Zeros are a valid `sigaction`.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        let address = count as extern "C" fn(i32) as *const ();
        action.sa_sigaction = address.expose_provenance();
        action.sa_flags = match handler {
            Handler::Restarts => libc::SA_RESTART,
            Handler::Interrupts => 0,
        };
        // SAFETY: The handler only adds to an atomic number, which a handler may.
        let set = unsafe { libc::sigaction(SIGALRM, &action, ptr::null_mut()) };
        assert_eq!(set, 0, "{}", io::Error::last_os_error());
        let before = TICKS.load(Ordering::Relaxed);
        set_timer(period);
        Self { before }
    }

    /// Returns how often the handler has run since the start.
    pub fn ticks(&self) -> u32 {
        TICKS.load(Ordering::Relaxed).wrapping_sub(self.before)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // The handler stays: the last signal may still be on its way, and would end the process.
        set_timer(Duration::ZERO);
    }
}

extern "C" fn count(_signal: i32) {
    TICKS.fetch_add(1, Ordering::Relaxed);
}

fn set_timer(period: Duration) {
    let period = libc::timeval {
        tv_sec: period.as_secs().cast_signed(),
        tv_usec: period.subsec_micros().into(),
    };
    let timer = libc::itimerval {
        it_interval: period,
        it_value: period,
    };
    // SAFETY: The value is there to be read, and the old one is not asked for.
    let set = unsafe { libc::setitimer(libc::ITIMER_REAL, &timer, ptr::null_mut()) };
    assert_eq!(set, 0, "{}", io::Error::last_os_error());
}

/// Waits until a process sleeps in an ioctl.
#[track_caller]
pub fn until_in_ioctl(process: u32) {
    until("the process sleeps in an ioctl", || {
        let call = fs::read_to_string(format!("/proc/{process}/syscall"));
        let ioctl = format!("{} ", libc::SYS_ioctl);
        call.is_ok_and(|call| call.starts_with(&ioctl))
    });
}

/// Waits until a process is stopped.
#[track_caller]
pub fn until_stopped(process: u32) {
    until("the process is stopped", || {
        status::field(process, "State:").starts_with('T')
    });
}

/// Waits until a signal of the timer waits for a process that does not take it.
#[track_caller]
pub fn until_timer_is_pending(process: u32) {
    until("the signal of the timer waits", || {
        let signals = u64::from_str_radix(&status::field(process, "ShdPnd:"), 16);
        signals.expect("hexadecimal digits") & 1 << (SIGALRM - 1) != 0
    });
}
