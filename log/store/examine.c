// SPDX-License-Identifier: Apache-2.0
// The walk over a segment file, and how it finds its way behind damage.
#include "examine.h"

#include <inttypes.h>
#include <stdio.h>

#include "store_int.h"

enum {
    BLOCK = 4096,           // what a disk fails to give is told block by block
    BLOCKS_MOST = 4096,     // of them are remembered
    WINDOW = 256 * 1024,
    CHAIN = 3,              // so many batches that follow each other are no accident
    INDEX_MOST = 64 << 20,
    BYTES_MOST = 64,
    VARINT_MOST = 10,
    RECORD_LEAST = 6,       // bytes of the smallest record behind its length
};

struct walk {
    const struct segment_facts *f;
    struct fs_file *file;             // NULL: missing
    uint64_t avail;                   // of the durable bytes, those the file has
    struct buf window;
    uint64_t window_at;
    uint32_t crc;                     // of the bytes before crc_at
    uint64_t crc_at;
    struct mended mended;             // a byte that is read as it was
    uint64_t *blocks;                 // where the disk gave nothing
    size_t block_n, block_cap;
    struct err unreadable;            // the first of them
    struct buf index;                 // offset index: what is left of it
    size_t index_at, agree, contradict;
    int64_t max_ts;
    struct examined *e;
    struct err *err;                  // why it can not go on
};
// Where a batch is looked for: after offset next - 1, or somewhere behind it.
struct place { int64_t next; bool gap; };
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

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

int examine_read(struct fs *fs, struct fs_file *f, void *p, size_t n, uint64_t at, uint64_t *unreadable, struct err *why) {
    struct err err;
    int lost = 0;
    if (!fs_pread_full(fs, f, p, n, at, &err)) return 0;
    if (err.code != ERR_IO) return *why = err, -1;
    for (size_t done = 0, part; done < n; done += part) {
        part = BLOCK - (size_t)((at + done) % BLOCK);
        if (part > n - done) part = n - done;
        if (!fs_pread_full(fs, f, (uint8_t *)p + done, part, at + done, &err)) continue;
        if (err.code != ERR_IO) return *why = err, -1;
        memset((uint8_t *)p + done, 0, part);
        *unreadable += part;
        *why = err;
        lost = 1;
    }
    return lost;
}

static void note_block(struct walk *w, uint64_t at) {
    for (size_t i = 0; i < w->block_n; i++)
        if (w->blocks[i] == at) return;
    if (w->block_n < BLOCKS_MOST) VEC_PUSH(w->blocks, w->block_n, w->block_cap, at);
}

static int read_window(struct walk *w, uint64_t at, size_t n) {
    struct err why;
    uint64_t unreadable = 0;
    int lost = examine_read(w->f->fs, w->file, w->window.p, n, at, &unreadable, &why);
    if (lost < 0) return *w->err = why, -1;
    if (!lost) return 0;
    if (!w->block_n) w->unreadable = why;
    for (uint64_t b = at / BLOCK * BLOCK; b < at + n; b += BLOCK) {
        uint64_t from = b < at ? at : b, to = b + BLOCK < at + n ? b + BLOCK : at + n, more = 0;
        if (examine_read(w->f->fs, w->file, w->window.p + (from - at), (size_t)(to - from), from, &more, &why) > 0) note_block(w, b);
    }
    return 0;
}

// The checksum takes every byte once, whichever way the window goes.
static int fill(struct walk *w, uint64_t at, uint64_t n) {
    buf_clear(&w->window);
    if (!buf_reserve(&w->window, (size_t)n)) return err_set(w->err, ERR_TOO_LARGE, "%s: no memory for %" PRIu64 " bytes", w->f->path, n);
    if (read_window(w, at, (size_t)n)) return -1;
    if (w->mended.position >= at && w->mended.position < at + n) w->window.p[w->mended.position - at] ^= w->mended.mask;
    w->window.n = (size_t)n;
    w->window_at = at;
    if (at > w->crc_at || at + n <= w->crc_at) return 0;
    w->crc = crc32c(w->crc, w->window.p + (w->crc_at - at), (size_t)(at + n - w->crc_at));
    w->crc_at = at + n;
    return 0;
}

