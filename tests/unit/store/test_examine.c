// SPDX-License-Identifier: Apache-2.0
// Random damage to a segment file: what counts afterwards is exactly what was not touched, byte for byte.
//
// CONNECTD_ROUNDS: how many files are damaged.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "examine.h"
#include "fs_mem.h"
#include "test.h"

enum { BATCHES = 40, BASE = 1000, PIECES = 5, ROUNDS = 4000 };

struct batch { uint64_t position; size_t size; int64_t first, last; };
struct segment_file {
    struct buf bytes;             // as written
    struct batch batches[BATCHES];
    struct segment_facts facts;
};

static void put_batch(struct segment_file *f, size_t i, int64_t *next, bool sparse, uint64_t *dice) {
    struct batch_builder b;
    struct err err;
    size_t start = f->bytes.n, records = 1 + test_random(dice) % 4;
    batch_begin(&b, &f->bytes, i % 5 == 3 ? CODEC_LZ4 : CODEC_NONE);
    for (size_t k = 0; k < records; k++) {
        char text[300];
        size_t n = test_random(dice) % sizeof(text);
        for (size_t c = 0; c < n; c++) text[c] = (char)test_random(dice);
        batch_add(&b, (int64_t)(5000 + i), STR("key"), str_make(text, n), NULL, 0);
    }
    assert_ok(batch_end(&b, &err), err);
    if (sparse) *next += (int64_t)(test_random(dice) % 3);
    batch_patch(f->bytes.p + start, *next, i < BATCHES / 2 ? 0 : 3);
    f->batches[i] = (struct batch){start, f->bytes.n - start, *next, *next + (int64_t)records - 1};
    *next += (int64_t)records;
}

static struct segment_file make_file(bool sparse, uint64_t *dice) {
    static struct epoch_start epochs[2];
    struct segment_file f = {0};
    int64_t next = BASE;
    for (size_t i = 0; i < BATCHES; i++) put_batch(&f, i, &next, sparse, dice);
    epochs[0] = (struct epoch_start){0, 0};
    epochs[1] = (struct epoch_start){3, f.batches[BATCHES / 2].first};
    f.facts = (struct segment_facts){.path = "s.log", .base = BASE, .end = next, .size = f.bytes.n, .crc = crc32c(0, f.bytes.p, f.bytes.n),
                                     .max_ts = 5000 + BATCHES, .sealed = true, .sparse = sparse, .epochs = epochs, .epoch_count = 2};
    return f;
}

// Several places are overwritten, with other bytes, zeros, or bytes of elsewhere in the file; sometimes the end is missing.
static void spoil(struct buf *now, uint64_t *dice) {
    for (uint64_t n = test_random(dice) % PIECES + 1; n > 0; n--) {
        size_t at = test_random(dice) % now->n, many = 1 + test_random(dice) % (n % 2 ? 4 : 600), from = test_random(dice) % now->n;
        uint64_t how = test_random(dice) % 3;
        for (size_t i = 0; i < many && at + i < now->n; i++)
            now->p[at + i] = how == 0 ? (uint8_t)test_random(dice) : how == 1 ? 0 : now->p[(from + i) % now->n];
    }
    if (test_random(dice) % 8 == 0) now->n = test_random(dice) % now->n;
}

static void put_file(struct fs *fs, const char *path, const struct buf *bytes) {
    struct fs_file *file;
    struct err err;
    assert_ok(fs->ops->open(fs, path, FS_WRITE | FS_CREATE, &file, &err), err);
    assert_ok(fs_pwrite(fs, file, bytes->p, bytes->n, 0, &err), err);
    assert_ok(fs->ops->close(file, &err), err);
}

// Names every batch, more than an index does.
static void put_index(struct fs *fs, const struct segment_file *f) {
    struct buf index = {0};
    for (size_t i = 0; i < BATCHES; i++) {
        uint8_t entry[8];
        put_be32(entry, (uint32_t)(f->batches[i].last - BASE));
        put_be32(entry + 4, (uint32_t)f->batches[i].position);
        buf_put(&index, entry, sizeof(entry));
    }
    put_file(fs, "s.index", &index);
    buf_done(&index);
}

struct seen { const struct segment_file *f; bool counted[BATCHES]; uint64_t n; };

