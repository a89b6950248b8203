// SPDX-License-Identifier: Apache-2.0
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct sink {
    struct cn_host *host;
    const struct file_io *io;
    const char *path;
    struct output_options options;
    int64_t sync_ms;
    struct output **outputs;           // [task]; [lock] while it changes
    uint32_t output_count, output_cap;
    struct output *last_output;        // [task] of the record before
    uint32_t last_topic;               // [task] its batch's index of the topic, and the partition
    uint32_t last_part;

    pthread_t committer;
    bool committer_runs;               // [task]
    pthread_mutex_t lock;
    pthread_cond_t work, idle;         // [lock] something is dirty, or quit; nothing is dirty or being committed
    bool committing, urgent, quit;     // [lock] urgent: somebody waits for idle
    bool failed;                       // [lock] a commit failed: nothing more is written
    int64_t committed_ms;              // [lock] monotonic: when the last commit ended
};

// ── paths ──

static const char topic_mark[] = "{topic}", partition_mark[] = "{partition}";

int sink_path(char *to, size_t cap, const char *pattern, const char *topic, size_t topic_n, int32_t partition) {
    char number[16];
    size_t n = 0;
    snprintf(number, sizeof number, "%d", partition);
    if (memchr(topic, '/', topic_n) || memchr(topic, '\0', topic_n) || topic_n == 0 || topic[0] == '.') return -1;
    while (*pattern) {
        const char *from = pattern;
        size_t more = 1;
        if (strncmp(pattern, topic_mark, sizeof topic_mark - 1) == 0) {
            from = topic;
            more = topic_n;
            pattern += sizeof topic_mark - 1;
        } else if (strncmp(pattern, partition_mark, sizeof partition_mark - 1) == 0) {
            from = number;
            more = strlen(number);
            pattern += sizeof partition_mark - 1;
        } else {
            pattern++;
        }
        if (more >= cap - n) return -1;
        memcpy(to + n, from, more);
        n += more;
    }
    to[n] = '\0';
    return 0;
}

static const char *path_of(const struct sink_options *o) { return o->path ? o->path : o->file; }
static bool is_template(const char *path) { return strstr(path, topic_mark) || strstr(path, partition_mark); }

// ── what the table can not say ──

static int check_path(struct cn_host *h, const char *path) {
    const char *slash = path ? strrchr(path, '/') : NULL;
    if (!path) return cn_failf(h, CN_FAIL_CONFIG, "write path: /var/lib/connectd/out.jsonl", "neither path nor file is set: nowhere to write");
    if (path[0] != '/') return cn_failf(h, CN_FAIL_CONFIG, "write an absolute path", "path: %s is relative, to nothing in particular", path);
    if (slash[1] == '\0' || strstr(path, "/../") || strcmp(slash, "/..") == 0) return cn_failf(h, CN_FAIL_CONFIG, "name a file", "path: %s does not name a file", path);
    if (strlen(path) > 3500) return cn_failf(h, CN_FAIL_CONFIG, NULL, "path: longer than 3500 bytes");
    for (const char *c = path; (c = strchr(c, '{')); c++)
        if (strncmp(c, topic_mark, sizeof topic_mark - 1) != 0 && strncmp(c, partition_mark, sizeof partition_mark - 1) != 0)
            return cn_failf(h, CN_FAIL_CONFIG, "{topic} and {partition} are known", "path: %s: unknown placeholder at %s", path, c);
    return 0;
}

static int read_mode(struct cn_host *h, const char *text, int64_t *ret) {
    char *end;
    long mode = strtol(text, &end, 8);
    if (*end || end == text || mode < 0 || mode > 0777) return cn_failf(h, CN_FAIL_CONFIG, "write it as 0640", "file.mode: %s is no file mode", text);
    *ret = mode;
    return 0;
}

int sink_validate(struct cn_host *h) {
    struct sink_options o;
    int64_t mode;
    if (sink_read_options(h, &o) != 0) return -1;
    if (o.path && o.file) return cn_failf(h, CN_FAIL_CONFIG, "path is enough", "path and file are both set");
    return check_path(h, path_of(&o)) != 0 || read_mode(h, o.mode, &mode) != 0 ? -1 : 0;
}

