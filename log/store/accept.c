// SPDX-License-Identifier: Apache-2.0
// A damaged partition serves again with what is left of it.
//
//   found ─► damaged bytes into quarantine ─► segments written anew without them (synced) ─► checkpoint ─► frame {roll, swap …, accept}
//     ─► renamed over the old names ─► lists edited, it serves ─► who still had to read what is lost is told
//
// A crash before the frame leaves a stopped partition and files that nobody looks at; after it, files that recovery renames (folders.c). A
// damaged active segment ends with the same frame, so that the next offset stays what it is. Of an aborted transaction whose end marker is
// lost the marker is written again: the transaction index knows it, and readers need it to tell the producer's next transaction apart.
#include <inttypes.h>
#include <stdio.h>

#include "catalogue.h"
#include "checkpointer.h"
#include "flusher.h"
#include "inspect.h"
#include "recovery.h"
#include "rewrite.h"

enum { WRITE_BYTES = 1 << 20, GAPS_TOLD = 8 };

struct renewed {                 // a segment that is written anew
    size_t at;                   // in the inspection
    char stem[SEGMENT_PATH];     // of the new files
    struct segment *next;
    struct edit edit;
};
struct acceptance {
    struct inspection x;
    struct store *s;
    struct partition *p;
    struct renewed *renewed;
    size_t n, cap;
    struct segment *active;      // that follows a damaged active one, or NULL
    struct edit roll;
    char **kept;                 // files in quarantine
    size_t kept_n, kept_cap;
};

// ── quarantine ───────────────────────────────────────────────────────────────────────────────────────────────────────

static int keep_range(struct acceptance *a, const struct inspected *g, struct fs_file *f, uint64_t from, uint64_t to, struct err *err) {
    struct buf path = {0};
    if (to > g->found.file_size) to = g->found.file_size;
    if (from >= to) return 0;
    int failed = quarantine_keep(a->s, a->p, g->facts.base, f, from, to, &path, err);
    if (!failed) VEC_PUSH(a->kept, a->kept_n, a->kept_cap, xstrdup(buf_cstr(&path)));
    buf_done(&path);
    return failed;
}

// Its damaged bytes, and what lies above its durable end.
static int keep_segment(struct acceptance *a, const struct inspected *g, struct err *err) {
    struct fs_file *f;
    if (g->found.missing) return 0;
    if (a->s->fs->ops->open(a->s->fs, g->facts.path, FS_READ, &f, err)) return -1;
    int failed = 0;
    for (size_t i = 0; i < g->found.n && !failed; i++) {
        const struct bad_area *b = &g->found.areas[i];
        failed = keep_range(a, g, f, b->position, b->position + b->size, err);
    }
    if (!failed && g->found.mended.mask) failed = keep_range(a, g, f, g->found.mended.position, g->found.mended.position + 1, err);
    if (!failed) failed = keep_range(a, g, f, g->facts.size, UINT64_MAX, err);
    a->s->fs->ops->close(f, NULL);
    return failed;
}

// ── writing a segment anew ───────────────────────────────────────────────────────────────────────────────────────────

struct writer {
    const struct acceptance *a;
    const struct inspected *g;
    struct fs_file *log;
    struct buf out;
    uint64_t flushed;
    uint32_t crc;
    int64_t max_ts;
    size_t end_at;               // of the segment's ends: those before it are written, or were not lost
};

static int flush(struct writer *w, struct err *err) {
    struct fs *fs = w->a->s->fs;
    if (fs_pwrite(fs, w->log, w->out.p, w->out.n, w->flushed, err)) return -1;
    w->crc = crc32c(w->crc, w->out.p, w->out.n);
    w->flushed += w->out.n;
    buf_clear(&w->out);
    return 0;
}

static int put(struct writer *w, const void *p, const struct batch_header *h, struct err *err) {
    buf_put(&w->out, p, batch_size(h));
    if (w->out.bad) return err_set(err, ERR_TOO_LARGE, "no room for a batch of %zu bytes", batch_size(h));
    if (h->count && h->max_timestamp > w->max_ts) w->max_ts = h->max_timestamp;
    return w->out.n >= WRITE_BYTES ? flush(w, err) : 0;
}

static bool is_lost(const struct examined *found, int64_t offset) {
    for (size_t i = 0; i < found->n; i++)
        if (offset >= found->areas[i].first && offset < found->areas[i].end) return true;
    return false;
}

