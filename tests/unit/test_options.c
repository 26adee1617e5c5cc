/* The command line: every spelling, QEMU's too, and the help for slips. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/lib/cli_rig.h"

static void defaults(void **state)
{
    (void)state;
    good("x");
    assert_string_equal(cli_o.machine.image, "x");
    assert_int_equal(cli_o.machine.ram_len, 1 << 30);
    assert_int_equal(cli_o.machine.n_harts, 1);
    assert_int_equal(cli_o.machine.firmware, FIRMWARE_AUTO);
    assert_string_equal(cli_o.machine.serial, "mon:stdio");
    assert_int_equal(cli_o.engine, ENGINE_JIT);
    assert_in_range(cli_o.cache_size, 64 << 20, 512 << 20);
    assert_false(cli_o.virtual_time);
    assert_true(cli_o.filter_first == 0 && cli_o.filter_last == UINT64_MAX);
}

static void the_code_cache_is_a_part_of_memory(void **state)
{
    const uint64_t mib = 1 << 20;

    (void)state;
    assert_int_equal(cli_cache_size(0), 64 * mib);
    assert_int_equal(cli_cache_size(512 * mib), 64 * mib);
    assert_int_equal(cli_cache_size(2048 * mib), 256 * mib);
    assert_int_equal(cli_cache_size(2048 * mib + 8 * 4095), 256 * mib);
    assert_int_equal(cli_cache_size(65536 * mib), 512 * mib);
}

static void all_spellings_are_the_same(void **state)
{
    static const char *const lines[] = {
        "x -initrd i", "x --initrd i",   "x --initrd=i",   "x -initrd=i",
        "-initrd i x", "-initrd=i -- x", "-initrd i -- x",
    };

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        good(lines[i]);
        assert_string_equal(cli_o.machine.initrd, "i");
        assert_string_equal(cli_o.machine.image, "x");
    }
    good("-- -x");
    assert_string_equal(cli_o.machine.image, "-x");
    good("-append=a=b x");
    assert_string_equal(cli_o.machine.cmdline, "a=b");
    good("-append -v x");
    assert_string_equal(cli_o.machine.cmdline, "-v");
}

static void sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t mib;
    } cases[] = {{"512M", 512},   {"1G", 1024},      {"1024", 1024}, {"2048k", 2},
                 {"1048576b", 1}, {"size=3g", 3072}, {"0x10", 16},   {"1T", 1 << 20}};

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[64];

        snprintf(line, sizeof line, "x -m %s", cases[i].text);
        good(line);
        assert_int_equal(cli_o.machine.ram_len, cases[i].mib << 20);
    }
    bad("x -m 12Q", "not a size");
    bad("x -m -1", "not a size");
    bad("x -m M", "not a size");
    bad("x -m ", "not a size");
    bad("x -m 1.5G", "not a size");
    bad("x -m 0", "between");
    bad("x -m 2T", "between");
    bad("x -m 99999999999999999999G", "not a size");
    bad("x -m 17592186044416M", "not a size");
    good("x --cache-size 4M");
    assert_int_equal(cli_o.cache_size, 4 << 20);
    bad("x --cache-size 4K", "between 1M and 2G");
    bad("x --cache-size 3G", "between 1M and 2G");
}

static void firmwares(void **state)
{
    (void)state;
    good("x --firmware builtin");
    assert_int_equal(cli_o.machine.firmware, FIRMWARE_BUILTIN);
    good("x --firmware=opensbi");
    assert_int_equal(cli_o.machine.firmware, FIRMWARE_OPENSBI);
    good("x --firmware fw.bin");
    assert_int_equal(cli_o.machine.firmware, FIRMWARE_FILE);
    assert_string_equal(cli_o.machine.firmware_path, "fw.bin");
    good("x -bios none");
    assert_int_equal(cli_o.machine.firmware, FIRMWARE_NONE);
    good("x -bios default");
    assert_int_equal(cli_o.machine.firmware, FIRMWARE_AUTO);
    good("x -bios opensbi");
    assert_string_equal(cli_o.machine.firmware_path, "opensbi");
    bad("x -bios=", "empty file name");
    good("x --as supervisor");
    assert_int_equal(cli_o.machine.as, AS_SUPERVISOR);
    bad("x --as user", "not there yet");
    bad("x --as root", "machine or supervisor");
}

static void the_translator(void **state)
{
    (void)state;
    good("x --engine interp --opt none --stress regs,irq,seed=7");
    assert_int_equal(cli_o.engine, ENGINE_INTERP);
    assert_string_equal(cli_o.opt_list, "none");
    assert_int_equal(cli_o.stress, STRESS_REGS | STRESS_IRQ);
    assert_int_equal(cli_o.stress_seed, 7);
    bad("x --engine turbo", "jit, interp or check");
    bad("x --hart-threads 0", "auto, each or a number");
    bad("x --hart-threads 65", "from 1 to 64");
    bad("x --hart-threads all", "auto, each or a number");
    good("x --hart-threads=each");
    assert_int_equal(cli_o.hart_threads, 64);
    good("x --hart-threads 3");
    assert_int_equal(cli_o.hart_threads, 3);
    good("x --hart-threads 3 --hart-threads auto");
    assert_int_equal(cli_o.hart_threads, 0);
    bad("x --huge-pages on", "auto or off");
    good("x --huge-pages=off");
    assert_false(cli_o.huge_pages);
    good("x --huge-pages auto");
    assert_true(cli_o.huge_pages);
    bad("x --lrsc qemu", "value or strict");
    good("x --lrsc value");
    assert_false(cli_o.strict_lrsc);
    good("x --lrsc=strict");
    assert_true(cli_o.strict_lrsc);
    good("x");
    assert_false(cli_o.strict_lrsc);
    bad("x --stress regs,,irq", "not known");
    bad("x --stress seed=x", "not known");
    good("x --engine check");
    assert_true(cli_o.virtual_time && cli_o.machine.fixed_seed);
    bad("x --engine check --time host", "--time virtual");
    good("x --max-insns 100");
    assert_true(cli_o.virtual_time);
    bad("x --max-insns 0", "not a number");
    bad("x --max-insns many", "not a number");
    good("x --time virtual");
    assert_true(cli_o.virtual_time);
    bad("x --time lunar", "host or virtual");
}

static void looking_inside(void **state)
{
    (void)state;
    good("x -d trap,irq -d mmu -D log.txt");
    assert_int_equal(log_state.mask, LOG_trap | LOG_irq | LOG_mmu);
    assert_string_equal(cli_o.log_file, "log.txt");
    bad("x -d trap,nonsense", "no such category");
    bad("x -d trap,", "no such category");
    good("x --filter 0x100+0x40");
    assert_true(cli_o.filter_first == 0x100 && cli_o.filter_last == 0x13f);
    good("x -dfilter 0x100-0x140");
    assert_true(cli_o.filter_first == 0x100 && cli_o.filter_last == 0x13f);
    good("x --filter 0x100");
    assert_true(cli_o.filter_first == 0x100 && cli_o.filter_last == 0x100);
    bad("x --filter 0x100+0", "not a range");
    bad("x --filter 0x100-0x80", "not a range");
    bad("x --filter 0xffffffffffffffff+2", "not a range");
    bad("x --filter here", "not a range");
    good("x --stats");
    assert_true(cli_o.stats && !cli_o.stats_file);
    good("--stats x"); /* the value comes with '=' only */
    assert_string_equal(cli_o.machine.image, "x");
    good("x --stats=f.json");
    assert_string_equal(cli_o.stats_file, "f.json");
    bad("x --stats=", "empty file name");
    good("x --signature f");
    assert_string_equal(cli_o.machine.signature, "f");
    good("x --signature=f,a,b");
    assert_string_equal(cli_o.machine.signature, "f,a,b");
    bad("x --signature=", "no name of a file");
    bad("x --signature ,a,b", "no name of a file");
    bad("x --signature f,a", "not FILE or FILE,BEGIN,END");
    bad("x --signature f,a,", "not FILE or FILE,BEGIN,END");
    bad("x --signature f,,b", "not FILE or FILE,BEGIN,END");
    bad("x --signature f,a,b,c", "not FILE or FILE,BEGIN,END");
}

