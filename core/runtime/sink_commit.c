// SPDX-License-Identifier: Apache-2.0
// Sink tasks: settled prefixes become group offsets.
#include "runtime/sink_int.h"

// [any thread]
static void offsets_done(void *arg, const struct err *err) {
    struct sink *s = arg;
    struct run *r = s->run;
    int wake = s->wake;
    if (err) s->commit_err = *err;
    atomic_store(&s->commit_state, err ? COMMIT_FAILED : COMMIT_DURABLE);
    instance_wake(&r->instance);
    wake_signal(wake);
}

int sink_see_position(void *arg, const char *topic, int32_t partition, int64_t next, int64_t end) {
    struct part *p = sink_part(arg, topic, partition);
    if (!p) return 0;
    p->next = next;
    p->end = end;
    return 0;
}

static void commit_landed(struct sink *s) {
    struct metric *m = s->run->metrics;
    for (size_t i = 0; i < s->n; i++)
        if (s->parts[i]->committing >= 0) s->parts[i]->committed = s->parts[i]->committing;
    metric_add(&m[MS_COMMIT_DONE], 1);
    metric_add(&m[MS_COMMIT_SEQ], 1);
    histogram_add(m[MS_OFFSET_COMMIT_TIME].histogram, (s->run->env->clock->mono_ns(s->run->env->clock) - s->commit_sent_ns) / 1000);
    backoff_reset(&s->commit_backoff);
    run_progressed(s->run);
}

// Looks at the commit under way. 0, or -1 when it failed for good.
int sink_commit_step(struct sink *s, struct failure *f) {
    switch (atomic_load(&s->commit_state)) {
    case COMMIT_DURABLE:
        commit_landed(s);
        atomic_store(&s->commit_state, COMMIT_NONE);
        return 0;
    case COMMIT_FAILED:
        if (!err_retriable(&s->commit_err)) {
            failure_err(f, &s->commit_err, CN_FAIL_TRANSIENT);
            return failure_wrap(f, "commit of offsets");
        }
        metric_add(&s->run->metrics[MS_COMMIT_SKIP], 1);
        run_blocked(s->run, s->commit_err.msg);
        s->commit_retry_at_ms = sink_now_ms(s) + backoff_next(&s->commit_backoff, random_u64());
        atomic_store(&s->commit_state, COMMIT_HELD);
        return 0;
    case COMMIT_HELD:
        if (sink_now_ms(s) < s->commit_retry_at_ms) return 0;
        run_blocked(s->run, NULL);
        atomic_store(&s->commit_state, COMMIT_UNDER_WAY);
        s->backend_ops->retry(s->producer);
        return 0;
    default: return 0;
    }
}

// Moves the prefixes and commits them with the dead letters they passed. Only when no commit is under way.
int sink_commit(struct sink *s, struct failure *f) {
    size_t n = 0;
    s->backend_ops->assignment(s->consumer, sink_see_position, s);
    vec_reserve((void **)&s->offsets, &s->offsets_cap, s->n, sizeof(*s->offsets));
    for (size_t i = 0; i < s->n; i++) {
        struct part *p = s->parts[i];
        struct burial u = {.s = s, .part = p, .f = f};
        int64_t prefix = settled_advance(&p->settled, p->next, sink_bury, &u);
        if (u.rc != 0) return -1;
        sink_retry_passed(s, p);
        p->committing = -1;
        if (prefix == p->committed || p->gone) continue;
        p->committing = prefix;
        s->offsets[n++] = (struct backend_offset){p->topic, p->partition, prefix, p->topic_id};
    }
    s->settled_any = false;
    if (!n) return 0;
    s->commit_sent_ns = s->run->env->clock->mono_ns(s->run->env->clock);
    atomic_store(&s->commit_state, COMMIT_UNDER_WAY);
    s->backend_ops->commit(s->producer, NULL, NULL, 0, s->run->def->group, s->offsets, n, offsets_done, s);
    return 0;
}

size_t sink_unanswered(const struct sink *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) n += s->parts[i]->settled.unanswered;
    return n;
}

bool sink_is_full(const struct sink *s) {
    int64_t most = s->options->max_bytes_in_flight > 0 ? s->options->max_bytes_in_flight : DEFAULT_IN_FLIGHT, bytes = 0;
    for (size_t i = 0; i < s->n; i++) {
        bytes += (int64_t)s->parts[i]->settled.bytes;
        if (s->parts[i]->settled.n >= MOST_BEHIND) return true;
    }
    return bytes >= most;
}

int sink_flush(struct sink *s, int64_t deadline_ms, struct failure *f) {
    if (!s->ops->flush || !sink_unanswered(s)) return 0;
    run_enter(s->run, "flush", deadline_ms);
    int r = s->ops->flush(s->self, (uint32_t)deadline_ms);
    if (!run_leave(s->run)) return -1;
    s->called_ms = sink_now_ms(s);
    if (r != 0) return sink_plugin_failed(s, "flush", f);
    return sink_take_verdicts(s, f);
}

int sink_commit_if_due(struct sink *s, struct failure *f) {
    if (sink_now_ms(s) < s->commit_at_ms || atomic_load(&s->commit_state) != COMMIT_NONE) return 0;
    // A sink that settles by itself is not held up; one that waits for this is asked.
    if (!s->settled_any && sink_flush(s, s->run->env->shutdown_ms, f) != 0) return -1;
    s->commit_at_ms = sink_now_ms(s) + s->flush_ms;
    return sink_commit(s, f);
}
