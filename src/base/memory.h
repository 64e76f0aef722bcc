/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

/* Bytes of memory that this machine has, or that its container (cgroup) may use if that
 * is less. For refusing what cannot fit: the system hands out more memory than there is
 * and ends processes later. Infinity where it is not known. */
double memory_total(void);

/* From now on blocks of so many bytes and more are given back to the system when they are
 * freed. The C library learns from the first large block that is freed to keep all up to
 * 32 MiB, in each thread's arena. Before other threads start. */
void memory_return_blocks(int bytes);

/* Gives back to the system what was freed, after much was. Takes milliseconds. */
void memory_trim(void);

#endif
