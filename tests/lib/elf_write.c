#include "tests/lib/elf_write.h"

#include <elf.h>
#include <stdio.h>
#include <string.h>

#include "dbt/base/check.h"

enum { PAGE = 4096, MAX_SEGMENTS = 8, DOUBLES_IN_REGISTERS = 4 };

/* Where a segment stands in the file behind `at`: as far into a page as in memory, for mmap. */
static uint64_t place(uint64_t at, uint64_t address)
{
    return at + ((address - at) & (PAGE - 1));
}

static bool put(FILE *f, uint64_t offset, const void *bytes, size_t len)
{
    return fseek(f, (long)offset, SEEK_SET) == 0 && fwrite(bytes, 1, len, f) == len;
}

bool elf_write(const char *path, uint64_t entry, const struct elf_segment *segment, unsigned n)
{
    Elf64_Ehdr eh = {
        .e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
        .e_type = ET_EXEC,
        .e_machine = EM_RISCV,
        .e_version = EV_CURRENT,
        .e_entry = entry,
        .e_phoff = sizeof(eh),
        .e_flags = DOUBLES_IN_REGISTERS,
        .e_ehsize = sizeof(eh),
        .e_phentsize = sizeof(Elf64_Phdr),
        .e_phnum = (uint16_t)n};
    uint64_t at = PAGE;
    FILE *f = fopen(path, "wb");
    bool ok;

    CHECK(n <= MAX_SEGMENTS);
    if (!f)
        return false;
    ok = put(f, 0, &eh, sizeof(eh));
    for (unsigned k = 0; k < n && ok; k++) {
        const struct elf_segment *s = &segment[k];
        uint64_t offset = place(at, s->address);
        const Elf64_Phdr ph = {.p_type = PT_LOAD,
                               .p_flags = PF_R | PF_W | PF_X,
                               .p_offset = offset,
                               .p_vaddr = s->address,
                               .p_paddr = s->address,
                               .p_filesz = s->len,
                               .p_memsz = s->len_in_memory,
                               .p_align = PAGE};

        ok = put(f, sizeof(eh) + k * sizeof(ph), &ph, sizeof(ph)) &&
             put(f, offset, s->bytes, s->len);
        at = offset + s->len;
    }
    return fclose(f) == 0 && ok;
}
