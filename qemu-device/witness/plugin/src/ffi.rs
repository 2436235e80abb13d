// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! The seam to QEMU: plugin interface 7, which QEMU 11.1 has.
//!
//! `qemu-plugin-sys` describes version 5. What is the same in both is taken from it; what changed is
//! declared here, as QEMU 11.1's `qemu-plugin.h` has it: callbacks get the pointer they were
//! registered with and not the plugin's id, reading a register tells whether that worked, a
//! register's description is longer.

#![expect(unsafe_code, reason = "all of QEMU's plugin interface is C")]

use std::cell::Cell;
use std::collections::HashSet;
use std::ffi::{c_char, c_int, c_uint, c_void, CStr};
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use qemu_plugin_sys::{
    qemu_info_t, qemu_plugin_cb_flags, qemu_plugin_get_hwaddr, qemu_plugin_get_registers,
    qemu_plugin_hwaddr_device_name, qemu_plugin_hwaddr_is_io, qemu_plugin_hwaddr_phys_addr,
    qemu_plugin_id_t, qemu_plugin_insn, qemu_plugin_insn_data, qemu_plugin_insn_vaddr,
    qemu_plugin_mem_get_value, qemu_plugin_mem_is_store, qemu_plugin_mem_rw,
    qemu_plugin_mem_size_shift, qemu_plugin_mem_value, qemu_plugin_mem_value_type,
    qemu_plugin_meminfo_t, qemu_plugin_read_memory_vaddr, qemu_plugin_register,
    qemu_plugin_register_vcpu_insn_exec_cb, qemu_plugin_register_vcpu_mem_cb, qemu_plugin_tb,
    qemu_plugin_tb_get_insn, qemu_plugin_tb_n_insns, GArray, GByteArray,
};
use ringbar_marks::INSTRUCTION;

use crate::config::PortInstruction;
use crate::map::Seen;
use crate::options::{From, Options};
use crate::recorder::{Code, Recorder, Transfer, Wish};

/// The only version of the interface that fits what is declared here.
const VERSION: c_int = 7;

/// QEMU looks for this before it calls anything.
#[unsafe(no_mangle)]
static qemu_plugin_version: c_int = VERSION;

/// Longest text of a mark.
const LONGEST_MARK: usize = 4096;
/// Bytes of the stack that are looked through for return addresses.
const STACK: usize = 256;
/// Most of them that are kept.
const CALLERS: usize = 4;
/// Where Linux has its own code and that of its modules.
const KERNEL_CODE: std::ops::Range<u64> = 0xffff_ffff_8000_0000..0xffff_ffff_ff00_0000;

type Callback = extern "C" fn(userdata: *mut c_void);

/// A register's description in version 7.
#[repr(C)]
struct RegisterDescription {
    handle: *mut qemu_plugin_register,
    name: *const c_char,
    feature: *const c_char,
    read_only: bool,
}

// SAFETY: The signatures are those of QEMU's `qemu-plugin.h`.
unsafe extern "C" {
    fn qemu_plugin_register_vcpu_tb_trans_cb(
        id: qemu_plugin_id_t,
        callback: extern "C" fn(tb: *mut qemu_plugin_tb, userdata: *mut c_void),
        userdata: *mut c_void,
    );
    fn qemu_plugin_register_atexit_cb(
        id: qemu_plugin_id_t,
        callback: Callback,
        userdata: *mut c_void,
    );
    fn qemu_plugin_reset(id: qemu_plugin_id_t, callback: Callback, userdata: *mut c_void);
    fn qemu_plugin_read_register(
        handle: *mut qemu_plugin_register,
        buffer: *mut GByteArray,
    ) -> bool;
    // Of GLib, which QEMU brings along.
    fn g_byte_array_new() -> *mut GByteArray;
    fn g_byte_array_unref(array: *mut GByteArray);
    fn g_array_free(array: *mut GArray, free_segment: c_int) -> *mut c_char;
}

/// The plugin, from install to the end of the process.
struct Plugin {
    id: qemu_plugin_id_t,
    recorder: Recorder,
    /// What is to hold after the next reset.
    armed: AtomicBool,
    /// Instructions behind those that read an I/O port: QEMU ends a block there.
    behind_port_reads: Mutex<HashSet<u64>>,
}

