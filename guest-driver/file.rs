// SPDX-License-Identifier: GPL-2.0-only

//! What an open file owns, and its ioctls.

use crate::{
    buffer::{
        checked_size,
        Buffer,
        DeviceMemory,
        MAX_BUFFER, //
    },
    cache::CachePolicy,
    device::{
        limits::{
            Amount,
            Charge,
            User, //
        },
        Device, //
    },
    eventfd::EventFd,
    interface::{
        ioctl,
        layout::{
            MemoryPart,
            PAGE_SIZE, //
        },
        mmap, //
    },
    memory::{
        Contiguous,
        Scattered, //
    },
    mmap::{
        mapped_file::MappedFile,
        mappings::Mappings, //
    },
    queue::Queue,
    shared::Shared,
    waiters::Waiters,
    wakeups::Wakeups,
    window::View, //
};
use kernel::{
    bindings,
    fs::File,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        poll::PollTable,
        Arc,
        ArcBorrow,
        Mutex,
        MutexGuard, //
    },
    task::Pid,
    time::msecs_to_jiffies,
    types::ForeignOwnable,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};
use zerocopy::{FromBytes, Immutable, IntoBytes};

/// An open file of the device's node.
#[pin_data]
pub(crate) struct OpenFile {
    shared: Arc<Shared>,
    domain: u32,
    /// Who opened it, and pays for what it takes.
    user: User,
    /// Process that opened it, for people who look at debugfs.
    owner: Pid,
    /// Taken inside `mmap_lock`, so never held across a copy from or to the process.
    #[pin]
    objects: Mutex<Objects>,
    /// Its mappings, for the day the device goes.
    #[pin]
    mappings: Mappings,
}

/// What a file owns in the device. Empty once the device is gone.
#[derive(Default)]
pub(crate) struct Objects {
    pub(crate) queues: KVec<Queue>,
    pub(crate) buffers: KVec<Buffer>,
    pub(crate) ranges: KVec<DeviceMemory>,
    pub(crate) views: KVec<View>,
    /// Numbered by their place, as they stay until the file is closed.
    memories: KVec<Memory>,
}

/// Memory of the kernel.
struct Memory {
    pages: Pages,
    _charge: Charge,
}

enum Pages {
    Contiguous(Contiguous),
    Scattered(Scattered),
}

/// Protection domains are numbered through, and come round again after 2^32 opens.
static NEXT_DOMAIN: Atomic<u32> = Atomic::new(1);

/// A protection domain that none of the device's open files has.
pub(crate) fn free_domain(files: &[Arc<OpenFile>]) -> u32 {
    loop {
        let domain = NEXT_DOMAIN.fetch_add(1, Relaxed);
        if !files.iter().any(|file| file.domain == domain) {
            return domain;
        }
    }
}

impl OpenFile {
    /// A file that owns nothing yet, with a domain from [`free_domain`].
    ///
    /// # Safety
    ///
    /// [`OpenFile::mappings`] must not be used after `file` was released.
    pub(crate) unsafe fn new(shared: Arc<Shared>, domain: u32, file: &File) -> Result<Arc<Self>> {
        // SAFETY: The caller ends the use of the mappings with the file.
        let mappings = unsafe { Mappings::new(file) };
        let user = User::new(shared.accounts.clone(), file.cred().euid());
        Arc::pin_init(
            try_pin_init!(Self {
                shared,
                domain,
                user,
                owner: current!().group_leader().pid(),
                objects <- new_mutex!(Objects::default()),
                mappings <- mappings,
            }),
            GFP_KERNEL,
        )
    }

    /// What it shares with the other files of its device.
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Protection domain of its queues and windows.
    pub(crate) fn domain(&self) -> u32 {
        self.domain
    }

    /// Who opened it.
    pub(crate) fn user(&self) -> &User {
        &self.user
    }

    /// Process that opened it.
    pub(crate) fn owner(&self) -> Pid {
        self.owner
    }