static int32_t epoch_at(const struct inspection *x, int64_t offset) {
    int32_t epoch = 0;
    for (uint32_t i = 0; i < x->epoch_count && x->epochs[i].first <= offset; i++) epoch = x->epochs[i].epoch;
    return epoch;
}

static int put_marker(struct writer *w, const struct producer_end *e, struct err *err) {
    const struct inspection *x = &w->a->x;
    const struct producer_state *s = x->producers ? producers_get(x->producers, e->producer_id) : NULL;
    struct batch_header h;
    struct buf b = {0};
    batch_control(&b, e->producer_id, s ? s->epoch : 0, false, s && s->coordinator_epoch >= 0 ? s->coordinator_epoch : 0,
                  w->g->facts.max_ts);
    batch_patch(b.p, e->last_offset, epoch_at(x, e->last_offset));
    int failed = batch_check(b.p, b.n, false, &h, err) || put(w, b.p, &h, err);
    buf_done(&b);
    return failed ? -1 : 0;
}

// The lost markers of aborted transactions before `offset`.
static int put_markers(struct writer *w, int64_t offset, struct err *err) {
    const struct producer_end *ends = (const void *)w->g->ends.p;
    for (; w->end_at < w->g->ends.n / sizeof(*ends) && ends[w->end_at].last_offset < offset; w->end_at++)
        if (is_lost(&w->g->found, ends[w->end_at].last_offset) && put_marker(w, &ends[w->end_at], err)) return -1;
    return 0;
}

static int take_batch(void *arg, const uint8_t *p, const struct batch_header *h, struct err *err) {
    struct writer *w = arg;
    return put_markers(w, h->base_offset, err) || put(w, p, h, err) ? -1 : 0;
}

static int write_log(struct writer *w, struct err *err) {
    struct fs *fs = w->a->s->fs;
    if (examine_each(&w->g->facts, &w->g->found, take_batch, w, err) || put_markers(w, w->g->facts.end, err) || flush(w, err)) return -1;
    return MUTANT("accept-without-sync") ? 0 : fs->ops->fdatasync(w->log, err);
}

static int write_index(const struct writer *w, const char *stem, struct err *err) {
    struct index_options o = {.fs = w->a->s->fs,
                              .stem = stem,
                              .base_offset = w->g->facts.base,
                              .interval = (uint32_t)topic_settings(w->a->p->topic)->index_interval_bytes};
    struct index *x;
    if (index_create(&o, &x, err)) return -1;
    int failed = index_extend(x, w->log, w->flushed, err) || index_seal(x, err);
    index_free(x);
    return failed ? -1 : 0;
}

static int write_files(struct writer *w, const char *stem, struct err *err) {
    struct fs *fs = w->a->s->fs;
    _cleanup_free_ char *path = xasprintf("%s.log", stem);
    if (rewrite_unlink(fs, stem, err) || fs->ops->open(fs, path, FS_WRITE | FS_CREATE | FS_EXCL, &w->log, err)) return -1;
    int failed = write_log(w, err) || write_index(w, stem, err) ||
                 txnindex_replace(fs, stem, (const void *)w->g->ends.p, w->g->ends.n / sizeof(struct producer_end), err) ||
                 segment_cleaned_txnindex(w->a->s, stem, err);
    if (fs->ops->close(w->log, failed ? NULL : err)) failed = 1;
    buf_done(&w->out);
    return failed ? -1 : 0;
}

static int renew(struct acceptance *a, size_t at, struct err *err) {
    const struct inspected *g = &a->x.segs[at];
    struct writer w = {.a = a, .g = g, .max_ts = -1};
    struct renewed r = {.at = at};
    uint32_t generation = g->seg->generation + 1;
    segment_cleaned_stem(a->p, g->facts.base, generation, r.stem);
    VEC_PUSH(a->renewed, a->n, a->cap, r);
    if (keep_segment(a, g, err) || write_files(&w, r.stem, err)) return -1;
    struct segment *next = a->renewed[a->n - 1].next = segment_new(g->facts.base, generation);
    next->size = w.flushed;
    next->crc = w.crc;
    next->max_ts = w.max_ts;
    next->time = g->seg->sealed ? g->seg->time : clock_wall_ms(a->s->clock);
    next->sealed = true;
    next->aborts = ABORTS_UNKNOWN;
    a->renewed[a->n - 1].edit = (struct edit){.kind = EDIT_SWAP,
                                              .partition = a->p->id,
                                              .base = g->facts.base,
                                              .count = 1,
                                              .end = g->facts.base,
                                              .generation = generation,
                                              .size = w.flushed,
                                              .crc = w.crc,
                                              .max_ts = w.max_ts};
    return 0;
}

