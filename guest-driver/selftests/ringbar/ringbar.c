// SPDX-License-Identifier: GPL-2.0-only
/*
 * Driver of a ringbar device, a virtual one that copies bytes.  One queue, and
 * one window that shows the whole DMA address space, so that the offset in a
 * descriptor is an IOVA.
 */
#include <stdint.h>
#include <unistd.h>

#include <linux/errno.h>
#include <linux/io.h>
#include <linux/kernel.h>
#include <linux/pci_regs.h>

#include <asm/barrier.h>

#include <libvfio.h>

#include "hw.h"

/*
 * Entries of both rings: the most copies of one memcpy_start().  The device
 * takes up to 4096.  With 256 the longest storm moves 4 GiB, as a copy has up
 * to 16 MiB, and ends well within its time on a busy machine.
 */
#define RINGBAR_ENTRIES			256

/* The only queue, window, protection domain and interrupt vector. */
#define RINGBAR_QUEUE			0
#define RINGBAR_WINDOW			1
#define RINGBAR_DOMAIN			1
#define RINGBAR_VECTOR			0

/* Time between two looks at the completions, in microseconds. */
#define RINGBAR_LOOK_US			100

struct ringbar {
	struct ringbar_descriptor submission[RINGBAR_ENTRIES];
	struct ringbar_completion completion[RINGBAR_ENTRIES];
	struct ringbar_queue_block queue __aligned(RINGBAR_ALIGNMENT);
	struct ringbar_window_block window __aligned(RINGBAR_ALIGNMENT);

	/* Descriptors that were submitted, and completions that were taken. */
	u32 tail;
	u32 head;
};

static inline struct ringbar *to_ringbar(struct vfio_pci_device *device)
{
	return device->driver.region.vaddr;
}

static void *ringbar_page(struct vfio_pci_device *device, u32 page)
{
	return device->bars[0].vaddr + page * RINGBAR_PAGE_STRIDE;
}

static u32 ringbar_irq_index(struct vfio_pci_device *device)
{
	return device->msix_info.count ? VFIO_PCI_MSIX_IRQ_INDEX : VFIO_PCI_MSI_IRQ_INDEX;
}

static int ringbar_probe(struct vfio_pci_device *device)
{
	struct ringbar_public_page *public;
	u32 version;

	if (!vfio_pci_device_match(device, RINGBAR_VENDOR_ID, RINGBAR_DEVICE_ID))
		return -EINVAL;

	VFIO_ASSERT_NOT_NULL(device->bars[0].vaddr);

	public = ringbar_page(device, RINGBAR_PUBLIC_PAGE);
	version = readl(&public->version) >> 16;
	if (readl(&public->ident) != RINGBAR_IDENT || version != RINGBAR_VERSION_MAJOR) {
		dev_err(device, "ringbar: Unsupported version: %u\n", version);
		return -EINVAL;
	}

	return 0;
}

/* Gives the device a block by an admin command, and checks its answer. */
static void ringbar_command(struct vfio_pci_device *device, u64 *command, void *block)
{
	struct ringbar_admin_page *admin = ringbar_page(device, RINGBAR_ADMIN_PAGE);
	u32 error;

	writeq(to_iova(device, block), command);
	error = readl(&admin->admin_status);
	VFIO_ASSERT_EQ(error, RINGBAR_ERROR_NONE, "The device refuses a command\n");
}

static void ringbar_start_queue(struct vfio_pci_device *device)
{
	struct ringbar_doorbell_page *doorbell = ringbar_page(device, RINGBAR_DOORBELL_PAGE);
	struct ringbar_admin_page *admin = ringbar_page(device, RINGBAR_ADMIN_PAGE);
	struct ringbar *ringbar = to_ringbar(device);

	ringbar->tail = 0;
	ringbar->head = 0;

	writel(0, &doorbell->submission_tail);
	writel(0, &doorbell->submission_inline);
	writel(0, &doorbell->completion_head);
	/* No completion raises an interrupt until ringbar_send_msi() names one. */
	writel(UINT32_MAX, &doorbell->interrupt_at);
	writel(UINT32_MAX, &doorbell->driver_interrupt_at);

	ringbar->queue = (struct ringbar_queue_block) {
		.queue = cpu_to_le32(RINGBAR_QUEUE),
		.domain = cpu_to_le32(RINGBAR_DOMAIN),
		.submission_ring = cpu_to_le64(to_iova(device, ringbar->submission)),
		.completion_ring = cpu_to_le64(to_iova(device, ringbar->completion)),
		.submission_entries = cpu_to_le32(RINGBAR_ENTRIES),
		.completion_entries = cpu_to_le32(RINGBAR_ENTRIES),
		.vector = cpu_to_le32(RINGBAR_VECTOR),
	};
	ringbar_command(device, &admin->queue_start, &ringbar->queue);
}

static void ringbar_open_window(struct vfio_pci_device *device)
{
	struct ringbar_admin_page *admin = ringbar_page(device, RINGBAR_ADMIN_PAGE);
	struct ringbar *ringbar = to_ringbar(device);

	/* The last byte of the address space stays out: a length has 64 bits. */
	ringbar->window = (struct ringbar_window_block) {
		.window = cpu_to_le32(RINGBAR_WINDOW),
		.domain = cpu_to_le32(RINGBAR_DOMAIN),
		.kind = cpu_to_le32(RINGBAR_WINDOW_SEGMENTS),
		.rights = cpu_to_le32(RINGBAR_RIGHT_READ | RINGBAR_RIGHT_WRITE),
		.length = cpu_to_le64(UINT64_MAX),
		.segments = cpu_to_le32(1),
		.segment_length = cpu_to_le64(UINT64_MAX),
	};
	ringbar_command(device, &admin->window_open, &ringbar->window);
}