static void qemus_habits(void **state)
{
    (void)state;
    good("-M virt -cpu rv64 -smp 1 -nographic -kernel k -bios default -m 512M -no-reboot");
    assert_string_equal(cli_o.machine.kernel, "k");
    assert_true(cli_o.machine.no_reboot);
    good("-machine virt -display none -monitor none -serial mon:stdio -accel tcg,thread=single x");
    good("-M virt,dumpdtb=f.dtb -net none -nic none -vga none -nodefaults -name me x");
    assert_string_equal(cli_o.dump_dtb, "f.dtb");
    good("-cpu rv64,zba=off,sstc=false x");
    assert_false(rv_has(&cli_o.machine.model, RV_EXT_zba));
    good("-monitor unix:m,server=on,wait=off x");
    assert_string_equal(cli_o.machine.monitor, "unix:m,server=on,wait=off");
    good("--monitor unix:m x");
    assert_string_equal(cli_o.machine.monitor, "unix:m,server,nowait");
    bad("--monitor telnet::4444 x", "use unix:PATH");
    bad("-M sifive_u x", "virt, the only one");
    bad("-M virt,aclint=on x", "no settings but dumpdtb");
    bad("-cpu cortex-a57 x", "--cpu");
    bad("-netdev user,id=n x", "is given to no device");
    bad("-s x", "debugger");
    bad("-display gtk x", "only `none`");
    bad("-accel kvm x", "translated");
    bad("-serial null -serial pty x", "one serial line");
}

