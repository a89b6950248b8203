// SPDX-License-Identifier: Apache-2.0
// A sink task's run.
//
//   consumer ─► codec ─► transforms ─► put ─► the plugin ── verdicts, now or later, any thread ──► inbox
//      ▲                                                                                            │ task's thread
//      └── seek: redelivery, in order, after a back-off ◄── RETRY ── settled, for each partition ◄──┘
//                                                                      │ prefix
//                          group offsets + dead letters, one commit ◄──┘
//
// A partition with a record to be retried is paused until the sink holds none of it any more and the back-off is over; then its
// consumer goes back to the first such record, and what is settled already is passed over. Records that failed for good are dead:
// when the prefix passes them they are read again and written to the dead letters, in the commit of that prefix.
#include <poll.h>
#include <stdio.h>

#include "backend/backend.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/say.h"
#include "base/thread.h"
#include "runtime/batch_memory.h"
#include "runtime/codec.h"
#include "runtime/dead_letter.h"
#include "runtime/settled.h"
#include "runtime/task.h"
#include "runtime/task_metrics.h"
#include "state/state.h"
#include "transforms/transform.h"

enum {
    TICK_MS = 1000,
    READ_BYTES = 1 << 20,
    DEFAULT_IN_FLIGHT = 16 << 20,
    DEFAULT_BATCH = 500,
    FULL_MS = 20,            // with no room left, the sink is asked to flush after this
    RETRY_MIN_MS = 300,      // Connect's first delay
    MOST_BEHIND = 1 << 18,   // records of a partition settled behind one that is not
    MOST_UNCOMMITTED = 1 << 16, // or behind a dead one: then it is time for a commit
    BATCH_MAX = 768 << 20,
};

struct part {
    const char *topic; // the consumer's
    int32_t partition;
    struct settled settled;
    int64_t committed;   // durable, -1 none
    int64_t committing;  // in the commit under way
    int64_t next, end;   // of the consumer, as of the last look
    bool paused;         // waits for its redelivery
    struct backoff backoff;
    int64_t retry_at_ms, retrying_since_ms, retry_offset; // the record the back-off is for
    char retry_why[160];
    bool gone;           // revoked, to be removed
};

struct verdict { // of the inbox; texts in its arena
    const char *topic, *reason;
    int32_t partition;
    uint8_t kind;
    int64_t first, last, retry_after_ms;
};

enum commit_state { COMMIT_NONE, COMMIT_UNDER_WAY, COMMIT_DURABLE, COMMIT_FAILED, COMMIT_HELD };

struct sink {
    struct run *run;
    const struct cn_sink_ops *ops;
    const struct backend_ops *backend_ops;
    const struct connector_options *options;
    void *self;
    struct transform_chain *chain;
    struct codec *codec;
    struct consumer *consumer;
    struct producer *producer;
    struct batch_memory memory;
    char *dead_letters;
    bool dead_letters_made;
    int64_t retry_timeout_ms, flush_ms;

    struct part **parts;
    size_t n, cap;
    struct map by_name;         // "topic/partition" → part
    struct part *last_part;     // of the record looked at last
    bool assigned, revoked;     // the consumer's callbacks came

    pthread_mutex_t inbox_lock; // guards the next five
    struct verdict *inbox;
    size_t inbox_n, inbox_cap;
    struct arena inbox_texts;
    int wake;                   // the consumer's
    struct verdict *taken;      // what take_verdicts works on
    size_t taken_cap;
    struct arena taken_texts;

    _Atomic int commit_state;   // enum commit_state
    struct err commit_err;
    int64_t commit_sent_ns, commit_retry_at_ms, commit_at_ms; // the next one is due
    struct backoff commit_backoff;
    struct backend_offset *offsets;
    size_t offsets_cap;

    int64_t called_ms, full_since_ms, looked_ms;
    bool settled_any;           // a verdict came since the last commit
    bool delivered;             // a record was settled OK
    bool broken;                // the plugin failed: it settles nothing of what it holds any more
    bool paused;
};

static int64_t now_ms(const struct sink *s) { return clock_mono_ms(s->run->env->clock); }

// ── partitions ──

static void part_key(char *out, size_t cap, const char *topic, int32_t partition) { snprintf(out, cap, "%s/%d", topic, partition); }

static struct part *part_find(struct sink *s, const char *topic, int32_t partition) {
    struct part *p = s->last_part;
    if (p && p->partition == partition && (p->topic == topic || strcmp(p->topic, topic) == 0)) return p;
    char key[300];
    part_key(key, sizeof(key), topic, partition);
    p = map_get(&s->by_name, str_of(key));
    if (p) s->last_part = p;
    return p;
}

static void part_free(struct part *p) {
    settled_done(&p->settled);
    free(p);
}

// ── a record that failed for good ──

