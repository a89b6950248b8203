/* SPDX-License-Identifier: Apache-2.0 */
/* The replication stream.
 *
 *   CopyData 'w' XLogData: start, end, clock, message     'k' keepalive: end, clock, reply now?     'r' (ours) status
 *
 *   BEGIN … changes … COMMIT            ─► records, position at the COMMIT's end
 *   STREAM_START … changes … STREAM_STOP ─► spool;  STREAM_COMMIT ─► replayed as a transaction;  STREAM_ABORT ─► cut or dropped
 *
 * The flush position in a status is never anything but what `committed` said: the position of a commit that is durable in the
 * log. Where the server's WAL moves on without changes for us, a position without records is committed first, so that the
 * stored position never falls behind what the slot was told.
 *
 * A batch ends at a transaction's end. Only a transaction larger than a batch is handed on in OPEN pieces, and then the batch
 * that holds its end goes at once. While a spooled transaction is replayed nothing is read from the socket; statuses go on. */
#include "task.h"

#include "pgoutput.h"

#define IDLE_COMMIT_MS 10000
#define SUSPEND_MS 30000
#define GATHER_BYTES (64u << 10)

/* ── relations ── */

static struct relation *relation_slot(struct relations *r, uint32_t oid) {
    uint32_t i = (oid * 2654435769u) & (r->cap - 1);
    while (r->slots[i].oid && r->slots[i].oid != oid) i = (i + 1) & (r->cap - 1);
    return &r->slots[i];
}

static int relations_grow(struct relations *r) {
    struct relations big = {calloc(r->cap ? r->cap * 2 : 64, sizeof *big.slots), r->cap ? r->cap * 2 : 64, r->n};
    if (!big.slots) return -1;
    for (uint32_t i = 0; i < r->cap; i++)
        if (r->slots[i].oid) *relation_slot(&big, r->slots[i].oid) = r->slots[i];
    free(r->slots);
    *r = big;
    return 0;
}

static int relations_put(struct task *t, uint32_t oid, struct table *table) {
    struct relations *r = &t->st.relations;
    if ((r->n + 1) * 2 > r->cap && relations_grow(r) != 0) return -1;
    struct relation *s = relation_slot(r, oid);
    if (!s->oid) r->n++;
    if (s->table) {
        envelope_forget(&t->envelope, s->table);
        table_free(s->table);
    }
    *s = (struct relation){oid, table};
    return 0;
}

static void relations_clear(struct task *t) {
    struct relations *r = &t->st.relations;
    for (uint32_t i = 0; i < r->cap; i++) {
        if (!r->slots[i].table) continue;
        envelope_forget(&t->envelope, r->slots[i].table);
        table_free(r->slots[i].table);
    }
    free(r->slots);
    memset(r, 0, sizeof *r);
}

/* Takes over what the catalog knows of a column that the stream has. */
static void adopt(struct column *c, const struct table *known) {
    c->optional = 1;
    for (uint32_t i = 0; known && i < known->count; i++) {
        const struct column *k = &known->columns[i];
        if (strcmp(k->name, c->name) != 0) continue;
        c->optional = k->optional;
        if (k->default_expression) c->default_expression = strdup(k->default_expression);
        return;
    }
}

static struct table *table_of(struct pgoutput *m) {
    struct table *table = table_new(m->relation, m->schema, m->name, (char)m->identity, m->count);
    struct relation_column rc;
    for (uint32_t i = 0; table && i < m->count; i++) {
        if (pgoutput_relation_column(m, &rc) != 0) break;
        column_set_name(&table->columns[i], rc.name);
        table->columns[i].type = rc.type;
        table->columns[i].typmod = rc.typmod;
    }
    return table;
}

static int selected(struct task *t, const struct table *table) {
    struct publication_ask a = {.schema_include = t->schema_include, .schema_exclude = t->schema_exclude,
                                .table_include = t->table_include, .table_exclude = t->table_exclude};
    return publication_selects(&a, table->schema, table->id);
}