// Tasks share no file: as many as asked for only where each partition has a file of its own.
uint32_t sink_plan(struct cn_host *h, uint32_t max) {
    struct sink_options o;
    if (sink_read_options(h, &o) != 0 || !path_of(&o)) return 1;
    return strstr(path_of(&o), topic_mark) && strstr(path_of(&o), partition_mark) ? max : 1;
}

// Whether the folder, or the nearest that exists above it, may be written.
int sink_check(struct cn_host *h) {
    struct sink_options o;
    char path[4096];
    if (sink_validate(h) != 0 || sink_read_options(h, &o) != 0) return -1;
    snprintf(path, sizeof path, "%s", path_of(&o));
    char *mark = strchr(path, '{');
    if (mark) *mark = '\0';
    for (char *slash; (slash = strrchr(path, '/'));) {
        slash[slash == path] = '\0';
        if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) == 0) return 0;
        if (errno != ENOENT) return output_fail(h, "write into", path, errno);
        if (slash == path) break;
    }
    return 0;
}

// ── the committer ──

static void wait_interval(struct sink *s) {
    while (!s->urgent && !s->quit) {
        int64_t now = s->host->ops->monotonic_ms(s->host), wait = s->committed_ms + s->sync_ms - now;
        struct timespec until;
        if (wait <= 0 || wait > s->sync_ms) return;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += (wait % 1000) * 1000000;
        until.tv_sec += wait / 1000 + until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (pthread_cond_timedwait(&s->work, &s->lock, &until) == ETIMEDOUT) return;
    }
}

static bool any_dirty(const struct sink *s) {
    for (uint32_t i = 0; i < s->output_count; i++)
        if (s->outputs[i]->dirty) return true;
    return false;
}

static void settle_output(struct sink *s, struct output *o, int kind) {
    for (uint32_t i = 0; i < o->part_count; i++) {
        struct output_part *p = &o->parts[i];
        if (p->commit_first < 0) continue;
        cn_settle(s->host, p->topic, p->partition, p->commit_first, p->commit_next - 1, kind, NULL, 0);
        p->commit_first = -1;
    }
}

// Commits what is dirty. With the lock held, which is let go meanwhile; `committing` keeps outputs and parts from changing their places.
static void commit_dirty(struct sink *s) {
    int failed = 0;
    s->committing = true;
    for (uint32_t i = 0; i < s->output_count; i++) {
        struct output *o = s->outputs[i];
        o->in_commit = o->dirty;
        if (o->dirty) output_snapshot(o);
    }
    pthread_mutex_unlock(&s->lock);
    for (uint32_t i = 0; i < s->output_count && !failed; i++) {
        if (!s->outputs[i]->in_commit) continue;
        failed = output_commit(s->outputs[i]);
        settle_output(s, s->outputs[i], failed ? CN_FATAL : CN_OK);
    }
    pthread_mutex_lock(&s->lock);
    s->failed |= failed != 0;
    s->committing = false;
    s->committed_ms = s->host->ops->monotonic_ms(s->host);
    pthread_cond_broadcast(&s->idle);
}

static void *committer(void *arg) {
    struct sink *s = arg;
    pthread_mutex_lock(&s->lock);
    for (;;) {
        while (!s->quit && (s->failed || !any_dirty(s))) pthread_cond_wait(&s->work, &s->lock);
        if (s->failed || !any_dirty(s)) break; // quit
        wait_interval(s);
        commit_dirty(s);
    }
    pthread_mutex_unlock(&s->lock);
    return NULL;
}

// With the lock held: waits until all is committed, or the deadline. 0; -1 a commit failed; 1 time is up.
static int wait_idle(struct sink *s, int64_t deadline_ms) {
    struct timespec until;
    int rc = 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += deadline_ms / 1000;
    until.tv_nsec += (deadline_ms % 1000) * 1000000;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    s->urgent = true;
    pthread_cond_signal(&s->work);
    while (!s->failed && (s->committing || any_dirty(s)) && rc != ETIMEDOUT) rc = pthread_cond_timedwait(&s->idle, &s->lock, &until);
    while (s->committing && s->failed) pthread_cond_wait(&s->idle, &s->lock);
    s->urgent = false;
    if (s->failed) return -1;
    return s->committing || any_dirty(s);
}

