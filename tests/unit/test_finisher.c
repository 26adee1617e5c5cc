/* The finisher and HTIF: how a guest ends, and says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "devices/finisher.h"
#include "devices/htif.h"

static int n_calls, last_code;
static enum finish_kind last_kind;

static void finish(void *arg, enum finish_kind kind, int code)
{
    (void)arg;
    n_calls++;
    last_kind = kind;
    last_code = code;
}

static void finisher_ends_the_run(void **state)
{
    static const struct {
        uint32_t value;
        enum finish_kind kind;
        int code;
    } cases[] = {
        {0x5555, FINISH_POWEROFF, 0},
        {0x00075555, FINISH_POWEROFF, 0},
        {0x7777, FINISH_RESET, 0},
        {0x3333 | 42 << 16, FINISH_POWEROFF, 42},
        {0x3333, FINISH_POWEROFF, 1},
        {0x3333 | 0x100 << 16, FINISH_POWEROFF, 1},
        {0x3333 | 0xffffu << 16, FINISH_POWEROFF, 255},
    };
    struct finisher f = {.finish = finish};

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        n_calls = 0;
        finisher_mmio.write(&f, 0, 4, cases[i].value);
        assert_int_equal(n_calls, 1);
        assert_int_equal(last_kind, cases[i].kind);
        assert_int_equal(last_code, cases[i].code);
    }
}

static void finisher_ignores_the_rest(void **state)
{
    struct finisher f = {.finish = finish};

    (void)state;
    n_calls = 0;
    finisher_mmio.write(&f, 0, 4, 0);
    finisher_mmio.write(&f, 0, 4, 0x1234);
    finisher_mmio.write(&f, 4, 4, 0x5555);
    assert_int_equal(n_calls, 0);
    assert_int_equal(finisher_mmio.read(&f, 0, 4), 0);
}

/* ---- HTIF ---------------------------------------------------------------------------- */

enum { RAM = 0x80000000u, RAM_LEN = 256 * 1024, TOHOST = RAM + 64, FROMHOST = RAM + 128 };

static uint64_t ram[RAM_LEN / 8];
static struct phys phys = {.ram_gpa = RAM, .ram_len = RAM_LEN, .ram = (uint8_t *)ram};
static char text[64];
static unsigned n_text;
static int next_char;
static bool room;

static void put(void *arg, uint8_t byte)
{
    (void)arg;
    if (n_text < sizeof text)
        text[n_text] = (char)byte;
    n_text++;
}

static bool has_room(void *arg)
{
    (void)arg;
    return room;
}

static int get_char(void *arg)
{
    int c = next_char;

    (void)arg;
    next_char = -1;
    return c;
}

static uint64_t *at(uint64_t gpa)
{
    return &ram[(gpa - RAM) / 8];
}

static struct htif make(void)
{
    struct htif h;

    memset(ram, 0, sizeof ram);
    n_text = 0;
    n_calls = 0;
    next_char = -1;
    htif_init(&h, &phys, TOHOST, FROMHOST);
    h.put = put;
    h.get = get_char;
    h.finish = finish;
    return h;
}

static void command(struct htif *h, uint64_t value)
{
    *at(TOHOST) = value;
    assert_true(htif_poll(h));
    assert_int_equal(*at(TOHOST), 0);
}

static void htif_exit(void **state)
{
    struct htif h = make();

    (void)state;
    assert_false(htif_poll(&h));
    command(&h, 1);
    assert_int_equal(n_calls, 1);
    assert_int_equal(last_code, 0);
    command(&h, 7 << 1 | 1);
    assert_int_equal(last_code, 7);
    command(&h, 0x10000 << 1 | 1); /* a failure that does not fit */
    assert_int_equal(last_code, 1);
}

static void htif_console(void **state)
{
    struct htif h = make();

    (void)state;
    command(&h, UINT64_C(0x0101) << 48 | 'A');
    command(&h, UINT64_C(0x0101) << 48 | 'B');
    assert_int_equal(n_text, 2);
    assert_memory_equal(text, "AB", 2);
    command(&h, UINT64_C(0x0100) << 48);
    htif_poll(&h);
    assert_int_equal(*at(FROMHOST), 0);
    next_char = 'z';
    htif_poll(&h);
    assert_true(*at(FROMHOST) == (UINT64_C(0x0100) << 48 | 0x100 | 'z'));
    command(&h, UINT64_C(0x7777) << 48); /* nobody's device */
}

/* Nobody takes what is written: the guest has no answer until somebody does. Much is written in
 * steps, each when there is room. */
static void htif_waits_for_room(void **state)
{
    struct htif h = make();
    uint64_t *args = at(RAM + 256);
    const unsigned len = 200 * 1024;
    unsigned n = 0;

    (void)state;
    h.has_room = has_room;
    room = false;
    *at(TOHOST) = UINT64_C(0x0101) << 48 | 'A';
    htif_poll(&h);
    assert_int_not_equal(*at(TOHOST), 0);
    room = true;
    htif_poll(&h);
    assert_int_equal(*at(TOHOST), 0);
    assert_int_equal(n_text, 1);

    args[0] = 64;
    args[1] = 1;
    args[2] = RAM + 512;
    args[3] = len;
    *at(TOHOST) = RAM + 256;
    for (; *at(TOHOST) && n < 100; n++) {
        const unsigned before = n_text;

        room = n % 2 == 1;
        htif_poll(&h);
        assert_true(room ? n_text > before : n_text == before);
        assert_in_range(n_text - before, 0, 64 * 1024);
    }
    assert_int_equal(n_text, 1 + len);
    assert_int_equal(args[0], len);
    /* The next one begins at its beginning. */
    room = true;
    args[0] = 64;
    args[3] = 7;
    command(&h, RAM + 256);
    assert_int_equal(n_text, 1 + len + 7);
}

static void htif_system_calls(void **state)
{
    struct htif h = make();
    uint64_t *args = at(RAM + 256);

    (void)state;
    memcpy(at(RAM + 512), "hello", 5);
    args[0] = 64;
    args[1] = 1;
    args[2] = RAM + 512;
    args[3] = 5;
    command(&h, RAM + 256);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(args[0], 5);
    assert_int_equal(*at(FROMHOST), 1);
    args[0] = 64;
    args[3] = UINT64_MAX; /* not all of it is RAM */
    command(&h, RAM + 256);
    assert_true(args[0] == (uint64_t)-38);
    args[0] = 93;
    args[1] = 3;
    command(&h, RAM + 256);
    assert_int_equal(last_code, 3);
    command(&h, 0x1000);            /* arguments outside RAM */
    command(&h, RAM + RAM_LEN - 8); /* arguments that end outside */
    command(&h, RAM + 260);         /* misaligned */
    assert_int_equal(n_calls, 1);
}

static void htif_outside_ram_is_off(void **state)
{
    struct htif h;

    (void)state;
    htif_init(&h, &phys, 0x1000, 0);
    assert_false(htif_poll(&h));
    htif_init(&h, &phys, TOHOST + 4, 0);
    assert_int_equal(h.tohost_gpa, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finisher_ends_the_run),
        cmocka_unit_test(finisher_ignores_the_rest),
        cmocka_unit_test(htif_exit),
        cmocka_unit_test(htif_console),
        cmocka_unit_test(htif_system_calls),
        cmocka_unit_test(htif_waits_for_room),
        cmocka_unit_test(htif_outside_ram_is_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
