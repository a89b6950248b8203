// SPDX-License-Identifier: Apache-2.0
// Producer state: a table by producer id, the open transactions by first offset, and an undo log of whole entries.
#include "producers.h"

#include "base/hash.h"
#include "base/mem.h"

enum {
    SNAPSHOT_VERSION = 1,
    SNAPSHOT_HEAD = 2 + 4 + 4, // version, CRC-32C of what follows, row count
    SNAPSHOT_ROW = 8 + 2 + 4 + 8 + 4 + 8 + 4 + 8,
    MAX_DEFAULT = 65536,
    UNDO_KEPT = 1024, // entries of room kept between frames
};

struct undo {
    bool existed;
    struct producer_state before; // only the id is set when it did not exist
};

struct producers {
    struct producer_state **slots; // open addressing, NULL = free; cap is a power of two
    size_t n, cap;
    struct producer_state **open;  // those with a transaction, by first offset
    size_t open_n, open_cap;
    struct undo *undo;
    size_t undo_n, undo_cap;
};

// ── the table ────────────────────────────────────────────────────────────────────────────────────────────────────────

static size_t home(const struct producers *p, int64_t id) {
    return (size_t)(((uint64_t)id * 0x9e3779b97f4a7c15u) >> 32) & (p->cap - 1);
}

// The slot that holds id, or the free one where it belongs. cap > n.
static size_t slot_of(const struct producers *p, int64_t id) {
    size_t i = home(p, id);
    while (p->slots[i] && p->slots[i]->id != id) i = (i + 1) & (p->cap - 1);
    return i;
}

static struct producer_state *find(const struct producers *p, int64_t id) { return p->n ? p->slots[slot_of(p, id)] : NULL; }

static void grow(struct producers *p) {
    struct producer_state **old = p->slots;
    size_t old_cap = p->cap;
    p->cap = old_cap ? old_cap * 2 : 4;
    p->slots = xcalloc(p->cap, sizeof(struct producer_state *));
    for (size_t i = 0; i < old_cap; i++)
        if (old[i]) p->slots[slot_of(p, old[i]->id)] = old[i];
    free(old);
}

static struct producer_state *insert(struct producers *p, int64_t id) {
    if ((p->n + 1) * 4 > p->cap * 3) grow(p);
    struct producer_state *s = xmalloc(sizeof(*s));
    *s = (struct producer_state){.id = id, .epoch = -1, .txn_first = -1, .coordinator_epoch = -1, .last_timestamp = -1};
    p->slots[slot_of(p, id)] = s;
    p->n++;
    return s;
}

// Frees the entry and closes the gap it leaves in its run.
static void drop(struct producers *p, int64_t id) {
    size_t hole = slot_of(p, id), mask = p->cap - 1;
    free(p->slots[hole]);
    p->n--;
    for (size_t i = (hole + 1) & mask; p->slots[i]; i = (i + 1) & mask) {
        if (((i - home(p, p->slots[i]->id)) & mask) < ((i - hole) & mask)) continue; // already between its home and here
        p->slots[hole] = p->slots[i];
        hole = i;
    }
    p->slots[hole] = NULL;
}

static void clear(struct producers *p) {
    for (size_t i = 0; i < p->cap; i++) free(p->slots[i]);
    free(p->slots);
    free(p->open);
    free(p->undo);
}

struct producers *producers_new(void) { return xcalloc(1, sizeof(struct producers)); }

void producers_reset(struct producers *p) {
    clear(p);
    *p = (struct producers){0};
}

void producers_free(struct producers *p) {
    if (!p) return;
    clear(p);
    free(p);
}

// ── open transactions ────────────────────────────────────────────────────────────────────────────────────────────────

static void open_add(struct producers *p, struct producer_state *s) {
    VEC_PUSH(p->open, p->open_n, p->open_cap, s);
    for (size_t i = p->open_n - 1; i > 0 && p->open[i - 1]->txn_first > s->txn_first; i--) {
        p->open[i] = p->open[i - 1];
        p->open[i - 1] = s;
    }
}

static void open_remove(struct producers *p, const struct producer_state *s) {
    size_t i = 0;
    while (p->open[i] != s) i++;
    memmove(p->open + i, p->open + i + 1, (--p->open_n - i) * sizeof(p->open[0]));
}

