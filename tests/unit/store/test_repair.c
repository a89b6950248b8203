// SPDX-License-Identifier: Apache-2.0
// Every kind of damage in every place: what is around it is found, and served again.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"
#include "recovery.h"
#include "repair_world.h"

// ── any damage ────────────────────────────────────────────────────────────────────────────────────────────────────────

static void try_damage(enum workload workload, enum kind kind, int segment, int which) {
    struct world w = make_world(workload);
    int64_t base = segment_at(&w, segment);
    struct err err;
    if (is_active(&w, base) != (segment == 2)) fail_msg("the active segment is empty");
    damage(&w, kind, piece_at(&w, base, which));
    find_damage(&w);
    if (world_accept(&w, &err)) fail_msg("%s, segment %d, batch %d, workload %d: %s", kind_name(kind), segment, which, workload, err.msg);
    check_and_go_on(&w);
    world_done(&w);
}

TEST(whatever_is_damaged_and_wherever_all_else_is_served_again_at_its_offset) {
    for (enum workload workload = PLAIN; workload < WORKLOADS; workload++)
        for (enum kind kind = HEADER; kind < KINDS; kind++)
            for (int segment = 0; segment < 3; segment++)
                for (int which = 0; which < 3; which++) {
                    if (workload == COMPACTED && kind == OFFSET) continue; // nothing tells which one is wrong
                    try_damage(workload, kind, segment, which);
                }
}

// ── one byte ─────────────────────────────────────────────────────────────────────────────────────────────────────────

static void flip(struct world *w, const struct piece *x, uint64_t at, uint8_t mask) {
    char path[SEGMENT_PATH];
    world_path(x->base, ".log", path);
    fs_mem_flip(w->fs, path, x->position + at, mask);
}

// Where no reader notices (a leader epoch, an offset in a rewritten segment) the check of sealed segments does, and of the active one nobody.
static void stop_anyway(struct world *w, int64_t base) {
    if (!partition_health(world_partition(w), NULL)) partition_stop(w->s, world_partition(w), base, "the test says so");
}

TEST(a_single_changed_byte_anywhere_loses_nothing_because_the_checksums_say_what_it_was) {
    for (enum workload workload = PLAIN; workload < WORKLOADS; workload++) {
        struct world w = make_world(workload);
        struct err err;
        for (uint64_t at = 0; at < BATCH_HEADER + 20; at++) {
            struct piece *x = &w.pieces[(at * 7) % w.n];
            uint64_t byte = at < x->size ? at : x->size - 1;
            flip(&w, x, byte, (uint8_t)(1u << at % 8));
            verify_partition(w.s, world_partition(&w));
            stop_anyway(&w, x->base);
            assert_has(world_show(&w), "\"mended_byte\":");
            assert_has(world_show(&w), "\"lost\":{\"areas\":0,");
            assert_ok(world_accept(&w, &err), err);
            assert_has(world_answer(), ".damaged\"");
            check_all(&w);
            world_note(&w); // segments have other numbers of bytes now
        }
        check_and_go_on(&w);
        world_done(&w);
    }
}

// ── more than one place ──────────────────────────────────────────────────────────────────────────────────────────────

TEST(several_damaged_batches_in_several_segments_are_accepted_at_once) {
    struct world w = make_world(PRODUCERS);
    struct err err;
    for (size_t i = 3; i + 2 < w.n; i += 9) {
        damage(&w, HEADER, &w.pieces[i]);
        if (i % 2) damage(&w, PAYLOAD, &w.pieces[i + 1]); // two in a row
    }
    find_damage(&w);
    assert_ok(world_accept(&w, &err), err);
    check_and_go_on(&w);
    world_done(&w);
}

static void append_some(struct world *w, int count) {
    struct append_result r;
    struct err err;
    for (int i = 0; i < count; i++) assert_ok(world_send(w->s, -1, 0, false, CODEC_NONE, 1, BATCHES + i, &r, &err), err);
}

