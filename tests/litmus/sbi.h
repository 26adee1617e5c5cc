/* Calls of the firmware (RISC-V SBI specification 2.0), for the S mode build. */
#pragma once

#include <stdint.h>

enum {
    SBI_TIME = 0x54494d45,
    SBI_IPI = 0x735049,
    SBI_RFENCE = 0x52464e43,
    SBI_HSM = 0x48534d,
    HSM_START = 0,
    HSM_STOP = 1,
    HSM_STATUS = 2,
    HSM_SUSPEND = 3,
    RFENCE_I = 0,
    RFENCE_VMA = 1,
    RFENCE_VMA_ASID = 2,
};

enum { HSM_STARTED, HSM_STOPPED, HSM_START_PENDING, HSM_STOP_PENDING };
enum { SBI_INVALID_PARAM = -3, SBI_INVALID_ADDRESS = -5, SBI_ALREADY_AVAILABLE = -6 };

struct sbi_ret {
    int64_t error;
    uint64_t value;
};

static inline struct sbi_ret sbi(uint64_t extension, uint64_t function, uint64_t x0, uint64_t x1,
                                 uint64_t x2, uint64_t x3, uint64_t x4)
{
    register uint64_t a0 __asm__("a0") = x0;
    register uint64_t a1 __asm__("a1") = x1;
    register uint64_t a2 __asm__("a2") = x2;
    register uint64_t a3 __asm__("a3") = x3;
    register uint64_t a4 __asm__("a4") = x4;
    register uint64_t a6 __asm__("a6") = function;
    register uint64_t a7 __asm__("a7") = extension;

    __asm__ volatile("ecall"
                     : "+r"(a0), "+r"(a1)
                     : "r"(a2), "r"(a3), "r"(a4), "r"(a6), "r"(a7)
                     : "memory");
    return (struct sbi_ret){(int64_t)a0, a1};
}