    /// What the file owns. For callers that are inside the gate.
    pub(crate) fn lock_objects(&self) -> MutexGuard<'_, Objects> {
        self.objects.lock()
    }

    /// Takes what the file owns out of it.
    pub(crate) fn take_objects(&self) -> Objects {
        core::mem::take(&mut *self.objects.lock())
    }

    /// Ends the use of the device: stops queues, closes windows, frees memory.
    ///
    /// If the device goes, this is left to the binding, for which the file must stay in the list.
    pub(crate) fn release(&self) {
        let _ = self.shared.gate().with(|device| {
            self.take_objects().release(device, &self.shared.wakeups);
            Ok(())
        });
    }

    /// What the file is ready for: readable while a queue has completions that the process has not
    /// taken, hung up once the device is gone.
    pub(crate) fn poll(&self, file: &File, table: PollTable<'_>) -> u32 {
        // First register, then look: what happens in between wakes the poller.
        table.register_wait(file, &self.shared.wakeups.pollers);
        let ready = self.with_objects(|device, objects| {
            if device.registers().is_lost() {
                return Err(EIO);
            }
            let mapped = objects.queues.iter().filter(|queue| !queue.is_kernels());
            mapped
                .map(|queue| queue.waiters().poll(device))
                .try_fold(0, |all, ready| Ok(all | ready?))
        });
        ready.unwrap_or(bindings::POLLERR | bindings::POLLHUP)
    }

    /// Carries out an ioctl.
    ///
    /// # Errors
    ///
    /// `ENOTTY` for a number that has no meaning, `EFAULT` if the argument cannot be read or
    /// written, `ENODEV` if the device is gone; else what the call gives (README.md has the table).
    pub(crate) fn ioctl(&self, number: u32, argument: usize) -> Result<isize> {
        let argument = UserPtr::from_addr(argument);
        match number {
            ioctl::INFO => put(argument, &self.info()?)?,
            ioctl::CREATE_QUEUE => {
                let mut create: ioctl::CreateQueue = get(argument)?;
                self.create_queue(&mut create)?;
                put(argument, &create)?;
            }
            ioctl::CREATE_BUFFER => {
                let mut create: ioctl::CreateBuffer = get(argument)?;
                self.create_buffer(&mut create)?;
                put(argument, &create)?;
            }
            ioctl::CREATE_DEVICE_MEMORY => {
                let mut create: ioctl::CreateDeviceMemory = get(argument)?;
                self.create_device_memory(&mut create)?;
                put(argument, &create)?;
            }
            ioctl::CREATE_MEMORY => {
                let mut create: ioctl::CreateMemory = get(argument)?;
                self.create_memory(&mut create)?;
                put(argument, &create)?;
            }
            ioctl::WAIT => {
                let mut wait: ioctl::Wait = get(argument)?;
                let outcome = self.wait(&mut wait);
                // How far it is, the process learns in any case.
                put(argument, &wait)?;
                outcome?;
            }
            ioctl::DESTROY_BUFFER => self.destroy_buffer(&get(argument)?)?,
            ioctl::OPEN_WINDOW => {
                let mut open: ioctl::OpenWindow = get(argument)?;
                self.open_window(&mut open)?;
                put(argument, &open)?;
            }
            ioctl::OPEN_USER_WINDOW => {
                let mut open: ioctl::OpenUserWindow = get(argument)?;
                self.open_user_window(&mut open)?;
                put(argument, &open)?;
            }
            ioctl::CLOSE_WINDOW => self.close_window(&get(argument)?)?,
            ioctl::EXECUTE => {
                let mut execute: ioctl::Execute = get(argument)?;
                let outcome = self.execute(&mut execute);
                // How many were carried out, the process learns in any case.
                put(argument, &execute)?;
                outcome?;
            }
            ioctl::TRANSFER => {
                let mut transfer: ioctl::Transfer = get(argument)?;
                let outcome = self.transfer(&mut transfer);
                // How far it came, the process learns in any case.
                put(argument, &transfer)?;
                outcome?;
            }
            ioctl::RESET_QUEUE => self.reset_queue(&get(argument)?)?,
            ioctl::DESTROY_QUEUE => self.destroy_queue(&get(argument)?)?,
            ioctl::SET_EVENTFD => self.set_event_fd(&get(argument)?)?,
            _ => return Err(ENOTTY),
        }
        Ok(0)
    }

    fn info(&self) -> Result<ioctl::Info> {
        self.shared.gate().with(|device| {
            let limits = device.limits();
            Ok(ioctl::Info {
                version_major: limits.version.0,
                version_minor: limits.version.1,
                vectors: device.vectors(),
                opcodes: limits.opcodes,
                device_memory_size: device.memory_size()? as u64,
                queues: limits.queues,
                max_entries: limits.entries,
                max_length: limits.length,
                max_buffer: MAX_BUFFER as u32,
            })
        })
    }

    fn create_queue(&self, create: &mut ioctl::CreateQueue) -> Result {
        if create.reserved != 0 {
            return Err(EINVAL);
        }
        self.with_objects(|device, objects| {
            objects.queues.reserve(1, GFP_KERNEL)?;
            let queue = Queue::start(
                device,
                &self.shared.wakeups,
                &self.user,
                self.domain,
                create.entries,
                create.flags,
            )?;
            create.queue = queue.number();
            if !queue.is_kernels() {
                let index = queue.number() as u16;
                create.submission_ring = mmap::encode(mmap::KIND_SUBMISSION_RING, index);
                create.completion_ring = mmap::encode(mmap::KIND_COMPLETION_RING, index);
                create.kick = mmap::encode(mmap::KIND_KICK, index);
                create.doorbell = mmap::encode(mmap::KIND_DOORBELL, index);
                create.status = mmap::encode(mmap::KIND_STATUS, index);
            }
            objects
                .queues
                .push_within_capacity(queue)
                .map_err(|_| ENOMEM)
        })?;
        self.have_pollers_look();
        Ok(())
    }

    fn create_buffer(&self, create: &mut ioctl::CreateBuffer) -> Result {
        self.with_objects(|device, objects| {
            objects.buffers.reserve(1, GFP_KERNEL)?;
            let buffer = Buffer::new(device, &self.user, self.domain, create.size, create.rights)?;
            create.window = buffer.window().into();
            create.size = buffer.memory().size() as u64;
            create.offset = buffer.offset();
            objects
                .buffers
                .push_within_capacity(buffer)
                .map_err(|_| ENOMEM)
        })
    }

    fn create_device_memory(&self, create: &mut ioctl::CreateDeviceMemory) -> Result {
        let part = match create.part {
            ioctl::PART_WRITE_COMBINING => MemoryPart::WriteCombining,
            ioctl::PART_UNCACHED => MemoryPart::Uncached,
            ioctl::PART_LAZY => MemoryPart::Lazy,
            _ => return Err(EINVAL),
        };
        if create.reserved != 0 {
            return Err(EINVAL);
        }
        self.with_objects(|device, objects| {
            objects.ranges.reserve(1, GFP_KERNEL)?;
            let memory = DeviceMemory::new(
                device,
                &self.user,
                self.domain,
                part,
                create.size,
                create.rights,
            )?;
            create.window = memory.window().into();
            create.size = memory.range().length as u64;
            create.offset = memory.offset();
            objects
                .ranges
                .push_within_capacity(memory)
                .map_err(|_| ENOMEM)
        })
    }

    fn create_memory(&self, create: &mut ioctl::CreateMemory) -> Result {
        let policy = match create.policy {
            ioctl::POLICY_CACHED => CachePolicy::Cached,
            ioctl::POLICY_WRITE_COMBINING => CachePolicy::WriteCombining,
            ioctl::POLICY_UNCACHED => CachePolicy::Uncached,
            _ => return Err(EINVAL),
        };
        let size = checked_size(create.size, MAX_BUFFER)?;
        // Its memory is no device's, but its mappings go with the device like all others.
        self.with_objects(|_device, objects| {
            let number = u16::try_from(objects.memories.len()).map_err(|_| ENOSPC)?;
            objects.memories.reserve(1, GFP_KERNEL)?;
            let charge = self.user.charge(Amount {
                buffers: 1,
                bytes: size as u64,
                ..Amount::default()
            })?;
            let (pages, kind) = match create.kind {
                ioctl::MEMORY_CONTIGUOUS => {
                    let pages = Pages::Contiguous(Contiguous::new(size, policy)?);
                    (pages, mmap::KIND_CONTIGUOUS)
                }
                ioctl::MEMORY_VMALLOC if policy == CachePolicy::Cached => {
                    (Pages::Scattered(Scattered::new(size)?), mmap::KIND_VMALLOC)
                }
                _ => return Err(EINVAL),
            };
            let memory = Memory {
                pages,
                _charge: charge,
            };
            create.size = size as u64;
            create.offset = mmap::encode(kind, number);
            objects
                .memories
                .push_within_capacity(memory)
                .map_err(|_| ENOMEM)
        })
    }

    /// Waits until the queue has posted as many completions as asked for.
    fn wait(&self, wait: &mut ioctl::Wait) -> Result {
        if wait.reserved != 0 {
            return Err(EINVAL);
        }
        let waiters = self.waiters(wait.queue)?;
        let wanted = core::mem::take(&mut wait.completion_tail);
        waiters.wait(
            self.shared.gate(),
            waiters.run(),
            wanted,
            &mut msecs_to_jiffies(wait.timeout_ms),
            &mut wait.completion_tail,
        )
    }

    /// Who waits for the completions of a queue.
    fn waiters(&self, queue: u32) -> Result<Arc<Waiters>> {
        self.with_objects(|_device, objects| Ok(objects.queue(queue)?.waiters().clone()))
    }

    /// Sets the eventfd that interrupts of a queue signal.
    fn set_event_fd(&self, set: &ioctl::SetEventFd) -> Result {
        let event = match set.fd {
            -1 => None,
            fd => Some(EventFd::of_process(fd)?),
        };
        drop(self.waiters(set.queue)?.set_event(event));
        Ok(())
    }

    fn reset_queue(&self, object: &ioctl::Object) -> Result {
        if object.reserved != 0 {
            return Err(EINVAL);
        }
        let outcome =
            self.with_objects(|device, objects| objects.queue_mut(object.number)?.reset(device));
        // Also if the queue could not be started anew: it is in error then.
        self.have_pollers_look();
        outcome
    }

    /// Wakes who polls, now that a queue was started that they have not armed: no interrupt would
    /// come of it.
    fn have_pollers_look(&self) {
        self.shared.wakeups.pollers.notify_all();
    }

    /// Takes a queue from the file, its mappings from the process, then gives it back.
    fn destroy_queue(&self, object: &ioctl::Object) -> Result {
        if object.reserved != 0 {
            return Err(EINVAL);
        }
        self.shared.gate().with(|device| {
            let queue = self.objects.lock().take_queue(object.number)?;
            let index = queue.number() as u16;
            for (kind, length) in [
                (mmap::KIND_SUBMISSION_RING, queue.submission().size()),
                (mmap::KIND_COMPLETION_RING, queue.completion().size()),
                (mmap::KIND_KICK, PAGE_SIZE),
                (mmap::KIND_DOORBELL, PAGE_SIZE),
                (mmap::KIND_STATUS, PAGE_SIZE),
            ] {
                self.mappings
                    .revoke_region(mmap::encode(kind, index), length);
            }
            queue.stop(device, &self.shared.wakeups)
        })
    }
}

