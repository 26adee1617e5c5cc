#include "devices/fw_cfg.h"

#include <endian.h>
#include <string.h>

#include "dbt/base/check.h"
#include "dbt/base/log.h"

enum { DATA = 0, DATA_END = 8, SELECTOR = 8, DMA = 16, DMA_LOW = 20 };
enum { SIGNATURE = 0x00, ID = 0x01, FILE_DIRECTORY = 0x19, FILE_FIRST = 0x20 };
enum { ID_TRADITIONAL = 1, ID_DMA = 2 };

enum { /* an order's control word */
       CONTROL_ERROR = 1,
       CONTROL_READ = 2,
       CONTROL_SKIP = 4,
       CONTROL_SELECT = 8,
       CONTROL_WRITE = 16,
};

struct order { /* as it lies in RAM, big-endian */
    uint32_t control, len;
    uint64_t gpa;
};

struct file { /* an entry of the directory, big-endian */
    uint32_t len;
    uint16_t key, reserved;
    char name[FW_CFG_NAME_ROOM];
};

/* ---- Items ----------------------------------------------------------------------------------- */

static struct fw_cfg_item *new_item(struct fw_cfg *f, uint16_t key)
{
    CHECK(f->n_items < FW_CFG_MAX_ITEMS && "the command line counts files");
    f->item[f->n_items] = (struct fw_cfg_item){.key = key};
    return &f->item[f->n_items++];
}

void fw_cfg_add(struct fw_cfg *f, uint16_t key, const void *data, uint32_t len)
{
    struct fw_cfg_item *item = new_item(f, key);

    item->data = data;
    item->len = len;
}

void fw_cfg_add_number(struct fw_cfg *f, uint16_t key, uint64_t value, unsigned size)
{
    struct fw_cfg_item *item = new_item(f, key);

    CHECK(size <= sizeof item->number);
    value = htole64(value);
    memcpy(item->number, &value, size);
    item->len = size;
}

/* How many files stand before this one. */
static uint16_t rank(const struct fw_cfg *f, const struct fw_cfg_item *file)
{
    uint16_t n = 0;

    for (unsigned i = 0; i < f->n_items; i++)
        n += f->item[i].name[0] != '\0' && strcmp(f->item[i].name, file->name) < 0;
    return n;
}

static void list_files(struct fw_cfg *f)
{
    uint32_t n_files = 0;

    for (unsigned i = 0; i < f->n_items; i++) {
        struct fw_cfg_item *item = &f->item[i];
        struct file entry = {.len = htobe32(item->len)};

        if (item->name[0] == '\0')
            continue;
        item->key = (uint16_t)(FILE_FIRST + rank(f, item));
        entry.key = htobe16(item->key);
        memcpy(entry.name, item->name, sizeof entry.name);
        memcpy(f->directory + 4 + sizeof entry * rank(f, item), &entry, sizeof entry);
        n_files++;
    }
    n_files = htobe32(n_files);
    memcpy(f->directory, &n_files, sizeof n_files);
}

void fw_cfg_add_file(struct fw_cfg *f, const char *name, const void *data, uint32_t len)
{
    struct fw_cfg_item *item = new_item(f, 0);

    CHECK(name[0] != '\0' && strlen(name) < sizeof item->name);
    memcpy(item->name, name, strlen(name) + 1);
    item->data = data;
    item->len = len;
    list_files(f);
}

/* The item that is selected; one that is not there is empty. */
static const uint8_t *selected(const struct fw_cfg *f, uint32_t *len)
{
    for (unsigned i = 0; i < f->n_items; i++) {
        const struct fw_cfg_item *item = &f->item[i];

        if (item->key != f->key)
            continue;
        *len = item->len;
        return item->data ? item->data : item->number;
    }
    *len = 0;
    return NULL;
}

static void select_item(struct fw_cfg *f, uint16_t key)
{
    f->key = key;
    f->offset = 0;
}

/* How many of the next n bytes there are. */
static uint32_t available(const struct fw_cfg *f, uint32_t n)
{
    uint32_t len;

    (void)selected(f, &len);
    return f->offset >= len ? 0 : len - f->offset < n ? len - f->offset : n;
}

/* Behind an item's end there are zeros. */
static void take(struct fw_cfg *f, uint8_t *to, uint32_t n)
{
    const uint32_t there = available(f, n);
    uint32_t len;
    const uint8_t *data = selected(f, &len);

    if (there > 0)
        memcpy(to, data + f->offset, there);
    memset(to + there, 0, n - there);
    f->offset += there;
}

/* ---- DMA --------------------------------------------------------------------------------------
 */

/* The bytes reach RAM. */
static bool read_into_ram(struct fw_cfg *f, uint64_t gpa, uint32_t len)
{
    uint8_t *to = len ? dma_ptr(&f->dma, gpa, len) : NULL;
    const struct iovec iov = {to, len};

    if (len == 0)
        return true;
    if (!to)
        return false;
    take(f, to, len);
    dma_wrote(&f->dma, &iov, 1, 0, len);
    return true;
}