// Kept in the settled tracker as one text: stage, component, class, text, hint.
static char *cause_pack(enum error_stage stage, const char *component, const char *class, const char *text, const char *hint) {
    return xasprintf("%d\x1f%s\x1f%s\x1f%s\x1f%s", (int)stage, component, class, text, hint ? hint : "");
}
struct cause { enum error_stage stage; char component[160], class[32], text[1536], hint[512]; };
static void cause_unpack(const char *packed, struct cause *ret) {
    struct str rest = str_of(packed), part;
    const struct { char *to; size_t cap; } fields[] = {{ret->component, sizeof(ret->component)}, {ret->class, sizeof(ret->class)}, {ret->text, sizeof(ret->text)}, {ret->hint, sizeof(ret->hint)}};
    int64_t stage = STAGE_TASK_PUT;
    if (str_split(&rest, '\x1f', &part)) str_to_i64(part, &stage);
    ret->stage = (enum error_stage)stage;
    for (size_t i = 0; i < countof(fields); i++) {
        if (!str_split(&rest, '\x1f', &part)) part = (struct str){"", 0};
        snprintf(fields[i].to, fields[i].cap, "%.*s", STR_FMT(part));
    }
}

struct burial { struct sink *s; struct part *part; const struct cause *cause; int64_t offset; struct failure *f; int rc; };

static void bury_record(void *arg, const struct consumed *r) {
    struct burial *u = arg;
    struct sink *s = u->s;
    const struct cause *c = u->cause;
    struct backend_record original = {.topic = str_of(r->topic), .partition = r->partition, .timestamp = r->timestamp, .key = r->key, .value = r->value, .headers = r->headers, .header_count = r->header_count};
    struct dead_letter d = {.record = &original, .offset = u->offset, .connector = s->run->name, .task = s->run->index, .stage = c->stage, .component = c->component,
                            .fail_class = c->class, .text = c->text, .hint = c->hint};
    struct err err;
    if (dead_letter_add(s->run->env->backend, s->producer, s->dead_letters, s->options->dead_letter_headers, &d, &err) == 0) return;
    metric_add(&s->run->metrics[MS_DEAD_LETTER_FAILURES], 1);
    u->rc = failure_err(u->f, &err, CN_FAIL_BUG);
}

static int dead_letters_ready(struct sink *s, struct failure *f) {
    struct err err;
    if (s->dead_letters_made) return 0;
    if (dead_letter_topic_ensure(s->run->env->backend, s->dead_letters, &err) != 0) return failure_err(f, &err, CN_FAIL_CONFIG);
    s->dead_letters_made = true;
    return 0;
}

// From settled_advance: the prefix passes a dead record.
static void bury(void *arg, int64_t offset, const char *packed) {
    struct burial *u = arg;
    struct sink *s = u->s;
    struct cause cause;
    struct err err;
    if (u->rc != 0) return;
    cause_unpack(packed, &cause);
    u->cause = &cause;
    u->offset = offset;
    if ((u->rc = dead_letters_ready(s, u->f)) != 0) return;
    metric_add(&s->run->metrics[MS_DEAD_LETTERS], 1);
    metric_add(&s->run->metrics[MS_RECORDS_SKIPPED], 1);
    if (s->backend_ops->fetch(s->run->env->backend, u->part->topic, u->part->partition, offset, bury_record, u, &err) == 0) return;
    if (err.code != ERR_NOT_FOUND) {
        u->rc = failure_err(u->f, &err, CN_FAIL_TRANSIENT);
        return;
    }
    // Compacted or expired meanwhile: the cause is kept all the same.
    struct consumed gone = {.topic = u->part->topic, .partition = u->part->partition, .timestamp = clock_wall_ms(s->run->env->clock)};
    bury_record(u, &gone);
}

struct logging { struct sink *s; const struct failure *why; enum error_stage stage; const char *name; bool logged; };
static void log_record(void *arg, const struct consumed *r) {
    struct logging *l = arg;
    run_error(l->s->run, l->why, l->stage, l->name, r->key, r->value);
    l->logged = true;
}

