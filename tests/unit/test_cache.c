/* runtime/cache: two views of the same bytes, segments in turn, what goes with them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/block.h"
#include "runtime/cache.h"

enum { SEGMENTS = 4, SEGMENT_BYTES = 16384, MAX_DROPPED = 4096 };

struct fixture {
    struct cache *cache;
    unsigned n_dropped;
    struct block *dropped[MAX_DROPPED];
};

static void on_drop(void *arg, struct block *b)
{
    struct fixture *f = arg;

    /* Its memory is still what it was. */
    assert_int_equal(b->mode, 77);
    f->dropped[f->n_dropped++ % MAX_DROPPED] = b;
}

static void begin(struct fixture *f)
{
    struct err e;

    memset(f, 0, sizeof *f);
    f->cache = cache_create(SEGMENTS * SEGMENT_BYTES + 100, SEGMENTS, 1, on_drop, f, &e);
    assert_non_null(f->cache);
}

static void end(struct fixture *f)
{
    cache_destroy(f->cache);
}

/* A block of so many bytes, each `fill`, and `cold` ones, each `fill` + 1; NULL when the segment is
 * full. */
static struct block *add_apart(struct fixture *f, size_t bytes, size_t cold, int fill)
{
    struct block *b = cache_meta(f->cache, 0, sizeof *b);
    struct x64_room room = cache_room(f->cache, 0);

    if (!b || room.hot_bytes < bytes || room.cold_bytes < cold)
        return NULL;
    memset(room.hot, fill, bytes);
    memset(room.cold, fill + 1, cold);
    *b = (struct block){.mode = 77, .size_bytes = (uint32_t)bytes, .cold_bytes = (uint32_t)cold};
    cache_commit(f->cache, 0, b);
    cache_own(f->cache, 0, b);
    return b;
}

static struct block *add(struct fixture *f, size_t bytes, int fill)
{
    return add_apart(f, bytes, 0, fill);
}

/* Were there blocks, for which one would have to wait? */
static bool advance(struct fixture *f)
{
    const bool had_blocks = cache_retire(f->cache, 0);

    cache_take(f->cache, 0);
    return had_blocks;
}

static void bytes_are_seen_through_both_views(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct block *a = add(&f, 100, 0x11), *b = add(&f, 1, 0x22);

    assert_int_equal(a->code[0], 0x11);
    assert_int_equal(a->code[99], 0x11);
    assert_int_equal(b->code[0], 0x22);
    assert_int_equal((uintptr_t)b->code % CACHE_ALIGN, 0);
    *cache_rw_of(f.cache, b->code) = 0x33;
    assert_int_equal(b->code[0], 0x33);
    assert_ptr_equal(cache_block_of(a->cold), a);
    assert_ptr_equal(cache_block_of(b->cold), b);
    cache_stubs_rw(f.cache)[CACHE_STUB_BYTES - 1] = 0x44;
    assert_int_equal(cache_stubs_rx(f.cache)[CACHE_STUB_BYTES - 1], 0x44);
    assert_int_equal(cache_stats(f.cache)->code_bytes, 101);
    assert_int_equal(cache_stats(f.cache)->blocks, 2);
    assert_int_equal(cache_stats(f.cache)->size_bytes, SEGMENTS * SEGMENT_BYTES);
    end(&f);
}

/* No page is ever writable and executable. */
static void no_view_is_both(void **state)
{
    struct fixture f;
    char line[512];
    unsigned n = 0;

    (void)state;
    begin(&f);
    FILE *maps = fopen("/proc/self/maps", "r");

    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        if (!strstr(line, "dbt-code"))
            continue;
        n++;
        assert_false(strstr(line, "rw-s") == NULL && strstr(line, "r-xs") == NULL);
    }
    fclose(maps);
    assert_int_equal(n, 2);
    end(&f);
}

static void find_knows_first_and_last_bytes(void **state)
{
    struct fixture f;
    struct block *b[3 * SEGMENTS];

    (void)state;
    begin(&f);
    assert_null(cache_find(f.cache, cache_stubs_rx(f.cache)));
    assert_null(cache_find(f.cache, cache_stubs_rx(f.cache) + CACHE_STUB_BYTES));
    for (unsigned k = 0; k < SEGMENTS; k++) {
        for (unsigned i = 0; i < 3; i++)
            b[3 * k + i] = add(&f, 50 + 7 * i, (int)k);
        if (k + 1 < SEGMENTS)
            advance(&f);
    }
    for (unsigned k = 0; k < 3 * SEGMENTS; k++) {
        assert_ptr_equal(cache_find(f.cache, b[k]->code), b[k]);
        assert_ptr_equal(cache_find(f.cache, b[k]->code + b[k]->size_bytes - 1), b[k]);
        assert_null(cache_find(f.cache, b[k]->code + b[k]->size_bytes));
        assert_null(cache_find(f.cache, b[k]->code - 1)); /* the others end in between */
    }
    assert_null(cache_find(f.cache, &f));
    assert_null(cache_find(f.cache, cache_rw_of(f.cache, b[0]->code)));
    assert_null(
        cache_find(f.cache, cache_stubs_rx(f.cache) + CACHE_STUB_BYTES + SEGMENTS * SEGMENT_BYTES));
    end(&f);
}

