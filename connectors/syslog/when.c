// SPDX-License-Identifier: Apache-2.0
// One try after the other, each on a copy of the cursor; the first that fits wins.
#include <stdlib.h>
#include <time.h>

#include "when.h"

enum { US = 1000000, DAY_S = 86400, QUARTER_S = 900 };

// A date and time of day as read; year 0 = not in the text.
struct civil {
    int64_t year, month, day, hour, minute, second, us;
    bool fraction_cut; // more digits than microseconds have
    bool has_zone, zone_vague;
    int32_t zone;      // seconds east
};

static bool is_leap(int64_t y) { return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0; }

static bool civil_valid(const struct civil *c) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (c->month < 1 || c->month > 12 || c->hour > 23 || c->minute > 59 || c->second > 60) return false;
    int64_t most = days[c->month - 1] + (c->month == 2 && (c->year == 0 || is_leap(c->year)));
    return c->day >= 1 && c->day <= most;
}

// Seconds since 1970 as if the zone were UTC (days by the era method: years begin in March, so that leap days come last).
static int64_t civil_seconds(const struct civil *c, int64_t year) {
    int64_t y = year - (c->month <= 2), era = (y >= 0 ? y : y - 399) / 400, of_era = y - era * 400;
    int64_t day_of_year = (153 * (c->month + (c->month > 2 ? -3 : 9)) + 2) / 5 + c->day - 1;
    int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day_of_year - 719468;
    return days * DAY_S + c->hour * 3600 + c->minute * 60 + c->second;
}

int32_t zone_offset(struct zone *z, int64_t civil_s) {
    if (!z->local) return z->offset;
    int64_t quarter = civil_s >= 0 ? civil_s / QUARTER_S : (civil_s - QUARTER_S + 1) / QUARTER_S;
    if (!z->cached || z->cached_quarter != quarter) { // mktime takes a lock and reads the zone's rules: once a quarter
        struct tm tm;
        time_t at = (time_t)(quarter * QUARTER_S);
        gmtime_r(&at, &tm);
        tm.tm_isdst = -1;
        time_t utc = mktime(&tm);
        z->cached = true;
        z->cached_quarter = quarter;
        z->cached_offset = utc == -1 ? 0 : (int32_t)(quarter * QUARTER_S - utc);
    }
    return z->cached_offset;
}

// "+02:00", "-0330", "+2", "Z".
static bool numeric_zone(struct scan *s, int32_t *ret) {
    struct scan at = *s;
    int64_t hours, minutes = 0;
    if (scan_char(&at, 'Z') || scan_char(&at, 'z')) {
        *ret = 0;
        *s = at;
        return true;
    }
    int sign = scan_char(&at, '+') ? 1 : scan_char(&at, '-') ? -1 : 0;
    if (!sign || !scan_digits(&at, 2, &hours)) return false;
    if (scan_char(&at, ':') || scan_isdigit(scan_peek(&at, 0)))
        if (scan_digits(&at, 2, &minutes) != 2) return false;
    if (hours > 18 || minutes > 59 || scan_isdigit(scan_peek(&at, 0))) return false;
    *ret = sign * (int32_t)(hours * 3600 + minutes * 60);
    *s = at;
    return true;
}

int zone_parse(struct zone *z, const char *text) {
    struct scan s = scan_of(text, strlen(text));
    memset(z, 0, sizeof *z);
    if (strcmp(text, "local") == 0) {
        z->local = true;
        return 0;
    }
    if (strcmp(text, "UTC") == 0) return 0;
    return numeric_zone(&s, &z->offset) && scan_done(&s) ? 0 : -1;
}

// ".156", ",156", a bare ".", any number of digits.
static void fraction_of(struct scan *s, struct civil *c) {
    int64_t digit, unit = US / 10;
    if (scan_peek(s, 0) != '.' && !(scan_peek(s, 0) == ',' && scan_isdigit(scan_peek(s, 1)))) return;
    s->p++;
    while (scan_digits(s, 1, &digit)) {
        c->us += digit * unit;
        c->fraction_cut |= unit == 0 && digit != 0;
        unit /= 10;
    }
}

