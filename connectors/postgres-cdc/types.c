/* SPDX-License-Identifier: Apache-2.0 */
#include "types.h"

#include <stdio.h>

/* How a type's conv is chosen: most are fixed, some depend on a mode. */
enum rule {
    RULE_FIXED, RULE_NUMERIC, RULE_BITS, RULE_DATE, RULE_TIME, RULE_TIMESTAMP, RULE_INTERVAL, RULE_ARRAY, RULE_DROPPED
};

struct type_row {
    uint32_t oid;
    const char *name;
    uint8_t rule; /* enum rule */
    uint8_t conv; /* RULE_FIXED */
    const char *schema_name;
    uint32_t element; /* RULE_ARRAY */
};

/* Sorted by oid. Ranges are shown as PostgreSQL prints them, like inet or macaddr. */
static const struct type_row rows[] = {
    {16, "bool", RULE_FIXED, CONV_BOOL, NULL, 0},
    {17, "bytea", RULE_FIXED, CONV_BYTEA, NULL, 0},
    {18, "char", RULE_FIXED, CONV_STRING, NULL, 0},
    {19, "name", RULE_FIXED, CONV_STRING, NULL, 0},
    {20, "int8", RULE_FIXED, CONV_INT64, NULL, 0},
    {21, "int2", RULE_FIXED, CONV_INT16, NULL, 0},
    {23, "int4", RULE_FIXED, CONV_INT32, NULL, 0},
    {25, "text", RULE_FIXED, CONV_STRING, NULL, 0},
    {26, "oid", RULE_FIXED, CONV_INT64, NULL, 0},
    {114, "json", RULE_FIXED, CONV_STRING, "io.debezium.data.Json", 0},
    {142, "xml", RULE_FIXED, CONV_STRING, "io.debezium.data.Xml", 0},
    {143, "_xml", RULE_DROPPED, 0, NULL, 142},
    {199, "_json", RULE_ARRAY, 0, NULL, 114},
    {600, "point", RULE_FIXED, CONV_POINT, NULL, 0},
    {650, "cidr", RULE_FIXED, CONV_STRING, NULL, 0},
    {651, "_cidr", RULE_ARRAY, 0, NULL, 650},
    {700, "float4", RULE_FIXED, CONV_FLOAT32, NULL, 0},
    {701, "float8", RULE_FIXED, CONV_FLOAT64, NULL, 0},
    {774, "macaddr8", RULE_FIXED, CONV_STRING, NULL, 0},
    {775, "_macaddr8", RULE_ARRAY, 0, NULL, 774},
    {790, "money", RULE_FIXED, CONV_MONEY, NULL, 0},
    {791, "_money", RULE_DROPPED, 0, NULL, 790},
    {829, "macaddr", RULE_FIXED, CONV_STRING, NULL, 0},
    {869, "inet", RULE_FIXED, CONV_STRING, NULL, 0},
    {1000, "_bool", RULE_ARRAY, 0, NULL, 16},
    {1001, "_bytea", RULE_ARRAY, 0, NULL, 17},
    {1002, "_char", RULE_ARRAY, 0, NULL, 18},
    {1003, "_name", RULE_DROPPED, 0, NULL, 19},
    {1005, "_int2", RULE_ARRAY, 0, NULL, 21},
    {1007, "_int4", RULE_ARRAY, 0, NULL, 23},
    {1009, "_text", RULE_ARRAY, 0, NULL, 25},
    {1014, "_bpchar", RULE_ARRAY, 0, NULL, 1042},
    {1015, "_varchar", RULE_ARRAY, 0, NULL, 1043},
    {1016, "_int8", RULE_ARRAY, 0, NULL, 20},
    {1017, "_point", RULE_DROPPED, 0, NULL, 600},
    {1021, "_float4", RULE_ARRAY, 0, NULL, 700},
    {1022, "_float8", RULE_ARRAY, 0, NULL, 701},
    {1028, "_oid", RULE_ARRAY, 0, NULL, 26},
    {1040, "_macaddr", RULE_ARRAY, 0, NULL, 829},
    {1041, "_inet", RULE_ARRAY, 0, NULL, 869},
    {1042, "bpchar", RULE_FIXED, CONV_STRING, NULL, 0},
    {1043, "varchar", RULE_FIXED, CONV_STRING, NULL, 0},
    {1082, "date", RULE_DATE, 0, NULL, 0},
    {1083, "time", RULE_TIME, 0, NULL, 0},
    {1114, "timestamp", RULE_TIMESTAMP, 0, NULL, 0},
    {1115, "_timestamp", RULE_ARRAY, 0, NULL, 1114},
    {1182, "_date", RULE_ARRAY, 0, NULL, 1082},
    {1183, "_time", RULE_ARRAY, 0, NULL, 1083},
    {1184, "timestamptz", RULE_FIXED, CONV_TIMESTAMPTZ, "io.debezium.time.ZonedTimestamp", 0},
    {1185, "_timestamptz", RULE_ARRAY, 0, NULL, 1184},
    {1186, "interval", RULE_INTERVAL, 0, NULL, 0},
    {1187, "_interval", RULE_DROPPED, 0, NULL, 1186},
    {1231, "_numeric", RULE_ARRAY, 0, NULL, 1700},
    {1266, "timetz", RULE_FIXED, CONV_TIMETZ, "io.debezium.time.ZonedTime", 0},
    {1270, "_timetz", RULE_ARRAY, 0, NULL, 1266},
    {1560, "bit", RULE_BITS, 0, NULL, 0},
    {1561, "_bit", RULE_DROPPED, 0, NULL, 1560},
    {1562, "varbit", RULE_BITS, 0, NULL, 0},
    {1563, "_varbit", RULE_DROPPED, 0, NULL, 1562},
    {1700, "numeric", RULE_NUMERIC, 0, NULL, 0},
    {2201, "_refcursor", RULE_DROPPED, 0, NULL, 1790},
    {2950, "uuid", RULE_FIXED, CONV_STRING, "io.debezium.data.Uuid", 0},
    {2951, "_uuid", RULE_ARRAY, 0, NULL, 2950},
    {3614, "tsvector", RULE_FIXED, CONV_STRING, "io.debezium.data.Tsvector", 0},
    {3643, "_tsvector", RULE_ARRAY, 0, NULL, 3614},
    {3802, "jsonb", RULE_FIXED, CONV_STRING, "io.debezium.data.Json", 0},
    {3807, "_jsonb", RULE_ARRAY, 0, NULL, 3802},
    {3904, "int4range", RULE_FIXED, CONV_STRING, NULL, 0},
    {3905, "_int4range", RULE_ARRAY, 0, NULL, 3904},
    {3906, "numrange", RULE_FIXED, CONV_STRING, NULL, 0},
    {3907, "_numrange", RULE_ARRAY, 0, NULL, 3906},
    {3908, "tsrange", RULE_FIXED, CONV_STRING, NULL, 0},
    {3909, "_tsrange", RULE_ARRAY, 0, NULL, 3908},
    {3910, "tstzrange", RULE_FIXED, CONV_STRING, NULL, 0},
    {3911, "_tstzrange", RULE_ARRAY, 0, NULL, 3910},
    {3912, "daterange", RULE_FIXED, CONV_STRING, NULL, 0},
    {3913, "_daterange", RULE_ARRAY, 0, NULL, 3912},
    {3926, "int8range", RULE_FIXED, CONV_STRING, NULL, 0},
    {3927, "_int8range", RULE_ARRAY, 0, NULL, 3926},
};

