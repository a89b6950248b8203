/* SPDX-License-Identifier: Apache-2.0 */
/* A source that keeps every rule: `count` records, then quiet. Each bad one redefines one piece before including this. */
#ifndef GOOD_SOURCE_H
#define GOOD_SOURCE_H

#include <connectd/sdk.h>
#include <poll.h>

struct task {
    struct cn_host *host;
    int64_t next, count;
};
static const struct cn_option options[] = {CN_INT("count", struct task, count, "20", 0, 1000000, 0, "G", "How many records.")};

#ifndef OPEN
#define OPEN(t) (void)(t)
#endif
#ifndef RESUME
#define RESUME(t, positions, n) if (n) cn_pos_get_int((positions)[0].offset, "next", &(t)->next)
#endif
#ifndef WAIT
#define WAIT(t, ms)                                                                                                    \
    do {                                                                                                               \
        struct pollfd p = {(t)->host->ops->wake_fd((t)->host), POLLIN, 0};                                             \
        poll(&p, 1, (int)(ms));                                                                                        \
    } while (0)
#endif
#ifndef POLL
#define POLL(t, b) (void)(t)
#endif
#ifndef VALUE
#define VALUE(t, b, record) cn_set_value(b, record, cn_int(CN_INT64, (t)->next), CN_NO_SCHEMA)
#endif
#ifndef OFFSET
#define OFFSET "{\"next\":%lld}"
#endif

static int source_open(struct cn_host *h, const struct cn_stored_position *positions, uint32_t n, void **ret) {
    struct task *t = (struct task *)calloc(1, sizeof *t);
    t->host = h;
    OPEN(t);
    CN_BIND(h, options, t);
    RESUME(t, positions, n);
    (void)positions, (void)n;
    *ret = t;
    return 0;
}
static int source_poll(void *task, struct cn_batch *b, uint32_t timeout_ms) {
    struct task *t = (struct task *)task;
    char offset[64];
    uint32_t r;
    POLL(t, b);
    if (t->next >= t->count) {
        WAIT(t, timeout_ms);
        return CN_POLL_IDLE;
    }
    r = cn_record(b, cn_topic(b, "good", 4));
    VALUE(t, b, r);
    t->next++;
    snprintf(offset, sizeof offset, OFFSET, (long long)t->next);
    cn_position(b, "{\"a\":1}", offset);
    return CN_POLL_OK;
}
static const struct cn_source_ops ops = {sizeof ops, 0, NULL, NULL, NULL, source_open, source_poll, NULL, NULL, free};
CN_COMPONENT(source, CN_SOURCE, "good-source", NULL, "Keeps every rule but one", options, ops);
CN_PLUGIN("good-source", "1.0", "", "Apache-2.0", NULL, &source)

#endif
