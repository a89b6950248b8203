// SPDX-License-Identifier: Apache-2.0
#include "cli/record_json.h"

#include "base/text.h"
#include "cli/serve.h"

static bool is_json(struct str s) {
    struct json_reader r;
    json_reader_init(&r, s);
    enum json_token t = json_next(&r);
    bool ok = t != JSON_BAD && t != JSON_END && ((t != JSON_OBJECT && t != JSON_ARRAY) || json_skip(&r)) && json_next(&r) == JSON_END;
    json_reader_done(&r);
    return ok;
}

// Line ends in JSON can only be white space.
static void put_json_line(struct buf *out, struct str s) {
    if (!memchr(s.p, '\n', s.n) && !memchr(s.p, '\r', s.n)) {
        buf_puts(out, s);
        return;
    }
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] != '\n' && s.p[i] != '\r') buf_u8(out, (uint8_t)s.p[i]);
}

static void put_text(struct buf *out, struct str s) {
    struct json_writer w = json_to(out);
    json_bytes(&w, s);
}

static void put_bytes(struct buf *out, struct str s) {
    if (s.p && utf8_valid(s) && is_json(s)) put_json_line(out, s);
    else put_text(out, s);
}

void record_json(const struct consumed *r, struct buf *out) {
    buf_putz(out, "{\"topic\":");
    put_text(out, str_of(r->topic));
    buf_printf(out, ",\"partition\":%d,\"offset\":", r->partition);
    buf_i64(out, r->offset);
    buf_putz(out, ",\"timestamp\":");
    buf_i64(out, r->timestamp);
    buf_putz(out, ",\"key\":");
    put_bytes(out, r->key);
    buf_putz(out, ",\"value\":");
    put_bytes(out, r->value);
    buf_putz(out, ",\"headers\":[");
    for (uint32_t i = 0; i < r->header_count; i++) {
        buf_putz(out, i ? ",[" : "[");
        put_text(out, r->headers[i].name);
        buf_u8(out, ',');
        put_text(out, r->headers[i].null_value ? (struct str){0} : str_make(r->headers[i].value.p ? r->headers[i].value.p : "", r->headers[i].value.n));
        buf_u8(out, ']');
    }
    buf_putz(out, "]}");
}

int record_bytes_of(const struct doc_node *n, struct buf *room, struct str *ret, struct err *err) {
    size_t from = room->n;
    const struct doc_node *mark = n && n->kind == JSON_OBJECT && doc_count(n) == 1 ? doc_get(n, JSON_BASE64) : NULL;
    *ret = (struct str){0};
    if (!n || n->kind == JSON_NULL) return 0;
    if (mark && !base64_decode(room, mark->text)) return err_set(err, ERR_INVALID, "%s: not base64", JSON_BASE64);
    if (!mark && n->kind == JSON_STRING) buf_puts(room, n->text);
    if (!mark && n->kind != JSON_STRING) {
        struct json_writer w = json_to(room);
        doc_write(n, &w);
    }
    if (!buf_reserve(room, 1)) return err_set(err, ERR_TOO_LARGE, "the record is too large");
    *ret = str_make(room->p + from, room->n - from); // room->p is not NULL: empty is not null
    return 0;
}
