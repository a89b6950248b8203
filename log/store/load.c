// SPDX-License-Identifier: Apache-2.0
// Edits of an image or a frame, applied while the store is opened.
#include <inttypes.h>

#include "catalogue.h"

static struct str id_key(const uint32_t *id) { return str_make(id, sizeof(*id)); }

struct partition *loader_partition(const struct loader *l, uint32_t id) { return map_get(&l->partitions, id_key(&id)); }
static struct topic *loader_topic(const struct loader *l, uint32_t id) { return map_get(&l->topics, id_key(&id)); }

void loader_done(struct loader *l) {
    map_done(&l->topics, NULL);
    map_done(&l->partitions, NULL);
}

static int contradiction(const struct edit *e, const char *what, struct err *err) {
    return err_set(err, ERR_CORRUPT, "%s record of topic %u, partition %u, segment %" PRId64 ": %s", edit_name(e->kind), e->topic, e->partition,
                   e->base, what);
}

static void know_partitions(struct loader *l, struct topic *t, int32_t from) {
    struct partition **partitions = atomic_load(&t->partitions);
    for (int32_t i = from; i < t->count; i++) map_put(&l->partitions, id_key(&partitions[i]->id), partitions[i]);
}

// Bounded before anything is made: a count that a checksum let through is still not trusted.
enum { PARTITIONS_MOST = 100000 };

static int load_topic(struct loader *l, const struct edit *e, struct err *err) {
    struct settings *settings;
    if (e->count > PARTITIONS_MOST) return contradiction(e, "too many partitions", err);
    if (loader_topic(l, e->topic) || map_get(&l->s->catalogue.topics, e->name)) return contradiction(e, "the topic is there already", err);
    if (settings_decode(e->text, &l->s->o, &settings, err)) return err_wrap(err, "topic %.*s", (int)e->name.n, e->name.p);
    struct topic *t = catalogue_create(l->s, e, settings);
    map_put(&l->topics, id_key(&t->id), t);
    know_partitions(l, t, 0);
    return 0;
}

// A partition that a checkpoint names again is as it says there.
static int load_partition(struct loader *l, struct topic *t, const struct edit *e, struct err *err) {
    struct partition *p = topic_partition(t, (int32_t)e->index);
    if (p && p->id != e->partition) return contradiction(e, "it is another partition", err);
    if (!p && e->index != (uint32_t)t->count) return contradiction(e, "partitions out of order", err);
    bool known = p;
    if (known) partition_forget(p);
    else p = partition_new(t, e->partition, (int32_t)e->index);
    p->log_start = e->first;
    p->hw = p->lso = e->end;
    p->epoch = e->epoch;
    if (e->text.n) p->failed = str_dup(e->text);
    if (known) return 0;
    topic_add_partition(t, p);
    know_partitions(l, t, p->index);
    return 0;
}

static int load_segment(struct partition *p, const struct edit *e, struct err *err) {
    if (p->seg_count && partition_active(p)->base >= e->base) return contradiction(e, "segments out of order", err);
    struct segment *g = segment_new(e->base, e->generation);
    g->size = e->size;
    g->crc = e->crc;
    g->max_ts = e->max_ts;
    g->time = e->time;
    g->sealed = e->flag;
    g->aborts = e->flag ? ABORTS_UNKNOWN : 0;
    partition_push_segment(p, g);
    return 0;
}

static int load_producers(struct loader *l, struct partition *p, const struct edit *e, struct err *err) {
    if (!p->producers) p->producers = producers_new();
    if (producers_load(p->producers, e->text.p, e->text.n, clock_wall_ms(l->s->clock), err)) return -1;
    p->lso = partition_stable(p, p->hw);
    return 0;
}

static int load_roll(struct partition *p, const struct edit *e, struct err *err) {
    const struct segment *g = p->seg_count ? partition_active(p) : NULL;
    if (!g || e->base != p->hw || e->base <= g->base || e->size != g->size || e->crc != g->crc)
        return contradiction(e, "it does not continue the segment before", err);
    catalogue_roll(p, segment_new(e->base, 0), e);
    return 0;
}

static int load_swap(struct loader *l, struct partition *p, const struct edit *e, struct err *err) {
    size_t at = 0;
    while (at < p->seg_count && p->segs[at]->base != e->base) at++;
    if (!e->count || at >= p->seg_count || e->count >= p->seg_count - at) return contradiction(e, "those segments are not there", err);
    struct segment *g = NULL;
    if (e->end >= 0) {
        g = segment_new(e->end, e->generation);
        g->size = e->size;
        g->crc = e->crc;
        g->max_ts = e->max_ts;
        g->time = p->segs[at + e->count - 1]->time;
        g->sealed = true;
        g->aborts = ABORTS_UNKNOWN;
    }
    catalogue_swap(l->s, p, e, g);
    return 0;
}

static int load_aborts(struct partition *p, const struct edit *e, struct err *err) {
    if (!p->seg_count || partition_active(p)->sealed) return contradiction(e, "there is no active segment", err);
    partition_active(p)->aborts = e->count;
    return 0;
}

