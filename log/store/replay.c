// SPDX-License-Identifier: Apache-2.0
// One partition is made to end where the journal says.
//
//   file:     ▓▓▓▓▓▓▓▓▓▓▓▓▓▓│░░░░░░░░░░░░░░░░│xxxxxxxx
//             checkpoint     ranges of frames  above the durable end: quarantine, cut
//             must be there  written back (inline) or checked (pointed)
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "group.h"
#include "recovery.h"
#include "verify.h"

struct mend {
    struct recovery *r;
    struct store *s;
    struct partition *p;
    const struct work *w;          // NULL: no frame after the checkpoint
    struct producer_end *aborts;   // of the ranges replayed, in order
    size_t abort_count, abort_cap;
    struct buf bytes;
    bool cut;
    int64_t *bad;                  // bases of segments that are not what they should be: nothing of them is cut
    size_t bad_count, bad_cap;
};

// `base`: of the segment it is stopped for, or -1.
static void stop_partition(struct mend *m, int64_t base, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void stop_partition(struct mend *m, int64_t base, const char *fmt, ...) {
    struct buf text = {0};
    va_list ap;
    va_start(ap, fmt);
    buf_vprintf(&text, fmt, ap);
    va_end(ap);
    partition_stop(m->s, m->p, base, buf_cstr(&text));
    buf_done(&text);
}

static bool is_bad(const struct mend *m, const struct segment *g) {
    for (size_t i = 0; i < m->bad_count; i++)
        if (m->bad[i] == g->base) return true;
    return false;
}

static void note_bad(struct mend *m, const struct segment *g, const char *why) {
    char path[SEGMENT_PATH];
    segment_path(m->p, g->base, ".log", path);
    if (!is_bad(m, g)) VEC_PUSH(m->bad, m->bad_count, m->bad_cap, g->base);
    stop_partition(m, g->base, "%s: %s", path, why);
}

static bool is_damage(const struct err *why) {
    return why->code == ERR_CORRUPT || why->code == ERR_NOT_FOUND || why->sys == EISDIR || why->sys == ENOTDIR || why->sys == EUCLEAN;
}

// Something is wrong with a file of the segment: 0 the partition stops for that, or -1 the start fails. A disk that does not answer, or no free
// descriptor, says nothing of the bytes: nothing is given up for it, and the next start may find them well.
static int trouble(struct mend *m, const struct segment *g, const struct err *why, struct err *err) {
    if (!is_damage(why)) return *err = *why, -1;
    note_bad(m, g, why->msg);
    return 0;
}

static struct segment *find_segment(const struct partition *p, int64_t base, uint32_t generation) {
    struct segment *g = p->segs[partition_find_segment(p, base)];
    return g->base == base && g->generation == generation ? g : NULL;
}

// ── what must be there ───────────────────────────────────────────────────────────────────────────────────────────────

// Where the journal's bytes of a segment begin: up to there they must be in the file.
static uint64_t known_size(const struct mend *m, const struct segment *g) {
    for (size_t i = m->w ? m->w->first : 0; i; i = m->r->replays[i].next) {
        const struct replay *x = &m->r->replays[i];
        if (x->base == g->base && x->generation == g->generation) return x->position;
    }
    return g->size;
}

// What the journal holds is put into a new one.
static int check_folder(struct mend *m, struct err *err) {
    char folder[SEGMENT_PATH];
    struct fs_stat st;
    struct err why;
    partition_folder(m->p, folder);
    if (!m->s->fs->ops->stat(m->s->fs, folder, &st, &why)) return 0;
    if (why.code != ERR_NOT_FOUND) return *err = why, -1;
    stop_partition(m, m->p->segs[0]->base, "its folder is missing");
    return folder_make(m->s, m->p, err) || m->s->fs->ops->sync_dir(m->s->fs, ".", err) ? -1 : 0;
}

static int check_files(struct mend *m, struct err *err) {
    for (size_t i = 0; i < m->p->seg_count; i++) {
        const struct segment *g = m->p->segs[i];
        char path[SEGMENT_PATH];
        struct fs_stat st = {0};
        struct err why = {0};
        uint64_t known = known_size(m, g);
        segment_path(m->p, g->base, ".log", path);
        bool unknown = m->s->fs->ops->stat(m->s->fs, path, &st, &why) && why.code != ERR_NOT_FOUND;
        if (st.size >= known && !unknown) continue;
        if (!unknown) err_set(&why, ERR_CORRUPT, "it is %" PRIu64 " bytes long, %" PRIu64 " are durable", st.size, known);
        if (trouble(m, g, &why, err)) return -1;
    }
    return 0;
}

// ── ranges ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static void note_end(struct mend *m, const struct producer_end *end) {
    if (end->aborted && !MUTANT("abort-marker-forgotten")) VEC_PUSH(m->aborts, m->abort_count, m->abort_cap, *end);
}

