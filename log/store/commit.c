// SPDX-License-Identifier: Apache-2.0
// Making commits and handing them over.
#include "commit.h"

#include <inttypes.h>
#include <semaphore.h>

struct commit *commit_new(struct store *s) {
    struct commit *c = xcalloc(1, sizeof(*c));
    c->s = s;
    c->appends = &c->one;
    c->cap = 1;
    c->markers_only = c->internal_only = true;
    return c;
}

void commit_free(struct commit *c) {
    if (!c) return;
    for (size_t i = 0; i < c->n; i++) {
        topic_unref(c->appends[i].p->topic);
        buf_done(&c->appends[i].bytes);
    }
    if (c->appends != &c->one) free(c->appends);
    if (c->results != &c->one_result) free(c->results);
    free(c->error);
    free(c);
}

void commit_keep(struct commit *c) { c->keep = true; }
void commit_set_chain(struct commit *c, struct commit_chain *chain) { c->chain = chain; }

size_t commit_bytes(const struct commit *c) { return c->bytes; }
size_t commit_appends(const struct commit *c) { return c->n; }

static struct append *add(struct commit *c, struct partition *p, struct buf *bytes, const struct batch_header *h) {
    if (c->n == c->cap) {
        struct append *more = xmalloc(2 * c->cap * sizeof(*more));
        memcpy(more, c->appends, c->n * sizeof(*more));
        if (c->appends != &c->one) free(c->appends);
        c->appends = more;
        c->cap *= 2;
    }
    struct append *a = &c->appends[c->n++];
    *a = (struct append){.p = p, .bytes = *bytes, .h = *h};
    *bytes = (struct buf){0};
    topic_ref(p->topic);
    c->bytes += a->bytes.n;
    return a;
}

static int too_large(const struct partition *p, size_t n, int64_t most, struct err *err) {
    return err_set(err, ERR_TOO_LARGE, "topic %s: record batch of %zu bytes, max.message.bytes is %" PRId64, p->topic->name, n, most);
}

enum { EXPANDED_MOST = 256 << 20 }; // what compaction reads, too

static int check_time(const struct settings *st, int64_t now, int64_t ts, struct err *err) {
    if (ts > now && ts - now > st->timestamp_after_max_ms)
        return err_set(err, ERR_INVALID, "timestamp %" PRId64 " lies too far in the future (message.timestamp.after.max.ms)", ts);
    if (ts < now - st->timestamp_before_max_ms)
        return err_set(err, ERR_INVALID, "timestamp %" PRId64 " lies too far in the past (message.timestamp.before.max.ms)", ts);
    return 0;
}

static int check_record(const struct settings *st, bool times, int64_t now, const struct record *r, struct err *err) {
    if (!r->key.p && st->policy_compact) return err_set(err, ERR_INVALID, "no key, and cleanup.policy is compact");
    return times ? check_time(st, now, r->timestamp, err) : 0;
}

// What a topic's settings ask of each record; most ask nothing.
static int check_records(const struct partition *p, const struct settings *st, const struct buf *bytes, bool trusted, struct err *err) {
    bool times = !st->append_time && (st->timestamp_before_max_ms < INT64_MAX || st->timestamp_after_max_ms < INT64_MAX);
    struct record_iter it;
    struct record r;
    struct buf scratch = {0};
    if (!times && (trusted || !st->policy_compact)) return 0;
    int64_t now = clock_wall_ms(p->topic->store->clock);
    int got = record_iter_init(&it, bytes->p, bytes->n, &scratch, EXPANDED_MOST, err) ? -1 : 1;
    for (int32_t i = 0; got > 0 && (got = record_iter_next(&it, &r, err)) > 0; i++)
        if (check_record(st, times, now, &r, err)) got = err_wrap(err, "record %d of the batch", i);
    buf_done(&scratch);
    return got ? err_wrap(err, "topic %s", p->topic->name) : 0;
}

// compression.type of the topic, on the caller's thread. Plain batches that are not worth compressing stay as they are: so do those that were
// left plain for that reason by who built them, and for want of memory any batch. batch_check's bound is for one batch as it arrives; expanded it may be larger.
static int recode(const struct partition *p, const struct settings *st, struct buf *bytes, struct batch_header *h, struct err *err) {
    int codec = h->attributes & BATCH_CODEC_MASK;
    if (st->codec < 0 || codec == st->codec || (codec == CODEC_NONE && !codec_worth(bytes->n))) return 0;
    struct err why;
    if (batch_recode(bytes, (enum codec)st->codec, (int)st->level[st->codec], EXPANDED_MOST, &why) != 0) {
        if (why.code == ERR_NOMEM) return 0;
        if (err) *err = why;
        return err_wrap(err, "topic %s", p->topic->name);
    }
    batch_read_header(bytes->p, bytes->n, h);
    return (int64_t)bytes->n > st->max_message_bytes ? too_large(p, bytes->n, st->max_message_bytes, err) : 0;
}

int commit_append(struct commit *c, struct partition *p, struct buf *bytes, bool trusted, struct err *err) {
    const struct settings *st = topic_settings(p->topic);
    struct batch_header h;
    if ((int64_t)bytes->n > st->max_message_bytes) return too_large(p, bytes->n, st->max_message_bytes, err);
    if (batch_check(bytes->p, bytes->n, trusted, &h, err)) return err_wrap(err, "topic %s", p->topic->name);
    if (!h.count || h.count - 1 != h.last_offset_delta)
        return err_set(err, ERR_INVALID, "topic %s: batch of %d records and %d offsets", p->topic->name, h.count, h.last_offset_delta + 1);
    if (h.attributes & (BATCH_CONTROL | BATCH_DELETE_HORIZON))
        return err_set(err, ERR_INVALID, "topic %s: only the log writes control batches", p->topic->name);
    if (check_records(p, st, bytes, trusted, err) || recode(p, st, bytes, &h, err)) return -1;
    add(c, p, bytes, &h);
    c->markers_only = false;
    if (!topic_internal(p->topic)) c->internal_only = false;
    return 0;
}

