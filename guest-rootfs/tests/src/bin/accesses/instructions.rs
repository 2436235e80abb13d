// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Instructions that do more than load or store one aligned word.

#![expect(unsafe_code, reason = "instructions that Rust has no words for")]

use crate::pages::Pages;
use std::arch::asm;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;

/// Bytes from the first one on that an instruction may reach.
pub(crate) const REACH: usize = 1024;

/// Memory of the process for the other operand. Instructions expect this alignment of it.
#[repr(C, align(64))]
struct Own([u8; REACH]);

/// An instruction, or some that undo each other's effect on the processor.
pub(crate) struct Instruction {
    pub(crate) name: &'static str,
    /// Bytes that it reads at least. QEMU skips those that it has no use for, as in FLDENV.
    pub(crate) reads: usize,
    /// Bytes that it writes at least.
    pub(crate) writes: usize,
    /// Whether the processor has it.
    pub(crate) exists: fn() -> bool,
    /// Whether it needs back what it has written. Registers do not keep that.
    pub(crate) needs_memory: bool,
    /// Takes [`REACH`] bytes of mapped pages and as many of [`Own`].
    run: unsafe fn(*mut u8, *mut u8),
}

impl fmt::Debug for Instruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Instruction {
    /// Runs it on [`REACH`] bytes from `offset` on, which has the alignment of a cache line.
    pub(crate) fn run(&self, pages: &Pages, offset: usize) {
        assert!(offset.is_multiple_of(64), "{offset:#x} is not aligned");
        let at = pages.address(offset, REACH);
        let mut own = Box::new(Own([0; REACH]));
        // SAFETY: Both places have the bytes and the alignment that every instruction of the list
        // needs. No Rust value lies in the pages.
        unsafe { (self.run)(at, own.0.as_mut_ptr()) };
    }
}

/// Returns whether QEMU translates this guest's instructions. KVM refuses some of them on registers
/// of a device, and then stops the machine.
pub(crate) fn are_translated() -> bool {
    let about = fs::read_to_string("/proc/cpuinfo").expect("proc is mounted");
    about.contains("QEMU TCG CPU")
}

/// Loads up to 16 bytes with one instruction, at any alignment.
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one instruction runs, whichever it is"
)]
pub(crate) fn load(pages: &Pages, offset: usize, width: usize) -> u128 {
    let at = pages.address(offset, width);
    let (low, high): (u64, u64);
    // SAFETY: The bytes are inside the pages. Any bits are a valid number. The instruction of the
    // given width reads no byte more.
    unsafe {
        match width {
            1 => asm!("movzx {0:e}, byte ptr [{1}]", out(reg) low, in(reg) at, options(nostack)),
            2 => asm!("movzx {0:e}, word ptr [{1}]", out(reg) low, in(reg) at, options(nostack)),
            4 => asm!("mov {0:e}, [{1}]", out(reg) low, in(reg) at, options(nostack)),
            8 => asm!("mov {0}, [{1}]", out(reg) low, in(reg) at, options(nostack)),
            16 => {
                asm!("movups xmm0, [{2}]", "movq {0}, xmm0", "psrldq xmm0, 8", "movq {1}, xmm0",
                    out(reg) low, out(reg) high, in(reg) at, out("xmm0") _, options(nostack));
                return u128::from(high) << 64 | u128::from(low);
            }
            _ => panic!("no instruction loads {width} bytes"),
        }
    }
    u128::from(low)
}

/// Stores up to 16 bytes with one instruction, at any alignment.
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one instruction runs, whichever it is"
)]
pub(crate) fn store(pages: &Pages, offset: usize, width: usize, value: u128) {
    let at = pages.address(offset, width);
    let (low, high) = (value as u64, (value >> 64) as u64);
    // SAFETY: The bytes are inside the pages, where no Rust value lies. The instruction of the
    // given width writes no byte more.
    unsafe {
        match width {
            1 => asm!("mov [{1}], {0}", in(reg_byte) low as u8, in(reg) at, options(nostack)),
            2 => asm!("mov [{1}], {0:x}", in(reg) low, in(reg) at, options(nostack)),
            4 => asm!("mov [{1}], {0:e}", in(reg) low, in(reg) at, options(nostack)),
            8 => asm!("mov [{1}], {0}", in(reg) low, in(reg) at, options(nostack)),
            16 => asm!("movq xmm0, {0}", "movq xmm1, {1}", "punpcklqdq xmm0, xmm1",
                "movups [{2}], xmm0", in(reg) low, in(reg) high, in(reg) at,
                out("xmm0") _, out("xmm1") _, options(nostack)),
            _ => panic!("no instruction stores {width} bytes"),
        }
    }
}

/// Copies bytes out with the `memcpy` of the C library.
pub(crate) fn copy_out<const N: usize>(pages: &Pages, offset: usize) -> [u8; N] {
    let at = pages.address(offset, N);
    let mut copy = [0; N];
    // SAFETY: The bytes are inside the pages, and as many are in the array.
    unsafe { libc::memcpy(copy.as_mut_ptr().cast(), at.cast(), N) };
    copy
}

