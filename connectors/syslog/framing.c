// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "framing.h"

enum { COUNT_DIGITS = 8 };
enum header { HEADER_NONE, HEADER_MAYBE, HEADER_OCTETS };

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static const char *line_end(const char *p, size_t n) {
    const char *lf = memchr(p, '\n', n), *nul = memchr(p, '\0', lf ? (size_t)(lf - p) : n);
    return nul ? nul : lf;
}

// Whether p begins with an octet count and a priority; MAYBE when it ends too early to tell.
static enum header octet_header(const char *p, size_t n, size_t *ret_count, size_t *ret_size) {
    size_t at = 0, count = 0, digits = 0;
    if (n && *p == '0') return HEADER_NONE;
    while (at < n && at < COUNT_DIGITS && is_digit(p[at])) count = count * 10 + (size_t)(p[at++] - '0');
    if (at == n) return HEADER_MAYBE;
    if (at == 0 || p[at] != ' ') return HEADER_NONE;
    *ret_size = ++at;
    *ret_count = count;
    if (at == n) return HEADER_MAYBE;
    if (p[at++] != '<') return HEADER_NONE;
    while (at < n && digits < 3 && is_digit(p[at])) at++, digits++;
    if (at == n) return HEADER_MAYBE;
    return digits && p[at] == '>' && count >= digits + 2 ? HEADER_OCTETS : HEADER_NONE;
}

// What remains of a frame above max is passed over. Returns the bytes of p done with; `more` when the end is not among them.
static size_t skip_rest(struct framing *f, const char *p, size_t n, bool *ret_more) {
    size_t used = n;
    if (f->skip) {
        used = f->skip < n ? (size_t)f->skip : n;
        f->skip -= used;
    } else if (f->skip_line) {
        const char *end = line_end(p, n);
        f->skip_line = !end;
        used = end ? (size_t)(end - p) + 1 : n;
    } else {
        used = 0;
    }
    *ret_more = f->skip || f->skip_line;
    return used;
}

// The longest prefix of p[0..max) that does not end inside a UTF-8 sequence.
static size_t cut_at(const char *p, size_t max) {
    size_t n = max;
    while (n && max - n < 3 && ((unsigned char)p[n] & 0xc0) == 0x80) n--;
    return n && ((unsigned char)p[n] & 0xc0) == 0x80 ? max : n;
}

static int take_octets(struct framing *f, const char *p, size_t n, bool eof, size_t count, struct frame *ret, size_t *ret_used) {
    size_t want = count < f->max ? count : f->max;
    if (n < want + (count > f->max) && !eof) return 0;
    *ret = (struct frame){p, n < want ? n : want, count > f->max, n < want};
    *ret_used += ret->n;
    if (ret->truncated && !ret->incomplete) {
        ret->n = n > want ? cut_at(p, want) : want;
        f->skip = count - want;
    }
    return 1;
}

static int take_line(struct framing *f, const char *p, size_t n, bool eof, struct frame *ret, size_t *ret_used) {
    const char *end = line_end(p, n);
    size_t length = end ? (size_t)(end - p) : n;
    if (!end && !eof && length <= f->max) return 0;
    *ret = (struct frame){p, length, false, !end};
    *ret_used += length + (end != NULL);
    if (length > f->max) {
        f->skip_line = !end;
        *ret = (struct frame){p, cut_at(p, f->max), true, false};
    } else if (end && length && p[length - 1] == '\r') {
        ret->n--;
    }
    return 1;
}

int framing_next(struct framing *f, const char *p, size_t n, bool eof, struct frame *ret, size_t *ret_used) {
    bool more;
    size_t count, size = 0, at = skip_rest(f, p, n, &more);
    *ret_used = at;
    if (more) return 0;
    // Between frames: trailers of the last one, empty lines, a CR of theirs.
    while (at < n && (p[at] == '\n' || p[at] == '\0' || (p[at] == '\r' && at + 1 < n && p[at + 1] == '\n'))) at++;
    *ret_used = at;
    if (at == n || (n - at == 1 && p[at] == '\r' && !eof)) return 0;
    switch (octet_header(p + at, n - at, &count, &size)) {
    case HEADER_MAYBE:
        if (!eof) return 0;
        break;
    case HEADER_OCTETS:
        *ret_used += size;
        if (take_octets(f, p + at + size, n - at - size, eof, count, ret, ret_used)) return 1;
        *ret_used = at;
        return 0;
    case HEADER_NONE: break;
    }
    return take_line(f, p + at, n - at, eof, ret, ret_used);
}
