// SPDX-License-Identifier: GPL-2.0-only
#include "shim.h"

int mapping_io_remap_pfn_range(struct vm_area_struct *vma, unsigned long address,
			       unsigned long pfn, unsigned long size, pgprot_t prot)
{
	return io_remap_pfn_range(vma, address, pfn, size, prot);
}

pgprot_t mapping_pgprot_noncached(pgprot_t prot)
{
	return pgprot_noncached(prot);
}

pgprot_t mapping_pgprot_writecombine(pgprot_t prot)
{
	return pgprot_writecombine(prot);
}

pgprot_t mapping_pgprot_device(pgprot_t prot)
{
	return pgprot_device(prot);
}

unsigned long mapping_pgprot_cache_bits(pgprot_t prot)
{
#ifdef CONFIG_ARM64
	return pgprot_val(prot) & PTE_ATTRINDX_MASK;
#else
	return pgprot_val(prot) & _PAGE_CACHE_MASK;
#endif
}

bool mapping_read_implies_exec(void)
{
	return current->personality & READ_IMPLIES_EXEC;
}

bool mapping_in_compat_syscall(void)
{
	return in_compat_syscall();
}

bool mapping_fatal_signal_pending(void)
{
	return fatal_signal_pending(current);
}

phys_addr_t mapping_virt_to_phys(const void *address)
{
	return virt_to_phys((volatile void *)address);
}

#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
int mapping_init_srcu(struct srcu_struct *srcu)
{
	return init_srcu_struct(srcu);
}

int mapping_srcu_read_lock(struct srcu_struct *srcu)
{
	return srcu_read_lock(srcu);
}

void mapping_srcu_read_unlock(struct srcu_struct *srcu, int index)
{
	srcu_read_unlock(srcu, index);
}

void mapping_mb(void)
{
	mb();
}
#endif
