// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Interface to QEMU: plugin interface 7, which QEMU 11.1 has.
//!
//! `qemu-plugin-sys` describes version 5, and this file uses the parts that are equal in both. It
//! declares the others as in QEMU 11.1's `qemu-plugin.h`. Callbacks receive the pointer of their
//! registration instead of the plugin's id. Reading a register reports success. A register's
//! description is longer.

#![expect(unsafe_code, reason = "all of QEMU's plugin interface is C")]

mod executed;

use std::cell::Cell;
use std::collections::HashSet;
use std::ffi::{c_char, c_int, c_uint, c_void, CStr};
use std::ops::Range;
use std::ptr;
use std::slice;
use std::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use qemu_plugin_sys::{
    qemu_info_t, qemu_plugin_cb_flags, qemu_plugin_get_hwaddr, qemu_plugin_get_registers,
    qemu_plugin_hwaddr_device_name, qemu_plugin_hwaddr_is_io, qemu_plugin_hwaddr_phys_addr,
    qemu_plugin_id_t, qemu_plugin_insn, qemu_plugin_insn_data, qemu_plugin_insn_vaddr,
    qemu_plugin_mem_get_value, qemu_plugin_mem_is_big_endian, qemu_plugin_mem_is_store,
    qemu_plugin_mem_rw, qemu_plugin_mem_size_shift, qemu_plugin_mem_value,
    qemu_plugin_mem_value_type, qemu_plugin_meminfo_t, qemu_plugin_read_memory_vaddr,
    qemu_plugin_register, qemu_plugin_register_vcpu_insn_exec_cb, qemu_plugin_register_vcpu_mem_cb,
    qemu_plugin_tb, qemu_plugin_tb_get_insn, qemu_plugin_tb_n_insns, GArray, GByteArray,
};
use ringbar_marks::INSTRUCTIONS;

use executed::Counters;

use crate::byte_order;
use crate::code::Code as Executed;
use crate::config::PortInstruction;
use crate::map::Seen;
use crate::options::{From, Options, What};
use crate::page;
use crate::recorder::{Code, Recorder, Transfer, Wish};
use crate::target::Target;

/// The only version that fits these declarations.
const VERSION: c_int = 7;

/// QEMU reads this before it calls any function.
#[unsafe(no_mangle)]
static qemu_plugin_version: c_int = VERSION;

/// Longest instruction of any architecture, x86-64's, in bytes.
const LONGEST_INSTRUCTION: usize = 15;
/// Longest text of a mark. The length comes from the guest, so it must not determine an allocation.
const LONGEST_MARK: usize = 4096;
/// Bytes of the stack that are searched for return addresses.
const STACK: usize = 256;
/// Most return addresses that are kept.
const CALLERS: usize = 4;

type Callback = extern "C" fn(userdata: *mut c_void);

/// Description of a register in version 7.
#[repr(C)]
struct RegisterDescription {
    handle: *mut qemu_plugin_register,
    name: *const c_char,
    feature: *const c_char,
    read_only: bool,
}

// SAFETY: The signatures are those of QEMU's `qemu-plugin.h` and of GLib.
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
    // Functions of GLib, which QEMU contains.
    fn g_byte_array_new() -> *mut GByteArray;
    fn g_byte_array_unref(array: *mut GByteArray);
    fn g_array_free(array: *mut GArray, free_segment: c_int) -> *mut c_char;
}

/// State of the plugin, from install to the end of the process.
struct Plugin {
    id: qemu_plugin_id_t,
    target: Target,
    kind: Kind,
    /// Whether accesses are watched after the next reset.
    armed: AtomicBool,
    /// Addresses of the instructions after reads of I/O ports. QEMU ends a block of code there.
    behind_port_reads: Mutex<HashSet<u64>>,
}

/// Kind of records, with their recorder.
enum Kind {
    Accesses(Box<Recorder>),
    Code(Executed, Counters),
}

