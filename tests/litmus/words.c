/* Single words: AMOs are atomic, aligned accesses of 1 to 8 bytes are not torn, and a store touches
 * no byte beside its own. */
#include "tests/litmus/guest.h"

static volatile uint64_t word[8] __attribute__((aligned(LINE)));
static struct barrier barrier __attribute__((aligned(LINE)));
static uint64_t wanted;
static volatile uint64_t wrong, sum_in[MAX_HARTS];

static void count_wrong(uint64_t n)
{
    if (n)
        __atomic_add_fetch(&wrong, n, __ATOMIC_RELAXED);
}

/* ---- AMOs, each by what must come of it ----------------------------------------------- */

/* PLANT: the same in two steps. */
#define AMO(op, width, load, store, p, v, plain)                                                   \
    ({                                                                                             \
        uint64_t old_;                                                                             \
        if (PLANT)                                                                                 \
            __asm__ volatile(load " %0, (%1)\n\tmv t0, %0\n\t" plain "\n\t" store " t0, (%1)"      \
                             : "=&r"(old_)                                                         \
                             : "r"(p), "r"(v)                                                      \
                             : "t0", "memory");                                                    \
        else                                                                                       \
            __asm__ volatile("amo" op "." width " %0, %2, (%1)"                                    \
                             : "=&r"(old_)                                                         \
                             : "r"(p), "r"(v)                                                      \
                             : "memory");                                                          \
        old_;                                                                                      \
    })
#define AMO_D(op, p, v, plain) AMO(op, "d", "ld", "sd", p, v, plain)
#define AMO_W(op, p, v, plain) AMO(op, "w", "lw", "sw", p, v, plain)

/* Word 0: the sum of all. Word 1: who swaps takes what was there, so that in the end everything has
 * been taken but one. Word 2: exclusive ors cancel. Words 3 and 4: each hart has a bit that it
 * alone sets and clears, so it knows what it finds. Words 5 and 6 only grow, or shrink. */
static void amo_d(unsigned index)
{
    uint64_t in = 0, bit = UINT64_C(1) << (index + 30), last_max = 0, last_min = ~UINT64_C(0),
             bad = 0;

    barrier_wait(&barrier, n_harts);
    for (uint64_t i = 1; i <= wanted; i++) {
        uint64_t token = i * MAX_HARTS + index, low, high;

        AMO_D("add", &word[0], token, "add t0, t0, %2");
        in += token - AMO_D("swap", &word[1], token, "mv t0, %2");
        AMO_D("xor", &word[2], token, "xor t0, t0, %2");
        bad += (AMO_D("or", &word[3], bit, "or t0, t0, %2") & bit) != 0;
        bad += (AMO_D("and", &word[3], ~bit, "and t0, t0, %2") & bit) == 0;
        high = AMO_D("maxu", &word[5], token, "bgeu t0, %2, 1f\n\tmv t0, %2\n\t1:");
        low = AMO_D("minu", &word[6], ~token, "bgeu %2, t0, 1f\n\tmv t0, %2\n\t1:");
        bad += high < last_max || low > last_min;
        last_max = high > token ? high : token;
        last_min = low < ~token ? low : ~token;
    }
    sum_in[index] = in;
    count_wrong(bad);
}

/* The same on 32 bits, signed minimum and maximum, while the other halves are stored to. */
static void amo_w(unsigned index)
{
    volatile uint32_t *half = (volatile uint32_t *)word;
    uint32_t bit = 1u << (index % 31), in = 0;
    int32_t last_max = INT32_MIN, last_min = INT32_MAX;
    uint64_t bad = 0;

    barrier_wait(&barrier, n_harts);
    for (uint64_t i = 1; i <= wanted; i++) {
        uint32_t token = (uint32_t)(i * MAX_HARTS + index);
        int32_t signed_token = (int32_t)(token % 0x40000000), high, low;

        AMO_W("add", &half[0], token, "addw t0, t0, %2");
        in += token - (uint32_t)AMO_W("swap", &half[2], token, "mv t0, %2");
        AMO_W("xor", &half[4], token, "xor t0, t0, %2");
        bad += (AMO_W("or", &half[6], bit, "or t0, t0, %2") & bit) != 0;
        bad += (AMO_W("and", &half[6], ~bit, "and t0, t0, %2") & bit) == 0;
        high = (int32_t)AMO_W("max", &half[10], signed_token, "bge t0, %2, 1f\n\tmv t0, %2\n\t1:");
        low = (int32_t)AMO_W("min", &half[12], -signed_token, "bge %2, t0, 1f\n\tmv t0, %2\n\t1:");
        bad += high < last_max || low > last_min;
        last_max = high > signed_token ? high : signed_token;
        last_min = low < -signed_token ? low : -signed_token;
        if (index == i % n_harts)
            half[1] = half[3] = half[5] = half[7] = half[11] = half[13] = (uint32_t)i;
    }
    sum_in[index] = in;
    count_wrong(bad);
}

static uint64_t amo_results(uint64_t mask)
{
    uint64_t in = 0, sum = 0, xored = 0, bad = 0;

    for (unsigned h = 0; h < n_harts; h++) {
        in += sum_in[h];
        for (uint64_t i = 1; i <= wanted; i++) {
            sum += i * MAX_HARTS + h;
            xored ^= i * MAX_HARTS + h;
        }
    }
    bad += ((word[0] ^ sum) & mask) != 0;
    bad += ((word[1] ^ in) & mask) != 0;
    bad += ((word[2] ^ xored) & mask) != 0;
    bad += (word[3] & mask) != 0;
    return bad;
}

