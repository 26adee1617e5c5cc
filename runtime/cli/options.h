/* The command line as data. Strings are borrowed from argv. (-d goes straight to
 * log_state.mask.) */
#pragma once

#include "runtime/hart.h"
#include "runtime/system/config.h"

/* --stress: each makes a rare path common. */
enum cli_stress {
    STRESS_REGS = 1,  /* few host registers, chosen at random */
    STRESS_CACHE = 2, /* a tiny code cache */
    STRESS_TABLE = 4, /* a tiny MMU table */
    STRESS_LINKS = 8, /* blocks are not linked */
    STRESS_IRQ = 16,  /* every block entry asks for interrupts */
};

/* --tier. Of its own accord, --stress translates everything: it is there to try the translator. */
enum tier { TIER_DEFAULT, TIER_AUTO, TIER_1 };

enum { DRIVE_ID_ROOM = 64 };

/* A --drive. */
struct cli_drive {
    struct drive_config config;
    char id[DRIVE_ID_ROOM]; /* "": none */
    bool loose;             /* if=none: a -device takes it */
    bool flash;             /* if=pflash: into bank `unit` */
    bool unit_given;
    unsigned unit;
    bool used; /* one has */
};

/* A -netdev. */
struct cli_net {
    struct net_device_config config;
    bool on_pci; /* model=virtio-net-pci */
    char id[DRIVE_ID_ROOM];
    bool used; /* a -device has it */
};

struct cli_backend_name {
    char id[DRIVE_ID_ROOM];
};

enum { MONITOR_ROOM = 160 };

struct options {
    struct machine_config machine;

    enum engine engine;
    enum tier tier;
    enum window_policy windows;
    bool huge_pages;
    unsigned hart_threads; /* 0: as suits */
    const char *opt_list;  /* NULL: the default */
    uint64_t cache_size;   /* bytes */
    uint32_t stress;       /* enum cli_stress */
    uint64_t stress_seed;
    bool virtual_time;
    bool strict_lrsc;
    uint64_t max_insns; /* 0: no end */

    char monitor[MONITOR_ROOM]; /* what machine.monitor points at */

    const char *log_file;               /* NULL: stderr */
    uint64_t filter_first, filter_last; /* inclusive */
    bool stats;
    const char *stats_file; /* NULL: text on stderr */
    const char *dump_dtb;   /* NULL: run */

    /* What the parser keeps between options. */
    bool serial_given, host_time_given;
    bool console_bus_given, console_on_pci; /* -device virtio-serial-pci or virtio-serial-device */
    struct cli_drive drive[CONFIG_MAX_VIRTIO];
    unsigned n_drives;
    struct cli_net net[CONFIG_MAX_VIRTIO];
    unsigned n_nets;
    /* Of machine.virtio[i]: the -drive's or -netdev's; "": its own. */
    struct cli_backend_name backend_of[CONFIG_MAX_VIRTIO];
    const char *shown; /* --help and its like were given: the text was printed */
};

enum { CLI_RUN = -1, CLI_EXIT_OK = 0, CLI_EXIT_USAGE = 1, CLI_EXIT_HOST = 2 };

/* Without --cache-size: an eighth of the host's memory (as its kernel says, whatever a container
 * may have), 64 to 512 MiB. What is used of it is backed, and what is known of the blocks takes as
 * much again. A compiler alone is 300 MiB of code. */
uint64_t cli_cache_size(uint64_t host_bytes);

/* CLI_RUN: go on. CLI_EXIT_OK: all is done (--help). CLI_EXIT_USAGE: *e says why. */
int cli_parse(struct options *o, int argc, char **argv, struct err *e) MUST_CHECK;

/* Sets what else log_state holds, opening -D's file. */
bool cli_open_log(const struct options *o, struct err *e) MUST_CHECK;

/* ---- Private to runtime/cli -------------------------------------------------------- */

enum option_group { GROUP_WHAT, GROUP_MACHINE, GROUP_ENGINE, GROUP_LOOK, GROUP_COMPAT };

struct option_row {
    const char *names;
    const char *arg;
    enum option_group group;
    const char *help;
    bool refused; /* help says what to write instead */
    bool (*call)(struct options *o, const char *value, struct err *e);
    size_t text; /* offset of a const char *, if call and flag are not set */
    size_t flag; /* offset of a bool, plus 1 */
};
extern const struct option_row option_rows[];
extern const unsigned option_n_rows;

/* "512M" in bytes; a plain number is in `unit`s. False: not a size. */
bool option_size(const char *text, uint64_t unit, uint64_t *bytes) MUST_CHECK;
/* A number as C writes it, all of `text`. */
bool option_number(const char *text, uint64_t *n) MUST_CHECK;

/* ---- option_drive.c: disks, and virtio devices that name what is behind them ---------- */

bool option_drive(struct options *o, const char *value, struct err *e) MUST_CHECK;
bool option_device(struct options *o, const char *value, struct err *e) MUST_CHECK;
bool option_global(struct options *o, const char *value, struct err *e) MUST_CHECK;
bool option_console(struct options *o, const char *value, struct err *e) MUST_CHECK;
bool option_object(struct options *o, const char *value, struct err *e) MUST_CHECK;

/* When all options are read: standard input goes to the console if that asks for it and -serial
 * does not, and the console to the bus that a -device named. */
bool option_settle_console(struct options *o, struct err *e) MUST_CHECK;
/* Gives the drives to the devices that name them. */
bool option_attach_drives(struct options *o, struct err *e) MUST_CHECK;

/* ---- option_net.c ---------------------------------------------------------------------- */

bool option_net(struct options *o, const char *value, struct err *e) MUST_CHECK; /* --net, -nic */
bool option_netdev(struct options *o, const char *value, struct err *e) MUST_CHECK; /* -netdev */

struct option_bus;

/* -device virtio-net-device and virtio-net-pci; the settings behind its name, or NULL. */
bool option_device_net(struct options *o, const struct option_bus *bus, const char *rest,
                       struct err *e) MUST_CHECK;

/* When all options are read: as option_attach_drives(), and gives each card its address. */
bool option_attach_nets(struct options *o, struct err *e) MUST_CHECK;

/* ---- option_firmware.c: flash and fw_cfg ------------------------------------------------ */

/* A --drive with if=pflash: into its bank, or the first that is free. */
bool option_flash(struct options *o, const struct cli_drive *d, struct err *e) MUST_CHECK;
bool option_pflash(struct options *o, const char *value, struct err *e) MUST_CHECK; /* -pflash */
bool option_fw_cfg(struct options *o, const char *value, struct err *e) MUST_CHECK; /* -fw_cfg */

/* ---- option_share.c: shared folders ---------------------------------------------------- */

bool option_share(struct options *o, const char *value, struct err *e) MUST_CHECK;
/* -virtfs, -fsdev: says what to write instead. */
bool option_virtfs(struct options *o, const char *value, struct err *e) MUST_CHECK;
/* A -device that shares a folder: the same. */
bool option_is_share_device(const char *value, size_t len);
bool option_share_device(const char *value, struct err *e) MUST_CHECK;

/* ---- option_balloon.c -------------------------------------------------------------------- */

bool option_balloon(struct options *o, const char *value, struct err *e) MUST_CHECK;
/* -device virtio-balloon-device; the settings behind its name, or NULL. */
bool option_device_balloon(struct options *o, const struct option_bus *bus, const char *rest,
                           struct err *e) MUST_CHECK;

/* ---- help.c ------------------------------------------------------------------------- */

void help_print(void);
void help_version(void);
void help_log(void);
void help_cpu(void);
