// SPDX-License-Identifier: Apache-2.0
#include "dump_int.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"

void line_begin(struct dump *d, const char *kind, const char *text_prefix) {
    buf_clear(&d->line);
    d->json = json_to(&d->line);
    if (!d->o->json) {
        buf_putz(&d->line, text_prefix);
        return;
    }
    json_object(&d->json);
    json_kz(&d->json, "type", kind);
}

int line_end(struct dump *d, struct err *err) {
    if (d->o->json) json_object_end(&d->json);
    struct str line = buf_str(&d->line);
    if (line.n && line.p[line.n - 1] == ' ') line.n--;
    return d->o->write(d->o->arg, line) == 0 ? 0 : err_set(err, ERR_CANCELLED, "output stopped");
}

void field_int(struct dump *d, const char *name, int64_t v) {
    if (d->o->json) json_ki(&d->json, name, v);
    else buf_printf(&d->line, "%s: %" PRId64 " ", name, v);
}

void field_bool(struct dump *d, const char *name, bool v) {
    if (d->o->json) json_kb(&d->json, name, v);
    else buf_printf(&d->line, "%s: %s ", name, v ? "true" : "false");
}

void field_optional(struct dump *d, const char *name, int64_t v) {
    if (v >= 0) field_int(d, name, v);
    else if (d->o->json) json_kz(&d->json, name, NULL);
    else buf_printf(&d->line, "%s: none ", name);
}

void field_text(struct dump *d, const char *name, struct str s) {
    if (d->o->json) {
        json_ks(&d->json, name, s);
        return;
    }
    buf_printf(&d->line, "%s: ", name);
    json_escape(&d->line, s);
    buf_u8(&d->line, ' ');
}

// In text form bytes that are no text stand as base64 under another name.
void field_bytes(struct dump *d, const char *name, struct str s) {
    if (s.p && d->o->max_bytes) s = str_first(s, d->o->max_bytes);
    if (d->o->json) {
        json_key(&d->json, str_of(name));
        json_bytes(&d->json, s);
    } else if (!s.p) buf_printf(&d->line, "%s: null ", name);
    else if (utf8_valid(s)) field_text(d, name, s);
    else {
        buf_printf(&d->line, "%s_base64: ", name);
        base64_encode(&d->line, s.p, s.n);
        buf_u8(&d->line, ' ');
    }
}

void field_path(struct dump *d) {
    _cleanup_free_ char *path = xasprintf("%s%s", d->o->prefix ? d->o->prefix : "", d->path);
    field_text(d, "file", str_of(path));
}

static void headers_json(struct json_writer *w, struct record *r) {
    struct record_header h;
    json_key(w, STR("headers"));
    json_array(w);
    while (record_header_next(r, &h)) {
        json_array(w);
        json_string(w, h.name);
        json_bytes(w, h.null_value ? (struct str){NULL, 0} : h.value);
        json_array_end(w);
    }
    json_array_end(w);
}

// A name may come more than once, and order counts.
void field_headers(struct dump *d, struct record *r) {
    struct record_header h;
    if (!r->header_count) return;
    if (d->o->json) {
        headers_json(&d->json, r);
        return;
    }
    buf_putz(&d->line, "headers: [");
    while (record_header_next(r, &h)) {
        json_escape(&d->line, h.name);
        if (!h.null_value) buf_u8(&d->line, '=');
        json_escape(&d->line, h.value);
        if (cur_left(&r->headers)) buf_u8(&d->line, ',');
    }
    buf_putz(&d->line, "] ");
}

int line_fault(struct dump *d, const char *what, int64_t at, struct err *err) {
    d->result->faults++;
    line_begin(d, "fault", "FAULT ");
    field_path(d);
    field_int(d, "at", at);
    field_text(d, "fault", str_of(what));
    return line_end(d, err);
}
