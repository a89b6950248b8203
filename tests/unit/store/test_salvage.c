// SPDX-License-Identifier: Apache-2.0
// Salvage: every committed record outside of the damage is in the new topic, as it was, in order; nothing else is, and nothing else changed.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "repair_world.h"

static struct buf answer;

static int salvage(struct world *w, const char *to, struct err *err) {
    buf_clear(&answer);
    struct json_writer json = json_to(&answer);
    return partition_salvage(world_partition(w), to, &json, err);
}

static struct topic *topic_of(struct store *s, const char *name) {
    struct topic *t = topic_get(s, name);
    assert_non_null(t);
    return t;
}

// Records above the last stable offset count, too, when they belong to no transaction.
static void check_copy(struct world *w, const char *to) {
    struct topic *t = topic_of(w->s, to);
    size_t n, at = 0;
    struct known *all = read_committed(topic_partition(t, 0), INT64_MAX, 0, &n);
    assert_int_equal(topic_partitions(t), 1);
    for (size_t i = 0; i < w->record_n; i++) {
        if (is_lost(w, w->records[i].offset)) continue;
        assert_true(at < n);
        assert_int_equal(all[at].offset, (int64_t)at);
        assert_string_equal(all[at].text, w->records[i].text);
        at++;
    }
    assert_int_equal(at, n);
    known_free(all, n);
    topic_unref(t);
}

static void copy_file(struct world *w, const char *path, struct buf *out) {
    struct err err;
    assert_ok(fs_read_all(w->fs, path, 1 << 20, out, &err), err);
}
struct folder { struct world *w; struct buf all; };
static int add_file(void *arg, const char *name) {
    struct folder *f = arg;
    char path[300];
    snprintf(path, sizeof(path), "t-0/%s", name);
    buf_printf(&f->all, "%s ", name);
    copy_file(f->w, path, &f->all);
    return 0;
}
static struct buf folder_of(struct world *w) {
    struct folder f = {.w = w};
    struct err err;
    assert_ok(w->fs->ops->list(w->fs, "t-0", add_file, &f, &err), err);
    return f.all;
}

static void try_salvage(enum workload workload, enum kind kind, size_t first, size_t step) {
    struct world w = make_world(workload);
    struct err err;
    for (size_t i = first; i < w.n; i += step) damage(&w, kind, &w.pieces[i]);
    find_damage(&w);
    struct buf before = folder_of(&w);
    assert_ok(salvage(&w, "copy", &err), err);
    struct buf after = folder_of(&w);
    assert_int_equal(before.n, after.n);
    assert_memory_equal(before.p, after.p, before.n);
    assert_fails(partition_health(world_partition(&w), &err), err, ERR_CORRUPT); // still
    check_copy(&w, "copy");
    kill_and_start(&w);
    check_copy(&w, "copy");
    buf_done(&before);
    buf_done(&after);
    world_done(&w);
}

TEST(every_committed_record_outside_of_the_damage_is_copied_and_nothing_is_changed) {
    for (enum workload workload = PLAIN; workload < WORKLOADS; workload++)
        for (enum kind kind = HEADER; kind <= MISSING; kind++) {
            if (workload == COMPACTED && kind == OFFSET) continue;
            try_salvage(workload, kind, 5, kind < CUT_IN ? 11 : 1000);
        }
}

TEST(batches_come_without_producer_and_can_be_read_by_anybody) {
    struct world w = make_world(PRODUCERS);
    struct read_request q = {.max_bytes = 1 << 20};
    struct read_result r;
    struct buf out = {0};
    struct err err;
    damage(&w, ZEROS, &w.pieces[5]);
    find_damage(&w);
    assert_ok(salvage(&w, "copy", &err), err);
    struct topic *t = topic_of(w.s, "copy");
    assert_ok(partition_read(topic_partition(t, 0), &q, &out, &r, &err), err);
    struct batch_header h;
    for (size_t at = 0; at < out.n; at += batch_size(&h)) {
        assert_ok(batch_read_header(out.p + at, out.n - at, &h), err);
        assert_int_equal(h.producer_id, -1);
        assert_int_equal(h.producer_epoch, -1);
        assert_int_equal(h.base_sequence, -1);
        assert_int_equal(h.attributes & ~BATCH_CODEC_MASK, 0);
    }
    topic_unref(t);
    buf_done(&out);
    world_done(&w);
}

