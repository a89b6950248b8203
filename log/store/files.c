// SPDX-License-Identifier: Apache-2.0
// The cache of open segment files.
#include "files.h"

#include "base/mem.h"

void files_init(struct files *x, struct fs *fs, size_t limit) {
    *x = (struct files){.fs = fs, .limit = limit};
    pthread_mutex_init(&x->lock, NULL);
    x->idle.newer = x->idle.older = &x->idle;
}

static void ring_remove(struct open_file *f) {
    f->newer->older = f->older;
    f->older->newer = f->newer;
}

static void ring_add_newest(struct files *x, struct open_file *f) {
    f->newer = &x->idle;
    f->older = x->idle.older;
    f->older->newer = f;
    x->idle.older = f;
}

// Takes an unreferenced file out; the caller closes it without the lock.
static struct open_file *take_out(struct files *x, struct open_file *f) {
    ring_remove(f);
    if (f->slot) f->slot->open = NULL;
    x->n--;
    return f;
}

static void close_file(struct files *x, struct open_file *f) {
    x->fs->ops->close(f->f, NULL); // nothing unsynced is in it
    free(f);
}

static struct open_file *surplus(struct files *x) {
    LOCK_SCOPE(&x->lock);
    return x->n > x->limit && x->idle.newer != &x->idle ? take_out(x, x->idle.newer) : NULL;
}

static void trim(struct files *x) {
    for (struct open_file *f; (f = surplus(x));) close_file(x, f);
}

void files_done(struct files *x) {
    while (x->idle.newer != &x->idle) close_file(x, take_out(x, x->idle.newer));
    pthread_mutex_destroy(&x->lock);
}

static struct open_file *get_open(struct files *x, struct file_slot *slot) {
    LOCK_SCOPE(&x->lock);
    struct open_file *f = slot->open;
    if (f && !f->refs++) ring_remove(f);
    return f;
}

int files_get(struct files *x, struct file_slot *slot, const char *path, int flags, struct open_file **ret, struct err *err) {
    struct open_file *f = get_open(x, slot);
    if (!f) {
        struct fs_file *file;
        if (x->fs->ops->open(x->fs, path, flags, &file, err)) return -1;
        f = xmalloc(sizeof(*f));
        *f = (struct open_file){.f = file, .slot = slot, .refs = 1};
        pthread_mutex_lock(&x->lock);
        slot->open = f;
        x->n++;
        pthread_mutex_unlock(&x->lock);
        trim(x);
    }
    *ret = f;
    return 0;
}

void files_put(struct files *x, struct open_file *f) {
    pthread_mutex_lock(&x->lock);
    bool last = !--f->refs;
    if (last) ring_add_newest(x, f);
    if (last && !f->slot) take_out(x, f);
    bool gone = last && !f->slot, over = x->n > x->limit;
    pthread_mutex_unlock(&x->lock);
    if (gone) close_file(x, f);
    if (over) trim(x);
}

void files_close(struct files *x, struct file_slot *slot) {
    pthread_mutex_lock(&x->lock);
    struct open_file *f = slot->open;
    slot->open = NULL;
    if (f) f->slot = NULL;
    bool gone = f && !f->refs;
    if (gone) take_out(x, f);
    pthread_mutex_unlock(&x->lock);
    if (gone) close_file(x, f);
}

bool files_crowded(struct files *x) {
    LOCK_SCOPE(&x->lock);
    return x->n > x->limit;
}

size_t files_count(struct files *x) {
    LOCK_SCOPE(&x->lock);
    return x->n;
}