/* Types of extensions, whose oids differ from database to database. */
static const struct type_row by_name[] = {
    {0, "citext", RULE_FIXED, CONV_STRING, NULL, 0},
    {0, "isbn", RULE_FIXED, CONV_STRING, NULL, 0},
    {0, "ltree", RULE_FIXED, CONV_STRING, "io.debezium.data.Ltree", 0},
    {0, "geometry", RULE_FIXED, CONV_GEOMETRY, "io.debezium.data.geometry.Geometry", 0},
    {0, "geography", RULE_FIXED, CONV_GEOMETRY, "io.debezium.data.geometry.Geography", 0},
    {0, "vector", RULE_FIXED, CONV_VECTOR, "io.debezium.data.DoubleVector", 0},
    {0, "halfvec", RULE_FIXED, CONV_HALF_VECTOR, "io.debezium.data.FloatVector", 0},
    {0, "sparsevec", RULE_FIXED, CONV_SPARSE_VECTOR, "io.debezium.data.SparseDoubleVector", 0},
};

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct type_row *row_of(uint32_t oid) {
    size_t lo = 0, hi = COUNT(rows);
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (rows[mid].oid == oid) return &rows[mid];
        if (rows[mid].oid < oid) lo = mid + 1;
        else hi = mid;
    }
    return NULL;
}

