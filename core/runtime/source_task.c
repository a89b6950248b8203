// SPDX-License-Identifier: Apache-2.0
// A source task's run.
//
//   poll ─► batch ─► transforms ─► codec ─► add ─► [open commit] ─ send ─► flight, flight, flight ─ durable ─► committed(positions)
//                                                   EMPTY │ COMPLETE │ PARTIAL        in order
//
// A batch that says COMMIT leaves the open commit COMPLETE: it may be sent. It is sent at once while few commits are under way and
// else with what the next polls bring, so that a slow disk makes commits larger and not the source slower. OPEN leaves it
// PARTIAL: only a later COMMIT completes it, and what was complete before is sent first, so that ABORT takes back exactly
// what it should. Polls are withheld while too many bytes are under way; the source is ticked meanwhile.
#include <assert.h>
#include <poll.h>
#include <stdio.h>

#include "backend/backend.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/say.h"
#include "runtime/batch_memory.h"
#include "runtime/codec.h"
#include "runtime/dead_letter.h"
#include "runtime/task.h"
#include "runtime/task_metrics.h"
#include "runtime/topic_rules.h"
#include "state/state.h"
#include "transforms/transform.h"

enum {
    POLL_MS = 1000,          // also how often a withheld source is ticked
    FEW_FLIGHTS = 2,         // below it a complete commit is sent at once
    MOST_FLIGHTS = 64,
    SEND_BYTES = 256 << 10,  // a complete commit of this size does not wait for company
    DEFAULT_IN_FLIGHT = 16 << 20,
    BATCH_MAX = 768 << 20,
    MERGE_MOST = 64,         // positions looked through for an older one of the same partition
};

enum flight_state { FLYING, DURABLE, FAILED };
struct flight { // a commit from its first record until its positions are delivered
    struct flight *next;
    struct source *source;
    struct arena texts;
    struct backend_position *positions; // texts terminated
    size_t n, cap;
    size_t bytes;
    uint32_t records;
    int64_t sent_ns;
    _Atomic int state;
    struct err err;
};

struct source {
    struct run *run;
    const struct cn_source_ops *ops;
    const struct backend_ops *backend_ops;
    const struct connector_options *options;
    void *self; // the plugin's task
    struct transform_chain *chain;
    struct codec *codec;
    struct topic_rules *rules;
    struct producer *producer;
    char *dead_letters; // the topic, once it is made
    struct map topics;  // known to be there
    uint8_t *ready;     // by topic index of the present batch
    size_t ready_cap;
    struct batch_memory memory;

    enum { EMPTY, COMPLETE, PARTIAL } open;
    struct flight *filling;     // the open commit
    int64_t held_since_ms;      // when it became COMPLETE
    struct flight *first, **last, *idle;
    size_t flights, bytes_in_flight;
    struct cn_stored_position *merged;
    size_t merged_cap;

    bool stalled;               // commits failed and wait to be sent again
    struct backoff stall;
    int64_t retry_at_ms;
    int64_t called_ms;          // the plugin, last
    int64_t flush_ms;           // how long positions wait that come without records
    bool paused;
};

static int64_t now_ms(const struct source *s) { return clock_mono_ms(s->run->env->clock); }

// ── flights ──

static struct flight *flight_new(struct source *s) {
    struct flight *f = s->idle;
    if (f) s->idle = f->next;
    else f = xcalloc(1, sizeof(*f));
    f->next = NULL;
    f->source = s;
    f->n = f->bytes = f->records = 0;
    return f;
}

static void flight_recycle(struct source *s, struct flight *f) {
    arena_reset(&f->texts);
    f->next = s->idle;
    s->idle = f;
}

static void flights_free(struct flight *f) {
    for (struct flight *next; f; f = next) {
        next = f->next;
        arena_done(&f->texts);
        free(f->positions);
        free(f);
    }
}

static void add_position(struct flight *f, struct str partition, struct str offset) {
    struct backend_position *p = NULL;
    for (size_t i = f->n; i > 0 && f->n <= MERGE_MOST && !p; i--)
        if (str_eq(f->positions[i - 1].partition, partition)) p = &f->positions[i - 1];
    if (!p) {
        VEC_PUSH(f->positions, f->n, f->cap, ((struct backend_position){arena_copy(&f->texts, partition), {NULL, 0}}));
        p = &f->positions[f->n - 1];
    }
    p->offset = offset.p ? arena_copy(&f->texts, offset) : (struct str){0};
}

