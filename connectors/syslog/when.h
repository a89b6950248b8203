// SPDX-License-Identifier: Apache-2.0
// Timestamps of syslog messages: RFC 3339, RFC 3164 and what devices send instead.
//
// Pure but for the time zone's cache. What a timestamp leaves out is guessed: the year nearest to `now`, the zone configured.
#ifndef SYSLOG_WHEN_H
#define SYSLOG_WHEN_H

#include "scan.h"

struct when {
    bool known;        // us is meant
    bool guessed;      // something of it was not in the text, or did not fit: keep the text
    int64_t us;        // microseconds since 1970
    struct slice text; // as sent; p NULL when there was none
};

// The zone of timestamps without one. `local`: the process's; else a fixed offset. Not shared between threads.
struct zone {
    bool local;
    int32_t offset;        // seconds east of Greenwich
    bool cached;           // for local: the quarter of an hour last asked for
    int64_t cached_quarter;
    int32_t cached_offset;
};
// "local", "UTC", "Z", "+02:00", "-0330". 0, or -1 when it is none of them.
int zone_parse(struct zone *z, const char *text);
// Seconds east of Greenwich at a civil time (seconds since 1970 as if in UTC).
int32_t zone_offset(struct zone *z, int64_t civil_s);

// Takes a timestamp of RFC 3339 (also with a space for the T, without a zone, with any number of digits in the fraction). False: untouched.
bool when_rfc3339(struct scan *s, struct when *ret, struct zone *zone);
// Takes whatever devices put in front of a message: "Oct 11 22:14:15", with year, zone, fraction, '*' or '.', ISO, epoch, uptime.
// A following ':' belongs to it. False: untouched.
bool when_legacy(struct scan *s, struct when *ret, int64_t now_us, struct zone *zone);

#endif
