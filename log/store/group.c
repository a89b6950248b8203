// SPDX-License-Identifier: Apache-2.0
// Gathering commits into a group: room, producers, offsets.
#include "group.h"

#include <inttypes.h>

#include "catalogue.h"
#include "checkpointer.h"
#include "cleaner.h"
#include "settle.h"
#include "verify.h"

enum {
    RESERVE_STEP_MIN = 16 * 1024,        // bytes of a segment's tail reserved at once
    RESERVE_STEP_MAX = 16 * 1024 * 1024,
    STEP_BYTES = 128,                    // of a frame's records, for one step: more than any takes
};

// What a refused commit is undone to.
struct save {
    struct partition *p;
    struct tail tail;
    struct range range; // copy of *tail.range
};

void group_begin(struct group *g) {
    arena_reset(&g->arena);
    g->step_count = g->save_count = g->iov_count = 0;
    g->touched = NULL;
    g->inline_bytes = 0;
    g->pointed = g->wrote = false;
    g->now_ms = clock_wall_ms(g->s->clock);
    buf_clear(&g->frame);
}

void group_done(struct group *g) {
    arena_done(&g->arena);
    free(g->steps);
    free(g->saves);
    free(g->iov);
    buf_done(&g->frame);
}

void group_retriable(struct err *err) {
    if (err_retriable(err)) return;
    err->code = ERR_AGAIN;
    err_wrap(err, "commit taken back");
}

static void touch(struct group *g, struct partition *p) {
    if (p->tail.touched) return;
    struct segment *seg = partition_active(p);
    p->tail = (struct tail){.seg = seg, .next = p->hw, .size = seg->size, .max_ts = seg->max_ts, .touched = true, .next_touched = g->touched};
    p->tail.mark = p->producers ? producers_mark(p->producers) : 0;
    g->touched = p;
}

// ── room ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

// Markers and internal topics may go deeper into the reserve: they are what lets readers and transactions get on.
static uint64_t floor_for(const struct store *s, const struct commit *c) {
    if (c->markers_only) return s->o.reserve_bytes / 4;
    return c->internal_only ? s->o.reserve_bytes / 2 : s->o.reserve_bytes;
}

static int check_space(struct store *s, uint64_t need, uint64_t floor, struct err *err) {
    struct fs_space space;
    if (s->fs->ops->space(s->fs, &space, err)) return -1;
    if (space.available >= floor && space.available - floor >= need) return 0;
    return err_set(err, ERR_NOSPACE, "%" PRIu64 " bytes free, %" PRIu64 " are kept in reserve", space.available, floor);
}

static int allocate(struct store *s, struct open_file *f, uint64_t n, uint64_t floor, struct err *err) {
    struct err why;
    if (check_space(s, n, floor, err)) return -1;
    if (s->fs->ops->allocate(f->f, f->reserved, n, true, &why) && why.code != ERR_UNSUPPORTED) {
        *err = why;
        return -1;
    }
    f->reserved += n;
    return 0;
}

// Reserves the segment's tail up to `end`, and some more when there is plenty.
static int reserve(struct store *s, struct segment *seg, uint64_t end, uint64_t floor, struct err *err) {
    struct open_file *f = seg->file.open;
    if (f->reserved < seg->size) f->reserved = seg->size;
    if (end <= f->reserved) return 0;
    uint64_t need = end - f->reserved, step = seg->size;
    if (step < RESERVE_STEP_MIN) step = RESERVE_STEP_MIN;
    if (step > RESERVE_STEP_MAX) step = RESERVE_STEP_MAX;
    if (step > need && !allocate(s, f, step, floor, err)) return 0;
    return allocate(s, f, need, floor, err);
}

int dirty_add(struct store *s, struct partition *p, struct segment *seg, struct err *err) {
    struct open_file *f;
    if (seg->dirty) return 0;
    pthread_mutex_lock(&p->lock);
    int failed = segment_open(s, p, seg, &f, err);
    pthread_mutex_unlock(&p->lock);
    if (failed) return -1;
    topic_ref(p->topic);
    VEC_PUSH(s->dirty, s->dirty_count, s->dirty_cap, ((struct dirty){p, segment_ref(seg), f}));
    seg->dirty = true;
    catalogue_changed(s, p);
    return checkpointer_spill(s, err);
}

static bool roll_due(const struct group *g, const struct partition *p, size_t more) {
    const struct settings *st = topic_settings(p->topic);
    const struct tail *t = &p->tail;
    if (!t->size) return false;
    if (t->size + more > (uint64_t)st->segment_bytes || t->size + more > g->s->budget.segment_most) return true;
    if (t->seg->time >= 0 && g->now_ms - t->seg->time > st->segment_ms) return true;
    if (t->next + (int64_t)more - t->seg->base > INT32_MAX) return true; // a record has at least one byte
    uint64_t interval = st->index_interval_bytes > 0 ? (uint64_t)st->index_interval_bytes : 1;
    return t->size / interval * INDEX_ENTRY > (uint64_t)st->segment_index_bytes;
}

