// SPDX-License-Identifier: Apache-2.0
// Opening and closing a store, and what concerns all of it.
#include "store_int.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/resource.h>

#include "catalogue.h"
#include "checkpointer.h"
#include "cleaner.h"
#include "flusher.h"
#include "meta.h"
#include "recovery.h"
#include "risk.h"
#include "settle.h"

#define MIB ((uint64_t)1024 * 1024)
enum { OPEN_FILES_MOST = 16384, OPEN_FILES_LEAST = 64 };

void store_event(struct store *s, enum store_event_kind kind, const char *fmt, ...) {
    char text[1024];
    va_list ap;
    if (!s->o.event) return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    s->o.event(s->o.arg, kind, text);
}

// ── stopping ─────────────────────────────────────────────────────────────────────────────────────────────────────────

void store_stop(struct store *s, const struct err *why) {
    pthread_mutex_lock(&s->state);
    bool first = !s->stopped;
    if (first) s->stopped_why = *why;
    s->stopped = true;
    atomic_store(&s->is_stopped, true);
    pthread_mutex_unlock(&s->state);
    if (!first) return;
    store_event(s, STORE_EVENT_FATAL, "the log accepts no more writes: %s", why->msg);
    flusher_wake(s);
}

int store_check_running(struct store *s, struct err *err) {
    if (!atomic_load(&s->is_stopped)) return 0;
    LOCK_SCOPE(&s->state);
    err_set(err, ERR_STOPPED, "the log is stopped: %s", s->stopped_why.msg);
    if (err) err->sys = s->stopped_why.sys;
    return err_hint(err, "restart: what was acknowledged is kept and checked then");
}

int store_health(struct store *s, struct err *err) { return store_check_running(s, err); }

// ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static void set_defaults(struct store_options *o) {
    if (!o->clock) o->clock = &clock_real;
    if (!o->journal_bytes) o->journal_bytes = 64 * MIB;
    if (!o->commit_max_bytes) o->commit_max_bytes = 16 * MIB;
    if (!o->group_max_bytes) o->group_max_bytes = 16 * MIB;
    if (!o->inline_max_bytes) o->inline_max_bytes = 256 * 1024;
    if (!o->reserve_bytes) o->reserve_bytes = 16 * MIB;
    if (!o->dedupe_bytes) o->dedupe_bytes = 32 * MIB;
    if (!o->quarantine_bytes) o->quarantine_bytes = 64 * MIB;
    if (!o->queue_bytes) o->queue_bytes = 64 * MIB;
    if (!o->checkpoint_ms) o->checkpoint_ms = 1000;
    if (o->open_files) return;
    struct rlimit limit;
    bool known = !getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur != RLIM_INFINITY;
    uint64_t half = known ? limit.rlim_cur / 2 : OPEN_FILES_MOST;
    o->open_files = (uint32_t)(half > OPEN_FILES_MOST ? OPEN_FILES_MOST : half < OPEN_FILES_LEAST ? OPEN_FILES_LEAST : half);
}

static struct store *store_new(const struct store_options *o) {
    struct store *s = xcalloc(1, sizeof(*s));
    s->o = *o;
    set_defaults(&s->o);
    s->fs = s->o.fs;
    s->clock = s->o.clock;
    pthread_mutex_init(&s->admin, NULL);
    pthread_mutex_init(&s->repair, NULL);
    pthread_mutex_init(&s->state, NULL);
    pthread_cond_init(&s->fired, NULL);
    files_init(&s->files, s->fs, s->o.open_files);
    catalogue_init(&s->catalogue);
    flusher_init(&s->flusher);
    checkpointer_init(&s->checkpointer);
    cleaner_init(&s->cleaner);
    s->commit_us = histogram_new();
    s->sync_us = histogram_new();
    return s;
}