TEST(of_a_folder_that_is_gone_what_the_journal_holds_is_served_again) {
    struct world w = make_world(PLAIN);
    struct err err;
    size_t before = w.n;
    append_some(&w, 5);
    world_note(&w);
    for (size_t i = 0; i < before; i++) w.pieces[i].lost = true;
    world_kill(&w);
    assert_ok(fs_remove_tree(w.fs, "t-0", &err), err);
    world_start(&w);
    assert_fails(partition_health(world_partition(&w), &err), err, ERR_CORRUPT);
    assert_has(err.msg, "its folder is missing");
    assert_ok(world_accept(&w, &err), err);
    check_and_go_on(&w);
    world_done(&w);
}

TEST(what_the_journal_holds_behind_a_hole_is_restored_and_the_producers_in_it_are_known) {
    for (int kind = 0; kind < 3; kind++) {
        struct world w = make_world(PLAIN);
        struct append_result r;
        struct err err;
        assert_ok(world_send(w.s, PRODUCER, 0, false, CODEC_NONE, 1, BATCHES, &r, &err), err);
        assert_ok(world_send(w.s, PRODUCER, 1, false, CODEC_NONE, 1, BATCHES + 1, &r, &err), err);
        world_note(&w);
        struct piece *x = &w.pieces[w.n - 3]; // the last one that the journal does not hold any more
        assert_true(is_active(&w, x->base));
        world_kill(&w);
        if (kind < 2) damage(&w, kind ? CUT_BEFORE : CUT_IN, x);
        else damage(&w, MISSING, x);
        w.pieces[w.n - 1].lost = w.pieces[w.n - 2].lost = false;
        world_start(&w);
        assert_fails(partition_health(world_partition(&w), &err), err, ERR_CORRUPT);
        assert_ok(world_accept(&w, &err), err);
        assert_ok(world_send(w.s, PRODUCER, 1, false, CODEC_NONE, 1, BATCHES + 1, &r, &err), err);
        assert_true(r.duplicate);
        assert_int_equal(r.base_offset, w.end - 1);
        check_and_go_on(&w);
        world_done(&w);
    }
}

// What is larger than inline_max_bytes lies in the segment only: here nine batches of one commit.
TEST(of_a_damaged_range_that_the_journal_points_to_the_other_batches_stay) {
    struct fs *fs = fs_mem_new();
    struct store_options o = fixture_options(fs);
    struct world w = {.fs = fs};
    struct append_result r;
    struct err err;
    o.inline_max_bytes = 10;
    assert_ok(store_open(&o, &w.s, &err), err);
    fixture_topic(w.s, "t", 1, NULL, NULL);
    struct commit *c = commit_new(w.s);
    for (int i = 0; i < 9; i++) {
        struct buf batch = fixture_batch(i % 2 ? PRODUCER : OTHER, 0, i / 2, (const char *[]){"text"}, 1);
        assert_ok(commit_append(c, world_partition(&w), &batch, true, &err), err);
    }
    assert_ok(store_commit_wait(w.s, c, NULL, &err), err);
    world_note(&w);
    world_kill(&w);
    damage(&w, PAYLOAD, &w.pieces[4]);
    world_start(&w);
    assert_fails(partition_health(world_partition(&w), &err), err, ERR_CORRUPT);
    assert_ok(world_accept(&w, &err), err);
    check_log(&w);
    assert_ok(world_send(w.s, PRODUCER, 4, false, CODEC_NONE, 1, 9, &r, &err), err);
    assert_false(r.duplicate);
    assert_ok(world_send(w.s, OTHER, 4, false, CODEC_NONE, 1, 8, &r, &err), err);
    assert_true(r.duplicate);
    world_done(&w);
}

// ── what must be right afterwards ────────────────────────────────────────────────────────────────────────────────────

