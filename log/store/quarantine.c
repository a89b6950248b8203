// SPDX-License-Identifier: Apache-2.0
// What recovery cuts is kept in quarantine/, up to a budget; the oldest go. What somebody accepted as lost is kept there until he removes it.
//
// Names begin with a number that only rises: <12 digits>-<topic>-<n>-<base>-<position>.bytes, or .damaged.
#include <inttypes.h>
#include <stdio.h>

#include "recovery.h"
#include "window.h"

#define FOLDER "quarantine"
enum { CHUNK = 256 * 1024 };

struct kept {
    struct store *s;
    char oldest[SEGMENT_PATH];
    uint64_t bytes;
};

static uint64_t size_of(struct store *s, const char *name) {
    char path[SEGMENT_PATH + 16];
    struct fs_stat st;
    snprintf(path, sizeof(path), FOLDER "/%s", name);
    return s->fs->ops->stat(s->fs, path, &st, NULL) ? 0 : st.size;
}

static int note_file(void *arg, const char *name) {
    struct kept *k = arg;
    int64_t number;
    if (!str_to_i64(str_first(str_of(name), 12), &number)) return 0;
    if (k->s->quarantine_number <= (uint64_t)number) k->s->quarantine_number = (uint64_t)number + 1;
    if (!str_ends(str_of(name), STR(".bytes"))) return 0;
    if (!*k->oldest && strlen(name) < sizeof(k->oldest)) memcpy(k->oldest, name, strlen(name) + 1); // listed in byte order
    k->bytes += size_of(k->s, name);
    return 0;
}

// Lets the oldest go until n bytes fit.
static void make_room(struct store *s, uint64_t n) {
    for (;;) {
        struct kept k = {.s = s};
        char path[SEGMENT_PATH + 16];
        if (s->fs->ops->list(s->fs, FOLDER, note_file, &k, NULL) || k.bytes + n <= s->o.quarantine_bytes || !*k.oldest) return;
        uint64_t gone = size_of(s, k.oldest);
        snprintf(path, sizeof(path), FOLDER "/%s", k.oldest);
        if (s->fs->ops->unlink(s->fs, path, NULL)) return;
        atomic_fetch_add(&s->quarantine_dropped, gone);
        store_event(s, STORE_EVENT_WARN, "quarantine is full: %s with %" PRIu64 " bytes was let go", k.oldest, gone);
    }
}

// `suffix`: bytes, damaged. The path goes into *path, when it is not NULL.
static int open_new(struct store *s, const struct partition *p, int64_t base, uint64_t at, const char *suffix, struct buf *path,
                    struct fs_file **ret, struct err *err) {
    char name[SEGMENT_PATH + 64];
    if (fs_mkdirs(s->fs, FOLDER, err)) return -1;
    snprintf(name, sizeof(name), FOLDER "/%012" PRIu64 "-%.200s-%" PRId32 "-%" PRId64 "-%" PRIu64 ".%s", s->quarantine_number++,
             p->topic->name, p->index, base, at, suffix);
    if (path) buf_clear(path), buf_putz(path, name);
    return s->fs->ops->open(s->fs, name, FS_WRITE | FS_CREATE | FS_TRUNC, ret, err);
}

static int copy(struct store *s, struct fs_file *from, uint64_t at, uint64_t n, struct fs_file *to, struct err *err) {
    _cleanup_free_ uint8_t *chunk = xmalloc(CHUNK);
    for (uint64_t done = 0, lost = 0; done < n;) {
        size_t part = n - done < CHUNK ? (size_t)(n - done) : CHUNK;
        if (read_what_can(s->fs, from, chunk, part, at + done, &lost, err) < 0 || fs_pwrite(s->fs, to, chunk, part, done, err)) return -1;
        done += part;
    }
    return s->fs->ops->fdatasync(to, err);
}

static void told(struct store *s, const struct partition *p, uint64_t n, const struct err *err) {
    if (!err) atomic_fetch_add(&s->quarantined, n);
    else
        store_event(s, STORE_EVENT_WARN, "%s-%" PRId32 ": %" PRIu64 " bytes that were never acknowledged could not be kept in quarantine: %s", p->topic->name,
                    p->index, n, err->msg);
}

void quarantine_file(struct store *s, const struct partition *p, int64_t base, struct fs_file *f, uint64_t from, uint64_t to) {
    struct fs_file *out;
    struct err err;
    uint64_t n = to - from < s->o.quarantine_bytes ? to - from : s->o.quarantine_bytes;
    make_room(s, n);
    int failed = open_new(s, p, base, from, "bytes", NULL, &out, &err);
    if (!failed) {
        failed = copy(s, f, from, n, out, &err);
        s->fs->ops->close(out, NULL);
    }
    if (!failed) failed = s->fs->ops->sync_dir(s->fs, FOLDER, &err);
    told(s, p, n, failed ? &err : NULL);
}

void quarantine_bytes(struct store *s, const struct partition *p, int64_t base, uint64_t at, const void *bytes, size_t n) {
    struct fs_file *out;
    struct err err;
    make_room(s, n);
    int failed = open_new(s, p, base, at, "bytes", NULL, &out, &err);
    if (!failed) {
        failed = fs_pwrite(s->fs, out, bytes, n, 0, &err) || s->fs->ops->fdatasync(out, &err);
        s->fs->ops->close(out, NULL);
    }
    if (!failed) failed = s->fs->ops->sync_dir(s->fs, FOLDER, &err);
    told(s, p, n, failed ? &err : NULL);
}

int quarantine_keep(struct store *s, const struct partition *p, int64_t base, struct fs_file *f, uint64_t from, uint64_t to,
                    struct buf *path, struct err *err) {
    struct fs_file *out;
    struct kept k = {.s = s};
    (void)!s->fs->ops->list(s->fs, FOLDER, note_file, &k, NULL); // the next number; it may not be there yet
    if (open_new(s, p, base, from, "damaged", path, &out, err)) return -1;
    int failed = copy(s, f, from, to - from, out, err);
    if (s->fs->ops->close(out, failed ? NULL : err) && !failed) failed = -1;
    if (!failed) failed = s->fs->ops->sync_dir(s->fs, FOLDER, err);
    if (failed) s->fs->ops->unlink(s->fs, buf_cstr(path), NULL);
    else told(s, p, to - from, NULL);
    return failed;
}
