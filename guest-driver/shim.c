// SPDX-License-Identifier: GPL-2.0-only
#include "shim.h"

int ringbar_io_remap_pfn_range(struct vm_area_struct *vma, unsigned long address,
			       unsigned long pfn, unsigned long size, pgprot_t prot)
{
	return io_remap_pfn_range(vma, address, pfn, size, prot);
}

pgprot_t ringbar_pgprot_noncached(pgprot_t prot)
{
	return pgprot_noncached(prot);
}

pgprot_t ringbar_pgprot_writecombine(pgprot_t prot)
{
	return pgprot_writecombine(prot);
}

pgprot_t ringbar_pgprot_device(pgprot_t prot)
{
	return pgprot_device(prot);
}

unsigned long ringbar_pgprot_cache_bits(pgprot_t prot)
{
	return pgprot_val(prot) & _PAGE_CACHE_MASK;
}

phys_addr_t ringbar_virt_to_phys(const void *address)
{
	return virt_to_phys((volatile void *)address);
}

void ringbar_memset_io(void __iomem *address, int value, size_t length)
{
	memset_io(address, value, length);
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