TEST(producers_go_on_and_what_is_lost_is_still_a_duplicate) {
    struct world w = make_world(PRODUCERS);
    struct append_result r;
    struct err err;
    struct batch_header h;
    struct piece *x = NULL;
    for (size_t i = 0; i < w.n; i++) { // the last batch of PRODUCER
        assert_int_equal(batch_read_header(w.pieces[i].bytes, w.pieces[i].size, &h), 0);
        if (h.producer_id == PRODUCER && !(h.attributes & BATCH_CONTROL)) x = &w.pieces[i];
    }
    assert_int_equal(batch_read_header(x->bytes, x->size, &h), 0);
    damage(&w, ZEROS, x);
    find_damage(&w);
    assert_ok(world_accept(&w, &err), err);
    for (int round = 0; round < 2; round++) {
        assert_ok(world_send(w.s, PRODUCER, h.base_sequence, true, CODEC_NONE, h.count, BATCHES - 2, &r, &err), err);
        assert_true(r.duplicate);
        assert_int_equal(r.base_offset, x->first);
        assert_fails(world_send(w.s, PRODUCER, h.base_sequence + h.count + 1, true, CODEC_NONE, 1, BATCHES, &r, &err), err, ERR_SEQUENCE);
        kill_and_start(&w);
    }
    assert_ok(world_send(w.s, PRODUCER, h.base_sequence + h.count, true, CODEC_NONE, 1, BATCHES, &r, &err), err);
    assert_int_equal(r.base_offset, w.end);
    world_mark(w.s, PRODUCER, true);
    world_mark(w.s, OTHER, false);
    struct partition_offsets o = fixture_offsets(w.s, "t", 0);
    assert_int_equal(o.last_stable, o.high_watermark);
    world_done(&w);
}

TEST(an_aborted_transaction_stays_hidden_when_its_end_is_lost_and_the_next_one_of_its_producer_is_seen) {
    struct world w = make_world(PRODUCERS);
    struct err err;
    struct batch_header h;
    struct batch_marker m;
    int lost = 0;
    for (size_t i = 0; i < w.n; i++) {
        assert_int_equal(batch_read_header(w.pieces[i].bytes, w.pieces[i].size, &h), 0);
        if (batch_marker_read(w.pieces[i].bytes, w.pieces[i].size, &m) || m.commit_txn) continue;
        damage(&w, ZEROS, &w.pieces[i]);
        lost++;
    }
    assert_true(lost >= 4);
    find_damage(&w);
    assert_ok(world_accept(&w, &err), err);
    check_and_go_on(&w);
    world_done(&w);
}

static void damage_txnindex(struct world *w, int64_t base, int how) {
    char path[SEGMENT_PATH];
    struct fs_file *f;
    struct err err;
    world_path(base, ".txnindex", path);
    if (how == 0) return fs_mem_flip(w->fs, path, 1, 1); // its version
    if (how == 2) return assert_ok(w->fs->ops->unlink(w->fs, path, &err), err);
    assert_ok(w->fs->ops->open(w->fs, path, FS_WRITE, &f, &err), err);
    assert_ok(w->fs->ops->truncate(f, 20, &err), err);
    assert_ok(w->fs->ops->close(f, &err), err);
}

static struct segment *with_aborts(struct world *w, bool sealed) {
    struct partition *p = world_partition(w);
    for (size_t i = 0; i < p->seg_count; i++) {
        char path[SEGMENT_PATH];
        struct fs_stat st;
        world_path(p->segs[i]->base, ".txnindex", path);
        if (p->segs[i]->sealed == sealed && !w->fs->ops->stat(w->fs, path, &st, NULL)) return p->segs[i];
    }
    return NULL;
}

TEST(a_damaged_transaction_index_stops_its_partition_and_is_made_again_from_the_batches) {
    for (int sealed = 0; sealed < 2; sealed++)
        for (int how = 0; how < 2 + !sealed; how++) {
            struct world w = make_world(PRODUCERS);
            struct aborted_txn *all;
            size_t n;
            struct err err = {0};
            if (!with_aborts(&w, sealed)) { // the active one gets an entry
                world_mark(w.s, PRODUCER, false);
                assert_ok(store_checkpoint(w.s, &err), err);
                world_note(&w);
            }
            damage_txnindex(&w, with_aborts(&w, sealed)->base, how);
            if (how == 2) kill_and_start(&w), assert_ok(partition_aborted(world_partition(&w), 0, w.end, &all, &n, &err), err), free(all);
            else assert_fails(partition_aborted(world_partition(&w), 0, w.end, &all, &n, &err), err, ERR_CORRUPT);
            stop_anyway(&w, -1);
            assert_has(world_show(&w), ".txnindex");
            assert_has(world_show(&w), "\"lost\":{\"areas\":0,");
            assert_ok(world_accept(&w, &err), err);
            check_and_go_on(&w);
            world_done(&w);
        }
}

