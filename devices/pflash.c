#include "devices/pflash.h"

#include <string.h>

#include "dbt/base/bits.h"
#include "dbt/base/log.h"

enum { /* commands, in the low byte of each chip's 16 bits */
       CMD_PROGRAM_OLD = 0x10,
       CMD_ERASE = 0x20,
       CMD_PROGRAM = 0x40,
       CMD_CLEAR_STATUS = 0x50,
       CMD_LOCK = 0x60,
       CMD_READ_STATUS = 0x70,
       CMD_READ_ID = 0x90,
       CMD_QUERY = 0x98,
       CMD_CONFIRM = 0xd0,
       CMD_BUFFER = 0xe8,
       CMD_RESET_AMD = 0xf0, /* by who looks for the other maker's command set */
       CMD_READ_ARRAY = 0xff,
};

enum { STATUS_READY = 0x80, STATUS_ERASE_ERROR = 0x20, STATUS_PROGRAM_ERROR = 0x10 };

enum { WIDTH = 4, CHIP_WIDTH = 2, N_CHIPS = WIDTH / CHIP_WIDTH };

/* ---- What loads see ----------------------------------------------------------------------------
 */

enum {
    CHIP_LOG2 = 24, /* 16 MiB */
    CHIP_BUFFER_LOG2 = 11,
    CHIP_BLOCK = PFLASH_BLOCK / N_CHIPS,
    N_BLOCKS = PFLASH_LEN / PFLASH_BLOCK,
    CFI_FIRST = 0x10,
};

/* The query's answer from word 0x10 on, of one chip (JESD68.01, section 4.3). */
static const uint8_t cfi[] = {
    'Q',
    'R',
    'Y',
    0x01,
    0x00, /* Intel's extended command set */
    0x31,
    0x00, /* where its table is */
    0x00,
    0x00,
    0x00,
    0x00, /* no other command set */
    0x45,
    0x55,
    0x00,
    0x00, /* volts */
    0x07,
    0x07,
    0x0a,
    0x00, /* typical times, as powers of two */
    0x04,
    0x04,
    0x04,
    0x00, /* longest, likewise */
    CHIP_LOG2,
    0x02,
    0x00, /* size; x8 and x16 */
    CHIP_BUFFER_LOG2,
    0x00, /* buffer */
    0x01, /* kinds of blocks: how many, less one, and how large */
    (N_BLOCKS - 1) & 0xff,
    (N_BLOCKS - 1) >> 8,
    (CHIP_BLOCK / 256) & 0xff,
    (CHIP_BLOCK / 256) >> 8,
    'P',
    'R',
    'I',
    '1',
    '0', /* Intel's table: nothing optional */
};

static uint8_t id_byte(unsigned word)
{
    static const uint8_t ids[] = {0x89, 0x18}; /* Intel, 28F128J3 */

    return word < sizeof ids ? ids[word] : 0;
}

static uint8_t cfi_byte(unsigned word)
{
    return word >= CFI_FIRST && word - CFI_FIRST < sizeof cfi ? cfi[word - CFI_FIRST] : 0;
}

/* Each chip has its answer in the low byte of its half. */
static uint8_t answer_byte(const struct pflash *f, uint64_t offset)
{
    const unsigned word = (unsigned)(offset / WIDTH % 256);

    if (offset % CHIP_WIDTH != 0)
        return 0;
    switch (f->mode) {
    case PFLASH_ID: return id_byte(word);
    case PFLASH_CFI: return cfi_byte(word);
    default: return f->status;
    }
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
    struct pflash *f = device;
    uint64_t value = 0;

    pthread_mutex_lock(&f->lock);
    if (f->mode == PFLASH_ARRAY)
        memcpy(&value, f->bytes + offset, size);
    else
        for (unsigned i = 0; i < size; i++)
            value |= (uint64_t)answer_byte(f, offset + i) << 8 * i;
    pthread_mutex_unlock(&f->lock);
    return value;
}

/* ---- Commands ----------------------------------------------------------------------------------
 */

static void show(struct pflash *f, enum pflash_mode mode)
{
    f->mode = mode;
    f->next = PFLASH_COMMAND;
}

/* Loads see the status while more stores are expected. */
static void expect(struct pflash *f, enum pflash_next next)
{
    f->mode = PFLASH_STATUS;
    f->next = next;
}

/* What comes of a command that changes the array. */
static void finish(struct pflash *f, bool ok, uint8_t error)
{
    if (!ok)
        f->status |= error;
    show(f, PFLASH_STATUS);
}

static bool changed(struct pflash *f, uint64_t offset, uint64_t n)
{
    f->low = f->high == 0 || offset < f->low ? offset : f->low;
    f->high = offset + n > f->high ? offset + n : f->high;
    f->host.wake(f->host.arg);
    return f->host.keep(f->host.arg, offset, n);
}

static bool program(struct pflash *f, uint64_t offset, const uint8_t *bytes, size_t n)
{
    if (f->read_only)
        return false;
    for (size_t i = 0; i < n; i++)
        f->bytes[offset + i] &= bytes[i];
    return changed(f, offset, n);
}

static bool erase(struct pflash *f, uint64_t offset)
{
    if (f->read_only)
        return false;
    offset = align_down(offset, PFLASH_BLOCK);
    memset(f->bytes + offset, 0xff, PFLASH_BLOCK);
    return changed(f, offset, PFLASH_BLOCK);
}

