/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of every captured table under one exported snapshot.
 *
 *   replication connection   keeps the snapshot exported, idle
 *   ordinary connection      a table: BEGIN … SET TRANSACTION SNAPSHOT … COPY … TO STDOUT … COMMIT, so that its lock is held no longer
 *
 * A row is handed on when the next one is seen, because its marker says whether it is the last of its table or of all. Tables are
 * committed when all their rows are handed on: the position then carries a mark with the LSN they were read at. A restart reads
 * only tables without a mark, under a snapshot of its own, and the stream leaves out what a table's mark covers; so no row is seen
 * twice and none is missed, whatever happens in between. */
#include "copytext.h"
#include "task.h"

#define COMMIT_BYTES (1 << 20)
#define COMMIT_MS 1000

static int sent_column(const struct table *t, uint32_t i) {
    if (t->columns[i].vt.conv == CONV_DROPPED) return 0;
    if (t->columns[i].field >= 0) return 1;
    for (uint32_t k = 0; k < t->key_count; k++)
        if (t->keys[k] == i) return 1;
    return 0;
}

static void layout_done(struct layout *l) {
    free(l->columns);
    free(l->fields);
    free(l->sent);
    memset(l, 0, sizeof *l);
}

static int layout_init(struct layout *l, const struct table *t) {
    layout_done(l);
    l->columns = calloc(t->count + 1, sizeof *l->columns);
    l->fields = calloc(t->count + 1, sizeof *l->fields);
    l->sent = calloc(t->count + 1, sizeof *l->sent);
    return l->columns && l->fields && l->sent ? 0 : -1;
}

/* "a", "b": the columns COPY shall send, which are noted in the layout. */
static char *column_list(struct layout *s, const struct table *t) {
    size_t cap = 2, n = 0;
    for (uint32_t i = 0; i < t->count; i++) cap += strlen(t->columns[i].name) * 2 + 4;
    char *out = malloc(cap);
    s->count = 0;
    if (!out) return NULL;
    out[0] = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        if (!sent_column(t, i)) continue;
        char *name = sql_identifier(t->columns[i].name);
        if (name) n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? ", " : "", name);
        free(name);
        s->columns[s->count++] = (uint16_t)i;
    }
    return out;
}

/* A plain table is copied as such, which is fastest; everything else by a SELECT. */
static char *copy_statement(struct layout *s, const struct candidate *c, const struct table *t) {
    int plain = c->kind == 'r' && !c->children && !c->filter;
    char *columns = column_list(s, t), *schema = sql_identifier(c->schema), *name = sql_identifier(c->name), *sql = NULL;
    for (uint32_t i = 0; i < s->count; i++) plain &= !t->columns[s->columns[i]].generated;
    if (columns && schema && name) {
        if (plain) sql = sql_printf("COPY %s.%s (%s) TO STDOUT", schema, name, columns);
        else sql = sql_printf("COPY (SELECT %s FROM %s.%s%s%s) TO STDOUT", columns, schema, name, c->filter ? " WHERE " : "", c->filter ? c->filter : "");
    }
    free(columns);
    free(schema);
    free(name);
    return sql;
}

/* A publication of somebody else's may send only some columns. */
static void leave_out_unpublished(const struct candidate *c, struct table *t) {
    if (!c->columns) return;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < t->count; i++) {
        char *name = sql_identifier(t->columns[i].name);
        size_t n = name ? strlen(name) : 0;
        int in = 0;
        for (const char *p = c->columns; n && *p && !in;) {
            const char *end = *p == '"' ? strchr(p + 1, '"') : NULL;
            const char *stop = strchr(end ? end : p, ',');
            size_t len = stop ? (size_t)(stop - p) : strlen(p);
            in = (len == n && memcmp(p, name, n) == 0) || (len == n - 2 && memcmp(p, t->columns[i].name, len) == 0);
            p += len + (stop != NULL);
        }
        free(name);
        struct column moved = t->columns[i];
        if (in) {
            t->columns[i] = t->columns[kept];
            t->columns[kept++] = moved;
        }
    }
    for (uint32_t i = kept; i < t->count; i++) {
        free(t->columns[i].name);
        free(t->columns[i].default_expression);
    }
    t->count = kept;
}

