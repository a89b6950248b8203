// SPDX-License-Identifier: Apache-2.0
// A store on a small disk that is filled and freed, round after round, under idempotent producers that try again until they are taken.
//
//   store_full DIR ROUNDS SEED      DIR: an empty file system of some 64 MiB
//
// A round: the disk is filled to the reserve, or to the last byte; every producer is refused; what must go on is tried; room is made, by freeing the
// ballast or by retention alone; every producer gets on without anybody's help; everything acknowledged is read back, once and in order.
// Exit status 1 and the reason on stderr when something is not as promised.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "coord/offsets.h"
#include "store/batch.h"
#include "store/store.h"
#include "test.h"

enum { KIB = 1024, MIB = 1024 * KIB, RESERVE = 2 * MIB, PRODUCERS = 4, KEYS = 8, OFFSETS = 400, WAIT_MS = 20000 };

static _Noreturn void die(const char *what, const struct err *err) {
    fprintf(stderr, "%s%s%s\n", what, err ? ": " : "", err ? err->msg : "");
    _exit(1);
}
#define MUST(call, err) do { if (call) die(#call, &(err)); } while (0)

struct producer {
    struct full *f;
    pthread_t thread;
    int index;
    int64_t id;
    _Atomic int64_t acked;          // records
    _Atomic uint64_t refused, bytes;
    int32_t sequence;
    uint64_t seed;
    int64_t latest[KEYS];           // of the compacted topic: the record that was acknowledged last
};
struct full {
    const char *dir;
    struct fs *fs;
    struct store *s;
    struct offsets *offsets;
    struct producer producers[PRODUCERS]; // each has a partition of "lines" of its own; the last writes to "latest" instead
    struct producer txn;
    int64_t committed;              // transactions
    atomic_bool pause;
    bool filled_by_others;          // no promise but that nothing is lost
    uint64_t seed, offset_commits, refusals, skipped;
};

static uint64_t dice(struct full *f, uint64_t n) { return test_random(&f->seed) % n; }

// ── the disk ─────────────────────────────────────────────────────────────────────────────────────────────────────────

static uint64_t available(const struct full *f) {
    struct statvfs v;
    if (statvfs(f->dir, &v)) die("statvfs", NULL);
    return (uint64_t)v.f_bavail * v.f_frsize;
}

static void ballast_path(const struct full *f, char out[512]) { snprintf(out, 512, "%s/ballast", f->dir); }

// Somebody else's file takes all but so many bytes.
static void fill(const struct full *f, uint64_t leave) {
    char path[512];
    struct stat st = {0};
    ballast_path(f, path);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0 || fstat(fd, &st)) die("ballast", NULL);
    uint64_t free_bytes = available(f), step = free_bytes > leave ? free_bytes - leave : 0;
    for (off_t end = st.st_size; step >= 4096;) {
        if (!posix_fallocate(fd, end, (off_t)step)) end += (off_t)step, free_bytes = available(f), step = free_bytes > leave ? free_bytes - leave : 0;
        else step /= 2;
    }
    close(fd);
}

static void empty(const struct full *f) {
    char path[512];
    ballast_path(f, path);
    if (unlink(path) && errno != ENOENT) die("unlink ballast", NULL);
}

// ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static void happened(void *arg, enum store_event_kind kind, const char *text) {
    struct full *f = arg;
    if (strstr(text, "no disk space, waiting")) f->skipped++;
    if (kind == STORE_EVENT_FATAL) die(text, NULL);
    if (getenv("STORE_FULL_SAY")) fprintf(stderr, "%s\n", text);
}

static void open_all(struct full *f) {
    struct err err;
    char path[600];
    snprintf(path, sizeof(path), "%s/store", f->dir);
    if (mkdir(path, 0755) && errno != EEXIST) die("mkdir", NULL);
    MUST(fs_posix_open(path, &f->fs, &err), err);
    struct store_options o = {.fs = f->fs, .journal_bytes = 2 * MIB, .reserve_bytes = RESERVE, .total_bytes = INT64_MAX, .inline_max_bytes = 16 * KIB,
                              .dedupe_bytes = 64 * KIB, .checkpoint_ms = 20, .event = happened, .arg = f};
    MUST(store_open(&o, &f->s, &err), err);
    MUST(offsets_open(f->s, &clock_real, 2, &f->offsets, &err), err);
}

static void close_all(struct full *f) {
    struct err err;
    offsets_close(f->offsets);
    MUST(store_close(f->s, &err), err);
    fs_close(f->fs);
}

