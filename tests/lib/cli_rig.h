/* Command lines for the tests of options: each is parsed into cli_o, and cli_e says why not.
 * Included behind cmocka. */
#pragma once

#include <string.h>

#include "dbt/base/log.h"
#include "runtime/cli/options.h"

static struct options cli_o;
static struct err cli_e;

/* Parses a line that is split at blanks (no quotes). */
static inline int cli_line(const char *line)
{
    static char text[8192];
    char *argv[64] = {"dbt-run"}, *rest = text;
    int argc = 1;

    assert_true(strlen(line) < sizeof text);
    memcpy(text, line, strlen(line) + 1);
    cli_e.text[0] = '\0';
    log_state.mask = 0;
    for (char *word; argc < 64 && (word = strsep(&rest, " "));)
        argv[argc++] = word;
    return cli_parse(&cli_o, *line ? argc : 1, argv, &cli_e);
}

static inline void good(const char *line)
{
    if (cli_line(line) != CLI_RUN)
        fail_msg("%s: %s", line, cli_e.text);
}

/* Refused, with these words in the reason. */
static inline void bad(const char *line, const char *words)
{
    if (cli_line(line) != CLI_EXIT_USAGE)
        fail_msg("%s: accepted", line);
    if (!strstr(cli_e.text, words))
        fail_msg("%s: says '%s', not '%s'", line, cli_e.text, words);
    if (strchr(cli_e.text, '\n'))
        fail_msg("%s: more than a line", line);
}
