// SPDX-License-Identifier: Apache-2.0
// Sink tasks: records that failed for good.
#include "runtime/sink_int.h"

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
void sink_bury(void *arg, int64_t offset, const char *packed) {
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
int sink_record_failed(struct sink *s, struct part *p, int64_t offset, enum error_stage stage, const char *component, const struct failure *why, bool was_put, struct failure *f) {
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
int sink_plugin_failed(struct sink *s, const char *op, struct failure *f) {
    s->broken = true;
    return failure_plugin(f, &s->run->instance, op);
}