static void make_topics(struct full *f) {
    static const struct topic_setting lines[] = {{"segment.bytes", "262144"}, {"retention.ms", "-1"}};
    static const struct topic_setting latest[] = {{"segment.bytes", "262144"}, {"cleanup.policy", "compact"}, {"min.cleanable.dirty.ratio", "0.2"}};
    struct err err;
    MUST(store_topic_create(f->s, "lines", PRODUCERS, lines, 2, &err), err);
    MUST(store_topic_create(f->s, "latest", 1, latest, 3, &err), err);
    MUST(store_topic_create(f->s, "txns", 1, lines, 2, &err), err);
}

static void retain(struct full *f, const char *bytes) {
    struct topic_setting one = {"retention.bytes", bytes};
    struct err err;
    MUST(store_topic_alter(f->s, "lines", 0, &one, 1, &err), err);
}

// ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// Record number n of a producer says so, and is filled with what its number makes of it.
static void put_text(struct buf *out, int producer, int64_t n, size_t bytes) {
    buf_printf(out, "%d %" PRId64 " ", producer, n);
    uint64_t seed = (uint64_t)n * 31 + (uint64_t)producer + 1;
    while (out->n < bytes) buf_u8(out, (uint8_t)('a' + test_random(&seed) % 26));
}

static struct buf make_batch(struct producer *p, int records, size_t bytes, bool keyed, bool transactional) {
    struct batch_builder b;
    struct buf out = {0}, text = {0};
    struct err err;
    batch_begin(&b, &out, CODEC_NONE);
    b.producer_id = p->id;
    b.producer_epoch = 0;
    b.base_sequence = p->sequence;
    if (transactional) b.attributes |= BATCH_TRANSACTIONAL;
    for (int i = 0; i < records; i++) {
        int64_t n = p->acked + i;
        char key[16];
        snprintf(key, sizeof(key), "%d", (int)(n % KEYS));
        buf_clear(&text);
        put_text(&text, p->index, n, bytes);
        batch_add(&b, 1700000000000, keyed ? str_of(key) : (struct str){NULL, 0}, buf_str(&text), NULL, 0);
    }
    MUST(batch_end(&b, &err), err);
    buf_done(&text);
    return out;
}

static int send(struct full *f, const char *topic, int partition, const struct buf *batch, struct err *err) {
    struct topic *t = topic_get(f->s, topic);
    struct commit *c = commit_new(f->s);
    struct buf bytes = {0};
    buf_puts(&bytes, buf_str(batch));
    int failed = commit_append(c, topic_partition(t, partition), &bytes, false, err);
    topic_unref(t);
    if (failed) commit_free(c);
    else failed = store_commit_wait(f->s, c, NULL, err);
    buf_done(&bytes);
    return failed;
}

static void *produce(void *arg) {
    struct producer *p = arg;
    struct full *f = p->f;
    bool keyed = p->index == PRODUCERS - 1;
    while (!atomic_load(&f->pause)) {
        int records = 1 + (int)(test_random(&p->seed) % 4);
        struct buf batch = make_batch(p, records, test_random(&p->seed) % (test_random(&p->seed) % 4 ? 3000 : 40000), keyed, false);
        struct err err;
        while (send(f, keyed ? "latest" : "lines", keyed ? 0 : p->index, &batch, &err)) {
            if (!err_retriable(&err)) die("a refusal that says: never", &err);
            atomic_fetch_add(&p->refused, 1);
            usleep(1000);
        }
        for (int i = 0; keyed && i < records; i++) p->latest[(p->acked + i) % KEYS] = p->acked + i;
        p->sequence += records;
        p->acked += records;
        p->bytes += batch.n;
        buf_done(&batch);
    }
    return NULL;
}

static void wait_for(struct full *f, const char *what, bool (*holds)(const struct producer *p, uint64_t was), const uint64_t *was) {
    for (int ms = 0;; ms++) {
        int n = 0;
        for (int i = 0; i < PRODUCERS; i++) n += holds(&f->producers[i], was[i]);
        if (n == PRODUCERS) return;
        if (ms > WAIT_MS) die(what, NULL);
        usleep(1000);
    }
}

static bool is_refused(const struct producer *p, uint64_t was) { return p->refused > was; }
static bool gets_on(const struct producer *p, uint64_t was) { return (uint64_t)p->acked > was; }

// ── checking ─────────────────────────────────────────────────────────────────────────────────────────────────────────

struct check {
    struct full *f;
    struct producer *p;
    bool keyed;
    int64_t next, latest[KEYS];
};

