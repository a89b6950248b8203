// SPDX-License-Identifier: Apache-2.0
// Builds the messages a server would send: pgoutput, and the CopyData around it. Small ones, by value; header only.
#ifndef WIRE_BUILD_H
#define WIRE_BUILD_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct wb {
    uint8_t p[4096];
    size_t n;
};
static inline void wb_bytes(struct wb *w, const void *p, size_t n) {
    if (n > sizeof w->p - w->n) abort();
    if (n) memcpy(w->p + w->n, p, n);
    w->n += n;
}
static inline void wb_be(struct wb *w, uint64_t v, size_t n) {
    for (size_t i = n; i-- > 0;) {
        uint8_t b = (uint8_t)(v >> 8 * i);
        wb_bytes(w, &b, 1);
    }
}
static inline void wb_u8(struct wb *w, uint64_t v) { wb_be(w, v, 1); }
static inline void wb_u16(struct wb *w, uint64_t v) { wb_be(w, v, 2); }
static inline void wb_u32(struct wb *w, uint64_t v) { wb_be(w, v, 4); }
static inline void wb_u64(struct wb *w, uint64_t v) { wb_be(w, v, 8); }
static inline void wb_z(struct wb *w, const char *z) { wb_bytes(w, z, strlen(z) + 1); }

/* "1|abc|N|U": N null, U unchanged, else text; at most 1024 bytes */
static inline void wb_tuple(struct wb *w, const char *text) {
    uint16_t columns = 1;
    for (const char *s = text; *s; s++) columns += *s == '|';
    wb_u16(w, columns);
    for (const char *s = text;; s++) {
        const char *end = strchrnul(s, '|');
        size_t n = (size_t)(end - s);
        if (n == 1 && *s == 'N') wb_u8(w, 'n');
        else if (n == 1 && *s == 'U') wb_u8(w, 'u');
        else wb_u8(w, 't'), wb_u32(w, n), wb_bytes(w, s, n);
        if (!*end) return;
        s = end;
    }
}
/* time: microseconds since 2000 */
static inline struct wb wb_begin(uint64_t final_lsn, uint64_t time, uint32_t xid) {
    struct wb w = {.n = 0};
    wb_u8(&w, 'B'), wb_u64(&w, final_lsn), wb_u64(&w, time), wb_u32(&w, xid);
    return w;
}
static inline struct wb wb_commit(uint64_t lsn, uint64_t end, uint64_t time) {
    struct wb w = {.n = 0};
    wb_u8(&w, 'C'), wb_u8(&w, 0), wb_u64(&w, lsn), wb_u64(&w, end), wb_u64(&w, time);
    return w;
}
/* columns: "name:oid:key,…"; xid 0: none */
static inline struct wb wb_relation(uint32_t xid, uint32_t oid, const char *schema, const char *name, char identity, const char *columns) {
    struct wb w = {.n = 0};
    uint16_t n = 1;
    for (const char *s = columns; *s; s++) n += *s == ',';
    wb_u8(&w, 'R');
    if (xid) wb_u32(&w, xid);
    wb_u32(&w, oid), wb_z(&w, schema), wb_z(&w, name), wb_u8(&w, identity), wb_u16(&w, n);
    for (const char *s = columns; s;) {
        const char *colon = strchr(s, ':');
        char *rest;
        unsigned long type = strtoul(colon + 1, &rest, 10), key = strtoul(rest + 1, NULL, 10);
        wb_u8(&w, key), wb_bytes(&w, s, (size_t)(colon - s)), wb_u8(&w, 0), wb_u32(&w, type), wb_u32(&w, UINT32_MAX);
        s = strchr(s, ',');
        if (s) s++;
    }
    return w;
}
static inline struct wb wb_change(char kind, uint32_t xid, uint32_t relation, char tag, const char *old, const char *fresh) {
    struct wb w = {.n = 0};
    wb_u8(&w, kind);
    if (xid) wb_u32(&w, xid);
    wb_u32(&w, relation);
    if (old) wb_u8(&w, tag), wb_tuple(&w, old);
    if (fresh) wb_u8(&w, 'N'), wb_tuple(&w, fresh);
    return w;
}
static inline struct wb wb_truncate(uint32_t xid, uint8_t flags, const uint32_t *oids, uint32_t n) {
    struct wb w = {.n = 0};
    wb_u8(&w, 'T');
    if (xid) wb_u32(&w, xid);
    wb_u32(&w, n), wb_u8(&w, flags);
    for (uint32_t i = 0; i < n; i++) wb_u32(&w, oids[i]);
    return w;
}
static inline struct wb wb_message(uint32_t xid, uint8_t flags, uint64_t lsn, const char *prefix, const char *content) {
    struct wb w = {.n = 0};
    wb_u8(&w, 'M');
    if (xid) wb_u32(&w, xid);
    wb_u8(&w, flags), wb_u64(&w, lsn), wb_z(&w, prefix), wb_u32(&w, strlen(content)), wb_bytes(&w, content, strlen(content));
    return w;
}
static inline struct wb wb_origin(uint64_t lsn, const char *name) {
    struct wb w = {.n = 0};
    wb_u8(&w, 'O'), wb_u64(&w, lsn), wb_z(&w, name);
    return w;
}
static inline struct wb wb_stream_start(uint32_t xid, int first) {
    struct wb w = {.n = 0};
    wb_u8(&w, 'S'), wb_u32(&w, xid), wb_u8(&w, (uint64_t)first);
    return w;
}
static inline struct wb wb_stream_stop(void) {
    struct wb w = {.n = 0};
    wb_u8(&w, 'E');
    return w;
}
static inline struct wb wb_stream_commit(uint32_t xid, uint64_t lsn, uint64_t end, uint64_t time) {
    struct wb w = {.n = 0};
    wb_u8(&w, 'c'), wb_u32(&w, xid), wb_u8(&w, 0), wb_u64(&w, lsn), wb_u64(&w, end), wb_u64(&w, time);
    return w;
}
static inline struct wb wb_stream_abort(uint32_t xid, uint32_t subxid) {
    struct wb w = {.n = 0};
    wb_u8(&w, 'A'), wb_u32(&w, xid), wb_u32(&w, subxid);
    return w;
}
/* XLogData around a message, and a keepalive */
static inline struct wb wb_xlog(uint64_t lsn, struct wb m) {
    struct wb w = {.n = 0};
    wb_u8(&w, 'w'), wb_u64(&w, lsn), wb_u64(&w, lsn), wb_u64(&w, 0), wb_bytes(&w, m.p, m.n);
    return w;
}
static inline struct wb wb_keepalive(uint64_t end, int reply) {
    struct wb w = {.n = 0};
    wb_u8(&w, 'k'), wb_u64(&w, end), wb_u64(&w, 0), wb_u8(&w, (uint64_t)reply);
    return w;
}

#endif