impl Plugin {
    fn note_port_read(&self, next: u64) {
        let places = self.behind_port_reads.lock();
        places.unwrap_or_else(PoisonError::into_inner).insert(next);
    }

    fn is_behind_port_read(&self, pc: u64) -> bool {
        let places = self.behind_port_reads.lock();
        places.unwrap_or_else(PoisonError::into_inner).contains(&pc)
    }
}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

/// QEMU loads the plugin.
///
/// # Safety
/// `info` points to QEMU's description of itself, `argv` to `argc` C strings.
#[unsafe(no_mangle)]
unsafe extern "C" fn qemu_plugin_install(
    id: qemu_plugin_id_t,
    info: *const qemu_info_t,
    argc: c_int,
    argv: *mut *mut c_char,
) -> c_int {
    // SAFETY: the caller's promise; the version stands at the same place in every version.
    let version = unsafe { (*info).version.cur };
    if version != VERSION {
        return refuse(&format!(
            "made for plugin interface {VERSION}, which QEMU 11.1 has; this QEMU has {version}"
        ));
    }
    // SAFETY: the caller's promise.
    let words = unsafe { words(argc, argv) };
    let options = match Options::parse(words.iter().map(String::as_str)) {
        Ok(options) => options,
        Err(error) => return refuse(&error.to_string()),
    };
    let recorder = match Recorder::create(&options) {
        Ok(recorder) => recorder,
        Err(error) => {
            return refuse(&format!("cannot make {}: {error}", options.out.display()));
        }
    };
    let plugin = PLUGIN.get_or_init(|| Plugin {
        id,
        recorder,
        armed: AtomicBool::new(options.from == From::Boot),
        behind_port_reads: Mutex::default(),
    });
    if plugin.id != id {
        return refuse("loaded twice");
    }
    start(ptr::null_mut());
    0
}

fn refuse(reason: &str) -> c_int {
    eprintln!("ringbar-plugin: {reason}");
    -1
}

/// The words after `file=`.
///
/// # Safety
/// `argv` points to `argc` C strings.
unsafe fn words(argc: c_int, argv: *mut *mut c_char) -> Vec<String> {
    let count = usize::try_from(argc).unwrap_or_default();
    if count == 0 {
        return Vec::new();
    }
    // SAFETY: the caller's promise.
    let words = unsafe { slice::from_raw_parts(argv, count) };
    let word = |word: &*mut c_char| {
        // SAFETY: the caller's promise.
        let word = unsafe { CStr::from_ptr(*word) };
        word.to_string_lossy().into_owned()
    };
    words.iter().map(word).collect()
}

/// Registers what is to be called: at install, and after a reset, when there is no translated code.
extern "C" fn start(_userdata: *mut c_void) {
    let Some(plugin) = PLUGIN.get() else { return };
    // SAFETY: an id that QEMU gave, and functions that stay: QEMU does not unload a plugin that does
    // not ask for it.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(plugin.id, translate, ptr::null_mut()) };
    // SAFETY: as above.
    unsafe { qemu_plugin_register_atexit_cb(plugin.id, finish, ptr::null_mut()) };
    if plugin.armed.load(Ordering::Relaxed) {
        plugin.recorder.armed();
    }
}

extern "C" fn finish(_userdata: *mut c_void) {
    if let Some(plugin) = PLUGIN.get() {
        plugin.recorder.finish();
    }
}

