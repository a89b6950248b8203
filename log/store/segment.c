// SPDX-License-Identifier: Apache-2.0
// Segments: names, files, references.
#include "segment.h"

#include <inttypes.h>
#include <stdio.h>

#include "recovery.h"

struct segment *segment_new(int64_t base, uint32_t generation) {
    struct segment *g = xcalloc(1, sizeof(*g));
    *g = (struct segment){.refs = 1, .base = base, .generation = generation, .max_ts = -1, .time = -1, .has_aborts = -1};
    return g;
}

struct segment *segment_ref(struct segment *g) {
    atomic_fetch_add_explicit(&g->refs, 1, memory_order_relaxed);
    return g;
}

void segment_unref(struct files *files, struct segment *g) {
    if (!g || atomic_fetch_sub_explicit(&g->refs, 1, memory_order_acq_rel) != 1) return;
    files_close(files, &g->file);
    index_free(g->index);
    free(g);
}

void segment_path(const struct partition *p, int64_t base, const char *suffix, char out[SEGMENT_PATH]) {
    snprintf(out, SEGMENT_PATH, "%s-%" PRId32 "/%020" PRId64 "%s", p->topic->name, p->index, base, suffix);
}

// A file of an attempt that no frame names: its removal may have been lost with the power, and a start after a clean stop does not look.
static int empty_log(struct store *s, const struct partition *p, int64_t base, struct fs_file *f, uint64_t size, struct err *err) {
    quarantine_file(s, p, base, f, 0, size);
    return s->fs->ops->truncate(f, 0, err);
}

static int create_log(struct store *s, const struct partition *p, int64_t base, struct err *err) {
    char path[SEGMENT_PATH];
    struct fs_file *f;
    struct fs_stat st;
    segment_path(p, base, ".log", path);
    if (s->fs->ops->open(s->fs, path, FS_WRITE | FS_CREATE, &f, err)) return -1;
    int failed = s->fs->ops->fstat(f, &st, err);
    if (!failed && st.size) failed = empty_log(s, p, base, f, st.size, err);
    return s->fs->ops->close(f, failed ? NULL : err) || failed ? -1 : 0;
}

static struct index_options index_options(struct store *s, const struct partition *p, const struct segment *g, char stem[SEGMENT_PATH]) {
    segment_path(p, g->base, "", stem);
    return (struct index_options){
        .fs = s->fs, .stem = stem, .base_offset = g->base, .interval = (uint32_t)topic_settings(p->topic)->index_interval_bytes};
}

int segment_create_files(struct store *s, struct partition *p, struct segment *g, struct err *err) {
    char stem[SEGMENT_PATH];
    if (create_log(s, p, g->base, err)) return -1;
    struct index_options o = index_options(s, p, g, stem);
    return index_create(&o, &g->index, err);
}

int segment_create_again(struct store *s, struct partition *p, struct segment *g, struct err *err) {
    struct segment *stand_in = segment_new(g->base, g->generation); // an index is set under the lock, and never changed
    files_close(&s->files, &g->file);
    int failed = segment_create_files(s, p, stand_in, err);
    segment_unref(&s->files, stand_in);
    return failed;
}

static int unlink_one(struct store *s, const struct partition *p, int64_t base, const char *suffix, struct err *err) {
    char path[SEGMENT_PATH];
    struct err why = {0};
    segment_path(p, base, suffix, path);
    if (!s->fs->ops->unlink(s->fs, path, &why) || why.code == ERR_NOT_FOUND) return 0;
    if (err) *err = why;
    return -1;
}

int segment_unlink_files(struct store *s, const struct partition *p, int64_t base, struct err *err) {
    static const char *const suffixes[] = {".index", ".timeindex", ".txnindex", ".snapshot", ".log"};
    int failed = 0;
    for (size_t i = 0; i < countof(suffixes); i++) failed |= unlink_one(s, p, base, suffixes[i], err);
    return failed ? -1 : 0;
}

int segment_open(struct store *s, const struct partition *p, struct segment *g, struct open_file **ret, struct err *err) {
    char path[SEGMENT_PATH];
    segment_path(p, g->base, ".log", path);
    return files_get(&s->files, &g->file, path, g->sealed ? FS_READ : FS_WRITE, ret, err);
}

// What the files hold, cut to the durable end and extended to it; made anew when they are missing or damaged.
static int load_index(struct store *s, const struct index_options *o, const struct partition *p, struct segment *g, struct fs_file *log, struct index **ret, struct err *err) {
    struct index *x;
    int64_t end = g == partition_active(p) ? p->hw : INT64_MAX;
    if (!index_open(o, &x, NULL)) {
        if (!index_cut(x, end, g->size, NULL) && !index_extend(x, log, g->size, NULL)) {
            *ret = x;
            return 0;
        }
        index_free(x);
    }
    s->indexes_made++;
    if (index_create(o, &x, err)) return -1;
    if (index_extend(x, log, g->size, err)) {
        index_free(x);
        return -1;
    }
    *ret = x;
    return 0;
}

int segment_active_index(struct store *s, struct partition *p, struct segment *g, struct err *err) {
    char stem[SEGMENT_PATH];
    struct open_file *f;
    struct index *x = NULL;
    if (g->index) return 0;
    pthread_mutex_lock(&p->lock);
    int failed = segment_open(s, p, g, &f, err);
    pthread_mutex_unlock(&p->lock);
    if (failed) return -1;
    struct index_options o = index_options(s, p, g, stem);
    failed = load_index(s, &o, p, g, f->f, &x, err);
    files_put(&s->files, f);
    if (failed) return err_wrap(err, "index of %s", stem);
    LOCK_SCOPE(&p->lock);
    g->index = x;
    return 0;
}

struct index *segment_index(struct partition *p, struct segment *g) {
    LOCK_SCOPE(&p->lock);
    return index_ref(g->index);
}

void segment_forget_index(struct partition *p, struct segment *g) {
    pthread_mutex_lock(&p->lock);
    struct index *x = g->index;
    g->index = NULL;
    pthread_mutex_unlock(&p->lock);
    index_free(x);
}

static int make_index(struct store *s, const struct partition *p, const struct segment *g, struct err *err) {
    char stem[SEGMENT_PATH], path[SEGMENT_PATH];
    struct index_options o = index_options(s, p, g, stem);
    struct fs_file *log;
    struct index *x;
    segment_path(p, g->base, ".log", path);
    if (index_create(&o, &x, err)) return -1;
    int failed = s->fs->ops->open(s->fs, path, FS_READ, &log, err);
    if (!failed) {
        failed = index_extend(x, log, g->size, err) || index_seal(x, err);
        s->fs->ops->close(log, NULL);
    }
    index_free(x);
    return failed ? -1 : 0;
}

static void remove_index(struct store *s, const struct partition *p, const struct segment *g) {
    (void)unlink_one(s, p, g->base, ".index", NULL);
    (void)unlink_one(s, p, g->base, ".timeindex", NULL);
}

void segment_renew_index(struct store *s, const struct partition *p, const struct segment *g, const struct err *why) {
    char stem[SEGMENT_PATH];
    struct err err;
    segment_path(p, g->base, "", stem);
    remove_index(s, p, g); // pages of a failed sync may count as clean
    int failed = make_index(s, p, g, &err);
    if (failed) remove_index(s, p, g);
    store_event(s, STORE_EVENT_WARN, "index of %s: %s; it %s", stem, why->msg,
                failed ? "is gone, and reads there begin at its start" : "was made anew");
}