// [any thread] After the store the flight belongs to the task's thread again.
static void flight_done(void *arg, const struct err *err) {
    struct flight *f = arg;
    struct run *r = f->source->run;
    if (err) f->err = *err;
    atomic_store(&f->state, err ? FAILED : DURABLE);
    instance_wake(&r->instance);
}

static void send(struct source *s) {
    struct flight *f = s->filling;
    assert(s->open == COMPLETE);
    s->open = EMPTY;
    f->bytes = s->backend_ops->pending_bytes(s->producer);
    if (!f->records && !f->n) return;
    s->filling = flight_new(s);
    f->sent_ns = s->run->env->clock->mono_ns(s->run->env->clock);
    atomic_store(&f->state, FLYING);
    *s->last = f;
    s->last = &f->next;
    s->flights++;
    s->bytes_in_flight += f->bytes;
    s->backend_ops->commit(s->producer, s->run->name, f->positions, f->n, NULL, NULL, 0, flight_done, f);
}

static void abort_open(struct source *s) {
    s->backend_ops->abort(s->producer);
    metric_add(&s->run->metrics[M_SOURCE_ACTIVE], -(int64_t)s->filling->records);
    flight_recycle(s, s->filling);
    s->filling = flight_new(s);
    s->open = EMPTY;
}

// ── what became of commits ──

// One call for all flights that are durable now, the latest position of each partition.
static bool deliver(struct source *s, struct flight *flights) {
    size_t n = 0;
    for (struct flight *f = flights; f; f = f->next) n += f->n;
    if (!n || !s->ops->committed) return true;
    vec_reserve((void **)&s->merged, &s->merged_cap, n, sizeof(*s->merged));
    n = 0;
    for (struct flight *f = flights; f; f = f->next)
        for (size_t i = 0; i < f->n; i++) {
            size_t at = n;
            for (size_t k = 0; n <= MERGE_MOST && k < n && at == n; k++)
                if (strcmp(s->merged[k].partition, f->positions[i].partition.p) == 0) at = k;
            s->merged[at] = (struct cn_stored_position){f->positions[i].partition.p, f->positions[i].offset.p};
            if (at == n) n++;
        }
    run_enter(s->run, "committed", 0);
    s->ops->committed(s->self, s->merged, (uint32_t)n);
    return run_leave(s->run);
}

static void count_durable(struct source *s, const struct flight *f) {
    struct metric *m = s->run->metrics;
    metric_add(&m[M_WRITE_TOTAL], f->records);
    metric_add(&m[M_SOURCE_BYTES], (int64_t)f->bytes);
    metric_add(&m[M_SOURCE_ACTIVE], -(int64_t)f->records);
    histogram_add(m[M_TRANSACTION_SIZE].histogram, f->records);
    histogram_add(m[M_OFFSET_COMMIT_TIME].histogram, (s->run->env->clock->mono_ns(s->run->env->clock) - f->sent_ns) / 1000);
}

// The first flight failed. The ones behind it fail too; with a retriable error all are sent again later, in order.
static int flight_failed(struct source *s, struct failure *f) {
    const struct err *err = &s->first->err;
    if (!err_retriable(err)) {
        failure_err(f, err, CN_FAIL_TRANSIENT);
        return failure_wrap(f, "commit to the log");
    }
    if (!s->stalled) {
        s->stalled = true;
        s->retry_at_ms = now_ms(s) + backoff_next(&s->stall, random_u64());
        run_blocked(s->run, err->msg);
        if (s->stall.attempt == 1) say_err(SAY_WARN, err, "task %s/%u: the log refuses commits, they are sent again", s->run->name, s->run->index);
    }
    return 0;
}