// A lasting wait, as rolls and revocations need: the disk decides how long.
static int drain(struct sink *s) {
    int rc;
    pthread_mutex_lock(&s->lock);
    while ((rc = wait_idle(s, 1000)) > 0) {}
    pthread_mutex_unlock(&s->lock);
    return rc;
}

// ── outputs ──

static struct output *find_output(struct sink *s, const char *path) {
    for (uint32_t i = 0; i < s->output_count; i++)
        if (strcmp(s->outputs[i]->path, path) == 0) return s->outputs[i];
    return NULL;
}

static struct output *add_output(struct sink *s, const char *path) {
    struct output *o = calloc(1, sizeof *o);
    if (!o) abort();
    if (output_open(o, s->host, s->io, &s->options, path) != 0) {
        free(o);
        return NULL;
    }
    pthread_mutex_lock(&s->lock);
    while (s->committing) pthread_cond_wait(&s->idle, &s->lock);
    if (s->output_count == s->output_cap) {
        s->output_cap = s->output_cap ? s->output_cap * 2 : 4;
        s->outputs = realloc(s->outputs, s->output_cap * sizeof(struct output *));
        if (!s->outputs) abort();
    }
    s->outputs[s->output_count++] = o;
    pthread_mutex_unlock(&s->lock);
    return o;
}

// The output of a partition, opened at need. NULL after cn_host.fail.
static struct output *output_for(struct sink *s, const char *topic, size_t n, int32_t partition) {
    char path[4096];
    if (sink_path(path, sizeof path, s->path, topic, n, partition) != 0) {
        cn_failf(s->host, CN_FAIL_CONFIG, "use a path without {topic}", "topic %.*s can not be part of a path", (int)n, topic);
        return NULL;
    }
    struct output *o = find_output(s, path);
    return o ? o : add_output(s, path);
}

// ── life ──

static int start_committer(struct sink *s) {
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->work, &monotonic);
    pthread_cond_init(&s->idle, &monotonic);
    pthread_condattr_destroy(&monotonic);
    int rc = pthread_create(&s->committer, NULL, committer, s);
    if (rc) return cn_failf(s->host, CN_FAIL_TRANSIENT, NULL, "start the committer thread: %s", strerror(rc));
    s->committer_runs = true;
    return 0;
}

int sink_open_with(struct cn_host *h, const struct file_io *io, void **ret_task) {
    struct sink_options o;
    struct sink *s = calloc(1, sizeof *s);
    if (!s) abort();
    s->host = h;
    s->io = io;
    if (sink_read_options(h, &o) != 0 || read_mode(h, o.mode, &s->options.mode) != 0) {
        free(s);
        return -1;
    }
    s->path = path_of(&o);
    s->options.content = o.format == 1 ? CONTENT_RAW : o.content == 1 ? CONTENT_RECORD : CONTENT_VALUE;
    s->options.roll_size = o.roll_size;
    s->options.roll_ms = o.roll_ms;
    s->options.roll_records = o.roll_records;
    s->options.append = o.existing == 1;
    s->sync_ms = o.sync_ms;
    if (start_committer(s) != 0 || (!is_template(s->path) && !add_output(s, s->path))) {
        sink_close(s);
        return -1;
    }
    *ret_task = s;
    return 0;
}

int sink_open(struct cn_host *h, void **ret_task) { return sink_open_with(h, &file_io_system, ret_task); }

void sink_close(void *task) {
    struct sink *s = task;
    if (s->committer_runs) {
        pthread_mutex_lock(&s->lock);
        s->quit = true;
        pthread_cond_signal(&s->work);
        pthread_mutex_unlock(&s->lock);
        pthread_join(s->committer, NULL);
    }
    for (uint32_t i = 0; i < s->output_count; i++) {
        output_close(s->outputs[i]);
        free(s->outputs[i]);
    }
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->idle);
    pthread_mutex_destroy(&s->lock);
    free(s->outputs);
    free(s);
}

// ── partitions come and go ──

static struct output_part *part_for(struct sink *s, struct output *o, const char *topic, size_t n, int32_t partition) {
    struct output_part *p = output_part(o, topic, n, partition);
    if (p) return p;
    pthread_mutex_lock(&s->lock);
    while (s->committing) pthread_cond_wait(&s->idle, &s->lock); // it may move the parts
    p = output_add_part(o, topic, n, partition);
    pthread_mutex_unlock(&s->lock);
    return p;
}