/* A RELATION: its columns are of the time of the change; defaults, NOT NULL and keys are what the catalog says now. */
static int relation(struct task *t, struct pgoutput *m, struct pgerr *e) {
    struct table *table = table_of(m), *known = NULL;
    if (!table) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
    int bad = 0;
    if (!selected(t, table)) {
        table_free(table);
        table = NULL;
    } else {
        struct conn *c = task_sql(t, e);
        bad = !c || catalog_table(&t->catalog, c, table->oid, &known, e) != 0;
        for (uint32_t i = 0; !bad && i < table->count; i++) adopt(&table->columns[i], known);
        bad = bad || task_build_table(t, c, table, e) != 0;
        if (!bad) table->snapshot_lsn = position_marked(&t->pos, table->id);
        table_free(known);
        if (bad) pgerr_wrap(e, "reading the catalog for table %s", table->id);
    }
    if (!bad && relations_put(t, m->relation, table) != 0) bad = pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
    if (bad) table_free(table);
    return bad ? -1 : 0;
}

/* ── changes ── */

static int bug(struct pgerr *e, uint64_t lsn, const char *what) {
    char at[24];
    return pgerr_set(e, CN_FAIL_BUG, "please report this", "replication message at %s: %s", lsn_print(lsn, at), what);
}

/* The table of a change: *ret NULL when it is not captured, or its rows of that time are in the snapshot. */
static int table_for(struct task *t, uint32_t oid, struct table **ret, struct pgerr *e) {
    struct relations *r = &t->st.relations;
    struct relation *s = r->cap ? relation_slot(r, oid) : NULL;
    *ret = NULL;
    if (!s || !s->oid) return bug(e, t->src.lsn, "a change before the description of its table");
    if (s->table && !(t->st.highest_mark && s->table->snapshot_lsn > t->st.final_lsn)) *ret = s->table;
    return 0;
}

/* A tuple as fields. */
static int fields_of(struct tuple *tuple, const struct table *table, struct text *out) {
    if (tuple->columns != table->count) return -1;
    for (uint32_t i = 0; i < table->count; i++) {
        struct text f = {NULL, 0};
        uint8_t kind = pgoutput_column(tuple, &f);
        if (kind == COLUMN_UNCHANGED) f.p = table_unsent;
        out[i] = f;
    }
    return 0;
}

static int bad_value(struct task *t, const struct table *table, uint32_t column, struct pgerr *e) {
    char at[24];
    return pgerr_set(e, CN_FAIL_CONFIG, "see decimal.handling.mode for NaN and infinite numbers; or leave the column out with column.exclude.list",
                     "table %s, column %s: the value of a change at %s cannot be shown in the chosen modes", table->id,
                     table->columns[column].name, lsn_print(t->src.lsn, at));
}

/* An enum label that was added since the table was described: nothing in the stream tells. */
static int unknown_label(const struct table *table, const struct text *fields) {
    for (uint32_t i = 0; i < table->count; i++) {
        const char *labels = table->columns[i].vt.conv == CONV_STRING ? table->columns[i].vt.labels : NULL;
        if (!labels || !fields[i].p || fields[i].p == table_unsent) continue;
        size_t n = fields[i].n;
        const char *p = labels;
        while (p && !(strncmp(p, fields[i].p, n) == 0 && (p[n] == ',' || !p[n]))) p = (p = strchr(p, ',')) ? p + 1 : NULL;
        if (!p) return 1;
    }
    return 0;
}

