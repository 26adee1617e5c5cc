/* The host's ends of a machine: its disks, networks, shared folders, firmware's files and lines.
 * They are opened once for a run of dbt-run, and outlive a machine that resets. */
#pragma once

#include "runtime/system/drive.h"
#include "runtime/system/firmware_files.h"
#include "runtime/system/lines.h"
#include "runtime/system/network.h"
#include "runtime/system/shares.h"

struct ends {
    struct drives drives;
    struct networks networks;
    struct shares shares;
    struct firmware_files firmware;
    struct lines lines; /* opened by the first machine that has them */
};

/* ---- The main thread --------------------------------------------------------------- */

/* All but the lines. Nothing to give back when it returns false. synchronous: what the guest
 * asks for is done when it has asked, so that runs repeat. */
bool ends_open(struct ends *ends, const struct machine_config *cfg, bool synchronous,
               struct err *e) MUST_CHECK;
void ends_close(struct ends *ends);
