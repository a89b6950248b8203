// SPDX-License-Identifier: Apache-2.0
// The world before and after damage.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/mem.h"
#include "store/scan.h"
#include "repair_world.h"

// ── the log as it was written ────────────────────────────────────────────────────────────────────────────────────────

static struct partition *partition_of(struct store *s) {
    struct topic *t = topic_get(s, "t");
    struct partition *p = topic_partition(t, 0);
    topic_unref(t); // the catalogue has one, too
    return p;
}

struct partition *world_partition(struct world *w) { return partition_of(w->s); }

void world_path(int64_t base, const char *suffix, char out[SEGMENT_PATH]) {
    snprintf(out, SEGMENT_PATH, "t-0/%020" PRId64 "%s", base, suffix);
}

static void note_segment(struct world *w, const struct segment *g) {
    char path[SEGMENT_PATH];
    struct buf all = {0};
    struct batch_header h;
    struct err err;
    world_path(g->base, ".log", path);
    assert_ok(fs_read_all(w->fs, path, 1 << 28, &all, &err), err);
    for (uint64_t at = 0; at < g->size; at += batch_size(&h)) {
        assert_int_equal(batch_read_header(all.p + at, all.n - at, &h), 0);
        struct piece x = {.base = g->base, .position = at, .size = batch_size(&h), .first = h.base_offset, .last = batch_last_offset(&h)};
        x.bytes = xmemdup(all.p + at, x.size);
        VEC_PUSH(w->pieces, w->n, w->cap, x);
    }
    buf_done(&all);
}

struct known *read_committed(struct partition *p, int64_t end, size_t read_bytes, size_t *ret_n) {
    struct known *all = NULL;
    size_t n = 0, cap = 0;
    struct scan scan;
    struct record r;
    struct err err = {0};
    int more = 0;
    scan_init(&scan, p, 0);
    scan.read_bytes = read_bytes;
    while ((more = scan_next(&scan, &r, &err)) > 0 && r.offset < end) {
        struct buf text = {0};
        struct record_header h;
        buf_printf(&text, "%.*s=%.*s@%" PRId64, STR_FMT(r.key), STR_FMT(r.value), r.timestamp);
        while (record_header_next(&r, &h)) buf_printf(&text, " %.*s:%.*s", STR_FMT(h.name), STR_FMT(h.value));
        VEC_PUSH(all, n, cap, ((struct known){r.offset, xstrdup(buf_cstr(&text))}));
        buf_done(&text);
    }
    if (more < 0) fail_msg("%s", err.msg);
    scan_done(&scan);
    *ret_n = n;
    return all;
}

void known_free(struct known *all, size_t n) {
    for (size_t i = 0; i < n; i++) free(all[i].text);
    free(all);
}

void world_note(struct world *w) {
    for (size_t i = 0; i < w->n; i++) free(w->pieces[i].bytes);
    w->n = 0;
    known_free(w->records, w->record_n);
    struct partition *p = partition_of(w->s);
    for (size_t i = 0; i < p->seg_count; i++) note_segment(w, p->segs[i]);
    w->log_start = p->log_start;
    w->end = p->hw;
    w->stable = p->lso;
    w->records = read_committed(p, w->end, 0, &w->record_n);
}

void world_done(struct world *w) {
    for (size_t i = 0; i < w->n; i++) free(w->pieces[i].bytes);
    free(w->pieces);
    known_free(w->records, w->record_n);
    if (w->s) fixture_close(w->s);
    fs_close(w->fs);
}

// ── workloads ────────────────────────────────────────────────────────────────────────────────────────────────────────

int world_send(struct store *s, int64_t id, int32_t sequence, bool txn, enum codec codec, int records, int number,
               struct append_result *ret, struct err *err) {
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
    assert_ok(commit_append(c, partition_of(s), &out, true, err), *err);
    return store_commit_wait(s, c, ret, err);
}

void world_mark(struct store *s, int64_t id, bool commit_txn) {
    struct err err;
    struct commit *c = commit_new(s);
    assert_ok(commit_marker(c, partition_of(s), id, 0, commit_txn, 0, &err), err);
    assert_ok(store_commit_wait(s, c, NULL, &err), err);
}

// Transactions of two producers run through each other; every third is aborted, one stays open at the end.
static void produce(struct store *s) {
    struct append_result r;
    struct err err;
    int sequence[2] = {0, 0};
    for (int i = 0; i < BATCHES; i++) {
        int which = i % 2, records = 1 + i % 3;
        assert_ok(world_send(s, which ? OTHER : PRODUCER, sequence[which], true, CODEC_NONE, records, i, &r, &err), err);
        sequence[which] += records;
        if (i < BATCHES - 2 && i / 2 % 3 == 2) world_mark(s, which ? OTHER : PRODUCER, (i / 6) % 3 != 1);
    }
}

