// SPDX-License-Identifier: Apache-2.0
// The walk over a segment file: islands of whole batches, which of them are the log, and what that makes of the rest.
#include "examine.h"

#include <inttypes.h>
#include <stdio.h>

#include "island.h"
#include "store_int.h"
#include "window.h"

enum {
    INDEX_MOST = 64 << 20,
    BYTES_MOST = 64,        // single bytes that may explain a checksum
    VARINT_MOST = 10,
};

struct fault { uint64_t position; char why[200]; };
struct walk {
    const struct segment_facts *f;
    struct fs_file *file;             // NULL: missing
    struct window window;             // on the durable bytes that the file has
    struct buf index;                 // the offset index
    size_t index_at;
    struct island *islands;
    size_t n, cap;
    struct island before;             // the last one without its last batch
    struct fault *faults;             // where there is no whole batch, and why
    size_t fault_n, fault_cap;
    bool beyond;                      // a good batch follows that can not be ours
    struct examined *e;
    struct err *err;                  // why it can not go on
};
enum verdict { GOOD, BAD, FAILED };

void examined_done(struct examined *e) {
    free(e->areas);
    *e = (struct examined){0};
}

uint64_t examined_bytes(const struct examined *e) {
    uint64_t n = 0;
    for (size_t i = 0; i < e->n; i++) n += e->areas[i].size;
    return n;
}

int64_t examined_offsets(const struct examined *e) {
    int64_t n = 0;
    for (size_t i = 0; i < e->n; i++) n += e->areas[i].end - e->areas[i].first;
    return n;
}

// ── one batch ────────────────────────────────────────────────────────────────────────────────────────────────────────

static uint64_t left_at(const struct walk *w, uint64_t at) { return w->window.end - at; }
static const uint8_t *view(struct walk *w, uint64_t at, uint64_t n) { return window_view(&w->window, at, n, NULL, w->err); }

static int32_t epoch_of(const struct segment_facts *f, int64_t offset) {
    int32_t epoch = f->epochs[0].epoch;
    for (uint32_t i = 1; i < f->epoch_count && f->epochs[i].first <= offset; i++) epoch = f->epochs[i].epoch;
    return epoch;
}

static const char BEYOND[] = "its offset belongs to a later segment";

// What is wrong with a whole batch, or NULL.
static const char *batch_fault(const struct segment_facts *f, const struct batch_header *h) {
    if (h->base_offset < f->base) return "its offset belongs to an earlier segment";
    if (batch_last_offset(h) >= f->end) return BEYOND;
    if (f->epoch_count && h->leader_epoch != epoch_of(f, h->base_offset)) return "its leader epoch is not the one of its offset";
    return NULL;
}

// `why` may be NULL.
static enum verdict look_at(struct walk *w, uint64_t at, struct batch_header *h, char *why, size_t why_n) {
    struct err err;
    const char *fault = "the file ends in the middle of a batch header";
    if (left_at(w, at) >= BATCH_HEADER) {
        const uint8_t *p = view(w, at, BATCH_HEADER);
        if (!p) return FAILED;
        fault = NULL;
        if (batch_read_header(p, BATCH_HEADER, h) < 0) fault = "there is no record batch";
        else if (batch_size(h) > left_at(w, at)) fault = "its batch is longer than what is left of the file";
    }
    if (!fault) {
        const uint8_t *p = view(w, at, batch_size(h));
        if (!p) return FAILED;
        fault = batch_check(p, batch_size(h), false, h, &err) ? err.msg : batch_fault(w->f, h);
    }
    if (fault && why) snprintf(why, why_n, "%.*s", (int)why_n - 1, fault);
    return fault ? BAD : GOOD;
}

// Does something begin here that has at least the offset and the form of a batch?
static bool looks_like_header(const struct segment_facts *f, const uint8_t *p) {
    struct batch_header h;
    return p[16] == 2 && batch_read_header(p, BATCH_HEADER, &h) >= 0 && h.base_offset >= f->base && h.base_offset < f->end;
}

// ── behind damage ────────────────────────────────────────────────────────────────────────────────────────────────────

static int64_t next_offset(const struct walk *w) { return w->n ? w->islands[w->n - 1].next : w->f->base; }

// A whole batch at `at`, or, where the header before it was good, what looks like one.
static enum verdict goes_on(struct walk *w, uint64_t at, bool trusted, struct batch_header *h) {
    enum verdict v = look_at(w, at, h, NULL, 0);
    if (v != BAD || !trusted || left_at(w, at) < BATCH_HEADER) return v;
    const uint8_t *p = view(w, at, BATCH_HEADER);
    return !p ? FAILED : looks_like_header(w->f, p) ? GOOD : BAD;
}

