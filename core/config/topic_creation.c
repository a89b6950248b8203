// SPDX-License-Identifier: Apache-2.0
// Checking of topic.creation.*, and the table of topic settings.
#include "config/topic_creation.h"

#include <stdlib.h>

#include "base/mem.h"

#define ROW(name, type, def, min, max, doc) {name, type, 0, 0, CN_NOT_BOUND, def, min, max, NULL, "Topic", doc, NULL}
#define CHOICE(name, def, list, doc) {name, CN_OPT_ENUM, 0, 0, CN_NOT_BOUND, def, 0, 0, list, "Topic", doc, NULL}
#define WITHOUT(name, doc) {name, CN_OPT_STRING, CN_OPT_IGNORED, 0, CN_NOT_BOUND, NULL, 0, 0, NULL, NULL, doc, NULL}

static const char *const policies[] = {"delete", "compact", "compact,delete", "delete,compact", NULL};
static const char *const codecs[] = {"producer", "uncompressed", "none", "gzip", "snappy", "lz4", "zstd", NULL};
static const char *const gzip_levels[] = {"-1", "1", "2", "3", "4", "5", "6", "7", "8", "9", NULL};
static const char *const stamps[] = {"CreateTime", "LogAppendTime", NULL};

const struct cn_option topic_rows[] = {
    CHOICE("cleanup.policy", NULL, policies,
           "What frees space: delete old segments, or compact them to the latest record of each key."),
    ROW("retention.ms", CN_OPT_MS, NULL, -1, INT64_MAX, "How long records are kept; -1 for ever."),
    ROW("retention.bytes", CN_OPT_SIZE, NULL, -1, INT64_MAX, "The most bytes a partition keeps; -1 no limit."),
    ROW("segment.bytes", CN_OPT_SIZE, NULL, 14, INT32_MAX, "The size at which a segment file is closed."),
    ROW("segment.ms", CN_OPT_MS, NULL, 1, INT64_MAX, "The age at which a segment file is closed."),
    ROW("max.message.bytes", CN_OPT_SIZE, NULL, 1024, INT32_MAX, "The largest batch."),
    CHOICE("compression.type", NULL, codecs, "How batches are compressed."),
    CHOICE("compression.gzip.level", NULL, gzip_levels, "How hard gzip tries; -1 is its default."),
    ROW("compression.lz4.level", CN_OPT_INT, NULL, 1, 17, "How hard lz4 tries; 9, the default, is its fast mode."),
    ROW("compression.zstd.level", CN_OPT_INT, NULL, -131072, 22, "How hard zstd tries; 3 is its default."),
    CHOICE("message.timestamp.type", NULL, stamps, "Whose timestamp a record has: its producer's or the log's."),
    ROW("delete.retention.ms", CN_OPT_MS, NULL, 0, INT64_MAX, "How long compaction keeps tombstones."),
    ROW("min.compaction.lag.ms", CN_OPT_MS, NULL, 0, INT64_MAX, "How long a record is safe from compaction."),
    ROW("max.compaction.lag.ms", CN_OPT_MS, NULL, 1, INT64_MAX, "How long compaction may be put off."),
    ROW("min.cleanable.dirty.ratio", CN_OPT_DOUBLE, NULL, 0, 1,
        "The share of superseded bytes that starts compaction."),
    ROW("index.interval.bytes", CN_OPT_SIZE, NULL, 0, INT32_MAX, "Bytes between two index entries."),
    WITHOUT("replication.factor", "one node keeps one copy"),
    WITHOUT("min.insync.replicas", "one node keeps one copy"),
    WITHOUT("unclean.leader.election.enable", "one node keeps one copy"),
    WITHOUT("flush.messages", "every commit is synced"),
    WITHOUT("flush.ms", "every commit is synced"),
    WITHOUT("file.delete.delay.ms", "files go when their last reader has gone"),
    WITHOUT("preallocate", "segments always reserve their space"),
    WITHOUT("segment.index.bytes", "indexes grow as needed"),
    WITHOUT("segment.jitter.ms", "segments are closed as they fill"),
};
const size_t topic_row_count = countof(topic_rows);

struct creation {
    const struct cn_list *groups;
    struct arena *texts;
    const char **names, **values; // the pairs so far
    uint32_t n;
    struct findings *f;
    int failed;
};

static void keep_pair(struct creation *x, const struct prop *p, const char *value) {
    x->names[x->n] = arena_copy(x->texts, str_of(p->key + strlen("topic.creation."))).p;
    x->values[x->n++] = arena_copy(x->texts, str_of(value)).p;
}

static void creation_failed(struct creation *x, const struct prop *p, const struct err *err) {
    x->failed = findings_error(x->f, p->at, p->key, "option %s: %s", p->key, err->msg);
    if (err->hint[0]) findings_hint(x->f, "%s", err->hint);
}

static const struct cn_option pattern_row = {.name = "pattern", .type = CN_OPT_REGEX};

static bool check_pattern(struct creation *x, const struct prop *p, const char *pattern) {
    struct cn_option_value v;
    struct err err;
    if (!option_parse(&pattern_row, pattern, &v, x->texts, &err)) return true;
    creation_failed(x, p, &err);
    return false;
}