impl Plugin {
    /// Returns the recorder of accesses.
    fn recorder(&self) -> Option<&Recorder> {
        match &self.kind {
            Kind::Accesses(recorder) => Some(recorder),
            Kind::Code(..) => None,
        }
    }

    /// Notes the instruction after a read of an I/O port.
    fn note_port_read(&self, next: u64) {
        let places = self.behind_port_reads.lock();
        places.unwrap_or_else(PoisonError::into_inner).insert(next);
    }

    /// Returns whether the instruction follows a read of an I/O port.
    fn is_behind_port_read(&self, pc: u64) -> bool {
        let places = self.behind_port_reads.lock();
        places.unwrap_or_else(PoisonError::into_inner).contains(&pc)
    }
}

static PLUGIN: OnceLock<Plugin> = OnceLock::new();

/// Installs the plugin. QEMU calls this when it loads the plugin.
///
/// # Safety
/// `info` points to QEMU's description of itself, and `argv` to `argc` C strings.
#[unsafe(no_mangle)]
unsafe extern "C" fn qemu_plugin_install(
    id: qemu_plugin_id_t,
    info: *const qemu_info_t,
    argc: c_int,
    argv: *mut *mut c_char,
) -> c_int {
    // SAFETY: The caller promises that `info` is valid. The version is at the same place in every
    // version.
    let version = unsafe { (*info).version.cur };
    if version != VERSION {
        return refuse(&format!(
            "made for plugin interface {VERSION}, which QEMU 11.1 has; this QEMU has {version}"
        ));
    }
    // SAFETY: The caller promises that `info` is valid.
    let name = unsafe { (*info).target_name };
    // SAFETY: QEMU's description has a C string, which stays.
    let name = unsafe { CStr::from_ptr(name) };
    let Some(target) = name.to_str().ok().and_then(Target::named) else {
        return refuse(&format!("there are x86_64 and aarch64, not {name:?}"));
    };
    // SAFETY: The caller promises that `argv` points to `argc` C strings.
    let words = unsafe { words(argc, argv) };
    let options = match Options::parse(words.iter().map(String::as_str)) {
        Ok(options) => options,
        Err(error) => return refuse(&error.to_string()),
    };
    let kind = match kind(&options) {
        Ok(kind) => kind,
        Err(reason) => return refuse(&reason),
    };
    let plugin = PLUGIN.get_or_init(|| Plugin {
        id,
        target,
        kind,
        armed: AtomicBool::new(options.from == From::Boot),
        behind_port_reads: Mutex::default(),
    });
    if plugin.id != id {
        return refuse("loaded twice");
    }
    start(ptr::null_mut());
    0
}

/// Creates the recorder that the options ask for.
fn kind(options: &Options) -> Result<Kind, String> {
    match options.what {
        What::Accesses => {
            let recorder = Recorder::create(options).map_err(|error| error.to_string())?;
            Ok(Kind::Accesses(Box::new(recorder)))
        }
        What::Code => {
            let code = Executed::create(options).map_err(|error| error.to_string())?;
            Ok(Kind::Code(code, Counters::new()))
        }
    }
}

/// Prints the reason. Returns the status by which QEMU refuses the plugin.
fn refuse(reason: &str) -> c_int {
    eprintln!("ringbar-plugin: {reason}");
    -1
}

/// Returns the words after `file=`.
///
/// # Safety
/// `argv` points to `argc` C strings.
unsafe fn words(argc: c_int, argv: *mut *mut c_char) -> Vec<String> {
    let count = usize::try_from(argc).unwrap_or_default();
    if count == 0 {
        return Vec::new();
    }
    // SAFETY: The caller promises `argc` pointers at `argv`.
    let words = unsafe { slice::from_raw_parts(argv, count) };
    let word = |word: &*mut c_char| {
        // SAFETY: The caller promises that each pointer is a C string.
        let word = unsafe { CStr::from_ptr(*word) };
        word.to_string_lossy().into_owned()
    };
    words.iter().map(word).collect()
}