static void store_free(struct store *s) {
    for (size_t i = 0; i < s->dirty_count; i++) {
        files_put(&s->files, s->dirty[i].file);
        segment_unref(&s->files, s->dirty[i].seg);
        topic_unref(s->dirty[i].p->topic);
    }
    free(s->dirty);
    risk_done(s);
    catalogue_done(&s->catalogue);
    files_done(&s->files);
    journal_close(s->journal);
    cleaner_done(&s->cleaner);
    checkpointer_done(&s->checkpointer);
    flusher_done(&s->flusher);
    histogram_free(s->commit_us);
    histogram_free(s->sync_us);
    pthread_cond_destroy(&s->fired);
    pthread_mutex_destroy(&s->state);
    pthread_mutex_destroy(&s->repair);
    pthread_mutex_destroy(&s->admin);
    free(s);
}

struct looks { struct store *s; bool data; };

// A partition's folder beside a missing meta.properties means that something was lost, not that this is a new store.
static int look(void *arg, const char *name) {
    struct looks *l = arg;
    struct fs_stat st;
    char path[SEGMENT_PATH + 32];
    snprintf(path, sizeof(path), "%.300s/partition.metadata", name);
    if (!l->s->fs->ops->stat(l->s->fs, path, &st, NULL)) l->data = true;
    return 0;
}

// Of an earlier attempt: names that could not be made durable then never will be.
static void remove_attempt(struct store *s) {
    static const char *const names[] = {JOURNAL_NAME, "checkpoint-0", "checkpoint-1"};
    for (size_t i = 0; i < countof(names); i++) (void)s->fs->ops->unlink(s->fs, names[i], NULL);
}

// The properties come last: while they are missing, nothing can have been written yet.
static int create_store(struct store *s, struct err *err) {
    struct looks l = {.s = s};
    if (s->fs->ops->list(s->fs, ".", look, &l, err)) return -1;
    if (l.data) {
        err_set(err, ERR_CORRUPT, META_NAME " is missing beside partitions");
        return err_hint(err, "nothing was changed; restore the folder from a copy");
    }
    remove_attempt(s);
    if (journal_create(s->fs, s->o.journal_bytes, err) || journal_open(s->fs, &s->journal, err)) return -1;
    for (unsigned i = 0; i < CHECKPOINT_SLOTS; i++) {
        struct buf image = {0};
        struct checkpoint at = {.generation = 1, .journal = s->journal->id};
        checkpoint_begin(&image);
        catalogue_image(s, &image);
        int failed = checkpoint_write(s->fs, i, &at, &image, err);
        buf_done(&image);
        if (failed) return -1;
    }
    journal_close(s->journal);
    s->journal = NULL;
    s->made = !s->fs->ops->sync_dir(s->fs, ".", err) && !meta_create(s, err);
    return s->made ? 0 : -1;
}

static int open_files(struct store *s, struct err *err) {
    struct err why;
    if (s->fs->ops->lock(s->fs, ".lock", err)) return -1;
    if (meta_read(s, &why)) {
        if (why.code != ERR_NOT_FOUND) return *err = why, -1;
        if (create_store(s, err)) return -1;
    }
    budget_init(s);
    return recover(s, err);
}

// What was found and done, where it was anything.
static void put_findings(const struct recovery_report *r, struct buf *out) {
    const struct { uint64_t n; const char *what; } rows[] = {
        {r->restored_bytes, "bytes restored from it"},
        {r->cut_bytes, "bytes above the durable end cut"},
        {r->files_removed, "files of no segment removed"},
        {r->indexes_rebuilt, "indexes rebuilt"},
        {r->folders_set_aside, "folders set aside"},
        {r->partitions_failed, "partitions stopped"},
    };
    for (size_t i = 0; i < countof(rows); i++)
        if (rows[i].n) buf_printf(out, ", %" PRIu64 " %s", rows[i].n, rows[i].what);
}

static void tell_report(struct store *s) {
    const struct recovery_report *r = &s->report;
    struct buf text = {0};
    if (r->was_clean || s->made) return;
    buf_printf(&text, "recovered in %" PRId64 " ms after a stop that was not clean: %" PRIu64 " frames of the journal name %u of %u partitions", r->took_ms,
               r->frames, r->partitions_checked, r->partitions);
    if (settle_left(s)) buf_puts(&text, STR(" (the others are looked through in a moment)"));
    put_findings(r, &text);
    store_event(s, STORE_EVENT_INFO, "%s", buf_cstr(&text));
    buf_done(&text);
}

