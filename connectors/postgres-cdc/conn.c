/* SPDX-License-Identifier: Apache-2.0 */
#include "conn.h"

#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>

/* ── errors ── */

int pgerr_set(struct pgerr *e, int fail_class, const char *hint, const char *fmt, ...) {
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    e->fail_class = fail_class;
    snprintf(e->hint, sizeof e->hint, "%s", hint ? hint : "");
    return -1;
}

void pgerr_wrap(struct pgerr *e, const char *fmt, ...) {
    char old[sizeof e->text];
    va_list ap;
    memcpy(old, e->text, sizeof old);
    va_start(ap, fmt);
    int n = vsnprintf(e->text, sizeof e->text, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n + 3 > sizeof e->text) return;
    size_t room = sizeof e->text - (size_t)n - 3, len = strnlen(old, sizeof old);
    memcpy(e->text + n, ": ", 2);
    memcpy(e->text + n + 2, old, len < room ? len : room);
    e->text[(size_t)n + 2 + (len < room ? len : room)] = 0;
}

/* What an SQLSTATE means for the task; prefixes end in '*'. The first match counts. */
static const struct { const char *state; uint8_t connecting, fail_class; } classes[] = {
    {"28*", 1, CN_FAIL_AUTH},        /* password, no entry in pg_hba.conf */
    {"42501", 1, CN_FAIL_CONFIG},    /* no REPLICATION */
    {"3D000", 1, CN_FAIL_CONFIG},    /* no such database */
    {"22023", 1, CN_FAIL_CONFIG},    /* a parameter the server refuses */
    {"08P01", 0, CN_FAIL_TRANSIENT},
    {"08*", 0, CN_FAIL_TRANSIENT},
    {"53*", 0, CN_FAIL_TRANSIENT},   /* too many connections, disk full */
    {"55006", 0, CN_FAIL_TRANSIENT}, /* slot in use */
    {"55P03", 0, CN_FAIL_TRANSIENT}, /* lock not available */
    {"57*", 0, CN_FAIL_TRANSIENT},   /* shutting down, starting up, cancelled */
    {"58*", 0, CN_FAIL_TRANSIENT},
    {"40*", 0, CN_FAIL_TRANSIENT},
    {"25*", 0, CN_FAIL_TRANSIENT},   /* idle in transaction, read only standby */
    {"XX*", 0, CN_FAIL_TRANSIENT},
    {"42*", 0, CN_FAIL_CONFIG},
    {"0A*", 0, CN_FAIL_CONFIG},
    {"22*", 0, CN_FAIL_CONFIG},
    {"55*", 0, CN_FAIL_CONFIG},      /* wal_level, a lost slot: callers look closer */
};

int pgerr_class(const char *sqlstate, int connecting) {
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        size_t n = strlen(classes[i].state);
        int prefix = classes[i].state[n - 1] == '*';
        if (classes[i].connecting && !connecting) continue;
        if (prefix ? strncmp(sqlstate, classes[i].state, n - 1) == 0 : strcmp(sqlstate, classes[i].state) == 0)
            return classes[i].fail_class;
    }
    return CN_FAIL_TRANSIENT; /* the network: no state at all */
}

/* ── waiting ── */

int conn_wait(struct cn_host *h, int fd, int for_write, int64_t deadline_ms) {
    for (;;) {
        int64_t left = deadline_ms == INT64_MAX ? INT32_MAX : deadline_ms - h->ops->monotonic_ms(h);
        struct pollfd p[2] = {{fd, (short)(for_write ? POLLOUT : POLLIN), 0}, {h->ops->wake_fd(h), POLLIN, 0}};
        int n = poll(p, 2, left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left);
        if (n < 0 && errno == EINTR) continue;
        if (n > 0 && p[0].revents) return 1;
        if (n > 0) return -1;
        return 0;
    }
}

struct conn {
    PGconn *pg;
    struct cn_host *host;
    const char *where;
    int64_t query_ms;
};

static int64_t deadline(struct cn_host *h, int64_t ms) { return ms ? h->ops->monotonic_ms(h) + ms : INT64_MAX; }

/* As conn_wait for calls that may not be left half-way: a wake only ends it when the task shall stop. */
static int wait_through(struct conn *c, int for_write, int64_t until) {
    for (;;) {
        int r = conn_wait(c->host, PQsocket(c->pg), for_write, until);
        if (r >= 0 || c->host->ops->stopping(c->host)) return r;
        /* Woken for something else, and the descriptor stays readable: look at the socket alone for a moment. */
        struct pollfd p = {PQsocket(c->pg), (short)(for_write ? POLLOUT : POLLIN), 0};
        if (poll(&p, 1, 20) > 0) return 1;
        if (until != INT64_MAX && c->host->ops->monotonic_ms(c->host) >= until) return 0;
    }
}