int sink_assign(void *task, struct cn_sink_partition *parts, uint32_t n) {
    struct sink *s = task;
    for (uint32_t i = 0; i < n; i++) {
        struct output *o = output_for(s, parts[i].topic, strlen(parts[i].topic), parts[i].partition);
        if (!o) return -1;
        struct output_part *p = part_for(s, o, parts[i].topic, strlen(parts[i].topic), parts[i].partition);
        output_part_is_of(p, parts[i].topic_tag);
        if (p->next >= 0) parts[i].offset = p->next;
    }
    return 0;
}

// Everything is committed, so what was put is settled. Files that only the partitions used are closed: another task may want them.
void sink_revoke(void *task, const struct cn_sink_partition *parts, uint32_t n) {
    struct sink *s = task;
    bool shared = !strstr(s->path, partition_mark) || !strstr(s->path, topic_mark);
    (void)drain(s);
    s->last_output = NULL;
    for (uint32_t i = 0; i < n && !shared; i++) {
        char path[4096];
        if (sink_path(path, sizeof path, s->path, parts[i].topic, strlen(parts[i].topic), parts[i].partition) != 0) continue;
        pthread_mutex_lock(&s->lock);
        for (uint32_t k = 0; k < s->output_count; k++) {
            if (strcmp(s->outputs[k]->path, path) != 0) continue;
            output_close(s->outputs[k]);
            free(s->outputs[k]);
            s->outputs[k] = s->outputs[--s->output_count];
            break;
        }
        pthread_mutex_unlock(&s->lock);
    }
}

// ── putting ──

static int64_t wall_ms(struct sink *s) { return s->host->ops->now_us(s->host) / 1000; }