// HH:MM[:SS[.fraction]]
static bool clock_of(struct scan *s, struct civil *c) {
    struct scan at = *s;
    if (!scan_digits(&at, 2, &c->hour) || !scan_char(&at, ':') || scan_digits(&at, 2, &c->minute) != 2) return false;
    if (scan_peek(&at, 0) == ':' && scan_isdigit(scan_peek(&at, 1)) && scan_isdigit(scan_peek(&at, 2))) {
        at.p++;
        scan_digits(&at, 2, &c->second);
        fraction_of(&at, c);
    }
    if (scan_isdigit(scan_peek(&at, 0))) return false;
    *s = at;
    return true;
}

// Four digits that can be a year, with nothing but a separator behind them.
static bool year_of(struct scan *s, int64_t *ret) {
    struct scan at = *s;
    int64_t year;
    if (scan_digits(&at, 4, &year) != 4 || year < 1970 || year > 2199) return false;
    int next = scan_peek(&at, 0);
    if (next != ' ' && next != -1 && (next != ':' || scan_peek(&at, 1) != ' ')) return false; // an IPv6 address goes on
    *ret = year;
    *s = at;
    return true;
}

static bool month_of(struct scan *s, int64_t *ret) {
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";
    if (scan_left(s) < 4 || s->p[3] != ' ') return false;
    char low[3];
    for (int i = 0; i < 3; i++) low[i] = (char)(s->p[i] | 0x20);
    for (int m = 0; m < 12; m++)
        if (memcmp(low, names + (size_t)m * 3, 3) == 0) {
            *ret = m + 1;
            s->p += 3;
            return true;
        }
    return false;
}

// YYYY-MM-DD or YYYY/MM/DD, then T or a space, then the time, then perhaps a zone.
static bool iso_of(struct scan *s, struct civil *c) {
    struct scan at = *s;
    if (scan_digits(&at, 4, &c->year) != 4) return false;
    char dash = scan_peek(&at, 0) == '/' ? '/' : '-';
    if (!scan_char(&at, dash) || !scan_digits(&at, 2, &c->month) || !scan_char(&at, dash) || !scan_digits(&at, 2, &c->day)) return false;
    if (!scan_char(&at, 'T') && !scan_char(&at, 't') && !scan_char(&at, ' ')) return false;
    if (!clock_of(&at, c) || !civil_valid(c)) return false;
    c->has_zone = numeric_zone(&at, &c->zone);
    *s = at;
    return true;
}

// [YYYY ]Mmm [d]d[ YYYY] HH:MM[:SS]
static bool bsd_of(struct scan *s, struct civil *c) {
    struct scan at = *s;
    if (year_of(&at, &c->year)) scan_spaces(&at);
    if (!month_of(&at, &c->month)) return false;
    scan_spaces(&at);
    if (!scan_digits(&at, 2, &c->day)) return false;
    scan_char(&at, ',');
    if (scan_peek(&at, 0) != ' ') return false;
    scan_spaces(&at);
    if (c->year == 0 && year_of(&at, &c->year)) scan_spaces(&at);
    if (!clock_of(&at, c) || !civil_valid(c)) return false;
    *s = at;
    return true;
}

// NetScaler: MM/DD/YYYY:HH:MM:SS, or DD/MM where the first can be no month.
static bool slash_of(struct scan *s, struct civil *c) {
    struct scan at = *s;
    if (scan_digits(&at, 2, &c->month) != 2 || !scan_char(&at, '/') || scan_digits(&at, 2, &c->day) != 2 || !scan_char(&at, '/')) return false;
    if (scan_digits(&at, 4, &c->year) != 4 || (!scan_char(&at, ':') && !scan_char(&at, ' '))) return false;
    if (c->month > 12) {
        int64_t day = c->month;
        c->month = c->day;
        c->day = day;
    }
    if (!clock_of(&at, c) || !civil_valid(c)) return false;
    *s = at;
    return true;
}

