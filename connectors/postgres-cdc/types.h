/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of each PostgreSQL type: a row of the type table plus the column's typmod and the handling modes gives a
 * struct vtype, which says how a text value becomes a cell (value.h) and which schema it has.
 *
 * The mapping is Debezium's. Types of extensions and users come from a cache the catalog fills (struct pg_type). Pure. */
#ifndef TYPES_H
#define TYPES_H

#include <connectd/build.h>

#include "pgtext.h"

enum decimal_mode { DECIMAL_PRECISE, DECIMAL_DOUBLE, DECIMAL_STRING };
enum time_mode {
    TIME_ADAPTIVE, TIME_ADAPTIVE_MICROS, TIME_CONNECT, TIME_ISOSTRING, TIME_MICROS, TIME_NANOS
};
enum interval_mode { INTERVAL_NUMERIC, INTERVAL_STRING };
enum binary_mode { BINARY_BYTES, BINARY_BASE64, BINARY_BASE64_URL, BINARY_HEX };
enum hstore_mode { HSTORE_JSON, HSTORE_MAP };

struct type_modes {
    int32_t decimal, time, interval, binary, hstore; /* the enums above */
    int64_t money_digits;
    uint8_t include_unknown;
};

enum conv {
    CONV_DROPPED = 0, /* no schema: the column is not part of events */
    CONV_BOOL, CONV_INT16, CONV_INT32, CONV_INT64, CONV_FLOAT32, CONV_FLOAT64,
    CONV_STRING,
    CONV_BYTEA,       /* by binary mode */
    CONV_OPAQUE,      /* a type nobody knows, as the bytes of its text, by binary mode */
    CONV_DECIMAL, CONV_VARIABLE_DECIMAL, CONV_DECIMAL_STRING, CONV_DECIMAL_DOUBLE,
    CONV_MONEY,       /* by decimal mode */
    CONV_BIT, CONV_BITS,
    CONV_DATE, CONV_DATE_ISO,
    CONV_TIME_MS, CONV_TIME_US, CONV_TIME_NS, CONV_TIME_ISO,
    CONV_TIMESTAMP_MS, CONV_TIMESTAMP_US, CONV_TIMESTAMP_NS, CONV_TIMESTAMP_ISO,
    CONV_TIMETZ, CONV_TIMESTAMPTZ,
    CONV_INTERVAL_US, CONV_INTERVAL_ISO,
    CONV_POINT, CONV_GEOMETRY,
    CONV_HSTORE_JSON, CONV_HSTORE_MAP,
    CONV_VECTOR, CONV_HALF_VECTOR, CONV_SPARSE_VECTOR,
    CONV_ARRAY
};

/* A type of an extension or a user, from pg_type; also rows for built-in ones that the table leaves out. */
struct pg_type {
    uint32_t oid;
    char kind;          /* typtype: b, c, d, e, p, r, m */
    char delimiter;     /* typdelim */
    uint32_t base;      /* domains: typbasetype */
    int32_t base_typmod;
    uint32_t element;   /* arrays: typelem */
    char *name;
    char *labels;       /* enums: in order, joined by commas; else NULL */
};
/* Finds a type that the built-in table does not have; NULL when unknown. */
typedef const struct pg_type *type_lookup(void *arg, uint32_t oid);

struct vtype {
    uint8_t conv;            /* enum conv */
    uint8_t element;         /* CONV_ARRAY: conv of the elements, which share everything below */
    uint8_t binary;          /* enum binary_mode */
    uint8_t decimal;         /* enum decimal_mode */
    uint8_t not_streamed;    /* Debezium shows it in snapshots and loses it in streams */
    uint8_t strict_elements; /* CONV_ARRAY: the element's schema is not optional */
    uint8_t toast;           /* enum toast_form */
    char delimiter;          /* of arrays */
    int32_t length;          /* bits */
    int32_t scale;           /* decimals: digits behind the point; times: digits of seconds */
    int32_t precision;       /* decimals */
    uint32_t oid;            /* after domains are resolved */
    const char *name;        /* typname as the column has it: domains keep theirs */
    const char *schema_name; /* "io.debezium.data.Uuid", or NULL */
    const char *labels;      /* enums */
};

/* What stands for a TOASTed value that the server did not send. */
enum toast_form { TOAST_SCALAR = 0, TOAST_TEXTS, TOAST_BYTES, TOAST_INTS, TOAST_UUIDS };

/* Never fails: an unknown type is dropped or opaque, as the modes say. */
void vtype_resolve(const struct type_modes *m, uint32_t oid, int32_t typmod, type_lookup *lookup, void *arg, struct vtype *ret);
/* Whether the built-in table knows the type, so that no catalog row is needed. */
int type_is_builtin(uint32_t oid);
/* Adds the schema node of a value; 0 for CONV_DROPPED or when the builder failed. */
cn_off vtype_schema(struct cn_schema_builder *sb, const struct vtype *t, int optional);

#endif
