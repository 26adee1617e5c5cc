/* softmmu/track: when a page is protected, when it opens again, and at what cost in mappings. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "softmmu/track.h"

#define RAM UINT64_C(0x80000000)

struct fixture {
    struct phys phys;
    struct track *track;
    bool still_code, hit;
    unsigned calls;
    uint64_t gpa[8];
    unsigned len[8];
    bool claim_inside; /* another thread's track_protect, in the middle of on_write */
    bool store_inside; /* and then a third one's store, which finds the page in use */
};

static bool on_write(void *arg, uint64_t gpa, unsigned len, bool *page_is_code)
{
    struct fixture *f = arg;

    f->gpa[f->calls % 8] = gpa;
    f->len[f->calls % 8] = len;
    f->calls++;
    if (f->claim_inside)
        track_protect(f->track, gpa);
    if (f->store_inside) {
        f->claim_inside = f->store_inside = false;
        f->still_code = true;
        track_wrote(f->track, gpa, len);
        f->still_code = false;
    }
    *page_is_code = f->still_code;
    return f->hit;
}

static void begin(struct fixture *f, uint64_t ram_len)
{
    struct err e;

    memset(f, 0, sizeof(*f));
    assert_true(phys_init(&f->phys, RAM, ram_len, &e));
    f->track = track_create(&f->phys, on_write, f);
}

static void end(struct fixture *f)
{
    track_destroy(f->track);
    phys_fini(&f->phys);
}

/* May the page be written to through the store view? As the kernel tells it. */
static bool store_view_writable(const struct fixture *f, uint64_t gpa)
{
    uintptr_t at = (uintptr_t)f->phys.store + (gpa - f->phys.ram_gpa);
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned long first, last;
    char line[512], prot[5];
    bool writable = false;

    assert_non_null(maps);
    while (fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%lx-%lx %4s", &first, &last, prot) == 3 && at >= first && at < last)
            writable = prot[1] == 'w';
    }
    fclose(maps);
    return writable;
}

static void only_the_page_is_protected(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 1 << 20);
    assert_false(track_is_code(f.track, RAM + 0x1000));
    assert_true(track_protect(f.track, RAM + 0x1ffe));
    assert_false(track_protect(f.track, RAM + 0x1000));
    assert_true(track_is_code(f.track, RAM + 0x1abc));
    assert_false(track_is_code(f.track, RAM + 0xfff));
    assert_false(track_is_code(f.track, RAM + 0x2000));
    assert_false(store_view_writable(&f, RAM + 0x1000));
    assert_true(store_view_writable(&f, RAM + 0xfff));
    assert_true(store_view_writable(&f, RAM + 0x2000));
    f.phys.ram[0x1000] = 1; /* the plain view is not touched */
    assert_int_equal(track_stats(f.track)->protects, 1);
    end(&f);
}

static void a_store_is_told_piece_by_piece(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 1 << 20);
    f.still_code = true;
    assert_false(track_wrote(f.track, RAM + 0x1000, 8));
    assert_int_equal(f.calls, 0); /* no code, no call */
    track_protect(f.track, RAM + 0x1000);
    track_protect(f.track, RAM + 0x3000);
    f.hit = true;
    assert_true(track_wrote(f.track, RAM + 0xff0, 0x2020)); /* 0x2000 in between holds none */
    assert_int_equal(f.calls, 2);
    assert_int_equal(f.gpa[0], RAM + 0x1000);
    assert_int_equal(f.len[0], 0x1000);
    assert_int_equal(f.gpa[1], RAM + 0x3000);
    assert_int_equal(f.len[1], 0x10);
    assert_true(track_is_code(f.track, RAM + 0x1000));
    f.hit = false;
    assert_false(track_wrote(f.track, RAM + 0x1008, 4));
    assert_int_equal(track_stats(f.track)->writes, 3);
    assert_int_equal(track_stats(f.track)->hits, 2);
    end(&f);
}

static void a_page_without_blocks_opens(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 1 << 20);
    track_protect(f.track, RAM);
    assert_false(track_wrote(f.track, RAM, 8));
    assert_false(track_is_code(f.track, RAM));
    assert_true(store_view_writable(&f, RAM));
    f.phys.store[0] = 1;
    assert_true(track_protect(f.track, RAM)); /* anew */
    assert_false(store_view_writable(&f, RAM));
    end(&f);
}

