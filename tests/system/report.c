#include "tests/system/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A telling is tokens of a letter, 16 digits and a space: runtime.S, `tell`. */
enum { TOKEN = 18, BEFORE = 12, BEHIND = 8 };

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
        uint64_t value = 0;
        char name[16];

        sscanf(text + at + 1, "%16" SCNx64, &value);
        if (text[at] == 'C') {
            printf("\n      %s", csr_name(value));
            continue;
        }
        printf(" %s %" PRIx64, name_of((unsigned char)text[at], name, sizeof(name)), value);
    }
    printf("\n");
}

static size_t same_tokens(const char *a, const char *b)
{
    size_t same = 0;

    while (a[same] && a[same] == b[same])
        same++;
    return same - same % TOKEN;
}

static uint64_t token(const char *text, size_t at, char letter)
{
    uint64_t value = UINT64_MAX;

    if (at + TOKEN <= strlen(text) && text[at] == letter)
        sscanf(text + at + 1, "%16" SCNx64, &value);
    return value;
}

static bool is_trap(char letter)
{
    return letter == 'T' || letter == 'S';
}

/* PCIe, flash, virtio and fw_cfg are below RAM; more of PCIe is above. */
static bool only_there(uint64_t cause, uint64_t tval)
{
    return (cause == 1 || cause == 5 || cause == 7) && (tval < SYS_RAM || tval >> 34 == 1);
}

static bool ever_there(const char *a)
{
    for (size_t at = 0; at + 3 * TOKEN <= strlen(a); at += TOKEN)
        if (is_trap(a[at]) && only_there(token(a, at, a[at]), token(a, at + 2 * TOKEN, 'v')))
            return true;
    return false;
}

/* It lets UXL be written: programs of 32 bits, from then on. */
static bool ever_narrow(const char *b)
{
    for (size_t at = 0; at + 4 * TOKEN <= strlen(b); at += TOKEN)
        if (b[at] == 'T' && (token(b, at + 3 * TOKEN, 's') >> 32 & 3) != 2)
            return true;
    return false;
}

bool sys_report_is_qemus(const char *a, const char *b)
{
    size_t at = same_tokens(a, b);
    uint64_t cause;

    if (!b[0] || ever_narrow(b))
        return ever_there(a) || ever_narrow(b);
    /* To the beginning of the trap: cause, epc and tval are in a row. */
    for (unsigned n = 0; n < 2 && at >= TOKEN && !is_trap(a[at]) && !is_trap(b[at]); n++)
        at -= TOKEN;
    if (!is_trap(a[at]) && !is_trap(b[at]))
        return false;
    cause = token(a, at, a[at]);
    if (only_there(cause, token(a, at + 2 * TOKEN, 'v')))
        return true;
    /* Its UART ends sooner. */
    if (is_trap(b[at]) && only_there(token(b, at, b[at]), token(b, at + 2 * TOKEN, 'v')))
        return true;
    /* An atomic that may not write, where reading meets PMP: QEMU reads first. */
    return cause == 15 && token(b, at, b[at]) == 7;
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