/* Of blocks that have nothing apart, too, which lie where the next one's part does. */
static void find_knows_what_is_apart(void **state)
{
    struct fixture f;
    struct block *b[4 * SEGMENTS];

    (void)state;
    begin(&f);
    for (unsigned k = 0; k < SEGMENTS; k++) {
        for (unsigned i = 0; i < 4; i++)
            b[4 * k + i] = add_apart(&f, 50 + 7 * i, i == 1 ? 0 : 60 - 9 * i, (int)k);
        if (k + 1 < SEGMENTS)
            advance(&f);
    }
    for (unsigned k = 0; k < 4 * SEGMENTS; k++) {
        assert_ptr_equal(cache_find(f.cache, b[k]->code), b[k]);
        assert_ptr_equal(cache_find(f.cache, b[k]->code + b[k]->size_bytes - 1), b[k]);
        assert_ptr_not_equal(cache_find(f.cache, b[k]->code + b[k]->size_bytes), b[k]);
        assert_int_equal(*b[k]->code, k / 4);
        assert_null(cache_find(f.cache, b[k]->cold - 1)); /* the header */
        if (!b[k]->cold_bytes)
            continue;
        const uint8_t *last = b[k]->cold + b[k]->cold_bytes - 1;

        assert_ptr_equal(cache_find(f.cache, b[k]->cold), b[k]);
        assert_ptr_equal(cache_find(f.cache, last), b[k]);
        assert_null(cache_find(f.cache, last + 1));
        assert_int_equal(*last, k / 4 + 1);
        assert_true(b[k]->cold > b[k]->code + SEGMENT_BYTES / 3);
        assert_int_equal((uintptr_t)b[k]->cold % CACHE_ALIGN, 0);
    }
    end(&f);
}

static void what_is_skipped_lies_between_two_blocks(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    struct block *a = add_apart(&f, 32, 16, 0x11);
    struct x64_room before = cache_room(f.cache, 0);

    cache_skip(f.cache, 0, 48);
    struct x64_room after = cache_room(f.cache, 0);

    assert_true(after.hot == before.hot + 48 && after.cold == before.cold + 48);
    assert_true(after.hot_bytes == before.hot_bytes - 48);
    assert_true(after.cold_bytes == before.cold_bytes - 48);
    struct block *b = add_apart(&f, 32, 16, 0x22);

    assert_int_equal(b->code - a->code, 32 + 48);
    assert_int_equal(b->cold - a->cold, 16 + 48 + CACHE_HEADER);
    assert_ptr_equal(cache_block_of(b->cold), b);
    assert_ptr_equal(cache_find(f.cache, b->code), b);
    assert_int_equal(a->code[31], 0x11);
    end(&f);
}

static void a_segment_takes_what_room_says(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    assert_true(cache_segment_empty(f.cache, 0));
    const struct x64_room room = cache_room(f.cache, 0);

    assert_int_equal(room.hot_bytes + room.cold_bytes, SEGMENT_BYTES - CACHE_HEADER);
    /* All that runs is in front of all that seldom does. */
    assert_ptr_equal(room.cold, room.hot + SEGMENTS * room.hot_bytes + CACHE_HEADER);
    struct block *whole = add_apart(&f, room.hot_bytes, room.cold_bytes, 0x55);

    assert_non_null(whole);
    assert_false(cache_segment_empty(f.cache, 0));
    assert_int_equal(cache_room(f.cache, 0).hot_bytes, 0);
    assert_int_equal(cache_room(f.cache, 0).cold_bytes, 0);
    advance(&f);
    assert_true(cache_segment_empty(f.cache, 0));
    struct block *next = add_apart(&f, 16, 16, 0x66);

    assert_ptr_equal(next->code, whole->code + room.hot_bytes);
    assert_ptr_equal(next->cold, whole->cold + room.cold_bytes + CACHE_HEADER);
    assert_int_equal(whole->code[room.hot_bytes - 1], 0x55);
    assert_int_equal(whole->cold[0], 0x56);
    assert_int_equal(whole->cold[room.cold_bytes - 1], 0x56);
    assert_ptr_equal(cache_find(f.cache, whole->code + room.hot_bytes - 1), whole);
    assert_ptr_equal(cache_find(f.cache, whole->cold + room.cold_bytes - 1), whole);
    assert_ptr_equal(cache_find(f.cache, next->code), next);
    end(&f);
}