static int reap(struct source *s, struct failure *f) {
    struct flight *durable = NULL, **last = &durable;
    while (s->first && atomic_load(&s->first->state) == DURABLE) {
        struct flight *done = s->first;
        s->first = done->next;
        if (!s->first) s->last = &s->first;
        s->flights--;
        s->bytes_in_flight -= done->bytes;
        count_durable(s, done);
        done->next = NULL;
        *last = done;
        last = &done->next;
    }
    if (durable) {
        run_progressed(s->run);
        backoff_reset(&s->stall);
        if (!deliver(s, durable)) return -1;
    }
    for (struct flight *next; durable; durable = next) {
        next = durable->next;
        flight_recycle(s, durable);
    }
    return s->first && atomic_load(&s->first->state) == FAILED ? flight_failed(s, f) : 0;
}

static void send_again(struct source *s) {
    for (const struct flight *f = s->first; f; f = f->next)
        if (atomic_load(&f->state) == FLYING) return; // its answer is still to come
    s->stalled = false;
    run_blocked(s->run, NULL);
    metric_add(&s->run->metrics[M_RETRIES], 1);
    for (struct flight *f = s->first; f; f = f->next) atomic_store(&f->state, FLYING);
    s->backend_ops->retry(s->producer);
}

// ── waiting ──

static void wait_ms(struct source *s, int64_t ms) {
    struct pollfd fd = {.fd = s->run->instance.wake, .events = POLLIN};
    if (ms > 0) poll(&fd, 1, (int)ms);
}

static int tick(struct source *s, struct failure *f) {
    int r = 0;
    if (now_ms(s) - s->called_ms < POLL_MS) return 0;
    s->called_ms = now_ms(s);
    if (!s->ops->tick) return 0;
    run_enter(s->run, "tick", 0);
    r = s->ops->tick(s->self);
    if (!run_leave(s->run)) return -1;
    return r == 0 ? 0 : failure_plugin(f, &s->run->instance, "tick");
}

// ── records ──

// Writes the record, as far as it got, to the dead letters instead. 0, or -1 when the task fails.
static int bury(struct source *s, const struct cn_batch *b, uint32_t record, enum error_stage stage, const char *component, struct failure *f) {
    struct run *r = s->run;
    struct backend_record original;
    struct err err;
    codec_encode_plain(s->codec, b, record, &original);
    struct dead_letter d = {.record = &original, .offset = -1, .connector = r->name, .task = r->index, .stage = stage, .component = component,
                            .fail_class = fail_class_name(f->fail_class), .text = f->text, .hint = f->hint};
    if (!s->dead_letters) {
        char *topic = dead_letter_topic(s->options, r->name);
        if (dead_letter_topic_ensure(r->env->backend, topic, &err) != 0) {
            free(topic);
            return failure_err(f, &err, CN_FAIL_CONFIG);
        }
        s->dead_letters = topic;
    }
    if (original.timestamp == CN_NO_TIMESTAMP) original.timestamp = clock_wall_ms(r->env->clock);
    if (dead_letter_add(r->env->backend, s->producer, s->dead_letters, s->options->dead_letter_headers, &d, &err) != 0) {
        metric_add(&r->metrics[M_DEAD_LETTER_FAILURES], 1);
        return failure_err(f, &err, CN_FAIL_BUG);
    }
    metric_add(&r->metrics[M_DEAD_LETTERS], 1);
    metric_add(&r->metrics[M_RECORDS_SKIPPED], 1);
    return 0;
}

// errors.tolerance decides. 0: go on with the next record.
static int record_failed(struct source *s, struct cn_batch *b, uint32_t record, enum error_stage stage, const char *component, struct failure *f) {
    char name[300];
    const struct cn_text *topic = cn_topic_at(b, cn_record_at(b, record)->topic);
    snprintf(name, sizeof(name), "%u of %u for topic %.*s", record + 1, cn_count(b), (int)(topic->n < 249 ? topic->n : 249), cn_bytes_at(b, topic->at));
    bool named = error_stage_converts(stage);
    if (batch_memory_starved(&s->memory)) return failure_starved(f);
    if (f->fail_class != CN_FAIL_RECORD) return failure_wrap(f, "record %s%s%s", name, named ? "" : ": ", named ? "" : component);
    struct backend_record plain = {0};
    if (run_logs_messages(s->run)) codec_encode_plain(s->codec, b, record, &plain);
    run_error(s->run, f, stage, name, plain.key, plain.value);
    metric_add(&s->run->metrics[M_RECORD_FAILURES], 1);
    if (s->options->errors_tolerance == TOLERATE_NONE) return failure_wrap(f, "record %s%s%s", name, named ? "" : ": ", named ? "" : component);
    if (bury(s, b, record, stage, component, f) != 0) return -1;
    cn_record_at(b, record)->flags |= CN_RECORD_DROPPED;
    s->filling->records++;
    return 0;
}

