// SPDX-License-Identifier: Apache-2.0
// Checkpoint slots: an image, changes behind it, and what of it counts.
#include <stdio.h>

#include "catalogue.h"
#include "checkpoint.h"
#include "fixture.h"
#include "fs_crash.h"

static const struct uuid JOURNAL = {"0123456789abcde"}, OTHER = {"0123456789abcdf"};

// ── a slot ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static struct checkpoint at_generation(uint64_t generation) {
    return (struct checkpoint){.generation = generation, .journal = JOURNAL, .position = generation * 100, .seq = generation * 10};
}

static struct buf text_of(const char *text) {
    struct buf b = {0};
    checkpoint_begin(&b);
    buf_putz(&b, text);
    return b;
}

static void write_image(struct fs *fs, uint64_t generation, const char *text, struct checkpoint_chain *x) {
    struct buf b = text_of(text);
    struct checkpoint c = at_generation(generation);
    struct err err;
    assert_ok(checkpoint_write(fs, 0, &c, &b, &err), err);
    checkpoint_wrote(x, &b);
    buf_done(&b);
}

static void add_changes(struct fs *fs, const struct checkpoint *c, const char *text, struct checkpoint_chain *x) {
    struct buf b = text_of(text);
    struct err err;
    assert_ok(checkpoint_add(fs, 0, c, x, &b, &err), err);
    checkpoint_added(x, &b);
    buf_done(&b);
}

static void add(struct fs *fs, uint64_t generation, const char *text, struct checkpoint_chain *x) {
    struct checkpoint c = at_generation(generation);
    add_changes(fs, &c, text, x);
}

// "3:edits" of generation 3, or "" when the slot is none.
static const char *slot_text(struct fs *fs) {
    static struct buf text;
    struct buf edits = {0};
    struct checkpoint c;
    buf_clear(&text);
    if (!checkpoint_read(fs, 0, &c, &edits, NULL)) {
        assert_int_equal(c.position, c.generation * 100);
        assert_int_equal(c.seq, c.generation * 10);
        buf_printf(&text, "%u:%.*s", (unsigned)c.generation, (int)edits.n, (const char *)edits.p);
    }
    buf_done(&edits);
    return buf_cstr(&text);
}

// The image "one" of generation 3 and changes up to generation 6.
static struct fs *slot_of_four(struct checkpoint_chain *x) {
    struct fs *fs = fs_mem_new();
    write_image(fs, 3, "one,", x);
    add(fs, 4, "two,", x);
    add(fs, 5, "three,", x);
    add(fs, 6, "four", x);
    return fs;
}

TEST(changes_are_read_behind_the_image_in_their_order) {
    struct checkpoint_chain x;
    struct fs *fs = slot_of_four(&x);
    assert_string_equal(slot_text(fs), "6:one,two,three,four");
    assert_int_equal(x.image, 64 + 4);
    assert_int_equal(x.end, 4 * 64 + 4 + 4 + 6 + 4);
    write_image(fs, 7, "new", &x);
    assert_string_equal(slot_text(fs), "7:new");
    fs_close(fs);
}

TEST(a_slot_cut_or_flipped_anywhere_is_an_earlier_one_or_none) {
    static const char *const earlier[] = {"", "3:one,", "4:one,two,", "5:one,two,three,", "6:one,two,three,four"};
    static const uint64_t ends[] = {0, 68, 136, 206, 274};
    struct checkpoint_chain x;
    struct fs *fs = slot_of_four(&x);
    assert_int_equal(x.end, ends[4]);
    for (uint64_t at = 0; at < x.end; at++) {
        size_t whole = 0;
        struct err err;
        struct fs_file *f;
        while (ends[whole + 1] <= at) whole++;
        struct fs *disk = fs_mem_clone(fs);
        fs_mem_flip(disk, "checkpoint-0", at, (uint8_t)(1 << at % 8));
        assert_string_equal(slot_text(disk), earlier[whole]);
        fs_close(disk);
        disk = fs_mem_clone(fs);
        assert_ok(disk->ops->open(disk, "checkpoint-0", FS_WRITE, &f, &err), err);
        assert_ok(disk->ops->truncate(f, at, &err), err);
        disk->ops->close(f, NULL);
        assert_string_equal(slot_text(disk), earlier[whole]);
        fs_close(disk);
    }
    fs_close(fs);
}

TEST(changes_behind_others_than_those_they_were_put_behind_do_not_count) {
    struct checkpoint_chain x, early;
    struct fs *fs = fs_mem_new();
    write_image(fs, 3, "one,", &x);
    early = x;
    add(fs, 4, "two,", &x);
    add(fs, 5, "three", &x);
    add(fs, 4, "TWO,", &early); // of the same length: what follows fits, but for what it was put behind
    assert_string_equal(slot_text(fs), "4:one,TWO,");
    fs_close(fs);
}

