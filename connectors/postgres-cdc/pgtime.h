/* SPDX-License-Identifier: Apache-2.0 */
/* Dates, times and intervals: from the text PostgreSQL prints (DateStyle ISO, IntervalStyle postgres) to numbers, and from
 * numbers to ISO 8601 as java.time prints it.
 *
 * Pure. Parsers take the whole run and return PGTIME_*; outputs are untouched unless PGTIME_OK. Printers append no NUL and
 * return the length; the sizes of their buffers are PGTIME_PRINT_MAX. */
#ifndef PG_TIME_H
#define PG_TIME_H

#include "pgtext.h"

enum { PGTIME_OK = 0, PGTIME_PLUS_INFINITY = 1, PGTIME_MINUS_INFINITY = 2, PGTIME_BAD = -1 };
#define PGTIME_PRINT_MAX 128

/* A moment as PostgreSQL keeps it: days since 1970-01-01 (proleptic Gregorian) and microseconds of the day. */
struct moment {
    int64_t days;
    int64_t micros;
};
struct interval {
    int64_t years, months, days, hours, minutes;
    int64_t micros; /* of the seconds part, signed */
};

int pgtime_date(struct text t, int64_t *ret_days);           /* "2024-02-29", "0044-03-15 BC" */
int pgtime_time(struct text t, int64_t *ret_micros);         /* "13:14:15.123456", up to 24:00:00 */
int pgtime_timetz(struct text t, int64_t *ret_micros);       /* "13:14:15+02" as micros of the day in UTC, 0..86400000000 */
int pgtime_timestamp(struct text t, struct moment *ret);     /* "2024-02-29 13:14:15.5" */
int pgtime_timestamptz(struct text t, struct moment *ret);   /* the same with an offset; in UTC */
int pgtime_interval(struct text t, struct interval *ret);    /* "1 year 2 mons -3 days +04:05:06.789" */
/* Microseconds since 1970: 0, or -1 when they do not fit in 64 bits. */
int pgtime_micros(struct moment m, int64_t *ret);

size_t pgtime_print_date(char *out, int64_t days);           /* 2024-02-29, +12024-01-01, -0043-03-15 */
/* 13:14:15.5: `width` digits of fraction (1..9), or 0: as many as needed. */
size_t pgtime_print_time(char *out, int64_t micros, int width);
size_t pgtime_print_interval(char *out, const struct interval *v); /* P1Y2M3DT4H5M6.789S */
/* Debezium's MicroDuration: a month is 365.25 / 12 days, computed in doubles as it does. */
int64_t pgtime_duration_micros(const struct interval *v);

int64_t pgtime_days_of(int64_t year, int month, int day);

#endif
