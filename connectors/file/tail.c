// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <connectd/sdk.h>

#include "tail.h"
#include "track.h"

enum { BATCH_BYTES = 1 << 20, TURN_BYTES = 256 * 1024, SHOW_EVERY_MS = 1000 };

struct tail {
    struct cn_host *host;
    struct track track;
    struct linerec linerec;
    struct tailed_limits limits;
    struct cn_list one;          // `file` as a list
    int64_t idle_flush_ms, show_after_ms;
    int64_t shown_lines, shown_bytes, shown_truncated, shown_invalid;
};

static struct patterns wanted(const struct tail_options *o) {
    struct patterns p = {.include = o->path, .exclude = o->exclude};
    if (o->file) p = (struct patterns){.include = {1, &o->file}, .literal = true};
    return p;
}

int tail_validate(struct cn_host *h, const struct tail_options *o) {
    if ((o->file != NULL) == (o->path.n > 0))
        return cn_failf(h, CN_FAIL_CONFIG, "write path: [/var/log/app/*.log]", o->file ? "path and file are both set" : "neither path nor file is set: nothing to read");
    struct patterns p = wanted(o);
    for (uint32_t i = 0; i < p.include.n; i++)
        if (p.include.items[i][0] != '/')
            return cn_failf(h, CN_FAIL_CONFIG, "write an absolute path", "%s: %s is relative, to nothing in particular", o->file ? "file" : "path", p.include.items[i]);
    return 0;
}

// ── check: what a start would find ──

struct check { struct cn_host *host; unsigned readable; int failed; };

static void check_found(void *arg, const char *path) {
    struct check *c = arg;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT) c->failed = cn_failf(c->host, CN_FAIL_CONFIG, track_unreadable_hint(path), "can not read %s: %s", path, strerror(errno));
    if (fd < 0) return;
    close(fd);
    c->readable++;
}

static void check_denied(void *arg, const char *path, int error) {
    struct check *c = arg;
    c->failed = cn_failf(c->host, CN_FAIL_CONFIG, track_unreadable_hint(path), "can not read %s: %s", path, strerror(error));
}

int tail_check(struct cn_host *h, const struct tail_options *o) {
    struct check c = {.host = h};
    struct patterns p = wanted(o);
    patterns_expand(&p, check_found, check_denied, &c);
    if (!c.failed && !c.readable) cn_log(h, CN_LOG_WARN, "no file matches yet");
    return c.failed;
}

// ── life ──

int tail_open(struct cn_host *h, const struct tail_options *o, const struct cn_stored_position *positions, uint32_t n, void **ret_task) {
    struct tail *t = calloc(1, sizeof *t);
    if (!t) return cn_failf(h, CN_FAIL_TRANSIENT, NULL, "out of memory");
    t->host = h;
    t->idle_flush_ms = o->idle_flush_ms;
    t->limits = (struct tailed_limits){(uint32_t)o->max_line, BATCH_BYTES, (uint32_t)o->batch_lines, TURN_BYTES};
    struct track_options track = {
        .patterns = wanted(o),
        .start_at_end = o->start == 1,
        .max_open = (uint32_t)o->max_open,
        .scan_ms = o->scan_ms,
        .rotate_wait_ms = o->rotate_wait_ms,
        .forget_ms = o->forget_ms,
    };
    if (o->file) { // `wanted` points into the caller's options
        const char **item = malloc(sizeof *item);
        if (!item) abort();
        *item = o->file;
        t->one = (struct cn_list){1, item};
        track.patterns.include = t->one;
    }
    struct linerec_options line = {o->topic, (enum line_format)o->format, (enum line_key)o->key, o->headers};
    if (linerec_init(&t->linerec, &line) != 0) cn_failf(h, CN_FAIL_TRANSIENT, NULL, "out of memory");
    else if (track_open(&t->track, h, &track, positions, n) == 0) {
        *ret_task = t;
        return 0;
    }
    tail_close(t);
    return -1;
}

void tail_close(void *task) {
    struct tail *t = task;
    if (t->track.host) track_close(&t->track);
    linerec_done(&t->linerec);
    free((void *)(uintptr_t)t->one.items);
    free(t);
}

// ── reading ──

static void read_file(struct tail *t, struct tailed *f, struct cn_batch *b, bool final) {
    int64_t size = f->size;
    switch (tailed_read(f, b, &t->linerec, &t->limits, final)) {
    case TAILED_MORE:
    case TAILED_END: break;
    case TAILED_REWRITTEN: track_rewritten(&t->track, f); break;
    case TAILED_FAILED: cn_log(t->host, CN_LOG_WARN, "read %s: %s", f->path.text, strerror(errno)); break; // looked at again with the next scan
    }
    if (f->size != size) f->grew_ms = t->host->ops->monotonic_ms(t->host);
}

