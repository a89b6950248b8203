// SPDX-License-Identifier: Apache-2.0
// The JSON pull reader: RFC 8259's grammar as a small state machine over borrowed bytes.
//
//   VALUE ── scalar ──► AFTER ── end of input at depth 0 ──► END
//     │                  ▲ │
//     ├── '{' ► FIRST_KEY ─┤ '}'        KEY and FIRST_KEY ── "key": ──► VALUE
//     └── '[' ► FIRST_ITEM ┘ ']'        AFTER ── ',' ──► KEY or VALUE
#include "base/json.h"
#include "base/text.h"

enum { READER_DEPTH = 64 };
enum { AT_VALUE, AT_FIRST_ITEM, AT_FIRST_KEY, AT_KEY, AT_AFTER, AT_END, AT_BAD };

void json_reader_init(struct json_reader *r, struct str in) { *r = (struct json_reader){.in = in, .state = AT_VALUE}; }

void json_reader_done(struct json_reader *r) { buf_done(&r->scratch); }

static enum json_token reader_fail(struct json_reader *r, const char *why) {
    if (r->state != AT_BAD) r->error = why;
    r->state = AT_BAD;
    return JSON_BAD;
}

static int peek_char(const struct json_reader *r) { return r->at < r->in.n ? (uint8_t)r->in.p[r->at] : -1; }

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }

static int skip_space(struct json_reader *r) {
    while (r->at < r->in.n && is_space(r->in.p[r->at])) r->at++;
    return peek_char(r);
}

static bool in_object(const struct json_reader *r) { return r->depth && (r->is_object >> (r->depth - 1) & 1); }

static enum json_token reader_open(struct json_reader *r, bool object) {
    if (r->depth == READER_DEPTH) return reader_fail(r, "nested more than 64 deep");
    r->at++;
    r->is_object = (r->is_object & ~(1ull << r->depth)) | (uint64_t)object << r->depth;
    r->depth++;
    r->state = object ? AT_FIRST_KEY : AT_FIRST_ITEM;
    return object ? JSON_OBJECT : JSON_ARRAY;
}

static enum json_token reader_close(struct json_reader *r) {
    bool object = in_object(r);
    r->at++;
    r->depth--;
    r->state = AT_AFTER;
    return object ? JSON_OBJECT_END : JSON_ARRAY_END;
}

static enum json_token read_word(struct json_reader *r, struct str word, enum json_token token) {
    if (!str_starts(str_from(r->in, r->at), word)) return reader_fail(r, "unknown word");
    r->at += word.n;
    r->state = AT_AFTER;
    return token;
}

static size_t skip_digits(struct json_reader *r) {
    size_t from = r->at;
    while (r->at < r->in.n && r->in.p[r->at] >= '0' && r->in.p[r->at] <= '9') r->at++;
    return r->at - from;
}

static enum json_token read_number(struct json_reader *r) {
    size_t from = r->at;
    if (peek_char(r) == '-') r->at++;
    if (peek_char(r) == '0') r->at++;
    else if (!skip_digits(r)) return reader_fail(r, "digit expected");
    if (peek_char(r) == '.') {
        r->at++;
        if (!skip_digits(r)) return reader_fail(r, "digit expected after the point");
    }
    if (peek_char(r) == 'e' || peek_char(r) == 'E') {
        r->at++;
        if (peek_char(r) == '+' || peek_char(r) == '-') r->at++;
        if (!skip_digits(r)) return reader_fail(r, "digit expected in the exponent");
    }
    r->text = str_make(r->in.p + from, r->at - from);
    r->state = AT_AFTER;
    return JSON_NUMBER;
}

// Four hex digits after \u, or -1.
static int32_t read_hex4(struct json_reader *r) {
    int32_t v = 0;
    if (r->in.n - r->at < 4) return -1;
    for (int i = 0; i < 4; i++) {
        char c = r->in.p[r->at++], low = (char)(c | 0x20);
        if (c >= '0' && c <= '9') v = v << 4 | (c - '0');
        else if (low >= 'a' && low <= 'f') v = v << 4 | (low - 'a' + 10);
        else return -1;
    }
    return v;
}

static void put_utf8(struct buf *b, uint32_t c) {
    if (c < 0x80) buf_u8(b, (uint8_t)c);
    else if (c < 0x800) buf_put(b, (uint8_t[]){(uint8_t)(0xc0 | c >> 6), (uint8_t)(0x80 | (c & 63))}, 2);
    else if (c < 0x10000) {
        buf_put(b, (uint8_t[]){(uint8_t)(0xe0 | c >> 12), (uint8_t)(0x80 | (c >> 6 & 63)), (uint8_t)(0x80 | (c & 63))}, 3);
    } else {
        buf_put(b,
                (uint8_t[]){(uint8_t)(0xf0 | c >> 18), (uint8_t)(0x80 | (c >> 12 & 63)),
                            (uint8_t)(0x80 | (c >> 6 & 63)), (uint8_t)(0x80 | (c & 63))},
                4);
    }
}

