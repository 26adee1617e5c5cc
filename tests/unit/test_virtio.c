/* virtio-mmio, what all devices share, and the queue: by a device that echoes what it reads into
 * what it may write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/virtio_driver.h"

/* ---- The device --------------------------------------------------------------------------- */

struct echo {
    struct virtio_device v;
    uint32_t config[2];
    bool keep; /* buffers are kept until `release` */
    unsigned n_served, n_settled, n_forgotten, n_reset;
    uint64_t out_bytes, in_bytes; /* of the last chain */
    uint16_t kept[64];
    unsigned n_kept;
    bool refuse;
};

static void take(struct virtio_device *d, struct virtq *q, struct virtq_chain *c)
{
    struct echo *x = (struct echo *)(void *)d;
    uint8_t bytes[256];
    size_t n = dma_gather(c->iov, c->n_out, 0, bytes, sizeof bytes);

    x->out_bytes = c->out_bytes;
    x->in_bytes = c->in_bytes;
    if (x->keep) {
        x->kept[x->n_kept++] = c->head;
        return;
    }
    virtq_give(q, c->head, (uint32_t)dma_scatter(&d->host.dma, virtq_in(c), c->n_in, 0, bytes, n));
}

static void serve(struct virtio_device *d, uint32_t queues)
{
    ((struct echo *)(void *)d)->n_served++;
    if (queues & 1)
        virtio_each(d, 0, take);
}

static bool accept(struct virtio_device *d, uint64_t features)
{
    (void)features;
    return !((struct echo *)(void *)d)->refuse;
}

static void settle(struct virtio_device *d)
{
    ((struct echo *)(void *)d)->n_settled++;
}

static void forget(struct virtio_device *d, unsigned queue)
{
    (void)queue;
    ((struct echo *)(void *)d)->n_forgotten++;
    ((struct echo *)(void *)d)->n_kept = 0;
}

static void was_reset(struct virtio_device *d)
{
    ((struct echo *)(void *)d)->n_reset++;
}

static void write_config(struct virtio_device *d, uint64_t offset, unsigned size, uint32_t value)
{
    if (offset == 4 && size == 4)
        ((struct echo *)(void *)d)->config[1] = value;
}

static const struct virtio_ops echo_ops = {.name = "echo",
                                           .id = 42,
                                           .n_queues = 2,
                                           .queue_max = 64,
                                           .accept = accept,
                                           .serve = serve,
                                           .settle = settle,
                                           .forget = forget,
                                           .reset = was_reset,
                                           .write_config = write_config};

#define ECHO_FEATURE (UINT64_C(1) << 3)
#define ALL          (VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX)

static struct virtio_driver d;
static struct echo x;

static int begin(void **state)
{
    (void)state;
    vd_init(&d);
    memset(&x, 0, sizeof x);
    x.config[0] = 0x44332211;
    virtio_init(&x.v, &echo_ops, &d.host, ECHO_FEATURE, x.config, sizeof x.config);
    d.slot = (struct virtio_mmio){.device = &x.v};
    return 0;
}

static int end(void **state)
{
    (void)state;
    virtio_fini(&x.v);
    vd_fini(&d);
    return 0;
}

static void start(uint64_t features, uint16_t num)
{
    assert_true(vd_negotiate(&d, features));
    vd_start(&d, num);
    vd_poll(&d);
    assert_int_equal(vd_get(&d, VD_STATUS), 15);
}

/* A chain of a piece to read at `from` and one to write behind it. */
static void offer_pair(unsigned i, uint32_t n_out, uint32_t n_in)
{
    vd_desc(&d, i, VD_RAM + VD_DATA + 512 * i, n_out, VD_NEXT, (uint16_t)(i + 1));
    vd_desc(&d, i + 1, VD_RAM + VD_DATA + 512 * i + 256, n_in, VD_WRITE, 0);
    vd_offer(&d, (uint16_t)i);
}

static void assert_broken(void)
{
    assert_int_equal(vd_get(&d, VD_STATUS) & VD_NEEDS_RESET, VD_NEEDS_RESET);
    assert_int_equal(vd_get(&d, VD_INTERRUPT_STATUS) & 2, 2);
    assert_true(d.irq);
}

/* ---- Registers ----------------------------------------------------------------------------- */