// What the put in work has appended so far is handed to the committer. 0, or -1 with errno.
static int publish(struct sink *s, struct output *o) {
    if (output_write(o) != 0) return -1;
    s->host->ops->metric(s->host, "written-records", CN_COUNTER, o->records - o->published.records);
    s->host->ops->metric(s->host, "written-bytes", CN_COUNTER, o->tail);
    pthread_mutex_lock(&s->lock);
    output_publish(o);
    pthread_cond_signal(&s->work);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

// Retries what of this put is not published. No room is a state that passes; anything else ends the task. 0, or -1 after cn_host.fail.
static int refuse(struct sink *s, struct output *o, int error) {
    char reason[4300];
    o->refused = true;
    if (output_take_back(o) != 0) return output_fail(s->host, "cut", o->path, errno);
    if (error != ENOSPC && error != EDQUOT) return output_fail(s->host, "write", o->path, error);
    snprintf(reason, sizeof reason, "write %s: %s", o->path, strerror(error));
    for (uint32_t i = 0; i < o->part_count; i++) {
        struct output_part *p = &o->parts[i];
        if (p->put_first < 0) continue;
        cn_settle(s->host, p->topic, p->partition, p->put_first, p->put_last, CN_RETRY, reason, 0);
        p->next = p->published;
        p->put_first = -1;
    }
    return 0;
}

// A new file, when the old one is full or was moved away. 0; -1 after cn_host.fail, or with *ret_error where there was no room.
static int turn_over(struct sink *s, struct output *o, bool moved, int *ret_error) {
    *ret_error = publish(s, o) != 0 ? errno : 0;
    if (*ret_error || drain(s) != 0) return -1;
    if (!moved) s->host->ops->metric(s->host, "rolled-files", CN_COUNTER, 1);
    return moved ? output_replace(o) : output_roll(o);
}

// An output meets its first record of a put: as it was left, or somebody moved or cut the file. 0, or -1 after cn_host.fail.
static int touch(struct sink *s, struct output *o) {
    int error, moved = output_look(o);
    o->touched = true;
    o->refused = false;
    for (uint32_t i = 0; i < o->part_count; i++) {
        o->parts[i].put_first = o->parts[i].put_last = -1;
        o->parts[i].rejected = false;
    }
    return moved < 0 || (moved && turn_over(s, o, true, &error) != 0) ? -1 : 0;
}

// The output and part of a record; those of the record before, as a rule. NULL after cn_host.fail.
static struct output *route(struct sink *s, const struct cn_batch *b, const struct cn_record *r, struct output_part **ret) {
    const struct cn_text *topic = cn_topic_at(b, r->original_topic);
    const char *name = cn_bytes_at(b, topic->at);
    struct output *o = s->last_output;
    if (o && s->last_topic == r->original_topic && o->parts[s->last_part].partition == r->original_partition) {
        *ret = &o->parts[s->last_part];
        return o;
    }
    o = output_for(s, name, topic->n, r->original_partition);
    if (!o) return NULL;
    if (!o->touched && touch(s, o) != 0) return NULL;
    *ret = part_for(s, o, name, topic->n, r->original_partition);
    s->last_output = o;
    s->last_topic = r->original_topic;
    s->last_part = (uint32_t)(*ret - o->parts);
    return o;
}

static void settle_one(struct sink *s, const struct output_part *p, int64_t offset, int kind, const char *reason) {
    cn_settle(s->host, p->topic, p->partition, offset, offset, kind, reason, 0);
}

// Appends the record, into a new file if the old one is full. 0; 1 when it can not be written at all; -1 with errno, or 0 in errno after cn_host.fail.
static int append(struct sink *s, struct output *o, const struct cn_batch *b, const struct cn_record *r, int64_t now_ms) {
    int error;
    if (output_is_full(o, now_ms) && turn_over(s, o, false, &error) != 0) {
        errno = error;
        return -1;
    }
    return output_append(o, b, r, now_ms);
}

// One record. 0, or -1 after cn_host.fail.
static int put_one(struct sink *s, const struct cn_batch *b, const struct cn_record *r, int64_t now_ms) {
    struct output_part *p;
    struct output *o = route(s, b, r, &p);
    if (!o) return -1;
    if (o->refused || p->rejected) {
        settle_one(s, p, r->offset, CN_RETRY, o->refused ? "no room on the disk" : "behind a rejected record");
        return 0;
    }
    if (r->offset < p->next) { // core was behind the file
        settle_one(s, p, r->offset, CN_OK, NULL);
        return 0;
    }
    int got = append(s, o, b, r, now_ms);
    if (got > 0) {
        // Nothing of the partition may be written behind it until core has disposed of it: the rest comes again.
        p->rejected = true;
        settle_one(s, p, r->offset, CN_REJECT, "the value is nested more than 64 levels deep");
        return 0;
    }
    int error = errno;
    if (got < 0 && !error) return -1;
    if (p->put_first < 0) p->put_first = r->offset;
    p->put_last = r->offset;
    p->next = r->offset + 1;
    return got < 0 ? refuse(s, o, error) : 0;
}

static int already_failed(struct sink *s) {
    pthread_mutex_lock(&s->lock);
    int failed = s->failed;
    pthread_mutex_unlock(&s->lock);
    return failed ? -1 : 0; // the committer has told the host why
}

static int publish_all(struct sink *s) {
    for (uint32_t i = 0; i < s->output_count; i++) {
        struct output *o = s->outputs[i];
        if (!o->touched || o->refused || publish(s, o) == 0) continue;
        if (refuse(s, o, errno) != 0) return -1;
    }
    return 0;
}

int sink_put(void *task, const struct cn_batch *batch) {
    struct sink *s = task;
    int64_t now_ms = wall_ms(s);
    if (already_failed(s) != 0) return CN_PUT_FAILED;
    s->last_output = NULL;
    for (uint32_t i = 0; i < s->output_count; i++) s->outputs[i]->touched = false;
    for (uint32_t i = 0; i < cn_count(batch); i++)
        if (put_one(s, batch, cn_record_at(batch, i), now_ms) != 0) return CN_PUT_FAILED;
    return publish_all(s) == 0 ? CN_PUT_LATER : CN_PUT_FAILED;
}

int sink_flush(void *task, uint32_t deadline_ms) {
    struct sink *s = task;
    pthread_mutex_lock(&s->lock);
    int rc = wait_idle(s, deadline_ms);
    pthread_mutex_unlock(&s->lock);
    return rc < 0 ? -1 : 0;
}

// Files that are full by age are rolled also when nothing comes.
int sink_tick(void *task) {
    struct sink *s = task;
    int error = 0;
    if (already_failed(s) != 0) return -1;
    for (uint32_t i = 0; i < s->output_count; i++) {
        struct output *o = s->outputs[i];
        if (output_is_full(o, wall_ms(s)) && turn_over(s, o, false, &error) != 0 && !error) return -1;
    }
    return 0;
}
