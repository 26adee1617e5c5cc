#include "runtime/system/ends.h"

bool ends_open(struct ends *ends, const struct machine_config *cfg, bool synchronous, struct err *e)
{
    *ends = (struct ends){0};
    if (drives_open(&ends->drives, cfg, synchronous, e) && networks_open(&ends->networks, cfg, e) &&
        shares_open(&ends->shares, cfg, synchronous, e) &&
        firmware_files_open(&ends->firmware, cfg, e))
        return true;
    ends_close(ends);
    return false;
}

void ends_close(struct ends *ends)
{
    lines_close(&ends->lines);
    firmware_files_close(&ends->firmware);
    shares_close(&ends->shares);
    networks_close(&ends->networks);
    drives_close(&ends->drives);
}