/* Describes the table anew, with its enums read again. */
static int refresh(struct task *t, struct table **table, struct pgerr *e) {
    struct table *old = *table, *fresh = table_new(old->oid, text_of(old->schema), text_of(old->name), old->identity, old->count);
    struct conn *c = task_sql(t, e);
    if (!c || !fresh) return table_free(fresh), c ? pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory") : -1;
    for (uint32_t i = 0; i < old->count; i++) {
        struct column *to = &fresh->columns[i];
        const struct column *from = &old->columns[i];
        column_set_name(to, text_of(from->name));
        to->type = from->type;
        to->typmod = from->typmod;
        to->optional = from->optional;
        to->default_expression = from->default_expression ? strdup(from->default_expression) : NULL;
    }
    fresh->snapshot_lsn = old->snapshot_lsn;
    if (catalog_need_types(&t->catalog, c, fresh, 1, e) != 0 || task_build_table(t, c, fresh, e) != 0) return table_free(fresh), -1;
    if (relations_put(t, old->oid, fresh) != 0) return table_free(fresh), pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
    *table = fresh;
    return 0;
}

static int change(struct task *t, struct cn_batch *b, struct pgoutput *m, struct pgerr *e) {
    static const uint8_t ops[256] = {['I'] = ENVELOPE_CREATE, ['U'] = ENVELOPE_UPDATE, ['D'] = ENVELOPE_DELETE};
    struct table *table;
    struct text *old = NULL, *fresh = NULL;
    uint32_t bad = 0;
    if (table_for(t, m->relation, &table, e) != 0) return -1;
    if (!table) return 0;
    if (m->old.w.p) {
        old = t->st.old_fields;
        if (fields_of(&m->old, table, old) != 0) return bug(e, t->src.lsn, "a row with another number of columns than its table");
    }
    if (m->fresh.w.p) {
        fresh = t->st.fields;
        if (fields_of(&m->fresh, table, fresh) != 0) return bug(e, t->src.lsn, "a row with another number of columns than its table");
        if (table->has_enums && unknown_label(table, fresh) && refresh(t, &table, e) != 0) return -1;
    }
    if (envelope_change(&t->envelope, b, table, ops[m->kind], &t->src, old, fresh, &bad) != 0) return bad_value(t, table, bad, e);
    return 0;
}

static int truncate_tables(struct task *t, struct cn_batch *b, struct pgoutput *m, struct pgerr *e) {
    struct table *table;
    for (uint32_t oid; (oid = pgoutput_truncated(m)) != 0;) {
        if (table_for(t, oid, &table, e) != 0) return -1;
        if (table) envelope_truncate(&t->envelope, b, table, &t->src);
    }
    return 0;
}

static void logical_message(struct task *t, struct cn_batch *b, const struct pgoutput *m) {
    char prefix[256];
    snprintf(prefix, sizeof prefix, "%.*s", (int)m->name.n, m->name.p);
    int transactional = m->flags & 1;
    if (filter_selects(t->message_include, t->message_exclude, prefix)) {
        int64_t txid = t->src.txid;
        if (!transactional) t->src.txid = -1;
        if (!t->src.ts_us) t->src.ts_us = t->envelope.now_us;
        envelope_logical_message(&t->envelope, b, &t->src, m->name, m->content);
        t->src.txid = txid;
    }
    if (transactional || t->st.in_tx) return;
    /* One outside of transactions counts as a commit of its own, that ends just behind it. */
    t->src.last_commit = t->pos.last_commit = t->src.lsn;
    if (m->lsn + 1 > t->pos.lsn) t->pos.lsn = m->lsn + 1;
}

/* ── transactions ── */

static void begin(struct task *t, struct cn_batch *b, uint32_t xid, uint64_t final_lsn, int64_t time) {
    t->st.in_tx = 1;
    t->st.final_lsn = final_lsn;
    t->src.txid = xid;
    t->src.ts_us = time;
    t->src.origin = NULL;
    envelope_tx_begin(&t->envelope, b, &t->src);
}

/* lsn: where the COMMIT message stands, end_lsn: where the stream goes on. */
static void commit(struct task *t, struct cn_batch *b, uint64_t lsn, uint64_t end_lsn, int64_t time) {
    t->src.lsn = lsn;
    t->src.ts_us = time;
    envelope_tx_end(&t->envelope, b, &t->src);
    t->src.last_commit = lsn;
    t->st.in_tx = 0;
    t->pos.lsn = end_lsn;
    t->pos.last_commit = lsn;
    t->pos.txid = t->src.txid;
    t->pos.ts_us = time;
    t->st.transactions++;
    if (t->st.highest_mark && t->st.final_lsn >= t->st.highest_mark) t->st.highest_mark = 0;
}

