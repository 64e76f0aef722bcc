/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Directories in MODELS/NAME in which a version is made before it is renamed to its
 * number, and the removal of those that were left: by writers that were killed (names of
 * processes that are not there any more, a minute after the last change, since a process
 * may be another container's; all of them after an hour), and by this process where a
 * disk failed.
 */
#ifndef MODEL_STAGING_H
#define MODEL_STAGING_H

/* A new one, after what was left has been removed; free() its name. NULL and errno. */
char *staging_make(const char *directory);
/* Removes it, now or before the next one is made. */
void staging_discard(const char *path);

#endif
