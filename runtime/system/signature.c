#include "runtime/system/signature.h"

#include <string.h>

#include "runtime/system/boot_image.h"
#include "runtime/system/memmap.h"

enum { WORD_BYTES = 4 };

/* The next part of a comma list, in `room` bytes. False: empty or too long. */
static bool take_part(char *out, size_t room, const char **text)
{
    size_t len = strcspn(*text, ",");

    if (len == 0 || len >= room)
        return false;
    memcpy(out, *text, len);
    out[len] = '\0';
    *text += len;
    return true;
}

static bool take_symbol(char *out, const char **text)
{
    return *(*text)++ == ',' && take_part(out, SIGNATURE_SYMBOL_ROOM, text);
}

bool signature_parse(struct signature *s, const char *text, struct err *e)
{
    const char *rest = text;

    strcpy(s->begin, "begin_signature");
    strcpy(s->end, "end_signature");
    if (!take_part(s->file, sizeof s->file, &rest))
        return err_set(e, "--signature %s: no name of a file; FILE or FILE,BEGIN,END", text);
    if (*rest == '\0' ||
        (take_symbol(s->begin, &rest) && take_symbol(s->end, &rest) && *rest == '\0'))
        return true;
    return err_set(e, "--signature %s: not FILE or FILE,BEGIN,END with the names of two symbols",
                   text);
}

static bool find_symbol(const struct boot_image *img, const char *name, uint64_t *gpa,
                        struct err *e)
{
    return elf_symbol(&img->file, name, gpa) ||
           err_set(e, "--signature: %s has no symbol '%s'", img->file.path, name);
}

bool signature_find(struct boot_plan *p, const struct boot_image *img, struct err *e)
{
    uint64_t ram_end = MEMMAP_ram_gpa + p->cfg->ram_len, begin, end;
    struct signature s;

    if (!p->cfg->signature)
        return true;
    if (!signature_parse(&s, p->cfg->signature, e))
        return false;
    if (img->kind != IMAGE_ELF)
        return err_set(e, "--signature: %s is not an ELF file: it has no symbols", img->file.path);
    if (!find_symbol(img, s.begin, &begin, e) || !find_symbol(img, s.end, &end, e))
        return false;
    if (end < begin)
        return err_set(e, "--signature: '%s' (%#llx) lies behind '%s' (%#llx) in %s", s.begin,
                       (unsigned long long)begin, s.end, (unsigned long long)end, img->file.path);
    if (begin < MEMMAP_ram_gpa || end > ram_end)
        return err_set(e,
                       "--signature: '%s' to '%s' (%#llx to %#llx) lies outside RAM (%#llx to "
                       "%#llx)",
                       s.begin, s.end, (unsigned long long)begin, (unsigned long long)end,
                       (unsigned long long)MEMMAP_ram_gpa, (unsigned long long)ram_end);
    p->signature_gpa = begin;
    p->signature_len = end - begin;
    return true;
}

void signature_print(FILE *out, const uint8_t *data, size_t len_bytes)
{
    for (size_t i = 0; i < len_bytes; i += WORD_BYTES) {
        for (size_t k = WORD_BYTES; k-- > 0;)
            fprintf(out, "%02x", i + k < len_bytes ? data[i + k] : 0);
        fputc('\n', out);
    }
}
