/* Host code as text, for -d out_asm and the tests of the emitter. */
#include <capstone/capstone.h>
#include <inttypes.h>

#include "backend-x86_64/x64.h"

static void print_marks(FILE *out, const struct x64_unit *map, uint32_t at)
{
    if (!map)
        return;
    for (unsigned k = 0; k < map->n_map; k++)
        if (map->map[k].host == at)
            fprintf(out, "  ; +0x%03" PRIx32 "\n", map->map[k].guest);
}

void x64_disasm(FILE *out, const uint8_t *code, size_t first, size_t len_bytes,
                const struct x64_unit *map)
{
    csh handle;
    cs_insn *insn;
    const size_t end = first + len_bytes;
    size_t at = first;

    if (cs_open(CS_ARCH_X86, CS_MODE_64, &handle) != CS_ERR_OK) {
        fprintf(out, "  (capstone does not start)\n");
        return;
    }
    while (at < end) {
        print_marks(out, map, (uint32_t)at);
        if (cs_disasm(handle, code + at, end - at, at, 1, &insn) != 1) {
            fprintf(out, "  %04zx  .byte 0x%02x\n", at, code[at]);
            at++;
            continue;
        }
        fprintf(out, "  %04zx  %s %s\n", at, insn->mnemonic, insn->op_str);
        at += insn->size;
        cs_free(insn, 1);
    }
    cs_close(&handle);
}
