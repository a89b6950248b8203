// SPDX-License-Identifier: Apache-2.0
// Subscriptions and the partitioner, shared by the engines.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "backend/subscription.h"

#include <pcre2.h>

#include "base/hash.h"
#include "base/mem.h"

static int compile(struct subscription *s, const char *pattern, struct err *err) {
    int code;
    PCRE2_SIZE at;
    s->regex = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &at, NULL);
    if (s->regex) return 0;
    char why[128];
    pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
    return err_set(err, ERR_INVALID, "topics.regex %s: %s at character %zu", pattern, why, (size_t)at + 1);
}

int subscription_init(struct subscription *s, const struct consumer_options *o, struct err *err) {
    *s = (struct subscription){.internal = o->internal, .member = o->member, .members = o->members ? o->members : 1, .wants = o->wants, .arg = o->arg};
    if (o->except) s->except = xstrdup(o->except);
    if (o->regex) return compile(s, o->regex, err);
    s->topics = xcalloc(o->topic_count ? o->topic_count : 1, sizeof(*s->topics));
    for (; s->topic_count < o->topic_count; s->topic_count++) s->topics[s->topic_count] = xstrdup(o->topics[s->topic_count]);
    return 0;
}

void subscription_done(struct subscription *s) {
    for (size_t i = 0; i < s->topic_count; i++) free(s->topics[i]);
    free(s->topics);
    free(s->except);
    pcre2_code_free(s->regex);
    *s = (struct subscription){0};
}

static bool matches(const struct subscription *s, const char *topic) {
    pcre2_match_data *m = pcre2_match_data_create(1, NULL);
    int r = pcre2_match(s->regex, (PCRE2_SPTR)topic, PCRE2_ZERO_TERMINATED, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED, m, NULL);
    pcre2_match_data_free(m);
    return r >= 0;
}

bool topic_is_internal(const char *topic) {
    static const char *const ours[] = {"connect-offsets", "connect-configs", "connect-status", "connect-schemas"};
    for (size_t i = 0; i < countof(ours); i++)
        if (strcmp(topic, ours[i]) == 0) return true;
    return strncmp(topic, "__", 2) == 0;
}

bool subscription_has_topic(const struct subscription *s, const char *topic) {
    if (s->except && strcmp(topic, s->except) == 0) return false;
    if ((s->regex || s->wants) && !s->internal && topic_is_internal(topic)) return false;
    if (s->regex) return matches(s, topic);
    if (s->wants) return s->wants(s->arg, topic);
    for (size_t i = 0; i < s->topic_count; i++)
        if (strcmp(s->topics[i], topic) == 0) return true;
    return false;
}

bool subscription_has_partition(const struct subscription *s, const char *topic, int32_t partition) {
    uint32_t first = (uint32_t)java_string_hash(topic, strlen(topic)) % s->members;
    return (first + (uint32_t)partition) % s->members == s->member;
}

int refuse_keyless(const char *topic, struct err *err) {
    err_set(err, ERR_INVALID, "record without a key: topic %s is compacted (cleanup.policy)", topic);
    return err_hint(err, "give records a key, or the topic cleanup.policy: delete");
}

int32_t partition_for(struct str key, int32_t partitions, uint32_t sticky) {
    uint32_t h = key.p ? murmur2(key.p, key.n) & 0x7fffffff : sticky;
    return (int32_t)(h % (uint32_t)partitions);
}
