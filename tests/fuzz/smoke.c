/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small deterministic fuzzer for every build and compiler: links a fuzz target, feeds
 * it each file of its corpus, then seeded mutations of them. Finds little that libFuzzer
 * would not, but runs in `make test` and says the same each time:
 *
 *     fuzz_csv tests/fuzz/corpus/csv [RUNS]
 */
#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "nn/rng.h"

enum { RUNS = 20000, ENTRIES_MAX = 256, INPUT_MAX = 8192, SECONDS_MAX = 300 };

struct input {
    size_t size;
    uint8_t bytes[INPUT_MAX];
};

static struct input corpus[ENTRIES_MAX];
static size_t entries;
static struct input current; /* for the report of a crash */

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

static void load_corpus(const char *folder)
{
    struct dirent **names;
    int count = scandir(folder, &names, visible, alphasort);
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]->d_name);
        FILE *file = fopen(path, "rb");
        if (file != NULL && entries < ENTRIES_MAX) {
            struct input *entry = &corpus[entries++];
            entry->size = fread(entry->bytes, 1, INPUT_MAX, file);
        }
        if (file != NULL) {
            fclose(file);
        }
        free(names[i]);
    }
    if (count >= 0) {
        free(names);
    }
    if (entries == 0) {
        fprintf(stderr, "%s: no corpus there\n", folder);
        exit(2);
    }
}

/* Replaces `removed` bytes at `at` by `size` others, as far as there is room. */
static void splice(struct input *input, size_t at, size_t removed, const uint8_t *bytes,
                   size_t size)
{
    size_t tail = input->size - at - removed;
    if (at + size + tail > INPUT_MAX) {
        return;
    }
    memmove(input->bytes + at + size, input->bytes + at + removed, tail);
    memcpy(input->bytes + at, bytes, size);
    input->size = at + size + tail;
}

static uint8_t random_byte(struct rng *rng)
{
    static const uint8_t telling[] =
        "\0\x01\x7f\x80\xff\n\r\t \",;:=()[]{}'\\/0123456789+-.eE";
    return rng_below(rng, 2) == 0 ? (uint8_t)rng_next(rng)
                                  : telling[rng_below(rng, sizeof telling - 1)];
}

static void mutate(struct input *input, struct rng *rng)
{
    size_t at = rng_below(rng, input->size + 1);
    size_t rest = input->size - at;
    size_t some = rest == 0 ? 0 : 1 + rng_below(rng, rest < 16 ? rest : 16);
    const struct input *other = &corpus[rng_below(rng, entries)];
    size_t from = rng_below(rng, other->size + 1);
    size_t left = other->size - from;
    size_t part = left == 0 ? 0 : 1 + rng_below(rng, left < 64 ? left : 64);
    uint8_t byte = random_byte(rng);
    uint8_t copy[64];
    memcpy(copy, other->bytes + from, part);
    switch (rng_below(rng, 6)) {
    case 0:
        splice(input, at, rest > 0, &byte, 1);
        break;
    case 1:
        splice(input, at, 0, &byte, 1);
        break;
    case 2:
        splice(input, at, some, &byte, 0);
        break;
    case 3:
        splice(input, at, some, copy, part);
        break;
    case 4:
        splice(input, at, 0, copy, part);
        break;
    default:
        input->size = rng_below(rng, 4) == 0 ? at : input->size;
        break;
    }
}

/* On an address of its own size, so that a sanitizer sees a read behind its end. */
static void run(const struct input *input)
{
    uint8_t *bytes = malloc(input->size + (input->size == 0));
    if (bytes == NULL) {
        exit(2);
    }
    memcpy(bytes, input->bytes, input->size);
    LLVMFuzzerTestOneInput(bytes, input->size);
    free(bytes);
}

/* Leaves the input that crashed or hung behind; only calls that a handler may make. */
static void report(int signal_number)
{
    static const char message[] = "\ncrashed or hung on the input written to stdout\n";
    ssize_t done = write(STDERR_FILENO, message, sizeof message - 1);
    done = write(STDOUT_FILENO, current.bytes, current.size);
    (void)done;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s CORPUS [RUNS]\n", argv[0]);
        return 2;
    }
    load_corpus(argv[1]);
    signal(SIGABRT, report);
    signal(SIGSEGV, report);
    signal(SIGALRM, report);
    alarm(SECONDS_MAX);
    for (size_t i = 0; i < entries; i++) {
        current = corpus[i];
        run(&current);
    }
    struct rng rng;
    rng_init(&rng, 1, 0);
    size_t runs = argc > 2 ? strtoul(argv[2], NULL, 10) : RUNS;
    for (size_t i = 0; i < runs; i++) {
        current = corpus[rng_below(&rng, entries)];
        for (size_t changes = 1 + rng_below(&rng, 6); changes > 0; changes--) {
            mutate(&current, &rng);
        }
        run(&current);
    }
    printf("%s: %zu inputs and %zu mutations\n", argv[0], entries, runs);
    return 0;
}
