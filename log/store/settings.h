// SPDX-License-Identifier: Apache-2.0
// Topic settings by Kafka's names: one row each with type, default, range and doc; parsing; effective values.
//
// A struct settings is immutable once made. A topic points to its current one; earlier ones live as long as the topic, because
// readers may still hold text of them. Text is kept only for what was set; everything else is the row's default.
#ifndef STORE_SETTINGS_H
#define STORE_SETTINGS_H

#include "base/buf.h"
#include "base/cur.h"
#include "base/err.h"
#include "store/batch.h"
#include "store/store.h"

enum { SETTING_COUNT = 27 };

struct settings {
    // The values the store works with.
    bool policy_delete, policy_compact, append_time;
    int codec;                                   // enum codec of stored batches; -1: what arrives
    int64_t level[CODEC_ZSTD + 1];               // by codec, as Kafka counts them; 0 where there is none
    int64_t retention_ms, retention_bytes;       // -1 none
    int64_t segment_bytes, segment_ms, index_interval_bytes, segment_index_bytes;
    int64_t max_message_bytes, delete_retention_ms, min_compaction_lag_ms, max_compaction_lag_ms, file_delete_delay_ms;
    int64_t timestamp_before_max_ms, timestamp_after_max_ms;
    double min_cleanable_dirty_ratio;
    char *set[SETTING_COUNT];                    // by row, NULL = default
    const struct store_options *o;               // whose topic_defaults go before the rows'; NULL = none
    struct settings *older;
};

// All defaults. The options are borrowed as long as the settings live.
struct settings *settings_new(const struct store_options *o);
// The text that stands where nothing was set.
const char *settings_default(const struct store_options *o, int row);
void settings_free(struct settings *s);          // with the older ones
// A copy of `from` with changes; NULL value resets to the default. ERR_INVALID names the setting, with "did you mean".
int settings_change(const struct settings *from, const struct topic_setting *changes, size_t n, struct settings **ret, struct err *err) MUST_USE;
// Index of a row by name, or -1.
int settings_row(const char *name);
// What was set, as name\0value\0…; and back (for the catalogue). decode accepts only what settings_change accepts.
void settings_encode(const struct settings *s, struct buf *out);
int settings_decode(struct str text, const struct store_options *o, struct settings **ret, struct err *err) MUST_USE;
// Whether every one of topic_defaults names a setting and a value of it.
int settings_check_defaults(const struct store_options *o, struct err *err) MUST_USE;

#endif
