// SPDX-License-Identifier: Apache-2.0
// The table of topic settings and what reads it.
#include "settings.h"

#include <assert.h>
#include <pthread.h>
#include <stddef.h>

#include "base/mem.h"
#include "store/batch.h"

enum kind { LONG, RATIO, LIST, CHOICE, BOOLEAN };
struct row {
    const char *name;
    enum kind kind;
    const char *def;
    int64_t min, max;    // LONG
    bool or_minus_one;   // may be, too
    const char *choices; // LIST, CHOICE: separated by blanks
    int offset;          // of the parsed value in struct settings; -1: kept as text only
    const char *doc;
};

#define TO(member) (int)offsetof(struct settings, member)
#define ANY_LONG INT64_MAX
static const struct row rows[] = {
    {"cleanup.policy", LIST, "delete", .choices = "delete compact", .offset = -1,
     .doc = "what happens to old records: delete by time and size, compact to the latest of each key, or both"},
    {"compression.gzip.level", LONG, "-1", 1, 9, .or_minus_one = true, .offset = TO(level[CODEC_GZIP]),
     .doc = "where batches are compressed here with gzip: from fastest to smallest, -1 for its own default"},
    {"compression.lz4.level", LONG, "9", 1, 17, .offset = TO(level[CODEC_LZ4]),
     .doc = "the same for lz4; 9, the default, is its fast mode, every other level its slow one"},
    {"compression.zstd.level", LONG, "3", -131072, 22, .offset = TO(level[CODEC_ZSTD]), .doc = "the same for zstd"},
    {"compression.type", CHOICE, "producer", .choices = "producer uncompressed gzip snappy lz4 zstd", .offset = -1,
     .doc = "codec of stored batches; producer keeps what arrives"},
    {"delete.retention.ms", LONG, "86400000", 0, ANY_LONG, .offset = TO(delete_retention_ms), .doc = "how long tombstones of compacted topics stay"},
    {"file.delete.delay.ms", LONG, "60000", 0, ANY_LONG, .offset = TO(file_delete_delay_ms),
     .doc = "accepted; a file goes as soon as its last reader is gone"},
    {"flush.messages", LONG, "9223372036854775807", 1, ANY_LONG, .offset = -1, .doc = "accepted; every commit is synced before it is acknowledged"},
    {"flush.ms", LONG, "9223372036854775807", 0, ANY_LONG, .offset = -1, .doc = "accepted; every commit is synced before it is acknowledged"},
    {"index.interval.bytes", LONG, "4096", 0, INT32_MAX, .offset = TO(index_interval_bytes), .doc = "log bytes between two entries of the offset index"},
    {"max.compaction.lag.ms", LONG, "9223372036854775807", 1, ANY_LONG, .offset = TO(max_compaction_lag_ms), .doc = "longest time a record stays uncompacted"},
    {"max.message.bytes", LONG, "1048588", 0, INT32_MAX, .offset = TO(max_message_bytes), .doc = "largest record batch"},
    {"message.timestamp.after.max.ms", LONG, "9223372036854775807", 0, ANY_LONG, .offset = TO(timestamp_after_max_ms),
     .doc = "how far in the future a record's timestamp may lie"},
    {"message.timestamp.before.max.ms", LONG, "9223372036854775807", 0, ANY_LONG, .offset = TO(timestamp_before_max_ms),
     .doc = "how far in the past a record's timestamp may lie"},
    {"message.timestamp.type", CHOICE, "CreateTime", .choices = "CreateTime LogAppendTime", .offset = -1, .doc = "whose clock stamps the records"},
    {"min.cleanable.dirty.ratio", RATIO, "0.5", .offset = TO(min_cleanable_dirty_ratio), .doc = "share of uncompacted bytes at which a log is compacted"},
    {"min.compaction.lag.ms", LONG, "0", 0, ANY_LONG, .offset = TO(min_compaction_lag_ms), .doc = "shortest time a record stays uncompacted"},
    {"min.insync.replicas", LONG, "1", 1, 1, .offset = -1, .doc = "always 1: there is one copy, and it is synced"},
    {"preallocate", BOOLEAN, "false", .offset = -1, .doc = "accepted; segments are preallocated in steps"},
    {"retention.bytes", LONG, "-1", -1, ANY_LONG, .offset = TO(retention_bytes), .doc = "bytes a partition keeps, -1 for no limit"},
    {"retention.ms", LONG, "604800000", -1, ANY_LONG, .offset = TO(retention_ms), .doc = "how long records are kept, -1 for ever"},
    {"segment.bytes", LONG, "1073741824", 14, INT32_MAX, .offset = TO(segment_bytes), .doc = "size of one file of the log"},
    {"segment.index.bytes", LONG, "10485760", 4, INT32_MAX, .offset = TO(segment_index_bytes), .doc = "largest index of a segment; then the segment ends"},
    {"segment.jitter.ms", LONG, "0", 0, ANY_LONG, .offset = -1, .doc = "accepted; segments end when segment.ms has passed"},
    {"segment.ms", LONG, "604800000", 1, ANY_LONG, .offset = TO(segment_ms), .doc = "age at which a segment ends even if not full"},
    {"unclean.leader.election.enable", BOOLEAN, "false", .offset = -1, .doc = "accepted; there are no elections"},
    {"remote.storage.enable", CHOICE, "false", .choices = "false", .offset = -1, .doc = "always false: tiered storage is not supported"},
};
static_assert(countof(rows) == SETTING_COUNT, "one slot for the text of each row");

