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

#include "runtime/sink_int.h"
#include "state/state.h"
#include "transforms/transform.h"

// ── the loop ──

static int tick(struct sink *s, struct failure *f) {
    if (sink_now_ms(s) - s->called_ms < TICK_MS) return 0;
    s->called_ms = sink_now_ms(s);
    if (!s->ops->tick) return 0;
    run_enter(s->run, "tick", 0);
    int r = s->ops->tick(s->self);
    if (!run_leave(s->run)) return -1;
    return r == 0 ? 0 : sink_plugin_failed(s, "tick", f);
}

static void wait_ms(struct sink *s, int64_t ms) {
    struct pollfd fds[] = {{.fd = s->run->instance.wake, .events = POLLIN}, {.fd = s->wake, .events = POLLIN}};
    if (ms <= 0) return;
    poll(fds, countof(fds), (int)ms);
    wake_drain(s->wake);
}

// Lag and the partitions' places for status, once a second.
static void look(struct sink *s) {
    if (sink_now_ms(s) - s->looked_ms < TICK_MS) return;
    s->looked_ms = sink_now_ms(s);
    s->backend_ops->assignment(s->consumer, sink_see_position, s);
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
    metric_set(&s->run->metrics[MS_SINK_ACTIVE], (int64_t)sink_unanswered(s));
    run_detail(s->run, "partitions", buf_str(&text));
    buf_done(&text);
}

static int64_t until_next(const struct sink *s) {
    int64_t now = sink_now_ms(s), wait = s->called_ms + TICK_MS - now;
    wait = sink_next_retry_ms(s, wait);
    int state = atomic_load(&s->commit_state);
    if (state == COMMIT_NONE && s->commit_at_ms - now < wait) wait = s->commit_at_ms - now;
    if (state == COMMIT_HELD && s->commit_retry_at_ms - now < wait) wait = s->commit_retry_at_ms - now;
    return wait < 0 ? 0 : wait;
}

static int read_failed(const struct sink *s, const struct err *err, struct failure *f) {
    failure_err(f, err, CN_FAIL_BUG);
    if (err->code == ERR_CORRUPT && !err->hint[0]) // a batch; a partition that is stopped says itself how to go on
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
    if (s->assigned && sink_take_assigned(s, known, f) != 0) return -1;
    if (s->revoked && sink_take_revoked(s, f) != 0) return -1;
    return n > 0 ? sink_deliver(s, r, (size_t)n, f) : tick(s, f);
}

// No room for more: waits for verdicts; a sink that gives none for a while is asked to flush.
static int wait_for_room(struct sink *s, struct failure *f) {
    if (!s->full_since_ms) s->full_since_ms = sink_now_ms(s);
    if (s->ops->flush && sink_now_ms(s) - s->full_since_ms >= FULL_MS) {
        s->full_since_ms = 0;
        if (sink_flush(s, s->run->env->shutdown_ms, f) != 0) return -1;
        if (!sink_is_full(s)) return 0;
    }
    int64_t wait = until_next(s);
    wait_ms(s, s->ops->flush && wait > FULL_MS ? FULL_MS : wait);
    return tick(s, f);
}

static void follow_pause(struct sink *s) {
    bool want = run_wants(s->run) == WANT_PAUSE;
    if (want == s->paused) return;
    s->paused = want;
    s->commit_at_ms = sink_now_ms(s);
    run_paused(s->run, want);
}

static enum run_end loop(struct sink *s, struct failure *f) {
    for (;;) {
        instance_unwake(&s->run->instance); // before anything is looked at, so that no wake is lost
        if (run_wants(s->run) == WANT_STOP) return RUN_STOPPED;
        follow_pause(s);
        if (sink_take_verdicts(s, f) != 0 || sink_commit_step(s, f) != 0 || sink_redeliver(s, f) != 0 || sink_commit_if_due(s, f) != 0) return RUN_FAILED;
        look(s);
        int rc;
        if (s->paused) {
            wait_ms(s, until_next(s));
            rc = tick(s, f);
        } else if (sink_is_full(s)) {
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
    int64_t settle_by = deadline_ms - (deadline_ms - sink_now_ms(s)) / 3; // the rest is for the commit
    for (size_t i = 0; i < s->n && s->broken; i++) settled_forget(&s->parts[i]->settled);
    while (sink_now_ms(s) < settle_by && !run_lost(s->run)) {
        instance_unwake(&s->run->instance);
        if (sink_take_verdicts(s, &ignored) != 0) break;
        if (!sink_unanswered(s)) break;
        int64_t left = settle_by - sink_now_ms(s);
        if (!asked && sink_flush(s, left, &ignored) != 0) break;
        asked = true;
        if (sink_unanswered(s)) wait_ms(s, left < 100 ? left : 100);
    }
    bool sent = false;
    while (sink_now_ms(s) < deadline_ms && !run_lost(s->run)) {
        instance_unwake(&s->run->instance);
        if (sink_commit_step(s, &ignored) != 0) return;
        if (atomic_load(&s->commit_state) == COMMIT_NONE) {
            if (sent || sink_commit(s, &ignored) != 0) return;
            sent = true;
            continue;
        }
        wait_ms(s, 50);
    }
}

// ── life ──

// A sink without topics of its own reads what its pipeline's sources write. When what they wrote before this start is not known, it goes on with
// what it has offsets of, too.
static bool wants_topic(void *arg, const char *topic) {
    const struct sink *s = arg;
    const struct connector_config *c = s->run->def->config;
    for (size_t i = 0; i < c->source_count; i++)
        if (state_topic_is_of(s->run->env->state, c->sources[i], topic)) return true;
    return !state_topics_known(s->run->env->state) && state_topic_is_of(s->run->env->state, s->run->name, topic);
}

static int note_topic(void *arg, const struct backend_offset *o) {
    const struct sink *s = arg;
    struct err ignored; // there is nothing to write
    return state_topic_used(s->run->env->state, s->run->name, s->run->index, o->topic, &ignored);
}

static int note_topics(struct sink *s, struct err *err) {
    struct backend *b = s->run->env->backend;
    return state_topics_known(s->run->env->state) ? 0 : b->ops->offsets(b, s->run->def->group, note_topic, s, err);
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
        .assigned = sink_on_assigned,
        .revoked = sink_on_revoked,
        .arg = s,
    };
    if (note_topics(s, &err) != 0) return failure_err(f, &err, CN_FAIL_TRANSIENT);
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
    r->settle = sink_on_settle;
    run_enter(r, "open", 5 * r->env->hang_ms);
    int rc = s->ops->open(&r->instance.host, &s->self);
    if (rc != 0) s->self = NULL;
    if (!run_leave(r)) return -1;
    return rc == 0 ? 0 : failure_plugin(f, &r->instance, "open");
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
    for (size_t i = 0; i < s->n; i++) sink_part_free(s->parts[i]);
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
    s->called_ms = sink_now_ms(s);
    s->flush_ms = s->options->offset_flush_interval_ms > 0 ? s->options->offset_flush_interval_ms : r->env->flush_interval_ms;
    s->commit_at_ms = s->called_ms; // where it starts is pinned at once
    batch_memory_init(&s->memory, BATCH_MAX);
    enum run_end end = RUN_FAILED;
    if (open_parts(s, f) == 0) {
        run_opened(r);
        end = loop(s, f);
        if (!run_lost(r)) drain(s, sink_now_ms(s) + r->env->shutdown_ms);
    }
    close_plugin(s);
    if (run_lost(r)) return end;
    close_parts(s);
    return end;
}
