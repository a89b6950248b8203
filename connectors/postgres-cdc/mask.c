/* SPDX-License-Identifier: Apache-2.0 */
#include "mask.h"

#include <openssl/evp.h>
#include <strings.h>

/* Fills a list from text split at commas, which are no part of the expressions here. */
static int compile_list(const char *text, struct filter **ret, char *error, size_t cap) {
    char *copy = strdup(text), *save = NULL;
    const char *items[256];
    struct cn_list list = {0, items};
    for (char *p = copy ? strtok_r(copy, ",", &save) : NULL; p && list.n < 256; p = strtok_r(NULL, ",", &save)) items[list.n++] = p;
    int r = filter_new(&list, ret, error, cap);
    free(copy);
    return r;
}

static int bad_name(const char *option, const char *name, const char *want, char *error, size_t cap) {
    snprintf(error, cap, "%s%s: must be %s%s", option, name, option, want);
    return -1;
}

/* "10.chars" */
static int parse_chars(const char *name, uint32_t *ret) {
    char *end;
    unsigned long v = strtoul(name, &end, 10);
    if (end == name || v > INT32_MAX || strcmp(end, ".chars") != 0) return -1;
    *ret = (uint32_t)v;
    return 0;
}

/* "[v2.]SHA-256.with.salt.CzQMA0cB5K" */
static int parse_hash(const char *name, struct mask *m) {
    const char *with = strstr(name, ".with.salt.");
    m->kind = MASK_HASH_V1;
    if (strncmp(name, "v2.", 3) == 0) m->kind = MASK_HASH_V2, name += 3;
    if (!with || with <= name || (size_t)(with - name) >= sizeof m->algorithm) return -1;
    memcpy(m->algorithm, name, (size_t)(with - name));
    m->algorithm[with - name] = 0;
    m->salt = with + strlen(".with.salt.");
    return EVP_get_digestbyname(m->algorithm) ? 0 : -1;
}

static int add(struct masks *m, const struct cn_pairs *pairs, const char *option, uint8_t kind, char *error, size_t cap) {
    for (uint32_t i = 0; i < pairs->n; i++) {
        struct mask *r = &m->rules[m->n];
        memset(r, 0, sizeof *r);
        r->kind = kind;
        if (kind == MASK_HASH_V1 ? parse_hash(pairs->names[i], r) : parse_chars(pairs->names[i], &r->length))
            return bad_name(option, pairs->names[i], kind == MASK_HASH_V1 ? "[v2.]ALGORITHM.with.salt.SALT" : "N.chars", error, cap);
        if (compile_list(pairs->values[i], &r->columns, error, cap) != 0) return -1;
        m->n++;
    }
    return 0;
}

int masks_init(struct masks *m, const struct options *o, char *error, size_t cap) {
    memset(m, 0, sizeof *m);
    m->rules = calloc((size_t)o->truncate.n + o->mask.n + o->mask_hash.n + 1, sizeof *m->rules);
    if (!m->rules) {
        snprintf(error, cap, "out of memory");
        return -1;
    }
    if (add(m, &o->truncate, "column.truncate.to.", MASK_TRUNCATE, error, cap) != 0) return -1;
    if (add(m, &o->mask, "column.mask.with.", MASK_STARS, error, cap) != 0) return -1;
    return add(m, &o->mask_hash, "column.mask.hash.", MASK_HASH_V1, error, cap);
}

void masks_done(struct masks *m) {
    for (uint32_t i = 0; i < m->n; i++) filter_free(m->rules[i].columns);
    free(m->rules);
    memset(m, 0, sizeof *m);
}

const struct mask *masks_find(const struct masks *m, const char *column) {
    for (uint32_t i = 0; i < m->n; i++)
        if (filter_match(m->rules[i].columns, column)) return &m->rules[i];
    return NULL;
}

/* The bytes of the first `max` UTF-16 units, which is how Java counts characters; a surrogate pair is kept whole or left out. */
static uint32_t cut(const uint8_t *p, uint32_t n, uint32_t max) {
    uint32_t units = 0, i = 0;
    while (i < n) {
        uint32_t len = p[i] < 0x80 ? 1 : p[i] < 0xe0 ? 2 : p[i] < 0xf0 ? 3 : 4;
        units += len == 4 ? 2 : 1;
        if (units > max || i + len > n) break;
        i += len;
    }
    return i;
}

static struct cn_cell stars(struct cn_batch *b, uint32_t n) {
    cn_off at = cn_alloc(b, n + 1);
    if (!at) return cn_null();
    memset(b->base + at, '*', n);
    return cn_run(CN_STRING, at, n);
}

/* How Java serialises a String, which is what version 1 hashes. */
static void java_string_head(EVP_MD_CTX *ctx, uint32_t n) {
    uint8_t head[13] = {0xac, 0xed, 0, 5, n > 65535 ? 0x7c : 0x74};
    size_t len = 5, size = n > 65535 ? 8 : 2;
    for (size_t i = 0; i < size; i++) head[len++] = (uint8_t)((uint64_t)n >> 8 * (size - 1 - i));
    EVP_DigestUpdate(ctx, head, len);
}

static struct cn_cell hash(const struct mask *m, struct cn_batch *b, struct cn_cell v, int32_t max_length) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    char hex[EVP_MAX_MD_SIZE * 2 + 1];
    unsigned n = 0;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    if (!ctx || !EVP_DigestInit_ex(ctx, EVP_get_digestbyname(m->algorithm), NULL)) {
        EVP_MD_CTX_free(ctx);
        return cn_null();
    }
    EVP_DigestUpdate(ctx, m->salt, strlen(m->salt));
    if (m->kind == MASK_HASH_V1) java_string_head(ctx, v.n);
    EVP_DigestUpdate(ctx, b->base + v.u.at, v.n);
    EVP_DigestFinal_ex(ctx, digest, &n);
    EVP_MD_CTX_free(ctx);
    for (unsigned i = 0; i < n; i++) snprintf(hex + i * 2, 3, "%02x", digest[i]);
    unsigned len = max_length > 0 && (unsigned)max_length < n * 2 ? (unsigned)max_length : n * 2;
    return cn_string(b, hex, len);
}

struct cn_cell mask_apply(const struct mask *m, struct cn_batch *b, struct cn_cell v, int32_t max_length) {
    if (b->failed) return v;
    switch (m->kind) {
    case MASK_TRUNCATE:
        if (v.type == CN_STRING) v.n = cut(b->base + v.u.at, v.n, m->length);
        else if (v.type == CN_BYTES && v.n > m->length) v.n = m->length;
        return v;
    case MASK_STARS: return stars(b, m->length);
    default: return v.type == CN_STRING ? hash(m, b, v, max_length) : cn_null();
    }
}
