/* SPDX-License-Identifier: Apache-2.0 */
/* Calls that fail when a test wants it: tests/faults/fault_shim.h. */
#include "fault_shim.h"

#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { DESCRIPTORS = 4096 };

static struct fault_control *control;
static const char *folder;
static size_t folder_length;
static _Atomic bool watched[DESCRIPTORS]; /* descriptors of files below the folder */

/* The C library's own, for the shim must not call itself. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

#define REAL(result, name, ...)                   \
    static result (*real)(__VA_ARGS__);           \
    if (real == NULL) {                           \
        *(void **)&real = dlsym(RTLD_NEXT, name); \
    }

__attribute__((constructor)) static void shim_start(void)
{
    const char *path = getenv("FAULT_CONTROL");
    folder = getenv("FAULT_FOLDER");
    folder_length = folder == NULL ? 0 : strlen(folder);
    int file = path == NULL ? -1 : (int)openat(AT_FDCWD, path, O_RDWR | O_CLOEXEC);
    if (file < 0) {
        return;
    }
    void *map = mmap(NULL, FAULT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    control = map == MAP_FAILED ? NULL : map;
}

/* Counts a call; true where it shall fail: errno is set. */
static bool fails(enum fault_class class)
{
    if (control == NULL || atomic_load(&control->armed) == 0) {
        return false;
    }
    int64_t number = atomic_fetch_add(&control->counts[class], 1) + 1;
    int64_t at = atomic_load(&control->at);
    bool chosen = atomic_load(&control->class) == (int64_t) class &&
                  (atomic_load(&control->mode) == FAULT_FROM_THERE_ON ? number >= at
                                                                      : number == at);
    if (chosen) {
        atomic_fetch_add(&control->failed, 1);
        errno = (int)atomic_load(&control->number);
    }
    return chosen;
}

static bool is_watched(int file)
{
    return file >= 0 && file < DESCRIPTORS && atomic_load(&watched[file]);
}

static bool is_below(int directory, const char *path)
{
    if (folder_length == 0) {
        return false;
    }
    if (path[0] != '/') {
        return is_watched(directory);
    }
    return strncmp(path, folder, folder_length) == 0;
}

static int watch(int file, bool below)
{
    if (file >= 0 && file < DESCRIPTORS) {
        atomic_store(&watched[file], below);
    }
    return file;
}

static bool fails_on(enum fault_class class, int file)
{
    return is_watched(file) && fails(class);
}

static bool fails_at(enum fault_class class, int directory, const char *path)
{
    return is_below(directory, path) && fails(class);
}

/* ---- Open and close -----------------------------------------------------------------
 */

static int open_really(int directory, const char *path, int flags, mode_t mode)
{
    REAL(int, "openat64", int, const char *, int, ...)
    bool below = is_below(directory, path);
    if (below && fails(FAULT_OPEN)) {
        return -1;
    }
    return watch(real(directory, path, flags, mode), below);
}

#define OPEN_MODE()                             \
    mode_t mode = 0;                            \
    if ((flags & (O_CREAT | O_TMPFILE)) != 0) { \
        va_list list;                           \
        va_start(list, flags);                  \
        mode = va_arg(list, mode_t);            \
        va_end(list);                           \
    }

