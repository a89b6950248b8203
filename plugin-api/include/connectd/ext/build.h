/* SPDX-License-Identifier: Apache-2.0 */
/* Extension "connectd.build/1" (host): the inlines of record.h and build.h as functions, for languages that can not include
 * C headers (Rust, Go, Zig). Each does what the inline of its name does. [any], as the batch it is given.
 *
 *   const struct cn_build *build = host->ops->extension(host, "connectd.build/1");
 *
 * Cells go by pointer, so that no foreign compiler has to pass a struct by value. The table only grows at its end. */
#ifndef CONNECTD_EXT_BUILD_H
#define CONNECTD_EXT_BUILD_H

#include <connectd/build.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CN_EXT_BUILD "connectd.build/1"

struct cn_build {
    uint32_t struct_size;
    uint32_t reserved;

    /* ── building ── */
    cn_off (*alloc)(struct cn_batch *b, uint64_t n);
    void (*text)(struct cn_batch *b, const void *p, uint64_t n, struct cn_text *ret);
    uint32_t (*topic)(struct cn_batch *b, const char *name, uint64_t n);
    uint16_t (*schema_use)(struct cn_batch *b, const struct cn_schema_blob *s);
    uint32_t (*record)(struct cn_batch *b, uint32_t topic);
    cn_off (*cells)(struct cn_batch *b, uint32_t n);
    void (*string)(struct cn_batch *b, const void *p, uint64_t n, struct cn_cell *ret);
    void (*bytes)(struct cn_batch *b, const void *p, uint64_t n, struct cn_cell *ret);
    void (*set)(struct cn_batch *b, cn_off cells, uint32_t i, const struct cn_cell *c);
    void (*set_key)(struct cn_batch *b, uint32_t record, const struct cn_cell *c, uint16_t schema);
    void (*set_value)(struct cn_batch *b, uint32_t record, const struct cn_cell *c, uint16_t schema);
    void (*set_timestamp)(struct cn_batch *b, uint32_t record, int64_t milliseconds);
    void (*set_partition)(struct cn_batch *b, uint32_t record, int32_t partition);
    void (*header_add)(struct cn_batch *b, uint32_t record, const char *name, const struct cn_cell *value);
    void (*position)(struct cn_batch *b, const char *partition, const char *offset); /* offset NULL deletes */
    void (*boundary)(struct cn_batch *b, uint32_t boundary);                         /* enum cn_boundary */

    /* ── reading; pointers are valid until the batch is built on ── */
    uint32_t (*count)(const struct cn_batch *b);
    const struct cn_record *(*record_at)(const struct cn_batch *b, uint32_t i);
    const struct cn_cell *(*cells_at)(const struct cn_batch *b, cn_off at);
    const uint8_t *(*bytes_at)(const struct cn_batch *b, cn_off at);
    void (*topic_at)(const struct cn_batch *b, uint32_t i, struct cn_text *ret);
    const struct cn_header *(*headers_of)(const struct cn_batch *b, const struct cn_record *r);
    const struct cn_schema_blob *(*schema_at)(const struct cn_batch *b, uint16_t i); /* NULL: none */

    /* ── schemas: opaque builder; finish frees it and gives the blob, NULL when something failed ── */
    struct cn_schema_builder *(*sb_new)(void);
    cn_off (*sb_type)(struct cn_schema_builder *s, uint8_t type, int optional, const char *name, int32_t version);
    void (*sb_fields)(struct cn_schema_builder *s, cn_off node, const struct cn_sb_field *f, uint32_t n);
    cn_off (*sb_array)(struct cn_schema_builder *s, cn_off element, int optional);
    cn_off (*sb_map)(struct cn_schema_builder *s, cn_off key, cn_off element, int optional);
    void (*sb_params)(struct cn_schema_builder *s, cn_off node, const char *const *pairs, uint32_t n);
    void (*sb_default)(struct cn_schema_builder *s, cn_off node, const struct cn_cell *c, const void *p, uint32_t n);
    struct cn_schema_blob *(*sb_finish)(struct cn_schema_builder *s, cn_off root);
    void (*schema_free)(struct cn_schema_blob *s);
};

#ifdef __cplusplus
}
#endif
#endif
