/* SPDX-License-Identifier: Apache-2.0 */
#include "lanes.h"

enum { CHUNK_JOIN = 256 * 1024 }; /* later puts join the last chunk up to this size */

static void *need(void *p) {
    if (!p) abort();
    return p;
}

static char separator(const struct http_options *o) { return o->mode == BATCH_ARRAY ? ',' : '\n'; }

static void chunk_free(struct chunk *c) {
    cn_json_done(&c->body);
    free(c->entries);
    free(c);
}

struct lane *lanes_find(struct lanes *l, const char *topic, size_t n, int32_t partition) {
    struct lane *lane;
    for (lane = l->first; lane; lane = lane->next)
        if (lane->partition == partition && !lane->revoked && strncmp(lane->topic, topic, n) == 0 && !lane->topic[n]) return lane;
    return NULL;
}

struct lane *lanes_add(struct lanes *l, const char *topic, size_t n, int32_t partition, const struct http_options *o) {
    struct lane *lane = (struct lane *)need(calloc(1, sizeof *lane));
    lane->topic = (char *)need(strndup(topic, n));
    lane->url = http_url_for(o->url, lane->topic);
    lane->partition = partition;
    lane->limit = o->mode == BATCH_SINGLE ? 1 : (uint32_t)o->max_records;
    lane->next = l->first;
    l->first = lane;
    return lane;
}

static void lane_free(struct lane *lane) {
    free(lane->topic);
    free(lane->url);
    free(lane);
}

void lanes_remove(struct lanes *l, struct lane *lane) {
    struct lane **at = &l->first;
    while (*at != lane) at = &(*at)->next;
    *at = lane->next;
    lane_clear(l, lane);
    lane_free(lane);
}

void lanes_done(struct lanes *l) {
    while (l->first) lanes_remove(l, l->first);
}

/* The last chunk may grow unless a request reads it or it is large enough. */
static int may_join(const struct lane *lane) {
    return lane->last && lane->last->body.n < CHUNK_JOIN && !(lane->under_way && lane->last == lane->first);
}

struct cn_json *lane_begin(struct lane *lane, const struct http_options *o) {
    struct chunk *c;
    if (may_join(lane)) return &lane->last->body;
    c = (struct chunk *)need(calloc(1, sizeof *c));
    if (lane->last) lane->last->next = c;
    else lane->first = c;
    lane->last = c;
    cn_json_char(&c->body, separator(o));
    return &c->body;
}

void lane_end(struct lanes *l, struct lane *lane, int64_t offset, const struct http_options *o) {
    struct chunk *c = lane->last;
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->entries = (struct entry *)need(realloc(c->entries, c->cap * sizeof *c->entries));
    }
    c->entries[c->n].offset = offset;
    c->entries[c->n++].end = c->body.n;
    cn_json_char(&c->body, separator(o));
    l->held++;
}

static size_t run_start(const struct chunk *c) { return c->sent ? c->entries[c->sent - 1].end : 0; } /* at the separator before */

struct run lane_take(struct lane *lane, const struct http_options *o) {
    struct chunk *c = lane->first;
    struct run r = {NULL, 0, 0};
    size_t start, end;
    uint32_t n = 0;
    if (!c) return r;
    start = run_start(c);
    while (c->sent + n < c->n && n < lane->limit && (n == 0 || c->entries[c->sent + n].end - start <= (size_t)o->max_bytes)) n++;
    if (n == 0) return r;
    end = c->entries[c->sent + n - 1].end;
    if (o->mode == BATCH_ARRAY) c->body.p[start] = '[', c->body.p[end] = ']';
    r.p = c->body.p + start + (o->mode == BATCH_ARRAY ? 0 : 1);
    r.n = end - start - 1 + (o->mode == BATCH_ARRAY ? 2 : o->mode == BATCH_NDJSON);
    r.records = lane->under_way = n;
    return r;
}

void lane_over(struct lanes *l, struct lane *lane, int answered, const struct http_options *o) {
    struct chunk *c = lane->first;
    c->body.p[run_start(c)] = separator(o);
    c->body.p[c->entries[c->sent + lane->under_way - 1].end] = separator(o);
    if (answered) {
        c->sent += lane->under_way;
        l->held -= lane->under_way;
    }
    lane->under_way = 0;
    if (c->sent < c->n) return;
    lane->first = c->next;
    if (!lane->first) lane->last = NULL;
    chunk_free(c);
}

void lane_offsets(const struct lane *lane, uint32_t max, void (*each)(void *arg, int64_t first, int64_t last), void *arg) {
    const struct chunk *c;
    int64_t first = 0, last = -1;
    uint32_t i;
    for (c = lane->first; c; c = c->next)
        for (i = c->sent; i < c->n && max; i++, max--) {
            int64_t offset = c->entries[i].offset;
            if (last >= 0 && offset != last + 1) each(arg, first, last);
            if (last < 0 || offset != last + 1) first = offset;
            last = offset;
        }
    if (last >= 0) each(arg, first, last);
}

void lane_clear(struct lanes *l, struct lane *lane) {
    while (lane->first) {
        struct chunk *c = lane->first;
        l->held -= c->n - c->sent;
        lane->first = c->next;
        chunk_free(c);
    }
    lane->last = NULL;
    lane->under_way = 0;
}
