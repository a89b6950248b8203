// SPDX-License-Identifier: Apache-2.0
// Sink tasks: partitions come and go.
#include "runtime/sink_int.h"
#include "state/state.h"

// ── partitions ──

static void part_key(char *out, size_t cap, const char *topic, int32_t partition) { snprintf(out, cap, "%s/%d", topic, partition); }

struct part *sink_part(struct sink *s, const char *topic, int32_t partition) {
    struct part *p = s->last_part;
    if (p && p->partition == partition && (p->topic == topic || strcmp(p->topic, topic) == 0)) return p;
    char key[300];
    part_key(key, sizeof(key), topic, partition);
    p = map_get(&s->by_name, str_of(key));
    if (p) s->last_part = p;
    return p;
}

void sink_part_free(struct part *p) {
    settled_done(&p->settled);
    free(p);
}

// ── assignment ──

static int committed_of(void *arg, const struct backend_offset *o) {
    struct part *p = sink_part(arg, o->topic, o->partition);
    if (p) p->committed = o->offset;
    return 0;
}

int sink_on_assigned(void *arg, const struct assigned *a, int64_t *offset, struct err *err) {
    struct sink *s = arg;
    char key[300];
    (void)err;
    struct part *p = xcalloc(1, sizeof(*p));
    *p = (struct part){.topic = a->topic, .topic_id = a->topic_id, .partition = a->partition, .committed = -1, .committing = -1, .next = *offset, .retry_offset = -1};
    p->backoff = (struct backoff){.min_ms = RETRY_MIN_MS, .max_ms = s->options->errors_retry_delay_max_ms};
    settled_init(&p->settled, *offset);
    part_key(key, sizeof(key), p->topic, p->partition);
    VEC_PUSH(s->parts, s->n, s->cap, p);
    map_put(&s->by_name, str_of(key), p);
    s->assigned = true;
    return 0;
}

void sink_on_revoked(void *arg, const char *topic, int32_t partition) {
    struct sink *s = arg;
    struct part *p = sink_part(s, topic, partition);
    if (!p) return;
    p->gone = true;
    s->revoked = true;
}

// What a sink tells a topic from an earlier one of the same name by.
static uint32_t tag_of(struct uuid id) {
    uint32_t tag = crc32c(0, &id, sizeof(id));
    return uuid_is_zero(id) ? 0 : tag ? tag : 1;
}

static struct cn_sink_partition told(const struct part *p, int64_t offset) {
    return (struct cn_sink_partition){.topic = p->topic, .partition = p->partition, .topic_tag = tag_of(p->topic_id), .offset = offset};
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
    for (size_t i = 0; i < n; i++) list[i] = told(s->parts[first + i], s->parts[first + i]->next);
    run_enter(s->run, "assign", s->run->env->hang_ms);
    int r = s->ops->assign(s->self, list, (uint32_t)n);
    bool here = run_leave(s->run);
    if (here && r != 0) sink_plugin_failed(s, "assign", f);
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
int sink_take_assigned(struct sink *s, size_t known, struct failure *f) {
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
    const struct cn_sink_partition one = told(p, p->settled.prefix);
    if (!s->ops->revoke) return 0;
    run_enter(s->run, "revoke", 0);
    s->ops->revoke(s->self, &one, 1);
    return run_leave(s->run) ? 0 : -1;
}

// Their topics are gone: what the sink still holds of them it may deliver now or forget.
int sink_take_revoked(struct sink *s, struct failure *f) {
    s->revoked = false;
    if (sink_flush(s, s->run->env->shutdown_ms, f) != 0) return -1;
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
        sink_part_free(p);
    }
    s->n = kept;
    metric_set(&s->run->metrics[MS_PARTITIONS], (int64_t)s->n);
    return 0;
}