static int transform(struct source *s, struct cn_batch *b, struct failure *f) {
    struct transform_failure tf;
    for (uint32_t at = 0;; at++) {
        at = transform_chain_apply(s->chain, b, at, &tf);
        if (b->failed) {
            failure_set(f, CN_FAIL_RECORD, NULL, "the transforms made the batch grow beyond its limit");
            return batch_memory_starved(&s->memory) ? failure_starved(f) : -1;
        }
        if (at >= cn_count(b)) return 0;
        failure_set(f, tf.failure.fail_class, tf.failure.hint, "%s", tf.failure.text);
        char who[160];
        snprintf(who, sizeof(who), "transform %s (%s)", tf.alias, tf.type);
        if (record_failed(s, b, at, STAGE_TRANSFORMATION, who, f) != 0) return -1;
    }
}

// Makes the topic when this task sees it for the first time. Noted durably first, so that sinks that follow this source find it.
static int topic_ready(struct source *s, uint32_t index, struct str name, struct err *err) {
    if (s->ready[index]) return 0;
    if (!map_get(&s->topics, name)) {
        _cleanup_free_ char *topic = str_dup(name);
        if (state_topic_used(s->run->env->state, s->run->name, s->run->index, topic, err) != 0) return -1;
        if (topic_rules_ensure(s->rules, s->run->env->backend, topic, err) != 0) return -1;
        map_put(&s->topics, name, s);
    }
    s->ready[index] = 1;
    return 0;
}

static int add_once(struct source *s, uint32_t topic, const struct backend_record *r, struct err *err) {
    return topic_ready(s, topic, r->topic, err) == 0 ? s->backend_ops->add(s->producer, r, err) : -1;
}

// While the log can not take it now (no space, commits waiting), the record waits too: a source without positions could not give it
// again. 0; or -1: the record is at fault, or the log, or the task shall stop.
static int add_record(struct source *s, const struct cn_batch *b, uint32_t record, struct backend_record *r, int64_t now, struct failure *f) {
    struct err err;
    bool waited = false;
    if (r->timestamp == CN_NO_TIMESTAMP) r->timestamp = now;
    while (add_once(s, cn_record_at(b, record)->topic, r, &err) != 0) {
        bool theirs = err_class_of(err.code) == ERR_CLASS_DATA && err.code != ERR_FENCED && err.code != ERR_NOT_FOUND;
        failure_set(f, theirs ? CN_FAIL_RECORD : CN_FAIL_TRANSIENT, err.hint, "%s", err.msg);
        if (!err_retriable(&err) || run_wants(s->run) == WANT_STOP) return -1;
        if (err.code != ERR_AGAIN) run_blocked(s->run, err.msg);
        waited = true;
        instance_unwake(&s->run->instance);
        wait_ms(s, err.code == ERR_AGAIN ? 10 : 500);
        if (tick(s, f) != 0) return -1;
    }
    if (waited) run_blocked(s->run, NULL);
    return 0;
}

static int encode(struct source *s, struct cn_batch *b, struct failure *f) {
    int64_t now = clock_wall_ms(s->run->env->clock);
    uint32_t n = cn_count(b), kept = 0, filtered = 0;
    int rc = 0;
    codec_enter(s->codec, b);
    for (uint32_t i = 0; i < n && rc == 0; i++) {
        struct backend_record r;
        enum error_stage stage;
        if (cn_record_at(b, i)->flags & CN_RECORD_DROPPED) {
            filtered++;
            continue;
        }
        if (codec_encode(s->codec, b, i, &r, &stage, f) != 0) {
            rc = record_failed(s, b, i, stage, codec_component(s->codec, stage), f);
        } else if (add_record(s, b, i, &r, now, f) != 0) {
            rc = record_failed(s, b, i, STAGE_KAFKA_PRODUCE, "the log", f);
        } else {
            kept++;
        }
    }
    codec_leave(s->codec);
    s->filling->records += kept;
    metric_add(&s->run->metrics[M_FILTERED_TOTAL], filtered);
    return rc;
}