TEST(changes_of_another_image_journal_or_generation_do_not_count) {
    struct checkpoint_chain x, old, image;
    struct fs *fs = fs_mem_new();
    write_image(fs, 3, "old!", &old);
    add(fs, 8, "left over", &old); // where the next image ends, of the generation that would be next
    write_image(fs, 7, "new!", &image);
    assert_string_equal(slot_text(fs), "7:new!");
    x = image;
    add(fs, 9, "one is missing", &x);
    assert_string_equal(slot_text(fs), "7:new!");
    struct checkpoint c = at_generation(8);
    c.journal = OTHER;
    x = image;
    add_changes(fs, &c, "of another journal", &x);
    assert_string_equal(slot_text(fs), "7:new!");
    x = image;
    add(fs, 8, "good", &x);
    assert_string_equal(slot_text(fs), "8:new!good");
    fs_close(fs);
}

// ── the catalogue ────────────────────────────────────────────────────────────────────────────────────────────────────

static int by_bytes(const void *a, const void *b) {
    const struct str *x = a, *y = b;
    int order = memcmp(x->p, y->p, x->n < y->n ? x->n : y->n);
    return order ? order : (x->n > y->n) - (x->n < y->n);
}

// Every edit of a store's image, in an order of their own: the map's is not the same after a start.
static struct buf image_of(struct store *s) {
    enum { MOST = 4096 };
    static struct str edits[MOST];
    struct buf image = {0}, sorted = {0};
    size_t n = 0;
    struct edit e;
    struct err err;
    catalogue_image(s, &image);
    struct cur c = cur_of(image.p, image.n);
    for (const uint8_t *from = c.p; edit_next(&c, &e, &err) > 0; from = c.p) {
        assert_true(n < MOST);
        edits[n++] = str_make((const char *)from, (size_t)(c.p - from));
    }
    qsort(edits, n, sizeof(edits[0]), by_bytes);
    for (size_t i = 0; i < n; i++) buf_puts(&sorted, edits[i]);
    buf_done(&image);
    return sorted;
}

// What a start makes of the disk as it is now is what the store has in memory.
static void check_copy(struct store *s, struct fs *fs, unsigned step) {
    struct fs *disk = fs_mem_clone(fs);
    struct store *copy = fixture_open(disk);
    struct recovery_report report;
    store_report(copy, &report);
    struct buf is = image_of(copy), want = image_of(s);
    if (is.n != want.n || memcmp(is.p, want.p, is.n) != 0) fail_msg("step %u: the catalogue is another one after a start", step);
    buf_done(&is);
    buf_done(&want);
    fixture_close(copy);
    fs_close(disk);
}

static void make_or_delete(struct store *s, unsigned step) {
    static char name[16];
    struct err err;
    if (*name) {
        assert_ok(store_topic_delete(s, name, &err), err);
        *name = 0;
    } else {
        snprintf(name, sizeof(name), "t%u", step);
        fixture_topic(s, name, 2, NULL, NULL);
    }
}

// Into a topic that is compacted.
static void put_keyed(struct store *s, unsigned key) {
    struct topic *t = topic_get(s, "latest");
    for (int i = 0; i < 4; i++) {
        struct batch_builder b;
        struct buf out = {0};
        struct err err;
        struct commit *c = commit_new(s);
        char name[8];
        int n = snprintf(name, sizeof(name), "k%u", key);
        batch_begin(&b, &out, CODEC_NONE);
        batch_add(&b, 1700000000000, str_make(name, (size_t)n), STR("a value of some length, to end segments"), NULL, 0);
        assert_ok(batch_end(&b, &err), err);
        assert_ok(commit_append(c, topic_partition(t, 0), &out, true, &err), err);
        assert_ok(store_commit_wait(s, c, NULL, &err), err);
    }
    topic_unref(t);
}

static void change_something(struct store *s, uint64_t *seed, unsigned step) {
    enum { PARTITIONS = 40 };
    struct err err;
    int32_t p = (int32_t)(test_random(seed) % PARTITIONS);
    struct topic *t = topic_get(s, "many");
    unsigned what = (unsigned)(test_random(seed) % 32);
    if (what < 2) make_or_delete(s, step);
    if (what == 6) put_keyed(s, (unsigned)(test_random(seed) % 9));
    if (what == 5) assert_ok(store_topic_alter(s, "many", 0, &(struct topic_setting){"retention.bytes", step % 2 ? "900" : NULL}, 1, &err), err);
    if (what == 2) assert_ok(store_clean(s, &err), err);
    if (what == 3) {
        struct partition_offsets o = fixture_offsets(s, "many", p);
        assert_ok(partition_delete_before(topic_partition(t, p), o.high_watermark, &err), err);
    }
    if (what == 4) {
        int64_t id;
        assert_ok(store_producer_id(s, &id, &err), err);
    }
    if (what > 6) assert_true(fixture_put(s, "many", p, "some text that fills a segment soon", &err) >= 0);
    topic_unref(t);
}