static int load_damaged(struct partition *p, const struct edit *e) {
    p->damaged = e->base;
    p->failed = str_dup(e->text);
    return 0;
}

static int load_compacted(struct partition *p, const struct edit *e, struct err *err) {
    if (e->first < 0 || e->first > p->hw) return contradiction(e, "it lies beyond the end", err);
    p->compacted = e->first;
    p->next_horizon = e->time;
    return 0;
}

static int load_losses(struct partition *p, const struct edit *e) {
    partition_add_losses(p, &(struct losses){.gaps = e->count, .offsets = e->first, .bytes = e->size, .at_ms = e->time});
    return 0;
}

static int load_of_partition(struct loader *l, struct partition *p, const struct edit *e, struct err *err) {
    switch (e->kind) {
    case EDIT_SEGMENT: return load_segment(p, e, err);
    case EDIT_EPOCH: partition_set_epoch(p, e->epoch, e->first); return 0;
    case EDIT_PRODUCERS: return load_producers(l, p, e, err);
    case EDIT_ABORTS: return load_aborts(p, e, err);
    case EDIT_DAMAGED: return p->failed ? contradiction(e, "it is stopped already", err) : load_damaged(p, e);
    case EDIT_COMPACTED: return load_compacted(p, e, err);
    case EDIT_LOSSES: return load_losses(p, e);
    case EDIT_ACCEPT: catalogue_accept(p, e); return 0;
    case EDIT_ROLL: return load_roll(p, e, err);
    case EDIT_LOG_START: catalogue_log_start(p, e->first); return 0;
    case EDIT_DROP: catalogue_drop(l->s, p, e->base); return 0;
    case EDIT_SWAP: return load_swap(l, p, e, err);
    default: return contradiction(e, "it does not belong here", err);
    }
}

static int load_config(struct topic *t, const struct edit *e, struct err *err) {
    struct settings *settings;
    if (settings_decode(e->text, topic_settings(t)->o, &settings, err)) return err_wrap(err, "topic %s", t->name);
    topic_set_settings(t, settings);
    return 0;
}

static int load_of_topic(struct loader *l, struct topic *t, const struct edit *e, struct err *err) {
    int32_t before = t->count;
    switch (e->kind) {
    case EDIT_PARTITION: return load_partition(l, t, e, err);
    case EDIT_DELETE:
        for (int32_t i = 0; i < t->count; i++) map_remove(&l->partitions, id_key(&topic_partition(t, i)->id));
        map_remove(&l->topics, id_key(&t->id));
        catalogue_delete(l->s, t);
        return 0;
    case EDIT_GROW:
        if (e->index != (uint32_t)before || e->count > PARTITIONS_MOST) return contradiction(e, "partitions out of order", err);
        catalogue_grow(l->s, t, e);
        know_partitions(l, t, before);
        return 0;
    case EDIT_CONFIG: return load_config(t, e, err);
    default: return contradiction(e, "it does not belong here", err);
    }
}

static void load_grave(struct catalogue *c, const struct edit *e) {
    struct grave *g = xcalloc(1, sizeof(*g) + e->name.n + 1);
    *g = (struct grave){.next = c->graves, .topic = e->topic, .uuid = e->id, .count = (int32_t)e->count};
    if (e->name.n) memcpy(g->name, e->name.p, e->name.n);
    c->graves = g;
}

static void load_counters(struct catalogue *c, const struct edit *e) {
    if (c->next_topic < e->topic) c->next_topic = e->topic;
    if (c->next_partition < e->partition) c->next_partition = e->partition;
    if (c->next_producer < e->first) c->next_producer = e->first;
}

static bool belongs_to_frames(enum edit_kind kind) { return kind >= EDIT_CREATE; }

int catalogue_load(struct loader *l, const struct edit *e, struct err *err) {
    struct catalogue *c = &l->s->catalogue;
    if (belongs_to_frames(e->kind) != l->frames && e->kind != EDIT_EPOCH) return contradiction(e, "it does not belong here", err);
    switch (e->kind) {
    case EDIT_COUNTERS: load_counters(c, e); return 0;
    case EDIT_PRODUCER_IDS: load_counters(c, &(struct edit){.first = e->first}); return 0;
    case EDIT_GRAVE: load_grave(c, e); return 0;
    case EDIT_TOPIC:
    case EDIT_CREATE: return load_topic(l, e, err);
    case EDIT_DELETE:
    case EDIT_CONFIG:
    case EDIT_GROW:
    case EDIT_PARTITION: break;
    default: {
        struct partition *p = loader_partition(l, e->partition);
        if (p) return load_of_partition(l, p, e, err);
        return e->partition < c->next_partition ? 0 : contradiction(e, "unknown partition", err);
    }
    }
    struct topic *t = loader_topic(l, e->topic);
    if (t) return load_of_topic(l, t, e, err);
    return e->topic < c->next_topic ? 0 : contradiction(e, "unknown topic", err);
}