static int write_records(struct source *s, struct cn_batch *b, struct failure *f) {
    if (transform_chain_steps(s->chain) && transform(s, b, f) != 0) return -1;
    vec_reserve((void **)&s->ready, &s->ready_cap, cn_head(b)->topic_count, 1);
    if (s->ready_cap) memset(s->ready, 0, s->ready_cap);
    return encode(s, b, f);
}

static int write_batch(struct source *s, struct cn_batch *b, struct failure *f) {
    uint32_t before = s->filling->records;
    int rc = write_records(s, b, f);
    metric_add(&s->run->metrics[M_SOURCE_ACTIVE], s->filling->records - before);
    if (rc != 0) return rc;
    const struct cn_batch_head *h = cn_head(b);
    for (uint32_t i = 0; i < h->position_count; i++) {
        const struct cn_position *p = cn_position_at(b, i);
        struct str offset = p->offset.at ? str_make(cn_bytes_at(b, p->offset.at), p->offset.n) : (struct str){0};
        add_position(s->filling, str_make(cn_bytes_at(b, p->partition.at), p->partition.n), offset);
    }
    return 0;
}

// A batch failed half-way. What was complete before it and came without positions would be gone for good: it is still sent.
static void give_up_batch(struct source *s, const struct cn_batch *b) {
    const struct cn_batch_head *h = cn_head(b);
    bool keep = s->open != PARTIAL && h->boundary == CN_BOUNDARY_COMMIT && !h->position_count && !s->filling->n;
    if (!keep) {
        abort_open(s);
        return;
    }
    s->open = COMPLETE;
    send(s);
}

// Positions without records wait for company: they only spare work after a restart.
static bool due(const struct source *s) {
    if (!s->filling->records) return now_ms(s) - s->held_since_ms >= s->flush_ms;
    if (s->options->transaction_boundary == 1) return now_ms(s) - s->held_since_ms >= s->options->transaction_interval_ms;
    return s->flights < FEW_FLIGHTS || s->backend_ops->pending_bytes(s->producer) >= SEND_BYTES;
}

static int take_batch(struct source *s, struct cn_batch *b, struct failure *f) {
    const struct cn_batch_head *h = cn_head(b);
    if (b->failed) {
        failure_set(f, CN_FAIL_BUG, "a batch may have at most 768 MiB", "poll of %s gave a batch that did not fit", s->run->def->component->name);
        return batch_memory_starved(&s->memory) ? failure_starved(f) : -1;
    }
    if (h->boundary == CN_BOUNDARY_ABORT) {
        if (s->open == COMPLETE) send(s); // ended by its own COMMIT
        abort_open(s);
        return 0;
    }
    bool opens = h->boundary == CN_BOUNDARY_OPEN;
    if (!h->record_count && !h->position_count && (opens || s->open == EMPTY)) return 0;
    if (s->open == COMPLETE && opens) send(s);
    metric_add(&s->run->metrics[M_POLL_TOTAL], h->record_count);
    if (h->record_count) histogram_add(s->run->metrics[M_BATCH_SIZE].histogram, h->record_count);
    if (write_batch(s, b, f) != 0) {
        give_up_batch(s, b);
        return -1;
    }
    if (s->open != COMPLETE) s->held_since_ms = now_ms(s);
    s->open = opens ? PARTIAL : COMPLETE;
    if (s->open == COMPLETE && due(s)) send(s);
    return 0;
}

// ── the loop ──

// Polls are withheld: keeps the source alive until something happens.
static int stand_by(struct source *s, struct failure *f) {
    int64_t now = now_ms(s), wait = s->called_ms + POLL_MS - now;
    if (s->stalled && s->retry_at_ms - now < wait) wait = s->retry_at_ms - now;
    wait_ms(s, wait);
    return tick(s, f);
}

