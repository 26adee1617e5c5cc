/* The monitor's two ends in a machine: what it shows and does, and where its user types. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "devices/host/chardev.h"
#include "runtime/system/machine_int.h"
#include "runtime/system/memmap.h"

/* ---- What `info` shows ------------------------------------------------------------------ */

static const struct machine_hart *shown(const struct machine *m)
{
    return &m->hart[m->monitor.hart];
}

static void print_registers(void *arg, const char *rest, FILE *out)
{
    const struct machine *m = arg;

    if (*rest == '\0') {
        rv_print_state(&shown(m)->cpu, out);
        return;
    }
    if (strcmp(rest, "-a") != 0) {
        fprintf(out, "info registers %s: not known; nothing, or -a for all harts\n", rest);
        return;
    }
    for (unsigned i = 0; i < m->n_harts; i++) {
        fprintf(out, "\nCPU#%u\n", i);
        rv_print_state(&m->hart[i].cpu, out);
    }
}

/* QEMU's layout, and what the hart does. */
static void print_harts(void *arg, const char *rest, FILE *out)
{
    const struct machine *m = arg;

    (void)rest;
    for (unsigned i = 0; i < m->n_harts; i++) {
        const struct machine_hart *h = &m->hart[i];
        static const char *const states[] = {[RV_HSM_STARTED] = "started",
                                             [RV_HSM_STOPPED] = "stopped",
                                             [RV_HSM_START_PENDING] = "about to start",
                                             [RV_HSM_SUSPENDED] = "suspended"};

        fprintf(out, "%c CPU #%u: thread_id=%d %s pc=%016llx\n", i == m->monitor.hart ? '*' : ' ',
                i, (int)h->tid, states[rv_hsm_state(&h->cpu)], (unsigned long long)h->cpu.s.pc);
    }
}

static void print_jit(void *arg, const char *rest, FILE *out)
{
    (void)rest;
    machine_print_stats(arg, out, NULL);
}

static void print_mtree(void *arg, const char *rest, FILE *out)
{
    (void)rest;
    phys_print(&((struct machine *)arg)->phys, out);
}

static void print_tlb(void *arg, const char *rest, FILE *out)
{
    (void)rest;
    mmu_print(shown(arg)->cpu.s.mmu, out);
}

static void print_irq(void *arg, const char *rest, FILE *out)
{
    (void)rest;
    plic_print(&((struct machine *)arg)->board.plic, out);
}

static void print_pci(void *arg, const char *rest, FILE *out)
{
    (void)rest;
    pci_print(&((struct machine *)arg)->board.virtio.pci, out);
}

static void print_networks(void *arg, const char *rest, FILE *out)
{
    const struct machine *m = arg;

    (void)rest;

    for (unsigned i = 0; i < CONFIG_MAX_VIRTIO; i++) {
        if (!m->run.ends->networks.net[i])
            continue;
        fprintf(out, "network of virtio device %u: ", i);
        net_print(m->run.ends->networks.net[i], out);
    }
}

/* ---- The balloon ---------------------------------------------------------------------------- */

static struct virtio_balloon *find_balloon(const struct machine *m, FILE *out)
{
    if (!m->board.virtio.balloon)
        fprintf(out, "there is no balloon; --balloon makes one\n");
    return m->board.virtio.balloon;
}

static void print_balloon(void *arg, const char *rest, FILE *out)
{
    struct virtio_balloon *b = find_balloon(arg, out);
    struct virtio_balloon_stats stats;

    (void)rest;
    if (!b)
        return;
    fprintf(out, "balloon: actual=%" PRIu64 "\n", virtio_balloon_actual(b) >> 20);
    fprintf(out, "given back: %" PRIu64 " MiB\n", b->given_bytes >> 20);
    stats = virtio_balloon_ask(b);
    if (stats.known)
        fprintf(out, "the guest, when it was last asked:\n");
    for (unsigned tag = 0; tag < VIRTIO_BALLOON_N_STATS; tag++)
        if (stats.known >> tag & 1)
            fprintf(out, "  %-18s %" PRIu64 "\n", virtio_balloon_stat_name(tag), stats.value[tag]);
}

static void set_balloon(void *arg, const char *rest, FILE *out)
{
    struct virtio_balloon *b = find_balloon(arg, out);
    char *end;
    unsigned long long mbytes = strtoull(rest, &end, 10);

    if (!b)
        return;
    if (*rest < '0' || *rest > '9' || *end != '\0' || mbytes == 0 || mbytes > UINT32_MAX)
        fprintf(out, "balloon %s: how much memory is the guest to have, in MiB?\n", rest);
    else
        virtio_balloon_set(b, (uint64_t)mbytes << 20);
}

static const struct monitor_info infos[] = {
    {"registers", "the hart's registers and CSRs; -a: of all harts", print_registers},
    {"cpus", "the harts, and what they do", print_harts},
    {"jit", "counters of the translator", print_jit},
    {"mtree", "the physical address space", print_mtree},
    {"tlb", "pages that the hart's soft MMU knows now", print_tlb},
    {"irq", "sources of the interrupt controller", print_irq},
    {"pci", "functions on the PCI bus, and where their registers are", print_pci},
    {"balloon", "memory that the guest has, and what it says of it", print_balloon},
    {"network", "links, and connections through --net user", print_networks},
    {0},
};

/* ---- Which hart is shown -------------------------------------------------------------------- */

