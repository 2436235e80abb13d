/* SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT */
/*
 * User interface of the ringbar driver: ioctls, mmap offsets, rings and the pages of a queue.
 *
 * The same interface in Rust is guest-driver/uapi and, for rings and pages, qemu-device/spec. A
 * test of guest-driver/uapi compares every number, size and offset. The calls and their errors are
 * in guest-driver/README.md, the protocol of the rings is in qemu-device/README.md (data sheet).
 *
 * ioctls have the byte order of the machine. Rings, pages and registers are little-endian. Fields
 * named `reserved` must be 0 on the way in and are 0 on the way out.
 *
 * mmap offsets use up to 60 bits: a 32-bit program needs _FILE_OFFSET_BITS=64.
 */
#ifndef _UAPI_RINGBAR_H
#define _UAPI_RINGBAR_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* Arguments of ioctls. */

/**
 * struct ringbar_info - Answer to RINGBAR_IOCTL_INFO.
 * @version_major: Major version of the device's interface.
 * @version_minor: Minor version of the device's interface.
 * @vectors: Interrupt vectors that the driver got.
 * @opcodes: Operations the device knows: bit n stands for opcode n.
 * @device_memory_size: Size of the device memory in bytes.
 * @queues: Queues the device has.
 * @max_entries: Most entries of a ring.
 * @max_length: Largest length of a descriptor in bytes.
 * @max_buffer: Largest buffer in bytes.
 */
struct ringbar_info {
	__u16 version_major;
	__u16 version_minor;
	__u32 vectors;
	__u64 opcodes;
	__u64 device_memory_size;
	__u32 queues;
	__u32 max_entries;
	__u32 max_length;
	__u32 max_buffer;
};

/**
 * struct ringbar_create_queue - Argument of RINGBAR_IOCTL_CREATE_QUEUE.
 * @entries: In: entries of the submission ring and of the completion ring, a power of two.
 * @queue: Out: number of the queue.
 * @flags: In: 0, or RINGBAR_QUEUE_KERNEL.
 * @reserved: 0.
 * @submission_ring: Out: where to map the submission ring, an array of &struct ringbar_descriptor.
 *	This and the others are 0 for RINGBAR_QUEUE_KERNEL.
 * @completion_ring: Out: where to map the completion ring, an array of &struct ringbar_completion,
 *	read-only.
 * @kick: Out: where to map the queue's kick page, a &struct ringbar_kick_page.
 * @doorbell: Out: where to map the queue's doorbell page, a &struct ringbar_doorbell_page.
 * @status: Out: where to map the queue's status page, a &struct ringbar_status_page, read-only.
 */
struct ringbar_create_queue {
	__u32 entries;
	__u32 queue;
	__u32 flags;
	__u32 reserved;
	__u64 submission_ring;
	__u64 completion_ring;
	__u64 kick;
	__u64 doorbell;
	__u64 status;
};

/**
 * struct ringbar_create_buffer - Argument of RINGBAR_IOCTL_CREATE_BUFFER.
 * @size: In: bytes wanted. Out: bytes got, whole pages.
 * @offset: Out: where to map the buffer.
 * @rights: In: what descriptors may do, RINGBAR_RIGHT_READ, RINGBAR_RIGHT_WRITE or both.
 * @window: Out: number of the window that shows the buffer to descriptors.
 */
struct ringbar_create_buffer {
	__u64 size;
	__u64 offset;
	__u32 rights;
	__u32 window;
};

/**
 * struct ringbar_create_device_memory - Argument of RINGBAR_IOCTL_CREATE_DEVICE_MEMORY.
 * @size: In: bytes wanted. Out: bytes got, whole pages.
 * @offset: Out: where to map the range.
 * @rights: In: what descriptors may do, RINGBAR_RIGHT_READ, RINGBAR_RIGHT_WRITE or both.
 * @part: In: a RINGBAR_PART_ constant.
 * @window: Out: number of the window that shows the range to descriptors.
 * @reserved: 0.
 */
struct ringbar_create_device_memory {
	__u64 size;
	__u64 offset;
	__u32 rights;
	__u32 part;
	__u32 window;
	__u32 reserved;
};