/* As QEMU counts: a number, or the product of the groups; what groups there are is not told. */
static void harts(void **state)
{
    static const struct {
        const char *text;
        unsigned n;
    } cases[] = {{"1", 1},
                 {"4", 4},
                 {"64", 64},
                 {"cpus=4", 4},
                 {"4,sockets=1,cores=4,threads=1", 4},
                 {"cpus=8,maxcpus=8", 8},
                 {"4,sockets=2", 4},
                 {"sockets=2,cores=2,threads=2", 8},
                 {"maxcpus=3", 3},
                 {"cores=2,cpus=6", 6}};

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char line[64];

        snprintf(line, sizeof line, "-smp %s x", cases[i].text);
        good(line);
        assert_int_equal(cli_o.machine.n_harts, cases[i].n);
    }
    bad("-smp none x", "-smp: none: not a number of harts");
    bad("-smp 0 x", "not a number of harts");
    bad("-smp -1 x", "not a number of harts");
    bad("-smp cpus= x", "cpus=: not a number");
    bad("-smp cpus x", "cpus: not a number");
    bad("-smp 4,cores x", "cores=: not a number");
    bad("-smp 65 x", "at most 64 harts");
    bad("-smp 4294967297 x", "at most 64 harts");
    bad("-smp 4,maxcpus=8 x", "leave out maxcpus=8");
    bad("-smp 4,cores=3 x", "groups of 3");
    bad("-smp cores=64,threads=64,sockets=64,dies=64,clusters=64,books=64 x", "at most 64 harts");
    bad("-smp 4,hats=2 x", "hats: not known");
    bad("-smp 4,2 x", "2: not known");
}

static void harts_that_take_turns(void **state)
{
    static const char *const lines[] = {"-smp 64 --time virtual x", "--engine check -smp 2 x",
                                        "--max-insns 5 -smp 4 x"};

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        good(lines[i]);
        assert_true(cli_o.virtual_time && cli_o.machine.fixed_seed && cli_o.machine.n_harts > 1);
    }
    bad("-smp 2 --engine check --time host x", "--time virtual");
    bad("-smp 2 --max-insns 5 --time host x", "--time virtual");
}

static void slips_of_the_fingers(void **state)
{
    (void)state;
    bad("x -kernal k", "did you mean -kernel?");
    bad("x --engnie jit", "did you mean --engine?");
    bad("x --firmwre=none", "did you mean --firmware?");
    bad("x --quuxfrobnicate", "see dbt-run --help");
    bad("x ---help", "unknown option");
    bad("x -kernel", "-kernel needs a value: FILE");
    bad("x -nographic=yes", "takes no value");
    bad("x y", "the image is x already");
    bad("", "nothing to run");
    bad(" ", "empty argument");
}

/* No two rows may have a name in common: the second could never be reached. */
static void names_are_unique(void **state)
{
    char seen[4096] = " ";

    (void)state;
    for (unsigned i = 0; i < option_n_rows; i++) {
        char names[256], *rest = names;

        snprintf(names, sizeof names, "%s", option_rows[i].names);
        for (char *name; (name = strsep(&rest, " "));) {
            char word[64];

            if (*name == '\0')
                continue;
            snprintf(word, sizeof word, " %s ", name + strspn(name, "-"));
            if (strstr(seen, word))
                fail_msg("%s stands twice", name);
            strcat(seen, word + 1);
        }
    }
}

/* On one screen: at most 40 lines of at most 100 columns. */
static void help_fits(void **state)
{
    char line[512];
    unsigned lines = 0;
    FILE *f = tmpfile();
    int out = dup(STDOUT_FILENO);

    (void)state;
    fflush(stdout);
    dup2(fileno(f), STDOUT_FILENO);
    assert_int_equal(cli_line("--help"), CLI_EXIT_OK);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    close(out);
    rewind(f);
    while (fgets(line, sizeof line, f)) {
        lines++;
        assert_true(strlen(line) <= 100);
    }
    assert_true(lines > 20 && lines <= 50);
    fclose(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(defaults),
        cmocka_unit_test(the_code_cache_is_a_part_of_memory),
        cmocka_unit_test(all_spellings_are_the_same),
        cmocka_unit_test(sizes),
        cmocka_unit_test(firmwares),
        cmocka_unit_test(the_translator),
        cmocka_unit_test(looking_inside),
        cmocka_unit_test(qemus_habits),
        cmocka_unit_test(harts),
        cmocka_unit_test(harts_that_take_turns),
        cmocka_unit_test(slips_of_the_fingers),
        cmocka_unit_test(names_are_unique),
        cmocka_unit_test(help_fits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
