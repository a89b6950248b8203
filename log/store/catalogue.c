// SPDX-License-Identifier: Apache-2.0
// The catalogue's state and its image. Loading is in load.c.
#include "catalogue.h"

#include <inttypes.h>

#include "settle.h"

void catalogue_init(struct catalogue *c) {
    pthread_mutex_init(&c->lock, NULL);
    c->next_topic = c->next_partition = 1;
    c->next_producer = 0;
}

static void unref_topic(void *t) { topic_unref(t); }

void catalogue_done(struct catalogue *c) {
    for (size_t i = 0; i < c->changed_count; i++) topic_unref(c->changed[i]->topic);
    free(c->changed);
    map_done(&c->topics, unref_topic);
    for (struct grave *g = c->graves, *next; g; g = next) {
        next = g->next;
        free(g);
    }
    pthread_mutex_destroy(&c->lock);
}

// ── the image ────────────────────────────────────────────────────────────────────────────────────────────────────────

static void put_segment(struct buf *out, const struct partition *p, const struct segment *g) {
    edit_put(out, &(struct edit){.kind = EDIT_SEGMENT, .partition = p->id, .base = g->base, .generation = g->generation, .size = g->size,
                                 .crc = g->crc, .max_ts = g->max_ts, .time = g->time, .flag = g->sealed});
}

static void put_producers(struct buf *out, const struct partition *p) {
    struct buf snapshot = {0};
    if (!p->producers || !producers_count(p->producers)) return;
    producers_snapshot(p->producers, &snapshot);
    edit_put(out, &(struct edit){.kind = EDIT_PRODUCERS, .partition = p->id, .text = buf_str(&snapshot)});
    if (snapshot.bad) out->bad = out->no_memory = true;
    buf_done(&snapshot);
}

static void put_losses(struct buf *out, const struct partition *p) {
    const struct losses *l = p->losses;
    if (!l) return;
    edit_put(out, &(struct edit){.kind = EDIT_LOSSES, .partition = p->id, .count = l->gaps, .first = l->offsets, .size = l->bytes,
                                 .time = l->at_ms});
}

static void put_partition(struct buf *out, struct partition *p) {
    pthread_mutex_lock(&p->lock);
    const char *failed = p->failed; // only this thread frees it
    int64_t damaged = failed ? p->damaged : -1;
    pthread_mutex_unlock(&p->lock);
    edit_put(out, &(struct edit){.kind = EDIT_PARTITION, .topic = p->topic->id, .index = (uint32_t)p->index, .partition = p->id,
                                 .first = p->log_start, .end = p->hw, .epoch = p->epoch, .text = str_of(failed && damaged < 0 ? failed : "")});
    for (uint32_t i = 0; i < p->epoch_count; i++)
        edit_put(out, &(struct edit){.kind = EDIT_EPOCH, .partition = p->id, .epoch = p->epochs[i].epoch, .first = p->epochs[i].first});
    for (size_t i = 0; i < p->seg_count; i++) put_segment(out, p, p->segs[i]);
    if (p->seg_count && partition_active(p)->aborts)
        edit_put(out, &(struct edit){.kind = EDIT_ABORTS, .partition = p->id, .count = partition_active(p)->aborts});
    if (damaged >= 0) edit_put(out, &(struct edit){.kind = EDIT_DAMAGED, .partition = p->id, .base = damaged, .text = str_of(failed)});
    put_losses(out, p);
    if (p->compacted || p->next_horizon >= 0)
        edit_put(out, &(struct edit){.kind = EDIT_COMPACTED, .partition = p->id, .first = p->compacted, .time = p->next_horizon});
    put_producers(out, p);
}

static void put_topic(struct buf *out, const struct topic *t) {
    struct buf settings = {0};
    settings_encode(topic_settings(t), &settings);
    edit_put(out, &(struct edit){.kind = EDIT_TOPIC, .topic = t->id, .id = t->uuid, .name = str_of(t->name), .text = buf_str(&settings)});
    buf_done(&settings);
    struct partition **partitions = atomic_load(&((struct topic *)(uintptr_t)t)->partitions);
    for (int32_t i = 0; i < t->count; i++) put_partition(out, partitions[i]);
}

static void put_counters(const struct catalogue *c, struct buf *out) {
    edit_put(out, &(struct edit){.kind = EDIT_COUNTERS, .topic = c->next_topic, .partition = c->next_partition, .first = c->next_producer});
}

void catalogue_image(struct store *s, struct buf *out) {
    const struct catalogue *c = &s->catalogue;
    put_counters(c, out);
    for (const struct grave *g = c->graves; g; g = g->next)
        edit_put(out, &(struct edit){.kind = EDIT_GRAVE, .topic = g->topic, .id = g->uuid, .name = str_of(g->name), .count = (uint32_t)g->count});
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(&c->topics, &at));) put_topic(out, e->value);
}

void catalogue_changes(const struct store *s, struct buf *out) {
    const struct catalogue *c = &s->catalogue;
    put_counters(c, out);
    for (size_t i = 0; i < c->changed_count; i++) put_partition(out, c->changed[i]);
}