/**
 * struct ringbar_execute - Argument of RINGBAR_IOCTL_EXECUTE.
 * @descriptors: In: address of the descriptors, an array of &struct ringbar_descriptor.
 * @completions: In: address that the completions go to, an array of &struct ringbar_completion.
 * @queue: Number of the queue, one with RINGBAR_QUEUE_KERNEL.
 * @count: In: how many descriptors, any number. Out: how many were completed.
 * @timeout_ms: In: longest wait for them in milliseconds.
 * @began: In: 0 for a new call. Out: 0, or a mark of when the call began, if a signal ended it
 *	early. After EINTR nothing was done, and the rest of the argument is as it was. Without an
 *	error @count were completed. A call with the mark goes on, with the rest, for the time that
 *	is left.
 */
struct ringbar_execute {
	__u64 descriptors;
	__u64 completions;
	__u32 queue;
	__u32 count;
	__u32 timeout_ms;
	__u32 began;
};

/**
 * struct ringbar_wait - Argument of RINGBAR_IOCTL_WAIT.
 * @queue: Number of the queue.
 * @completion_tail: In: wait until this many completions were ever posted. Out: how many were.
 *	Modulo 2^32.
 * @timeout_ms: In: longest wait in milliseconds.
 * @began: In: 0 for a new call. Out: 0, or after EINTR a mark of when the call began. The rest of
 *	the argument is then as it was: a call with it waits for the time that is left.
 */
struct ringbar_wait {
	__u32 queue;
	__u32 completion_tail;
	__u32 timeout_ms;
	__u32 began;
};

/**
 * struct ringbar_create_memory - Argument of RINGBAR_IOCTL_CREATE_MEMORY.
 * @size: In: bytes wanted. Out: bytes got, whole pages.
 * @offset: Out: where to map the memory.
 * @kind: In: RINGBAR_MEMORY_CONTIGUOUS or RINGBAR_MEMORY_VMALLOC.
 * @policy: In: how the processor caches it, a RINGBAR_POLICY_ constant. vmalloc memory is always
 *	cached.
 */
struct ringbar_create_memory {
	__u64 size;
	__u64 offset;
	__u32 kind;
	__u32 policy;
};

/**
 * struct ringbar_object - Argument of calls that name one thing.
 * @number: Number of the queue or window.
 * @reserved: 0.
 */
struct ringbar_object {
	__u32 number;
	__u32 reserved;
};

/**
 * struct ringbar_open_window - Argument of RINGBAR_IOCTL_OPEN_WINDOW.
 * @parts: In: address of the parts, an array of &struct ringbar_window_part; the window shows them
 *	in this order.
 * @count: In: how many, at most RINGBAR_MAX_PARTS; 1 on device memory.
 * @rights: In: what descriptors may do, RINGBAR_RIGHT_READ, RINGBAR_RIGHT_WRITE or both; no more
 *	than the buffers were made with.
 * @window: Out: number of the window.
 * @reserved: 0.
 */
struct ringbar_open_window {
	__u64 parts;
	__u32 count;
	__u32 rights;
	__u32 window;
	__u32 reserved;
};

/**
 * struct ringbar_window_part - A part of a window.
 * @buffer: Buffer or range of device memory, by its own window.
 * @reserved: 0.
 * @offset: First byte in it.
 * @length: Bytes, not 0.
 */
struct ringbar_window_part {
	__u32 buffer;
	__u32 reserved;
	__u64 offset;
	__u64 length;
};

/**
 * struct ringbar_open_user_window - Argument of RINGBAR_IOCTL_OPEN_USER_WINDOW.
 * @address: In: address of the first byte, any alignment.
 * @length: In: bytes, at most RINGBAR_MAX_USER_WINDOW.
 * @rights: In: what descriptors may do, RINGBAR_RIGHT_READ, RINGBAR_RIGHT_WRITE or both.
 * @window: Out: number of the window.
 */
struct ringbar_open_user_window {
	__u64 address;
	__u64 length;
	__u32 rights;
	__u32 window;
};

/**
 * struct ringbar_transfer - Argument of RINGBAR_IOCTL_TRANSFER.
 * @address: In: address of the process's bytes.
 * @offset: In: first byte in the window.
 * @length: In: bytes. Out: how many were moved.
 * @queue: Number of the queue, one with RINGBAR_QUEUE_KERNEL.
 * @window: Number of the window.
 * @direction: In: RINGBAR_TRANSFER_INTO_WINDOW or RINGBAR_TRANSFER_OUT_OF_WINDOW.
 * @timeout_ms: In: longest wait in milliseconds.
 * @status: Out: how the device's last copy ended, a RINGBAR_STATUS_ constant; if it is not 0,
 *	nothing comes after it.
 * @began: In: 0 for a new call. Out: 0, or a mark of when the call began, if a signal ended it
 *	early. After EINTR nothing was done, and the rest of the argument is as it was. Without an
 *	error @length bytes were moved. A call with the mark goes on, with the rest, for the time that
 *	is left.
 */
