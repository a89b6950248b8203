// SPDX-License-Identifier: Apache-2.0
// Every record outside of the damage into a new topic.
//
//   whole batches ─► committed records of each ─► a batch of the same codec, without producer ─► ordinary commits of about 1 MiB
#include <inttypes.h>

#include "inspect.h"

enum { COMMIT_BYTES = 1 << 20, EXPANDED_MOST = 256 << 20, MAP_MOST = 1000 };

struct piece { int64_t first, end, to; };   // offsets [first, end) became to …

struct salvage {
    struct inspection x;
    struct producer_end *ends;      // of all aborted transactions, sorted
    size_t end_n;
    struct topic *topic;
    struct partition *to;
    struct commit *commit;
    struct buf scratch;
    struct piece *map;
    size_t n, cap;
    int64_t next;                   // offset in the new topic
    uint64_t batches, aborted, open, undecodable, pieces;
};

// ── one batch ────────────────────────────────────────────────────────────────────────────────────────────────────────

static void note_piece(struct salvage *v, int64_t offset) {
    struct piece *last = v->n ? &v->map[v->n - 1] : NULL;
    if (last && v->pieces == v->n && last->end == offset && last->to + (last->end - last->first) == v->next) {
        last->end++;
        return;
    }
    v->pieces++;
    if (v->n < MAP_MOST) VEC_PUSH(v->map, v->n, v->cap, ((struct piece){offset, offset + 1, v->next}));
}

static void add_record(struct salvage *v, struct batch_builder *b, const struct batch_header *h, struct record *r) {
    struct record_header_in *headers = r->header_count ? xmalloc(r->header_count * sizeof(*headers)) : NULL;
    struct record_header one;
    uint32_t n = 0;
    while (n < r->header_count && record_header_next(r, &one))
        headers[n++] = (struct record_header_in){one.name, one.value, one.null_value};
    batch_add(b, h->attributes & BATCH_APPEND_TIME ? h->max_timestamp : r->timestamp, r->key, r->value, headers, n);
    free(headers);
}

// The offsets of the records that stay, in `taken`; nothing of a batch that can not be read to its end.
static int rebuild(struct salvage *v, const uint8_t *p, const struct batch_header *h, struct buf *out, struct buf *taken, struct err *err) {
    struct batch_builder b;
    struct record_iter it;
    struct record r;
    int got = 1;
    batch_begin(&b, out, (enum codec)(h->attributes & BATCH_CODEC_MASK));
    if (record_iter_init(&it, p, batch_size(h), &v->scratch, EXPANDED_MOST, err)) return -1;
    while ((got = record_iter_next(&it, &r, err)) > 0) {
        if (r.offset < v->x.log_start) continue;
        add_record(v, &b, h, &r);
        buf_put(taken, &r.offset, sizeof(r.offset));
    }
    return got || batch_end(&b, err) ? -1 : 0;
}

static int flush(struct salvage *v, struct err *err) {
    struct commit *c = v->commit;
    v->commit = NULL;
    return c ? store_commit_wait(v->x.s, c, NULL, err) : 0;
}

static int append(struct salvage *v, struct buf *batch, struct err *err) {
    if (v->commit && commit_bytes(v->commit) + batch->n > COMMIT_BYTES && flush(v, err)) return -1;
    if (!v->commit) v->commit = commit_new(v->x.s);
    return commit_append(v->commit, v->to, batch, true, err);
}

// Does the batch belong to a transaction that nobody has ended?
static bool is_open(const struct salvage *v, const struct batch_header *h) {
    const struct producer_state *s = v->x.producers && h->producer_id >= 0 ? producers_get(v->x.producers, h->producer_id) : NULL;
    return h->attributes & BATCH_TRANSACTIONAL && s && s->txn_first >= 0 && s->txn_first <= h->base_offset;
}

