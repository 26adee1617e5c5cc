/*
 * What floating point means: IEEE 754-2019 binary32 and binary64 as RISC-V's F
 * and D extensions narrow it, in integer arithmetic only. The interpreter calls
 * these functions, the constant folder calls them, the back end's fix-ups call
 * them, and the back end's own code is tested against them.
 *
 * Where IEEE 754 leaves a choice, RISC-V has made it:
 *   - a NaN result is the canonical NaN, whatever the operands carried;
 *   - tininess is detected after rounding;
 *   - infinity times zero plus a quiet NaN raises invalid;
 *   - a conversion to integer saturates, and a NaN converts to the largest value.
 *
 * A value is its bits: binary32 in a uint32_t, binary64 in a uint64_t. NaN boxing
 * belongs to the front end. Bits are ORed into *flags, never cleared; they have
 * the places of fcsr.fflags. A mode has the number of fcsr.frm; the caller has
 * resolved DYN and refused the reserved ones.
 */
#pragma once

#include <stdint.h>

enum ir_rm {
    IR_RM_RNE = 0, /* To nearest, ties to even. */
    IR_RM_RTZ = 1, /* Towards zero. */
    IR_RM_RDN = 2, /* Down, towards minus infinity. */
    IR_RM_RUP = 3, /* Up, towards plus infinity. */
    IR_RM_RMM = 4, /* To nearest, ties to the larger magnitude. */
};

enum {
    IR_FP_NX = 1,  /* Inexact. */
    IR_FP_UF = 2,  /* Underflow. */
    IR_FP_OF = 4,  /* Overflow. */
    IR_FP_DZ = 8,  /* Divide by zero. */
    IR_FP_NV = 16, /* Invalid operation. */
};

#define IR_F32_NAN UINT32_C(0x7fc00000)
#define IR_F64_NAN UINT64_C(0x7ff8000000000000)

/* ---- Any thread, at any time: nothing here has state ---------------------- */

uint32_t ir_f32_add(uint32_t a, uint32_t b, enum ir_rm rm, uint32_t *flags);
uint32_t ir_f32_sub(uint32_t a, uint32_t b, enum ir_rm rm, uint32_t *flags);
uint32_t ir_f32_mul(uint32_t a, uint32_t b, enum ir_rm rm, uint32_t *flags);
uint32_t ir_f32_div(uint32_t a, uint32_t b, enum ir_rm rm, uint32_t *flags);
uint32_t ir_f32_sqrt(uint32_t a, enum ir_rm rm, uint32_t *flags);

uint64_t ir_f64_add(uint64_t a, uint64_t b, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_sub(uint64_t a, uint64_t b, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_mul(uint64_t a, uint64_t b, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_div(uint64_t a, uint64_t b, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_sqrt(uint64_t a, enum ir_rm rm, uint32_t *flags);

/* a * b + c, rounded once. The other three of the family flip signs of operands. */
uint32_t ir_f32_fma(uint32_t a, uint32_t b, uint32_t c, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_fma(uint64_t a, uint64_t b, uint64_t c, enum ir_rm rm, uint32_t *flags);

/* minimumNumber and maximumNumber: a NaN loses to a number, -0 is below +0. */
uint32_t ir_f32_min(uint32_t a, uint32_t b, uint32_t *flags);
uint32_t ir_f32_max(uint32_t a, uint32_t b, uint32_t *flags);
uint64_t ir_f64_min(uint64_t a, uint64_t b, uint32_t *flags);
uint64_t ir_f64_max(uint64_t a, uint64_t b, uint32_t *flags);

/* 1 or 0; 0 when either is a NaN. Of quiet NaNs only lt and le complain. */
int ir_f32_eq(uint32_t a, uint32_t b, uint32_t *flags);
int ir_f32_lt(uint32_t a, uint32_t b, uint32_t *flags);
int ir_f32_le(uint32_t a, uint32_t b, uint32_t *flags);
int ir_f64_eq(uint64_t a, uint64_t b, uint32_t *flags);
int ir_f64_lt(uint64_t a, uint64_t b, uint32_t *flags);
int ir_f64_le(uint64_t a, uint64_t b, uint32_t *flags);

/* The ten-bit mask of FCLASS, of which one bit is set. */
uint32_t ir_f32_class(uint32_t a);
uint32_t ir_f64_class(uint64_t a);

/* The whole result register: the i32 and the u32 are both sign-extended from bit 31. */
uint64_t ir_f32_to_i32(uint32_t a, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f32_to_u32(uint32_t a, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f32_to_i64(uint32_t a, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f32_to_u64(uint32_t a, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_to_i32(uint64_t a, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_to_u32(uint64_t a, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_to_i64(uint64_t a, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_to_u64(uint64_t a, enum ir_rm rm, uint32_t *flags);

/* The whole source register, of which i32 and u32 see the low 32 bits. */
uint32_t ir_f32_from_i32(uint64_t n, enum ir_rm rm, uint32_t *flags);
uint32_t ir_f32_from_u32(uint64_t n, enum ir_rm rm, uint32_t *flags);
uint32_t ir_f32_from_i64(uint64_t n, enum ir_rm rm, uint32_t *flags);
uint32_t ir_f32_from_u64(uint64_t n, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_from_i32(uint64_t n, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_from_u32(uint64_t n, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_from_i64(uint64_t n, enum ir_rm rm, uint32_t *flags);
uint64_t ir_f64_from_u64(uint64_t n, enum ir_rm rm, uint32_t *flags);

/* Widening is exact and takes no mode. */
uint64_t ir_f32_to_f64(uint32_t a, uint32_t *flags);
uint32_t ir_f64_to_f32(uint64_t a, enum ir_rm rm, uint32_t *flags);