void catalogue_changed(struct store *s, struct partition *p) {
    struct catalogue *c = &s->catalogue;
    if (p->changed) return;
    p->changed = true;
    topic_ref(p->topic);
    VEC_PUSH(c->changed, c->changed_count, c->changed_cap, p);
}

void catalogue_told(struct store *s) {
    struct catalogue *c = &s->catalogue;
    for (size_t i = 0; i < c->changed_count; i++) {
        c->changed[i]->changed = false;
        topic_unref(c->changed[i]->topic);
    }
    c->changed_count = 0;
}

// ── topics ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static void add_empty_partitions(struct catalogue *c, struct topic *t, const struct edit *e) {
    for (uint32_t i = 0; i < e->count; i++) topic_add_partition(t, partition_new_empty(t, e->partition + i, (int32_t)(e->index + i)));
    if (c->next_partition < e->partition + e->count) c->next_partition = e->partition + e->count;
}

struct topic *catalogue_create(struct store *s, const struct edit *e, struct settings *settings) {
    struct catalogue *c = &s->catalogue;
    struct topic *t = topic_new(s, e->topic, e->id, e->name, settings);
    add_empty_partitions(c, t, e);
    if (c->next_topic <= e->topic) c->next_topic = e->topic + 1;
    LOCK_SCOPE(&c->lock);
    map_put(&c->topics, e->name, t);
    return t;
}

static void partition_gone(struct store *s, struct partition *p) {
    pthread_mutex_lock(&p->lock);
    p->gone = true;
    for (size_t i = 0; i < p->seg_count; i++) {
        atomic_store(&p->segs[i]->dropped, true);
        files_close(&s->files, &p->segs[i]->file);
    }
    pthread_mutex_unlock(&p->lock);
    settle_done(s, p);
    partition_fire(s, p, true);
}

void catalogue_delete(struct store *s, struct topic *t) {
    struct catalogue *c = &s->catalogue;
    struct grave *g = xcalloc(1, sizeof(*g) + strlen(t->name) + 1);
    *g = (struct grave){.next = c->graves, .topic = t->id, .uuid = t->uuid, .count = t->count};
    memcpy(g->name, t->name, strlen(t->name) + 1);
    c->graves = g;
    pthread_mutex_lock(&c->lock);
    map_remove(&c->topics, str_of(t->name));
    pthread_mutex_unlock(&c->lock);
    struct partition **partitions = atomic_load(&t->partitions);
    for (int32_t i = 0; i < t->count; i++) partition_gone(s, partitions[i]);
    topic_unref(t);
}

void catalogue_bury(struct store *s, uint32_t topic) {
    struct grave **at = &s->catalogue.graves;
    while (*at && (*at)->topic != topic) at = &(*at)->next;
    struct grave *g = *at;
    if (g) *at = g->next;
    free(g);
    atomic_store(&s->catalogue.reshaped, true);
}

void catalogue_grow(struct store *s, struct topic *t, const struct edit *e) { add_empty_partitions(&s->catalogue, t, e); }

// ── segments ─────────────────────────────────────────────────────────────────────────────────────────────────────────

void catalogue_roll(struct partition *p, struct segment *next, const struct edit *e) {
    LOCK_SCOPE(&p->lock);
    struct segment *g = partition_active(p);
    g->sealed = true;
    g->time = e->time;
    partition_push_segment(p, next);
}

static void release_segment(struct store *s, struct partition *p, struct segment *g) {
    p->bytes -= g->size;
    atomic_store(&g->dropped, true);
    files_close(&s->files, &g->file);
    segment_unref(&s->files, g);
}

// Takes segments [from, from + n) out of the list.
static void remove_segments(struct store *s, struct partition *p, size_t from, size_t n) {
    for (size_t i = from; i < from + n; i++) release_segment(s, p, p->segs[i]);
    memmove(p->segs + from, p->segs + from + n, (p->seg_count - from - n) * sizeof(struct segment *));
    p->seg_count -= n;
    if (p->hints) *p->hints = (struct read_hints){0};
}

void catalogue_drop(struct store *s, struct partition *p, int64_t base) {
    LOCK_SCOPE(&p->lock);
    size_t n = 0;
    while (n + 1 < p->seg_count && p->segs[n]->base < base) n++;
    remove_segments(s, p, 0, n);
    if (p->log_start < p->segs[0]->base) p->log_start = p->segs[0]->base;
    if (p->lso < p->log_start) p->lso = p->log_start;
}

void catalogue_log_start(struct partition *p, int64_t first) {
    LOCK_SCOPE(&p->lock);
    if (p->log_start < first) p->log_start = first;
    if (p->lso < p->log_start) p->lso = p->log_start;
}

void catalogue_accept(struct partition *p, const struct edit *e) {
    partition_serve_again(p);
    partition_add_losses(p, &(struct losses){.gaps = e->count, .offsets = e->first, .bytes = e->size, .at_ms = e->time});
}

void catalogue_swap(struct store *s, struct partition *p, const struct edit *e, struct segment *next) {
    LOCK_SCOPE(&p->lock);
    size_t at = partition_find_segment(p, e->base);
    if (!next) {
        remove_segments(s, p, at, e->count);
        return;
    }
    release_segment(s, p, p->segs[at]);
    p->segs[at] = next;
    p->bytes += next->size;
    remove_segments(s, p, at + 1, e->count - 1);
}