static void amos(void)
{
    wanted = rounds_of(4);
    memset((void *)word, 0, sizeof(word));
    word[6] = ~UINT64_C(0);
    wrong = 0;
    run_on_all(amo_d);
    verdict("amo.d", wanted, wrong + amo_results(~UINT64_C(0)), "not what atomic ones leave");
    memset((void *)word, 0, sizeof(word));
    wrong = 0;
    run_on_all(amo_w);
    verdict("amo.w", wanted, wrong + amo_results(0xffffffff), "not what atomic ones leave");
}

/* ---- Torn accesses -------------------------------------------------------------------- */

static volatile uint64_t ended;

/* Writers store a pattern of equal bytes, readers look for two in one value. */
#define TORN(name, type, write, read)                                                              \
    static void name(unsigned index)                                                               \
    {                                                                                              \
        volatile type *p = (volatile type *)&word[1];                                              \
        uint64_t bad = 0;                                                                          \
        barrier_wait(&barrier, n_harts);                                                           \
        if (index % 2) {                                                                           \
            for (uint64_t i = 0; i < wanted; i++) {                                                \
                type value = (type)(UINT64_C(0x0101010101010101) * (i & 0xff));                    \
                if (PLANT) {                                                                       \
                    *(volatile uint8_t *)p = (uint8_t)value;                                       \
                    *((volatile uint8_t *)p + sizeof(type) - 1) = (uint8_t)value;                  \
                } else {                                                                           \
                    write;                                                                         \
                }                                                                                  \
            }                                                                                      \
            __atomic_add_fetch(&ended, 1, __ATOMIC_RELEASE);                                       \
        } else {                                                                                   \
            while (acquire(&ended) < n_harts / 2) {                                                \
                type value;                                                                        \
                read;                                                                              \
                bad += (uint8_t)value != (uint8_t)((uint64_t)value >> (8 * sizeof(type) - 8));     \
                bad += !PLANT && value != (type)(UINT64_C(0x0101010101010101) * (uint8_t)value);   \
            }                                                                                      \
        }                                                                                          \
        count_wrong(bad);                                                                          \
    }

TORN(torn2, uint16_t, *p = value, value = *p)
TORN(torn4, uint32_t, *p = value, value = *p)
TORN(torn8, uint64_t, *p = value, value = *p)
TORN(torn8_fp, uint64_t,
     __asm__ volatile("fmv.d.x ft0, %1\n\tfsd ft0, %0"
                      : "=m"(*p)
                      : "r"(value)
                      : "ft0"),
     __asm__ volatile("fld ft1, %1\n\tfmv.x.d %0, ft1"
                      : "=r"(value)
                      : "m"(*p)
                      : "ft1"))
TORN(torn4_fp, uint32_t,
     __asm__ volatile("fmv.w.x ft0, %1\n\tfsw ft0, %0"
                      : "=m"(*p)
                      : "r"(value)
                      : "ft0"),
     __asm__ volatile("flw ft1, %1\n\tfmv.x.w %0, ft1"
                      : "=r"(value)
                      : "m"(*p)
                      : "ft1"))
TORN(torn8_amo, uint64_t, __atomic_exchange_n(p, value, __ATOMIC_RELAXED), value = *p)
TORN(torn8_lr, uint64_t, *p = value,
     __asm__ volatile("lr.d %0, (%1)"
                      : "=r"(value)
                      : "r"(p)
                      : "memory"))
/* The reader's value is wider than the writer's, and the other way round. */
TORN(torn4_in_8, uint32_t, *p = value, value = (uint32_t) * (volatile uint64_t *)p)

static void torn(const char *name, void (*fn)(unsigned index))
{
    memset((void *)word, 0, sizeof(word));
    wrong = ended = 0;
    wanted = rounds_of(1) * 10;
    run_on_all(fn);
    verdict(name, wanted, wrong, "torn values");
}

/* ---- Neighbours ----------------------------------------------------------------------- */

/* Each hart has a byte, a half and a word of its own among those of the others, and finds there
 * what it stored last. PLANT: it stores the neighbour's too. */
static void neighbours(unsigned index)
{
    volatile uint8_t *byte = (volatile uint8_t *)&word[0] + index % 8;
    volatile uint16_t *half = (volatile uint16_t *)&word[2] + index % 4;
    volatile uint32_t *whole = (volatile uint32_t *)&word[4] + index % 2;
    uint64_t bad = 0;

    barrier_wait(&barrier, n_harts);
    for (uint64_t i = 0; i < wanted && index < 2; i++) {
        *byte = (uint8_t)i;
        *half = (uint16_t)i;
        *whole = (uint32_t)i;
        if (PLANT)
            put64(&word[0], get64(&word[0]));
        delay(i % 4);
        bad += *byte != (uint8_t)i;
        bad += *half != (uint16_t)i;
        bad += *whole != (uint32_t)i;
    }
    count_wrong(bad);
}

void test_words(void)
{
    amos();
    torn("torn.2", torn2);
    torn("torn.4", torn4);
    torn("torn.8", torn8);
    torn("torn.4-float", torn4_fp);
    torn("torn.8-double", torn8_fp);
    torn("torn.8-amo", torn8_amo);
    torn("torn.8-lr", torn8_lr);
    torn("torn.4-in-8", torn4_in_8);
    torn("neighbours", neighbours);
}
