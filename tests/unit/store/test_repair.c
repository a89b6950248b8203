// SPDX-License-Identifier: Apache-2.0
// Every kind of damage in every place: what is around it is found, copied, and served again. The oracle is a list of the batches as they
// lay in the files before.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "fixture.h"
#include "partition.h"
#include "store/repair.h"
#include "store_int.h"
#include "verify.h"

// ── the log as it was written ────────────────────────────────────────────────────────────────────────────────────────

struct piece {                 // a batch
    int64_t base;              // of its segment
    uint64_t position;
    size_t size;
    int64_t first, last;
    uint8_t *bytes;
    bool lost;
};
struct world {
    struct fs *fs;
    struct store *s;
    struct piece *pieces;
    size_t n, cap;
    int64_t log_start, end;
};

static struct partition *partition_of(struct store *s, const char *topic) {
    struct topic *t = topic_get(s, topic);
    struct partition *p = topic_partition(t, 0);
    topic_unref(t); // the catalogue has one, too
    return p;
}

static void path_of(int64_t base, const char *suffix, char out[SEGMENT_PATH]) { snprintf(out, SEGMENT_PATH, "t-0/%020" PRId64 "%s", base, suffix); }

static void note_segment(struct world *w, const struct segment *g) {
    char path[SEGMENT_PATH];
    struct buf all = {0};
    struct batch_header h;
    struct err err;
    path_of(g->base, ".log", path);
    assert_ok(fs_read_all(w->fs, path, 1 << 28, &all, &err), err);
    for (uint64_t at = 0; at < g->size; at += batch_size(&h)) {
        assert_int_equal(batch_read_header(all.p + at, all.n - at, &h), 0);
        struct piece x = {.base = g->base, .position = at, .size = batch_size(&h), .first = h.base_offset, .last = batch_last_offset(&h)};
        x.bytes = xmemdup(all.p + at, x.size);
        VEC_PUSH(w->pieces, w->n, w->cap, x);
    }
    buf_done(&all);
}

static void note_log(struct world *w) {
    struct partition *p = partition_of(w->s, "t");
    for (size_t i = 0; i < p->seg_count; i++) note_segment(w, p->segs[i]);
    w->log_start = p->log_start;
    w->end = p->hw;
}

static void world_done(struct world *w) {
    for (size_t i = 0; i < w->n; i++) free(w->pieces[i].bytes);
    free(w->pieces);
    if (w->s) fixture_close(w->s);
    fs_close(w->fs);
}

// ── workloads ────────────────────────────────────────────────────────────────────────────────────────────────────────

static int send(struct store *s, int64_t id, int32_t sequence, bool txn, enum codec codec, int records, int number, struct append_result *ret, struct err *err) {
    struct batch_builder b;
    struct buf out = {0};
    struct record_header_in header = {STR("h"), STR("v"), false};
    batch_begin(&b, &out, codec);
    if (id >= 0) b.producer_id = id, b.producer_epoch = 0, b.base_sequence = sequence;
    if (txn) b.attributes |= BATCH_TRANSACTIONAL;
    for (int i = 0; i < records; i++) {
        char key[16], value[200];
        int n = snprintf(value, sizeof(value), "%d.%d:%0*d", number, i, number * 7 % 90, 0);
        snprintf(key, sizeof(key), "k%d", number % 45);
        batch_add(&b, 1700000000000 + number * 10 + i, str_of(key), str_make(value, (size_t)n), &header, (uint32_t)(number & 1));
    }
    assert_ok(batch_end(&b, err), *err);
    struct commit *c = commit_new(s);
    assert_ok(commit_append(c, partition_of(s, "t"), &out, true, err), *err);
    return store_commit_wait(s, c, ret, err);
}

static void mark(struct store *s, int64_t id, bool commit_txn) {
    struct err err;
    struct commit *c = commit_new(s);
    assert_ok(commit_marker(c, partition_of(s, "t"), id, 0, commit_txn, 0, &err), err);
    assert_ok(store_commit_wait(s, c, NULL, &err), err);
}

enum workload { PLAIN, PRODUCERS, COMPACTED, WORKLOADS };
enum { BATCHES = 60, PRODUCER = 7, OTHER = 9 };

