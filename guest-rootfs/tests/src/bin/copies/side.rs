// SPDX-License-Identifier: GPL-2.0-only OR MIT

//! Source and destination of copies.

use ringbar_client::{Buffer, Device, DeviceMemory, Mapping, Part, Rights};

/// Source and destination of a copy: guest memory or device memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Direction {
    from_device: bool,
    to_device: bool,
}

impl Direction {
    /// All four directions.
    pub(crate) const ALL: [Self; 4] = [
        Self::new(false, false),
        Self::new(false, true),
        Self::new(true, false),
        Self::new(true, true),
    ];

    const fn new(from_device: bool, to_device: bool) -> Self {
        Self {
            from_device,
            to_device,
        }
    }

    /// Returns the direction's part of a case name.
    pub(crate) fn name(self) -> &'static str {
        match (self.from_device, self.to_device) {
            (false, false) => "from_guest_to_guest",
            (false, true) => "from_guest_to_device",
            (true, false) => "from_device_to_guest",
            (true, true) => "from_device_to_device",
        }
    }

    /// Makes source and destination of `size` bytes each.
    pub(crate) fn sides(self, device: &Device, size: usize) -> [Side; 2] {
        [self.from_device, self.to_device].map(|on_device| Side::new(device, on_device, size))
    }
}

/// Memory with a window on it.
#[derive(Debug)]
pub(crate) enum Side {
    Guest(Buffer),
    Device(DeviceMemory),
}

impl Side {
    /// Makes memory of `size` bytes, rounded up to whole pages.
    pub(crate) fn new(device: &Device, on_device: bool, size: usize) -> Self {
        if on_device {
            let range = device.create_device_memory(Part::WriteCombining, size, Rights::ReadWrite);
            Self::Device(range.expect("there is device memory"))
        } else {
            let buffer = device.create_buffer(size, Rights::ReadWrite);
            Self::Guest(buffer.expect("there is memory"))
        }
    }

    /// Returns the number of the window.
    pub(crate) fn window(&self) -> u16 {
        match self {
            Self::Guest(buffer) => buffer.window(),
            Self::Device(range) => range.window(),
        }
    }

    /// Returns the size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.mapping().len()
    }

    /// Stores bytes.
    pub(crate) fn write(&self, offset: usize, bytes: &[u8]) {
        self.mapping().write_bytes(offset, bytes);
    }

    /// Loads bytes.
    pub(crate) fn read(&self, offset: usize, length: usize) -> Vec<u8> {
        self.mapping().read_bytes(offset, length)
    }

    fn mapping(&self) -> &Mapping {
        match self {
            Self::Guest(buffer) => buffer.mapping(),
            Self::Device(range) => range.mapping(),
        }
    }
}
