#define _GNU_SOURCE
#include "tests/lib/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dbt/base/check.h"

struct folder folder;

struct share *folder_open(bool read_only)
{
    const struct share_config config = {
        .dir = "in", .synchronous = true, .read_only = read_only, .max_open = FOLDER_MAX_OPEN};
    struct err e;
    struct share *s = share_open(&config, &e);

    CHECK(s && "the folder is shared");
    return s;
}

int folder_begin(void **state)
{
    (void)state;
    strcpy(folder.base, "/tmp/dbt-share.XXXXXX");
    CHECK(mkdtemp(folder.base) && chdir(folder.base) == 0 && mkdir("in", 0777) == 0);
    fc_start(&folder.c, folder_open(false));
    CHECK(fc_init(&folder.c) == 0);
    return 0;
}

int folder_end(void **state)
{
    char command[128];

    (void)state;
    share_close(folder.c.share);
    snprintf(command, sizeof command, "rm -rf %s", folder.base);
    CHECK(chdir("/") == 0 && system(command) == 0); /* NOLINT: the path is ours */
    return 0;
}

void folder_write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0);
}

void folder_file_is(const char *path, const char *text)
{
    char got[256] = "";
    FILE *f = fopen(path, "r");

    CHECK(f && "the file is there");
    got[fread(got, 1, sizeof got - 1, f)] = '\0';
    fclose(f);
    CHECK(strcmp(got, text) == 0);
}

struct stat folder_stat_of(const char *path)
{
    struct stat st;

    CHECK(lstat(path, &st) == 0);
    return st;
}

struct fuse_entry_out folder_entry(uint64_t parent, const char *name)
{
    struct fuse_entry_out e;

    CHECK(fc_lookup(&folder.c, parent, name, &e) == 0 && e.nodeid != 0);
    return e;
}

uint64_t folder_node(uint64_t parent, const char *name)
{
    return folder_entry(parent, name).nodeid;
}

bool folder_exists(uint64_t parent, const char *name)
{
    struct fuse_entry_out e;

    CHECK(fc_lookup(&folder.c, parent, name, &e) == 0);
    return e.nodeid != 0;
}

uint64_t folder_create_file(const char *name, uint64_t *fh)
{
    struct fuse_entry_out e;

    CHECK(fc_create(&folder.c, FOLDER_ROOT, name, O_RDWR, 0644, &e, fh) == 0);
    return e.nodeid;
}

void folder_reads(uint64_t node, uint64_t fh, uint64_t offset, const char *text)
{
    CHECK(fc_read(&folder.c, node, fh, offset, 1000) == 0);
    CHECK(folder.c.answer_len == strlen(text) && memcmp(folder.c.answer, text, strlen(text)) == 0);
}