static bool take_batch(struct mend *m, const uint8_t *p, const struct batch_header *h, int64_t next) {
    struct batch_marker marker;
    struct producer_end end;
    if (h->base_offset != next || h->last_offset_delta < 0) return false;
    if (h->leader_epoch > m->p->epoch) partition_set_epoch(m->p, h->leader_epoch, next); // risen after the checkpoint
    if (h->producer_id < 0) return true;
    bool is_marker = h->attributes & BATCH_CONTROL && !batch_marker_read(p, batch_size(h), &marker);
    if (!m->p->producers) m->p->producers = producers_new();
    if (producers_apply(m->p->producers, h, is_marker ? &marker : NULL, clock_wall_ms(m->s->clock), &end)) note_end(m, &end);
    producers_framed(m->p->producers);
    return true;
}

// The batches of one range lead from its first offset to its end.
static bool take_batches(struct mend *m, const struct replay *x) {
    struct batch_header h;
    int64_t next = x->first;
    for (size_t at = 0; at < m->bytes.n; at += batch_size(&h)) {
        if (batch_read_header(m->bytes.p + at, m->bytes.n - at, &h) != 0 || !take_batch(m, m->bytes.p + at, &h, next)) return false;
        next = batch_last_offset(&h) + 1;
    }
    return next == x->end;
}

static int read_range(struct mend *m, struct fs_file *f, uint64_t at, const struct replay *x, struct err *err) {
    buf_clear(&m->bytes);
    if (!buf_reserve(&m->bytes, (size_t)x->size)) return err_set(err, buf_fault(&m->bytes), "no memory for %" PRIu64 " bytes", x->size);
    if (fs_pread_full(m->s->fs, f, m->bytes.p, (size_t)x->size, at, err)) return -1;
    m->bytes.n = (size_t)x->size;
    if (crc32c(x->crc_before, m->bytes.p, m->bytes.n) == x->crc) return 0;
    return err_set(err, ERR_CORRUPT, "checksum of bytes %" PRIu64 " to %" PRIu64 " does not match", x->position, x->position + x->size);
}

// For writing, also what is sealed by now; a segment of which the journal holds every byte may have to be made.
static int open_to_mend(struct mend *m, struct segment *g, struct open_file **ret, struct err *err) {
    char path[SEGMENT_PATH];
    segment_path(m->p, g->base, ".log", path);
    LOCK_SCOPE(&m->p->lock);
    if (g->sealed) files_close(&m->s->files, &g->file); // a reader has opened it for reading
    return files_get(&m->s->files, &g->file, path, FS_WRITE | FS_CREATE, ret, err);
}

// The whole batches of a damaged range: their producers sent them, whatever became of the others.
static void take_some(struct mend *m, const struct replay *x) {
    struct batch_header h;
    int64_t next = x->first;
    for (size_t at = 0; at < m->bytes.n && batch_read_header(m->bytes.p + at, m->bytes.n - at, &h) == 0; at += batch_size(&h)) {
        bool whole =
            !batch_check(m->bytes.p + at, batch_size(&h), false, &h, NULL) && h.base_offset >= next && batch_last_offset(&h) < x->end;
        if (whole && take_batch(m, m->bytes.p + at, &h, h.base_offset)) next = batch_last_offset(&h) + 1;
    }
}

// A place that can not be read, time and again, while the journal can, is damage. CORRUPT then.
static int read_pointed(struct mend *m, struct fs_file *f, const struct replay *x, struct err *err) {
    uint8_t byte;
    int failed = read_range(m, f, x->position, x, err);
    if (failed && err->sys == EIO) failed = read_range(m, f, x->position, x, err);
    if (failed && err->sys == EIO && !fs_pread_full(m->s->fs, m->s->journal->file, &byte, 1, 0, NULL)) err->code = ERR_CORRUPT;
    return failed;
}

// The journal's bytes go where they belong, or, when the file can not be opened, into quarantine. 1: the journal does not have them whole.
static int restore_range(struct mend *m, const struct replay *x, struct fs_file *f, struct err *err) {
    struct err why;
    if (read_range(m, m->s->journal->file, x->data_at, x, &why)) return is_damage(&why) ? 1 : (*err = why, -1);
    if (!f) return quarantine_bytes(m->s, m->p, x->base, x->position, m->bytes.p, m->bytes.n), 0;
    m->r->report->restored_bytes += m->bytes.n;
    return fs_pwrite(m->s->fs, f, m->bytes.p, m->bytes.n, x->position, err);
}