static int checksum_to(struct walk *w, uint64_t to) {
    while (w->crc_at < to)
        if (fill(w, w->crc_at, to - w->crc_at < WINDOW ? to - w->crc_at : WINDOW)) return -1;
    return 0;
}

// Bytes [at, at + n), which are available; *ret_n: how many the window has from there. NULL: failed.
static const uint8_t *view(struct walk *w, uint64_t at, uint64_t n, size_t *ret_n) {
    if (at < w->window_at || at + n > w->window_at + w->window.n) {
        uint64_t want = n < WINDOW ? WINDOW : n;
        if (want > w->avail - at) want = w->avail - at;
        if (checksum_to(w, at) || fill(w, at, want)) return NULL;
    }
    if (ret_n) *ret_n = (size_t)(w->window_at + w->window.n - at);
    return w->window.p + (at - w->window_at);
}

// ── one batch ────────────────────────────────────────────────────────────────────────────────────────────────────────

static int32_t epoch_of(const struct segment_facts *f, int64_t offset) {
    int32_t epoch = f->epochs[0].epoch;
    for (uint32_t i = 1; i < f->epoch_count && f->epochs[i].first <= offset; i++) epoch = f->epochs[i].epoch;
    return epoch;
}

// What is wrong with where a batch stands, or NULL.
static const char *place_fault(const struct segment_facts *f, const struct batch_header *h, struct place at) {
    if (h->base_offset < at.next) return "its offset goes back";
    if (!f->sparse && !at.gap && h->base_offset != at.next) return "offsets before it are missing";
    if (!f->sparse && at.gap && h->base_offset == at.next) return "no offset is left for the bytes before it";
    if (batch_last_offset(h) >= f->end) return "its offset belongs to a later segment";
    if (f->epoch_count && h->leader_epoch != epoch_of(f, h->base_offset)) return "its leader epoch is not the one of its offset";
    return NULL;
}

// `why` may be NULL.
static enum verdict look_at(struct walk *w, uint64_t at, struct place place, struct batch_header *h, char *why, size_t why_n) {
    struct err err;
    uint64_t left = w->avail - at;
    const char *fault = "the file ends in the middle of a batch header";
    if (left >= BATCH_HEADER) {
        const uint8_t *p = view(w, at, BATCH_HEADER, NULL);
        if (!p) return FAILED;
        fault = NULL;
        if (batch_read_header(p, BATCH_HEADER, h) < 0) fault = "there is no record batch";
        else if (batch_size(h) > left) fault = "its batch is longer than what is left of the file";
    }
    if (!fault) {
        const uint8_t *p = view(w, at, batch_size(h), NULL);
        if (!p) return FAILED;
        fault = batch_check(p, batch_size(h), false, h, &err) ? err.msg : place_fault(w->f, h, place);
    }
    if (fault && why) snprintf(why, why_n, "%.*s", (int)why_n - 1, fault);
    return fault ? BAD : GOOD;
}

// Does something begin here that has at least the offset and the form of a batch?
static bool looks_like_header(const struct segment_facts *f, const uint8_t *p, struct place at) {
    struct batch_header h;
    if (p[16] != 2 || batch_read_header(p, BATCH_HEADER, &h) < 0 || h.base_offset >= f->end) return false;
    if (f->sparse) return h.base_offset >= at.next;
    return at.gap ? h.base_offset > at.next : h.base_offset == at.next;
}

static int header_at(struct walk *w, uint64_t at, struct place place, bool *ret) {
    *ret = false;
    if (w->avail - at < BATCH_HEADER) return 0;
    const uint8_t *p = view(w, at, BATCH_HEADER, NULL);
    if (!p) return -1;
    *ret = looks_like_header(w->f, p, place);
    return 0;
}

// ── behind damage ────────────────────────────────────────────────────────────────────────────────────────────────────

// Is the batch at `at` one of the log's, and not part of a record? Then others follow, or the end, or another damaged one.
static int is_followed(struct walk *w, uint64_t at, struct place place, bool *ret) {
    struct batch_header h;
    for (int i = 0; i < CHAIN; i++) {
        if (at == w->avail) {
            *ret = w->f->sparse || w->avail < w->f->size ? place.next <= w->f->end : place.next == w->f->end;
            return 0;
        }
        enum verdict v = look_at(w, at, place, &h, NULL, 0);
        if (v == FAILED) return -1;
        if (v == BAD) return header_at(w, at, place, ret);
        place = (struct place){.next = batch_last_offset(&h) + 1};
        at += batch_size(&h);
    }
    *ret = true;
    return 0;
}

