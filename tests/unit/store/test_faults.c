// SPDX-License-Identifier: Apache-2.0
// Every file operation failing: the store refuses or stops, retries are exact, and a restart shows what was acknowledged.
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fixture.h"
#include "fs_crash.h"
#include "cleaner.h"
#include "index.h"
#include "store_int.h"

// ── an idempotent producer that retries ──────────────────────────────────────────────────────────────────────────────

enum { BATCHES = 24, TRIES = 4 };

struct producer {
    struct store *s;
    int next;           // batch
    int acked;          // batches acknowledged
    bool checkpoints;
};

static int send_batch(struct store *s, int number, struct append_result *ret, struct err *err) {
    char text[700];
    snprintf(text, sizeof(text), "%d:%0*d", number, number % 5 == 0 ? 600 : 5, 0);
    const char *texts[] = {text};
    struct topic *t = topic_get(s, "t");
    struct buf batch = fixture_batch(77, 0, number, texts, 1);
    struct commit *c = commit_new(s);
    int failed = !t ? err_set(err, ERR_NOT_FOUND, "no topic") : commit_append(c, topic_partition(t, 0), &batch, true, err);
    topic_unref(t);
    if (failed) {
        buf_done(&batch);
        commit_free(c);
        return -1;
    }
    return store_commit_wait(s, c, ret, err);
}

// Goes on until all batches are in, or the store stops, or a batch keeps failing.
static void produce(struct producer *p) {
    struct append_result r;
    struct err err;
    for (int tries = 0; p->next < BATCHES && tries < TRIES;) {
        if (send_batch(p->s, p->next, &r, &err)) {
            if (!err_retriable(&err)) {
                assert_true(err.code == ERR_STOPPED || err.code == ERR_NOT_FOUND);
                return;
            }
            tries++;
            continue;
        }
        assert_int_equal(r.base_offset, p->next);
        tries = 0;
        p->acked = ++p->next;
        if (p->checkpoints && p->next % 6 == 0 && store_checkpoint(p->s, &err)) tries = 0; // it may fail, and is tried again
    }
}

static struct store_options small_options(struct fs *fs) {
    struct store_options o = fixture_options(fs);
    o.journal_bytes = 256 * 1024;
    o.inline_max_bytes = 512;
    return o;
}

static struct store *try_open(struct fs *fs) {
    struct store_options o = small_options(fs);
    struct store *s;
    struct err err;
    return store_open(&o, &s, &err) ? NULL : s;
}

static void create_if_missing(struct store *s) {
    struct topic_setting small = {"segment.bytes", "1000"};
    struct topic *t = topic_get(s, "t");
    struct err err;
    if (!t) (void)!store_topic_create(s, "t", 1, &small, 1, &err);
    topic_unref(t);
}

// What is on the disk now holds what was acknowledged, and the producer, retrying from there, ends with each batch exactly once.
static void finish_on(struct fs *disk, struct producer p) {
    struct store *s = try_open(disk);
    assert_non_null(s);
    create_if_missing(s);
    int64_t end = fixture_offsets(s, "t", 0).high_watermark;
    assert_true(end >= p.acked && end <= p.next + 1);
    p.s = s;
    p.next = p.acked; // what was not acknowledged is sent again
    produce(&p);
    assert_int_equal(p.next, BATCHES);
    assert_int_equal(fixture_offsets(s, "t", 0).high_watermark, BATCHES);
    const char *log = fixture_log(s, "t", 0, READ_UNCOMMITTED);
    for (int i = 0; i < BATCHES; i++) {
        char want[16];
        snprintf(want, sizeof(want), "%d:%d:0", i, i);
        assert_has(log, want);
    }
    fixture_close(s);
    fs_close(disk);
}

static unsigned run_with(const struct fs_fault_rule *rule) {
    struct fs *inner = fs_mem_new(), *fs = fs_fault_new(inner);
    struct producer p = {.checkpoints = true};
    struct err err;
    fs_fault_record(fs, true);
    if (rule) fs_fault_add(fs, *rule);
    p.s = try_open(fs);
    if (p.s) {
        create_if_missing(p.s);
        produce(&p);
        if (!rule) assert_int_equal(p.next, BATCHES);
        assert_true(store_close(p.s, &err) == 0 || rule);
    }
    if (fs_fault_open_files(fs)) fail_msg("%u files were left open", fs_fault_open_files(fs));
    finish_on(fs_mem_clone(inner), p);
    const struct fs_trace *t = fs_fault_trace(fs);
    finish_on(fs_crash(NULL, t, t->n, fs_keep_none, NULL), p); // and what a failed sync left behind is gone
    unsigned calls = rule ? 0 : fs_fault_count(fs, FS_OP_ALL);
    fs_close(fs);
    return calls;
}

