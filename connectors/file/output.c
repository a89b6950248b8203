// SPDX-License-Identifier: Apache-2.0
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WRITE_BYTES = 1 << 20, DIRECTORY_MODE = 0750 };

static char *text_or_abort(const char *p, size_t n) {
    char *copy = strndup(p, n);
    if (!copy) abort();
    return copy;
}

int output_fail(struct cn_host *h, const char *what, const char *path, int error) {
    if (error == EROFS || error == EACCES || error == EPERM)
        return cn_failf(h, CN_FAIL_CONFIG, "under systemd, outside of /var/lib/connectd and /var/log/connectd, install the drop-in file-sink.conf with "
                        "ReadWritePaths= for the folder; else let the daemon's user write there", "%s %s: %s", what, path, strerror(error));
    if (error == ENOSPC || error == EDQUOT)
        return cn_failf(h, CN_FAIL_TRANSIENT, "make room; writing goes on by itself", "%s %s: %s", what, path, strerror(error));
    if (error == EMFILE || error == ENFILE)
        return cn_failf(h, CN_FAIL_TRANSIENT, "raise LimitNOFILE=, or use fewer files", "%s %s: %s", what, path, strerror(error));
    if (error == ELOOP || error == ENOTDIR || error == ENAMETOOLONG || error == EISDIR)
        return cn_failf(h, CN_FAIL_CONFIG, "name a regular file below real folders; a symbolic link is not followed", "%s %s: %s", what, path, strerror(error));
    return cn_failf(h, CN_FAIL_TRANSIENT, NULL, "%s %s: %s", what, path, strerror(error));
}

// ── opening ──

// Makes the folders that are missing, each durable in its parent.
static int make_directories(struct output *o) {
    char path[4096], parent[4096];
    struct stat st;
    if (stat(o->directory, &st) == 0) return S_ISDIR(st.st_mode) ? 0 : output_fail(o->host, "write into", o->directory, ENOTDIR);
    for (size_t n = 1;; n++) {
        if (o->directory[n] != '/' && o->directory[n] != '\0') continue;
        snprintf(path, sizeof path, "%.*s", (int)n, o->directory);
        if (stat(path, &st) != 0) {
            if (o->io->make_directory(path, DIRECTORY_MODE) != 0 && errno != EEXIST) return output_fail(o->host, "make the folder", path, errno);
            const char *slash = strrchr(path, '/');
            snprintf(parent, sizeof parent, "%.*s", slash == path ? 1 : (int)(slash - path), path);
            if (o->io->sync_directory(parent) != 0) return output_fail(o->host, "sync the folder", parent, errno);
        }
        if (o->directory[n] == '\0') return 0;
    }
}

static void journal_path(const struct output *o, char *to, size_t cap) {
    snprintf(to, cap, "%s%s.%s.journal", o->directory, strcmp(o->directory, "/") == 0 ? "" : "/", strrchr(o->path, '/') + 1);
}

// out.jsonl, 7 → out.000007.jsonl
static void rolled_path(const struct output *o, uint64_t number, char *to, size_t cap) {
    const char *slash = strrchr(o->path, '/'), *dot = strrchr(slash, '.');
    if (!dot || dot == slash + 1) dot = o->path + strlen(o->path);
    snprintf(to, cap, "%.*s.%06llu%s", (int)(dot - o->path), o->path, (unsigned long long)number, dot);
}

// The first number from `number` on whose file does not exist: it shall be a proof that the rename happened.
static uint64_t free_number(const struct output *o, uint64_t number) {
    char path[4200];
    struct stat st;
    for (;; number++) {
        rolled_path(o, number, path, sizeof path);
        if (lstat(path, &st) != 0) return number;
    }
}

static const char foreign_hint[] = "move the file away, or set existing.file: append to go on behind its content";

// The bytes of a regular file at the path, or -1 when there is none; -2 after cn_host.fail.
static int64_t existing_bytes(struct output *o) {
    struct stat st;
    if (lstat(o->path, &st) != 0) return errno == ENOENT ? -1 : (output_fail(o->host, "open", o->path, errno), -2);
    if (S_ISREG(st.st_mode)) return st.st_size;
    cn_failf(o->host, CN_FAIL_CONFIG, "name a regular file; a symbolic link is not followed", "%s is not a regular file", o->path);
    return -2;
}

