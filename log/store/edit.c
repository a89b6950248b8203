// SPDX-License-Identifier: Apache-2.0
// The table of edits and the coder that walks it.
#include "edit.h"

#include <stddef.h>

#include "base/mem.h"

enum type { U8, U32, U64, TEXT, UUID };
struct field {
    enum type type;
    uint16_t offset;
};
#define F8(m) {U8, offsetof(struct edit, m)}
#define F32(m) {U32, offsetof(struct edit, m)}
#define F64(m) {U64, offsetof(struct edit, m)}
#define FTEXT(m) {TEXT, offsetof(struct edit, m)}
#define FUUID(m) {UUID, offsetof(struct edit, m)}

enum { FIELDS = 11, MIN_TEXT = 4 };
static const struct edit_row {
    enum edit_kind kind;
    const char *name;
    uint8_t n;
    struct field fields[FIELDS];
} rows[] = {
#define ROW(kind, name, ...) {kind, name, sizeof((struct field[]){__VA_ARGS__}) / sizeof(struct field), {__VA_ARGS__}}
    ROW(EDIT_COUNTERS, "counters", F32(topic), F32(partition), F64(first)),
    ROW(EDIT_TOPIC, "topic", F32(topic), FUUID(id), FTEXT(name), FTEXT(text)),
    ROW(EDIT_PARTITION, "partition", F32(topic), F32(index), F32(partition), F64(first), F64(end), F32(epoch), FTEXT(text)),
    ROW(EDIT_SEGMENT, "segment", F32(partition), F64(base), F32(generation), F64(size), F32(crc), F64(max_ts), F64(time), F8(flag)),
    ROW(EDIT_EPOCH, "epoch", F32(partition), F32(epoch), F64(first)),
    ROW(EDIT_PRODUCERS, "producers", F32(partition), FTEXT(text)),
    ROW(EDIT_GRAVE, "grave", F32(topic), FUUID(id), FTEXT(name), F32(count)),
    ROW(EDIT_ABORTS, "aborts", F32(partition), F32(count)),
    ROW(EDIT_DAMAGED, "damaged", F32(partition), F64(base), FTEXT(text)),
    ROW(EDIT_COMPACTED, "compacted", F32(partition), F64(first), F64(time)),
    ROW(EDIT_LOSSES, "losses", F32(partition), F32(count), F64(first), F64(size), F64(time)),
    ROW(EDIT_CREATE, "create", F32(topic), FUUID(id), FTEXT(name), FTEXT(text), F32(count), F32(partition)),
    ROW(EDIT_DELETE, "delete", F32(topic)),
    ROW(EDIT_GROW, "grow", F32(topic), F32(index), F32(count), F32(partition)),
    ROW(EDIT_CONFIG, "config", F32(topic), FTEXT(text)),
    ROW(EDIT_ROLL, "roll", F32(partition), F64(base), F64(size), F32(crc), F64(time)),
    ROW(EDIT_RANGE, "range", F32(partition), F64(base), F32(generation), F64(position), F64(size), F64(first), F64(end), F32(crc_before), F32(crc), F64(max_ts), F8(flag)),
    ROW(EDIT_LOG_START, "log-start", F32(partition), F64(first)),
    ROW(EDIT_DROP, "drop", F32(partition), F64(base)),
    ROW(EDIT_SWAP, "swap", F32(partition), F64(base), F32(count), F64(end), F32(generation), F64(size), F32(crc), F64(max_ts)),
    ROW(EDIT_PRODUCER_IDS, "producer-ids", F64(first)),
    ROW(EDIT_ACCEPT, "accept", F32(partition), F32(count), F64(first), F64(size), F64(time)),
#undef ROW
};

static const struct edit_row *row_of(unsigned kind) {
    for (size_t i = 0; i < countof(rows); i++)
        if (rows[i].kind == kind) return &rows[i];
    return NULL;
}

const char *edit_name(enum edit_kind kind) {
    const struct edit_row *r = row_of(kind);
    return r ? r->name : "unknown";
}

static void put_field(struct buf *out, const struct edit *e, struct field f) {
    const char *from = (const char *)e + f.offset;
    uint32_t u32;
    uint64_t u64;
    struct str text;
    switch (f.type) {
    case U8: buf_put(out, from, 1); break;
    case U32: memcpy(&u32, from, 4), buf_be32(out, u32); break;
    case U64: memcpy(&u64, from, 8), buf_be64(out, u64); break;
    case UUID: buf_put(out, from, sizeof(struct uuid)); break;
    case TEXT:
        memcpy(&text, from, sizeof(text));
        buf_be32(out, (uint32_t)text.n);
        buf_puts(out, text);
        break;
    }
}

void edit_put(struct buf *out, const struct edit *e) {
    const struct edit_row *r = row_of(e->kind);
    buf_u8(out, (uint8_t)e->kind);
    for (unsigned i = 0; i < r->n; i++) put_field(out, e, r->fields[i]);
}

static void get_field(struct cur *c, struct edit *e, struct field f) {
    char *to = (char *)e + f.offset;
    uint32_t u32;
    uint64_t u64;
    struct str text;
    const uint8_t *p;
    switch (f.type) {
    case U8: *(uint8_t *)to = cur_u8(c); break;
    case U32: u32 = cur_be32(c), memcpy(to, &u32, 4); break;
    case U64: u64 = cur_be64(c), memcpy(to, &u64, 8); break;
    case UUID:
        p = cur_take(c, sizeof(struct uuid));
        if (p) memcpy(to, p, sizeof(struct uuid));
        break;
    case TEXT:
        u32 = cur_be32(c);
        text = cur_bytes(c, cur_count(c, u32, 1));
        memcpy(to, &text, sizeof(text));
        break;
    }
}

int edit_next(struct cur *c, struct edit *ret, struct err *err) {
    if (cur_done(c)) return 0;
    unsigned kind = cur_u8(c);
    const struct edit_row *r = row_of(kind);
    if (!r) return err_set(err, ERR_UNSUPPORTED, "record of unknown kind %u, written by a newer version", kind);
    *ret = (struct edit){.kind = r->kind};
    for (unsigned i = 0; i < r->n; i++) get_field(c, ret, r->fields[i]);
    return c->bad ? err_set(err, ERR_CORRUPT, "%s record is cut", r->name) : 1;
}