int64_t producers_last_stable(const struct producers *p, int64_t end) { return p->open_n ? p->open[0]->txn_first : end; }

// ── the rules ────────────────────────────────────────────────────────────────────────────────────────────────────────

static int32_t sequence_add(int32_t sequence, int32_t n) { return (int32_t)(((uint32_t)sequence + (uint32_t)n) & INT32_MAX); }
static int32_t sequence_sub(int32_t sequence, int32_t n) { return (int32_t)(((uint32_t)sequence - (uint32_t)n) & INT32_MAX); }

static const struct producer_batch *find_duplicate(const struct producer_state *s, const struct batch_header *h) {
    int32_t last = sequence_add(h->base_sequence, h->last_offset_delta);
    for (int i = s->batch_count - 1; i >= 0; i--) {
        const struct producer_batch *b = &s->batches[i];
        if (b->last_sequence == last && sequence_sub(last, b->delta) == h->base_sequence) return b;
    }
    return NULL;
}

static int check_sequence(const struct producer_state *s, const struct batch_header *h, struct err *err) {
    int32_t expected = 0; // a new epoch, or one of which only a marker was seen
    if (h->producer_epoch == s->epoch && s->batch_count) expected = sequence_add(s->batches[s->batch_count - 1].last_sequence, 1);
    if (h->base_sequence == expected) return 0;
    return err_set(err, ERR_SEQUENCE, "producer %lld epoch %d: sequence %d where %d is next", (long long)h->producer_id, h->producer_epoch,
                   h->base_sequence, expected);
}

static int check_marker(const struct producer_state *s, const struct batch_marker *m, struct err *err) {
    if (m->coordinator_epoch >= s->coordinator_epoch) return 0;
    return err_set(err, ERR_FENCED, "producer %lld: end marker of coordinator epoch %d after %d", (long long)s->id, m->coordinator_epoch,
                   s->coordinator_epoch);
}

int producers_check(const struct producers *p, const struct batch_header *h, const struct batch_marker *marker, struct producer_batch *ret_original,
                    struct err *err) {
    if (h->producer_id < 0) return 0;
    if (!marker && h->base_sequence < 0)
        return err_set(err, ERR_SEQUENCE, "producer %lld: batch without a sequence", (long long)h->producer_id);
    const struct producer_state *s = find(p, h->producer_id);
    if (!s) return 0;
    if (h->producer_epoch < s->epoch)
        return err_set(err, ERR_FENCED, "producer %lld: epoch %d, the newest is %d", (long long)s->id, h->producer_epoch, s->epoch);
    if (marker) return check_marker(s, marker, err);
    const struct producer_batch *duplicate = h->producer_epoch == s->epoch ? find_duplicate(s, h) : NULL;
    if (duplicate) {
        *ret_original = *duplicate;
        return 1;
    }
    if (check_sequence(s, h, err) < 0) return -1;
    if (s->txn_first >= 0 && !(h->attributes & BATCH_TRANSACTIONAL))
        return err_set(err, ERR_TXN_STATE, "producer %lld: batch outside its open transaction", (long long)s->id);
    return 0;
}

// ── changing ─────────────────────────────────────────────────────────────────────────────────────────────────────────

static void add_batch(struct producer_state *s, const struct producer_batch *b) {
    if (s->batch_count == PRODUCER_BATCHES) {
        memmove(s->batches, s->batches + 1, (PRODUCER_BATCHES - 1) * sizeof(s->batches[0]));
        s->batch_count--;
    }
    s->batches[s->batch_count++] = *b;
}

static void take_epoch(struct producer_state *s, int16_t epoch) {
    if (s->epoch == epoch) return;
    s->epoch = epoch;
    s->batch_count = 0;
}

static void apply_data(struct producers *p, struct producer_state *s, const struct batch_header *h) {
    add_batch(s, &(struct producer_batch){
                     .last_offset = batch_last_offset(h),
                     .timestamp = h->max_timestamp,
                     .last_sequence = sequence_add(h->base_sequence, h->last_offset_delta),
                     .delta = h->last_offset_delta,
                 });
    if (!(h->attributes & BATCH_TRANSACTIONAL)) return;
    s->txn_bytes += batch_size(h);
    if (s->txn_first >= 0) return;
    s->txn_first = h->base_offset;
    s->txn_bytes = batch_size(h);
    open_add(p, s);
}