// A first journal, before the first byte of the file.
static int make_journal(struct output *o, const char *path) {
    int64_t bytes = existing_bytes(o);
    if (bytes == -2) return -1;
    if (bytes > 0 && !o->options->append)
        return cn_failf(o->host, CN_FAIL_CONFIG, foreign_hint, "%s has %lld bytes that this connector did not write", o->path, (long long)bytes);
    o->state = (struct journal_state){.length = bytes > 0 ? bytes : 0, .roll = free_number(o, 1)};
    enum journal_result result = journal_create(&o->journal, o->io, path, o->host->ops->connector_name(o->host), &o->state);
    if (result == JOURNAL_OK) return 0;
    if (result == JOURNAL_BUSY) return cn_failf(o->host, CN_FAIL_TRANSIENT, NULL, "%s is being made by another task", path);
    return output_fail(o->host, "make", path, errno);
}

static int open_journal(struct output *o) {
    char path[4200];
    journal_path(o, path, sizeof path);
    switch (journal_open(&o->journal, o->io, path, o->host->ops->connector_name(o->host), &o->state)) {
    case JOURNAL_OK: return 0;
    case JOURNAL_ABSENT: return make_journal(o, path);
    case JOURNAL_BUSY: return cn_failf(o->host, CN_FAIL_TRANSIENT, "two sinks may not write one file", "%s is in use by another task or process", o->path);
    case JOURNAL_FOREIGN:
        return cn_failf(o->host, CN_FAIL_CONFIG, "choose another path, or remove the file and its journal together", "%s belongs to the connector %s", o->path,
                        o->journal.name);
    case JOURNAL_DAMAGED:
        return cn_failf(o->host, CN_FAIL_LOST_DATA, "move the output file and its journal away together: records from the committed group offset on are then written anew",
                        "%s is damaged: what is in %s can not be told", path, o->path);
    case JOURNAL_FAILED: break;
    }
    return output_fail(o->host, "open", path, errno);
}

static int commit_state(struct output *o) {
    if (journal_commit(&o->journal, &o->state) == 0) return 0;
    return output_fail(o->host, "write", o->journal.path, errno);
}

// What a new active file begins with: nothing of ours.
static void begin_file(struct output *o, int64_t length) {
    o->state.length = length;
    o->state.records = o->state.started_ms = 0;
}

// A roll that was interrupted behind its rename: the file is there under its number.
static int finish_roll(struct output *o) {
    char rolled[4200];
    struct stat st;
    rolled_path(o, o->state.roll, rolled, sizeof rolled);
    if (lstat(rolled, &st) != 0) return 0;
    if (existing_bytes(o) > 0) return cn_failf(o->host, CN_FAIL_CONFIG, "move one of them away", "%s and %s are both there, and only one can be ours", rolled, o->path);
    if (o->io->sync_directory(o->directory) != 0) return output_fail(o->host, "sync the folder", o->directory, errno);
    begin_file(o, 0);
    o->state.roll = free_number(o, o->state.roll + 1);
    return commit_state(o);
}

static int open_file(struct output *o) {
    struct stat st;
    o->fd = o->io->create(o->path, O_RDWR, (mode_t)o->options->mode);
    if (o->fd < 0) return output_fail(o->host, "open", o->path, errno);
    if (fstat(o->fd, &st) != 0 || !S_ISREG(st.st_mode))
        return cn_failf(o->host, CN_FAIL_CONFIG, "name a regular file", "%s is not a regular file", o->path);
    if (o->io->sync_directory(o->directory) != 0) return output_fail(o->host, "sync the folder", o->directory, errno);
    return 0;
}

// Shorter than what was committed: somebody cut it.
static int accept_cut(struct output *o, int64_t bytes) {
    if (!o->options->append)
        return cn_failf(o->host, CN_FAIL_LOST_DATA, "restore the file, or set existing.file: append to go on with what is left of it",
                        "%s has %lld bytes, and %lld were written and synced: it was cut by somebody else", o->path, (long long)bytes, (long long)o->state.length);
    cn_log(o->host, CN_LOG_WARN, "%s was cut from %lld to %lld bytes by somebody else: going on at its end", o->path, (long long)o->state.length, (long long)bytes);
    o->state.length = bytes;
    return 0;
}

