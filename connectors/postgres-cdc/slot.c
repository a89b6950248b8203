/* SPDX-License-Identifier: Apache-2.0 */
#include "slot.h"

#include "catalog.h"

int lsn_parse(const char *text, uint64_t *ret) {
    char *end;
    unsigned long long hi, lo;
    if (!text) return -1;
    hi = strtoull(text, &end, 16);
    if (end == text || *end != '/' || hi > UINT32_MAX) return -1;
    const char *low = end + 1;
    lo = strtoull(low, &end, 16);
    if (end == low || *end || lo > UINT32_MAX) return -1;
    *ret = (uint64_t)hi << 32 | lo;
    return 0;
}

const char *lsn_print(uint64_t lsn, char out[24]) {
    snprintf(out, 24, "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
    return out;
}

static void take(char *out, size_t cap, const char *text) { snprintf(out, cap, "%s", text ? text : ""); }

int server_look(const struct conn_ops *ops, struct conn *c, struct server_state *ret, struct pgerr *e) {
    struct rows *r;
    memset(ret, 0, sizeof *ret);
    if (ops->query(c, "IDENTIFY_SYSTEM", &r, e) != 0) return -1;
    int bad = ops->rows_count(r) != 1 || lsn_parse(ops->rows_get(r, 0, 2), &ret->wal_end) != 0;
    if (!bad) {
        take(ret->sysid, sizeof ret->sysid, ops->rows_get(r, 0, 0));
        ret->timeline = strtoll(ops->rows_get(r, 0, 1), NULL, 10);
        ret->version = ops->version(c);
    }
    ops->rows_free(r);
    return bad ? pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "IDENTIFY_SYSTEM: unexpected answer") : 0;
}

int slot_look(const struct conn_ops *ops, struct conn *c, const char *name, struct slot_state *ret, struct pgerr *e) {
    struct rows *r;
    int version = ops->version(c);
    memset(ret, 0, sizeof *ret);
    char *sql = sql_printf("SELECT slot_type, plugin, database, active_pid, confirmed_flush_lsn, restart_lsn, %s, %s "
                           "FROM pg_catalog.pg_replication_slots WHERE slot_name = '%s'",
                           version >= 130000 ? "wal_status" : "NULL", version >= 170000 ? "failover" : "false", name);
    int bad = sql ? ops->query(c, sql, &r, e) : pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "out of memory");
    free(sql);
    if (bad) return -1;
    if (ops->rows_count(r)) {
        const char *pid = ops->rows_get(r, 0, 3), *failover = ops->rows_get(r, 0, 7);
        ret->exists = 1;
        take(ret->type, sizeof ret->type, ops->rows_get(r, 0, 0));
        take(ret->plugin, sizeof ret->plugin, ops->rows_get(r, 0, 1));
        take(ret->database, sizeof ret->database, ops->rows_get(r, 0, 2));
        ret->active_pid = pid ? strtoll(pid, NULL, 10) : 0;
        if (lsn_parse(ops->rows_get(r, 0, 4), &ret->confirmed) != 0) ret->confirmed = 0;
        if (lsn_parse(ops->rows_get(r, 0, 5), &ret->restart) != 0) ret->restart = 0;
        take(ret->wal_status, sizeof ret->wal_status, ops->rows_get(r, 0, 6));
        ret->failover = failover && *failover == 't';
    }
    ops->rows_free(r);
    return 0;
}

static int explain_create(struct pgerr *e, const char *name) {
    if (strstr(e->text, "wal_level"))
        return pgerr_set(e, CN_FAIL_CONFIG, "as a superuser run: ALTER SYSTEM SET wal_level = logical; then restart the server",
                         "the server's wal_level does not allow logical decoding");
    if (pgerr_is(e, "53400") || strstr(e->text, "all replication slots are in use")) {
        e->fail_class = CN_FAIL_CONFIG;
        snprintf(e->hint, sizeof e->hint, "drop a slot that is no longer needed (pg_drop_replication_slot), or raise max_replication_slots");
    }
    pgerr_wrap(e, "creating replication slot %s", name);
    return -1;
}