TEST(whatever_operation_fails_an_idempotent_producer_that_retries_is_in_the_log_exactly_once) {
    static const unsigned ops[] = {FS_OP_OPEN, FS_OP_CLOSE, FS_OP_READ, FS_OP_WRITE, FS_OP_SYNC, FS_OP_TRUNCATE, FS_OP_ALLOCATE, FS_OP_STAT,
                                   FS_OP_MKDIR, FS_OP_RENAME, FS_OP_UNLINK, FS_OP_SYNC_DIR, FS_OP_LIST, FS_OP_SPACE};
    static const int errors[] = {EIO, ENOSPC};
    const char *all = getenv("CONNECTD_SWEEP"); // every call; else every third
    unsigned calls = run_with(NULL), step = all ? 1 : 3, runs = 0;
    assert_true(calls > 200);
    for (size_t op = 0; op < sizeof(ops) / sizeof(*ops); op++)
        for (unsigned skip = 0; skip < calls; skip += step) {
            struct fs_fault_rule rule = {.ops = ops[op], .skip = skip, .sys = errors[(op + skip) % 2], .forever = (skip / 2) % 2};
            if (ops[op] == FS_OP_WRITE && skip % 3 == 0) rule.short_bytes = 40;
            if (ops[op] == FS_OP_SYNC && skip % 2) rule.done = true;
            run_with(&rule);
            runs++;
            if (skip > 260) break;
        }
    print_message("%u runs, each with one operation failing once or for ever\n", runs);
}

// ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────────────────

static struct fs *memory; // under the last faulty store

static struct fs *faulty_store(struct store **ret) {
    memory = fs_mem_new();
    struct fs *fs = fs_fault_new(memory);
    struct err err;
    *ret = try_open(fs);
    assert_non_null(*ret);
    create_if_missing(*ret);
    assert_int_equal(fixture_put(*ret, "t", 0, "durable", &err), 0);
    return fs;
}

TEST(a_failed_sync_of_the_journal_stops_the_store_and_what_is_durable_can_still_be_read) {
    struct store *s;
    struct fs *fs = faulty_store(&s);
    struct err err;
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_SYNC, .path = "journal", .sys = EIO});
    assert_int_equal(fixture_put(s, "t", 0, "never told", &err), -1);
    assert_int_equal(err.code, ERR_STOPPED);
    assert_has(err.msg, "fdatasync journal");
    assert_fails(store_health(s, &err), err, ERR_STOPPED);
    assert_int_equal(fixture_put(s, "t", 0, "neither", &err), -1);
    assert_int_equal(err.code, ERR_STOPPED);
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "0:durable");
    assert_int_equal(fixture_offsets(s, "t", 0).high_watermark, 1);
    assert_fails(store_topic_create(s, "new", 1, NULL, 0, &err), err, ERR_STOPPED);
    assert_fails(store_topic_delete(s, "t", &err), err, ERR_STOPPED);
    assert_int_not_equal(store_close(s, &err), 0);
    fs_close(fs);
}

TEST(a_failed_write_of_a_frame_stops_the_store_and_nothing_of_it_is_seen) {
    struct store *s;
    struct fs *fs = faulty_store(&s);
    struct err err;
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_WRITE, .path = "journal", .sys = EIO, .short_bytes = 100});
    assert_int_equal(fixture_put(s, "t", 0, "half", &err), -1);
    assert_int_equal(err.code, ERR_STOPPED);
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "0:durable");
    assert_int_not_equal(store_close(s, &err), 0);
    fs_close(fs);
}

TEST(a_failed_sync_of_a_segment_that_a_frame_would_point_into_stops_the_store) {
    struct store *s;
    struct fs *fs = faulty_store(&s);
    struct err err;
    char large[1000];
    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = 0;
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_SYNC, .path = ".log", .sys = EIO});
    assert_int_equal(fixture_put(s, "t", 0, large, &err), -1);
    assert_int_equal(err.code, ERR_STOPPED);
    assert_int_not_equal(store_close(s, &err), 0);
    fs_close(fs);
}

