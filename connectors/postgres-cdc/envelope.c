/* SPDX-License-Identifier: Apache-2.0 */
#include "envelope.h"

#include <sys/random.h>

#include "pgoutput.h"

/* The Java class whose name Debezium shows for the collection of logical messages; what follows its @ there is a hash of no
   meaning. */
#define MESSAGE_COLLECTION "io.debezium.connector.postgresql.LogicalDecodingMessageMonitor$LogicalDecodingMessageId@0"

/* ── life ── */

/* A version 7 UUID: milliseconds, then random bits. */
static void make_run_id(char out[37], int64_t now_us) {
    static const char hex[] = "0123456789abcdef";
    uint8_t r[16];
    if (getrandom(r, sizeof r, 0) != (ssize_t)sizeof r) memset(r, 0x5a, sizeof r);
    uint64_t ms = (uint64_t)(now_us / 1000);
    for (int i = 0; i < 6; i++) r[i] = (uint8_t)(ms >> 8 * (5 - i));
    r[6] = (uint8_t)(0x70 | (r[6] & 0x0f));
    r[8] = (uint8_t)(0x80 | (r[8] & 0x3f));
    for (int i = 0, at = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out[at++] = '-';
        out[at++] = hex[r[i] >> 4];
        out[at++] = hex[r[i] & 15];
    }
    out[36] = 0;
}

int envelope_init(struct envelope *e, const struct options *o, struct values *v, uint32_t task, int64_t now_us) {
    memset(e, 0, sizeof *e);
    e->o = o;
    e->values = v;
    e->now_us = now_us;
    make_run_id(e->run_id, now_us);
    snprintf(e->task, sizeof e->task, "%u", task);
    e->message_key = envelope_schema_message_key();
    e->message = envelope_schema_message(o->modes.binary != BINARY_BYTES);
    e->transaction_key = envelope_schema_transaction_key();
    e->transaction = envelope_schema_transaction();
    e->heartbeat_key = envelope_schema_heartbeat_key();
    e->heartbeat = envelope_schema_heartbeat();
    e->row = calloc(PGOUTPUT_MAX_COLUMNS, sizeof *e->row);
    e->old_row = calloc(PGOUTPUT_MAX_COLUMNS, sizeof *e->old_row);
    size_t n = strlen(o->prefix) + strlen(o->topic_delimiter) + strlen(o->topic_transaction) + strlen(o->heartbeat_prefix) + 1;
    e->transaction_topic = malloc(n);
    e->heartbeat_topic = o->heartbeat_name ? strdup(o->heartbeat_name) : malloc(n);
    if (!e->message_key || !e->message || !e->transaction_key || !e->transaction || !e->heartbeat_key || !e->heartbeat || !e->row ||
        !e->old_row || !e->transaction_topic || !e->heartbeat_topic)
        return -1;
    snprintf(e->transaction_topic, n, "%s%s%s", o->prefix, o->topic_delimiter, o->topic_transaction);
    if (!o->heartbeat_name) snprintf(e->heartbeat_topic, n, "%s%s%s", o->heartbeat_prefix, o->topic_delimiter, o->prefix);
    return 0;
}

static void forget_collections(struct envelope *e) {
    for (uint32_t i = 0; i < e->collection_count; i++) free(e->collections[i].id);
    e->collection_count = 0;
}

void envelope_done(struct envelope *e) {
    free(e->message_key);
    free(e->message);
    free(e->transaction_key);
    free(e->transaction);
    free(e->heartbeat_key);
    free(e->heartbeat);
    free(e->row);
    free(e->old_row);
    free(e->transaction_topic);
    free(e->heartbeat_topic);
    forget_collections(e);
    free(e->collections);
    memset(e, 0, sizeof *e);
}

/* ── what a batch holds once ── */

static void put_headers(struct envelope *e, struct cn_batch *b) {
    const char *const pairs[][2] = {{"__debezium.context.connectorLogicalName", e->o->prefix},
                                    {"__debezium.context.taskId", e->task},
                                    {"__debezium.context.connectorName", "postgresql"},
                                    {"__debezium.context.runId", e->run_id}};
    e->header_count = e->o->extended_headers ? 4 : 0;
    e->headers = cn_alloc(b, 4 * sizeof(struct cn_header));
    for (uint32_t i = 0; i < e->header_count; i++) {
        struct cn_header h = {cn_text(b, pairs[i][0], strlen(pairs[i][0])), cn_stringz(b, pairs[i][1]), CN_NO_SCHEMA, {0}};
        if (!b->failed) CN_AT(struct cn_header, b, e->headers)[i] = h;
    }
}

