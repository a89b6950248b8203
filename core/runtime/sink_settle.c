// SPDX-License-Identifier: Apache-2.0
// Sink tasks: verdicts, and the redelivery of records that shall be retried.
#include "runtime/sink_int.h"

// ── verdicts ──

// [any thread] cn_host.settle.
void sink_on_settle(void *arg, const struct cn_verdict *v, uint32_t n) {
    struct sink *s = arg;
    LOCK_SCOPE(&s->inbox_lock);
    bool first = !s->inbox_n;
    for (uint32_t i = 0; i < n; i++) {
        struct verdict copy = {.topic = arena_copy(&s->inbox_texts, str_of(v[i].topic)).p, .partition = v[i].partition, .kind = v[i].kind,
                               .first = v[i].first, .last = v[i].last, .retry_after_ms = v[i].retry_after_ms};
        copy.reason = v[i].reason ? arena_copy(&s->inbox_texts, str_of(v[i].reason)).p : NULL;
        VEC_PUSH(s->inbox, s->inbox_n, s->inbox_cap, copy);
    }
    if (first && n && s->wake >= 0) wake_signal(s->wake);
}

// A record is to be put again. All retries of a partition until its redelivery are one round: the back-off counts rounds, and the
// time spent is that of the first record.
static void retry_later(struct sink *s, struct part *p, int64_t offset, int64_t after_ms, bool round_began, const char *why) {
    int64_t now = sink_now_ms(s);
    if (!round_began || offset < p->retry_offset) {
        if (!p->retrying_since_ms || offset != p->retry_offset) p->retrying_since_ms = now;
        p->retry_offset = offset;
        snprintf(p->retry_why, sizeof(p->retry_why), "%s", why ? why : "the sink asks for a retry");
    }
    int64_t wait = after_ms > 0 ? after_ms : round_began ? 0 : backoff_next(&p->backoff, random_u64());
    if (now + wait > p->retry_at_ms) p->retry_at_ms = now + wait;
    metric_add(&s->run->metrics[MS_RETRIES], 1);
}

static bool retried_long_enough(const struct sink *s, const struct part *p, int64_t offset) {
    return s->retry_timeout_ms > 0 && p->retrying_since_ms && p->retry_offset == offset && sink_now_ms(s) - p->retrying_since_ms > s->retry_timeout_ms;
}

int sink_rejected(struct sink *s, struct part *p, int64_t offset, const char *why, struct failure *f) {
    struct failure reason;
    failure_set(&reason, CN_FAIL_RECORD, NULL, "%s", why ? why : "rejected without a reason");
    return sink_record_failed(s, p, offset, STAGE_TASK_PUT, s->run->def->component->name, &reason, true, f);
}

static int take_retry(struct sink *s, struct part *p, const struct verdict *v, struct failure *f) {
    int64_t first = v->first < p->settled.prefix ? p->settled.prefix : v->first;
    if (retried_long_enough(s, p, first)) {
        char why[400];
        snprintf(why, sizeof(why), "%s; retried for %lld ms (errors.retry.timeout)", v->reason ? v->reason : "the sink asks for a retry", (long long)s->retry_timeout_ms);
        if (sink_rejected(s, p, first, why, f) != 0) return -1;
        p->retrying_since_ms = 0;
        first++;
    }
    bool round_began = p->settled.retries > 0;
    size_t n = settled_mark(&p->settled, first, v->last, SETTLE_RETRY, NULL);
    metric_add(&s->run->metrics[MS_RECORD_ERRORS], (int64_t)n);
    if (n) retry_later(s, p, first, v->retry_after_ms, round_began, v->reason);
    return 0;
}

static int take_reject(struct sink *s, struct part *p, const struct verdict *v, struct failure *f) {
    for (int64_t o = v->first; o <= v->last && o < p->settled.end; o++)
        if (settled_is_put(&p->settled, o) && sink_rejected(s, p, o, v->reason, f) != 0) return -1;
    return 0;
}

// The other side let us in. Not already when it is open: many sinks connect with the first record.
void sink_accepted(struct sink *s) {
    if (!s->delivered) run_succeeded(s->run);
    s->delivered = true;
}

