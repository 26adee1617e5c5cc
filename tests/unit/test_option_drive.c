/* --drive, -device and their settings: QEMU's spellings and ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/cli_rig.h"

static const struct drive_config *drive(unsigned i)
{
    assert_true(i < cli_o.machine.n_virtio);
    assert_int_equal(cli_o.machine.virtio[i].kind, VIRTIO_KIND_BLK);
    return &cli_o.machine.virtio[i].drive;
}

static void a_drive(void **state)
{
    (void)state;
    good("--drive d.img x");
    assert_int_equal(cli_o.machine.n_virtio, 1);
    assert_string_equal(drive(0)->path, "d.img");
    assert_false(drive(0)->read_only || drive(0)->snapshot || drive(0)->format);
    assert_string_equal(drive(0)->serial, "");
    good("-drive file=d.img x");
    assert_string_equal(drive(0)->path, "d.img");
    good("--drive d.img,ro,snapshot=on,serial=S1,format=raw,id=a x");
    assert_true(drive(0)->read_only && drive(0)->snapshot);
    assert_string_equal(drive(0)->format->name, "raw");
    assert_string_equal(drive(0)->serial, "S1");
    good(
        "-drive format=raw,if=virtio,readonly=on,file=d.img,cache=none,aio=native,discard=unmap x");
    assert_true(drive(0)->read_only && !drive(0)->snapshot);
    assert_true(block_format_is_raw(drive(0)->format));
    good("-drive file=d,format=qcow2 x");
    assert_string_equal(drive(0)->format->name, "qcow2");
    assert_false(block_format_is_raw(drive(0)->format));
    good("-drive file=d,driver=vmdk x");
    assert_string_equal(drive(0)->format->name, "vmdk");
    good("-drive file=d.img,readonly=off,snapshot=off,media=disk x");
    assert_false(drive(0)->read_only || drive(0)->snapshot);
}

static void commas_in_names(void **state)
{
    (void)state;
    good("--drive a,,b.img,ro x");
    assert_string_equal(drive(0)->path, "a,b.img");
    assert_true(drive(0)->read_only);
    good("--drive file=a,,,,b=c,,,ro x");
    assert_string_equal(drive(0)->path, "a,,b=c,");
    assert_true(drive(0)->read_only);
    /* A name with '=' needs file=. */
    bad("--drive a=b.img x", "is not known");
    good("--drive file=a=b.img x");
    assert_string_equal(drive(0)->path, "a=b.img");
}

static void the_order_is_the_command_lines(void **state)
{
    (void)state;
    good("-device virtio-blk-device,drive=two,serial=X --drive one -device virtio-rng-device "
         "-drive if=none,id=two,file=2,serial=Y --drive three x");
    assert_int_equal(cli_o.machine.n_virtio, 4);
    assert_string_equal(drive(0)->path, "2");
    assert_string_equal(drive(0)->serial, "X");
    assert_string_equal(drive(1)->path, "one");
    assert_int_equal(cli_o.machine.virtio[2].kind, VIRTIO_KIND_RNG);
    assert_string_equal(drive(3)->path, "three");
    good("-drive if=none,id=a,file=1,serial=Y -device virtio-blk-device,drive=a,id=dev x");
    assert_string_equal(drive(0)->serial, "Y");
}

static void random_numbers(void **state)
{
    (void)state;
    good("-object rng-random,filename=/dev/urandom,id=r -device virtio-rng-device,rng=r x");
    assert_int_equal(cli_o.machine.n_virtio, 1);
    good("-object rng-builtin,id=r x");
    good("-global virtio-mmio.force-legacy=false x");
    bad("-object iothread,id=i x", "is not there; rng-random");
}

static void a_balloon(void **state)
{
    const struct virtio_config *v = &cli_o.machine.virtio[0];

    (void)state;
    good("--balloon x");
    assert_int_equal(v->kind, VIRTIO_KIND_BALLOON);
    assert_false(v->balloon.deflate_on_oom || v->balloon.no_reporting);
    good("-device virtio-balloon-device x");
    assert_int_equal(v->kind, VIRTIO_KIND_BALLOON);
    assert_false(v->balloon.deflate_on_oom || v->balloon.no_reporting);
    good("-device virtio-balloon-device,id=b,deflate-on-oom=on,free-page-reporting=off x");
    assert_true(v->balloon.deflate_on_oom && v->balloon.no_reporting);
    bad("-device virtio-balloon-device,size=5 x", "size is not known; deflate-on-oom=on");
    bad("-device virtio-balloon-device,deflate-on-oom=maybe x", "on or off");
    bad("--balloon -device virtio-balloon-device x", "there is a balloon already");
    good("-device virtio-balloon-pci,deflate-on-oom=on x");
    assert_true(cli_o.machine.virtio[0].on_pci);
    bad("-device virtio-balloon-pci,vectors=3 x", "the PLIC takes no MSI");
}