int type_is_builtin(uint32_t oid) { return row_of(oid) != NULL; }

/* ── typmods ── */

static void numeric_typmod(struct vtype *t, int32_t typmod) {
    t->precision = (typmod - 4) >> 16 & 0xffff;
    t->scale = (typmod - 4) & 0x7ff;
    if (t->scale & 0x400) { /* negative since PostgreSQL 15: as whole numbers */
        t->precision += 0x800 - t->scale;
        t->scale = 0;
    }
}

static void apply_numeric(struct vtype *t, const struct type_modes *m, int32_t typmod) {
    if (typmod >= 4) numeric_typmod(t, typmod);
    switch (m->decimal) {
    case DECIMAL_DOUBLE: t->conv = CONV_DECIMAL_DOUBLE; return;
    case DECIMAL_STRING: t->conv = CONV_DECIMAL_STRING; return;
    default: break;
    }
    if (typmod >= 4) {
        t->conv = CONV_DECIMAL;
        t->schema_name = "org.apache.kafka.connect.data.Decimal";
    } else {
        t->conv = CONV_VARIABLE_DECIMAL;
        t->schema_name = "io.debezium.data.VariableScaleDecimal";
    }
}

static void apply_bits(struct vtype *t, int32_t typmod) {
    t->length = typmod >= 0 ? typmod : t->oid == 1560 ? 1 : INT32_MAX;
    t->conv = t->length > 1 ? CONV_BITS : CONV_BIT;
    if (t->length > 1) t->schema_name = "io.debezium.data.Bits";
}

struct time_choice { uint8_t conv; const char *schema_name; };

/* By mode: {date, time, timestamp}; the adaptive ones are for more than three digits of seconds. */
static const struct time_choice time_choices[][3] = {
    [TIME_ADAPTIVE] = {{CONV_DATE, "io.debezium.time.Date"},
                       {CONV_TIME_US, "io.debezium.time.MicroTime"},
                       {CONV_TIMESTAMP_US, "io.debezium.time.MicroTimestamp"}},
    [TIME_ADAPTIVE_MICROS] = {{CONV_DATE, "io.debezium.time.Date"},
                              {CONV_TIME_US, "io.debezium.time.MicroTime"},
                              {CONV_TIMESTAMP_US, "io.debezium.time.MicroTimestamp"}},
    [TIME_CONNECT] = {{CONV_DATE, "org.apache.kafka.connect.data.Date"},
                      {CONV_TIME_MS, "org.apache.kafka.connect.data.Time"},
                      {CONV_TIMESTAMP_MS, "org.apache.kafka.connect.data.Timestamp"}},
    [TIME_ISOSTRING] = {{CONV_DATE_ISO, "io.debezium.time.IsoDate"},
                        {CONV_TIME_ISO, "io.debezium.time.IsoTime"},
                        {CONV_TIMESTAMP_ISO, "io.debezium.time.IsoTimestamp"}},
    [TIME_MICROS] = {{CONV_DATE, "io.debezium.time.Date"},
                     {CONV_TIME_US, "io.debezium.time.MicroTime"},
                     {CONV_TIMESTAMP_US, "io.debezium.time.MicroTimestamp"}},
    [TIME_NANOS] = {{CONV_DATE, "io.debezium.time.Date"},
                    {CONV_TIME_NS, "io.debezium.time.NanoTime"},
                    {CONV_TIMESTAMP_NS, "io.debezium.time.NanoTimestamp"}},
};

static void apply_time(struct vtype *t, const struct type_modes *m, int rule) {
    const struct time_choice *c = &time_choices[m->time][rule - RULE_DATE];
    int coarse = t->scale <= 3;
    t->conv = c->conv;
    t->schema_name = c->schema_name;
    if (rule == RULE_TIME && m->time == TIME_ADAPTIVE && coarse) {
        t->conv = CONV_TIME_MS;
        t->schema_name = "io.debezium.time.Time";
    } else if (rule == RULE_TIMESTAMP && (m->time == TIME_ADAPTIVE || m->time == TIME_ADAPTIVE_MICROS) && coarse) {
        t->conv = CONV_TIMESTAMP_MS;
        t->schema_name = "io.debezium.time.Timestamp";
    }
}