static int take_verdict(struct sink *s, const struct verdict *v, struct failure *f) {
    if (v->kind == CN_FATAL) {
        sink_plugin_failed(s, "settle", f);
        return v->reason && f->fail_class == CN_FAIL_BUG ? failure_set(f, CN_FAIL_TRANSIENT, NULL, "%s", v->reason) : -1;
    }
    struct part *p = sink_part(s, v->topic, v->partition);
    if (!p || v->last < v->first) return 0; // of a partition that was revoked
    switch (v->kind) {
    case CN_OK:
        settled_mark(&p->settled, v->first, v->last, SETTLE_OK, NULL);
        sink_accepted(s);
        return 0;
    case CN_RETRY: return take_retry(s, p, v, f);
    case CN_REJECT: return take_reject(s, p, v, f);
    default: return failure_set(f, CN_FAIL_BUG, NULL, "verdict %d of %s is unknown", v->kind, s->run->def->component->name);
    }
}

void sink_pass_settled(struct sink *s) {
    for (size_t i = 0; i < s->n; i++) {
        struct part *p = s->parts[i];
        settled_pass(&p->settled);
        if (p->settled.n > MOST_UNCOMMITTED && p->settled.n > p->settled.outstanding) s->commit_at_ms = sink_now_ms(s);
    }
}

int sink_take_verdicts(struct sink *s, struct failure *f) {
    size_t n;
    {
        LOCK_SCOPE(&s->inbox_lock);
        if (!(n = s->inbox_n)) return 0;
        struct verdict *list = s->taken;
        size_t cap = s->taken_cap;
        struct arena texts = s->taken_texts;
        s->taken = s->inbox, s->taken_cap = s->inbox_cap, s->taken_texts = s->inbox_texts;
        s->inbox = list, s->inbox_cap = cap, s->inbox_texts = texts;
        s->inbox_n = 0;
    }
    int rc = 0;
    struct failure later; // the first one counts, but what else was settled is settled
    for (size_t i = 0; i < n; i++)
        if (take_verdict(s, &s->taken[i], rc ? &later : f) != 0) rc = -1;
    arena_reset(&s->taken_texts);
    s->settled_any = true;
    sink_pass_settled(s);
    return rc;
}

// ── redelivery ──

static void pause_part(struct sink *s, struct part *p, bool paused) {
    if (p->paused == paused) return;
    p->paused = paused;
    s->backend_ops->pause(s->consumer, p->topic, p->partition, paused);
}

int sink_redeliver(struct sink *s, struct failure *f) {
    bool any = false;
    for (size_t i = 0; i < s->n; i++) {
        struct part *p = s->parts[i];
        struct err err;
        if (!p->settled.retries) continue;
        pause_part(s, p, true);
        any = true;
        if (!settled_wants_redelivery(&p->settled) || sink_now_ms(s) < p->retry_at_ms) continue;
        int64_t from = settled_redeliver(&p->settled);
        if (s->backend_ops->seek(s->consumer, p->topic, p->partition, from, &err) != 0) return failure_err(f, &err, CN_FAIL_BUG);
        p->retry_at_ms = 0;
        pause_part(s, p, false);
    }
    if (!any) return 0;
    for (size_t i = 0; i < s->n; i++)
        if (s->parts[i]->settled.retries) {
            run_blocked(s->run, s->parts[i]->retry_why);
            return 0;
        }
    return 0;
}

// The record that was retried is behind us: the next failure starts anew.
void sink_retry_passed(struct sink *s, struct part *p) {
    if (!p->retrying_since_ms || p->settled.retries || p->settled.prefix <= p->retry_offset) return;
    p->retrying_since_ms = 0;
    backoff_reset(&p->backoff);
    run_blocked(s->run, NULL);
}

int64_t sink_next_retry_ms(const struct sink *s, int64_t otherwise) {
    int64_t now = sink_now_ms(s);
    for (size_t i = 0; i < s->n; i++) {
        const struct part *p = s->parts[i];
        if (!settled_wants_redelivery(&p->settled)) continue;
        if (p->retry_at_ms - now < otherwise) otherwise = p->retry_at_ms > now ? p->retry_at_ms - now : 0;
    }
    return otherwise;
}