int open(const char *path, int flags, ...)
{
    OPEN_MODE()
    return open_really(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    OPEN_MODE()
    return open_really(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
    OPEN_MODE()
    return open_really(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
    OPEN_MODE()
    return open_really(directory, path, flags, mode);
}

int __open_2(const char *path, int flags);
int __open_2(const char *path, int flags)
{
    return open_really(AT_FDCWD, path, flags, 0);
}

int __open64_2(const char *path, int flags);
int __open64_2(const char *path, int flags)
{
    return open_really(AT_FDCWD, path, flags, 0);
}

DIR *opendir(const char *path)
{
    REAL(DIR *, "opendir", const char *)
    return fails_at(FAULT_OPEN, -1, path) ? NULL : real(path);
}

int close(int file)
{
    REAL(int, "close", int)
    watch(file, false);
    return real(file);
}

/* ---- Write and read ------------------------------------------------------------------
 */

/* How much of a write is done before it fails; all of it: no fault. */
static size_t writable(int file, size_t size)
{
    if (!fails_on(FAULT_WRITE, file)) {
        return size;
    }
    return atomic_load(&control->mode) == FAULT_SHORT ? size / 2 : 0;
}

ssize_t write(int file, const void *bytes, size_t size)
{
    REAL(ssize_t, "write", int, const void *, size_t)
    size_t part = writable(file, size);
    return part == 0 && size > 0 ? -1 : real(file, bytes, part);
}

static ssize_t pwrite_really(int file, const void *bytes, size_t size, off_t at)
{
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off_t)
    size_t part = writable(file, size);
    return part == 0 && size > 0 ? -1 : real(file, bytes, part, at);
}

ssize_t pwrite(int file, const void *bytes, size_t size, off_t at)
{
    return pwrite_really(file, bytes, size, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t size, off_t at)
{
    return pwrite_really(file, bytes, size, at);
}

ssize_t writev(int file, const struct iovec *pieces, int count)
{
    REAL(ssize_t, "writev", int, const struct iovec *, int)
    return fails_on(FAULT_WRITE, file) ? -1 : real(file, pieces, count);
}

ssize_t read(int file, void *bytes, size_t size)
{
    REAL(ssize_t, "read", int, void *, size_t)
    return fails_on(FAULT_READ, file) ? -1 : real(file, bytes, size);
}

static ssize_t pread_really(int file, void *bytes, size_t size, off_t at)
{
    REAL(ssize_t, "pread64", int, void *, size_t, off_t)
    return fails_on(FAULT_READ, file) ? -1 : real(file, bytes, size, at);
}

ssize_t pread(int file, void *bytes, size_t size, off_t at)
{
    return pread_really(file, bytes, size, at);
}

ssize_t pread64(int file, void *bytes, size_t size, off_t at)
{
    return pread_really(file, bytes, size, at);
}

static void *mmap_really(void *place, size_t size, int protection, int flags, int file,
                         off_t at)
{
    REAL(void *, "mmap64", void *, size_t, int, int, int, off_t)
    return fails_on(FAULT_READ, file) ? MAP_FAILED
                                      : real(place, size, protection, flags, file, at);
}

void *mmap(void *place, size_t size, int protection, int flags, int file, off_t at)
{
    return mmap_really(place, size, protection, flags, file, at);
}

void *mmap64(void *place, size_t size, int protection, int flags, int file, off_t at)
{
    return mmap_really(place, size, protection, flags, file, at);
}

int fsync(int file)
{
    REAL(int, "fsync", int)
    return fails_on(FAULT_SYNC, file) ? -1 : real(file);
}

int fdatasync(int file)
{
    REAL(int, "fdatasync", int)
    return fails_on(FAULT_SYNC, file) ? -1 : real(file);
}

static int ftruncate_really(int file, off_t size)
{
    REAL(int, "ftruncate64", int, off_t)
    return fails_on(FAULT_TRUNCATE, file) ? -1 : real(file, size);
}

int ftruncate(int file, off_t size)
{
    return ftruncate_really(file, size);
}

int ftruncate64(int file, off_t size)
{
    return ftruncate_really(file, size);
}

/* ---- Names ---------------------------------------------------------------------------
 */

int renameat(int from, const char *old, int to, const char *new)
{
    REAL(int, "renameat", int, const char *, int, const char *)
    return fails_at(FAULT_RENAME, to, new) ? -1 : real(from, old, to, new);
}

int renameat2(int from, const char *old, int to, const char *new, unsigned flags)
{
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned)
    return fails_at(FAULT_RENAME, to, new) ? -1 : real(from, old, to, new, flags);
}

int rename(const char *old, const char *new)
{
    REAL(int, "rename", const char *, const char *)
    return fails_at(FAULT_RENAME, -1, new) ? -1 : real(old, new);
}

int unlink(const char *path)
{
    REAL(int, "unlink", const char *)
    return fails_at(FAULT_REMOVE, -1, path) ? -1 : real(path);
}

int unlinkat(int directory, const char *path, int flags)
{
    REAL(int, "unlinkat", int, const char *, int)
    return fails_at(FAULT_REMOVE, directory, path) ? -1 : real(directory, path, flags);
}

int rmdir(const char *path)
{
    REAL(int, "rmdir", const char *)
    return fails_at(FAULT_REMOVE, -1, path) ? -1 : real(path);
}

int mkdir(const char *path, mode_t mode)
{
    REAL(int, "mkdir", const char *, mode_t)
    return fails_at(FAULT_MKDIR, -1, path) ? -1 : real(path, mode);
}

char *mkdtemp(char *path)
{
    REAL(char *, "mkdtemp", char *)
    return fails_at(FAULT_MKDIR, -1, path) ? NULL : real(path);
}

int mkostemp(char *path, int flags)
{
    REAL(int, "mkostemp64", char *, int)
    bool below = is_below(-1, path);
    return below && fails(FAULT_OPEN) ? -1 : watch(real(path, flags), below);
}

int mkstemp(char *path)
{
    return mkostemp(path, 0);
}

int stat(const char *path, struct stat *out)
{
    REAL(int, "stat", const char *, struct stat *)
    return fails_at(FAULT_LOOK, -1, path) ? -1 : real(path, out);
}

int lstat(const char *path, struct stat *out)
{
    REAL(int, "lstat", const char *, struct stat *)
    return fails_at(FAULT_LOOK, -1, path) ? -1 : real(path, out);
}

int stat64(const char *path, struct stat64 *out)
{
    REAL(int, "stat64", const char *, struct stat64 *)
    return fails_at(FAULT_LOOK, -1, path) ? -1 : real(path, out);
}

int lstat64(const char *path, struct stat64 *out)
{
    REAL(int, "lstat64", const char *, struct stat64 *)
    return fails_at(FAULT_LOOK, -1, path) ? -1 : real(path, out);
}

int access(const char *path, int mode)
{
    REAL(int, "access", const char *, int)
    return fails_at(FAULT_LOOK, -1, path) ? -1 : real(path, mode);
}

/* ---- Locks ---------------------------------------------------------------------------
 */

int flock(int file, int operation)
{
    REAL(int, "flock", int, int)
    return fails_on(FAULT_LOCK, file) ? -1 : real(file, operation);
}

static int fcntl_really(int file, int command, void *argument)
{
    REAL(int, "fcntl64", int, int, ...)
    bool lock = command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK;
    bool unlocks = lock && ((const struct flock *)argument)->l_type == F_UNLCK;
    if (lock && !unlocks && fails_on(FAULT_LOCK, file)) {
        return -1;
    }
    return real(file, command, argument);
}

int fcntl(int file, int command, ...)
{
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return fcntl_really(file, command, argument);
}

int fcntl64(int file, int command, ...)
{
    va_list list;
    va_start(list, command);
    void *argument = va_arg(list, void *);
    va_end(list);
    return fcntl_really(file, command, argument);
}

/* ---- Memory --------------------------------------------------------------------------
 */

static bool memory_fails(void)
{
    if (control == NULL || atomic_load(&control->armed) == 0) {
        return false;
    }
    int64_t thread = atomic_load(&control->thread);
    return (thread == 0 || thread == gettid()) && fails(FAULT_MEMORY);
}

void *malloc(size_t size)
{
    return memory_fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    return memory_fails() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    return memory_fails() ? NULL : __libc_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memory_fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
    void *block = memory_fails() ? NULL : __libc_memalign(alignment, size);
    if (block == NULL) {
        return ENOMEM;
    }
    *out = block;
    return 0;
}
