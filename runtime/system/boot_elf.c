#include <elf.h>
#include <string.h>

#include "runtime/system/boot_image.h"
#include "runtime/system/memmap.h"

/* Everything in the file may be a lie: each offset is checked against its length
 * before it is followed, with no sum that could wrap. */
static const void *at(const struct boot_file *f, uint64_t offset, uint64_t len)
{
    if (offset > f->len || len > f->len - offset)
        return NULL;
    return f->data + offset;
}

static bool check_header(const struct boot_file *f, Elf64_Ehdr *h, struct err *e)
{
    if (f->len < EI_NIDENT)
        return err_set(e, "%s: truncated ELF file: it ends in its header", f->path);
    if (f->data[EI_CLASS] != ELFCLASS64)
        return err_set(e, "%s is a 32-bit ELF file; this machine is riscv64", f->path);
    if (f->data[EI_DATA] != ELFDATA2LSB)
        return err_set(e, "%s is a big-endian ELF file; this machine is little-endian", f->path);
    if (f->len < sizeof *h)
        return err_set(e, "%s: truncated ELF file: it ends in its header", f->path);
    memcpy(h, f->data, sizeof *h);
    if (h->e_machine != EM_RISCV)
        return err_set(e,
                       "%s is an ELF file for another machine (e_machine %u); this one is "
                       "riscv64 (243)",
                       f->path, h->e_machine);
    if (h->e_type != ET_EXEC && h->e_type != ET_DYN)
        return err_set(e,
                       "%s is an ELF file of type %u (an object file or a core dump); link it "
                       "to an executable",
                       f->path, h->e_type);
    if (h->e_phnum == 0 || h->e_phentsize != sizeof(Elf64_Phdr))
        return err_set(e, "%s is an ELF file without segments: nothing to load", f->path);
    if (!at(f, h->e_phoff, (uint64_t)h->e_phnum * sizeof(Elf64_Phdr)))
        return err_set(e, "%s: truncated ELF file: its program headers are missing", f->path);
    return true;
}

static Elf64_Phdr segment(const struct boot_file *f, const Elf64_Ehdr *h, unsigned i)
{
    Elf64_Phdr ph;

    memcpy(&ph, f->data + h->e_phoff + i * sizeof ph, sizeof ph);
    return ph;
}

/* A program for Linux: it asks for a loader, or lies outside RAM. */
static bool refuse_program(const struct boot_file *f, const Elf64_Phdr *ph, struct err *e)
{
    if (ph->p_vaddr >> 63 != 0)
        return err_set(e, "%s is a Linux vmlinux, linked at %#llx; give arch/riscv/boot/Image",
                       f->path, (unsigned long long)ph->p_vaddr);
    return err_set(e,
                   "%s is an ELF file whose segment at %#llx lies outside RAM (from %#llx): "
                   "a Linux program? User mode is not there yet",
                   f->path, (unsigned long long)ph->p_paddr, (unsigned long long)MEMMAP_ram_gpa);
}

static bool place_segment(struct boot_plan *p, struct boot_image *img, const Elf64_Phdr *ph,
                          struct err *e)
{
    const struct boot_file *f = &img->file;
    const void *data = at(f, ph->p_offset, ph->p_filesz);

    if (!data)
        return err_set(e, "%s: truncated ELF file: the segment at %#llx ends beyond the file",
                       f->path, (unsigned long long)ph->p_paddr);
    if (ph->p_filesz > ph->p_memsz)
        return err_set(e,
                       "%s: damaged ELF file: the segment at %#llx is larger in the file than "
                       "in memory",
                       f->path, (unsigned long long)ph->p_paddr);
    if (ph->p_paddr < MEMMAP_ram_gpa || ph->p_paddr >> 56 != 0)
        return refuse_program(f, ph, e);
    if (!boot_add_part(p, f->path, ph->p_paddr, ph->p_memsz, data, ph->p_filesz, e))
        return false;
    if (ph->p_paddr < img->low)
        img->low = ph->p_paddr;
    if (ph->p_paddr + ph->p_memsz > img->high)
        img->high = ph->p_paddr + ph->p_memsz;
    return true;
}