struct told { char text[400]; int calls; };
static void note_lost(void *arg, struct partition *p, const char *holder, int64_t first, int64_t last, bool damaged) {
    struct told *t = arg;
    size_t n = strlen(t->text);
    snprintf(t->text + n, sizeof(t->text) - n, "%s %s-%d [%" PRId64 ", %" PRId64 "] %d; ", holder, partition_topic(p), partition_index(p),
             first, last, damaged);
    t->calls++;
}

TEST(what_is_lost_is_counted_for_good_and_told_to_who_still_had_to_read_it) {
    struct world w = make_world(PLAIN);
    struct told told = {0};
    struct buf status = {0};
    struct err err;
    struct piece *x = &w.pieces[20];
    char want[200];
    store_on_lost(w.s, note_lost, &told);
    partition_hold(world_partition(&w), "slow", 0);
    partition_hold(world_partition(&w), "within", x->last);
    partition_hold(world_partition(&w), "fast", x->last + 1);
    damage(&w, ZEROS, x);
    find_damage(&w);
    assert_true(x->last > x->first);
    assert_ok(world_accept(&w, &err), err);
    assert_int_equal(told.calls, 2);
    snprintf(want, sizeof(want), "slow t-0 [%" PRId64 ", %" PRId64 "] 1; ", x->first, x->last);
    assert_has(told.text, want);
    snprintf(want, sizeof(want), "within t-0 [%" PRId64 ", %" PRId64 "] 1; ", x->last, x->last);
    assert_has(told.text, want);
    snprintf(want, sizeof(want),
             "\"accepted_losses\":[{\"topic\":\"t\",\"partition\":0,\"lost\":{\"gaps\":1,\"offsets\":%" PRId64 ",\"bytes\":%zu,",
             x->last - x->first + 1, x->size);
    for (int round = 0; round < 3; round++) {
        buf_clear(&status);
        struct json_writer json = json_to(&status);
        store_status_json(w.s, &json);
        assert_has(buf_cstr(&status), want);
        assert_has(world_show(&w), "\"accepted\":{\"gaps\":1,");
        if (round == 0) kill_and_start(&w);
        else w.s = fixture_reopen(w.s, &w.fs);
    }
    buf_done(&status);
    world_done(&w);
}

static void read_file(struct world *w, const char *path, struct buf *ret) {
    struct err err;
    buf_clear(ret);
    assert_ok(fs_read_all(w->fs, path, 1 << 20, ret, &err), err);
}

TEST(the_damaged_bytes_are_kept_and_a_full_quarantine_does_not_let_them_go) {
    struct world w = make_world(PLAIN);
    struct err err;
    struct buf is = {0}, kept = {0};
    char path[SEGMENT_PATH], name[300];
    struct piece *x = &w.pieces[10];
    damage(&w, HEADER, x);
    world_path(x->base, ".log", path);
    read_file(&w, path, &is);
    find_damage(&w);
    assert_ok(world_accept(&w, &err), err);
    snprintf(name, sizeof(name), "quarantine/%012d-t-0-%" PRId64 "-%" PRIu64 ".damaged", 0, x->base, x->position);
    assert_has(world_answer(), name);
    w.s->o.quarantine_bytes = 10;
    uint8_t more[10] = {0};
    for (int i = 0; i < 3; i++) quarantine_bytes(w.s, world_partition(&w), 5, 5, more, sizeof(more));
    read_file(&w, name, &kept);
    assert_int_equal(kept.n, x->size);
    assert_memory_equal(kept.p, is.p + x->position, x->size);
    buf_done(&is);
    buf_done(&kept);
    world_done(&w);
}

