#include "devices/device.h"

#include <string.h>

void state_io_bytes(struct state_io *io, void *data, size_t len_bytes)
{
    size_t done;

    if (io->failed)
        return;
    done = io->saving ? fwrite(data, 1, len_bytes, io->f) : fread(data, 1, len_bytes, io->f);
    if (done != len_bytes)
        io->failed = true;
}

/* The head of a device's part: who it is, so that a snapshot of another machine
 * or of another version is refused and never read as something else. */
void state_io_begin(struct state_io *io, const char *name, uint32_t version)
{
    struct {
        char name[28];
        uint32_t version;
    } want = {.version = version}, head;

    strncpy(want.name, name, sizeof want.name - 1);
    head = want;
    state_io_bytes(io, &head, sizeof head);
    if (memcmp(&head, &want, sizeof head) != 0)
        io->failed = true;
}