static void origin(struct task *t, const struct pgoutput *m) {
    snprintf(t->st.origin, sizeof t->st.origin, "%.*s", (int)m->name.n, m->name.p);
    t->src.origin = t->st.origin;
    t->src.origin_lsn = m->lsn;
}

/* One message of a transaction whose end is known, or of none. */
static int apply(struct task *t, struct cn_batch *b, struct pgoutput *m, struct pgerr *e) {
    switch (m->kind) {
    case PGOUTPUT_BEGIN: begin(t, b, m->xid, m->lsn, m->time); return 0;
    case PGOUTPUT_COMMIT: commit(t, b, t->src.lsn, m->end_lsn, m->time); return 0;
    case PGOUTPUT_ORIGIN: origin(t, m); return 0;
    case PGOUTPUT_RELATION: return relation(t, m, e);
    case PGOUTPUT_INSERT:
    case PGOUTPUT_UPDATE:
    case PGOUTPUT_DELETE: return change(t, b, m, e);
    case PGOUTPUT_TRUNCATE: return truncate_tables(t, b, m, e);
    case PGOUTPUT_MESSAGE: logical_message(t, b, m); return 0;
    default: return 0; /* TYPE: the catalog says more */
    }
}

/* ── streamed transactions ── */

/* A message between STREAM_START and STREAM_STOP goes to the spool as it is. */
static int spool(struct task *t, uint64_t lsn, const char *p, size_t n, struct pgoutput *m, struct pgerr *e) {
    struct spool_tx *x = spool_tx(&t->st.spool, t->st.streamed);
    if (!x) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
    if (m->kind == PGOUTPUT_BEGIN || m->kind == PGOUTPUT_COMMIT) return bug(e, lsn, "a transaction's border inside a streamed block");
    uint32_t xid = m->xid ? m->xid : t->st.streamed;
    return spool_append(&t->st.spool, x, xid, lsn, p, n, e);
}

static int stream_commit(struct task *t, struct cn_batch *b, const struct pgoutput *m, struct pgerr *e) {
    struct spool_tx *x = spool_tx(&t->st.spool, m->xid);
    if (!x) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
    t->st.replay = x;
    t->st.replay_lsn = t->src.lsn;
    t->st.replay_end_lsn = m->end_lsn;
    t->st.replay_time = m->time;
    x->read_at = 0;
    begin(t, b, m->xid, m->lsn, m->time);
    return 0;
}

static int stream_abort(struct task *t, const struct pgoutput *m, struct pgerr *e) {
    struct spool_tx *x = spool_find(&t->st.spool, m->xid);
    if (!x) return 0;
    if (m->subxid != m->xid) return spool_cut(&t->st.spool, x, m->subxid, e);
    spool_drop(&t->st.spool, x);
    return 0;
}

static int full(const struct cn_batch *b) { return cn_head(b)->used >= BATCH_HARD; }

/* Hands on more of a transaction whose commit came. 1 it is at its end, 0 the batch is full, -1 failed. */
static int replay(struct task *t, struct cn_batch *b, struct pgerr *e) {
    struct pgoutput m;
    const char *p, *why;
    size_t n;
    while (!full(b)) {
        int r = spool_next(&t->st.spool, t->st.replay, &t->src.lsn, &p, &n, e);
        if (r < 0) return -1;
        if (r == 0) {
            spool_drop(&t->st.spool, t->st.replay);
            t->st.replay = NULL;
            commit(t, b, t->st.replay_lsn, t->st.replay_end_lsn, t->st.replay_time);
            return 1;
        }
        if (pgoutput_decode(p, n, 1, &m, &why) != 0) return bug(e, t->src.lsn, why);
        if (apply(t, b, &m, e) != 0) return -1;
    }
    return 0;
}

