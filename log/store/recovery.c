// SPDX-License-Identifier: Apache-2.0
// The order of recovery: slot, frames, partitions, folders, checkpoint.
#include "recovery.h"

#include <inttypes.h>

#include "checkpointer.h"
#include "meta.h"
#include "verify.h"

// ── the slot ─────────────────────────────────────────────────────────────────────────────────────────────────────────

struct slot {
    struct checkpoint at;
    struct buf image;
    bool good;
    struct err why;
};

static void read_slot(struct store *s, unsigned number, struct slot *ret) {
    *ret = (struct slot){0};
    ret->good = !checkpoint_read(s->fs, number, &ret->at, &ret->image, &ret->why);
    if (!ret->good || !memcmp(&ret->at.journal, &s->journal->id, sizeof(struct uuid))) return;
    ret->good = false;
    err_set(&ret->why, ERR_CORRUPT, "checkpoint-%u belongs to another journal", number);
}

static int both_bad(const struct slot *a, const struct slot *b, struct err *err) {
    err_set(err, ERR_CORRUPT, "both checkpoints are unusable: %s; %s", a->why.msg, b->why.msg);
    return err_hint(err, "nothing was changed; restore the folder from a copy");
}

static int load_image(struct recovery *r, const struct buf *image, struct err *err) {
    struct cur c = cur_of(image->p, image->n);
    struct edit e;
    int more;
    while ((more = edit_next(&c, &e, err)) > 0)
        if (catalogue_load(&r->loader, &e, err)) return err_wrap(err, "checkpoint");
    return more < 0 ? err_wrap(err, "checkpoint") : 0;
}

// Every partition has an active segment that is not sealed, and counts that fit.
static int check_partition(const struct partition *p, struct err *err) {
    if (p->seg_count && !partition_active(p)->sealed && p->log_start >= 0 && p->hw >= p->log_start && p->hw >= partition_active(p)->base) return 0;
    return err_set(err, ERR_CORRUPT, "checkpoint: the entry of %s-%" PRId32 " makes no sense", p->topic->name, p->index);
}

static int each_partition(struct recovery *r, int (*fn)(struct recovery *r, struct partition *p, struct err *err), struct err *err) {
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(&r->s->catalogue.topics, &at));) {
        struct topic *t = e->value;
        for (int32_t i = 0; i < t->count; i++)
            if (fn(r, topic_partition(t, i), err)) return -1;
    }
    return 0;
}

static int check_loaded(struct recovery *r, struct partition *p, struct err *err) { return check_partition(p, err); }

static int load_slot(struct recovery *r, struct err *err) {
    struct store *s = r->s;
    struct slot slots[CHECKPOINT_SLOTS];
    for (unsigned i = 0; i < CHECKPOINT_SLOTS; i++) read_slot(s, i, &slots[i]);
    struct slot *best = &slots[0], *other = &slots[1];
    if (!best->good || (other->good && other->at.generation > best->at.generation)) best = &slots[1], other = &slots[0];
    int failed = best->good ? load_image(r, &best->image, err) || each_partition(r, check_loaded, err) : both_bad(&slots[0], &slots[1], err);
    r->at = best->at;
    s->slot_good = best == &slots[1];
    for (unsigned i = 0; i < CHECKPOINT_SLOTS && !failed; i++) {
        if (!slots[i].good) store_event(s, STORE_EVENT_WARN, "one checkpoint is unusable, the other one is used: %s", slots[i].why.msg);
    }
    for (unsigned i = 0; i < CHECKPOINT_SLOTS; i++) buf_done(&slots[i].image);
    return failed ? -1 : 0;
}

// ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static struct work *work_of(struct recovery *r, struct partition *p) {
    struct str key = str_make(&p->id, sizeof(p->id));
    struct work *w = map_get(&r->works, key);
    if (w) return w;
    w = xcalloc(1, sizeof(*w));
    w->p = p;
    map_put(&r->works, key, w);
    return w;
}

static void add_replay(struct recovery *r, struct partition *p, const struct replay *x) {
    struct work *w = work_of(r, p);
    if (!r->count) VEC_PUSH(r->replays, r->count, r->cap, ((struct replay){0}));
    VEC_PUSH(r->replays, r->count, r->cap, *x);
    if (w->last) r->replays[w->last].next = r->count - 1;
    else w->first = r->count - 1;
    w->last = r->count - 1;
}

// A frame continues what is framed before it; one that does not was not written by this code.
static bool range_continues(const struct partition *p, const struct edit *e) {
    const struct segment *g = partition_active(p);
    return g->base == e->base && g->generation == e->generation && g->size == e->position && p->hw == e->first && g->crc == e->crc_before &&
           e->end > e->first && e->size > 0 && e->size <= INT64_MAX - g->size;
}

static int note_range(struct recovery *r, const struct edit *e, int64_t time_ms, uint64_t *data_at, struct err *err) {
    struct partition *p = loader_partition(&r->loader, e->partition);
    uint64_t at = *data_at;
    if (e->flag) *data_at += e->size;
    if (!p && e->partition < r->s->catalogue.next_partition) return 0; // deleted since
    if (!p || !range_continues(p, e))
        return err_set(err, ERR_CORRUPT, "journal: range at %" PRIu64 " of partition %u does not continue what is before it", e->position, e->partition);
    struct segment *g = partition_active(p);
    if (!g->size) g->time = time_ms;
    g->size += e->size;
    g->crc = e->crc;
    g->max_ts = e->max_ts;
    p->hw = e->end;
    p->bytes += e->size;
    add_replay(r, p, &(struct replay){.base = e->base, .first = e->first, .end = e->end, .position = e->position, .size = e->size, .data_at = at,
                                      .generation = e->generation, .crc_before = e->crc_before, .crc = e->crc, .is_inline = e->flag});
    return 0;
}

