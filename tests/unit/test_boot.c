/* From files to a plan of RAM: what is recognised, where it goes, who starts. What
 * is refused, with which words, is in tests/guest/bad-input.sh; here only that no
 * damaged file does worse than be refused. */
#include <elf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <zlib.h>
#include <zstd.h>

#include "runtime/system/boot.h"
#include "runtime/system/signature.h"

#define MIB (UINT64_C(1) << 20)
#define RAM UINT64_C(0x80000000)

static char dir[] = "/tmp/test_boot.XXXXXX";
static char path[64], other_path[64];

static int set_up(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/image", dir);
    snprintf(other_path, sizeof other_path, "%s/other", dir);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unlink(path);
    unlink(other_path);
    return rmdir(dir);
}

static void write_file(const char *name, const void *data, size_t len)
{
    FILE *f = fopen(name, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    fclose(f);
}

static struct machine_config config(void)
{
    struct machine_config cfg = {
        .ram_len = 64 * MIB, .n_harts = 1, .image = path, .serial = "null", .fixed_seed = true};
    struct err e;

    assert_true(rv_model_parse(&cfg.model, "default", &e));
    return cfg;
}

static struct boot_plan plan(const struct machine_config *cfg)
{
    struct boot_plan p;
    struct err e = {""};

    if (!boot_plan(&p, cfg, &e))
        fail_msg("%s", e.text);
    return p;
}

static const struct boot_part *part(const struct boot_plan *p, const char *name)
{
    for (unsigned i = 0; i < p->n_parts; i++)
        if (strcmp(p->part[i].name, name) == 0)
            return &p->part[i];
    fail_msg("no part %s", name);
    return NULL;
}

/* ---- Linux Images ---------------------------------------------------------------------- */

enum { IMAGE_LEN = 5000, IMAGE_SIZE = 3 << 20 };

static void make_image(uint8_t *data)
{
    const uint64_t text_offset = 2 * MIB, image_size = IMAGE_SIZE;

    for (unsigned i = 0; i < IMAGE_LEN; i++)
        data[i] = (uint8_t)(i * 7);
    memset(data, 0, 64);
    memcpy(data + 8, &text_offset, 8);
    memcpy(data + 16, &image_size, 8);
    memcpy(data + 0x30, "RISCV\0\0\0RSC\5", 12);
}

static void a_linux_image_starts_in_s_mode(void **state)
{
    uint8_t image[IMAGE_LEN];
    struct machine_config cfg = config();
    struct boot_plan p;

    (void)state;
    make_image(image);
    write_file(path, image, sizeof image);
    write_file(other_path, "initrd", 6);
    cfg.initrd = other_path;
    p = plan(&cfg);
    assert_true(p.supervisor);
    assert_int_equal(p.firmware, FIRMWARE_BUILTIN);
    assert_int_equal(p.pc, RAM + 2 * MIB);
    assert_int_equal(part(&p, path)->len_bytes, IMAGE_SIZE);
    assert_int_equal(part(&p, path)->data_len, IMAGE_LEN);
    assert_int_equal(part(&p, other_path)->gpa, RAM + 6 * MIB); /* behind .bss */
    assert_int_equal(p.a0, 0);
    assert_int_equal(p.a1, part(&p, "the device tree")->gpa);
    assert_int_equal(p.a1 % (2 * MIB), 0);
    assert_true(rv_has(&p.announced, RV_EXT_svadu));
    boot_plan_fini(&p);
}

static void packed_images_are_unpacked(void **state)
{
    uint8_t image[IMAGE_LEN], packed[IMAGE_LEN + 1000], zboot[IMAGE_LEN + 1100];
    struct machine_config cfg = config();
    struct boot_plan p;
    size_t len;
    gzFile gz;

    (void)state;
    make_image(image);
    gz = gzopen(path, "wb");
    gzwrite(gz, image, sizeof image);
    gzclose(gz);
    p = plan(&cfg);
    assert_int_equal(part(&p, path)->data_len, IMAGE_LEN);
    assert_memory_equal(part(&p, path)->data, image, IMAGE_LEN);
    boot_plan_fini(&p);

    len = ZSTD_compress(packed, sizeof packed, image, sizeof image, 3);
    write_file(path, packed, len);
    p = plan(&cfg);
    assert_memory_equal(part(&p, path)->data, image, IMAGE_LEN);
    boot_plan_fini(&p);

    /* An EFI zboot kernel: header, payload. */
    memset(zboot, 0, sizeof zboot);
    memcpy(zboot, "MZ\0\0zimg", 8);
    memcpy(zboot + 8, &(uint32_t){100}, 4);
    memcpy(zboot + 12, &(uint32_t){(uint32_t)len}, 4);
    memcpy(zboot + 24, "zstd22", 6);
    memcpy(zboot + 100, packed, len);
    write_file(path, zboot, 100 + len);
    p = plan(&cfg);
    assert_memory_equal(part(&p, path)->data, image, IMAGE_LEN);
    boot_plan_fini(&p);
}

static void opensbi_goes_below(void **state)
{
    static const char opensbi[] = "/usr/lib/riscv64-linux-gnu/opensbi/generic/fw_dynamic.bin";
    uint8_t image[IMAGE_LEN];
    struct machine_config cfg = config();
    struct boot_plan p;

    (void)state;
    if (access(opensbi, R_OK) != 0)
        skip();
    make_image(image);
    write_file(path, image, sizeof image);
    cfg.firmware = FIRMWARE_OPENSBI;
    p = plan(&cfg);
    assert_false(p.supervisor);
    assert_int_equal(p.pc, RAM);
    assert_int_equal(part(&p, opensbi)->gpa, RAM);
    assert_int_equal(part(&p, "the firmware's parameters")->gpa, p.a2);
    assert_int_equal(p.fw_info[0], 0x4942534f);
    assert_int_equal(p.fw_info[1], 2);
    assert_int_equal(p.fw_info[2], RAM + 2 * MIB);
    assert_int_equal(p.fw_info[3], 1);
    assert_false(rv_has(&p.announced, RV_EXT_svadu));
    boot_plan_fini(&p);
}

/* ---- Flat binaries -------------------------------------------------------------------- */

static void flat_binaries_start_where_it_was_said(void **state)
{
    struct machine_config cfg = config();
    struct boot_plan p;
    struct err e;

    (void)state;
    write_file(path, "\x13\0\0\0", 4);
    assert_false(boot_plan(&p, &cfg, &e)); /* nobody said that it is code */
    cfg.as = AS_MACHINE;
    p = plan(&cfg);
    assert_int_equal(p.pc, RAM);
    assert_int_equal(p.firmware, FIRMWARE_NONE);
    boot_plan_fini(&p);
    cfg.as = AS_SUPERVISOR;
    p = plan(&cfg);
    assert_int_equal(p.pc, RAM + 2 * MIB);
    assert_true(p.supervisor);
    boot_plan_fini(&p);
    cfg.as = AS_AUTO;
    cfg.kernel = cfg.image;
    cfg.image = NULL;
    p = plan(&cfg); /* as QEMU's -kernel */
    assert_int_equal(p.pc, RAM + 2 * MIB);
    boot_plan_fini(&p);
    cfg.firmware = FIRMWARE_NONE;
    p = plan(&cfg);
    assert_int_equal(p.pc, RAM);
    boot_plan_fini(&p);
    /* A firmware alone. */
    cfg.kernel = NULL;
    cfg.firmware = FIRMWARE_FILE;
    cfg.firmware_path = path;
    p = plan(&cfg);
    assert_int_equal(p.pc, RAM);
    assert_false(p.supervisor);
    boot_plan_fini(&p);
}

/* ---- ELF files --------------------------------------------------------------------------- */

struct elf {
    Elf64_Ehdr eh;
    Elf64_Phdr ph[2];
    Elf64_Shdr sh[3];
    Elf64_Sym sym[3];
    char names[32];
    char code[64];
};

static struct elf make_elf(uint64_t base)
{
    struct elf f = {
        .eh = {.e_ident = "\177ELF\2\1\1",
               .e_type = ET_EXEC,
               .e_machine = EM_RISCV,
               .e_entry = base,
               .e_phoff = offsetof(struct elf, ph),
               .e_phentsize = sizeof(Elf64_Phdr),
               .e_phnum = 2,
               .e_shoff = offsetof(struct elf, sh),
               .e_shentsize = sizeof(Elf64_Shdr),
               .e_shnum = 3},
        .ph = {{.p_type = PT_LOAD,
                .p_offset = offsetof(struct elf, code),
                .p_vaddr = base,
                .p_paddr = base,
                .p_filesz = 64,
                .p_memsz = 4096},
               {.p_type = PT_NOTE}},
        .sh = {{0},
               {.sh_type = SHT_SYMTAB,
                .sh_offset = offsetof(struct elf, sym),
                .sh_size = sizeof f.sym,
                .sh_link = 2},
               {.sh_type = SHT_STRTAB,
                .sh_offset = offsetof(struct elf, names),
                .sh_size = sizeof f.names}},
        .sym = {{0},
                {.st_name = 1, .st_shndx = 1, .st_value = base + 0x800},
                {.st_name = 8, .st_shndx = 1, .st_value = base + 0x840}},
        .names = "\0tohost\0fromhost",
    };

    return f;
}

static void a_bare_metal_elf_starts_in_m_mode(void **state)
{
    struct elf f = make_elf(RAM);
    struct machine_config cfg = config();
    struct boot_plan p;

    (void)state;
    write_file(path, &f, sizeof f);
    p = plan(&cfg);
    assert_false(p.supervisor);
    assert_int_equal(p.pc, RAM);
    assert_int_equal(p.tohost_gpa, RAM + 0x800);
    assert_int_equal(p.fromhost_gpa, RAM + 0x840);
    assert_int_equal(part(&p, path)->len_bytes, 4096);
    assert_int_equal(part(&p, path)->data_len, 64);
    boot_plan_fini(&p);

    /* Stripped, and higher up: a program for S mode. */
    f = make_elf(RAM + 4 * MIB);
    f.eh.e_shnum = 0;
    write_file(path, &f, sizeof f);
    p = plan(&cfg);
    assert_true(p.supervisor);
    assert_int_equal(p.tohost_gpa, 0);
    boot_plan_fini(&p);
    cfg.as = AS_MACHINE;
    p = plan(&cfg);
    assert_false(p.supervisor);
    boot_plan_fini(&p);
}

/* --signature's range is what its two symbols say, and lies in RAM. */
static void a_signature_lies_between_two_symbols(void **state)
{
    struct elf f = make_elf(RAM);
    struct machine_config cfg = config();
    struct boot_plan p;
    struct err e;

    (void)state;
    cfg.signature = "file,tohost,fromhost";
    write_file(path, &f, sizeof f);
    p = plan(&cfg);
    assert_int_equal(p.signature_gpa, RAM + 0x800);
    assert_int_equal(p.signature_len, 0x40);
    boot_plan_fini(&p);

    f.sym[2].st_value = RAM + cfg.ram_len; /* up to RAM's end */
    write_file(path, &f, sizeof f);
    p = plan(&cfg);
    assert_int_equal(p.signature_len, cfg.ram_len - 0x800);
    boot_plan_fini(&p);

    f.sym[2].st_value++;
    write_file(path, &f, sizeof f);
    assert_false(boot_plan(&p, &cfg, &e));
    assert_non_null(strstr(e.text, "outside RAM"));

    f = make_elf(RAM); /* a symbol that the file does not define */
    f.sym[2].st_shndx = SHN_UNDEF;
    write_file(path, &f, sizeof f);
    assert_false(boot_plan(&p, &cfg, &e));
    assert_non_null(strstr(e.text, "no symbol 'fromhost'"));
}

/* A word a line, the lowest address first and a word's highest byte first in its line. */
static void a_signature_is_words(void **state)
{
    static const uint8_t data[] = {0x78, 0x56, 0x34, 0x12, 0xef, 0xcd, 0xab, 0x90, 0x0f, 0xff};
    char text[64] = "";
    FILE *out = fmemopen(text, sizeof text, "w");

    (void)state;
    assert_non_null(out);
    signature_print(out, data, sizeof data);
    fclose(out);
    assert_string_equal(text, "12345678\n90abcdef\n0000ff0f\n");
}

static void the_entry_is_a_virtual_address(void **state)
{
    struct elf f = make_elf(RAM);
    struct machine_config cfg = config();
    struct boot_plan p;

    (void)state;
    f.ph[0].p_vaddr = UINT64_C(0xffffffc000000000);
    f.eh.e_entry = f.ph[0].p_vaddr + 16;
    write_file(path, &f, sizeof f);
    p = plan(&cfg);
    assert_int_equal(p.pc, RAM + 16);
    boot_plan_fini(&p);
}

static void commit_fills_ram(void **state)
{
    struct elf f = make_elf(RAM + 4096);
    struct machine_config cfg = config();
    struct boot_plan p;
    struct phys phys;
    struct err e;

    (void)state;
    memset(f.code, 0xa5, sizeof f.code);
    write_file(path, &f, sizeof f);
    cfg.ram_len = MIB; /* little, but it is enough */
    p = plan(&cfg);
    assert_true(phys_init(&phys, RAM, cfg.ram_len, &e));
    boot_commit(&p, &phys);
    assert_int_equal(phys.ram[4095], 0);
    assert_int_equal(phys.ram[4096], 0xa5);
    assert_int_equal(phys.ram[4096 + 63], 0xa5);
    assert_int_equal(phys.ram[4096 + 64], 0);
    assert_memory_equal(phys_ptr(&phys, p.a1), "\xd0\x0d\xfe\xed", 4);
    phys_fini(&phys);
    boot_plan_fini(&p);
}

/* Every byte of the headers, and every length of the file, once damaged. */
static void damaged_files_are_harmless(void **state)
{
    struct elf good = make_elf(RAM), f;
    uint8_t image[IMAGE_LEN];
    struct machine_config cfg = config();
    unsigned refused = 0;
    struct boot_plan p;
    struct err e;

    (void)state;
    for (size_t i = 0; i < 2 * offsetof(struct elf, code); i++) {
        f = good;
        ((uint8_t *)&f)[i / 2] ^= i % 2 ? 0xff : 0x81;
        write_file(path, &f, sizeof f);
        if (boot_plan(&p, &cfg, &e))
            boot_plan_fini(&p);
        else
            refused++;
    }
    assert_true(refused > 100);
    for (size_t len = 1; len < sizeof good; len += 3) {
        write_file(path, &good, len);
        if (boot_plan(&p, &cfg, &e))
            boot_plan_fini(&p);
    }
    for (unsigned i = 0; i < 2 * 64; i++) {
        make_image(image);
        memcpy(image, i % 2 ? "MZ" : "\0\0", 2);
        image[i / 2] ^= 0xff;
        write_file(path, image, sizeof image);
        if (boot_plan(&p, &cfg, &e))
            boot_plan_fini(&p);
    }
}

/* Sums that wrap, and sizes that are off by one. */
static void impossible_segments_are_refused(void **state)
{
    static const struct {
        uint64_t offset, filesz, memsz;
        const char *says;
    } cases[] = {
        {offsetof(struct elf, code), 64, 63, "larger in the file than in memory"},
        {offsetof(struct elf, code), 65, 4096, "ends beyond the file"},
        {UINT64_MAX - 10, 64, 4096, "ends beyond the file"},
        {UINT64_MAX - 63, 64, 4096, "ends beyond the file"},
        {64, UINT64_MAX - 32, UINT64_MAX, "ends beyond the file"},
        {offsetof(struct elf, code), 64, UINT64_MAX, "does not fit into RAM"},
    };
    struct machine_config cfg = config();
    struct elf f = make_elf(RAM);
    struct boot_plan p;
    struct err e;

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        f.ph[0].p_offset = cases[i].offset;
        f.ph[0].p_filesz = cases[i].filesz;
        f.ph[0].p_memsz = cases[i].memsz;
        write_file(path, &f, sizeof f);
        assert_false(boot_plan(&p, &cfg, &e));
        if (!strstr(e.text, cases[i].says))
            fail_msg("case %u: %s", i, e.text);
    }
    f = make_elf(RAM);
    f.eh.e_phoff = UINT64_MAX - 10;
    write_file(path, &f, sizeof f);
    assert_false(boot_plan(&p, &cfg, &e));
    assert_non_null(strstr(e.text, "program headers are missing"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_linux_image_starts_in_s_mode),
        cmocka_unit_test(packed_images_are_unpacked),
        cmocka_unit_test(opensbi_goes_below),
        cmocka_unit_test(flat_binaries_start_where_it_was_said),
        cmocka_unit_test(a_bare_metal_elf_starts_in_m_mode),
        cmocka_unit_test(a_signature_lies_between_two_symbols),
        cmocka_unit_test(a_signature_is_words),
        cmocka_unit_test(the_entry_is_a_virtual_address),
        cmocka_unit_test(commit_fills_ram),
        cmocka_unit_test(damaged_files_are_harmless),
        cmocka_unit_test(impossible_segments_are_refused),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