static void check_record(struct check *c, const struct record *r) {
    struct buf want = {0};
    int64_t n = strtoll(r->value.p + 2, NULL, 10);
    put_text(&want, c->p->index, n, r->value.n);
    if (!str_eq(buf_str(&want), r->value)) die("a record that nobody wrote", NULL);
    if (c->keyed ? n < c->next : n != c->next && c->next >= 0) die("a record is missing, or there twice", NULL);
    c->next = n + 1;
    if (c->keyed) c->latest[n % KEYS] = n;
    buf_done(&want);
}

static void check_partition(struct check *c, const char *topic, int partition) {
    struct topic *t = topic_get(c->f->s, topic);
    struct partition *p = topic_partition(t, partition);
    struct partition_offsets o;
    struct buf bytes = {0}, scratch = {0};
    struct read_result got = {0};
    struct err err;
    partition_offsets(p, &o);
    struct read_request q = {.from = o.log_start, .max_bytes = 256 * KIB, .isolation = READ_COMMITTED};
    do {
        buf_clear(&bytes);
        MUST(partition_read(p, &q, &bytes, &got, &err), err);
        struct batch_header h;
        for (size_t at = 0; at < got.n; at += batch_size(&h)) {
            struct record_iter it;
            struct record r;
            if (batch_read_header(bytes.p + at, got.n - at, &h)) die("no whole batch", NULL);
            if (h.attributes & BATCH_CONTROL) continue;
            MUST(record_iter_init(&it, bytes.p + at, batch_size(&h), &scratch, SIZE_MAX, &err), err);
            while (record_iter_next(&it, &r, &err) > 0) check_record(c, &r);
        }
        q.from = got.next;
    } while (got.n);
    topic_unref(t);
    buf_done(&bytes);
    buf_done(&scratch);
}

// From the log's start to the last acknowledged record, each once and in order; of the compacted topic the latest of each key.
static void check_all(struct full *f) {
    for (int i = 0; i < PRODUCERS; i++) {
        struct producer *p = &f->producers[i];
        struct check c = {.f = f, .p = p, .keyed = i == PRODUCERS - 1, .next = -1};
        for (int k = 0; k < KEYS; k++) c.latest[k] = -1;
        check_partition(&c, c.keyed ? "latest" : "lines", c.keyed ? 0 : i);
        if (c.next != p->acked && (p->acked || c.next >= 0)) die("the last acknowledged record is missing", NULL);
        for (int k = 0; c.keyed && k < KEYS; k++)
            if (c.latest[k] != p->latest[k]) die("a key's latest record is missing", NULL);
    }
    struct check c = {.f = f, .p = &f->txn, .next = f->committed ? 0 : -1};
    check_partition(&c, "txns", 0);
    if (f->committed && c.next != f->committed) die("a committed transaction is missing", NULL);
}

// ── a round ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static void start(struct full *f) {
    struct err err;
    atomic_store(&f->pause, false);
    for (int i = 0; i < PRODUCERS; i++) MUST(thread_start(&f->producers[i].thread, "producer", produce, &f->producers[i], &err), err);
}

static void stop(struct full *f) {
    atomic_store(&f->pause, true);
    for (int i = 0; i < PRODUCERS; i++) pthread_join(f->producers[i].thread, NULL);
}

// So much that retention has something to free.
static bool has_much(const struct producer *p, uint64_t was) { return p->bytes >= was; }

static void grow(struct full *f) {
    const uint64_t enough[PRODUCERS] = {3 * MIB / 2, 3 * MIB / 2, 3 * MIB / 2, 0};
    start(f);
    wait_for(f, "producers do not write", has_much, enough);
    stop(f);
}

static void begin_transaction(struct full *f) {
    struct err err;
    struct buf batch = make_batch(&f->txn, 1, 100, false, true);
    MUST(send(f, "txns", 0, &batch, &err), err);
    f->txn.sequence++;
    f->txn.acked++;
    buf_done(&batch);
}

static void end_transaction(struct full *f) {
    struct topic *t = topic_get(f->s, "txns");
    struct commit *c = commit_new(f->s);
    struct err err;
    MUST(commit_marker(c, topic_partition(t, 0), f->txn.id, 0, true, 0, &err), err);
    topic_unref(t);
    MUST(store_commit_wait(f->s, c, NULL, &err), err);
    f->committed++;
}