static int copy(struct salvage *v, const uint8_t *p, const struct batch_header *h, struct err *err) {
    struct buf out = {0}, taken = {0};
    int failed = rebuild(v, p, h, &out, &taken, err);
    bool damaged = failed && err->code == ERR_CORRUPT;
    if (damaged) failed = 0, v->undecodable++;
    const int64_t *offsets = (const void *)taken.p;
    if (!failed && !damaged && taken.n) {
        v->batches++;
        failed = append(v, &out, err);
        for (size_t i = 0; i < taken.n / sizeof(*offsets) && !failed; i++) note_piece(v, offsets[i]), v->next++;
    }
    buf_done(&out);
    buf_done(&taken);
    return failed;
}

static int take_batch(void *arg, const uint8_t *p, const struct batch_header *h, struct err *err) {
    struct salvage *v = arg;
    if (h->attributes & BATCH_CONTROL || batch_last_offset(h) < v->x.log_start || !h->count) return 0;
    bool aborted = txnends_have(v->ends, v->end_n, h);
    if (aborted) v->aborted += (uint64_t)h->count;
    else if (is_open(v, h)) v->open += (uint64_t)h->count;
    else return copy(v, p, h, err) ? err_wrap(err, "batch at offset %" PRId64, h->base_offset) : 0;
    return 0;
}

// ── all ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

static void gather_ends(struct salvage *v) {
    struct buf all = {0};
    for (size_t i = 0; i < v->x.n; i++) buf_puts(&all, buf_str(&v->x.segs[i].ends));
    v->ends = (void *)all.p;
    v->end_n = all.n / sizeof(*v->ends);
    txnends_sort(v->ends, v->end_n);
}

// It keeps everything: the records are as old as they are, and retention would begin with them.
static int make_topic(struct salvage *v, const char *to, struct err *err) {
    static const struct topic_setting settings[] = {
        {"cleanup.policy", "delete"},
        {"retention.ms", "-1"},
        {"retention.bytes", "-1"},
        {"compression.type", "producer"},
        {"max.message.bytes", "2147483647"},
        {"message.timestamp.type", "CreateTime"},
        {"message.timestamp.before.max.ms", "9223372036854775807"},
        {"message.timestamp.after.max.ms", "9223372036854775807"},
    };
    if (store_topic_create(v->x.s, to, 1, settings, countof(settings), err)) return -1;
    v->topic = topic_get(v->x.s, to);
    if (!v->topic) return err_set(err, ERR_NOT_FOUND, "topic %s was deleted", to);
    v->to = topic_partition(v->topic, 0);
    return 0;
}

static int fill(struct salvage *v, struct err *err) {
    gather_ends(v);
    return inspect_each(&v->x, take_batch, v, err) || flush(v, err) ? -1 : 0;
}

static void put_result(const struct salvage *v, const char *to, struct json_writer *w) {
    struct loss l = inspect_loss(&v->x);
    inspect_begin_json(&v->x, w);
    json_kz(w, "to", to);
    json_ki(w, "records", v->next);
    json_ki(w, "batches", (int64_t)v->batches);
    json_ki(w, "aborted", (int64_t)v->aborted);
    json_ki(w, "open", (int64_t)v->open);
    json_ki(w, "undecodable", (int64_t)v->undecodable);
    inspect_put_loss(&l, w);
    json_key(w, STR("map"));
    json_array(w);
    for (size_t i = 0; i < v->n; i++) {
        json_object(w);
        json_ki(w, "first", v->map[i].first);
        json_ki(w, "end", v->map[i].end);
        json_ki(w, "to", v->map[i].to);
        json_object_end(w);
    }
    json_array_end(w);
    json_ki(w, "more", (int64_t)(v->pieces - v->n));
    json_object_end(w);
}

int partition_salvage(struct partition *p, const char *to, struct json_writer *w, struct err *err) {
    struct salvage v = {0};
    int failed = inspect(p, &v.x, err) || make_topic(&v, to, err);
    if (!failed && fill(&v, err)) {
        failed = -1;
        commit_free(v.commit);
        if (store_topic_delete(v.x.s, to, NULL)) err_hint(err, "topic %s holds only a part; delete it", to);
    }
    if (!failed) put_result(&v, to, w);
    topic_unref(v.topic);
    buf_done(&v.scratch);
    free(v.ends);
    free(v.map);
    inspect_done(&v.x);
    return failed ? err_wrap(err, "salvage to %s", to) : 0;
}
