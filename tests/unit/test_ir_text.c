/* The text form: what is printed can be read back, what is wrong is refused with
 * a line that says why; and the verifier. */
#include <dirent.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/ir_random.h"

static struct ir_block first, second;

static void set_helpers(struct ir_block *b)
{
    b->helpers = ir_world_helpers;
    b->n_helpers = ir_world_n_helpers;
}

static char *printed(const struct ir_block *b)
{
    char *text;
    size_t size;
    FILE *f = open_memstream(&text, &size);

    ir_print(b, f);
    fclose(f);
    return text;
}

/* Prints `first`, reads it into `second`, and compares all that a block is. */
static void check_round_trip(const char *name)
{
    char *x = printed(&first), *y;
    struct err e;

    set_helpers(&second);
    if (!ir_parse(&second, x, &e))
        fail_msg("%s: %s\n%s", name, e.text, x);
    y = printed(&second);
    assert_string_equal(x, y);
    assert_int_equal(first.n, second.n);
    assert_memory_equal(first.insn, second.insn, first.n * sizeof(first.insn[0]));
    assert_int_equal(first.gpa, second.gpa);
    assert_int_equal(first.start, second.start);
    assert_int_equal(first.len_bytes, second.len_bytes);
    assert_int_equal(first.n_guest, second.n_guest);
    assert_int_equal(first.mode, second.mode);
    assert_int_equal(first.virtual_time, second.virtual_time);
    free(x);
    free(y);
}

static void random_blocks_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct ir_random r = {.seed = seed, .parts = IR_RANDOM_ALL, .n_guest = 1 + seed % 20};
        char name[32];

        memset(&first, 0, sizeof(first)); /* the padding of ir_insn too */
        ir_random_block(&r, &first);
        snprintf(name, sizeof(name), "seed %" PRIu64, seed);
        check_round_trip(name);
    }
}

/* Every file in tests/ir: read, verified, printed, read again. */
static void files_are_read(void **state)
{
    DIR *dir = opendir("tests/ir");
    unsigned n = 0;

    (void)state;
    assert_non_null(dir);
    for (struct dirent *d; (d = readdir(dir)) != NULL;) {
        static char text[65536];
        char path[320];
        struct err e;
        FILE *f;

        if (!strstr(d->d_name, ".ir"))
            continue;
        snprintf(path, sizeof(path), "tests/ir/%s", d->d_name);
        f = fopen(path, "r");
        assert_non_null(f);
        text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
        fclose(f);
        set_helpers(&first);
        if (!ir_parse(&first, text, &e) || !ir_verify(&first, &e))
            fail_msg("%s: %s", path, e.text);
        check_round_trip(path);
        n++;
    }
    closedir(dir);
    assert_true(n >= 3);
}

/* ---- Refusals ------------------------------------------------------------------- */

struct refusal {
    const char *text, *says;
};

static const struct refusal unreadable[] = {
    {"%1 = frobnicate", "no operation has this name: frobnicate"},
    {"%1 = add %0, %0", "this value is not made yet: %0"},
    {"%1 = const", "a number is missing"},
    {"%1 = const 12monkeys", "a number is missing: 12monkeys"},
    {"%4096 = const 1", "a label is %0 to %4095"},
    {"const 1", "a value has a label"},
    {"%0 = fence 0", "a value has a label"},
    {"%0 = get f1", "a register is missing: f1"},
    {"%0 = const 1\n%1 = ld.s64 %0 +0", "line 2: the operation has no such form: s64"},
    {"%0 = const 1\nexit_if.gt %0 %0 8", "no such form: gt"},
    {"%0 = getf f1\n%1 = fadd.16.rne %0 %0", "no such form: 16.rne"},
    {"%0 = getf f1\n%1 = fadd.32.odd %0 %0", "no such form: 32.odd"},
    {"exit_goto 8 9", "something is left over: 9"},
    {"%0 = call nobody 0", "no helper has this name: nobody"},
    {"%0 = call 128 0", "no helper has this number: 128"},
    {"insn 0 256", "a number is too large"},
    {"block gpa=1 colour=2", "no such property: colour"},
    {"-", "no operation has this name: -"},
    {">", "no operation has this name: >"},
    {"%", "a label is"},
    {"%0 = const 1\n%1 = add %0 &", "an operand is missing: &"},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a word is too long"},
};

