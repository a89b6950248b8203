// SPDX-License-Identifier: Apache-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <connectd/sdk.h>

#include "track.h"

enum { HOLD_MS = 5000, TIMER_MS = 200, RESCAN_MS = 50 };

static int64_t now_ms(const struct track *t) { return t->host->ops->monotonic_ms(t->host); }

static char *dup_or_abort(const char *z) {
    char *p = strdup(z);
    if (!p) abort();
    return p;
}

static void *grown(void *p, uint32_t n, uint32_t *cap, size_t item) {
    if (n < *cap) return p;
    *cap = *cap ? *cap * 2 : 16;
    p = realloc(p, *cap * item);
    if (!p) abort();
    return p;
}

// ── the table ──

static uint32_t inode_slot(uint64_t device, uint64_t inode) { return (uint32_t)((inode ^ device * 31) * 0x9e3779b97f4a7c15u >> 40) % TRACK_TABLE; }

static struct tailed *find_inode(struct track *t, uint64_t device, uint64_t inode) {
    struct tailed *f = t->by_inode[inode_slot(device, inode)];
    while (f && (f->device != device || f->inode != inode)) f = f->next_inode;
    return f;
}

static struct tailed *find_wd(struct track *t, int wd) {
    struct tailed *f = t->by_wd[(uint32_t)wd % TRACK_TABLE];
    while (f && f->wd != wd) f = f->next_wd;
    return f;
}

static void table_add(struct track *t, struct tailed *f) {
    struct tailed **slot = &t->by_inode[inode_slot(f->device, f->inode)];
    f->next_inode = *slot;
    *slot = f;
    if (f->wd >= 0) {
        slot = &t->by_wd[(uint32_t)f->wd % TRACK_TABLE];
        f->next_wd = *slot;
        *slot = f;
    }
    t->files = grown(t->files, t->file_count, &t->file_cap, sizeof *t->files);
    t->files[t->file_count++] = f;
}

static void table_remove(struct track *t, struct tailed *f) {
    struct tailed **at = &t->by_inode[inode_slot(f->device, f->inode)];
    while (*at != f) at = &(*at)->next_inode;
    *at = f->next_inode;
    if (f->wd >= 0) {
        at = &t->by_wd[(uint32_t)f->wd % TRACK_TABLE];
        while (*at != f) at = &(*at)->next_wd;
        *at = f->next_wd;
    }
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->file_count; i++) {
        if (t->files[i] == f) continue;
        if (t->files[i]->behind == f) t->files[i]->behind = NULL;
        if (t->files[i]->copy_of == f) t->files[i]->copy_of = NULL;
        t->files[kept++] = t->files[i];
    }
    t->file_count = kept;
}

static void tailed_free(struct track *t, struct tailed *f) {
    watch_forget(t->watch, f->wd);
    if (f->fd >= 0) {
        close(f->fd);
        t->open_count--;
    }
    free((char *)(uintptr_t)f->path.text);
    free(f);
}

static void set_path(struct tailed *f, const char *path) {
    free((char *)(uintptr_t)f->path.text);
    f->path = (struct line_path){.text = dup_or_abort(path)};
}

static void drop_position(struct track *t, uint64_t device, uint64_t inode) {
    t->dropped = grown(t->dropped, t->dropped_count, &t->dropped_cap, sizeof *t->dropped);
    t->dropped[t->dropped_count++] = (struct file_id){device, inode};
}

void track_forget(struct track *t, struct tailed *f) {
    drop_position(t, f->device, f->inode);
    table_remove(t, f);
    tailed_free(t, f);
}

// ── opening ──

const char *track_unreadable_hint(const char *path) {
    if (strncmp(path, "/home/", 6) == 0 || strncmp(path, "/root/", 6) == 0 || strncmp(path, "/run/user/", 10) == 0)
        return "under systemd install the drop-in tail-home.conf (ProtectHome=read-only)";
    return "let the daemon's user read it, by a group (SupplementaryGroups=) or an ACL";
}

// Once a path, as long as it is among the last to be complained of.
static void complain(struct track *t, const char *path, int error) {
    uint64_t hash = 1;
    for (const char *c = path; *c; c++) hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    for (int i = 0; i < TRACK_DENIED; i++)
        if (t->denied[i] == hash) return;
    t->denied[t->denied_next++ % TRACK_DENIED] = hash;
    bool denied = error == EACCES || error == EPERM;
    cn_log(t->host, CN_LOG_WARN, "can not read %s: %s%s%s", path, strerror(error), denied ? "; " : "", denied ? track_unreadable_hint(path) : "");
}