// What the next process finds; lets the failed one's disk go.
static struct fs *next_disk(struct fs *fs) {
    struct fs *next = fs_mem_clone(memory);
    fs_close(fs);
    return next;
}

static void post(void *arg) { sem_post(arg); }

// A store that forgets to wake is a failed test, not one that hangs.
static void wait_for(sem_t *woken) {
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 20;
    assert_int_equal(sem_timedwait(woken, &until), 0);
}

TEST(a_watch_on_a_store_that_stops_is_woken) {
    struct store *s;
    struct fs *fs = faulty_store(&s);
    struct err err;
    sem_t woken;
    sem_init(&woken, 0, 0);
    struct topic *t = topic_get(s, "t");
    struct watch w = {.partition = topic_partition(t, 0), .beyond = 10, .fn = post, .arg = &woken};
    partition_watch(&w);
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_SYNC, .path = "journal", .sys = EIO});
    assert_int_equal(fixture_put(s, "t", 0, "x", &err), -1);
    assert_fails(store_health(s, &err), err, ERR_STOPPED); // or nobody would ever wake it
    wait_for(&woken);
    partition_unwatch(&w);
    topic_unref(t);
    assert_int_not_equal(store_checkpoint(s, &err), 0);
    assert_int_not_equal(store_close(s, &err), 0);
    sem_destroy(&woken);
    fs_close(fs);
}

// A checkpoint that is asked for while the flusher is about to write a frame; it comes after what becomes of that.
struct late {
    struct store *s;
    sem_t reached;
    bool armed;
    int result;
    struct err err;
};

static bool is_asked_for(struct flusher *f) {
    LOCK_SCOPE(&f->lock);
    return f->calls != NULL;
}

static void hold_frame(void *arg, enum fs_op op, const char *path) {
    struct late *l = arg;
    if (!l->armed || op != FS_OP_WRITE || strcmp(path, "journal") != 0) return;
    l->armed = false;
    sem_post(&l->reached);
    while (!is_asked_for(&l->s->flusher)) sched_yield();
}

static void *take_checkpoint(void *arg) {
    struct late *l = arg;
    wait_for(&l->reached);
    l->result = store_checkpoint(l->s, &l->err);
    return NULL;
}

TEST(a_checkpoint_taken_after_a_frame_failed_does_not_keep_what_was_in_it) {
    struct late l = {0};
    struct fs *fs = faulty_store(&l.s);
    struct append_result r;
    struct err err;
    pthread_t thread;
    sem_init(&l.reached, 0, 0);
    assert_ok(send_batch(l.s, 0, &r, &err), err);
    fs_fault_on_call(fs, hold_frame, &l);
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_WRITE, .path = "journal", .sys = EIO});
    assert_int_equal(pthread_create(&thread, NULL, take_checkpoint, &l), 0);
    l.armed = true;
    assert_int_equal(send_batch(l.s, 1, &r, &err), -1);
    assert_int_equal(err.code, ERR_STOPPED);
    pthread_join(thread, NULL);
    assert_fails(l.result, l.err, ERR_STOPPED);
    assert_int_not_equal(store_close(l.s, &err), 0);
    fs = next_disk(fs);
    l.s = try_open(fs);
    assert_non_null(l.s);
    assert_ok(send_batch(l.s, 1, &r, &err), err); // a batch that is nowhere is no duplicate
    assert_false(r.duplicate);
    fixture_close(l.s);
    sem_destroy(&l.reached);
    fs_close(fs);
}

TEST(a_commit_over_two_partitions_of_which_one_can_not_be_written_leaves_nothing_in_either) {
    struct store *s;
    struct fs *fs = faulty_store(&s);
    struct err err;
    fixture_topic(s, "u", 1, NULL, NULL);
    struct topic *t = topic_get(s, "t"), *u = topic_get(s, "u");
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_WRITE, .path = "u-0", .sys = EIO, .short_bytes = 10});
    struct commit *c = commit_new(s);
    struct buf one = fixture_text("one"), two = fixture_text("two");
    assert_ok(commit_append(c, topic_partition(t, 0), &one, true, &err), err);
    assert_ok(commit_append(c, topic_partition(u, 0), &two, true, &err), err);
    assert_int_equal(store_commit_wait(s, c, NULL, &err), -1);
    assert_true(err_retriable(&err));
    assert_string_equal(fixture_log(s, "t", 0, READ_UNCOMMITTED), "0:durable");
    assert_string_equal(fixture_log(s, "u", 0, READ_UNCOMMITTED), "");
    assert_int_equal(fixture_put(s, "u", 0, "again", &err), 0);
    assert_int_equal(fixture_put(s, "t", 0, "again", &err), 1);
    topic_unref(t);
    topic_unref(u);
    fixture_close(s);
    fs_close(fs);
}

