// SPDX-License-Identifier: Apache-2.0
#include "fakepq.h"

#include <unistd.h>

extern const struct conn_ops *postgres_conn_ops;

struct rule {
    char part[128];
    char *rows, *copy;
    char sqlstate[6], text[256];
    int fails;
};
struct conn {
    int replication;
    const char *copy; // rest of the lines, or NULL
    int streaming;
};
struct rows {
    uint32_t n;
    char *cells[64][16];
};

static struct {
    struct rule rules[64];
    int rule_count, version, pipe[2], open;
    struct wb *stream;
    int stream_n, stream_at;
    char *asked[512];
    int asked_n;
    char refuse_state[2][6], refuse_text[2][128], end_state[6], end_text[128];
    int refuse[2], ended, statuses;
    uint64_t written, flushed;
} fake;

static uint64_t be64(const uint8_t *p) {
    uint64_t v = 0;
    for (int i = 0; i < 8; i++) v = v << 8 | p[i];
    return v;
}

static struct rule *rule_add(const char *part) {
    struct rule *r = &fake.rules[fake.rule_count++];
    if (fake.rule_count > 64) abort();
    memset(r, 0, sizeof *r);
    snprintf(r->part, sizeof r->part, "%s", part);
    return r;
}
void fakepq_on(const char *part, const char *rows) { rule_add(part)->rows = strdup(rows); }
void fakepq_copy(const char *part, const char *lines) { rule_add(part)->copy = strdup(lines); }
void fakepq_fail(const char *part, const char *sqlstate, const char *text) {
    struct rule *r = rule_add(part);
    r->fails = 1;
    snprintf(r->sqlstate, sizeof r->sqlstate, "%s", sqlstate);
    snprintf(r->text, sizeof r->text, "%s", text);
}
void fakepq_heal(const char *part) {
    for (int i = 0; i < fake.rule_count; i++)
        if (fake.rules[i].fails && strcmp(fake.rules[i].part, part) == 0) fake.rules[i].part[0] = 1; // matches nothing
}
void fakepq_refuse(int replication, const char *sqlstate, const char *text) {
    for (int i = 0; i < 2; i++) {
        if (replication >= 0 && replication != i) continue;
        fake.refuse[i] = sqlstate != NULL;
        snprintf(fake.refuse_state[i], 6, "%s", sqlstate ? sqlstate : "");
        snprintf(fake.refuse_text[i], 128, "%s", text ? text : "");
    }
}
void fakepq_version(int version) { fake.version = version; }
void fakepq_stream(struct wb m) {
    struct wb *p = realloc(fake.stream, (size_t)(fake.stream_n + 1) * sizeof *p);
    if (!p) abort();
    fake.stream = p;
    fake.stream[fake.stream_n++] = m;
}
void fakepq_stream_end(const char *sqlstate, const char *text) {
    fake.ended = 1;
    snprintf(fake.end_state, sizeof fake.end_state, "%s", sqlstate ? sqlstate : "");
    snprintf(fake.end_text, sizeof fake.end_text, "%s", text ? text : "");
}
int fakepq_asked(const char *part) {
    int n = 0;
    for (int i = 0; i < fake.asked_n; i++) n += strstr(fake.asked[i], part) != NULL;
    return n;
}
const char *fakepq_statement(const char *part) {
    for (int i = fake.asked_n; i-- > 0;)
        if (strstr(fake.asked[i], part)) return fake.asked[i];
    return "";
}
int fakepq_statuses(void) { return fake.statuses; }
uint64_t fakepq_written(void) { return fake.written; }
uint64_t fakepq_flushed(void) { return fake.flushed; }
int fakepq_open_connections(void) { return fake.open; }

/* ── conn_ops ── */

static const struct rule *rule_for(const char *sql) {
    if (fake.asked_n < 512) fake.asked[fake.asked_n++] = strdup(sql);
    for (int i = fake.rule_count; i-- > 0;)
        if (strstr(sql, fake.rules[i].part)) return &fake.rules[i];
    return NULL;
}

static struct conn *f_open(const struct conn_params *p, struct pgerr *e) {
    int replication = 0;
    for (int i = 0; p->names[i]; i++) replication |= strcmp(p->names[i], "replication") == 0;
    if (fake.refuse[replication]) {
        pgerr_set(e, pgerr_class(fake.refuse_state[replication], 1), NULL, "connecting to %s: %s", p->where, fake.refuse_text[replication]);
        snprintf(e->sqlstate, sizeof e->sqlstate, "%s", fake.refuse_state[replication]);
        return NULL;
    }
    struct conn *c = calloc(1, sizeof *c);
    c->replication = replication;
    fake.open++;
    return c;
}
static void f_close(struct conn *c) {
    if (c) fake.open--;
    free(c);
}
static int f_version(struct conn *c) {
    (void)c;
    return fake.version;
}

