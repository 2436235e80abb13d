/* SPDX-License-Identifier: GPL-2.0-only */
/* Inline functions and macros that Rust cannot reach, one line each. */
#ifndef MAPPING_SHIM_H
#define MAPPING_SHIM_H

#include <linux/compat.h>
#include <linux/io.h>
#include <linux/mm.h>
#include <linux/personality.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/srcu.h>
#include <linux/version.h>

int mapping_io_remap_pfn_range(struct vm_area_struct *vma, unsigned long address,
			       unsigned long pfn, unsigned long size, pgprot_t prot);
pgprot_t mapping_pgprot_noncached(pgprot_t prot);
pgprot_t mapping_pgprot_writecombine(pgprot_t prot);
pgprot_t mapping_pgprot_device(pgprot_t prot);
unsigned long mapping_pgprot_cache_bits(pgprot_t prot);
bool mapping_read_implies_exec(void);
bool mapping_in_compat_syscall(void);
bool mapping_fatal_signal_pending(void);
phys_addr_t mapping_virt_to_phys(const void *address);
#if LINUX_VERSION_CODE < KERNEL_VERSION(7, 3, 0)
int mapping_init_srcu(struct srcu_struct *srcu);
int mapping_srcu_read_lock(struct srcu_struct *srcu);
void mapping_srcu_read_unlock(struct srcu_struct *srcu, int index);
void mapping_mb(void);
#endif

#endif
