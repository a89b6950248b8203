// SPDX-License-Identifier: Apache-2.0
// The JSON writer: commas, escapes, members.
#include "base/json.h"

#include <assert.h>
#include <math.h>

#include "base/mem.h"
#include "base/text.h"

enum { WRITER_DEPTH = 64 };

static void before_value(struct json_writer *w) {
    uint64_t bit = w->depth ? 1ull << (w->depth - 1) : 0;
    if (w->after_key) w->after_key = false;
    else if (w->comma & bit) buf_u8(w->out, ',');
    w->comma |= bit;
}

static void json_open(struct json_writer *w, uint8_t bracket) {
    assert(w->depth < WRITER_DEPTH);
    before_value(w);
    buf_u8(w->out, bracket);
    w->comma &= ~(1ull << w->depth++);
}

static void json_close(struct json_writer *w, uint8_t bracket) {
    assert(w->depth);
    w->depth--;
    buf_u8(w->out, bracket);
}

void json_object(struct json_writer *w) { json_open(w, '{'); }
void json_object_end(struct json_writer *w) { json_close(w, '}'); }
void json_array(struct json_writer *w) { json_open(w, '['); }
void json_array_end(struct json_writer *w) { json_close(w, ']'); }

void json_string(struct json_writer *w, struct str s) {
    before_value(w);
    buf_u8(w->out, '"');
    json_escape(w->out, s);
    buf_u8(w->out, '"');
}

void json_bytes(struct json_writer *w, struct str s) {
    if (!s.p) json_null(w);
    else if (utf8_valid(s)) json_string(w, s);
    else {
        before_value(w);
        buf_putz(w->out, "{\"" JSON_BASE64 "\":\"");
        base64_encode(w->out, s.p, s.n);
        buf_putz(w->out, "\"}");
    }
}

void json_key(struct json_writer *w, struct str key) {
    json_string(w, key);
    buf_u8(w->out, ':');
    w->after_key = true;
}

void json_i64(struct json_writer *w, int64_t v) {
    before_value(w);
    buf_i64(w->out, v);
}

void json_u64(struct json_writer *w, uint64_t v) {
    before_value(w);
    buf_u64(w->out, v);
}

void json_double(struct json_writer *w, double v) {
    before_value(w);
    if (!isfinite(v)) buf_u8(w->out, '"');
    json_print_double(w->out, v);
    if (!isfinite(v)) buf_u8(w->out, '"');
}

void json_raw(struct json_writer *w, struct str json) {
    before_value(w);
    buf_puts(w->out, json);
}

void json_bool(struct json_writer *w, bool v) { json_raw(w, v ? STR("true") : STR("false")); }

void json_null(struct json_writer *w) { json_raw(w, STR("null")); }

void json_kz(struct json_writer *w, const char *key, const char *z) {
    json_key(w, str_of(key));
    if (z) json_string(w, str_of(z));
    else json_null(w);
}

void json_ks(struct json_writer *w, const char *key, struct str s) {
    json_key(w, str_of(key));
    json_string(w, s);
}

void json_ki(struct json_writer *w, const char *key, int64_t v) {
    json_key(w, str_of(key));
    json_i64(w, v);
}

void json_kb(struct json_writer *w, const char *key, bool v) {
    json_key(w, str_of(key));
    json_bool(w, v);
}

#define ONES 0x0101010101010101ull
#define HIGHS 0x8080808080808080ull

static uint64_t has_zero(uint64_t v) { return (v - ONES) & ~v & HIGHS; }

static bool is_plain(uint8_t c) { return c >= 0x20 && c < 0x80 && c != '"' && c != '\\'; }

// Eight at a time; the test may stop early (never late) at the eight that hold a special one.
size_t json_plain_prefix(const char *p, size_t n) {
    size_t i = 0;
    for (uint64_t v; i + 8 <= n; i += 8) {
        memcpy(&v, p + i, 8);
        uint64_t special = v | has_zero(v ^ ONES * '"') | has_zero(v ^ ONES * '\\') | ((v - ONES * 0x20) & ~v);
        if (special & HIGHS) break;
    }
    while (i < n && is_plain((uint8_t)p[i])) i++;
    return i;
}

static void escape_ascii(struct buf *out, uint8_t c) {
    static const char hex[] = "0123456789ABCDEF";
    static const char letters[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r',
                                   ['"'] = '"',  ['\\'] = '\\'};
    if (c < sizeof(letters) && letters[c]) {
        buf_put(out, (char[2]){'\\', letters[c]}, 2);
        return;
    }
    buf_put(out, (char[6]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
}

void json_escape(struct buf *out, struct str s) {
    for (;;) {
        size_t n = json_plain_prefix(s.p, s.n);
        // Valid text beyond ASCII joins the run, so that it is copied at once.
        for (size_t more; n < s.n && (uint8_t)s.p[n] >= 0x80 && (more = utf8_sequence(str_from(s, n)));) {
            n += more;
            n += json_plain_prefix(s.p + n, s.n - n);
        }
        buf_put(out, s.p, n);
        if (n == s.n) return;
        uint8_t c = (uint8_t)s.p[n];
        if (c < 0x80) escape_ascii(out, c);
        else buf_putz(out, "\xef\xbf\xbd");
        s = str_from(s, n + 1);
    }
}
