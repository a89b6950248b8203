// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>

#include <connectd/json.h>

#include "linerec.h"

enum { F_FILE, F_OFFSET, F_LINE, F_TRUNCATED, F_INCOMPLETE, F_ERROR, F_RAW, FIELDS }; // from truncated on: absent unless there is something to say

static struct cn_schema_blob *line_schema(void) {
    static const struct { const char *name; uint8_t type; } fields[FIELDS] = {
        {"file", CN_STRING}, {"offset", CN_INT64}, {"line", CN_STRING}, {"truncated", CN_BOOLEAN}, {"incomplete", CN_BOOLEAN},
        {"parse_error", CN_STRING}, {"raw", CN_BYTES},
    };
    struct cn_schema_builder s = {0};
    struct cn_sb_field rows[FIELDS];
    for (int i = 0; i < FIELDS; i++) rows[i] = (struct cn_sb_field){fields[i].name, cn_sb_type(&s, fields[i].type, i >= F_TRUNCATED, NULL, 0)};
    cn_off root = cn_sb_type(&s, CN_STRUCT, 0, "connectd.file.Line", 1);
    cn_sb_fields(&s, root, rows, FIELDS);
    return cn_sb_finish(&s, root);
}

int linerec_init(struct linerec *r, const struct linerec_options *options) {
    memset(r, 0, sizeof *r);
    r->options = *options;
    r->schema = line_schema();
    return r->schema ? 0 : -1;
}

void linerec_done(struct linerec *r) {
    free(r->schema);
    memset(r, 0, sizeof *r);
}

void linerec_begin(struct linerec *r, struct cn_batch *b) {
    static const char path_name[] = "file.path", offset_name[] = "file.offset";
    r->batch++;
    r->topic = cn_topic(b, r->options.topic, strlen(r->options.topic));
    r->value_schema = r->options.format == LINE_STRUCT ? cn_schema_use(b, r->schema) : CN_NO_SCHEMA;
    if (!r->options.headers) return;
    r->path_name = cn_text(b, path_name, sizeof path_name - 1);
    r->offset_name = cn_text(b, offset_name, sizeof offset_name - 1);
}

static struct cn_cell path_cell(struct linerec *r, struct cn_batch *b, struct line_path *path) {
    if (path->batch != r->batch) {
        size_t n = strlen(path->text);
        char *mended = malloc(3 * n + 1);
        if (!mended) abort();
        path->shared = cn_text(b, mended, cn_utf8_mend(mended, path->text, n));
        path->batch = r->batch;
        free(mended);
    }
    return cn_run(CN_STRING, path->shared.at, path->shared.n);
}

static void add_headers(struct linerec *r, struct cn_batch *b, uint32_t record, struct cn_cell path, int64_t offset) {
    cn_off at = cn_headers(b, record, 2);
    if (!at) return;
    struct cn_header *h = CN_AT(struct cn_header, b, at);
    h[0] = (struct cn_header){.name = r->path_name, .value = path, .schema = CN_NO_SCHEMA};
    h[1] = (struct cn_header){.name = r->offset_name, .value = cn_int(CN_INT64, offset), .schema = CN_NO_SCHEMA};
}

// The line as a string, which must be UTF-8: where it is not, what is wrong is replaced, and *ret_bad says from which byte on.
static struct cn_cell string_cell(struct cn_batch *b, const struct line *line, cn_off at, size_t *ret_bad) {
    *ret_bad = cn_utf8_valid(cn_bytes_at(b, at), line->n);
    if (*ret_bad == line->n) return cn_run(CN_STRING, at, (uint32_t)line->n);
    cn_off to = cn_alloc(b, 3 * line->n);
    if (!to) return cn_null();
    return cn_run(CN_STRING, to, (uint32_t)cn_utf8_mend((char *)b->base + to, b->base + at, line->n));
}

static struct cn_cell error_cell(struct cn_batch *b, size_t bad) {
    char text[64];
    int n = snprintf(text, sizeof text, "not UTF-8 at byte %zu: replaced", bad);
    return cn_string(b, text, (size_t)n);
}

static struct cn_cell struct_cell(struct linerec *r, struct cn_batch *b, struct line_path *path, const struct line *line, cn_off at, int64_t offset) {
    struct cn_cell cells[FIELDS];
    size_t bad;
    cells[F_FILE] = path_cell(r, b, path);
    cells[F_OFFSET] = cn_int(CN_INT64, offset);
    cells[F_LINE] = string_cell(b, line, at, &bad);
    cells[F_TRUNCATED] = line->truncated ? cn_bool(1) : cn_absent();
    cells[F_INCOMPLETE] = line->incomplete ? cn_bool(1) : cn_absent();
    cells[F_ERROR] = bad < line->n ? error_cell(b, bad) : cn_absent();
    cells[F_RAW] = bad < line->n ? cn_run(CN_BYTES, at, (uint32_t)line->n) : cn_absent();
    r->invalid += bad < line->n;
    cn_off to = cn_alloc(b, sizeof cells);
    if (to) memcpy(cn_cells_at(b, to), cells, sizeof cells);
    return cn_run(CN_STRUCT, to, FIELDS);
}

// The line alone; what is odd about it goes into headers.
static void set_plain(struct linerec *r, struct cn_batch *b, uint32_t record, const struct line *line, cn_off at) {
    size_t bad = line->n;
    if (r->options.format == LINE_BYTES) cn_set_value(b, record, cn_run(CN_BYTES, at, (uint32_t)line->n), CN_NO_SCHEMA);
    else cn_set_value(b, record, string_cell(b, line, at, &bad), CN_NO_SCHEMA);
    if (line->truncated) cn_header_add(b, record, "file.truncated", cn_bool(1));
    if (line->incomplete) cn_header_add(b, record, "file.incomplete", cn_bool(1));
    if (bad == line->n) return;
    r->invalid++;
    cn_header_add(b, record, "file.parse_error", error_cell(b, bad));
    cn_header_add(b, record, "file.raw", cn_run(CN_BYTES, at, (uint32_t)line->n));
}

void linerec_add(struct linerec *r, struct cn_batch *b, struct line_path *path, const struct line *line, cn_off at, int64_t offset) {
    uint32_t record = cn_record(b, r->topic);
    if (b->failed) return;
    if (r->options.headers) add_headers(r, b, record, path_cell(r, b, path), offset);
    if (r->options.key == LINE_KEY_PATH) cn_set_key(b, record, path_cell(r, b, path), CN_NO_SCHEMA);
    if (r->options.format == LINE_STRUCT) cn_set_value(b, record, struct_cell(r, b, path, line, at, offset), r->value_schema);
    else set_plain(r, b, record, line, at);
    r->lines++;
    r->bytes += (int64_t)line->n;
    r->truncated += line->truncated;
}