// Twelve keys, and the same again in the segments after it: of those one is written anew.
TEST(compaction_looks_at_a_segment_that_was_written_anew_and_it_had_not_seen) {
    struct topic_setting settings[] = {{"segment.bytes", "1500"}, {"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0"}};
    for (int restart = 0; restart < 3; restart++) {
        struct world w = {.fs = fs_mem_new()};
        struct append_result r;
        struct err err;
        w.s = fixture_open(w.fs);
        assert_ok(store_topic_create(w.s, "t", 1, settings, 3, &err), err);
        for (int i = 0; i < 49; i++) assert_ok(world_send(w.s, -1, 0, false, CODEC_NONE, 1, i < 24 ? i % 12 : i - 4, &r, &err), err);
        assert_ok(store_checkpoint(w.s, &err), err);
        world_note(&w);
        damage(&w, ZEROS, &w.pieces[16]);
        find_damage(&w);
        assert_ok(world_accept(&w, &err), err);
        if (restart == 1) kill_and_start(&w);
        if (restart == 2) w.s = fixture_reopen(w.s, &w.fs);
        assert_ok(store_clean(w.s, &err), err);
        size_t n;
        struct known *all = read_committed(world_partition(&w), w.end, 0, &n);
        assert_int_equal(n, 12 + 25);
        assert_int_equal(all[0].offset, 4); // its successor is lost
        assert_int_equal(all[1].offset, 12);
        known_free(all, n);
        world_done(&w);
    }
}

// ── beside others ────────────────────────────────────────────────────────────────────────────────────────────────────

struct busy { struct world *w; atomic_bool end; unsigned rounds, wrong, written; };

static void *read_on_and_on(void *arg) {
    struct busy *b = arg;
    struct buf out = {0};
    struct err err;
    do {
        struct read_request q = {.from = b->w->log_start, .max_bytes = 2000};
        struct read_result r = {.n = 1};
        bool failed = false;
        for (; r.n && !failed; q.from = r.next) {
            struct aborted_txn *all = NULL;
            size_t n;
            buf_clear(&out);
            failed = partition_read(world_partition(b->w), &q, &out, &r, &err) ||
                     partition_aborted(world_partition(b->w), q.from, r.next, &all, &n, &err);
            if (failed) b->wrong += err.code != ERR_CORRUPT;
            else free(all);
        }
        b->rounds++;
    } while (!atomic_load(&b->end));
    buf_done(&out);
    return NULL;
}

static void *write_on_and_on(void *arg) {
    struct busy *b = arg;
    struct err err;
    do {
        b->wrong += fixture_put(b->w->s, "other", 0, "more", &err) != b->written;
        b->written++;
    } while (!atomic_load(&b->end));
    return NULL;
}

TEST(while_a_loss_is_accepted_others_are_read_and_written) {
    struct world w = make_world(PRODUCERS);
    struct busy readers = {.w = &w}, writers = {.w = &w};
    pthread_t threads[2];
    struct err err;
    fixture_topic(w.s, "other", 1, NULL, NULL);
    assert_ok(thread_start(&threads[0], "reader", read_on_and_on, &readers, &err), err);
    assert_ok(thread_start(&threads[1], "writer", write_on_and_on, &writers, &err), err);
    for (size_t round = 0, i = 3; round < 6; round++, i += 11) {
        damage(&w, round % 2 ? ZEROS : PAYLOAD, &w.pieces[i]);
        find_damage(&w);
        assert_ok(store_clean(w.s, &err), err);
        assert_ok(world_accept(&w, &err), err);
        check_all(&w);
        world_note(&w);
    }
    atomic_store(&readers.end, true);
    atomic_store(&writers.end, true);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    assert_int_equal(readers.wrong + writers.wrong, 0);
    assert_int_equal(fixture_offsets(w.s, "other", 0).high_watermark, writers.written);
    world_done(&w);
}

