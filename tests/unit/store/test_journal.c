// SPDX-License-Identifier: Apache-2.0
// Frames and the journal: cuts, flips, stale laps, missing pieces.
#include "journal.h"

#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "edit.h"
#include "fixture.h"
#include "fs_crash.h"

// ── records ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static const enum edit_kind kinds[] = {
    EDIT_COUNTERS, EDIT_TOPIC, EDIT_PARTITION, EDIT_SEGMENT, EDIT_EPOCH, EDIT_PRODUCERS, EDIT_GRAVE, EDIT_CREATE, EDIT_DELETE, EDIT_GROW,
    EDIT_CONFIG, EDIT_ROLL, EDIT_RANGE, EDIT_LOG_START, EDIT_DROP, EDIT_SWAP, EDIT_PRODUCER_IDS,
};

static struct edit full_edit(enum edit_kind kind) {
    struct edit e = {.kind = kind, .flag = 1, .topic = 2, .partition = 3, .index = 4, .count = 5, .generation = 6, .crc_before = 7, .crc = 8, .epoch = 9,
                     .base = 10, .first = 11, .end = 12, .max_ts = -13, .time = 14, .position = 15, .size = 16, .name = STR("name"), .text = STR("te\0xt")};
    memset(e.id.b, 17, sizeof(e.id.b));
    return e;
}

TEST(every_kind_of_edit_comes_back_as_it_was_put) {
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        struct buf once = {0}, twice = {0};
        struct edit e = full_edit(kinds[i]), back;
        struct err err;
        edit_put(&once, &e);
        struct cur c = cur_str(buf_str(&once));
        assert_int_equal(edit_next(&c, &back, &err), 1);
        assert_int_equal(edit_next(&c, &back, &err), 0);
        c = cur_str(buf_str(&once));
        assert_int_equal(edit_next(&c, &back, &err), 1);
        edit_put(&twice, &back);
        assert_true(str_eq(buf_str(&once), buf_str(&twice)));
        buf_done(&once);
        buf_done(&twice);
    }
}

TEST(an_edit_cut_at_any_byte_is_malformed) {
    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        struct buf b = {0};
        struct edit e = full_edit(kinds[i]), back;
        struct err err;
        edit_put(&b, &e);
        for (size_t n = 1; n < b.n; n++) {
            struct cur c = cur_of(b.p, n);
            assert_int_equal(edit_next(&c, &back, &err), -1);
            assert_int_equal(err.code, ERR_CORRUPT);
        }
        buf_done(&b);
    }
}

TEST(an_edit_of_an_unknown_kind_was_written_by_a_newer_version) {
    struct cur c = cur_str(STR("\xc8rest"));
    struct edit e;
    struct err err;
    assert_int_equal(edit_next(&c, &e, &err), -1);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
}

// ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static const struct uuid JOURNAL = {"0123456789abcde"}, OTHER = {"0123456789abcdf"};

static struct buf make_frame(uint32_t lap, uint64_t seq) {
    struct buf b = {0};
    struct edit e = full_edit(EDIT_RANGE);
    e.size = 5;
    e.crc = crc32c(e.crc_before, "hello", 5);
    frame_begin(&b);
    edit_put(&b, &e);
    frame_end(&b, JOURNAL, lap, seq, 99, 5);
    buf_putz(&b, "hello");
    return b;
}

static bool frame_is_good(const struct buf *b, struct uuid journal, struct frame *f) {
    return frame_header_read(b->p, b->n, journal, f) && frame_bytes(f) >= b->n && FRAME_HEADER + f->records_n + f->data_n == b->n &&
           frame_records_match(f, journal, b->p + FRAME_HEADER) &&
           frame_data_match(f, cur_of(b->p + FRAME_HEADER, f->records_n), b->p + FRAME_HEADER + f->records_n);
}

