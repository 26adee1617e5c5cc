/* memmap.def as constants: MEMMAP_uart_gpa, MEMMAP_uart_len, MEMMAP_uart_irq. */
#pragma once

#include <stdint.h>

enum {
#define MEMMAP(name, gpa, len, irq, help) MEMMAP_##name##_irq = irq,
#include "runtime/system/memmap.def"
#undef MEMMAP
};

#define MEMMAP(name, gpa, len, irq, help)                                                          \
    static const uint64_t MEMMAP_##name##_gpa __attribute__((unused)) = gpa,                       \
                                              MEMMAP_##name##_len __attribute__((unused)) = len;
#include "runtime/system/memmap.def"
#undef MEMMAP
