// SPDX-License-Identifier: Apache-2.0
// Sink tasks: what was consumed is converted and put.
#include "runtime/sink_int.h"
#include "transforms/transform.h"

// Adds one record to the batch unless it is settled or waits. 0; -1: the task fails, or the batch is full (b->failed).
static int build_one(struct sink *s, struct cn_batch *b, const struct consumed *r, struct failure *f) {
    struct part *p = sink_part(s, r->topic, r->partition);
    size_t bytes = r->key.n + r->value.n + 64;
    enum error_stage stage;
    struct failure why;
    if (!p || p->gone || p->settled.retries) return 0; // comes again with the redelivery
    if (!settled_put(&p->settled, r->offset, bytes < UINT32_MAX ? (uint32_t)bytes : UINT32_MAX)) return 0;
    if (codec_decode(s->codec, b, r, &stage, &why) == 0) return 0;
    if (b->failed) {
        settled_unput(&p->settled, r->offset);
        *f = why;
        return -1;
    }
    cn_record_at(b, cn_count(b) - 1)->flags |= CN_RECORD_DROPPED;
    if (batch_memory_starved(&s->memory)) return *f = why, failure_starved(f);
    if (why.fail_class == CN_FAIL_RECORD) return sink_record_failed(s, p, r->offset, stage, codec_component(s->codec, stage), &why, true, f);
    *f = why;
    return -1;
}

// Builds the batch of the first records; *ret_looked says how many were looked at.
static int build(struct sink *s, struct cn_batch *b, const struct consumed *r, size_t n, size_t *ret_looked, struct failure *f) {
    uint32_t most = s->options->max_poll_records > 0 ? (uint32_t)s->options->max_poll_records : DEFAULT_BATCH;
    size_t i = 0;
    int rc = 0;
    codec_enter(s->codec, NULL);
    while (i < n && cn_count(b) < most && (rc = build_one(s, b, &r[i], f)) == 0) i++;
    codec_leave(s->codec);
    *ret_looked = i;
    return rc;
}

// The record at r[i] did not fit beside the ones before it; what was taken for the batch is given back. Alone it is at fault.
static int build_overflowed(struct sink *s, const struct consumed *r, size_t i, struct failure *f) {
    for (size_t k = 0; k < i; k++) {
        struct part *p = sink_part(s, r[k].topic, r[k].partition);
        if (p) settled_unput(&p->settled, r[k].offset);
    }
    if (i) return 0;
    if (batch_memory_starved(&s->memory)) return failure_starved(f);
    struct part *p = sink_part(s, r->topic, r->partition);
    struct failure why = *f;
    why.fail_class = CN_FAIL_RECORD;
    return sink_record_failed(s, p, r->offset, STAGE_VALUE_CONVERTER, "the batch", &why, false, f);
}

static struct part *part_of(struct sink *s, const struct cn_batch *b, const struct cn_record *r) {
    char topic[256];
    const struct cn_text *t = cn_topic_at(b, r->original_topic);
    snprintf(topic, sizeof(topic), "%.*s", (int)t->n, cn_bytes_at(b, t->at));
    return sink_part(s, topic, r->original_partition);
}

static int transform(struct sink *s, struct cn_batch *b, struct failure *f) {
    struct transform_failure tf;
    if (!transform_chain_steps(s->chain)) return 0;
    for (uint32_t at = 0;; at++) {
        at = transform_chain_apply(s->chain, b, at, &tf);
        if (b->failed) {
            failure_set(f, CN_FAIL_RECORD, NULL, "the transforms made the batch grow beyond its limit");
            return batch_memory_starved(&s->memory) ? failure_starved(f) : -1;
        }
        if (at >= cn_count(b)) return 0;
        struct cn_record *r = cn_record_at(b, at);
        struct failure why;
        char who[160];
        failure_set(&why, tf.failure.fail_class, tf.failure.hint, "%s", tf.failure.text);
        snprintf(who, sizeof(who), "transform %s (%s)", tf.alias, tf.type);
        if (batch_memory_starved(&s->memory)) return *f = why, failure_starved(f);
        if (why.fail_class != CN_FAIL_RECORD) return *f = why, failure_wrap(f, "%s", who);
        if (sink_record_failed(s, part_of(s, b, r), r->offset, STAGE_TRANSFORMATION, who, &why, true, f) != 0) return -1;
        r->flags |= CN_RECORD_DROPPED;
    }
}