impl MappedFile for OpenFile {
    type Device<'bound> = Device<'bound>;
    type Objects = Objects;

    fn mappings(&self) -> &Mappings {
        &self.mappings
    }

    fn with_objects<R>(&self, f: impl FnOnce(&Device<'_>, &mut Objects) -> Result<R>) -> Result<R> {
        self.shared
            .gate()
            .with(|device| f(device, &mut self.objects.lock()))
    }

    unsafe fn borrow<'a>(file: *mut bindings::file) -> ArcBorrow<'a, Self> {
        // SAFETY: As the caller promises, the node's `open` put the pointer there, and only its
        // `release` takes it out.
        unsafe { <Arc<Self> as ForeignOwnable>::borrow((*file).private_data) }
    }
}

impl Objects {
    /// The file's queue with this number.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has no such queue.
    pub(crate) fn queue(&self, number: u32) -> Result<&Queue> {
        self.queues
            .iter()
            .find(|queue| queue.number() == number)
            .ok_or(ENXIO)
    }

    /// As [`Objects::queue`], to change it.
    pub(crate) fn queue_mut(&mut self, number: u32) -> Result<&mut Queue> {
        self.queues
            .iter_mut()
            .find(|queue| queue.number() == number)
            .ok_or(ENXIO)
    }