TEST(a_frame_reads_back_and_any_bit_flip_in_it_is_noticed) {
    struct buf b = make_frame(3, 42);
    struct frame f;
    assert_true(frame_is_good(&b, JOURNAL, &f));
    assert_int_equal(f.lap, 3);
    assert_int_equal(f.seq, 42);
    assert_int_equal(f.time_ms, 99);
    for (size_t bit = 0; bit < b.n * 8; bit++) {
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
        assert_false(frame_is_good(&b, JOURNAL, &f));
        b.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    buf_done(&b);
}

TEST(a_frame_of_another_journal_or_placed_into_another_lap_is_none) {
    struct buf b = make_frame(3, 42);
    struct frame f;
    assert_false(frame_header_read(b.p, b.n, OTHER, &f));
    put_be32(b.p + 12, 4); // the lap alone: the checksum was salted with the old one
    assert_false(frame_header_read(b.p, b.n, JOURNAL, &f));
    buf_done(&b);
}

// ── the file ─────────────────────────────────────────────────────────────────────────────────────────────────────────

static uint64_t frames_end; // in the file, of the last frame written

// A store with some commits after its checkpoint, as a kill leaves it.
static struct fs *killed_store(int commits) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    assert_ok(store_checkpoint(s, &err), err);
    for (int i = 0; i < commits; i++) assert_int_equal(fixture_put(s, "t", 0, "some text", &err), i);
    struct fs *copy = fs_mem_clone(fs);
    frames_end = JOURNAL_HEADER + (uint64_t)(1 + commits) * FRAME_ALIGN; // the topic's and one each
    fixture_close(s);
    fs_close(fs);
    return copy;
}

static struct fs *clone_and_flip(struct fs *fs, const char *path, uint64_t at, uint8_t mask) {
    struct fs *copy = fs_mem_clone(fs);
    fs_mem_flip(copy, path, at, mask);
    return copy;
}

// Opens and closes; the end of t-0, or -1 when refused. Takes the disk.
static int64_t end_after(struct fs *disk, struct err *err) {
    struct store_options o = fixture_options(disk);
    struct store *s;
    int64_t end = -1;
    if (!store_open(&o, &s, err)) {
        end = fixture_offsets(s, "t", 0).high_watermark;
        assert_int_equal(fixture_put(s, "t", 0, "more", err), end);
        fixture_close(s);
    }
    fs_close(disk);
    return end;
}

TEST(a_flip_in_the_last_frame_costs_that_commit_or_nothing) {
    enum { COMMITS = 4 };
    struct fs *fs = killed_store(COMMITS);
    struct err err;
    unsigned lost = 0;
    for (uint64_t at = frames_end - FRAME_ALIGN; at < frames_end - FRAME_ALIGN + 320; at++)
        for (int bit = 0; bit < 8; bit++) {
            int64_t end = end_after(clone_and_flip(fs, JOURNAL_NAME, at, (uint8_t)(1 << bit)), &err);
            assert_true(end == COMMITS || end == COMMITS - 1);
            lost += end < COMMITS;
        }
    assert_true(lost >= 180 * 8); // all but the padding
    fs_close(fs);
}

TEST(a_flip_in_a_frame_that_is_not_the_last_is_damage_and_the_start_is_refused) {
    enum { COMMITS = 4 };
    struct fs *fs = killed_store(COMMITS);
    struct err err;
    unsigned refused = 0;
    for (uint64_t at = frames_end - 2 * FRAME_ALIGN; at < frames_end - 2 * FRAME_ALIGN + 320; at++)
        for (int bit = 0; bit < 8; bit++) {
            int64_t end = end_after(clone_and_flip(fs, JOURNAL_NAME, at, (uint8_t)(1 << bit)), &err);
            assert_true(end == COMMITS || (end == -1 && err.code == ERR_CORRUPT));
            refused += end < 0;
        }
    assert_true(refused >= 180 * 8);
    fs_close(fs);
}

TEST(the_last_frame_cut_at_any_byte_is_as_if_it_had_never_been_written) {
    enum { COMMITS = 3, USED = 260 };
    struct fs *fs = killed_store(COMMITS);
    struct err err;
    static const uint8_t fills[] = {0, 0xff, 0x5a};
    for (size_t fill = 0; fill < sizeof(fills); fill++)
        for (uint64_t cut = 0; cut < USED; cut++) {
            struct fs *disk = fs_mem_clone(fs);
            struct fs_file *f;
            uint8_t rest[FRAME_ALIGN];
            memset(rest, fills[fill], sizeof(rest));
            uint64_t at = frames_end - FRAME_ALIGN + cut;
            assert_ok(disk->ops->open(disk, JOURNAL_NAME, FS_WRITE, &f, &err), err);
            assert_ok(fs_pwrite(disk, f, rest, FRAME_ALIGN - cut, at, &err), err);
            disk->ops->close(f, NULL);
            int64_t end = end_after(disk, &err);
            assert_true(end == COMMITS - 1 || (end == COMMITS && cut > 180)); // cut in the padding
        }
    fs_close(fs);
}

