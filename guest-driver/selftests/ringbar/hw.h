/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What only a driver of a ringbar device knows: the pages of BAR 0, the admin
 * registers and the blocks that they take.  ringbar.h has what a process knows
 * too: rings, the pages of a queue and the public registers.
 *
 * Numbers in brackets are sections of the device's data sheet.
 */
#ifndef SELFTESTS_VFIO_LIB_DRIVERS_RINGBAR_HW_H
#define SELFTESTS_VFIO_LIB_DRIVERS_RINGBAR_HW_H

#include <linux/types.h>

#include "ringbar.h"

/* Vendor and device [1]. */
#define RINGBAR_VENDOR_ID		0x1af4
#define RINGBAR_DEVICE_ID		0x10f0

/*
 * Pages of BAR 0 [2]: bytes from one page to the next, and numbers of pages.
 * Those of queues are the pages of queue 0.
 */
#define RINGBAR_PAGE_STRIDE		65536
#define RINGBAR_PUBLIC_PAGE		0
#define RINGBAR_ADMIN_PAGE		1
#define RINGBAR_KICK_PAGE		63
#define RINGBAR_DOORBELL_PAGE		128
#define RINGBAR_STATUS_PAGE		192

/* Admin registers [4]. */
struct ringbar_admin_page {
	u32 reset;
	u32 irq_mask;
	u32 admin_status;
	u32 error_clear;
	u64 queue_start;
	u64 window_open;
	u32 queue_stop;
	u32 window_close;
};

/* Value of @reset: the bytes `RST!`. */
#define RINGBAR_RESET_KEY		0x21545352

/* What the blocks and rings in memory are aligned to [5]. */
#define RINGBAR_ALIGNMENT		64

/* Block that @queue_start takes [5]. */
struct ringbar_queue_block {
	__le32 queue;
	__le32 domain;
	__le64 submission_ring;
	__le64 completion_ring;
	__le32 submission_entries;
	__le32 completion_entries;
	__le32 vector;
	__le32 reserved[7];
};

/* Block that @window_open takes, with a list of one segment [5]. */
struct ringbar_window_block {
	__le32 window;
	__le32 domain;
	__le32 kind;
	__le32 rights;
	__le64 length;
	__le64 offset;
	__le32 segments;
	__le32 reserved[7];
	__le64 segment_address;
	__le64 segment_length;
};

/* Value of @kind: segments of guest memory. */
#define RINGBAR_WINDOW_SEGMENTS		1

#endif /* SELFTESTS_VFIO_LIB_DRIVERS_RINGBAR_HW_H */
