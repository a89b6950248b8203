// SPDX-License-Identifier: Apache-2.0
// RFC 5424: <PRI>VERSION SP TIMESTAMP SP HOSTNAME SP APP-NAME SP PROCID SP MSGID SP STRUCTURED-DATA [SP MSG].
//
// Lenient where senders are known to err and nothing is lost by it: names longer than allowed, values without quotes,
// quotes not escaped, structured data left out. What can not be structured data becomes text, with the reason.
#include "message.h"

// A header field and the space after it; "-" and nothing are absent.
static struct slice header_field(struct scan *s) {
    struct slice w = scan_word(s);
    scan_char(s, ' ');
    return w.n == 0 || (w.n == 1 && *w.p == '-') ? (struct slice){NULL, 0} : w;
}

// The version and then "-" or a date, or else this is some other format whose text begins with a number.
static bool version_of_5424(struct scan *s) {
    int64_t version;
    if (!scan_digits(s, 3, &version) || version == 0 || !scan_char(s, ' ')) return false;
    if (scan_peek(s, 0) == '-') return scan_peek(s, 1) == ' ' || scan_peek(s, 1) == -1;
    for (size_t i = 0; i < 4; i++)
        if (!scan_isdigit(scan_peek(s, i))) return false;
    return scan_peek(s, 4) == '-';
}

static void timestamp_of_5424(struct message *m, struct scan *s, const char *start, struct zone *zone) {
    struct scan word = *s;
    struct slice text = header_field(s);
    if (!text.p) return;
    word.end = text.p + text.n;
    m->when.text = text;
    if (!when_rfc3339(&word, &m->when, zone) || !scan_done(&word)) {
        m->when = (struct when){.guessed = true, .text = text};
        message_fault(m, "timestamp is not RFC 3339", start, text.p);
    }
}

// After a quote: only these say that it closed the value; any other byte makes it a quote that should have been escaped.
static bool closes_value(const struct scan *s) {
    int next = scan_peek(s, 1);
    return next == ' ' || next == ']' || next == -1;
}

static bool quoted_value(struct scan *s, struct sd_param *p) {
    const char *from = ++s->p;
    for (; !scan_done(s); s->p++) {
        if (*s->p == '"' && closes_value(s)) {
            p->value = slice_of(from, s->p++);
            return true;
        }
        if (*s->p == '\\' && scan_left(s) > 1) {
            p->escaped = true;
            s->p++;
        }
    }
    return false;
}

static void plain_value(struct scan *s, struct sd_param *p) {
    const char *from = s->p;
    while (!scan_done(s) && *s->p != ' ' && *s->p != ']') s->p++;
    p->value = slice_of(from, s->p);
}

// NAME=VALUE.
static bool element_param(struct scan *s, struct sd_param *p) {
    const char *from = s->p;
    while (!scan_done(s) && *s->p != '=' && *s->p != ' ' && *s->p != ']' && *s->p != '"') s->p++;
    *p = (struct sd_param){.name = slice_of(from, s->p)};
    if (p->name.n == 0 || !scan_char(s, '=')) return false;
    if (scan_peek(s, 0) == '"') return quoted_value(s, p);
    plain_value(s, p);
    return true;
}

// [ID NAME="VALUE" …]
static bool data_element(struct message *m, struct scan *s) {
    if (m->element_count == MESSAGE_ELEMENTS || !scan_char(s, '[')) return false;
    const char *from = s->p;
    while (!scan_done(s) && *s->p != ' ' && *s->p != ']') s->p++;
    struct sd_element *e = &m->elements[m->element_count++];
    *e = (struct sd_element){slice_of(from, s->p), m->param_count, 0};
    for (;;) {
        scan_spaces(s);
        if (scan_char(s, ']')) return true;
        if (m->param_count == MESSAGE_PARAMS || !element_param(s, &m->params[m->param_count])) return false;
        m->param_count++;
        e->count++;
    }
}

static void structured_data(struct message *m, struct scan *s, const char *start) {
    struct scan begin = *s;
    if (scan_peek(s, 0) == '-' && (scan_peek(s, 1) == ' ' || scan_peek(s, 1) == -1)) {
        s->p++;
        return;
    }
    while (scan_peek(s, 0) == '[')
        if (!data_element(m, s)) {
            bool full = m->element_count == MESSAGE_ELEMENTS || m->param_count == MESSAGE_PARAMS;
            message_fault(m, full ? "more structured data than 64 elements or 256 parameters" : "structured data is malformed", start, s->p);
            m->element_count = m->param_count = 0;
            *s = begin;
            return;
        }
    if (s->p == begin.p && !scan_done(s)) message_fault(m, "structured data is missing", start, s->p);
}

bool rfc5424_parse(struct message *m, struct scan s, const char *start, int64_t now_us, struct zone *zone) {
    (void)now_us;
    if (!version_of_5424(&s)) return false;
    m->format = MESSAGE_RFC5424;
    timestamp_of_5424(m, &s, start, zone);
    m->hostname = header_field(&s);
    m->app = header_field(&s);
    m->procid = header_field(&s);
    if (scan_done(&s)) message_fault(m, "header ends early", start, s.p);
    m->msgid = header_field(&s);
    structured_data(m, &s, start);
    scan_char(&s, ' ');
    if (scan_left(&s) >= 3 && memcmp(s.p, "\xef\xbb\xbf", 3) == 0) s.p += 3;
    m->text = slice_of(s.p, s.end);
    return true;
}
