/* IMAGE, -kernel and -bios: an ELF file, a Linux Image, plain or packed, or anything. */
#include "tests/fuzz/fuzz_plan.h"

enum { AS_IMAGE, AS_KERNEL, AS_FIRMWARE, WITH_INITRD, N_WAYS };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz_input in = {data, len};
    struct machine_config cfg;
    struct fuzz_file file;

    fuzz_config(&cfg, &in);
    unsigned way = fuzz_below(&in, N_WAYS);

    fuzz_file_open(&file, in.at, in.left);
    if (way == AS_FIRMWARE) {
        cfg.firmware = FIRMWARE_FILE;
        cfg.firmware_path = file.path;
    } else if (way == AS_KERNEL) {
        cfg.kernel = file.path;
    } else {
        cfg.image = file.path;
        cfg.initrd = way == WITH_INITRD ? file.path : NULL;
    }
    fuzz_plan(&cfg);
    fuzz_file_close(&file);
    return 0;
}