// The damaged header may still say where its batch ends: *ret is that place when the log goes on there, else unchanged; *ret_next is the
// offset that it says is next, or -1.
static int trust_header(struct walk *w, uint64_t at, struct place gap, uint64_t *ret, int64_t *ret_next) {
    struct batch_header h;
    *ret_next = -1;
    if (w->avail - at < BATCH_HEADER) return 0;
    const uint8_t *p = view(w, at, BATCH_HEADER, NULL);
    if (!p) return -1;
    bool reads = batch_read_header(p, BATCH_HEADER, &h) >= 0;
    int64_t delta = (int32_t)get_be32(p + 23);
    if (delta >= 0) *ret_next = gap.next + delta + 1;
    if (!reads || batch_size(&h) > w->avail - at) return 0;
    uint64_t end = at + batch_size(&h);
    if (end == w->avail) return *ret = end, 0;
    enum verdict v = look_at(w, end, gap, &h, NULL, 0);
    bool goes_on = v == GOOD;
    if (v == FAILED || (v == BAD && header_at(w, end, gap, &goes_on))) return -1;
    if (goes_on) *ret = end;
    return 0;
}

// So may its records: each begins with its length, and a batch begins where one ends, never within.
static int trust_records(struct walk *w, uint64_t at, struct place gap, uint64_t *ret) {
    struct batch_header h;
    for (uint64_t r = at + BATCH_HEADER; r < w->avail;) {
        size_t n;
        bool fits;
        const uint8_t *p = view(w, r, w->avail - r < VARINT_MOST ? w->avail - r : VARINT_MOST, &n);
        if (!p) return -1;
        struct cur c = cur_of(p, n);
        int64_t length = cur_varint(&c);
        uint64_t head = n - cur_left(&c);
        if (c.bad || length < RECORD_LEAST || (uint64_t)length > w->avail - r - head) return 0;
        r += head + (uint64_t)length;
        if (r == w->avail) return *ret = r, 0;
        if (header_at(w, r, gap, &fits)) return -1;
        enum verdict v = fits ? look_at(w, r, gap, &h, NULL, 0) : BAD;
        if (v == FAILED) return -1;
        if (v == GOOD) return *ret = r, 0;
    }
    return 0;
}

// The first place in [at, …) where a batch may begin; avail when there is none.
static int next_candidate(struct walk *w, uint64_t at, struct place gap, uint64_t *ret) {
    for (size_t n; w->avail - at >= BATCH_HEADER; at += n) {
        const uint8_t *p = view(w, at, BATCH_HEADER, &n);
        if (!p) return -1;
        n -= BATCH_HEADER - 1;
        for (size_t i = 0; i < n; i++)
            if (looks_like_header(w->f, p + i, gap)) return *ret = at + i, 0;
    }
    *ret = w->avail;
    return 0;
}

struct found { uint64_t at; int64_t end; bool any; };

// One that nothing follows counts, too: it may stand between two damaged ones. But not when its offsets speak against a better one.
static int search(struct walk *w, uint64_t from, struct place gap, int64_t claimed, uint64_t *ret) {
    struct found lone = {0};
    struct batch_header h;
    uint64_t at = from;
    for (;; at++) {
        if (next_candidate(w, at, gap, &at)) return -1;
        if (at == w->avail) break;
        enum verdict v = look_at(w, at, gap, &h, NULL, 0);
        if (v == FAILED) return -1;
        if (v == BAD) continue;
        bool good = h.base_offset == claimed;
        if (!good && is_followed(w, at, gap, &good)) return -1;
        if (good) break;
        if (!lone.any) lone = (struct found){at, batch_last_offset(&h), true};
    }
    *ret = lone.any && (at == w->avail || lone.end < h.base_offset) ? lone.at : at;
    return 0;
}

// Where the walk goes on behind a batch that is damaged.
static int find_next(struct walk *w, uint64_t at, struct place gap, uint64_t *ret) {
    uint64_t end = 0;
    int64_t claimed;
    if (trust_header(w, at, gap, &end, &claimed) || (!end && trust_records(w, at, gap, &end))) return -1;
    if (end) return *ret = end, 0;
    return search(w, at + 1, gap, claimed, ret);
}

