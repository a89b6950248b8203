// SPDX-License-Identifier: Apache-2.0
// RegexRouter: another topic for records whose topic matches a pattern as a whole. The last topic's answer is remembered.
#include "transforms/builtin.h"
#include "transforms/pattern.h"

struct options { const char *regex, *replacement; };
static const struct cn_option rows[] = {
    CN_REGEX("regex", struct options, regex, NULL, CN_OPT_REQUIRED, "Topic", "A pattern; it must match the whole topic name."),
    CN_STR("replacement", struct options, replacement, NULL, CN_OPT_REQUIRED, "Topic", "The new name; $1 or ${name} stand for groups of the pattern, \\$ for a dollar."),
};

struct regex_router {
    struct cn_host *host;
    struct options o;
    struct pattern *pattern;
    struct replacement *replacement;
    struct buf last, to; // the last topic and what it became
    bool known;
};

static int route(struct regex_router *t, struct str topic, struct err *err) {
    if (t->known && str_eq(buf_str(&t->last), topic)) return 0;
    t->known = false;
    buf_clear(&t->last);
    buf_clear(&t->to);
    buf_puts(&t->last, topic);
    int rc = pattern_matches(t->pattern, topic, err);
    if (rc < 0) return -1;
    if (rc) replacement_expand(t->replacement, t->pattern, topic, &t->to);
    else buf_puts(&t->to, topic);
    if (!t->to.n) return err_set(err, ERR_INVALID, "topic %.*s would get an empty name", STR_FMT(str_first(topic, 249)));
    t->known = true;
    return 0;
}

static int apply(void *self, struct cn_batch *b, uint32_t record) {
    struct regex_router *t = self;
    struct err err = {0};
    struct cn_text name = *cn_topic_at(b, cn_record_at(b, record)->topic);
    if (route(t, str_make(cn_bytes_at(b, name.at), name.n), &err) != 0) {
        cn_fail_recordf(t->host, record, NULL, "%s", err.msg);
        return CN_APPLY_FAILED;
    }
    uint32_t topic = cn_topic(b, (const char *)t->to.p, t->to.n);
    if (!b->failed) cn_record_at(b, record)->topic = topic;
    return CN_KEEP;
}

static void router_close(void *self) {
    struct regex_router *t = self;
    pattern_free(t->pattern);
    replacement_free(t->replacement);
    buf_done(&t->last);
    buf_done(&t->to);
    free(t);
}

static int router_open(struct cn_host *h, void **ret) {
    struct regex_router *t = xcalloc(1, sizeof(*t));
    struct err err = {0};
    t->host = h;
    int rc = CN_BIND(h, rows, &t->o);
    if (rc == 0 && (!(t->pattern = pattern_new(t->o.regex, &err)) || !(t->replacement = replacement_new(t->pattern, t->o.replacement, &err))))
        rc = cn_failf(h, CN_FAIL_CONFIG, NULL, "%s", err.msg);
    if (rc != 0) return router_close(t), -1;
    *ret = t;
    return 0;
}

static int validate(struct cn_host *h) {
    void *t;
    if (router_open(h, &t) != 0) return -1;
    router_close(t);
    return 0;
}

static const struct cn_transform_ops ops = {sizeof(ops), 0, validate, router_open, apply, router_close};
COMPONENT(transform_regex_router, CN_TRANSFORM, "RegexRouter", JAVA_TRANSFORM "RegexRouter", "gives records another topic by a pattern", rows, countof(rows), ops);