// The damaged header may still say where its batch ends, and which offset comes then: *ret is that place when the log goes on there.
static int trust_header(struct walk *w, uint64_t at, uint64_t *ret) {
    struct batch_header h, after;
    if (left_at(w, at) < BATCH_HEADER) return 0;
    const uint8_t *p = view(w, at, BATCH_HEADER);
    if (!p) return -1;
    if (batch_read_header(p, BATCH_HEADER, &h) < 0 || batch_size(&h) > left_at(w, at)) return 0;
    uint64_t end = at + batch_size(&h);
    bool ours = w->f->sparse || h.base_offset == next_offset(w);
    enum verdict v = end == w->window.end ? BAD : goes_on(w, end, ours, &after);
    if (v == FAILED) return -1;
    bool fits = v == GOOD && (ours || after.base_offset == next_offset(w) + h.last_offset_delta + 1);
    if (fits || (ours && end == w->window.end)) *ret = end;
    return 0;
}

// Is there a whole plain record? 1 yes: *at moves behind it, and *delta, its place in the batch, from the one before. Its content may be damaged.
static int take_record(struct walk *w, uint64_t *at, int64_t *delta) {
    struct record_iter it = {.header.last_offset_delta = INT32_MAX, .last_delta = *delta, .left = 1};
    struct record r;
    struct err ignored;
    size_t n = left_at(w, *at) < VARINT_MOST ? left_at(w, *at) : VARINT_MOST;
    const uint8_t *p = view(w, *at, n);
    if (!p) return -1;
    struct cur c = cur_of(p, n);
    int64_t length = cur_varint(&c);
    uint64_t head = n - cur_left(&c);
    if (c.bad || length < 0 || (uint64_t)length > left_at(w, *at) - head) return 0;
    n = head + (size_t)length;
    if (!(p = view(w, *at, n))) return -1;
    it.at = cur_of(p, n);
    if (record_iter_next(&it, &r, &ignored) < 0 || (!w->f->sparse && it.last_delta != *delta + 1)) return 0;
    *at += n;
    *delta = it.last_delta;
    return 1;
}

// So may its records: they follow each other, and a batch begins where one ends, never within.
static int trust_records(struct walk *w, uint64_t at, uint64_t *ret) {
    struct batch_header h;
    enum verdict v = BAD;
    int64_t delta = -1;
    for (at += BATCH_HEADER; v == BAD && at < w->window.end; v = at < w->window.end ? look_at(w, at, &h, NULL, 0) : GOOD) {
        int there = take_record(w, &at, &delta);
        if (there <= 0) return there;
    }
    if (v == GOOD) *ret = at;
    return v == FAILED ? -1 : 0;
}

// The first place in [at, …) where a batch may begin; the end when there is none.
static int next_candidate(struct walk *w, uint64_t at, uint64_t *ret) {
    for (size_t n; left_at(w, at) >= BATCH_HEADER; at += n) {
        const uint8_t *p = window_view(&w->window, at, BATCH_HEADER, &n, w->err);
        if (!p) return -1;
        n -= BATCH_HEADER - 1;
        for (size_t i = 0; i < n; i++)
            if (looks_like_header(w->f, p + i)) return *ret = at + i, 0;
    }
    *ret = w->window.end;
    return 0;
}

// Where the walk goes on behind what is no whole batch.
static int find_next(struct walk *w, uint64_t at, uint64_t *ret) {
    struct batch_header h;
    uint64_t end = 0;
    enum verdict v = BAD;
    if (trust_header(w, at, &end) || (!end && trust_records(w, at, &end))) return -1;
    if (end) return *ret = end, 0;
    while (v == BAD) {
        if (next_candidate(w, at + 1, &at)) return -1;
        v = at == w->window.end ? GOOD : look_at(w, at, &h, NULL, 0);
    }
    *ret = at;
    return v == GOOD ? 0 : -1;
}

// ── islands ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static void hold_against_index(struct walk *w, uint64_t at, const struct batch_header *h, uint64_t *agree, uint64_t *contradict) {
    for (; w->index_at + INDEX_ENTRY <= w->index.n; w->index_at += INDEX_ENTRY) {
        const uint8_t *entry = w->index.p + w->index_at;
        uint64_t position = get_be32(entry + 4);
        if (position >= at + batch_size(h)) return;
        if (position < at) continue; // it lies in damage
        if (position == at && w->f->base + (int32_t)get_be32(entry) == batch_last_offset(h)) ++*agree;
        else ++*contradict;
    }
}

