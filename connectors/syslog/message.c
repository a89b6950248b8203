// SPDX-License-Identifier: Apache-2.0
// What both formats share: the trailer, the priority, and the choice between them.
#include <stddef.h>

#include "message.h"

static size_t message_without_trailer(const char *p, size_t n) {
    while (n && (p[n - 1] == '\n' || p[n - 1] == '\r' || p[n - 1] == '\0')) n--;
    return n;
}

// "<13>": one to three digits, 0 to 191. A number above that is taken away too, since it can be nothing else.
static void message_priority(struct message *m, struct scan *s, const char *start) {
    struct scan at = *s;
    int64_t value;
    if (!scan_char(&at, '<') || !scan_digits(&at, 3, &value) || !scan_char(&at, '>')) {
        message_fault(m, "no priority", start, s->p);
        return;
    }
    if (value <= 191) m->priority = (int32_t)value;
    else message_fault(m, "priority above 191", start, s->p);
    *s = at;
}

static void message_reset(struct message *m) {
    memset(m, 0, offsetof(struct message, elements));
    m->priority = -1;
}

void message_parse(struct message *m, const char *p, size_t n, int64_t now_us, struct zone *zone) {
    struct scan s = scan_of(p, message_without_trailer(p, n));
    message_reset(m);
    message_priority(m, &s, p);
    if (s.p == p) { // without a priority nothing tells a header from text
        m->text = slice_of(s.p, s.end);
        return;
    }
    if (!rfc5424_parse(m, s, p, now_us, zone)) rfc3164_parse(m, s, p, now_us, zone);
}