struct ringbar_transfer {
	__u64 address;
	__u64 offset;
	__u64 length;
	__u32 queue;
	__u32 window;
	__u32 direction;
	__u32 timeout_ms;
	__u32 status;
	__u32 began;
};

/**
 * struct ringbar_set_eventfd - Argument of RINGBAR_IOCTL_SET_EVENTFD.
 * @queue: Number of the queue.
 * @fd: The eventfd, or -1 for none.
 */
struct ringbar_set_eventfd {
	__u32 queue;
	__s32 fd;
};

/* ioctls. */

/* Type byte of all ioctls of this driver. */
#define RINGBAR_IOCTL_TYPE 0xba

/* Asks what the device is and what its limits are. */
#define RINGBAR_IOCTL_INFO _IOR(RINGBAR_IOCTL_TYPE, 0, struct ringbar_info)
/* Takes a queue. */
#define RINGBAR_IOCTL_CREATE_QUEUE _IOWR(RINGBAR_IOCTL_TYPE, 1, struct ringbar_create_queue)
/* Makes a DMA buffer and a window on it. */
#define RINGBAR_IOCTL_CREATE_BUFFER _IOWR(RINGBAR_IOCTL_TYPE, 2, struct ringbar_create_buffer)
/* Takes a range of device memory and a window on it. */
#define RINGBAR_IOCTL_CREATE_DEVICE_MEMORY \
	_IOWR(RINGBAR_IOCTL_TYPE, 3, struct ringbar_create_device_memory)
/* Carries out descriptors on a queue of the kernel. */
#define RINGBAR_IOCTL_EXECUTE _IOWR(RINGBAR_IOCTL_TYPE, 4, struct ringbar_execute)
/* Waits for completions. */
#define RINGBAR_IOCTL_WAIT _IOWR(RINGBAR_IOCTL_TYPE, 5, struct ringbar_wait)
/* Makes memory of the kernel that can be mapped. */
#define RINGBAR_IOCTL_CREATE_MEMORY _IOWR(RINGBAR_IOCTL_TYPE, 6, struct ringbar_create_memory)
/* Stops a queue and starts it anew, with the same rings. The object is the queue. */
#define RINGBAR_IOCTL_RESET_QUEUE _IOW(RINGBAR_IOCTL_TYPE, 7, struct ringbar_object)
/* Stops a queue and gives it back. The object is the queue. */
#define RINGBAR_IOCTL_DESTROY_QUEUE _IOW(RINGBAR_IOCTL_TYPE, 8, struct ringbar_object)
/*
 * Closes all windows on a buffer or range of device memory and gives it back. The object is its own
 * window.
 */
#define RINGBAR_IOCTL_DESTROY_BUFFER _IOW(RINGBAR_IOCTL_TYPE, 9, struct ringbar_object)
/* Opens one more window, on parts of buffers or device memory. */
#define RINGBAR_IOCTL_OPEN_WINDOW _IOWR(RINGBAR_IOCTL_TYPE, 10, struct ringbar_open_window)
/*
 * Closes a window that RINGBAR_IOCTL_OPEN_WINDOW or RINGBAR_IOCTL_OPEN_USER_WINDOW opened. The
 * object is the window.
 */
#define RINGBAR_IOCTL_CLOSE_WINDOW _IOW(RINGBAR_IOCTL_TYPE, 11, struct ringbar_object)
/* Sets the eventfd that is signalled by interrupts of a queue. */
#define RINGBAR_IOCTL_SET_EVENTFD _IOW(RINGBAR_IOCTL_TYPE, 12, struct ringbar_set_eventfd)
/* Pins memory of the process and opens a window on it. */
#define RINGBAR_IOCTL_OPEN_USER_WINDOW \
	_IOWR(RINGBAR_IOCTL_TYPE, 13, struct ringbar_open_user_window)
/* Moves bytes between memory of the process and a window, through memory of the kernel. */
#define RINGBAR_IOCTL_TRANSFER _IOWR(RINGBAR_IOCTL_TYPE, 14, struct ringbar_transfer)