/* libpq's text as one line: "FATAL:  28P01: password …\nLOCATION: …" without severity, state and location. */
static void take_message(struct pgerr *e, const char *message, char state[6]) {
    const char *p = message, *colon;
    size_t n = 0;
    for (const char *word = p; (colon = strstr(word, ":  ")) != NULL; word = colon + 3) {
        const char *s = colon + 3;
        if (strspn(s, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ") == 5 && s[5] == ':') {
            memcpy(state, s, 5);
            state[5] = 0;
            p = s + 7;
            break;
        }
    }
    for (; *p && n + 1 < sizeof e->text; p++) {
        if (*p == '\n' && (!p[1] || strncmp(p + 1, "LOCATION:", 9) == 0)) break;
        e->text[n++] = *p == '\n' || *p == '\t' ? ' ' : *p;
    }
    e->text[n] = 0;
}

static int connect_failed(struct conn *c, struct pgerr *e) {
    char state[6] = "";
    const char *message = PQerrorMessage(c->pg);
    take_message(e, message && *message ? message : "connection closed", state);
    memcpy(e->sqlstate, state, 6);
    e->fail_class = pgerr_class(state, 1);
    e->hint[0] = 0;
    if (pgerr_is(e, "42501")) snprintf(e->hint, sizeof e->hint, "as a superuser run: ALTER ROLE \"%s\" REPLICATION", PQuser(c->pg) ? PQuser(c->pg) : "");
    if (e->fail_class == CN_FAIL_AUTH)
        snprintf(e->hint, sizeof e->hint, "check database.user and database.password, and that pg_hba.conf lets this host in, also for replication");
    pgerr_wrap(e, "connecting to %s", c->where);
    return -1;
}

static int result_failed(struct conn *c, PGresult *r, struct pgerr *e) {
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    const char *text = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY) : NULL;
    const char *detail = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL) : NULL;
    char none[6];
    snprintf(e->sqlstate, sizeof e->sqlstate, "%s", state ? state : "");
    e->hint[0] = 0;
    if (text) snprintf(e->text, sizeof e->text, "%s%s%s", text, detail ? ": " : "", detail ? detail : "");
    else take_message(e, PQerrorMessage(c->pg), none);
    e->fail_class = pgerr_class(e->sqlstate, 0);
    return -1;
}

/* ── connecting ── */

static int connect_loop(struct conn *c, int64_t until, struct pgerr *e) {
    PostgresPollingStatusType s = PGRES_POLLING_WRITING;
    while (s != PGRES_POLLING_OK) {
        if (s == PGRES_POLLING_FAILED) return connect_failed(c, e);
        int r = wait_through(c, s == PGRES_POLLING_WRITING, until);
        if (r < 0) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "connecting to %s: stopped", c->where);
        if (r == 0)
            return pgerr_set(e, CN_FAIL_TRANSIENT, "check host, port and firewall", "connecting to %s: no answer in time", c->where);
        s = PQconnectPoll(c->pg);
    }
    return 0;
}

/* Notices ("publication … already exists, skipping") are the server's talk with people at a terminal. */
static void no_notices(void *arg, const PGresult *r) {
    (void)arg;
    (void)r;
}

static void pq_close(struct conn *c) {
    if (!c) return;
    PQfinish(c->pg);
    free(c);
}

static struct conn *pq_open(const struct conn_params *p, struct pgerr *e) {
    struct conn *c = calloc(1, sizeof *c);
    if (!c) {
        pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
        return NULL;
    }
    c->host = p->host;
    c->where = p->where;
    c->query_ms = p->query_ms;
    c->pg = PQconnectStartParams(p->names, p->values, 0);
    int bad = !c->pg || PQstatus(c->pg) == CONNECTION_BAD;
    if (!c->pg) pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
    else if (bad) connect_failed(c, e);
    else {
        PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE); /* its messages then carry the SQLSTATE */
        PQsetNoticeReceiver(c->pg, no_notices, NULL);
        bad = connect_loop(c, deadline(p->host, p->connect_ms), e) != 0;
    }
    if (bad) {
        pq_close(c);
        return NULL;
    }
    PQsetnonblocking(c->pg, 1);
    return c;
}

static int pq_version(struct conn *c) { return PQserverVersion(c->pg); }

/* ── statements ── */

static int flush(struct conn *c, int64_t until, struct pgerr *e) {
    for (int r; (r = PQflush(c->pg)) != 0;) {
        if (r < 0) return result_failed(c, NULL, e);
        if (wait_through(c, 1, until) != 1) return pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "the server takes nothing more");
    }
    return 0;
}

/* The next result, or NULL with e filled unless there is none. */
static PGresult *next_result(struct conn *c, int64_t until, struct pgerr *e) {
    while (PQisBusy(c->pg)) {
        int r = wait_through(c, 0, until);
        if (r == 1) {
            if (!PQconsumeInput(c->pg)) return result_failed(c, NULL, e), NULL;
            continue;
        }
        if (r < 0) pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "stopped while the server was working");
        else pgerr_set(e, CN_FAIL_TRANSIENT, "raise database.query.timeout.ms", "no answer to a query in time");
        return NULL;
    }
    return PQgetResult(c->pg);
}

