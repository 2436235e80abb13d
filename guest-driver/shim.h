/* SPDX-License-Identifier: GPL-2.0-only */
/* What Rust cannot reach: inline functions and macros, one line each. */
#ifndef RINGBAR_SHIM_H
#define RINGBAR_SHIM_H

#include <linux/dma-mapping.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

int ringbar_io_remap_pfn_range(struct vm_area_struct *vma, unsigned long address,
			       unsigned long pfn, unsigned long size, pgprot_t prot);
pgprot_t ringbar_pgprot_noncached(pgprot_t prot);
pgprot_t ringbar_pgprot_writecombine(pgprot_t prot);
pgprot_t ringbar_pgprot_device(pgprot_t prot);
unsigned long ringbar_pgprot_cache_bits(pgprot_t prot);
phys_addr_t ringbar_virt_to_phys(const void *address);
void ringbar_memset_io(void __iomem *address, int value, size_t length);
unsigned long ringbar_memlock_limit(void);
dma_addr_t ringbar_dma_map_single(struct device *device, void *start, size_t size);
int ringbar_dma_mapping_error(struct device *device, dma_addr_t address);
void ringbar_dma_sync_for_cpu(struct device *device, dma_addr_t address, size_t size);
void ringbar_dma_sync_for_device(struct device *device, dma_addr_t address, size_t size);

#endif