// Transactions of two producers run through each other; every third is aborted, one stays open at the end.
static void produce(struct store *s) {
    struct append_result r;
    struct err err;
    int sequence[2] = {0, 0};
    for (int i = 0; i < BATCHES; i++) {
        int which = i % 2, records = 1 + i % 3;
        assert_ok(send(s, which ? OTHER : PRODUCER, sequence[which], true, CODEC_NONE, records, i, &r, &err), err);
        sequence[which] += records;
        if (i < BATCHES - 2 && i / 2 % 3 == 2) mark(s, which ? OTHER : PRODUCER, (i / 6) % 3 != 1);
    }
}

static struct world make_world(enum workload workload) {
    struct topic_setting settings[] = {{"segment.bytes", "1500"}, {"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0"}, {"index.interval.bytes", "300"}};
    struct world w = {.fs = fs_mem_new()};
    struct append_result r;
    struct err err;
    w.s = fixture_open(w.fs);
    if (workload != COMPACTED) settings[1].value = "delete";
    assert_ok(store_topic_create(w.s, "t", 1, settings, 4, &err), err);
    if (workload == PRODUCERS) produce(w.s);
    for (int i = 0; i < BATCHES && workload != PRODUCERS; i++)
        assert_ok(send(w.s, -1, 0, false, i % 4 ? CODEC_NONE : CODEC_LZ4, 1 + i % 3, i, &r, &err), err);
    assert_ok(store_checkpoint(w.s, &err), err);
    if (workload == COMPACTED) assert_ok(store_clean(w.s, &err), err);
    for (int i = 0; i < 6 && workload == COMPACTED; i++) assert_ok(send(w.s, -1, 0, false, CODEC_NONE, 2, BATCHES + i, &r, &err), err);
    assert_ok(store_checkpoint(w.s, &err), err);
    note_log(&w);
    return w;
}

// ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static void overwrite(struct world *w, const struct piece *x, uint64_t at, size_t n, int fill) {
    char path[SEGMENT_PATH];
    uint8_t bytes[4096];
    struct fs_file *f;
    struct err err;
    assert_true(n <= sizeof(bytes));
    path_of(x->base, ".log", path);
    for (size_t i = 0; i < n; i++) bytes[i] = fill < 0 ? (uint8_t)(x->bytes[at + i] ^ (0x5a + i)) : (uint8_t)fill;
    assert_ok(w->fs->ops->open(w->fs, path, FS_WRITE, &f, &err), err);
    assert_ok(fs_pwrite(w->fs, f, bytes, n, x->position + at, &err), err);
    assert_ok(w->fs->ops->close(f, &err), err);
}

static void cut(struct world *w, int64_t base, uint64_t size) {
    char path[SEGMENT_PATH];
    struct fs_file *f;
    struct err err;
    path_of(base, ".log", path);
    assert_ok(w->fs->ops->open(w->fs, path, FS_WRITE, &f, &err), err);
    assert_ok(w->fs->ops->truncate(f, size, &err), err);
    assert_ok(w->fs->ops->close(f, &err), err);
}

static void lose_from(struct world *w, int64_t base, uint64_t position) {
    for (size_t i = 0; i < w->n; i++) w->pieces[i].lost |= w->pieces[i].base == base && w->pieces[i].position + w->pieces[i].size > position;
}

// Of the first batch of the segment on; `with`: another segment that gets this one's bytes.
static void swap_files(struct world *w, int64_t base, int64_t with) {
    char a[SEGMENT_PATH], b[SEGMENT_PATH];
    struct err err;
    path_of(base, ".log", a);
    path_of(with, ".log", b);
    assert_ok(w->fs->ops->rename(w->fs, a, "tmp", &err), err);
    assert_ok(w->fs->ops->rename(w->fs, b, a, &err), err);
    assert_ok(w->fs->ops->rename(w->fs, "tmp", b, &err), err);
    lose_from(w, base, 0);
    lose_from(w, with, 0);
}

enum kind { HEADER, LENGTH, OFFSET, PAYLOAD, ZEROS, CUT_IN, CUT_BEFORE, MISSING, SWAPPED, KINDS };
static const char *const kind_names[] = {"header", "length", "offset", "payload", "zeros", "cut in a batch", "cut before a batch", "missing", "swapped"};