int slot_create(const struct conn_ops *ops, struct conn *c, const char *name, int temporary, int failover, char ret_snapshot[64],
                uint64_t *ret_lsn, struct pgerr *e) {
    struct rows *r;
    char sql[256];
    if (failover && !temporary && ops->version(c) >= 170000)
        snprintf(sql, sizeof sql, "CREATE_REPLICATION_SLOT \"%s\" LOGICAL pgoutput (SNAPSHOT 'export', FAILOVER)", name);
    else
        snprintf(sql, sizeof sql, "CREATE_REPLICATION_SLOT \"%s\" %sLOGICAL pgoutput EXPORT_SNAPSHOT", name, temporary ? "TEMPORARY " : "");
    if (ops->query(c, sql, &r, e) != 0) return explain_create(e, name);
    const char *snapshot = ops->rows_count(r) == 1 ? ops->rows_get(r, 0, 2) : NULL;
    int bad = !snapshot || lsn_parse(ops->rows_get(r, 0, 1), ret_lsn) != 0;
    if (!bad) take(ret_snapshot, 64, snapshot);
    ops->rows_free(r);
    return bad ? pgerr_set(e, CN_FAIL_TRANSIENT, NULL, "creating replication slot %s: unexpected answer", name) : 0;
}

/* ── deciding ── */

static int usable(const struct slot_question *q, struct pgerr *e) {
    const struct slot_state *s = q->state;
    if (strcmp(s->type, "logical") != 0 || strcmp(s->plugin, "pgoutput") != 0)
        return pgerr_set(e, CN_FAIL_CONFIG, "set slot.name to another name, or drop that slot",
                         "replication slot %s is a %s slot with plugin %s, not a logical one with pgoutput", q->slot, s->type,
                         *s->plugin ? s->plugin : "(none)");
    if (strcmp(s->database, q->database) != 0)
        return pgerr_set(e, CN_FAIL_CONFIG, "set slot.name to another name",
                         "replication slot %s belongs to database %s, not %s", q->slot, s->database, q->database);
    return 0;
}

static int active(const struct slot_question *q, struct pgerr *e) {
    if (!q->state->active_pid) return 0;
    return pgerr_set(e, CN_FAIL_TRANSIENT, "stop the other reader; one that is gone is noticed by the server after wal_sender_timeout",
                     "replication slot %s is in use by server process %lld", q->slot, (long long)q->state->active_pid);
}

/* What to do when going on would skip changes. */
static int lost(const struct slot_question *q, struct pgerr *e) {
    snprintf(e->hint, sizeof e->hint,
             "changes may be missing. To read all rows again: connectd stop %s, connectd offsets reset %s, connectd resume %s "
             "(drop the slot before, where it is still there); or set snapshot.mode: when_needed",
             q->connector, q->connector, q->connector);
    return -1;
}

static int resumable(const struct slot_question *q, struct pgerr *e) {
    const struct slot_state *s = q->state;
    const struct position *p = q->position;
    char stored[24], other[24];
    lsn_print(p->lsn, stored);
    if (*p->sysid && strcmp(p->sysid, q->server->sysid) != 0)
        pgerr_set(e, CN_FAIL_LOST_DATA, NULL, "the stored position %s is of server %s, but this is server %s", stored, p->sysid,
                  q->server->sysid);
    else if (!s->exists)
        pgerr_set(e, CN_FAIL_LOST_DATA, NULL, "replication slot %s is gone, and the stored position is %s", q->slot, stored);
    else if (strcmp(s->wal_status, "lost") == 0)
        pgerr_set(e, CN_FAIL_LOST_DATA, NULL, "replication slot %s was invalidated by the server (max_slot_wal_keep_size), and the stored "
                  "position is %s", q->slot, stored);
    else if (s->confirmed > p->lsn)
        pgerr_set(e, CN_FAIL_LOST_DATA, NULL, "replication slot %s was made anew or read by somebody else: the stored position is %s, the "
                  "slot is at %s already", q->slot, stored, lsn_print(s->confirmed, other));
    else if (p->lsn > q->server->wal_end)
        pgerr_set(e, CN_FAIL_LOST_DATA, NULL, "the stored position %s of replication slot %s is ahead of the server's WAL at %s: the server "
                  "was restored, or is another one", stored, q->slot, lsn_print(q->server->wal_end, other));
    else
        return 0;
    return lost(q, e);
}

int slot_check(const struct slot_question *q, struct pgerr *e) {
    if (q->position->lsn && resumable(q, e) != 0) return -1;
    if (!q->state->exists) return 0;
    return usable(q, e) != 0 || active(q, e) != 0 ? -1 : 0;
}