TEST(a_later_frame_behind_a_missing_one_is_damage) {
    struct fs *fs = killed_store(4);
    struct fs_file *f;
    struct err err;
    uint8_t zeros[FRAME_ALIGN] = {0};
    assert_ok(fs->ops->open(fs, JOURNAL_NAME, FS_WRITE, &f, &err), err);
    assert_ok(fs_pwrite(fs, f, zeros, sizeof(zeros), frames_end - 3 * FRAME_ALIGN, &err), err);
    fs->ops->close(f, NULL);
    assert_int_equal(end_after(fs_mem_clone(fs), &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_has(err.msg, "but a later one");
    assert_has(err.hint, "nothing was changed");
    fs_close(fs);
}

TEST(a_missing_or_damaged_journal_beside_data_is_refused_and_nothing_is_changed) {
    struct err err;
    struct fs *fs = killed_store(2), *before;
    assert_int_equal(end_after(clone_and_flip(fs, JOURNAL_NAME, 20, 1), &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_ok(fs->ops->unlink(fs, JOURNAL_NAME, &err), err);
    before = fs_mem_clone(fs);
    struct fs *disk = fs_mem_clone(fs);
    struct store_options o = fixture_options(disk);
    struct store *s;
    assert_fails(store_open(&o, &s, &err), err, ERR_CORRUPT);
    assert_has(err.msg, "journal is missing");
    assert_ok(disk->ops->unlink(disk, ".lock", &err), err);
    assert_ok(before->ops->unlink(before, ".lock", &err), err);
    assert_true(fs_mem_equal(disk, before));
    fs_close(disk);
    fs_close(before);
    fs_close(fs);
}

TEST(one_bad_checkpoint_costs_nothing_and_two_are_refused) {
    struct fs *fs = killed_store(3);
    struct err err;
    for (uint64_t at = 0; at < 80; at += 3) { // both are longer
        assert_int_equal(end_after(clone_and_flip(fs, "checkpoint-0", at, 4), &err), 3);
        assert_int_equal(end_after(clone_and_flip(fs, "checkpoint-1", at, 4), &err), 3);
    }
    fs_mem_flip(fs, "checkpoint-0", 30, 1);
    assert_int_equal(end_after(clone_and_flip(fs, "checkpoint-1", 30, 1), &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_has(err.msg, "both checkpoints");
    fs_close(fs);
}

TEST(missing_properties_beside_partitions_are_refused) {
    struct fs *fs = killed_store(1);
    struct err err;
    assert_ok(fs->ops->unlink(fs, "meta.properties", &err), err);
    assert_int_equal(end_after(fs, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

TEST(a_newer_format_is_not_touched) {
    static const char text[] = "#\nversion=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\nnode.id=1\nconnectd.format=2\n";
    struct fs *fs = killed_store(1);
    struct err err;
    assert_ok(fs_replace(fs, "meta.properties", text, sizeof(text) - 1, &err), err);
    assert_int_equal(end_after(fs, &err), -1);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_has(err.msg, "format 2");
}

TEST(the_journal_goes_round_many_times_and_an_older_lap_is_never_read) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    char text[20];
    for (int i = 0; i < 1500; i++) { // 1 MiB holds 256 frames
        snprintf(text, sizeof(text), "%d", i);
        assert_int_equal(fixture_put(s, "t", 0, text, &err), i);
        if (i % 50 == 0) assert_ok(store_checkpoint(s, &err), err);
        if (i % 97) continue;
        assert_int_equal(end_after(fs_mem_clone(fs), &err), i + 1);
    }
    fixture_close(s);
    fs_close(fs);
}

TEST(a_frame_for_which_there_is_no_room_is_refused_and_nothing_is_written_over) {
    struct fs *fs = fs_mem_new();
    struct journal *j;
    struct err err;
    struct buf frame = {0};
    uint8_t data[3 * FRAME_ALIGN] = {1};
    struct iovec iov = {data, sizeof(data)};
    assert_ok(journal_create(fs, JOURNAL_MIN, &err), err);
    assert_ok(journal_open(fs, &j, &err), err);
    while (journal_fits(j, sizeof(data) + FRAME_ALIGN)) {
        buf_clear(&frame);
        frame_begin(&frame);
        assert_ok(journal_append(j, &frame, &iov, 1, 0, &err), err);
    }
    struct fs *before = fs_mem_clone(fs);
    buf_clear(&frame);
    frame_begin(&frame);
    assert_fails(journal_append(j, &frame, &iov, 1, 0, &err), err, ERR_INTERNAL);
    assert_true(fs_mem_equal(fs, before));
    journal_close(j);
    buf_done(&frame);
    fs_close(before);
    fs_close(fs);
}

TEST(a_full_journal_waits_for_a_checkpoint_by_itself) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    fixture_topic(s, "t", 1, NULL, NULL);
    for (int i = 0; i < 700; i++) assert_int_equal(fixture_put(s, "t", 0, "x", &err), i);
    fixture_close(s);
    fs_close(fs);
}

// ── more at once than the journal holds ──────────────────────────────────────────────────────────────────────────────

enum { QUEUED = 400, SPREAD = 64 };

// The first answer holds the flusher up until all the others are queued.
struct crowd {
    sem_t queued, answered;
    atomic_int failed;
};

static void hold_up(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    struct crowd *c = arg;
    sem_wait(&c->queued);
    if (err) atomic_fetch_add(&c->failed, 1);
}

static void count_answer(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    struct crowd *c = arg;
    if (err) atomic_fetch_add(&c->failed, 1);
    sem_post(&c->answered);
}

static void queue_all(struct store *s, struct crowd *c) {
    char text[4000];
    struct err err;
    struct topic *t = topic_get(s, "t");
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = 0;
    for (int i = 0; i < QUEUED; i++) {
        struct commit *one = commit_new(s);
        struct buf batch = fixture_text(text);
        assert_ok(commit_append(one, topic_partition(t, i % SPREAD), &batch, true, &err), err);
        store_commit(s, one, false, i ? count_answer : hold_up, c);
    }
    topic_unref(t);
    sem_post(&c->queued);
}

TEST(commits_that_are_larger_together_than_the_journal_are_all_there_after_a_power_cut) {
    struct fs *fs = fs_fault_new(fs_mem_new());
    struct crowd c = {0};
    int64_t there = 0;
    fs_fault_record(fs, true);
    struct store *s = fixture_open(fs);
    fixture_topic(s, "t", SPREAD, NULL, NULL);
    sem_init(&c.queued, 0, 0);
    sem_init(&c.answered, 0, 0);
    queue_all(s, &c);
    for (int i = 1; i < QUEUED; i++) sem_wait(&c.answered);
    assert_int_equal(atomic_load(&c.failed), 0);
    size_t cut = fs_fault_recorded(fs);
    fixture_close(s);
    struct fs *disk = fs_crash(NULL, fs_fault_trace(fs), cut, fs_keep_none, NULL);
    s = fixture_open(disk);
    for (int i = 0; i < SPREAD; i++) there += fixture_offsets(s, "t", i).high_watermark;
    assert_int_equal(there, QUEUED);
    fixture_close(s);
    sem_destroy(&c.queued);
    sem_destroy(&c.answered);
    fs_close(disk);
    fs_close(fs);
}

TEST(a_store_that_is_closed_with_more_in_its_queue_than_the_journal_holds_writes_all_of_it) {
    struct fs *fs = fs_mem_new();
    struct crowd c = {0};
    struct store *s = fixture_open(fs);
    fixture_topic(s, "t", SPREAD, NULL, NULL);
    sem_init(&c.queued, 0, 0);
    sem_init(&c.answered, 0, 0);
    queue_all(s, &c);
    fixture_close(s);
    assert_int_equal(atomic_load(&c.failed), 0);
    int answered = 0;
    while (!sem_trywait(&c.answered)) answered++;
    assert_int_equal(answered, QUEUED - 1);
    sem_destroy(&c.queued);
    sem_destroy(&c.answered);
    fs_close(fs);
}

// ── what only the page cache has ─────────────────────────────────────────────────────────────────────────────────────

static bool is_slot_write(const struct fs_event *e) { return e->kind == FS_EV_WRITE && !strncmp(e->path, "checkpoint-", 11); }
static bool is_frame_write(const struct fs_event *e) { return e->kind == FS_EV_WRITE && !strcmp(e->path, JOURNAL_NAME); }

// Of what is not synced, half of each checkpoint reached the disk.
static struct fs_keep half_of_checkpoints(void *arg, const struct fs_trace *t, size_t event) {
    const struct fs_event *e = &t->events[event];
    return (struct fs_keep){.take = is_slot_write(e) ? e->n / 2 : 0};
}

// Or everything but frames.
static struct fs_keep all_but_frames(void *arg, const struct fs_trace *t, size_t event) {
    return is_frame_write(&t->events[event]) ? (struct fs_keep){0} : fs_keep_all(arg, t, event);
}

// The power goes at each moment of the start after the process was killed before event `killed`.
static void cut_each_moment(const struct fs_trace *first, size_t killed, fs_keep_fn *keep, int64_t want) {
    struct fs *fs = fs_fault_new(fs_crash(NULL, first, killed, fs_keep_all, NULL));
    fs_fault_record(fs, true);
    struct store *s = fixture_open(fs);
    size_t n = fs_fault_recorded(fs);
    fixture_close(s);
    struct fs_trace all = fs_trace_join(first, killed, fs_fault_trace(fs));
    for (size_t cut = killed; cut <= killed + n; cut++) {
        struct err err;
        int64_t end = end_after(fs_crash(NULL, &all, cut, keep, NULL), &err);
        if (end != want) fail_msg("killed before event %zu, cut before %zu: %s", killed, cut, end < 0 ? err.msg : "not as it was");
    }
    free(all.events);
    fs_close(fs);
}

// Behind each of the last `most` events of the first n that are such writes.
static void cut_behind_last(const struct fs_trace *t, size_t n, bool (*is_it)(const struct fs_event *e), size_t most, fs_keep_fn *keep, int64_t want) {
    for (size_t i = n, tried = 0; i-- > 0 && tried < most;) {
        if (!is_it(&t->events[i])) continue;
        cut_each_moment(t, i + 1, keep, want);
        tried++;
    }
}

TEST(a_checkpoint_that_only_the_page_cache_has_is_made_durable_before_the_other_one_is_touched) {
    struct fs *fs = fs_fault_new(fs_mem_new());
    struct err err;
    fs_fault_record(fs, true);
    struct store *s = fixture_open(fs);
    fixture_topic(s, "t", 1, NULL, NULL);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fixture_put(s, "t", 0, "x", &err), i);
        assert_ok(store_checkpoint(s, &err), err);
    }
    size_t n = fs_fault_recorded(fs);
    fixture_close(s);
    cut_behind_last(fs_fault_trace(fs), n, is_slot_write, 2, half_of_checkpoints, 2);
    fs_close(fs);
}

TEST(a_frame_that_only_the_page_cache_has_is_made_durable_before_files_go_by_it) {
    struct fs *fs = fs_fault_new(fs_mem_new());
    struct err err;
    fs_fault_record(fs, true);
    struct store *s = fixture_open(fs);
    fixture_topic(s, "t", 1, "segment.bytes", "100");
    for (int i = 0; i < 6; i++) assert_int_equal(fixture_put(s, "t", 0, "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", &err), i);
    struct topic *t = topic_get(s, "t");
    assert_true(fixture_offsets(s, "t", 0).segments > 2);
    assert_ok(partition_delete_before(topic_partition(t, 0), 6, &err), err);
    assert_ok(store_clean(s, &err), err);
    assert_int_equal(fixture_offsets(s, "t", 0).segments, 1);
    topic_unref(t);
    size_t n = fs_fault_recorded(fs);
    fixture_close(s);
    cut_behind_last(fs_fault_trace(fs), n, is_frame_write, 1, all_but_frames, 6);
    fs_close(fs);
}