static void identity(void **state)
{
    struct virtio_mmio empty = {0};

    (void)state;
    assert_int_equal(vd_get(&d, VD_MAGIC), 0x74726976);
    assert_int_equal(vd_get(&d, VD_VERSION), 2);
    assert_int_equal(vd_get(&d, VD_DEVICE_ID), 42);
    assert_int_equal(vd_get(&d, VD_STATUS), 0);
    assert_int_equal(vd_get(&d, 0xb0), UINT32_MAX); /* no shared memory */
    for (uint64_t at = 0; at < 0x200; at += 4) {
        uint32_t want = at == VD_MAGIC ? 0x74726976 : at == VD_VERSION ? 2 : 0;

        virtio_mmio.write(&empty, at, 4, UINT32_MAX);
        if (at != VD_VENDOR_ID)
            assert_int_equal(virtio_mmio.read(&empty, at, 4), want);
    }
}

static void registers_are_words(void **state)
{
    (void)state;
    assert_int_equal(virtio_mmio.read(&d.slot, VD_MAGIC, 1), 0);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_DEVICE_ID, 2), 0);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_MAGIC, 8), 0);
    virtio_mmio.write(&d.slot, VD_STATUS, 1, 1);
    assert_int_equal(vd_get(&d, VD_STATUS), 0);
}

static void configuration_space(void **state)
{
    (void)state;
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG, 4), 0x44332211);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + 1, 1), 0x22);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + 2, 2), 0x4433);
    virtio_mmio.write(&d.slot, VD_CONFIG + 4, 4, 0x88776655);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG, 8), 0x8877665544332211);
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + 8, 4), 0); /* behind its end */
    assert_int_equal(virtio_mmio.read(&d.slot, VD_CONFIG + 0xef8, 8), 0);
}

static void a_change_of_configuration_is_told(void **state)
{
    uint32_t before = vd_get(&d, VD_GENERATION);

    (void)state;
    virtio_config_changed(&x.v);
    assert_int_not_equal(vd_get(&d, VD_GENERATION), before);
    assert_false(d.irq); /* no driver yet */
    start(0, 8);
    virtio_config_changed(&x.v);
    assert_int_equal(vd_get(&d, VD_INTERRUPT_STATUS), 2);
    assert_true(d.irq);
    vd_set(&d, VD_INTERRUPT_ACK, 2);
    assert_false(d.irq);
}

/* ---- Agreeing ---------------------------------------------------------------------------------
 */

static void features_are_offered(void **state)
{
    uint64_t offered = 0;

    (void)state;
    for (unsigned sel = 0; sel < 3; sel++) {
        vd_set(&d, VD_DEVICE_FEATURES_SEL, sel);
        if (sel < 2)
            offered |= (uint64_t)vd_get(&d, VD_DEVICE_FEATURES) << (32 * sel);
        else
            assert_int_equal(vd_get(&d, VD_DEVICE_FEATURES), 0);
    }
    assert_int_equal(offered, ECHO_FEATURE | ALL | VIRTIO_F_VERSION_1 | VIRTIO_F_ANY_LAYOUT);
}

static void features_are_refused(void **state)
{
    (void)state;
    assert_true(vd_negotiate(&d, ECHO_FEATURE | ALL));
    assert_false(vd_negotiate(&d, 1));                 /* not offered */
    assert_false(vd_negotiate(&d, UINT64_C(1) << 40)); /* nor this */
    vd_set(&d, VD_STATUS, 0);
    vd_set(&d, VD_STATUS, 3 | VD_FEATURES_OK); /* without VERSION_1 */
    assert_int_equal(vd_get(&d, VD_STATUS), 3);
    vd_set(&d, VD_STATUS, 3 | VD_DRIVER_OK); /* ready for what? */
    assert_int_equal(vd_get(&d, VD_STATUS), 3);
    x.refuse = true;
    assert_false(vd_negotiate(&d, 0));
}

static void features_are_settled_then(void **state)
{
    (void)state;
    assert_true(vd_negotiate(&d, ECHO_FEATURE));
    vd_set(&d, VD_DRIVER_FEATURES_SEL, 0);
    vd_set(&d, VD_DRIVER_FEATURES, UINT32_MAX);
    vd_set(&d, VD_DRIVER_FEATURES_SEL, 7);
    vd_set(&d, VD_DRIVER_FEATURES, UINT32_MAX);
    assert_int_equal(x.v.features, ECHO_FEATURE | VIRTIO_F_VERSION_1);
    vd_set(&d, VD_STATUS, VD_ACKNOWLEDGE); /* bits stay until the reset */
    assert_int_equal(vd_get(&d, VD_STATUS), 11);
}

