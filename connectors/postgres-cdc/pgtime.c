/* SPDX-License-Identifier: Apache-2.0 */
#include "pgtime.h"

#include <stdio.h>

#define DAY_MICROS INT64_C(86400000000)

/* Howard Hinnant's days_from_civil: years begin in March, so that the leap day is the last of one. */
int64_t pgtime_days_of(int64_t year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t yoe = year - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    return era * 146097 + doe - 719468;
}

static void civil_of(int64_t days, int64_t *year, int *month, int *day) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    *day = (int)(doy - (153 * mp + 2) / 5 + 1);
    *month = (int)(mp < 10 ? mp + 3 : mp - 9);
    *year = yoe + era * 400 + (*month <= 2);
}

/* "infinity" and "-infinity", else PGTIME_OK. */
static int infinite(struct text t) {
    if (t.n && t.p[0] == 'i' && text_is(t, "infinity")) return PGTIME_PLUS_INFINITY;
    if (t.n && t.p[0] == '-' && text_is(t, "-infinity")) return PGTIME_MINUS_INFINITY;
    return PGTIME_OK;
}

/* y..y-MM-dd at *s. */
static int take_date(const char **s, const char *end, int64_t *year, int64_t *month, int64_t *day) {
    if (!digits(s, end, 7, year) || *s == end || *(*s)++ != '-') return -1;
    if (digits(s, end, 2, month) != 2 || *s == end || *(*s)++ != '-') return -1;
    if (digits(s, end, 2, day) != 2) return -1;
    return *month >= 1 && *month <= 12 && *day >= 1 && *day <= 31 && *year >= 1 ? 0 : -1;
}

/* .ffffff at *s, as microseconds; nothing there is 0. */
static int take_fraction(const char **s, const char *end, int64_t *micros) {
    static const int scale[] = {0, 100000, 10000, 1000, 100, 10, 1};
    int64_t v;
    *micros = 0;
    if (*s == end || **s != '.') return 0;
    ++*s;
    unsigned n = digits(s, end, 6, &v);
    if (!n) return -1;
    *micros = v * scale[n];
    return 0;
}

/* HH:mm:ss[.ffffff] at *s; 24:00:00 is the end of the day. */
static int take_time(const char **s, const char *end, int64_t *micros) {
    int64_t h, m, sec, f;
    if (digits(s, end, 2, &h) != 2 || *s == end || *(*s)++ != ':') return -1;
    if (digits(s, end, 2, &m) != 2 || *s == end || *(*s)++ != ':') return -1;
    if (digits(s, end, 2, &sec) != 2 || take_fraction(s, end, &f) != 0) return -1;
    if (h > 24 || m > 59 || sec > 60) return -1;
    *micros = ((h * 60 + m) * 60 + sec) * 1000000 + f;
    return *micros <= DAY_MICROS ? 0 : -1;
}

/* +HH[:mm[:ss]] at *s, as seconds east of UTC. */
static int take_offset(const char **s, const char *end, int64_t *seconds) {
    int64_t h, m = 0, sec = 0;
    if (*s == end || (**s != '+' && **s != '-')) return -1;
    int sign = *(*s)++ == '-' ? -1 : 1;
    if (digits(s, end, 2, &h) != 2) return -1;
    if (*s < end && **s == ':') {
        ++*s;
        if (digits(s, end, 2, &m) != 2) return -1;
        if (*s < end && **s == ':') {
            ++*s;
            if (digits(s, end, 2, &sec) != 2) return -1;
        }
    }
    *seconds = sign * (h * 3600 + m * 60 + sec);
    return 0;
}

/* The end of a date or timestamp: nothing or " BC". */
static int take_era(const char *s, const char *end, int64_t *year) {
    if (s == end) return 0;
    if (end - s != 3 || memcmp(s, " BC", 3) != 0) return -1;
    *year = 1 - *year;
    return 0;
}