// errors.tolerance decides about a record that failed for good. `packed` is taken. 0: it is dead; -1: the task fails.
static int record_failed(struct sink *s, struct part *p, int64_t offset, enum error_stage stage, const char *component, const struct failure *why, bool was_put, struct failure *f) {
    char name[300];
    snprintf(name, sizeof(name), "%s-%d@%lld", p->topic, p->partition, (long long)offset);
    struct logging l = {s, why, stage, name, false};
    struct err unread;
    // A record that was rejected later is read again for its line.
    if (run_logs_messages(s->run) && s->backend_ops->fetch(s->run->env->backend, p->topic, p->partition, offset, log_record, &l, &unread) != 0)
        say_err(SAY_WARN, &unread, "record %s can not be shown", name);
    if (!l.logged) run_error(s->run, why, stage, name, (struct str){0}, (struct str){0});
    metric_add(&s->run->metrics[MS_RECORD_FAILURES], 1);
    if (s->options->errors_tolerance == TOLERATE_NONE) {
        if (was_put) settled_mark(&p->settled, offset, offset, SETTLE_RETRY, NULL); // it is not waited for
        failure_set(f, CN_FAIL_RECORD, *why->hint ? why->hint : "errors.tolerance: all sends such records to the dead-letter topic", "%s", why->text);
        if (!error_stage_converts(stage)) failure_wrap(f, "%s", component);
        return failure_wrap(f, "record %s", name);
    }
    _cleanup_free_ char *packed = cause_pack(stage, component, stage == STAGE_TASK_PUT ? "rejected" : fail_class_name(why->fail_class), why->text, why->hint);
    if (was_put) settled_mark(&p->settled, offset, offset, SETTLE_DEAD, packed);
    else settled_skip(&p->settled, offset, SETTLE_DEAD, packed);
    return 0;
}

// The plugin failed as it said.
static int plugin_failed(struct sink *s, const char *op, struct failure *f) {
    s->broken = true;
    return failure_plugin(f, &s->run->instance, op);
}

// ── verdicts ──

// [any thread] cn_host.settle.
static void on_settle(void *arg, const struct cn_verdict *v, uint32_t n) {
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
    int64_t now = now_ms(s);
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
    return s->retry_timeout_ms > 0 && p->retrying_since_ms && p->retry_offset == offset && now_ms(s) - p->retrying_since_ms > s->retry_timeout_ms;
}

static int rejected(struct sink *s, struct part *p, int64_t offset, const char *why, struct failure *f) {
    struct failure reason;
    failure_set(&reason, CN_FAIL_RECORD, NULL, "%s", why ? why : "rejected without a reason");
    return record_failed(s, p, offset, STAGE_TASK_PUT, s->run->def->component->name, &reason, true, f);
}