static void choose_hart(void *arg, const char *rest, FILE *out)
{
    struct machine *m = arg;
    char *end;
    unsigned long n = strtoul(rest, &end, 10);

    if (*rest < '0' || *rest > '9' || *end != '\0' || n >= m->n_harts)
        fprintf(out, "cpu %s: there are 0 to %u\n", rest, m->n_harts - 1);
    else
        m->monitor.hart = (unsigned)n;
}

/* ---- Ports of the host's that lead into the guest ------------------------------------------ */

/* The network whose forwards can be changed: there is one --net user at most. */
static struct net *users_net(const struct machine *m, FILE *out)
{
    for (unsigned i = 0; i < m->cfg.n_virtio; i++)
        if (m->cfg.virtio[i].kind == VIRTIO_KIND_NET && m->cfg.virtio[i].card.net.kind == NET_USER)
            return m->run.ends->networks.net[i];
    fprintf(out, "there is no --net user\n");
    return NULL;
}

static void add_forward(void *arg, const char *rest, FILE *out)
{
    struct net *net = users_net(arg, out);
    struct net_forward f;
    struct err e;

    if (net && (!net_forward_parse(&f, rest, &e) || !net_forward_add(net, &f, &e)))
        fprintf(out, "%s\n", e.text);
}

static void remove_forward(void *arg, const char *rest, FILE *out)
{
    struct net *net = users_net(arg, out);
    struct net_forward f;
    struct err e;

    if (net && (!net_forward_parse_host(&f, rest, &e) || !net_forward_remove(net, &f, &e)))
        fprintf(out, "%s\n", e.text);
}

static const struct monitor_order orders[] = {
    {"cpu", "the hart whose registers and pages are shown: cpu N", choose_hart},
    {"hostfwd_add", "leads a port into the guest: tcp|udp:[ADDR]:PORT-[ADDR]:PORT", add_forward},
    {"balloon", "the guest is to have so much memory, in MiB", set_balloon},
    {"hostfwd_remove", "ends that: tcp|udp:[ADDR]:PORT", remove_forward},
    {0},
};

/* ---- What it does ----------------------------------------------------------------------- */

static void hold(void *arg)
{
    struct machine *m = arg;

    tcache_stop(m->tcache, m->hart[0].hart);
}

static void release(void *arg)
{
    tcache_resume(((struct machine *)arg)->tcache);
}

static void quit(void *arg)
{
    machine_finish(arg, FINISH_POWEROFF, 0);
}

static void reset(void *arg)
{
    machine_finish(arg, FINISH_RESET, 0);
}

static void stopped(void *arg)
{
    struct machine *m = arg;

    m->monitor.stopped_ticks = machine_ticks(m);
}

/* Virtual time has stood still by itself: no instruction ran. */
static void continued(void *arg)
{
    struct machine *m = arg;

    if (!m->run.virtual_time)
        machine_set_ticks(m, m->monitor.stopped_ticks);
}

static bool is_over(void *arg)
{
    return atomic_load(&((struct machine *)arg)->finished);
}

static void hurry(void *arg)
{
    board_hurry(&((struct machine *)arg)->board);
}

/* A raw terminal wants a carriage return, too. */
static void put(void *arg, enum monitor_port port, const char *text, size_t n)
{
    struct machine *m = arg;

    for (size_t i = 0; i < n; i++) {
        if (port == MONITOR_SOCKET) {
            chardev_put(m->monitor.line, (uint8_t)text[i]);
            continue;
        }
        if (text[i] == '\n')
            board_say(&m->board, '\r');
        board_say(&m->board, (uint8_t)text[i]);
    }
}

/* ---- Where its user types --------------------------------------------------------------- */

void machine_to_monitor(void *arg)
{
    monitor_greet(((struct machine *)arg)->monitor.monitor, MONITOR_SERIAL);
}

void machine_typed(void *arg, const uint8_t *data, size_t n)
{
    monitor_feed(((struct machine *)arg)->monitor.monitor, MONITOR_SERIAL, data, n);
}

static void line_connected(void *arg)
{
    monitor_greet(((struct machine *)arg)->monitor.monitor, MONITOR_SOCKET);
}

static size_t line_receive(void *arg, const uint8_t *data, size_t n)
{
    monitor_feed(((struct machine *)arg)->monitor.monitor, MONITOR_SOCKET, data, n);
    return n;
}

/* ---- Life ------------------------------------------------------------------------------- */

void machine_monitor_init(struct machine *m)
{
    const struct monitor_host host = {
        .info = infos,
        .order = orders,
        .hold = hold,
        .release = release,
        .quit = quit,
        .reset = reset,
        .stopped = stopped,
        .continued = continued,
        .is_over = is_over,
        .wake = machine_wake,
        .hurry = hurry,
        .put = put,
        .arg = m,
    };

    m->monitor.monitor = monitor_create(&host);
    m->monitor.line = m->run.ends->lines.monitor;
}

bool machine_monitor_start(struct machine *m, struct err *e)
{
    const struct chardev_front front = {
        .receive = line_receive, .connected = line_connected, .arg = m, .impatient = true};

    return !m->monitor.line || chardev_start(m->monitor.line, &front, e);
}

void machine_monitor_fini(struct machine *m)
{
    if (m->monitor.line)
        chardev_stop(m->monitor.line);
    if (m->monitor.monitor)
        monitor_destroy(m->monitor.monitor);
}
