#include "devices/finisher.h"

#include "dbt/base/log.h"

enum { PASS = 0x5555, FAIL = 0x3333, RESET = 0x7777 };

static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
    (void)device, (void)offset, (void)size;
    return 0;
}

/* An exit status has eight bits; a failure must not look like success for want
 * of a code that fits. */
static int fail_code(uint32_t value)
{
    int code = (int)(value >> 16 & 0xff);

    return code != 0 ? code : 1;
}

static void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct finisher *f = device;

    (void)size;
    if (offset == 0 && (value & 0xffff) == PASS)
        f->finish(f->arg, FINISH_POWEROFF, 0);
    else if (offset == 0 && (value & 0xffff) == FAIL)
        f->finish(f->arg, FINISH_POWEROFF, fail_code((uint32_t)value));
    else if (offset == 0 && (value & 0xffff) == RESET)
        f->finish(f->arg, FINISH_RESET, 0);
    else
        log_line(LOG_guest, "finisher: write of %#llx at %#llx ignored", (unsigned long long)value,
                 (unsigned long long)offset);
}

const struct phys_mmio finisher_mmio = {
    .read = mmio_read, .write = mmio_write, .min_size = 2, .max_size = 4};