TEST(a_start_finds_what_checkpoints_and_frames_said_whatever_was_written_whole) {
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    uint64_t seed = 7;
    fixture_topic(s, "many", 40, "segment.bytes", "400");
    static const struct topic_setting latest[] = {{"segment.bytes", "400"}, {"cleanup.policy", "compact"}};
    assert_ok(store_topic_create(s, "latest", 1, latest, 2, &err), err);
    for (unsigned step = 0; step < 600; step++) {
        change_something(s, &seed, step);
        if (test_random(&seed) % 3 == 0) assert_ok(store_checkpoint(s, &err), err);
        if (step % 5 == 0) check_copy(s, fs, step);
    }
    fixture_close(s);
    fs_close(fs);
}

static uint64_t slot_bytes(struct fs *fs) {
    struct fs_stat st;
    struct err err;
    assert_ok(fs->ops->stat(fs, "checkpoint-1", &st, &err), err);
    return st.size;
}

TEST(a_checkpoint_costs_what_changed_and_a_slot_is_never_much_longer_than_the_catalogue) {
    enum { PARTITIONS = 500, CHECKPOINTS = 600 };
    struct fs *fs = fs_mem_new();
    struct store *s = fixture_open(fs);
    struct err err;
    struct buf image = {0};
    fixture_topic(s, "many", PARTITIONS, NULL, NULL);
    for (int32_t p = 0; p < PARTITIONS; p++) fixture_put(s, "many", p, "x", &err);
    assert_ok(store_checkpoint(s, &err), err);
    catalogue_image(s, &image);
    uint64_t grown = 0, before = slot_bytes(fs), whole = 0;
    for (int i = 0; i < CHECKPOINTS; i++) {
        assert_true(fixture_put(s, "many", i % 3, "x", &err) >= 0);
        struct checkpoint_chain x = s->checkpointer.chain;
        assert_ok(store_checkpoint(s, &err), err);
        if (s->checkpointer.chain.end < x.end) whole++;
        else grown += s->checkpointer.chain.end - x.end;
    }
    assert_true(whole > 0 && whole <= CHECKPOINTS / 50);
    assert_true(grown / (CHECKPOINTS - whole) < 300);
    assert_true(slot_bytes(fs) <= before + image.n / 2 + 300);
    check_copy(s, fs, 0);
    buf_done(&image);
    fixture_close(s);
    fs_close(fs);
}

// ── power cuts ───────────────────────────────────────────────────────────────────────────────────────────────────────

static bool writes_slot(const struct fs_event *e) { return e->kind == FS_EV_WRITE && !strncmp(e->path, "checkpoint-", 11); }

static struct fs_keep torn_slots(void *arg, const struct fs_trace *t, size_t event) {
    const struct fs_event *e = &t->events[event];
    return (struct fs_keep){.take = writes_slot(e) ? e->n / 2 : UINT64_MAX};
}

// The event after the nth write to a slot in the trace from `from` on.
static size_t after_slot_write(const struct fs_trace *t, size_t from, unsigned nth) {
    for (size_t i = from; i < t->n; i++)
        if (writes_slot(&t->events[i]) && !nth--) return i + 1;
    fail_msg("there is no such write");
    return 0;
}

// Opens the disk and forgets about it. Takes the disk.
static void check_puts(struct fs *disk, int64_t puts, const char *when) {
    struct store_options o = fixture_options(disk);
    struct store *s;
    struct err err;
    if (store_open(&o, &s, &err)) fail_msg("%s: %s", when, err.msg);
    assert_int_equal(fixture_offsets(s, "many", 0).high_watermark, puts);
    fixture_close(s);
    fs_close(disk);
}

// A checkpoint that a killed process wrote may be in the page cache only: it is on the disk before the other slot is touched.
TEST(a_kill_while_a_slot_is_written_and_a_power_cut_while_the_next_process_writes_one_leave_a_slot) {
    for (unsigned slot = 0; slot < 2; slot++) {
        struct fs *mem = fs_mem_new(), *fs = fs_fault_new(mem);
        struct err err;
        fs_fault_record(fs, true);
        struct store *s = fixture_open(fs);
        fixture_topic(s, "many", 60, NULL, NULL);
        for (int i = 0; i < 5; i++) assert_int_equal(fixture_put(s, "many", 0, "x", &err), i);
        size_t before = fs_fault_recorded(fs);
        assert_ok(store_checkpoint(s, &err), err);
        fixture_close(s);
        const struct fs_trace *first = fs_fault_trace(fs);
        size_t killed = after_slot_write(first, before, slot);
        struct fs *second = fs_fault_new(fs_crash(NULL, first, killed, fs_keep_all, NULL)), *base = fs_crash(NULL, first, killed, torn_slots, NULL);
        fs_fault_record(second, true);
        s = fixture_open(second);
        fixture_close(s);
        const struct fs_trace *next = fs_fault_trace(second);
        for (unsigned n = 0; n < 2; n++) {
            size_t cut = after_slot_write(next, 0, n);
            check_puts(fs_crash(base, next, cut, torn_slots, NULL), 5, n ? "cut in the second write" : "cut in the first write");
        }
        fs_close(base);
        fs_close(second);
        fs_close(fs);
    }
}