static bool withheld(const struct source *s) {
    int64_t most = s->options->max_bytes_in_flight > 0 ? s->options->max_bytes_in_flight : DEFAULT_IN_FLIGHT;
    return s->paused || s->stalled || s->flights >= MOST_FLIGHTS || (s->flights && (int64_t)s->bytes_in_flight >= most);
}

static uint32_t poll_timeout(const struct source *s) {
    if (s->open != COMPLETE) return POLL_MS;
    bool interval = s->options->transaction_boundary == 1;
    if (!interval && s->filling->records) return POLL_MS; // a flight that lands wakes the poll
    int64_t left = s->held_since_ms + (interval ? s->options->transaction_interval_ms : s->flush_ms) - now_ms(s);
    return left <= 0 ? 0 : left < POLL_MS ? (uint32_t)left : POLL_MS;
}

// CN_POLL_* with a batch taken, or CN_POLL_FAILED.
static int poll_once(struct source *s, struct failure *f) {
    struct cn_batch *b = batch_memory_reset(&s->memory);
    struct clock *clock = s->run->env->clock;
    int64_t began = clock->mono_ns(clock);
    run_enter(s->run, "poll", POLL_MS);
    int r = s->ops->poll(s->self, b, poll_timeout(s));
    if (!run_leave(s->run)) return CN_POLL_FAILED;
    s->called_ms = now_ms(s);
    if (r == CN_POLL_FAILED) return failure_plugin(f, &s->run->instance, "poll");
    if (r < 0 || r > CN_POLL_DONE) return failure_set(f, CN_FAIL_BUG, NULL, "poll of %s returned %d", s->run->def->component->name, r);
    if (r == CN_POLL_IDLE) return r;
    if (cn_count(b)) histogram_add(s->run->metrics[M_POLL_TIME].histogram, (clock->mono_ns(clock) - began) / 1000);
    int taken = take_batch(s, b, f);
    batch_memory_trim(&s->memory);
    return taken == 0 ? r : CN_POLL_FAILED;
}

static void follow_pause(struct source *s) {
    bool want = run_wants(s->run) == WANT_PAUSE;
    if (want == s->paused) return;
    s->paused = want;
    run_paused(s->run, want);
}

static enum run_end loop(struct source *s, struct failure *f) {
    while (run_wants(s->run) != WANT_STOP) {
        instance_unwake(&s->run->instance); // before anything is looked at, so that no wake is lost
        if (run_wants(s->run) == WANT_STOP) break;
        follow_pause(s);
        if (reap(s, f) != 0) return RUN_FAILED;
        if (s->stalled && now_ms(s) >= s->retry_at_ms) send_again(s);
        if (s->open == COMPLETE && !s->stalled && (s->paused || due(s))) send(s);
        if (withheld(s)) {
            if (stand_by(s, f) != 0) return RUN_FAILED;
            continue;
        }
        int r = poll_once(s, f);
        if (r == CN_POLL_FAILED) return RUN_FAILED;
        if (r == CN_POLL_DONE) return RUN_COMPLETED;
    }
    return RUN_STOPPED;
}

// What is complete becomes durable and is delivered, within the deadline; without one as long as it takes.
static void drain(struct source *s, int64_t deadline_ms) {
    struct failure ignored;
    if (s->open == COMPLETE && !s->stalled) send(s);
    while (s->first && now_ms(s) < deadline_ms) {
        instance_unwake(&s->run->instance);
        if (run_wants(s->run) == WANT_STOP && deadline_ms == INT64_MAX) deadline_ms = now_ms(s) + s->run->env->shutdown_ms;
        if (reap(s, &ignored) != 0 || run_lost(s->run)) return;
        if (!s->first) return;
        if (s->stalled && now_ms(s) >= s->retry_at_ms) send_again(s);
        if (atomic_load(&s->first->state) != FLYING && !s->stalled) continue;
        int64_t left = deadline_ms - now_ms(s);
        wait_ms(s, left < 100 ? left : 100);
        if (tick(s, &ignored) != 0) return;
    }
}

// ── life ──