static void apply_interval(struct vtype *t, const struct type_modes *m) {
    int text = m->interval == INTERVAL_STRING;
    t->conv = text ? CONV_INTERVAL_ISO : CONV_INTERVAL_US;
    t->schema_name = text ? "io.debezium.time.Interval" : "io.debezium.time.MicroDuration";
}

static void apply_money(struct vtype *t, const struct type_modes *m) {
    t->scale = (int32_t)m->money_digits;
    if (m->decimal == DECIMAL_PRECISE) t->schema_name = "org.apache.kafka.connect.data.Decimal";
}

static void apply_unknown(struct vtype *t, const struct type_modes *m) {
    t->conv = m->include_unknown ? CONV_OPAQUE : CONV_DROPPED;
}

/* How the placeholder of an unsent value looks, by the type's name in Debezium. */
static uint8_t toast_form(uint32_t element) {
    switch (element) {
    case 25: case 1043: case 1042: case 114: case 3802: return TOAST_TEXTS;
    case 17: return TOAST_BYTES;
    case 23: case 1082: case 20: return TOAST_INTS;
    case 2950: return TOAST_UUIDS;
    default: return TOAST_SCALAR;
    }
}

static void resolve_root(const struct type_modes *m, uint32_t oid, int32_t typmod, type_lookup *lookup, void *arg, struct vtype *t);

static void apply_array(struct vtype *t, const struct type_modes *m, uint32_t element, int32_t typmod, type_lookup *lookup, void *arg,
                        int strict) {
    struct vtype e = *t;
    resolve_root(m, element, typmod, lookup, arg, &e);
    uint32_t oid = t->oid;
    const char *name = t->name;
    *t = e;
    t->oid = oid;
    t->name = name;
    t->element = e.conv;
    t->conv = e.conv == CONV_DROPPED || e.conv == CONV_ARRAY ? CONV_DROPPED : CONV_ARRAY;
    t->strict_elements = (uint8_t)strict;
    t->not_streamed = 0;
    t->toast = toast_form(element);
}

static void apply_row(struct vtype *t, const struct type_modes *m, const struct type_row *r, int32_t typmod, type_lookup *lookup,
                      void *arg) {
    if (!t->name) t->name = r->name;
    t->schema_name = r->schema_name;
    t->conv = r->conv;
    t->scale = typmod >= 0 ? typmod : 6; /* of times; the others set their own */
    switch (r->rule) {
    case RULE_NUMERIC: apply_numeric(t, m, typmod); break;
    case RULE_BITS: apply_bits(t, typmod); break;
    case RULE_DATE:
    case RULE_TIME:
    case RULE_TIMESTAMP: apply_time(t, m, r->rule); break;
    case RULE_INTERVAL: apply_interval(t, m); break;
    case RULE_ARRAY: apply_array(t, m, r->element, typmod, lookup, arg, r->oid == 3643); break;
    case RULE_DROPPED: t->conv = CONV_DROPPED; break;
    default: break;
    }
    if (t->conv == CONV_MONEY) apply_money(t, m);
    if (r->oid == 19) t->not_streamed = !m->include_unknown;
}

static const struct type_row *extension_row(const char *name) {
    for (size_t i = 0; i < COUNT(by_name); i++)
        if (strcmp(by_name[i].name, name) == 0) return &by_name[i];
    return NULL;
}

static void apply_catalog(struct vtype *t, const struct type_modes *m, const struct pg_type *p, int32_t typmod, type_lookup *lookup,
                          void *arg) {
    if (!t->name) t->name = p->name;
    if (p->kind == 'd') { /* a domain's own modifier wins, as its columns have none */
        resolve_root(m, p->base, p->base_typmod >= 0 ? p->base_typmod : typmod, lookup, arg, t);
        return;
    }
    if (p->kind == 'e') {
        t->conv = CONV_STRING;
        t->schema_name = "io.debezium.data.Enum";
        t->labels = p->labels ? p->labels : "";
        return;
    }
    if (p->element && p->kind == 'b' && p->name[0] == '_') {
        const struct pg_type *e = lookup(arg, p->element);
        if (e && e->kind == 'd') apply_unknown(t, m); /* arrays of domains have no schema */
        else apply_array(t, m, p->element, typmod, lookup, arg, e && e->kind == 'e');
        t->delimiter = p->delimiter ? p->delimiter : ',';
        return;
    }
    if (strcmp(p->name, "hstore") == 0) {
        t->conv = m->hstore == HSTORE_MAP ? CONV_HSTORE_MAP : CONV_HSTORE_JSON;
        if (m->hstore != HSTORE_MAP) t->schema_name = "io.debezium.data.Json";
        return;
    }
    const struct type_row *r = extension_row(p->name);
    if (r) apply_row(t, m, r, typmod, lookup, arg);
    else apply_unknown(t, m);
}