/* The rings are the kernel's: they cannot be mapped, and RINGBAR_IOCTL_EXECUTE uses them. */
#define RINGBAR_QUEUE_KERNEL (1U << 0)
/* Most parts of a window. */
#define RINGBAR_MAX_PARTS 64
/* Longest window on memory of a process in bytes. */
#define RINGBAR_MAX_USER_WINDOW (1ULL << 30)

/* Descriptors may read the window. */
#define RINGBAR_RIGHT_READ (1U << 0)
/* Descriptors may write the window. */
#define RINGBAR_RIGHT_WRITE (1U << 1)

/* From the process into the window. */
#define RINGBAR_TRANSFER_INTO_WINDOW 0
/* Out of the window, to the process. */
#define RINGBAR_TRANSFER_OUT_OF_WINDOW 1

/* The part of the device memory that is mapped write-combining. */
#define RINGBAR_PART_WRITE_COMBINING 0
/* The part of the device memory that is mapped uncached. */
#define RINGBAR_PART_UNCACHED 1
/* The part of the device memory that is mapped page by page, when it is touched. */
#define RINGBAR_PART_LAZY 2

/* Physically contiguous memory. */
#define RINGBAR_MEMORY_CONTIGUOUS 0
/* Memory of vmalloc, contiguous in the kernel's address space alone. */
#define RINGBAR_MEMORY_VMALLOC 1

/* Cached as any memory. */
#define RINGBAR_POLICY_CACHED 0
/* Writes may be gathered, nothing is cached. */
#define RINGBAR_POLICY_WRITE_COMBINING 1
/* Every access reaches memory, in order. */
#define RINGBAR_POLICY_UNCACHED 2

/*
 * mmap offsets. Bits 62 to 56 are the kind, 55 to 40 the index, 39 to 0 the byte offset in the
 * region. A process does not put them together itself, but for RINGBAR_PUBLIC_REGISTERS: calls that
 * make something answer with the offset to map it at, and it may add whole pages to that.
 */

/* The public registers. Index 0. */
#define RINGBAR_KIND_PUBLIC_REGISTERS 1
/* A submission ring. Index: the queue. */
#define RINGBAR_KIND_SUBMISSION_RING 2
/* A completion ring. Index: the queue. */
#define RINGBAR_KIND_COMPLETION_RING 3
/* A DMA buffer. Index: its window. */
#define RINGBAR_KIND_BUFFER 4
/* A range of device memory. Index: its window. */
#define RINGBAR_KIND_DEVICE_MEMORY 5
/* The kick page of a queue. Index: the queue. */
#define RINGBAR_KIND_KICK 6
/* The doorbell page of a queue. Index: the queue. */
#define RINGBAR_KIND_DOORBELL 7
/* The status page of a queue, read-only. Index: the queue. */
#define RINGBAR_KIND_STATUS 8
/* A range of the lazy part of the device memory. Index: its window. */
#define RINGBAR_KIND_LAZY_DEVICE_MEMORY 9
/* Physically contiguous memory. Index: its number. */
#define RINGBAR_KIND_CONTIGUOUS 10
/* Memory of vmalloc. Index: its number. */
#define RINGBAR_KIND_VMALLOC 11

/* Where to map the public registers, a struct ringbar_public_page. Needs CAP_SYS_RAWIO. */
#define RINGBAR_PUBLIC_REGISTERS ((__u64)RINGBAR_KIND_PUBLIC_REGISTERS << 56)

/*
 * Rings. Heads and tails count all entries that ever passed, modulo 2^32. Entry n is in slot n
 * modulo the ring's size.
 */

/* Smallest size of a ring, in entries. */
#define RINGBAR_MIN_ENTRIES 2
/* Largest size of a ring that this interface knows, in entries. The device's own is in INFO. */
#define RINGBAR_MAX_ENTRIES 4096
/* Largest length of a descriptor that this interface knows, in bytes. The device's is in INFO. */
#define RINGBAR_MAX_LENGTH (16 << 20)
/* Bytes of a descriptor that its inline copy has: all but those that must be 0. */
#define RINGBAR_INLINE_LENGTH 40