// ── the walk ─────────────────────────────────────────────────────────────────────────────────────────────────────────

static void open_area(struct examined *e, uint64_t at, int64_t first, const char *why) {
    struct bad_area a = {.position = at, .first = first, .end = -1};
    snprintf(a.why, sizeof(a.why), "%s", why);
    VEC_PUSH(e->areas, e->n, e->cap, a);
}

static struct bad_area *open_one(const struct examined *e) { return e->n && e->areas[e->n - 1].end < 0 ? &e->areas[e->n - 1] : NULL; }

static void close_area(struct walk *w, uint64_t at, int64_t end) {
    struct bad_area *a = open_one(w->e);
    if (!a) return;
    a->size = at - a->position;
    a->end = end;
    for (size_t i = 0; i < w->block_n; i++)
        if (w->blocks[i] < at && w->blocks[i] + BLOCK > a->position) snprintf(a->why, sizeof(a->why), "%.190s", w->unreadable.msg);
}

static void hold_against_index(struct walk *w, uint64_t at, const struct batch_header *h) {
    for (; w->index_at + INDEX_ENTRY <= w->index.n; w->index_at += INDEX_ENTRY) {
        const uint8_t *entry = w->index.p + w->index_at;
        uint64_t position = get_be32(entry + 4);
        if (position >= at + batch_size(h)) return;
        if (position < at) continue; // it lies in an area
        if (position == at && w->f->base + (int32_t)get_be32(entry) == batch_last_offset(h)) w->agree++;
        else w->contradict++;
    }
}

static void take(struct walk *w, uint64_t at, const struct batch_header *h) {
    close_area(w, at, h->base_offset);
    w->e->batches++;
    if (!(h->attributes & BATCH_CONTROL)) w->e->records += (uint64_t)h->count;
    if (h->count && h->max_timestamp > w->max_ts) w->max_ts = h->max_timestamp;
    hold_against_index(w, at, h);
}

static int walk(struct walk *w) {
    struct place place = {.next = w->f->base};
    uint64_t at = 0;
    while (at < w->avail) {
        struct batch_header h;
        char why[200];
        place.gap = open_one(w->e) != NULL;
        enum verdict v = look_at(w, at, place, &h, why, sizeof(why));
        if (v == FAILED) return -1;
        if (v == BAD) {
            if (!place.gap) open_area(w->e, at, place.next, why);
            if (find_next(w, at, (struct place){place.next, true}, &at)) return -1;
            continue;
        }
        take(w, at, &h);
        place.next = batch_last_offset(&h) + 1;
        at += batch_size(&h);
    }
    if (w->avail < w->f->size && !open_one(w->e))
        open_area(w->e, at, place.next, w->e->missing ? "the file is missing" : "the file ends here");
    close_area(w, w->f->size, w->f->end);
    return checksum_to(w, w->avail);
}

static bool is_right(const struct walk *w) { return w->avail == w->f->size && w->crc == w->f->crc; }

// A good batch that begins where ours may and ends behind the durable end was never ours.
static bool crosses_the_end(const struct walk *w) {
    uint64_t at = w->e->areas[w->e->n - 1].position, left = w->e->file_size - at;
    struct batch_header h;
    struct buf b = {0};
    bool crosses = w->file && left > w->f->size - at && buf_reserve(&b, BATCH_HEADER) && left >= BATCH_HEADER &&
                   !fs_pread_full(w->f->fs, w->file, b.p, BATCH_HEADER, at, NULL) && batch_read_header(b.p, BATCH_HEADER, &h) > 0 &&
                   batch_size(&h) > w->f->size - at && batch_size(&h) <= left && buf_reserve(&b, batch_size(&h)) &&
                   !fs_pread_full(w->f->fs, w->file, b.p, batch_size(&h), at, NULL) && !batch_check(b.p, batch_size(&h), false, &h, NULL);
    buf_done(&b);
    return crosses;
}