// Offsets go on being committed, so long that their topic must be compacted meanwhile.
static void commit_offsets(struct full *f) {
    struct err err;
    for (int i = 0; i < OFFSETS; i++) {
        const struct group_offset to = {.topic = "lines", .partition = i % PRODUCERS, .offset = (int64_t)++f->offset_commits, .leader_epoch = -1};
        const char *group = i % 2 ? "connect-a" : "connect-b";
        int64_t is;
        MUST(offsets_commit(f->offsets, group, &to, 1, &err), err);
        MUST(offsets_get(f->offsets, group, "lines", to.partition, &is, &err), err);
        if (is != to.offset) die("another offset", NULL);
    }
}

static void clean(struct full *f) {
    struct err err;
    MUST(store_clean(f->s, &err), err);
}

static void note(struct full *f, uint64_t refused[PRODUCERS], uint64_t acked[PRODUCERS]) {
    for (int i = 0; i < PRODUCERS; i++) {
        refused[i] = f->producers[i].refused;
        acked[i] = (uint64_t)f->producers[i].acked;
    }
}

// While the disk is full to the reserve: markers, offsets, reads, cleaning, a restart.
static void what_must_go_on(struct full *f) {
    end_transaction(f);
    commit_offsets(f);
    clean(f);
    if (store_health(f->s, NULL)) die("the store has stopped", NULL);
}

static void once(struct full *f, bool to_the_last_byte, bool by_retention, bool restart) {
    uint64_t refused[PRODUCERS], acked[PRODUCERS];
    struct err err;
    begin_transaction(f);
    fill(f, RESERVE + dice(f, 3 * MIB));
    note(f, refused, acked);
    start(f);
    wait_for(f, "not every producer was refused", is_refused, refused);
    what_must_go_on(f);
    if (restart) {
        // Producers wait meanwhile: theirs are the handles that must be released.
        empty(f);
        stop(f);
        fill(f, RESERVE);
        check_all(f);
        close_all(f);
        open_all(f);
        check_all(f);
        start(f);
        note(f, refused, acked);
        wait_for(f, "not every producer was refused after the restart", is_refused, refused);
    }
    if (to_the_last_byte) {
        fill(f, 0);
        usleep(50 * 1000); // checkpoints may fail
        if (store_clean(f->s, &err) && !err_retriable(&err)) die("cleaning", &err);
        if (store_health(f->s, NULL)) die("the store has stopped", NULL);
    }
    note(f, refused, acked);
    if (by_retention && !to_the_last_byte) retain(f, "0");
    else empty(f);
    for (int i = 0; i < 3; i++) clean(f);
    wait_for(f, "a producer does not get on though there is room", gets_on, acked);
    empty(f);
    stop(f);
    check_all(f);
    retain(f, "1000000");
    clean(f);
    check_all(f);
    retain(f, "-1");
    for (int i = 0; i < PRODUCERS; i++) f->refusals += f->producers[i].refused, f->producers[i].refused = 0;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    struct full f = {.dir = argv[1], .seed = strtoull(argv[3], NULL, 10)};
    unsigned rounds = (unsigned)strtoul(argv[2], NULL, 10), last_byte = 0, retention = 0, restarts = 0;
    struct err err;
    open_all(&f);
    make_topics(&f);
    for (int i = 0; i < PRODUCERS; i++) {
        f.producers[i] = (struct producer){.f = &f, .index = i, .seed = f.seed * 10 + (uint64_t)i};
        MUST(store_producer_id(f.s, &f.producers[i].id, &err), err);
        for (int k = 0; k < KEYS; k++) f.producers[i].latest[k] = -1;
    }
    f.txn = (struct producer){.f = &f, .index = 9};
    MUST(store_producer_id(f.s, &f.txn.id, &err), err);
    grow(&f);
    for (unsigned i = 0; i < rounds; i++) {
        bool to_the_last_byte = i % 3 == 2, by_retention = i % 2 == 1, restart = i % 4 == 1;
        once(&f, to_the_last_byte, by_retention, restart);
        last_byte += to_the_last_byte, retention += by_retention && !to_the_last_byte, restarts += restart;
    }
    int64_t acked = f.committed;
    for (int i = 0; i < PRODUCERS; i++) acked += f.producers[i].acked;
    close_all(&f);
    printf("%u rounds (%u to the last byte, %u freed by retention alone, %u restarts on the full disk): %" PRId64 " records acknowledged, each there once and in "
           "order, %" PRIu64 " refusals, %" PRIu64 " offset commits on a full disk, compaction waited for room %" PRIu64 " times\n",
           rounds, last_byte, retention, restarts, acked, f.refusals, f.offset_commits, f.skipped);
    return 0;
}