static void close_mended(struct mend *m, struct segment *g) { // opened for writing only now
    LOCK_SCOPE(&m->p->lock);
    files_close(&m->s->files, &g->file);
}

// The range's bytes into m->bytes: 0 they are whole, 1 not; -1 the start fails.
static int get_range(struct mend *m, const struct replay *x, struct segment *g, struct fs_file *f, struct err *err) {
    struct err why;
    int failed = x->is_inline ? restore_range(m, x, f, err) : 1;
    if (failed <= 0 || !f) return failed;
    if (!read_pointed(m, f, x, &why)) return 0;
    return trouble(m, g, &why, err) ? -1 : 1;
}

// Where a segment is damaged its partition stops, and all else is done: what the journal holds goes where it belongs, also behind a hole.
static int replay_range(struct mend *m, const struct replay *x, struct segment *g, struct err *err) {
    struct open_file *f = NULL;
    struct err why;
    if (open_to_mend(m, g, &f, &why)) {
        if (trouble(m, g, &why, err)) return -1;
        f = NULL;
    }
    int failed = get_range(m, x, g, f ? f->f : NULL, err);
    if (f) files_put(&m->s->files, f);
    if (failed < 0) return -1;
    if (failed) take_some(m, x);
    else if (!take_batches(m, x))
        stop_partition(m, -1, "%020" PRId64 ".log: batches at byte %" PRIu64 " do not continue the log", g->base, x->position);
    return 0;
}

// The segment was dropped or rewritten since: only what its batches say of producers is still of use.
static int replay_producers(struct mend *m, const struct replay *x, struct err *err) {
    struct err why = {0};
    bool whole = x->is_inline && !read_range(m, m->s->journal->file, x->data_at, x, &why);
    if (why.code && err_retriable(&why)) return *err = why, -1;
    if (whole && !take_batches(m, x)) stop_partition(m, -1, "journal: batches from offset %" PRId64 " do not continue the log", x->first);
    return 0;
}

static int replay_all(struct mend *m, struct err *err) {
    for (size_t i = m->w ? m->w->first : 0; i; i = m->r->replays[i].next) {
        const struct replay *x = &m->r->replays[i];
        struct segment *g = find_segment(m->p, x->base, x->generation);
        if (g ? replay_range(m, x, g, err) : replay_producers(m, x, err)) return -1;
        TEST_POINT("recovery-replayed");
    }
    return 0;
}

// ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static bool was_replayed(const struct mend *m, const struct segment *g) { return known_size(m, g) < g->size; }

static int cut_segment(struct mend *m, struct segment *g, struct fs_file *f, uint64_t size, struct err *err) {
    quarantine_file(m->s, m->p, g->base, f, g->size, size);
    TEST_POINT("recovery-quarantined");
    if (m->s->fs->ops->truncate(f, MUTANT("cut-below-durable-end") ? known_size(m, g) : g->size, err)) return -1;
    m->r->report->cut_bytes += size - g->size;
    m->cut = true;
    store_event(m->s, STORE_EVENT_INFO, "%s-%" PRId32 ": %" PRIu64 " bytes above the durable end were cut", m->p->topic->name, m->p->index, size - g->size);
    return 0;
}

// Nothing above the durable end, everything below it synced: by the checkpoint that follows, where several threads do so for all. Of a
// partition that stops nothing is cut: the file may belong elsewhere.
static int settle_segment(struct mend *m, struct segment *g, struct err *err) {
    struct open_file *f;
    struct fs_stat st;
    char path[SEGMENT_PATH];
    segment_path(m->p, g->base, ".log", path);
    bool bad = is_bad(m, g);
    if (!was_replayed(m, g) && (bad || (!m->s->fs->ops->stat(m->s->fs, path, &st, NULL) && st.size == g->size))) return 0;
    if (open_to_mend(m, g, &f, err)) return bad ? 0 : -1;
    int failed = m->s->fs->ops->fstat(f->f, &st, err);
    if (!failed && st.size > g->size && !m->p->failed) failed = cut_segment(m, g, f->f, st.size, err);
    if (!failed && !MUTANT("recovery-trusts-page-cache")) failed = dirty_add(m->s, m->p, g, err);
    files_put(&m->s->files, f);
    if (g->sealed) close_mended(m, g);
    return failed;
}