/* ── the wire ── */

static int xlog_data(struct task *t, struct cn_batch *b, uint64_t lsn, const char *p, size_t n, struct pgerr *e) {
    struct pgoutput m;
    const char *why;
    t->src.lsn = lsn;
    if (lsn > t->st.received) t->st.received = lsn;
    if (pgoutput_decode(p, n, t->st.streamed != 0, &m, &why) != 0) return bug(e, lsn, why);
    switch (m.kind) {
    case PGOUTPUT_STREAM_START: t->st.streamed = m.xid; return 0;
    case PGOUTPUT_STREAM_STOP: t->st.streamed = 0; return 0;
    case PGOUTPUT_STREAM_COMMIT: return stream_commit(t, b, &m, e);
    case PGOUTPUT_STREAM_ABORT: return stream_abort(t, &m, e);
    default: break;
    }
    if (t->st.streamed) return spool(t, lsn, p, n, &m, e);
    return apply(t, b, &m, e);
}

static void keepalive(struct task *t, uint64_t wal_end, int reply) {
    if (wal_end > t->st.received) t->st.received = wal_end;
    if (reply) t->st.reply_now = 1;
    if (t->st.in_tx) return;
    t->st.idle_lsn = wal_end;
    if (reply) t->st.shutdown_asked = 1;
}

static int copy_message(struct task *t, struct cn_batch *b, const char *p, size_t n, struct pgerr *e) {
    struct wire w = wire_of(p, n);
    uint8_t kind = wire_u8(&w);
    uint64_t a = wire_u64(&w), end = wire_u64(&w);
    if (kind == 'w') {
        wire_u64(&w);
        if (w.bad) return bug(e, a, "XLogData too short");
        return xlog_data(t, b, a, (const char *)w.p, (size_t)(w.end - w.p), e);
    }
    if (kind == 'k') {
        int reply = wire_u8(&w);
        if (w.bad) return bug(e, a, "keepalive too short");
        keepalive(t, a, reply);
        (void)end;
        return 0;
    }
    return bug(e, a, "neither data nor keepalive");
}

/* ── statuses ── */

static void put_be64(uint8_t *out, uint64_t v) {
    v = __builtin_bswap64(v);
    memcpy(out, &v, 8);
}

static int send_status(struct task *t, int64_t now_ms, struct pgerr *e) {
    uint8_t m[34] = {'r'};
    uint64_t flush = t->st.flush_lsn;
    put_be64(m + 1, t->st.received > flush ? t->st.received : flush);
    put_be64(m + 9, flush);
    put_be64(m + 17, flush);
    put_be64(m + 25, (uint64_t)(t->h->ops->now_us(t->h) - PGOUTPUT_EPOCH_US));
    t->st.status_ms = now_ms;
    t->st.reply_now = 0;
    t->st.flush_moved = 0;
    return t->ops->copy_write(t->repl, m, sizeof m, e);
}

/* What `status` shows, about once a second. */
static void tell_metrics(struct task *t, int64_t now_ms) {
    struct stream *s = &t->st;
    if (now_ms - s->metrics_ms < 1000) return;
    s->metrics_ms = now_ms;
    if (s->transactions) t->h->ops->metric(t->h, "transactions", CN_COUNTER, s->transactions);
    s->transactions = 0;
    int64_t behind = s->in_tx || s->received > t->pos.lsn ? (t->envelope.now_us - t->src.ts_us) / 1000 : 0;
    t->h->ops->metric(t->h, "milliseconds-behind-source", CN_GAUGE, t->src.ts_us && behind > 0 ? behind : 0);
    t->h->ops->metric(t->h, "transactions-in-progress", CN_GAUGE, s->spool.count);
    t->h->ops->metric(t->h, "unconfirmed-bytes", CN_GAUGE, s->received > s->flush_lsn ? (int64_t)(s->received - s->flush_lsn) : 0);
}

