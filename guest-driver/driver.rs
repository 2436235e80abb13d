// SPDX-License-Identifier: GPL-2.0-only

//! The PCI driver: the devices that it takes, and the data that it keeps for a bound one.

use crate::{
    binding::{
        debugfs::Details,
        interrupt::{
            self,
            Handlers, //
        },
    },
    device::{
        Device,
        Ringbar, //
    },
    file::shared::no_files,
    interface::ids,
    mapping::{
        binding::Binding,
        node::Node,
        series::{
            pci_device_table,
            IdInfo,
            IrqVectorRegistration, //
        },
    },
};
use kernel::{
    device::{
        Bound,
        Core, //
    },
    dma::{
        self,
        DmaMask, //
    },
    pci,
    prelude::*, //
};

/// The driver as the PCI core sees it.
pub(crate) struct RingbarDriver;

/// All that belongs to a bound device. Dropped in this order: the files in debugfs, because the
/// next device may take the node's number; the node, so that no new file comes; the binding, which
/// ends all calls, mappings and DMA; then interrupts; then the device itself.
#[pin_data]
pub(crate) struct DriverData<'bound> {
    #[pin]
    details: Details,
    #[pin]
    node: Node<Ringbar>,
    binding: Binding<'bound, Ringbar>,
    handlers: Handlers<'bound>,
    vectors: IrqVectorRegistration<'bound>,
    #[pin]
    device: Device<'bound>,
}

pci_device_table!(
    PCI_TABLE,
    <RingbarDriver as pci::Driver>::IdInfo,
    [(
        pci::DeviceId::from_id(pci::Vendor::REDHAT_QUMRANET, ids::DEVICE_ID as u32),
        ()
    )]
);

const _: () = assert!(pci::Vendor::REDHAT_QUMRANET.as_raw() == ids::VENDOR_ID);

impl pci::Driver for RingbarDriver {
    type IdInfo = ();
    type Data<'bound> = DriverData<'bound>;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: IdInfo<'bound, Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            pdev.enable_device_mem()?;
            // SAFETY: Probe has only begun, so no DMA memory of this device is allocated or mapped
            // while its mask changes.
            unsafe { dma::Device::dma_set_mask_and_coherent(pdev, DmaMask::new::<64>())? };
            // SAFETY: Probe has only begun, so no DMA memory of this device is allocated or mapped
            // while its parameters change.
            unsafe { dma::Device::dma_set_max_seg_size(pdev, u32::MAX) };
            let core = pdev;
            let pdev: &'bound pci::Device<Bound> = pdev;
            let files = no_files()?;
            let vectors = interrupt::allocate(pdev)?;
            let recovery = KBox::new(files.shared().recovery.clone(), GFP_KERNEL)?;
            let device = Device::new(pdev, vectors.len() as u32, recovery)?;
            // Now that the device was reset. A former owner may have left work that pauses while
            // this is off (data sheet 11): a kernel before a kexec, whose memory others have now.
            core.set_master();
            let node = Node::register(pdev.as_ref(), files.clone())?;
            Ok(try_pin_init!(DriverData {
                device <- device,
                vectors,
                // SAFETY: `vectors` is in place, pinned, and is dropped after `handlers`. The PCI
                // core drops the data, so `handlers` is not leaked.
                handlers: unsafe {
                    interrupt::attach(&*core::ptr::from_ref(vectors), &files.shared().wakeups)?
                },
                // SAFETY: `device` is in place, pinned, and is dropped after `binding`. The PCI
                // core drops the data, so `binding` is not leaked.
                binding: unsafe {
                    Binding::new(files.clone(), &*core::ptr::from_ref(&*device))?
                },
                node <- node,
                details <- Details::new(node.folder(), &files),
            })
            .pin_chain(|data| {
                let device = &data.device;
                let (major, minor) = device.limits().version;
                dev_info!(
                    device.pdev(),
                    "{}: interface {}.{}, {} vectors ({})\n",
                    data.node.name(),
                    major,
                    minor,
                    data.vectors.len(),
                    match data.vectors.irq_type() {
                        pci::IrqType::MsiX => "MSI-X",
                        pci::IrqType::Msi => "MSI",
                        pci::IrqType::Intx => "INTx",
                    }
                );
                Ok(())
            }))
        })
    }
}
