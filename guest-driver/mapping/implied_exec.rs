// SPDX-License-Identifier: GPL-2.0-only

//! Execute permission that a process did not ask for.
//!
//! A process with the personality `READ_IMPLIES_EXEC` gets `PROT_EXEC` with each `PROT_READ`
//! (`do_mmap` in Linux `mm/mmap.c`). Old programs have it, and those with an executable stack. The
//! hook cannot know whether such a process also asked for it.

use kernel::{
    bindings,
    mm::virt::{
        flags,
        VmaNew, //
    }, //
};

// `shim.c`: a field of the running task.
extern "C" {
    fn mapping_read_implies_exec() -> bool;
}

/// Takes execute permission away if the process may have it without asking. Otherwise such a
/// process could not map anything that is never executable.
///
/// mprotect does not give it back: it adds the permission only where `VM_MAYEXEC` allows it.
pub(super) fn take_away(vma: &VmaNew) {
    // SAFETY: Reads a field of the running task, and needs nothing.
    let implied = unsafe { mapping_read_implies_exec() };
    if !implied || vma.flags() & flags::EXEC == 0 {
        return;
    }
    // SAFETY: The VMA is valid, and only the mmap hook has it yet.
    let vma = unsafe { &mut *vma.as_ptr() };
    // SAFETY: Both fields of the union have the same flags, and this one may be written.
    let all = unsafe { &mut vma.__bindgen_anon_2.vm_flags };
    *all &= !flags::EXEC;
    // The page tables get this protection, not the flags.
    // SAFETY: Looks the flags up in a table of the kernel, which has an entry for each combination.
    vma.vm_page_prot = unsafe { bindings::vm_get_page_prot(*all) };
}