// Closes the gaps that dropped records leave: those that a transform took out are settled, the plugin sees the others only.
static void drop_filtered(struct sink *s, struct cn_batch *b) {
    struct cn_batch_head *h = cn_head(b);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < h->record_count; i++) {
        struct cn_record *r = cn_record_at(b, i);
        if (!(r->flags & CN_RECORD_DROPPED)) {
            if (kept != i) *cn_record_at(b, kept) = *r;
            kept++;
            continue;
        }
        struct part *p = part_of(s, b, r);
        if (p) settled_mark(&p->settled, r->offset, r->offset, SETTLE_OK, NULL); // nothing when it is dead already
    }
    h->record_count = kept;
}

// Everything of the batch that has no verdict yet.
static void mark_batch(struct sink *s, const struct cn_batch *b, enum settle_state state) {
    uint32_t n = cn_count(b);
    for (uint32_t i = 0, k; i < n; i = k) {
        const struct cn_record *first = cn_record_at(b, i);
        for (k = i + 1; k < n; k++) {
            const struct cn_record *r = cn_record_at(b, k);
            if (r->original_topic != first->original_topic || r->original_partition != first->original_partition) break;
        }
        struct part *p = part_of(s, b, first);
        if (p) settled_mark(&p->settled, first->offset, cn_record_at(b, k - 1)->offset, state, NULL);
    }
}

static void count_put(struct sink *s, const struct consumed *r, size_t n, uint32_t put) {
    struct metric *m = s->run->metrics;
    int64_t bytes = 0;
    for (size_t i = 0; i < n; i++) bytes += (int64_t)(r[i].key.n + r[i].value.n);
    metric_add(&m[MS_READ_TOTAL], (int64_t)n);
    metric_add(&m[MS_SINK_BYTES], bytes);
    metric_add(&m[MS_SEND_TOTAL], put);
    if (put) histogram_add(m[MS_BATCH_SIZE].histogram, put);
}

// One record of the batch is at fault, as cn_host.fail named it; the others come again at once.
static int put_failed_at(struct sink *s, struct cn_batch *b, uint32_t record, const char *why, struct failure *f) {
    const struct cn_record *r = cn_record_at(b, record);
    struct part *p = part_of(s, b, r);
    if (p && settled_is_put(&p->settled, r->offset) && sink_rejected(s, p, r->offset, why, f) != 0) return -1;
    mark_batch(s, b, SETTLE_RETRY);
    return 0;
}

static int put_failed(struct sink *s, struct cn_batch *b, struct failure *f) {
    struct instance_failure why;
    instance_failed(&s->run->instance, "put", &why);
    if (why.fail_class == CN_FAIL_RECORD && why.record < cn_count(b)) return put_failed_at(s, b, why.record, why.text, f);
    s->broken = true;
    return failure_set(f, why.fail_class, why.hint, "%s", why.text);
}

static int put(struct sink *s, struct cn_batch *b, struct failure *f) {
    struct clock *clock = s->run->env->clock;
    int64_t began = clock->mono_ns(clock);
    run_enter(s->run, "put", 0);
    int r = s->ops->put(s->self, b);
    if (!run_leave(s->run)) return -1;
    s->called_ms = sink_now_ms(s);
    histogram_add(s->run->metrics[MS_PUT_TIME].histogram, (clock->mono_ns(clock) - began) / 1000);
    if (sink_take_verdicts(s, f) != 0) return -1;
    switch (r) {
    case CN_PUT_OK:
        mark_batch(s, b, SETTLE_OK);
        s->settled_any = true;
        sink_pass_settled(s);
        sink_accepted(s);
        return 0;
    case CN_PUT_LATER: return 0;
    case CN_PUT_FAILED: return put_failed(s, b, f);
    default: return failure_set(f, CN_FAIL_BUG, NULL, "put of %s returned %d", s->run->def->component->name, r);
    }
}

// Puts what was read, in batches.
int sink_deliver(struct sink *s, const struct consumed *r, size_t n, struct failure *f) {
    for (size_t at = 0, most = n; at < n;) {
        struct cn_batch *b = batch_memory_reset(&s->memory);
        size_t looked;
        if (build(s, b, r + at, most < n - at ? most : n - at, &looked, f) != 0) {
            if (!b->failed || build_overflowed(s, r + at, looked, f) != 0) return -1;
            if (looked) most = looked;
            else at++;
            continue;
        }
        most = n;
        if (transform(s, b, f) != 0) return -1;
        drop_filtered(s, b);
        count_put(s, r + at, looked, cn_count(b));
        if (cn_count(b) && put(s, b, f) != 0) return -1;
        batch_memory_trim(&s->memory);
        at += looked;
    }
    return 0;
}