static struct rows *rows_of(const char *text) {
    struct rows *r = calloc(1, sizeof *r);
    while (text && *text) {
        const char *end = strchrnul(text, '\n');
        for (uint32_t k = 0; k < 16; k++) {
            const char *stop = memchr(text, '|', (size_t)(end - text));
            if (!stop) stop = end;
            int null = stop - text == 2 && memcmp(text, "\\N", 2) == 0;
            r->cells[r->n][k] = null ? NULL : strndup(text, (size_t)(stop - text));
            text = stop < end ? stop + 1 : stop;
            if (stop == end) break;
        }
        r->n++;
        text = *end ? end + 1 : end;
    }
    return r;
}
static int failed(const struct rule *r, struct pgerr *e) {
    pgerr_set(e, pgerr_class(r->sqlstate, 0), NULL, "%s", r->text);
    snprintf(e->sqlstate, sizeof e->sqlstate, "%s", r->sqlstate);
    return -1;
}
static int f_query(struct conn *c, const char *sql, struct rows **ret, struct pgerr *e) {
    (void)c;
    const struct rule *r = rule_for(sql);
    memset(e, 0, sizeof *e);
    if (r && r->fails) return failed(r, e);
    if (ret) *ret = rows_of(r ? r->rows : NULL);
    return 0;
}
static int f_copy_start(struct conn *c, const char *sql, struct pgerr *e) {
    const struct rule *r = rule_for(sql);
    memset(e, 0, sizeof *e);
    if (r && r->fails) return failed(r, e);
    c->streaming = strncmp(sql, "START_REPLICATION", 17) == 0;
    c->copy = r && r->copy ? r->copy : "";
    return 0;
}
static int f_copy_read(struct conn *c, char **ret, struct pgerr *e) {
    memset(e, 0, sizeof *e);
    if (!c->streaming) {
        if (!*c->copy) return -1;
        size_t n = (size_t)(strchr(c->copy, '\n') - c->copy) + 1;
        *ret = malloc(n);
        memcpy(*ret, c->copy, n);
        c->copy += n;
        return (int)n;
    }
    if (fake.stream_at < fake.stream_n) {
        struct wb *w = &fake.stream[fake.stream_at++];
        *ret = malloc(w->n);
        memcpy(*ret, w->p, w->n);
        return (int)w->n;
    }
    if (!fake.ended) return 0;
    if (!*fake.end_state) return -1;
    pgerr_set(e, pgerr_class(fake.end_state, 0), NULL, "%s", fake.end_text);
    memcpy(e->sqlstate, fake.end_state, sizeof e->sqlstate);
    return -2;
}
static void f_copy_free(struct conn *c, char *m) {
    (void)c;
    free(m);
}
static int f_copy_write(struct conn *c, const void *p, size_t n, struct pgerr *e) {
    (void)c;
    (void)e;
    const uint8_t *b = p;
    if (n != 34 || b[0] != 'r') abort();
    fake.statuses++;
    fake.written = be64(b + 1);
    fake.flushed = be64(b + 9);
    if (be64(b + 17) != fake.flushed) abort();
    return 0;
}
static int f_socket(struct conn *c) {
    (void)c;
    return fake.pipe[0];
}
static uint32_t f_count(const struct rows *r) { return r->n; }
static const char *f_get(const struct rows *r, uint32_t row, uint32_t column) { return r->cells[row][column]; }
static void f_rows_free(struct rows *r) {
    for (uint32_t i = 0; i < r->n; i++)
        for (uint32_t k = 0; k < 16; k++) free(r->cells[i][k]);
    free(r);
}
static const struct conn_ops ops = {f_open,      f_close,      f_version, f_query, f_copy_start, f_copy_read,
                                    f_copy_free, f_copy_write, f_socket,  f_count, f_get,        f_rows_free};

void fakepq_begin(void) {
    memset(&fake, 0, sizeof fake);
    fake.version = 150018;
    if (pipe(fake.pipe) != 0) abort();
    postgres_conn_ops = &ops;
    fakepq_on("SHOW wal_level", "logical");
    fakepq_on("wal_sender_timeout", "60000");
    fakepq_on("md5(", "6ef9a9b9fd6a8d1f6b3bb8e7ee2bb6bb");
    fakepq_on("IDENTIFY_SYSTEM", "7000|1|0/2000000|shop");
    fakepq_on("CREATE_REPLICATION_SLOT", "slot|0/1000000|00000003-00000001-1|pgoutput");
    fakepq_on("txid_snapshot_xmax", "700");
    // oid, schema, name, kind, identity, usable, children, rows, bytes
    fakepq_on("c.relpersistence = 'p'", "42|public|orders|r|d|t|f|3|8192");
    fakepq_on("c.relreplident FROM", "public|orders|d");
    // name, type, typmod, not null, generated, default
    fakepq_on("FROM pg_catalog.pg_attribute a", "id|23|-1|t||\\N\nnote|25|-1|f||\\N");
    fakepq_on("generate_series", "id");
}
void fakepq_end(void) {
    for (int i = 0; i < fake.rule_count; i++) free(fake.rules[i].rows), free(fake.rules[i].copy);
    for (int i = 0; i < fake.asked_n; i++) free(fake.asked[i]);
    free(fake.stream);
    close(fake.pipe[0]);
    close(fake.pipe[1]);
    postgres_conn_ops = &conn_libpq;
}
