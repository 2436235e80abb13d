// SPDX-License-Identifier: (GPL-2.0-only WITH Linux-syscall-note) OR MIT
/*
 * Copies from one buffer to another on the device, in plain C: open, map, submit, wait, look.
 *
 *	cc -std=c11 -I../include -o copy copy.c
 *
 * The rings are in this process's memory. Only the wake-up of the device and the wait leave it. The
 * orders of accesses are those that ringbar.h names.
 */
/* O_CLOEXEC, sysconf(). */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <ringbar.h>

#define ENTRIES 16
#define TEXT "from here to there"

/* A queue with its rings and pages mapped. */
struct queue {
	__u32 number;
	/* Descriptors handed over, and completions taken, since the queue was made. */
	__u32 tail, head;
	struct ringbar_descriptor *submission;
	const struct ringbar_completion *completion;
	struct ringbar_doorbell_page *doorbell;
	const struct ringbar_status_page *status;
	struct ringbar_kick_page *kick;
};

/* A mapped buffer, and the number by which descriptors name it. */
struct buffer {
	char *bytes;
	__u16 window;
};

/*
 * Barriers that reach the device, as the kernel's dma_rmb(), dma_rmb() with dma_wmb(), and dma_mb().
 * Those that C has on arm64 end at the processors.
 */
#if defined(__aarch64__)
#define BARRIER(kind, order) __asm__ volatile(kind : : : "memory")
#else
#define BARRIER(kind, order) __atomic_thread_fence(order)
#endif
#define ACQUIRE() BARRIER("dmb oshld", __ATOMIC_ACQUIRE)
#define RELEASE() BARRIER("dmb oshld\n\tdmb oshst", __ATOMIC_RELEASE)
#define FENCE() BARRIER("dmb osh", __ATOMIC_SEQ_CST)

static _Noreturn void fail(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	vfprintf(stderr, format, values);
	va_end(values);
	fputc('\n', stderr);
	exit(1);
}

static void call(int device, const char *name, unsigned long number, void *argument)
{
	if (ioctl(device, number, argument) < 0)
		fail("%s: %s", name, strerror(errno));
}

static void *map(int device, const char *name, __u64 offset, size_t size, int protection)
{
	void *memory = mmap(NULL, size, protection, MAP_SHARED, device, (off_t)offset);

	if (memory == MAP_FAILED)
		fail("mmap of the %s: %s", name, strerror(errno));
	return memory;
}

static struct queue create_queue(int device)
{
	const int both = PROT_READ | PROT_WRITE;
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct ringbar_create_queue made = { .entries = ENTRIES };
	struct queue queue = { 0 };

	call(device, "CREATE_QUEUE", RINGBAR_IOCTL_CREATE_QUEUE, &made);
	queue.number = made.queue;
	queue.submission = map(device, "submission ring", made.submission_ring,
			       ENTRIES * sizeof(*queue.submission), both);
	queue.completion = map(device, "completion ring", made.completion_ring,
			       ENTRIES * sizeof(*queue.completion), PROT_READ);
	queue.doorbell = map(device, "doorbell page", made.doorbell, page, both);
	queue.status = map(device, "status page", made.status, page, PROT_READ);
	queue.kick = map(device, "kick page", made.kick, page, both);
	return queue;
}

static struct buffer create_buffer(int device, __u64 size, __u32 rights)
{
	struct ringbar_create_buffer made = { .size = size, .rights = rights };
	struct buffer buffer;

	call(device, "CREATE_BUFFER", RINGBAR_IOCTL_CREATE_BUFFER, &made);
	buffer.bytes = map(device, "buffer", made.offset, made.size, PROT_READ | PROT_WRITE);
	buffer.window = (__u16)made.window;
	return buffer;
}

/* Hands one descriptor to the device. The ring must have room. */
static void submit(struct queue *queue, const struct ringbar_descriptor *descriptor)
{
	queue->submission[queue->tail % ENTRIES] = *descriptor;
	queue->tail++;
	/* Release: a device that sees the tail also sees the descriptor and the bytes in buffers. */
	RELEASE();
	__atomic_store_n(&queue->doorbell->submission_tail, queue->tail, __ATOMIC_RELAXED);
	/*
	 * The store of the tail comes before the load of `sleeping`. Otherwise the device could fall
	 * asleep in between, and nothing would wake it.
	 */
	FENCE();
	if (__atomic_load_n(&queue->status->sleeping, __ATOMIC_RELAXED) & 1)
		__atomic_store_n(&queue->kick->kick, 1, __ATOMIC_RELAXED);
}

/* Waits in the driver for the oldest completion, and takes it. */
static struct ringbar_completion take(int device, struct queue *queue)
{
	struct ringbar_wait wait = {
		.queue = queue->number,
		.completion_tail = queue->head + 1,
		.timeout_ms = 10000,
	};
	struct ringbar_completion completion;
	__u32 tail;

	call(device, "WAIT", RINGBAR_IOCTL_WAIT, &wait);
	/* Acquire: with the tail, this process also sees the completion and the copied bytes. */
	tail = __atomic_load_n(&queue->status->completion_tail, __ATOMIC_RELAXED);
	ACQUIRE();
	if (tail != queue->tail)
		fail("the completion tail is %u, and %u descriptors were submitted", tail, queue->tail);
	completion = queue->completion[queue->head % ENTRIES];
	queue->head++;
	/* Release: the device may use the slot again only when this process has read it. */
	RELEASE();
	__atomic_store_n(&queue->doorbell->completion_head, queue->head, __ATOMIC_RELAXED);
	return completion;
}

int main(void)
{
	const size_t place = 100;
	struct ringbar_descriptor copy = { .opcode = RINGBAR_OPCODE_COPY, .tag = 7 };
	struct ringbar_completion completion;
	struct buffer source, destination;
	struct queue queue;
	int device = open("/dev/ringbar0", O_RDWR | O_CLOEXEC);

	if (device < 0)
		fail("/dev/ringbar0: %s", strerror(errno));
	queue = create_queue(device);
	source = create_buffer(device, 1000, RINGBAR_RIGHT_READ);
	destination = create_buffer(device, 1000, RINGBAR_RIGHT_WRITE);
	memcpy(source.bytes, TEXT, strlen(TEXT));

	copy.length = strlen(TEXT);
	copy.source_window = source.window;
	copy.destination_window = destination.window;
	copy.destination_offset = place;
	submit(&queue, &copy);
	completion = take(device, &queue);

	if (completion.tag != copy.tag || completion.status != RINGBAR_STATUS_OK)
		fail("the copy ended with status %u, tag %u", completion.status, completion.tag);
	printf("copied: %.*s\n", (int)strlen(TEXT), destination.bytes + place);
	/* All of it goes with the file. */
	close(device);
	return 0;
}
