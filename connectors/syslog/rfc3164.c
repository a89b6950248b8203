// SPDX-License-Identifier: Apache-2.0
// RFC 3164: TIMESTAMP SP HOSTNAME SP TAG[PID]: text, every part of which some sender leaves out or writes its own way.
//
//   [SEQ:] [HOST:] TIMESTAMP [HOST] [TAG[PID]:] text
//
// The rules are few and look at the form of words only. A word without ':' or '[' is never a tag, so that plain text, and
// JSON, stay whole; a first word that ends in ':' is the tag of a message without a host, unless it is an IPv6 address or
// Cisco's "host: %FAC-…". Where the form can not tell, nothing is lost: the words stand in one field or in another.
#include "message.h"

enum { TAG_MAX = 128, PID_MAX = 64, PREFIXES = 3 };

static bool is_tag_char(int c) { return scan_isalnum(c) || (c > 0 && strchr("_-./()%@#+!$*~&|", c)); }
static bool is_host_char(int c) { return scan_isalnum(c) || (c > 0 && strchr("_-.:/@[]%", c)); }

// Hexadecimal digits and at least two colons; a zone and a trailing "::" included.
static bool is_ipv6(struct slice w) {
    unsigned colons = 0;
    for (uint32_t i = 0; i < w.n; i++) {
        int c = (unsigned char)w.p[i];
        if (c == '%') return colons >= 2;
        if (c == ':') colons++;
        else if (!scan_isdigit(c) && c != '.' && !((c | 0x20) >= 'a' && (c | 0x20) <= 'f')) return false;
    }
    return colons >= 2;
}

static bool is_host(struct slice w) {
    for (uint32_t i = 0; i < w.n; i++)
        if (!is_host_char((unsigned char)w.p[i])) return false;
    return w.n > 0 && w.n <= 255;
}

// TAG: or TAG[PID]: or TAG[PID] with the space behind it. Needs a letter, so that times and numbers are none.
static bool take_tag(struct scan *s, struct slice *ret_tag, struct slice *ret_pid) {
    struct scan at = *s;
    bool letter = false;
    while (is_tag_char(scan_peek(&at, 0)) && at.p - s->p < TAG_MAX) letter |= scan_isalpha(*at.p++);
    struct slice tag = slice_of(s->p, at.p), pid = {NULL, 0};
    if (!letter) return false;
    if (scan_char(&at, '[')) {
        const char *from = at.p;
        bool number = true;
        while (!scan_done(&at) && *at.p != ']' && *at.p != ' ' && at.p - from < PID_MAX) number &= scan_isdigit(*at.p++);
        pid = slice_of(from, at.p);
        if (!scan_char(&at, ']') || (scan_peek(&at, 0) != ':' && !number)) return false;
        scan_char(&at, ':');
    } else if (!scan_char(&at, ':') || scan_peek(&at, 0) == ':' || (scan_peek(&at, 0) == '/' && scan_peek(&at, 1) == '/')) {
        return false;
    }
    if (pid.p == NULL && (tag.n == 3 || tag.n == 4) && scan_isdigit(scan_peek(&at, 0)) &&
        (memcmp(tag.p, "CEF", 3) == 0 || memcmp(tag.p, "LEEF", tag.n) == 0))
        return false; // the payload's own first word: "CEF:0|vendor|…"
    scan_char(&at, ' ');
    *ret_tag = tag;
    *ret_pid = pid;
    *s = at;
    return true;
}

// Cisco: "29: host: 30: *Mar  1 18:46:11: %FAC-…". Only with a sequence number among the words, and a time behind them.
static bool cisco_header(struct message *m, struct scan *s, int64_t now_us, struct zone *zone) {
    struct scan at = *s;
    struct slice sequence = {NULL, 0}, host = {NULL, 0};
    for (int i = 0; i < PREFIXES; i++) {
        struct slice w = scan_word(&at);
        if (w.n < 2 || w.p[w.n - 1] != ':' || scan_done(&at)) return false;
        w.n--;
        bool number = true;
        for (uint32_t k = 0; k < w.n; k++) number &= scan_isdigit(w.p[k]);
        if (number && !sequence.p) sequence = w;
        else if (!number && is_host(w)) host = w;
        scan_spaces(&at);
        if (!sequence.p || !when_legacy(&at, &m->when, now_us, zone)) continue;
        m->msgid = sequence;
        m->hostname = host;
        *s = at;
        return true;
    }
    return false;
}

static bool starts_with(const struct scan *s, const char *text) {
    size_t n = strlen(text);
    return scan_left(s) >= n && memcmp(s->p, text, n) == 0;
}

// The host, if the next word is one: not the tag, not the text.
static void take_host(struct message *m, struct scan *s) {
    struct scan at = *s, tag = *s;
    struct slice w = scan_word(&at), ignored;
    if (starts_with(s, "last message repeated ")) return;
    scan_spaces(&at);
    if (w.n == 1 && *w.p == '-') {
        *s = at;
    } else if (w.n > 1 && w.p[w.n - 1] == ':' && *w.p != '%' && scan_peek(&at, 0) == '%') {
        m->hostname = slice_of(w.p, w.p + w.n - 1);
        *s = at;
    } else if (is_ipv6(w) || (is_host(w) && !take_tag(&tag, &ignored, &ignored))) {
        m->hostname = w;
        *s = at;
    }
}

// Meraki: RFC 5424's version, but seconds since 1970 for a timestamp and the rest as here.
static void take_version(struct message *m, struct scan *s, int64_t now_us, struct zone *zone) {
    struct scan at = *s;
    at.p += 2;
    if (when_legacy(&at, &m->when, now_us, zone)) *s = at;
}

void rfc3164_parse(struct message *m, struct scan s, const char *start, int64_t now_us, struct zone *zone) {
    (void)start;
    m->format = MESSAGE_RFC3164;
    scan_spaces(&s);
    if (scan_peek(&s, 0) == '1' && scan_peek(&s, 1) == ' ' && scan_isdigit(scan_peek(&s, 2))) take_version(m, &s, now_us, zone);
    bool timed = m->when.text.p || when_legacy(&s, &m->when, now_us, zone) || cisco_header(m, &s, now_us, zone);
    if (timed) scan_spaces(&s);
    if (m->when.known && !m->hostname.p) take_host(m, &s); // devices that tell their uptime do not name themselves
    if (!take_tag(&s, &m->app, &m->procid)) m->app = m->procid = (struct slice){NULL, 0};
    if (scan_left(&s) >= 3 && memcmp(s.p, "\xef\xbb\xbf", 3) == 0) s.p += 3;
    m->text = slice_of(s.p, s.end);
}