struct stored { struct arena texts; struct cn_stored_position *items; size_t n, cap; };
static int take_position(void *arg, struct str partition, struct str offset) {
    struct stored *st = arg;
    struct cn_stored_position p = {arena_copy(&st->texts, partition).p, arena_copy(&st->texts, offset).p};
    VEC_PUSH(st->items, st->n, st->cap, p);
    return 0;
}

static int open_plugin(struct source *s, struct failure *f) {
    struct run *r = s->run;
    struct stored st = {0};
    struct err err;
    int rc = s->backend_ops->positions(r->env->backend, r->name, take_position, &st, &err);
    if (rc != 0) {
        failure_err(f, &err, CN_FAIL_TRANSIENT);
    } else {
        run_enter(r, "open", 5 * r->env->hang_ms);
        rc = s->ops->open(&r->instance.host, st.items, (uint32_t)st.n, &s->self);
        bool usable = run_leave(r);
        if (rc != 0) s->self = NULL;
        if (rc != 0 && usable) failure_plugin(f, &r->instance, "open");
        if (!usable) rc = -1;
    }
    arena_done(&st.texts);
    free(st.items);
    return rc;
}

static int open_parts(struct source *s, struct failure *f) {
    struct run *r = s->run;
    struct err err;
    enum cn_fail_class class;
    const struct transform_params tp = {.setup = r->setup, .connector = r->name, .task = r->index, .tasks = r->count, .clock = r->env->clock, .metrics = r->env->metrics};
    const struct codec_params cp = {.setup = r->setup, .connector = r->name, .task = r->index, .tasks = r->count, .clock = r->env->clock, .metrics = r->env->metrics};
    if (topic_rules_new(s->options, &s->rules, &err) != 0) return failure_err(f, &err, CN_FAIL_CONFIG);
    if (transform_chain_open(&tp, &s->chain, &class, &err) != 0) return failure_set(f, class, err.hint, "%s", err.msg);
    if (codec_open(&cp, &s->codec, f) != 0) return -1;
    // From here on a predecessor that still hangs somewhere can write nothing any more.
    if (s->backend_ops->producer_open(r->env->backend, r->producer_id, &s->producer, &err) != 0) return failure_err(f, &err, CN_FAIL_TRANSIENT);
    return open_plugin(s, f);
}

static void close_plugin(struct source *s) {
    if (!s->self) return;
    run_enter(s->run, "close", 0);
    s->ops->close(s->self);
    run_leave(s->run);
    s->self = NULL;
}

static void close_parts(struct source *s) {
    if (s->producer) s->backend_ops->producer_close(s->producer);
    codec_close(s->codec);
    transform_chain_close(s->chain);
    topic_rules_free(s->rules);
    batch_memory_done(&s->memory);
    map_done(&s->topics, NULL);
    flights_free(s->first);
    flights_free(s->idle);
    flights_free(s->filling);
    free(s->dead_letters);
    free(s->ready);
    free(s->merged);
    free(s);
}

enum run_end source_run(struct run *r, struct failure *f) {
    struct source *s = xcalloc(1, sizeof(*s));
    *s = (struct source){.run = r, .ops = &r->def->component->ops.source, .backend_ops = r->env->backend->ops, .options = &r->setup->options};
    s->last = &s->first;
    s->stall = (struct backoff){.min_ms = 100, .max_ms = 5000};
    s->called_ms = now_ms(s);
    s->flush_ms = s->options->offset_flush_interval_ms > 0 ? s->options->offset_flush_interval_ms : r->env->flush_interval_ms;
    s->filling = flight_new(s);
    batch_memory_init(&s->memory, BATCH_MAX);
    enum run_end end = RUN_FAILED;
    if (open_parts(s, f) == 0) {
        run_opened(r);
        run_succeeded(r);
        end = loop(s, f);
        // After a failure too: what is durable shall be known to the source before it closes.
        if (!run_lost(r)) drain(s, end == RUN_COMPLETED ? INT64_MAX : now_ms(s) + r->env->shutdown_ms);
        if (end == RUN_COMPLETED && s->first) end = RUN_STOPPED;
    }
    close_plugin(s);
    if (run_lost(r)) return end;
    metric_add(&r->metrics[M_SOURCE_ACTIVE], -metric_get(&r->metrics[M_SOURCE_ACTIVE]));
    close_parts(s);
    return end;
}
