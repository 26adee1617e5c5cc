#include "devices/host/chardev_private.h"

enum { PREFIX = 'A' & 0x1f };

enum escape_action escape_feed(struct escape *s, uint8_t in, uint8_t *out)
{
    if (!s->after_prefix) {
        s->after_prefix = in == PREFIX;
        *out = in;
        return s->after_prefix ? ESCAPE_NONE : ESCAPE_SEND;
    }
    s->after_prefix = false;
    switch (in) {
    case 'x': return ESCAPE_QUIT;
    case 'b': return ESCAPE_BREAK;
    case 'h':
    case '?': return ESCAPE_HELP;
    case 'c': return ESCAPE_MONITOR;
    case PREFIX: *out = PREFIX; return ESCAPE_SEND;
    default: return ESCAPE_NONE;
    }
}