int commit_marker(struct commit *c, struct partition *p, int64_t producer_id, int16_t producer_epoch, bool commit_txn, int32_t coordinator_epoch,
                  struct err *err) {
    struct buf bytes = {0};
    struct batch_header h;
    batch_control(&bytes, producer_id, producer_epoch, commit_txn, coordinator_epoch, clock_wall_ms(c->s->clock));
    if (batch_check(bytes.p, bytes.n, true, &h, err)) {
        buf_done(&bytes);
        return -1;
    }
    struct append *a = add(c, p, &bytes, &h);
    a->is_marker = true;
    a->marker = (struct batch_marker){.commit_txn = commit_txn, .coordinator_epoch = coordinator_epoch};
    return 0;
}

void commit_refuse(struct commit *c, const struct err *why) {
    if (c->error) return;
    c->error = xmalloc(sizeof(*c->error));
    *c->error = *why;
    if (c->chain && !c->chain->failed) *c->chain = (struct commit_chain){true, *why};
}

// A kept one that failed may be on its way again before done returns.
void commit_answer(struct commit *c) {
    _cleanup_free_ struct err *error = c->error;
    bool kept = error && c->keep;
    c->error = NULL;
    if (c->done) c->done(c->arg, error, error ? NULL : c->results, c->n);
    if (!kept) commit_free(c);
}

void commit_answer_early(struct commit *c) {
    if (c->done) c->done(c->arg, NULL, c->results, c->n);
    c->done = NULL;
}

// ── handing over ─────────────────────────────────────────────────────────────────────────────────────────────────────

static int enqueue(struct store *s, struct commit *c, bool nowait, struct err *err) {
    struct flusher *f = &s->flusher;
    LOCK_SCOPE(&f->lock);
    while (f->first && f->bytes + c->bytes > s->o.queue_bytes && !atomic_load(&s->is_stopped)) {
        if (nowait) return err_set(err, ERR_AGAIN, "%zu bytes of commits are waiting already", f->bytes);
        pthread_cond_wait(&f->room, &f->lock);
    }
    if (atomic_load(&s->is_stopped)) return store_check_running(s, err);
    if (!f->first) pthread_cond_signal(&f->work);
    *f->last = c;
    f->last = &c->next;
    f->bytes += c->bytes;
    return 0;
}

static int check_commit(struct store *s, const struct commit *c, struct err *err) {
    if (c->n > 1 && c->bytes > s->o.commit_max_bytes)
        return err_set(err, ERR_TOO_LARGE, "commit of %zu bytes, the most is %" PRIu64, c->bytes, s->o.commit_max_bytes);
    return store_check_running(s, err);
}

void store_commit(struct store *s, struct commit *c, bool nowait, commit_done *done, void *arg) {
    struct err err;
    c->done = done;
    c->arg = arg;
    c->next = NULL;
    free(c->error); // of an earlier attempt
    c->error = NULL;
    if (c->results != &c->one_result) free(c->results);
    c->results = c->n == 1 ? &c->one_result : xcalloc(c->n ? c->n : 1, sizeof(*c->results));
    c->queued_ns = s->clock->mono_ns(s->clock);
    if (!check_commit(s, c, &err) && !enqueue(s, c, nowait, &err)) return;
    c->chain = NULL; // refused before the flusher saw it
    commit_refuse(c, &err);
    commit_answer(c);
}

// ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct waiter {
    sem_t done;
    bool failed;
    struct append_result *results;
    struct err *err;
};

static void wake_waiter(void *arg, const struct err *err, const struct append_result *results, size_t n) {
    struct waiter *w = arg;
    w->failed = err != NULL;
    if (err && w->err) *w->err = *err;
    if (!err && w->results && n) memcpy(w->results, results, n * sizeof(*results));
    sem_post(&w->done); // the last look at w, which is gone when its owner goes on
}

int store_commit_wait(struct store *s, struct commit *c, struct append_result *results, struct err *err) {
    struct waiter w = {.results = results, .err = err};
    sem_init(&w.done, 0, 0);
    store_commit(s, c, false, wake_waiter, &w);
    while (sem_wait(&w.done)) {} // a signal came
    sem_destroy(&w.done);
    return w.failed ? -1 : 0;
}

int partition_append(struct partition *p, struct str key, struct str value, int64_t *ret_offset, struct err *err) {
    struct store *s = p->topic->store;
    struct commit *c = commit_new(s);
    struct append_result result;
    struct batch_builder b;
    struct buf bytes = {0};
    batch_begin(&b, &bytes, CODEC_NONE);
    batch_add(&b, clock_wall_ms(s->clock), key, value, NULL, 0);
    if (batch_end(&b, err) || commit_append(c, p, &bytes, true, err)) {
        buf_done(&bytes);
        commit_free(c);
        return -1;
    }
    if (store_commit_wait(s, c, &result, err)) return -1;
    if (ret_offset) *ret_offset = result.base_offset;
    return 0;
}