/* The eight first times it opens at once; from then on after 128 stores in a row. */
static void a_page_that_flips_stays_protected(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 1 << 20);
    for (unsigned i = 0; i < 8; i++) {
        assert_true(track_protect(f.track, RAM));
        track_wrote(f.track, RAM, 8);
        assert_false(track_is_code(f.track, RAM));
    }
    track_protect(f.track, RAM);
    for (unsigned i = 0; i < 127; i++)
        track_wrote(f.track, RAM, 8);
    assert_true(track_is_code(f.track, RAM));
    assert_false(track_protect(f.track, RAM)); /* translated from: the count begins again */
    for (unsigned i = 0; i < 127; i++)
        track_wrote(f.track, RAM, 8);
    assert_true(track_is_code(f.track, RAM));
    assert_false(store_view_writable(&f, RAM));
    track_wrote(f.track, RAM, 8);
    assert_false(track_is_code(f.track, RAM));
    assert_true(store_view_writable(&f, RAM));
    end(&f);
}

/* The third page of text protects the sixteen around it; they open after some stores. */
static void text_brings_what_is_around_it(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 1 << 20);
    assert_true(track_protect(f.track, RAM + 0x13000));
    assert_true(track_protect(f.track, RAM + 0x15000));
    assert_true(track_protect(f.track, RAM + 0x18000)); /* not text */
    assert_true(track_protect_text(f.track, RAM + 0x5000));
    assert_false(track_is_code(f.track, RAM + 0x14000));
    assert_false(track_is_code(f.track, RAM + 0x4000));
    assert_true(track_protect_text(f.track, RAM + 0x1a000));
    for (uint64_t page = 0x10; page < 0x20; page++) {
        assert_true(track_is_code(f.track, RAM + (page << 12)));
        assert_false(store_view_writable(&f, RAM + (page << 12)));
    }
    assert_false(track_is_code(f.track, RAM + 0xf000));
    assert_false(track_is_code(f.track, RAM + 0x20000));
    assert_false(track_protect_text(f.track, RAM + 0x11000)); /* is already */
    for (unsigned i = 0; i < 127; i++)
        track_wrote(f.track, RAM + 0x10000, 8);
    assert_true(track_is_code(f.track, RAM + 0x10000));
    track_wrote(f.track, RAM + 0x10000, 8);
    assert_false(track_is_code(f.track, RAM + 0x10000));
    assert_true(store_view_writable(&f, RAM + 0x10000));
    track_wrote(f.track, RAM + 0x1a000, 8); /* one that was asked for opens at once */
    assert_false(track_is_code(f.track, RAM + 0x1a000));
    end(&f);
}

/* RAM's last pages are fewer. */
static void text_ends_with_ram(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 0x13000);
    for (uint64_t page = 0x10; page < 0x13; page++)
        assert_true(track_protect_text(f.track, RAM + (page << 12)));
    assert_false(track_is_code(f.track, RAM + 0xf000));
    end(&f);
}

static void a_claim_during_the_store_keeps_the_page(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 1 << 20);
    track_protect(f.track, RAM);
    f.claim_inside = true;
    track_wrote(f.track, RAM, 8);
    assert_true(track_is_code(f.track, RAM));
    assert_false(store_view_writable(&f, RAM));
    f.claim_inside = false;
    track_wrote(f.track, RAM, 8);
    assert_false(track_is_code(f.track, RAM));
    end(&f);
}

static void a_claim_holds_through_another_store(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, 1 << 20);
    track_protect(f.track, RAM);
    f.claim_inside = f.store_inside = true;
    track_wrote(f.track, RAM, 8);
    assert_int_equal(f.calls, 2);
    assert_true(track_is_code(f.track, RAM));
    assert_false(store_view_writable(&f, RAM));
    track_wrote(f.track, RAM, 8);
    assert_false(track_is_code(f.track, RAM));
    end(&f);
}

