/* chase through 128 MiB: what is wanted is neither in the host's caches nor, for the most part, in
 * any TLB, be it the host's or a soft MMU's. */
#include "ring.h"

enum { NODES = 1 << 21, STEPS = 6000000 };

static struct node nodes[NODES];
static uint32_t order[NODES];

int main(void)
{
    ring_link(nodes, order, NODES);
    return bench_done("far", ring_walk(nodes, STEPS));
}
