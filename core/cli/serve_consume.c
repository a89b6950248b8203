// SPDX-License-Identifier: Apache-2.0
// `consume`: what there is, partition by partition in order, and then, unless told to end, what comes.
#include "backend/backend.h"
#include "cli/record_json.h"
#include "cli/serve.h"
#include "transforms/pattern.h"

enum { POLL_BYTES = 1 << 20, POLL_MS = 200 };

// What the request asks for.
struct asked {
    const char *regex, *group;
    int32_t partition; // -1: all
    int64_t offset;    // -1: by from_beginning
    int64_t max;       // records; -1: no limit
    bool from_beginning, until_end, internal;
};

struct consume {
    struct backend *b;
    struct control_call *call;
    struct asked o;
    int64_t sent;
    struct buf line;
};

static bool enough(const struct consume *c) { return c->o.max >= 0 && c->sent >= c->o.max; }

static int send_record(struct consume *c, const struct consumed *r) {
    buf_clear(&c->line);
    record_json(r, &c->line);
    c->sent++;
    return call_line(c->call, buf_str(&c->line));
}

// ── what there is, in order ──

struct found { char *name; int32_t partitions; };
struct names { struct found *items; size_t n, cap; };
struct matching { struct names *names; struct pattern *pattern; bool internal; struct err *err; };

static int add_matching(void *arg, const struct topic_info *t) {
    struct matching *m = arg;
    if (t->internal && !m->internal) return 0;
    int rc = pattern_matches(m->pattern, str_of(t->name), m->err);
    if (rc <= 0) return rc;
    struct found f = {xstrdup(t->name), t->partitions};
    VEC_PUSH(m->names->items, m->names->n, m->names->cap, f);
    return 0;
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct found *)a)->name, ((const struct found *)b)->name); }

static int matching_topics(struct consume *c, struct names *ret, struct err *err) {
    struct matching m = {ret, pattern_new(c->o.regex, err), c->o.internal, err};
    if (!m.pattern) return -1;
    int rc = c->b->ops->topics(c->b, add_matching, &m, err);
    pattern_free(m.pattern);
    if (rc == 0 && ret->n) qsort(ret->items, ret->n, sizeof(ret->items[0]), by_name);
    return rc;
}

static void names_done(struct names *n) {
    for (size_t i = 0; i < n->n; i++) free(n->items[i].name);
    free(n->items);
}

// One partition's stretch [from, to); a consumer of the whole topic that is kept at the ends of the other partitions.
struct stretch { struct backend *b; int32_t partition; int64_t from, to, next; };

static int stretch_assigned(void *arg, const struct assigned *a, int64_t *offset, struct err *err) {
    struct stretch *s = arg;
    struct partition_info info;
    if (a->partition == s->partition) return *offset = s->from, 0;
    if (s->b->ops->partition(s->b, a->topic, a->partition, &info, err) != 0) return -1;
    *offset = info.last_stable;
    return 0;
}

static int stretch_next(void *arg, const char *topic, int32_t partition, int64_t next, int64_t end) {
    struct stretch *s = arg;
    if (partition == s->partition && next > s->next) s->next = next;
    return 0;
}

static int stretch_read(struct consume *c, struct consumer *k, struct stretch *s, struct err *err) {
    while (s->next < s->to && !enough(c) && !call_gone(c->call)) {
        const struct consumed *r;
        int n = c->b->ops->poll(k, POLL_BYTES, POLL_MS, &r, err);
        if (n < 0) return -1;
        for (int i = 0; i < n && !enough(c); i++) {
            if (r[i].partition != s->partition || r[i].offset >= s->to) continue;
            if (send_record(c, &r[i]) != 0) return 0;
            s->next = r[i].offset + 1;
        }
        // The end may be markers, which are no records.
        c->b->ops->assignment(k, stretch_next, s);
    }
    return 0;
}