static void ringbar_init(struct vfio_pci_device *device)
{
	struct ringbar_public_page *public = ringbar_page(device, RINGBAR_PUBLIC_PAGE);
	struct ringbar_admin_page *admin = ringbar_page(device, RINGBAR_ADMIN_PAGE);

	VFIO_ASSERT_GE(device->driver.region.size, sizeof(struct ringbar));
	VFIO_ASSERT_GE(readl(&public->queue_limits) >> 16, RINGBAR_ENTRIES);

	/*
	 * Reset the device before it may master the bus: work that a former
	 * driver left would go on otherwise.
	 */
	vfio_pci_cmd_set(device, PCI_COMMAND_MEMORY);
	writel(RINGBAR_RESET_KEY, &admin->reset);
	vfio_pci_cmd_set(device, PCI_COMMAND_MASTER);

	/* An error would raise the same vector as a completion. */
	writel(RINGBAR_REG_IRQ_CAUSE_ERROR, &admin->irq_mask);
	vfio_pci_irq_enable(device, ringbar_irq_index(device), RINGBAR_VECTOR, 1);

	ringbar_start_queue(device);
	ringbar_open_window(device);

	device->driver.max_memcpy_size = readl(&public->length_limit);
	device->driver.max_memcpy_count = RINGBAR_ENTRIES;
	device->driver.msi = RINGBAR_VECTOR;
}

static void ringbar_remove(struct vfio_pci_device *device)
{
	struct ringbar_admin_page *admin = ringbar_page(device, RINGBAR_ADMIN_PAGE);

	writel(RINGBAR_RESET_KEY, &admin->reset);
	vfio_pci_irq_disable(device, ringbar_irq_index(device));
}

static void ringbar_push(struct ringbar *ringbar, const struct ringbar_descriptor *descriptor)
{
	ringbar->submission[ringbar->tail % RINGBAR_ENTRIES] = *descriptor;
	ringbar->tail++;
}

/* Hands over all descriptors that were pushed. */
static void ringbar_submit(struct vfio_pci_device *device)
{
	struct ringbar_doorbell_page *doorbell = ringbar_page(device, RINGBAR_DOORBELL_PAGE);
	struct ringbar_status_page *status = ringbar_page(device, RINGBAR_STATUS_PAGE);
	struct ringbar_kick_page *kick = ringbar_page(device, RINGBAR_KICK_PAGE);

	writel(to_ringbar(device)->tail, &doorbell->submission_tail);

	/* Either the device sees the tail, or this sees that the device sleeps. */
	mb();
	if (readl(&status->sleeping))
		writel(1, &kick->kick);
}

static void ringbar_memcpy_start(struct vfio_pci_device *device, iova_t src,
				 iova_t dst, u64 size, u64 count)
{
	const struct ringbar_descriptor copy = {
		.opcode = cpu_to_le16(RINGBAR_OPCODE_COPY),
		.length = cpu_to_le32(size),
		.source_window = cpu_to_le16(RINGBAR_WINDOW),
		.destination_window = cpu_to_le16(RINGBAR_WINDOW),
		.source_offset = cpu_to_le64(src),
		.destination_offset = cpu_to_le64(dst),
	};
	u64 i;

	for (i = 0; i < count; i++)
		ringbar_push(to_ringbar(device), &copy);

	ringbar_submit(device);
}

static int ringbar_memcpy_wait(struct vfio_pci_device *device)
{
	struct ringbar_doorbell_page *doorbell = ringbar_page(device, RINGBAR_DOORBELL_PAGE);
	struct ringbar_status_page *status = ringbar_page(device, RINGBAR_STATUS_PAGE);
	struct ringbar *ringbar = to_ringbar(device);
	struct ringbar_completion *completion;
	u16 outcome;
	int ret = 0;

	while (readl(&status->completion_tail) != ringbar->tail) {
		/* All ones if the device is gone. */
		VFIO_ASSERT_EQ(readl(&status->queue_state), RINGBAR_QUEUE_RUNNING,
			       "The queue has stopped\n");
		usleep(RINGBAR_LOOK_US);
	}

	for (; ringbar->head != ringbar->tail; ringbar->head++) {
		completion = &ringbar->completion[ringbar->head % RINGBAR_ENTRIES];
		outcome = le16_to_cpu(completion->status);
		if (outcome == RINGBAR_STATUS_OK)
			continue;

		/* The queue goes on: nothing has to be reset. */
		dev_err(device, "ringbar: Status of a copy: %u\n", outcome);
		ret = -EIO;
	}
	writel(ringbar->head, &doorbell->completion_head);

	return ret;
}

static void ringbar_send_msi(struct vfio_pci_device *device)
{
	struct ringbar_doorbell_page *doorbell = ringbar_page(device, RINGBAR_DOORBELL_PAGE);
	const struct ringbar_descriptor nop = { .opcode = cpu_to_le16(RINGBAR_OPCODE_NOP) };
	struct ringbar *ringbar = to_ringbar(device);

	writel(ringbar->tail, &doorbell->interrupt_at);
	ringbar_push(ringbar, &nop);
	ringbar_submit(device);
	VFIO_ASSERT_EQ(ringbar_memcpy_wait(device), 0);
}

const struct vfio_pci_driver_ops ringbar_ops = {
	.name = "ringbar",
	.probe = ringbar_probe,
	.init = ringbar_init,
	.remove = ringbar_remove,
	.memcpy_start = ringbar_memcpy_start,
	.memcpy_wait = ringbar_memcpy_wait,
	.send_msi = ringbar_send_msi,
};
