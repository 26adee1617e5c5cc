/* A boot plan made of a damaged file: it is refused, or what it says is sound. */
#pragma once

#include "runtime/system/config.h"
#include "tests/fuzz/fuzz.h"

/* RAM, firmware and mode by the first bytes of the input; no file yet. */
void fuzz_config(struct machine_config *cfg, struct fuzz_input *in);

/* boot_plan(), and when it is taken boot_commit(). */
void fuzz_plan(const struct machine_config *cfg);
