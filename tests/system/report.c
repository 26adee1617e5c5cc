#include "tests/system/report.h"

#include "tests/system/telling.h"

enum { BEFORE = 12, BEHIND = 8 }; /* tokens that are shown */

static void put_insns(const struct sys_program *p, uint32_t at, uint32_t len)
{
    for (uint32_t end = at + len; at < end;) {
        uint32_t word = 0;
        char text[96];
        unsigned n = 2;

        memcpy(&word, p->code + at, 2);
        n = rv_len_bytes((uint16_t)word);
        memcpy(&word, p->code + at, n);
        rv_disasm(word, at, text, sizeof(text));
        printf("        %05x  %08x  %s\n", at, word, text);
        at += n;
    }
}

void sys_report_program(const struct sys_program *p, const uint16_t *item, unsigned n)
{
    static const char mode[] = "US?M";

    printf("    chunks:");
    for (unsigned c = 0; c < p->header[SYS_H_CHUNKS]; c++)
        printf(" %" PRIx64 "%c", p->header[SYS_H_CHUNK + c] & 0xffff,
               mode[p->header[SYS_H_CHUNK + c] >> 32 & 3]);
    printf("\n");
    for (unsigned k = 0; k < n; k++) {
        const struct sys_item *i = &p->item[item[k]];

        printf("    item %u%s%s\n", item[k], i->what ? ": " : "", i->what ? i->what : "");
        put_insns(p, i->at, i->len);
    }
}

static const char *csr_name(uint64_t number)
{
    static const char *const name[] = {
#define SYS_CSR(name, number) #name,
#include "tests/system/csr.def"
#undef SYS_CSR
        "mip",
    };

    return number - SYS_FIRST_CSR <= SYS_N_CSR ? name[number - SYS_FIRST_CSR] : "?";
}

static const char *name_of(unsigned char letter, char *text, size_t len)
{
    switch (letter) {
    case 'T': return "\n      trap to M: cause";
    case 'S': return "\n      trap to S: cause";
    case 'e': return "epc";
    case 'v': return "tval";
    case 's': return "status";
    case 'W': return "entry";
    case 'c': return "fcsr";
    case 'N': return "\n      chunk";
    case 'G': return "\n      goto";
    case '=': return "is";
    case 'A': return "\n      memory from";
    case 'd': return "digest";
    case 'P': return "\n      end of";
    case 'D': return "digest";
    case '#': return "traps";
    default: break;
    }
    if (letter >= 160 && letter < 192)
        snprintf(text, len, "f%u", letter - 160);
    else if (letter >= 128 && letter < 160)
        snprintf(text, len, "x%u", letter - 128);
    else
        snprintf(text, len, "%c", letter);
    return text;
}

static void put_tokens(const char *text, size_t from, size_t to)
{
    for (size_t at = from; at < to && at + TOKEN <= strlen(text); at += TOKEN) {
        uint64_t value = token_value(text, at);
        char name[16];

        if (text[at] == 'C') {
            printf("\n      %s", csr_name(value));
            continue;
        }
        printf(" %s %" PRIx64, name_of((unsigned char)text[at], name, sizeof(name)), value);
    }
    printf("\n");
}

void sys_report_difference(const char *name_a, const char *a, const char *name_b, const char *b)
{
    size_t same = same_tokens(a, b), from;

    from = same > BEFORE * TOKEN ? same - BEFORE * TOKEN : 0;
    if (!a[same] && !b[same]) {
        printf("    the same when every trap is told\n");
        return;
    }
    printf("    both:");
    put_tokens(a, from, same);
    printf("    %s:", name_a);
    put_tokens(a, same, same + BEHIND * TOKEN);
    printf("    %s:", name_b);
    put_tokens(b, same, same + BEHIND * TOKEN);
}