static int explain(struct task *t, const struct candidate *c, struct pgerr *e) {
    if (pgerr_is(e, "42501")) {
        e->fail_class = CN_FAIL_CONFIG;
        snprintf(e->hint, sizeof e->hint, "run: GRANT USAGE ON SCHEMA \"%s\" TO \"%s\"; GRANT SELECT ON \"%s\".\"%s\" TO \"%s\"", c->schema, t->o.user,
                 c->schema, c->name, t->o.user);
    }
    pgerr_wrap(e, "snapshot of table %s", c->id);
    return -1;
}

static int begin(struct task *t, struct conn *c, struct pgerr *e) {
    char sql[512];
    struct rows *r;
    snprintf(sql, sizeof sql, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; SET TRANSACTION SNAPSHOT '%s'; "
             "SET LOCAL lock_timeout = %lld", t->snap.name, (long long)t->o.snapshot_lock_timeout_ms);
    if (t->ops->query(c, sql, NULL, e) != 0) return -1;
    /* The next transaction id as of the snapshot: none is used up in the guest's house. */
    if (t->ops->query(c, "SELECT txid_snapshot_xmax(txid_current_snapshot()) & 4294967295", &r, e) != 0) return -1;
    const char *txid = t->ops->rows_count(r) ? t->ops->rows_get(r, 0, 0) : NULL;
    t->snap.txid = txid ? strtoll(txid, NULL, 10) : -1;
    t->ops->rows_free(r);
    return 0;
}

static int start_copy(struct task *t, struct conn *c, const struct candidate *k, struct pgerr *e) {
    struct snapshot *s = &t->snap;
    if (begin(t, c, e) != 0 || catalog_table(&t->catalog, c, k->oid, &s->table, e) != 0) return -1;
    if (!s->table) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "it was dropped");
    leave_out_unpublished(k, s->table);
    if (task_build_table(t, c, s->table, e) != 0) return -1;
    char *sql = layout_init(&s->layout, s->table) == 0 ? copy_statement(&s->layout, k, s->table) : NULL;
    if (!sql) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
    int bad = s->layout.count ? t->ops->copy_start(c, sql, e) : pgerr_set(e, CN_FAIL_CONFIG, "take it out of table.include.list", "it has no column that can be captured");
    free(sql);
    return bad;
}

/* The next table that has no mark yet: 1 it is open, 0 there is none, -1 failed. */
static int next_table(struct task *t, struct pgerr *e) {
    struct snapshot *s = &t->snap;
    for (; s->next < t->tables.n; s->next++) {
        const struct candidate *k = &t->tables.items[s->next];
        if (!k->published || position_marked(&t->pos, k->id)) continue;
        struct conn *c = task_sql(t, e);
        if (!c) return -1;
        if (start_copy(t, c, k, e) != 0) return explain(t, k, e);
        s->table_at = s->next++;
        s->rows = s->bytes = 0;
        s->table_start_us = t->h->ops->now_us(t->h);
        return 1;
    }
    return 0;
}

int snapshot_open(struct task *t, struct pgerr *e) {
    struct snapshot *s = &t->snap;
    (void)e;
    s->first = 0;
    while (s->first < t->tables.n && !t->tables.items[s->first].published) s->first++;
    if (t->pos.mark_count) s->first = UINT32_MAX; /* a snapshot that goes on has no first row */
    s->pending_at = UINT32_MAX;
    s->committed_ms = s->progress_ms = t->h->ops->monotonic_ms(t->h);
    return 0;
}

static void free_pending(struct task *t) {
    struct snapshot *s = &t->snap;
    if (s->pending) t->ops->copy_free(t->sql, s->pending);
    s->pending = NULL;
    if (s->pending_table && s->pending_table != s->table) {
        envelope_forget(&t->envelope, s->pending_table);
        table_free(s->pending_table);
        layout_done(&s->pending_layout);
    }
    s->pending_table = NULL;
}

void snapshot_close(struct task *t) {
    struct snapshot *s = &t->snap;
    free_pending(t);
    if (s->table) envelope_forget(&t->envelope, s->table);
    table_free(s->table);
    s->table = NULL;
    layout_done(&s->layout);
    candidates_free(&t->tables);
}

/* ── rows ── */

