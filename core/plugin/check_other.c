// SPDX-License-Identifier: Apache-2.0
// The cases of transforms, predicates and converters.
#include <stdlib.h>

#include "base/mem.h"
#include "plugin/check_int.h"
#include "plugin/check_records.h"

// ── transforms and predicates ──

static void case_apply(struct checking *k) {
    check_open(k);
    for (unsigned shape = 0; shape < CHECK_SHAPES + 4; shape++) {
        char when[40];
        snprintf(when, sizeof when, "apply on shape %u", shape);
        check_region(k);
        uint32_t r = check_record(testhost_batch(k->t), "check", shape);
        check_step(k, when);
        int rc = testhost_apply(k->t, r);
        if (rc < CN_APPLY_FAILED || rc > 1) check_fail(k, "%s returned %d", when, rc);
        if (rc == CN_APPLY_FAILED) check_said_why(k, "apply");
        if (rc == CN_APPLY_FAILED && k->t->failure.fail_class != CN_FAIL_RECORD) check_fail(k, "%s: failures of a record are CN_FAIL_RECORD, this is class %d: %s", when, k->t->failure.fail_class, k->t->failure.text);
        if (rc != CN_APPLY_FAILED) check_batch(k, when);
        check_manners(k);
    }
    check_close(k);
}

// ── converters ──

// The host's growing bytes: a fresh place at each growth.
static int reserve(struct cn_out *o, size_t more) {
    if (more <= o->cap - o->n) return 0;
    if (o->n + more > 64 << 20) return -1;
    uint8_t *p = xmalloc(o->n + more + 64);
    if (o->n) memcpy(p, o->p, o->n);
    free(o->p);
    o->p = p;
    o->cap = o->n + more + 64;
    return 0;
}

static void said_record(struct checking *k, const char *op) {
    check_said_why(k, op);
    if (k->t->failure.fail_class != CN_FAIL_RECORD) check_fail(k, "%s: a value it can not convert is CN_FAIL_RECORD, this is class %d: %s", op, k->t->failure.fail_class, k->t->failure.text);
}

static void back(struct checking *k, const void *p, size_t n) {
    const struct cn_converter_ops *ops = &k->component->ops.converter;
    struct cn_cell c = cn_null();
    uint16_t schema = CN_NO_SCHEMA;
    check_region(k);
    struct cn_batch *b = testhost_batch(k->t);
    uint32_t r = cn_record(b, cn_topic(b, "check", 5));
    struct cn_text topic = *cn_topic_at(b, 0);
    uint8_t *copy = xmalloc(n ? n : 1); // its end is where the bytes end
    if (n) memcpy(copy, p, n);
    check_step(k, "to_record");
    int rc = ops->to_record(k->t->task, b, &topic, p ? copy : NULL, n, &c, &schema);
    free(copy);
    if (rc != 0) {
        said_record(k, "to_record");
        return;
    }
    cn_set_value(b, r, c, schema);
    check_batch(k, "to_record");
}

static void case_convert(struct checking *k) {
    const struct cn_converter_ops *ops = &k->component->ops.converter;
    check_open(k);
    for (unsigned shape = 0; shape < CHECK_SHAPES + 2; shape++) {
        struct cn_out out = {.reserve = reserve};
        check_region(k);
        struct cn_batch *b = testhost_batch(k->t);
        const struct cn_record *rec = cn_record_at(b, check_record(b, "check", shape));
        check_batch(k, "the suite's own batch");
        check_region_read_only(k);
        check_step(k, "from_record");
        int rc = ops->from_record(k->t->task, b, cn_topic_at(b, 0), &rec->value, rec->value_schema, &out);
        if (rc < -1 || rc > 1) check_fail(k, "from_record returned %d", rc);
        if (rc == -1) said_record(k, "from_record");
        if (rc == 1 && out.n) check_fail(k, "from_record said null and appended %zu bytes", out.n);
        if (rc == 0) back(k, out.p, out.n);
        if (rc == 1) back(k, NULL, 0);
        free(out.p);
        check_manners(k);
    }
    check_close(k);
}

static void case_garbage(struct checking *k) {
    static const char *const texts[] = {"", "{", "{\"schema\":null,\"payload\":1}", "{\"schema\":{\"type\":\"struct\",\"fields\":[{}]},\"payload\":{}}", "nul", "[[[[", "\xff\xfe", "\"\\ud800\"", "1e999", "{\"a\":1}x"};
    uint64_t seed = 1;
    check_open(k);
    for (size_t i = 0; i < countof(texts); i++) back(k, texts[i], strlen(texts[i]));
    for (int i = 0; i < 300; i++) {
        uint8_t bytes[64];
        size_t n = (size_t)(i % 64);
        for (size_t at = 0; at < n; at++) {
            seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
            bytes[at] = (uint8_t)(seed >> 56);
        }
        back(k, bytes, n);
    }
    check_manners(k);
    check_close(k);
}

const struct check_case check_other_cases[] = {
    {"apply answers and leaves the batch well formed", KIND_BIT(CN_TRANSFORM) | KIND_BIT(CN_PREDICATE), case_apply},
    {"values of every shape are converted, or refused as a record's fault", KIND_BIT(CN_CONVERTER), case_convert},
    {"garbage is refused as a record's fault", KIND_BIT(CN_CONVERTER), case_garbage},
    {NULL, 0, NULL},
};
