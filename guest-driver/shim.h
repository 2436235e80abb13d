/* SPDX-License-Identifier: GPL-2.0-only */
/* What Rust cannot reach: inline functions and macros, one line each. */
#ifndef RINGBAR_SHIM_H
#define RINGBAR_SHIM_H

#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/sched/signal.h>
#include <linux/suspend.h>

void ringbar_memset_io(void __iomem *address, int value, size_t length);
void __iomem *ringbar_ioremap_wc(phys_addr_t address, size_t length);
unsigned long ringbar_memlock_limit(void);
dma_addr_t ringbar_dma_map_single(struct device *device, void *start, size_t size);
int ringbar_dma_mapping_error(struct device *device, dma_addr_t address);
void ringbar_dma_sync_for_cpu(struct device *device, dma_addr_t address, size_t size);
void ringbar_dma_sync_for_device(struct device *device, dma_addr_t address, size_t size);
bool ringbar_machine_sleeps(void);

#endif
