// SPDX-License-Identifier: Apache-2.0
// How damage is met: by a reader, an append, the cleaner, a start. It stops its partition, which says how to go on; what may pass does not.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cleaner.h"
#include "repair_world.h"

static int read_from(struct world *w, int64_t from, struct err *err) {
    struct read_request q = {.from = from, .max_bytes = 1};
    struct read_result r;
    struct buf out = {0};
    int failed = partition_read(world_partition(w), &q, &out, &r, err);
    buf_done(&out);
    return failed;
}

static void assert_stopped(struct world *w, const char *why) {
    struct err err;
    assert_fails(partition_health(world_partition(w), &err), err, ERR_CORRUPT);
    assert_has(err.msg, why);
    assert_has(err.hint, "`connectd log-repair show t-0`");
    assert_int_equal(fixture_put(w->s, "t", 0, "refused", &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_has(err.hint, "`connectd log-repair show t-0`");
}

TEST(a_reader_that_meets_damage_stops_the_partition_wherever_it_is) {
    for (enum kind kind = HEADER; kind <= ZEROS; kind++)
        for (int active = 0; active < 2; active++) {
            struct world w = make_world(PLAIN);
            struct partition *p = world_partition(&w);
            struct piece *x = piece_at(&w, p->segs[active ? p->seg_count - 1 : 1]->base, 1);
            struct err err;
            damage(&w, kind, x);
            assert_ok(read_from(&w, 0, &err), err);
            assert_ok(partition_health(p, &err), err);
            assert_fails(read_from(&w, x->first, &err), err, ERR_CORRUPT);
            assert_has(err.hint, "`connectd log-repair show t-0`");
            assert_stopped(&w, "t-0/0000");
            world_done(&w);
        }
}

// A length that is wrong made the rest of a segment pass for read.
TEST(a_batch_that_claims_to_be_longer_than_the_log_is_damage_and_not_the_end) {
    for (int active = 0; active < 2; active++) {
        struct world w = make_world(PLAIN);
        struct partition *p = world_partition(&w);
        struct piece *x = piece_at(&w, p->segs[active ? p->seg_count - 1 : 1]->base, 1);
        struct read_request q = {.from = p->log_start, .max_bytes = 1};
        struct read_result r = {.n = 1};
        struct buf out = {0};
        struct err err = {0};
        overwrite(&w, x, 8, 2, 0x7f);
        while (r.n && !partition_read(p, &q, &out, &r, &err)) q.from = r.next; // each goes on where the one before left a hint
        assert_int_equal(q.from, x->first);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_stopped(&w, "t-0/0000");
        buf_done(&out);
        world_done(&w);
    }
}

TEST(a_read_that_fails_is_told_and_stops_nothing) {
    static const struct fs_fault_rule rules[] = {{.ops = FS_OP_READ, .path = ".log", .sys = EIO},
                                                 {.ops = FS_OP_READ, .path = ".log", .sys = EIO, .forever = true},
                                                 {.ops = FS_OP_OPEN, .path = ".log", .sys = EACCES}};
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        struct fs *fs = fs_fault_new(fs_mem_new());
        struct world w = {.fs = fs};
        struct err err;
        w.s = fixture_open(fs);
        fixture_topic(w.s, "t", 1, "segment.bytes", "1000");
        fixture_fill(w.s, "t", 0, 30, 100);
        assert_ok(store_checkpoint(w.s, &err), err);
        fs_fault_add(fs, rules[i]);
        int failed = read_from(&w, 0, &err);
        if (failed) assert_true(err.code == ERR_IO || err.code == ERR_DENIED);
        fs_fault_clear(fs);
        assert_ok(partition_health(world_partition(&w), &err), err);
        assert_ok(read_from(&w, 0, &err), err);
        world_done(&w);
    }
}

// The bytes on the disk are right; what came into memory once was not.
TEST(a_short_read_is_tried_again_before_anything_is_believed) {
    struct fs *fs = fs_fault_new(fs_mem_new());
    struct world w = {.fs = fs};
    struct err err;
    w.s = fixture_open(fs);
    fixture_topic(w.s, "t", 1, "segment.bytes", "1000");
    fixture_fill(w.s, "t", 0, 30, 100);
    for (unsigned skip = 0; skip < 3; skip++) {
        fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_READ, .path = ".log", .skip = skip, .short_bytes = 5});
        assert_ok(read_from(&w, 3, &err), err);
        fs_fault_clear(fs);
        assert_ok(partition_health(world_partition(&w), &err), err);
    }
    world_done(&w);
}

