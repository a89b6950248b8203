/* SPDX-License-Identifier: Apache-2.0 */
/* How a task begins: what is stored and what the server has decide between resuming, going on with a snapshot, and a new one.
 *
 *   stored position   slot      what happens
 *   none              none      make it, snapshot under its exported snapshot, stream from its start
 *   none              there     snapshot under a temporary slot's, stream from the slot's position without what the rows cover
 *   in a snapshot     there     the same, for the tables that are not done
 *   complete          there     stream from the position
 *   any               gone, behind, of another server: lost data (snapshot.mode when_needed: as none, none)
 *
 * The publication comes before the slot: decoding looks it up as of each change. */
#include "task.h"

#define MIN_VERSION 100000

static int one_text(struct task *t, struct conn *c, const char *sql, char *out, size_t cap, struct pgerr *e) {
    struct rows *r;
    if (t->ops->query(c, sql, &r, e) != 0) return -1;
    const char *v = t->ops->rows_count(r) ? t->ops->rows_get(r, 0, 0) : NULL;
    snprintf(out, cap, "%s", v ? v : "");
    t->ops->rows_free(r);
    return 0;
}

static int check_server(struct task *t, struct conn *c, struct pgerr *e) {
    char level[32], timeout[32];
    if (t->ops->version(c) < MIN_VERSION)
        return pgerr_set(e, CN_FAIL_CONFIG, NULL, "%s is PostgreSQL %d, logical replication needs 10 or later", t->where, t->ops->version(c) / 10000);
    if (one_text(t, c, "SHOW wal_level", level, sizeof level, e) != 0) return -1;
    if (strcmp(level, "logical") != 0)
        return pgerr_set(e, CN_FAIL_CONFIG, "as a superuser run: ALTER SYSTEM SET wal_level = logical; then restart the server",
                         "%s has wal_level %s, logical replication needs logical", t->where, level);
    if (one_text(t, c, "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'", timeout, sizeof timeout, e) != 0) return -1;
    int64_t ms = strtoll(timeout, NULL, 10);
    t->status_interval_ms = t->o.status_interval_ms;
    if (ms > 0 && ms / 3 < t->status_interval_ms) t->status_interval_ms = ms / 3 > 10 ? ms / 3 : 10;
    return 0;
}

static int init_values(struct task *t, struct conn *c, struct pgerr *e) {
    char md5[64];
    char *literal = sql_literal(t->o.placeholder);
    char *sql = literal ? sql_printf("SELECT md5(%s)", literal) : NULL;
    int bad = !sql || one_text(t, c, sql, md5, sizeof md5, e) != 0;
    free(literal);
    free(sql);
    if (bad) return -1;
    return values_init(&t->values, t->o.placeholder, md5) != 0 ? pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory") : 0;
}

static struct publication_ask ask(struct task *t, struct conn *c) {
    return (struct publication_ask){t->ops, c, t->h, &t->o, &t->catalog, t->schema_include, t->schema_exclude, t->table_include, t->table_exclude};
}

/* The slot, after a while of waiting for a reader that may be a dying predecessor. */
static int look_patiently(struct task *t, struct slot_state *s, struct pgerr *e) {
    for (int i = 0;; i++) {
        struct conn *c = task_sql(t, e);
        if (!c || slot_look(t->ops, c, t->o.slot, s, e) != 0) return -1;
        if (!s->active_pid || i == 50 || t->h->ops->stopping(t->h)) return 0;
        if (conn_wait(t->h, -1, 0, t->h->ops->monotonic_ms(t->h) + 100) < 0) return 0;
    }
}

static void forget(struct position *p) {
    position_clear_marks(p);
    p->lsn = p->last_commit = 0;
    p->snapshot = 0;
    p->txid = -1;
    p->ts_us = 0;
}

/* snapshot.mode when_needed: what is lost is read again. */
static int start_over(struct task *t, struct slot_state *s, struct pgerr *e) {
    cn_log(t->h, CN_LOG_WARN, "%s; reading all rows again (snapshot.mode when_needed)", e->text);
    forget(&t->pos);
    if (!s->exists) return 0;
    struct conn *c = task_sql(t, e);
    char *sql = sql_printf("SELECT pg_drop_replication_slot('%s')", t->o.slot);
    int bad = !c || !sql || t->ops->query(c, sql, NULL, e) != 0;
    free(sql);
    memset(s, 0, sizeof *s);
    return bad ? -1 : 0;
}

static int decide_slot(struct task *t, struct slot_state *s, struct pgerr *e) {
    memset(s, 0, sizeof *s);
    if (t->o.snapshot_mode == SNAPSHOT_INITIAL_ONLY) return 0; /* needs no slot that lasts */
    if (look_patiently(t, s, e) != 0) return -1;
    struct slot_question q = {t->h->ops->connector_name(t->h), t->o.slot, t->o.dbname, s, &t->server, &t->pos};
    if (slot_check(&q, e) == 0) return 0;
    if (e->fail_class != CN_FAIL_LOST_DATA || t->o.snapshot_mode != SNAPSHOT_WHEN_NEEDED) return -1;
    return start_over(t, s, e);
}

static int wants_rows(const struct task *t) {
    switch (t->o.snapshot_mode) {
    case SNAPSHOT_NO_DATA:
    case SNAPSHOT_NEVER: return 0;
    case SNAPSHOT_ALWAYS: return 1;
    default: return !t->pos.lsn || t->pos.snapshot;
    }
}

