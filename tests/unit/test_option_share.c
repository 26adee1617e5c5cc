/* --share, and what is said to QEMU's options of that kind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/cli_rig.h"

static const struct config_share *share(unsigned i)
{
    assert_true(i < cli_o.machine.n_virtio);
    assert_int_equal(cli_o.machine.virtio[i].kind, VIRTIO_KIND_FS);
    return &cli_o.machine.virtio[i].share;
}

static void a_share(void **state)
{
    (void)state;
    good("--share /a x");
    assert_int_equal(cli_o.machine.n_virtio, 1);
    assert_string_equal(share(0)->path, "/a");
    assert_string_equal(share(0)->tag, "share");
    assert_false(share(0)->read_only);
    good("--share /a,tag=t,ro x");
    assert_string_equal(share(0)->tag, "t");
    assert_true(share(0)->read_only);
    good("--share=path=/a,ro=off x");
    assert_string_equal(share(0)->path, "/a");
    assert_false(share(0)->read_only);
    good("--share path=/a=b,,c,readonly=on x");
    assert_string_equal(share(0)->path, "/a=b,c");
    assert_true(share(0)->read_only);
    good("--share a,tag=123456789012345678901234567890123456 x");
    assert_int_equal(strlen(share(0)->tag), 36);
}

static void several(void **state)
{
    (void)state;
    good("--share a --drive d --share b,tag=two x");
    assert_int_equal(cli_o.machine.n_virtio, 3);
    assert_string_equal(share(0)->path, "a");
    assert_int_equal(cli_o.machine.virtio[1].kind, VIRTIO_KIND_BLK);
    assert_string_equal(share(2)->tag, "two");
}

static void what_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"--share tag=t x", "which folder?"},
        {"--share path= x", "path= needs a value"},
        {"--share a,tag x", "tag= needs a value"},
        {"--share a,tag=1234567890123456789012345678901234567 x", "at most 36 characters"},
        {"--share a,tag=x\ny x", "no blanks"},
        {"--share a,ro=yes x", "ro=yes: on or off"},
        {"--share a,cache=none x", "cache is not known"},
        {"--share a --share b x", "tag=share is a already"},
        {"--share a,tag=t --share b,tag=t x", "tag=t is a already"},
        {"-virtfs local,path=/a,mount_tag=t,security_model=none x", "write --share /a,tag=t, and"},
        {"-virtfs local,path=/a,mount_tag=t,readonly x", "write --share /a,tag=t,ro, and"},
        {"-virtfs proxy x", "write --share FOLDER,tag=share, and"},
        {"-virtfs local,path=/a,mount_tag= x", "mount_tag= needs a value"},
        {"-fsdev local,id=f,path=/a x", "mount -t virtiofs share /mnt"},
        {"-device virtio-9p-device,fsdev=f,mount_tag=t x", "tag=t, and"},
        {"-device virtio-9p-pci x", "without 9p or a daemon"},
        {"-device vhost-user-fs-pci,chardev=c,tag=t x", "tag=t, and"},
        {"-device virtio-9 x", "virtio-9 is not there"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        bad(rows[i][0], rows[i][1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_share),
        cmocka_unit_test(several),
        cmocka_unit_test(what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