/**
 * struct ringbar_descriptor - A request to the device, in the submission ring.
 * @opcode: The operation: a RINGBAR_OPCODE_ constant.
 * @flags: Must be 0.
 * @tag: Number of the process's choice, which comes back in the completion. The device does not
 *	look at it.
 * @length: Bytes to work on, from 1 to the device's limit; 0 for RINGBAR_OPCODE_NOP.
 * @source_window: Window that the operation reads; 0 if it reads none.
 * @destination_window: Window that the operation writes; 0 if it writes none.
 * @source_offset: Offset of the first byte in the source window.
 * @destination_offset: Offset of the first byte in the destination window.
 * @operand: RINGBAR_OPCODE_FILL: eight bytes, repeated. RINGBAR_OPCODE_PATTERN and
 *	RINGBAR_OPCODE_VERIFY: the seed. RINGBAR_OPCODE_CRC32C: checksum of the bytes before, 0 to
 *	begin with. Others: 0.
 * @reserved: Must be 0.
 */
struct ringbar_descriptor {
	__u16 opcode;
	__u16 flags;
	__u32 tag;
	__u32 length;
	__u16 source_window;
	__u16 destination_window;
	__u64 source_offset;
	__u64 destination_offset;
	__u64 operand;
	__u64 reserved[3];
};

/**
 * struct ringbar_completion - The device's answer to a descriptor, in the completion ring.
 * @tag: Tag of the descriptor.
 * @status: Outcome: a RINGBAR_STATUS_ constant.
 * @reserved: Always 0.
 * @result: Result of operations that have one; 0 for others.
 */
struct ringbar_completion {
	__u32 tag;
	__u16 status;
	__u16 reserved;
	__u64 result;
};

/* Completes, and does nothing else. */
#define RINGBAR_OPCODE_NOP 0
/* Copies from the source to the destination window, as memmove() does within one window. */
#define RINGBAR_OPCODE_COPY 1
/* Fills the destination with the operand, byte 0 of it at the first byte. */
#define RINGBAR_OPCODE_FILL 2
/* Fills the destination with the pattern that the operand seeds. */
#define RINGBAR_OPCODE_PATTERN 3
/*
 * Compares the source with the pattern that the operand seeds. The result is the number of bytes
 * that agree before the first that differs.
 */
#define RINGBAR_OPCODE_VERIFY 4
/* Computes the CRC-32C (Castagnoli, RFC 3720) of the source. The result is the checksum. */
#define RINGBAR_OPCODE_CRC32C 5

/* Carried out. */
#define RINGBAR_STATUS_OK 0
/* The opcode has no meaning. Nothing was written. */
#define RINGBAR_STATUS_BAD_OPCODE 1
/* A window is not open, or is of another open file than the queue. Nothing was written. */
#define RINGBAR_STATUS_BAD_WINDOW 2
/* Offset and length leave the window. Nothing was written. */
#define RINGBAR_STATUS_OUT_OF_BOUNDS 3
/* The source window may not be read. Nothing was written. */
#define RINGBAR_STATUS_NOT_READABLE 4
/* The destination window may not be written. Nothing was written. */
#define RINGBAR_STATUS_NOT_WRITABLE 5
/* The length is 0 or over the limit. Nothing was written. */
#define RINGBAR_STATUS_BAD_LENGTH 6
/*
 * A field that must be 0 is not, or the operation does not use a field that is not 0. Nothing was
 * written.
 */
#define RINGBAR_STATUS_RESERVED_FIELD 7
/* Memory of a window cannot be reached, or not in that direction. Nothing was written. */
#define RINGBAR_STATUS_DMA_FAULT 8
/* The device broke the operation off. Any part of the destination may have been written. */
#define RINGBAR_STATUS_ABORTED 9
/* VERIFY found bytes that differ. This is no refusal: the device logs nothing. */
#define RINGBAR_STATUS_MISMATCH 10

/*
 * Pages of a queue. Each word has one writer. Access a word as a whole, by plain loads and stores,
 * never by a read-modify-write (in C: __atomic_load_n() and __atomic_store_n()).
 *
 * To submit: write the descriptors; store @submission_tail with release; a full fence
 * (__atomic_thread_fence(__ATOMIC_SEQ_CST)); load @sleeping; if it is 1, store 1 to @kick. Without
 * the fence the load may come first: the device falls asleep in between and sees no descriptor.
 *
 * To take completions: load @completion_tail with acquire, read the entries below it, then store
 * @completion_head with release.
 *
 * To be woken: store the number of the completion to @interrupt_at; a full fence; load
 * @completion_tail; sleep on the eventfd only if it has not passed that number. RINGBAR_IOCTL_WAIT,
 * poll() and epoll do that in the driver.
 *
 * Acquire, release and fence must reach the device. On x86 those of C do. On arm64 they are
 * `dmb ish`, which ends at the processors; use `dmb oshld`, that with `dmb oshst`, and `dmb osh`.
 */

