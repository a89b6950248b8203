/* SPDX-License-Identifier: Apache-2.0 */
/* Records and schemas in relocatable batches.
 *
 *   base ─► ┌──────────────┬─ records ─────────┬─ cells, text, schema blobs … ───────────────┬─ free ─┐
 *           │cn_batch_head │ cn_record[count]  │ 8-aligned, refer to each other by offset    │        │
 *           └──────────────┴───────────────────┴─────────────────────────────────────────────┴────────┘
 *           0                                                                            head->used   cap
 *
 * A batch is one region of memory without pointers: everything inside refers to everything else by its 32-bit offset
 * from `base` (0 = none), so that a batch can be moved, shared with another process or grown in place. A pointer into a
 * batch is valid until the next call that allocates in it; keep offsets instead. Cells may be shared: many records may
 * refer to one text or one struct.
 *
 * A value is a 16-byte cell. Its type is one of Connect's; a struct's cells stand in the order of its schema's fields.
 * A schema is a self-contained blob (struct cn_schema_blob) built once and copied into each batch that uses it; records
 * name it by index. Values without a schema (index CN_NO_SCHEMA) describe themselves: maps, arrays and scalars.
 *
 * One thread at a time. Integers are in the machine's byte order: batches never leave the machine. */
#ifndef CONNECTD_RECORD_H
#define CONNECTD_RECORD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum cn_type {
    CN_NULL = 0,
    CN_ABSENT,   /* a struct field the source did not send (unchanged TOAST); converters treat it as the field missing */
    CN_BOOLEAN,  /* u.i 0 or 1 */
    CN_INT8, CN_INT16, CN_INT32, CN_INT64, /* u.i */
    CN_FLOAT32,  /* u.f, exactly a float's value */
    CN_FLOAT64,  /* u.f */
    CN_STRING,   /* UTF-8, `n` bytes at u.at, not terminated */
    CN_BYTES,    /* `n` bytes at u.at */
    CN_ARRAY,    /* `n` cells at u.at */
    CN_MAP,      /* `n` pairs: 2·n cells key, value, key, value … at u.at */
    CN_STRUCT    /* `n` cells at u.at, one a field of its schema */
};

typedef uint32_t cn_off; /* bytes from the batch's (or, in a schema, the blob's) base; 0 = none */

struct cn_cell {
    uint8_t type;      /* enum cn_type */
    uint8_t reserved[3];
    uint32_t n;
    union {
        int64_t i;
        double f;
        cn_off at;
    } u;
};

struct cn_text { cn_off at; uint32_t n; }; /* bytes, not terminated */

struct cn_header {
    struct cn_text name;
    struct cn_cell value;
    uint16_t schema;   /* index or CN_NO_SCHEMA */
    uint16_t reserved[3];
};

#define CN_NO_SCHEMA UINT16_MAX
#define CN_NO_TIMESTAMP INT64_MIN
#define CN_NO_PARTITION (-1)

enum cn_record_flags { CN_RECORD_DROPPED = 1 }; /* a transform took it out; its position still counts */

struct cn_record {
    struct cn_cell key, value;         /* CN_NULL value = tombstone */
    int64_t timestamp;                 /* milliseconds since 1970, or CN_NO_TIMESTAMP: the log's clock */
    int64_t offset;                    /* sinks: in the log. Sources: index in the batch */
    uint32_t topic;                    /* index into the batch's topics */
    uint32_t original_topic;           /* sinks: where it was read, whatever transforms made of `topic` */
    int32_t partition;                 /* sources: CN_NO_PARTITION, or the partition it must go to. Sinks: where it was read */
    int32_t original_partition;        /* sinks */
    uint16_t key_schema, value_schema; /* indexes or CN_NO_SCHEMA */
    uint32_t flags;                    /* enum cn_record_flags */
    cn_off headers;                    /* struct cn_header[header_count] */
    uint32_t header_count;
};

/* A source position: JSON objects as text, by convention small. {partition} names what is read (a file, a database), {offset}
 * how far. offset.at 0 deletes the position. Both keep the field order they are given; equal partitions are equal byte by byte. */
struct cn_position {
    struct cn_text partition;
    struct cn_text offset;
};

/* What a source's batch says about the commit it belongs to. Records of OPEN batches are held back, invisible, until a COMMIT. */
enum cn_boundary {
    CN_BOUNDARY_COMMIT = 0, /* a commit may end here: records so far and `positions` become durable in one commit (many may be grouped) */
    CN_BOUNDARY_OPEN = 1,   /* the commit stays open: more of the same transaction follows */
    CN_BOUNDARY_ABORT = 2   /* throw away everything since the last COMMIT, this batch included */
};

#define CN_BATCH_MAGIC 0x31424e43u /* "CNB1" */

struct cn_batch_head {
    uint32_t magic;
    uint32_t used;           /* bytes of the region in use */
    uint16_t boundary;       /* enum cn_boundary; sources */
    uint16_t reserved;
    uint32_t record_count, record_cap;
    cn_off records;          /* struct cn_record[record_cap] */
    uint32_t topic_count, topic_cap;
    cn_off topics;           /* struct cn_text[topic_cap] */
    uint32_t schema_count, schema_cap;
    cn_off schemas;          /* cn_off[schema_cap]: of struct cn_schema_blob */
    uint32_t position_count, position_cap;
    cn_off positions;        /* struct cn_position[position_cap] */
};