static void damage(struct world *w, enum kind kind, struct piece *x) {
    char path[SEGMENT_PATH];
    struct err err;
    x->lost = true;
    path_of(x->base, ".log", path);
    switch (kind) {
    case HEADER: overwrite(w, x, 0, 40, -1); break;
    case LENGTH: overwrite(w, x, 10, 2, -1); break;
    case OFFSET: overwrite(w, x, 3, 3, -1); break;
    case PAYLOAD: overwrite(w, x, BATCH_HEADER, 3, -1); break;
    case ZEROS: overwrite(w, x, 0, x->size, 0); break;
    case CUT_IN: cut(w, x->base, x->position + x->size / 2), lose_from(w, x->base, x->position); break;
    case CUT_BEFORE: cut(w, x->base, x->position), lose_from(w, x->base, x->position); break;
    case MISSING: assert_ok(w->fs->ops->unlink(w->fs, path, &err), err), lose_from(w, x->base, 0); break;
    case SWAPPED: swap_files(w, x->base, w->pieces[0].base == x->base ? w->pieces[w->n - 1].base : w->pieces[0].base); break;
    default: abort();
    }
}

// The first, a middle and the last batch of a segment: `nth` of its batches, -1 the last.
static struct piece *piece_at(struct world *w, int64_t base, int which) {
    struct piece *first = NULL, *last = NULL;
    for (size_t i = 0; i < w->n; i++) {
        if (w->pieces[i].base != base) continue;
        if (!first) first = &w->pieces[i];
        last = &w->pieces[i];
    }
    assert_non_null(first);
    return which == 0 ? first : which == 1 ? first + (last - first) / 2 : last;
}

// ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static struct buf answer;

static const char *examined(struct world *w) {
    struct err err;
    buf_clear(&answer);
    struct json_writer json = json_to(&answer);
    bool damaged;
    assert_ok(partition_examine(partition_of(w->s, "t"), &json, &damaged, &err), err);
    return buf_cstr(&answer);
}

static int accept(struct world *w, struct err *err) {
    buf_clear(&answer);
    struct json_writer json = json_to(&answer);
    return partition_accept(partition_of(w->s, "t"), false, &json, err);
}

static void kill_and_start(struct world *w) {
    struct fs *killed = fs_mem_clone(w->fs);
    fixture_close(w->s);
    fs_close(w->fs);
    w->fs = killed;
    w->s = fixture_open(killed);
}

// A reader finds it, or the check of sealed segments; what is hidden by an open file, the next start.
static void find_damage(struct world *w) {
    struct partition *p = partition_of(w->s, "t");
    struct read_request q = {.from = p->log_start, .max_bytes = 700};
    struct read_result r = {.n = 1};
    struct buf out = {0};
    struct err err;
    verify_partition(w->s, p);
    while (r.n && !partition_read(p, &q, &out, &r, &err)) q.from = r.next;
    buf_done(&out);
    if (!partition_health(p, &err)) kill_and_start(w), p = partition_of(w->s, "t");
    assert_fails(partition_health(p, &err), err, ERR_CORRUPT);
    assert_has(err.hint, "connectd log-repair show t-0");
}

// Everything that is read, byte for byte; markers that were written again are passed over.
static void check_log(struct world *w) {
    struct partition *p = partition_of(w->s, "t");
    struct read_request q = {.from = w->log_start, .max_bytes = 1};
    struct read_result r;
    struct buf out = {0};
    struct batch_header h;
    struct err err;
    struct partition_offsets o;
    size_t at = 0;
    partition_offsets(p, &o);
    assert_int_equal(o.log_start, w->log_start);
    assert_true(o.high_watermark >= w->end);
    for (;; q.from = r.next) {
        buf_clear(&out);
        assert_ok(partition_read(p, &q, &out, &r, &err), err);
        while (at < w->n && w->pieces[at].lost) at++;
        if (!r.n || r.next > w->end) break;
        assert_int_equal(batch_read_header(out.p, out.n, &h), 0);
        if (at < w->n && h.base_offset < w->pieces[at].first && h.attributes & BATCH_CONTROL) continue;
        if (at == w->n && h.attributes & BATCH_CONTROL) continue;
        assert_true(at < w->n);
        assert_int_equal(r.n, w->pieces[at].size);
        assert_memory_equal(out.p, w->pieces[at].bytes, r.n);
        at++;
    }
    assert_int_equal(at, w->n);
    buf_done(&out);
}