// What is known of producers where the segment begins, as Kafka keeps it beside one. Nothing of ours needs it: recovery has the checkpoint's.
static void write_snapshot(struct store *s, const struct partition *p, int64_t base) {
    struct buf text = {0};
    char path[SEGMENT_PATH];
    struct fs_file *f;
    if (!p->producers || !producers_count(p->producers)) return;
    producers_snapshot(p->producers, &text);
    segment_path(p, base, ".snapshot", path);
    if (!text.bad && !s->fs->ops->open(s->fs, path, FS_WRITE | FS_CREATE | FS_TRUNC, &f, NULL)) {
        int failed = fs_pwrite(s->fs, f, text.p, text.n, 0, NULL);
        if (s->fs->ops->close(f, NULL) || failed) s->fs->ops->unlink(s->fs, path, NULL);
    }
    buf_done(&text);
}

// The new segment's files are made; group_write makes their names durable before any frame can name it.
static int roll(struct group *g, struct partition *p, struct err *err) {
    struct store *s = g->s;
    struct segment *next = segment_new(p->tail.next, 0);
    if (segment_active_index(s, p, p->tail.seg, NULL)) {} // to be sealed; it is a cache
    if (dirty_add(s, p, p->tail.seg, err) || segment_create_files(s, p, next, err)) {
        segment_unlink_files(s, p, next->base, NULL); // what stays is empty, and recovery removes it
        segment_unref(&s->files, next);
        return -1;
    }
    TEST_POINT("roll-created");
    write_snapshot(s, p, next->base);
    struct step step = {.rolled = p, .next = next, .ended = p->tail.range};
    step.edit = (struct edit){.kind = EDIT_ROLL, .partition = p->id, .base = next->base, .size = p->tail.size, .time = g->now_ms};
    VEC_PUSH(g->steps, g->step_count, g->step_cap, step);
    p->tail.seg = next;
    p->tail.size = 0;
    p->tail.max_ts = -1;
    p->tail.range = NULL;
    return 0;
}

int partition_roll(struct group *g, struct partition *p, struct err *err) {
    if (settle_partition(g->s, p, err)) return -1;
    touch(g, p);
    return p->tail.size ? roll(g, p, err) : 0;
}

static int take_room(struct group *g, const struct commit *c, struct partition *p, struct err *err) {
    struct store *s = g->s;
    size_t n = p->tail.commit_bytes;
    if (!n) return 0;
    p->tail.commit_bytes = 0;
    if (roll_due(g, p, n) && roll(g, p, err)) return -1;
    struct segment *seg = p->tail.seg;
    if (segment_active_index(s, p, seg, err) || dirty_add(s, p, seg, err)) return -1;
    return reserve(s, seg, p->tail.size + n, floor_for(s, c), err);
}

static int take_all_room(struct group *g, const struct commit *c, struct err *err) {
    if (!c->internal_only && budget_check(g->s, err)) return -1;
    for (size_t i = 0; i < c->n; i++)
        if (settle_partition(g->s, c->appends[i].p, err)) return -1;
    for (size_t i = 0; i < c->n; i++)
        if (partition_serves(c->appends[i].p, err)) return -1;
    for (size_t i = 0; i < c->n; i++) {
        touch(g, c->appends[i].p);
        c->appends[i].p->tail.commit_bytes = 0;
    }
    for (size_t i = 0; i < c->n; i++) c->appends[i].p->tail.commit_bytes += c->appends[i].bytes.n;
    for (size_t i = 0; i < c->n; i++) {
        if (!take_room(g, c, c->appends[i].p, err)) continue;
        if (verify_met(g->s, c->appends[i].p, partition_active(c->appends[i].p), false, err)) return -1;
        group_retriable(err);
        return err_wrap(err, "topic %s", c->appends[i].p->topic->name);
    }
    return 0;
}

// ── offsets ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static void begin_range(struct group *g, struct partition *p) {
    struct tail *t = &p->tail;
    struct range *r = arena_zalloc(&g->arena, sizeof(*r));
    *r = (struct range){.p = p, .seg = t->seg, .position = t->size, .first = t->next, .end = t->next, .max_ts = t->max_ts};
    r->last_append = &r->first_append;
    t->range = r;
    VEC_PUSH(g->steps, g->step_count, g->step_cap, ((struct step){.range = r}));
}

static void extend_range(struct group *g, struct append *a) {
    struct tail *t = &a->p->tail;
    if (!t->range) begin_range(g, a->p);
    struct range *r = t->range;
    a->next_in_range = NULL;
    *r->last_append = a;
    r->last_append = &a->next_in_range;
    r->appends++;
    r->size += a->bytes.n;
    t->size += a->bytes.n;
    t->next = r->end = batch_last_offset(&a->h) + 1;
    if (a->h.max_timestamp > t->max_ts) t->max_ts = a->h.max_timestamp;
    r->max_ts = t->max_ts;
}