// Abbreviations of zones; the vague ones mean several, so that only the word is taken.
static const struct zone_name { char name[6]; bool vague; int16_t minutes; } zone_names[] = {
    {"UTC", false, 0}, {"GMT", false, 0}, {"EDT", false, -240}, {"CDT", false, -300}, {"MDT", false, -360}, {"MST", false, -420},
    {"PDT", false, -420}, {"PST", false, -480}, {"AKDT", false, -480}, {"AKST", false, -540}, {"HST", false, -600}, {"WET", false, 0},
    {"WEST", false, 60}, {"CET", false, 60}, {"MET", false, 60}, {"CEST", false, 120}, {"MEST", false, 120}, {"EET", false, 120},
    {"EEST", false, 180}, {"MSK", false, 180}, {"JST", false, 540}, {"KST", false, 540}, {"AEST", false, 600}, {"AEDT", false, 660},
    {"NZST", false, 720}, {"NZDT", false, 780}, {"EST", true, 0}, {"CST", true, 0}, {"IST", true, 0}, {"BST", true, 0}, {"SST", true, 0},
};

static bool named_zone(struct scan *s, struct civil *c) {
    size_t n = 0;
    while (n < 6 && scan_peek(s, n) >= 'A' && scan_peek(s, n) <= 'Z') n++;
    int next = scan_peek(s, n);
    if (n < 3 || n > 5 || (next != ' ' && next != ':')) return false;
    for (size_t i = 0; i < sizeof zone_names / sizeof *zone_names; i++) {
        if (strlen(zone_names[i].name) != n || memcmp(zone_names[i].name, s->p, n) != 0) continue;
        c->has_zone = !zone_names[i].vague;
        c->zone_vague = zone_names[i].vague;
        c->zone = zone_names[i].minutes * 60;
        s->p += n;
        return true;
    }
    return false;
}

// What may stand behind the time: a zone, a year, both.
static void trailer_of(struct scan *s, struct civil *c) {
    struct scan at = *s;
    if (!c->has_zone && numeric_zone(&at, &c->zone)) {
        c->has_zone = true;
        *s = at;
    }
    at = *s;
    if (!scan_char(&at, ' ')) return;
    if (!c->has_zone && (scan_peek(&at, 0) == '+' || scan_peek(&at, 0) == '-') && numeric_zone(&at, &c->zone)) {
        c->has_zone = true;
        *s = at;
    } else if (!c->has_zone && named_zone(&at, c)) {
        *s = at;
    }
    at = *s;
    if (c->year == 0 && scan_char(&at, ' ') && year_of(&at, &c->year)) *s = at;
}

// The year that puts the time nearest to now: a message of December read in January is last year's, and the other way round.
static int64_t nearest_year(const struct civil *c, int64_t now_us) {
    time_t now_s = (time_t)(now_us / US);
    struct tm tm;
    gmtime_r(&now_s, &tm);
    int64_t best = tm.tm_year + 1900, best_distance = INT64_MAX;
    for (int64_t y = tm.tm_year + 1899; y <= tm.tm_year + 1901; y++) {
        if (c->month == 2 && c->day == 29 && !is_leap(y)) continue;
        int64_t distance = llabs(civil_seconds(c, y) - (int64_t)now_s);
        if (distance < best_distance) {
            best_distance = distance;
            best = y;
        }
    }
    return best;
}

