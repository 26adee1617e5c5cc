/* CPU models: names, switches, and the ISA string. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "frontend/riscv/rv.h"

static void expect_isa(const char *model, const char *isa)
{
    struct rv_cpu_model m;
    struct err e;
    char text[256];

    if (!rv_model_parse(&m, model, &e))
        fail_msg("%s: %s", model, e.text);
    assert_true(m.misaligned_ok);
    assert_ptr_equal(rv_model_isa(&m, text, sizeof(text)), text);
    assert_string_equal(text, isa);
}

static void expect_refused(const char *model, const char *part)
{
    struct rv_cpu_model m;
    struct err e;

    assert_false(rv_model_parse(&m, model, &e));
    if (!strstr(e.text, part))
        fail_msg("%s: \"%s\" does not say \"%s\"", model, e.text, part);
}

static void test_names(void **state)
{
    const char *all = "rv64imafdc_zicbom_zicboz_zicntr_zicond_zicsr_zifencei_zihintpause_zawrs_zba_"
                      "zbb_zbs_sstc_svadu_svinval_svnapot_svpbmt_svvptc";

    (void)state;
    expect_isa("rv64gc", "rv64imafdc_zicntr_zicsr_zifencei");
    expect_isa("default", all);
    expect_isa("rv64", all);
    expect_isa("max", all);
}

static void test_switches(void **state)
{
    (void)state;
    expect_isa("rv64gc,zba=on,+zbb,c=off", "rv64imafd_zicntr_zicsr_zifencei_zba_zbb");
    expect_isa("rv64gc,zba=true,zba=false", "rv64imafdc_zicntr_zicsr_zifencei");
    expect_isa("rv64gc,-d,-f,-zicntr,-zifencei,-m,-a,-c", "rv64i_zicsr");
    expect_isa("rv64gc,-d,f=on", "rv64imafc_zicntr_zicsr_zifencei");
}

static void test_refusals(void **state)
{
    (void)state;
    expect_refused("", "rv64gc");
    expect_refused("sifive-u54", "sifive-u54");
    expect_refused("rv64gcx", "rv64gcx");
    expect_refused("rv64,zbq=on", "zbq");
    expect_refused("rv64,zbq=on", "svvptc");
    expect_refused("rv64,zba", "zba=on");
    expect_refused("rv64,zba=maybe", "zba=maybe");
    expect_refused("rv64,", "comma");
    expect_refused("rv64,=on", "comma");
    expect_refused("rv64,+", "comma");
    expect_refused("rv64,zicsr=off", "zicsr");
    expect_refused("rv64,f=off", "d needs f");
    expect_refused("rv64,a=off", "zawrs needs a");
}

/* A buffer that is too small cuts the string and nothing else. */
static void test_short_buffer(void **state)
{
    struct rv_cpu_model m;
    struct err e;
    char text[64];

    (void)state;
    assert_true(rv_model_parse(&m, "default", &e));
    for (size_t len = 1; len < sizeof(text); len++) {
        memset(text, '#', sizeof(text));
        rv_model_isa(&m, text, len);
        assert_int_equal(strlen(text), len - 1);
        assert_int_equal(text[len], '#');
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_switches),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_short_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