/* A status, where one is due. */
static int keep_alive(struct task *t, int64_t now_ms, struct pgerr *e) {
    int moved = t->st.flush_moved && now_ms - t->st.status_ms >= 20;
    if (!t->st.reply_now && !moved && now_ms - t->st.status_ms < t->status_interval_ms) return 0;
    return send_status(t, now_ms, e);
}

void stream_committed(struct task *t, uint64_t lsn) {
    if (lsn <= t->st.flush_lsn) return;
    t->st.flush_lsn = lsn;
    t->st.flush_moved = 1;
    if (!t->repl || t->phase != PHASE_STREAM) return;
    struct pgerr e;
    keep_alive(t, t->h->ops->monotonic_ms(t->h), &e); /* a failure shows at the next read */
}

/* ── opening ── */

static int explain_start(struct task *t, struct pgerr *e) {
    if (pgerr_is(e, "42704") && strstr(e->text, "publication"))
        e->fail_class = CN_FAIL_CONFIG;
    if (strstr(e->text, "no longer available") || strstr(e->text, "can no longer get changes") || strstr(e->text, "has been invalidated") ||
        strstr(e->text, "has already been removed"))
        e->fail_class = CN_FAIL_LOST_DATA;
    if (e->fail_class == CN_FAIL_LOST_DATA || pgerr_is(e, "42704"))
        snprintf(e->hint, sizeof e->hint, "drop the slot, then read all rows again: connectd stop %s, connectd offsets reset %s, connectd resume %s",
                 t->h->ops->connector_name(t->h), t->h->ops->connector_name(t->h), t->h->ops->connector_name(t->h));
    pgerr_wrap(e, "streaming from replication slot %s", t->o.slot);
    return -1;
}

static int start_replication(struct task *t, struct pgerr *e) {
    char sql[512], at[24];
    int version = t->ops->version(t->repl);
    snprintf(sql, sizeof sql, "START_REPLICATION SLOT \"%s\" LOGICAL %s (proto_version '%d', publication_names '%s'%s%s)", t->o.slot,
             lsn_print(t->pos.lsn, at), version >= 140000 ? 2 : 1, t->publications, version >= 140000 ? ", messages 'true'" : "",
             version >= 140000 ? ", streaming 'on'" : "");
    return t->ops->copy_start(t->repl, sql, e) != 0 ? explain_start(t, e) : 0;
}

/* The slot of a predecessor that was killed is busy until the server notices. */
static int start_patiently(struct task *t, struct pgerr *e) {
    for (int i = 0;; i++) {
        if (start_replication(t, e) == 0) return 0;
        if (!pgerr_is(e, "55006") || i == 50 || t->h->ops->stopping(t->h)) return -1;
        if (conn_wait(t->h, -1, 0, t->h->ops->monotonic_ms(t->h) + 100) < 0) return -1;
    }
}

int stream_open(struct task *t, struct pgerr *e) {
    struct stream *s = &t->st;
    if (!s->fields) {
        s->fields = calloc(PGOUTPUT_MAX_COLUMNS, sizeof *s->fields);
        s->old_fields = calloc(PGOUTPUT_MAX_COLUMNS, sizeof *s->old_fields);
        if (!s->fields || !s->old_fields) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
        spool_init(&s->spool, t->h, t->o.spool_memory);
    }
    if (!t->repl && task_connect_repl(t, e) != 0) return -1;
    if (start_patiently(t, e) != 0) return -1;
    s->highest_mark = 0;
    for (uint32_t i = 0; i < t->pos.mark_count; i++)
        if (t->pos.marks[i].lsn > s->highest_mark) s->highest_mark = t->pos.marks[i].lsn;
    s->idle_lsn = 0;
    s->received = t->pos.lsn;
    if (t->given_lsn > s->flush_lsn) s->flush_lsn = t->given_lsn; /* what is stored is durable */
    t->src = (struct source_info){.last_commit = t->pos.last_commit, .txid = -1, .ts_us = t->pos.ts_us, .marker = MARKER_FALSE};
    int64_t now = t->h->ops->monotonic_ms(t->h);
    s->status_ms = s->idle_ms = s->heartbeat_ms = s->polled_ms = now;
    cn_log(t->h, CN_LOG_INFO, "streaming from replication slot %s", t->o.slot);
    return send_status(t, now, e);
}

