/* SPDX-License-Identifier: Apache-2.0 */
#include "value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "pgarray.h"
#include "pgnumeric.h"
#include "pgtime.h"

/* What pgjdbc calls infinity, in milliseconds; Debezium reads it as microseconds. */
#define PLUS_INFINITY_US INT64_C(9223372036825200000)
#define MINUS_INFINITY_US INT64_C(-9223372036832400000)
#define DAY_US INT64_C(86400000000)

int values_init(struct values *v, const char *placeholder, const char *md5) {
    memset(v, 0, sizeof *v);
    v->c = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    v->placeholder = text_of(placeholder);
    if (!v->c) return -1;
    if (strlen(md5) == 32) { /* version 3, variant 1 */
        static const char variant[] = "89ab";
        char *end = NULL, nibble[2] = {md5[16], 0};
        long top = strtol(nibble, &end, 16);
        snprintf(v->placeholder_uuid, sizeof v->placeholder_uuid, "%.8s-%.4s-3%.3s-%c%.3s-%.12s", md5, md5 + 8, md5 + 13,
                 variant[top & 3], md5 + 17, md5 + 20);
    }
    return 0;
}

void values_done(struct values *v) {
    free(v->scratch);
    if (v->c) freelocale(v->c);
    memset(v, 0, sizeof *v);
}

static char *scratch(struct values *v, size_t n) {
    if (n > v->scratch_cap) {
        size_t cap = v->scratch_cap ? v->scratch_cap : 1024;
        while (cap < n) cap *= 2;
        char *p = realloc(v->scratch, cap);
        if (!p) return NULL;
        v->scratch = p;
        v->scratch_cap = cap;
    }
    return v->scratch;
}

/* Gives back what the last allocation of the batch did not use. */
static void trim(struct cn_batch *b, cn_off at, size_t used) {
    if (at) cn_head(b)->used = at + (uint32_t)((used + 7) & ~(size_t)7);
}

/* ── doubles ── */

/* Up to 15 digits and a small power of ten are exact in doubles (Clinger); everything else is strtod's. */
static int quick_double(struct text t, double *ret) {
    static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    const char *s = t.p, *end = t.p + t.n;
    int64_t whole, frac = 0;
    int negative = s < end && *s == '-';
    unsigned f = 0;
    s += negative;
    unsigned w = digits(&s, end, 15, &whole);
    if (w && s < end && *s == '.') {
        s++;
        f = digits(&s, end, 15, &frac);
    }
    if (!w || s != end || w + f > 15) return -1;
    double d = f ? (double)(whole * (int64_t)tens[f] + frac) / tens[f] : (double)whole;
    *ret = negative ? -d : d;
    return 0;
}

int value_double(struct values *v, struct text t, double *ret) {
    char buf[512];
    char *end;
    if (quick_double(t, ret) == 0) return 0;
    if (!t.n || t.n >= sizeof buf) return -1;
    memcpy(buf, t.p, t.n);
    buf[t.n] = 0;
    double d = strtod_l(buf, &end, v->c);
    if (end != buf + t.n) return -1;
    *ret = d;
    return 0;
}

static int value_float(struct values *v, struct text t, double *ret) {
    char buf[64];
    char *end;
    if (!t.n || t.n >= sizeof buf) return -1;
    memcpy(buf, t.p, t.n);
    buf[t.n] = 0;
    float f = strtof_l(buf, &end, v->c);
    if (end != buf + t.n) return -1;
    *ret = (double)f;
    return 0;
}

/* ── bytes ── */

static const int8_t hex_of[256] = {
    ['1'] = 1, ['2'] = 2, ['3'] = 3, ['4'] = 4, ['5'] = 5, ['6'] = 6, ['7'] = 7, ['8'] = 8, ['9'] = 9, ['a'] = 10, ['b'] = 11,
    ['c'] = 12, ['d'] = 13, ['e'] = 14, ['f'] = 15, ['A'] = 10, ['B'] = 11, ['C'] = 12, ['D'] = 13, ['E'] = 14, ['F'] = 15};

/* Hex digits → bytes in the batch. */
static int hex_bytes(struct cn_batch *b, struct text t, struct cn_cell *ret) {
    cn_off at = cn_alloc(b, t.n / 2 + 1);
    if (t.n % 2) return -1;
    if (!at) return 0;
    uint8_t *out = b->base + at;
    for (size_t i = 0; i + 1 < t.n; i += 2) *out++ = (uint8_t)(hex_of[(uint8_t)t.p[i]] << 4 | hex_of[(uint8_t)t.p[i + 1]]);
    *ret = cn_run(CN_BYTES, at, (uint32_t)(t.n / 2));
    return 0;
}

