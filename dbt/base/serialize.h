/* What a processor has fetched ahead is fetched anew. */
#pragma once

/* Serialises the host's instruction stream (Intel SDM volume 3, "Serializing Instructions"; the AMD
 * manual volume 2, 7.6.4): code that another core has changed, and said so, is run as it is now. By
 * iret, which is the only such instruction that a hypervisor does not intercept. */
void host_serialize(void);