    /// Takes the file's queue with this number from it.
    fn take_queue(&mut self, number: u32) -> Result<Queue> {
        let place = self
            .queues
            .iter()
            .position(|queue| queue.number() == number);
        self.queues.remove(place.ok_or(ENXIO)?).map_err(|_| ENXIO)
    }

    /// The file's queue with this number, for a mapping.
    ///
    /// # Errors
    ///
    /// `EPERM` if it is not this file's or one of the kernel, `ENXIO` if the device has no such
    /// queue.
    pub(crate) fn mapped_queue(&self, device: &Device<'_>, number: u16) -> Result<&Queue> {
        match self.queue(number.into()) {
            Ok(queue) if queue.is_kernels() => Err(EPERM),
            Ok(queue) => Ok(queue),
            Err(_) => Err(denied(u32::from(number) < device.limits().queues)),
        }
    }

    /// The file's buffer with this window.
    ///
    /// # Errors
    ///
    /// `EPERM` if it is not this file's, `ENXIO` if the device has no such window.
    pub(crate) fn buffer(&self, device: &Device<'_>, window: u16) -> Result<&Buffer> {
        self.buffers
            .iter()
            .find(|buffer| buffer.window() == window)
            .ok_or_else(|| denied(device.limits().has_window(window)))
    }

