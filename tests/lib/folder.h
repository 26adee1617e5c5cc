/* A shared folder for tests: ./in in a new folder, and a guest that has said INIT. */
#pragma once

#include <sys/stat.h>

#include "tests/lib/fuse_client.h"

enum { FOLDER_ROOT = FUSE_ROOT_ID, FOLDER_MAX_OPEN = 16 };

struct folder {
    struct fuse_client c;
    char base[64];
};
extern struct folder folder;

/* For cmocka: each test has its own. */
int folder_begin(void **state);
int folder_end(void **state);

/* Another share of ./in: folder.c.share is the test's to close. */
struct share *folder_open(bool read_only);

/* On the host. */
void folder_write_file(const char *path, const char *text);
void folder_file_is(const char *path, const char *text);
struct stat folder_stat_of(const char *path);

/* In the guest. */
struct fuse_entry_out folder_entry(uint64_t parent, const char *name);
uint64_t folder_node(uint64_t parent, const char *name);
bool folder_exists(uint64_t parent, const char *name);
uint64_t folder_create_file(const char *name, uint64_t *fh);
void folder_reads(uint64_t node, uint64_t fh, uint64_t offset, const char *text);
