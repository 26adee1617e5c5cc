/* A file in memory, written and read in pieces: copies by the kernel. */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

enum { BYTES = 6000, PIECES = 100, ROUNDS = 250 };

static uint8_t buffer[BYTES];

int main(void)
{
    int file = memfd_create("bench", 0);
    uint64_t random = 79, sum = 0;

    for (int i = 0; i < BYTES; i++)
        buffer[i] = (uint8_t)bench_random(&random);
    for (int round = 0; round < ROUNDS; round++) {
        lseek(file, 0, SEEK_SET);
        for (int i = 0; i < PIECES; i++) {
            buffer[i] ^= (uint8_t)round;
            if (write(file, buffer, BYTES) != BYTES)
                return 1;
        }
        lseek(file, 0, SEEK_SET);
        for (int i = 0; i < PIECES; i++) {
            if (read(file, buffer, BYTES) != BYTES)
                return 1;
            sum = bench_mix(sum, buffer[i]);
        }
    }
    return bench_done("files", sum);
}
