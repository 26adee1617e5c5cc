/* An executable of RISC-V, of segments that may be read, written and executed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct elf_segment {
    uint64_t address;
    const void *bytes;
    size_t len, len_in_memory; /* the rest is zeros */
};

/* False, with errno, if the file cannot be written. */
bool elf_write(const char *path, uint64_t entry, const struct elf_segment *segment, unsigned n);
