/* What is to be run, found out and given its place: the payload, and the firmware
 * below it. Private to runtime/system/boot*.c. */
#pragma once

#include "runtime/system/boot.h"

enum image_kind {
    IMAGE_UNKNOWN,
    IMAGE_ELF,
    IMAGE_LINUX,
    IMAGE_ZBOOT,
    IMAGE_GZIP,
    IMAGE_ZSTD,
    IMAGE_REFUSED,
    IMAGE_FORMAT,
    IMAGE_DISK,
};

/* What a file is as a disk. */
enum disk_kind {
    DISK_OTHER,       /* any bytes */
    DISK_PARTITIONED, /* something on it may boot */
    DISK_FORMAT,      /* not a disk's bytes: another format, packed */
};

/* A loaded thing. */
struct boot_image {
    enum image_kind kind;
    struct boot_file file; /* the unpacked bytes; the plan owns them */
    uint64_t entry;
    uint64_t low, high; /* the range of RAM it takes */
    uint64_t tohost_gpa, fromhost_gpa;
};

/* ---- boot.c -------------------------------------------------------------------- */

/* Gives a range of RAM to `name`; refuses what does not lie in RAM. */
bool boot_add_part(struct boot_plan *p, const char *name, uint64_t gpa, uint64_t len_bytes,
                   const void *data, size_t data_len, struct err *e) MUST_CHECK;

/* The plan closes the file when it ends. */
bool boot_keep_file(struct boot_plan *p, const char *path, struct boot_file *out,
                    struct err *e) MUST_CHECK;

/* ---- boot_image.c ---------------------------------------------------------------- */

/* Opens, unpacks and tells the kind; never IMAGE_REFUSED, FORMAT, DISK, GZIP, ZSTD or ZBOOT. */
bool image_open(struct boot_plan *p, struct boot_image *img, const char *path,
                struct err *e) MUST_CHECK;

/* DISK_OTHER also when it cannot be read. */
enum disk_kind image_disk_kind(const char *path);

/* Says why a file of DISK_FORMAT is no drive. Always returns false. */
bool image_refuse_format(const char *path, struct err *e);

/* Places a Linux Image: at RAM + its text_offset, with room for its .bss. */
bool image_place_linux(struct boot_plan *p, struct boot_image *img, struct err *e) MUST_CHECK;

/* Places a flat binary, entered at its first byte. */
bool image_place_flat(struct boot_plan *p, struct boot_image *img, uint64_t gpa,
                      struct err *e) MUST_CHECK;

/* ---- boot_elf.c ------------------------------------------------------------------ */

/* Places the segments at their physical addresses and finds entry and HTIF. */
bool elf_place(struct boot_plan *p, struct boot_image *img, struct err *e) MUST_CHECK;

/* The value of a symbol that the file defines, after elf_place(). */
bool elf_symbol(const struct boot_file *f, const char *name, uint64_t *value) MUST_CHECK;

/* ---- signature.c ----------------------------------------------------------------- */

/* Finds the range of memory that --signature asks for, when it does. */
bool signature_find(struct boot_plan *p, const struct boot_image *img, struct err *e) MUST_CHECK;

/* ---- boot_firmware.c --------------------------------------------------------------- */

/* OpenSBI, or the user's firmware, at the start of RAM. */
bool firmware_place(struct boot_plan *p, struct boot_image *img, struct err *e) MUST_CHECK;

/* What a firmware that enters `next_pc` in S mode has to be told, at info_gpa. */
void firmware_info(struct boot_plan *p, uint64_t next_pc);

/* The extensions that the kernel may be told of under this firmware. */
struct rv_cpu_model firmware_announces(enum firmware firmware, const struct rv_cpu_model *model);