// ── what heals ───────────────────────────────────────────────────────────────────────────────────────────────────────

TEST(a_topic_whose_creation_failed_half_way_can_be_created_once_the_disk_is_well) {
    for (int restart = 0; restart < 2; restart++) {
        struct store *s;
        struct fs *fs = faulty_store(&s);
        struct err err;
        fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_ALL & ~FS_OP_CLOSE, .path = "u-1", .skip = 4, .sys = EIO, .forever = true});
        assert_fails(store_topic_create(s, "u", 2, NULL, 0, &err), err, ERR_IO);
        fs_fault_clear(fs);
        if (restart) {
            fixture_close(s); // a clean one: nobody looks at folders then
            fs = next_disk(fs);
            s = try_open(fs);
            assert_non_null(s);
        }
        assert_ok(store_topic_create(s, "u", 2, NULL, 0, &err), err);
        assert_int_equal(fixture_put(s, "u", 1, "in", &err), 0);
        fixture_close(s);
        fs_close(fs);
    }
}

// One small record, and one that the frame points to; killed before any checkpoint.
static struct fs *killed_store(void) {
    char large[1000];
    struct store *s;
    struct fs *fs = faulty_store(&s);
    struct err err;
    memset(large, 'x', sizeof(large) - 1);
    large[sizeof(large) - 1] = 0;
    assert_int_equal(fixture_put(s, "t", 0, large, &err), 1);
    fixture_topic(s, "u", 1, NULL, NULL);
    assert_int_equal(fixture_put(s, "u", 0, "beside", &err), 0);
    struct fs *disk = fs_mem_clone(memory);
    fixture_close(s);
    fs_close(fs);
    return disk;
}

TEST(a_start_that_is_refused_a_file_fails_and_the_next_one_has_lost_nothing) {
    static const struct fs_fault_rule rules[] = {{.ops = FS_OP_OPEN, .path = "t-0/", .sys = EMFILE},
                                                 {.ops = FS_OP_OPEN, .path = "t-0/", .sys = ENOSPC},
                                                 {.ops = FS_OP_STAT, .path = "t-0/0", .sys = EIO}};
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        struct fs *disk = killed_store(), *fs = fs_fault_new(disk);
        struct store_options o = small_options(fs);
        struct store *s;
        struct err err;
        fs_fault_add(fs, rules[i]);
        assert_int_equal(store_open(&o, &s, &err), -1);
        assert_has(err.msg, "(injected)");
        fs_mem_unlock(disk);
        s = try_open(fs);
        assert_non_null(s);
        assert_int_equal(fixture_offsets(s, "t", 0).high_watermark, 2);
        assert_has(fixture_log(s, "t", 0, READ_UNCOMMITTED), "0:durable 1:x");
        fixture_close(s);
        fs_close(fs);
    }
}

static struct store *open_unreadable(struct fs *fs, bool forever) {
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_READ, .path = "t-0/", .sys = EIO, .forever = forever});
    struct store *s = try_open(fs);
    assert_non_null(s);
    fs_fault_clear(fs);
    return s;
}

TEST(a_place_that_can_not_be_read_stops_its_partition_and_one_that_can_be_the_second_time_does_not) {
    for (int forever = 0; forever < 2; forever++) {
        struct fs *fs = fs_fault_new(killed_store());
        struct store *s = open_unreadable(fs, forever);
        struct topic *t = topic_get(s, "t");
        struct err err;
        assert_int_equal(partition_health(topic_partition(t, 0), &err), -forever);
        if (forever) assert_has(err.msg, "input/output error");
        topic_unref(t);
        assert_string_equal(fixture_log(s, "u", 0, READ_UNCOMMITTED), "0:beside");
        fixture_close(s);
        fs_close(fs);
    }
}

