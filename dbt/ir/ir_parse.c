/* Reads what ir_print() writes. Hand-written text may be freer: labels need not
 * be consecutive, "[", "]", "(", ")", "," and "->" are as good as blanks, "#"
 * begins a comment. Whether the block makes sense is ir_verify()'s question. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "dbt/ir/ir_form.h"

struct parser {
    struct ir_block *b;
    const char *p;   /* in the line that is being read */
    const char *end; /* of that line, before its comment */
    unsigned line;
    struct err *e;
    ir_ref label[IR_MAX_INSNS]; /* %n of the text -> instruction */
};

/* A word of the line: no longer than any that means something. */
struct word {
    char text[32];
};

static bool fail(struct parser *p, const char *what, const char *word)
{
    return err_set(p->e, "line %u: %s%s%s", p->line, what, *word ? ": " : "", word);
}

/* Bytes of blank at the cursor, 0 before a word. */
static unsigned blank(const struct parser *p)
{
    if (p->p == p->end)
        return 0;
    if (p->end - p->p >= 2 && p->p[0] == '-' && p->p[1] == '>')
        return 2;
    return isspace((unsigned char)*p->p) || strchr("[](),=", *p->p) ? 1 : 0;
}

/* The next word; empty at the end of the line. False when it is too long. */
static bool next_word(struct parser *p, struct word *w)
{
    unsigned skip;
    size_t n = 0;

    while ((skip = blank(p)) != 0)
        p->p += skip;
    while (p->p < p->end && blank(p) == 0) {
        if (n == sizeof(w->text) - 1)
            return fail(p, "a word is too long", "");
        w->text[n++] = *p->p++;
    }
    w->text[n] = '\0';
    return true;
}

/* A number with an optional sign, decimal or 0x; nothing may follow it. */
static bool number(const char *text, uint64_t *v)
{
    bool negative = *text == '-';
    char *end;

    if (*text == '-' || *text == '+')
        text++;
    if (!isdigit((unsigned char)*text))
        return false;
    *v = strtoull(text, &end, 0);
    if (negative)
        *v = -*v;
    return *end == '\0';
}

static bool read_number(struct parser *p, uint64_t *v)
{
    struct word w;

    if (!next_word(p, &w))
        return false;
    return number(w.text, v) || fail(p, "a number is missing", w.text);
}

static bool label_of(const char *text, uint64_t *n)
{
    return *text == '%' && isdigit((unsigned char)text[1]) && number(text + 1, n) &&
           *n < IR_MAX_INSNS;
}

static bool read_operand(struct parser *p, const char *text, ir_ref *r)
{
    uint64_t n;

    *r = IR_NONE;
    if (strcmp(text, "_") == 0)
        return true;
    if (!label_of(text, &n))
        return fail(p, "an operand is missing", text);
    if (ir_is_none(p->label[n]))
        return fail(p, "this value is not made yet", text);
    *r = p->label[n];
    return true;
}

/* ---- The parts of an instruction -------------------------------------------- */

static bool find_word(const char *const *words, unsigned n, const char *text, uint8_t *index)
{
    for (unsigned k = 0; k < n; k++) {
        if (words[k] && strcmp(words[k], text) == 0) {
            *index = (uint8_t)k;
            return true;
        }
    }
    return false;
}

static bool fp_suffix(const char *suffix, uint8_t *aux)
{
    uint8_t rm;

    if ((strncmp(suffix, "32.", 3) != 0 && strncmp(suffix, "64.", 3) != 0) ||
        !find_word(ir_rm_words, 8, suffix + 3, &rm))
        return false;
    *aux = IR_FP(suffix[0] == '6' ? 64 : 32, rm);
    return true;
}

static bool fast_suffix(char *suffix, uint8_t *aux)
{
    char *point = strchr(suffix, '.');
    uint8_t what;

    if (!*suffix)
        return true;
    if (!point || (strcmp(point, ".32") != 0 && strcmp(point, ".64") != 0))
        return false;
    *point = '\0';
    if (!find_word(ir_fast_words, IR_FAST_COUNT, suffix, &what))
        return false;
    *aux = IR_FAST(what, point[1] == '6' ? 8 : 4);
    return true;
}

/* "ld.s32": the operation and what stands behind its point. */
static bool mnemonic(struct parser *p, char *text, struct ir_insn *i)
{
    char *point = strchr(text, '.');
    char *suffix = point ? point + 1 : text + strlen(text);
    unsigned op = 0;
    bool ok;

    if (point)
        *point = '\0';
    while (op < IR_OP_COUNT && strcmp(ir_ops[op].name, text) != 0)
        op++;
    if (op == IR_OP_COUNT)
        return fail(p, "no operation has this name", text);
    i->op = (uint8_t)op;
    switch (ir_aux_form((enum ir_op)op)) {
    case AUX_MEM: ok = find_word(ir_mem_words, 12, suffix, &i->aux); break;
    case AUX_COND: ok = find_word(ir_cond_words, 6, suffix, &i->aux); break;
    case AUX_FAST: ok = fast_suffix(suffix, &i->aux); break;
    case AUX_FLOW: ok = find_word(ir_flow_words, 3, suffix, &i->aux); break;
    case AUX_FP: ok = fp_suffix(suffix, &i->aux); break;
    default: ok = !point; break;
    }
    return ok || fail(p, "the operation has no such form", suffix);
}

