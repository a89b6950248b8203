// SPDX-License-Identifier: Apache-2.0
// TopicNameMatches, HasHeaderKey, RecordIsTombstone.
#include "transforms/builtin.h"
#include "transforms/pattern.h"

#define JAVA_PREDICATE JAVA_TRANSFORM "predicates."

// ── TopicNameMatches ──

struct topic_options { const char *pattern; };
static const struct cn_option topic_rows[] = {
    CN_REGEX("pattern", struct topic_options, pattern, NULL, CN_OPT_REQUIRED, "Predicate", "A pattern; it must match the whole topic name."),
};
struct topic_name_matches {
    struct cn_host *host;
    struct pattern *pattern;
    struct buf last; // the last topic, and whether it matched
    int holds;       // -1: nothing remembered
};

static void topic_close(void *self) {
    struct topic_name_matches *t = self;
    pattern_free(t->pattern);
    buf_done(&t->last);
    free(t);
}

static int topic_open(struct cn_host *h, void **ret) {
    struct topic_options o = {0};
    struct err err = {0};
    if (CN_BIND(h, topic_rows, &o) != 0) return -1;
    struct topic_name_matches *t = xcalloc(1, sizeof(*t));
    *t = (struct topic_name_matches){.host = h, .holds = -1, .pattern = pattern_new(o.pattern, &err)};
    if (!t->pattern) return topic_close(t), cn_failf(h, CN_FAIL_CONFIG, NULL, "%s", err.msg);
    *ret = t;
    return 0;
}

static int topic_apply(void *self, struct cn_batch *b, uint32_t record) {
    struct topic_name_matches *t = self;
    struct err err = {0};
    struct cn_text name = *cn_topic_at(b, cn_record_at(b, record)->topic);
    struct str topic = str_make(cn_bytes_at(b, name.at), name.n);
    if (t->holds >= 0 && str_eq(buf_str(&t->last), topic)) return t->holds;
    buf_clear(&t->last);
    buf_puts(&t->last, topic);
    t->holds = pattern_matches(t->pattern, topic, &err);
    return t->holds >= 0 ? t->holds : cn_fail_recordf(t->host, record, NULL, "%s", err.msg);
}

static const struct cn_transform_ops topic_ops = {sizeof(topic_ops), 0, NULL, topic_open, topic_apply, topic_close};
COMPONENT(predicate_topic_name_matches, CN_PREDICATE, "TopicNameMatches", JAVA_PREDICATE "TopicNameMatches",
          "holds when the topic's name matches a pattern", topic_rows, countof(topic_rows), topic_ops);

// ── HasHeaderKey ──

struct header_options { const char *name; };
static const struct cn_option header_rows[] = {
    CN_STR("name", struct header_options, name, NULL, CN_OPT_REQUIRED, "Predicate", "The header's name."),
};
struct has_header_key { char *name; };

static int header_open(struct cn_host *h, void **ret) {
    struct header_options o = {0};
    if (CN_BIND(h, header_rows, &o) != 0) return -1;
    struct has_header_key *t = xcalloc(1, sizeof(*t));
    t->name = xstrdup(o.name);
    *ret = t;
    return 0;
}

static int header_apply(void *self, struct cn_batch *b, uint32_t record) {
    const struct has_header_key *t = self;
    const struct cn_record *r = cn_record_at(b, record);
    for (uint32_t i = 0; i < r->header_count; i++) {
        struct cn_text name = cn_headers_of(b, r)[i].name;
        if (str_eqz(str_make(cn_bytes_at(b, name.at), name.n), t->name)) return 1;
    }
    return 0;
}

static void header_close(void *self) {
    struct has_header_key *t = self;
    free(t->name);
    free(t);
}

static const struct cn_transform_ops header_ops = {sizeof(header_ops), 0, NULL, header_open, header_apply, header_close};
COMPONENT(predicate_has_header_key, CN_PREDICATE, "HasHeaderKey", JAVA_PREDICATE "HasHeaderKey",
          "holds when the record has a header of that name", header_rows, countof(header_rows), header_ops);

// ── RecordIsTombstone ──

static int tombstone_open(struct cn_host *h, void **ret) {
    *ret = h;
    return 0;
}
static int tombstone_apply(void *self, struct cn_batch *b, uint32_t record) { return cn_record_at(b, record)->value.type == CN_NULL; }
static void tombstone_close(void *self) {}

static const struct cn_transform_ops tombstone_ops = {sizeof(tombstone_ops), 0, NULL, tombstone_open, tombstone_apply, tombstone_close};
COMPONENT(predicate_record_is_tombstone, CN_PREDICATE, "RecordIsTombstone", JAVA_PREDICATE "RecordIsTombstone",
          "holds when the record's value is null", NULL, 0, tombstone_ops);