// Damage takes bytes and the offsets in them; a file that says otherwise is not the one that was written.
static bool is_another_file(const struct walk *w) {
    const struct segment_facts *f = w->f;
    if (!f->size || is_right(w)) return false;
    if (!w->e->n || w->max_ts > f->max_ts || w->contradict > w->agree || crosses_the_end(w)) return true;
    for (size_t i = 0; i < w->e->n && !f->sparse; i++)
        if (w->e->areas[i].first == w->e->areas[i].end) return true;
    return false;
}

static void nothing_counts(struct walk *w) {
    struct examined *e = w->e;
    char why[200];
    if (e->missing || !e->batches) return; // said already
    snprintf(why, sizeof(why), "it is another file, or an older copy: its %" PRIu64 " batches are not those that were written", e->batches);
    e->n = 0;
    e->batches = e->records = 0;
    open_area(e, 0, w->f->base, why);
    close_area(w, w->f->size, w->f->end);
}

static int open_walk(struct walk *w, const struct segment_facts *f, struct examined *e, struct err *err) {
    struct fs_stat st;
    struct err why;
    *w = (struct walk){.f = f, .e = e, .max_ts = -1, .err = err};
    if (f->fs->ops->open(f->fs, f->path, FS_READ, &w->file, &why)) {
        if (why.code != ERR_NOT_FOUND) return *err = why, -1;
        e->missing = true;
        return 0;
    }
    if (f->fs->ops->fstat(w->file, &st, err)) return -1;
    e->file_size = st.size;
    w->avail = st.size < f->size ? st.size : f->size;
    return 0;
}

static void close_walk(struct walk *w) {
    if (w->file) w->f->fs->ops->close(w->file, NULL);
    buf_done(&w->window);
    buf_done(&w->index);
    free(w->blocks);
}

static void read_index(struct walk *w) {
    char path[SEGMENT_PATH + 8];
    snprintf(path, sizeof(path), "%.*s.index", (int)strlen(w->f->path) - 4, w->f->path);
    if (fs_read_all(w->f->fs, path, INDEX_MOST, &w->index, NULL)) buf_clear(&w->index);
}

// *ret_difference: of the checksums, 0 when that says nothing.
static int examine(const struct segment_facts *f, struct mended m, struct examined *e, uint32_t *ret_difference, struct err *err) {
    struct walk w;
    int failed = open_walk(&w, f, e, err);
    w.mended = m;
    if (!failed) read_index(&w);
    if (!failed) failed = walk(&w);
    *ret_difference = w.avail == f->size && !w.block_n ? w.crc ^ f->crc : 0;
    if (!failed && m.mask && is_right(&w) && !e->n) e->mended = m;
    if (!failed && is_another_file(&w)) nothing_counts(&w);
    e->unreadable = w.block_n * BLOCK;
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
    return failed;
}

// ── the batches around ───────────────────────────────────────────────────────────────────────────────────────────────

static int each_to(struct walk *w, uint64_t at, uint64_t end,
                   int (*each)(void *arg, const uint8_t *p, const struct batch_header *h, struct err *err), void *arg, struct err *err) {
    struct batch_header h;
    for (; at < end; at += batch_size(&h)) {
        const uint8_t *p = end - at < BATCH_HEADER || end > w->avail ? NULL : view(w, at, BATCH_HEADER, NULL);
        bool good = p && batch_read_header(p, BATCH_HEADER, &h) >= 0 && batch_size(&h) <= end - at;
        p = good ? view(w, at, batch_size(&h), NULL) : NULL;
        if (!p || batch_check(p, batch_size(&h), false, &h, NULL))
            return err_set(err, ERR_AGAIN, "%s changed while it was read", w->f->path);
        int stop = each(arg, p, &h, err);
        if (stop) return stop;
    }
    return 0;
}

int examine_each(const struct segment_facts *f, const struct examined *e,
                 int (*each)(void *arg, const uint8_t *p, const struct batch_header *h, struct err *err), void *arg, struct err *err) {
    struct examined ignored = {0};
    struct walk w;
    uint64_t at = 0;
    int stop = open_walk(&w, f, &ignored, err);
    w.mended = e->mended;
    for (size_t i = 0; i <= e->n && !stop; i++) {
        uint64_t end = i < e->n ? e->areas[i].position : f->size;
        stop = each_to(&w, at, end, each, arg, err);
        if (i < e->n) at = end + e->areas[i].size;
    }
    close_walk(&w);
    examined_done(&ignored);
    return stop;
}