static void take(struct island *x, uint64_t at, const struct batch_header *h) {
    x->end = at + batch_size(h);
    x->next = batch_last_offset(h) + 1;
    x->batches++;
    if (!(h->attributes & BATCH_CONTROL)) x->records += (uint64_t)h->count;
    if (h->count && h->max_timestamp > x->max_ts) x->max_ts = h->max_timestamp;
}

// Two whole batches side by side whose offsets do not fit: either may be the wrong one, so the last one becomes an island of its own.
static void part(struct walk *w) {
    struct island last = w->islands[w->n - 1], own = last;
    if (last.batches < 2) return;
    own.position = w->before.end;
    own.first = w->before.next;
    own.batches = 1;
    own.records -= w->before.records;
    own.agree -= w->before.agree;
    own.contradict -= w->before.contradict;
    w->islands[w->n - 1] = w->before;
    VEC_PUSH(w->islands, w->n, w->cap, own);
}

// A batch goes on an island, or begins one; with `alone` the next one begins another, whatever it is.
static void join(struct walk *w, uint64_t at, const struct batch_header *h) {
    struct island *last = w->n ? &w->islands[w->n - 1] : NULL, own = {.position = at, .first = h->base_offset, .max_ts = -1};
    bool beside = last && last->end == at;
    bool fits = beside && (w->f->sparse ? h->base_offset >= last->next : h->base_offset == last->next);
    hold_against_index(w, at, h, &own.agree, &own.contradict);
    own.alone = own.contradict || (beside && !fits && w->f->sparse);
    if (beside && !fits && w->f->sparse) part(w);
    if (own.contradict) VEC_PUSH(w->faults, w->fault_n, w->fault_cap, ((struct fault){at, "the index names another offset for it"}));
    if (!fits || own.alone || last->alone) VEC_PUSH(w->islands, w->n, w->cap, own);
    last = &w->islands[w->n - 1];
    w->before = *last;
    if (last->batches) last->agree += own.agree;
    take(last, at, h);
}

// A whole batch that has offsets of a later segment. Damage to its offset alone does that, too, though not so that the log goes on with it: where
// offsets may be missing, not twice in a row.
static int see_beyond(struct walk *w, uint64_t at, const struct batch_header *h) {
    bool beside = w->n ? w->islands[w->n - 1].end == at : at == 0;
    struct batch_header after;
    char why[200];
    if (!w->f->sparse) w->beyond |= beside && h->base_offset == next_offset(w);
    if (!w->f->sparse || at + batch_size(h) == w->window.end) return 0;
    enum verdict v = look_at(w, at + batch_size(h), &after, why, sizeof(why));
    w->beyond |= v == BAD && !strcmp(why, BEYOND) && after.base_offset > batch_last_offset(h);
    return v == FAILED ? -1 : 0;
}

static int walk(struct walk *w) {
    for (uint64_t at = 0; at < w->window.end;) {
        struct batch_header h;
        struct fault f = {.position = at};
        enum verdict v = look_at(w, at, &h, f.why, sizeof(f.why));
        if (v == FAILED) return -1;
        if (v == GOOD) {
            join(w, at, &h);
            at += batch_size(&h);
            continue;
        }
        if (!strcmp(f.why, BEYOND) && see_beyond(w, at, &h)) return -1;
        VEC_PUSH(w->faults, w->fault_n, w->fault_cap, f);
        if (find_next(w, at, &at)) return -1;
    }
    return window_read_all(&w->window, w->err);
}

// ── what that makes of the file ──────────────────────────────────────────────────────────────────────────────────────

static const char *why_at(const struct walk *w, uint64_t from, uint64_t to) {
    if (window_is_unreadable(&w->window, from, to)) return w->window.unreadable.msg;
    for (size_t i = 0; i < w->fault_n; i++)
        if (w->faults[i].position >= from && w->faults[i].position < to) return w->faults[i].why;
    if (to > w->window.end) return w->e->missing ? "the file is missing" : "the file ends here";
    return "its offsets do not fit those around it";
}

static void add_area(struct walk *w, uint64_t from, uint64_t to, int64_t first, int64_t end, const char *why) {
    struct bad_area a = {.position = from, .size = to - from, .first = first, .end = end};
    snprintf(a.why, sizeof(a.why), "%.190s", why);
    if (to > from) VEC_PUSH(w->e->areas, w->e->n, w->e->cap, a);
}

