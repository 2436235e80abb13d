// SPDX-License-Identifier: GPL-2.0-only

//! The example device `sum`: adds up bytes of a buffer that processes map.
//!
//! `README.md` walks through this file. `qemu-device/vfio-user/examples/sum` is the device.

#[path = "../mapping/mod.rs"]
mod mapping;
#[allow(unreachable_pub, reason = "programs compile the file too")]
mod uapi;

use kernel::{
    device::{Bound, Core},
    dma::{Device as _, DmaMask},
    io::Io,
    page::PAGE_SIZE,
    pci,
    prelude::*,
    sync::Arc,
    uaccess::UserPtr,
};
use mapping::prelude::*;

// Registers of BAR 0.
const ADDRESS_LOW: usize = 0x00;
const ADDRESS_HIGH: usize = 0x04;
const LENGTH: usize = 0x08;
const START: usize = 0x0c;
const SUM: usize = 0x10;
const STATUS: usize = 0x14;

/// [`STATUS`]: the last run has ended well.
const DONE: u32 = 1;
/// Longest time that a run may take, in milliseconds.
const PATIENCE: u32 = 5000;

/// The driver, for the PCI core and for the mapping layer.
struct Sum;

/// A bound device.
struct Device<'bound> {
    pdev: &'bound pci::Device<Bound>,
    bar: pci::Bar<'bound, PAGE_SIZE>,
    events: Arc<Events>,
}

impl Device<'_> {
    fn start(&self, address: u64, length: u32) {
        self.bar.write32(address as u32, ADDRESS_LOW);
        self.bar.write32((address >> 32) as u32, ADDRESS_HIGH);
        self.bar.write32(length, LENGTH);
        self.bar.write32(1, START);
    }

    fn sum(&self) -> Result<u32> {
        match self.bar.read32(STATUS) {
            DONE => Ok(self.bar.read32(SUM)),
            status => {
                dev_warn!(self.pdev, "status {} instead of {}\n", status, DONE);
                Err(EIO)
            }
        }
    }
}

fn add_up(file: &OpenFile<Sum>, call: &mut uapi::AddUp) -> Result {
    let (offset, length) = (call.offset, call.length);
    let end = offset.checked_add(length).ok_or(EINVAL)?;
    if end as usize > uapi::BUFFER_SIZE || call.reserved != 0 {
        return Err(EINVAL);
    }
    let start = || {
        file.with_objects(|device, buffer| {
            let buffer = buffer.as_ref().ok_or(ENODEV)?;
            device.start(buffer.dma_address() + u64::from(offset), length);
            Ok(())
        })
    };
    let sum = || file.gate().with(|device| device.sum());
    call.sum = file.shared().take(PATIENCE, start, sum)?;
    Ok(())
}

impl PciDriver for Sum {
    const INTERRUPT: &'static CStr = c"ringbar_sum";

    fn acknowledge(device: &Device<'_>) -> bool {
        // A message of its own, which needs no acknowledgement.
        device.events.count_one_more();
        true
    }

    fn wake(device: &Device<'_>) {
        device.events.wake();
    }
}

impl HasDevice for Sum {
    type Device<'bound> = Device<'bound>;
}

impl Driver for Sum {
    type Module = LocalModule;
    type Shared = Arc<Turns>;
    type File = ();
    /// The buffer, until the device goes.
    type Objects = Option<CoherentMemory>;

    const NODE: &'static str = "ringbar-sum";
    const KINDS: &'static [Entry<OpenFile<Self>>] =
        &[populated::<Registers>(), populated::<DmaBuffer>()];

    fn open(opening: &Opening<'_, '_, Self>) -> Result<((), Self::Objects)> {
        let parent = opening.device.pdev.as_ref();
        let buffer = CoherentMemory::new(parent, uapi::BUFFER_SIZE)?;
        Ok(((), Some(buffer)))
    }

    fn ioctl(file: &OpenFile<Self>, number: u32, argument: UserPtr) -> Result<isize> {
        match number {
            uapi::ADD_UP => arguments::answer(argument, |call| add_up(file, call))?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn release(device: &Device<'_>, _: &Self::Shared, buffer: Self::Objects) {
        // A process that was killed has left its run. The device answers a read only after it.
        let _ = device.bar.read32(STATUS);
        drop(buffer);
    }

    fn dismiss(turns: &Arc<Turns>) {
        turns.events().dismiss();
    }

    fn quiesce(device: &Device<'_>) {
        clear_master(device.pdev);
    }
}

/// The page of registers. A process may only read it: with the others it could have the device add
/// up memory that is not its own.
enum Registers {}

impl Kind for Registers {
    type File = OpenFile<Sum>;
    type Memory<'a> = IoMemory<'a>;
    const NUMBER: u8 = offset::decode(uapi::REGISTERS).kind;
    const NAME: &'static str = "registers";
    const WRITABLE: bool = false;
    const FORK: Fork = Fork::Withheld;
    const COUNT: u32 = 1;

    fn memory<'a>(
        device: &'a Device<'_>,
        _: &'a Option<CoherentMemory>,
        _: u16,
    ) -> Result<IoMemory<'a>> {
        let page = IoRange::new(device.pdev, 0, 0, PAGE_SIZE)?;
        Ok(IoMemory::new(page, CachePolicy::Uncached))
    }

    fn check_debugger(_: &Device<'_>) -> Result {
        Err(EPERM)
    }
}

/// The buffer of a file.
enum DmaBuffer {}

impl Kind for DmaBuffer {
    type File = OpenFile<Sum>;
    type Memory<'a> = &'a CoherentMemory;
    const NUMBER: u8 = offset::decode(uapi::BUFFER).kind;
    const NAME: &'static str = "dma-buffer";
    const FORK: Fork = Fork::Inherited;
    const COUNT: u32 = 1;

    fn memory<'a>(
        _: &'a Device<'_>,
        buffer: &'a Option<CoherentMemory>,
        _: u16,
    ) -> Result<&'a CoherentMemory> {
        buffer.as_ref().ok_or(ENXIO)
    }
}

pci_device_table!(
    TABLE,
    <Sum as pci::Driver>::IdInfo,
    [(
        pci::DeviceId::from_id(pci::Vendor::REDHAT_QUMRANET, 0x10f1),
        ()
    )]
);

impl pci::Driver for Sum {
    type IdInfo = ();
    type Data<'bound> = PciData<'bound, Self>;
    const ID_TABLE: pci::IdTable<()> = &TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: IdInfo<'bound, ()>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            pdev.enable_device_mem()?;
            // SAFETY: Probe has only begun, so no DMA memory of this device is allocated or mapped
            // while its mask changes.
            unsafe { pdev.dma_set_mask_and_coherent(DmaMask::new::<64>())? };
            pdev.set_master();

            let events = Events::new()?;
            let bar = pdev.iomap_region_sized(0, c"ringbar_sum")?;
            let files = Files::new(Turns::new(events.clone())?)?;
            let device = Device { pdev, bar, events };
            let messages = pci::IrqTypes::default().with(pci::IrqType::Msi);
            // SAFETY: The driver core drops the data before the driver is unbound.
            unsafe { PciData::new(pdev, messages, device, files) }
        })
    }
}

kernel::module_pci_driver! {
    type: Sum,
    name: "ringbar_sum",
    authors: ["The ringbar authors"],
    description: "Driver for the example device sum, on the mapping layer",
    license: "GPL v2",
}
