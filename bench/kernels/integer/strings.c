/* In the manner of dhrystone: records copied and compared, short strings
 * handled byte by byte and through the C library, small calls, branches. */
#include <string.h>

#include "bench.h"

enum { ROUNDS = 4000000 };

struct record {
    struct record *next;
    int kind;
    int count;
    char name[32];
};

static struct record first, second;

__attribute__((noinline)) static int classify(char a, char b)
{
    return a == b ? 0 : a < b ? 1 : 2;
}

__attribute__((noinline)) static void set_name(struct record *r, const char *text, int n)
{
    char *p = r->name;

    while (*text)
        *p++ = *text++;
    *p++ = (char)('A' + n % 26);
    *p++ = (char)('A' + n / 26 % 26);
    *p = 0;
}

__attribute__((noinline)) static void advance(struct record *r, int n)
{
    *r->next = *r;
    r->next->count = r->count + n % 5;
    r->next->kind = classify(r->name[20], r->next->name[21]);
    if (strcmp(r->name, r->next->name) > 0)
        r->next->count++;
}

int main(void)
{
    uint64_t sum = 0;

    for (int n = 0; n < ROUNDS; n++) {
        first.next = &second;
        set_name(&first, "SOME STRING OF LENGTH", n);
        advance(&first, n);
        set_name(&second, "SOME STRING OF LENGTH", n + 1);
        first.count = second.count + (strcmp(first.name, second.name) < 0);
        first.count += (int)strlen(second.name) + (memchr(first.name, 'Z', 32) != NULL);
        sum = bench_mix(sum, (uint64_t)(first.count + second.kind));
    }
    return bench_done("strings", sum);
}