static void unreadable_text_is_refused(void **state)
{
    (void)state;
    for (unsigned n = 0; n < sizeof(unreadable) / sizeof(unreadable[0]); n++) {
        struct err e = {""};

        set_helpers(&first);
        assert_false(ir_parse(&first, unreadable[n].text, &e));
        if (!strstr(e.text, unreadable[n].says))
            fail_msg("\"%s\" says \"%s\", not \"%s\"", unreadable[n].text, e.text,
                     unreadable[n].says);
    }
}

/* A word that is too long, in the place of each word of each line that could be read. */
static void long_words_are_refused_everywhere(void **state)
{
    static const char *const lines[] = {
        "block gpa=1 len=2", "%9 = const 5",         "%9 = get r1", "%9 = ld.u8 [%0 +4]",
        "st.u8 [%0 +4] %0",  "%9 = addsh %0, %0 2",  "insn 0 4",    "exit_if.eq %0 %0 8",
        "setf %1 f1",        "%9 = call hash_all 0", "exit_goto 8", "%9 = call scatter 0 (%0, %0)",
    };
    const char *const before = "%0 = const 1\n%1 = getf f1\n";
    static const char breaks[] = " =[](),";

    (void)state;
    for (unsigned n = 0; n < sizeof(lines) / sizeof(lines[0]); n++) {
        for (const char *word = lines[n]; *word;) {
            size_t len = strcspn(word, breaks);
            char text[256];
            struct err e = {""};

            snprintf(text, sizeof(text), "%s%.*s%048d%s", before, (int)(word - lines[n]), lines[n],
                     7, word + len);
            set_helpers(&first);
            assert_false(ir_parse(&first, text, &e));
            if (!strstr(e.text, "a word is too long"))
                fail_msg("\"%s\" says \"%s\"", text, e.text);
            word += len;
            word += strspn(word, breaks);
        }
        char text[256];
        struct err e;

        snprintf(text, sizeof(text), "%s%s", before, lines[n]);
        if (!ir_parse(&first, text, &e))
            fail_msg("%s: %s", text, e.text);
    }
}

static void a_block_has_an_end(void **state)
{
    static char text[(IR_MAX_INSNS + 1) * sizeof("fence 0")];
    struct err e = {""};

    (void)state;
    for (unsigned n = 0; n < IR_MAX_INSNS; n++)
        memcpy(text + strlen("fence 0\n") * n, "fence 0\n", sizeof("fence 0\n"));
    assert_true(ir_parse(&first, text, &e));
    memcpy(text + strlen("fence 0\n") * IR_MAX_INSNS, "fence 0", sizeof("fence 0"));
    assert_false(ir_parse(&first, text, &e));
    assert_non_null(strstr(e.text, "too many instructions"));
}

/* Without a table of helpers they are numbers. */
static void helpers_may_be_numbers(void **state)
{
    struct err e;

    (void)state;
    set_helpers(&first);
    assert_true(ir_parse(&first, "block gpa=0\ninsn 0 4\n%1 = call 2 7\nexit_goto 4", &e));
    first.helpers = NULL;
    char *text = printed(&first);

    assert_non_null(strstr(text, "call 2 0x7 ()"));
    free(text);
}