// What must be in the segment's transaction index: the entries that the checkpoint counted, of which nothing but a file system's old
// blocks can tell others, and those of the ranges.
static void put_aborts(const struct mend *m, const struct segment *g, const struct buf *ends, size_t kept, struct buf *now) {
    const struct segment *next = g == partition_active(m->p) ? NULL : m->p->segs[partition_find_segment(m->p, g->base) + 1];
    buf_put(now, ends->p, kept * sizeof(struct producer_end));
    for (size_t i = 0; i < m->abort_count; i++)
        if (m->aborts[i].last_offset >= g->base && (!next || m->aborts[i].last_offset < next->base)) buf_put(now, &m->aborts[i], sizeof(m->aborts[i]));
}

static int settle_aborts(struct mend *m, struct segment *g, struct err *err) {
    struct buf ends = {0}, now = {0};
    char stem[SEGMENT_PATH];
    struct err why = {0};
    segment_path(m->p, g->base, "", stem);
    bool whole = !txnindex_read(m->s->fs, stem, &ends, &why);
    size_t n = ends.n / sizeof(struct producer_end), kept = g->aborts == ABORTS_UNKNOWN ? n : g->aborts;
    int failed = 0;
    if (!whole && why.code != ERR_CORRUPT) {
        failed = is_damage(&why) ? (stop_partition(m, -1, "%s", why.msg), 0) : (*err = why, -1);
    } else if (kept > n) {
        stop_partition(m, -1, "%s.txnindex has %zu whole entries, %zu are durable", stem, n, kept);
    } else {
        put_aborts(m, g, &ends, kept, &now);
        g->aborts = (uint32_t)(now.n / sizeof(struct producer_end));
        if (!whole) m->r->report->indexes_rebuilt++; // what was written last may be torn
        // Anew even when it reads as it should: after a failed sync the page cache shows what the disk does not have.
        if (now.bad) failed = err_set(err, buf_fault(&now), "%s.txnindex: no memory for %u entries", stem, g->aborts);
        else if (ends.n || now.n || !whole) failed = txnindex_replace(m->s->fs, stem, (void *)now.p, g->aborts, err);
    }
    buf_done(&ends);
    buf_done(&now);
    return failed;
}

// Indexes are caches: a failure here costs time later, nothing else. The active one's is loaded again by the next append.
static void settle_index(struct mend *m, struct segment *g) {
    struct err why;
    uint32_t made = m->s->indexes_made;
    int failed = segment_active_index(m->s, m->p, g, &why);
    m->r->report->indexes_rebuilt += m->s->indexes_made - made;
    if (g == partition_active(m->p)) return;
    if (!failed) failed = index_seal(g->index, &why);
    if (failed) segment_renew_index(m->s, m->p, g, &why);
    segment_forget_index(m->p, g);
}

static int settle_folder(struct mend *m, struct err *err) {
    char folder[SEGMENT_PATH];
    struct dirty *last = m->s->dirty_count ? &m->s->dirty[m->s->dirty_count - 1] : NULL;
    if (last && last->p == m->p) return last->folder = true, 0;
    partition_folder(m->p, folder);
    return m->s->fs->ops->sync_dir(m->s->fs, folder, err);
}

static int settle(struct mend *m, struct err *err) {
    for (size_t i = 0; i < m->p->seg_count; i++) {
        struct segment *g = m->p->segs[i];
        bool cut = m->cut;
        m->cut = false;
        if (settle_segment(m, g, err)) return -1;
        bool touched = m->cut || was_replayed(m, g);
        m->cut |= cut;
        if (!touched) continue;
        if (settle_aborts(m, g, err)) return -1;
        if (!is_bad(m, g)) settle_index(m, g);
    }
    return m->w || m->cut ? settle_folder(m, err) : 0;
}

static int mend_partition(struct mend *m, struct err *err) {
    if (check_folder(m, err) || (m->w && m->w->swapped && recover_swaps(m->s, m->p, err)) || check_files(m, err) || replay_all(m, err)) return -1;
    if (settle(m, err)) return err_wrap(err, "%s-%" PRId32, m->p->topic->name, m->p->index);
    if (!m->cut) return 0;
    if (!MUTANT("epoch-used-again")) partition_set_epoch(m->p, m->p->epoch + 1, m->p->hw); // readers can tell that bytes went
    return folder_write_epochs(m->s, m->p, err);
}

int recover_partition(struct recovery *r, struct partition *p, struct err *err) {
    struct mend m = {.r = r, .s = r->s, .p = p, .w = map_get(&r->works, str_make(&p->id, sizeof(p->id)))};
    if (p->failed) return 0; // since before the checkpoint: nothing was appended after it, and its bytes are kept as they are
    int failed = mend_partition(&m, err);
    free(m.aborts);
    free(m.bad);
    buf_done(&m.bytes);
    return failed;
}