/*
 * Map each page as one page of the kernel: sysconf(_SC_PAGESIZE) bytes, which differ from machine to
 * machine. All that a page holds is in the structure at its start.
 */

/**
 * struct ringbar_doorbell_page - A queue's doorbell page, which the process writes.
 * @submission_tail: Descriptors ever submitted, modulo 2^32.
 * @submission_inline: Bit 0: the only descriptor in flight is also in @inline_descriptor. A process
 *	that leaves it at 0 can ignore the inline copies.
 * @inline_descriptor: The first RINGBAR_INLINE_LENGTH bytes of that descriptor.
 * @completion_head: Completions ever taken, modulo 2^32.
 * @interrupt_at: Number of the completion at which the process asks for an interrupt. The first one
 *	has number 0.
 * @driver_interrupt_at: The same for the driver, which alone writes it.
 */
struct ringbar_doorbell_page {
	__u32 submission_tail;
	__u32 submission_inline;
	__u32 gap_8[2];
	__u64 inline_descriptor[5];
	__u32 gap_38[2];
	__u32 completion_head;
	__u32 gap_44[15];
	__u32 interrupt_at;
	__u32 driver_interrupt_at;
	__u32 gap_88[990];
};

/**
 * struct ringbar_status_page - A queue's status page, which the device writes.
 * @completion_tail: Completions ever posted, modulo 2^32.
 * @inline_completion: The completion that was posted last. A process may read it when
 *	@completion_tail has reached its submission tail and one completion is left to take. It then
 *	loads @generation; if that has changed, the entry in the ring is valid instead.
 * @sleeping: Bit 0: the queue sleeps. The device then sees descriptors only after a kick.
 * @queue_state: RINGBAR_QUEUE_STOPPED, RINGBAR_QUEUE_RUNNING, or the RINGBAR_ERROR_ constant of the
 *	error that stopped the queue. RINGBAR_IOCTL_RESET_QUEUE starts it again.
 * @generation: Count of resets of the device, modulo 2^32. A queue made before the last is dead.
 * @heartbeat: Polling passes of the device over the queue, modulo 2^32. If it stands still while
 *	@sleeping is 0, a read of @kick shows whether the device is still there.
 */
struct ringbar_status_page {
	__u32 completion_tail;
	__u32 gap_4[3];
	struct ringbar_completion inline_completion;
	__u32 gap_20[8];
	__u32 sleeping;
	__u32 queue_state;
	__u32 generation;
	__u32 gap_4c[13];
	__u32 heartbeat;
	__u32 gap_84[991];
};

/**
 * struct ringbar_kick_page - A queue's kick page. Every access traps, so it is slow.
 * @kick: Wakes a queue that sleeps when anything is written. Reads return RINGBAR_KICK_ANSWER; all
 *	ones mean that no server serves the device any more.
 * @queue_errors: Errors of the queue since it was started. Read-only. Stays at its largest value.
 * @interrupt_moderation: Limits within which interrupts for completions of the queue are held back,
 *	to make them fewer. 0 when the queue is started: none is held back.
 */
struct ringbar_kick_page {
	__u32 kick;
	__u32 gap_4;
	__u32 queue_errors;
	__u32 gap_c;
	__u32 interrupt_moderation;
	__u32 gap_14[1019];
};

/* Value of a read of @kick: the bytes `kick`. */
#define RINGBAR_KICK_ANSWER 0x6b63696bU
/* @queue_state of a queue that was not started, or was stopped. */
#define RINGBAR_QUEUE_STOPPED 0
/* @queue_state of a queue that runs. */
#define RINGBAR_QUEUE_RUNNING 1

/* Bits of @interrupt_moderation: longest time that an interrupt is held back; 0: none is. */
#define RINGBAR_REG_INTERRUPT_MODERATION_MICROSECONDS 0xffff0000U
/* Bits of @interrupt_moderation: number of completions that ends it before; 0: any number. */
#define RINGBAR_REG_INTERRUPT_MODERATION_COMPLETIONS 0x0000ffffU