static int consume_partition(struct consume *c, const char *topic, int32_t partition, struct err *err) {
    struct partition_info info;
    struct stretch s = {.b = c->b, .partition = partition};
    struct consumer *k;
    if (c->b->ops->partition(c->b, topic, partition, &info, err) != 0) return -1;
    s.from = c->o.offset >= 0 ? c->o.offset : c->o.from_beginning ? info.log_start : info.last_stable;
    if (s.from < info.log_start) s.from = info.log_start;
    s.next = s.from;
    s.to = info.last_stable;
    if (s.from >= s.to) return 0;
    struct consumer_options o = {.topics = &topic, .topic_count = 1, .members = 1, .from_beginning = true, .internal = c->o.internal,
                                 .assigned = stretch_assigned, .arg = &s};
    if (c->b->ops->consumer_open(c->b, &o, &k, err) != 0) return -1;
    int rc = stretch_read(c, k, &s, err);
    c->b->ops->consumer_close(k);
    return rc;
}

static int consume_to_end(struct consume *c, struct err *err) {
    struct names names = {0};
    int rc = matching_topics(c, &names, err);
    for (size_t i = 0; i < names.n && rc == 0; i++) {
        const struct found *f = &names.items[i];
        for (int32_t p = 0; p < f->partitions && rc == 0 && !enough(c) && !call_gone(c->call); p++)
            if (c->o.partition < 0 || c->o.partition == p) rc = consume_partition(c, f->name, p, err);
    }
    names_done(&names);
    return rc;
}

// ── what comes ──

static int live_assigned(void *arg, const struct assigned *a, int64_t *offset, struct err *err) {
    const struct consume *c = arg;
    if (c->o.offset >= 0) *offset = c->o.offset;
    return 0;
}

static int not_at_end(void *arg, const char *topic, int32_t partition, int64_t next, int64_t end) { return next < end; }

static int commit_group(struct consume *c, const struct consumed *r, int n, struct err *err) {
    for (int i = 0; i < n; i++) {
        bool last = i + 1 == n || r[i + 1].partition != r[i].partition || strcmp(r[i + 1].topic, r[i].topic) != 0;
        struct backend_offset o = {.topic = r[i].topic, .partition = r[i].partition, .offset = r[i].offset + 1};
        if (last && c->b->ops->offsets_set(c->b, c->o.group, &o, 1, err) != 0) return -1;
    }
    return 0;
}

static int consume_live(struct consume *c, struct err *err) {
    struct consumer_options o = {.group = c->o.group, .regex = c->o.regex, .members = 1, .from_beginning = c->o.from_beginning,
                                 .internal = c->o.internal, .assigned = live_assigned, .arg = c};
    struct consumer *k;
    int rc = 0;
    if (c->b->ops->consumer_open(c->b, &o, &k, err) != 0) return -1;
    while (rc == 0 && !enough(c) && !call_gone(c->call)) {
        const struct consumed *r;
        int n = c->b->ops->poll(k, POLL_BYTES, POLL_MS, &r, err), taken = 0;
        for (; taken < n && !enough(c) && rc == 0; taken++)
            if (c->o.partition < 0 || r[taken].partition == c->o.partition) rc = send_record(c, &r[taken]);
        if (n < 0) rc = -1;
        else if (rc != 0 || call_flush(c->call) != 0) break; // the client is gone
        if (rc == 0 && c->o.group) rc = commit_group(c, r, taken, err);
        if (n == 0 && c->o.until_end && c->b->ops->assignment(k, not_at_end, NULL) == 0) break;
    }
    c->b->ops->consumer_close(k);
    return rc > 0 ? 0 : rc;
}

int serve_consume_of(struct served *s, struct control_call *call, const char *regex, struct err *err) {
    const struct doc_node *r = call_request(call);
    struct consume c = {.b = s->backend, .call = call};
    c.o = (struct asked){
        .regex = regex, .group = doc_text(r, "group", NULL), .partition = (int32_t)doc_int(r, "partition", -1),
        .offset = doc_int(r, "offset", -1), .max = doc_int(r, "max", -1), .from_beginning = doc_true(r, "from_beginning"),
        .until_end = doc_true(r, "until_end"), .internal = doc_true(r, "internal"),
    };
    int rc = c.o.until_end && !c.o.group ? consume_to_end(&c, err) : consume_live(&c, err);
    buf_done(&c.line);
    return rc;
}

int serve_consume(struct served *s, struct control_call *call, struct err *err) {
    return serve_consume_of(s, call, doc_text(call_request(call), "regex", ".*"), err);
}
