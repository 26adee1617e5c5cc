/* Instead of libFuzzer, so that `make test` needs no clang: runs a harness on the files of the
 * folders named, then on mutations of them from a fixed seed.
 *
 *     fuzz_NAME MUTATIONS DIR|FILE...
 *
 * An input that ends the process lies in out/fuzz/replay-last-NAME. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

enum { MAX_INPUTS = 4096, MAX_LEN = 1 << 16, PATH_ROOM = 512 };

struct input {
    uint8_t *data;
    size_t len;
};

static struct input inputs[MAX_INPUTS];
static unsigned n_inputs;
static char last_path[PATH_ROOM];
static uint64_t seed = 1;

static void die(const char *what, const char *path)
{
    fprintf(stderr, "fuzz_replay: %s %s\n", what, path);
    exit(1);
}

/* splitmix64 */
static uint64_t next(void)
{
    uint64_t z = seed += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static size_t below(size_t n)
{
    return n ? (size_t)(next() % n) : 0;
}

/* ---- The inputs -------------------------------------------------------------------------- */

static void read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct input *in = &inputs[n_inputs];

    if (!f || n_inputs == MAX_INPUTS)
        die("cannot read", path);
    in->data = malloc(MAX_LEN);
    CHECK(in->data != NULL);
    in->len = fread(in->data, 1, MAX_LEN, f);
    fclose(f);
    n_inputs++;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static void read_inputs(const char *path)
{
    struct dirent **entry;
    struct stat st;
    int n;

    if (stat(path, &st) != 0)
        die("no such file:", path);
    if (!S_ISDIR(st.st_mode)) {
        read_file(path);
        return;
    }
    n = scandir(path, &entry, NULL, by_name);
    for (int i = 0; i < n; i++) {
        char name[PATH_ROOM];

        snprintf(name, sizeof name, "%s/%s", path, entry[i]->d_name);
        if (stat(name, &st) == 0 && S_ISREG(st.st_mode))
            read_file(name);
        free(entry[i]);
    }
    free(entry);
}

/* ---- Mutation ----------------------------------------------------------------------------- */

static const uint64_t interesting[] = {0,          1,          0x7f,       0x80,
                                       0xff,       0x7fff,     0x8000,     0xffff,
                                       0x7fffffff, 0x80000000, 0xffffffff, UINT64_MAX >> 1,
                                       UINT64_MAX, 0x80200000, 4096,       8};

static uint64_t pick_interesting(void)
{
    return interesting[below(sizeof interesting / sizeof interesting[0])];
}

static void overwrite(struct input *in)
{
    uint64_t value = pick_interesting();
    size_t size = (size_t)1 << below(4), at;

    if (in->len < size)
        return;
    at = below(in->len - size + 1);
    memcpy(in->data + at, &value, size);
}

static void insert(struct input *in)
{
    size_t n = 1 + below(8), at = below(in->len + 1);

    if (in->len + n > MAX_LEN)
        return;
    memmove(in->data + at + n, in->data + at, in->len - at);
    for (size_t i = 0; i < n; i++)
        in->data[at + i] = (uint8_t)next();
    in->len += n;
}

static void erase(struct input *in)
{
    size_t n = 1 + below(8), at;

    if (in->len <= n)
        return;
    at = below(in->len - n);
    memmove(in->data + at, in->data + at + n, in->len - at - n);
    in->len -= n;
}

/* A piece of another input over a piece of this one. */
static void splice(struct input *in)
{
    const struct input *other = &inputs[below(n_inputs)];
    size_t from = below(other->len), n = 1 + below(64), at = below(in->len);

    if (n > other->len - from)
        n = other->len - from;
    if (n > in->len - at)
        n = in->len - at;
    memcpy(in->data + at, other->data + from, n);
}

/* In text: another number in the place of one. */
static void renumber(struct input *in)
{
    char digits[24];
    size_t at = below(in->len), n = 0, room;

    while (at < in->len && (in->data[at] < '0' || in->data[at] > '9'))
        at++;
    while (at + n < in->len && in->data[at + n] >= '0' && in->data[at + n] <= '9')
        n++;
    room = (size_t)snprintf(digits, sizeof digits, "%llu",
                            (unsigned long long)(below(2) ? below(100) : pick_interesting()));
    if (n == 0 || in->len + room > MAX_LEN)
        return;
    memmove(in->data + at + room, in->data + at + n, in->len - at - n);
    memcpy(in->data + at, digits, room);
    in->len = in->len - n + room;
}

static void mutate(struct input *in)
{
    for (size_t k = 1 + below(6); k > 0; k--) {
        switch (below(8)) {
        case 0:
            if (in->len > 0)
                in->data[below(in->len)] ^= (uint8_t)(1u << below(8));
            break;
        case 1:
            if (in->len > 0)
                in->data[below(in->len)] = (uint8_t)next();
            break;
        case 2:
        case 6: overwrite(in); break;
        case 7: renumber(in); break;
        case 3: insert(in); break;
        case 4: erase(in); break;
        default: splice(in); break;
        }
    }
    if (below(16) == 0)
        in->len = below(in->len + 1);
}

/* ---- Running -------------------------------------------------------------------------------- */

/* A copy of the exact size, so that a read behind the end is seen. */
static void run(const struct input *in)
{
    uint8_t *copy = malloc(in->len ? in->len : 1);
    FILE *f = fopen(last_path, "wb");

    if (!f)
        die("cannot write", last_path);
    CHECK(copy != NULL);
    memcpy(copy, in->data, in->len);
    fwrite(copy, 1, in->len, f);
    fclose(f);
    LLVMFuzzerTestOneInput(copy, in->len);
    free(copy);
}

int main(int argc, char **argv)
{
    const char *name = strrchr(argv[0], '/') ? strrchr(argv[0], '/') + 1 : argv[0];
    struct input mutant = {.data = malloc(MAX_LEN)};
    FILE *out = fdopen(dup(STDOUT_FILENO), "w"); /* harnesses silence stdout */
    unsigned long n_mutants;
    unsigned n_read;

    if (argc < 3)
        die("usage: fuzz_NAME MUTATIONS DIR|FILE..., not", name);
    CHECK(mutant.data && out);
    snprintf(last_path, sizeof last_path, "out/fuzz/replay-last-%s", name);
    n_mutants = strtoul(argv[1], NULL, 10);
    for (int i = 2; i < argc; i++)
        read_inputs(argv[i]);
    if (n_inputs == 0)
        die("no input for", name);
    n_read = n_inputs;
    for (unsigned i = 0; i < n_read; i++)
        run(&inputs[i]);
    for (unsigned long i = 0; i < n_mutants; i++) {
        const struct input *from = &inputs[below(n_read)];

        memcpy(mutant.data, from->data, from->len);
        mutant.len = from->len;
        mutate(&mutant);
        run(&mutant);
    }
    unlink(last_path);
    fprintf(out, "%s: %u inputs, %lu mutations\n", name, n_read, n_mutants);
    fclose(out);
    for (unsigned i = 0; i < n_read; i++)
        free(inputs[i].data);
    free(mutant.data);
    return 0;
}
