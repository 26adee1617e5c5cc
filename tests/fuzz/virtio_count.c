/* So many random things done to each virtio device, and told: register writes, descriptors, rings.
 *
 *     virtio_count STEPS [SEED [DEVICE...]]
 *
 * Inputs of fuzz_virtio.c of random bytes; a device is done when its steps are. The last line is
 * "N passed, N failed"; a device that fails ends all, and its input lies in out/fuzz/virtio-count.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_virtio.h"

enum { MAX_LEN = 4096 };

static const char *const names[N_KINDS] = {"blk", "blk-read-only", "blk-snapshot", "blk-threads",
                                           "rng", "console",       "net",          "net-able",
                                           "fs",  "fs-threads",    "balloon"};

/* splitmix64 */
static uint64_t next(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void keep(const uint8_t *data, size_t len)
{
    FILE *f = fopen("out/fuzz/virtio-count", "wb");

    CHECK(f && fwrite(data, 1, len, f) == len && fclose(f) == 0 && "out/fuzz can be written");
}

static uint64_t total(void)
{
    uint64_t n = 0;

    for (unsigned i = 0; i < 16; i++)
        n += fuzz_virtio_counts.step[i];
    return n;
}

static void do_device(int kind, uint64_t n_steps, uint64_t seed)
{
    const uint64_t *s = fuzz_virtio_counts.step;

    fuzz_virtio_counts = (struct fuzz_virtio_counts){0};
    fuzz_virtio_only = kind;
    while (total() < n_steps) {
        size_t len = 64 + next(&seed) % (MAX_LEN - 64);
        uint8_t *data = malloc(len); /* of the exact size: a read behind it is seen */

        CHECK(data && "memory for an input");
        for (size_t i = 0; i < len; i++)
            data[i] = (uint8_t)next(&seed);
        data[0] = (uint8_t)kind; /* for the day on which it is replayed */
        keep(data, len);
        LLVMFuzzerTestOneInput(data, len);
        free(data);
    }
    printf(
        "ok    %s: %llu steps: %llu register accesses, %llu descriptors, %llu requests, %llu ring "
        "entries, %llu notifications, %llu starts, %llu resets\n",
        names[kind], (unsigned long long)total(), (unsigned long long)(s[1] + s[2] + s[3]),
        (unsigned long long)(s[4] + s[5] + s[6]), (unsigned long long)(s[7] + s[8]),
        (unsigned long long)(s[9] + s[10] + s[11]), (unsigned long long)s[15],
        (unsigned long long)s[0], (unsigned long long)s[13]);
    fflush(stdout);
}

static bool is_wanted(const char *name, int argc, char **argv)
{
    for (int i = 3; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc <= 3;
}

int main(int argc, char **argv)
{
    uint64_t n_steps = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    unsigned n = 0;

    if (n_steps == 0) {
        fprintf(stderr, "usage: virtio_count STEPS [SEED [DEVICE...]]\n");
        return 1;
    }
    for (int kind = 0; kind < N_KINDS; kind++) {
        if (!is_wanted(names[kind], argc, argv))
            continue;
        do_device(kind, n_steps, seed * N_KINDS + (unsigned)kind);
        n++;
    }
    printf("%u passed, %d failed\n", n, n == 0);
    return n == 0;
}