TEST(the_answer_says_which_offsets_became_which) {
    struct world w = make_world(PLAIN);
    struct err err;
    char want[300];
    struct piece *x = &w.pieces[10];
    damage(&w, ZEROS, x);
    find_damage(&w);
    assert_ok(salvage(&w, "copy", &err), err);
    snprintf(want, sizeof(want),
             "\"records\":%" PRId64 ",\"batches\":%zu,\"aborted\":0,\"open\":0,\"undecodable\":0,\"lost\":{\"areas\":1,\"offsets\":%" PRId64
             ",\"bytes\":%zu}",
             w.end - (x->last + 1 - x->first), w.n - 1, x->last + 1 - x->first, x->size);
    assert_has(buf_cstr(&answer), want);
    snprintf(want, sizeof(want),
             "\"map\":[{\"first\":0,\"end\":%" PRId64 ",\"to\":0},{\"first\":%" PRId64 ",\"end\":%" PRId64 ",\"to\":%" PRId64
             "}],\"more\":0}",
             x->first, x->last + 1, w.end, x->first);
    assert_has(buf_cstr(&answer), want);
    world_done(&w);
}

TEST(records_of_aborted_and_of_open_transactions_are_left_out_and_counted) {
    struct world w = make_world(PRODUCERS);
    struct err err;
    uint64_t records = 0;
    struct batch_header h;
    for (size_t i = 0; i < w.n; i++) {
        assert_ok(batch_read_header(w.pieces[i].bytes, w.pieces[i].size, &h), err);
        if (!(h.attributes & BATCH_CONTROL)) records += (uint64_t)h.count;
    }
    damage(&w, ZEROS, &w.pieces[5]);
    assert_ok(batch_read_header(w.pieces[5].bytes, w.pieces[5].size, &h), err);
    find_damage(&w);
    assert_ok(salvage(&w, "copy", &err), err);
    struct partition_offsets o = fixture_offsets(w.s, "copy", 0);
    char want[100];
    long long aborted = -1, open = -1;
    const char *at = strstr(buf_cstr(&answer), "\"aborted\":");
    assert_int_equal(sscanf(at, "\"aborted\":%lld,\"open\":%lld", &aborted, &open), 2);
    assert_true(aborted > 10 && open > 2);
    if (!(h.attributes & BATCH_CONTROL)) records -= (uint64_t)h.count;
    assert_int_equal((uint64_t)o.high_watermark + (uint64_t)aborted + (uint64_t)open, records);
    snprintf(want, sizeof(want), "\"records\":%" PRId64 ",", o.high_watermark);
    assert_has(buf_cstr(&answer), want);
    world_done(&w);
}

TEST(the_copy_keeps_everything_however_old_it_is) {
    struct world w = make_world(COMPACTED);
    struct err err;
    damage(&w, ZEROS, &w.pieces[5]);
    find_damage(&w);
    assert_ok(salvage(&w, "copy", &err), err);
    for (int i = 0; i < 3; i++) assert_ok(store_clean(w.s, &err), err);
    check_copy(&w, "copy");
    world_done(&w);
}

TEST(records_below_the_log_start_stay_deleted) {
    struct world w = make_world(PLAIN);
    struct err err;
    struct piece *x = &w.pieces[2];
    assert_true(x->last > x->first);
    assert_ok(partition_delete_before(world_partition(&w), x->last, &err), err); // in the middle of a batch
    world_note(&w);
    damage(&w, ZEROS, &w.pieces[12]);
    find_damage(&w);
    assert_ok(salvage(&w, "copy", &err), err);
    check_copy(&w, "copy");
    world_done(&w);
}

TEST(a_topic_that_is_there_is_not_touched_and_a_copy_that_fails_leaves_none) {
    struct fs *inner = fs_mem_new(), *fs = fs_fault_new(inner);
    struct world w = {.fs = fs};
    struct err err;
    w.s = fixture_open(fs);
    fixture_topic(w.s, "t", 1, "segment.bytes", "20000");
    fixture_topic(w.s, "there", 1, NULL, NULL);
    fixture_fill(w.s, "t", 0, 300, 200);
    assert_fails(salvage(&w, "there", &err), err, ERR_EXISTS);
    assert_int_equal(fixture_offsets(w.s, "there", 0).high_watermark, 0);
    assert_fails(salvage(&w, "no/name", &err), err, ERR_INVALID);
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_WRITE, .path = "copy-0/00000000000000000000.log", .sys = ENOSPC, .forever = true});
    assert_fails(salvage(&w, "copy", &err), err, ERR_NOSPACE);
    fs_fault_clear(fs);
    assert_null(topic_get(w.s, "copy"));
    assert_ok(salvage(&w, "copy", &err), err);
    assert_int_equal(fixture_offsets(w.s, "copy", 0).high_watermark, 300);
    world_done(&w);
}