static int take_retry(struct sink *s, struct part *p, const struct verdict *v, struct failure *f) {
    int64_t first = v->first < p->settled.prefix ? p->settled.prefix : v->first;
    if (retried_long_enough(s, p, first)) {
        char why[400];
        snprintf(why, sizeof(why), "%s; retried for %lld ms (errors.retry.timeout)", v->reason ? v->reason : "the sink asks for a retry", (long long)s->retry_timeout_ms);
        if (rejected(s, p, first, why, f) != 0) return -1;
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
        if (settled_is_put(&p->settled, o) && rejected(s, p, o, v->reason, f) != 0) return -1;
    return 0;
}

// The other side let us in. Not already when it is open: many sinks connect with the first record.
static void delivered(struct sink *s) {
    if (!s->delivered) run_succeeded(s->run);
    s->delivered = true;
}

static int take_verdict(struct sink *s, const struct verdict *v, struct failure *f) {
    if (v->kind == CN_FATAL) {
        plugin_failed(s, "settle", f);
        return v->reason && f->fail_class == CN_FAIL_BUG ? failure_set(f, CN_FAIL_TRANSIENT, NULL, "%s", v->reason) : -1;
    }
    struct part *p = part_find(s, v->topic, v->partition);
    if (!p || v->last < v->first) return 0; // of a partition that was revoked
    switch (v->kind) {
    case CN_OK:
        settled_mark(&p->settled, v->first, v->last, SETTLE_OK, NULL);
        delivered(s);
        return 0;
    case CN_RETRY: return take_retry(s, p, v, f);
    case CN_REJECT: return take_reject(s, p, v, f);
    default: return failure_set(f, CN_FAIL_BUG, NULL, "verdict %d of %s is unknown", v->kind, s->run->def->component->name);
    }
}

static void pass_settled(struct sink *s) {
    for (size_t i = 0; i < s->n; i++) {
        struct part *p = s->parts[i];
        settled_pass(&p->settled);
        if (p->settled.n > MOST_UNCOMMITTED && p->settled.n > p->settled.outstanding) s->commit_at_ms = now_ms(s);
    }
}

static int take_verdicts(struct sink *s, struct failure *f) {
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
    pass_settled(s);
    return rc;
}

// ── redelivery ──

static void pause_part(struct sink *s, struct part *p, bool paused) {
    if (p->paused == paused) return;
    p->paused = paused;
    s->backend_ops->pause(s->consumer, p->topic, p->partition, paused);
}

static int redeliver(struct sink *s, struct failure *f) {
    bool any = false;
    for (size_t i = 0; i < s->n; i++) {
        struct part *p = s->parts[i];
        struct err err;
        if (!p->settled.retries) continue;
        pause_part(s, p, true);
        any = true;
        if (!settled_wants_redelivery(&p->settled) || now_ms(s) < p->retry_at_ms) continue;
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
static void retry_passed(struct sink *s, struct part *p) {
    if (!p->retrying_since_ms || p->settled.retries || p->settled.prefix <= p->retry_offset) return;
    p->retrying_since_ms = 0;
    backoff_reset(&p->backoff);
    run_blocked(s->run, NULL);
}

static int64_t next_retry_ms(const struct sink *s, int64_t otherwise) {
    int64_t now = now_ms(s);
    for (size_t i = 0; i < s->n; i++) {
        const struct part *p = s->parts[i];
        if (!settled_wants_redelivery(&p->settled)) continue;
        if (p->retry_at_ms - now < otherwise) otherwise = p->retry_at_ms > now ? p->retry_at_ms - now : 0;
    }
    return otherwise;
}

// ── commits ──

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

static int see_position(void *arg, const char *topic, int32_t partition, int64_t next, int64_t end) {
    struct part *p = part_find(arg, topic, partition);
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
static int commit_step(struct sink *s, struct failure *f) {
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
        s->commit_retry_at_ms = now_ms(s) + backoff_next(&s->commit_backoff, random_u64());
        atomic_store(&s->commit_state, COMMIT_HELD);
        return 0;
    case COMMIT_HELD:
        if (now_ms(s) < s->commit_retry_at_ms) return 0;
        run_blocked(s->run, NULL);
        atomic_store(&s->commit_state, COMMIT_UNDER_WAY);
        s->backend_ops->retry(s->producer);
        return 0;
    default: return 0;
    }
}

// Moves the prefixes and commits them with the dead letters they passed. Only when no commit is under way.
static int commit(struct sink *s, struct failure *f) {
    size_t n = 0;
    s->backend_ops->assignment(s->consumer, see_position, s);
    vec_reserve((void **)&s->offsets, &s->offsets_cap, s->n, sizeof(*s->offsets));
    for (size_t i = 0; i < s->n; i++) {
        struct part *p = s->parts[i];
        struct burial u = {.s = s, .part = p, .f = f};
        int64_t prefix = settled_advance(&p->settled, p->next, bury, &u);
        if (u.rc != 0) return -1;
        retry_passed(s, p);
        p->committing = -1;
        if (prefix == p->committed || p->gone) continue;
        p->committing = prefix;
        s->offsets[n++] = (struct backend_offset){p->topic, p->partition, prefix};
    }
    s->settled_any = false;
    if (!n) return 0;
    s->commit_sent_ns = s->run->env->clock->mono_ns(s->run->env->clock);
    atomic_store(&s->commit_state, COMMIT_UNDER_WAY);
    s->backend_ops->commit(s->producer, NULL, NULL, 0, s->run->def->group, s->offsets, n, offsets_done, s);
    return 0;
}

static size_t unanswered(const struct sink *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->n; i++) n += s->parts[i]->settled.unanswered;
    return n;
}

static bool is_full(const struct sink *s) {
    int64_t most = s->options->max_bytes_in_flight > 0 ? s->options->max_bytes_in_flight : DEFAULT_IN_FLIGHT, bytes = 0;
    for (size_t i = 0; i < s->n; i++) {
        bytes += (int64_t)s->parts[i]->settled.bytes;
        if (s->parts[i]->settled.n >= MOST_BEHIND) return true;
    }
    return bytes >= most;
}

static int flush(struct sink *s, int64_t deadline_ms, struct failure *f) {
    if (!s->ops->flush || !unanswered(s)) return 0;
    run_enter(s->run, "flush", deadline_ms);
    int r = s->ops->flush(s->self, (uint32_t)deadline_ms);
    if (!run_leave(s->run)) return -1;
    s->called_ms = now_ms(s);
    if (r != 0) return plugin_failed(s, "flush", f);
    return take_verdicts(s, f);
}

static int commit_if_due(struct sink *s, struct failure *f) {
    if (now_ms(s) < s->commit_at_ms || atomic_load(&s->commit_state) != COMMIT_NONE) return 0;
    // A sink that settles by itself is not held up; one that waits for this is asked.
    if (!s->settled_any && flush(s, s->run->env->shutdown_ms, f) != 0) return -1;
    s->commit_at_ms = now_ms(s) + s->flush_ms;
    return commit(s, f);
}

// ── assignment ──

static int committed_of(void *arg, const struct backend_offset *o) {
    struct part *p = part_find(arg, o->topic, o->partition);
    if (p) p->committed = o->offset;
    return 0;
}

static int on_assigned(void *arg, const char *topic, int32_t partition, int64_t *offset, struct err *err) {
    struct sink *s = arg;
    char key[300];
    (void)err;
    struct part *p = xcalloc(1, sizeof(*p));
    *p = (struct part){.topic = topic, .partition = partition, .committed = -1, .committing = -1, .next = *offset, .retry_offset = -1};
    p->backoff = (struct backoff){.min_ms = RETRY_MIN_MS, .max_ms = s->options->errors_retry_delay_max_ms};
    settled_init(&p->settled, *offset);
    part_key(key, sizeof(key), topic, partition);
    VEC_PUSH(s->parts, s->n, s->cap, p);
    map_put(&s->by_name, str_of(key), p);
    s->assigned = true;
    return 0;
}

static void on_revoked(void *arg, const char *topic, int32_t partition) {
    struct sink *s = arg;
    struct part *p = part_find(s, topic, partition);
    if (!p) return;
    p->gone = true;
    s->revoked = true;
}

// The sink's own offset wins.
static int start_from(struct sink *s, struct part *p, int64_t offset, struct failure *f) {
    struct err err;
    if (offset < 0 || offset == p->next) return 0;
    if (s->backend_ops->seek(s->consumer, p->topic, p->partition, offset, &err) != 0) return failure_err(f, &err, CN_FAIL_BUG);
    p->next = offset;
    settled_done(&p->settled);
    settled_init(&p->settled, offset);
    return 0;
}

static int tell_assigned(struct sink *s, size_t first, struct failure *f) {
    size_t n = s->n - first;
    struct cn_sink_partition *list = xcalloc(n, sizeof(*list));
    for (size_t i = 0; i < n; i++) list[i] = (struct cn_sink_partition){.topic = s->parts[first + i]->topic, .partition = s->parts[first + i]->partition, .offset = s->parts[first + i]->next};
    run_enter(s->run, "assign", s->run->env->hang_ms);
    int r = s->ops->assign(s->self, list, (uint32_t)n);
    bool here = run_leave(s->run);
    if (here && r != 0) plugin_failed(s, "assign", f);
    for (size_t i = 0; i < n && here && r == 0; i++) r = start_from(s, s->parts[first + i], list[i].offset, f);
    free(list);
    return here && r == 0 ? 0 : -1;
}

static int refuse_without_offset(const struct sink *s, struct failure *f) {
    for (size_t i = 0; i < s->n; i++)
        if (s->parts[i]->committed < 0)
            return failure_set(f, CN_FAIL_CONFIG, "set auto.offset.reset to earliest or latest, or the offset with `connectd offsets set`",
                               "group %s has no offset for %s-%d and auto.offset.reset is none", s->run->def->group, s->parts[i]->topic, s->parts[i]->partition);
    return 0;
}

// Partitions that the last poll brought; the first `known` are old.
static int take_assigned(struct sink *s, size_t known, struct failure *f) {
    struct err err;
    s->assigned = false;
    if (s->backend_ops->offsets(s->run->env->backend, s->run->def->group, committed_of, s, &err) != 0) return failure_err(f, &err, CN_FAIL_TRANSIENT);
    if (s->options->auto_offset_reset == RESET_NONE && refuse_without_offset(s, f) != 0) return -1;
    for (size_t i = known; i < s->n; i++)
        if (state_topic_used(s->run->env->state, s->run->name, s->run->index, s->parts[i]->topic, &err) != 0) return failure_err(f, &err, CN_FAIL_TRANSIENT);
    metric_set(&s->run->metrics[MS_PARTITIONS], (int64_t)s->n);
    return s->ops->assign ? tell_assigned(s, known, f) : 0;
}

static int tell_revoked(struct sink *s, const struct part *p) {
    const struct cn_sink_partition one = {.topic = p->topic, .partition = p->partition, .offset = p->settled.prefix};
    if (!s->ops->revoke) return 0;
    run_enter(s->run, "revoke", 0);
    s->ops->revoke(s->self, &one, 1);
    return run_leave(s->run) ? 0 : -1;
}

// Their topics are gone: what the sink still holds of them it may deliver now or forget.
static int take_revoked(struct sink *s, struct failure *f) {
    s->revoked = false;
    if (flush(s, s->run->env->shutdown_ms, f) != 0) return -1;
    s->last_part = NULL;
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        struct part *p = s->parts[i];
        char key[300];
        if (!p->gone) {
            s->parts[kept++] = p;
            continue;
        }
        if (tell_revoked(s, p) != 0) return -1;
        part_key(key, sizeof(key), p->topic, p->partition);
        map_remove(&s->by_name, str_of(key));
        part_free(p);
    }
    s->n = kept;
    metric_set(&s->run->metrics[MS_PARTITIONS], (int64_t)s->n);
    return 0;
}

// ── put ──

// Adds one record to the batch unless it is settled or waits. 0; -1: the task fails, or the batch is full (b->failed).
static int build_one(struct sink *s, struct cn_batch *b, const struct consumed *r, struct failure *f) {
    struct part *p = part_find(s, r->topic, r->partition);
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
    if (why.fail_class == CN_FAIL_RECORD) return record_failed(s, p, r->offset, stage, codec_component(s->codec, stage), &why, true, f);
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
        struct part *p = part_find(s, r[k].topic, r[k].partition);
        if (p) settled_unput(&p->settled, r[k].offset);
    }
    if (i) return 0;
    struct part *p = part_find(s, r->topic, r->partition);
    struct failure why = *f;
    why.fail_class = CN_FAIL_RECORD;
    return record_failed(s, p, r->offset, STAGE_VALUE_CONVERTER, "the batch", &why, false, f);
}

