/* SPDX-License-Identifier: Apache-2.0 */
#include "task.h"

#define SQL_IDLE_MS 1000 /* an idle session would hold up a smart shutdown */

/* How values are printed, whatever role, database or server have set: the parsers rely on it. Time-outs are the client's. */
#define SESSION                                                                                                        \
    "-c datestyle=ISO -c intervalstyle=postgres -c extra_float_digits=3 -c timezone=UTC -c bytea_output=hex "          \
    "-c lc_monetary=C -c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0"

static struct conn *dial(struct task *t, int replication, struct pgerr *e) {
    const struct options *o = &t->o;
    char port[16], application[128];
    const char *names[24], *values[24];
    int n = 0;
    snprintf(port, sizeof port, "%lld", (long long)o->port);
    snprintf(application, sizeof application, "connectd %s", t->h->ops->connector_name(t->h));
    const char *const pairs[][2] = {
        {"host", o->hostname},        {"port", port},
        {"user", o->user},            {"password", o->password},
        {"dbname", o->dbname},        {"sslmode", o->sslmode},
        {"sslcert", o->sslcert},      {"sslkey", o->sslkey},
        {"sslpassword", o->sslpassword}, {"sslrootcert", o->sslrootcert},
        {"keepalives", o->tcp_keepalive ? "1" : "0"}, {"keepalives_idle", "60"},
        {"application_name", application}, {"client_encoding", "UTF8"},
        {"options", SESSION},         {"replication", replication ? "database" : NULL},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (!pairs[i][1]) continue;
        names[n] = pairs[i][0];
        values[n++] = pairs[i][1];
    }
    names[n] = values[n] = NULL;
    struct conn_params p = {names, values, t->where, o->connect_timeout_ms, replication ? 0 : o->query_timeout_ms, t->h};
    memset(e, 0, sizeof *e);
    struct conn *c = t->ops->open(&p, e);
    if (c && t->ops->version(c) >= 140000 && t->ops->query(c, "SET idle_session_timeout = 0", NULL, e) != 0) {
        t->ops->close(c);
        return NULL;
    }
    return c;
}

struct conn *task_sql(struct task *t, struct pgerr *e) {
    t->sql_used_ms = t->h->ops->monotonic_ms(t->h);
    if (!t->sql) t->sql = dial(t, 0, e);
    return t->sql;
}

void task_sql_idle(struct task *t, int64_t now_ms) {
    if (!t->sql || t->phase != PHASE_STREAM || now_ms - t->sql_used_ms < SQL_IDLE_MS) return;
    t->ops->close(t->sql);
    t->sql = NULL;
}

int task_connect_repl(struct task *t, struct pgerr *e) {
    if (t->repl) t->ops->close(t->repl);
    t->repl = dial(t, 1, e);
    return t->repl ? 0 : -1;
}

int task_fail(struct task *t, const struct pgerr *e) {
    int fail_class = e->fail_class ? e->fail_class : CN_FAIL_BUG;
    t->h->ops->fail(t->h, fail_class, *e->text ? e->text : "failed without a reason", *e->hint ? e->hint : NULL, 0);
    return -1;
}

void task_commit(struct task *t, struct cn_batch *b) {
    char *offset = position_offset(&t->pos);
    if (!offset) {
        b->failed = 1;
        return;
    }
    cn_position(b, t->partition, offset);
    free(offset);
    if (b->failed) return;
    cn_head(b)->boundary = CN_BOUNDARY_COMMIT;
    t->given_lsn = t->pos.lsn;
    t->given_commit = t->pos.last_commit;
}

int task_build_table(struct task *t, struct conn *c, struct table *table, struct pgerr *e) {
    struct table_keys keys;
    if (catalog_need_types(&t->catalog, c, table, 0, e) != 0 || catalog_keys(&t->catalog, c, table->oid, &keys, e) != 0) return -1;
    int bad = table_build(table, &t->shape, &keys);
    table_keys_free(&keys);
    return bad ? pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "table %s: out of memory", table->id) : 0;
}