static void put_key(struct store *s, const char *key, const char *value) {
    struct err err;
    struct topic *t = topic_get(s, "keys");
    assert_ok(partition_append(topic_partition(t, 0), str_of(key), str_of(value), NULL, &err), err);
    topic_unref(t);
}

// The names of the rewritten segment are in the page cache, and the sync that was to make them durable failed. The next process sees them there.
TEST(a_rewritten_segment_whose_names_could_not_be_synced_is_there_after_a_restart_and_a_power_cut) {
    struct topic_setting compact[] = {{"cleanup.policy", "compact"}, {"segment.bytes", "200"}, {"min.cleanable.dirty.ratio", "0"}};
    struct store *s;
    struct fs *fs = faulty_store(&s);
    struct err err;
    fixture_close(s);
    fs = next_disk(fs);
    struct fs *first = fs_fault_new(fs), *base = fs_mem_clone(fs);
    fs_fault_record(first, true);
    s = try_open(first);
    assert_non_null(s);
    assert_ok(store_topic_create(s, "keys", 1, compact, 3, &err), err);
    put_key(s, "a", "old");
    put_key(s, "c", "kept");
    for (int i = 0; i < 6; i++) put_key(s, i % 2 ? "a" : "b", i < 4 ? "old" : "new");
    fs_fault_add(first, (struct fs_fault_rule){.ops = FS_OP_SYNC_DIR, .path = "keys-0", .skip = 1, .sys = EIO});
    assert_int_not_equal(store_clean(s, &err), 0);
    assert_fails(store_close(s, &err), err, ERR_STOPPED);

    struct fs *second = fs_fault_new(fs_mem_clone(fs));
    fs_fault_record(second, true);
    s = try_open(second);
    assert_non_null(s);
    char want[200];
    snprintf(want, sizeof(want), "%s", fixture_log(s, "keys", 0, READ_UNCOMMITTED));
    fixture_close(s);
    struct fs_trace all = fs_trace_join(fs_fault_trace(first), fs_fault_trace(first)->n, fs_fault_trace(second));
    struct fs *disk = fs_crash(base, &all, all.n, fs_keep_none, NULL);
    s = try_open(disk);
    assert_non_null(s);
    assert_string_equal(fixture_log(s, "keys", 0, READ_UNCOMMITTED), want);
    fixture_close(s);
    free(all.events);
    fs_close(disk);
    fs_close(second);
    fs_close(first);
    fs_close(base);
}

TEST(a_changed_byte_of_a_batch_that_the_journal_only_points_to_stops_its_partition) {
    struct fs *fs = killed_store();
    struct err err;
    fs_mem_flip(fs, "t-0/00000000000000000001.log", 200, 1);
    struct store *s = try_open(fs);
    assert_non_null(s);
    struct topic *t = topic_get(s, "t");
    assert_fails(partition_health(topic_partition(t, 0), &err), err, ERR_CORRUPT);
    assert_has(err.msg, "checksum");
    topic_unref(t);
    assert_string_equal(fixture_log(s, "u", 0, READ_UNCOMMITTED), "0:beside");
    fixture_close(s);
    fs_close(fs);
}

// ── a full disk ──────────────────────────────────────────────────────────────────────────────────────────────────────

// The journal is full and no checkpoint can free it.
TEST(topics_are_refused_too_while_the_journal_is_full_and_the_disk_too_and_not_waited_for) {
    struct store *s;
    struct fs *fs = faulty_store(&s);
    struct err err;
    fixture_topic(s, "rolls", 1, NULL, NULL);
    assert_int_equal(fixture_put(s, "rolls", 0, "x", &err), 0);
    fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_WRITE, .path = "checkpoint-", .sys = ENOSPC, .forever = true});
    while (fixture_put(s, "t", 0, "y", &err) >= 0) continue;
    assert_int_equal(err.code, ERR_NOSPACE);
    assert_fails(store_topic_create(s, "new", 1, NULL, 0, &err), err, ERR_NOSPACE);
    struct topic *t = topic_get(s, "rolls");
    assert_fails(partition_roll_now(s, topic_partition(t, 0), &err), err, ERR_NOSPACE);
    topic_unref(t);
    assert_ok(store_health(s, &err), err);
    fs_fault_clear(fs);
    assert_ok(store_checkpoint(s, &err), err);
    assert_ok(store_topic_create(s, "new", 1, NULL, 0, &err), err);
    fixture_close(s);
    fs_close(fs);
}

