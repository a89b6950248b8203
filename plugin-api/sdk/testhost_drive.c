/* SPDX-License-Identifier: Apache-2.0 */
/* Driving an instance: polls and commits of a source, puts and verdicts of a sink.
 *
 *   poll ─► batch ─► open_lines, open (positions)  ── COMMIT ──► lines, ready ── testhost_commit ──► stored, committed()
 *                    └── ABORT, failure, close: forgotten          └── close: ready is forgotten, as a crash would
 */
#include "testhost_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ── the batch ── */
static int grow_heap(struct cn_batch *b, uint32_t need) {
    struct testhost *t = b->owner;
    uint64_t cap = b->cap;
    uint8_t *p;
    while (cap < need) cap *= 2;
    if (cap > t->in->batch_limit) cap = t->in->batch_limit;
    if (cap < need) return -1;
    p = malloc(cap); /* never in place: a pointer kept over a growth shall be found */
    if (!p) return -1;
    memcpy(p, b->base, b->cap);
    free(b->base);
    b->base = p;
    b->cap = (uint32_t)cap;
    return 0;
}
void testhost_region(struct testhost *t, void *base, uint32_t cap, int (*grow)(struct cn_batch *, uint32_t), void *owner) {
    struct testhost_int *in = t->in;
    if (in->own_region) free(t->batch.base);
    in->own_region = 0;
    in->region = base;
    in->region_cap = cap;
    in->region_grow = grow;
    in->region_owner = owner;
    memset(&t->batch, 0, sizeof t->batch);
}
struct cn_batch *testhost_batch(struct testhost *t) {
    struct testhost_int *in = t->in;
    if (in->region) {
        if (t->batch.base) in->region = t->batch.base, in->region_cap = t->batch.cap;
        cn_batch_init(&t->batch, in->region, in->region_cap, in->region_grow, in->region_owner);
        return &t->batch;
    }
    if (in->own_region) free(t->batch.base); /* a fresh address each time: nobody may keep the old one */
    t->batch.base = malloc(4096);
    if (!t->batch.base) abort();
    in->own_region = 1;
    cn_batch_init(&t->batch, t->batch.base, 4096, grow_heap, t);
    return &t->batch;
}

void testhost_inspect(struct testhost *t, void (*look)(void *arg), void *arg) {
    t->in->look = look;
    t->in->look_arg = arg;
}

/* ── positions ── */
static void position_free(struct cn_stored_position *p) {
    free((void *)(uintptr_t)p->partition);
    free((void *)(uintptr_t)p->offset);
}
static void positions_clear(struct testhost_positions *l) {
    for (size_t i = 0; i < l->n; i++) position_free(&l->p[i]);
    l->n = 0;
}
static void positions_add(struct testhost_positions *l, const char *partition, const char *offset) {
    l->p = testhost_grow(l->p, l->n, &l->cap, sizeof *l->p);
    l->p[l->n++] = (struct cn_stored_position){testhost_dup(partition), offset ? testhost_dup(offset) : NULL};
}
static void positions_move(struct testhost_positions *to, struct testhost_positions *from) {
    for (size_t i = 0; i < from->n; i++) {
        to->p = testhost_grow(to->p, to->n, &to->cap, sizeof *to->p);
        to->p[to->n++] = from->p[i];
    }
    from->n = 0;
}
/* The stored map: a later offset of a partition takes the earlier one's place. */
static void position_store(struct testhost_positions *l, const char *partition, const char *offset) {
    for (size_t i = 0; i < l->n; i++) {
        if (strcmp(l->p[i].partition, partition) != 0) continue;
        if (offset) {
            free((void *)(uintptr_t)l->p[i].offset);
            l->p[i].offset = testhost_dup(offset);
        } else {
            position_free(&l->p[i]);
            memmove(l->p + i, l->p + i + 1, (--l->n - i) * sizeof *l->p);
        }
        return;
    }
    if (offset) positions_add(l, partition, offset);
}
void testhost_position(struct testhost *t, const char *partition, const char *offset) {
    position_store(&t->in->stored, partition, offset);
}
const char *testhost_stored(const struct testhost *t, const char *partition) {
    for (size_t i = 0; i < t->in->stored.n; i++)
        if (strcmp(t->in->stored.p[i].partition, partition) == 0) return t->in->stored.p[i].offset;
    return NULL;
}
const struct cn_stored_position *testhost_stored_at(const struct testhost *t, size_t i) {
    return i < t->in->stored.n ? &t->in->stored.p[i] : NULL;
}