void envelope_batch(struct envelope *e, struct cn_batch *b) {
    static const char *const ops[] = {"c", "u", "d", "r", "t", "m"};
    static const char *const markers[] = {"false", "true", "first", "first_in_data_collection", "last_in_data_collection", "last"};
    e->batch++;
    e->source_table = NULL;
    e->source_at = 0;
    e->version = cn_stringz(b, CN_VERSION);
    e->connector = cn_stringz(b, "postgresql");
    e->prefix = cn_stringz(b, e->o->prefix);
    e->db = cn_stringz(b, e->o->dbname);
    e->empty = cn_stringz(b, "");
    for (int i = 0; i < ENVELOPE_OPS; i++) e->ops[i] = cn_stringz(b, ops[i]);
    for (int i = 0; i < MARKER_COUNT; i++) e->markers[i] = cn_stringz(b, markers[i]);
    put_headers(e, b);
}

void envelope_forget(struct envelope *e, const struct table *t) {
    if (e->source_table == t) e->source_table = NULL, e->source_at = 0;
}

static void use_table(struct envelope *e, struct cn_batch *b, struct table *t) {
    if (t->seen == e->batch) return;
    t->seen = e->batch;
    t->topic_index = cn_topic(b, t->topic, strlen(t->topic));
    t->value_index = cn_schema_use(b, t->value_schema);
    t->key_index = t->key_schema ? cn_schema_use(b, t->key_schema) : CN_NO_SCHEMA;
    t->schema_text = cn_stringz(b, t->schema).u.at;
    t->name_text = cn_stringz(b, t->name).u.at;
}

/* ── the source block ── */

static char *put_u64(char *out, uint64_t v) {
    char digits_[20];
    int n = 0;
    do digits_[n++] = (char)('0' + v % 10);
    while (v /= 10);
    while (n) *out++ = digits_[--n];
    return out;
}

/* ["lastCommitLsn","lsn"] */
static struct cn_cell sequence(struct cn_batch *b, const struct source_info *s) {
    cn_off at = cn_alloc(b, 56);
    if (!at) return cn_null();
    char *start = (char *)b->base + at, *p = start;
    *p++ = '[';
    if (s->last_commit) {
        *p++ = '"';
        p = put_u64(p, s->last_commit);
        *p++ = '"';
    } else {
        memcpy(p, "null", 4);
        p += 4;
    }
    *p++ = ',';
    *p++ = '"';
    p = put_u64(p, s->lsn);
    *p++ = '"';
    *p++ = ']';
    return cn_run(CN_STRING, at, (uint32_t)(p - start));
}

static int same_source(const struct source_info *a, const struct source_info *b) {
    return a->lsn == b->lsn && a->marker == b->marker && a->txid == b->txid && a->ts_us == b->ts_us && a->last_commit == b->last_commit;
}

/* t NULL: a logical message. Rows of one LSN and transaction share their block. */
static struct cn_cell source(struct envelope *e, struct cn_batch *b, const struct table *t, const struct source_info *s) {
    if (e->source_at && e->source_table == t && same_source(&e->source, s)) return cn_run(CN_STRUCT, e->source_at, S_COUNT);
    struct cn_cell seq = sequence(b, s);
    struct cn_cell origin = s->origin ? cn_stringz(b, s->origin) : cn_null();
    cn_off at = cn_alloc(b, S_COUNT * sizeof(struct cn_cell));
    if (!at) return cn_null();
    struct cn_cell *c = cn_cells_at(b, at);
    c[S_VERSION] = e->version;
    c[S_CONNECTOR] = e->connector;
    c[S_NAME] = e->prefix;
    c[S_TS_MS] = cn_int(CN_INT64, s->ts_us / 1000);
    c[S_SNAPSHOT] = e->markers[s->marker];
    c[S_DB] = e->db;
    c[S_SEQUENCE] = seq;
    c[S_TS_US] = cn_int(CN_INT64, s->ts_us);
    c[S_TS_NS] = cn_int(CN_INT64, s->ts_us * 1000);
    c[S_SCHEMA] = t ? cn_run(CN_STRING, t->schema_text, (uint32_t)strlen(t->schema)) : e->empty;
    c[S_TABLE] = t ? cn_run(CN_STRING, t->name_text, (uint32_t)strlen(t->name)) : e->empty;
    c[S_TXID] = s->txid >= 0 ? cn_int(CN_INT64, s->txid) : cn_null();
    c[S_LSN] = cn_int(CN_INT64, (int64_t)s->lsn);
    c[S_XMIN] = cn_null();
    c[S_ORIGIN] = origin;
    c[S_ORIGIN_LSN] = s->origin ? cn_int(CN_INT64, (int64_t)s->origin_lsn) : cn_null();
    e->source_table = t;
    e->source_at = at;
    e->source = *s;
    return cn_run(CN_STRUCT, at, S_COUNT);
}