static void resolve_root(const struct type_modes *m, uint32_t oid, int32_t typmod, type_lookup *lookup, void *arg, struct vtype *t) {
    const struct type_row *r = row_of(oid);
    t->oid = oid;
    if (r) {
        apply_row(t, m, r, typmod, lookup, arg);
        return;
    }
    const struct pg_type *p = lookup ? lookup(arg, oid) : NULL;
    if (p) apply_catalog(t, m, p, typmod, lookup, arg);
    else apply_unknown(t, m);
}

void vtype_resolve(const struct type_modes *m, uint32_t oid, int32_t typmod, type_lookup *lookup, void *arg, struct vtype *ret) {
    memset(ret, 0, sizeof *ret);
    ret->binary = (uint8_t)m->binary;
    ret->decimal = (uint8_t)m->decimal;
    ret->delimiter = ',';
    resolve_root(m, oid, typmod, lookup, arg, ret);
    if (!ret->name) ret->name = "unknown";
}

/* ── schemas ── */

static void node_doc(struct cn_schema_builder *sb, cn_off node, const char *doc) {
    struct cn_text t = cn_sb_text(sb, doc, strlen(doc));
    if (!sb->failed) cn_sb_node(sb, node)->doc = t;
}

static void node_params(struct cn_schema_builder *sb, cn_off node, const char *k1, const char *v1, const char *k2, const char *v2) {
    const char *pairs[] = {k1, v1, k2, v2};
    cn_sb_params(sb, node, pairs, k2 ? 2 : 1);
}

static cn_off decimal_schema(struct cn_schema_builder *sb, const struct vtype *t, int optional) {
    char scale[16], precision[16];
    cn_off at = cn_sb_type(sb, CN_BYTES, optional, t->schema_name, 1);
    snprintf(scale, sizeof scale, "%d", t->scale);
    snprintf(precision, sizeof precision, "%d", t->precision);
    node_params(sb, at, "scale", scale, t->precision ? "connect.decimal.precision" : NULL, precision);
    return at;
}

static cn_off variable_decimal_schema(struct cn_schema_builder *sb, const struct vtype *t, int optional) {
    struct cn_sb_field f[] = {{"scale", cn_sb_type(sb, CN_INT32, 0, NULL, 0)}, {"value", cn_sb_type(sb, CN_BYTES, 0, NULL, 0)}};
    cn_off at = cn_sb_type(sb, CN_STRUCT, optional, t->schema_name, 1);
    node_doc(sb, at, "Variable scaled decimal");
    cn_sb_fields(sb, at, f, 2);
    return at;
}

static cn_off point_schema(struct cn_schema_builder *sb, int optional) {
    struct cn_sb_field f[] = {{"x", cn_sb_type(sb, CN_FLOAT64, 0, NULL, 0)},
                              {"y", cn_sb_type(sb, CN_FLOAT64, 0, NULL, 0)},
                              {"wkb", cn_sb_type(sb, CN_BYTES, 1, NULL, 0)},
                              {"srid", cn_sb_type(sb, CN_INT32, 1, NULL, 0)}};
    cn_off at = cn_sb_type(sb, CN_STRUCT, optional, "io.debezium.data.geometry.Point", 1);
    node_doc(sb, at, "Geometry (POINT)");
    cn_sb_fields(sb, at, f, 4);
    return at;
}

static cn_off geometry_schema(struct cn_schema_builder *sb, const struct vtype *t, int optional) {
    struct cn_sb_field f[] = {{"wkb", cn_sb_type(sb, CN_BYTES, 0, NULL, 0)}, {"srid", cn_sb_type(sb, CN_INT32, 1, NULL, 0)}};
    cn_off at = cn_sb_type(sb, CN_STRUCT, optional, t->schema_name, 1);
    node_doc(sb, at, strstr(t->schema_name, "Geography") ? "Geography" : "Geometry");
    cn_sb_fields(sb, at, f, 2);
    return at;
}

