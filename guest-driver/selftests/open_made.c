// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has a program that opens a file by name and maps it from its beginning use an
 * open file and a region of it instead, by the name FD:OFFSET.  Linked with
 * -Wl,--wrap=open,--wrap=mmap, so the program's source stays as it is.
 */
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

int __real_open(const char *name, int flags, ...);
int __wrap_open(const char *name, int flags, ...);
void *__real_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset);

/* The open file, and the offset of the region in it. */
static int made = -1;
static off_t region;

int __wrap_open(const char *name, int flags, ...)
{
	int end = 0, mode;
	va_list values;

	if (sscanf(name, "%d:%lli%n", &made, (long long *)&region, &end) == 2 && !name[end])
		return made;

	va_start(values, flags);
	mode = va_arg(values, int);
	va_end(values);
	return __real_open(name, flags, mode);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int file, off_t offset)
{
	if (file >= 0 && file == made)
		offset += region;
	return __real_mmap(address, size, protection, flags, file, offset);
}