/* ── transaction metadata ── */

static struct cn_cell tx_id(struct envelope *e, struct cn_batch *b, uint64_t lsn) {
    char text[48];
    int n = snprintf(text, sizeof text, "%lld:%llu", (long long)e->tx_id, (unsigned long long)lsn);
    return cn_string(b, text, (size_t)n);
}

static uint32_t collection_of(struct envelope *e, const char *id) {
    for (uint32_t i = 0; i < e->collection_count; i++)
        if (strcmp(e->collections[i].id, id) == 0) return i;
    if (e->collection_count == e->collection_cap) {
        uint32_t cap = e->collection_cap ? e->collection_cap * 2 : 16;
        struct collection *p = realloc(e->collections, cap * sizeof *p);
        if (!p) return UINT32_MAX;
        e->collections = p;
        e->collection_cap = cap;
    }
    char *copy = strdup(id);
    if (!copy) return UINT32_MAX;
    e->collections[e->collection_count] = (struct collection){copy, 0};
    return e->collection_count++;
}

/* The order of the next event within its collection; t NULL: logical messages. */
static int64_t count_of(struct envelope *e, struct table *t) {
    uint32_t slot = t && t->tx_seen == e->tx ? t->tx_slot : collection_of(e, t ? t->id : MESSAGE_COLLECTION);
    if (slot == UINT32_MAX) return 1;
    if (t) t->tx_seen = e->tx, t->tx_slot = slot;
    return ++e->collections[slot].count;
}

/* The transaction block of the next record of t, or null. */
static struct cn_cell transaction(struct envelope *e, struct cn_batch *b, struct table *t, const struct source_info *s) {
    if (!e->tx_open || s->txid < 0) return cn_null();
    e->tx_total++;
    int64_t order = count_of(e, t);
    struct cn_cell id = tx_id(e, b, s->lsn);
    cn_off at = cn_cells(b, 3);
    cn_set(b, at, 0, id);
    cn_set(b, at, 1, cn_int(CN_INT64, e->tx_total));
    cn_set(b, at, 2, cn_int(CN_INT64, order));
    return cn_run(CN_STRUCT, at, 3);
}

static struct cn_cell collections(struct envelope *e, struct cn_batch *b) {
    cn_off list = cn_cells(b, e->collection_count);
    for (uint32_t i = 0; i < e->collection_count; i++) {
        const struct collection *c = &e->collections[i];
        cn_off at = cn_cells(b, 2);
        cn_set(b, at, 0, cn_stringz(b, c->id));
        cn_set(b, at, 1, cn_int(CN_INT64, c->count));
        cn_set(b, list, i, cn_run(CN_STRUCT, at, 2));
    }
    return cn_run(CN_ARRAY, list, e->collection_count);
}

static void tx_record(struct envelope *e, struct cn_batch *b, const char *status, int end, const struct source_info *s) {
    uint32_t r = cn_record(b, cn_topic(b, e->transaction_topic, strlen(e->transaction_topic)));
    struct cn_cell id = tx_id(e, b, s->lsn);
    cn_off key = cn_cells(b, 1), value = cn_cells(b, X_COUNT);
    cn_set(b, key, 0, id);
    cn_set(b, value, X_STATUS, cn_stringz(b, status));
    cn_set(b, value, X_ID, id);
    if (end) {
        cn_set(b, value, X_EVENT_COUNT, cn_int(CN_INT64, e->tx_total));
        cn_set(b, value, X_COLLECTIONS, collections(e, b));
    }
    cn_set(b, value, X_TS_MS, cn_int(CN_INT64, s->ts_us / 1000));
    cn_set_key(b, r, cn_run(CN_STRUCT, key, 1), cn_schema_use(b, e->transaction_key));
    cn_set_value(b, r, cn_run(CN_STRUCT, value, X_COUNT), cn_schema_use(b, e->transaction));
}

void envelope_tx_begin(struct envelope *e, struct cn_batch *b, const struct source_info *s) {
    if (!e->o->transaction_metadata) return;
    e->tx++;
    e->tx_open = 1;
    e->tx_id = s->txid;
    e->tx_total = 0;
    forget_collections(e);
    tx_record(e, b, "BEGIN", 0, s);
}