/// QEMU translates a block of the guest's code.
extern "C" fn translate(block: *mut qemu_plugin_tb, _userdata: *mut c_void) {
    let Some(plugin) = PLUGIN.get() else { return };
    // SAFETY: QEMU's block, for the time of this call.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    let instruction = |index| {
        // SAFETY: QEMU's block, and below the count of its instructions.
        (index < count).then(|| unsafe { qemu_plugin_tb_get_insn(block, index) })
    };
    let is_mark = instruction(0).is_some_and(|first| bytes(first).as_slice() == INSTRUCTION);
    if let Some(load) = instruction(1).filter(|_| is_mark) {
        on_memory(load, mark, 0);
        return;
    }
    if !plugin.armed.load(Ordering::Relaxed) {
        return;
    }
    for instruction in (0..count).map_while(instruction) {
        // SAFETY: QEMU's instruction, for the time of this call.
        let pc = unsafe { qemu_plugin_insn_vaddr(instruction) };
        on_memory(instruction, memory, pc);
        if plugin.is_behind_port_read(pc) {
            on_execution(instruction, after_port_read, pc);
        }
        let bytes = bytes(instruction);
        let Some(PortInstruction { write, width }) = PortInstruction::decode(&bytes) else {
            continue;
        };
        let callback = match (write, width) {
            (true, 1) => port_access::<true, 1>,
            (true, 2) => port_access::<true, 2>,
            (true, _) => port_access::<true, 4>,
            (false, 1) => port_access::<false, 1>,
            (false, 2) => port_access::<false, 2>,
            (false, _) => port_access::<false, 4>,
        };
        on_execution(instruction, callback, pc);
        if !write {
            plugin.note_port_read(pc.wrapping_add(bytes.len() as u64));
        }
    }
}

/// The bytes of an instruction, as far as this plugin needs them.
fn bytes(instruction: *mut qemu_plugin_insn) -> Vec<u8> {
    let mut bytes = vec![0u8; INSTRUCTION.len() + 1];
    // SAFETY: QEMU's instruction, and a buffer of that length.
    let length =
        unsafe { qemu_plugin_insn_data(instruction, bytes.as_mut_ptr().cast(), bytes.len()) };
    bytes.truncate(length);
    bytes
}

type MemoryCallback = unsafe extern "C" fn(c_uint, qemu_plugin_meminfo_t, u64, *mut c_void);

fn on_memory(instruction: *mut qemu_plugin_insn, callback: MemoryCallback, pc: u64) {
    // SAFETY: QEMU's instruction, during its translation; the function stays, the pointer is a number.
    unsafe {
        qemu_plugin_register_vcpu_mem_cb(
            instruction,
            Some(callback),
            qemu_plugin_cb_flags::QEMU_PLUGIN_CB_R_REGS,
            qemu_plugin_mem_rw::QEMU_PLUGIN_MEM_RW,
            ptr::without_provenance_mut(pc as usize),
        );
    }
}

type ExecutionCallback = unsafe extern "C" fn(c_uint, *mut c_void);

fn on_execution(instruction: *mut qemu_plugin_insn, callback: ExecutionCallback, pc: u64) {
    // SAFETY: as in `on_memory`.
    unsafe {
        qemu_plugin_register_vcpu_insn_exec_cb(
            instruction,
            Some(callback),
            qemu_plugin_cb_flags::QEMU_PLUGIN_CB_R_REGS,
            ptr::without_provenance_mut(pc as usize),
        );
    }
}

/// The instruction after a mark has loaded the mark's length.
extern "C" fn mark(cpu: c_uint, info: qemu_plugin_meminfo_t, address: u64, _userdata: *mut c_void) {
    let Some(plugin) = PLUGIN.get() else { return };
    let length = usize::try_from(value(info)).ok();
    let length = length.filter(|length| *length <= LONGEST_MARK);
    let text = length.and_then(|length| read_memory(address.wrapping_add(8), length));
    let Some(text) = text else {
        eprintln!("ringbar-plugin: a mark of the guest cannot be read");
        return;
    };
    let wish = plugin.recorder.mark(cpu, &String::from_utf8_lossy(&text));
    let armed = plugin.armed.load(Ordering::Relaxed);
    match wish {
        Some(Wish::Arm) if !armed => plugin.armed.store(true, Ordering::Relaxed),
        Some(Wish::Disarm) if armed => plugin.armed.store(false, Ordering::Relaxed),
        _ => return,
    }
    // Drops all translated code once no vCPU runs any, which is before this one goes on with another block.
    // SAFETY: an id that QEMU gave, on the thread of a vCPU.
    unsafe { qemu_plugin_reset(plugin.id, start, ptr::null_mut()) };
}

