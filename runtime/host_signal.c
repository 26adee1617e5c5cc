/* SIGSEGV from translated code: a store to a page whose store view was made
 * read-only after the inline check's table entry had been filled; or an access through a window
 * (softmmu/windows.h) to what is not mapped there. The block's site
 * table says where the access's slow path is; the code goes on there. */
#define _GNU_SOURCE
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "devices/host/chardev.h"
#include "runtime/hart_int.h"

/* What a signal handler must find: of the mutable globals that README.md lists. */
static _Thread_local struct hart *running;

static const struct x64_site *site_at(const struct block *b, const uint8_t *pc)
{
    for (unsigned k = 0; k < b->n_sites; k++)
        if (b->code + b->site[k].fault == pc)
            return &b->site[k];
    return NULL;
}

static void on_segv(int number, siginfo_t *info, void *context)
{
    ucontext_t *uc = context;
    uint8_t *pc = (uint8_t *)uc->uc_mcontext.gregs[REG_RIP];
    struct hart *h = running;
    uint64_t gpa;

    if (pc >= phys_try_store_begin && pc < phys_try_store_end) {
        uc->uc_mcontext.gregs[REG_RIP] = (greg_t)phys_try_store_fail;
        return;
    }
    bool window = h && mmu_owns_window_address(h->mmu, info->si_addr);

    if (window || (h && track_owns(h->tc->track, info->si_addr, &gpa))) {
        const struct block *b = cache_find(h->tc->cache, pc);
        const struct x64_site *site = b ? site_at(b, pc) : NULL;

        if (site) {
            if (window)
                h->s->window_fault = pc;
            else
                h->stats.store_faults++;
            uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(b->code + site->slow);
            return;
        }
    }
    /* A bug of ours: die as anyone would, with a core that shows where. */
    chardev_restore_terminal();
    signal(number, SIG_DFL);
    if (info->si_code <= 0)
        raise(number); /* sent by somebody: it would not come again by itself */
}

void hart_set_running(struct hart *h)
{
    running = h;
}

NOT_SANITIZED struct hart *hart_running(void)
{
    return running;
}

void host_signal_install(struct hart *h)
{
    struct sigaction sa;

    running = h;
    memset(&sa, 0, sizeof sa);
    sa.sa_sigaction = on_segv;
    sa.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigemptyset(&sa.sa_mask);
    sigaction(SIGSEGV, &sa, NULL);
    sigaction(SIGBUS, &sa, NULL);
}