    /// The file's range of device memory with this window, of the lazy part or of the others.
    ///
    /// # Errors
    ///
    /// `EPERM` if it is not this file's, `ENXIO` if the device has no such window.
    pub(crate) fn range(
        &self,
        device: &Device<'_>,
        window: u16,
        lazy: bool,
    ) -> Result<&DeviceMemory> {
        self.ranges
            .iter()
            .find(|range| range.window() == window && (range.part() == MemoryPart::Lazy) == lazy)
            .ok_or_else(|| denied(device.limits().has_window(window)))
    }

    /// The file's contiguous memory with this number.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has no such memory.
    pub(crate) fn contiguous(&self, number: u16) -> Result<&Contiguous> {
        match self.pages(number) {
            Some(Pages::Contiguous(memory)) => Ok(memory),
            _ => Err(ENXIO),
        }
    }

    /// The file's vmalloc memory with this number.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the file has no such memory.
    pub(crate) fn scattered(&self, number: u16) -> Result<&Scattered> {
        match self.pages(number) {
            Some(Pages::Scattered(memory)) => Ok(memory),
            _ => Err(ENXIO),
        }
    }

    fn pages(&self, number: u16) -> Option<&Pages> {
        let memory = self.memories.get(usize::from(number))?;
        Some(&memory.pages)
    }

    /// Gives everything back to a device that is there. Queues go first: they use the windows.
    /// What cannot be given back is counted by the device.
    pub(crate) fn release(mut self, device: &Device<'_>, wakeups: &Wakeups) {
        for queue in self.queues.drain_all() {
            let _ = queue.stop(device, wakeups);
        }
        while let Some(last) = self.views.len().checked_sub(1) {
            let _ = self.close_view(device, last);
        }
        for buffer in self.buffers.drain_all() {
            let _ = buffer.close(device);
        }
        for range in self.ranges.drain_all() {
            let _ = range.close(device);
        }
    }

    /// Keeps the memory of a device that does not answer and may still write it.
    pub(crate) fn keep_for_good(mut self, device: &Device<'_>) {
        self.queues.drain_all().for_each(|queue| queue.keep(device));
        self.views.drain_all().for_each(|view| view.keep(device));
        self.buffers
            .drain_all()
            .for_each(|buffer| buffer.keep(device));
    }
}

/// Why a region is refused that is not this file's.
fn denied(exists: bool) -> Error {
    if exists {
        EPERM
    } else {
        ENXIO
    }
}

fn get<T: FromBytes + IntoBytes + Default>(argument: UserPtr) -> Result<T> {
    let mut value = T::default();
    let bytes = value.as_mut_bytes();
    UserSlice::new(argument, bytes.len())
        .reader()
        .read_slice(bytes)?;
    Ok(value)
}

fn put<T: IntoBytes + Immutable>(argument: UserPtr, value: &T) -> Result {
    let bytes = value.as_bytes();
    UserSlice::new(argument, bytes.len())
        .writer()
        .write_slice(bytes)
}