static void check_files(struct world *w) {
    struct partition *p = partition_of(w->s, "t");
    struct verify_cursor all = {0};
    assert_int_equal(verify_some(w->s, &all, INT64_MAX), 0);
    for (size_t i = 0; i + 1 < p->seg_count; i++) {
        char stem[SEGMENT_PATH], path[SEGMENT_PATH];
        struct fs_file *f;
        struct err err;
        path_of(p->segs[i]->base, "", stem);
        path_of(p->segs[i]->base, ".log", path);
        assert_ok(w->fs->ops->open(w->fs, path, FS_READ, &f, &err), err);
        assert_ok(index_verify(&(struct index_options){.fs = w->fs, .stem = stem, .base_offset = p->segs[i]->base}, f, p->segs[i]->size, &err), err);
        assert_ok(w->fs->ops->close(f, &err), err);
    }
}

// By looking at every record that is left.
static int64_t offset_of_time(struct world *w, int64_t ts) {
    struct buf scratch = {0};
    int64_t found = -1;
    for (size_t i = 0; i < w->n && found < 0; i++) {
        struct record_iter it;
        struct record r;
        struct err err;
        struct batch_header h;
        assert_int_equal(batch_read_header(w->pieces[i].bytes, w->pieces[i].size, &h), 0);
        if (w->pieces[i].lost || h.attributes & BATCH_CONTROL) continue;
        assert_ok(record_iter_init(&it, w->pieces[i].bytes, w->pieces[i].size, &scratch, SIZE_MAX, &err), err);
        while (found < 0 && record_iter_next(&it, &r, &err) > 0)
            if (r.timestamp >= ts) found = r.offset;
    }
    buf_done(&scratch);
    return found;
}

static void check_times(struct world *w) {
    for (int64_t ts = 1700000000000; ts < 1700000000000 + BATCHES * 10; ts += 37) {
        int64_t offset, found;
        struct err err;
        assert_ok(partition_offset_for_time(partition_of(w->s, "t"), ts, &offset, &found, &err), err);
        assert_int_equal(offset, offset_of_time(w, ts));
    }
}

static void check_all(struct world *w) {
    struct err err;
    assert_ok(partition_health(partition_of(w->s, "t"), &err), err);
    check_log(w);
    check_files(w);
    check_times(w);
}

// Here, after a kill, after a clean restart; appends go on where they were.
static void check_and_go_on(struct world *w) {
    struct err err;
    check_all(w);
    for (int round = 0; round < 3; round++) {
        int64_t next = fixture_offsets(w->s, "t", 0).high_watermark;
        assert_int_equal(next, w->end + round);
        assert_int_equal(fixture_put(w->s, "t", 0, "more", &err), next);
        if (round) w->s = fixture_reopen(w->s, &w->fs);
        else kill_and_start(w);
        check_all(w);
    }
}

// ── the tests ────────────────────────────────────────────────────────────────────────────────────────────────────────

static bool is_active(struct world *w, int64_t base) { return w->pieces[w->n - 1].base == base; }

static void try_damage(enum workload workload, enum kind kind, int segment, int which) {
    struct world w = make_world(workload);
    struct partition *p = partition_of(w.s, "t");
    int64_t base = p->segs[segment == 0 ? 0 : segment == 1 ? p->seg_count / 2 : p->seg_count - 1]->base;
    struct err err;
    if (p->seg_count < 3) fail_msg("only %zu segments", p->seg_count);
    if (is_active(&w, base) != (segment == 2)) fail_msg("the active segment is empty");
    damage(&w, kind, piece_at(&w, base, which));
    find_damage(&w);
    if (accept(&w, &err)) fail_msg("%s, segment %d, batch %d, workload %d: %s", kind_names[kind], segment, which, workload, err.msg);
    check_and_go_on(&w);
    world_done(&w);
}

TEST(whatever_is_damaged_and_wherever_all_else_is_served_again_at_its_offset) {
    for (enum workload workload = PLAIN; workload < WORKLOADS; workload++)
        for (enum kind kind = HEADER; kind < KINDS; kind++)
            for (int segment = 0; segment < 3; segment++)
                for (int which = 0; which < 3; which++) {
                    if (workload == COMPACTED && kind == OFFSET) continue; // nothing tells which one is wrong
                    print_message("%d %s %d %d\n", workload, kind_names[kind], segment, which);
                    try_damage(workload, kind, segment, which);
                }
}
