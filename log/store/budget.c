// SPDX-License-Identifier: Apache-2.0
// The bytes of the whole log, held below total_bytes.
//
//   appended ─► too many? ─► a round soon ─► the oldest sealed segment of all that nobody waits for ─► the next … ─► those that somebody
//   does, who are told what they lost ─► none left: appends are refused, until topics are deleted or settings changed
//
// Internal and purely compacted topics lose nothing. Segments end early where the budget is small, so that there is something to delete.
#include <inttypes.h>

#include "catalogue.h"
#include "cleaner.h"

enum { MIB = 1 << 20, SEGMENTS_LEAST = 32 }; // as many segments as fill the budget, at least

void budget_init(struct store *s) {
    struct fs_space space;
    struct budget *b = &s->budget;
    b->limit = s->o.total_bytes;
    if (!b->limit) b->limit = s->fs->ops->space(s->fs, &space, NULL) ? UINT64_MAX : space.total / 10 * 8;
    b->segment_most = b->limit / SEGMENTS_LEAST > MIB ? b->limit / SEGMENTS_LEAST : MIB;
}

void budget_add(struct store *s, uint64_t bytes) {
    struct budget *b = &s->budget;
    if (atomic_fetch_add(&b->bytes, bytes) + bytes > b->limit && !atomic_load(&b->full)) cleaner_hurry(s);
}

int budget_check(struct store *s, struct err *err) {
    struct budget *b = &s->budget;
    if (!atomic_load_explicit(&b->full, memory_order_relaxed)) return 0;
    err_set(err, ERR_NOSPACE, "the log is full: %" PRIu64 " bytes of %" PRIu64 ", and nothing more may be deleted", atomic_load(&b->bytes), b->limit);
    return err_hint(err, "raise log.total.bytes, delete topics, or let them keep less (retention.ms, retention.bytes, segment.bytes)");
}

struct look {
    uint64_t bytes;
    struct partition *p; // whose oldest segment goes next, with a reference to its topic
    struct oldest oldest;
};

static bool before(const struct oldest *a, const struct oldest *b) { return a->awaited != b->awaited ? b->awaited : a->at_ms < b->at_ms; }

static void look_partition(struct look *l, struct partition *p) {
    struct oldest o;
    struct partition_offsets now;
    partition_offsets(p, &now);
    l->bytes += now.bytes;
    if (!retain_oldest(p, &o) || (l->p && !before(&o, &l->oldest))) return;
    if (l->p) topic_unref(l->p->topic);
    topic_ref(p->topic);
    l->p = p;
    l->oldest = o;
}

static int look_topic(void *arg, struct topic *t) {
    for (int32_t i = 0; i < topic_partitions(t); i++) look_partition(arg, topic_partition(t, i));
    return 0;
}

static void settle(struct store *s, const struct look *l) {
    struct budget *b = &s->budget;
    bool full = l->bytes > b->limit;
    if (atomic_exchange(&b->full, full) == full) return;
    if (full) store_event(s, STORE_EVENT_WARN, "the log is full (%" PRIu64 " bytes, log.total.bytes is %" PRIu64 ") and nothing more may be deleted: writes wait", l->bytes, b->limit);
    else store_event(s, STORE_EVENT_INFO, "the log has room again (%" PRIu64 " bytes, log.total.bytes is %" PRIu64 ")", l->bytes, b->limit);
}

int budget_keep(struct store *s, struct err *err) {
    for (;;) {
        struct look l = {0};
        store_topics(s, look_topic, &l);
        atomic_store(&s->budget.bytes, l.bytes);
        bool drop = l.bytes > s->budget.limit && l.p;
        int failed = drop ? retain_drop_oldest(s, l.p, err) : 0;
        if (!drop) settle(s, &l);
        if (l.p) topic_unref(l.p->topic);
        if (failed || !drop) return failed;
    }
}