/* The handle. Only `base` and what it points to travels between processes. */
struct cn_batch {
    uint8_t *base;           /* starts with struct cn_batch_head */
    uint32_t cap;            /* bytes of the region */
    uint32_t failed;         /* sticky: an allocation did not fit; the batch must not be used further */
    /* Makes the region at least `need` bytes (base may move): 0, or -1 when it may not grow that far. NULL = fixed size. */
    int (*grow)(struct cn_batch *b, uint32_t need);
    void *owner;             /* the grower's */
};

/* ── schemas ─────────────────────────────────────────────────────────────────────────────────────────────────────────
 * A blob: head, then nodes and texts, 8-aligned; every offset is from the blob's start. Immutable once built. */
struct cn_schema_field { struct cn_text name; cn_off schema; uint32_t reserved; };
struct cn_schema_param { struct cn_text name, value; };

struct cn_schema {
    uint8_t type;            /* enum cn_type, never CN_NULL or CN_ABSENT */
    uint8_t optional;        /* 0 or 1 */
    uint8_t has_default;
    uint8_t has_version;
    int32_t version;
    struct cn_text name;     /* "io.debezium.time.Date", or n = 0 */
    struct cn_text doc;
    cn_off params;           /* struct cn_schema_param[param_count] */
    uint32_t param_count;
    cn_off fields;           /* STRUCT: struct cn_schema_field[field_count] */
    uint32_t field_count;
    cn_off key;              /* MAP */
    cn_off element;          /* ARRAY, MAP: of the values */
    struct cn_cell def;      /* default; its offsets are from the blob's start */
};

struct cn_schema_blob {
    uint32_t size;           /* bytes, head included, a multiple of 8 */
    cn_off root;             /* struct cn_schema */
    uint64_t fingerprint[2]; /* of everything after the head; equal schemas built the same way have equal fingerprints */
};

#ifdef __cplusplus
}
#define CN_STATIC_ASSERT static_assert
#else
#define CN_STATIC_ASSERT _Static_assert
#endif
#if defined(__cplusplus) || (defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L)
CN_STATIC_ASSERT(sizeof(struct cn_cell) == 16, "cell");
CN_STATIC_ASSERT(sizeof(struct cn_header) == 32, "header");
CN_STATIC_ASSERT(sizeof(struct cn_record) == 80, "record");
CN_STATIC_ASSERT(sizeof(struct cn_position) == 16, "position");
CN_STATIC_ASSERT(sizeof(struct cn_batch_head) == 60, "head");
CN_STATIC_ASSERT(sizeof(struct cn_schema) == 64, "schema");
CN_STATIC_ASSERT(sizeof(struct cn_schema_blob) == 24, "blob");
#endif

/* ── reading ─────────────────────────────────────────────────────────────────────────────────────────────────────── */
#define CN_AT(type, batch, off) ((type *)(void *)((batch)->base + (off)))

static inline struct cn_batch_head *cn_head(const struct cn_batch *b) { return CN_AT(struct cn_batch_head, b, 0); }
static inline uint32_t cn_count(const struct cn_batch *b) { return cn_head(b)->record_count; }
static inline struct cn_record *cn_record_at(const struct cn_batch *b, uint32_t i) { return CN_AT(struct cn_record, b, cn_head(b)->records) + i; }
static inline struct cn_cell *cn_cells_at(const struct cn_batch *b, cn_off at) { return CN_AT(struct cn_cell, b, at); }
static inline const char *cn_bytes_at(const struct cn_batch *b, cn_off at) { return CN_AT(const char, b, at); }
static inline struct cn_text *cn_topic_at(const struct cn_batch *b, uint32_t i) { return CN_AT(struct cn_text, b, cn_head(b)->topics) + i; }
static inline struct cn_header *cn_headers_of(const struct cn_batch *b, const struct cn_record *r) { return CN_AT(struct cn_header, b, r->headers); }
static inline struct cn_position *cn_position_at(const struct cn_batch *b, uint32_t i) { return CN_AT(struct cn_position, b, cn_head(b)->positions) + i; }
/* NULL for CN_NO_SCHEMA. */
static inline const struct cn_schema_blob *cn_schema_blob_at(const struct cn_batch *b, uint16_t i) {
    return i == CN_NO_SCHEMA ? NULL : CN_AT(const struct cn_schema_blob, b, CN_AT(cn_off, b, cn_head(b)->schemas)[i]);
}
static inline const struct cn_schema *cn_schema_node(const struct cn_schema_blob *s, cn_off at) { return (const struct cn_schema *)(const void *)((const uint8_t *)s + at); }
static inline const struct cn_schema *cn_schema_root(const struct cn_schema_blob *s) { return cn_schema_node(s, s->root); }
static inline const struct cn_schema_field *cn_schema_fields(const struct cn_schema_blob *s, const struct cn_schema *n) { return (const struct cn_schema_field *)(const void *)((const uint8_t *)s + n->fields); }
static inline const char *cn_schema_text(const struct cn_schema_blob *s, struct cn_text t) { return (const char *)s + t.at; }

#endif