static bool place_segments(struct boot_plan *p, struct boot_image *img, const Elf64_Ehdr *h,
                           struct err *e)
{
    img->low = UINT64_MAX;
    img->high = 0;
    img->entry = h->e_entry;
    for (unsigned i = 0; i < h->e_phnum; i++) {
        Elf64_Phdr ph = segment(&img->file, h, i);

        if (ph.p_type == PT_INTERP)
            return err_set(e,
                           "%s is a Linux program (dynamically linked); user mode is not there "
                           "yet",
                           img->file.path);
        if (ph.p_type != PT_LOAD || ph.p_memsz == 0)
            continue;
        if (!place_segment(p, img, &ph, e))
            return false;
        /* The entry is a virtual address; nothing is mapped yet. */
        if (h->e_entry >= ph.p_vaddr && h->e_entry - ph.p_vaddr < ph.p_memsz)
            img->entry = h->e_entry - ph.p_vaddr + ph.p_paddr;
    }
    if (img->high == 0)
        return err_set(e, "%s is an ELF file without segments: nothing to load", img->file.path);
    if (img->entry % 2 != 0 || img->entry < img->low || img->entry >= img->high)
        return err_set(e, "%s: its entry point %#llx is in none of its segments", img->file.path,
                       (unsigned long long)h->e_entry);
    return true;
}

/* ---- Symbols --------------------------------------------------------------------------- */

/* The symbol's value in one table of the file. */
static bool find_in_table(const struct boot_file *f, const Elf64_Shdr *table,
                          const Elf64_Shdr *names, const char *name, uint64_t *value)
{
    const char *text = at(f, names->sh_offset, names->sh_size);
    const char *syms = at(f, table->sh_offset, table->sh_size);
    size_t room = strlen(name) + 1;

    if (!text || !syms)
        return false;
    for (uint64_t s = 0; s < table->sh_size / sizeof(Elf64_Sym); s++) {
        Elf64_Sym sym;

        memcpy(&sym, syms + s * sizeof sym, sizeof sym);
        if (sym.st_shndx == SHN_UNDEF || sym.st_name >= names->sh_size ||
            names->sh_size - sym.st_name < room || memcmp(text + sym.st_name, name, room) != 0)
            continue;
        *value = sym.st_value;
        return true;
    }
    return false;
}

/* A file without symbols, or with a damaged table, merely has none: tables of stripped files
 * often are. */
bool elf_symbol(const struct boot_file *f, const char *name, uint64_t *value)
{
    const Elf64_Shdr *sections;
    Elf64_Ehdr h;

    memcpy(&h, f->data, sizeof h);
    sections = at(f, h.e_shoff, (uint64_t)h.e_shnum * sizeof(Elf64_Shdr));
    if (!sections || h.e_shentsize != sizeof(Elf64_Shdr))
        return false;
    for (unsigned i = 0; i < h.e_shnum; i++) {
        Elf64_Shdr table, names;

        memcpy(&table, (const char *)sections + i * sizeof table, sizeof table);
        if (table.sh_type != SHT_SYMTAB || table.sh_link >= h.e_shnum)
            continue;
        memcpy(&names, (const char *)sections + table.sh_link * sizeof names, sizeof names);
        if (find_in_table(f, &table, &names, name, value))
            return true;
    }
    return false;
}

bool elf_place(struct boot_plan *p, struct boot_image *img, struct err *e)
{
    Elf64_Ehdr h = {0};

    if (!check_header(&img->file, &h, e) || !place_segments(p, img, &h, e))
        return false;
    img->tohost_gpa = img->fromhost_gpa = 0;
    (void)!elf_symbol(&img->file, "tohost", &img->tohost_gpa);
    (void)!elf_symbol(&img->file, "fromhost", &img->fromhost_gpa);
    return true;
}
