#define _GNU_SOURCE
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t fuzz_take(struct fuzz_input *in, unsigned n_bytes)
{
    uint64_t value = 0;

    for (unsigned i = 0; i < n_bytes && in->left > 0; i++, in->left--)
        value |= (uint64_t)*in->at++ << (8 * i);
    return value;
}

unsigned fuzz_below(struct fuzz_input *in, unsigned n)
{
    return (unsigned)(fuzz_take(in, 1) % n);
}

void fuzz_file_open(struct fuzz_file *f, const void *data, size_t len_bytes)
{
    f->fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(f->fd >= 0 && "a file in memory");
    CHECK(write(f->fd, data, len_bytes) == (ssize_t)len_bytes);
    snprintf(f->path, sizeof f->path, "/proc/self/fd/%d", f->fd);
}

void fuzz_file_close(struct fuzz_file *f)
{
    close(f->fd);
}

void fuzz_silence_stdout(void)
{
    static bool silent;

    if (!silent)
        CHECK(freopen("/dev/null", "w", stdout) != NULL);
    silent = true;
}
