// SPDX-License-Identifier: GPL-2.0-only

//! Memory of the kernel that a process makes, maps and destroys: a complete driver without
//! hardware.
//!
//! `README.md` walks through this file.

#[path = "../mapping/mod.rs"]
mod mapping;
#[allow(unreachable_pub, reason = "programs compile the file too")]
mod uapi;

use core::ptr::from_ref;
use kernel::{
    auxiliary,
    device::{Bound, Core},
    driver::Registration,
    faux,
    page::PAGE_SIZE,
    prelude::*,
    sync::Arc,
    types::ForLt,
    uaccess::UserPtr,
    InPlaceModule, ModuleMetadata,
};
use mapping::prelude::*;

const MODULE: &CStr = <LocalModule as ModuleMetadata>::NAME;
const DEVICE: &CStr = c"buffer";

/// The driver, for the auxiliary bus and for the mapping layer.
struct SharedBuffer;

/// A buffer that a file owns.
struct Buffer {
    number: Number,
    size: usize,
    memory: Memory,
}

enum Memory {
    Contiguous(Contiguous),
    Scattered(Scattered),
}

impl Memory {
    fn new(create: &uapi::Create, size: usize) -> Result<Self> {
        let policy = match create.policy {
            uapi::CACHED => CachePolicy::Cached,
            uapi::WRITE_COMBINING => CachePolicy::WriteCombining,
            _ => return Err(EINVAL),
        };
        match create.kind {
            uapi::CONTIGUOUS => Ok(Self::Contiguous(Contiguous::new(size, policy)?)),
            // The kernel uses pages of vmalloc by a mapping of its own, which is cached.
            uapi::VMALLOC if policy == CachePolicy::Cached => {
                Ok(Self::Scattered(Scattered::new(size)?))
            }
            _ => Err(EINVAL),
        }
    }
}

impl Buffer {
    /// Returns its mmap offset.
    fn offset(&self) -> u64 {
        let kind = match self.memory {
            Memory::Contiguous(_) => ContiguousKind::NUMBER,
            Memory::Scattered(_) => VmallocKind::NUMBER,
        };
        offset::encode(kind, self.number.get())
    }
}

/// Returns the memory of the buffer with this number.
fn find(buffers: &[Buffer], number: u16) -> Result<&Memory> {
    let mut buffers = buffers.iter();
    let found = buffers.find(|buffer| buffer.number.get() == number);
    found.map(|buffer| &buffer.memory).ok_or(ENXIO)
}

fn create(file: &OpenFile<SharedBuffer>, create: &mut uapi::Create) -> Result {
    if create.size == 0 || create.size > uapi::MAX_SIZE {
        return Err(EINVAL);
    }
    let size = (create.size as usize).next_multiple_of(PAGE_SIZE);
    let buffer = Buffer {
        memory: Memory::new(create, size)?,
        size,
        number: file.shared().take()?,
    };
    create.offset = buffer.offset();
    create.size = size as u64;
    file.with_objects(|(), buffers| {
        if buffers.len() >= uapi::MAX_BUFFERS {
            return Err(ENOSPC);
        }
        Ok(buffers.push(buffer, GFP_KERNEL)?)
    })
}

fn destroy(file: &OpenFile<SharedBuffer>, destroy: uapi::Destroy) -> Result {
    // Out of the list first: from here on no mapping can be made of it. Then out of all mappings,
    // and only then may the memory be freed.
    let buffer = file.with_objects(|(), buffers| {
        let found = buffers.iter().position(|it| it.offset() == destroy.offset);
        buffers.remove(found.ok_or(ENXIO)?).map_err(|_| ENXIO)
    })?;
    file.mappings().revoke_region(destroy.offset, buffer.size);
    Ok(())
}

impl HasDevice for SharedBuffer {
    type Device<'bound> = ();
}

impl Driver for SharedBuffer {
    type Module = LocalModule;
    type Shared = Arc<Numbers>;
    type File = ();
    type Objects = KVec<Buffer>;

    const NODE: &'static str = "ringbar-shared-buffer";
    const KINDS: &'static [Entry<OpenFile<Self>>] =
        &[populated::<ContiguousKind>(), on_fault::<VmallocKind>()];