static int load_frame(struct recovery *r, const struct journal_frame *f, struct err *err) {
    struct cur c = f->records;
    uint64_t data_at = f->data_at;
    struct edit e;
    int more;
    while ((more = edit_next(&c, &e, err)) > 0) {
        int failed = e.kind == EDIT_RANGE ? note_range(r, &e, f->frame.time_ms, &data_at, err) : catalogue_load(&r->loader, &e, err);
        if (failed) break;
    }
    return more ? err_wrap(err, "journal: frame %" PRIu64, f->frame.seq) : 0;
}

static void tell(struct recovery *r, const char *what, uint64_t done, uint64_t total) {
    int64_t now = clock_mono_ms(r->s->clock);
    if (!r->s->o.progress || now - r->told_ms < 100) return;
    r->told_ms = now;
    r->s->o.progress(r->s->o.arg, &(struct store_progress){what, done, total});
}

static int load_frames(struct recovery *r, struct err *err) {
    struct journal *j = r->s->journal;
    struct buf bytes = {0};
    struct journal_frame f;
    int more;
    j->head = r->at.position;
    j->seq = r->at.seq;
    while ((more = journal_read(j, j->head, j->seq, &bytes, &f, err)) > 0) {
        if (load_frame(r, &f, err)) {
            more = -1;
            break;
        }
        r->report->frames++;
        r->report->frame_bytes += frame_bytes(&f.frame);
        r->last_frame = f.position;
        j->head = f.next;
        j->seq++;
        tell(r, "journal", j->head - r->at.position, j->area);
    }
    buf_done(&bytes);
    return more < 0 ? -1 : 0;
}

// ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────────

static int open_journal(struct store *s, struct err *err) {
    if (!journal_open(s->fs, &s->journal, err)) return 0;
    if (err->code == ERR_NOT_FOUND) err_set(err, ERR_CORRUPT, "the journal is missing beside existing data");
    return err_hint(err, "without its journal the end of the log is not known, and nothing was changed; restore the folder from a copy");
}

static int recover_one(struct recovery *r, struct partition *p, struct err *err) {
    r->report->partitions_checked++;
    tell(r, "segments", r->report->partitions_checked, r->report->partitions);
    return recover_partition(r, p, err);
}

static int look_again(struct recovery *r, struct partition *p, struct err *err) {
    verify_damaged(r->s, p);
    return 0;
}

static int count_one(struct recovery *r, struct partition *p, struct err *err) {
    r->report->partitions++;
    if (p->failed) r->report->partitions_failed++;
    p->lso = partition_stable(p, p->hw);
    return 0;
}

// What an unclean stop needs. The checkpoint at the end makes the result durable and the frames before it unnecessary.
static int mend(struct recovery *r, struct err *err) {
    struct store *s = r->s;
    if (journal_check_end(s->journal, s->journal->seq, err)) {
        return err_hint(err, "the journal is damaged, and nothing was changed; restore the folder from a copy");
    }
    // Of what an earlier process wrote last the page cache may have more than the disk, and it can not be told from here.
    if (!s->made && !MUTANT("recovery-trusts-checkpoint") && checkpoint_settle(s->fs, s->slot_good, err)) return -1;
    if (!s->made && r->at.generation == 1 && meta_settle(s, err)) return -1;
    // The frames before the last one are synced: it was written after them. What it says was only read, and now files go by it.
    if (r->report->frames && journal_settle(s->journal, r->last_frame, s->journal->head, err)) return -1;
    TEST_POINT("recovery-settled");
    if (each_partition(r, recover_one, err) || recover_folders(r, err)) return -1;
    TEST_POINT("recovery-mended");
    if (checkpointer_run(s, err)) return -1;
    TEST_POINT("recovery-checkpointed");
    return 0;
}

static int recover_all(struct recovery *r, struct err *err) {
    struct store *s = r->s;
    bool clean;
    if (open_journal(s, err) || load_slot(r, err) || clean_take(s, &r->at, &clean, err)) return -1;
    s->checkpoint_generation = r->at.generation;
    s->checkpoint_seq = r->at.seq;
    if (load_frames(r, err)) return -1;
    s->captured_at = r->at.position;
    atomic_store(&s->journal->tail, r->at.position);
    r->report->was_clean = clean && !r->report->frames;
    if (each_partition(r, look_again, err) || each_partition(r, count_one, err)) return -1;
    bool left_over = s->catalogue.graves != NULL; // folders of deleted topics that could not be removed
    if ((!r->report->was_clean || left_over) && mend(r, err)) return -1;
    r->report->partitions_failed = r->report->partitions = 0;
    return each_partition(r, count_one, err);
}

int recover(struct store *s, struct err *err) {
    struct recovery r = {.s = s, .loader = {.s = s}, .report = &s->report};
    int failed = recover_all(&r, err);
    loader_done(&r.loader);
    map_done(&r.works, free);
    free(r.replays);
    return failed;
}
