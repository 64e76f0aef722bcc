/* SPDX-License-Identifier: Apache-2.0 */
/* Files that may be compressed: the same bytes or the same fault in pieces of any size,
 * and a prefix of what zlib itself makes of it. */
#include <string.h>

#include "memory_file.h"

#include "data/stream.h"

enum { OUT_MAX = 1 << 16 };

/* Returns the bytes that came before the end or the error. */
static size_t read_in_pieces(char *out, const char *path, size_t piece, bool *fine)
{
    struct stream stream;
    struct deepsad_error error = {0};
    size_t total = 0, got = 0, want = 0;
    *fine = stream_open(&stream, path, &error) == DEEPSAD_OK;
    FUZZ_CHECK(*fine);
    do {
        total += got;
        want = OUT_MAX - total < piece ? OUT_MAX - total : piece;
        *fine = stream_read(&stream, out + total, want, &got, &error) == DEEPSAD_OK;
    } while (*fine && got == want && want > 0);
    FUZZ_CHECK(*fine == (error.message[0] == '\0'));
    stream_close(&stream);
    return *fine ? total + got : total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char whole[OUT_MAX], parts[OUT_MAX], path[MEMORY_FILE_PATH];
    bool fine, again;
    memory_file_set(path, data, size);
    size_t one = read_in_pieces(whole, path, OUT_MAX, &fine);
    size_t other = read_in_pieces(parts, path, 1 + 13 * (size % 11), &again);
    FUZZ_CHECK(!fine || (again && one == other && memcmp(whole, parts, one) == 0));
    FUZZ_CHECK(fine || !again || other == OUT_MAX);
    bool packed = size >= 2 && data[0] == 0x1f && data[1] == 0x8b;
    FUZZ_CHECK(packed || (one == size && memcmp(whole, data, size) == 0));
    return 0;
}