    fn open(_: &Opening<'_, '_, Self>) -> Result<((), KVec<Buffer>)> {
        Ok(((), KVec::new()))
    }

    fn ioctl(file: &OpenFile<Self>, number: u32, argument: UserPtr) -> Result<isize> {
        match number {
            uapi::CREATE => arguments::answer(argument, |value| create(file, value))?,
            uapi::DESTROY => destroy(file, arguments::get(argument)?)?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }
}

/// Physically contiguous memory, mapped as a whole by the mmap hook.
enum ContiguousKind {}

impl Kind for ContiguousKind {
    type File = OpenFile<SharedBuffer>;
    type Memory<'a> = &'a Contiguous;
    const NUMBER: u8 = uapi::CONTIGUOUS as u8;
    const NAME: &'static str = "contiguous";
    const FORK: Fork = Fork::Inherited;

    fn memory<'a>((): &'a (), buffers: &'a KVec<Buffer>, number: u16) -> Result<&'a Contiguous> {
        match find(buffers, number)? {
            Memory::Contiguous(memory) => Ok(memory),
            Memory::Scattered(_) => Err(ENXIO),
        }
    }
}

/// Memory of vmalloc, mapped page by page when it is touched.
enum VmallocKind {}

impl Kind for VmallocKind {
    type File = OpenFile<SharedBuffer>;
    type Memory<'a> = &'a Scattered;
    const NUMBER: u8 = uapi::VMALLOC as u8;
    const NAME: &'static str = "vmalloc";
    const FORK: Fork = Fork::Inherited;

    fn memory<'a>((): &'a (), buffers: &'a KVec<Buffer>, number: u16) -> Result<&'a Scattered> {
        match find(buffers, number)? {
            Memory::Scattered(memory) => Ok(memory),
            Memory::Contiguous(_) => Err(ENXIO),
        }
    }
}

/// All that belongs to a bound device. Dropped in this order: first no new file comes, then the
/// open ones lose their memory.
#[pin_data]
struct Data {
    #[pin]
    node: Node<SharedBuffer>,
    binding: Binding<'static, SharedBuffer>,
}

kernel::auxiliary_device_table!(
    TABLE,
    <SharedBuffer as auxiliary::Driver>::IdInfo,
    [(auxiliary::DeviceId::new(MODULE, DEVICE), ())]
);

impl auxiliary::Driver for SharedBuffer {
    type IdInfo = ();
    type Data<'bound> = Data;
    const ID_TABLE: auxiliary::IdTable<()> = &TABLE;

    fn probe<'bound>(
        dev: &'bound auxiliary::Device<Core<'_>>,
        _info: &'bound (),
    ) -> impl PinInit<Data, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            let dev: &auxiliary::Device<Bound> = dev;
            let files = Files::new(Numbers::new()?)?;
            let node = Node::register(dev.as_ref(), files.clone())?;
            Ok(try_pin_init!(Data {
                binding: Binding::to_static(files, &())?,
                node <- node,
            }))
        })
    }
}

/// The driver, and the device that it is for: no hardware makes one. Dropped in this order.
#[pin_data]
struct Module {
    #[pin]
    _driver: Registration<auxiliary::Adapter<SharedBuffer>>,
    _device: auxiliary::Registration<'static, ForLt!(())>,
    _parent: faux::Registration,
}

impl InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            _parent: faux::Registration::new(MODULE, None)?,
            _device: {
                // SAFETY: `_parent` is in place, pinned, and is dropped after `_device`.
                let parent: &'static faux::Registration = unsafe { &*from_ref(_parent) };
                let parent: &faux::Device<Bound> = parent.as_ref();
                auxiliary::Registration::new(parent.as_ref(), DEVICE, 0, MODULE, ())?
            },
            _driver <- Registration::new(MODULE, module),
        })
    }
}

module! {
    type: Module,
    name: "ringbar_shared_buffer",
    authors: ["The ringbar authors"],
    description: "Memory of the kernel that processes share: an example of the mapping layer",
    license: "GPL v2",
}