// ── which ones ───────────────────────────────────────────────────────────────────────────────────────────────────────

// The active segment must also end where it is durable, and its transaction index be the one that is counted.
static bool must_renew(const struct inspected *g) {
    return g->found.n || g->found.mended.mask ||
           (!g->seg->sealed && g->facts.size && (g->txn_fault[0] || g->found.file_size != g->facts.size));
}

static int end_active(struct acceptance *a, struct err *err) {
    const struct inspected *g = &a->x.segs[a->x.n - 1];
    a->active = segment_new(a->x.end, 0);
    a->roll = (struct edit){.kind = EDIT_ROLL,
                            .partition = a->p->id,
                            .base = a->x.end,
                            .size = g->facts.size,
                            .crc = g->facts.crc,
                            .time = clock_wall_ms(a->s->clock)};
    return segment_create_files(a->s, a->p, a->active, err);
}

// What is not in the log file is made as it should be, at once: it may be made twice.
static int mend_beside(struct acceptance *a, struct inspected *g, struct err *err) {
    char stem[SEGMENT_PATH];
    segment_path(a->p, g->facts.base, "", stem);
    if (!g->facts.size && g->found.missing) return segment_create_again(a->s, a->p, g->seg, err);
    return g->txn_fault[0] ? txnindex_replace(a->s->fs, stem, (const void *)g->ends.p, g->ends.n / sizeof(struct producer_end), err) : 0;
}

static int make_folder(struct acceptance *a, struct err *err) {
    char folder[SEGMENT_PATH];
    struct fs_stat st;
    struct err why;
    partition_folder(a->p, folder);
    if (!a->s->fs->ops->stat(a->s->fs, folder, &st, &why)) return 0;
    if (why.code != ERR_NOT_FOUND) return *err = why, -1;
    return folder_make(a->s, a->p, err) || a->s->fs->ops->sync_dir(a->s->fs, ".", err) ? -1 : 0;
}

static int write_all(struct acceptance *a, struct err *err) {
    char folder[SEGMENT_PATH];
    if (make_folder(a, err)) return -1;
    for (size_t i = 0; i < a->x.n; i++) {
        struct inspected *g = &a->x.segs[i];
        if (must_renew(g) ? renew(a, i, err) || (!g->seg->sealed && end_active(a, err)) : mend_beside(a, g, err)) return -1;
    }
    TEST_POINT("accept-written");
    partition_folder(a->p, folder);
    if (!MUTANT("accept-without-dir-sync") && a->s->fs->ops->sync_dir(a->s->fs, folder, err))
        return store_stop(a->s, err), -1; // final: other names went with it
    TEST_POINT("accept-synced");
    return 0;
}

// What was written is not wanted; a name that stays is in nobody's way.
static void take_back(struct acceptance *a) {
    if (atomic_load(&a->s->is_stopped)) return; // the frame may be there, and recovery needs them then
    for (size_t i = 0; i < a->n; i++) rewrite_unlink(a->s->fs, a->renewed[i].stem, NULL);
    if (a->active) segment_unlink_files(a->s, a->p, a->active->base, NULL);
    for (size_t i = 0; i < a->kept_n; i++) a->s->fs->ops->unlink(a->s->fs, a->kept[i], NULL);
}

// ── the frame ────────────────────────────────────────────────────────────────────────────────────────────────────────

static int check_unchanged(const struct acceptance *a, struct err *err) {
    const struct partition *p = a->p;
    bool same = !p->gone && p->failed && p->seg_count == a->x.n && p->hw == a->x.end;
    for (size_t i = 0; i < a->x.n && same; i++) same = p->segs[i] == a->x.segs[i].seg;
    return same ? 0 : err_set(err, ERR_AGAIN, "%s-%" PRId32 " changed meanwhile", p->topic->name, p->index);
}

