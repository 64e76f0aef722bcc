/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory.h"

#include <malloc.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The number in the file; infinity where it holds none ("max") or is not there. */
static double read_limit(const char *path)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return (double)INFINITY;
    }
    char text[32] = "";
    bool read = fgets(text, sizeof text, file) != NULL;
    fclose(file);
    unsigned long long bytes = read ? strtoull(text, NULL, 10) : 0;
    return bytes > 0 ? (double)bytes : (double)INFINITY;
}

double memory_total(void)
{
    long pages = sysconf(_SC_PHYS_PAGES), size = sysconf(_SC_PAGESIZE);
    double machine =
        pages > 0 && size > 0 ? (double)pages * (double)size : (double)INFINITY;
    return fmin(machine, read_limit("/sys/fs/cgroup/memory.max"));
}

void memory_return_blocks(int bytes)
{
#ifdef __GLIBC__
    mallopt(M_MMAP_THRESHOLD, bytes);
    mallopt(M_TRIM_THRESHOLD, 2 * bytes); /* the ratio that the library keeps, too */
#else
    (void)bytes;
#endif
}

void memory_trim(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
}