static int see(void *arg, const uint8_t *p, const struct batch_header *h, struct err *err) {
    struct seen *s = arg;
    size_t i = 0;
    (void)err;
    while (i < BATCHES && s->f->batches[i].first != h->base_offset) i++;
    if (i == BATCHES || s->counted[i] || s->f->batches[i].size != batch_size(h) || memcmp(p, s->f->bytes.p + s->f->batches[i].position, batch_size(h)) != 0)
        fail_msg("a batch counts that was never written, at offset %" PRId64, h->base_offset);
    s->counted[i] = true;
    s->n++;
    return 0;
}

static void check_areas(const struct segment_facts *f, const struct examined *e) {
    uint64_t at = 0;
    int64_t offset = f->base;
    for (size_t i = 0; i < e->n; i++) {
        const struct bad_area *a = &e->areas[i];
        assert_true(a->position >= at && a->size > 0 && a->first >= offset && a->end >= a->first && a->why[0]);
        at = a->position + a->size;
        offset = a->end;
    }
    assert_true(at <= f->size && offset <= f->end);
}

static bool untouched(const struct segment_file *f, const struct buf *now, size_t i) {
    const struct batch *b = &f->batches[i];
    return b->position + b->size <= now->n && memcmp(now->p + b->position, f->bytes.p + b->position, b->size) == 0;
}

static void tell_missed(const struct segment_file *f, const struct buf *now, const struct examined *e, const struct seen *seen, size_t missed) {
    for (size_t k = 0; k < e->n; k++)
        print_message("bytes %" PRIu64 " to %" PRIu64 ", offsets [%" PRId64 ", %" PRId64 "): %s\n", e->areas[k].position,
                      e->areas[k].position + e->areas[k].size, e->areas[k].first, e->areas[k].end, e->areas[k].why);
    for (size_t k = 0; k < BATCHES; k++)
        print_message("%zu: byte %" PRIu64 ", offsets %" PRId64 " to %" PRId64 "%s%s\n", k, f->batches[k].position, f->batches[k].first, f->batches[k].last,
                      untouched(f, now, k) ? "" : ", touched", seen->counted[k] ? "" : ", does not count");
    fail_msg("batch %zu is whole and does not count", missed);
}

static void try_round(struct segment_file *f, uint64_t *dice) {
    struct buf now = {0};
    struct examined e;
    struct err err;
    struct seen seen = {.f = f};
    buf_puts(&now, buf_str(&f->bytes));
    spoil(&now, dice);
    f->facts.fs = fs_mem_new();
    put_file(f->facts.fs, "s.log", &now);
    put_index(f->facts.fs, f);
    assert_ok(examine_segment(&f->facts, &e, &err), err);
    check_areas(&f->facts, &e);
    assert_ok(examine_each(&f->facts, &e, see, &seen, &err), err);
    assert_int_equal(seen.n, e.batches);
    for (size_t i = 0; i < BATCHES; i++)
        if (!seen.counted[i] && untouched(f, &now, i)) tell_missed(f, &now, &e, &seen, i);
    examined_done(&e);
    fs_close(f->facts.fs);
    buf_done(&now);
}

TEST(whatever_is_overwritten_what_was_not_touched_counts_and_nothing_else) {
    const char *rounds = getenv("CONNECTD_ROUNDS");
    uint64_t dice = 1;
    for (unsigned long i = 0, n = rounds ? strtoul(rounds, NULL, 10) : ROUNDS; i < n; i++) {
        struct segment_file f = make_file(i % 4 == 0, &dice);
        try_round(&f, &dice);
        buf_done(&f.bytes);
    }
}

TEST(a_file_of_another_log_counts_for_nothing) {
    uint64_t dice = 7;
    for (int i = 0; i < 300; i++) {
        struct segment_file ours = make_file(i % 4 == 0, &dice), theirs = make_file(i % 4 == 0, &dice);
        struct examined e;
        struct err err;
        ours.facts.fs = fs_mem_new();
        put_file(ours.facts.fs, "s.log", &theirs.bytes);
        if (ours.facts.sparse || i % 2) put_index(ours.facts.fs, &ours);
        assert_ok(examine_segment(&ours.facts, &e, &err), err);
        if (e.batches) fail_msg("round %d: %" PRIu64 " batches of another file count", i, e.batches);
        examined_done(&e);
        fs_close(ours.facts.fs);
        buf_done(&ours.bytes);
        buf_done(&theirs.bytes);
    }
}