static int frame(struct acceptance *a, const struct edit *accept, struct err *err) {
    struct edit *edits = xcalloc(a->n + 2, sizeof(*edits));
    size_t n = 0;
    if (a->active) edits[n++] = a->roll;
    for (size_t i = 0; i < a->n; i++) edits[n++] = a->renewed[i].edit;
    edits[n++] = *accept;
    int failed = flusher_frame(a->s, a->p, edits, n, err);
    free(edits);
    return failed;
}

// From the renaming on no reader may take what it finds by name for the old segment's.
static int rename_all(struct acceptance *a, struct err *err) {
    char folder[SEGMENT_PATH];
    LOCK_SCOPE(&a->p->lock);
    for (size_t i = 0; i < a->n; i++) {
        struct segment *old = a->x.segs[a->renewed[i].at].seg;
        atomic_store(&old->dropped, true);
        if (segment_rename_cleaned(a->s, a->p, old->base, a->renewed[i].stem, err)) return -1;
        TEST_POINT("accept-renaming");
    }
    partition_folder(a->p, folder);
    return a->s->fs->ops->sync_dir(a->s->fs, folder, err);
}

static void apply(struct acceptance *a, const struct edit *accept) {
    struct partition *p = a->p;
    if (a->active) catalogue_roll(p, a->active, &a->roll), a->active = NULL;
    for (size_t i = 0; i < a->n; i++) catalogue_swap(a->s, p, &a->renewed[i].edit, a->renewed[i].next), a->renewed[i].next = NULL;
    catalogue_accept(p, accept);
    LOCK_SCOPE(&p->lock);
    p->lso = partition_stable(p, p->hw);
}

// On the flusher's thread.
static int frame_accept(struct store *s, void *arg, struct err *err) {
    struct acceptance *a = arg;
    struct loss l = inspect_loss(&a->x);
    struct edit accept = {.kind = EDIT_ACCEPT, .partition = a->p->id, .count = (uint32_t)l.areas, .first = l.offsets, .size = l.bytes,
                          .time = clock_wall_ms(s->clock)};
    if (check_unchanged(a, err) || frame(a, &accept, err)) return -1;
    TEST_POINT("accept-framed");
    if (rename_all(a, err)) {
        store_stop(s, err); // the catalogue says what the folder does not
        return store_check_running(s, err);
    }
    TEST_POINT("accept-renamed");
    apply(a, &accept);
    return 0;
}

// ── telling ──────────────────────────────────────────────────────────────────────────────────────────────────────────

struct holder { char *name; int64_t lowest; };

static struct holder *holders_below(struct partition *p, int64_t end, size_t *ret_n) {
    struct holder *list = NULL;
    size_t n = 0, cap = 0;
    LOCK_SCOPE(&p->lock);
    for (const struct hold *h = p->holds; h; h = h->next)
        if (h->lowest < end) VEC_PUSH(list, n, cap, ((struct holder){xstrdup(h->holder), h->lowest}));
    *ret_n = n;
    return list;
}

static void tell_holders(struct acceptance *a, const struct bad_area *b) {
    pthread_mutex_lock(&a->s->state);
    struct lost_fn lost = a->s->lost;
    pthread_mutex_unlock(&a->s->state);
    size_t n;
    struct holder *list = holders_below(a->p, b->end, &n);
    for (size_t i = 0; i < n; i++) {
        int64_t first = list[i].lowest > b->first ? list[i].lowest : b->first;
        if (lost.fn && first < b->end) lost.fn(lost.arg, a->p, list[i].name, first, b->end - 1, true);
        free(list[i].name);
    }
    free(list);
}

static void tell(struct acceptance *a) {
    struct loss l = inspect_loss(&a->x);
    struct buf text = {0};
    size_t told = 0;
    for (size_t i = 0; i < a->x.n; i++)
        for (size_t k = 0; k < a->x.segs[i].found.n; k++) {
            const struct bad_area *b = &a->x.segs[i].found.areas[k];
            tell_holders(a, b);
            if (told++ < GAPS_TOLD) buf_printf(&text, "%s[%" PRId64 ", %" PRId64 ")", told > 1 ? ", " : "", b->first, b->end);
        }
    if (!told) store_event(a->s, STORE_EVENT_INFO, "%s-%" PRId32 " serves again: nothing is lost", a->p->topic->name, a->p->index);
    else
        store_event(a->s, STORE_EVENT_WARN,
                    "%s-%" PRId32 " serves again without offsets %s%s: %" PRId64 " offsets, %" PRIu64 " bytes, accepted as lost",
                    a->p->topic->name, a->p->index, buf_cstr(&text), told > GAPS_TOLD ? " …" : "", l.offsets, l.bytes);
    buf_done(&text);
}

