/* The C library on strings of 10 to 200 bytes. Its native versions use wide vectors. */
#include <string.h>

#include "bench.h"

enum { COUNT = 256, ROOM = 256, ROUNDS = 6000 };

static char text[COUNT][ROOM], copy[ROOM * 2];

int main(void)
{
    uint64_t random = 5, sum = 0;

    for (int i = 0; i < COUNT; i++) {
        size_t len = 10 + bench_random(&random) % 190;

        /* Long common beginnings, so that comparisons have to go far. */
        for (size_t k = 0; k < len; k++)
            text[i][k] = (char)(k + 5 < len ? 'a' + k % 23 : 'a' + bench_random(&random) % 26);
    }
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < COUNT; i++) {
            const char *a = text[i], *b = text[(i + round) % COUNT];
            const char *at = strchr(a, 'x');
            size_t len = strlen(a);

            strcpy(copy, a);
            strcat(copy, b);
            sum += (uint64_t)(strcmp(a, b) < 0) + (uint64_t)(memcmp(copy, b, 10) == 0);
            sum += len + (at ? (uint64_t)(at - a) : 1000);
            memmove(copy + 3, copy, len);
            memset(copy, 'a' + i % 26, 8);
            sum = bench_mix(sum, (uint64_t)copy[len - 1] + (memchr(copy, '?', len) == NULL));
        }
    return bench_done("strlib", sum);
}
