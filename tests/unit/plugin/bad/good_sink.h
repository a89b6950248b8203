/* SPDX-License-Identifier: Apache-2.0 */
/* A sink that keeps every rule: settles in flush what put noted. Each bad one redefines one piece before including this. */
#ifndef GOOD_SINK_H
#define GOOD_SINK_H

#include <connectd/sdk.h>

struct note { char topic[64]; int32_t partition; int64_t offset; };
struct task {
    struct cn_host *host;
    struct note *notes;
    size_t n, cap;
    const struct cn_batch *batch;
    const void *kept;
};
#ifndef OPEN
#define OPEN(t) (void)(t)
#endif
#ifndef PUT
#define PUT(t, b) (void)(t)
#endif
#ifndef FLUSH
#define FLUSH(t) settle_all(t)
#endif
#ifndef REVOKE
#define REVOKE(t) (t)->n = 0
#endif
#ifndef CLOSE
#define CLOSE(t) (void)(t)
#endif

__attribute__((unused)) static void settle_all(struct task *t) {
    size_t i;
    for (i = 0; i < t->n; i++) cn_settle(t->host, t->notes[i].topic, t->notes[i].partition, t->notes[i].offset, t->notes[i].offset, CN_OK, NULL, 0);
    t->n = 0;
}
#ifdef DECLARE
DECLARE
#endif

static int sink_open(struct cn_host *h, void **ret) {
    struct task *t = (struct task *)calloc(1, sizeof *t);
    t->host = h;
    OPEN(t);
    *ret = t;
    return 0;
}
static void sink_revoke(void *task, const struct cn_sink_partition *p, uint32_t n) {
    struct task *t = (struct task *)task;
    (void)p, (void)n;
    REVOKE(t);
}
static int sink_put(void *task, const struct cn_batch *b) {
    struct task *t = (struct task *)task;
    uint32_t i;
    PUT(t, b);
    for (i = 0; i < cn_count(b); i++) {
        const struct cn_record *r = cn_record_at(b, i);
        const struct cn_text *topic = cn_topic_at(b, r->original_topic);
        if (t->n == t->cap) {
            t->cap = t->cap ? t->cap * 2 : 64;
            t->notes = (struct note *)realloc(t->notes, t->cap * sizeof *t->notes);
        }
        snprintf(t->notes[t->n].topic, sizeof t->notes[0].topic, "%.*s", (int)topic->n, cn_bytes_at(b, topic->at));
        t->notes[t->n].partition = r->original_partition;
        t->notes[t->n++].offset = r->offset;
    }
    return CN_PUT_LATER;
}
static int sink_flush(void *task, uint32_t deadline_ms) {
    struct task *t = (struct task *)task;
    (void)deadline_ms;
    FLUSH(t);
    return 0;
}
static void sink_close(void *task) {
    struct task *t = (struct task *)task;
    CLOSE(t);
    free(t->notes);
    free(t);
}
static const struct cn_sink_ops ops = {sizeof ops, 0, NULL, NULL, NULL, sink_open, NULL, sink_revoke, sink_put, sink_flush, NULL, sink_close};
CN_COMPONENT_PLAIN(sink, CN_SINK, "good-sink", NULL, "Keeps every rule but one", ops);
CN_PLUGIN("good-sink", "1.0", "", "Apache-2.0", NULL, &sink)

#endif