static struct part *part_of(struct sink *s, const struct cn_batch *b, const struct cn_record *r) {
    char topic[256];
    const struct cn_text *t = cn_topic_at(b, r->original_topic);
    snprintf(topic, sizeof(topic), "%.*s", (int)t->n, cn_bytes_at(b, t->at));
    return part_find(s, topic, r->original_partition);
}

static int transform(struct sink *s, struct cn_batch *b, struct failure *f) {
    struct transform_failure tf;
    if (!transform_chain_steps(s->chain)) return 0;
    for (uint32_t at = 0;; at++) {
        at = transform_chain_apply(s->chain, b, at, &tf);
        if (b->failed) return failure_set(f, CN_FAIL_RECORD, NULL, "the transforms made the batch grow beyond its limit");
        if (at >= cn_count(b)) return 0;
        struct cn_record *r = cn_record_at(b, at);
        struct failure why;
        char who[160];
        failure_set(&why, tf.failure.fail_class, tf.failure.hint, "%s", tf.failure.text);
        snprintf(who, sizeof(who), "transform %s (%s)", tf.alias, tf.type);
        if (why.fail_class != CN_FAIL_RECORD) return *f = why, failure_wrap(f, "%s", who);
        if (record_failed(s, part_of(s, b, r), r->offset, STAGE_TRANSFORMATION, who, &why, true, f) != 0) return -1;
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
    if (p && settled_is_put(&p->settled, r->offset) && rejected(s, p, r->offset, why, f) != 0) return -1;
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
    s->called_ms = now_ms(s);
    histogram_add(s->run->metrics[MS_PUT_TIME].histogram, (clock->mono_ns(clock) - began) / 1000);
    if (take_verdicts(s, f) != 0) return -1;
    switch (r) {
    case CN_PUT_OK:
        mark_batch(s, b, SETTLE_OK);
        s->settled_any = true;
        pass_settled(s);
        delivered(s);
        return 0;
    case CN_PUT_LATER: return 0;
    case CN_PUT_FAILED: return put_failed(s, b, f);
    default: return failure_set(f, CN_FAIL_BUG, NULL, "put of %s returned %d", s->run->def->component->name, r);
    }
}

// Puts what was read, in batches.
static int deliver(struct sink *s, const struct consumed *r, size_t n, struct failure *f) {
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

// ── the loop ──

static int tick(struct sink *s, struct failure *f) {
    if (now_ms(s) - s->called_ms < TICK_MS) return 0;
    s->called_ms = now_ms(s);
    if (!s->ops->tick) return 0;
    run_enter(s->run, "tick", 0);
    int r = s->ops->tick(s->self);
    if (!run_leave(s->run)) return -1;
    return r == 0 ? 0 : plugin_failed(s, "tick", f);
}

static void wait_ms(struct sink *s, int64_t ms) {
    struct pollfd fds[] = {{.fd = s->run->instance.wake, .events = POLLIN}, {.fd = s->wake, .events = POLLIN}};
    if (ms <= 0) return;
    poll(fds, countof(fds), (int)ms);
    wake_drain(s->wake);
}

// Lag and the partitions' places for status, once a second.
static void look(struct sink *s) {
    if (now_ms(s) - s->looked_ms < TICK_MS) return;
    s->looked_ms = now_ms(s);
    s->backend_ops->assignment(s->consumer, see_position, s);
    struct buf text = {0};
    struct json_writer w = json_to(&text);
    int64_t worst = 0;
    json_array(&w);
    for (size_t i = 0; i < s->n; i++) {
        const struct part *p = s->parts[i];
        int64_t lag = p->end - p->settled.prefix;
        if (lag > worst) worst = lag;
        if (i >= 1000) continue; // a page is enough
        json_object(&w);
        json_kz(&w, "topic", p->topic);
        json_ki(&w, "partition", p->partition);
        json_ki(&w, "committed", p->committed);
        json_ki(&w, "next", p->next);
        json_ki(&w, "end", p->end);
        json_ki(&w, "lag", lag);
        if (p->settled.retries) json_kz(&w, "retrying", p->retry_why);
        json_object_end(&w);
    }
    json_array_end(&w);
    metric_set(&s->run->metrics[MS_LAG_MAX], worst);
    metric_set(&s->run->metrics[MS_SINK_ACTIVE], (int64_t)unanswered(s));
    run_detail(s->run, "partitions", buf_str(&text));
    buf_done(&text);
}

static int64_t until_next(const struct sink *s) {
    int64_t now = now_ms(s), wait = s->called_ms + TICK_MS - now;
    wait = next_retry_ms(s, wait);
    int state = atomic_load(&s->commit_state);
    if (state == COMMIT_NONE && s->commit_at_ms - now < wait) wait = s->commit_at_ms - now;
    if (state == COMMIT_HELD && s->commit_retry_at_ms - now < wait) wait = s->commit_retry_at_ms - now;
    return wait < 0 ? 0 : wait;
}

static int read_failed(const struct sink *s, const struct err *err, struct failure *f) {
    bool damaged = err->code == ERR_CORRUPT;
    failure_err(f, err, damaged ? CN_FAIL_LOST_DATA : CN_FAIL_BUG);
    if (damaged)
        snprintf(f->hint, sizeof(f->hint), "the disk damaged it; `connectd log-dump` on the file shows what is whole. To go on behind it: connectd stop %s, "
                 "connectd offsets set %s TOPIC/PARTITION=OFFSET, connectd resume %s", s->run->name, s->run->name, s->run->name);
    return failure_wrap(f, "read the log");
}

static int read_and_put(struct sink *s, struct failure *f) {
    const struct consumed *r;
    struct err err;
    size_t known = s->n;
    int n = s->backend_ops->poll(s->consumer, READ_BYTES, until_next(s), &r, &err);
    if (n < 0) return read_failed(s, &err, f);
    if (s->assigned && take_assigned(s, known, f) != 0) return -1;
    if (s->revoked && take_revoked(s, f) != 0) return -1;
    return n > 0 ? deliver(s, r, (size_t)n, f) : tick(s, f);
}

// No room for more: waits for verdicts; a sink that gives none for a while is asked to flush.
static int wait_for_room(struct sink *s, struct failure *f) {
    if (!s->full_since_ms) s->full_since_ms = now_ms(s);
    if (s->ops->flush && now_ms(s) - s->full_since_ms >= FULL_MS) {
        s->full_since_ms = 0;
        if (flush(s, s->run->env->shutdown_ms, f) != 0) return -1;
        if (!is_full(s)) return 0;
    }
    int64_t wait = until_next(s);
    wait_ms(s, s->ops->flush && wait > FULL_MS ? FULL_MS : wait);
    return tick(s, f);
}

static void follow_pause(struct sink *s) {
    bool want = run_wants(s->run) == WANT_PAUSE;
    if (want == s->paused) return;
    s->paused = want;
    s->commit_at_ms = now_ms(s);
    run_paused(s->run, want);
}

static enum run_end loop(struct sink *s, struct failure *f) {
    for (;;) {
        instance_unwake(&s->run->instance); // before anything is looked at, so that no wake is lost
        if (run_wants(s->run) == WANT_STOP) return RUN_STOPPED;
        follow_pause(s);
        if (take_verdicts(s, f) != 0 || commit_step(s, f) != 0 || redeliver(s, f) != 0 || commit_if_due(s, f) != 0) return RUN_FAILED;
        look(s);
        int rc;
        if (s->paused) {
            wait_ms(s, until_next(s));
            rc = tick(s, f);
        } else if (is_full(s)) {
            rc = wait_for_room(s, f);
        } else {
            s->full_since_ms = 0;
            rc = read_and_put(s, f);
        }
        if (rc != 0) return RUN_FAILED;
    }
}

// Lets the sink settle what it holds and commits the prefixes, within the deadline.
static void drain(struct sink *s, int64_t deadline_ms) {
    struct failure ignored;
    bool asked = false;
    int64_t settle_by = deadline_ms - (deadline_ms - now_ms(s)) / 3; // the rest is for the commit
    for (size_t i = 0; i < s->n && s->broken; i++) settled_forget(&s->parts[i]->settled);
    while (now_ms(s) < settle_by && !run_lost(s->run)) {
        instance_unwake(&s->run->instance);
        if (take_verdicts(s, &ignored) != 0) break;
        if (!unanswered(s)) break;
        int64_t left = settle_by - now_ms(s);
        if (!asked && flush(s, left, &ignored) != 0) break;
        asked = true;
        if (unanswered(s)) wait_ms(s, left < 100 ? left : 100);
    }
    bool sent = false;
    while (now_ms(s) < deadline_ms && !run_lost(s->run)) {
        instance_unwake(&s->run->instance);
        if (commit_step(s, &ignored) != 0) return;
        if (atomic_load(&s->commit_state) == COMMIT_NONE) {
            if (sent || commit(s, &ignored) != 0) return;
            sent = true;
            continue;
        }
        wait_ms(s, 50);
    }
}

// ── life ──

// A sink without topics of its own reads what its pipeline's sources write.
static bool wants_topic(void *arg, const char *topic) {
    const struct sink *s = arg;
    const struct connector_config *c = s->run->def->config;
    for (size_t i = 0; i < c->source_count; i++)
        if (state_topic_is_of(s->run->env->state, c->sources[i], topic)) return true;
    return false;
}

static int open_consumer(struct sink *s, struct failure *f) {
    const struct connector_options *o = s->options;
    struct err err;
    struct consumer_options co = {
        .group = s->run->def->group,
        .except = s->dead_letters,
        .member = s->run->index,
        .members = s->run->count,
        .from_beginning = o->auto_offset_reset != RESET_LATEST,
        .assigned = on_assigned,
        .revoked = on_revoked,
        .arg = s,
    };
    if (s->run->def->config->pipeline_topics) co.wants = wants_topic;
    else if (o->topics_regex && *o->topics_regex) co.regex = o->topics_regex;
    else co.topics = o->topics.items, co.topic_count = o->topics.n;
    if (s->backend_ops->consumer_open(s->run->env->backend, &co, &s->consumer, &err) != 0) return failure_err(f, &err, CN_FAIL_CONFIG);
    s->wake = s->backend_ops->wake_fd(s->consumer);
    run_wake_also(s->run, s->wake);
    return 0;
}

static int open_parts(struct sink *s, struct failure *f) {
    struct run *r = s->run;
    struct err err;
    enum cn_fail_class class;
    const struct transform_params tp = {.setup = r->setup, .connector = r->name, .task = r->index, .tasks = r->count, .clock = r->env->clock, .metrics = r->env->metrics};
    const struct codec_params cp = {.setup = r->setup, .connector = r->name, .task = r->index, .tasks = r->count, .clock = r->env->clock, .metrics = r->env->metrics};
    if (transform_chain_open(&tp, &s->chain, &class, &err) != 0) return failure_set(f, class, err.hint, "%s", err.msg);
    if (codec_open(&cp, &s->codec, f) != 0) return -1;
    if (s->backend_ops->producer_open(r->env->backend, r->producer_id, &s->producer, &err) != 0) return failure_err(f, &err, CN_FAIL_TRANSIENT);
    if (open_consumer(s, f) != 0) return -1;
    r->settle_arg = s;
    r->settle = on_settle;
    run_enter(r, "open", 5 * r->env->hang_ms);
    int rc = s->ops->open(&r->instance.host, &s->self);
    if (!run_leave(r)) return -1;
    if (rc == 0) return 0;
    s->self = NULL;
    return failure_plugin(f, &r->instance, "open");
}

static void close_plugin(struct sink *s) {
    if (!s->self) return;
    run_enter(s->run, "close", 0);
    s->ops->close(s->self);
    run_leave(s->run);
    s->self = NULL;
}

static void close_parts(struct sink *s) {
    run_wake_also(s->run, -1);
    if (s->producer) s->backend_ops->producer_close(s->producer);
    if (s->consumer) s->backend_ops->consumer_close(s->consumer);
    codec_close(s->codec);
    transform_chain_close(s->chain);
    batch_memory_done(&s->memory);
    for (size_t i = 0; i < s->n; i++) part_free(s->parts[i]);
    map_done(&s->by_name, NULL);
    arena_done(&s->inbox_texts);
    arena_done(&s->taken_texts);
    pthread_mutex_destroy(&s->inbox_lock);
    free(s->parts);
    free(s->inbox);
    free(s->taken);
    free(s->offsets);
    free(s->dead_letters);
    free(s);
}

enum run_end sink_run(struct run *r, struct failure *f) {
    struct sink *s = xcalloc(1, sizeof(*s));
    *s = (struct sink){.run = r, .ops = &r->def->component->ops.sink, .backend_ops = r->env->backend->ops, .options = &r->setup->options, .wake = -1};
    pthread_mutex_init(&s->inbox_lock, NULL);
    s->dead_letters = dead_letter_topic(s->options, r->name);
    s->retry_timeout_ms = s->options->errors_retry_timeout_ms;
    s->commit_backoff = (struct backoff){.min_ms = 100, .max_ms = 5000};
    s->called_ms = now_ms(s);
    s->flush_ms = s->options->offset_flush_interval_ms > 0 ? s->options->offset_flush_interval_ms : r->env->flush_interval_ms;
    s->commit_at_ms = s->called_ms; // where it starts is pinned at once
    batch_memory_init(&s->memory, BATCH_MAX);
    enum run_end end = RUN_FAILED;
    if (open_parts(s, f) == 0) {
        run_opened(r);
        end = loop(s, f);
        if (!run_lost(r)) drain(s, now_ms(s) + r->env->shutdown_ms);
    }
    close_plugin(s);
    if (run_lost(r)) return end;
    close_parts(s);
    return end;
}