/* Nothing here can be written. */
static bool obey(struct fw_cfg *f, uint32_t control, uint32_t len, uint64_t gpa)
{
    if (control & CONTROL_SELECT)
        select_item(f, (uint16_t)(control >> 16));
    if (control & CONTROL_READ)
        return read_into_ram(f, gpa, len);
    if (control & CONTROL_WRITE)
        return false;
    if (control & CONTROL_SKIP)
        f->offset += available(f, len);
    return true;
}

static void serve(struct fw_cfg *f)
{
    struct order order;
    uint8_t *at = dma_ptr(&f->dma, f->order_gpa, sizeof order);
    const struct iovec iov = {at, sizeof order.control};
    uint32_t result;

    if (!at) {
        log_line(LOG_guest, "fw_cfg: an order at %#llx, which is not in RAM",
                 (unsigned long long)f->order_gpa);
        return;
    }
    memcpy(&order, at, sizeof order);
    result = obey(f, be32toh(order.control), be32toh(order.len), be64toh(order.gpa))
                 ? 0
                 : htobe32(CONTROL_ERROR);
    memcpy(at, &result, sizeof result);
    dma_wrote(&f->dma, &iov, 1, 0, sizeof result);
}

void fw_cfg_poll(struct fw_cfg *f)
{
    pthread_mutex_lock(&f->lock);
    if (f->asked) {
        f->asked = false;
        serve(f);
    }
    pthread_mutex_unlock(&f->lock);
}

/* An address is written at once, or its upper half first. */
static void write_dma(struct fw_cfg *f, uint64_t offset, unsigned size, uint64_t value)
{
    if (offset == DMA && size == 4) {
        f->dma_high = be32toh((uint32_t)value);
        return;
    }
    if (offset == DMA && size == 8)
        f->order_gpa = be64toh(value);
    else if (offset == DMA_LOW && size == 4)
        f->order_gpa = (uint64_t)f->dma_high << 32 | be32toh((uint32_t)value);
    else
        return;
    f->dma_high = 0;
    f->asked = true;
    f->wake(f->arg);
}

/* ---- Registers ---------------------------------------------------------------------------------
 */

static uint64_t read_dma(uint64_t offset, unsigned size)
{
    static const char signature[8] = {'Q', 'E', 'M', 'U', ' ', 'C', 'F', 'G'};
    uint64_t value = 0;

    if (offset - DMA + size <= sizeof signature)
        memcpy(&value, signature + (offset - DMA), size);
    return value;
}

static uint64_t mmio_read(void *device, uint64_t offset, unsigned size)
{
    struct fw_cfg *f = device;
    uint8_t bytes[8] = {0};
    uint64_t value;

    if (offset >= DMA)
        return read_dma(offset, size);
    if (offset >= DATA_END)
        return 0;
    pthread_mutex_lock(&f->lock);
    take(f, bytes, size);
    pthread_mutex_unlock(&f->lock);
    memcpy(&value, bytes, sizeof value);
    return value;
}

static void mmio_write(void *device, uint64_t offset, unsigned size, uint64_t value)
{
    struct fw_cfg *f = device;

    pthread_mutex_lock(&f->lock);
    if (offset == SELECTOR && size == 2)
        select_item(f, be16toh((uint16_t)value));
    else if (offset >= DMA)
        write_dma(f, offset, size, value);
    pthread_mutex_unlock(&f->lock);
}

const struct phys_mmio fw_cfg_mmio = {
    .read = mmio_read, .write = mmio_write, .min_size = 1, .max_size = 8};

/* ---- Life -------------------------------------------------------------------------------------
 */

void fw_cfg_init(struct fw_cfg *f, const struct virtio_dma *dma, void (*wake)(void *arg), void *arg)
{
    *f = (struct fw_cfg){.dma = *dma, .wake = wake, .arg = arg};
    pthread_mutex_init(&f->lock, NULL);
    fw_cfg_add(f, SIGNATURE, "QEMU", 4);
    fw_cfg_add_number(f, ID, ID_TRADITIONAL | ID_DMA, 4);
    fw_cfg_add(f, FILE_DIRECTORY, f->directory, sizeof f->directory);
}

void fw_cfg_fini(struct fw_cfg *f)
{
    pthread_mutex_destroy(&f->lock);
}

void fw_cfg_reset(struct fw_cfg *f)
{
    pthread_mutex_lock(&f->lock);
    select_item(f, 0);
    f->dma_high = 0;
    f->asked = false;
    pthread_mutex_unlock(&f->lock);
}

void fw_cfg_state(struct fw_cfg *f, struct state_io *io)
{
    pthread_mutex_lock(&f->lock);
    state_io_begin(io, "fw_cfg", 1);
    STATE_IO(io, f->key);
    STATE_IO(io, f->offset);
    STATE_IO(io, f->dma_high);
    STATE_IO(io, f->asked);
    STATE_IO(io, f->order_gpa);
    if (!io->saving && f->asked)
        f->wake(f->arg);
    pthread_mutex_unlock(&f->lock);
}
