// SPDX-License-Identifier: GPL-2.0-only

//! QEMU's device `edu`: its registers and its DMA buffer, mapped to processes.
//!
//! `README.md` walks through this file. QEMU's `docs/specs/edu.rst` describes the device.

#[path = "../mapping/mod.rs"]
mod mapping;
#[allow(dead_code, unreachable_pub, reason = "programs compile the file too")]
mod uapi;

use kernel::{
    device::{Bound, Core},
    dma::{Device as _, DmaMask},
    io::Io,
    page::PAGE_SIZE,
    pci,
    prelude::*,
    sync::{
        atomic::{Atomic, Full, Release},
        Arc,
    },
    time::{delay::fsleep, Delta},
    uaccess::UserPtr,
};
use mapping::prelude::*;

// Registers of BAR 0. Those of the DMA may be 8 bytes wide, which the device does not need.
const INTERRUPT_STATUS: usize = 0x24;
const INTERRUPT_ACKNOWLEDGE: usize = 0x64;
const DMA_SOURCE: usize = 0x80;
const DMA_TARGET: usize = 0x88;
const DMA_LENGTH: usize = 0x90;
const DMA_COMMAND: usize = 0x98;

/// [`DMA_COMMAND`]: begin. Stays until the copy is done.
const DMA_RUN: u32 = 1;
/// [`DMA_COMMAND`]: the device writes memory, instead of reading it.
const DMA_WRITES: u32 = 2;
/// [`DMA_COMMAND`]: raise an interrupt when the copy is done.
const DMA_INTERRUPT: u32 = 4;
/// Address of the memory in the device, for its DMA.
const DEVICE_MEMORY: u32 = 0x40000;

/// The driver, for the PCI core and for the mapping layer.
struct Edu;

/// A bound device. Its buffer is shown to all files.
struct Device<'bound> {
    pdev: &'bound pci::Device<Bound>,
    bar: pci::Bar<'bound, 0x100>,
    buffer: CoherentMemory,
    events: Arc<Events>,
    /// It carries out one copy at a time, and raises an interrupt at its end.
    busy: Atomic<bool>,
}

impl Device<'_> {
    fn start_copy(&self, copy: &uapi::StartCopy) -> Result {
        let inside = |offset: u32| {
            let end = offset.checked_add(copy.length);
            end.is_some_and(|end| end as usize <= uapi::BUFFER_SIZE)
        };
        if copy.length == 0 || !inside(copy.buffer_offset) || !inside(copy.device_offset) {
            return Err(EINVAL);
        }
        let memory = u32::try_from(self.buffer.dma_address())? + copy.buffer_offset;
        let device = DEVICE_MEMORY + copy.device_offset;
        let (source, target, direction) = match copy.direction {
            uapi::TO_DEVICE => (memory, device, 0),
            uapi::FROM_DEVICE => (device, memory, DMA_WRITES),
            _ => return Err(EINVAL),
        };
        let begun = self.busy.cmpxchg(false, true, Full);
        begun.map_err(|_| EBUSY)?;
        self.bar.write32(source, DMA_SOURCE);
        self.bar.write32(target, DMA_TARGET);
        self.bar.write32(copy.length, DMA_LENGTH);
        let command = DMA_RUN | direction | DMA_INTERRUPT;
        self.bar.write32(command, DMA_COMMAND);
        Ok(())
    }
}

impl PciDriver for Edu {
    const INTERRUPT: &'static CStr = c"ringbar_edu";

    fn acknowledge(device: &Device<'_>) -> bool {
        let pending = device.bar.read32(INTERRUPT_STATUS);
        if pending == 0 {
            return false;
        }
        device.bar.write32(pending, INTERRUPT_ACKNOWLEDGE);
        // Before the count: a process that sees the count may begin the next copy.
        device.busy.store(false, Release);
        device.events.count_one_more();
        true
    }

    fn wake(device: &Device<'_>) {
        device.events.wake();
    }
}

impl HasDevice for Edu {
    type Device<'bound> = Device<'bound>;
}

impl Driver for Edu {
    type Module = LocalModule;
    type Shared = Arc<Events>;
    type File = ();
    type Objects = ();

    const NODE: &'static str = "ringbar-edu";
    const KINDS: &'static [Entry<OpenFile<Self>>] =
        &[populated::<Registers>(), populated::<DmaBuffer>()];

    fn open(_: &Opening<'_, '_, Self>) -> Result<((), ())> {
        Ok(((), ()))
    }