/* ── sources ── */
int testhost_open_source(struct testhost *t) {
    struct testhost_int *in = t->in;
    struct testhost_positions copy = {0};
    int rc;
    /* a copy that is gone after the call: the plugin may not keep it */
    for (size_t i = 0; i < in->stored.n; i++) positions_add(&copy, in->stored.p[i].partition, in->stored.p[i].offset);
    rc = in->ops.source.open(&t->host, copy.p, (uint32_t)copy.n, &t->task);
    positions_clear(&copy);
    free(copy.p);
    return rc;
}
static void lines_clear(struct testhost_lines *l) {
    for (size_t i = 0; i < l->n; i++) free(l->p[i]);
    l->n = 0;
}
static char *text_of(const struct cn_batch *b, struct cn_text t) {
    char *z = malloc((size_t)t.n + 1);
    if (!z) abort();
    memcpy(z, b->base + t.at, t.n);
    z[t.n] = 0;
    return z;
}
static void keep_record(struct testhost_lines *l, const struct cn_batch *b, const struct cn_record *r) {
    struct cn_json j = {0};
    if (r->flags & CN_RECORD_DROPPED) return;
    cn_json_record(&j, b, r);
    cn_json_char(&j, '\0');
    if (j.failed) abort();
    l->p = testhost_grow(l->p, l->n, &l->cap, sizeof *l->p);
    l->p[l->n++] = j.p;
}
static void commit_boundary(struct testhost *t) {
    struct testhost_int *in = t->in;
    for (size_t i = 0; i < in->open_lines.n; i++) {
        t->lines = testhost_grow(t->lines, t->line_count, &in->lines_cap, sizeof *t->lines);
        t->lines[t->line_count++] = in->open_lines.p[i];
    }
    in->open_lines.n = 0;
    positions_move(&in->ready, &in->open);
}
static void take_batch(struct testhost *t) {
    struct testhost_int *in = t->in;
    const struct cn_batch *b = &t->batch;
    const struct cn_batch_head *h = cn_head(b);
    for (uint32_t i = 0; i < h->record_count; i++) keep_record(&in->open_lines, b, cn_record_at(b, i));
    for (uint32_t i = 0; i < h->position_count; i++) {
        const struct cn_position *p = cn_position_at(b, i);
        char *partition = text_of(b, p->partition), *offset = p->offset.at ? text_of(b, p->offset) : NULL;
        positions_add(&in->open, partition, offset);
        free(partition), free(offset);
    }
    if (h->boundary == CN_BOUNDARY_COMMIT) commit_boundary(t);
    if (h->boundary == CN_BOUNDARY_ABORT) lines_clear(&in->open_lines), positions_clear(&in->open);
}
int testhost_poll(struct testhost *t, uint32_t timeout_ms) {
    int rc = t->in->ops.source.poll(t->task, testhost_batch(t), timeout_ms);
    testhost_unwake(t);
    if (t->batch.failed && rc != CN_POLL_FAILED) {
        testhost_failf(t, CN_FAIL_BUG, "poll returned a batch that did not fit");
        return CN_POLL_FAILED;
    }
    if (rc != CN_POLL_FAILED && t->in->look) t->in->look(t->in->look_arg);
    if (rc == CN_POLL_OK || rc == CN_POLL_DONE) take_batch(t);
    return rc;
}
static int64_t now_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
size_t testhost_take(struct testhost *t, size_t n, uint32_t timeout_ms) {
    size_t before = t->line_count;
    int64_t until = now_ms() + timeout_ms;
    for (;;) {
        int64_t left = until - now_ms();
        int rc = testhost_poll(t, left > 100 ? 100 : left < 0 ? 0 : (uint32_t)left);
        if (rc == CN_POLL_DONE || rc == CN_POLL_FAILED || t->line_count - before >= n || left <= 0) break;
    }
    return t->line_count - before;
}
size_t testhost_commit(struct testhost *t) {
    struct testhost_int *in = t->in;
    size_t n = in->ready.n;
    for (size_t i = 0; i < n; i++) position_store(&in->stored, in->ready.p[i].partition, in->ready.p[i].offset);
    if (n && in->ops.source.committed) in->ops.source.committed(t->task, in->ready.p, (uint32_t)n);
    positions_clear(&in->ready);
    return n;
}
void testhost_forget_uncommitted(struct testhost *t) {
    struct testhost_int *in = t->in;
    lines_clear(&in->open_lines);
    positions_clear(&in->open);
    positions_clear(&in->ready);
    for (size_t i = 0; i < in->part_n; i++) in->parts[i].assigned = 0;
}