// A list in YAML is one pattern an item; text is one pattern between commas.
static void check_patterns(struct creation *x, const struct prop *p) {
    struct str rest = str_of(p->value), part;
    bool ok = true;
    for (size_t i = 0; i < p->item_count; i++) ok &= check_pattern(x, p, p->items[i]);
    while (!p->is_list && str_split(&rest, ',', &part)) ok &= check_pattern(x, p, arena_copy(x->texts, str_trim(part)).p);
    if (ok) keep_pair(x, p, p->value);
}

static void check_partitions(struct creation *x, const struct prop *p) {
    int64_t v;
    if (str_to_i64(str_trim(str_of(p->value)), &v) && (v == -1 || (v >= 1 && v <= 10000))) return keep_pair(x, p, p->value);
    x->failed = findings_error(x->f, p->at, p->key,
                               "option %s: '%.100s' is not a number of partitions: 1 to 10000, or -1 for the default",
                               p->key, p->value);
}

static void unknown_setting(struct creation *x, const struct prop *p, const char *name) {
    unsigned best = str_distance(str_of(name), STR("partitions"), 3);
    const char *near = best < 4 ? "partitions" : NULL;
    for (size_t i = 0; i < topic_row_count; i++) {
        unsigned d = str_distance(str_of(name), str_of(topic_rows[i].name), 3);
        if (d < best) best = d, near = topic_rows[i].name;
    }
    x->failed = findings_error(x->f, p->key_at, p->key, "option %s: there is no topic setting %s", p->key, name);
    if (near) findings_hint(x->f, "did you mean %s?", near);
}

static bool is_plain_number(const struct cn_option *row) {
    return row->type == CN_OPT_SIZE || row->type == CN_OPT_MS || row->type == CN_OPT_INT;
}

static void check_setting(struct creation *x, const struct prop *p, const char *name) {
    struct option_scope s = {"", topic_rows, topic_row_count, NULL};
    const struct cn_option *row = options_find(&s, name);
    struct cn_option_value v;
    struct err err;
    if (!row) return unknown_setting(x, p, name);
    if (row->flags & CN_OPT_IGNORED)
        return findings_warn(x->f, p->key_at, p->key, "option %s has no effect here: %s", p->key, row->doc);
    if (option_parse(row, p->value, &v, x->texts, &err)) return creation_failed(x, p, &err);
    if (is_plain_number(row)) keep_pair(x, p, arena_printf(x->texts, "%lld", (long long)v.i));
    else keep_pair(x, p, v.text ? v.text : p->value);
}

static bool has_group(const struct creation *x, struct str group) {
    for (uint32_t i = 0; i < x->groups->n; i++)
        if (str_eqz(group, x->groups->items[i])) return true;
    return str_eqz(group, "default");
}

static void unknown_group(struct creation *x, const struct prop *p, struct str group) {
    x->failed = findings_error(x->f, p->key_at, p->key, "option %s: topic.creation.groups has no group %.*s", p->key,
                               STR_FMT(group));
    findings_hint(x->f, "add %.*s to topic.creation.groups, or use the group default", STR_FMT(group));
}

static void check_option(struct creation *x, const struct prop *p) {
    struct str rest = str_of(p->key + strlen("topic.creation."));
    size_t dot = str_find(rest, '.', 0);
    if (str_eqz(rest, "groups")) return;
    if (dot == rest.n || !has_group(x, str_first(rest, dot))) return unknown_group(x, p, str_first(rest, dot));
    const char *name = rest.p + dot + 1;
    if (!strcmp(name, "include") || !strcmp(name, "exclude")) check_patterns(x, p);
    else if (!strcmp(name, "partitions")) check_partitions(x, p);
    else check_setting(x, p, name);
}

static void check_includes(struct creation *x, const struct props *props) {
    const struct prop *groups = props_get(props, "topic.creation.groups");
    for (uint32_t i = 0; groups && i < x->groups->n; i++) {
        const char *group = x->groups->items[i];
        if (!strcmp(group, "default") || props_get(props, arena_printf(x->texts, "topic.creation.%s.include", group))) continue;
        x->failed = findings_error(x->f, groups->at, groups->key,
                                   "topic.creation.%s.include is missing: the group matches no topic", group);
        findings_hint(x->f, "say which topics it is for, as a regular expression that matches the whole name");
    }
}

int topic_creation_read(const struct props *props, const struct cn_list *groups, struct arena *texts,
                        struct cn_pairs *ret_pairs, struct findings *f) {
    struct creation x = {.groups = groups, .texts = texts, .f = f};
    x.names = arena_alloc(texts, (props->n + 1) * sizeof(*x.names));
    x.values = arena_alloc(texts, (props->n + 1) * sizeof(*x.values));
    for (size_t i = 0; i < props->n; i++)
        if (str_starts(str_of(props->items[i].key), STR("topic.creation."))) check_option(&x, &props->items[i]);
    check_includes(&x, props);
    *ret_pairs = (struct cn_pairs){x.n, x.names, x.values};
    return x.failed;
}