void envelope_tx_end(struct envelope *e, struct cn_batch *b, const struct source_info *s) {
    if (!e->tx_open) return;
    tx_record(e, b, "END", 1, s);
    e->tx_open = 0;
}

/* ── records ── */

static uint32_t add_record(struct envelope *e, struct cn_batch *b, struct table *t, struct cn_cell key, struct cn_cell value) {
    uint32_t i = cn_record(b, t->topic_index);
    if (b->failed) return i;
    struct cn_record *r = cn_record_at(b, i);
    r->key = key;
    r->key_schema = key.type == CN_NULL ? CN_NO_SCHEMA : t->key_index;
    r->value = value;
    r->value_schema = value.type == CN_NULL ? CN_NO_SCHEMA : t->value_index;
    r->headers = e->headers;
    r->header_count = e->header_count;
    return i;
}

/* Puts a header with a key in front of the record's others. */
static void key_header(struct envelope *e, struct cn_batch *b, uint32_t record, const char *name, struct table *t, struct cn_cell key) {
    struct cn_text n = cn_text(b, name, strlen(name));
    cn_off at = cn_alloc(b, (e->header_count + 1) * sizeof(struct cn_header));
    if (!at) return;
    struct cn_header *h = CN_AT(struct cn_header, b, at);
    h[0] = (struct cn_header){n, key, t->key_index, {0}};
    memcpy(h + 1, b->base + e->headers, e->header_count * sizeof *h);
    cn_record_at(b, record)->headers = at;
    cn_record_at(b, record)->header_count = e->header_count + 1;
}

static struct cn_cell envelope(struct envelope *e, struct cn_batch *b, struct table *t, uint8_t op, const struct source_info *s,
                               struct cn_cell before, struct cn_cell after) {
    struct cn_cell src = source(e, b, t, s);
    struct cn_cell tx = transaction(e, b, t, s);
    cn_off at = cn_alloc(b, E_COUNT * sizeof(struct cn_cell));
    if (!at) return cn_null();
    struct cn_cell *c = cn_cells_at(b, at);
    c[E_BEFORE] = before;
    c[E_AFTER] = after;
    c[E_SOURCE] = src;
    c[E_TRANSACTION] = tx;
    c[E_OP] = e->ops[op];
    c[E_TS_MS] = cn_int(CN_INT64, e->now_us / 1000);
    c[E_TS_US] = cn_int(CN_INT64, e->now_us);
    c[E_TS_NS] = cn_int(CN_INT64, e->now_us * 1000);
    return cn_run(CN_STRUCT, at, E_COUNT);
}

static void delete_record(struct envelope *e, struct cn_batch *b, struct table *t, const struct source_info *s, struct cn_cell before,
                          struct cn_cell key, const struct cn_cell *new_key) {
    uint32_t r = add_record(e, b, t, key, envelope(e, b, t, ENVELOPE_DELETE, s, before, cn_null()));
    if (new_key) key_header(e, b, r, "__debezium.newkey", t, *new_key);
    if (!e->o->tombstones) return;
    uint32_t tomb = add_record(e, b, t, key, cn_null());
    if (b->failed) return;
    cn_record_at(b, tomb)->headers = cn_record_at(b, r)->headers;
    cn_record_at(b, tomb)->header_count = cn_record_at(b, r)->header_count;
}

/* An update that moves the key: a delete of the old one, a create of the new one, each naming the other. */
static void move_record(struct envelope *e, struct cn_batch *b, struct table *t, const struct source_info *s, struct cn_cell before,
                        struct cn_cell after) {
    struct cn_cell old_key = table_key(t, b, e->old_row), new_key = table_key(t, b, e->row);
    if (!(e->o->skip_ops & OP_DELETE)) delete_record(e, b, t, s, before, old_key, &new_key);
    if (e->o->skip_ops & OP_CREATE) return;
    uint32_t r = add_record(e, b, t, new_key, envelope(e, b, t, ENVELOPE_CREATE, s, cn_null(), after));
    key_header(e, b, r, "__debezium.oldkey", t, old_key);
}

static int unchanged(const struct table *t, const struct text *a, const struct text *b) {
    for (uint32_t i = 0; i < t->count; i++) {
        if (t->columns[i].field < 0 || b[i].p == table_unsent) continue;
        if ((!a[i].p) != (!b[i].p) || (a[i].p && !text_eq(a[i], b[i]))) return 0;
    }
    return 1;
}

static const uint32_t op_bits[] = {OP_CREATE, OP_UPDATE, OP_DELETE, 0, OP_TRUNCATE, 0};