/* ── verdicts ── */
static struct testhost_verdict *find_verdict(struct testhost_int *in, const char *topic, int32_t partition, int64_t offset) {
    for (size_t i = in->verdict_n; i-- > 0;) {
        struct testhost_verdict *v = &in->verdicts[i];
        if (v->offset == offset && v->partition == partition && strcmp(v->topic, topic) == 0) return v;
    }
    return NULL;
}
static void settle_one(struct testhost_int *in, struct testhost_verdict *v, const struct cn_verdict *said) {
    if (v->kind < 0) in->unsettled--;
    v->kind = said->kind;
    v->times++;
    v->retry_after_ms = said->retry_after_ms;
    snprintf(v->reason, sizeof v->reason, "%s", said->reason ? said->reason : "");
}
/* Ranges may be wider than what was put (compacted logs have holes), but must name something. */
void testhost_settle(struct cn_host *h, const struct cn_verdict *said, uint32_t n) {
    struct testhost_int *in = testhost_of(h)->in;
    testhost_any_thread(h, "settle");
    pthread_mutex_lock(&in->lock);
    for (uint32_t k = 0; k < n; k++) {
        unsigned hits = 0;
        for (size_t i = 0; i < in->verdict_n; i++) {
            struct testhost_verdict *v = &in->verdicts[i];
            if (v->partition != said[k].partition || v->offset < said[k].first || v->offset > said[k].last) continue;
            if (strcmp(v->topic, said[k].topic) != 0) continue;
            settle_one(in, v, &said[k]);
            hits++;
        }
        if (!hits) in->stray++;
    }
    pthread_mutex_unlock(&in->lock);
}
static void expect_verdict(struct testhost_int *in, const char *topic, int32_t partition, int64_t offset) {
    struct testhost_verdict *v = find_verdict(in, topic, partition, offset);
    if (!v) {
        in->verdicts = testhost_grow(in->verdicts, in->verdict_n, &in->verdict_cap, sizeof *in->verdicts);
        v = &in->verdicts[in->verdict_n++];
        memset(v, 0, sizeof *v);
        snprintf(v->topic, sizeof v->topic, "%s", topic);
        v->partition = partition;
        v->offset = offset;
        v->kind = 0;
    }
    if (v->puts == 0 || v->kind >= 0) in->unsettled++;
    v->kind = -1;
    v->times = 0;
    v->puts++;
}
int testhost_verdict(struct testhost *t, const char *topic, int32_t partition, int64_t offset) {
    const struct testhost_verdict *v;
    int kind;
    pthread_mutex_lock(&t->in->lock);
    v = find_verdict(t->in, topic, partition, offset);
    kind = v ? v->kind : -2;
    pthread_mutex_unlock(&t->in->lock);
    return kind;
}
int testhost_verdict_at(struct testhost *t, size_t i, struct testhost_verdict *ret) {
    int found;
    pthread_mutex_lock(&t->in->lock);
    found = i < t->in->verdict_n;
    if (found) *ret = t->in->verdicts[i];
    pthread_mutex_unlock(&t->in->lock);
    return found;
}
unsigned testhost_stray_verdicts(struct testhost *t) {
    unsigned n;
    pthread_mutex_lock(&t->in->lock);
    n = t->in->stray;
    pthread_mutex_unlock(&t->in->lock);
    return n;
}
int testhost_settled(struct testhost *t, uint32_t timeout_ms) {
    int64_t until = now_ms() + timeout_ms;
    for (;;) {
        size_t left;
        pthread_mutex_lock(&t->in->lock);
        left = t->in->unsettled;
        pthread_mutex_unlock(&t->in->lock);
        if (!left) return 0;
        if (now_ms() >= until) return -1;
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    }
}

