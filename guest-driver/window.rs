// SPDX-License-Identifier: GPL-2.0-only

//! Windows, and the calls that open, close and take away what they show.

use crate::{
    buffer::Owned,
    device::{
        limits::{
            Amount,
            Charge, //
        },
        ranges::Range,
        Device,
        WindowTarget, //
    },
    file::{
        Objects,
        OpenFile, //
    },
    interface::{
        ioctl::{
            self,
            WindowPart, //
        },
        setup::{
            self,
            Segment, //
        },
    },
    mmap::mapped_file::MappedFile,
    user_memory::{
        Pinned,
        UserMemory,
        UserRange, //
    },
};
use core::mem::size_of;
use kernel::{
    page::PAGE_SIZE,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

/// A window that the device has open. Must be given to [`Window::close`] while the device is
/// there, unless that is lost.
pub(crate) struct Window {
    number: u16,
    /// Reset generation in which it is open.
    generation: u32,
}

impl Window {
    /// Opens a window for the queues of `domain`.
    ///
    /// # Errors
    ///
    /// `EINVAL` for no or unknown rights; `ENOSPC` if all windows are taken; `EIO` if the device
    /// refuses.
    pub(crate) fn open(
        device: &Device<'_>,
        domain: u32,
        rights: u32,
        target: WindowTarget<'_>,
    ) -> Result<Self> {
        check_rights(rights)?;
        let (number, generation) = device.open_window(domain, rights, target)?;
        Ok(Self { number, generation })
    }

    /// Its number.
    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// Whether it is open: a reset closes all windows.
    ///
    /// # Errors
    ///
    /// `EIO` if not.
    pub(crate) fn check(&self, device: &Device<'_>) -> Result {
        if device.registers().is_current(self.generation) {
            Ok(())
        } else {
            Err(EIO)
        }
    }

    /// Closes the window: the device does not reach through it any more.
    ///
    /// # Errors
    ///
    /// `EIO` if the device does not say so.
    pub(crate) fn close(&self, device: &Device<'_>) -> Result {
        device.close_window(self.generation, self.number)
    }
}

/// One more window, on parts of what a file owns, or on memory of a process.
pub(crate) struct View {
    window: Window,
    /// Own windows of the buffers, or of the range, that it shows.
    shows: KVec<u16>,
    /// The memory of a process that it shows.
    memory: Option<UserMemory>,
    _charge: Charge,
}

impl View {
    /// Number of its window.
    pub(crate) fn number(&self) -> u16 {
        self.window.number()
    }

    /// Whether it shows the buffer or range with this window of its own.
    pub(crate) fn shows(&self, window: u16) -> bool {
        self.shows.contains(&window)
    }

    /// Keeps memory of a process pinned for good, as the device may go on to write it.
    pub(crate) fn keep(self, device: &Device<'_>) {
        if let Some(memory) = self.memory {
            memory.keep(device.kept());
        }
    }
}

impl OpenFile {
    /// Opens one more window; see [`ioctl::OPEN_WINDOW`].
    pub(crate) fn open_window(&self, open: &mut ioctl::OpenWindow) -> Result {
        if open.reserved != 0 || !(1..=ioctl::MAX_PARTS).contains(&open.count) {
            return Err(EINVAL);
        }
        check_rights(open.rights)?;
        let parts = copy_parts(open.parts, open.count as usize)?;
        let mut segments = KVec::with_capacity(parts.len(), GFP_KERNEL)?;
        let mut shows = KVec::with_capacity(parts.len(), GFP_KERNEL)?;
        self.with_objects(|device, objects| {
            objects.views.reserve(1, GFP_KERNEL)?;
            let target = match objects.range_of(device, &parts, open.rights)? {
                Some((window, range)) => {
                    shows.push_within_capacity(window).map_err(|_| ENOMEM)?;
                    WindowTarget::DeviceMemory(range)
                }
                None => {
                    for part in &parts {
                        let (window, segment) = objects.segment_of(device, part, open.rights)?;
                        shows.push_within_capacity(window).map_err(|_| ENOMEM)?;
                        segments.push_within_capacity(segment).map_err(|_| ENOMEM)?;
                    }
                    WindowTarget::Memory(&segments)
                }
            };
            let charge = self.user().charge(Amount {
                windows: 1,
                ..Amount::default()
            })?;
            let window = Window::open(device, self.domain(), open.rights, target)?;
            open.window = window.number().into();
            let view = View {
                window,
                shows,
                memory: None,
                _charge: charge,
            };
            objects.views.push_within_capacity(view).map_err(|_| ENOMEM)
        })
    }

    /// Opens a window on memory of the process; see [`ioctl::OPEN_USER_WINDOW`].
    pub(crate) fn open_user_window(&self, open: &mut ioctl::OpenUserWindow) -> Result {
        check_rights(open.rights)?;
        let range = UserRange::new(open.address, open.length, ioctl::MAX_USER_WINDOW)?;
        let charge = self.user().charge(Amount {
            windows: 1,
            bytes: (range.pages() * PAGE_SIZE) as u64,
            ..Amount::default()
        })?;
        // Not inside the gate: whoever serves the process's page faults may take for ever.
        let pinned = Pinned::new(range, open.rights)?;
        self.with_objects(|device, objects| {
            objects.views.reserve(1, GFP_KERNEL)?;
            let memory = UserMemory::map(pinned, device.pdev().as_ref(), open.rights)?;
            let segments = memory.segments(device.limits().segments as usize)?;
            let target = WindowTarget::Memory(&segments);
            let window = match Window::open(device, self.domain(), open.rights, target) {
                Ok(window) => window,
                Err(error) => {
                    // A lost device may open the window when it comes back.
                    if device.registers().is_lost() {
                        memory.keep(device.kept());
                    }
                    return Err(error);
                }
            };
            open.window = window.number().into();
            let view = View {
                window,
                shows: KVec::new(),
                memory: Some(memory),
                _charge: charge,
            };
            objects.views.push_within_capacity(view).map_err(|_| ENOMEM)
        })
    }

    /// Closes a window that was opened by itself; see [`ioctl::CLOSE_WINDOW`].
    pub(crate) fn close_window(&self, object: &ioctl::Object) -> Result {
        let number = number_of(object)?;
        self.with_objects(|device, objects| {
            let mut views = objects.views.iter();
            let place = views.position(|view| view.number() == number);
            objects.close_view(device, place.ok_or(ENXIO)?)
        })
    }

    /// Takes a buffer or range away, with all windows on it; see [`ioctl::DESTROY_BUFFER`].
    pub(crate) fn destroy_buffer(&self, object: &ioctl::Object) -> Result {
        let number = number_of(object)?;
        self.shared().gate().with(|device| {
            // From here on neither a mapping nor a window can be made of it.
            let owned = self.lock_objects().take_owned(device, number)?;
            self.mappings().revoke_region(owned.offset(), owned.size());
            owned.close(device)
        })
    }
}

impl Objects {
    /// The range of device memory that `parts` are, with its window, if they are one.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the part leaves its range, `EACCES` if the range was made with fewer rights,
    /// `EIO` if a reset has closed its window.
    fn range_of(
        &self,
        device: &Device<'_>,
        parts: &[WindowPart],
        rights: u32,
    ) -> Result<Option<(u16, Range)>> {
        let [part] = parts else {
            return Ok(None);
        };
        let mut ranges = self.ranges.iter();
        let Some(memory) = ranges.find(|memory| u32::from(memory.window()) == part.buffer) else {
            return Ok(None);
        };
        let whole = memory.range();
        let (offset, length) = check_part(part, whole.length)?;
        check_subset(rights, memory.rights())?;
        memory.check(device)?;
        let range = Range {
            start: whole.start + offset,
            length,
        };
        Ok(Some((memory.window(), range)))
    }

    /// Where `part` of a DMA buffer is, with the buffer's window.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has no such buffer, `EINVAL` if it is device memory or the part leaves
    /// the buffer, `EACCES` if the buffer was made with fewer rights, `EIO` if a reset has closed
    /// its window.
    fn segment_of(
        &self,
        device: &Device<'_>,
        part: &WindowPart,
        rights: u32,
    ) -> Result<(u16, Segment)> {
        let mut ranges = self.ranges.iter();
        if ranges.any(|memory| u32::from(memory.window()) == part.buffer) {
            return Err(EINVAL);
        }
        let mut buffers = self.buffers.iter();
        let buffer = buffers.find(|buffer| u32::from(buffer.window()) == part.buffer);
        let buffer = buffer.ok_or(ENXIO)?;
        let (offset, length) = check_part(part, buffer.memory().size())?;
        check_subset(rights, buffer.rights())?;
        buffer.check(device)?;
        let segment = Segment {
            address: buffer.memory().dma_address() + offset as u64,
            length: length as u64,
        };
        Ok((buffer.window(), segment))
    }

    /// Takes out the buffer or range with this window, once no view shows it.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has none.
    fn take_owned(&mut self, device: &Device<'_>, window: u16) -> Result<Owned> {
        let mut buffers = self.buffers.iter();
        let buffer = buffers.position(|buffer| buffer.window() == window);
        let mut ranges = self.ranges.iter();
        let range = ranges.position(|range| range.window() == window);
        if buffer.is_none() && range.is_none() {
            return Err(ENXIO);
        }
        while let Some(place) = self.views.iter().position(|view| view.shows(window)) {
            // If it fails, what is taken out knows that it must not be freed.
            let _ = self.close_view(device, place);
        }
        let buffer = buffer.and_then(|place| self.buffers.remove(place).ok());
        let range = range.and_then(|place| self.ranges.remove(place).ok());
        let buffer = buffer.map(Owned::Buffer);
        buffer.or(range.map(Owned::DeviceMemory)).ok_or(ENXIO)
    }

    /// Closes the view at `place`, then gives back the memory of a process that it shows.
    ///
    /// # Errors
    ///
    /// `EIO` if the device does not say so: what the view shows is then never freed.
    pub(crate) fn close_view(&mut self, device: &Device<'_>, place: usize) -> Result {
        let view = self.views.remove(place).map_err(|_| ENXIO)?;
        view.window.close(device).inspect_err(|_| {
            let buffers = self.buffers.iter_mut();
            buffers
                .filter(|buffer| view.shows(buffer.window()))
                .for_each(|buffer| buffer.pin());
            let ranges = self.ranges.iter_mut();
            ranges
                .filter(|range| view.shows(range.window()))
                .for_each(|range| range.pin());
            view.keep(device);
        })
    }
}

/// Copies the parts of a window from the process.
fn copy_parts(address: u64, count: usize) -> Result<KVec<WindowPart>> {
    let mut parts = KVec::from_elem(WindowPart::new_zeroed(), count, GFP_KERNEL)?;
    let address = UserPtr::from_addr(usize::try_from(address)?);
    UserSlice::new(address, count * size_of::<WindowPart>())
        .reader()
        .read_slice(parts.as_mut_slice().as_mut_bytes())?;
    Ok(parts)
}

/// Offset and length of `part`, if it lies in the `size` bytes of what it is a part of.
///
/// # Errors
///
/// `EINVAL` if not, or if its length is 0.
fn check_part(part: &WindowPart, size: usize) -> Result<(usize, usize)> {
    let end = part.offset.checked_add(part.length).ok_or(EINVAL)?;
    if part.reserved != 0 || part.length == 0 || end > size as u64 {
        return Err(EINVAL);
    }
    Ok((part.offset as usize, part.length as usize))
}

/// # Errors
///
/// `EINVAL` for no or unknown rights.
fn check_rights(rights: u32) -> Result {
    let known = setup::RIGHT_READ | setup::RIGHT_WRITE;
    if rights == 0 || rights & !known != 0 {
        return Err(EINVAL);
    }
    Ok(())
}

/// # Errors
///
/// `EACCES` if `rights` are more than those that were `given`.
fn check_subset(rights: u32, given: u32) -> Result {
    if rights & !given != 0 {
        return Err(EACCES);
    }
    Ok(())
}

/// # Errors
///
/// `EINVAL` if a reserved field is not 0, `ENXIO` for a number that no window has.
fn number_of(object: &ioctl::Object) -> Result<u16> {
    if object.reserved != 0 {
        return Err(EINVAL);
    }
    object.number.try_into().map_err(|_| ENXIO)
}