TEST(a_batch_that_went_wrong_before_it_was_written_stops_the_partition_although_the_file_is_what_was_written) {
    struct world w = {.fs = fs_mem_new()};
    struct err err;
    w.s = fixture_open(w.fs);
    fixture_topic(w.s, "t", 1, NULL, NULL);
    for (int i = 0; i < 5; i++) {
        struct buf batch = fixture_text("some text");
        struct commit *c = commit_new(w.s);
        if (i == 2) batch.p[batch.n - 3] ^= 1; // trusted, so nobody looks
        assert_ok(commit_append(c, world_partition(&w), &batch, true, &err), err);
        assert_ok(store_commit_wait(w.s, c, NULL, &err), err);
    }
    assert_fails(read_from(&w, 2, &err), err, ERR_CORRUPT);
    assert_stopped(&w, "checksum");
    w.s = fixture_reopen(w.s, &w.fs);
    assert_stopped(&w, "checksum"); // the checksum of the file would say that all is well
    assert_ok(world_accept(&w, &err), err);
    assert_string_equal(fixture_log(w.s, "t", 0, READ_UNCOMMITTED), "0:some text 1:some text 3:some text 4:some text");
    world_done(&w);
}

TEST(a_file_that_is_missing_at_a_clean_start_is_found_and_an_empty_one_is_made_again) {
    for (int which = 0; which < 4; which++) {
        struct world w = make_world(PLAIN);
        struct partition *p = world_partition(&w);
        struct err err;
        char path[SEGMENT_PATH];
        if (which == 3) { // the active segment has nothing in it
            assert_ok(partition_roll_now(w.s, p, &err), err);
            world_note(&w);
        }
        int64_t base = p->segs[which == 0 ? 0 : which == 1 ? 1 : p->seg_count - 1]->base;
        w.s = fixture_reopen(w.s, &w.fs);
        fixture_close(w.s);
        struct fs *copy = fs_mem_clone(w.fs);
        fs_close(w.fs);
        w.fs = copy;
        world_path(base, ".log", path);
        assert_ok(w.fs->ops->unlink(w.fs, path, &err), err);
        world_start(&w);
        struct recovery_report report;
        store_report(w.s, &report);
        assert_true(report.was_clean);
        if (which < 3) {
            assert_stopped(&w, "no such file");
            for (size_t i = 0; i < w.n; i++) w.pieces[i].lost = w.pieces[i].base == base;
            assert_ok(world_accept(&w, &err), err);
        }
        check_and_go_on(&w);
        world_done(&w);
    }
}

TEST(a_folder_that_is_missing_at_a_clean_start_stops_its_partition) {
    struct world w = make_world(PLAIN);
    struct err err;
    fixture_close(w.s);
    struct fs *copy = fs_mem_clone(w.fs);
    fs_close(w.fs);
    w.fs = copy;
    assert_ok(fs_remove_tree(w.fs, "t-0", &err), err);
    world_start(&w);
    assert_stopped(&w, "no such file");
    for (size_t i = 0; i < w.n; i++) w.pieces[i].lost = true;
    assert_ok(world_accept(&w, &err), err);
    check_and_go_on(&w);
    world_done(&w);
}