static void apply_producer(struct group *g, struct append *a) {
    struct producer_end end;
    a->ended = NULL;
    if (a->h.producer_id < 0) return;
    if (!producers_apply(a->p->producers, &a->h, a->is_marker ? &a->marker : NULL, g->now_ms, &end)) return;
    a->ended = arena_alloc(&g->arena, sizeof(end));
    *a->ended = end;
}

static void assign(struct group *g, struct append *a, struct append_result *ret) {
    a->h.base_offset = a->p->tail.next;
    batch_patch(a->bytes.p, a->h.base_offset, a->p->epoch);
    bool stamp = topic_settings(a->p->topic)->append_time && !a->is_marker;
    if (stamp) {
        batch_set_append_time(a->bytes.p, a->bytes.n, g->now_ms);
        a->h.max_timestamp = g->now_ms;
    }
    apply_producer(g, a);
    extend_range(g, a);
    *ret = (struct append_result){.base_offset = a->h.base_offset, .append_time = stamp ? g->now_ms : -1};
}

static int append_one(struct group *g, struct append *a, struct append_result *ret, struct err *err) {
    struct producer_batch original;
    if (a->h.producer_id >= 0) {
        if (!a->p->producers) a->p->producers = producers_new();
        int duplicate = producers_check(a->p->producers, &a->h, a->is_marker ? &a->marker : NULL, &original, err);
        if (duplicate < 0) return err_wrap(err, "%s-%" PRId32, a->p->topic->name, a->p->index);
        if (duplicate) {
            *ret = (struct append_result){.base_offset = original.last_offset - original.delta, .append_time = -1, .duplicate = true};
            if (topic_settings(a->p->topic)->append_time) ret->append_time = original.timestamp;
            return 0;
        }
    }
    assign(g, a, ret);
    return 0;
}

static void save_all(struct group *g, const struct commit *c) {
    g->save_count = 0;
    for (size_t i = 0; i < c->n; i++) {
        struct partition *p = c->appends[i].p;
        if (p->tail.commit_bytes) continue; // saved already
        p->tail.commit_bytes = 1;
        struct save save = {.p = p, .tail = p->tail};
        save.tail.mark = p->producers ? producers_mark(p->producers) : 0;
        if (p->tail.range) save.range = *p->tail.range;
        VEC_PUSH(g->saves, g->save_count, g->save_cap, save);
    }
}

static void restore_all(struct group *g, size_t steps) {
    g->step_count = steps;
    for (size_t i = 0; i < g->save_count; i++) {
        const struct save *save = &g->saves[i];
        struct partition *p = save->p;
        size_t mark = p->tail.mark;
        if (p->producers) producers_undo(p->producers, save->tail.mark);
        p->tail = save->tail;
        p->tail.mark = mark;
        if (!p->tail.range) continue;
        *p->tail.range = save->range;
        *p->tail.range->last_append = NULL;
    }
}

static int append_all(struct group *g, struct commit *c, struct err *err) {
    size_t steps = g->step_count;
    bool save = c->n > 1; // a single append is refused before it changes anything
    if (save) save_all(g, c);
    for (size_t i = 0; i < c->n; i++) {
        if (!append_one(g, &c->appends[i], &c->results[i], err)) continue;
        if (save) restore_all(g, steps);
        return -1;
    }
    return 0;
}

// ── the group ────────────────────────────────────────────────────────────────────────────────────────────────────────

// The most the commit adds to the frame's data.
static uint64_t inline_bytes(const struct store *s, const struct commit *c) {
    uint64_t n = 0;
    for (size_t i = 0; i < c->n; i++)
        if (c->appends[i].bytes.n <= s->o.inline_max_bytes) n += c->appends[i].bytes.n;
    return n;
}

enum group_verdict group_add(struct group *g, struct commit *c, struct err *err) {
    uint64_t most = journal_frame_max(g->s->journal), data = inline_bytes(g->s, c);
    uint64_t records = FRAME_HEADER + (g->step_count + 2 * c->n) * STEP_BYTES;
    if (c->chain && c->chain->failed) {
        *err = c->chain->err;
        return GROUP_REFUSED;
    }
    if (records + g->inline_bytes + data > most) {
        if (g->step_count) return GROUP_FULL;
        g->pointed = true;
        data = 0;
    }
    if (records > most) {
        err_set(err, ERR_TOO_LARGE, "commit of %zu appends does not fit the journal", c->n);
        return GROUP_REFUSED;
    }
    if (take_all_room(g, c, err) || append_all(g, c, err)) return GROUP_REFUSED;
    g->inline_bytes += data;
    return GROUP_TAKEN;
}
