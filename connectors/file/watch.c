// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "watch.h"

struct directory { int wd; char *path; };

struct watch {
    int fd;
    struct directory *directories;
    uint32_t directory_count, directory_cap;
    uint32_t moved_cookie;        // of the half of a rename that came already
    char moved_from[PATH_MAX];
};

struct watch *watch_new(void) {
    struct watch *w = calloc(1, sizeof *w);
    if (w) w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return w;
}

void watch_free(struct watch *w) {
    if (!w) return;
    for (uint32_t i = 0; i < w->directory_count; i++) free(w->directories[i].path);
    free(w->directories);
    if (w->fd >= 0) close(w->fd);
    free(w);
}

bool watch_works(const struct watch *w) { return w->fd >= 0; }
int watch_fd(const struct watch *w) { return w->fd; }

int watch_file(struct watch *w, int fd, bool *ret_full) {
    char path[64];
    if (w->fd < 0) return -1;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd); // by descriptor: the path may already be another file's
    int wd = inotify_add_watch(w->fd, path, IN_MODIFY | IN_ATTRIB | IN_MOVE_SELF);
    if (wd < 0 && (errno == ENOSPC || errno == ENOMEM)) *ret_full = true;
    return wd;
}

void watch_forget(struct watch *w, int wd) {
    if (w->fd >= 0 && wd >= 0) inotify_rm_watch(w->fd, wd);
}

static struct directory *directory_of(struct watch *w, int wd) {
    for (uint32_t i = 0; i < w->directory_count; i++)
        if (w->directories[i].wd == wd) return &w->directories[i];
    return NULL;
}

static void forget_directory(struct watch *w, struct directory *d) {
    free(d->path);
    *d = w->directories[--w->directory_count];
}

bool watch_directory(struct watch *w, const char *path) {
    if (w->fd < 0) return true;
    int wd = inotify_add_watch(w->fd, path, IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_MOVE_SELF | IN_DELETE_SELF | IN_ONLYDIR);
    if (wd < 0) return errno != ENOSPC && errno != ENOMEM;
    struct directory *d = directory_of(w, wd);
    if (d && strcmp(d->path, path) == 0) return true;
    char *copy = strdup(path);
    if (!copy) abort();
    if (d) { // the same directory under another name
        free(d->path);
        d->path = copy;
        return true;
    }
    if (w->directory_count == w->directory_cap) {
        w->directory_cap = w->directory_cap ? w->directory_cap * 2 : 16;
        w->directories = realloc(w->directories, w->directory_cap * sizeof *w->directories);
        if (!w->directories) abort();
    }
    w->directories[w->directory_count++] = (struct directory){wd, copy};
    return true;
}

static void on_directory(struct watch *w, struct directory *d, const struct inotify_event *e, const struct watch_events *to) {
    char path[PATH_MAX];
    if (e->mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) {
        if (e->mask & IN_MOVE_SELF) inotify_rm_watch(w->fd, e->wd);
        forget_directory(w, d);
        to->overflow(to->arg);
        return;
    }
    if (!e->len || (size_t)snprintf(path, sizeof path, "%s/%s", strcmp(d->path, "/") == 0 ? "" : d->path, e->name) >= sizeof path) return;
    if (e->mask & IN_MOVED_FROM) {
        w->moved_cookie = e->cookie;
        memcpy(w->moved_from, path, sizeof path);
        to->gone(to->arg, path);
    } else if ((e->mask & IN_MOVED_TO) && e->cookie == w->moved_cookie) {
        w->moved_cookie = 0;
        to->moved(to->arg, w->moved_from, path);
    } else if (e->mask & (IN_CREATE | IN_MOVED_TO)) {
        to->entry(to->arg, path);
    } else if (e->mask & IN_DELETE) {
        to->gone(to->arg, path);
    }
}

static void on_event(struct watch *w, const struct inotify_event *e, const struct watch_events *to) {
    struct directory *d;
    if (e->mask & IN_Q_OVERFLOW) to->overflow(to->arg);
    else if ((d = directory_of(w, e->wd))) on_directory(w, d, e, to);
    else if (!(e->mask & IN_IGNORED)) to->file(to->arg, e->wd);
}

void watch_drain(struct watch *w, const struct watch_events *to) {
    union { struct inotify_event align; char bytes[32768]; } buffer;
    ssize_t n;
    if (w->fd < 0) return;
    while ((n = read(w->fd, buffer.bytes, sizeof buffer.bytes)) > 0)
        for (char *p = buffer.bytes; p < buffer.bytes + n;) {
            const struct inotify_event *e = (const struct inotify_event *)(void *)p;
            on_event(w, e, to);
            p += sizeof *e + e->len;
        }
}