static void a_console(void **state)
{
    (void)state;
    good("--console pty x");
    assert_string_equal(cli_o.machine.console, "pty");
    assert_string_equal(cli_o.machine.serial, "mon:stdio");
    assert_int_equal(cli_o.machine.virtio[0].kind, VIRTIO_KIND_CONSOLE);
    good("--console mon:stdio x");
    assert_string_equal(cli_o.machine.serial, "null");
    good("-serial pty --console stdio x");
    assert_string_equal(cli_o.machine.serial, "pty");
    bad("-serial mon:stdio --console stdio x", "standard input is for one of them");
    bad("--console pty --console null x", "there is one console");
    good("-device virtio-serial-device --console pty x");
    assert_false(cli_o.machine.virtio[0].on_pci);
    good("-device virtio-serial-pci,id=s --console pty x");
    assert_true(cli_o.machine.virtio[0].on_pci);
    bad("-device virtio-serial-pci x", "write --console stdio");
    bad("-device virtio-serial-pci -device virtio-serial-pci --console pty x", "one console");
    bad("-device virtio-serial-pci,sparkle --console pty x", "sparkle is not known");
    bad("-device virtconsole,chardev=c x", "write --console stdio");
}

static void on_pci(void **state)
{
    static const char *const spellings[] = {"virtio-blk-pci", "virtio-blk",
                                            "virtio-blk-pci-non-transitional"};
    char line[1024] = "";

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        sprintf(line, "-drive if=none,id=a,file=f -device %s,drive=a,romfile=,bus=pcie.0 x",
                spellings[i]);
        good(line);
        assert_true(cli_o.machine.virtio[0].on_pci);
        assert_string_equal(drive(0)->path, "f");
    }
    good("--drive d -device virtio-rng-pci -device virtio-rng-device x");
    assert_false(cli_o.machine.virtio[0].on_pci);
    assert_true(cli_o.machine.virtio[1].on_pci);
    assert_false(cli_o.machine.virtio[2].on_pci);
    /* Both buses full. */
    line[0] = '\0';
    for (unsigned i = 0; i < 16; i++)
        sprintf(line + strlen(line), "-device virtio-rng-pci ");
    for (unsigned i = 0; i < 8; i++)
        sprintf(line + strlen(line), "--drive %u ", i);
    strcat(line, "x");
    good(line);
    assert_int_equal(cli_o.machine.n_virtio, 24);
    line[strlen(line) - 1] = '\0';
    strcat(line, "-device virtio-rng-pci x");
    bad(line, "PCI has 16 slots");
}

static void flash(void **state)
{
    (void)state;
    good("-drive if=pflash,unit=1,file=v,snapshot=on -drive "
         "if=pflash,format=raw,unit=0,file=c,readonly=on");
    assert_string_equal(cli_o.machine.flash[0].file.path, "c");
    assert_true(cli_o.machine.flash[0].file.read_only);
    assert_string_equal(cli_o.machine.flash[1].file.path, "v");
    assert_int_equal(cli_o.machine.n_virtio, 0);
    good("-pflash a,b -pflash v");
    assert_string_equal(cli_o.machine.flash[0].file.path, "a,b");
    assert_string_equal(cli_o.machine.flash[1].file.path, "v");
    bad("-pflash a -pflash b -pflash c", "bank 1 is b already");
    bad("-drive if=pflash,unit=0,file=a -pflash b -drive if=pflash,unit=0,file=c", "bank 0 is a");
    bad("-drive if=pflash,unit=2,file=a", "unit=2: of if=pflash, 0 or 1");
    bad("-drive file=a,unit=1 x", "in the order in which they are given");
    bad("-drive if=pflash x", "which file?");
}

static void files_of_fw_cfg(void **state)
{
    char line[1024] = "";

    (void)state;
    good("-fw_cfg name=opt/a,string=x -fw_cfg opt/b,file=f x");
    assert_int_equal(cli_o.machine.n_fw_files, 2);
    assert_string_equal(cli_o.machine.fw_file[0].name, "opt/a");
    assert_string_equal(cli_o.machine.fw_file[0].text, "x");
    assert_string_equal(cli_o.machine.fw_file[1].name, "opt/b");
    assert_string_equal(cli_o.machine.fw_file[1].path, "f");
    bad("-fw_cfg name=opt/a x", "file=F or string=S, one of them");
    bad("-fw_cfg name=opt/a,file=f,string=s x", "one of them");
    bad("-fw_cfg file=f x", "which name?");
    bad("-fw_cfg name=a,file=f -fw_cfg a,string=s x", "given twice");
    bad("-fw_cfg name=a,sparkle=f x", "sparkle is not known");
    bad("-fw_cfg name=12345678901234567890123456789012345678901234567890123456,file=f x",
        "at most 55 characters");
    for (unsigned i = 0; i < 17; i++)
        sprintf(line + strlen(line), "-fw_cfg opt/%u,string=s ", i);
    strcat(line, "x");
    bad(line, "more than 16");
}

static void all_are_snapshots(void **state)
{
    (void)state;
    good("-snapshot --drive d x");
    assert_true(cli_o.machine.snapshot);
}

