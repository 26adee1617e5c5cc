/* The byte-wise table, one look-up after the other. */
#include "bench.h"

enum { LENGTH = 1 << 16, ROUNDS = 700 };

static uint32_t table[256];
static uint8_t data[LENGTH];

__attribute__((noinline)) static uint32_t crc32(uint32_t crc, const uint8_t *p, size_t len)
{
    crc = ~crc;
    for (size_t i = 0; i < len; i++)
        crc = crc >> 8 ^ table[(crc ^ p[i]) & 255];
    return ~crc;
}

int main(void)
{
    uint64_t random = 23;
    uint32_t crc = 0;

    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;

        for (int bit = 0; bit < 8; bit++)
            c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
        table[i] = c;
    }
    if (crc32(0, (const uint8_t *)"123456789", 9) != 0xcbf43926)
        return 1;
    for (int i = 0; i < LENGTH; i++)
        data[i] = (uint8_t)bench_random(&random);
    for (int round = 0; round < ROUNDS; round++)
        crc = crc32(crc, data, LENGTH);
    return bench_done("crc32", crc);
}