static int start_threads(struct store *s, struct err *err) {
    if (flusher_start(s, err)) return -1;
    if (!checkpointer_start(s, err) && !cleaner_start(s, err)) return 0;
    checkpointer_stop(s);
    flusher_stop(s);
    return -1;
}

int store_open(const struct store_options *o, struct store **ret, struct err *err) {
    if (settings_check_defaults(o, err)) return err_wrap(err, "topic default");
    struct store *s = store_new(o);
    int64_t began = clock_mono_ms(s->clock);
    if (open_files(s, err)) {
        store_free(s);
        return -1;
    }
    s->report.took_ms = clock_mono_ms(s->clock) - began;
    tell_report(s);
    if (start_threads(s, err)) {
        store_free(s);
        return -1;
    }
    *ret = s;
    return 0;
}

// ── closing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static int close_clean(struct store *s, struct err *err) {
    if (store_check_running(s, err) || settle_all(s, err) || checkpointer_run(s, err)) return -1;
    return clean_write(s, &(struct checkpoint){.generation = s->checkpoint_generation, .journal = s->journal->id, .seq = s->checkpoint_seq}, err);
}

int store_close(struct store *s, struct err *err) {
    if (!s) return 0;
    cleaner_stop(s);
    flusher_stop(s); // what is queued may need a checkpoint to go on
    checkpointer_stop(s);
    int failed = close_clean(s, err);
    store_free(s);
    return failed;
}

// ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────────────

void store_report(struct store *s, struct recovery_report *ret) {
    LOCK_SCOPE(&s->state);
    *ret = s->report;
    ret->partitions_left = settle_left(s);
}

void store_report_aborted(struct store *s, uint32_t transactions) {
    if (!transactions) return;
    {
        LOCK_SCOPE(&s->state);
        s->report.transactions_aborted += transactions;
    }
    store_event(s, STORE_EVENT_INFO, "%u transactions that were open are aborted", transactions);
}

const char *store_cluster_id(struct store *s) { return s->cluster_id; }

struct open_list {
    struct open_txn *items;
    size_t n, cap;
    struct partition *p;
};

static int note_open(void *arg, const struct producer_state *x) {
    struct open_list *l = arg;
    struct open_txn t = {.partition = l->p, .producer_id = x->id, .producer_epoch = x->epoch, .first_offset = x->txn_first, .bytes = x->txn_bytes};
    VEC_PUSH(l->items, l->n, l->cap, t);
    return 0;
}

// On the flusher's thread, between groups: its producers are those of the durable end.
static int gather_open(struct store *s, void *arg, struct err *err) {
    struct open_list *l = arg;
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(&s->catalogue.topics, &at));) {
        struct topic *t = e->value;
        for (int32_t i = 0; i < t->count; i++) {
            l->p = topic_partition(t, i);
            size_t before = l->n;
            if (l->p->producers) producers_each_open(l->p->producers, note_open, l);
            for (size_t k = before; k < l->n; k++) topic_ref(t);
        }
    }
    return 0;
}

int store_open_txns(struct store *s, int (*each)(void *arg, const struct open_txn *t), void *arg) {
    struct open_list l = {0};
    struct err err;
    int stop = store_call(s, gather_open, &l, false, &err);
    for (size_t i = 0; i < l.n; i++) {
        if (!stop) stop = each(arg, &l.items[i]);
        topic_unref(l.items[i].partition->topic);
    }
    free(l.items);
    return stop;
}

int store_checkpoint(struct store *s, struct err *err) { return checkpointer_run(s, err); }

void store_on_lost(struct store *s,
                   void (*lost)(void *arg, struct partition *p, const char *holder, int64_t first, int64_t last, bool damaged), void *arg) {
    LOCK_SCOPE(&s->state);
    s->lost = (struct lost_fn){lost, arg};
}
