/* An interrupt line: what a device raises and lowers, not knowing to whom. */
#pragma once

#include <stdbool.h>

struct irq_line {
    void (*set)(void *arg, unsigned n, bool level);
    void *arg;
    unsigned n;
};

/* Any thread that the sink allows (the PLIC: any). Level triggered: setting a
 * level that is set already does nothing. */
static inline void irq_set(const struct irq_line *line, bool level)
{
    if (line->set)
        line->set(line->arg, line->n, level);
}