static int make_slot(struct task *t, const char *name, int temporary, struct pgerr *e) {
    cn_progressf(t->h, "making replication slot %s, which waits for transactions that are running", name);
    int bad = slot_create(t->ops, t->repl, name, temporary, t->o.slot_failover, t->snap.name, &t->snap.lsn, e);
    t->h->ops->progress(t->h, NULL);
    t->snap.temporary = temporary;
    if (!bad) cn_log(t->h, CN_LOG_INFO, "made %sreplication slot %s", temporary ? "temporary " : "", name);
    return bad;
}

/* A slot with an exported snapshot for the rows, and a place in the WAL to stream from. */
static int prepare(struct task *t, const struct slot_state *s, int rows, struct pgerr *e) {
    char name[64];
    int once = t->o.snapshot_mode == SNAPSHOT_INITIAL_ONLY;
    if (t->o.snapshot_mode == SNAPSHOT_ALWAYS) position_clear_marks(&t->pos);
    if (!s->exists && !once) {
        if (make_slot(t, t->o.slot, 0, e) != 0) return -1;
        t->pos.lsn = t->snap.lsn;
        return 0;
    }
    if (!t->pos.lsn) t->pos.lsn = s->confirmed;
    if (!rows) return 0;
    snprintf(name, sizeof name, "%.50s_%u_snap", t->o.slot, (unsigned)(t->h->ops->now_us(t->h) / 1000000 & 0xffff));
    if (make_slot(t, name, 1, e) != 0) return -1;
    if (!t->pos.lsn) t->pos.lsn = t->snap.lsn;
    return 0;
}

static int read_position(struct task *t, const struct cn_stored_position *stored, uint32_t n, struct pgerr *e) {
    const char *why = "";
    position_init(&t->pos);
    if (position_read(&t->pos, t->o.prefix, stored, n, &why) < 0)
        return pgerr_set(e, CN_FAIL_CONFIG, "set it with connectd offsets set, or remove it with connectd offsets reset",
                         "the stored position of %s %s", t->partition, why);
    t->given_lsn = t->pos.lsn;
    t->given_commit = t->pos.last_commit;
    return 0;
}

static void note_server(struct task *t) {
    if (t->pos.timeline && t->pos.timeline != t->server.timeline)
        cn_log(t->h, CN_LOG_WARN, "the server went from timeline %lld to %lld: it was promoted or restored", (long long)t->pos.timeline,
               (long long)t->server.timeline);
    snprintf(t->pos.sysid, sizeof t->pos.sysid, "%s", t->server.sysid);
    snprintf(t->pos.slot, sizeof t->pos.slot, "%s", t->o.slot);
    t->pos.timeline = t->server.timeline;
}

static int look_at_server(struct task *t, struct pgerr *e) {
    struct conn *c = task_sql(t, e);
    if (!c || check_server(t, c, e) != 0) return -1;
    if (task_connect_repl(t, e) != 0) return -1;
    return server_look(t->ops, t->repl, &t->server, e);
}

int task_start(struct task *t, const struct cn_stored_position *stored, uint32_t n, struct pgerr *e) {
    struct slot_state slot;
    if (read_position(t, stored, n, e) != 0 || look_at_server(t, e) != 0 || init_values(t, t->sql, e) != 0) return -1;
    if (t->o.snapshot_mode == SNAPSHOT_INITIAL_ONLY && t->pos.lsn && !t->pos.snapshot) {
        t->phase = PHASE_DONE;
        return 0;
    }
    struct publication_ask a = ask(t, t->sql);
    if (decide_slot(t, &slot, e) != 0 || publication_ensure(&a, &t->tables, t->publications, e) != 0) return -1;
    int rows = wants_rows(t);
    if (prepare(t, &slot, rows, e) != 0) return -1;
    note_server(t);
    t->phase = rows ? PHASE_SNAPSHOT : PHASE_STREAM;
    if (rows) {
        t->pos.snapshot = 1;
        return snapshot_open(t, e);
    }
    candidates_free(&t->tables);
    return stream_open(t, e);
}

int task_check(struct task *t, struct pgerr *e) {
    struct slot_state s;
    struct candidates l;
    uint32_t n = 0;
    if (look_at_server(t, e) != 0 || slot_look(t->ops, t->sql, t->o.slot, &s, e) != 0) return -1;
    position_init(&t->pos);
    struct slot_question q = {t->h->ops->connector_name(t->h), t->o.slot, t->o.dbname, &s, &t->server, &t->pos};
    s.active_pid = 0; /* a running connector may be checked */
    if (slot_check(&q, e) != 0 || catalog_tables(&t->catalog, t->sql, &l, e) != 0) return -1;
    struct publication_ask a = ask(t, t->sql);
    for (uint32_t i = 0; i < l.n; i++) n += (uint32_t)publication_selects(&a, l.items[i].schema, l.items[i].id);
    candidates_free(&l);
    if (!n && (t->table_include || t->schema_include))
        return pgerr_set(e, CN_FAIL_CONFIG, "names are matched whole, as schema.table", "table.include.list and schema.include.list select no table");
    cn_log(t->h, CN_LOG_INFO, "%s: PostgreSQL %d, %u tables selected, replication slot %s %s", t->where, t->server.version / 10000, n, t->o.slot,
           s.exists ? "exists" : "will be made");
    return 0;
}
