/* What the harnesses share: a reader of the input, and files made of it. Each harness is one
 * file with LLVMFuzzerTestOneInput(), linked with libFuzzer (make fuzz-input) or with
 * fuzz_replay.c (make test). It fails by a CHECK, or by a sanitizer. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dbt/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* The input, taken from its front; zeros behind its end. */
struct fuzz_input {
    const uint8_t *at;
    size_t left;
};

uint64_t fuzz_take(struct fuzz_input *in, unsigned n_bytes);

/* 0 <= result < n */
unsigned fuzz_below(struct fuzz_input *in, unsigned n);

/* The bytes as a regular file. The path is good until fuzz_file_close(). */
struct fuzz_file {
    int fd;
    char path[32];
};

void fuzz_file_open(struct fuzz_file *f, const void *data, size_t len_bytes);
void fuzz_file_close(struct fuzz_file *f);

/* What the harness prints goes nowhere: the code under test writes help and guest output. */
void fuzz_silence_stdout(void);