static void on_denied(void *arg, const char *path, int error) { complain(arg, path, error); }

// Makes room for one more descriptor by closing the file that has been quiet longest, which is read to its end and still at its place.
static bool make_room(struct track *t) {
    struct tailed *oldest = NULL;
    if (t->open_count < t->options.max_open) return true;
    for (uint32_t i = 0; i < t->file_count; i++) {
        struct tailed *f = t->files[i];
        if (f->fd < 0 || f->dirty || f->left || f->copy_of || f->pending) continue;
        if (!oldest || f->grew_ms < oldest->grew_ms) oldest = f;
    }
    if (!oldest) {
        if (!t->open_full) cn_log(t->host, CN_LOG_WARN, "%u files are open and none is read to its end; others wait (max.open.files)", t->open_count);
        t->open_full = t->want_room = true;
        return false;
    }
    t->open_full = false;
    close(oldest->fd);
    oldest->fd = -1;
    t->open_count--;
    return true;
}

// A regular file, opened for reading without waiting and without becoming anyone's terminal. -1 with errno.
static int open_regular(struct track *t, const char *path, struct stat *ret) {
    if (!make_room(t)) {
        errno = EBUSY;
        return -1;
    }
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, ret) == 0 && S_ISREG(ret->st_mode)) return fd;
    int error = fd >= 0 ? EINVAL : errno;
    if (fd >= 0) close(fd);
    errno = error;
    return -1;
}

static bool same_file(const struct stat *st, uint64_t device, uint64_t inode) { return st->st_dev == device && st->st_ino == inode; }

// ── the directory of a path ──

struct neighbour { char path[PATH_MAX]; struct stat st; int fd; };

static size_t directory_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

// The first regular file beside `path` that `wanted` accepts, left open in ret->fd (counted); false when there is none. Candidates are opened only when
// `glance`, which sees their name and status, says so.
struct search {
    bool (*glance)(const struct search *s, const char *name, const struct stat *st);
    bool (*wanted)(const struct search *s, int fd);
    const char *base;           // of the path searched beside
    uint64_t device, inode;
    const struct place *place;
};

