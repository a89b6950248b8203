// SPDX-License-Identifier: Apache-2.0
// Durable bytes held against the checksums the catalogue has of them.
//
// A file is read through a handle of its own and its pages are let go again, so that what readers have in the cache stays there. A segment
// that was rewritten or dropped meanwhile proves nothing. A partition whose bytes are damaged stops; the others go on.
#include "verify.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>

#include "checkpointer.h"
#include "flusher.h"

enum { CHUNK = 256 * 1024 };

static void let_go(struct store *s, struct fs_file *f, uint64_t at, size_t n) {
    int fd = s->fs->ops->fd(f);
    if (fd >= 0) (void)posix_fadvise(fd, (off_t)at, (off_t)n, POSIX_FADV_DONTNEED);
}

static int read_crc(struct store *s, struct fs_file *f, uint64_t size, uint32_t *ret, struct err *err) {
    _cleanup_free_ uint8_t *chunk = xmalloc(CHUNK);
    uint32_t crc = 0;
    for (uint64_t at = 0; at < size; at += CHUNK) {
        size_t n = size - at < CHUNK ? (size_t)(size - at) : CHUNK;
        if (atomic_load(&s->is_stopped)) return err_set(err, ERR_STOPPED, "the log is stopped");
        if (fs_pread_full(s->fs, f, chunk, n, at, err)) return -1;
        crc = crc32c(crc, chunk, n);
        let_go(s, f, at, n);
    }
    *ret = crc;
    return 0;
}

static int check_bytes(struct store *s, const char *path, uint64_t size, uint32_t want, struct err *err) {
    struct fs_file *f;
    uint32_t is = 0;
    if (s->fs->ops->open(s->fs, path, FS_READ, &f, err)) return -1;
    int failed = read_crc(s, f, size, &is, err);
    s->fs->ops->close(f, NULL);
    if (failed || is == want) return failed;
    return err_set(err, ERR_CORRUPT, "checksum of its %" PRIu64 " durable bytes is %08x, %08x was written", size, is, want);
}

static bool is_damage(const struct err *err) { return err->code == ERR_CORRUPT || err->code == ERR_NOT_FOUND; }

void partition_stop(struct store *s, struct partition *p, int64_t base, const char *why) {
    bool first = !p->failed;
    partition_fail(p, why, base);
    if (!first) return;
    store_event(s, STORE_EVENT_WARN, "%s-%" PRId32 " is stopped: %s; `connectd log-repair show %s-%" PRId32 "` says how to go on",
                p->topic->name, p->index, why, p->topic->name, p->index);
    checkpointer_hurry(s); // the next checkpoint keeps the reason
    atomic_store(&s->partition_failed, true);
    flusher_wake(s); // who waits for records hears of it there
}

enum finding { WHOLE, DAMAGED, UNKNOWN };

// `met`: how it was noticed, or NULL.
static enum finding check_segment(struct store *s, struct partition *p, struct segment *g, const char *met) {
    char path[SEGMENT_PATH];
    struct err why;
    pthread_mutex_lock(&p->lock);
    uint64_t size = g->size;
    uint32_t crc = g->crc;
    pthread_mutex_unlock(&p->lock);
    segment_path(p, g->base, ".log", path);
    bool whole = !check_bytes(s, path, size, crc, &why);
    if (p->gone || atomic_load(&g->dropped)) return UNKNOWN;
    if (whole || !is_damage(&why)) return whole ? WHOLE : UNKNOWN;
    struct buf text = {0};
    buf_printf(&text, "%s: %s", path, why.msg);
    partition_stop(s, p, g->base, met ? met : buf_cstr(&text));
    buf_done(&text);
    return DAMAGED;
}

bool segment_is_damaged(struct store *s, struct partition *p, struct segment *g) { return check_segment(s, p, g, NULL) == DAMAGED; }

// A file can be what was written and hold a damaged batch all the same, when the bytes went wrong in memory before.
bool verify_met(struct store *s, struct partition *p, struct segment *g, bool again, struct err *err) {
    if (!is_damage(err)) return false;
    enum finding f = check_segment(s, p, g, err->msg);
    if (f == WHOLE && again) partition_stop(s, p, -1, err->msg);
    return partition_health(p, err) != 0;
}

void verify_damaged(struct store *s, struct partition *p) {
    char path[SEGMENT_PATH];
    struct err why;
    const struct segment *g = p->damaged < 0 ? NULL : p->segs[partition_find_segment(p, p->damaged)];
    if (!g) return;
    segment_path(p, g->base, ".log", path);
    if (g->base == p->damaged && check_bytes(s, path, g->size, g->crc, &why)) return;
    store_event(s, STORE_EVENT_INFO, "%s-%" PRId32 " serves again: %s is whole", p->topic->name, p->index, path);
    partition_serve_again(p);
}

// ── after a clean start ──────────────────────────────────────────────────────────────────────────────────────────────

struct present { int64_t *bases; size_t n, at; };

// Names come in byte order, so those of segments in the order of their bases. 1: the next segment is not there.
static int is_present(void *arg, const char *name) {
    struct present *x = arg;
    struct str s = str_of(name);
    int64_t base;
    if (x->at == x->n || !str_eqz(str_from(s, 20), ".log") || !str_to_i64(str_first(s, 20), &base)) return 0;
    if (base == x->bases[x->at]) x->at++;
    return x->at < x->n && base > x->bases[x->at];
}