static const char *const type_names[] = {"long", "double", "list", "string", "boolean"};

static struct topic_setting_row shown[SETTING_COUNT];

static void fill_shown(void) {
    for (size_t i = 0; i < SETTING_COUNT; i++)
        shown[i] = (struct topic_setting_row){rows[i].name, type_names[rows[i].kind], rows[i].def, rows[i].doc};
}

const struct topic_setting_row *topic_setting_rows(size_t *ret_n) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, fill_shown);
    *ret_n = SETTING_COUNT;
    return shown;
}

int settings_row(const char *name) {
    for (int i = 0; i < SETTING_COUNT; i++)
        if (!strcmp(rows[i].name, name)) return i;
    return -1;
}

static int unknown_setting(const char *name, struct err *err) {
    const struct row *best = NULL;
    unsigned best_distance = 4;
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        unsigned d = str_distance(str_of(name), str_of(rows[i].name), 4);
        if (d < best_distance) best_distance = d, best = &rows[i];
    }
    err_set(err, ERR_INVALID, "unknown topic setting %s", name);
    return best ? err_hint(err, "did you mean %s?", best->name) : -1;
}

static bool is_choice(const char *choices, struct str value) {
    struct str rest = str_of(choices), one;
    while (str_split(&rest, ' ', &one))
        if (str_eq(one, value)) return true;
    return false;
}

static bool are_choices(const char *choices, struct str list) {
    struct str one;
    while (str_split(&list, ',', &one))
        if (!is_choice(choices, str_trim(one))) return false;
    return true;
}

static int bad_value(const struct row *r, const char *value, struct err *err) {
    switch (r->kind) {
    case LONG:
        if (r->max == ANY_LONG) return err_set(err, ERR_INVALID, "%s: %s is not a number of at least %lld", r->name, value, (long long)r->min);
        return err_set(err, ERR_INVALID, "%s: %s is not a number from %lld to %lld%s", r->name, value, (long long)r->min, (long long)r->max,
                       r->or_minus_one ? ", or -1" : "");
    case RATIO: return err_set(err, ERR_INVALID, "%s: %s is not a number from 0 to 1", r->name, value);
    case BOOLEAN: return err_set(err, ERR_INVALID, "%s: %s is not true or false", r->name, value);
    default: return err_set(err, ERR_INVALID, "%s: %s is not one of: %s", r->name, value, r->choices);
    }
}

// Checks the text and stores the number where the row says.
static int parse_value(struct settings *s, const struct row *r, const char *value, struct err *err) {
    struct str text = str_trim(str_of(value));
    void *to = r->offset < 0 ? NULL : (char *)s + r->offset;
    int64_t number;
    double ratio;
    switch (r->kind) {
    case LONG:
        if (!str_to_i64(text, &number)) return bad_value(r, value, err);
        if ((number < r->min || number > r->max) && !(r->or_minus_one && number == -1)) return bad_value(r, value, err);
        if (to) memcpy(to, &number, sizeof(number));
        return 0;
    case RATIO:
        if (!str_to_double(text, &ratio) || !(ratio >= 0 && ratio <= 1)) return bad_value(r, value, err);
        if (to) memcpy(to, &ratio, sizeof(ratio));
        return 0;
    case LIST: return are_choices(r->choices, text) ? 0 : bad_value(r, value, err);
    case CHOICE: return is_choice(r->choices, text) ? 0 : bad_value(r, value, err);
    case BOOLEAN: return is_choice("true false", text) ? 0 : bad_value(r, value, err);
    }
    return bad_value(r, value, err);
}