static cn_off sparse_schema(struct cn_schema_builder *sb, const struct vtype *t, int optional) {
    cn_off key = cn_sb_type(sb, CN_INT16, 0, NULL, 0), value = cn_sb_type(sb, CN_FLOAT64, 0, NULL, 0);
    struct cn_sb_field f[] = {{"dimensions", cn_sb_type(sb, CN_INT16, 0, NULL, 0)}, {"vector", cn_sb_map(sb, key, value, 0)}};
    cn_off at = cn_sb_type(sb, CN_STRUCT, optional, t->schema_name, 1);
    node_doc(sb, at, "Sparse double vector");
    cn_sb_fields(sb, at, f, 2);
    return at;
}

static cn_off vector_schema(struct cn_schema_builder *sb, const struct vtype *t, uint8_t type, int optional) {
    cn_off element = cn_sb_type(sb, type, 0, NULL, 0);
    cn_off at = cn_sb_type(sb, CN_ARRAY, optional, t->schema_name, 1);
    if (!sb->failed) cn_sb_node(sb, at)->element = element;
    return at;
}

/* The Connect type of the convs that are a single value. */
static uint8_t scalar_type(const struct vtype *t, uint8_t conv) {
    switch (conv) {
    case CONV_BOOL: case CONV_BIT: return CN_BOOLEAN;
    case CONV_INT16: return CN_INT16;
    case CONV_INT32: case CONV_DATE: case CONV_TIME_MS: return CN_INT32;
    case CONV_INT64: case CONV_TIME_US: case CONV_TIME_NS: case CONV_TIMESTAMP_MS: case CONV_TIMESTAMP_US: case CONV_TIMESTAMP_NS:
    case CONV_INTERVAL_US: return CN_INT64;
    case CONV_FLOAT32: return CN_FLOAT32;
    case CONV_FLOAT64: case CONV_DECIMAL_DOUBLE: return CN_FLOAT64;
    case CONV_MONEY: return t->decimal == DECIMAL_DOUBLE ? CN_FLOAT64 : CN_STRING;
    case CONV_BYTEA: case CONV_OPAQUE: return t->binary == BINARY_BYTES ? CN_BYTES : CN_STRING;
    case CONV_BITS: return CN_BYTES;
    default: return CN_STRING;
    }
}

static cn_off scalar_schema(struct cn_schema_builder *sb, const struct vtype *t, uint8_t conv, int optional) {
    char length[16];
    cn_off at = cn_sb_type(sb, scalar_type(t, conv), optional, t->schema_name, t->schema_name ? 1 : 0);
    if (conv == CONV_BITS) {
        snprintf(length, sizeof length, "%d", t->length);
        node_params(sb, at, "length", length, NULL, NULL);
    }
    if (t->labels) node_params(sb, at, "allowed", t->labels, NULL, NULL);
    return at;
}

static cn_off schema_of(struct cn_schema_builder *sb, const struct vtype *t, uint8_t conv, int optional) {
    switch (conv) {
    case CONV_DROPPED: return 0;
    case CONV_DECIMAL: return decimal_schema(sb, t, optional);
    case CONV_MONEY: return t->schema_name ? decimal_schema(sb, t, optional) : scalar_schema(sb, t, conv, optional);
    case CONV_VARIABLE_DECIMAL: return variable_decimal_schema(sb, t, optional);
    case CONV_POINT: return point_schema(sb, optional);
    case CONV_GEOMETRY: return geometry_schema(sb, t, optional);
    case CONV_SPARSE_VECTOR: return sparse_schema(sb, t, optional);
    case CONV_VECTOR: return vector_schema(sb, t, CN_FLOAT64, optional);
    case CONV_HALF_VECTOR: return vector_schema(sb, t, CN_FLOAT32, optional);
    case CONV_HSTORE_MAP:
        return cn_sb_map(sb, cn_sb_type(sb, CN_STRING, 0, NULL, 0), cn_sb_type(sb, CN_STRING, 1, NULL, 0), optional);
    case CONV_ARRAY: return cn_sb_array(sb, schema_of(sb, t, t->element, !t->strict_elements), optional);
    default: return scalar_schema(sb, t, conv, optional);
    }
}

cn_off vtype_schema(struct cn_schema_builder *sb, const struct vtype *t, int optional) { return schema_of(sb, t, t->conv, optional); }
