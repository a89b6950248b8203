/* SPDX-License-Identifier: Apache-2.0 */
#include "position.h"

void position_init(struct position *p) {
    memset(p, 0, sizeof *p);
    p->txid = -1;
}

void position_done(struct position *p) {
    position_clear_marks(p);
    free(p->marks);
    memset(p, 0, sizeof *p);
}

void position_clear_marks(struct position *p) {
    for (uint32_t i = 0; i < p->mark_count; i++) free(p->marks[i].id);
    p->mark_count = 0;
}

int position_mark(struct position *p, const char *id, uint64_t lsn) {
    if (p->mark_count == p->mark_cap) {
        uint32_t cap = p->mark_cap ? p->mark_cap * 2 : 16;
        struct table_mark *m = realloc(p->marks, cap * sizeof *m);
        if (!m) return -1;
        p->marks = m;
        p->mark_cap = cap;
    }
    char *copy = strdup(id);
    if (!copy) return -1;
    p->marks[p->mark_count++] = (struct table_mark){copy, lsn};
    return 0;
}

uint64_t position_marked(const struct position *p, const char *id) {
    for (uint32_t i = 0; i < p->mark_count; i++)
        if (strcmp(p->marks[i].id, id) == 0) return p->marks[i].lsn;
    return 0;
}

const char *position_partition(const char *prefix, char *out, size_t cap) {
    struct cn_pos w;
    cn_pos_begin(&w, out, cap);
    cn_pos_str(&w, "server", prefix);
    return cn_pos_end(&w);
}

/* Unescapes a JSON string at *s into *ret (malloc'ed) and moves behind it. */
static int take_string(const char **s, char **ret) {
    const char *end = **s == '"' ? cn_pos_skip_string_(*s) : NULL;
    if (!end) return -1;
    char *out = malloc((size_t)(end - *s)), *p = out;
    if (!out) return -1;
    for (const char *c = *s + 1; *c != '"';) {
        if (*c != '\\') {
            *p++ = *c++;
            continue;
        }
        c++;
        size_t k = cn_pos_escape_(&c, p);
        if (!k) {
            free(out);
            return -1;
        }
        p += k;
    }
    *p = 0;
    *s = end;
    *ret = out;
    return 0;
}

/* {"public.a":100,…} */
static int read_marks(struct position *p, const char *s) {
    if (*s++ != '{') return -1;
    s = cn_pos_space_(s);
    while (*s != '}') {
        char *id, *end;
        if (take_string(&s, &id) != 0) return -1;
        s = cn_pos_space_(s);
        unsigned long long lsn = *s == ':' ? strtoull(s + 1, &end, 10) : 0;
        int bad = *s != ':' || end == s + 1 || position_mark(p, id, lsn) != 0;
        free(id);
        if (bad) return -1;
        s = cn_pos_space_(end);
        if (*s == ',') s = cn_pos_space_(s + 1);
        else if (*s != '}') return -1;
    }
    return 0;
}

static int read_offset(struct position *p, const char *json, const char **ret_error) {
    int64_t lsn, v;
    if (cn_pos_get_int(json, "lsn", &lsn) != 0 || lsn <= 0) {
        *ret_error = "has no field \"lsn\"";
        return -1;
    }
    p->lsn = (uint64_t)lsn;
    p->last_commit = cn_pos_get_int(json, "lsn_commit", &v) == 0 ? (uint64_t)v : 0;
    if (cn_pos_get_int(json, "txId", &p->txid) != 0) p->txid = -1;
    if (cn_pos_get_int(json, "ts_usec", &p->ts_us) != 0) p->ts_us = 0;
    if (cn_pos_get_int(json, "timeline", &p->timeline) != 0) p->timeline = 0;
    if (cn_pos_get_str(json, "sysid", p->sysid, sizeof p->sysid) < 0) p->sysid[0] = 0;
    if (cn_pos_get_str(json, "slot", p->slot, sizeof p->slot) < 0) p->slot[0] = 0;
    if (cn_pos_get_bool(json, "snapshot", &p->snapshot) != 0) p->snapshot = 0;
    const char *marks = cn_pos_find(json, "snapshot_tables");
    if (marks && read_marks(p, marks) != 0) {
        *ret_error = "has a damaged field \"snapshot_tables\"";
        return -1;
    }
    return 1;
}

int position_read(struct position *p, const char *prefix, const struct cn_stored_position *stored, uint32_t n, const char **ret_error) {
    for (uint32_t i = 0; i < n; i++) {
        char server[512];
        if (!stored[i].offset || cn_pos_get_str(stored[i].partition, "server", server, sizeof server) < 0) continue;
        if (strcmp(server, prefix) == 0) return read_offset(p, stored[i].offset, ret_error);
    }
    return 0;
}

char *position_offset(const struct position *p) {
    size_t cap = 512;
    for (uint32_t i = 0; i < p->mark_count; i++) cap += strlen(p->marks[i].id) * 6 + 32;
    char *out = malloc(cap);
    struct cn_pos w;
    if (!out) return NULL;
    cn_pos_begin(&w, out, cap);
    cn_pos_int(&w, "lsn", (int64_t)p->lsn);
    if (p->last_commit) cn_pos_int(&w, "lsn_commit", (int64_t)p->last_commit);
    if (p->txid >= 0) cn_pos_int(&w, "txId", p->txid);
    if (p->ts_us) cn_pos_int(&w, "ts_usec", p->ts_us);
    cn_pos_str(&w, "sysid", p->sysid);
    cn_pos_int(&w, "timeline", p->timeline);
    cn_pos_str(&w, "slot", p->slot);
    if (p->snapshot) cn_pos_bool(&w, "snapshot", 1);
    if (p->mark_count) {
        struct cn_pos m;
        cn_pos_key_(&w, "snapshot_tables");
        cn_pos_begin(&m, w.p + w.n, w.cap - w.n);
        for (uint32_t i = 0; i < p->mark_count; i++) cn_pos_int(&m, p->marks[i].id, (int64_t)p->marks[i].lsn);
        if (!cn_pos_end(&m)) w.failed = 1;
        w.n += m.n;
    }
    if (!cn_pos_end(&w)) {
        free(out);
        return NULL;
    }
    return out;
}

int position_offset_lsn(const char *offset, uint64_t *ret) {
    int64_t v;
    if (!offset || cn_pos_get_int(offset, "lsn", &v) != 0 || v <= 0) return -1;
    *ret = (uint64_t)v;
    return 0;
}