static bool apply_marker(struct producers *p, struct producer_state *s, const struct batch_header *h, const struct batch_marker *m,
                         struct producer_end *ret_end) {
    s->coordinator_epoch = m->coordinator_epoch;
    if (s->txn_first < 0) return false;
    open_remove(p, s);
    *ret_end = (struct producer_end){
        .producer_id = s->id,
        .first_offset = s->txn_first,
        .last_offset = h->base_offset,
        .last_stable = producers_last_stable(p, h->base_offset + 1),
        .aborted = !m->commit_txn,
    };
    s->txn_first = -1;
    s->txn_bytes = 0;
    return true;
}

bool producers_apply(struct producers *p, const struct batch_header *h, const struct batch_marker *marker, int64_t now_ms, struct producer_end *ret_end) {
    if (h->producer_id < 0 || (!marker && h->attributes & BATCH_CONTROL)) return false;
    struct producer_state *s = find(p, h->producer_id);
    struct undo u = {.existed = s != NULL, .before = {.id = h->producer_id}};
    if (s) u.before = *s;
    VEC_PUSH(p->undo, p->undo_n, p->undo_cap, u);
    if (!s) s = insert(p, h->producer_id);
    take_epoch(s, h->producer_epoch);
    s->seen_ms = now_ms;
    s->last_timestamp = h->max_timestamp;
    if (marker) return apply_marker(p, s, h, marker, ret_end);
    if (h->base_sequence >= 0) apply_data(p, s, h);
    return false;
}

// ── undo ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

size_t producers_mark(const struct producers *p) { return p->undo_n; }

void producers_undo(struct producers *p, size_t mark) {
    while (p->undo_n > mark) {
        const struct undo *u = &p->undo[--p->undo_n];
        struct producer_state *s = find(p, u->before.id);
        if (s->txn_first >= 0) open_remove(p, s);
        if (!u->existed) {
            drop(p, s->id);
            continue;
        }
        *s = u->before;
        if (s->txn_first >= 0) open_add(p, s);
    }
}

void producers_framed(struct producers *p) {
    p->undo_n = 0;
    if (p->undo_cap <= UNDO_KEPT) return;
    free(p->undo);
    p->undo = NULL;
    p->undo_cap = 0;
}

// ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const struct producer_state *producers_get(const struct producers *p, int64_t id) { return find(p, id); }
size_t producers_count(const struct producers *p) { return p->n; }

int producers_each_open(const struct producers *p, int (*each)(void *arg, const struct producer_state *s), void *arg) {
    for (size_t i = 0; i < p->open_n; i++) {
        int stop = each(arg, p->open[i]);
        if (stop) return stop;
    }
    return 0;
}

int producers_each(const struct producers *p, int (*each)(void *arg, const struct producer_state *s), void *arg) {
    for (size_t i = 0; i < p->cap; i++) {
        int stop = p->slots[i] ? each(arg, p->slots[i]) : 0;
        if (stop) return stop;
    }
    return 0;
}

static int copy_one(void *arg, const struct producer_state *s) {
    struct producers *to = arg;
    struct producer_state *c = insert(to, s->id);
    *c = *s;
    if (c->txn_first >= 0) open_add(to, c);
    return 0;
}

struct producers *producers_copy(const struct producers *p) {
    struct producers *c = producers_new();
    producers_each(p, copy_one, c);
    return c;
}

// ── expiry ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static int by_seen(const void *a, const void *b) {
    const struct producer_state *const *x = a, *const *y = b;
    return ((*x)->seen_ms > (*y)->seen_ms) - ((*x)->seen_ms < (*y)->seen_ms);
}