int pgtime_date(struct text t, int64_t *ret_days) {
    const char *s = t.p, *end = t.p + t.n;
    int64_t y, m, d;
    int inf = infinite(t);
    if (inf) return inf;
    if (take_date(&s, end, &y, &m, &d) != 0 || take_era(s, end, &y) != 0) return PGTIME_BAD;
    *ret_days = pgtime_days_of(y, (int)m, (int)d);
    return PGTIME_OK;
}

int pgtime_time(struct text t, int64_t *ret_micros) {
    const char *s = t.p, *end = t.p + t.n;
    int64_t v;
    if (take_time(&s, end, &v) != 0 || s != end) return PGTIME_BAD;
    *ret_micros = v;
    return PGTIME_OK;
}

int pgtime_timetz(struct text t, int64_t *ret_micros) {
    const char *s = t.p, *end = t.p + t.n;
    int64_t v, off;
    if (take_time(&s, end, &v) != 0 || take_offset(&s, end, &off) != 0 || s != end) return PGTIME_BAD;
    if (v == DAY_MICROS && off == 0) { /* 24:00:00+00, the one boundary that stays itself */
        *ret_micros = v;
        return PGTIME_OK;
    }
    v = (v - off * 1000000) % DAY_MICROS;
    *ret_micros = v < 0 ? v + DAY_MICROS : v;
    return PGTIME_OK;
}

static int timestamp(struct text t, int zoned, struct moment *ret) {
    const char *s = t.p, *end = t.p + t.n;
    int64_t y, m, d, micros, off = 0;
    int inf = infinite(t);
    if (inf) return inf;
    if (take_date(&s, end, &y, &m, &d) != 0 || s == end || *s++ != ' ') return PGTIME_BAD;
    if (take_time(&s, end, &micros) != 0 || (zoned && take_offset(&s, end, &off) != 0)) return PGTIME_BAD;
    if (take_era(s, end, &y) != 0) return PGTIME_BAD;
    ret->days = pgtime_days_of(y, (int)m, (int)d);
    ret->micros = micros - off * 1000000;
    while (ret->micros < 0) ret->micros += DAY_MICROS, ret->days--;
    while (ret->micros >= DAY_MICROS) ret->micros -= DAY_MICROS, ret->days++;
    return PGTIME_OK;
}
int pgtime_timestamp(struct text t, struct moment *ret) { return timestamp(t, 0, ret); }
int pgtime_timestamptz(struct text t, struct moment *ret) { return timestamp(t, 1, ret); }

int pgtime_micros(struct moment m, int64_t *ret) {
    int64_t v;
    if (m.days < 0) m.days++, m.micros -= DAY_MICROS; /* so that the last day before the limit does not overflow on its way */
    if (__builtin_mul_overflow(m.days, DAY_MICROS, &v) || __builtin_add_overflow(v, m.micros, &v)) return -1;
    *ret = v;
    return 0;
}

/* ── intervals ── */

/* [+-]HH..:mm:ss[.ffffff]: the sign holds for all parts. */
static int take_clock(const char **s, const char *end, struct interval *v) {
    int64_t h, m, sec, f;
    int sign = 1;
    if (*s < end && (**s == '-' || **s == '+')) sign = *(*s)++ == '-' ? -1 : 1;
    if (!digits(s, end, 12, &h) || *s == end || *(*s)++ != ':') return -1;
    if (digits(s, end, 2, &m) != 2 || *s == end || *(*s)++ != ':') return -1;
    if (digits(s, end, 2, &sec) != 2 || take_fraction(s, end, &f) != 0) return -1;
    v->hours = sign * h;
    v->minutes = sign * m;
    v->micros = sign * (sec * 1000000 + f);
    return 0;
}

static int64_t *unit_of(struct interval *v, struct text u) {
    if (text_is(u, "year") || text_is(u, "years")) return &v->years;
    if (text_is(u, "mon") || text_is(u, "mons")) return &v->months;
    if (text_is(u, "day") || text_is(u, "days")) return &v->days;
    return NULL;
}

