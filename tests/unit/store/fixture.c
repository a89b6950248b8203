// SPDX-License-Identifier: Apache-2.0
// Helpers of the store's tests.
#include "fixture.h"

#include <stdio.h>
#include <stdlib.h>

struct store_options fixture_options(struct fs *fs) {
    return (struct store_options){
        .fs = fs,
        .journal_bytes = 1024 * 1024,
        .reserve_bytes = 64 * 1024,
        .checkpoint_ms = INT64_MAX / 4,
        .cleaner_off = true,
    };
}

struct store *fixture_open(struct fs *fs) {
    struct store_options o = fixture_options(fs);
    struct store *s;
    struct err err;
    assert_ok(store_open(&o, &s, &err), err);
    return s;
}

void fixture_close(struct store *s) {
    struct err err;
    assert_ok(store_close(s, &err), err);
}

struct store *fixture_reopen(struct store *s, struct fs **fs) {
    if (s) fixture_close(s);
    struct fs *copy = fs_mem_clone(*fs); // the lock goes with the old one
    fs_close(*fs);
    *fs = copy;
    return fixture_open(copy);
}

void fixture_topic(struct store *s, const char *name, int32_t partitions, const char *setting, const char *value) {
    struct topic_setting one = {setting, value};
    struct err err;
    assert_ok(store_topic_create(s, name, partitions, &one, setting != NULL, &err), err);
}

struct buf fixture_batch(int64_t id, int16_t epoch, int32_t sequence, const char *const *texts, size_t n) {
    struct batch_builder b;
    struct buf out = {0};
    struct err err;
    batch_begin(&b, &out, CODEC_NONE);
    b.producer_id = id;
    b.producer_epoch = id < 0 ? -1 : epoch;
    b.base_sequence = id < 0 ? -1 : sequence;
    for (size_t i = 0; i < n; i++) batch_add(&b, 1700000000000, (struct str){NULL, 0}, str_of(texts[i]), NULL, 0);
    assert_ok(batch_end(&b, &err), err);
    return out;
}

struct buf fixture_text(const char *text) { return fixture_batch(-1, -1, -1, &text, 1); }

int64_t fixture_put(struct store *s, const char *topic, int32_t partition, const char *text, struct err *err) {
    struct topic *t = topic_get(s, topic);
    struct commit *c = commit_new(s);
    struct buf batch = fixture_text(text);
    struct append_result r = {.base_offset = -1};
    assert_non_null(t);
    int failed = commit_append(c, topic_partition(t, partition), &batch, true, err);
    if (failed) {
        commit_free(c);
        buf_done(&batch);
    } else {
        failed = store_commit_wait(s, c, &r, err);
    }
    topic_unref(t);
    return failed ? -1 : r.base_offset;
}

void fixture_fill(struct store *s, const char *topic, int32_t partition, unsigned count, size_t bytes) {
    struct err err;
    char *text = malloc(bytes + 16);
    for (unsigned i = 0; i < count; i++) {
        int n = snprintf(text, 16, "%u", i);
        memset(text + n, '.', bytes);
        text[bytes > (size_t)n ? bytes : (size_t)n] = 0;
        assert_ok(fixture_put(s, topic, partition, text, &err) < 0, err);
    }
    free(text);
}

static void print_batch(struct buf *out, const uint8_t *p, const struct batch_header *h) {
    struct buf scratch = {0};
    struct record_iter it;
    struct record r;
    struct err err;
    struct batch_marker m;
    if (h->attributes & BATCH_CONTROL) {
        assert_int_equal(batch_marker_read(p, batch_size(h), &m), 0);
        buf_printf(out, "%s%lld:%s", out->n ? " " : "", (long long)h->base_offset, m.commit_txn ? "!commit" : "!abort");
        return;
    }
    assert_ok(record_iter_init(&it, p, batch_size(h), &scratch, SIZE_MAX, &err), err);
    while (record_iter_next(&it, &r, &err) > 0) buf_printf(out, "%s%lld:%.*s", out->n ? " " : "", (long long)r.offset, STR_FMT(r.value));
    buf_done(&scratch);
}

const char *fixture_log(struct store *s, const char *topic, int32_t partition, enum isolation isolation) {
    static struct buf text;
    struct buf batches = {0};
    struct batch_header h;
    struct read_result r;
    struct err err;
    struct topic *t = topic_get(s, topic);
    assert_non_null(t);
    struct partition *p = topic_partition(t, partition);
    struct partition_offsets o;
    partition_offsets(p, &o);
    struct read_request q = {.from = o.log_start, .max_bytes = 1000, .isolation = isolation};
    buf_clear(&text);
    do {
        buf_clear(&batches);
        assert_ok(partition_read(p, &q, &batches, &r, &err), err);
        for (size_t at = 0; at < r.n; at += batch_size(&h)) {
            assert_int_equal(batch_read_header(batches.p + at, r.n - at, &h), 0);
            print_batch(&text, batches.p + at, &h);
        }
        q.from = r.next;
    } while (r.n);
    buf_done(&batches);
    topic_unref(t);
    return buf_cstr(&text);
}

struct partition_offsets fixture_offsets(struct store *s, const char *topic, int32_t partition) {
    struct partition_offsets o;
    struct topic *t = topic_get(s, topic);
    assert_non_null(t);
    partition_offsets(topic_partition(t, partition), &o);
    topic_unref(t);
    return o;
}