// A pair makes one character; half a pair has no UTF-8 form and becomes U+FFFD.
static bool read_unicode(struct json_reader *r) {
    int32_t c = read_hex4(r);
    if (c < 0) return false;
    if (c >= 0xd800 && c < 0xdc00 && str_starts(str_from(r->in, r->at), STR("\\u"))) {
        size_t back = r->at;
        r->at += 2;
        int32_t low = read_hex4(r);
        if (low < 0) return false;
        if (low >= 0xdc00 && low < 0xe000) c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
        else r->at = back;
    }
    put_utf8(&r->scratch, c >= 0xd800 && c < 0xe000 ? 0xfffd : (uint32_t)c);
    return true;
}

static bool read_escape(struct json_reader *r) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    r->at++; // the backslash
    int c = peek_char(r);
    r->at++;
    if (c == 'u') return read_unicode(r);
    const char *hit = c > 0 ? strchr(names, c) : NULL;
    if (hit) buf_u8(&r->scratch, (uint8_t)values[hit - names]);
    return hit;
}

// Bytes up to the next quote, backslash or control character.
static size_t string_run(struct str s) {
    size_t n = 0;
    while (n < s.n && s.p[n] != '"' && s.p[n] != '\\' && (uint8_t)s.p[n] >= 0x20) n++;
    return n;
}

// At the opening quote. Text without escapes stays where it is; else it is put together in scratch.
static bool read_string(struct json_reader *r) {
    r->at++;
    r->scratch.n = 0;
    for (bool escaped = false;;) {
        struct str run = str_from(r->in, r->at);
        run.n = string_run(run);
        r->at += run.n;
        if (!utf8_valid(run)) return reader_fail(r, "string is not UTF-8"), false;
        int c = peek_char(r);
        if (c < 0) return reader_fail(r, "string without end"), false;
        if (c < 0x20) return reader_fail(r, "control character in string"), false;
        if (escaped || c == '\\') buf_puts(&r->scratch, run);
        if (c == '"') {
            r->at++;
            r->text = escaped ? buf_str(&r->scratch) : run;
            return true;
        }
        escaped = true;
        if (!read_escape(r)) return reader_fail(r, "bad escape in string"), false;
    }
}

static enum json_token read_key(struct json_reader *r) {
    if (skip_space(r) != '"') return reader_fail(r, "key expected");
    if (!read_string(r)) return JSON_BAD;
    if (skip_space(r) != ':') return reader_fail(r, "':' expected after the key");
    r->at++;
    r->state = AT_VALUE;
    return JSON_KEY;
}

static enum json_token read_value(struct json_reader *r) {
    switch (skip_space(r)) {
    case '{': return reader_open(r, true);
    case '[': return reader_open(r, false);
    case 't': return read_word(r, STR("true"), JSON_TRUE);
    case 'f': return read_word(r, STR("false"), JSON_FALSE);
    case 'n': return read_word(r, STR("null"), JSON_NULL);
    case '"':
        if (!read_string(r)) return JSON_BAD;
        r->state = AT_AFTER;
        return JSON_STRING;
    case '-': case '0': case '1': case '2': case '3': case '4': case '5': case '6': case '7': case '8': case '9':
        return read_number(r);
    case -1: return reader_fail(r, "value expected, input ends");
    default: return reader_fail(r, "value expected");
    }
}

// After a value inside a container: takes the comma. False at the container's end or when neither is there.
static bool take_comma(struct json_reader *r) {
    if (r->state != AT_AFTER || !r->depth || skip_space(r) != ',') return false;
    r->at++;
    r->state = in_object(r) ? AT_KEY : AT_VALUE;
    return true;
}

static enum json_token read_after(struct json_reader *r) {
    int c = skip_space(r);
    if (!r->depth) {
        if (c >= 0) return reader_fail(r, "more after the value");
        r->state = AT_END;
        return JSON_END;
    }
    if (c == (in_object(r) ? '}' : ']')) return reader_close(r);
    return reader_fail(r, in_object(r) ? "',' or '}' expected" : "',' or ']' expected");
}

enum json_token json_next(struct json_reader *r) {
    take_comma(r);
    switch (r->state) {
    case AT_VALUE: return read_value(r);
    case AT_FIRST_ITEM: return skip_space(r) == ']' ? reader_close(r) : read_value(r);
    case AT_FIRST_KEY: return skip_space(r) == '}' ? reader_close(r) : read_key(r);
    case AT_KEY: return read_key(r);
    case AT_AFTER: return read_after(r);
    case AT_END: return JSON_END;
    default: return JSON_BAD;
    }
}

static bool skip_to_depth(struct json_reader *r, unsigned depth) {
    while (r->depth > depth)
        if (json_next(r) == JSON_BAD) return false;
    return true;
}

static bool skip_value(struct json_reader *r) {
    unsigned depth = r->depth;
    return json_next(r) != JSON_BAD && skip_to_depth(r, depth);
}

bool json_skip(struct json_reader *r) {
    switch (r->state) {
    case AT_FIRST_ITEM:
    case AT_FIRST_KEY: return skip_to_depth(r, r->depth - 1);
    case AT_VALUE: return skip_value(r);
    default: return r->state != AT_BAD;
    }
}

struct str json_raw_value(struct json_reader *r) {
    take_comma(r);
    int c = skip_space(r);
    size_t from = r->at;
    if (r->state == AT_FIRST_ITEM && c != ']') r->state = AT_VALUE;
    if (r->state == AT_VALUE && skip_value(r)) return str_make(r->in.p + from, r->at - from);
    if (r->state != AT_BAD) json_next(r); // the container's end
    return (struct str){NULL, 0};
}