static int send(struct conn *c, const char *sql, int64_t until, struct pgerr *e) {
    memset(e, 0, sizeof *e);
    if (!PQsendQuery(c->pg, sql)) return result_failed(c, NULL, e);
    return flush(c, until, e);
}

static int pq_query(struct conn *c, const char *sql, struct rows **ret, struct pgerr *e) {
    int64_t until = deadline(c->host, c->query_ms);
    PGresult *last = NULL, *r;
    int bad = 0;
    if (send(c, sql, until, e) != 0) return -1;
    while ((r = next_result(c, until, e)) != NULL) {
        ExecStatusType s = PQresultStatus(r);
        if (s != PGRES_TUPLES_OK && s != PGRES_COMMAND_OK) {
            if (!bad) bad = result_failed(c, r, e);
            PQclear(r);
            if (s == PGRES_COPY_OUT || s == PGRES_COPY_BOTH) break;
            continue;
        }
        PQclear(last);
        last = r;
    }
    if (!bad && !e->fail_class && !last) bad = pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "the server closed the connection");
    if (bad || e->fail_class || !ret) {
        PQclear(last);
        return bad || e->fail_class ? -1 : 0;
    }
    *ret = (struct rows *)last;
    return 0;
}

static int pq_copy_start(struct conn *c, const char *sql, struct pgerr *e) {
    int64_t until = deadline(c->host, c->query_ms);
    if (send(c, sql, until, e) != 0) return -1;
    PGresult *r = next_result(c, until, e);
    if (!r) return e->fail_class ? -1 : pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "the server closed the connection");
    ExecStatusType s = PQresultStatus(r);
    int bad = s != PGRES_COPY_OUT && s != PGRES_COPY_BOTH;
    if (bad) result_failed(c, r, e);
    PQclear(r);
    while (bad && (r = next_result(c, until, e)) != NULL) PQclear(r);
    return bad ? -1 : 0;
}

/* What the server says at the end of a COPY: 0 all is well, -1 failed. */
static int copy_end(struct conn *c, struct pgerr *e) {
    int64_t until = deadline(c->host, c->query_ms);
    int bad = 0;
    for (PGresult *r; (r = next_result(c, until, e)) != NULL; PQclear(r)) {
        ExecStatusType s = PQresultStatus(r);
        if (s != PGRES_COMMAND_OK && s != PGRES_TUPLES_OK && !bad) bad = result_failed(c, r, e);
        if (s == PGRES_COPY_BOTH || s == PGRES_COPY_OUT || s == PGRES_COPY_IN) {
            PQclear(r);
            break;
        }
    }
    return bad || e->fail_class ? -1 : 0;
}

static int pq_copy_read(struct conn *c, char **ret, struct pgerr *e) {
    int n = PQgetCopyData(c->pg, ret, 1);
    if (n == 0) { /* nothing whole is buffered: take what the socket has */
        if (!PQconsumeInput(c->pg)) return result_failed(c, NULL, e), -2;
        n = PQgetCopyData(c->pg, ret, 1);
    }
    if (n > 0) return n;
    if (n == 0) return 0;
    memset(e, 0, sizeof *e);
    if (n == -2) return result_failed(c, NULL, e), -2;
    return copy_end(c, e) == 0 ? -1 : -2;
}

static void pq_copy_free(struct conn *c, char *message) {
    (void)c;
    PQfreemem(message);
}

static int pq_copy_write(struct conn *c, const void *p, size_t n, struct pgerr *e) {
    if (PQputCopyData(c->pg, p, (int)n) < 0 || PQflush(c->pg) < 0) return result_failed(c, NULL, e);
    return 0;
}

static int pq_socket(struct conn *c) { return PQsocket(c->pg); }
static const PGresult *result_of(const struct rows *r) { return (const PGresult *)r; }
static uint32_t pq_rows_count(const struct rows *r) { return (uint32_t)PQntuples(result_of(r)); }
static const char *pq_rows_get(const struct rows *r, uint32_t row, uint32_t column) {
    if (PQgetisnull(result_of(r), (int)row, (int)column)) return NULL;
    return PQgetvalue(result_of(r), (int)row, (int)column);
}
static void pq_rows_free(struct rows *r) { PQclear((PGresult *)r); }

const struct conn_ops conn_libpq = {
    .open = pq_open,
    .close = pq_close,
    .version = pq_version,
    .query = pq_query,
    .copy_start = pq_copy_start,
    .copy_read = pq_copy_read,
    .copy_free = pq_copy_free,
    .copy_write = pq_copy_write,
    .socket = pq_socket,
    .rows_count = pq_rows_count,
    .rows_get = pq_rows_get,
    .rows_free = pq_rows_free,
};