static const struct refusal invalid[] = {
    {"", "0 instructions"},
    {"exit_goto 0", "begins with insn"},
    {"insn 0 4", "ends in its one exit"},
    {"insn 0 4\nexit_goto 0\nexit_goto 0", "ends in its one exit"},
    {"insn 4096 4\nexit_goto 0", "immediate out of range"},
    {"insn 0 0\nexit_goto 0", "wrong aux"},
    {"insn 0 4\nexit_goto 0x80000000", "immediate out of range"},
    {"insn 0 4\n%1 = get r32\nexit_goto 0", "immediate out of range"},
    {"insn 0 4\n%1 = ldst 8\nexit_goto 0", "immediate out of range"},
    {"insn 0 4\n%1 = ldst 0x1001\nexit_goto 0", "immediate out of range"},
    {"insn 0 4\n%1 = getf f1\n%2 = add %1 %1\nexit_goto 0",
     "%2 (add): has an operand of the wrong class"},
    {"insn 0 4\n%1 = const 1\n%2 = add %1 _\nexit_goto 0", "not made yet"},
    {"insn 0 4\n%1 = const 1\n%2 = addsh %1 %1 4\nexit_goto 0", "wrong aux"},
    {"insn 0 4\nfence 2\nexit_goto 0", "wrong aux"},
    {"insn 0 4\n%1 = const 1\nst.s8 [%1 +0] %1\nexit_goto 0", "wrong aux"},
    {"insn 0 4\n%1 = const 1\n%2 = ldf.u8 [%1 +0]\nexit_goto 0", "wrong aux"},
    {"insn 0 4\n%1 = const 1\n%2 = ld.u8 [%1 +0x80000000]\nexit_goto 0", "immediate out of range"},
    {"insn 0 4\n%1 = getf f1\n%2 = f32to64.64.rne %1\nexit_goto 0", "wrong aux"},
    {"insn 0 4\n%1 = call scatter 0\nexit_goto 0", "wrong number of operands"},
    {"insn 0 4\n%1 = const 1\n%2 = call scatter 0 (%1, _, %1)\nexit_goto 0",
     "after one that is missing"},
    {"insn 0 4\n%1 = call 100 0\nexit_goto 0", "helper that does not exist"},
    /* The helper `fp` does rows with flags: not row 0, not a row that is none, no wider k. */
    {"insn 0 4\n%1 = const 1\n%2 = call fp 0 (%1, %1, %1)\nexit_goto 0", "not one with flags"},
    {"insn 0 4\n%1 = const 1\n%2 = call fp 255 (%1, %1, %1)\nexit_goto 0", "not one with flags"},
    {"insn 0 4\n%1 = const 1\n%2 = call fp 0x10000 (%1, %1, %1)\nexit_goto 0",
     "not one with flags"},
};

static void invalid_blocks_are_refused(void **state)
{
    (void)state;
    for (unsigned n = 0; n < sizeof(invalid) / sizeof(invalid[0]); n++) {
        struct err e = {""};

        set_helpers(&first);
        if (!ir_parse(&first, invalid[n].text, &e))
            fail_msg("%s: %s", invalid[n].text, e.text);
        assert_false(ir_verify(&first, &e));
        if (!strstr(e.text, invalid[n].says))
            fail_msg("\"%s\" says \"%s\", not \"%s\"", invalid[n].text, e.text, invalid[n].says);
    }
}

/* What the text form cannot say. */
static void damaged_blocks_are_refused(void **state)
{
    struct ir_random r = {.seed = 1, .parts = IR_RANDOM_ALL, .n_guest = 8};
    struct err e;

    (void)state;
    ir_random_block(&r, &first);
    assert_true(ir_verify(&first, &e));
    second = first;
    second.insn[3].op = IR_OP_COUNT;
    assert_false(ir_verify(&second, &e));
    second = first;
    second.start++;
    assert_false(ir_verify(&second, &e));
    second = first;
    second.n = IR_MAX_INSNS + 1;
    assert_false(ir_verify(&second, &e));
    /* No byte of an instruction may take verifier or printer out of their tables. */
    for (unsigned n = 0; n < 100000; n++) {
        unsigned at = ir_random_below(&r, first.n);

        second.n = first.n;
        second.start = first.start;
        second.insn[at] = first.insn[at];
        ((uint8_t *)&second.insn[at])[ir_random_below(&r, 16)] = (uint8_t)ir_random_next(&r);
        if (ir_verify(&second, &e)) {
            char *text = printed(&second);

            free(text);
        }
        second.insn[at] = first.insn[at];
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_blocks_round_trip),
        cmocka_unit_test(files_are_read),
        cmocka_unit_test(unreadable_text_is_refused),
        cmocka_unit_test(invalid_blocks_are_refused),
        cmocka_unit_test(damaged_blocks_are_refused),
        cmocka_unit_test(long_words_are_refused_everywhere),
        cmocka_unit_test(a_block_has_an_end),
        cmocka_unit_test(helpers_may_be_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