static bool helper_id(struct parser *p, const char *text, uint64_t *id)
{
    if (number(text, id))
        return *id < STATE_N_HELPERS || fail(p, "no helper has this number", text);
    for (unsigned k = 0; p->b->helpers && k < p->b->n_helpers; k++) {
        if (strcmp(p->b->helpers[k].name, text) == 0) {
            *id = k;
            return true;
        }
    }
    return fail(p, "no helper has this name", text);
}

/* helper k (operands) */
static bool call_tail(struct parser *p, struct ir_insn *i)
{
    ir_ref *refs[3] = {&i->a, &i->b, &i->c};
    struct word w;
    uint64_t id = 0, k = 0;

    if (!next_word(p, &w) || !helper_id(p, w.text, &id) || !read_number(p, &k))
        return false;
    i->imm = IR_CALL(id, k);
    for (unsigned n = 0; n < 3; n++) {
        if (!next_word(p, &w))
            return false;
        if (!*w.text)
            break;
        if (!read_operand(p, w.text, refs[n]))
            return false;
    }
    return true;
}

static bool read_small(struct parser *p, uint8_t *aux)
{
    uint64_t v = 0;

    if (!read_number(p, &v))
        return false;
    *aux = (uint8_t)v;
    return v <= UINT8_MAX || fail(p, "a number is too large", "");
}

static bool read_imm(struct parser *p, struct ir_insn *i)
{
    enum ir_imm_form form = ir_imm_form((enum ir_op)i->op);
    struct word w;

    if (form == IMM_NONE)
        return true;
    if (form != IMM_REG && form != IMM_FREG)
        return read_number(p, &i->imm);
    if (!next_word(p, &w))
        return false;
    return (w.text[0] == (form == IMM_REG ? 'r' : 'f') && number(w.text + 1, &i->imm)) ||
           fail(p, "a register is missing", w.text);
}

/* What follows the mnemonic: operands, immediate, aux; memory has the immediate
 * behind its address. */
static bool plain_tail(struct parser *p, struct ir_insn *i)
{
    ir_ref *refs[3] = {&i->a, &i->b, &i->c};
    bool memory = (ir_ops[i->op].flags & (LOAD | STORE)) != 0;
    enum ir_aux_form form = ir_aux_form((enum ir_op)i->op);
    struct word w;

    for (unsigned k = 0; k < ir_n_operands(i); k++) {
        if (!next_word(p, &w) || !read_operand(p, w.text, refs[k]))
            return false;
        if (memory && k == 0 && !read_imm(p, i))
            return false;
    }
    if (!memory && !read_imm(p, i))
        return false;
    if (form == AUX_SHIFT || form == AUX_LEN || form == AUX_FENCE)
        return read_small(p, &i->aux);
    return true;
}

static bool instruction(struct parser *p, struct word *w)
{
    struct ir_insn i = {.a = IR_NONE, .b = IR_NONE, .c = IR_NONE};
    bool labelled = w->text[0] == '%';
    uint64_t label = 0;

    if (labelled) {
        if (!label_of(w->text, &label))
            return fail(p, "a label is %0 to %4095", w->text);
        if (!next_word(p, w))
            return false;
    }
    if (!mnemonic(p, w->text, &i))
        return false;
    if (labelled == (ir_ops[i.op].result == 'N'))
        return fail(p, "a value has a label, and nothing else has", ir_ops[i.op].name);
    if (!(i.op == IR_call ? call_tail(p, &i) : plain_tail(p, &i)))
        return false;
    if (!next_word(p, w))
        return false;
    if (*w->text)
        return fail(p, "something is left over", w->text);
    if (p->b->n == IR_MAX_INSNS)
        return fail(p, "too many instructions", "");
    if (labelled)
        p->label[label] = (ir_ref){(uint16_t)p->b->n};
    p->b->insn[p->b->n++] = i;
    return true;
}

/* block gpa=0x80000000 len=4 ...; next_word() takes "=" for a blank. */
static bool header(struct parser *p)
{
    struct ir_block *b = p->b;
    struct word w;
    uint64_t v = 0;

    for (;;) {
        if (!next_word(p, &w))
            return false;
        if (!*w.text)
            return true;
        if (strcmp(w.text, "virtual_time") == 0) {
            b->virtual_time = true;
            continue;
        }
        if (!read_number(p, &v))
            return false;
        if (strcmp(w.text, "gpa") == 0)
            b->gpa = v;
        else if (strcmp(w.text, "len") == 0)
            b->len_bytes = (uint32_t)v;
        else if (strcmp(w.text, "guest") == 0)
            b->n_guest = (uint32_t)v;
        else if (strcmp(w.text, "mode") == 0)
            b->mode = (uint32_t)v;
        else
            return fail(p, "the block has no such property", w.text);
    }
}

static bool read_line(struct parser *p)
{
    struct word w;

    if (!next_word(p, &w))
        return false;
    if (!*w.text)
        return true;
    return strcmp(w.text, "block") == 0 ? header(p) : instruction(p, &w);
}

bool ir_parse(struct ir_block *b, const char *text, struct err *e)
{
    struct parser p = {.b = b, .e = e};

    b->gpa = 0;
    b->len_bytes = b->n_guest = b->mode = b->n = 0;
    b->virtual_time = false;
    b->straddle_bytes = 0;
    for (unsigned n = 0; n < IR_MAX_INSNS; n++)
        p.label[n] = IR_NONE;
    while (*text) {
        const char *end = text + strcspn(text, "\n");

        p.line++;
        p.p = text;
        p.end = text + strcspn(text, "#\n");
        if (!read_line(&p))
            return false;
        text = *end ? end + 1 : end;
    }
    b->start = (uint32_t)(b->gpa & (PAGE_SIZE - 1));
    return true;
}