/* ── sinks ── */
static struct testhost_part *part_of(struct testhost_int *in, const char *topic, int32_t partition) {
    for (size_t i = 0; i < in->part_n; i++)
        if (in->parts[i].partition == partition && strcmp(in->parts[i].topic, topic) == 0) return &in->parts[i];
    in->parts = testhost_grow(in->parts, in->part_n, &in->part_cap, sizeof *in->parts);
    in->parts[in->part_n] = (struct testhost_part){testhost_dup(topic), partition, 0, 0};
    return &in->parts[in->part_n++];
}
int64_t testhost_assign(struct testhost *t, const char *topic, int32_t partition, int64_t offset) {
    struct testhost_part *p = part_of(t->in, topic, partition);
    char *name = testhost_dup(topic);
    struct cn_sink_partition s = {name, partition, t->topic_tag, offset};
    p->assigned = 1;
    if (t->in->ops.sink.assign && t->in->ops.sink.assign(t->task, &s, 1) != 0) s.offset = -2;
    free(name);
    if (s.offset >= 0) p->next = s.offset;
    return s.offset;
}
/* A settlement that still comes for it is a stray one. */
static void forget_unsettled(struct testhost_int *in, size_t i, const char *topic, int32_t partition) {
    const struct testhost_verdict *v = &in->verdicts[i];
    if (v->kind >= 0 || v->partition != partition || strcmp(v->topic, topic) != 0) return;
    memmove(in->verdicts + i, in->verdicts + i + 1, (--in->verdict_n - i) * sizeof *in->verdicts);
    in->unsettled--;
}
void testhost_revoke(struct testhost *t, const char *topic, int32_t partition) {
    struct cn_sink_partition s = {topic, partition, 0, -1};
    part_of(t->in, topic, partition)->assigned = 0;
    if (t->in->ops.sink.revoke) t->in->ops.sink.revoke(t->task, &s, 1);
    pthread_mutex_lock(&t->in->lock);
    for (size_t i = t->in->verdict_n; i-- > 0;) forget_unsettled(t->in, i, topic, partition);
    pthread_mutex_unlock(&t->in->lock);
}

/* What put is about to be asked for, and the partitions it has not heard of. */
static void expect_batch(struct testhost *t) {
    const struct cn_batch *b = &t->batch;
    for (uint32_t i = 0; i < cn_count(b); i++) {
        const struct cn_record *r = cn_record_at(b, i);
        char *topic = text_of(b, *cn_topic_at(b, r->original_topic));
        if (!part_of(t->in, topic, r->original_partition)->assigned) testhost_assign(t, topic, r->original_partition, r->offset);
        pthread_mutex_lock(&t->in->lock);
        expect_verdict(t->in, topic, r->original_partition, r->offset);
        pthread_mutex_unlock(&t->in->lock);
        free(topic);
    }
}
/* CN_PUT_OK stands for a verdict of every record. */
static void settle_batch(struct testhost *t) {
    const struct cn_batch *b = &t->batch;
    for (uint32_t i = 0; i < cn_count(b); i++) {
        const struct cn_record *r = cn_record_at(b, i);
        char *topic = text_of(b, *cn_topic_at(b, r->original_topic));
        testhost_settle(&t->host, &(struct cn_verdict){topic, r->original_partition, CN_OK, {0}, r->offset, r->offset, 0, NULL}, 1);
        free(topic);
    }
}
int testhost_put(struct testhost *t) {
    int rc;
    expect_batch(t);
    rc = t->in->ops.sink.put(t->task, &t->batch);
    testhost_unwake(t);
    if (rc == CN_PUT_OK) settle_batch(t);
    return rc;
}
int testhost_flush(struct testhost *t, uint32_t deadline_ms) {
    return t->in->ops.sink.flush ? t->in->ops.sink.flush(t->task, deadline_ms) : 0;
}

