// SPDX-License-Identifier: Apache-2.0
// A task of the connector over the scripted server; what its records look like in short.
#ifndef TASK_FIXTURE_H
#define TASK_FIXTURE_H

#include <connectd/json.h>

#include "fakepq.h"
#include "test.h"
#include "testhost.h"

const struct cn_plugin *connectd_plugin_v1(void);

static inline struct testhost *task_with(const char *a, const char *b) {
    const char *options[] = {"database.hostname=db1", "database.user=connectd", "database.dbname=shop", "topic.prefix=p",
                             a ? a : b, a ? b : NULL, NULL};
    struct testhost *t = testhost_new(connectd_plugin_v1(), NULL, options);
    testhost_name(t, "shop-db", 0, 1);
    return t;
}
/* A task that streams from LSN 16777216 (0/1000000) and has a stored position there. */
static inline void stored_at(struct testhost *t, uint64_t lsn) {
    char offset[128];
    snprintf(offset, sizeof offset, "{\"lsn\":%llu,\"sysid\":\"7000\",\"timeline\":1,\"slot\":\"connectd_shop_db\"}", (unsigned long long)lsn);
    testhost_position(t, "{\"server\":\"p\"}", offset);
    fakepq_on("FROM pg_catalog.pg_replication_slots", "logical|pgoutput|shop|\\N|0/1000000|0/F00000|reserved|f");
}
static inline struct testhost *streaming(const char *a, const char *b) {
    struct testhost *t = task_with(a, b);
    stored_at(t, 0x1000000);
    if (testhost_open(t) != 0) fail_msg("%s", t->failure.text);
    return t;
}
static inline void opens(struct testhost *t) {
    if (testhost_open(t) != 0) fail_msg("%s", t->failure.text);
}
static inline void open_fails(struct testhost *t, int fail_class, const char *text, const char *hint) {
    assert_int_equal(testhost_open(t), -1);
    assert_has(t->failure.text, text);
    if (hint) assert_has(t->failure.hint, hint);
    assert_int_equal(t->failure.fail_class, fail_class);
    testhost_free(t);
    assert_int_equal(fakepq_open_connections(), 0);
}

static inline const struct cn_cell *field(const struct testhost *t, const struct cn_cell *c, uint32_t i) {
    return &cn_cells_at(&t->batch, c->u.at)[i];
}
static inline void add_cell(const struct testhost *t, const struct cn_cell *c, char *out) {
    char num[32];
    switch (c->type) {
    case CN_NULL: strcat(out, "-"); return;
    case CN_STRING: strncat(out, cn_bytes_at(&t->batch, c->u.at), c->n < 200 ? c->n : 200); return;
    case CN_STRUCT:
        for (uint32_t i = 0; i < c->n; i++) {
            if (i) strcat(out, ",");
            add_cell(t, field(t, c, i), out);
        }
        return;
    default: snprintf(num, sizeof num, "%lld", (long long)c->u.i); strcat(out, num);
    }
}
/* The batch: "op key before after marker lsn" a record, ';' between, a tombstone as "x key"; topic left out. */
static inline const char *batch_text(const struct testhost *t) {
    static char out[65536];
    out[0] = 0;
    for (uint32_t i = 0; i < cn_count(&t->batch); i++) {
        const struct cn_record *r = cn_record_at(&t->batch, i);
        char lsn[32];
        if (i) strcat(out, "; ");
        if (r->value.type == CN_NULL) {
            strcat(out, "x ");
            add_cell(t, &r->key, out);
            continue;
        }
        const struct cn_cell *source = field(t, &r->value, 2);
        add_cell(t, field(t, &r->value, 4), out);
        strcat(out, " ");
        add_cell(t, &r->key, out);
        strcat(out, " ");
        add_cell(t, field(t, &r->value, 0), out);
        strcat(out, " ");
        add_cell(t, field(t, &r->value, 1), out);
        strcat(out, " ");
        add_cell(t, field(t, source, 4), out);
        snprintf(lsn, sizeof lsn, " %lld", (long long)field(t, source, 12)->u.i);
        strcat(out, lsn);
    }
    return out;
}
static inline void batch_is(const struct testhost *t, int boundary, const char *want) {
    assert_string_equal(batch_text(t), want);
    assert_int_equal(cn_head(&t->batch)->boundary, boundary);
}
/* The position the batch carries: its offset, or "". */
static inline const char *batch_position(const struct testhost *t) {
    static char out[1024];
    if (cn_head(&t->batch)->position_count != 1) return "";
    const struct cn_position *p = cn_position_at(&t->batch, 0);
    snprintf(out, sizeof out, "%.*s", (int)p->offset.n, cn_bytes_at(&t->batch, p->offset.at));
    return out;
}
static inline void position_has(const struct testhost *t, const char *part) { assert_has(batch_position(t), part); }

/* A transaction of one insert into orders. */
static inline void insert_tx(uint64_t lsn, uint32_t xid, const char *row) {
    fakepq_stream(wb_xlog(lsn, wb_begin(lsn + 50, 1000000, xid)));
    fakepq_stream(wb_xlog(lsn, wb_change('I', 0, 42, 0, NULL, row)));
    fakepq_stream(wb_xlog(lsn + 100, wb_commit(lsn + 50, lsn + 100, 1000000)));
}
static inline void orders_relation(uint64_t lsn) {
    fakepq_stream(wb_xlog(lsn, wb_relation(0, 42, "public", "orders", 'd', "id:23:1,note:25:0")));
}

#endif