static void put_gaps(const struct inspection *x, struct json_writer *w) {
    json_key(w, STR("gaps"));
    json_array(w);
    for (size_t i = 0; i < x->n; i++)
        for (size_t k = 0; k < x->segs[i].found.n; k++) {
            json_object(w);
            json_ki(w, "first", x->segs[i].found.areas[k].first);
            json_ki(w, "end", x->segs[i].found.areas[k].end);
            json_ki(w, "bytes", (int64_t)x->segs[i].found.areas[k].size);
            json_object_end(w);
        }
    json_array_end(w);
}

static void put_result(const struct acceptance *a, struct json_writer *w) {
    const struct inspection *x = &a->x;
    struct loss l = inspect_loss(x);
    uint64_t batches = 0, records = 0;
    for (size_t i = 0; i < x->n; i++) batches += x->segs[i].found.batches, records += x->segs[i].found.records;
    inspect_begin_json(x, w);
    inspect_put_loss(&l, w);
    put_gaps(x, w);
    json_key(w, STR("quarantined"));
    json_array(w);
    for (size_t i = 0; i < a->kept_n; i++) json_string(w, str_of(a->kept[i]));
    json_array_end(w);
    json_ki(w, "batches", (int64_t)batches);
    json_ki(w, "records", (int64_t)records);
    json_ki(w, "log_start", x->log_start);
    json_ki(w, "next_offset", x->end);
    json_object_end(w);
}

// ── all ──────────────────────────────────────────────────────────────────────────────────────────────────────────────

static int check_stopped(const struct acceptance *a, bool unreadable, struct err *err) {
    struct loss l = inspect_loss(&a->x);
    if (!a->x.health.code) {
        err_set(err, ERR_INVALID, "it is not stopped");
        return l.areas ? err_hint(err, "its damage is found when somebody reads there, or by the check of sealed segments") : -1;
    }
    if (!l.unreadable || unreadable) return 0;
    err_set(err, ERR_IO, "the disk does not give %" PRIu64 " bytes", l.unreadable);
    return err_hint(err, "it may give them another time; with --unreadable they are accepted as lost");
}

// Nobody deletes the topic or writes segments anew meanwhile; a partition that is stopped changes in no other way.
static int renew_all(struct acceptance *a, struct err *err) {
    LOCK_SCOPE(&a->s->admin);
    LOCK_SCOPE(&a->s->cleaner.round);
    pthread_mutex_lock(&a->p->lock);
    int failed = check_unchanged(a, err);
    pthread_mutex_unlock(&a->p->lock);
    if (failed) return -1;
    // Past what is replaced there must be a checkpoint: its frames name the old files.
    failed = write_all(a, err) || checkpointer_run(a->s, err) || store_call(a->s, frame_accept, a, true, err);
    if (failed) take_back(a);
    return failed ? -1 : 0;
}

static int accept_it(struct acceptance *a, bool unreadable, struct err *err) {
    if (inspect(a->p, &a->x, err) || check_stopped(a, unreadable, err) || renew_all(a, err)) return -1;
    tell(a);
    return 0;
}

int partition_accept(struct partition *p, bool unreadable, struct json_writer *w, struct err *err) {
    struct acceptance a = {.s = p->topic->store, .p = p};
    LOCK_SCOPE(&a.s->repair);
    int failed = store_check_running(a.s, err) || accept_it(&a, unreadable, err);
    if (!failed) put_result(&a, w);
    for (size_t i = 0; i < a.n; i++) segment_unref(&a.s->files, a.renewed[i].next);
    if (a.active) segment_unref(&a.s->files, a.active);
    for (size_t i = 0; i < a.kept_n; i++) free(a.kept[i]);
    free(a.renewed);
    free(a.kept);
    inspect_done(&a.x);
    return failed ? err_wrap(err, "accept the loss in %s-%" PRId32, p->topic->name, p->index) : 0;
}