// Areas are what the chosen islands leave out. *ret: those together.
static void sum_up(struct walk *w, struct island *ret) {
    *ret = (struct island){.next = w->f->base, .max_ts = -1};
    for (size_t i = 0; i < w->n; i++) {
        const struct island *x = &w->islands[i];
        if (!x->chosen) continue;
        add_area(w, ret->end, x->position, ret->next, x->first, why_at(w, ret->end, x->position));
        ret->end = x->end;
        ret->next = x->next;
        ret->batches += x->batches;
        ret->records += x->records;
        ret->agree += x->agree;
        ret->contradict += x->contradict;
        if (x->max_ts > ret->max_ts) ret->max_ts = x->max_ts;
    }
    add_area(w, ret->end, w->f->size, ret->next, w->f->end, why_at(w, ret->end, w->f->size));
    w->e->batches = ret->batches;
    w->e->records = ret->records;
}

static bool is_right(const struct walk *w) { return w->window.end == w->f->size && w->window.crc == w->f->crc; }

// A good batch that begins where ours may and ends behind the durable end was never ours.
static bool crosses_the_end(const struct walk *w) {
    uint64_t at = w->e->areas[w->e->n - 1].position, left = w->e->file_size > at ? w->e->file_size - at : 0;
    struct batch_header h;
    struct buf b = {0};
    bool crosses = w->file && left > w->f->size - at && left >= BATCH_HEADER && buf_reserve(&b, BATCH_HEADER) &&
                   !fs_pread_full(w->f->fs, w->file, b.p, BATCH_HEADER, at, NULL) && batch_read_header(b.p, BATCH_HEADER, &h) > 0 &&
                   batch_size(&h) > w->f->size - at && batch_size(&h) <= left && buf_reserve(&b, batch_size(&h)) &&
                   !fs_pread_full(w->f->fs, w->file, b.p, batch_size(&h), at, NULL) && !batch_check(b.p, batch_size(&h), false, &h, NULL);
    buf_done(&b);
    return crosses;
}

// Damage takes bytes and the offsets in them; a file that says otherwise is not the one that was written. One that is too short and whole may be
// an older copy of it, or another one: its index tells, which names batches by offset and place.
static bool is_another_file(const struct walk *w, const struct island *sum) {
    const struct segment_facts *f = w->f;
    const struct examined *e = w->e;
    if (!f->size || is_right(w)) return false;
    if (!e->n || sum->max_ts > f->max_ts || sum->contradict > sum->agree || w->beyond || crosses_the_end(w)) return true;
    if (f->sealed && e->file_size > f->size) return true;
    const struct bad_area *last = &e->areas[e->n - 1];
    bool to_the_end = last->position + last->size == f->size, ends_whole = w->window.end < f->size && last->position == w->window.end;
    return !sum->agree && (ends_whole || (to_the_end && !f->sparse && last->first == last->end));
}

static void nothing_counts(struct walk *w) {
    struct examined *e = w->e;
    char why[200];
    if (e->missing || !e->batches) return; // said already
    snprintf(why, sizeof(why), "it is another file, or an older copy: its %" PRIu64 " batches are not those that were written", e->batches);
    e->n = 0;
    e->batches = e->records = 0;
    add_area(w, 0, w->f->size, w->f->base, w->f->end, why);
}

// The index has no checksum, so it is not asked first; but of the batches of a file that is ours those it knows otherwise have a damaged offset.
static void choose(struct walk *w, struct island *sum) {
    islands_choose(w->islands, w->n, w->f->sparse);
    sum_up(w, sum);
    if (is_another_file(w, sum)) return nothing_counts(w);
    if (is_right(w) || !sum->contradict) return;
    for (size_t i = 0; i < w->n; i++) w->islands[i].doubted = w->islands[i].contradict > 0;
    islands_choose(w->islands, w->n, w->f->sparse);
    w->e->n = 0;
    sum_up(w, sum);
}

// ── all of it ────────────────────────────────────────────────────────────────────────────────────────────────────────

static int open_walk(struct walk *w, const struct segment_facts *f, struct mended m, struct examined *e, struct err *err) {
    struct fs_stat st;
    struct err why;
    *w = (struct walk){.f = f, .e = e, .err = err};
    if (f->fs->ops->open(f->fs, f->path, FS_READ, &w->file, &why)) {
        if (why.code != ERR_NOT_FOUND) return *err = why, -1;
        e->missing = true;
        return 0;
    }
    if (f->fs->ops->fstat(w->file, &st, err)) return -1;
    e->file_size = st.size;
    w->window = (struct window){.fs = f->fs, .file = w->file, .end = st.size < f->size ? st.size : f->size, .mended = m.position, .mask = m.mask};
    return 0;
}

