#include "tests/lib/ir_clobber.h"

#include <string.h>

#include "backend-x86_64/x64.h"
#include "dbt/base/check.h"
#include "tests/lib/ir_random.h"

/* All that the System V ABI lets a function lose, but for the result. */
static void lose_registers(void)
{
    __asm__ volatile("movabs $0x5555aaaa5555aaaa, %%rcx\n"
                     "mov %%rcx, %%rdx\n mov %%rcx, %%rsi\n mov %%rcx, %%rdi\n"
                     "mov %%rcx, %%r8\n mov %%rcx, %%r9\n mov %%rcx, %%r10\n mov %%rcx, %%r11\n"
                     "movq %%rcx, %%xmm0\n movq %%rcx, %%xmm1\n movq %%rcx, %%xmm2\n"
                     "movq %%rcx, %%xmm3\n movq %%rcx, %%xmm4\n movq %%rcx, %%xmm5\n"
                     "movq %%rcx, %%xmm6\n movq %%rcx, %%xmm7\n movq %%rcx, %%xmm8\n"
                     "movq %%rcx, %%xmm9\n movq %%rcx, %%xmm10\n movq %%rcx, %%xmm11\n"
                     "movq %%rcx, %%xmm12\n movq %%rcx, %%xmm13\n movq %%rcx, %%xmm14\n"
                     "movq %%rcx, %%xmm15\n" ::
                         : "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "xmm0", "xmm1",
                           "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                           "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "cc");
}

/* The other half, which no compiler uses unasked. */
static void lose_wide_registers(void)
{
    if (x64_n_xmm(0) < 32)
        return;
#define LOSE(n) "vpternlogd $0x55, %%zmm" #n ", %%zmm" #n ", %%zmm" #n "\n"
    __asm__ volatile(LOSE(16) LOSE(17) LOSE(18) LOSE(19) LOSE(20) LOSE(21) LOSE(22) LOSE(23) LOSE(
        24) LOSE(25) LOSE(26) LOSE(27) LOSE(28) LOSE(29) LOSE(30) LOSE(31) "vzeroupper\n" ::);
#undef LOSE
}

static uint64_t load(struct cpu_state *s, uint64_t va, uint8_t aux)
{
    uint64_t v = ir_world_env.load(s, va, aux);

    lose_registers();
    lose_wide_registers();
    return v;
}

static bool store(struct cpu_state *s, uint64_t va, uint8_t aux, uint64_t value)
{
    bool left = ir_world_env.store(s, va, aux, value);

    lose_registers();
    lose_wide_registers();
    return left;
}

#define HELPER(n)                                                                                  \
    static uint64_t helper_##n(struct cpu_state *s, uint64_t k, uint64_t a, uint64_t b,            \
                               uint64_t c)                                                         \
    {                                                                                              \
        uint64_t v = ir_world_helpers[n].fn(s, k, a, b, c);                                        \
                                                                                                   \
        lose_registers();                                                                          \
        lose_wide_registers();                                                                     \
        return v;                                                                                  \
    }
HELPER(0)
HELPER(1)
HELPER(2)
HELPER(3)
HELPER(4)
HELPER(5)
HELPER(6)
HELPER(7)
HELPER(8)

void ir_world_clobber(struct cpu_state *s)
{
    static ir_helper_fn *const helpers[] = {helper_0, helper_1, helper_2, helper_3, helper_4,
                                            helper_5, helper_6, helper_7, helper_8};

    CHECK(ir_world_n_helpers <= sizeof helpers / sizeof helpers[0]);
    for (unsigned k = 0; k < ir_world_n_helpers; k++)
        memcpy(&s->helper[k], &helpers[k], sizeof helpers[k]);
    s->slow_load = load;
    s->slow_store = store;
}