// The file as the journal says: what was moved away is let go, what was not committed is cut.
static int settle_file(struct output *o) {
    int64_t bytes = existing_bytes(o);
    if (bytes == -2) return -1;
    if (bytes == -1 && o->state.length) {
        cn_log(o->host, CN_LOG_INFO, "%s was moved away: going on in a new file", o->path);
        begin_file(o, 0);
    } else if (bytes >= 0 && bytes < o->state.length && accept_cut(o, bytes) != 0) {
        return -1;
    }
    if (open_file(o) != 0) return -1;
    if (bytes > o->state.length && o->io->truncate(o->fd, o->state.length) != 0) return output_fail(o->host, "cut", o->path, errno);
    // What was read may be in the page cache only: the file and the state are made durable anew before anything builds on them.
    if (o->io->sync(o->fd) != 0) return output_fail(o->host, "sync", o->path, errno);
    return commit_state(o);
}

int output_open(struct output *o, struct cn_host *h, const struct file_io *io, const struct output_options *options, const char *path) {
    const char *slash = strrchr(path, '/');
    memset(o, 0, sizeof *o);
    o->host = h;
    o->io = io;
    o->options = options;
    o->fd = o->journal.fd = -1;
    o->path = text_or_abort(path, strlen(path));
    o->directory = text_or_abort(path, slash == path ? 1 : (size_t)(slash - path));
    if (make_directories(o) != 0 || open_journal(o) != 0 || finish_roll(o) != 0 || settle_file(o) != 0) {
        output_close(o);
        return -1;
    }
    o->length = o->published.length = o->state.length;
    o->records = o->published.records = o->state.records;
    o->started_ms = o->published.started_ms = o->state.started_ms;
    for (uint32_t i = 0; i < o->state.count; i++) {
        const struct journal_entry *e = &o->state.entries[i];
        struct output_part *p = output_add_part(o, e->topic, strlen(e->topic), e->partition);
        p->tag = e->tag;
        p->next = p->published = e->next;
    }
    return 0;
}

void output_close(struct output *o) {
    if (o->fd >= 0) close(o->fd);
    journal_close(&o->journal);
    journal_state_done(&o->state);
    cn_json_done(&o->buffer);
    for (uint32_t i = 0; i < o->part_count; i++) free(o->parts[i].topic);
    free(o->parts);
    free(o->path);
    free(o->directory);
    memset(o, 0, sizeof *o);
    o->fd = o->journal.fd = -1;
}

// ── parts ──

struct output_part *output_part(struct output *o, const char *topic, size_t n, int32_t partition) {
    for (uint32_t i = 0; i < o->part_count; i++) {
        struct output_part *p = &o->parts[i];
        if (p->partition == partition && strlen(p->topic) == n && memcmp(p->topic, topic, n) == 0) return p;
    }
    return NULL;
}

struct output_part *output_add_part(struct output *o, const char *topic, size_t n, int32_t partition) {
    if (o->part_count == o->part_cap) {
        o->part_cap = o->part_cap ? o->part_cap * 2 : 4;
        o->parts = realloc(o->parts, o->part_cap * sizeof *o->parts);
        if (!o->parts) abort();
    }
    struct output_part *p = &o->parts[o->part_count++];
    *p = (struct output_part){
        .topic = text_or_abort(topic, n), .partition = partition, .next = -1, .published = -1, .put_first = -1, .put_last = -1, .unsettled = -1, .commit_first = -1,
    };
    return p;
}

void output_part_is_of(struct output_part *p, uint32_t tag) {
    if (p->tag && tag && p->tag != tag) p->next = p->published = -1;
    if (tag) p->tag = tag;
}

// ── other hands ──

int output_look(struct output *o) {
    struct stat ours, there;
    int64_t bytes = o->length + o->tail;
    if (fstat(o->fd, &ours) != 0) return output_fail(o->host, "look at", o->path, errno);
    if (lstat(o->path, &there) != 0 || there.st_ino != ours.st_ino || there.st_dev != ours.st_dev) return 1;
    if (ours.st_size == bytes) return 0;
    if (!o->options->append)
        return cn_failf(o->host, CN_FAIL_LOST_DATA, "let nobody else write into it, or set existing.file: append", "%s has %lld bytes where %lld were written: somebody else changes it",
                        o->path, (long long)ours.st_size, (long long)bytes);
    cn_log(o->host, CN_LOG_WARN, "%s has %lld bytes where %lld were written: going on at its end", o->path, (long long)ours.st_size, (long long)bytes);
    o->length = ours.st_size;
    return 0;
}

