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

// The first reason wins. Never blocks on the flusher.
static void stop_for(struct store *s, struct partition *p, int64_t base, const char *why) {
    bool first = !p->failed;
    partition_fail(p, why, base);
    if (!first) return;
    store_event(s, STORE_EVENT_WARN, "%s-%" PRId32 " is stopped: %s", p->topic->name, p->index, why);
    checkpointer_hurry(s); // the next checkpoint keeps the reason
    atomic_store(&s->partition_failed, true);
    flusher_wake(s); // who waits for records hears of it there
}

bool segment_is_damaged(struct store *s, struct partition *p, struct segment *g) {
    char path[SEGMENT_PATH];
    struct err why;
    pthread_mutex_lock(&p->lock);
    uint64_t size = g->size;
    uint32_t crc = g->crc;
    pthread_mutex_unlock(&p->lock);
    segment_path(p, g->base, ".log", path);
    if (!check_bytes(s, path, size, crc, &why) || !is_damage(&why) || p->gone || atomic_load(&g->dropped)) return false;
    struct buf text = {0};
    buf_printf(&text, "%s: %s", path, why.msg);
    stop_for(s, p, g->base, buf_cstr(&text));
    buf_done(&text);
    return true;
}

void verify_damaged(struct store *s, struct partition *p) {
    char path[SEGMENT_PATH];
    struct err why;
    const struct segment *g = p->damaged < 0 ? NULL : p->segs[partition_find_segment(p, p->damaged)];
    if (!g) return;
    segment_path(p, g->base, ".log", path);
    if (g->base == p->damaged && check_bytes(s, path, g->size, g->crc, &why)) return;
    store_event(s, STORE_EVENT_INFO, "%s-%" PRId32 " serves again: %s is whole", p->topic->name, p->index, path);
    free(atomic_exchange(&p->failed, NULL));
    p->damaged = -1;
}

// The sealed segment at or after `base`, with a reference.
static struct segment *next_sealed(struct partition *p, int64_t base) {
    LOCK_SCOPE(&p->lock);
    if (p->gone || p->failed) return NULL;
    for (size_t i = 0; i < p->seg_count; i++)
        if (p->segs[i]->base >= base && p->segs[i]->sealed) return segment_ref(p->segs[i]);
    return NULL;
}

struct verify_round {
    struct store *s;
    struct verify_cursor *at;
    uint32_t damaged;
};

// 1 when the allowance is used up; the cursor then stands at the next segment.
static int verify_partition(struct verify_round *r, struct partition *p, int64_t base) {
    for (struct segment *g; !atomic_load(&r->s->is_stopped) && (g = next_sealed(p, base)); segment_unref(&r->s->files, g)) {
        if (r->at->allowance <= 0) {
            r->at->base = g->base;
            segment_unref(&r->s->files, g);
            return 1;
        }
        base = g->base + 1;
        r->at->allowance -= (int64_t)g->size;
        if (segment_is_damaged(r->s, p, g)) r->damaged++;
    }
    return 0;
}

static int verify_topic(void *arg, struct topic *t) {
    struct verify_round *r = arg;
    int order = strcmp(topic_name(t), r->at->topic);
    if (order < 0) return 0;
    for (int32_t i = order == 0 ? r->at->partition : 0; i < topic_partitions(t); i++) {
        int64_t base = order == 0 && i == r->at->partition ? r->at->base : 0;
        if (!verify_partition(r, topic_partition(t, i), base)) continue;
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