static struct present expect(struct partition *p) {
    LOCK_SCOPE(&p->lock);
    if (p->gone || p->failed) return (struct present){0};
    struct present x = {.bases = xcalloc(p->seg_count, sizeof(*x.bases)), .n = p->seg_count};
    for (size_t i = 0; i < x.n; i++) x.bases[i] = p->segs[i]->base;
    return x;
}

// The first segment whose file is not there, with a reference; NULL when all are, or nobody knows, or it has gone meanwhile.
static struct segment *find_missing(struct store *s, struct partition *p) {
    char folder[SEGMENT_PATH];
    struct present x = expect(p);
    struct err err;
    partition_folder(p, folder);
    bool known = x.n && (s->fs->ops->list(s->fs, folder, is_present, &x, &err) >= 0 || err.code == ERR_NOT_FOUND);
    int64_t base = known && x.at < x.n ? x.bases[x.at] : -1;
    free(x.bases);
    if (base < 0) return NULL;
    LOCK_SCOPE(&p->lock);
    struct segment *g = p->segs[partition_find_segment(p, base)];
    return g->base == base && !p->gone ? segment_ref(g) : NULL;
}

struct making { struct partition *p; struct segment *seg; bool made; };

// On the flusher's thread, which alone appends to it.
static int make_again(struct store *s, void *arg, struct err *err) {
    struct making *m = arg;
    char path[SEGMENT_PATH];
    struct fs_stat st;
    segment_path(m->p, m->seg->base, ".log", path);
    if (m->seg->size || m->p->gone || !s->fs->ops->stat(s->fs, path, &st, NULL)) return 0;
    partition_folder(m->p, path);
    m->made = !segment_create_again(s, m->p, m->seg, err) && !s->fs->ops->sync_dir(s->fs, path, err);
    return 0;
}

void verify_present(struct store *s, struct partition *p) {
    struct segment *g = find_missing(s, p);
    struct making m = {p, g, false};
    struct err err;
    if (!g) return;
    if (store_call(s, make_again, &m, false, &err) || !m.made) segment_is_damaged(s, p, g);
    segment_unref(&s->files, g);
    if (m.made) verify_present(s, p); // another one may be missing, too
}

// ── in the background ────────────────────────────────────────────────────────────────────────────────────────────────

// The segment with bytes at or after `base`, with a reference. Of the active one what is durable by now is checked: it does not change any more.
static struct segment *next_segment(struct partition *p, int64_t base, uint64_t *ret_size) {
    LOCK_SCOPE(&p->lock);
    if (p->gone || p->failed) return NULL;
    for (size_t i = 0; i < p->seg_count; i++) {
        *ret_size = p->segs[i]->size;
        if (MUTANT("active-not-checked") && !p->segs[i]->sealed) continue;
        if (p->segs[i]->base >= base && *ret_size) return segment_ref(p->segs[i]);
    }
    return NULL;
}

struct verify_round {
    struct store *s;
    struct verify_cursor *at;
    uint32_t damaged;
};

// 1 when the allowance is used up; the cursor then stands at the next segment.
static int verify_from(struct verify_round *r, struct partition *p, int64_t base) {
    uint64_t size;
    for (struct segment *g; !atomic_load(&r->s->is_stopped) && (g = next_segment(p, base, &size)); segment_unref(&r->s->files, g)) {
        if (r->at->allowance <= 0) {
            r->at->base = g->base;
            segment_unref(&r->s->files, g);
            return 1;
        }
        base = g->base + 1;
        r->at->allowance -= (int64_t)size;
        if (segment_is_damaged(r->s, p, g)) r->damaged++;
    }
    return 0;
}

void verify_partition(struct store *s, struct partition *p) {
    struct verify_cursor all = {.allowance = INT64_MAX};
    struct verify_round r = {.s = s, .at = &all};
    verify_from(&r, p, 0);
}

static int verify_topic(void *arg, struct topic *t) {
    struct verify_round *r = arg;
    int order = strcmp(topic_name(t), r->at->topic);
    if (order < 0) return 0;
    for (int32_t i = order == 0 ? r->at->partition : 0; i < topic_partitions(t); i++) {
        int64_t base = order == 0 && i == r->at->partition ? r->at->base : 0;
        if (!verify_from(r, topic_partition(t, i), base)) continue;
        snprintf(r->at->topic, sizeof(r->at->topic), "%s", topic_name(t));
        r->at->partition = i;
        return 1;
    }
    return atomic_load(&r->s->is_stopped);
}

uint32_t verify_some(struct store *s, struct verify_cursor *at, int64_t bytes) {
    struct verify_round r = {.s = s, .at = at};
    at->allowance += bytes;
    if (at->allowance <= 0 || store_topics(s, verify_topic, &r)) return r.damaged;
    // Through: what was read beyond the allowance is owed, what is left of it is not saved up.
    *at = (struct verify_cursor){.rounds = at->rounds + 1, .allowance = at->allowance < 0 ? at->allowance : 0};
    return r.damaged;
}

void verify_for(struct store *s, struct verify_cursor *at, int64_t ms) {
    if (ms > 0) verify_some(s, at, (int64_t)(s->o.verify_bytes / 1000) * ms);
}
