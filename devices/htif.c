#include "devices/htif.h"

#include "dbt/base/bits.h"
#include "dbt/base/log.h"

enum { SYS_WRITE = 64, SYS_EXIT = 93 }; /* the proxy kernel's numbers are Linux's */
enum { WRITE_STEP = 64 * 1024 };        /* bytes that are put at once */

static bool usable(const struct phys *phys, uint64_t gpa)
{
    return gpa % 8 == 0 && phys_is_ram(phys, gpa, 8);
}

void htif_init(struct htif *h, struct phys *phys, uint64_t tohost_gpa, uint64_t fromhost_gpa)
{
    *h = (struct htif){.phys = phys};
    if (usable(phys, tohost_gpa))
        h->tohost_gpa = tohost_gpa;
    if (usable(phys, fromhost_gpa))
        h->fromhost_gpa = fromhost_gpa;
}

static uint64_t *word(const struct htif *h, uint64_t gpa)
{
    return (uint64_t *)(void *)phys_ptr(h->phys, gpa);
}

static void wrote(struct htif *h, uint64_t gpa)
{
    if (h->wrote)
        h->wrote(h->wrote_arg, gpa, 8);
}

static void respond(struct htif *h, uint64_t command, uint64_t payload)
{
    uint64_t answer = (command & ~(bit(48) - 1)) | payload;

    if (h->fromhost_gpa == 0)
        return;
    __atomic_store_n(word(h, h->fromhost_gpa), answer, __ATOMIC_SEQ_CST);
    wrote(h, h->fromhost_gpa);
}

static void end(struct htif *h, uint64_t code)
{
    int status = (int)(code & 0xff);

    h->finish(h->finish_arg, FINISH_POWEROFF, status == 0 && code != 0 ? 1 : status);
}

static bool has_room(const struct htif *h)
{
    return !h->has_room || h->has_room(h->console);
}

/* A step of it; true when that was the last. */
static bool write_some(struct htif *h, uint64_t command, uint64_t gpa, uint64_t len)
{
    if (h->in_hand != command || h->n_written > len)
        h->n_written = 0;
    h->in_hand = command;
    if (!has_room(h))
        return false;
    uint64_t left = len - h->n_written, n = left < WRITE_STEP ? left : WRITE_STEP;

    for (uint64_t i = 0; i < n; i++)
        h->put(h->console, *phys_ptr(h->phys, gpa + h->n_written + i));
    h->n_written += n;
    if (n < left)
        return false;
    h->in_hand = h->n_written = 0;
    return true;
}

/* The block at gpa: number, then up to seven arguments; the result takes the
 * number's place. Each word is read once: the guest may be changing them. False: there is more to
 * do. */
static bool system_call(struct htif *h, uint64_t command, uint64_t gpa)
{
    uint64_t arg[4], result = (uint64_t)-38; /* ENOSYS */

    if (!usable(h->phys, gpa) || !phys_is_ram(h->phys, gpa, 64))
        return true;
    for (unsigned i = 0; i < 4; i++)
        arg[i] = __atomic_load_n(word(h, gpa) + i, __ATOMIC_RELAXED);
    if (arg[0] == SYS_EXIT) {
        end(h, arg[1]);
        return true;
    }
    if (arg[0] == SYS_WRITE && phys_is_ram(h->phys, arg[2], arg[3])) {
        if (!write_some(h, command, arg[2], arg[3]))
            return false;
        result = arg[3];
    }
    __atomic_store_n(word(h, gpa), result, __ATOMIC_RELAXED);
    wrote(h, gpa);
    respond(h, command, 1);
    return true;
}

static void give_char(struct htif *h)
{
    int c = h->get ? h->get(h->console) : -1;

    if (c < 0)
        return;
    h->wants_char = false;
    respond(h, bit(56), 0x100 | (unsigned)c);
}

/* False: it is to be served again. */
static bool serve(struct htif *h, uint64_t command)
{
    uint64_t payload = bits_get(command, 0, 48);

    switch (command >> 48) {
    case 0x0000:
        if (payload & 1)
            end(h, payload >> 1);
        else
            return system_call(h, command, payload);
        break;
    case 0x0100: h->wants_char = true; break;
    case 0x0101:
        if (!has_room(h))
            return false;
        h->put(h->console, (uint8_t)payload);
        break;
    default: log_line(LOG_guest, "htif: command %#llx ignored", (unsigned long long)command);
    }
    return true;
}

bool htif_poll(struct htif *h)
{
    uint64_t command;

    if (h->tohost_gpa == 0)
        return false;
    if (h->wants_char)
        give_char(h);
    command = __atomic_load_n(word(h, h->tohost_gpa), __ATOMIC_ACQUIRE);
    if (command == 0)
        return false;
    if (!serve(h, command))
        return true;
    /* Zero says: served. It comes last, because the guest may wait for it before
     * it reuses its argument block. */
    __atomic_store_n(word(h, h->tohost_gpa), 0, __ATOMIC_SEQ_CST);
    wrote(h, h->tohost_gpa);
    return true;
}

void htif_state(struct htif *h, struct state_io *io)
{
    state_io_begin(io, "htif", 2);
    STATE_IO(io, h->wants_char);
    STATE_IO(io, h->in_hand);
    STATE_IO(io, h->n_written);
}
