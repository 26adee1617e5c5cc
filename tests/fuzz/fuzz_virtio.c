/* A driver of virtio devices, in slots and on PCI, that does anything: registers in any order,
 * rings and descriptors of any content, resets while the device works. RAM has guard pages, so a
 * byte outside of it faults; what the device says that it wrote lies in RAM; the file keeps its
 * length. */
#define _GNU_SOURCE
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/host/net_private.h"
#include "devices/virtio/virtio_balloon.h"
#include "devices/virtio/virtio_blk.h"
#include "devices/virtio/virtio_console.h"
#include "devices/virtio/virtio_fs.h"
#include "devices/virtio/virtio_net.h"
#include "devices/virtio/virtio_rng.h"
#include "tests/fuzz/fuzz.h"
#include "tests/fuzz/fuzz_virtio.h"
#include "tests/lib/virtio_driver.h"

enum { MAX_STEPS = 600, DISK_BYTES = 1 << 16, SECTOR = 512, N_TABLE = 64 };

struct fuzz_virtio_counts fuzz_virtio_counts;
int fuzz_virtio_only = -1;

static struct virtio_driver d;
static union {
    struct virtio_blk blk;
    struct virtio_device v;
    struct virtio_rng rng;
    struct virtio_console console;
    struct virtio_net net;
    struct virtio_fs fs;
    struct virtio_balloon balloon;
} device;
static enum fuzz_virtio_kind kind;
static int file = -1;
static struct net *net; /* NULL: the device has none */
static bool net_stuck;
static struct share *share; /* NULL: the device has none */

static void fill(void *arg, void *to, size_t len_bytes)
{
    (void)arg;
    memset(to, 0x5a, len_bytes);
}

static void put(void *arg, uint8_t byte)
{
    (void)arg, (void)byte;
}

static void ready(void *arg)
{
    (void)arg;
}

static struct block *open_disk(void)
{
    struct block_config config = {.read_only = kind == BLK_READ_ONLY,
                                  .snapshot = kind == BLK_SNAPSHOT,
                                  .synchronous = kind != BLK_THREADS};
    struct block *block;
    char path[64];
    struct err e;

    if (file < 0) {
        setenv("TMPDIR", "/dev/shm", 1); /* for the snapshots: not on a disk that is slow */
        file = memfd_create("disk", MFD_CLOEXEC);
        CHECK(file >= 0 && ftruncate(file, DISK_BYTES) == 0);
    }
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    config.path = path;
    block = block_open(&config, &e);
    CHECK(block && "the disk opens");
    return block;
}

/* ---- The host's side of a network: without a thread -------------------------------------- */

static void net_wait(void *backend, struct net_polls *p, bool paused)
{
    (void)backend, (void)p, (void)paused;
}

static void net_serve(void *backend, const struct net_polls *p)
{
    (void)backend, (void)p;
}

/* What the device lets through is sound. */
static bool net_take(void *backend, const struct net_frame *f)
{
    CHECK(f->len >= NET_MIN_FRAME && f->len <= NET_MAX_FRAME);
    CHECK(net_offload_is_sound(&f->offload, f->len));
    CHECK(backend || (f->offload.flags == 0 && f->offload.gso_type == NET_GSO_NONE));
    return !net_stuck;
}

static void net_closed(void *backend)
{
    (void)backend;
}

static const struct net_ops net_ops[2] = {
    {.wait = net_wait, .serve = net_serve, .send = net_take, .close = net_closed},
    {.offloads = NET_SEND_TSO4 | NET_SEND_TSO6 | NET_GET_CSUM | NET_GET_TSO4 | NET_GET_TSO6,
     .takes_csum = true,
     .wait = net_wait,
     .serve = net_serve,
     .send = net_take,
     .close = net_closed},
};

/* A frame for the guest, of any length; what is in it does not matter. */
static void bring_frame(struct fuzz_input *in)
{
    static const struct net_offload offload[] = {
        {0},
        {.flags = NET_DATA_VALID},
        {.flags = NET_NEEDS_CSUM, .csum_start = 4, .csum_offset = 8},
        {.flags = NET_NEEDS_CSUM, .gso_type = NET_GSO_TCPV4, .gso_size = 7},
        {.flags = NET_NEEDS_CSUM, .gso_type = NET_GSO_TCPV6, .gso_size = 7},
    };
    size_t len = NET_MIN_FRAME + (fuzz_below(in, 4) ? fuzz_below(in, 200) : fuzz_take(in, 2));
    struct net_frame *f = net_deliver_begin(net, len);

    if (!f)
        return;
    memset(f->bytes, 0x66, len);
    f->offload = offload[fuzz_below(in, sizeof offload / sizeof offload[0])];
    net_deliver(net, f);
}

