#include "devices/htif.h"

#include "dbt/base/bits.h"
#include "dbt/base/log.h"

enum { SYS_WRITE = 64, SYS_EXIT = 93 }; /* the proxy kernel's numbers are Linux's */

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

/* The block at gpa: number, then up to seven arguments; the result takes the
 * number's place. Each word is read once: the guest may be changing them. */
static void system_call(struct htif *h, uint64_t command, uint64_t gpa)
{
    uint64_t arg[4], result = (uint64_t)-38; /* ENOSYS */

    if (!usable(h->phys, gpa) || !phys_is_ram(h->phys, gpa, 64))
        return;
    for (unsigned i = 0; i < 4; i++)
        arg[i] = __atomic_load_n(word(h, gpa) + i, __ATOMIC_RELAXED);
    if (arg[0] == SYS_EXIT) {
        end(h, arg[1]);
        return;
    }
    if (arg[0] == SYS_WRITE && phys_is_ram(h->phys, arg[2], arg[3])) {
        for (uint64_t i = 0; i < arg[3]; i++)
            h->put(h->console, *phys_ptr(h->phys, arg[2] + i));
        result = arg[3];
    }
    __atomic_store_n(word(h, gpa), result, __ATOMIC_RELAXED);
    wrote(h, gpa);
    respond(h, command, 1);
}

static void give_char(struct htif *h)
{
    int c = h->get ? h->get(h->console) : -1;

    if (c < 0)
        return;
    h->wants_char = false;
    respond(h, bit(56), 0x100 | (unsigned)c);
}

static void serve(struct htif *h, uint64_t command)
{
    uint64_t payload = bits_get(command, 0, 48);

    switch (command >> 48) {
    case 0x0000:
        if (payload & 1)
            end(h, payload >> 1);
        else
            system_call(h, command, payload);
        break;
    case 0x0100: h->wants_char = true; break;
    case 0x0101: h->put(h->console, (uint8_t)payload); break;
    default: log_line(LOG_guest, "htif: command %#llx ignored", (unsigned long long)command);
    }
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
    serve(h, command);
    /* Zero says: served. It comes last, because the guest may wait for it before
     * it reuses its argument block. */
    __atomic_store_n(word(h, h->tohost_gpa), 0, __ATOMIC_SEQ_CST);
    wrote(h, h->tohost_gpa);
    return true;
}

void htif_state(struct htif *h, struct state_io *io)
{
    state_io_begin(io, "htif", 1);
    STATE_IO(io, h->wants_char);
}