void producers_expire(struct producers *p, int64_t now_ms, int64_t ttl_ms, size_t max) {
    if (!max) max = MAX_DEFAULT;
    struct producer_state **idle = NULL;
    size_t n = 0, cap = 0;
    for (size_t i = 0; i < p->cap; i++) {
        struct producer_state *s = p->slots[i];
        if (s && s->txn_first < 0 && (p->n > max || now_ms - s->seen_ms >= ttl_ms)) VEC_PUSH(idle, n, cap, s);
    }
    if (n) qsort(idle, n, sizeof(*idle), by_seen);
    for (size_t i = 0; i < n && (p->n > max || now_ms - idle[i]->seen_ms >= ttl_ms); i++) drop(p, idle[i]->id);
    free(idle);
}

// ── the snapshot file ────────────────────────────────────────────────────────────────────────────────────────────────

static void put_row(struct buf *out, const struct producer_state *s, const struct producer_batch *b, bool last) {
    buf_be64(out, (uint64_t)s->id);
    buf_be16(out, (uint16_t)s->epoch);
    buf_be32(out, (uint32_t)b->last_sequence);
    buf_be64(out, (uint64_t)b->last_offset);
    buf_be32(out, (uint32_t)b->delta);
    buf_be64(out, (uint64_t)(last ? s->last_timestamp : b->timestamp));
    buf_be32(out, (uint32_t)s->coordinator_epoch);
    buf_be64(out, (uint64_t)(last ? s->txn_first : -1));
}

static int put_rows(void *arg, const struct producer_state *s) {
    static const struct producer_batch none = {.last_offset = -1, .last_sequence = -1};
    struct buf *out = arg;
    for (unsigned i = 0; i < s->batch_count; i++) put_row(out, s, &s->batches[i], i + 1u == s->batch_count);
    if (!s->batch_count) put_row(out, s, &none, true);
    return 0;
}

void producers_snapshot(const struct producers *p, struct buf *out) {
    size_t start = out->n;
    buf_be16(out, SNAPSHOT_VERSION);
    buf_fill(out, 0, SNAPSHOT_HEAD - 2);
    producers_each(p, put_rows, out);
    if (out->bad) return;
    uint8_t *head = out->p + start;
    put_be32(head + 6, (uint32_t)((out->n - start - SNAPSHOT_HEAD) / SNAPSHOT_ROW));
    put_be32(head + 2, crc32c(0, head + 6, out->n - start - 6));
}

static void load_row(struct producers *p, struct cur *c, int64_t now_ms) {
    int64_t id = (int64_t)cur_be64(c);
    struct producer_state *s = find(p, id);
    if (!s) s = insert(p, id);
    take_epoch(s, (int16_t)cur_be16(c));
    struct producer_batch b;
    b.last_sequence = (int32_t)cur_be32(c);
    b.last_offset = (int64_t)cur_be64(c);
    b.delta = (int32_t)cur_be32(c);
    b.timestamp = s->last_timestamp = (int64_t)cur_be64(c);
    s->coordinator_epoch = (int32_t)cur_be32(c);
    if (b.last_sequence >= 0) add_batch(s, &b);
    if (s->txn_first >= 0) open_remove(p, s);
    s->txn_first = (int64_t)cur_be64(c);
    if (s->txn_first >= 0) open_add(p, s);
    s->seen_ms = now_ms;
}

int producers_load(struct producers *p, const void *bytes, size_t n, int64_t now_ms, struct err *err) {
    struct cur c = cur_of(bytes, n);
    int16_t version = (int16_t)cur_be16(&c);
    uint32_t crc = cur_be32(&c);
    if (c.bad) return err_set(err, ERR_CORRUPT, "producer snapshot of %zu bytes", n);
    if (version != SNAPSHOT_VERSION) return err_set(err, ERR_UNSUPPORTED, "producer snapshot of version %d, known is %d", version, SNAPSHOT_VERSION);
    if (crc32c(0, c.p, cur_left(&c)) != crc) return err_set(err, ERR_CORRUPT, "producer snapshot: checksum does not match");
    uint32_t rows = cur_count(&c, (int32_t)cur_be32(&c), SNAPSHOT_ROW);
    if (c.bad || cur_left(&c) != (size_t)rows * SNAPSHOT_ROW) return err_set(err, ERR_CORRUPT, "producer snapshot: %zu bytes for its rows", cur_left(&c));
    producers_reset(p);
    for (uint32_t i = 0; i < rows; i++) load_row(p, &c, now_ms);
    return 0;
}