static void owns_the_store_view_only(void **state)
{
    struct fixture f;
    uint64_t gpa = 0;

    (void)state;
    begin(&f, 1 << 20);
    assert_true(track_owns(f.track, f.phys.store, &gpa));
    assert_int_equal(gpa, RAM);
    assert_true(track_owns(f.track, f.phys.store + 0x12345, &gpa));
    assert_int_equal(gpa, RAM + 0x12345);
    assert_false(track_owns(f.track, f.phys.store + (1 << 20), &gpa));
    assert_false(track_owns(f.track, f.phys.store - 1, &gpa));
    assert_false(track_owns(f.track, f.phys.ram, &gpa));
    end(&f);
}

static unsigned count_mappings(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    unsigned n = 0;

    assert_non_null(maps);
    for (int c = fgetc(maps); c != EOF; c = fgetc(maps))
        n += c == '\n';
    fclose(maps);
    return n;
}

/* Every other page of 160 MiB would need 40,000 mappings: most of those that Linux
 * gives a process. */
static void scattered_pages_are_bounded(void **state)
{
    const uint64_t len = UINT64_C(160) << 20;
    struct fixture f;
    unsigned before, after;

    (void)state;
    begin(&f, len);
    f.still_code = true;
    before = count_mappings();
    for (uint64_t at = 0; at < len; at += 0x2000)
        track_protect(f.track, RAM + at);
    after = count_mappings();
    assert_true(after - before < 26000);
    for (uint64_t at = 0; at < len; at += 0x2000)
        assert_true(track_is_code(f.track, RAM + at));
    assert_false(store_view_writable(&f, RAM + len - 0x2000));
    assert_false(store_view_writable(&f, RAM + len - 0x1000)); /* its neighbours too, by then */
    assert_true(store_view_writable(&f, RAM + 0x1000));

    /* Opening pages in the middle of runs splits those: only as far as there is room. */
    f.still_code = false;
    for (uint64_t at = len / 2; at < len; at += 0x2000) {
        for (unsigned i = 0; i < 128; i++)
            track_wrote(f.track, RAM + at, 8);
    }
    after = count_mappings();
    assert_true(after - before < 26000);
    end(&f);
}

/* ---- Other mappings of the page (track_set_protected) ---------------------------------------- */

struct second {
    struct fixture f;
    pthread_t thread;
    _Atomic bool claimed;
    bool marked, early;
};

static void *claim(void *arg)
{
    struct second *s = arg;

    track_protect(s->f.track, RAM);
    atomic_store(&s->claimed, true);
    return NULL;
}

static void take_rights_away(void *arg, uint64_t first, uint64_t n)
{
    struct second *s = arg;

    assert_int_equal(first, 0);
    assert_int_equal(n, 1);
    s->marked = track_is_code(s->f.track, RAM);
    assert_int_equal(pthread_create(&s->thread, NULL, claim, s), 0);
    usleep(50000);
    s->early = atomic_load(&s->claimed);
}

/* A second one that is about to read the page waits until nobody can store to it, whoever was
 * first;
 * but the page is marked before, so that nobody maps it writable behind that. */
static void nobody_reads_before_other_mappings_are_protected(void **state)
{
    struct second s;

    (void)state;
    memset(&s, 0, sizeof s);
    begin(&s.f, 1 << 20);
    track_set_protected(s.f.track, take_rights_away, &s);
    assert_true(track_protect(s.f.track, RAM));
    pthread_join(s.thread, NULL);
    assert_true(s.marked);
    assert_false(s.early);
    assert_true(s.claimed);
    assert_false(track_protect(s.f.track, RAM));
    end(&s.f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_page_is_protected),
        cmocka_unit_test(a_store_is_told_piece_by_piece),
        cmocka_unit_test(a_page_without_blocks_opens),
        cmocka_unit_test(a_page_that_flips_stays_protected),
        cmocka_unit_test(text_brings_what_is_around_it),
        cmocka_unit_test(text_ends_with_ram),
        cmocka_unit_test(a_claim_during_the_store_keeps_the_page),
        cmocka_unit_test(a_claim_holds_through_another_store),
        cmocka_unit_test(owns_the_store_view_only),
        cmocka_unit_test(scattered_pages_are_bounded),
        cmocka_unit_test(nobody_reads_before_other_mappings_are_protected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
