// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Counters of executed instructions in QEMU's scoreboards.

#![expect(unsafe_code, reason = "scoreboards belong to QEMU")]

use std::ffi::{c_uint, c_void};
use std::mem::size_of;
use std::ptr;
use std::sync::{Mutex, PoisonError};

use qemu_plugin_sys::{
    qemu_plugin_cb_flags, qemu_plugin_cond, qemu_plugin_insn, qemu_plugin_insn_vaddr,
    qemu_plugin_op, qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu,
    qemu_plugin_register_vcpu_tb_exec_cond_cb, qemu_plugin_scoreboard, qemu_plugin_scoreboard_new,
    qemu_plugin_tb, qemu_plugin_tb_get_insn, qemu_plugin_tb_n_insns, qemu_plugin_u64,
    qemu_plugin_u64_get, qemu_plugin_u64_set, qemu_plugin_u64_sum,
};

use super::{bytes, Kind, PLUGIN};
use crate::code::Code;

/// Counters per scoreboard. QEMU has each scoreboard once per vCPU.
const COUNTERS: usize = 16 << 10;

/// A scoreboard. QEMU keeps it until the process ends.
#[derive(Clone, Copy)]
struct Scoreboard(*mut qemu_plugin_scoreboard);

// SAFETY: The pointer is only passed to functions of QEMU, which may be called by any thread.
unsafe impl Send for Scoreboard {}
// SAFETY: The pointer is only passed to functions of QEMU, which may be called by several threads.
unsafe impl Sync for Scoreboard {}

impl Scoreboard {
    /// Allocates a scoreboard with so many counters.
    fn new(counters: usize) -> Self {
        let size = counters.saturating_mul(size_of::<u64>());
        // SAFETY: The function has no other conditions than that QEMU has loaded the plugin.
        Self(unsafe { qemu_plugin_scoreboard_new(size) })
    }

    /// Returns a counter of the scoreboard.
    fn counter(self, number: usize) -> qemu_plugin_u64 {
        qemu_plugin_u64 {
            score: self.0,
            offset: number.saturating_mul(size_of::<u64>()),
        }
    }
}

/// Counters of all instructions.
pub(super) struct Counters {
    executed: Mutex<Vec<Scoreboard>>,
    /// Number of the conditional jump that a vCPU has executed last, or 0.
    last_jump: Scoreboard,
}

impl Counters {
    /// Allocates counters for no instruction yet.
    pub(super) fn new() -> Self {
        Self {
            executed: Mutex::default(),
            last_jump: Scoreboard::new(1),
        }
    }

    /// Returns a counter. Allocates scoreboards up to it.
    fn counter(&self, number: usize) -> qemu_plugin_u64 {
        let mut executed = self.executed.lock().unwrap_or_else(PoisonError::into_inner);
        let index = number / COUNTERS;
        while executed.len() <= index {
            executed.push(Scoreboard::new(COUNTERS));
        }
        executed[index].counter(number % COUNTERS)
    }

    /// Returns whether an execution has set a counter.
    pub(super) fn is_set(&self, number: usize) -> bool {
        // SAFETY: The counter lies in its scoreboard, which QEMU keeps.
        unsafe { qemu_plugin_u64_sum(self.counter(number)) != 0 }
    }

    /// Returns the counter with the last conditional jump.
    fn last_jump(&self) -> qemu_plugin_u64 {
        self.last_jump.counter(0)
    }

    /// Instruments a block of code.
    pub(super) fn watch(&self, code: &Code, block: *mut qemu_plugin_tb) {
        // SAFETY: The block is QEMU's, during its translation.
        let count = unsafe { qemu_plugin_tb_n_insns(block) };
        for index in 0..count {
            // SAFETY: The block is QEMU's, during its translation. The index is below the count of
            // its instructions.
            let instruction = unsafe { qemu_plugin_tb_get_insn(block, index) };
            // SAFETY: The instruction is QEMU's, during its translation.
            let pc = unsafe { qemu_plugin_insn_vaddr(instruction) };
            if !code.has(pc) {
                continue;
            }
            if index == 0 {
                self.on_arrival(block, pc);
            }
            let watched = code.watch(pc, &bytes(instruction));
            set_on_execution(instruction, self.counter(watched.counter), 1);
            if let Some(jump) = watched.jump {
                set_on_execution(instruction, self.last_jump(), jump);
            }
        }
    }

    /// Registers a callback for arrivals at a block by a conditional jump. QEMU calls it before the
    /// first instruction of the block.
    fn on_arrival(&self, block: *mut qemu_plugin_tb, pc: u64) {
        // SAFETY: The block is QEMU's, during its translation. The callback stays valid, and the
        // pointer is only a number.
        unsafe {
            qemu_plugin_register_vcpu_tb_exec_cond_cb(
                block,
                Some(arrived),
                qemu_plugin_cb_flags::QEMU_PLUGIN_CB_NO_REGS,
                qemu_plugin_cond::QEMU_PLUGIN_COND_NE,
                self.last_jump(),
                0,
                ptr::without_provenance_mut(pc as usize),
            );
        }
    }
}

/// Has each execution of an instruction set a counter.
fn set_on_execution(instruction: *mut qemu_plugin_insn, counter: qemu_plugin_u64, value: u64) {
    // SAFETY: The instruction is QEMU's, during its translation. The counter lies in its
    // scoreboard, which QEMU keeps.
    unsafe {
        qemu_plugin_register_vcpu_insn_exec_inline_per_vcpu(
            instruction,
            qemu_plugin_op::QEMU_PLUGIN_INLINE_STORE_U64,
            counter,
            value,
        );
    }
}

/// Notes the way that a conditional jump has taken.
extern "C" fn arrived(cpu: c_uint, userdata: *mut c_void) {
    let Some(Kind::Code(code, counters)) = PLUGIN.get().map(|plugin| &plugin.kind) else {
        return;
    };
    let last = counters.last_jump();
    // SAFETY: The counter lies in its scoreboard, and QEMU named this vCPU.
    let jump = unsafe { qemu_plugin_u64_get(last, cpu) };
    // SAFETY: The counter lies in its scoreboard, and QEMU named this vCPU.
    unsafe { qemu_plugin_u64_set(last, cpu, 0) };
    code.came_to(jump, userdata.addr() as u64);
}