int envelope_change(struct envelope *e, struct cn_batch *b, struct table *t, uint8_t op, const struct source_info *s, const struct text *old,
                    const struct text *fresh, uint32_t *ret_bad) {
    struct cn_cell before = cn_null(), after = cn_null();
    int moved = op == ENVELOPE_UPDATE && old && table_key_differs(t, old, fresh);
    if (!moved && (e->o->skip_ops & op_bits[op])) return 0;
    if (op == ENVELOPE_UPDATE && e->o->skip_unchanged && old && t->identity == 'f' && unchanged(t, old, fresh)) return 0;
    use_table(e, b, t);
    if (old) {
        if (table_row(t, e->values, b, e->batch, old, NULL, 1, e->old_row, ret_bad) != 0) return -1;
        before = table_value(t, b, e->old_row);
    }
    if (fresh) {
        if (table_row(t, e->values, b, e->batch, fresh, old, 1, e->row, ret_bad) != 0) return -1;
        after = table_value(t, b, e->row);
    }
    if (moved) move_record(e, b, t, s, before, after);
    else if (op == ENVELOPE_DELETE) delete_record(e, b, t, s, before, table_key(t, b, e->old_row), NULL);
    else add_record(e, b, t, table_key(t, b, e->row), envelope(e, b, t, op, s, before, after));
    return 0;
}

int envelope_read(struct envelope *e, struct cn_batch *b, struct table *t, const struct source_info *s, const struct text *fields,
                  uint32_t *ret_bad) {
    use_table(e, b, t);
    if (table_row(t, e->values, b, e->batch, fields, NULL, 0, e->row, ret_bad) != 0) return -1;
    struct cn_cell after = table_value(t, b, e->row);
    add_record(e, b, t, table_key(t, b, e->row), envelope(e, b, t, ENVELOPE_READ, s, cn_null(), after));
    return 0;
}

void envelope_truncate(struct envelope *e, struct cn_batch *b, struct table *t, const struct source_info *s) {
    if (e->o->skip_ops & OP_TRUNCATE) return;
    use_table(e, b, t);
    add_record(e, b, t, cn_null(), envelope(e, b, t, ENVELOPE_TRUNCATE, s, cn_null(), cn_null()));
}

static struct cn_cell content_cell(struct envelope *e, struct cn_batch *b, struct text content) {
    struct vtype t = {.conv = CONV_OPAQUE, .binary = (uint8_t)e->o->modes.binary};
    struct cn_cell c = cn_null();
    value_cell(e->values, b, &t, content, &c);
    return c;
}

void envelope_logical_message(struct envelope *e, struct cn_batch *b, const struct source_info *s, struct text prefix, struct text content) {
    char topic[512];
    int n = snprintf(topic, sizeof topic, "%s.message", e->o->prefix);
    uint32_t r = cn_record(b, cn_topic(b, topic, (size_t)n < sizeof topic ? (size_t)n : sizeof topic - 1));
    struct cn_cell name = cn_string(b, prefix.p, prefix.n);
    cn_off key = cn_cells(b, 1), value = cn_cells(b, M_COUNT), block = cn_cells(b, 2);
    cn_set(b, key, 0, name);
    cn_set(b, block, 0, name);
    cn_set(b, block, 1, content_cell(e, b, content));
    cn_set(b, value, M_OP, e->ops[ENVELOPE_MESSAGE]);
    cn_set(b, value, M_TS_MS, cn_int(CN_INT64, e->now_us / 1000));
    cn_set(b, value, M_SOURCE, source(e, b, NULL, s));
    cn_set(b, value, M_TRANSACTION, transaction(e, b, NULL, s));
    cn_set(b, value, M_MESSAGE, cn_run(CN_STRUCT, block, 2));
    cn_set_key(b, r, cn_run(CN_STRUCT, key, 1), cn_schema_use(b, e->message_key));
    cn_set_value(b, r, cn_run(CN_STRUCT, value, M_COUNT), cn_schema_use(b, e->message));
}

void envelope_heartbeat(struct envelope *e, struct cn_batch *b) {
    uint32_t r = cn_record(b, cn_topic(b, e->heartbeat_topic, strlen(e->heartbeat_topic)));
    cn_off key = cn_cells(b, 1), value = cn_cells(b, 1);
    cn_set(b, key, 0, e->prefix);
    cn_set(b, value, 0, cn_int(CN_INT64, e->now_us / 1000));
    cn_set_key(b, r, cn_run(CN_STRUCT, key, 1), cn_schema_use(b, e->heartbeat_key));
    cn_set_value(b, r, cn_run(CN_STRUCT, value, 1), cn_schema_use(b, e->heartbeat));
}