/**
 * struct ringbar_public_page - The public registers. Every access traps.
 * @ident: Identity of the device: RINGBAR_IDENT.
 * @version: Version of the interface, in the RINGBAR_REG_VERSION_ bits.
 * @features: Operations that the device knows: bit n stands for opcode n.
 * @status: State of the device, in the RINGBAR_REG_STATUS_ bits.
 * @irq_cause: Events since the bits were last cleared, in the RINGBAR_REG_IRQ_CAUSE_ bits. Writing
 *	1 clears a bit.
 * @scratch: Keeps the value that is written. Has no effect.
 * @counter: Nanoseconds since power-on or the last reset.
 * @reset_generation: Steps by one with every reset of any kind, past 0 and all ones. @boot_number at
 *	power-on.
 * @error_count: Errors since the log was last cleared. Stays at its largest value.
 * @error_last: Newest error, in the RINGBAR_REG_ERROR_LAST_ bits.
 * @error_value: Value that caused the newest error. The data sheet has its meaning per code.
 * @queue_limits: Limits of the queues, in the RINGBAR_REG_QUEUE_LIMITS_ bits.
 * @window_limits: Limits of the windows, in the RINGBAR_REG_WINDOW_LIMITS_ bits.
 * @length_limit: Largest length of a descriptor, in bytes.
 * @boot_number: Drawn at power-on, the same over resets.
 */
struct ringbar_public_page {
	__u32 ident;
	__u32 version;
	__u64 features;
	__u32 status;
	__u32 irq_cause;
	__u64 scratch;
	__u64 counter;
	__u32 reset_generation;
	__u32 error_count;
	__u32 error_last;
	__u32 gap_34;
	__u64 error_value;
	__u32 queue_limits;
	__u32 window_limits;
	__u32 length_limit;
	__u32 boot_number;
	__u32 gap_50[1004];
};

/* Value of @ident: the bytes `RBAR`. */
#define RINGBAR_IDENT 0x52414252U
/* Major version of the interface in this header. The driver refuses a device with another one. */
#define RINGBAR_VERSION_MAJOR 4
/* Minor version of the interface in this header. */
#define RINGBAR_VERSION_MINOR 0

/* Bits of @version: major version. */
#define RINGBAR_REG_VERSION_MAJOR 0xffff0000U
/* Bits of @version: minor version. */
#define RINGBAR_REG_VERSION_MINOR 0x0000ffffU
/* Bits of @status: queues that run. */
#define RINGBAR_REG_STATUS_RUNNING_QUEUES 0x0000ff00U
/* Bit of @status: the error log holds an error. */
#define RINGBAR_REG_STATUS_ERROR 0x00000004U
/* Bit of @status: bus mastering is on. */
#define RINGBAR_REG_STATUS_BUS_MASTER 0x00000002U
/* Bit of @status: the device takes commands. */
#define RINGBAR_REG_STATUS_READY 0x00000001U
/* Bit of @irq_cause: an error went into the error log. */
#define RINGBAR_REG_IRQ_CAUSE_ERROR 0x00000002U
/* Bit of @irq_cause: a queue completed a descriptor, or an error stopped it. */
#define RINGBAR_REG_IRQ_CAUSE_COMPLETION 0x00000001U
/* Bits of @error_last: queue concerned, RINGBAR_NO_QUEUE if none. */
#define RINGBAR_REG_ERROR_LAST_QUEUE 0xffff0000U
/* Bits of @error_last: a RINGBAR_ERROR_ constant. */
#define RINGBAR_REG_ERROR_LAST_CODE 0x0000ffffU
/* Bits of @queue_limits: most entries of a ring. */
#define RINGBAR_REG_QUEUE_LIMITS_ENTRIES 0xffff0000U
/* Bits of @queue_limits: queues that the device has. */
#define RINGBAR_REG_QUEUE_LIMITS_QUEUES 0x0000ffffU
/* Bits of @window_limits: most segments of a window. */
#define RINGBAR_REG_WINDOW_LIMITS_SEGMENTS 0xffff0000U
/* Bits of @window_limits: windows that the device has. */
#define RINGBAR_REG_WINDOW_LIMITS_WINDOWS 0x0000ffffU

/* Queue number in @error_last of an error that concerns no queue. */
#define RINGBAR_NO_QUEUE 0xffffU

