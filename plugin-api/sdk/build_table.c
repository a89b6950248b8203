/* SPDX-License-Identifier: Apache-2.0 */
#include "build_table.h"

static cn_off b_alloc(struct cn_batch *b, uint64_t n) { return cn_alloc(b, n); }
static void b_text(struct cn_batch *b, const void *p, uint64_t n, struct cn_text *ret) { *ret = cn_text(b, p, n); }
static uint32_t b_topic(struct cn_batch *b, const char *name, uint64_t n) { return cn_topic(b, name, n); }
static uint16_t b_schema_use(struct cn_batch *b, const struct cn_schema_blob *s) { return cn_schema_use(b, s); }
static uint32_t b_record(struct cn_batch *b, uint32_t topic) { return cn_record(b, topic); }
static cn_off b_cells(struct cn_batch *b, uint32_t n) { return cn_cells(b, n); }
static void b_string(struct cn_batch *b, const void *p, uint64_t n, struct cn_cell *ret) { *ret = cn_string(b, p, n); }
static void b_bytes(struct cn_batch *b, const void *p, uint64_t n, struct cn_cell *ret) { *ret = cn_bytes(b, p, n); }
static void b_set(struct cn_batch *b, cn_off cells, uint32_t i, const struct cn_cell *c) { cn_set(b, cells, i, *c); }
static void b_set_key(struct cn_batch *b, uint32_t record, const struct cn_cell *c, uint16_t schema) {
    cn_set_key(b, record, *c, schema);
}
static void b_set_value(struct cn_batch *b, uint32_t record, const struct cn_cell *c, uint16_t schema) {
    cn_set_value(b, record, *c, schema);
}
static void b_set_timestamp(struct cn_batch *b, uint32_t record, int64_t ms) {
    if (!b->failed) cn_record_at(b, record)->timestamp = ms;
}
static void b_set_partition(struct cn_batch *b, uint32_t record, int32_t partition) {
    if (!b->failed) cn_record_at(b, record)->partition = partition;
}
static void b_header_add(struct cn_batch *b, uint32_t record, const char *name, const struct cn_cell *value) {
    cn_header_add(b, record, name, *value);
}
static void b_position(struct cn_batch *b, const char *partition, const char *offset) { cn_position(b, partition, offset); }
static void b_boundary(struct cn_batch *b, uint32_t boundary) { cn_head(b)->boundary = (uint16_t)boundary; }

static uint32_t b_count(const struct cn_batch *b) { return cn_count(b); }
static const struct cn_record *b_record_at(const struct cn_batch *b, uint32_t i) { return cn_record_at(b, i); }
static const struct cn_cell *b_cells_at(const struct cn_batch *b, cn_off at) { return cn_cells_at(b, at); }
static const uint8_t *b_bytes_at(const struct cn_batch *b, cn_off at) { return b->base + at; }
static void b_topic_at(const struct cn_batch *b, uint32_t i, struct cn_text *ret) { *ret = *cn_topic_at(b, i); }
static const struct cn_header *b_headers_of(const struct cn_batch *b, const struct cn_record *r) { return cn_headers_of(b, r); }
static const struct cn_schema_blob *b_schema_at(const struct cn_batch *b, uint16_t i) { return cn_schema_blob_at(b, i); }

static struct cn_schema_builder *b_sb_new(void) { return calloc(1, sizeof(struct cn_schema_builder)); }
static cn_off b_sb_type(struct cn_schema_builder *s, uint8_t type, int optional, const char *name, int32_t version) {
    return cn_sb_type(s, type, optional, name, version);
}
static void b_sb_fields(struct cn_schema_builder *s, cn_off node, const struct cn_sb_field *f, uint32_t n) {
    cn_sb_fields(s, node, f, n);
}
static cn_off b_sb_array(struct cn_schema_builder *s, cn_off element, int optional) { return cn_sb_array(s, element, optional); }
static cn_off b_sb_map(struct cn_schema_builder *s, cn_off key, cn_off element, int optional) {
    return cn_sb_map(s, key, element, optional);
}
static void b_sb_params(struct cn_schema_builder *s, cn_off node, const char *const *pairs, uint32_t n) {
    cn_sb_params(s, node, pairs, n);
}
static void b_sb_default(struct cn_schema_builder *s, cn_off node, const struct cn_cell *c, const void *p, uint32_t n) {
    cn_sb_default(s, node, *c, p, n);
}
static struct cn_schema_blob *b_sb_finish(struct cn_schema_builder *s, cn_off root) {
    struct cn_schema_blob *blob = cn_sb_finish(s, root);
    free(s);
    return blob;
}
static void b_schema_free(struct cn_schema_blob *s) { free(s); }

static const struct cn_build table = {
    .struct_size = sizeof(struct cn_build),
    .alloc = b_alloc,
    .text = b_text,
    .topic = b_topic,
    .schema_use = b_schema_use,
    .record = b_record,
    .cells = b_cells,
    .string = b_string,
    .bytes = b_bytes,
    .set = b_set,
    .set_key = b_set_key,
    .set_value = b_set_value,
    .set_timestamp = b_set_timestamp,
    .set_partition = b_set_partition,
    .header_add = b_header_add,
    .position = b_position,
    .boundary = b_boundary,
    .count = b_count,
    .record_at = b_record_at,
    .cells_at = b_cells_at,
    .bytes_at = b_bytes_at,
    .topic_at = b_topic_at,
    .headers_of = b_headers_of,
    .schema_at = b_schema_at,
    .sb_new = b_sb_new,
    .sb_type = b_sb_type,
    .sb_fields = b_sb_fields,
    .sb_array = b_sb_array,
    .sb_map = b_sb_map,
    .sb_params = b_sb_params,
    .sb_default = b_sb_default,
    .sb_finish = b_sb_finish,
    .schema_free = b_schema_free,
};
const struct cn_build *cn_build_table(void) { return &table; }