// ── asking for it ────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(a_partition_that_serves_has_nothing_to_accept) {
    struct world w = make_world(PLAIN);
    struct err err;
    assert_has(world_show(&w), "\"stopped\":false");
    assert_has(world_show(&w), "\"damaged\":[]");
    assert_fails(world_accept(&w, &err), err, ERR_INVALID);
    check_all(&w);
    world_done(&w);
}

TEST(when_the_file_was_put_back_nothing_is_lost_and_no_restart_is_needed) {
    struct world w = make_world(PLAIN);
    struct err err;
    struct piece *x = &w.pieces[5];
    struct fs_file *f;
    char path[SEGMENT_PATH];
    damage(&w, ZEROS, x);
    find_damage(&w);
    world_path(x->base, ".log", path);
    assert_ok(w.fs->ops->open(w.fs, path, FS_WRITE, &f, &err), err);
    assert_ok(fs_pwrite(w.fs, f, x->bytes, x->size, x->position, &err), err);
    assert_ok(w.fs->ops->close(f, &err), err);
    x->lost = false;
    assert_has(world_show(&w), "\"damaged\":[]");
    assert_ok(world_accept(&w, &err), err);
    check_and_go_on(&w);
    world_done(&w);
}

TEST(what_the_disk_does_not_give_is_not_given_up_unless_that_is_said) {
    struct fs *inner = fs_mem_new(), *fs = fs_fault_new(inner);
    struct world w = {.fs = fs};
    struct err err;
    w.s = fixture_open(fs);
    fixture_topic(w.s, "t", 1, "segment.bytes", "20000");
    fixture_fill(w.s, "t", 0, 300, 200);
    world_note(&w);
    struct partition *p = world_partition(&w);
    partition_stop(w.s, p, p->segs[1]->base, "the test says so");
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_READ, .path = "t-0/", .sys = EIO, .forever = true});
    assert_has(world_show(&w), "input/output error");
    assert_fails(world_accept(&w, &err), err, ERR_IO);
    assert_has(err.hint, "--unreadable");
    fs_fault_clear(fs);
    assert_has(world_show(&w), "\"unreadable\":0");
    assert_ok(world_accept(&w, &err), err);
    check_all(&w);
    world_done(&w);
}

// The record's batch claims an offset that would fit, or one that speaks against the batch that comes next; the damage reaches into the
// first record or not.
static void try_batch_in_record(int more, size_t damaged) {
    struct fs *fs = fs_mem_new();
    struct world w = {.fs = fs};
    struct err err;
    w.s = fixture_open(fs);
    fixture_topic(w.s, "t", 1, "segment.bytes", "5000");
    for (int i = 0; i < 40; i++) {
        struct buf inside = fixture_text("I am a whole batch"), out = {0};
        struct batch_builder b;
        batch_patch(inside.p, 3 * i + more, 0);
        batch_begin(&b, &out, CODEC_NONE);
        for (int k = 0; k < 3; k++) batch_add(&b, 1700000000000, (struct str){NULL, 0}, buf_str(&inside), NULL, 0);
        assert_ok(batch_end(&b, &err), err);
        struct commit *c = commit_new(w.s);
        assert_ok(commit_append(c, world_partition(&w), &out, true, &err), err);
        assert_ok(store_commit_wait(w.s, c, NULL, &err), err);
        buf_done(&inside);
    }
    world_note(&w);
    for (size_t i = 2; i < 30; i += i == 2 ? 2 : 7) {
        overwrite(&w, &w.pieces[i], 0, damaged, -1);
        w.pieces[i].lost = true;
        if (damaged > BATCH_HEADER) break;
    }
    find_damage(&w);
    assert_ok(world_accept(&w, &err), err);
    check_all(&w);
    world_done(&w);
}

TEST(bytes_in_a_record_that_look_like_a_batch_are_not_taken_for_one) {
    try_batch_in_record(1, 40);
    try_batch_in_record(10, 75);
}
