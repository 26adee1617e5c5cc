/* What windows have earned in which code, so that a process gets one soon where others of the same
 * program were right to have one. The MMU knows no programs, but it knows the physical
 * pages that hold their code: a file's pages stay where they are from one process to the next.
 *
 * Each page has an account, in nanoseconds that may be spent on windows:
 *
 *   earns     what a window saves by the time that is spent there, by promote.c's guess, less what
 *             changing the window's mappings took
 *   pays      what a window costs that is given to a space because it runs the page, less what the
 *             space has earned by running without one
 *
 * So windows that come early cost no more than those that served before have saved, as far as the
 * guess is right, whoever shares the page: a library's page in which short processes are seen as
 * well pays for a few of them and is poor. What a window took more than there was is a debt: it
 * is paid by what windows save there, and by what one would save to those that run there without,
 * before they save for their own.
 *
 * And a page that owes nothing lends half of a window to who has run for some time: he will run for
 * as long again, as a rule, and where he does not, the next one there pays. An account is opened
 * for that if its place is empty. Else a page that never earned owes nothing. An account is lost
 * when its page is given to another, which has to earn more than is left there. Page 0, which
 * stands for "not known", has none. */
#include "softmmu/mmu_int.h"

static struct earned *account(struct mmu *m, uint64_t gpa)
{
    uint64_t number = gpa >> PAGE_BITS;

    return &m->earned[(number ^ number >> 8) % N_EARNED];
}

int64_t earned_of(struct mmu *m, uint64_t gpa)
{
    const struct earned *e = account(m, gpa);

    return e->page == page_of(gpa) ? e->ns : 0;
}

void earned_add(struct mmu *m, uint64_t gpa, int64_t ns)
{
    struct earned *e = account(m, gpa);

    if (!gpa)
        return;
    if (e->page != page_of(gpa)) {
        if (ns <= 0)
            return;
        if (e->ns > ns) {
            e->ns -= ns;
            return;
        }
        *e = (struct earned){.page = page_of(gpa)};
    }
    e->ns += ns;
    if (e->ns > EARNED_MAX_NS)
        e->ns = EARNED_MAX_NS;
    if (e->ns < -EARNED_MAX_NS)
        e->ns = -EARNED_MAX_NS;
}

bool earned_can_lend(struct mmu *m, uint64_t gpa)
{
    const struct earned *e = account(m, gpa);

    return e->ns >= 0 && (e->ns == 0 || e->page == page_of(gpa));
}

void earned_lend(struct mmu *m, uint64_t gpa, int64_t ns)
{
    struct earned *e = account(m, gpa);

    if (!e->ns)
        e->page = page_of(gpa);
    earned_add(m, gpa, -ns);
}

void earned_forget(struct mmu *m, uint64_t gpa)
{
    int64_t ns = earned_of(m, gpa);

    if (ns > 0)
        earned_add(m, gpa, -ns);
}
