/* Each load's address is the value of the load before: a ring through 256 KiB. */
#include "ring.h"

enum { NODES = 4096, STEPS = 30000000 };

static struct node nodes[NODES];
static uint32_t order[NODES];

int main(void)
{
    ring_link(nodes, order, NODES);
    return bench_done("chase", ring_walk(nodes, STEPS));
}
