/* The whole machine: memory, board, one hart, and the host's timer between them. */
#pragma once

#include <stdbool.h>

#include "runtime/hart.h"
#include "runtime/system/board.h"
#include "runtime/system/boot.h"
#include "runtime/system/ends.h"

struct machine;

/* How the hart is to run; what runs is in machine_config. */
struct machine_run_config {
    enum engine engine;
    struct translate_options translate;
    size_t cache_bytes;
    unsigned cache_segments;
    uint64_t stress_seed; /* of the cache; 0: off */
    enum window_policy windows;
    bool huge_pages;       /* RAM in the host's, as far as it has any */
    unsigned hart_threads; /* host threads that harts run on, at most one each; 0: as suits */
    bool no_links;
    bool virtual_time;
    bool evaluate_first;
    bool stress_irq, stress_table; /* see struct hart_config */
    struct ends *ends;             /* opened for this machine_config; borrowed, not NULL */
    uint64_t max_insns;            /* virtual time: stop when the clock is there; 0: never */
};

/* Reads and checks the inputs, maps memory, makes the devices. NULL with one line. */
struct machine *machine_create(const struct machine_config *cfg,
                               const struct machine_run_config *run, struct err *e);
void machine_destroy(struct machine *m);

/* How a run ended. */
struct machine_end {
    bool reset; /* the guest asked to start anew */
    int code;   /* the exit status otherwise */
};

/* Runs on the calling thread until the guest or the user ends it. False: the terminal or
 * the timer could not be had. */
bool machine_run(struct machine *m, struct machine_end *end, struct err *e);

/* What --signature asks for: memory as the guest left it. Nothing when it was not asked for. */
void machine_print_signature(const struct machine *m, FILE *out);

/* Statistics as text and, when json is not NULL, as JSON. */
void machine_print_stats(const struct machine *m, FILE *text, FILE *json);