struct world make_world(enum workload workload) {
    struct topic_setting settings[] = {
        {"segment.bytes", "1500"}, {"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0"}, {"index.interval.bytes", "1"}};
    struct world w = {.fs = fs_mem_new()};
    struct append_result r;
    struct err err;
    w.s = fixture_open(w.fs);
    if (workload != COMPACTED) settings[1].value = "delete";
    assert_ok(store_topic_create(w.s, "t", 1, settings, 4, &err), err);
    if (workload == PRODUCERS) produce(w.s);
    for (int i = 0; i < BATCHES && workload != PRODUCERS; i++)
        assert_ok(world_send(w.s, -1, 0, false, i % 4 ? CODEC_NONE : CODEC_LZ4, 1 + i % 3, i, &r, &err), err);
    assert_ok(store_checkpoint(w.s, &err), err);
    if (workload == COMPACTED) assert_ok(store_clean(w.s, &err), err);
    for (int i = 0; i < 6 && workload == COMPACTED; i++)
        assert_ok(world_send(w.s, -1, 0, false, CODEC_NONE, 2, BATCHES + i, &r, &err), err);
    assert_ok(store_checkpoint(w.s, &err), err);
    world_note(&w);
    return w;
}

// ── damage ───────────────────────────────────────────────────────────────────────────────────────────────────────────

void overwrite(struct world *w, const struct piece *x, uint64_t at, size_t n, int fill) {
    char path[SEGMENT_PATH];
    uint8_t bytes[4096];
    struct fs_file *f;
    struct err err;
    assert_true(n <= sizeof(bytes));
    world_path(x->base, ".log", path);
    for (size_t i = 0; i < n; i++) bytes[i] = fill < 0 ? (uint8_t)(x->bytes[at + i] ^ (0x5a + i)) : (uint8_t)fill;
    assert_ok(w->fs->ops->open(w->fs, path, FS_WRITE, &f, &err), err);
    assert_ok(fs_pwrite(w->fs, f, bytes, n, x->position + at, &err), err);
    assert_ok(w->fs->ops->close(f, &err), err);
}

static void cut(struct world *w, int64_t base, uint64_t size) {
    char path[SEGMENT_PATH];
    struct fs_file *f;
    struct err err;
    world_path(base, ".log", path);
    assert_ok(w->fs->ops->open(w->fs, path, FS_WRITE, &f, &err), err);
    assert_ok(w->fs->ops->truncate(f, size, &err), err);
    assert_ok(w->fs->ops->close(f, &err), err);
}

static void lose_from(struct world *w, int64_t base, uint64_t position) {
    for (size_t i = 0; i < w->n; i++)
        w->pieces[i].lost |= w->pieces[i].base == base && w->pieces[i].position + w->pieces[i].size > position;
}

// Of the first batch of the segment on; `with`: another segment that gets this one's bytes.
static void swap_files(struct world *w, int64_t base, int64_t with) {
    char a[SEGMENT_PATH], b[SEGMENT_PATH];
    struct err err;
    world_path(base, ".log", a);
    world_path(with, ".log", b);
    assert_ok(w->fs->ops->rename(w->fs, a, "tmp", &err), err);
    assert_ok(w->fs->ops->rename(w->fs, b, a, &err), err);
    assert_ok(w->fs->ops->rename(w->fs, "tmp", b, &err), err);
    lose_from(w, base, 0);
    lose_from(w, with, 0);
}

// An index has no entry for the first batch; without one that fits, a file that is too short and whole may be any.
static bool is_named(const struct world *w, const struct piece *x) { return x - w->pieces > 1 && x[-2].base == x->base; }

const char *kind_name(enum kind kind) {
    static const char *const names[] = {"header",  "length", "offset", "payload", "zeros", "cut in a batch", "cut before a batch",
                                        "missing", "swapped"};
    return names[kind];
}

void damage(struct world *w, enum kind kind, struct piece *x) {
    char path[SEGMENT_PATH];
    struct err err;
    x->lost = true;
    world_path(x->base, ".log", path);
    switch (kind) {
    case HEADER: overwrite(w, x, 0, 40, -1); break;
    case LENGTH: overwrite(w, x, 10, 2, -1); break;
    case OFFSET: overwrite(w, x, 3, 3, -1); break;
    case PAYLOAD: overwrite(w, x, BATCH_HEADER, 3, -1); break;
    case ZEROS: overwrite(w, x, 0, x->size, 0); break;
    case CUT_IN: cut(w, x->base, x->position + x->size / 2), lose_from(w, x->base, x->position); break;
    case CUT_BEFORE: cut(w, x->base, x->position), lose_from(w, x->base, is_named(w, x) ? x->position : 0); break;
    case MISSING: assert_ok(w->fs->ops->unlink(w->fs, path, &err), err), lose_from(w, x->base, 0); break;
    case SWAPPED: swap_files(w, x->base, w->pieces[0].base == x->base ? w->pieces[w->n - 1].base : w->pieces[0].base); break;
    default: abort();
    }
}