/// An instruction has loaded or stored something.
extern "C" fn memory(
    cpu: c_uint,
    info: qemu_plugin_meminfo_t,
    address: u64,
    userdata: *mut c_void,
) {
    let Some(plugin) = PLUGIN.get() else { return };
    // SAFETY: the access is the one that this callback is about.
    let place = unsafe { qemu_plugin_get_hwaddr(info, address) };
    if place.is_null() {
        return;
    }
    // SAFETY: what QEMU gave just now.
    let trapped = unsafe { qemu_plugin_hwaddr_is_io(place) };
    // SAFETY: as above.
    let address = unsafe { qemu_plugin_hwaddr_phys_addr(place) };
    if !trapped && !plugin.recorder.is_device_memory(address) {
        return;
    }
    let region = trapped.then(|| {
        // SAFETY: what QEMU gave just now; the name stays until the process ends.
        let name = unsafe { qemu_plugin_hwaddr_device_name(place) };
        // SAFETY: a C string.
        unsafe { CStr::from_ptr(name) }.to_str().unwrap_or_default()
    });
    let Some(place) = plugin.recorder.find(Seen { address, region }) else {
        return;
    };
    // SAFETY: numbers go in and come out.
    let width = 1 << unsafe { qemu_plugin_mem_size_shift(info) };
    // SAFETY: as above.
    let write = unsafe { qemu_plugin_mem_is_store(info) };
    let transfer = Transfer {
        width,
        write,
        value: Some(value(info)),
    };
    let code = code(cpu, userdata);
    plugin.recorder.access(code, place, transfer, trapped);
}

thread_local! {
    /// Configuration space that this vCPU's last instruction reads, with what is to be done when the value is there.
    static READING: Cell<Option<Reading>> = const { Cell::new(None) };
}

/// A read of an I/O port whose value is not there yet.
struct Reading {
    code: Code,
    place: ringbar_records::place::Place,
    width: u32,
}

/// An instruction is about to access an I/O port.
extern "C" fn port_access<const WRITE: bool, const WIDTH: u32>(cpu: c_uint, userdata: *mut c_void) {
    let Some(plugin) = PLUGIN.get() else { return };
    let Some((port, value)) = register(&RDX).zip(register(&RAX)) else {
        return;
    };
    let instruction = PortInstruction {
        write: WRITE,
        width: WIDTH,
    };
    let value = cut(value, WIDTH);
    let place = plugin
        .recorder
        .find_port(instruction, port as u16, value as u32);
    let Some(place) = place else { return };
    let code = code(cpu, userdata);
    if WRITE {
        let transfer = Transfer {
            width: WIDTH,
            write: true,
            value: Some(value.into()),
        };
        plugin.recorder.access(code, place, transfer, true);
    } else {
        let width = WIDTH;
        READING.set(Some(Reading { code, place, width }));
    }
}

/// The instruction before this one has read an I/O port.
extern "C" fn after_port_read(_cpu: c_uint, _userdata: *mut c_void) {
    let Some((plugin, reading)) = PLUGIN.get().zip(READING.take()) else {
        return;
    };
    let transfer = Transfer {
        width: reading.width,
        write: false,
        value: register(&RAX).map(|value| cut(value, reading.width).into()),
    };
    let Reading { code, place, .. } = reading;
    plugin.recorder.access(code, place, transfer, true);
}

/// The lowest bytes of a register.
fn cut(value: u64, width: u32) -> u64 {
    value & (u64::MAX >> (64 - 8 * width.clamp(1, 8)))
}

/// Where the guest is, with the callers of a function of the kernel: its driver's accesses are made
/// by helpers of the kernel.
fn code(cpu: c_uint, userdata: *mut c_void) -> Code {
    let pc = userdata.addr() as u64;
    let mut callers = Vec::new();
    if KERNEL_CODE.contains(&pc) {
        let stack = register(&RSP).and_then(|top| read_memory(top, STACK));
        callers.extend(
            stack
                .unwrap_or_default()
                .chunks_exact(8)
                .filter_map(|word| Some(u64::from_le_bytes(word.try_into().ok()?)))
                .filter(|word| KERNEL_CODE.contains(word))
                .take(CALLERS),
        );
    }
    Code { cpu, pc, callers }
}