static int emit(struct task *t, struct cn_batch *b, uint8_t marker, struct pgerr *e) {
    struct snapshot *s = &t->snap;
    struct table *table = s->pending_table;
    uint32_t bad = 0;
    const char *why = NULL;
    t->src.lsn = s->lsn;
    t->src.txid = s->txid;
    t->src.ts_us = s->pending_start_us;
    t->src.marker = marker;
    struct layout *l = table == s->table ? &s->layout : &s->pending_layout;
    const struct text *fields = l->count == table->count ? l->sent : l->fields;
    if (copytext_split(s->pending, (size_t)s->pending_n, l->sent, l->count) != 0) why = "COPY sent a line of another form";
    for (uint32_t i = 0; !why && fields == l->fields && i < l->count; i++) l->fields[l->columns[i]] = l->sent[i];
    if (!why && envelope_read(&t->envelope, b, table, &t->src, fields, &bad) != 0) why = "its value cannot be shown in the chosen modes";
    if (!why && b->failed) why = "the row is larger than a batch may be";
    if (!why) return 0;
    return pgerr_set(e, CN_FAIL_CONFIG, "see decimal.handling.mode for NaN and infinite numbers; or leave the column out with column.exclude.list",
                     "snapshot of table %s, column %s: %s", table->id, bad < table->count ? table->columns[bad].name : "?", why);
}

/* Hands on the row that was waiting. `marker` counts unless the row is the first of its table or of all. */
static int flush_pending(struct task *t, struct cn_batch *b, uint8_t marker, struct pgerr *e) {
    struct snapshot *s = &t->snap;
    if (!s->pending) return 0;
    if (s->pending_row == 1 && marker != MARKER_LAST) {
        if (s->pending_at == s->first) marker = MARKER_FIRST;
        else if (marker == MARKER_TRUE) marker = MARKER_FIRST_IN;
    }
    int bad = emit(t, b, marker, e);
    free_pending(t);
    return bad;
}

static void hold(struct task *t, char *line, int n) {
    struct snapshot *s = &t->snap;
    s->rows++;
    s->bytes += n;
    s->progress_bytes += n;
    s->pending = line;
    s->pending_n = n;
    s->pending_table = s->table;
    s->pending_at = s->table_at;
    s->pending_row = s->rows;
    s->pending_start_us = s->table_start_us;
}

/* The current table is read to its end. */
static int end_table(struct task *t, struct pgerr *e) {
    struct snapshot *s = &t->snap;
    if (t->ops->query(t->sql, "COMMIT", NULL, e) != 0) return explain(t, &t->tables.items[s->table_at], e);
    cn_log(t->h, CN_LOG_INFO, "snapshot of table %s: %lld rows, %lld bytes", s->table->id, (long long)s->rows, (long long)s->bytes);
    if (s->pending_table != s->table) {
        envelope_forget(&t->envelope, s->table);
        table_free(s->table);
    } else { /* its last row waits for what comes next */
        s->pending_layout = s->layout;
        memset(&s->layout, 0, sizeof s->layout);
    }
    s->table = NULL;
    return 0;
}

static void progress(struct task *t) {
    struct snapshot *s = &t->snap;
    int64_t now = t->h->ops->monotonic_ms(t->h);
    if (now - s->progress_ms < 1000 || !s->table) return;
    const struct candidate *k = &t->tables.items[s->table_at];
    double mb = (double)s->progress_bytes / (double)(now - s->progress_ms) / 1000.0;
    char part[24] = "";
    if (k->rows > 0) snprintf(part, sizeof part, " %d %%", (int)(s->rows >= k->rows ? 99 : (double)s->rows * 100 / k->rows));
    cn_progressf(t->h, "snapshot %s%s, %lld rows, %.0f MB/s", k->id, part, (long long)s->rows, mb);
    s->progress_ms = now;
    s->progress_bytes = 0;
}

/* ── boundaries ── */

/* Marks the tables before candidate `upto`, all of whose rows are handed on. */
static int settle(struct task *t, uint32_t upto, struct pgerr *e) {
    struct snapshot *s = &t->snap;
    for (; s->settled < upto; s->settled++) {
        const struct candidate *k = &t->tables.items[s->settled];
        if (!k->published || position_marked(&t->pos, k->id)) continue;
        if (position_mark(&t->pos, k->id, s->lsn) != 0) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
    }
    return 0;
}

