/* What machine to make and what to run on it: the command line in plain data.
 * The strings are borrowed from it. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "devices/host/block_format.h"
#include "devices/host/net.h"
#include "devices/virtio/virtio_balloon.h"
#include "frontend/riscv/rv.h"

enum firmware {
    FIRMWARE_AUTO,    /* builtin when there is a kernel for S mode, else none */
    FIRMWARE_BUILTIN, /* SBI served by the host, no code in M mode */
    FIRMWARE_OPENSBI, /* Debian's fw_dynamic */
    FIRMWARE_NONE,    /* what is run starts in M mode */
    FIRMWARE_FILE,    /* firmware_path */
};

enum image_as {
    AS_AUTO,
    AS_MACHINE,    /* --as machine: starts in M mode */
    AS_SUPERVISOR, /* --as supervisor: starts in S mode, under a firmware */
};

/* Virtio devices of the board: in slots of its own, or on PCI, where slot 0 is the bridge. */
enum {
    CONFIG_VIRTIO_SLOTS = 8,
    CONFIG_PCI_SLOTS = 17,
    CONFIG_MAX_VIRTIO = CONFIG_VIRTIO_SLOTS + CONFIG_PCI_SLOTS - 1,
};
enum { DRIVE_PATH_ROOM = 4096, DRIVE_SERIAL_ROOM = 21, SHARE_TAG_ROOM = 37 };

enum virtio_kind {
    VIRTIO_KIND_BLK,
    VIRTIO_KIND_RNG,
    VIRTIO_KIND_CONSOLE,
    VIRTIO_KIND_NET,
    VIRTIO_KIND_FS,
    VIRTIO_KIND_BALLOON,
};

struct drive_config {
    char path[DRIVE_PATH_ROOM];
    char serial[DRIVE_SERIAL_ROOM];
    bool read_only;
    bool snapshot;                     /* what the guest writes is thrown away */
    const struct block_format *format; /* format=: whatever it looks like; NULL: it decides */
};

/* A bank of flash memory. */
enum { CONFIG_FLASH_BANKS = 2 };

struct flash_config {
    bool given;
    struct drive_config file;
};

/* A file of fw_cfg's: of the host, or a text. */
enum { CONFIG_MAX_FW_FILES = 16, FW_NAME_ROOM = 56 };

struct fw_file_config {
    char name[FW_NAME_ROOM];
    char path[DRIVE_PATH_ROOM]; /* "": it is text */
    char text[DRIVE_PATH_ROOM];
};

struct net_device_config {
    struct net_config net;
    uint8_t mac[6];
};

/* A folder of the host's. */
struct config_share {
    char path[DRIVE_PATH_ROOM];
    char tag[SHARE_TAG_ROOM]; /* the guest's name for it */
    bool read_only;
};

struct virtio_config {
    enum virtio_kind kind;
    bool on_pci;
    struct drive_config drive;            /* VIRTIO_KIND_BLK */
    struct net_device_config card;        /* VIRTIO_KIND_NET */
    struct config_share share;            /* VIRTIO_KIND_FS */
    struct virtio_balloon_config balloon; /* VIRTIO_KIND_BALLOON */
};

struct machine_config {
    uint64_t ram_len; /* bytes, a multiple of 4096 */
    unsigned n_harts;
    struct rv_cpu_model model;
    enum firmware firmware;
    const char *firmware_path; /* FIRMWARE_FILE */
    const char *image;         /* the positional argument, or NULL */
    const char *kernel;        /* -kernel: taken as a flat binary if nothing else */
    enum image_as as;
    const char *initrd;
    const char *cmdline;   /* -append, or NULL */
    const char *dtb;       /* -dtb: handed to the guest as it is, but for /chosen */
    const char *serial;    /* chardev_open()'s words */
    const char *monitor;   /* chardev_open()'s words for --monitor, or NULL */
    const char *console;   /* chardev_open()'s words for the virtio console; NULL: there is none */
    const char *signature; /* signature_parse() has taken it; NULL: none */
    struct virtio_config virtio[CONFIG_MAX_VIRTIO]; /* in the order in which they are named */
    unsigned n_virtio;
    struct flash_config flash[CONFIG_FLASH_BANKS];
    struct fw_file_config fw_file[CONFIG_MAX_FW_FILES];
    unsigned n_fw_files;
    bool snapshot;   /* as if every drive said so */
    bool no_reboot;  /* a reset ends the run */
    bool fixed_seed; /* rng-seed is the same in every run (--time=virtual) */
};

/* Does the board have flash memory? */
static inline bool config_has_flash(const struct machine_config *cfg)
{
    return cfg->flash[0].given || cfg->flash[1].given;
}

/* Is there room for one device more? */
static inline bool config_has_room(const struct machine_config *cfg, bool on_pci)
{
    unsigned n = 0;

    for (unsigned i = 0; i < cfg->n_virtio; i++)
        n += cfg->virtio[i].on_pci == on_pci;
    return n < (on_pci ? CONFIG_PCI_SLOTS - 1u : CONFIG_VIRTIO_SLOTS);
}