void stream_close(struct task *t) {
    struct stream *s = &t->st;
    relations_clear(t);
    if (s->fields) spool_done(&s->spool);
    free(s->fields);
    free(s->old_fields);
    memset(s, 0, sizeof *s);
}

/* Nobody has polled for a while (paused): the connection is given up, so that the server can shut down and need not ask. */
static void suspend(struct task *t) {
    cn_log(t->h, CN_LOG_INFO, "nothing is taken from replication slot %s for %d s: leaving it until there is", t->o.slot, SUSPEND_MS / 1000);
    t->ops->close(t->repl);
    t->repl = NULL;
}

/* Begins again where the last boundary was; what was handed on since is taken back. */
static int come_back(struct task *t, struct cn_batch *b, struct pgerr *e) {
    struct stream *s = &t->st;
    int aborted = s->open;
    uint64_t flush = s->flush_lsn;
    t->pos.lsn = t->given_lsn; /* what OPEN batches held is thrown away, with what was committed in front of it */
    t->pos.last_commit = t->given_commit;
    relations_clear(t);
    spool_done(&s->spool);
    s->in_tx = s->open = 0;
    s->streamed = 0;
    s->replay = NULL;
    t->envelope.tx_open = 0;
    if (stream_open(t, e) != 0) return CN_POLL_FAILED;
    s->flush_lsn = flush;
    if (!aborted) return CN_POLL_IDLE;
    cn_head(b)->boundary = CN_BOUNDARY_ABORT;
    return CN_POLL_OK;
}

/* ── polling ── */

static int heartbeat_due(const struct task *t, int64_t now) {
    return t->o.heartbeat_ms && now - t->st.heartbeat_ms >= t->o.heartbeat_ms;
}

/* Hands the batch on as a COMMIT; the position is at the end of what it holds. */
static int hand_on(struct task *t, struct cn_batch *b, int64_t now, struct pgerr *e) {
    if (heartbeat_due(t, now)) {
        t->st.heartbeat_ms = now;
        envelope_heartbeat(&t->envelope, b);
    }
    if (b->failed) return pgerr_set(e, CN_FAIL_CONFIG, NULL, "a record is larger than a batch may be"), CN_POLL_FAILED;
    t->st.open = 0;
    t->st.idle_ms = now;
    t->st.shutdown_asked = 0;
    if (t->st.idle_lsn > t->pos.lsn) t->pos.lsn = t->st.idle_lsn;
    if (!t->st.highest_mark) position_clear_marks(&t->pos);
    task_commit(t, b);
    return CN_POLL_OK;
}

static int hand_on_open(struct task *t, struct cn_batch *b, struct pgerr *e) {
    if (b->failed) return pgerr_set(e, CN_FAIL_CONFIG, NULL, "a record is larger than a batch may be"), CN_POLL_FAILED;
    if (!cn_count(b)) return CN_POLL_IDLE;
    t->st.open = 1;
    cn_head(b)->boundary = CN_BOUNDARY_OPEN;
    return CN_POLL_OK;
}

/* Nothing more came: what there is goes now, or the position alone when the WAL moved on without us. */
static int idle(struct task *t, struct cn_batch *b, int timed_out, int64_t now, struct pgerr *e) {
    if (t->st.in_tx) return timed_out ? hand_on_open(t, b, e) : CN_POLL_IDLE;
    if (cn_count(b) || t->st.open || heartbeat_due(t, now)) return hand_on(t, b, now, e);
    uint64_t seen = t->st.idle_lsn > t->pos.lsn ? t->st.idle_lsn : t->pos.lsn;
    int due = !t->given_lsn || t->st.shutdown_asked || now - t->st.idle_ms >= IDLE_COMMIT_MS;
    return due && seen > t->given_lsn ? hand_on(t, b, now, e) : CN_POLL_IDLE;
}