const char *settings_default(const struct store_options *o, int row) {
    for (size_t i = o ? o->topic_default_count : 0; i-- > 0;)
        if (!strcmp(o->topic_defaults[i].name, rows[row].name)) return o->topic_defaults[i].value;
    return rows[row].def;
}

static const char *value_at(const struct settings *s, int row) { return s->set[row] ? s->set[row] : settings_default(s->o, row); }
static const char *value_of(const struct settings *s, const char *name) { return value_at(s, settings_row(name)); }

static bool list_has(const char *list, const char *item) {
    struct str rest = str_of(list), one;
    while (str_split(&rest, ',', &one))
        if (str_eqz(str_trim(one), item)) return true;
    return false;
}

static int parse_all(struct settings *s, struct err *err) {
    for (int i = 0; i < SETTING_COUNT; i++)
        if (parse_value(s, &rows[i], value_at(s, i), err)) return -1;
    s->policy_delete = list_has(value_of(s, "cleanup.policy"), "delete");
    s->policy_compact = list_has(value_of(s, "cleanup.policy"), "compact");
    s->append_time = !strcmp(value_of(s, "message.timestamp.type"), "LogAppendTime");
    s->codec = codec_by_type(str_of(value_of(s, "compression.type")));
    return 0;
}

struct settings *settings_new(const struct store_options *o) {
    struct settings *s = xcalloc(1, sizeof(*s));
    struct err err;
    s->o = o;
    if (parse_all(s, &err)) abort(); // a default its own row refuses; those of the options were checked at the start
    return s;
}

int settings_check_defaults(const struct store_options *o, struct err *err) {
    struct settings parsed = {0};
    for (size_t i = 0; i < o->topic_default_count; i++) {
        int row = settings_row(o->topic_defaults[i].name);
        if (row < 0) return unknown_setting(o->topic_defaults[i].name, err);
        if (parse_value(&parsed, &rows[row], o->topic_defaults[i].value, err)) return -1;
    }
    return 0;
}

void settings_free(struct settings *s) {
    for (struct settings *older; s; s = older) {
        older = s->older;
        for (size_t i = 0; i < SETTING_COUNT; i++) free(s->set[i]);
        free(s);
    }
}

static int change_one(struct settings *s, const struct topic_setting *c, struct err *err) {
    int row = settings_row(c->name);
    if (row < 0) return unknown_setting(c->name, err);
    if (c->value && parse_value(s, &rows[row], c->value, err)) return -1;
    free(s->set[row]);
    s->set[row] = c->value ? str_dup(str_trim(str_of(c->value))) : NULL;
    return 0;
}

int settings_change(const struct settings *from, const struct topic_setting *changes, size_t n, struct settings **ret, struct err *err) {
    struct settings *s = xcalloc(1, sizeof(*s));
    s->o = from->o;
    for (size_t i = 0; i < SETTING_COUNT; i++)
        if (from->set[i]) s->set[i] = xstrdup(from->set[i]);
    for (size_t i = 0; i < n; i++) {
        if (!change_one(s, &changes[i], err)) continue;
        settings_free(s);
        return -1;
    }
    if (parse_all(s, err)) {
        settings_free(s);
        return -1;
    }
    *ret = s;
    return 0;
}

void settings_encode(const struct settings *s, struct buf *out) {
    for (size_t i = 0; i < SETTING_COUNT; i++) {
        if (!s->set[i]) continue;
        buf_put(out, rows[i].name, strlen(rows[i].name) + 1);
        buf_put(out, s->set[i], strlen(s->set[i]) + 1);
    }
}

int settings_decode(struct str text, const struct store_options *o, struct settings **ret, struct err *err) {
    struct topic_setting changes[SETTING_COUNT];
    struct cur c = cur_str(text);
    size_t n = 0;
    while (cur_left(&c) && n < SETTING_COUNT) {
        changes[n].name = cur_cstr(&c).p;
        changes[n].value = cur_cstr(&c).p;
        n++;
    }
    if (!cur_done(&c)) return err_set(err, ERR_CORRUPT, "topic settings of %zu bytes can not be read", text.n);
    struct settings *none = settings_new(o);
    int failed = settings_change(none, changes, n, ret, err);
    settings_free(none);
    return failed;
}