/// What the access of this callback carried.
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one member is read, whichever it is"
)]
fn value(info: qemu_plugin_meminfo_t) -> u128 {
    // SAFETY: the access is the one that the callback is about.
    let qemu_plugin_mem_value { type_, data } = unsafe { qemu_plugin_mem_get_value(info) };
    // SAFETY: QEMU sets the member that it names.
    unsafe {
        match type_ {
            qemu_plugin_mem_value_type::QEMU_PLUGIN_MEM_VALUE_U8 => data.u8_.into(),
            qemu_plugin_mem_value_type::QEMU_PLUGIN_MEM_VALUE_U16 => data.u16_.into(),
            qemu_plugin_mem_value_type::QEMU_PLUGIN_MEM_VALUE_U32 => data.u32_.into(),
            qemu_plugin_mem_value_type::QEMU_PLUGIN_MEM_VALUE_U64 => data.u64_.into(),
            qemu_plugin_mem_value_type::QEMU_PLUGIN_MEM_VALUE_U128 => {
                u128::from(data.u128_.high) << 64 | u128::from(data.u128_.low)
            }
        }
    }
}

/// Copies memory of the guest, if it is there. On the thread of a vCPU only.
fn read_memory(address: u64, length: usize) -> Option<Vec<u8>> {
    let array = Bytes::new();
    // SAFETY: an array of our own; addresses of the guest may be any.
    let read = unsafe { qemu_plugin_read_memory_vaddr(address, array.0, length) };
    (read || length == 0).then(|| array.to_vec())
}

/// A register that is read, with QEMU's handle once that is known.
struct Register {
    name: &'static CStr,
    handle: AtomicPtr<qemu_plugin_register>,
}

impl Register {
    const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            handle: AtomicPtr::new(ptr::null_mut()),
        }
    }
}

static RAX: Register = Register::new(c"rax");
static RDX: Register = Register::new(c"rdx");
static RSP: Register = Register::new(c"rsp");

/// Value of a register. In callbacks that asked for registers only.
fn register(register: &Register) -> Option<u64> {
    let mut handle = register.handle.load(Ordering::Relaxed);
    if handle.is_null() {
        handle = find_register(register.name)?;
        register.handle.store(handle, Ordering::Relaxed);
    }
    let array = Bytes::new();
    // SAFETY: a handle that QEMU gave, the same for every vCPU, and an array of our own.
    let read = unsafe { qemu_plugin_read_register(handle, array.0) };
    let bytes = array.to_vec();
    read.then(|| Some(u64::from_le_bytes(bytes.first_chunk().copied()?)))?
}

/// QEMU's handle of a register. On the thread of a vCPU only.
fn find_register(name: &CStr) -> Option<*mut qemu_plugin_register> {
    // SAFETY: called by a vCPU. The array is ours to free.
    let list = unsafe { qemu_plugin_get_registers() };
    // SAFETY: as above.
    let GArray { data, len } = unsafe { *list };
    // SAFETY: the array has that many elements of version 7's layout, and is aligned as GLib allocates.
    let descriptions =
        unsafe { slice::from_raw_parts(data.cast::<RegisterDescription>(), len as usize) };
    let found = descriptions.iter().find(|register| {
        // SAFETY: every description has a name.
        unsafe { CStr::from_ptr(register.name) == name }
    });
    let handle = found.map(|register| register.handle);
    // SAFETY: ours, and nothing points into it any more.
    unsafe { g_array_free(list, 1) };
    handle
}

/// An array of GLib.
struct Bytes(*mut GByteArray);

impl Bytes {
    fn new() -> Self {
        // SAFETY: allocates, or ends the process.
        Self(unsafe { g_byte_array_new() })
    }

    fn to_vec(&self) -> Vec<u8> {
        // SAFETY: an array that lives as long as self.
        let GByteArray { data, len } = unsafe { *self.0 };
        if data.is_null() {
            return Vec::new();
        }
        // SAFETY: the array has that many bytes.
        unsafe { slice::from_raw_parts(data, len as usize) }.to_vec()
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: ours, and not used any more.
        unsafe { g_byte_array_unref(self.0) };
    }
}