/* ---- Queues
 * --------------------------------------------------------------------------------------- */

static void queue_registers(void **state)
{
    (void)state;
    assert_int_equal(vd_get(&d, VD_QUEUE_NUM_MAX), 64);
    vd_set(&d, VD_QUEUE_SEL, 2);
    assert_int_equal(vd_get(&d, VD_QUEUE_NUM_MAX), 0);
    assert_int_equal(vd_get(&d, VD_QUEUE_READY), 0);
    vd_set(&d, VD_QUEUE_NUM, 4);
    vd_set(&d, VD_QUEUE_READY, 1);
    vd_set(&d, VD_QUEUE_NOTIFY, 2);
    vd_set(&d, VD_QUEUE_NOTIFY, UINT32_MAX);
    assert_int_equal(d.n_kicks, 0);
    start(0, 16);
    assert_int_equal(vd_get(&d, VD_QUEUE_READY), 1);
    vd_set(&d, VD_QUEUE_NUM, 4); /* too late */
    vd_set(&d, VD_QUEUE_DESC, 0);
    assert_int_equal(x.v.queue[0].num, 16);
    assert_int_equal(x.v.queue[0].desc_gpa, VD_RAM + VD_DESC);
}

static void bad_queues_are_refused(void **state)
{
    static const struct {
        uint32_t num;
        uint64_t desc, driver, device;
    } bad[] = {
        {0, 0x1000, 0x5000, 0x7000},           {3, 0x1000, 0x5000, 0x7000},
        {128, 0x1000, 0x5000, 0x7000},         {65536 + 16, 0x1000, 0x5000, 0x7000},
        {16, 0x1008, 0x5000, 0x7000},          {16, 0x1000, 0x5001, 0x7000},
        {16, 0x1000, 0x5000, 0x7002},          {16, VD_RAM_LEN - 240, 0x5000, 0x7000},
        {16, 0x1000, VD_RAM_LEN - 36, 0x7000}, {16, 0x1000, 0x5000, VD_RAM_LEN - 132},
        {16, -VD_RAM, 0x5000, 0x7000},         {16, 0x1000, UINT64_MAX - VD_RAM - 1, 0x7000},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const uint64_t gpa[3] = {bad[i].desc, bad[i].driver, bad[i].device};

        assert_true(vd_negotiate(&d, VIRTIO_F_EVENT_IDX));
        vd_set(&d, VD_QUEUE_SEL, 0);
        vd_set(&d, VD_QUEUE_NUM, bad[i].num);
        for (unsigned k = 0; k < 3; k++) {
            vd_set(&d, VD_QUEUE_DESC + 16 * k, (uint32_t)(VD_RAM + gpa[k]));
            vd_set(&d, VD_QUEUE_DESC + 16 * k + 4, (uint32_t)((VD_RAM + gpa[k]) >> 32));
        }
        vd_set(&d, VD_QUEUE_READY, 1);
        if (vd_get(&d, VD_QUEUE_READY) || !(vd_get(&d, VD_STATUS) & VD_NEEDS_RESET))
            fail_msg("row %u was taken", i);
        vd_set(&d, VD_STATUS, vd_get(&d, VD_STATUS) | VD_DRIVER_OK);
        vd_notify(&d);
        assert_int_equal(x.n_served, 0);
    }
}

static void a_buffer_goes_round(void **state)
{
    uint32_t head, len;

    (void)state;
    start(0, 8);
    strcpy(vd_at(&d, VD_DATA), "hello");
    offer_pair(0, 6, 100);
    vd_notify(&d);
    assert_string_equal(vd_at(&d, VD_DATA + 256), "hello");
    assert_int_equal(vd_n_used(&d), 1);
    vd_take_used(&d, &head, &len);
    assert_int_equal(head, 0);
    assert_int_equal(len, 6);
    assert_int_equal(vd_get(&d, VD_INTERRUPT_STATUS), 1);
    assert_true(d.irq);
    vd_set(&d, VD_INTERRUPT_ACK, 1);
    assert_false(d.irq);
    /* What was written was told: the buffer and the ring. */
    assert_true(d.wrote_low <= VD_USED && d.wrote_high >= VD_DATA + 262);
}