static int start_file(struct output *o, int64_t length) {
    if (o->fd >= 0) close(o->fd);
    o->fd = -1;
    begin_file(o, length);
    o->records = o->started_ms = o->published.records = o->published.started_ms = 0;
    o->length = o->published.length = length;
    return commit_state(o) == 0 ? open_file(o) : -1;
}

int output_replace(struct output *o) {
    int64_t bytes = existing_bytes(o);
    if (bytes == -2) return -1;
    if (bytes > 0 && !o->options->append)
        return cn_failf(o->host, CN_FAIL_CONFIG, foreign_hint, "%s was moved away, and in its place is a file of %lld bytes", o->path, (long long)bytes);
    cn_log(o->host, CN_LOG_INFO, "%s was moved away: going on in a new file", o->path);
    return start_file(o, bytes > 0 ? bytes : 0);
}

// ── rolling ──

bool output_is_full(const struct output *o, int64_t now_ms) {
    const struct output_options *p = o->options;
    if (o->records == 0) return false;
    if (p->roll_records && o->records >= p->roll_records) return true;
    if (p->roll_size && o->length + o->tail + (int64_t)o->buffer.n >= p->roll_size) return true;
    return p->roll_ms && now_ms - o->started_ms >= p->roll_ms;
}

int output_roll(struct output *o) {
    char rolled[4200];
    rolled_path(o, o->state.roll, rolled, sizeof rolled);
    if (o->io->rename(o->path, rolled, 0) != 0) return output_fail(o->host, "rename to", rolled, errno);
    if (o->io->sync_directory(o->directory) != 0) return output_fail(o->host, "sync the folder", o->directory, errno);
    o->state.roll = free_number(o, o->state.roll + 1);
    return start_file(o, 0);
}

// ── appending ──

int output_write(struct output *o) {
    if (!o->buffer.n) return 0;
    if (o->io->write_at(o->fd, o->buffer.p, o->buffer.n, o->length + o->tail) != 0) return -1;
    o->tail += (int64_t)o->buffer.n;
    cn_json_clear(&o->buffer);
    return 0;
}

int output_append(struct output *o, const struct cn_batch *b, const struct cn_record *r, int64_t now_ms) {
    if (o->buffer.n >= WRITE_BYTES && output_write(o) != 0) return -1;
    if (jsonline_add(&o->buffer, b, r, o->options->content) != 0) return 1;
    if (o->records++ == 0) o->started_ms = now_ms;
    return 0;
}

int output_take_back(struct output *o) {
    cn_json_clear(&o->buffer);
    o->tail = 0;
    o->records = o->published.records;
    o->started_ms = o->published.started_ms;
    return o->io->truncate(o->fd, o->length);
}

// ── committing ──

void output_publish(struct output *o) {
    o->length += o->tail;
    o->tail = 0;
    o->published.length = o->length;
    o->published.records = o->records;
    o->published.started_ms = o->started_ms;
    for (uint32_t i = 0; i < o->part_count; i++) {
        struct output_part *p = &o->parts[i];
        if (p->published == p->next) continue;
        if (p->unsettled < 0) p->unsettled = p->put_first;
        p->published = p->next;
        p->put_first = -1;
    }
    o->dirty = true;
}

void output_snapshot(struct output *o) {
    struct journal_state *s = &o->state;
    o->dirty = false;
    o->committing.length = o->published.length;
    o->committing.records = o->published.records;
    o->committing.started_ms = o->published.started_ms;
    if (s->count < o->part_count) {
        s->entries = realloc(s->entries, o->part_count * sizeof *s->entries);
        if (!s->entries) abort();
        for (; s->count < o->part_count; s->count++)
            s->entries[s->count] = (struct journal_entry){.topic = text_or_abort(o->parts[s->count].topic, strlen(o->parts[s->count].topic)), .partition = o->parts[s->count].partition};
    }
    for (uint32_t i = 0; i < o->part_count; i++) {
        struct output_part *p = &o->parts[i];
        p->commit_first = p->unsettled;
        p->commit_next = p->published;
        p->unsettled = -1;
        s->entries[i].next = p->published;
        s->entries[i].tag = p->tag;
    }
}

int output_commit(struct output *o) {
    if (o->io->sync(o->fd) != 0) return output_fail(o->host, "sync", o->path, errno);
    o->state.length = o->committing.length;
    o->state.records = o->committing.records;
    o->state.started_ms = o->committing.started_ms;
    return commit_state(o);
}
