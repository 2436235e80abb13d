// SPDX-License-Identifier: GPL-2.0-only
#include "shim.h"

void ringbar_memset_io(void __iomem *address, int value, size_t length)
{
	memset_io(address, value, length);
}

void __iomem *ringbar_ioremap_wc(phys_addr_t address, size_t length)
{
	return ioremap_wc(address, length);
}

unsigned long ringbar_memlock_limit(void)
{
	return rlimit(RLIMIT_MEMLOCK);
}

dma_addr_t ringbar_dma_map_single(struct device *device, void *start, size_t size)
{
	return dma_map_single(device, start, size, DMA_BIDIRECTIONAL);
}

int ringbar_dma_mapping_error(struct device *device, dma_addr_t address)
{
	return dma_mapping_error(device, address);
}

void ringbar_dma_sync_for_cpu(struct device *device, dma_addr_t address, size_t size)
{
	dma_sync_single_for_cpu(device, address, size, DMA_BIDIRECTIONAL);
}

void ringbar_dma_sync_for_device(struct device *device, dma_addr_t address, size_t size)
{
	dma_sync_single_for_device(device, address, size, DMA_BIDIRECTIONAL);
}

bool ringbar_machine_sleeps(void)
{
	return pm_suspend_in_progress();
}