static struct cn_cell base64(struct cn_batch *b, const uint8_t *p, size_t n, int url) {
    static const char std_[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    static const char url_[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    const char *set = url ? url_ : std_;
    size_t len = (n + 2) / 3 * 4;
    cn_off at = cn_alloc(b, len + 1);
    if (!at) return cn_null();
    char *out = (char *)b->base + at;
    for (size_t i = 0; i < n; i += 3) {
        uint32_t v = (uint32_t)p[i] << 16 | (i + 1 < n ? (uint32_t)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        *out++ = set[v >> 18];
        *out++ = set[v >> 12 & 63];
        *out++ = i + 1 < n ? set[v >> 6 & 63] : '=';
        *out++ = i + 2 < n ? set[v & 63] : '=';
    }
    return cn_run(CN_STRING, at, (uint32_t)len);
}

static struct cn_cell hex_text(struct cn_batch *b, const uint8_t *p, size_t n) {
    cn_off at = cn_alloc(b, n * 2 + 1);
    if (!at) return cn_null();
    char *out = (char *)b->base + at;
    for (size_t i = 0; i < n; i++) {
        *out++ = "0123456789abcdef"[p[i] >> 4];
        *out++ = "0123456789abcdef"[p[i] & 15];
    }
    return cn_run(CN_STRING, at, (uint32_t)(n * 2));
}

static struct cn_cell binary(struct cn_batch *b, const struct vtype *t, const void *p, size_t n) {
    switch (t->binary) {
    case BINARY_BASE64: return base64(b, p, n, 0);
    case BINARY_BASE64_URL: return base64(b, p, n, 1);
    case BINARY_HEX: return hex_text(b, p, n);
    default: return cn_bytes(b, p, n);
    }
}

/* "\x00ff" */
static int bytea(struct values *v, struct cn_batch *b, const struct vtype *t, struct text s, struct cn_cell *ret) {
    if (s.n < 2 || s.p[0] != '\\' || s.p[1] != 'x' || s.n % 2) return -1;
    struct text hex = {s.p + 2, s.n - 2};
    if (t->binary == BINARY_HEX) {
        *ret = cn_string(b, hex.p, hex.n);
        return 0;
    }
    if (t->binary == BINARY_BYTES) return hex_bytes(b, hex, ret);
    uint8_t *raw = (uint8_t *)scratch(v, hex.n / 2 + 1);
    if (!raw) return -1;
    for (size_t i = 0; i < hex.n; i += 2)
        raw[i / 2] = (uint8_t)(hex_of[(uint8_t)hex.p[i]] << 4 | hex_of[(uint8_t)hex.p[i + 1]]);
    *ret = binary(b, t, raw, hex.n / 2);
    return 0;
}

/* The bits, least significant byte first, without leading zeros. */
static int bits(struct cn_batch *b, struct text s, struct cn_cell *ret) {
    const char *one = memchr(s.p, '1', s.n);
    size_t n = one ? (size_t)(s.p + s.n - one) : 0, bytes = (n + 7) / 8;
    cn_off at = cn_alloc(b, bytes + 1);
    if (!at) return 0;
    memset(b->base + at, 0, bytes + 1);
    for (size_t i = 0; i < n; i++) {
        char c = s.p[s.n - 1 - i];
        if (c != '0' && c != '1') return -1;
        if (c == '1') b->base[at + i / 8] |= (uint8_t)(1u << i % 8);
    }
    *ret = cn_run(CN_BYTES, at, (uint32_t)bytes);
    return 0;
}

/* ── numbers ── */

static int unscaled(struct cn_batch *b, const struct numeric *n, int32_t scale, struct cn_cell *ret) {
    cn_off at = cn_alloc(b, numeric_bound(n, scale));
    if (!at) return 0;
    size_t len = numeric_unscaled(n, scale, b->base + at);
    trim(b, at, len);
    *ret = cn_run(CN_BYTES, at, (uint32_t)len);
    return len ? 0 : -1;
}

static int variable_decimal(struct cn_batch *b, struct text s, struct cn_cell *ret) {
    struct numeric n;
    struct cn_cell value = cn_null();
    if (numeric_parse(s, &n) != NUMERIC_OK) return -1;
    int32_t scale = numeric_scale(&n);
    cn_off at = cn_cells(b, 2);
    if (unscaled(b, &n, scale, &value) != 0) return -1;
    cn_set(b, at, 0, cn_int(CN_INT32, scale));
    cn_set(b, at, 1, value);
    *ret = cn_run(CN_STRUCT, at, 2);
    return 0;
}

static int decimal_string(struct cn_batch *b, struct text s, struct cn_cell *ret) {
    struct numeric n;
    switch (numeric_parse(s, &n)) {
    case NUMERIC_OK: *ret = cn_string(b, s.p, s.n); return 0;
    case NUMERIC_NAN: *ret = cn_stringz(b, "NAN"); return 0;
    case NUMERIC_PLUS_INFINITY: *ret = cn_stringz(b, "POSITIVE_INFINITY"); return 0;
    case NUMERIC_MINUS_INFINITY: *ret = cn_stringz(b, "NEGATIVE_INFINITY"); return 0;
    default: return -1;
    }
}

static int decimal(struct cn_batch *b, const struct vtype *t, struct text s, struct cn_cell *ret) {
    struct numeric n;
    return numeric_parse(s, &n) == NUMERIC_OK ? unscaled(b, &n, t->scale, ret) : -1;
}

/* Rounds a fraction longer than `scale` half up, in the buffer that holds the digits. */
static void round_money(struct numeric *n, int32_t scale, char *digits_, size_t *len) {
    if (n->fraction.n <= (size_t)scale) return;
    int up = n->fraction.p[scale] >= '5';
    size_t end = n->whole.n + 1 + (size_t)scale; /* without leading zeros: a carry may need one digit in front */
    char *p = digits_ + *len - n->fraction.n - 1 - n->whole.n;
    for (size_t i = end; up && i-- > 0;) {
        if (p[i] == '.') continue;
        up = p[i] == '9';
        p[i] = up ? '0' : (char)(p[i] + 1);
    }
    n->fraction.n = (size_t)scale;
    if (up) {
        p[-1] = '1';
        n->whole.p = p - 1;
        n->whole.n++;
    }
}

static int money(struct values *v, struct cn_batch *b, const struct vtype *t, struct text s, struct cn_cell *ret) {
    char buf[64], plain[80];
    struct numeric n;
    double d;
    buf[0] = '0'; /* room for a carry */
    if (numeric_parse_money(s, buf + 1, sizeof buf - 2, &n) != 0) return -1;
    size_t len = (size_t)(n.fraction.p - (buf + 1)) + n.fraction.n;
    if (t->decimal == DECIMAL_PRECISE) {
        if (n.fraction.n) round_money(&n, t->scale, buf + 1, &len);
        return unscaled(b, &n, t->scale, ret);
    }
    int w = snprintf(plain, sizeof plain, "%s%.*s%s%.*s", n.negative ? "-" : "", n.whole.n ? (int)n.whole.n : 1,
                     n.whole.n ? n.whole.p : "0", n.fraction.n ? "." : "", (int)n.fraction.n, n.fraction.p);
    if (t->decimal == DECIMAL_STRING) {
        *ret = cn_string(b, plain, (size_t)w);
        return 0;
    }
    if (value_double(v, (struct text){plain, (size_t)w}, &d) != 0) return -1;
    *ret = cn_float(CN_FLOAT64, d);
    return 0;
}

static int integer(uint8_t type, struct text s, struct cn_cell *ret) {
    int64_t v;
    if (parse_int(s, &v) != 0) return -1;
    *ret = cn_int(type, v);
    return 0;
}

static int decimal_double(struct values *v, struct text s, struct cn_cell *ret) {
    double d;
    if (value_double(v, s, &d) != 0) return -1;
    *ret = cn_float(CN_FLOAT64, d);
    return 0;
}

/* ── times ── */

static int64_t floor_div(int64_t a, int64_t b) { return a / b - (a % b < 0); }

static int date(struct cn_batch *b, uint8_t conv, struct text s, struct cn_cell *ret) {
    char out[PGTIME_PRINT_MAX];
    int64_t days;
    switch (pgtime_date(s, &days)) {
    case PGTIME_OK: break;
    case PGTIME_PLUS_INFINITY: days = pgtime_days_of(-5877611, 6, 21); break;
    case PGTIME_MINUS_INFINITY: days = pgtime_days_of(-5877611, 6, 22); break;
    default: return -1;
    }
    if (conv == CONV_DATE) {
        *ret = cn_int(CN_INT32, (int32_t)days);
        return 0;
    }
    size_t n = pgtime_print_date(out, days);
    out[n++] = 'Z';
    *ret = cn_string(b, out, n);
    return 0;
}

static int time_of_day(struct cn_batch *b, uint8_t conv, struct text s, struct cn_cell *ret) {
    char out[PGTIME_PRINT_MAX];
    int64_t us;
    if (pgtime_time(s, &us) != PGTIME_OK) return -1;
    switch (conv) {
    case CONV_TIME_MS: *ret = cn_int(CN_INT32, us / 1000); return 0;
    case CONV_TIME_US: *ret = cn_int(CN_INT64, us); return 0;
    case CONV_TIME_NS: *ret = cn_int(CN_INT64, us * 1000); return 0;
    default: break;
    }
    size_t n = pgtime_print_time(out, us % DAY_US, 0);
    out[n++] = 'Z';
    *ret = cn_string(b, out, n);
    return 0;
}

static struct moment moment_of(int64_t us) {
    int64_t micros = us % DAY_US;
    return (struct moment){floor_div(us, DAY_US), micros < 0 ? micros + DAY_US : micros};
}

static struct cn_cell iso_timestamp(struct cn_batch *b, struct moment m, int width) {
    char out[PGTIME_PRINT_MAX * 2];
    size_t n = pgtime_print_date(out, m.days);
    out[n++] = 'T';
    n += pgtime_print_time(out + n, m.micros, width);
    out[n++] = 'Z';
    return cn_string(b, out, n);
}

static int64_t nanos(int64_t us) {
    int64_t ns;
    return __builtin_mul_overflow(us, (int64_t)1000, &ns) ? (us < 0 ? INT64_MIN : INT64_MAX) : ns;
}

static int timestamp(struct cn_batch *b, uint8_t conv, struct text s, struct cn_cell *ret) {
    struct moment m;
    int64_t us;
    switch (pgtime_timestamp(s, &m)) {
    case PGTIME_OK: break;
    case PGTIME_PLUS_INFINITY: m = moment_of(PLUS_INFINITY_US); break;
    case PGTIME_MINUS_INFINITY: m = moment_of(MINUS_INFINITY_US); break;
    default: return -1;
    }
    if (conv == CONV_TIMESTAMP_ISO) {
        *ret = iso_timestamp(b, m, 0);
        return 0;
    }
    if (conv == CONV_TIMESTAMP_MS) {
        *ret = cn_int(CN_INT64, m.days * 86400000 + m.micros / 1000);
        return 0;
    }
    if (pgtime_micros(m, &us) != 0) return -1;
    *ret = cn_int(CN_INT64, conv == CONV_TIMESTAMP_US ? us : nanos(us));
    return 0;
}

static int timestamptz(struct cn_batch *b, const struct vtype *t, struct text s, struct cn_cell *ret) {
    struct moment m;
    switch (pgtime_timestamptz(s, &m)) {
    case PGTIME_OK: *ret = iso_timestamp(b, m, t->scale); return 0;
    case PGTIME_PLUS_INFINITY:
    case PGTIME_MINUS_INFINITY: *ret = cn_string(b, s.p, s.n); return 0;
    default: return -1;
    }
}

static int timetz(struct cn_batch *b, struct text s, struct cn_cell *ret) {
    char out[PGTIME_PRINT_MAX];
    int64_t us;
    if (pgtime_timetz(s, &us) != PGTIME_OK) return -1;
    size_t n = pgtime_print_time(out, us, 0);
    out[n++] = 'Z';
    *ret = cn_string(b, out, n);
    return 0;
}

static int interval(struct cn_batch *b, uint8_t conv, struct text s, struct cn_cell *ret) {
    char out[PGTIME_PRINT_MAX + 16];
    struct interval v;
    if (pgtime_interval(s, &v) != PGTIME_OK) return -1;
    if (conv == CONV_INTERVAL_US) *ret = cn_int(CN_INT64, pgtime_duration_micros(&v));
    else *ret = cn_string(b, out, pgtime_print_interval(out, &v));
    return 0;
}

/* ── shapes ── */

static struct cn_cell point_cell(struct cn_batch *b, double x, double y) {
    uint8_t wkb[21] = {1, 1};
    memcpy(wkb + 5, &x, 8); /* little-endian, as the machine: byte 0 says so */
    memcpy(wkb + 13, &y, 8);
    cn_off at = cn_cells(b, 4);
    cn_set(b, at, 0, cn_float(CN_FLOAT64, x));
    cn_set(b, at, 1, cn_float(CN_FLOAT64, y));
    cn_set(b, at, 2, cn_bytes(b, wkb, sizeof wkb));
    return cn_run(CN_STRUCT, at, 4);
}

/* "(1.5,-2.5)" */
static int point(struct values *v, struct cn_batch *b, struct text s, struct cn_cell *ret) {
    double x, y;
    const char *comma = s.n ? memchr(s.p, ',', s.n) : NULL;
    if (s.n < 5 || s.p[0] != '(' || s.p[s.n - 1] != ')' || !comma) return -1;
    if (value_double(v, (struct text){s.p + 1, (size_t)(comma - s.p - 1)}, &x) != 0) return -1;
    if (value_double(v, (struct text){comma + 1, (size_t)(s.p + s.n - 1 - comma - 1)}, &y) != 0) return -1;
    *ret = point_cell(b, x, y);
    return 0;
}

/* PostGIS prints hex EWKB; bit 0x20000000 of the type says that an SRID follows it. */
static int geometry(struct cn_batch *b, struct text s, struct cn_cell *ret) {
    struct cn_cell wkb = cn_null(), srid = cn_null();
    if (s.n < 10 || hex_bytes(b, s, &wkb) != 0) return -1;
    if (b->failed) return 0;
    const uint8_t *p = b->base + wkb.u.at;
    int little = p[0] == 1;
    uint32_t type, id = 0;
    memcpy(&type, p + 1, 4);
    if (!little) type = __builtin_bswap32(type);
    if (type & 0x20000000) {
        if (wkb.n < 9) return -1;
        memcpy(&id, p + 5, 4);
        srid = cn_int(CN_INT32, (int32_t)(little ? id : __builtin_bswap32(id)));
    }
    cn_off at = cn_cells(b, 2);
    cn_set(b, at, 0, wkb);
    cn_set(b, at, 1, srid);
    *ret = cn_run(CN_STRUCT, at, 2);
    return 0;
}

/* How many cells a list may have: one more than its commas. */
static uint32_t count_items(struct text s, char delimiter) {
    uint32_t n = 1;
    for (size_t i = 0; i < s.n; i++) n += s.p[i] == delimiter;
    return n;
}

/* "[1,2.5]" */
static int vector(struct values *v, struct cn_batch *b, uint8_t type, struct text s, struct cn_cell *ret) {
    if (s.n < 2 || s.p[0] != '[' || s.p[s.n - 1] != ']') return -1;
    const char *p = s.p + 1, *end = s.p + s.n - 1;
    uint32_t cap = count_items(s, ','), n = 0;
    cn_off at = cn_cells(b, cap);
    while (p < end) {
        const char *stop = memchr(p, ',', (size_t)(end - p));
        double d;
        if (!stop) stop = end;
        if (value_double(v, (struct text){p, (size_t)(stop - p)}, &d) != 0) return -1;
        cn_set(b, at, n++, cn_float(type, type == CN_FLOAT32 ? (double)(float)d : d));
        p = stop < end ? stop + 1 : end;
    }
    *ret = cn_run(CN_ARRAY, at, n);
    return 0;
}

/* "{1:0.5,3:2}/5" */
static int sparse(struct values *v, struct cn_batch *b, struct text s, struct cn_cell *ret) {
    const char *close = s.n ? memchr(s.p, '}', s.n) : NULL;
    int64_t dims, index;
    if (!close || s.p[0] != '{' || close + 1 == s.p + s.n || close[1] != '/') return -1;
    if (parse_int((struct text){close + 2, (size_t)(s.p + s.n - close - 2)}, &dims) != 0) return -1;
    uint32_t cap = count_items(s, ','), n = 0;
    cn_off map = cn_cells(b, cap * 2);
    for (const char *p = s.p + 1; p < close;) {
        const char *stop = memchr(p, ',', (size_t)(close - p));
        if (!stop) stop = close;
        const char *colon = memchr(p, ':', (size_t)(stop - p));
        double d;
        if (!colon || parse_int((struct text){p, (size_t)(colon - p)}, &index) != 0) return -1;
        if (value_double(v, (struct text){colon + 1, (size_t)(stop - colon - 1)}, &d) != 0) return -1;
        cn_set(b, map, n * 2, cn_int(CN_INT16, index));
        cn_set(b, map, n++ * 2 + 1, cn_float(CN_FLOAT64, d));
        p = stop < close ? stop + 1 : close;
    }
    cn_off at = cn_cells(b, 2);
    cn_set(b, at, 0, cn_int(CN_INT16, dims));
    cn_set(b, at, 1, cn_run(CN_MAP, map, n));
    *ret = cn_run(CN_STRUCT, at, 2);
    return 0;
}

/* ── composites ── */

/* A JSON string with its quotes; at most 6 bytes a byte. */
static char *json_string(char *out, struct text s) {
    *out++ = '"';
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        static const char short_from[] = "\"\\\b\f\n\r\t", short_to[] = "\"\\bfnrt";
        const char *at = c ? strchr(short_from, c) : NULL;
        if (at) {
            *out++ = '\\';
            *out++ = short_to[at - short_from];
        } else if (c < 0x20) {
            static const char hex[] = "0123456789ABCDEF";
            memcpy(out, "\\u00", 4);
            out[4] = hex[c >> 4];
            out[5] = hex[c & 15];
            out += 6;
        } else {
            *out++ = (char)c;
        }
    }
    *out++ = '"';
    return out;
}

static int hstore_json(struct values *v, struct cn_batch *b, struct text s, struct cn_cell *ret) {
    struct hstore_reader r;
    struct text key, value;
    char *area = scratch(v, s.n + 1);
    cn_off at = cn_alloc(b, s.n * 6 + 16);
    if (!area || !at) return area ? 0 : -1;
    char *start = (char *)b->base + at, *out = start;
    *out++ = '{';
    hstore_open(&r, s, area);
    for (int item; (item = hstore_next(&r, &key, &value)) != ITEM_END;) {
        if (item == ITEM_BAD) return -1;
        if (out > start + 1) *out++ = ',';
        out = json_string(out, key);
        *out++ = ':';
        if (item == ITEM_VALUE) out = json_string(out, value);
        else memcpy(out, "null", 4), out += 4;
    }
    *out++ = '}';
    trim(b, at, (size_t)(out - start));
    *ret = cn_run(CN_STRING, at, (uint32_t)(out - start));
    return 0;
}

static int hstore_map(struct values *v, struct cn_batch *b, struct text s, struct cn_cell *ret) {
    struct hstore_reader r;
    struct text key, value;
    char *area = scratch(v, s.n + 1);
    if (!area) return -1;
    uint32_t cap = count_items(s, ','), n = 0;
    cn_off at = cn_cells(b, cap * 2);
    hstore_open(&r, s, area);
    for (int item; (item = hstore_next(&r, &key, &value)) != ITEM_END; n++) {
        if (item == ITEM_BAD || n == cap) return -1;
        cn_set(b, at, n * 2, cn_string(b, key.p, key.n));
        cn_set(b, at, n * 2 + 1, item == ITEM_VALUE ? cn_string(b, value.p, value.n) : cn_null());
    }
    *ret = cn_run(CN_MAP, at, n);
    return 0;
}

static int scalar(struct values *v, struct cn_batch *b, const struct vtype *t, uint8_t conv, struct text s, struct cn_cell *ret);

/* One dimension; what is nested deeper becomes null, as it has no place in the schema. */
static int array(struct values *v, struct cn_batch *b, const struct vtype *t, struct text s, struct cn_cell *ret) {
    struct array_reader r;
    struct text item;
    /* Elements use the scratch area too (bytea), so this one is their own; arrays of long texts are rare. */
    char small[1024];
    char *area = s.n <= sizeof small ? small : malloc(s.n);
    int bad = !area || array_open(&r, s, t->delimiter, area) != 0;
    uint32_t cap = count_items(s, t->delimiter), n = 0;
    cn_off at = bad ? 0 : cn_cells(b, cap);
    while (!bad) {
        struct cn_cell c = cn_null();
        int kind = array_next(&r, &item);
        if (kind == ITEM_END) break;
        bad = kind == ITEM_BAD || n == cap || (kind == ITEM_VALUE && scalar(v, b, t, t->element, item, &c) != 0);
        if (!bad) cn_set(b, at, n++, c);
    }
    if (area != small) free(area);
    *ret = cn_run(CN_ARRAY, at, n);
    return bad ? -1 : 0;
}

static int scalar(struct values *v, struct cn_batch *b, const struct vtype *t, uint8_t conv, struct text s, struct cn_cell *ret) {
    double d;
    switch (conv) {
    case CONV_BOOL:
        if (s.n != 1 || (*s.p != 't' && *s.p != 'f')) return -1;
        *ret = cn_bool(*s.p == 't');
        return 0;
    case CONV_INT16: return integer(CN_INT16, s, ret);
    case CONV_INT32: return integer(CN_INT32, s, ret);
    case CONV_INT64: return integer(CN_INT64, s, ret);
    case CONV_FLOAT32:
        if (value_float(v, s, &d) != 0) return -1;
        *ret = cn_float(CN_FLOAT32, d);
        return 0;
    case CONV_FLOAT64:
    case CONV_DECIMAL_DOUBLE: return decimal_double(v, s, ret);
    case CONV_STRING: *ret = cn_string(b, s.p, s.n); return 0;
    case CONV_BYTEA: return bytea(v, b, t, s, ret);
    case CONV_OPAQUE: *ret = binary(b, t, s.p, s.n); return 0;
    case CONV_DECIMAL: return decimal(b, t, s, ret);
    case CONV_VARIABLE_DECIMAL: return variable_decimal(b, s, ret);
    case CONV_DECIMAL_STRING: return decimal_string(b, s, ret);
    case CONV_MONEY: return money(v, b, t, s, ret);
    case CONV_BIT: *ret = cn_bool(memchr(s.p, '1', s.n) != NULL); return 0;
    case CONV_BITS: return bits(b, s, ret);
    case CONV_DATE:
    case CONV_DATE_ISO: return date(b, conv, s, ret);
    case CONV_TIME_MS:
    case CONV_TIME_US:
    case CONV_TIME_NS:
    case CONV_TIME_ISO: return time_of_day(b, conv, s, ret);
    case CONV_TIMESTAMP_MS:
    case CONV_TIMESTAMP_US:
    case CONV_TIMESTAMP_NS:
    case CONV_TIMESTAMP_ISO: return timestamp(b, conv, s, ret);
    case CONV_TIMETZ: return timetz(b, s, ret);
    case CONV_TIMESTAMPTZ: return timestamptz(b, t, s, ret);
    case CONV_INTERVAL_US:
    case CONV_INTERVAL_ISO: return interval(b, conv, s, ret);
    case CONV_POINT: return point(v, b, s, ret);
    case CONV_GEOMETRY: return geometry(b, s, ret);
    case CONV_HSTORE_JSON: return hstore_json(v, b, s, ret);
    case CONV_HSTORE_MAP: return hstore_map(v, b, s, ret);
    case CONV_VECTOR: return vector(v, b, CN_FLOAT64, s, ret);
    case CONV_HALF_VECTOR: return vector(v, b, CN_FLOAT32, s, ret);
    case CONV_SPARSE_VECTOR: return sparse(v, b, s, ret);
    default: return -1;
    }
}

int value_cell(struct values *v, struct cn_batch *b, const struct vtype *t, struct text s, struct cn_cell *ret) {
    if (t->conv == CONV_STRING) { /* half of all columns */
        *ret = cn_string(b, s.p, s.n);
        return 0;
    }
    return t->conv == CONV_ARRAY ? array(v, b, t, s, ret) : scalar(v, b, t, t->conv, s, ret);
}

/* ── what stands for something else ── */

static struct cn_cell zero_of(struct values *v, struct cn_batch *b, const struct vtype *t, const char *text) {
    struct cn_cell c = cn_null();
    value_cell(v, b, t, text_of(text), &c);
    return c;
}

/* 0 with the column's digits behind the point: 0.00 */
static struct cn_cell zero_decimal(struct cn_batch *b, const struct vtype *t) {
    struct values none = {0};
    char text[32] = "0";
    int32_t digits_ = t->conv == CONV_MONEY || t->precision ? t->scale : 0;
    if (digits_ > 0 && digits_ < 24 && t->conv != CONV_VARIABLE_DECIMAL) {
        memset(text + 1, '0', (size_t)digits_ + 1);
        text[1] = '.';
    }
    return zero_of(&none, b, t, text);
}

struct cn_cell value_zero(struct cn_batch *b, const struct vtype *t) {
    switch (t->conv) {
    case CONV_BOOL:
    case CONV_BIT: return cn_bool(0);
    case CONV_INT16: return cn_int(CN_INT16, 0);
    case CONV_INT32:
    case CONV_DATE:
    case CONV_TIME_MS: return cn_int(CN_INT32, 0);
    case CONV_INT64:
    case CONV_TIME_US:
    case CONV_TIME_NS:
    case CONV_TIMESTAMP_MS:
    case CONV_TIMESTAMP_US:
    case CONV_TIMESTAMP_NS:
    case CONV_INTERVAL_US: return cn_int(CN_INT64, 0);
    case CONV_FLOAT32: return cn_float(CN_FLOAT32, 0);
    case CONV_FLOAT64:
    case CONV_DECIMAL_DOUBLE: return cn_float(CN_FLOAT64, 0);
    case CONV_DECIMAL:
    case CONV_VARIABLE_DECIMAL:
    case CONV_DECIMAL_STRING:
    case CONV_MONEY: return zero_decimal(b, t);
    case CONV_BYTEA:
    case CONV_OPAQUE:
    case CONV_BITS: return t->conv != CONV_BITS && t->binary != BINARY_BYTES ? cn_string(b, "", 0) : cn_bytes(b, "", 0);
    case CONV_DATE_ISO: return cn_stringz(b, "1970-01-01Z");
    case CONV_TIME_ISO:
    case CONV_TIMETZ: return cn_stringz(b, "00:00:00Z");
    case CONV_TIMESTAMP_ISO:
    case CONV_TIMESTAMPTZ: return cn_stringz(b, "1970-01-01T00:00:00Z");
    case CONV_INTERVAL_ISO: return cn_stringz(b, "P0Y0M0DT0H0M0S");
    case CONV_POINT: return point_cell(b, 0, 0);
    case CONV_HSTORE_JSON: return cn_stringz(b, "{}");
    case CONV_HSTORE_MAP: return cn_run(CN_MAP, cn_cells(b, 0), 0);
    case CONV_VECTOR:
    case CONV_HALF_VECTOR:
    case CONV_ARRAY: return cn_run(CN_ARRAY, cn_cells(b, 0), 0);
    case CONV_GEOMETRY:
    case CONV_SPARSE_VECTOR: return cn_null();
    default: return cn_string(b, "", 0);
    }
}

static struct cn_cell unsent_ints(struct values *v, struct cn_batch *b, uint8_t type) {
    cn_off at = cn_cells(b, (uint32_t)v->placeholder.n);
    for (size_t i = 0; i < v->placeholder.n; i++) cn_set(b, at, (uint32_t)i, cn_int(type, (signed char)v->placeholder.p[i]));
    return cn_run(CN_ARRAY, at, (uint32_t)v->placeholder.n);
}

static struct cn_cell unsent_array(struct values *v, struct cn_batch *b, const struct vtype *t) {
    struct cn_cell c;
    switch (t->toast) {
    case TOAST_INTS: return unsent_ints(v, b, t->element == CONV_INT64 ? CN_INT64 : CN_INT32);
    case TOAST_UUIDS: c = cn_stringz(b, v->placeholder_uuid); break;
    case TOAST_BYTES:
        c = t->binary == BINARY_BYTES ? cn_bytes(b, v->placeholder.p, v->placeholder.n) : cn_null();
        break;
    case TOAST_TEXTS: c = cn_string(b, v->placeholder.p, v->placeholder.n); break;
    default: return cn_null();
    }
    cn_off at = cn_cells(b, 1);
    cn_set(b, at, 0, c);
    return cn_run(CN_ARRAY, at, 1);
}

static struct cn_cell unsent_hstore(struct values *v, struct cn_batch *b, const struct vtype *t) {
    struct text p = v->placeholder;
    if (t->conv == CONV_HSTORE_MAP) {
        struct cn_cell c = cn_string(b, p.p, p.n);
        cn_off at = cn_cells(b, 2);
        cn_set(b, at, 0, c);
        cn_set(b, at, 1, c);
        return cn_run(CN_MAP, at, 1);
    }
    cn_off at = cn_alloc(b, p.n * 12 + 16);
    if (!at) return cn_null();
    char *start = (char *)b->base + at, *out = start;
    *out++ = '{';
    out = json_string(out, p);
    *out++ = ':';
    out = json_string(out, p);
    *out++ = '}';
    trim(b, at, (size_t)(out - start));
    return cn_run(CN_STRING, at, (uint32_t)(out - start));
}

struct cn_cell value_unsent(struct values *v, struct cn_batch *b, const struct vtype *t) {
    switch (t->conv) {
    case CONV_STRING: return cn_string(b, v->placeholder.p, v->placeholder.n);
    case CONV_BYTEA:
    case CONV_OPAQUE:
        if (t->binary == BINARY_BYTES) return cn_bytes(b, v->placeholder.p, v->placeholder.n);
        return t->binary == BINARY_HEX ? cn_string(b, v->placeholder.p, v->placeholder.n) : cn_null();
    case CONV_DECIMAL_STRING: return cn_string(b, v->placeholder.p, v->placeholder.n);
    case CONV_HSTORE_JSON:
    case CONV_HSTORE_MAP: return unsent_hstore(v, b, t);
    case CONV_ARRAY: return unsent_array(v, b, t);
    default: return cn_null(); /* a number too long for its page: its type has no room for a placeholder */
    }
}