static void the_oldest_segment_goes_first(void **state)
{
    struct fixture f;
    struct block *b[SEGMENTS];

    (void)state;
    begin(&f);
    for (unsigned k = 0; k < SEGMENTS; k++) {
        if (k > 0)
            assert_false(advance(&f));
        b[k] = add(&f, 64, (int)k);
    }
    assert_int_equal(f.n_dropped, 0);
    uint64_t generation = cache_generation(f.cache);
    const uint8_t *gone = b[0]->code;

    assert_true(advance(&f));
    assert_int_equal(f.n_dropped, 1);
    assert_ptr_equal(f.dropped[0], b[0]);
    assert_int_not_equal(cache_generation(f.cache), generation);
    assert_int_equal(cache_stats(f.cache)->evictions, 1);
    assert_null(cache_find(f.cache, gone));
    for (unsigned k = 1; k < SEGMENTS; k++)
        assert_ptr_equal(cache_find(f.cache, b[k]->code), b[k]);
    /* Its room is given out again. */
    assert_ptr_equal(add(&f, 64, 9)->code, gone);
    advance(&f);
    assert_ptr_equal(f.dropped[1], b[1]);
    end(&f);
}

static void flush_drops_all(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f);
    for (unsigned k = 0; k < SEGMENTS; k++) {
        add(&f, 64, 1);
        add(&f, 64, 2);
        if (k + 1 < SEGMENTS)
            advance(&f);
    }
    cache_flush(f.cache);
    assert_int_equal(f.n_dropped, 2 * SEGMENTS);
    assert_true(cache_segment_empty(f.cache, 0));
    cache_flush(f.cache);
    assert_int_equal(f.n_dropped, 2 * SEGMENTS);
    end(&f);
}

static void meta_ends_before_it_overflows(void **state)
{
    struct fixture f;
    size_t total = 0;
    uint8_t *last = NULL, *p;

    (void)state;
    begin(&f);
    assert_null(cache_meta(f.cache, 0, 1u << 30));
    while ((p = cache_meta(f.cache, 0, 1000))) {
        assert_int_equal((uintptr_t)p % 16, 0);
        assert_true(!last || p >= last + 1000);
        memset(p, 1, 1000);
        last = p;
        total += 1000;
    }
    assert_in_range(total, SEGMENT_BYTES * 8, SEGMENT_BYTES * 8 + (1u << 20));
    advance(&f);
    assert_non_null(cache_meta(f.cache, 0, 1000));
    end(&f);
}

static void a_line_begins_where_one_is_asked_for(void **state)
{
    struct fixture f;
    uint8_t *last = NULL, *p;
    unsigned n = 0;

    (void)state;
    begin(&f);
    for (size_t len = 1; (p = cache_meta_line(f.cache, 0, 200)); n++, len = len * 5 % 131) {
        assert_int_equal((uintptr_t)p % 64, 0);
        assert_true(!last || (p >= last + 200 && p < last + 200 + 131 + 64 + 16));
        memset(p, 1, 200);
        last = p;
        if (!cache_meta(f.cache, 0, len))
            break;
    }
    assert_true(n > 100);
    end(&f);
}

/* Blocks without code (--engine=interp) are bounded by the list of the segment. */
static void the_list_ends_before_it_overflows(void **state)
{
    struct fixture f;
    unsigned n = 0;

    (void)state;
    begin(&f);
    for (struct block *b; (b = cache_meta(f.cache, 0, sizeof *b)); n++) {
        *b = (struct block){.mode = 77};
        cache_own(f.cache, 0, b);
    }
    assert_in_range(n, SEGMENT_BYTES / 64, SEGMENT_BYTES / 32);
    for (unsigned k = 0; k < SEGMENTS; k++)
        advance(&f);
    assert_int_equal(f.n_dropped, n);
    end(&f);
}

/* Of random sizes, for many times round: whoever is found has the bytes that were given. */
static void round_and_round(void **state)
{
    struct fixture f;
    uint32_t seed = 1;

    (void)state;
    begin(&f);
    for (unsigned n = 0; n < 5000; n++) {
        seed = seed * 1664525 + 1013904223;
        struct block *b = add_apart(&f, 1 + (seed >> 8) % 700, (seed >> 20) % 900, seed & 127);

        if (!b) {
            assert_false(cache_segment_empty(f.cache, 0));
            advance(&f);
            continue;
        }
        assert_ptr_equal(cache_find(f.cache, b->code + b->size_bytes / 2), b);
        assert_int_equal(b->code[b->size_bytes - 1], seed & 127);
        if (b->cold_bytes) {
            assert_ptr_equal(cache_find(f.cache, b->cold + b->cold_bytes / 2), b);
            assert_int_equal(b->cold[b->cold_bytes - 1], (seed & 127) + 1);
        }
    }
    assert_true(cache_stats(f.cache)->evictions > 20);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_seen_through_both_views),
        cmocka_unit_test(no_view_is_both),
        cmocka_unit_test(find_knows_first_and_last_bytes),
        cmocka_unit_test(find_knows_what_is_apart),
        cmocka_unit_test(what_is_skipped_lies_between_two_blocks),
        cmocka_unit_test(a_segment_takes_what_room_says),
        cmocka_unit_test(the_oldest_segment_goes_first),
        cmocka_unit_test(flush_drops_all),
        cmocka_unit_test(meta_ends_before_it_overflows),
        cmocka_unit_test(a_line_begins_where_one_is_asked_for),
        cmocka_unit_test(the_list_ends_before_it_overflows),
        cmocka_unit_test(round_and_round),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
