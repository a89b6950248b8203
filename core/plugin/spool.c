// SPDX-License-Identifier: Apache-2.0
#include "plugin/spool.h"

#include <errno.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/thread.h"

struct spool {
    pthread_mutex_t lock; // guards made
    char *dir;
    bool made;
    int64_t max;
    _Atomic int64_t used;
};

static char *folder_of(const char *root, const char *connector) {
    struct buf b = {0};
    buf_printf(&b, "%s/", root);
    for (const char *c = connector; *c; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || (*c >= '0' && *c <= '9') || *c == '_' || *c == '-' || (*c == '.' && c != connector);
        if (plain) buf_u8(&b, (uint8_t)*c);
        else buf_printf(&b, "%%%02X", (unsigned char)*c);
    }
    buf_u8(&b, 0);
    return (char *)b.p;
}

struct spool *spool_new(const char *root, const char *connector, int64_t max_bytes) {
    struct spool *s = xcalloc(1, sizeof *s);
    pthread_mutex_init(&s->lock, NULL);
    s->dir = folder_of(root, connector);
    s->max = max_bytes;
    return s;
}
void spool_free(struct spool *s) {
    if (!s) return;
    pthread_mutex_destroy(&s->lock);
    free(s->dir);
    free(s);
}

// nftw has no argument: the sum of the walk of this thread.
static __thread int64_t walked;
static int add_size(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)path, (void)ftw;
    if (flag == FTW_F) walked += st->st_size;
    return 0;
}

const char *spool_dir(struct spool *s, struct err *err) {
    LOCK_SCOPE(&s->lock);
    if (s->made) return s->dir;
    for (char *slash = strchr(s->dir + 1, '/'); ; slash = strchr(slash + 1, '/')) {
        if (slash) *slash = 0;
        int rc = mkdir(s->dir, 0700) != 0 && errno != EEXIST ? -1 : 0;
        int sys = errno;
        if (rc != 0) err_sys(err, sys, "spool folder %s", s->dir);
        if (slash) *slash = '/';
        if (rc != 0) return NULL;
        if (!slash) break;
    }
    walked = 0;
    (void)nftw(s->dir, add_size, 16, FTW_PHYS);
    atomic_fetch_add(&s->used, walked);
    s->made = true;
    return s->dir;
}

int spool_account(struct spool *s, int64_t delta) {
    int64_t used = atomic_load(&s->used);
    do {
        if (delta > 0 && (used > s->max || delta > s->max - used)) return -1;
    } while (!atomic_compare_exchange_weak(&s->used, &used, used + delta));
    return 0;
}
int64_t spool_used(struct spool *s) { return atomic_load(&s->used); }

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw) {
    (void)st, (void)flag, (void)ftw;
    return remove(path);
}
int spool_remove(const char *root, const char *connector, struct err *err) {
    _cleanup_free_ char *dir = folder_of(root, connector);
    if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0 || errno == ENOENT) return 0;
    return err_sys(err, errno, "remove spool folder %s", dir);
}