/// Has the kernel copy bytes of the pages into a pipe. Returns the number of bytes, or -1.
pub(crate) fn write_to_pipe(pages: &Pages, offset: usize, length: usize) -> isize {
    let (_reader, writer) = io::pipe().expect("a pipe can be made");
    let at = pages.address(offset, length);
    // SAFETY: The bytes are inside the pages.
    unsafe { libc::write(writer.as_raw_fd(), at.cast(), length) }
}

/// Makes the list. In the lines `rdi` is the address in the pages, and `rsi` that of [`Own`]. `rax`,
/// `rcx` and `rdx` are 0. The general registers but `rbx` and `rbp`, and those of x87 and SSE, are
/// free. The x87 stack is empty before and after.
macro_rules! instructions {
    ($($name:literal reads $reads:literal writes $writes:literal, $exists:expr, memory $memory:literal:
        $($line:literal)+;)+) => {
        /// All instructions.
        pub(crate) const ALL: &[Instruction] = &[$({
            unsafe fn run(at: *mut u8, own: *mut u8) {
                // SAFETY: The caller promises the bytes at both addresses. The lines reach no
                // others but the stack's, and restore what is not named below.
                unsafe {
                    asm!($($line,)+
                        inout("rdi") at => _, inout("rsi") own => _, inout("rax") 0u64 => _,
                        inout("rcx") 0u64 => _, inout("rdx") 0u64 => _, out("r8") _, out("r9") _,
                        out("xmm0") _, out("xmm1") _, out("xmm2") _, out("st(0)") _,
                        out("st(1)") _, out("st(2)") _, out("st(3)") _, out("st(4)") _,
                        out("st(5)") _, out("st(6)") _, out("st(7)") _)
                };
            }
            Instruction {
                name: $name, reads: $reads, writes: $writes, exists: $exists,
                needs_memory: $memory, run,
            }
        }),+];
    };
}

fn always() -> bool {
    true
}

fn avx() -> bool {
    is_x86_feature_detected!("avx")
}

fn avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

fn movbe() -> bool {
    is_x86_feature_detected!("movbe")
}

fn xsave() -> bool {
    is_x86_feature_detected!("xsave")
}

fn xsaveopt() -> bool {
    is_x86_feature_detected!("xsaveopt")
}

