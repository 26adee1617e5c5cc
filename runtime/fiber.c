#define _GNU_SOURCE
#include "runtime/fiber.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "dbt/base/bits.h"

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
#endif
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

/* As threads have them. */
enum { STACK_BYTES = 8 << 20, GUARD_BYTES = 1 << 16 };

/* What a function call keeps (System V ABI, AMD64, 3.2.1): six registers, the control bits of MXCSR
 * and of the x87. */
struct saved {
    uint32_t mxcsr, x87_control;
    uint64_t r15, r14, r13, r12, rbp, rbx;
    uint64_t return_to;
};

void fiber_swap_stacks(void **sp_of_self, void *to_sp);
__asm__(".text\n"
        ".globl fiber_swap_stacks\n"
        ".type fiber_swap_stacks, @function\n"
        "fiber_swap_stacks:\n"
        "    push %rbx\n"
        "    push %rbp\n"
        "    push %r12\n"
        "    push %r13\n"
        "    push %r14\n"
        "    push %r15\n"
        "    sub $8, %rsp\n"
        "    stmxcsr (%rsp)\n"
        "    fnstcw 4(%rsp)\n"
        "    mov %rsp, (%rdi)\n"
        "    mov %rsi, %rsp\n"
        "    ldmxcsr (%rsp)\n"
        "    fldcw 4(%rsp)\n"
        "    add $8, %rsp\n"
        "    pop %r15\n"
        "    pop %r14\n"
        "    pop %r13\n"
        "    pop %r12\n"
        "    pop %rbp\n"
        "    pop %rbx\n"
        "    ret\n"
        ".size fiber_swap_stacks, . - fiber_swap_stacks\n");

/* ---- What sanitizers are told ---------------------------------------------------------------- */

static void tell_of_switch(struct fiber *self, struct fiber *to)
{
#if defined(__SANITIZE_THREAD__)
    if (!self->tsan)
        self->tsan = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(to->tsan, 0);
#endif
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&self->asan, to->stack, to->stack_bytes);
#endif
    (void)self, (void)to;
}

/* On the new stack. The thread's own is known when it is left first. */
static void tell_of_arrival(struct fiber *self)
{
#if defined(__SANITIZE_ADDRESS__)
    const void *bottom;
    size_t bytes;

    __sanitizer_finish_switch_fiber(self->asan, &bottom, &bytes);
    if (!self->from->stack) {
        self->from->stack = (void *)(uintptr_t)bottom;
        self->from->stack_bytes = bytes;
    }
#endif
    (void)self;
}

/* What lay on it last was never left: the stack of another one that comes to lie here would be full
 * of red zones. */
static void tell_of_end(const struct fiber *f)
{
#if defined(__SANITIZE_THREAD__)
    __tsan_destroy_fiber(f->tsan);
#endif
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(f->stack, f->stack_bytes);
#endif
    (void)f;
}

/* ---- Fibers ------------------------------------------------------------------------------------
 */

void fiber_of_thread(struct fiber *f)
{
    memset(f, 0, sizeof *f);
}

/* Its argument would be in a register, which nobody has set: it was left in rbx. */
_Noreturn static void begin(struct fiber *self)
{
    tell_of_arrival(self);
    self->body(self->arg);
    __builtin_trap();
}

void fiber_begin(void);
__asm__(".text\n"
        ".globl fiber_begin\n"
        ".type fiber_begin, @function\n"
        "fiber_begin:\n"
        "    mov %rbx, %rdi\n"
        "    call *%r12\n"
        ".size fiber_begin, . - fiber_begin\n");

bool fiber_create(struct fiber *f, void (*body)(void *arg), void *arg, struct err *e)
{
    uint8_t *p = mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_STACK, -1, 0);

    if (p != MAP_FAILED && mprotect(p, GUARD_BYTES, PROT_NONE) != 0) {
        munmap(p, STACK_BYTES);
        p = MAP_FAILED;
    }
    if (p == MAP_FAILED)
        return err_set(e, "the host has no memory for a hart's stack: %s", strerror(errno));

    /* As if it had called fiber_swap_stacks() from fiber_begin(), whose stack is aligned. */
    struct saved *top = (struct saved *)(void *)(p + STACK_BYTES - align_up(sizeof *top, 16));

    *f =
        (struct fiber){.sp = top, .stack = p, .stack_bytes = STACK_BYTES, .body = body, .arg = arg};
    *top = (struct saved){
        .rbx = (uintptr_t)f, .r12 = (uintptr_t)begin, .return_to = (uintptr_t)fiber_begin};
    __asm__("stmxcsr %0\n\tfnstcw %1" : "=m"(top->mxcsr), "=m"(top->x87_control));
#if defined(__SANITIZE_THREAD__)
    f->tsan = __tsan_create_fiber(0);
#endif
    return true;
}

void fiber_destroy(struct fiber *f)
{
    if (!f->body)
        return;
    tell_of_end(f);
    munmap(f->stack, f->stack_bytes);
    f->body = NULL;
}

void fiber_switch(struct fiber *self, struct fiber *to)
{
    to->from = self;
    tell_of_switch(self, to);
    fiber_swap_stacks(&self->sp, to->sp);
    tell_of_arrival(self);
}
