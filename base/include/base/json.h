// SPDX-License-Identifier: Apache-2.0
// Streaming JSON: a writer onto a buf and a pull reader over borrowed bytes. No DOM, no allocation per value.
//
// RFC 8259. The writer puts the commas; the reader checks grammar and depth (64). Neither is thread-safe.
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include "base/buf.h"
#include "base/err.h"

struct json_writer {
    struct buf *out;
    uint64_t comma; // one bit a depth: a value was already written there
    unsigned depth;
    bool after_key;
};
static inline struct json_writer json_to(struct buf *out) { return (struct json_writer){.out = out}; }
void json_object(struct json_writer *w);
void json_object_end(struct json_writer *w);
void json_array(struct json_writer *w);
void json_array_end(struct json_writer *w);
void json_key(struct json_writer *w, struct str key);
void json_string(struct json_writer *w, struct str s); // invalid UTF-8 bytes become U+FFFD
void json_i64(struct json_writer *w, int64_t v);
void json_u64(struct json_writer *w, uint64_t v);
void json_double(struct json_writer *w, double v);     // NaN and infinities as strings "NaN", "Infinity", "-Infinity"
void json_bool(struct json_writer *w, bool v);
void json_null(struct json_writer *w);
// Bytes that need not be text: a string where they are UTF-8, else {"$base64":"…"}; null for p NULL.
#define JSON_BASE64 "$base64"
void json_bytes(struct json_writer *w, struct str s);
void json_raw(struct json_writer *w, struct str json); // a whole value, already JSON
// key and value in one.
void json_kz(struct json_writer *w, const char *key, const char *z); // NULL z writes null
void json_ks(struct json_writer *w, const char *key, struct str s);
void json_ki(struct json_writer *w, const char *key, int64_t v);
void json_kb(struct json_writer *w, const char *key, bool v);
// The characters of a JSON string without the quotes, escaped as Jackson does (", \, control characters; UTF-8 kept).
void json_escape(struct buf *out, struct str s);
// How many bytes at the front json_escape copies as they are: printable ASCII but quote and backslash.
size_t json_plain_prefix(const char *p, size_t n);
// Shortest text that reads back the same; as java.lang.Double/Float.toString formats it (1.0, 1.0E-5).
void json_print_double(struct buf *out, double v);
void json_print_float(struct buf *out, float v);

enum json_token {
    JSON_END,    // after the one top-level value
    JSON_BAD,    // malformed: json_reader.error says why, .at where
    JSON_OBJECT, JSON_OBJECT_END, JSON_ARRAY, JSON_ARRAY_END,
    JSON_KEY, JSON_STRING, JSON_NUMBER, JSON_TRUE, JSON_FALSE, JSON_NULL,
};
struct json_reader {
    struct str in;
    size_t at;
    unsigned depth;
    uint64_t is_object; // one bit a depth
    int state;
    struct str text;    // of KEY, STRING (unescaped, valid until the next call) and NUMBER (as written)
    struct buf scratch; // json_reader_done frees it
    const char *error;
};
void json_reader_init(struct json_reader *r, struct str in);
enum json_token json_next(struct json_reader *r);
// After OBJECT or ARRAY: skips to its end; after KEY: skips the value. False when malformed.
bool json_skip(struct json_reader *r);
// The raw bytes of the next value (no copy), after KEY or inside an array. {NULL,0} when malformed, and at an array's end,
// which it takes (error is NULL then).
struct str json_raw_value(struct json_reader *r);
void json_reader_done(struct json_reader *r);

#endif