instructions! {
    "movups" reads 16 writes 16, always, memory false:
        "movups xmm0, [rdi]" "movups [rdi], xmm0";
    "movups at 4" reads 16 writes 16, always, memory false:
        "movups xmm0, [rdi + 4]" "movups [rdi + 4], xmm0";
    "movups at 9" reads 16 writes 16, always, memory false:
        "movups xmm0, [rdi + 9]" "movups [rdi + 9], xmm0";
    "vmovups of 32 bytes" reads 32 writes 32, avx, memory false:
        "vmovups ymm0, [rdi]" "vmovups [rdi], ymm0" "vzeroupper";
    "movntdq and movnti" reads 0 writes 24, always, memory false:
        "movups xmm0, [rsi]" "movntdq [rdi], xmm0" "movnti [rdi + 16], rax" "sfence";
    "movbe" reads 14 writes 14, movbe, memory false:
        "movbe rax, [rdi]" "movbe [rdi], rax" "movbe eax, [rdi + 8]" "movbe [rdi + 8], eax"
        "movbe ax, [rdi + 12]" "movbe [rdi + 12], ax";
    "movbe of known bytes" reads 0 writes 14, movbe, memory false:
        "mov rax, 0x0102030405060708" "movbe [rdi], rax" "movbe [rdi + 8], eax" "movbe [rdi + 12], ax";
    "rep movsb" reads 61 writes 61, always, memory false:
        "mov r8, rdi" "mov r9, rsi" "xchg rdi, rsi" "mov ecx, 61" "rep movsb"
        "mov rdi, r8" "mov rsi, r9" "mov ecx, 61" "rep movsb";
    "rep movsq" reads 64 writes 64, always, memory false:
        "mov r8, rdi" "mov r9, rsi" "xchg rdi, rsi" "mov ecx, 8" "rep movsq"
        "mov rdi, r8" "mov rsi, r9" "mov ecx, 8" "rep movsq";
    "rep movsd at 2" reads 32 writes 32, always, memory false:
        "add rdi, 2" "mov r8, rdi" "mov r9, rsi" "xchg rdi, rsi" "mov ecx, 8" "rep movsd"
        "mov rdi, r8" "mov rsi, r9" "mov ecx, 8" "rep movsd";
    "rep stosb" reads 0 writes 61, always, memory false:
        "mov ecx, 61" "rep stosb";
    "rep stosq" reads 0 writes 64, always, memory false:
        "mov ecx, 8" "rep stosq";
    "rep lodsq" reads 64 writes 0, always, memory false:
        "mov rsi, rdi" "mov ecx, 8" "rep lodsq";
    "repe cmpsb" reads 32 writes 0, always, memory false:
        "mov rsi, rdi" "mov ecx, 16" "repe cmpsb";
    "push and pop of memory" reads 8 writes 8, always, memory false:
        "push qword ptr [rdi]" "pop qword ptr [rdi]";
    "stack" reads 24 writes 32, always, memory true:
        "mov r8, rsp" "mov r9, rbp" "lea rsp, [rdi + 512]" "push rax" "pop rax" "call 2f" "jmp 3f"
        "2:" "ret" "3:" "enter 16, 1" "leave" "mov rsp, r8" "mov rbp, r9";
    "iretq" reads 40 writes 40, always, memory true:
        "mov r8, rsp" "lea rsp, [rdi + 512]" "mov eax, ss" "push rax" "push r8" "pushfq"
        "mov eax, cs" "push rax" "lea rax, [rip + 2f]" "push rax" "iretq" "2:";
    "xchg" reads 8 writes 8, always, memory false:
        "xchg [rdi], rcx";
    "lock xadd" reads 8 writes 8, always, memory false:
        "lock xadd [rdi], rcx";
    "lock add at 2" reads 4 writes 4, always, memory false:
        "lock add dword ptr [rdi + 2], 1";
    "lock bts" reads 8 writes 8, always, memory false:
        "lock bts qword ptr [rdi], 3";
    "lock cmpxchg" reads 8 writes 8, always, memory false:
        "lock cmpxchg [rdi], rcx";
    "lock cmpxchg8b" reads 8 writes 8, always, memory false:
        "mov r8, rbx" "xor ebx, ebx" "lock cmpxchg8b [rdi]" "mov rbx, r8";
    "cmpxchg16b" reads 16 writes 16, always, memory false:
        "mov r8, rbx" "xor ebx, ebx" "cmpxchg16b [rdi]" "mov rbx, r8";
    "lock cmpxchg16b" reads 16 writes 16, always, memory false:
        "mov r8, rbx" "xor ebx, ebx" "lock cmpxchg16b [rdi]" "mov rbx, r8";
    "maskmovdqu" reads 0 writes 16, always, memory false:
        "pcmpeqd xmm1, xmm1" "maskmovdqu xmm0, xmm1";
    "maskmovq" reads 0 writes 8, always, memory false:
        "pcmpeqd mm1, mm1" "maskmovq mm0, mm1" "emms";
    "vmaskmovps" reads 16 writes 16, avx, memory false:
        "vpcmpeqd xmm1, xmm1, xmm1" "vmaskmovps xmm0, xmm1, [rdi]" "vmaskmovps [rdi], xmm1, xmm0";
    "vpgatherdd" reads 16 writes 0, avx2, memory false:
        "vpcmpeqd xmm1, xmm1, xmm1" "vpxor xmm2, xmm2, xmm2" "vpgatherdd xmm0, [rdi + xmm2 * 4], xmm1";
    "fild and fistp" reads 14 writes 14, always, memory false:
        "fld1" "fistp qword ptr [rdi]" "fild qword ptr [rdi]" "fistp dword ptr [rdi + 8]"
        "fild dword ptr [rdi + 8]" "fistp word ptr [rdi + 12]" "fild word ptr [rdi + 12]" "fstp st(0)";
    "fld and fstp of 10 bytes" reads 10 writes 10, always, memory false:
        "fld1" "fstp tbyte ptr [rdi]" "fld tbyte ptr [rdi]" "fstp st(0)";
    "fld and fstp of 10 bytes at 5" reads 10 writes 10, always, memory false:
        "fld1" "fstp tbyte ptr [rdi + 5]" "fld tbyte ptr [rdi + 5]" "fstp st(0)";
    "fbld and fbstp" reads 10 writes 10, always, memory false:
        "fld1" "fbstp tbyte ptr [rdi]" "fbld tbyte ptr [rdi]" "fstp st(0)";
    "fnstenv and fldenv" reads 6 writes 28, always, memory false:
        "fnstenv [rdi]" "fldenv [rdi]" "fninit";
    "fnsave and frstor" reads 86 writes 108, always, memory false:
        "fnsave [rdi]" "frstor [rdi]" "fninit";
    "stmxcsr and ldmxcsr" reads 4 writes 4, always, memory false:
        "stmxcsr [rsi]" "stmxcsr [rdi]" "ldmxcsr [rdi]" "ldmxcsr [rsi]";
    "fxsave and fxrstor" reads 336 writes 336, always, memory false:
        "fxsave64 [rsi]" "fxsave64 [rdi]" "fxrstor64 [rdi]" "fxrstor64 [rsi]";
    "xsave and xrstor" reads 344 writes 408, xsave, memory false:
        "add rdi, 512" "mov ecx, 8" "rep stosq" "sub rdi, 576" "mov eax, 3" "xsave64 [rsi]"
        "xsave64 [rdi]" "xrstor64 [rdi]" "xrstor64 [rsi]";
    "xsaveopt" reads 0 writes 8, xsaveopt, memory false:
        "add rdi, 512" "mov ecx, 8" "rep stosq" "sub rdi, 576" "mov eax, 3" "xsaveopt64 [rdi]";
}