/* Whether the batch shall go now, at a transaction's end. */
static int ripe(const struct task *t, const struct cn_batch *b) {
    return !t->st.in_tx && (cn_head(b)->used >= BATCH_SOFT || t->st.open);
}

enum { DRAIN_GO = 1, DRAIN_EMPTY = 0, DRAIN_MORE = 2, DRAIN_FAILED = -1 };

/* What is buffered. GO: the batch shall go, EMPTY: nothing more without waiting, MORE: look at the clock, then go on. */
static int drain(struct task *t, struct cn_batch *b, struct pgerr *e) {
    for (int i = 0; i < 8192; i++) {
        char *p;
        if (t->st.replay) {
            int r = replay(t, b, e);
            if (r < 0) return DRAIN_FAILED;
            if (r == 0 || ripe(t, b)) return DRAIN_GO;
        }
        int n = t->ops->copy_read(t->repl, &p, e);
        if (n == 0) return DRAIN_EMPTY;
        if (n == -1) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "the server ended the replication stream");
        if (n == -2) return explain_start(t, e);
        int bad = copy_message(t, b, p, (size_t)n, e);
        t->ops->copy_free(t->repl, p);
        if (bad) return DRAIN_FAILED;
        if (ripe(t, b) || full(b)) return DRAIN_GO;
    }
    return DRAIN_MORE;
}

/* In the middle of a lot of changes the server sends them one by one: a moment's rest lets many be read at once, which halves
   the system calls. A small transaction is never kept waiting. */
static void let_gather(struct task *t, const struct cn_batch *b, int64_t now) {
    int busy = t->st.streamed || (t->st.in_tx && cn_head(b)->used > GATHER_BYTES);
    if (busy) conn_wait(t->h, -1, 0, now + 1);
}

int stream_poll(struct task *t, struct cn_batch *b, uint32_t timeout_ms, struct pgerr *e) {
    int64_t now = t->h->ops->monotonic_ms(t->h), until = now + timeout_ms;
    t->st.polled_ms = now;
    task_sql_idle(t, now);
    if (!t->repl) {
        int r = come_back(t, b, e);
        if (r != CN_POLL_IDLE) return r;
    }
    for (;;) {
        int r = drain(t, b, e);
        now = t->h->ops->monotonic_ms(t->h);
        tell_metrics(t, now);
        if (r == DRAIN_FAILED || keep_alive(t, now, e) != 0) return CN_POLL_FAILED;
        if (r == DRAIN_MORE && now < until && !t->h->ops->stopping(t->h)) continue;
        if (r == DRAIN_GO) return t->st.in_tx ? hand_on_open(t, b, e) : hand_on(t, b, now, e);
        r = idle(t, b, now >= until, now, e);
        if (r != CN_POLL_IDLE || now >= until) return r;
        let_gather(t, b, now);
        int64_t next = t->st.status_ms + (t->st.flush_moved ? 20 : t->status_interval_ms);
        if (conn_wait(t->h, t->ops->socket(t->repl), 0, next < until ? next : until) < 0)
            return t->st.in_tx ? hand_on_open(t, b, e) : idle(t, b, 1, now, e);
        t->envelope.now_us = t->h->ops->now_us(t->h);
    }
}

int stream_tick(struct task *t, struct pgerr *e) {
    int64_t now = t->h->ops->monotonic_ms(t->h);
    task_sql_idle(t, now);
    if (!t->repl) return 0;
    if (now - t->st.polled_ms > SUSPEND_MS) {
        suspend(t);
        return 0;
    }
    return keep_alive(t, now, e);
}