TEST(an_append_to_a_segment_whose_file_is_gone_stops_the_partition) {
    struct world w = make_world(PLAIN);
    struct err err;
    char path[SEGMENT_PATH];
    int64_t base = w.pieces[w.n - 1].base;
    w.s = fixture_reopen(w.s, &w.fs); // nothing is open
    world_path(base, ".log", path);
    assert_ok(w.fs->ops->unlink(w.fs, path, &err), err);
    assert_int_equal(fixture_put(w.s, "t", 0, "refused", &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_stopped(&w, "t-0/0000");
    world_done(&w);
}

TEST(damage_that_compaction_meets_stops_the_partition_and_no_other) {
    struct world w = make_world(COMPACTED);
    struct append_result r;
    struct err err = {0};
    fixture_topic(w.s, "other", 1, NULL, NULL);
    for (int i = 0; i < 40; i++) assert_ok(world_send(w.s, -1, 0, false, CODEC_NONE, 2, i, &r, &err), err);
    assert_ok(store_checkpoint(w.s, &err), err);
    world_note(&w);
    struct partition *p = world_partition(&w);
    damage(&w, PAYLOAD, piece_at(&w, p->segs[p->seg_count - 2]->base, 1));
    assert_fails(store_clean(w.s, &err), err, ERR_CORRUPT);
    assert_stopped(&w, "t-0/0000");
    assert_ok(store_clean(w.s, &err), err); // it is left alone
    assert_int_equal(fixture_put(w.s, "other", 0, "goes on", &err), 0);
    world_done(&w);
}

static struct buf events;
static void note_event(void *arg, enum store_event_kind kind, const char *text) { buf_printf(&events, "%d %s\n", kind, text); }

TEST(the_event_of_a_stop_and_of_the_way_back_name_the_command_and_the_loss) {
    struct world w = make_world(PLAIN);
    struct err err;
    struct piece *x = &w.pieces[7];
    char want[200];
    w.s->o.event = note_event;
    damage(&w, ZEROS, x);
    find_damage(&w);
    assert_has(buf_cstr(&events), "1 t-0 is stopped: t-0/0000");
    assert_has(buf_cstr(&events), "`connectd log-repair show t-0`");
    assert_ok(world_accept(&w, &err), err);
    snprintf(want, sizeof(want),
             "1 t-0 serves again without offsets [%" PRId64 ", %" PRId64 "): %" PRId64 " offsets, %zu bytes, accepted as lost", x->first,
             x->last + 1, x->last + 1 - x->first, x->size);
    assert_has(buf_cstr(&events), want);
    buf_done(&events);
    world_done(&w);
}

// What the journal holds is restored at the start; a tail above the durable end is not cut from a partition that stops.
TEST(nothing_is_cut_from_a_partition_that_stops_at_a_start) {
    struct world w = make_world(PLAIN);
    struct err err;
    struct buf before = {0}, after = {0};
    char path[SEGMENT_PATH];
    struct fs_file *f;
    world_kill(&w);
    damage(&w, CUT_IN, &w.pieces[2]);
    world_path(w.pieces[w.n - 1].base, ".log", path);
    assert_ok(w.fs->ops->open(w.fs, path, FS_WRITE, &f, &err), err);
    assert_ok(fs_pwrite(w.fs, f, "never acknowledged", 18, w.pieces[w.n - 1].position + w.pieces[w.n - 1].size, &err), err);
    assert_ok(w.fs->ops->close(f, &err), err);
    assert_ok(fs_read_all(w.fs, path, 1 << 20, &before, &err), err);
    world_start(&w);
    assert_stopped(&w, "durable");
    assert_ok(fs_read_all(w.fs, path, 1 << 20, &after, &err), err);
    assert_int_equal(before.n, after.n);
    assert_ok(world_accept(&w, &err), err);
    check_and_go_on(&w);
    buf_done(&before);
    buf_done(&after);
    world_done(&w);
}
