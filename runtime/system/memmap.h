/* memmap.def as constants: MEMMAP_uart_gpa, MEMMAP_uart_len, MEMMAP_uart_irq. */
#pragma once

#include <stdint.h>

#include "dbt/base/bits.h"

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

/* PCI memory that 32 bits do not reach: behind RAM, aligned to its size, as QEMU's `virt` has it.
 */
static const uint64_t memmap_pci_high_len = UINT64_C(16) << 30;

static inline uint64_t memmap_pci_high_gpa(uint64_t ram_len)
{
    return align_up(MEMMAP_ram_gpa + ram_len, memmap_pci_high_len);
}