// Lines whose writer has paused in the middle, where that is asked for.
static void flush_idle(struct tail *t, struct cn_batch *b) {
    int64_t now = t->host->ops->monotonic_ms(t->host);
    for (uint32_t i = 0; t->idle_flush_ms && i < t->track.file_count && !tailed_batch_full(b, &t->limits); i++) {
        struct tailed *f = t->track.files[i];
        if (f->pending && !f->dirty && f->fd >= 0 && now - f->grew_ms >= t->idle_flush_ms) read_file(t, f, b, true);
    }
}

static void read_all(struct tail *t, struct cn_batch *b) {
    struct tailed *f;
    while (!tailed_batch_full(b, &t->limits) && (f = track_next(&t->track))) read_file(t, f, b, false);
    while (!tailed_batch_full(b, &t->limits) && (f = track_finished(&t->track))) {
        if (f->pending && f->fd >= 0) read_file(t, f, b, true);
        if (!f->dirty) track_forget(&t->track, f);
    }
    flush_idle(t, b);
}

static void show_count(struct tail *t, const char *name, int64_t now, int64_t *shown) {
    if (now != *shown) t->host->ops->metric(t->host, name, CN_COUNTER, now - *shown);
    *shown = now;
}

static void show(struct tail *t) {
    int64_t now = t->host->ops->monotonic_ms(t->host), behind = 0;
    uint32_t left = 0;
    if (now < t->show_after_ms) return;
    t->show_after_ms = now + SHOW_EVERY_MS;
    for (uint32_t i = 0; i < t->track.file_count; i++) {
        struct tailed *f = t->track.files[i];
        if (f->size > f->offset + f->pending) behind += f->size - f->offset - f->pending;
        left += f->left;
    }
    show_count(t, "lines", t->linerec.lines, &t->shown_lines);
    show_count(t, "line-bytes", t->linerec.bytes, &t->shown_bytes);
    show_count(t, "truncated-lines", t->linerec.truncated, &t->shown_truncated);
    show_count(t, "invalid-lines", t->linerec.invalid, &t->shown_invalid);
    t->host->ops->metric(t->host, "files", CN_GAUGE, t->track.file_count);
    t->host->ops->metric(t->host, "behind-bytes", CN_GAUGE, behind);
    if (t->track.file_count == 0) cn_progressf(t->host, "no file matches yet");
    else cn_progressf(t->host, "%u files, %u of them rotated away, %lld bytes to read", t->track.file_count, left, (long long)behind);
}

// The real clock: how long to block is the caller's word, whatever clock the host shows.
static int64_t real_ms(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

// Waits for a hint, the wake descriptor, or a timer of ours. Whether the poll is to end.
static bool wait_for_more(struct tail *t, int64_t until_ms) {
    int64_t wait = until_ms - real_ms(), own = track_wait(&t->track);
    struct pollfd fds[2] = {{.fd = t->host->ops->wake_fd(t->host), .events = POLLIN}, {.fd = track_fd(&t->track), .events = POLLIN}};
    if (wait <= 0) return true;
    if (own < wait) wait = own;
    if (t->idle_flush_ms && t->idle_flush_ms < wait) wait = t->idle_flush_ms;
    if (poll(fds, 2, (int)wait) < 0) return errno != EINTR;
    return fds[0].revents != 0;
}

int tail_poll(void *task, struct cn_batch *batch, uint32_t timeout_ms) {
    struct tail *t = task;
    int64_t until_ms = real_ms() + timeout_ms;
    linerec_begin(&t->linerec, batch);
    do {
        track_look(&t->track);
        read_all(t, batch);
        track_positions(&t->track, batch);
        if (batch->failed) {
            cn_failf(t->host, CN_FAIL_CONFIG, "lower max.line.bytes, or allow larger batches", "a line does not fit a batch of %u bytes", batch->cap);
            return CN_POLL_FAILED;
        }
        show(t);
        if (cn_count(batch) || cn_head(batch)->position_count) return CN_POLL_OK;
    } while (!wait_for_more(t, until_ms));
    return CN_POLL_IDLE;
}

int tail_tick(void *task) {
    struct tail *t = task;
    track_look(&t->track); // descriptors of files that are rotated meanwhile are taken in time
    show(t);
    return 0;
}
