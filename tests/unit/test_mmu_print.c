/* The soft MMU's tables for the eye. */
#include <stdio.h>

#include "dbt/ir/ir.h"

#include "tests/lib/toy_guest.h"

#define LOW UINT64_C(0x40000)

static char *printed(const struct toy *t)
{
    char *text = NULL;
    size_t n;
    FILE *f = open_memstream(&text, &n);

    mmu_print(t->mmu, f);
    fclose(f);
    return text;
}

static void pages_and_rights(void **state)
{
    struct toy *t = toy_create();
    char *text;

    (void)state;
    toy_add(t, 0, LOW, TOY_RAM + 0x3000, 0x1000, TOY_R);
    toy_add(t, 0, LOW + 0x1000, TOY_RAM + 0x5000, 0x1000, TOY_R | TOY_W);
    toy_add(t, 0, LOW + 0x2000, TOY_RAM + 0x6000, 0x1000, TOY_R | TOY_W);
    toy_enter(t, 1, 0);
    text = printed(t);
    assert_string_equal(text, ""); /* of the zero pages that a view begins as, nothing */
    free(text);
    mmu_load(&t->s, LOW, IR_64);
    mmu_load(&t->s, LOW + 0x1000, IR_64);
    mmu_store(&t->s, LOW + 0x1000, IR_64, 1);
    mmu_store(&t->s, LOW + 0x2000, IR_64, 1);
    text = printed(t);
    assert_non_null(strstr(text, "0000000000040000  0000000080003000  r-\n"));
    assert_non_null(strstr(text, "0000000000041000  0000000080005000  rw\n"));
    assert_non_null(strstr(text, "0000000000042000  0000000080006000  "));
    free(text);
    toy_enter(t, 2, 0);
    text = printed(t);
    assert_null(strstr(text, "40000"));
    free(text);
    toy_destroy(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pages_and_rights)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