static void close_walk(struct walk *w) {
    if (w->file) w->f->fs->ops->close(w->file, NULL);
    window_done(&w->window);
    buf_done(&w->index);
    free(w->islands);
    free(w->faults);
}

static void read_index(struct walk *w) {
    char path[SEGMENT_PATH + 8];
    snprintf(path, sizeof(path), "%.*s.index", (int)strlen(w->f->path) - 4, w->f->path);
    if (fs_read_all(w->f->fs, path, INDEX_MOST, &w->index, NULL)) buf_clear(&w->index);
}

// *ret_difference: of the checksums, 0 when that says nothing.
static int examine(const struct segment_facts *f, struct mended m, struct examined *e, uint32_t *ret_difference, struct err *err) {
    struct island sum;
    struct walk w;
    int failed = open_walk(&w, f, m, e, err);
    if (!failed) read_index(&w);
    if (!failed) failed = walk(&w);
    if (!failed) choose(&w, &sum);
    *ret_difference = w.window.end == f->size && !w.window.block_n ? w.window.crc ^ f->crc : 0;
    if (!failed && m.mask && is_right(&w) && !e->n) e->mended = m;
    e->unreadable = w.window.block_n * WINDOW_BLOCK;
    close_walk(&w);
    return failed;
}

static bool in_areas(const struct examined *e, uint64_t position) {
    for (size_t i = 0; i < e->n; i++)
        if (position >= e->areas[i].position && position - e->areas[i].position < e->areas[i].size) return true;
    return false;
}

// Reads the file again with each byte put right that may be the one. It is, when all is right then.
static int try_one_byte(const struct segment_facts *f, uint32_t difference, struct examined *e, struct err *err) {
    struct crc_byte bytes[BYTES_MOST];
    size_t n = crc32c_one_byte(difference, f->size, bytes, BYTES_MOST);
    for (size_t i = 0; i < n && !e->mended.mask; i++) {
        struct examined other = {0};
        uint32_t ignored;
        if (!f->sparse && !in_areas(e, bytes[i].position)) continue;
        int failed = examine(f, (struct mended){bytes[i].position, bytes[i].mask}, &other, &ignored, err);
        if (!failed && other.mended.mask) {
            examined_done(e);
            *e = other;
            continue;
        }
        examined_done(&other);
        if (failed) return -1;
    }
    return 0;
}

int examine_segment(const struct segment_facts *f, struct examined *ret, struct err *err) {
    struct examined e = {0};
    uint32_t difference;
    int failed = examine(f, (struct mended){0}, &e, &difference, err);
    if (!failed && difference && e.n == 1) failed = try_one_byte(f, difference, &e, err);
    if (failed) examined_done(&e);
    else *ret = e;
    return failed ? err_wrap(err, "%s", f->path) : 0;
}

// ── the batches around ───────────────────────────────────────────────────────────────────────────────────────────────

static int each_to(struct walk *w, uint64_t at, uint64_t end, examine_batch *each, void *arg, struct err *err) {
    struct batch_header h;
    for (; at < end; at += batch_size(&h)) {
        const uint8_t *p = end - at < BATCH_HEADER || end > w->window.end ? NULL : view(w, at, BATCH_HEADER);
        bool good = p && batch_read_header(p, BATCH_HEADER, &h) >= 0 && batch_size(&h) <= end - at;
        p = good ? view(w, at, batch_size(&h)) : NULL;
        if (!p || batch_check(p, batch_size(&h), false, &h, NULL)) return err_set(err, ERR_AGAIN, "%s changed while it was read", w->f->path);
        int stop = each(arg, p, &h, err);
        if (stop) return stop;
    }
    return 0;
}

int examine_each(const struct segment_facts *f, const struct examined *e, examine_batch *each, void *arg, struct err *err) {
    struct examined ignored = {0};
    struct walk w;
    uint64_t at = 0;
    int stop = open_walk(&w, f, e->mended, &ignored, err);
    for (size_t i = 0; i <= e->n && !stop; i++) {
        uint64_t end = i < e->n ? e->areas[i].position : f->size;
        stop = each_to(&w, at, end, each, arg, err);
        if (i < e->n) at = end + e->areas[i].size;
    }
    close_walk(&w);
    examined_done(&ignored);
    return stop;
}