    fn ioctl(file: &OpenFile<Self>, number: u32, argument: UserPtr) -> Result<isize> {
        match number {
            uapi::COPY => {
                let copy = arguments::get(argument)?;
                file.gate().with(|device| device.start_copy(&copy))?;
            }
            // Not inside the gate: the end of the binding would wait for it.
            uapi::WAIT => arguments::timed(argument, |wait: &mut uapi::Wait, deadline| {
                file.shared().wait_and_count(&mut wait.interrupts, deadline)
            })?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn dismiss(events: &Arc<Events>) {
        events.dismiss();
    }

    /// A copy that runs ends without reaching memory.
    fn quiesce(device: &Device<'_>) {
        clear_master(device.pdev);
        // A copy that is left would reach the memory of the next binding, or pass for its own.
        for _ in 0..1000 {
            if device.bar.read32(DMA_COMMAND) & DMA_RUN == 0 {
                device.bar.write32(u32::MAX, INTERRUPT_ACKNOWLEDGE);
                return;
            }
            fsleep(Delta::from_millis(10));
        }
        dev_warn!(device.pdev, "the device is still busy after 10 s\n");
    }
}

arguments::timed_argument!(uapi::Wait, milliseconds);

/// The page of registers. A process may only read it: with those of the DMA it could have the
/// device read and write any memory.
enum Registers {}

impl Kind for Registers {
    type File = OpenFile<Edu>;
    type Memory<'a> = IoMemory<'a>;
    const NUMBER: u8 = offset::decode(uapi::REGISTERS).kind;
    const NAME: &'static str = "registers";
    const WRITABLE: bool = false;
    const FORK: Fork = Fork::Withheld;
    const COUNT: u32 = 1;

    fn memory<'a>(device: &'a Device<'_>, (): &'a (), _: u16) -> Result<IoMemory<'a>> {
        let page = IoRange::new(device.pdev, 0, 0, PAGE_SIZE)?;
        Ok(IoMemory::new(page, CachePolicy::Uncached))
    }

    fn check_debugger(_: &Device<'_>) -> Result {
        Err(EPERM)
    }
}

/// The DMA buffer.
enum DmaBuffer {}

impl Kind for DmaBuffer {
    type File = OpenFile<Edu>;
    type Memory<'a> = &'a CoherentMemory;
    const NUMBER: u8 = offset::decode(uapi::BUFFER).kind;
    const NAME: &'static str = "dma-buffer";
    const FORK: Fork = Fork::Inherited;
    const COUNT: u32 = 1;

    fn memory<'a>(device: &'a Device<'_>, (): &'a (), _: u16) -> Result<&'a CoherentMemory> {
        Ok(&device.buffer)
    }
}

// Linux 7.3 has no `pci::Vendor` for QEMU's number, so `probe` compares it.
pci_device_table!(
    TABLE,
    <Edu as pci::Driver>::IdInfo,
    [(pci::DeviceId::from_class(0x00ff00, 0xffffff), ())]
);

impl pci::Driver for Edu {
    type IdInfo = ();
    type Data<'bound> = PciData<'bound, Self>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: IdInfo<'bound, ()>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            if (pdev.vendor_id().as_raw(), pdev.device_id()) != (0x1234, 0x11e8) {
                return Err(ENODEV);
            }
            pdev.enable_device_mem()?;
            // The device has 28 address bits.
            // SAFETY: Probe has only begun, so no DMA memory of this device is allocated or mapped
            // while its mask changes.
            unsafe { pdev.dma_set_mask_and_coherent(DmaMask::new::<28>())? };
            pdev.set_master();

            let bar = pdev.iomap_region_sized(0, c"ringbar_edu")?;
            // An earlier driver may have left a copy whose interrupt came later.
            bar.write32(u32::MAX, INTERRUPT_ACKNOWLEDGE);
            let events = Events::new()?;
            let device = Device {
                pdev,
                bar,
                buffer: CoherentMemory::new(pdev.as_ref(), uapi::BUFFER_SIZE)?,
                events: events.clone(),
                busy: Atomic::new(false),
            };
            // SAFETY: The driver core drops the data before the driver is unbound.
            unsafe { PciData::new(pdev, pci::IrqTypes::all(), device, Files::new(events)?) }
        })
    }
}

kernel::module_pci_driver! {
    type: Edu,
    name: "ringbar_edu",
    authors: ["The ringbar authors"],
    description: "Driver for QEMU's device edu: an example of the mapping layer",
    license: "GPL v2",
}
