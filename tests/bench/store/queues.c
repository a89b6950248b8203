// SPDX-License-Identifier: Apache-2.0
// The log as a durable queue, beside what else people use as one: SQLite (WAL, synchronous=FULL) and LMDB; and the one file that is the limit.
//
//     queues [FOLDER] [SECONDS]     a cell takes the seconds for each side
//
// Every side makes the same records durable in the same commits: rows of a table by rising id, values by rising key, records by offset. Those
// that were not found when this was built are left out.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"

enum { WRITERS_MOST = 8 };
struct load { size_t bytes; int count; uint8_t *value; };

#ifdef HAVE_SQLITE
#include <sqlite3.h>

// A connection and a statement for each writer; writers wait for each other inside SQLite.
struct sqlite { const struct load *load; sqlite3 *db[WRITERS_MOST]; sqlite3_stmt *insert[WRITERS_MOST]; };

static void sqlite_must(sqlite3 *db, int code) {
    if (code == SQLITE_OK || code == SQLITE_DONE) return;
    fprintf(stderr, "sqlite: %s\n", sqlite3_errmsg(db));
    exit(1);
}
static void sqlite_run(sqlite3 *db, const char *sql) { sqlite_must(db, sqlite3_exec(db, sql, NULL, NULL, NULL)); }

static void *sqlite_new(const char *folder, const struct load *load) {
    struct sqlite *q = xcalloc(1, sizeof(*q));
    char path[4200];
    q->load = load;
    snprintf(path, sizeof(path), "%s/queue.sqlite", folder);
    for (int i = 0; i < WRITERS_MOST; i++) {
        sqlite_must(NULL, sqlite3_open(path, &q->db[i]));
        sqlite_run(q->db[i], "pragma busy_timeout=60000; pragma journal_mode=wal; pragma synchronous=full");
        sqlite_run(q->db[i], "create table if not exists queue(id integer primary key, value blob)");
        sqlite_must(q->db[i], sqlite3_prepare_v2(q->db[i], "insert into queue(value) values(?)", -1, &q->insert[i], NULL));
    }
    return q;
}

static void sqlite_commit(void *arg, int writer) {
    struct sqlite *q = arg;
    sqlite3 *db = q->db[writer];
    sqlite_run(db, "begin immediate");
    for (int i = 0; i < q->load->count; i++) {
        sqlite_must(db, sqlite3_bind_blob(q->insert[writer], 1, q->load->value, (int)q->load->bytes, SQLITE_STATIC));
        sqlite_must(db, sqlite3_step(q->insert[writer]));
        sqlite_must(db, sqlite3_reset(q->insert[writer]));
    }
    sqlite_run(db, "commit");
}

static void sqlite_free(void *arg) {
    struct sqlite *q = arg;
    sqlite_run(q->db[0], "drop table queue");
    for (int i = 0; i < WRITERS_MOST; i++) {
        sqlite3_finalize(q->insert[i]);
        sqlite3_close(q->db[i]);
    }
    free(q);
}
#endif

#ifdef HAVE_LMDB
#include <lmdb.h>

struct lmdb { const struct load *load; MDB_env *env; MDB_dbi dbi; uint64_t next; };

static void lmdb_must(int code) {
    if (!code) return;
    fprintf(stderr, "lmdb: %s\n", mdb_strerror(code));
    exit(1);
}

static void *lmdb_new(const char *folder, const struct load *load) {
    struct lmdb *q = xcalloc(1, sizeof(*q));
    char path[4200];
    MDB_txn *txn;
    q->load = load;
    snprintf(path, sizeof(path), "%s/queue.lmdb", folder);
    lmdb_must(mdb_env_create(&q->env));
    lmdb_must(mdb_env_set_mapsize(q->env, 16ull << 30));
    lmdb_must(mdb_env_open(q->env, path, MDB_NOSUBDIR, 0600));
    lmdb_must(mdb_txn_begin(q->env, NULL, 0, &txn));
    lmdb_must(mdb_dbi_open(txn, NULL, MDB_INTEGERKEY, &q->dbi));
    lmdb_must(mdb_txn_commit(txn));
    return q;
}