struct piece *piece_at(struct world *w, int64_t base, int which) {
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

const char *world_show(struct world *w) {
    struct err err;
    buf_clear(&answer);
    struct json_writer json = json_to(&answer);
    bool damaged;
    assert_ok(partition_examine(partition_of(w->s), &json, &damaged, &err), err);
    return buf_cstr(&answer);
}

const char *world_answer(void) { return buf_cstr(&answer); }

int world_accept(struct world *w, struct err *err) {
    buf_clear(&answer);
    struct json_writer json = json_to(&answer);
    return partition_accept(partition_of(w->s), false, &json, err);
}

void world_kill(struct world *w) {
    struct fs *killed = fs_mem_clone(w->fs);
    struct err err;
    (void)!store_close(w->s, &err); // it may be stopped
    fs_close(w->fs);
    w->fs = killed;
    w->s = NULL;
}

void world_start(struct world *w) { w->s = fixture_open(w->fs); }

void kill_and_start(struct world *w) {
    world_kill(w);
    world_start(w);
}

void find_damage(struct world *w) {
    struct partition *p = partition_of(w->s);
    struct read_request q = {.from = p->log_start, .max_bytes = 700};
    struct read_result r = {.n = 1};
    struct buf out = {0};
    struct err err;
    verify_partition(w->s, p);
    while (r.n && !partition_read(p, &q, &out, &r, &err)) q.from = r.next;
    buf_done(&out);
    if (!partition_health(p, &err)) kill_and_start(w), p = partition_of(w->s);
    assert_fails(partition_health(p, &err), err, ERR_CORRUPT);
    assert_has(err.hint, "connectd log-repair show t-0");
}

// Everything that is read, byte for byte; markers that were written again are passed over.
void check_log(struct world *w) {
    struct partition *p = partition_of(w->s);
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

bool is_lost(const struct world *w, int64_t offset) {
    for (size_t i = 0; i < w->n; i++)
        if (w->pieces[i].first <= offset && offset <= w->pieces[i].last) return w->pieces[i].lost;
    return false;
}

static void check_committed(struct world *w, size_t read_bytes) {
    size_t n, at = 0;
    struct known *all = read_committed(world_partition(w), w->end, read_bytes, &n);
    struct partition_offsets o;
    partition_offsets(world_partition(w), &o);
    assert_true(o.last_stable == w->stable || (w->stable == w->end && o.last_stable >= w->end));
    for (size_t i = 0; i < w->record_n; i++) {
        if (is_lost(w, w->records[i].offset)) continue;
        if (at == n) fail_msg("committed record %" PRId64 " is missing", w->records[i].offset);
        if (all[at].offset != w->records[i].offset)
            fail_msg("committed record %" PRId64 " where %" PRId64 " is next", all[at].offset, w->records[i].offset);
        assert_string_equal(all[at].text, w->records[i].text);
        at++;
    }
    assert_int_equal(at, n);
    known_free(all, n);
}

static void check_files(struct world *w) {
    struct partition *p = partition_of(w->s);
    struct verify_cursor all = {0};
    assert_int_equal(verify_some(w->s, &all, INT64_MAX), 0);
    for (size_t i = 0; i + 1 < p->seg_count; i++) {
        char stem[SEGMENT_PATH], path[SEGMENT_PATH];
        struct fs_file *f;
        struct err err;
        world_path(p->segs[i]->base, "", stem);
        world_path(p->segs[i]->base, ".log", path);
        assert_ok(w->fs->ops->open(w->fs, path, FS_READ, &f, &err), err);
        assert_ok(
            index_verify(&(struct index_options){.fs = w->fs, .stem = stem, .base_offset = p->segs[i]->base}, f, p->segs[i]->size, &err),
            err);
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
        assert_ok(partition_offset_for_time(partition_of(w->s), ts, &offset, &found, &err), err);
        int64_t want = offset_of_time(w, ts);
        assert_true(offset == want || (want < 0 && offset >= w->end)); // of what was appended since
    }
}

void check_all(struct world *w) {
    struct err err;
    assert_ok(partition_health(partition_of(w->s), &err), err);
    check_log(w);
    check_committed(w, 1);
    check_committed(w, 0);
    check_files(w);
    check_times(w);
}

void check_and_go_on(struct world *w) {
    struct err err;
    check_all(w);
    for (int round = 0; round < 3; round++) {
        int64_t next = fixture_offsets(w->s, "t", 0).high_watermark;
        assert_int_equal(next, w->end + round);
        int64_t got = fixture_put(w->s, "t", 0, "more", &err);
        if (got != next) fail_msg("appended at %" PRId64 " where %" PRId64 " is next: %s", got, next, got < 0 ? err.msg : "");
        if (round) w->s = fixture_reopen(w->s, &w->fs);
        else kill_and_start(w);
        check_all(w);
    }
}

int64_t segment_at(struct world *w, int which) {
    int64_t bases[64];
    size_t n = 0;
    for (size_t i = 0; i < w->n; i++)
        if (!n || bases[n - 1] != w->pieces[i].base) assert_true(n < 64), bases[n++] = w->pieces[i].base;
    assert_true(n >= 3);
    return bases[which == 0 ? 0 : which == 1 ? n / 2 : n - 1];
}

bool is_active(struct world *w, int64_t base) { return w->pieces[w->n - 1].base == base; }