static void the_index_wraps(void **state)
{
    uint32_t head, len;

    (void)state;
    start(VIRTIO_F_EVENT_IDX, 4);
    for (unsigned i = 0; i < 70000; i++) {
        memcpy(vd_at(&d, VD_AVAIL + 4 + 2 * 4), &d.used_idx, 2); /* used_event */
        memcpy(vd_at(&d, VD_DATA), &i, 4);
        offer_pair(0, 4, 4);
        vd_notify(&d);
        vd_take_used(&d, &head, &len);
        assert_memory_equal(vd_at(&d, VD_DATA + 256), &i, 4);
        assert_true(d.irq);
        vd_set(&d, VD_INTERRUPT_ACK, 1);
    }
    assert_int_equal(vd_get(&d, VD_STATUS), 15);
}

/* ANY_LAYOUT: pieces of any size, empty ones among them. */
static void any_layout(void **state)
{
    (void)state;
    start(0, 16);
    memcpy(vd_at(&d, VD_DATA), "abcdefgh", 8);
    for (unsigned i = 0; i < 8; i++)
        vd_desc(&d, i, VD_RAM + VD_DATA + i, i != 3, VD_NEXT, (uint16_t)(i + 1));
    vd_desc(&d, 8, VD_RAM + VD_DATA + 100, 3, VD_WRITE | VD_NEXT, 9);
    vd_desc(&d, 9, 12345, 0, VD_WRITE | VD_NEXT, 10);
    vd_desc(&d, 10, VD_RAM + VD_DATA + 200, 50, VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
    assert_int_equal(x.out_bytes, 7);
    assert_int_equal(x.in_bytes, 53);
    assert_memory_equal(vd_at(&d, VD_DATA + 100), "abc", 3);
    assert_memory_equal(vd_at(&d, VD_DATA + 200), "efgh", 4);
}

static void indirect(void **state)
{
    (void)state;
    start(VIRTIO_F_INDIRECT_DESC, 8);
    memcpy(vd_at(&d, VD_DATA), "abcdefgh", 8);
    /* A direct piece, then a table whose descriptors stand in any order. */
    vd_desc(&d, 0, VD_RAM + VD_DATA, 2, VD_NEXT, 5);
    vd_desc(&d, 5, VD_RAM + VD_TABLE, 3 * 16, VD_INDIRECT, 0);
    vd_table_desc(&d, 0, VD_RAM + VD_DATA + 2, 6, VD_NEXT, 2);
    vd_table_desc(&d, 2, VD_RAM + VD_DATA + 100, 5, VD_WRITE | VD_NEXT, 1);
    vd_table_desc(&d, 1, VD_RAM + VD_DATA + 200, 5, VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
    assert_int_equal(vd_n_used(&d), 1);
    assert_memory_equal(vd_at(&d, VD_DATA + 100), "abcde", 5);
    assert_memory_equal(vd_at(&d, VD_DATA + 200), "fgh", 3);
}

/* ---- Bad chains
 * ------------------------------------------------------------------------------------ */

struct bad_desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags, next;
};

/* Two descriptors of the queue, two of the table. */
static const struct {
    const char *what;
    uint16_t head;
    struct bad_desc queue[2], table[2];
} bad_chains[] = {
    {"outside RAM", 0, {{0x1000, 16, 0, 0}}, {{0}}},
    {"across RAM's end", 0, {{VD_RAM + VD_RAM_LEN - 8, 16, 0, 0}}, {{0}}},
    {"before RAM", 0, {{VD_RAM - 8, 16, 0, 0}}, {{0}}},
    {"wraps", 0, {{UINT64_MAX - 7, 16, 0, 0}}, {{0}}},
    {"long", 0, {{VD_RAM, UINT32_MAX, VD_WRITE, 0}}, {{0}}},
    {"head too large", 8, {{0}}, {{0}}},
    {"next too large", 0, {{VD_RAM, 16, VD_NEXT, 8}}, {{0}}},
    {"loop", 0, {{VD_RAM, 16, VD_NEXT, 1}, {VD_RAM, 16, VD_NEXT, 0}}, {{0}}},
    {"loop of nothing", 0, {{VD_RAM, 0, VD_NEXT, 0}}, {{0}}},
    {"to read behind to write",
     0,
     {{VD_RAM, 16, VD_WRITE | VD_NEXT, 1}, {VD_RAM, 16, 0, 0}},
     {{0}}},
    {"indirect with a successor", 0, {{VD_RAM + VD_TABLE, 16, VD_INDIRECT | VD_NEXT, 1}}, {{0}}},
    {"an odd table", 0, {{VD_RAM + VD_TABLE, 17, VD_INDIRECT, 0}}, {{0}}},
    {"an empty table", 0, {{VD_RAM + VD_TABLE, 0, VD_INDIRECT, 0}}, {{0}}},
    {"a table outside", 0, {{VD_RAM + VD_RAM_LEN, 16, VD_INDIRECT, 0}}, {{0}}},
    {"a table across", 0, {{VD_RAM + VD_RAM_LEN - 16, 32, VD_INDIRECT, 0}}, {{0}}},
    {"nested",
     0,
     {{VD_RAM + VD_TABLE, 32, VD_INDIRECT, 0}},
     {{VD_RAM + VD_TABLE + 16, 16, VD_INDIRECT, 0}, {VD_RAM, 16, 0, 0}}},
    {"table: next too large",
     0,
     {{VD_RAM + VD_TABLE, 32, VD_INDIRECT, 0}},
     {{VD_RAM, 16, VD_NEXT, 2}}},
    {"table: loop", 0, {{VD_RAM + VD_TABLE, 32, VD_INDIRECT, 0}}, {{VD_RAM, 16, VD_NEXT, 0}}},
    {"table: outside", 0, {{VD_RAM + VD_TABLE, 32, VD_INDIRECT, 0}}, {{16, 16, 0, 0}}},
};

static void bad_chains_need_a_reset(void **state)
{
    (void)state;
    for (unsigned i = 0; i < sizeof bad_chains / sizeof bad_chains[0]; i++) {
        start(VIRTIO_F_INDIRECT_DESC, 8);
        for (unsigned k = 0; k < 2; k++) {
            const struct bad_desc *q = &bad_chains[i].queue[k], *t = &bad_chains[i].table[k];

            vd_desc(&d, k, q->gpa, q->len, q->flags, q->next);
            vd_table_desc(&d, k, t->gpa, t->len, t->flags, t->next);
        }
        vd_offer(&d, bad_chains[i].head);
        vd_notify(&d);
        if (!(vd_get(&d, VD_STATUS) & VD_NEEDS_RESET) || vd_n_used(&d) != 0)
            fail_msg("%s: taken", bad_chains[i].what);
        assert_broken();
        /* It does nothing more, not even with a good chain. */
        offer_pair(0, 4, 4);
        vd_notify(&d);
        assert_int_equal(vd_n_used(&d), 0);
    }
    start(0, 8);
    offer_pair(0, 4, 4);
    vd_notify(&d);
    assert_int_equal(vd_n_used(&d), 1);
}

static void no_indirect_unless_agreed(void **state)
{
    (void)state;
    start(0, 8);
    vd_desc(&d, 0, VD_RAM + VD_TABLE, 16, VD_INDIRECT, 0);
    vd_table_desc(&d, 0, VD_RAM + VD_DATA, 5, 0, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
    assert_broken();
}

static void the_index_may_not_run_away(void **state)
{
    uint16_t far = 9;

    (void)state;
    start(0, 8);
    memcpy(vd_at(&d, VD_AVAIL + 2), &far, 2);
    vd_notify(&d);
    assert_broken();
    assert_int_equal(vd_n_used(&d), 0);
}

/* The same buffer again and again, while the device has it. */
static void no_more_buffers_than_descriptors(void **state)
{
    (void)state;
    start(0, 8);
    x.keep = true;
    for (unsigned i = 0; i < 8; i++) {
        offer_pair(0, 4, 4);
        vd_notify(&d);
        assert_int_equal(vd_get(&d, VD_STATUS), 15);
    }
    offer_pair(0, 4, 4);
    vd_notify(&d);
    assert_broken();
    assert_int_equal(x.n_kept, 8);
}

/* A table of 1024 pieces is taken; of one more, it is not. */
static void the_longest_chain(void **state)
{
    (void)state;
    for (unsigned n = 1024; n <= 1025; n++) {
        start(VIRTIO_F_INDIRECT_DESC, 8);
        for (unsigned i = 0; i < n; i++)
            vd_table_desc(&d, i, VD_RAM + VD_DATA + i, 1, i + 1 < n ? VD_NEXT : 0,
                          (uint16_t)(i + 1));
        vd_desc(&d, 0, VD_RAM + VD_TABLE, 16 * n, VD_INDIRECT, 0);
        vd_offer(&d, 0);
        vd_notify(&d);
        assert_int_equal(vd_n_used(&d), n == 1024);
    }
    assert_broken();
}

/* ---- Notifications and interrupts
 * ---------------------------------------------------------------------- */

static void set_flags(uint16_t flags)
{
    memcpy(vd_at(&d, VD_AVAIL), &flags, 2);
}

static uint16_t word(uint64_t offset)
{
    uint16_t value;

    memcpy(&value, vd_at(&d, offset), 2);
    return value;
}

static void interrupts_by_flag(void **state)
{
    (void)state;
    start(0, 8);
    set_flags(1);
    offer_pair(0, 4, 4);
    vd_notify(&d);
    assert_int_equal(vd_n_used(&d), 1);
    assert_false(d.irq);
    set_flags(0);
    offer_pair(2, 4, 4);
    vd_notify(&d);
    assert_true(d.irq);
}

static void interrupts_by_index(void **state)
{
    uint16_t event = 2;

    (void)state;
    start(VIRTIO_F_EVENT_IDX, 8);
    set_flags(1); /* means nothing then */
    memcpy(vd_at(&d, VD_AVAIL + 4 + 2 * 8), &event, 2);
    for (unsigned i = 0; i < 2; i++) {
        offer_pair(0, 4, 4);
        vd_notify(&d);
        assert_false(d.irq);
    }
    offer_pair(0, 4, 4);
    vd_notify(&d);
    assert_true(d.irq); /* the third: event 2 is passed */
    vd_set(&d, VD_INTERRUPT_ACK, 1);
    offer_pair(0, 4, 4);
    vd_notify(&d);
    assert_false(d.irq);
    /* The device says where it wants to hear of more. */
    assert_int_equal(word(VD_USED + 4 + 8 * 8), 4);
}

static void one_interrupt_a_batch(void **state)
{
    (void)state;
    start(0, 8);
    for (unsigned i = 0; i < 4; i++)
        offer_pair(2 * i, 4, 4);
    vd_notify(&d);
    assert_int_equal(vd_n_used(&d), 4);
    assert_int_equal(d.n_irqs, 1);
    assert_int_equal(word(VD_USED), 0); /* and it listens again */
}

/* What stood there before DRIVER_OK is served once it comes, without a notification. */
static void served_once_ready(void **state)
{
    (void)state;
    assert_true(vd_negotiate(&d, 0));
    vd_start(&d, 8);
    vd_set(&d, VD_STATUS, 0);
    assert_true(vd_negotiate(&d, 0));
    vd_set(&d, VD_QUEUE_NUM, 8);
    vd_set(&d, VD_QUEUE_DESC, (uint32_t)(VD_RAM + VD_DESC));
    vd_set(&d, VD_QUEUE_DRIVER, (uint32_t)(VD_RAM + VD_AVAIL));
    vd_set(&d, VD_QUEUE_DEVICE, (uint32_t)(VD_RAM + VD_USED));
    vd_set(&d, VD_QUEUE_READY, 1);
    offer_pair(0, 4, 4);
    vd_notify(&d);
    assert_int_equal(vd_n_used(&d), 0);
    vd_set(&d, VD_STATUS, 15);
    vd_poll(&d);
    assert_int_equal(vd_n_used(&d), 1);
}

/* ---- Reset
 * ---------------------------------------------------------------------------------------------- */

static void reset_forgets_all(void **state)
{
    (void)state;
    start(ALL, 8);
    x.keep = true;
    offer_pair(0, 4, 4);
    vd_notify(&d);
    virtio_config_changed(&x.v);
    assert_int_equal(x.n_kept, 1);
    assert_true(d.irq);
    vd_set(&d, VD_STATUS, 0);
    assert_int_equal(x.n_kept, 0);
    assert_true(x.n_settled > 0 && x.n_reset > 0);
    assert_false(d.irq);
    assert_int_equal(vd_get(&d, VD_STATUS), 0);
    assert_int_equal(vd_get(&d, VD_INTERRUPT_STATUS), 0);
    assert_int_equal(vd_get(&d, VD_QUEUE_READY), 0);
    vd_poll(&d);
    assert_int_equal(vd_n_used(&d), 0);
}

static void a_queue_alone_is_stopped(void **state)
{
    (void)state;
    start(0, 8);
    x.keep = true;
    offer_pair(0, 4, 4);
    vd_notify(&d);
    vd_set(&d, VD_QUEUE_READY, 0);
    assert_int_equal(x.n_kept, 0);
    assert_int_equal(vd_get(&d, VD_QUEUE_READY), 0);
    assert_int_equal(vd_get(&d, VD_STATUS), 15);
    offer_pair(2, 4, 4);
    vd_notify(&d);
    assert_int_equal(x.n_kept, 0);
}

/* ---- State
 * -------------------------------------------------------------------------------------------------
 */

static void state_comes_back(void **state)
{
    char *text;
    size_t len;
    struct state_io io = {.saving = true};
    uint32_t head, used_len;

    (void)state;
    start(ALL, 8);
    offer_pair(0, 4, 4);
    vd_notify(&d);
    vd_take_used(&d, &head, &used_len);
    io.f = open_memstream(&text, &len);
    virtio_mmio_state(&d.slot, &io);
    fclose(io.f);
    vd_set(&d, VD_STATUS, 0);
    assert_false(d.irq);

    io = (struct state_io){.f = fmemopen(text, len, "r")};
    virtio_mmio_state(&d.slot, &io);
    fclose(io.f);
    assert_false(io.failed);
    assert_int_equal(vd_get(&d, VD_STATUS), 15);
    assert_true(d.irq);
    offer_pair(2, 4, 4);
    vd_notify(&d);
    assert_int_equal(vd_n_used(&d), 1);

    /* A queue that lies outside RAM is not taken from a file either. */
    x.v.queue[0].desc_gpa = 0;
    io = (struct state_io){.f = fmemopen(text, len, "w"), .saving = true};
    virtio_mmio_state(&d.slot, &io);
    fclose(io.f);
    io = (struct state_io){.f = fmemopen(text, len, "r")};
    virtio_mmio_state(&d.slot, &io);
    fclose(io.f);
    assert_true(io.failed);
    free(text);
}

/* The serving thread would be kept busy for ever, by a driver that has no ring yet. */
static void a_queue_that_is_not_there(void **state)
{
    unsigned kicks;

    (void)state;
    assert_true(vd_negotiate(&d, 0));
    vd_set(&d, VD_QUEUE_SEL, 0);
    vd_set(&d, VD_QUEUE_NUM, 0);
    vd_set(&d, VD_STATUS, VD_ACKNOWLEDGE | VD_DRIVER | VD_FEATURES_OK | VD_DRIVER_OK);
    vd_set(&d, VD_QUEUE_NOTIFY, 0);
    kicks = d.n_kicks;
    vd_poll(&d);
    assert_int_equal(d.n_kicks, kicks);
    vd_set(&d, VD_QUEUE_NOTIFY, 7); /* and one that the device has not */
    assert_int_equal(d.n_kicks, kicks);
    assert_int_equal(vd_get(&d, VD_STATUS), 15);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)
    const struct CMUnitTest tests[] = {
        TEST(identity),
        TEST(registers_are_words),
        TEST(configuration_space),
        TEST(a_change_of_configuration_is_told),
        TEST(features_are_offered),
        TEST(features_are_refused),
        TEST(features_are_settled_then),
        TEST(queue_registers),
        TEST(bad_queues_are_refused),
        TEST(a_buffer_goes_round),
        TEST(the_index_wraps),
        TEST(any_layout),
        TEST(indirect),
        TEST(bad_chains_need_a_reset),
        TEST(no_indirect_unless_agreed),
        TEST(the_index_may_not_run_away),
        TEST(no_more_buffers_than_descriptors),
        TEST(the_longest_chain),
        TEST(interrupts_by_flag),
        TEST(interrupts_by_index),
        TEST(one_interrupt_a_batch),
        TEST(served_once_ready),
        TEST(reset_forgets_all),
        TEST(a_queue_alone_is_stopped),
        TEST(a_queue_that_is_not_there),
        TEST(state_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