static struct when when_of(const struct civil *c, const char *from, const char *to, int64_t now_us, struct zone *zone) {
    int64_t year = c->year ? c->year : nearest_year(c, now_us);
    int64_t civil_s = civil_seconds(c, year);
    int32_t offset = c->has_zone ? c->zone : zone_offset(zone, civil_s);
    return (struct when){
        .known = true,
        .guessed = c->year == 0 || !c->has_zone || c->fraction_cut || c->second == 60,
        .us = (civil_s - offset) * US + c->us,
        .text = slice_of(from, to),
    };
}

bool when_rfc3339(struct scan *s, struct when *ret, struct zone *zone) {
    struct civil c = {0};
    const char *from = s->p;
    if (!iso_of(s, &c)) return false;
    *ret = when_of(&c, from, s->p, 0, zone);
    return true;
}

// Seconds or milliseconds since 1970, with or without a fraction, then a space.
static bool epoch_of(struct scan *s, struct when *ret) {
    struct scan at = *s;
    struct civil c = {0};
    int64_t value;
    unsigned digits = scan_digits(&at, 14, &value);
    if (digits != 10 && digits != 13) return false;
    if (digits == 10) fraction_of(&at, &c);
    if (scan_peek(&at, 0) != ' ' && scan_peek(&at, 0) != ':') return false;
    *ret = (struct when){true, c.fraction_cut, digits == 10 ? value * US + c.us : value * 1000, slice_of(s->p, at.p)};
    *s = at;
    return true;
}

// "1d02h", "5w1d", "3d 4h".
static bool spans_of(struct scan *s) {
    unsigned spans = 0;
    int64_t value;
    for (;; spans++) {
        struct scan at = *s;
        if (spans) scan_char(&at, ' ');
        int unit = scan_digits(&at, 6, &value) ? scan_peek(&at, 0) : -1;
        if (unit <= 0 || !memchr("ywdhms", unit, 6)) return spans > 0;
        at.p++;
        *s = at;
    }
}

static bool two_numbers(struct scan *s) {
    int64_t value;
    return scan_digits(s, 6, &value) && scan_char(s, ' ') && scan_digits(s, 6, &value);
}

// Time since the device started: "00:01:01: ", "1d02h: ", "1 2: ". Kept as text, since it names no moment.
static bool uptime_of(struct scan *s, struct when *ret) {
    struct scan clock = *s, spans = *s, numbers = *s, *at;
    struct civil c = {0};
    if (clock_of(&clock, &c)) at = &clock;
    else if (spans_of(&spans)) at = &spans;
    else if (two_numbers(&numbers)) at = &numbers;
    else return false;
    if (scan_peek(at, 0) != ':' || scan_peek(at, 1) != ' ') return false;
    *ret = (struct when){false, true, 0, slice_of(s->p, at->p)};
    *s = *at;
    return true;
}

// A calendar time in one of the known forms, with what stands behind it.
static bool calendar_of(struct scan *s, struct when *ret, int64_t now_us, struct zone *zone) {
    static bool (*const forms[])(struct scan *, struct civil *) = {bsd_of, iso_of, slash_of};
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        struct scan at = *s;
        struct civil c = {0};
        if (!forms[i](&at, &c)) continue;
        trailer_of(&at, &c);
        int next = scan_peek(&at, 0);
        if (next != ' ' && next != ':' && next != -1) return false;
        *ret = when_of(&c, s->p, at.p, now_us, zone);
        *s = at;
        return true;
    }
    return false;
}

bool when_legacy(struct scan *s, struct when *ret, int64_t now_us, struct zone *zone) {
    struct scan at = *s;
    struct when w;
    if (scan_peek(&at, 0) == '*' || scan_peek(&at, 0) == '.') at.p++; // Cisco: the clock is not, or no longer, in step
    bool in_step = at.p == s->p;
    if (!calendar_of(&at, &w, now_us, zone) && !epoch_of(&at, &w) && !uptime_of(&at, &w)) return false;
    w.guessed |= !in_step;
    w.text = slice_of(s->p, at.p);
    scan_char(&at, ':');
    *s = at;
    *ret = w;
    return true;
}
