/* SPDX-License-Identifier: Apache-2.0 */
#include "pgoutput.h"

static int64_t take_time(struct wire *w) { return (int64_t)(wire_u64(w) + (uint64_t)PGOUTPUT_EPOCH_US); }

/* Walks over a tuple once, so that later reads need no checks. */
static void take_tuple(struct wire *w, struct tuple *ret) {
    ret->columns = wire_u16(w);
    if (ret->columns > PGOUTPUT_MAX_COLUMNS) w->bad = 1;
    ret->w = *w;
    for (uint32_t i = 0; i < ret->columns && !w->bad; i++) {
        switch (wire_u8(w)) {
        case COLUMN_NULL:
        case COLUMN_UNCHANGED: break;
        case COLUMN_TEXT:
        case COLUMN_BINARY: wire_take(w, wire_u32(w)); break;
        default: w->bad = 1;
        }
    }
    ret->w.end = w->p;
}

static void take_relation(struct wire *w, struct pgoutput *m) {
    m->relation = wire_u32(w);
    m->schema = wire_string(w);
    m->name = wire_string(w);
    m->identity = wire_u8(w);
    m->count = wire_u16(w);
    m->rest = *w;
    struct pgoutput walk = *m;
    struct relation_column c;
    for (uint32_t i = 0; i < m->count && !w->bad; i++)
        if (pgoutput_relation_column(&walk, &c) != 0) w->bad = 1;
    w->p = walk.rest.p;
}

static void take_old_and_new(struct wire *w, struct pgoutput *m) {
    uint8_t tag = wire_u8(w);
    if (tag == 'K' || tag == 'O') {
        m->identity = tag;
        take_tuple(w, &m->old);
        tag = wire_u8(w);
    }
    if (tag != 'N') w->bad = 1;
    take_tuple(w, &m->fresh);
}

static void take_message(struct wire *w, struct pgoutput *m) {
    m->flags = wire_u8(w);
    m->lsn = wire_u64(w);
    m->name = wire_string(w);
    m->content.n = wire_u32(w);
    m->content.p = (const char *)wire_take(w, m->content.n);
    if (!m->content.p) m->content = (struct text){"", 0};
}

static void take_commit(struct wire *w, struct pgoutput *m) {
    m->flags = wire_u8(w);
    m->lsn = wire_u64(w);
    m->end_lsn = wire_u64(w);
    m->time = take_time(w);
}

static void take_change(struct wire *w, struct pgoutput *m) {
    m->relation = wire_u32(w);
    switch (m->kind) {
    case PGOUTPUT_INSERT:
        if (wire_u8(w) != 'N') w->bad = 1;
        take_tuple(w, &m->fresh);
        return;
    case PGOUTPUT_UPDATE: take_old_and_new(w, m); return;
    default:
        m->identity = wire_u8(w);
        if (m->identity != 'K' && m->identity != 'O') w->bad = 1;
        take_tuple(w, &m->old);
    }
}

static void take_truncate(struct wire *w, struct pgoutput *m) {
    m->count = wire_u32(w);
    m->flags = wire_u8(w);
    m->rest = *w;
    if (m->count > (size_t)(w->end - w->p) / 4) w->bad = 1;
    else wire_take(w, (size_t)m->count * 4);
}

/* -1 for a kind that this protocol does not have. */
static int take_body(struct wire *w, struct pgoutput *m) {
    switch (m->kind) {
    case PGOUTPUT_BEGIN:
        m->lsn = wire_u64(w);
        m->time = take_time(w);
        m->xid = wire_u32(w);
        return 0;
    case PGOUTPUT_COMMIT: take_commit(w, m); return 0;
    case PGOUTPUT_ORIGIN:
        m->lsn = wire_u64(w);
        m->name = wire_string(w);
        return 0;
    case PGOUTPUT_RELATION: take_relation(w, m); return 0;
    case PGOUTPUT_TYPE:
        wire_u32(w);
        m->schema = wire_string(w);
        m->name = wire_string(w);
        return 0;
    case PGOUTPUT_INSERT:
    case PGOUTPUT_UPDATE:
    case PGOUTPUT_DELETE: take_change(w, m); return 0;
    case PGOUTPUT_TRUNCATE: take_truncate(w, m); return 0;
    case PGOUTPUT_MESSAGE: take_message(w, m); return 0;
    case PGOUTPUT_STREAM_START:
        m->xid = wire_u32(w);
        m->flags = wire_u8(w);
        return 0;
    case PGOUTPUT_STREAM_STOP: return 0;
    case PGOUTPUT_STREAM_COMMIT:
        m->xid = wire_u32(w);
        take_commit(w, m);
        return 0;
    case PGOUTPUT_STREAM_ABORT:
        m->xid = wire_u32(w);
        m->subxid = wire_u32(w);
        return 0;
    default: return -1;
    }
}

/* Which messages carry the transaction id of their change while a transaction is streamed. */
static int has_xid(uint8_t kind) {
    return kind == PGOUTPUT_RELATION || kind == PGOUTPUT_TYPE || kind == PGOUTPUT_INSERT || kind == PGOUTPUT_UPDATE ||
           kind == PGOUTPUT_DELETE || kind == PGOUTPUT_TRUNCATE || kind == PGOUTPUT_MESSAGE;
}

int pgoutput_decode(const void *p, size_t n, int streamed, struct pgoutput *ret, const char **ret_error) {
    struct wire w = wire_of(p, n);
    memset(ret, 0, sizeof *ret);
    ret->kind = wire_u8(&w);
    if (streamed && has_xid(ret->kind)) ret->xid = wire_u32(&w);
    if (take_body(&w, ret) != 0) {
        *ret_error = "unknown kind of message";
        return -1;
    }
    if (w.bad) {
        *ret_error = "message ends too early or holds what it may not";
        return -1;
    }
    if (w.p != w.end) {
        *ret_error = "message has bytes behind its end";
        return -1;
    }
    return 0;
}

int pgoutput_relation_column(struct pgoutput *m, struct relation_column *ret) {
    ret->key = wire_u8(&m->rest) & 1;
    ret->name = wire_string(&m->rest);
    ret->type = wire_u32(&m->rest);
    ret->typmod = (int32_t)wire_u32(&m->rest);
    return m->rest.bad ? -1 : 0;
}

uint32_t pgoutput_truncated(struct pgoutput *m) {
    return m->rest.p < m->rest.end ? wire_u32(&m->rest) : 0;
}
