/* Writes machine code of the machine it runs on, for the kernels that make their
 * own: functions of the shape `uint64_t f(uint64_t a, uint64_t b, uint64_t *memory)`
 * on four registers, with the same meaning on riscv64 and x86-64. */
#pragma once

#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

typedef uint64_t emitted(uint64_t a, uint64_t b, uint64_t *memory);

struct emit {
    uint8_t *at;
};

/* NULL when the operating system gives no such memory. */
static inline void *emit_memory(size_t bytes)
{
    void *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    return memory == MAP_FAILED ? NULL : memory;
}

#ifdef __riscv

enum emit_reg { EMIT_A = 10, EMIT_B, EMIT_MEMORY, EMIT_C, EMIT_D };

static inline void emit_word(struct emit *e, uint32_t word)
{
    memcpy(e->at, &word, 4);
    e->at += 4;
}

static inline void emit_op(struct emit *e, uint32_t base, enum emit_reg d, enum emit_reg s)
{
    emit_word(e, base | (uint32_t)s << 20 | (uint32_t)d << 15 | (uint32_t)d << 7);
}

static inline void emit_add(struct emit *e, enum emit_reg d, enum emit_reg s)
{
    emit_op(e, 0x33, d, s);
}

static inline void emit_sub(struct emit *e, enum emit_reg d, enum emit_reg s)
{
    emit_op(e, 0x40000033, d, s);
}

static inline void emit_xor(struct emit *e, enum emit_reg d, enum emit_reg s)
{
    emit_op(e, 0x4033, d, s);
}

/* n: 0 to 2047. */
static inline void emit_add_imm(struct emit *e, enum emit_reg d, uint32_t n)
{
    emit_word(e, 0x13 | n << 20 | (uint32_t)d << 15 | (uint32_t)d << 7);
}

static inline void emit_shift_right(struct emit *e, enum emit_reg d, uint32_t n)
{
    emit_word(e, 0x5013 | n << 20 | (uint32_t)d << 15 | (uint32_t)d << 7);
}

/* index: 0 to 255. */
static inline void emit_load(struct emit *e, enum emit_reg d, uint32_t index)
{
    emit_word(e, 0x3003 | index * 8 << 20 | EMIT_MEMORY << 15 | (uint32_t)d << 7);
}

static inline void emit_store(struct emit *e, enum emit_reg s, uint32_t index)
{
    uint32_t offset = index * 8;

    emit_word(e, 0x3023 | offset >> 5 << 25 | (uint32_t)s << 20 | EMIT_MEMORY << 15 |
                     (offset & 31) << 7);
}

/* Skips what follows, up to emit_land(), if the register is zero. */
static inline uint8_t *emit_skip_if_zero(struct emit *e, enum emit_reg s)
{
    emit_word(e, 0x63 | (uint32_t)s << 15);
    return e->at;
}

/* At most 2 KiB after the skip. */
static inline void emit_land(struct emit *e, uint8_t *skip)
{
    uint32_t word, offset = (uint32_t)(e->at - skip) + 4;

    memcpy(&word, skip - 4, 4);
    word |= (offset >> 5 & 63) << 25 | (offset >> 1 & 15) << 8;
    memcpy(skip - 4, &word, 4);
}

static inline void emit_return(struct emit *e)
{
    emit_word(e, 0x8067);
}

/* What was written becomes visible to the fetch. One hart, so the instruction is
 * enough and the system call of __builtin___clear_cache() need not be measured. */
static inline void emit_publish(void)
{
    __asm__ volatile("fence.i" ::: "memory");
}

#else

/* rdi, rsi, rdx, rcx, r8. */
enum emit_reg { EMIT_A = 7, EMIT_B = 6, EMIT_MEMORY = 2, EMIT_C = 1, EMIT_D = 8 };

static inline void emit_byte(struct emit *e, uint32_t byte)
{
    *e->at++ = (uint8_t)byte;
}

static inline void emit_imm32(struct emit *e, uint32_t n)
{
    memcpy(e->at, &n, 4);
    e->at += 4;
}

static inline void emit_op(struct emit *e, uint32_t opcode, uint32_t mod, uint32_t reg, uint32_t rm)
{
    emit_byte(e, 0x48 | reg >> 3 << 2 | rm >> 3);
    emit_byte(e, opcode);
    emit_byte(e, mod << 6 | (reg & 7) << 3 | (rm & 7));
}

static inline void emit_add(struct emit *e, enum emit_reg d, enum emit_reg s)
{
    emit_op(e, 0x01, 3, s, d);
}

static inline void emit_sub(struct emit *e, enum emit_reg d, enum emit_reg s)
{
    emit_op(e, 0x29, 3, s, d);
}

static inline void emit_xor(struct emit *e, enum emit_reg d, enum emit_reg s)
{
    emit_op(e, 0x31, 3, s, d);
}

static inline void emit_add_imm(struct emit *e, enum emit_reg d, uint32_t n)
{
    emit_op(e, 0x81, 3, 0, d);
    emit_imm32(e, n);
}

static inline void emit_shift_right(struct emit *e, enum emit_reg d, uint32_t n)
{
    emit_op(e, 0xc1, 3, 5, d);
    emit_byte(e, n);
}

static inline void emit_load(struct emit *e, enum emit_reg d, uint32_t index)
{
    emit_op(e, 0x8b, 2, d, EMIT_MEMORY);
    emit_imm32(e, index * 8);
}

static inline void emit_store(struct emit *e, enum emit_reg s, uint32_t index)
{
    emit_op(e, 0x89, 2, s, EMIT_MEMORY);
    emit_imm32(e, index * 8);
}

static inline uint8_t *emit_skip_if_zero(struct emit *e, enum emit_reg s)
{
    emit_op(e, 0x85, 3, s, s);
    emit_byte(e, 0x0f);
    emit_byte(e, 0x84);
    emit_imm32(e, 0);
    return e->at;
}

static inline void emit_land(struct emit *e, uint8_t *skip)
{
    uint32_t offset = (uint32_t)(e->at - skip);

    memcpy(skip - 4, &offset, 4);
}

static inline void emit_return(struct emit *e)
{
    emit_op(e, 0x89, 3, EMIT_A, 0);
    emit_byte(e, 0xc3);
}

/* The processor watches its own stores. */
static inline void emit_publish(void)
{
}

#endif