/*
 * Codes of the error log. A process sees them in @queue_state and @error_last. Behind "Logged" is
 * the value that the device logs with the error.
 */

/* No error. */
#define RINGBAR_ERROR_NONE 0

/* Register accesses. Logged: the offset in BAR 0. */

/* No register has this offset. A read returns 0, a write is dropped. */
#define RINGBAR_ERROR_RESERVED_REGISTER 1
/* The width is not 1, 2, 4 or 8 bytes, or a command register was not accessed as a whole. */
#define RINGBAR_ERROR_BAD_WIDTH 2
/* The offset is not a multiple of the width. */
#define RINGBAR_ERROR_BAD_ALIGNMENT 3
/* The register is read-only; the write was dropped. */
#define RINGBAR_ERROR_READ_ONLY 4
/* The register is write-only; the read gave 0. */
#define RINGBAR_ERROR_WRITE_ONLY 5
/* The value has no meaning; the write was dropped. Logged: that value. */
#define RINGBAR_ERROR_BAD_VALUE 6

/* Commands of the driver. Logged: the field that was refused. */

/* Bus mastering is off, so the device may not read the block. Logged: its address. */
#define RINGBAR_ERROR_BUS_MASTER_OFF 16
/* The block or its list cannot be reached. Logged: the block's address. */
#define RINGBAR_ERROR_SETUP_UNREACHABLE 17
/* An address is not aligned to 64 bytes. Logged: the address. */
#define RINGBAR_ERROR_MISALIGNED 18
/* A field that must be 0 is not. Logged: the field. */
#define RINGBAR_ERROR_RESERVED_FIELD 19
/* The queue does not exist. Logged: its number. */
#define RINGBAR_ERROR_BAD_QUEUE 20
/* The queue runs already. Logged: its number. */
#define RINGBAR_ERROR_QUEUE_RUNS 21
/* The queue does not run. Logged: its number. */
#define RINGBAR_ERROR_QUEUE_STOPPED 22
/* The ring may not have this many entries, or passes 2^64 with them. Logged: the number. */
#define RINGBAR_ERROR_BAD_ENTRIES 23
/* The interrupt vector does not exist. Logged: its number. */
#define RINGBAR_ERROR_BAD_VECTOR 24
/* The window number does not exist. Logged: the number. */
#define RINGBAR_ERROR_BAD_WINDOW 25
/* The window is open already. Logged: its number. */
#define RINGBAR_ERROR_WINDOW_IS_OPEN 26
/* The window is not open. Logged: its number. */
#define RINGBAR_ERROR_WINDOW_IS_CLOSED 27
/* The kind of window has no meaning. Logged: the kind. */
#define RINGBAR_ERROR_BAD_KIND 28
/* The window has no rights, or unknown ones. Logged: the rights. */
#define RINGBAR_ERROR_BAD_RIGHTS 29
/* The window has no segments, or more than the limit. Logged: the number. */
#define RINGBAR_ERROR_BAD_SEGMENTS 30
/*
 * A segment or window is empty or passes 2^64, or the lengths do not add up. Logged: the length of
 * the segment or window.
 */
#define RINGBAR_ERROR_BAD_LENGTH 31
/* The range leaves the device memory. Logged: its offset. */
#define RINGBAR_ERROR_OUT_OF_BOUNDS 32

/* Queues. The first four stop the queue. */

/* The submission tail is further ahead than the ring has entries. Logged: the tail. */
#define RINGBAR_ERROR_BAD_TAIL 48
/* The completion head is not between the last one seen and the tail. Logged: the head. */
#define RINGBAR_ERROR_BAD_HEAD 49
/* An entry of the submission ring cannot be read. Logged: its address. */
#define RINGBAR_ERROR_SUBMISSION_FAULT 50
/* An entry of the completion ring cannot be written. Logged: its address. */
#define RINGBAR_ERROR_COMPLETION_FAULT 51
/*
 * The device refused a descriptor, and its completion has the same status. Logged: status << 32 |
 * tag. The queue runs on.
 */
#define RINGBAR_ERROR_DESCRIPTOR_REFUSED 52
/*
 * Memory of a window cannot be reached, and a completion has a status for it. Logged: the first DMA
 * address that cannot. The queue runs on.
 */
#define RINGBAR_ERROR_MEMORY_FAULT 53

#endif /* _UAPI_RINGBAR_H */
