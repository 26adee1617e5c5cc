#include "runtime/system/lines.h"

static bool open_line(struct chardev **line, const char *option, const char *words, struct err *e)
{
    if (!*line && words)
        *line = chardev_open(option, words, e);
    return *line || !words;
}

bool lines_open(struct lines *l, const struct machine_config *cfg, struct err *e)
{
    return open_line(&l->monitor, "--monitor", cfg->monitor, e) &&
           open_line(&l->serial, "-serial", cfg->serial, e) &&
           open_line(&l->console, "--console", cfg->console, e);
}

void lines_close(struct lines *l)
{
    struct chardev *lines[] = {l->serial, l->console, l->monitor};

    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (lines[i])
            chardev_close(lines[i]);
    *l = (struct lines){0};
}