/* Bytes that the guest leaves out are not programmed: ones change nothing. */
static void count_buffer(struct pflash *f, uint64_t offset, uint64_t value)
{
    f->n_left = (uint32_t)(value & 0xffff) + 1;
    f->buffer_base = align_down(offset, PFLASH_BUFFER);
    memset(f->buffer, 0xff, sizeof f->buffer);
    expect(f, PFLASH_BUFFERED);
}

static void fill_buffer(struct pflash *f, uint64_t offset, unsigned size, uint64_t value)
{
    if (align_down(offset, PFLASH_BUFFER) != f->buffer_base) {
        finish(f, false, STATUS_PROGRAM_ERROR);
        return;
    }
    memcpy(f->buffer + (offset - f->buffer_base), &value, size);
    if (--f->n_left == 0)
        f->next = PFLASH_CONFIRM;
}

static void command(struct pflash *f, uint8_t cmd)
{
    switch (cmd) {
    case CMD_PROGRAM:
    case CMD_PROGRAM_OLD: expect(f, PFLASH_WORD); break;
    case CMD_ERASE: expect(f, PFLASH_ERASE); break;
    case CMD_LOCK: expect(f, PFLASH_LOCK); break;
    case CMD_BUFFER: expect(f, PFLASH_COUNT); break;
    case CMD_READ_STATUS: show(f, PFLASH_STATUS); break;
    case CMD_READ_ID: show(f, PFLASH_ID); break;
    case CMD_QUERY: show(f, PFLASH_CFI); break;
    case CMD_CLEAR_STATUS: f->status = STATUS_READY; break;
    case CMD_READ_ARRAY:
    case CMD_RESET_AMD: show(f, PFLASH_ARRAY); break;
    default:
        log_line(LOG_guest, "pflash: there is no command %#x", cmd);
        show(f, PFLASH_ARRAY);
        break;
    }
}

/* A second store that does not confirm is an error of the sequence, both bits; or a way back. */
static bool confirms(struct pflash *f, uint8_t cmd)
{
    if (cmd == CMD_CONFIRM)
        return true;
    if (cmd == CMD_READ_ARRAY)
        show(f, PFLASH_ARRAY);
    else
        finish(f, false, STATUS_ERASE_ERROR | STATUS_PROGRAM_ERROR);
    return false;
}

static void store(struct pflash *f, uint64_t offset, unsigned size, uint64_t value)
{
    const uint8_t cmd = (uint8_t)value;

    switch (f->next) {
    case PFLASH_COMMAND: command(f, cmd); break;
    case PFLASH_WORD:
        finish(f, program(f, offset, (const uint8_t *)&value, size), STATUS_PROGRAM_ERROR);
        break;
    case PFLASH_ERASE:
        if (confirms(f, cmd))
            finish(f, erase(f, offset), STATUS_ERASE_ERROR);
        break;
    /* No block is ever locked. */
    case PFLASH_LOCK: show(f, cmd == CMD_READ_ARRAY ? PFLASH_ARRAY : PFLASH_STATUS); break;
    case PFLASH_COUNT: count_buffer(f, offset, value); break;
    case PFLASH_BUFFERED: fill_buffer(f, offset, size, value); break;
    case PFLASH_CONFIRM:
        if (confirms(f, cmd))
            finish(f, program(f, f->buffer_base, f->buffer, PFLASH_BUFFER), STATUS_PROGRAM_ERROR);
        break;
    }
}

static void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct pflash *f = device;

    pthread_mutex_lock(&f->lock);
    store(f, offset, size, value);
    pthread_mutex_unlock(&f->lock);
}

const struct phys_mmio pflash_mmio = {
    .read = mmio_read, .write = mmio_write, .min_size = 1, .max_size = 8};

/* ---- Life --------------------------------------------------------------------------------------
 */

void pflash_init(struct pflash *f, uint8_t *bytes, bool read_only, const struct pflash_host *host)
{
    *f = (struct pflash){
        .bytes = bytes, .read_only = read_only, .host = *host, .status = STATUS_READY};
    pthread_mutex_init(&f->lock, NULL);
}

void pflash_fini(struct pflash *f)
{
    pthread_mutex_destroy(&f->lock);
}

void pflash_reset(struct pflash *f)
{
    pthread_mutex_lock(&f->lock);
    show(f, PFLASH_ARRAY);
    f->status = STATUS_READY;
    pthread_mutex_unlock(&f->lock);
}

/* A state that was not saved by us must not lead out of the array. */
void pflash_state(struct pflash *f, struct state_io *io)
{
    uint8_t mode = (uint8_t)f->mode, next = (uint8_t)f->next;

    pthread_mutex_lock(&f->lock);
    state_io_begin(io, "pflash", 1);
    STATE_IO(io, mode);
    STATE_IO(io, next);
    STATE_IO(io, f->status);
    STATE_IO(io, f->n_left);
    STATE_IO(io, f->buffer_base);
    STATE_IO(io, f->buffer);
    f->mode = (enum pflash_mode)(mode % (PFLASH_CFI + 1));
    f->next = (enum pflash_next)(next % (PFLASH_CONFIRM + 1));
    f->buffer_base = align_down(f->buffer_base % PFLASH_LEN, PFLASH_BUFFER);
    pthread_mutex_unlock(&f->lock);
}

void pflash_poll(struct pflash *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->high != 0)
        f->host.wrote(f->host.arg, f->low, f->high - f->low);
    f->high = 0;
    pthread_mutex_unlock(&f->lock);
}