/// Registers the callbacks: at install, and after a reset, when no translated code exists.
extern "C" fn start(_userdata: *mut c_void) {
    let Some(plugin) = PLUGIN.get() else { return };
    // SAFETY: QEMU gave the id. The callback stays valid: QEMU unloads a plugin only if the plugin
    // asks for it.
    unsafe { qemu_plugin_register_vcpu_tb_trans_cb(plugin.id, translate, ptr::null_mut()) };
    // SAFETY: QEMU gave the id. The callback stays valid, because this plugin never asks to be
    // unloaded.
    unsafe { qemu_plugin_register_atexit_cb(plugin.id, finish, ptr::null_mut()) };
    if let Some(recorder) = plugin
        .recorder()
        .filter(|_| plugin.armed.load(Ordering::Relaxed))
    {
        recorder.armed();
    }
}

/// Ends the recording. QEMU calls this when it exits.
extern "C" fn finish(_userdata: *mut c_void) {
    match PLUGIN.get().map(|plugin| &plugin.kind) {
        Some(Kind::Accesses(recorder)) => recorder.finish(),
        Some(Kind::Code(code, counters)) => code.finish(|number| counters.is_set(number)),
        None => {}
    }
}

/// Instruments a block of code. QEMU calls this when it translates the block.
extern "C" fn translate(block: *mut qemu_plugin_tb, _userdata: *mut c_void) {
    let Some(plugin) = PLUGIN.get() else { return };
    // SAFETY: The block is QEMU's, and valid during this call.
    let count = unsafe { qemu_plugin_tb_n_insns(block) };
    let instruction = |index| {
        // SAFETY: The block is QEMU's, and valid during this call. The index is below the count of
        // its instructions.
        (index < count).then(|| unsafe { qemu_plugin_tb_get_insn(block, index) })
    };
    let is_mark =
        instruction(0).is_some_and(|first| INSTRUCTIONS.contains(&bytes(first).as_slice()));
    if let Some(load) = instruction(1).filter(|_| is_mark) {
        on_memory(load, mark, 0);
        return;
    }
    if let Kind::Code(code, counters) = &plugin.kind {
        counters.watch(code, block);
        return;
    }
    if !plugin.armed.load(Ordering::Relaxed) {
        return;
    }
    for instruction in (0..count).map_while(instruction) {
        // SAFETY: The instruction is QEMU's, and valid during this call.
        let pc = unsafe { qemu_plugin_insn_vaddr(instruction) };
        on_memory(instruction, memory, pc);
        if plugin.is_behind_port_read(pc) {
            // The value of the read is in the register only now, after the instruction.
            on_execution(instruction, after_port_read, pc);
        }
        if !plugin.target.has_ports() {
            continue;
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

/// Returns the bytes of an instruction.
fn bytes(instruction: *mut qemu_plugin_insn) -> Vec<u8> {
    let mut bytes = vec![0u8; LONGEST_INSTRUCTION];
    // SAFETY: The instruction is QEMU's, during its translation. The buffer has the length that is
    // passed.
    let length =
        unsafe { qemu_plugin_insn_data(instruction, bytes.as_mut_ptr().cast(), bytes.len()) };
    bytes.truncate(length);
    bytes
}

type MemoryCallback = unsafe extern "C" fn(c_uint, qemu_plugin_meminfo_t, u64, *mut c_void);

/// Registers a callback for the loads and stores of an instruction.
fn on_memory(instruction: *mut qemu_plugin_insn, callback: MemoryCallback, pc: u64) {
    // SAFETY: The instruction is QEMU's, during its translation. The callback stays valid, and the
    // pointer is only a number.
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

/// Registers a callback before the execution of an instruction.
fn on_execution(instruction: *mut qemu_plugin_insn, callback: ExecutionCallback, pc: u64) {
    // SAFETY: The instruction is QEMU's, during its translation. The callback stays valid, and the
    // pointer is only a number.
    unsafe {
        qemu_plugin_register_vcpu_insn_exec_cb(
            instruction,
            Some(callback),
            qemu_plugin_cb_flags::QEMU_PLUGIN_CB_R_REGS,
            ptr::without_provenance_mut(pc as usize),
        );
    }
}

/// Takes a mark. QEMU calls this when the instruction after the mark has loaded the mark's length.
extern "C" fn mark(cpu: c_uint, info: qemu_plugin_meminfo_t, address: u64, _userdata: *mut c_void) {
    let Some(plugin) = PLUGIN.get() else { return };
    let length = usize::try_from(value(info)).ok();
    let length = length.filter(|length| *length <= LONGEST_MARK);
    let text = length.and_then(|length| read_memory(address.wrapping_add(8), length));
    let Some(text) = text else {
        eprintln!("ringbar-plugin: a mark of the guest cannot be read");
        return;
    };
    let text = String::from_utf8_lossy(&text);
    let wish = match &plugin.kind {
        Kind::Accesses(recorder) => recorder.mark(cpu, &text),
        Kind::Code(code, _) => {
            code.mark(&text);
            None
        }
    };
    let armed = plugin.armed.load(Ordering::Relaxed);
    match wish {
        Some(Wish::Arm) if !armed => plugin.armed.store(true, Ordering::Relaxed),
        Some(Wish::Disarm) if armed => plugin.armed.store(false, Ordering::Relaxed),
        _ => return,
    }
    // The reset drops all translated code, so that it is translated again with or without
    // callbacks. It takes place once no vCPU runs translated code, which is before this one runs
    // another block.
    // SAFETY: QEMU gave the id, and this is the thread of a vCPU.
    unsafe { qemu_plugin_reset(plugin.id, start, ptr::null_mut()) };
}

/// Takes an access. QEMU calls this after each load and store of an instrumented instruction.
extern "C" fn memory(
    cpu: c_uint,
    info: qemu_plugin_meminfo_t,
    address: u64,
    userdata: *mut c_void,
) {
    let Some(recorder) = PLUGIN.get().and_then(Plugin::recorder) else {
        return;
    };
    let Some(first) = page::bytes_before_next(address, || width(info)) else {
        return in_page(recorder, cpu, info, address, None, userdata);
    };
    in_page(recorder, cpu, info, address, Some(0..first), userdata);
    in_page(
        recorder,
        cpu,
        info,
        address,
        Some(first..width(info)),
        userdata,
    );
}

/// Records an access, or the given bytes of it, which lie in one page.
fn in_page(
    recorder: &Recorder,
    cpu: c_uint,
    info: qemu_plugin_meminfo_t,
    address: u64,
    bytes: Option<Range<u32>>,
    userdata: *mut c_void,
) {
    let skipped = bytes.as_ref().map_or(0, |bytes| bytes.start);
    // SAFETY: `info` and `address` are the arguments of the present callback. QEMU has just
    // translated the address of each page that the access reaches.
    let place = unsafe { qemu_plugin_get_hwaddr(info, address.wrapping_add(skipped.into())) };
    if place.is_null() {
        return;
    }
    // SAFETY: QEMU has just returned the pointer, which is not null.
    let trapped = unsafe { qemu_plugin_hwaddr_is_io(place) };
    // SAFETY: QEMU has just returned the pointer, which is not null, and no call since then
    // replaced its contents.
    let address = unsafe { qemu_plugin_hwaddr_phys_addr(place) };
    if !trapped && !recorder.is_device_memory(address) {
        return;
    }
    let region = trapped.then(|| {
        // SAFETY: QEMU has just returned the pointer, which is not null. The name stays valid until
        // the process ends.
        let name = unsafe { qemu_plugin_hwaddr_device_name(place) };
        // SAFETY: QEMU returns a C string.
        unsafe { CStr::from_ptr(name) }.to_str().unwrap_or_default()
    });
    let Some(place) = recorder.find(Seen { address, region }) else {
        return;
    };
    // SAFETY: The function computes a truth value from a number.
    let write = unsafe { qemu_plugin_mem_is_store(info) };
    let transfer = Transfer {
        width: width(info),
        write,
        value: Some(value(info)),
    };
    let transfer = match bytes {
        Some(bytes) => transfer.part(bytes),
        None => transfer,
    };
    let code = code(cpu, userdata);
    recorder.access(code, place, transfer, trapped);
}

/// Returns the width of the access in this callback, in bytes.
fn width(info: qemu_plugin_meminfo_t) -> u32 {
    // SAFETY: The function computes a number from a number.
    1 << unsafe { qemu_plugin_mem_size_shift(info) }
}

thread_local! {
    /// Read of configuration space by this vCPU's last instruction, until its value is in the
    /// register.
    static READING: Cell<Option<Reading>> = const { Cell::new(None) };
}

/// A read of an I/O port whose value has not arrived.
struct Reading {
    code: Code,
    place: ringbar_records::place::Place,
    width: u32,
}

/// Takes an access to an I/O port. QEMU calls this before the instruction.
extern "C" fn port_access<const WRITE: bool, const WIDTH: u32>(cpu: c_uint, userdata: *mut c_void) {
    let Some(recorder) = PLUGIN.get().and_then(Plugin::recorder) else {
        return;
    };
    let Some((port, value)) = register(&RDX).zip(register(&RAX)) else {
        return;
    };
    let instruction = PortInstruction {
        write: WRITE,
        width: WIDTH,
    };
    let value = cut(value, WIDTH);
    let place = recorder.find_port(instruction, port as u16, value as u32);
    let Some(place) = place else { return };
    let code = code(cpu, userdata);
    if WRITE {
        let transfer = Transfer {
            width: WIDTH,
            write: true,
            value: Some(value.into()),
        };
        recorder.access(code, place, transfer, true);
    } else {
        let width = WIDTH;
        READING.set(Some(Reading { code, place, width }));
    }
}

/// Takes the value of a read of an I/O port. QEMU calls this before the instruction after the read.
extern "C" fn after_port_read(_cpu: c_uint, _userdata: *mut c_void) {
    let recorder = PLUGIN.get().and_then(Plugin::recorder);
    let Some((recorder, reading)) = recorder.zip(READING.take()) else {
        return;
    };
    let transfer = Transfer {
        width: reading.width,
        write: false,
        value: register(&RAX).map(|value| cut(value, reading.width).into()),
    };
    let Reading { code, place, .. } = reading;
    recorder.access(code, place, transfer, true);
}

/// Returns the lowest bytes of a register.
fn cut(value: u64, width: u32) -> u64 {
    value & (u64::MAX >> (64 - 8 * width.clamp(1, 8)))
}

/// Returns the present code of the guest. In the kernel it includes the callers: helper functions
/// of the kernel carry out the driver's accesses.
fn code(cpu: c_uint, userdata: *mut c_void) -> Code {
    let pc = userdata.addr() as u64;
    let target = PLUGIN.get().map(|plugin| plugin.target);
    let callers = match target {
        Some(target) if target.kernel_code().contains(&pc) => callers(target),
        _ => Vec::new(),
    };
    Code { cpu, pc, callers }
}

/// Returns addresses of the kernel's code that are on its stack, the nearest caller first. On arm64
/// that one may be in a register alone.
fn callers(target: Target) -> Vec<u64> {
    let (stack, link) = match target {
        Target::X86 => (&RSP, None),
        Target::Arm64 => (&SP, register(&X30)),
    };
    let stack = register(stack).and_then(|top| read_memory(top, STACK));
    let stack = stack.unwrap_or_default();
    let words = stack
        .chunks_exact(8)
        .filter_map(|word| Some(u64::from_le_bytes(word.try_into().ok()?)));
    let code = target.kernel_code();
    let words = link.into_iter().chain(words);
    words
        .filter(|word| code.contains(word))
        .take(CALLERS)
        .collect()
}

/// Returns the value of the access in this callback: a number whose lowest byte is the first one in
/// memory.
fn value(info: qemu_plugin_meminfo_t) -> u128 {
    // SAFETY: The function computes a truth value from a number.
    if unsafe { qemu_plugin_mem_is_big_endian(info) } {
        return byte_order::in_memory(raw_value(info), width(info));
    }
    raw_value(info)
}

/// Returns the value of the access in this callback, as QEMU passes it.
#[expect(
    clippy::multiple_unsafe_ops_per_block,
    reason = "one member is read, whichever it is"
)]
fn raw_value(info: qemu_plugin_meminfo_t) -> u128 {
    // SAFETY: `info` is an argument of the present callback, during the callback.
    let qemu_plugin_mem_value { type_, data } = unsafe { qemu_plugin_mem_get_value(info) };
    // SAFETY: QEMU has set the member that `type_` names.
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

/// Copies memory of the guest, if it is mapped. The caller must be the thread of a vCPU.
fn read_memory(address: u64, length: usize) -> Option<Vec<u8>> {
    let array = Bytes::new();
    // SAFETY: The array is this function's own. Any address of the guest is permitted.
    let read = unsafe { qemu_plugin_read_memory_vaddr(address, array.0, length) };
    (read || length == 0).then(|| array.to_vec())
}

/// A register of the guest, with QEMU's handle once that is known.
struct Register {
    name: &'static CStr,
    handle: AtomicPtr<qemu_plugin_register>,
}

impl Register {
    /// Returns a register whose handle is not known yet.
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
static SP: Register = Register::new(c"sp");
static X30: Register = Register::new(c"x30");

/// Returns the value of a register. The caller must be a callback that was registered with access
/// to registers.
fn register(register: &Register) -> Option<u64> {
    let mut handle = register.handle.load(Ordering::Relaxed);
    if handle.is_null() {
        handle = find_register(register.name)?;
        register.handle.store(handle, Ordering::Relaxed);
    }
    let array = Bytes::new();
    // SAFETY: QEMU gave the handle, which is the same for every vCPU. The array is this function's
    // own.
    let read = unsafe { qemu_plugin_read_register(handle, array.0) };
    let bytes = array.to_vec();
    read.then(|| Some(u64::from_le_bytes(bytes.first_chunk().copied()?)))?
}

/// Returns QEMU's handle of a register. The caller must be the thread of a vCPU.
fn find_register(name: &CStr) -> Option<*mut qemu_plugin_register> {
    // SAFETY: The caller is the thread of a vCPU. QEMU passes the array on to this function.
    let list = unsafe { qemu_plugin_get_registers() };
    // SAFETY: QEMU returned a valid array, and nothing else refers to it.
    let GArray { data, len } = unsafe { *list };
    // SAFETY: The array has that many elements of version 7's layout. GLib's memory is aligned for
    // them.
    let descriptions =
        unsafe { slice::from_raw_parts(data.cast::<RegisterDescription>(), len as usize) };
    let found = descriptions.iter().find(|register| {
        // SAFETY: Every description has a name, which is a C string.
        unsafe { CStr::from_ptr(register.name) == name }
    });
    let handle = found.map(|register| register.handle);
    // SAFETY: The array is this function's own, and no reference into it is left.
    unsafe { g_array_free(list, 1) };
    handle
}

/// A byte array of GLib.
struct Bytes(*mut GByteArray);

impl Bytes {
    /// Allocates an empty array.
    fn new() -> Self {
        // SAFETY: The function takes no argument. It allocates, or ends the process.
        Self(unsafe { g_byte_array_new() })
    }

    /// Copies the bytes.
    fn to_vec(&self) -> Vec<u8> {
        // SAFETY: The array lives as long as `self`.
        let GByteArray { data, len } = unsafe { *self.0 };
        if data.is_null() {
            return Vec::new();
        }
        // SAFETY: The array has that many bytes, and `data` is not null.
        unsafe { slice::from_raw_parts(data, len as usize) }.to_vec()
    }
}

impl Drop for Bytes {
    fn drop(&mut self) {
        // SAFETY: The array belongs to `self`, which is not used any more.
        unsafe { g_byte_array_unref(self.0) };
    }
}