static void what_is_refused(void **state)
{
    static const char *const rows[][2] = {
        {"--drive ro=on x", "which file?"},
        {"--drive file= x", "file= needs a value"},
        {"--drive d,serial= x", "serial= needs a value"},
        {"--drive d,serial=123456789012345678901 x", "at most 20 characters"},
        {"--drive d,readonly=yes x", "readonly=yes: on or off"},
        {"--drive d,format=qcow3 x",
         "format=qcow3: an unknown format; there are raw, qcow2, qcow, qed, vmdk"},
        {"--drive d,format= x", "format=: an unknown format"},
        {"--drive d,if=scsi x", "if=scsi: disks are virtio"},
        {"--drive d,if=none x", "needs an id="},
        {"--drive d,cache=unsafe x", "once the guest flushes"},
        {"--drive d,cache=rite x", "once the guest flushes"},
        {"--drive d,discard=ignore x", "discarded ranges are given back"},
        {"--drive d,werror=stop x", "reported to the guest"},
        {"--drive d,media=cdrom x", "write readonly=on"},
        {"--drive d,index=1 x", "in the order"},
        {"--drive d,,id=a x", "d,id is not known"},
        {"--drive d,sparkle x", "sparkle is not known"},
        {"--drive d,id=a --drive e,id=a x", "id=a is taken"},
        {"--drive d,if=none,id=a x", "is given to no device"},
        {"-device virtio-blk-device x", "needs drive=ID"},
        {"-device virtio-blk-device,drive=a x", "no -drive with id=a"},
        {"-device virtio-blk-device,drive=a,scsi=off x", "scsi is not known"},
        {"--drive d,id=a -device virtio-blk-device,drive=a x", "is a device already"},
        {"--drive d,id=a,if=none -device virtio-blk-device,drive=a "
         "-device virtio-blk-device,drive=a x",
         "is given to two devices"},
        {"-device virtio-blk-pci,drive=a x", "virtio-blk-pci,drive=a: there is no -drive"},
        {"-device virtio-blk-pci,addr=5,drive=a x", "slots from 1 up in the order"},
        {"-device virtio-blk-pci,vectors=4,drive=a x", "the PLIC takes no MSI"},
        {"-device virtio-blk-pci,disable-modern=on,drive=a x", "of virtio 1.0 and later"},
        {"-device virtio-blk-pci-transitional,drive=a x", "is not there"},
        {"-device virtio-blk-device,romfile=,drive=a x", "romfile is not known"},
        {"-device virtio-rng-pci,bus=pci.3 x", "there is one bus"},
        {"-global virtio-mmio.force-legacy=true x", "only virtio-mmio.force-legacy=false"},
        {"-device virtio-gpu-pci x", "virtio-gpu-pci is not there; virtio-blk-pci"},
        {"-device virtio-gpu-device x", "virtio-gpu-device is not there"},
        {"-device virtio-blk x", "virtio-blk needs drive=ID"},
        {"-device  x", "is not there"},
        {"-hda d x", "write --drive file=PATH"},
        {"-cdrom d x", "write --drive file=PATH,readonly=on"},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        bad(rows[i][0], rows[i][1]);
}

static void eight_at_most(void **state)
{
    (void)state;
    good("--drive 1 --drive 2 --drive 3 --drive 4 --drive 5 --drive 6 --drive 7 --drive 8 x");
    assert_string_equal(drive(7)->path, "8");
    bad("--drive 1 --drive 2 --drive 3 --drive 4 --drive 5 --drive 6 --drive 7 --drive 8 "
        "--drive 9 x",
        "more go on PCI");
    bad("--drive 1 --drive 2 --drive 3 --drive 4 --drive 5 --drive 6 --drive 7 --drive 8 "
        "-device virtio-rng-device x",
        "the board has 8 virtio slots");
}

static void long_names(void **state)
{
    char *argv[] = {"dbt-run", "--drive", NULL, NULL};
    char *text = malloc(DRIVE_PATH_ROOM + 64);

    (void)state;
    assert_non_null(text);
    argv[2] = text;
    for (size_t len = DRIVE_PATH_ROOM - 2; len < DRIVE_PATH_ROOM + 60; len++) {
        memset(text, 'p', len);
        text[len] = '\0';
        assert_int_equal(cli_parse(&cli_o, 3, argv, &cli_e),
                         len < DRIVE_PATH_ROOM ? CLI_RUN : CLI_EXIT_USAGE);
        if (len < DRIVE_PATH_ROOM)
            assert_string_equal(drive(0)->path, text);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_drive),
        cmocka_unit_test(commas_in_names),
        cmocka_unit_test(the_order_is_the_command_lines),
        cmocka_unit_test(random_numbers),
        cmocka_unit_test(a_balloon),
        cmocka_unit_test(a_console),
        cmocka_unit_test(on_pci),
        cmocka_unit_test(flash),
        cmocka_unit_test(files_of_fw_cfg),
        cmocka_unit_test(all_are_snapshots),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(eight_at_most),
        cmocka_unit_test(long_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
