// SPDX-License-Identifier: Apache-2.0
#define PCRE2_CODE_UNIT_WIDTH 8
#include "runtime/topic_rules.h"

#include <pcre2.h>

#include "base/mem.h"
#include "store/store.h"

struct pattern_list {
    pcre2_code **codes;
    size_t n, cap;
};
struct rule {
    char *name;
    struct pattern_list include, exclude;
    int32_t partitions; // ≤ 0: the default
    struct topic_setting *settings;
    size_t n, cap;
};
struct topic_rules {
    struct rule *rules; // the last one is `default`
    size_t n;
};

static void patterns_done(struct pattern_list *l) {
    for (size_t i = 0; i < l->n; i++) pcre2_code_free(l->codes[i]);
    free(l->codes);
}

void topic_rules_free(struct topic_rules *r) {
    if (!r) return;
    for (size_t i = 0; i < r->n; i++) {
        struct rule *rule = &r->rules[i];
        for (size_t k = 0; k < rule->n; k++) {
            free((char *)(uintptr_t)rule->settings[k].name);
            free((char *)(uintptr_t)rule->settings[k].value);
        }
        free(rule->settings);
        free(rule->name);
        patterns_done(&rule->include);
        patterns_done(&rule->exclude);
    }
    free(r->rules);
    free(r);
}

// The commas of a pattern's own ("a{1,2}", "[,;]", "\\,") end nothing: bytes before the first one that stands outside brackets.
static size_t pattern_end(struct str list) {
    unsigned depth = 0;
    bool class = false;
    for (size_t i = 0; i < list.n; i++) {
        char c = list.p[i];
        if (c == '\\') i++;
        else if (class) class = c != ']';
        else if (c == '[') class = true;
        else if (c == '{' || c == '(') depth++;
        else if ((c == '}' || c == ')') && depth) depth--;
        else if (c == ',' && !depth) return i;
    }
    return list.n;
}

static int add_patterns(struct pattern_list *l, const char *list, struct err *err) {
    for (struct str rest = str_of(list); rest.n;) {
        struct str part = str_trim(str_first(rest, pattern_end(rest)));
        rest = str_from(rest, pattern_end(rest) + 1);
        int code;
        PCRE2_SIZE at;
        if (!part.n) continue;
        pcre2_code *c = pcre2_compile((PCRE2_SPTR)part.p, part.n, PCRE2_UTF, &code, &at, NULL);
        if (!c) {
            char why[128];
            pcre2_get_error_message(code, (PCRE2_UCHAR *)why, sizeof(why));
            return err_set(err, ERR_INVALID, "pattern %.*s: %s at character %zu", STR_FMT(part), why, (size_t)at + 1);
        }
        VEC_PUSH(l->codes, l->n, l->cap, c);
    }
    return 0;
}

static int add_number(const char *value, int64_t min, int64_t *ret, struct err *err) {
    if (str_to_i64(str_of(value), ret) && (*ret == -1 || *ret >= min) && *ret <= INT32_MAX) return 0;
    return err_set(err, ERR_INVALID, "'%s' is not -1 or a number from %lld", value, (long long)min);
}

static void set_setting(struct rule *r, const char *name, const char *value) {
    struct topic_setting s = {xstrdup(name), xstrdup(value)};
    VEC_PUSH(r->settings, r->n, r->cap, s);
}

static int apply(struct rule *r, const char *key, const char *value, struct err *err) {
    int64_t n;
    if (strcmp(key, "include") == 0) return add_patterns(&r->include, value, err);
    if (strcmp(key, "exclude") == 0) return add_patterns(&r->exclude, value, err);
    if (strcmp(key, "replication.factor") == 0) return add_number(value, 1, &n, err); // one node: every factor is one copy
    if (strcmp(key, "partitions") == 0) {
        if (add_number(value, 1, &n, err) != 0) return -1;
        r->partitions = (int32_t)n;
        return 0;
    }
    set_setting(r, key, value);
    return 0;
}

// The keys of a group, "<group>.<key>"; what lies under a longer group name that begins the same way is that one's.
static int rule_fill(struct rule *r, const struct connector_options *o, struct err *err) {
    size_t n = strlen(r->name);
    for (uint32_t i = 0; i < o->topic_creation.n; i++) {
        const char *key = o->topic_creation.names[i];
        if (strncmp(key, r->name, n) != 0 || key[n] != '.') continue;
        if (apply(r, key + n + 1, o->topic_creation.values[i], err) != 0) return err_wrap(err, "topic.creation.%s", key);
    }
    for (size_t i = 0; i < r->n; i++)
        if (strcmp(r->settings[i].name, "max.message.bytes") == 0) return 0;
    set_setting(r, "max.message.bytes", "67108864");
    return 0;
}

int topic_rules_new(const struct connector_options *o, struct topic_rules **ret, struct err *err) {
    struct topic_rules *r = xcalloc(1, sizeof(*r));
    r->rules = xcalloc(o->topic_groups.n + 1, sizeof(*r->rules));
    for (uint32_t i = 0; i <= o->topic_groups.n; i++) {
        bool last = i == o->topic_groups.n;
        if (!last && strcmp(o->topic_groups.items[i], "default") == 0) continue;
        struct rule *rule = &r->rules[r->n++];
        rule->name = xstrdup(last ? "default" : o->topic_groups.items[i]);
        int rc = rule_fill(rule, o, err);
        if (rc == 0 && !last && !rule->include.n) {
            rc = err_set(err, ERR_INVALID, "topic.creation.groups: group %s has no topic.creation.%s.include", rule->name, rule->name);
            err_hint(err, "say which topics it is for, as a regular expression");
        }
        if (rc == 0) continue;
        topic_rules_free(r);
        return -1;
    }
    *ret = r;
    return 0;
}

static bool matches(const struct pattern_list *l, const char *topic) {
    bool found = false;
    pcre2_match_data *m = pcre2_match_data_create(1, NULL);
    for (size_t i = 0; i < l->n && !found; i++)
        found = pcre2_match(l->codes[i], (PCRE2_SPTR)topic, PCRE2_ZERO_TERMINATED, 0, PCRE2_ANCHORED | PCRE2_ENDANCHORED, m, NULL) >= 0;
    pcre2_match_data_free(m);
    return found;
}

void topic_rules_spec(const struct topic_rules *r, const char *topic, struct topic_spec *ret) {
    size_t i = 0;
    while (i + 1 < r->n && !(matches(&r->rules[i].include, topic) && !matches(&r->rules[i].exclude, topic))) i++;
    const struct rule *rule = &r->rules[i];
    int32_t partitions = rule->partitions > 0 ? rule->partitions : r->rules[r->n - 1].partitions;
    *ret = (struct topic_spec){.name = topic, .partitions = partitions, .settings = rule->settings, .n = rule->n};
}

int topic_rules_ensure(const struct topic_rules *r, struct backend *b, const char *topic, struct err *err) {
    struct topic_spec spec;
    topic_rules_spec(r, topic, &spec);
    return b->ops->topic_ensure(b, &spec, err);
}