static void lmdb_commit(void *arg, int writer) {
    struct lmdb *q = arg;
    MDB_txn *txn;
    lmdb_must(mdb_txn_begin(q->env, NULL, 0, &txn)); // one at a time
    for (int i = 0; i < q->load->count; i++) {
        uint64_t id = q->next++;
        MDB_val key = {sizeof(id), &id}, value = {q->load->bytes, q->load->value};
        lmdb_must(mdb_put(txn, q->dbi, &key, &value, MDB_APPEND));
    }
    lmdb_must(mdb_txn_commit(txn));
}

static void lmdb_free(void *arg) {
    struct lmdb *q = arg;
    MDB_txn *txn;
    lmdb_must(mdb_txn_begin(q->env, NULL, 0, &txn));
    lmdb_must(mdb_drop(txn, q->dbi, 0));
    lmdb_must(mdb_txn_commit(txn));
    mdb_env_close(q->env);
    free(q);
}
#endif

struct other {
    const char *name;
    void *(*make)(const char *folder, const struct load *load);
    void (*commit)(void *arg, int writer);
    void (*done)(void *arg);
};
static const struct other others[] = {
#ifdef HAVE_SQLITE
    {"SQLite", sqlite_new, sqlite_commit, sqlite_free},
#endif
#ifdef HAVE_LMDB
    {"LMDB", lmdb_new, lmdb_commit, lmdb_free},
#endif
    {NULL, NULL, NULL, NULL},
};
enum { OTHERS = countof(others) - 1, SIDES = OTHERS + 2 };

static void print_side(const struct load *load, int writers, struct side *s, double store_rate) {
    double rate = side_rate(s);
    printf("%5zu %6d %3d  %-7s %10.0f %10.1f | %8.0f %8.0f %8.0f | %6.2f | %6.1f\n", load->bytes, load->count, writers, s->name, rate * load->count,
           rate * load->count * (double)load->bytes / 1e6, times_us(&s->times, 0.5), times_us(&s->times, 0.99), times_us(&s->times, 0.999),
           (double)s->cpu_ns / ((double)s->commits * load->count * (double)load->bytes), store_rate / rate);
    fflush(stdout);
}

static void run_cell(struct bench_store *b, const char *folder, const struct load *load, int writers, double seconds) {
    struct side sides[SIDES] = {{.name = "store", .commit = bench_store_commit, .arg = b}};
    bench_batch(load->bytes, load->count, &b->batch);
    for (int i = 0; i < OTHERS; i++) sides[1 + i] = (struct side){.name = others[i].name, .commit = others[i].commit, .arg = others[i].make(folder, load)};
    sides[SIDES - 1] = (struct side){.name = "file", .commit = one_file_commit, .arg = one_file_new(folder, load->bytes * (size_t)load->count)};
    bench_race(sides, SIDES, writers, seconds, SHORT_MS);
    double rate = side_rate(&sides[0]);
    for (int i = 0; i < SIDES; i++) print_side(load, writers, &sides[i], rate);
    for (int i = 0; i < OTHERS; i++) others[i].done(sides[1 + i].arg);
    one_file_free(sides[SIDES - 1].arg);
    sides_done(sides, SIDES);
}

int main(int argc, char **argv) {
    struct folder folder = bench_folder(argc > 1 ? argv[1] : NULL);
    double seconds = argc > 2 ? strtod(argv[2], NULL) : 1.5;
    static const struct { size_t bytes; int count, writers; } cells[] = {{100, 1, 1}, {1024, 1, 1}, {1024, 100, 1}, {100, 1, 8}, {1024, 1, 8}, {1024, 100, 8}};
    struct bench_store b;
    bench_store_open(&b, folder.path, "store", (struct store_options){0});
    printf("%5s %6s %3s  %-7s %10s %10s | %8s %8s %8s | %6s | %6s\n", "bytes", "commit", "wr", "", "records/s", "MB/s", "p50 us", "p99", "p99.9", "CPU/GB", "store/");
    for (size_t i = 0; i < countof(cells); i++) {
        struct load load = {cells[i].bytes, cells[i].count, xcalloc(1, cells[i].bytes)};
        bench_store_topic(&b, 1);
        run_cell(&b, folder.path, &load, cells[i].writers, seconds);
        free(load.value);
    }
    bench_store_close(&b);
    bench_folder_done(&folder);
    return 0;
}