TEST(a_full_disk_refuses_writes_goes_on_reading_and_recovers_by_itself) {
    struct fs *fs = fs_mem_new();
    struct store_options o = fixture_options(fs);
    struct store *s;
    struct err err = {0};
    char text[4000];
    memset(text, 'y', sizeof(text));
    text[sizeof(text) - 1] = 0;
    assert_ok(store_open(&o, &s, &err), err);
    fixture_topic(s, "t", 1, NULL, NULL);
    fs_mem_set_capacity(fs, 2 * 1024 * 1024);
    for (int round = 0; round < 20; round++) {
        int64_t before = fixture_offsets(s, "t", 0).high_watermark, at = 0;
        while ((at = fixture_put(s, "t", 0, text, &err)) >= 0) assert_true(at < before + 2000);
        assert_int_equal(err.code, ERR_NOSPACE);
        assert_true(err_retriable(&err));
        assert_ok(store_health(s, &err), err);
        int64_t end = fixture_offsets(s, "t", 0).high_watermark;
        if (round == 0) assert_true(end > 100);
        struct topic *t = topic_get(s, "t");
        struct buf out = {0};
        struct read_result r;
        struct read_request q = {.from = end - 1, .max_bytes = 10000};
        assert_ok(partition_read(topic_partition(t, 0), &q, &out, &r, &err), err);
        assert_int_equal(r.next, end);
        buf_done(&out);
        topic_unref(t);
        assert_ok(store_checkpoint(s, &err), err); // the reserve is for this
        fs_mem_set_capacity(fs, (uint64_t)(2 * 1024 * 1024) + (uint64_t)(round + 1) * 200 * 1024);
    }
    fs_mem_set_capacity(fs, UINT64_C(1) << 40);
    assert_true(fixture_put(s, "t", 0, "room again", &err) > 0);
    fixture_close(s);
    fs_close(fs);
}

// ── indexes ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static struct buf events;
static void note_event(void *arg, enum store_event_kind kind, const char *text) { buf_printf(&events, "%d %s\n", kind, text); }

TEST(a_failed_sync_of_a_sealed_index_is_told_and_the_index_made_anew_and_the_store_goes_on) {
    static const int errors[] = {EIO, ENOSPC};
    for (int k = 0; k < 4; k++) {
        struct fs *fs = fs_fault_new(fs_mem_new());
        struct store *s = fixture_open(fs);
        struct fs_file *log;
        struct fs_stat st;
        struct err err;
        bool for_ever = k >= 2;
        buf_clear(&events);
        s->o.event = note_event;
        fixture_topic(s, "t", 1, "segment.bytes", "6000");
        fixture_fill(s, "t", 0, 20, 500);
        fs_fault_add(fs, (struct fs_fault_rule){.ops = FS_OP_SYNC, .path = "0.index", .sys = errors[k % 2], .forever = for_ever});
        assert_ok(store_checkpoint(s, &err), err);
        fs_fault_clear(fs);
        assert_ok(store_health(s, &err), err);
        assert_has(buf_cstr(&events), "1 index of t-0/00000000000000000000: ");
        assert_has(buf_cstr(&events), for_ever ? "is gone, and reads there begin at its start" : "it was made anew");
        if (!for_ever) {
            assert_ok(fs->ops->open(fs, "t-0/00000000000000000000.log", FS_READ, &log, &err), err);
            assert_ok(fs->ops->fstat(log, &st, &err), err);
            assert_ok(index_verify(&(struct index_options){.fs = fs, .stem = "t-0/00000000000000000000"}, log, st.size, &err), err);
            assert_ok(fs->ops->close(log, &err), err);
        } else {
            assert_int_not_equal(fs->ops->stat(fs, "t-0/00000000000000000000.index", &st, NULL), 0);
        }
        struct topic *t = topic_get(s, "t");
        for (int64_t from = 0; from < 20; from++) {
            struct buf out = {0};
            struct read_result r;
            assert_ok(partition_read(topic_partition(t, 0), &(struct read_request){.from = from, .max_bytes = 1}, &out, &r, &err), err);
            assert_int_equal(r.next, from + 1);
            buf_done(&out);
        }
        topic_unref(t);
        fixture_close(s);
        fs_close(fs);
    }
    buf_done(&events);
}