static int due(struct task *t, const struct cn_batch *b) {
    const struct snapshot *s = &t->snap;
    return s->uncommitted + cn_head(b)->used >= COMMIT_BYTES || t->h->ops->monotonic_ms(t->h) - s->committed_ms >= COMMIT_MS;
}

static int boundary(struct task *t, struct cn_batch *b) {
    t->snap.uncommitted = 0;
    t->snap.committed_ms = t->h->ops->monotonic_ms(t->h);
    task_commit(t, b);
    return CN_POLL_OK;
}

static int hand_on(struct task *t, struct cn_batch *b) {
    if (!cn_count(b)) return CN_POLL_IDLE;
    t->snap.uncommitted += cn_head(b)->used;
    cn_head(b)->boundary = CN_BOUNDARY_OPEN;
    progress(t);
    return CN_POLL_OK;
}

/* All tables are read. Marks that the stream need not compare with are not kept. */
static int finish(struct task *t, struct cn_batch *b, struct pgerr *e) {
    if (flush_pending(t, b, MARKER_LAST, e) != 0 || settle(t, t->tables.n, e) != 0) return CN_POLL_FAILED;
    uint64_t highest = 0;
    for (uint32_t i = 0; i < t->pos.mark_count; i++)
        if (t->pos.marks[i].lsn > highest) highest = t->pos.marks[i].lsn;
    if (highest <= t->pos.lsn) position_clear_marks(&t->pos);
    t->pos.snapshot = 0;
    t->h->ops->progress(t->h, NULL);
    cn_log(t->h, CN_LOG_INFO, "snapshot complete");
    t->phase = t->o.snapshot_mode == SNAPSHOT_INITIAL_ONLY ? PHASE_DONE : PHASE_STREAM;
    return boundary(t, b);
}

/* ── polling ── */

/* A row came: the one before it is handed on. CN_POLL_OK when the batch shall go now, CN_POLL_IDLE to go on. */
static int row(struct task *t, struct cn_batch *b, char *line, int n, struct pgerr *e) {
    struct snapshot *s = &t->snap;
    int first_of_table = s->pending && s->pending_table != s->table;
    if (flush_pending(t, b, first_of_table ? MARKER_LAST_IN : MARKER_TRUE, e) != 0) {
        t->ops->copy_free(t->sql, line);
        return CN_POLL_FAILED;
    }
    hold(t, line, n);
    if (first_of_table || (s->settled < s->table_at && s->rows == 1)) {
        if (settle(t, s->table_at, e) != 0) return CN_POLL_FAILED;
        if (due(t, b) && cn_count(b)) return boundary(t, b);
    }
    return cn_head(b)->used >= BATCH_SOFT ? hand_on(t, b) : CN_POLL_IDLE;
}

/* Reads what there is. CN_POLL_IDLE: nothing more without waiting. */
static int read_some(struct task *t, struct cn_batch *b, struct pgerr *e) {
    struct snapshot *s = &t->snap;
    for (;;) {
        char *line;
        if (!s->table) {
            int r = next_table(t, e);
            if (r <= 0) return r < 0 ? CN_POLL_FAILED : finish(t, b, e);
        }
        int n = t->ops->copy_read(t->sql, &line, e);
        if (n == 0) return CN_POLL_IDLE;
        if (n == -2) return explain(t, &t->tables.items[s->table_at], e), CN_POLL_FAILED;
        if (n == -1) {
            if (end_table(t, e) != 0) return CN_POLL_FAILED;
            continue;
        }
        int r = row(t, b, line, n, e);
        if (r != CN_POLL_IDLE) return r;
    }
}

int snapshot_poll(struct task *t, struct cn_batch *b, uint32_t timeout_ms, struct pgerr *e) {
    int64_t until = t->h->ops->monotonic_ms(t->h) + timeout_ms;
    for (;;) {
        int r = read_some(t, b, e);
        if (r != CN_POLL_IDLE) return r;
        t->sql_used_ms = t->h->ops->monotonic_ms(t->h);
        if (conn_wait(t->h, t->ops->socket(t->sql), 0, until) != 1) return hand_on(t, b);
        t->envelope.now_us = t->h->ops->now_us(t->h);
    }
}