/* One "<n> <unit>" or the clock at *s. */
static int take_part(const char **s, const char *end, struct interval *v) {
    const char *p = *s;
    int64_t n;
    int negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    if (!digits(&p, end, 12, &n) || p == end) return -1;
    if (*p == ':') return take_clock(s, end, v);
    if (*p++ != ' ') return -1;
    struct text u = {p, 0};
    while (p < end && *p != ' ') p++;
    u.n = (size_t)(p - u.p);
    int64_t *slot = unit_of(v, u);
    if (!slot) return -1;
    *slot = negative ? -n : n;
    *s = p;
    return 0;
}

int pgtime_interval(struct text t, struct interval *ret) {
    const char *s = t.p, *end = t.p + t.n;
    struct interval v = {0};
    if (s == end) return PGTIME_BAD;
    for (;;) {
        if (take_part(&s, end, &v) != 0) return PGTIME_BAD;
        if (s == end) break;
        if (*s++ != ' ') return PGTIME_BAD;
    }
    *ret = v;
    return PGTIME_OK;
}

int64_t pgtime_duration_micros(const struct interval *v) {
    double days = (double)(v->years * 12 + v->months) * (365.25 / 12.0) + (double)v->days;
    double seconds = (double)(v->micros / 1000000) + (double)(v->micros % 1000000) / 1e6;
    double total = ((days * 24 + (double)v->hours) * 60 + (double)v->minutes) * 60 + seconds;
    double micros = total * 1e6;
    if (micros >= 9223372036854775807.0) return INT64_MAX;
    if (micros <= -9223372036854775808.0) return INT64_MIN;
    return (int64_t)micros;
}

/* ── printing ── */

static size_t two(char *out, int v) {
    out[0] = (char)('0' + v / 10);
    out[1] = (char)('0' + v % 10);
    return 2;
}

size_t pgtime_print_date(char *out, int64_t days) {
    int64_t y;
    int m, d;
    civil_of(days, &y, &m, &d);
    size_t n;
    if (y >= 0 && y <= 9999) {
        two(out, (int)(y / 100));
        two(out + 2, (int)(y % 100));
        n = 4;
    } else {
        n = (size_t)snprintf(out, 24, y < 0 ? "-%04lld" : "+%lld", (long long)(y < 0 ? -y : y));
    }
    out[n++] = '-';
    n += two(out + n, m);
    out[n++] = '-';
    return n + two(out + n, d);
}

/* The fraction with its point: `width` digits, or as many as needed. */
static size_t print_fraction(char *out, int64_t micros, int width) {
    if (!width && !micros) return 0;
    out[0] = '.';
    for (int i = 6; i >= 1; i--, micros /= 10) out[i] = (char)('0' + micros % 10);
    for (int i = 7; i <= width; i++) out[i] = '0';
    if (width) return (size_t)width + 1;
    size_t n = 7;
    while (out[n - 1] == '0') n--;
    return n;
}

size_t pgtime_print_time(char *out, int64_t micros, int width) {
    int64_t sec = micros / 1000000;
    size_t n = two(out, (int)(sec / 3600));
    out[n++] = ':';
    n += two(out + n, (int)(sec / 60 % 60));
    out[n++] = ':';
    n += two(out + n, (int)(sec % 60));
    return n + print_fraction(out + n, micros % 1000000, width);
}

size_t pgtime_print_interval(char *out, const struct interval *v) {
    int64_t micros = v->micros < 0 ? -v->micros : v->micros;
    int n = snprintf(out, PGTIME_PRINT_MAX, "P%lldY%lldM%lldDT%lldH%lldM%s%lld", (long long)v->years, (long long)v->months,
                     (long long)v->days, (long long)v->hours, (long long)v->minutes, v->micros < 0 ? "-" : "",
                     (long long)(micros / 1000000));
    size_t at = (size_t)n + print_fraction(out + n, micros % 1000000, 0);
    out[at++] = 'S';
    return at;
}