/* ── records from JSON ── */
static const struct cn_cell *member(const struct cn_batch *b, const struct cn_cell *map, const char *name) {
    const struct cn_cell *c = map->type == CN_MAP ? cn_cells_at(b, map->u.at) : NULL;
    for (uint32_t i = 0; c && i < map->n; i++)
        if (c[2 * i].n == strlen(name) && memcmp(cn_bytes_at(b, c[2 * i].u.at), name, c[2 * i].n) == 0) return &c[2 * i + 1];
    return NULL;
}
static struct cn_cell member_or_null(const struct cn_batch *b, const struct cn_cell *map, const char *name) {
    const struct cn_cell *c = member(b, map, name);
    return c ? *c : cn_null();
}
static void add_headers(struct cn_batch *b, uint32_t record, struct cn_cell list) {
    for (uint32_t i = 0; list.type == CN_ARRAY && i < list.n; i++) {
        struct cn_cell pair = cn_cells_at(b, list.u.at)[i], name, value;
        char *z;
        if (pair.type != CN_ARRAY || pair.n != 2) continue;
        name = cn_cells_at(b, pair.u.at)[0];
        value = cn_cells_at(b, pair.u.at)[1];
        if (name.type != CN_STRING) continue;
        z = text_of(b, (struct cn_text){name.u.at, name.n});
        cn_header_add(b, record, z, value);
        free(z);
    }
}
static int add_record(struct testhost *t, struct cn_cell line) {
    struct cn_batch *b = &t->batch;
    int whole = !member(b, &line, "value");
    struct cn_cell none = cn_null(), topic = whole ? none : member_or_null(b, &line, "topic");
    struct cn_cell partition = whole ? none : member_or_null(b, &line, "partition");
    struct cn_cell offset = whole ? none : member_or_null(b, &line, "offset");
    struct cn_cell timestamp = whole ? none : member_or_null(b, &line, "timestamp");
    char *name = topic.type == CN_STRING ? text_of(b, (struct cn_text){topic.u.at, topic.n}) : testhost_dup("test");
    struct testhost_part *p = part_of(t->in, name, partition.type == CN_INT64 ? (int32_t)partition.u.i : 0);
    uint32_t record = cn_record(b, cn_topic(b, name, strlen(name)));
    free(name);
    if (b->failed) return testhost_failf(t, CN_FAIL_CONFIG, "the records do not fit into one batch");
    if (offset.type == CN_INT64) p->next = offset.u.i;
    cn_record_at(b, record)->partition = cn_record_at(b, record)->original_partition = p->partition;
    cn_record_at(b, record)->offset = p->next++;
    if (timestamp.type == CN_INT64) cn_record_at(b, record)->timestamp = timestamp.u.i;
    cn_set_key(b, record, whole ? none : member_or_null(b, &line, "key"), CN_NO_SCHEMA);
    cn_set_value(b, record, whole ? line : member_or_null(b, &line, "value"), CN_NO_SCHEMA);
    if (!whole) add_headers(b, record, member_or_null(b, &line, "headers"));
    return 0;
}
int testhost_add_json(struct testhost *t, const char *lines) {
    int n = 0;
    if (!t->batch.base) testhost_batch(t);
    while (*lines) {
        size_t len = strcspn(lines, "\n"), at = 0;
        const char *error = "";
        struct cn_cell c;
        if (strspn(lines, " \t\r") < len) {
            if (cn_json_parse(&t->batch, lines, len, &c, &error, &at) != 0)
                return testhost_failf(t, CN_FAIL_CONFIG, "record %d is no JSON: %s at byte %zu", n + 1, error, at + 1);
            if (add_record(t, c) != 0) return -1;
            n++;
        }
        lines += len + (lines[len] == '\n');
    }
    return n;
}
int testhost_put_json(struct testhost *t, const char *lines) {
    testhost_batch(t);
    return testhost_add_json(t, lines) < 0 ? CN_PUT_FAILED : testhost_put(t);
}

int testhost_apply(struct testhost *t, uint32_t record) { return t->in->ops.transform.apply(t->task, &t->batch, record); }

void testhost_drive_done(struct testhost *t) {
    struct testhost_int *in = t->in;
    if (in->own_region) free(t->batch.base);
    lines_clear(&in->open_lines);
    positions_clear(&in->open), positions_clear(&in->ready), positions_clear(&in->stored);
    for (size_t i = 0; i < in->part_n; i++) free(in->parts[i].topic);
    free(in->open_lines.p), free(in->open.p), free(in->ready.p), free(in->stored.p);
    free(in->parts), free(in->verdicts), free(t->lines);
}