static void net_step(struct fuzz_input *in)
{
    switch (fuzz_below(in, 6)) {
    case 0: net_stuck = !net_stuck; break;
    case 1: net_set_link(net, fuzz_below(in, 2) != 0); break;
    case 2: net_round(net, false); break;
    default: bring_frame(in); break;
    }
}

/* A packet as it should be, or nearly. */
static void packet(struct fuzz_input *in)
{
    const uint16_t header[6] = {(uint16_t)(fuzz_below(in, 3) | fuzz_below(in, 5) << 8),
                                (uint16_t)fuzz_below(in, 64),
                                (uint16_t)fuzz_below(in, 3),
                                (uint16_t)fuzz_below(in, 100),
                                (uint16_t)fuzz_below(in, 100),
                                0};
    uint64_t at = VD_DATA + 256 * fuzz_below(in, 64);

    memcpy(vd_at(&d, at), header, sizeof header);
    vd_desc(&d, 0, VD_RAM + at, 12 + fuzz_below(in, 150), 0, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
}

/* An empty folder, for good. */
static char folder[64];

static void remove_folder(void)
{
    rmdir(folder);
}

static struct share *open_folder(void)
{
    struct share_config config = {
        .dir = folder, .read_only = true, .synchronous = kind == FS, .max_open = 4};
    struct share *s;
    struct err e;

    if (folder[0] == '\0') {
        strcpy(folder, "/dev/shm/dbt-fuzz-virtio.XXXXXX");
        CHECK(mkdtemp(folder));
        atexit(remove_folder);
    }
    s = share_open(&config, &e);
    CHECK(s && "the folder is shared");
    return s;
}

/* ---- What a driver chooses ---------------------------------------------------------------- */

static uint64_t address(struct fuzz_input *in)
{
    static const uint64_t near[] = {VD_DESC, VD_AVAIL, VD_USED, VD_TABLE, VD_DATA, VD_RAM_LEN, 0};
    unsigned n = fuzz_below(in, 12);

    if (n < 7)
        return VD_RAM + near[n] + fuzz_take(in, 1) - 16 * fuzz_below(in, 2);
    if (n < 11)
        return VD_RAM + VD_DATA + (fuzz_take(in, 2) & 0xfff0);
    return fuzz_take(in, 8);
}

static uint32_t length(struct fuzz_input *in)
{
    static const uint32_t usual[] = {0, 1, 15, 16, 17, 512, 513, 1024, 4096, 16 + 512};
    unsigned n = fuzz_below(in, 13);

    if (n < 10)
        return usual[n];
    return n < 12 ? (uint32_t)fuzz_take(in, 2) : (uint32_t)fuzz_take(in, 4);
}

static void write_register(struct fuzz_input *in)
{
    static const uint8_t regs[] = {
        VD_DEVICE_FEATURES_SEL, VD_DRIVER_FEATURES, VD_DRIVER_FEATURES_SEL,
        VD_QUEUE_SEL,           VD_QUEUE_NUM,       VD_QUEUE_READY,
        VD_QUEUE_NOTIFY,        VD_INTERRUPT_ACK,   VD_STATUS,
        VD_QUEUE_DESC,          VD_QUEUE_DESC + 4,  VD_QUEUE_DRIVER,
        VD_QUEUE_DRIVER + 4,    VD_QUEUE_DEVICE,    VD_QUEUE_DEVICE + 4};
    uint64_t reg = regs[fuzz_below(in, sizeof regs)];

    if (fuzz_below(in, 8) == 0)
        reg = fuzz_take(in, 2) & 0xffc;
    switch (fuzz_below(in, 4)) {
    case 0: vd_set(&d, reg, (uint32_t)fuzz_take(in, 4)); break;
    case 1: vd_set(&d, reg, (uint32_t)address(in)); break;
    default: vd_set(&d, reg, fuzz_below(in, 16)); break;
    }
}

/* Configuration space of the function, its BAR, and what is beside both. */
static void any_pci_access(struct fuzz_input *in, unsigned size, uint64_t at)
{
    const struct phys_mmio *ops = fuzz_below(in, 2) ? &pci_ecam : &pci_window;
    void *to = ops == &pci_ecam ? (void *)&d.pci : (void *)&d.window;

    if (ops == &pci_ecam)
        at = 8 * PCI_ECAM_FUNCTION * fuzz_below(in, 3) + (fuzz_below(in, 4) ? at & 0xff : at);
    else
        at += 0x1000 * fuzz_below(in, 5);
    if (fuzz_below(in, 2))
        ops->write(to, at, size, fuzz_take(in, size));
    else
        (void)ops->read(to, at, size);
}

static void any_access(struct fuzz_input *in)
{
    unsigned size = 1u << fuzz_below(in, 4);
    uint64_t at = fuzz_take(in, 2) & 0xfff & ~(uint64_t)(size - 1);

    if (d.on_pci) {
        any_pci_access(in, size, at);
        return;
    }
    if (fuzz_below(in, 2))
        virtio_mmio.write(&d.slot, at, size, fuzz_take(in, size));
    else
        (void)virtio_mmio.read(&d.slot, at, size);
}

/* A second queue where the first is: a driver may do that, too. */
static void start_queue_there(unsigned queue, uint16_t num)
{
    static const uint32_t at[3] = {VD_DESC, VD_AVAIL, VD_USED};

    vd_set(&d, VD_QUEUE_SEL, queue);
    vd_set(&d, VD_QUEUE_NUM, num);
    for (unsigned i = 0; i < 3; i++) {
        vd_set(&d, VD_QUEUE_DESC + 16 * i, (uint32_t)VD_RAM + at[i]);
        vd_set(&d, VD_QUEUE_DESC + 16 * i + 4, 0);
    }
    vd_set(&d, VD_QUEUE_READY, 1);
}

/* A driver as it should be, so that what follows meets a device that works. */
static void start(struct fuzz_input *in)
{
    uint64_t features = d.slot.device->offered;

    if (fuzz_below(in, 2))
        features &= fuzz_take(in, 4) | VIRTIO_F_INDIRECT_DESC;
    /* Segments need checksums (section 5.1.3.1): these two are not left out. */
    features |= net ? d.slot.device->offered & 3 : 0;
    CHECK(vd_negotiate(&d, features) && "what was offered is taken");
    for (unsigned q = 1; q < d.slot.device->ops->n_queues; q++) {
        uint16_t num = (uint16_t)(1u << fuzz_below(in, 8));

        vd_select(&d, q < VD_N_QUEUES ? q : 0);
        if (d.queue == 0 || fuzz_below(in, 4) == 0)
            start_queue_there(q, num);
        else
            vd_make_queue(&d, num);
    }
    vd_select(&d, 0);
    vd_start(&d, (uint16_t)(1u << fuzz_below(in, 8)));
}

static void write_descriptor(struct fuzz_input *in)
{
    unsigned i = fuzz_below(in, N_TABLE);
    uint64_t gpa = address(in);
    uint32_t len = length(in);
    uint16_t flags = fuzz_below(in, 8), next = (uint16_t)fuzz_below(in, N_TABLE + 2);

    if (fuzz_below(in, 4) != 0)
        flags &= VD_NEXT | VD_WRITE;
    if (fuzz_below(in, 3) == 0)
        vd_table_desc(&d, i, gpa, len, flags, next);
    else
        vd_desc(&d, i, gpa, len, flags, next);
}

/* A request as it should be, or nearly. */
static void request(struct fuzz_input *in)
{
    static const uint32_t types[] = {0, 1, 4, 8, 11, 13, 0, 1, 11, 13, 2};
    uint32_t type = types[fuzz_below(in, 11)], head[2] = {type, 0};
    uint64_t sector = fuzz_below(in, 136);
    uint32_t range[2] = {fuzz_below(in, 16), fuzz_below(in, 4)};
    bool in_request = type == 0 || type == 8;
    uint64_t at = VD_DATA + 256 * fuzz_below(in, 64);

    if (fuzz_below(in, 8) == 0)
        sector = fuzz_take(in, 8);
    memcpy(vd_at(&d, at), head, 8);
    memcpy(vd_at(&d, at + 8), &sector, 8);
    memcpy(vd_at(&d, at + 16), &sector, 8);
    memcpy(vd_at(&d, at + 24), range, 8);
    vd_desc(&d, 0, VD_RAM + at, 16, VD_NEXT, 1);
    vd_desc(&d, 1, VD_RAM + at + 16, type >= 11 ? 16 : 512 * fuzz_below(in, 9),
            (uint16_t)(VD_NEXT | (in_request ? VD_WRITE : 0)), 2);
    vd_desc(&d, 2, address(in), 1, VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
}

/* A message to a folder, as it should be, or nearly: what stands in it is fuzz_share.c's. */
static void message(struct fuzz_input *in)
{
    static const uint32_t ops[] = {FUSE_INIT,    FUSE_GETATTR, FUSE_OPENDIR, FUSE_READDIR,
                                   FUSE_STATFS,  FUSE_FORGET,  FUSE_LOOKUP,  FUSE_READ,
                                   FUSE_DESTROY, FUSE_READLINK};
    uint32_t args = fuzz_below(in, 6) * 8;
    struct fuse_in_header h = {.len = (uint32_t)sizeof h + args,
                               .opcode = ops[fuzz_below(in, 10)],
                               .nodeid = FUSE_ROOT_ID};
    uint64_t at = VD_DATA + 256 * fuzz_below(in, 64);
    const uint32_t numbers[2] = {7, 36};

    memcpy(vd_at(&d, at), &h, sizeof h);
    memcpy(vd_at(&d, at + sizeof h), numbers, sizeof numbers);
    vd_desc(&d, 0, VD_RAM + at, h.len, VD_NEXT, 1);
    vd_desc(&d, 1, address(in), length(in), VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
}

/* Pages of a balloon, free memory, or figures: whatever the queue takes it for. */
static void pages(struct fuzz_input *in)
{
    unsigned n = fuzz_below(in, 200);
    uint64_t at = VD_DATA + 256 * fuzz_below(in, 64);

    for (unsigned i = 0; i < n; i++) {
        uint32_t page = (uint32_t)(VD_RAM / 4096 + fuzz_below(in, VD_RAM_LEN / 4096 + 2));

        if (fuzz_below(in, 16) == 0)
            page = (uint32_t)fuzz_take(in, 4);
        memcpy(vd_at(&d, at + 4 * i), &page, sizeof page);
    }
    vd_desc(&d, 0, VD_RAM + at, 4 * n, VD_NEXT, 1);
    vd_desc(&d, 1, address(in), length(in), VD_WRITE, 0);
    vd_offer(&d, 0);
    vd_notify(&d);
}

/* For the kind of device that there is. */
static void one_request(struct fuzz_input *in)
{
    vd_select(&d, fuzz_below(in, VD_N_QUEUES));
    if (net)
        packet(in);
    else if (share)
        message(in);
    else if (kind == BALLOON)
        pages(in);
    else
        request(in);
}

/* From the other side of the device. */
static void outside(struct fuzz_input *in)
{
    static const uint8_t text[5000];

    if (net)
        net_step(in);
    if (kind == BALLOON) {
        virtio_balloon_set(&device.balloon, fuzz_take(in, 4));
        CHECK(virtio_balloon_actual(&device.balloon) <= VD_RAM_LEN);
        (void)virtio_balloon_ask(&device.balloon);
    }
    if (kind != CONSOLE)
        return;
    if (fuzz_below(in, 4) == 0)
        virtio_console_resize(&device.console, (uint16_t)fuzz_take(in, 2),
                              (uint16_t)fuzz_take(in, 2));
    else
        virtio_console_receive(&device.console, text, fuzz_take(in, 2) % sizeof text);
}

static void spoil_ram(struct fuzz_input *in)
{
    static const uint64_t where[] = {VD_DESC, VD_AVAIL, VD_USED, VD_TABLE};
    uint64_t at = where[fuzz_below(in, 4)] + fuzz_take(in, 1) + VD_STRIDE * (uint64_t)d.queue;
    uint64_t value = fuzz_take(in, 1 + fuzz_below(in, 8));

    memcpy(vd_at(&d, at), &value, 8);
}

static void step(struct fuzz_input *in)
{
    unsigned what = fuzz_below(in, 16);

    fuzz_virtio_counts.step[what]++;
    switch (what) {
    case 0: start(in); break;
    case 1:
    case 2: write_register(in); break;
    case 3: any_access(in); break;
    case 4:
    case 5:
    case 6: write_descriptor(in); break;
    case 7:
    case 8: one_request(in); break;
    case 9: spoil_ram(in); break;
    case 10:
    case 11: vd_offer(&d, (uint16_t)fuzz_below(in, N_TABLE)); break;
    case 12:
        outside(in);
        vd_poll(&d);
        break;
    case 13: vd_set(&d, VD_STATUS, 0); break;
    case 14: vd_select(&d, fuzz_below(in, VD_N_QUEUES)); break;
    default:
        vd_set(&d, VD_QUEUE_NOTIFY, 1);
        vd_notify(&d);
        break;
    }
    for (unsigned i = 0; i < d.slot.device->ops->n_queues; i++) {
        const struct virtq *q = &d.slot.device->queue[i];

        CHECK(!q->ready || (q->n_taken <= q->num && q->num <= q->max));
    }
}

static void make_net(void)
{
    static const uint8_t mac[6] = {2};
    static bool able;
    struct err e;

    net = net_create(&net_ops[kind == NET_ABLE], kind == NET_ABLE ? &able : NULL, &e);
    CHECK(net && "a network is made");
    virtio_net_init(&device.net, net, mac, kind == NET_ABLE ? 9000 : 0, &d.host);
}

static struct block *make_device(void)
{
    struct block *block = NULL;

    net = NULL;
    net_stuck = false;
    switch (kind) {
    case BALLOON:
        virtio_balloon_init(&device.balloon, &(const struct virtio_balloon_config){0}, &d.host);
        break;
    case RNG: virtio_rng_init(&device.rng, fill, NULL, &d.host); break;
    case CONSOLE:
        virtio_console_init(&device.console,
                            (struct virtio_console_wire){.put = put, .ready = ready}, &d.host);
        break;
    case NET:
    case NET_ABLE: make_net(); break;
    case FS:
    case FS_THREADS:
        share = open_folder();
        virtio_fs_init(&device.fs, share, "fuzz", &d.host);
        break;
    default:
        block = open_disk();
        virtio_blk_init(&device.blk, block, "fuzz", &d.host);
        break;
    }
    d.slot = (struct virtio_mmio){.device = &device.v};
    if (d.on_pci)
        vd_plug(&d, &device.v);
    return block;
}

static void destroy_device(struct block *block)
{
    switch (kind) {
    case BALLOON: virtio_balloon_fini(&device.balloon); break;
    case RNG: virtio_rng_fini(&device.rng); break;
    case CONSOLE: virtio_console_fini(&device.console); break;
    case NET:
    case NET_ABLE:
        virtio_net_fini(&device.net);
        net_close(net);
        break;
    case FS:
    case FS_THREADS:
        virtio_fs_fini(&device.fs);
        share_close(share);
        share = NULL;
        break;
    default:
        virtio_blk_fini(&device.blk);
        block_close(block);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct irq_line mmio_irq;
    struct fuzz_input in = {data, len};
    struct block *block;
    bool on_pci;

    kind = (enum fuzz_virtio_kind)fuzz_below(&in, 2 * N_KINDS);
    on_pci = kind >= N_KINDS;
    kind %= N_KINDS;
    if (fuzz_virtio_only >= 0)
        kind = (enum fuzz_virtio_kind)fuzz_virtio_only;
    if (!d.phys.ram) {
        vd_init(&d);
        mmio_irq = d.host.irq;
    }
    if (on_pci) {
        vd_init_pci(&d);
    } else if (d.on_pci) {
        pci_host_fini(&d.pci);
        d.on_pci = false;
        d.host.irq = mmio_irq;
    }
    for (unsigned queue = VD_N_QUEUES; queue-- > 0;) {
        memset(vd_at(&d, VD_STRIDE * (uint64_t)queue), 0, VD_DATA);
        vd_select(&d, queue);
        d.num = 1;
    }
    block = make_device();
    for (unsigned n = 0; n < MAX_STEPS && in.left > 0; n++)
        step(&in);
    destroy_device(block);
    CHECK(file < 0 || lseek(file, 0, SEEK_END) == DISK_BYTES);
    return 0;
}