static bool search_beside(struct track *t, const char *path, const struct search *s, struct neighbour *ret) {
    size_t n = directory_length(path);
    bool found = false;
    if (n >= sizeof ret->path) return false;
    memcpy(ret->path, path, n);
    ret->path[n] = '\0';
    DIR *d = opendir(n ? ret->path : "/");
    if (!d) return false;
    for (struct dirent *e; !found && (e = readdir(d));) {
        if ((size_t)snprintf(ret->path + n, sizeof ret->path - n, "/%s", e->d_name) >= sizeof ret->path - n) continue;
        if (fstatat(dirfd(d), e->d_name, &ret->st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(ret->st.st_mode)) continue;
        if (!s->glance(s, e->d_name, &ret->st)) continue;
        ret->fd = open_regular(t, ret->path, &ret->st);
        found = ret->fd >= 0 && s->wanted(s, ret->fd);
        if (ret->fd >= 0 && !found) close(ret->fd);
    }
    closedir(d);
    return found;
}

static bool glance_inode(const struct search *s, const char *name, const struct stat *st) {
    (void)name;
    return same_file(st, s->device, s->inode);
}

// logrotate's copies: "app.log.1", "app.log-20260110", "app-20260110.log" are related to "app.log".
static bool related(const char *base, const char *name) {
    const char *dot = strrchr(base, '.');
    size_t stem = dot && dot != base ? (size_t)(dot - base) : strlen(base);
    return strncmp(name, base, stem) == 0;
}

static bool glance_copy(const struct search *s, const char *name, const struct stat *st) {
    return related(s->base, name) && !same_file(st, s->device, s->inode) && st->st_size >= s->place->offset;
}

static bool wanted_content(const struct search *s, int fd) { return identity_matches(fd, s->place); }

static bool find_by_inode(struct track *t, const char *path, uint64_t device, uint64_t inode, const struct place *place, struct neighbour *ret) {
    struct search s = {.glance = glance_inode, .wanted = wanted_content, .device = device, .inode = inode, .place = place};
    return search_beside(t, path, &s, ret);
}

static bool find_copy(struct track *t, const char *path, uint64_t device, uint64_t inode, const struct place *place, struct neighbour *ret) {
    struct search s = {.glance = glance_copy, .wanted = wanted_content, .base = path + directory_length(path) + 1, .device = device, .inode = inode, .place = place};
    return place->offset > 0 && *path == '/' && search_beside(t, path, &s, ret);
}

// ── coming in ──

// Takes the descriptor. The file starts at `offset`, whose bytes before are taken as read.
static struct tailed *track_add(struct track *t, const char *path, int fd, const struct stat *st, int64_t offset) {
    struct tailed *f = calloc(1, sizeof *f);
    bool full = false;
    if (!f) abort();
    f->device = st->st_dev;
    f->inode = st->st_ino;
    f->fd = fd;
    f->size = st->st_size;
    f->seen = t->scans;
    f->grew_ms = now_ms(t);
    set_path(f, path);
    tailed_restart(f);
    if (offset && identity_load(&f->identity, fd, offset) == 0) f->offset = offset;
    f->wd = watch_file(t->watch, fd, &full);
    if (full && !t->watches_full) cn_log(t->host, CN_LOG_WARN, "no inotify watches are left (fs.inotify.max_user_watches): files are looked at every scan.interval.ms only");
    t->watches_full |= full;
    t->open_count++;
    table_add(t, f);
    return f;
}

static struct stored *stored_by_inode(struct track *t, uint64_t device, uint64_t inode) {
    for (uint32_t i = 0; i < t->stored_count; i++) {
        struct stored *s = &t->stored[i];
        if (!s->claimed && s->device == device && s->inode == inode) return s;
    }
    return NULL;
}

// Where device numbers changed (a reboot, another mount), or the file was restored from a backup: by path or inode, and content.
static struct stored *stored_by_content(struct track *t, const char *path, uint64_t inode, int fd) {
    for (uint32_t i = 0; i < t->stored_count; i++) {
        struct stored *s = &t->stored[i];
        if (s->claimed || s->place.offset == 0 || (s->inode != inode && strcmp(s->path, path) != 0)) continue;
        if (identity_matches(fd, &s->place)) return s;
    }
    return NULL;
}

static struct tailed *track_resume(struct track *t, const char *path, int fd, const struct stat *st, struct stored *s) {
    struct tailed *f = track_add(t, path, fd, st, s->place.offset);
    f->skipping = s->place.skipping;
    f->judged = f->offset > 0; // one that was held back as a copy in the making is looked at again
    f->restarted = f->offset == 0;
    f->told = s->claimed = true;
    if (s->device == f->device && s->inode == f->inode) return f;
    f->told = false;
    drop_position(t, s->device, s->inode);
    return f;
}

// The rest of what was read before of a file that has been rewritten is in a copy, if one was made: that is read first.
static void continue_in_copy(struct track *t, struct tailed *f, const char *path, const struct place *place) {
    struct neighbour n;
    if (!find_copy(t, path, f->device, f->inode, place, &n)) return;
    struct tailed *copy = find_inode(t, n.st.st_dev, n.st.st_ino);
    if (copy && copy->fd < 0) {
        copy->fd = n.fd;
        t->open_count++;
    } else if (copy) {
        close(n.fd);
    } else {
        struct stored *known = stored_by_inode(t, n.st.st_dev, n.st.st_ino);
        bool resumed = known && identity_matches(n.fd, &known->place);
        copy = resumed ? track_resume(t, n.path, n.fd, &n.st, known) : track_add(t, n.path, n.fd, &n.st, 0);
        copy->left = !patterns_match(&t->options.patterns, n.path);
    }
    if (copy->offset < place->offset && identity_load(&copy->identity, copy->fd, place->offset) == 0) {
        copy->offset = place->offset;
        copy->skipping = place->skipping;
        copy->pending = 0;
        copy->told = false;
    }
    copy->judged = copy->dirty = true;
    copy->copy_of = NULL;
    if (copy->behind == f) copy->behind = NULL;
    f->behind = copy;
    cn_log(t->host, CN_LOG_INFO, "%s was copied to %s and truncated: what remained of it is read there", path, n.path);
}

// Half a line at the end belongs to what is not wanted.
static void start_at_end(struct tailed *f) {
    if (identity_load(&f->identity, f->fd, f->size) != 0) return;
    f->offset = f->size;
    f->skipping = f->identity.mark_n && f->identity.mark[f->identity.mark_n - 1] != '\n';
}

static struct tailed *track_new(struct track *t, const char *path, int fd, const struct stat *st) {
    struct stored *s = stored_by_inode(t, st->st_dev, st->st_ino), *same;
    if (s && identity_matches(fd, &s->place)) return track_resume(t, path, fd, st, s);
    if ((same = stored_by_content(t, path, st->st_ino, fd))) return track_resume(t, path, fd, st, same);
    struct tailed *f = track_add(t, path, fd, st, 0), *older = NULL;
    if (s) { // the inode is known and the content is not: it was truncated, or deleted and the inode used again
        s->claimed = true;
        f->judged = f->restarted = true;
        continue_in_copy(t, f, s->path, &s->place);
    }
    for (uint32_t i = 0; i < t->file_count; i++)
        if (t->files[i] != f && strcmp(t->files[i]->path.text, path) == 0) older = t->files[i];
    if (older && older->behind != f && !f->behind) f->behind = older;
    if (t->first_start && t->first_scan && t->options.start_at_end) start_at_end(f);
    return f;
}

// A path that exists and is wanted.
static void on_found(void *arg, const char *path) {
    struct track *t = arg;
    struct stat st, at_path;
    struct tailed *f;
    if (stat(path, &st) != 0) {
        if (errno != ENOENT) complain(t, path, errno);
        return;
    }
    if (!S_ISREG(st.st_mode)) return;
    f = find_inode(t, st.st_dev, st.st_ino);
    if (f) {
        f->seen = t->scans;
        f->left = false;
        if (tailed_differs(f, &st)) f->dirty = true;
        if (strcmp(f->path.text, path) != 0 && (stat(f->path.text, &at_path) != 0 || !same_file(&at_path, f->device, f->inode))) set_path(f, path);
        return;
    }
    int fd = open_regular(t, path, &st);
    if (fd >= 0 && (f = find_inode(t, st.st_dev, st.st_ino))) close(fd); // it changed between the two calls
    else if (fd >= 0) track_new(t, path, fd, &st);
    else if (errno != ENOENT && errno != EBUSY && errno != EINVAL) complain(t, path, errno);
}

static void on_directory(void *arg, const char *path) {
    struct track *t = arg;
    if (watch_directory(t->watch, path) || t->watches_full) return;
    t->watches_full = true;
    cn_log(t->host, CN_LOG_WARN, "no inotify watches are left (fs.inotify.max_user_watches): %s is looked at every scan.interval.ms only", path);
}

// ── going away ──

// Its name now, by the descriptor: renamed files follow, deleted ones have none.
static void follow_name(struct track *t, struct tailed *f) {
    char link[64], path[PATH_MAX];
    struct stat st;
    snprintf(link, sizeof link, "/proc/self/fd/%d", f->fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    bool named = fstat(f->fd, &st) == 0 && st.st_nlink > 0 && n > 0;
    if (named) {
        path[n] = '\0';
        if (strcmp(path, f->path.text) != 0) {
            set_path(f, path);
            f->told = false;
        }
        if (patterns_match(&t->options.patterns, path)) return;
    }
    f->left = true;
    f->grew_ms = now_ms(t);
}

// A file that was closed to make room is no longer where it was: perhaps it is beside.
static void look_for_closed(struct track *t, struct tailed *f) {
    struct neighbour n;
    struct place place = identity_place(&f->identity, f->offset, f->skipping);
    if (find_by_inode(t, f->path.text, f->device, f->inode, &place, &n)) {
        f->fd = n.fd;
        t->open_count++;
        set_path(f, n.path);
        f->told = false;
        f->dirty = true;
        f->left = !patterns_match(&t->options.patterns, n.path);
        return;
    }
    cn_log(t->host, CN_LOG_WARN, "%s is gone; it was read up to byte %lld and then closed to make room (max.open.files)", f->path.text, (long long)f->offset);
    track_forget(t, f);
}

// Files that the scan did not find under a wanted name, and the growth of those nobody watches.
static void sweep(struct track *t) {
    for (uint32_t i = t->file_count; i-- > 0;) {
        struct tailed *f = t->files[i];
        struct stat st;
        if (f->seen != t->scans && !f->left) {
            if (f->fd >= 0) {
                follow_name(t, f);
            } else {
                look_for_closed(t, f);
                continue;
            }
        }
        if (f->fd >= 0 && fstat(f->fd, &st) == 0 && tailed_differs(f, &st)) f->dirty = true;
    }
}

// Positions whose file did not turn up under a wanted name: rotated away while no task ran, or gone.
static void settle_stored(struct track *t) {
    int64_t now_s = t->host->ops->now_us(t->host) / 1000000;
    for (uint32_t i = 0; i < t->stored_count; i++) {
        struct stored *s = &t->stored[i];
        struct neighbour n;
        if (s->claimed) continue;
        if (find_by_inode(t, s->path, s->device, s->inode, &s->place, &n)) {
            if (find_inode(t, s->device, s->inode)) {
                close(n.fd);
                s->claimed = true;
                continue;
            }
            struct tailed *f = track_resume(t, n.path, n.fd, &n.st, s);
            f->left = !patterns_match(&t->options.patterns, n.path);
            // Who has its name now comes after it.
            for (uint32_t k = 0; k < t->file_count; k++)
                if (t->files[k] != f && !t->files[k]->behind && strcmp(t->files[k]->path.text, s->path) == 0) t->files[k]->behind = f;
        } else if (now_s - s->at_s > t->options.forget_ms / 1000) {
            s->claimed = true;
            drop_position(t, s->device, s->inode);
        } else if (t->first_scan) {
            cn_log(t->host, CN_LOG_INFO, "%s, read up to byte %lld, is not there; its position is kept", s->path, (long long)s->place.offset);
        }
    }
}

static void scan(struct track *t) {
    t->scans++;
    patterns_directories(&t->options.patterns, on_directory, t);
    patterns_expand(&t->options.patterns, on_found, on_denied, t);
    sweep(t);
    settle_stored(t);
    t->first_scan = false;
    t->scanned_ms = now_ms(t);
    t->scan_due_ms = t->scanned_ms + t->options.scan_ms;
}

// ── hints ──

// Soon, but not for each of many hints by itself.
static void ask_scan(struct track *t) {
    int64_t due = t->scanned_ms + RESCAN_MS;
    if (due < t->scan_due_ms) t->scan_due_ms = due;
}

static void on_file_event(void *arg, int wd) {
    struct tailed *f = find_wd(arg, wd);
    if (!f) return;
    f->dirty = true;
}

// At once, so that a file which is renamed or deleted soon after is open by then.
static void on_entry(void *arg, const char *path) {
    struct track *t = arg;
    ask_scan(t);
    if (patterns_match(&t->options.patterns, path)) on_found(t, path);
}

static bool is_stray(const struct track *t, const char *path) {
    for (int i = 0; i < TRACK_STRAYS; i++)
        if (t->strays[i] && strcmp(t->strays[i], path) == 0) return true;
    return false;
}

// A rename within what is watched. When the old name was wanted and nobody had the file open yet, it was created and rotated away faster than
// it could be opened: it is read under its new name, or under the one it gets next.
static void on_moved(void *arg, const char *from, const char *to) {
    struct track *t = arg;
    struct stat st;
    ask_scan(t);
    if (!patterns_match(&t->options.patterns, from) && !is_stray(t, from)) {
        on_entry(t, to);
        return;
    }
    char **slot = &t->strays[t->stray_next++ % TRACK_STRAYS];
    free(*slot);
    *slot = dup_or_abort(to);
    int fd = open_regular(t, to, &st);
    if (fd < 0) return;
    if (find_inode(t, st.st_dev, st.st_ino)) {
        close(fd);
        return;
    }
    struct tailed *f = track_new(t, to, fd, &st);
    f->left = !patterns_match(&t->options.patterns, to);
}

static void on_gone(void *arg, const char *path) {
    struct track *t = arg;
    if (patterns_match(&t->options.patterns, path)) ask_scan(t);
}

static void on_overflow(void *arg) {
    struct track *t = arg;
    ask_scan(t);
}

void track_look(struct track *t) {
    static const struct watch_events events = {NULL, on_file_event, on_entry, on_moved, on_gone, on_overflow};
    struct watch_events to = events;
    to.arg = t;
    watch_drain(t->watch, &to);
    if (now_ms(t) >= t->scan_due_ms) scan(t);
}

// ── copies ──

// Whether the first `n` bytes of both are the same, as far as their beginnings and ends tell.
static bool same_content(int a, int b, int64_t n) {
    char x[IDENTITY_HEAD], y[IDENTITY_HEAD];
    size_t head = n < IDENTITY_HEAD ? (size_t)n : IDENTITY_HEAD;
    for (int end = 0; end < 2; end++) {
        off_t at = end ? (off_t)(n - (int64_t)head) : 0;
        if (pread(a, x, head, at) != (ssize_t)head || pread(b, y, head, at) != (ssize_t)head || memcmp(x, y, head) != 0) return false;
    }
    return true;
}

// Whether c may be a copy being made of f, whose content up to our place in it is intact.
static bool copy_in_work(const struct tailed *c, const struct tailed *f) {
    struct stat st;
    if (fstat(c->fd, &st) != 0) return false;
    int64_t known = f->offset ? f->offset : f->size, common = st.st_size < known ? st.st_size : known;
    return common && same_content(c->fd, f->fd, common);
}

static bool is_rewritten(const struct tailed *f) {
    struct place place = identity_place(&f->identity, f->offset, f->skipping);
    return !identity_matches(f->fd, &place);
}

static bool may_be_copy(const struct tailed *c, const struct tailed *f) {
    size_t n = directory_length(f->path.text);
    return f != c && f->fd >= 0 && (f->offset > 0 || f->restarted) && !f->left && directory_length(c->path.text) == n && memcmp(c->path.text, f->path.text, n) == 0 &&
           related(f->path.text + n + 1, c->path.text + n + 1);
}

// Decides about a new file before its first byte is read. False: it has to wait.
static bool judge(struct track *t, struct tailed *c) {
    struct stat st;
    int64_t now = now_ms(t);
    if (c->judged || c->offset > 0) return true;
    if (fstat(c->fd, &st) != 0 || st.st_size == 0) { // nothing to read yet, and nothing to tell a copy by
        c->dirty = false;
        return false;
    }
    if (st.st_size != c->size) {
        c->size = st.st_size;
        c->grew_ms = now;
    }
    for (uint32_t i = 0; i < t->file_count; i++) {
        struct tailed *f = t->files[i];
        if (!may_be_copy(c, f)) continue;
        if (is_rewritten(f)) {
            track_rewritten(t, f); // finds its copy, which may be this one
            if (c->judged) return true;
        }
        if (copy_in_work(c, f) && now - c->grew_ms < HOLD_MS) {
            c->copy_of = f;
            return false;
        }
    }
    c->judged = true;
    c->copy_of = NULL;
    return true;
}

void track_rewritten(struct track *t, struct tailed *f) {
    struct place place = identity_place(&f->identity, f->offset, f->skipping);
    cn_log(t->host, CN_LOG_INFO, "%s was truncated or rewritten after byte %lld: reading from its start", f->path.text, (long long)f->offset);
    continue_in_copy(t, f, f->path.text, &place);
    tailed_restart(f);
    f->judged = f->restarted = true;
}

// ── reading in turn ──

static bool reopen(struct track *t, struct tailed *f) {
    struct stat st;
    int fd = open_regular(t, f->path.text, &st);
    if (fd >= 0 && same_file(&st, f->device, f->inode)) {
        f->fd = fd;
        t->open_count++;
        return true;
    }
    if (fd >= 0) close(fd);
    ask_scan(t); // the scan finds out what became of it
    return false;
}

struct tailed *track_next(struct track *t) {
    for (uint32_t tried = 0; tried < t->file_count; tried++) {
        struct tailed *f = t->files[t->turn++ % t->file_count];
        if (!f->dirty) continue;
        if (f->behind && !f->behind->dirty && !f->behind->copy_of) f->behind = NULL;
        if (f->behind && f->behind->behind != f) continue;
        if (f->fd < 0 && !reopen(t, f)) continue;
        if (judge(t, f)) return f;
    }
    if (t->want_room) ask_scan(t); // all that is open is read: what had to wait can be opened
    t->want_room = false;
    return NULL;
}

struct tailed *track_finished(struct track *t) {
    int64_t now = now_ms(t);
    for (uint32_t i = 0; i < t->file_count; i++) {
        struct tailed *f = t->files[i];
        struct stat st;
        if (!f->left || f->dirty) continue;
        if (f->fd >= 0 && fstat(f->fd, &st) == 0 && st.st_size != f->size) {
            f->size = st.st_size;
            f->grew_ms = now;
            f->dirty = true;
            continue;
        }
        if (now - f->grew_ms >= t->options.rotate_wait_ms) return f;
    }
    return NULL;
}

int64_t track_wait(const struct track *t) {
    int64_t wait = t->scan_due_ms - now_ms(t);
    for (uint32_t i = 0; i < t->file_count && wait > TIMER_MS; i++)
        if (t->files[i]->left || t->files[i]->copy_of) wait = TIMER_MS;
    return wait > 0 ? wait : 0;
}

// ── positions ──

static const char start_partition[] = "{\"start\":\"end\"}";

static void tell_start(struct track *t, struct cn_batch *b) {
    char text[64];
    if (t->started_told) return;
    snprintf(text, sizeof text, "{\"at\":%lld}", (long long)(t->host->ops->now_us(t->host) / 1000000));
    cn_position(b, start_partition, text);
    t->started_told = true;
}

static void tell_position(struct track *t, struct cn_batch *b, struct tailed *f) {
    struct position p = {.device = f->device, .inode = f->inode, .place = identity_place(&f->identity, f->offset, f->skipping)};
    char partition[128], offset[POSITION_MAX];
    p.at_s = t->host->ops->now_us(t->host) / 1000000;
    snprintf(p.path, sizeof p.path, "%s", f->path.text);
    if (!position_partition(partition, sizeof partition, p.device, p.inode) || !position_offset(offset, sizeof offset, &p)) return;
    cn_position(b, partition, offset);
    f->told = true;
}

void track_positions(struct track *t, struct cn_batch *b) {
    char partition[128];
    if (t->options.start_at_end) tell_start(t, b);
    for (uint32_t i = 0; i < t->dropped_count; i++)
        if (!find_inode(t, t->dropped[i].device, t->dropped[i].inode))
            if (position_partition(partition, sizeof partition, t->dropped[i].device, t->dropped[i].inode)) cn_position(b, partition, NULL);
    t->dropped_count = 0;
    for (uint32_t i = 0; i < t->file_count; i++)
        if (!t->files[i]->told) tell_position(t, b, t->files[i]);
}

// ── life ──

int track_open(struct track *t, struct cn_host *h, const struct track_options *o, const struct cn_stored_position *positions, uint32_t n) {
    struct position *p = malloc(sizeof *p);
    memset(t, 0, sizeof *t);
    t->host = h;
    t->options = *o;
    t->watch = watch_new();
    t->stored = calloc(n ? n : 1, sizeof *t->stored);
    if (!t->watch || !t->stored || !p) abort();
    if (!watch_works(t->watch)) cn_log(h, CN_LOG_WARN, "no inotify: files are looked at every scan.interval.ms only");
    t->first_start = n == 0;
    t->first_scan = true;
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(positions[i].partition, start_partition) == 0) t->started_told = true;
        else if (position_parse(p, positions[i].partition, positions[i].offset) == 0)
            t->stored[t->stored_count++] = (struct stored){p->device, p->inode, p->place, p->at_s, dup_or_abort(p->path), false};
        else {
            free(p);
            return cn_failf(h, CN_FAIL_CONFIG, "positions of this connector look like {\"device\":1,\"inode\":2}; reset the others",
                            "stored position %s is not one of the file source", positions[i].partition);
        }
    }
    free(p);
    return 0;
}

void track_close(struct track *t) {
    while (t->file_count) {
        struct tailed *f = t->files[t->file_count - 1];
        table_remove(t, f);
        tailed_free(t, f);
    }
    for (uint32_t i = 0; i < t->stored_count; i++) free(t->stored[i].path);
    for (int i = 0; i < TRACK_STRAYS; i++) free(t->strays[i]);
    free(t->stored);
    free(t->files);
    free(t->dropped);
    watch_free(t->watch);
    memset(t, 0, sizeof *t);
}

int track_fd(const struct track *t) { return watch_fd(t->watch); }
