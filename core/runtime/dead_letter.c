// SPDX-License-Identifier: Apache-2.0
#include "runtime/dead_letter.h"

#include <stdio.h>

#include "base/mem.h"

enum { CAUSES = 12 };

char *dead_letter_topic(const struct connector_options *o, const char *connector) {
    return o->dead_letter_topic && *o->dead_letter_topic ? xstrdup(o->dead_letter_topic) : xasprintf("%s.dlq", connector);
}

int dead_letter_topic_ensure(struct backend *b, const char *topic, struct err *err) {
    // Room for a largest record and its causes.
    static const struct topic_setting settings[] = {{"max.message.bytes", "71303168"}};
    struct topic_spec spec = {.name = topic, .partitions = 1, .settings = settings, .n = countof(settings)};
    return b->ops->topic_ensure(b, &spec, err) == 0 ? 0 : err_wrap(err, "dead-letter topic %s", topic);
}

struct causes {
    struct backend_header headers[CAUSES];
    uint32_t n;
    char numbers[3][24];
    char trace[2100];
};

static void cause(struct causes *c, const char *name, const char *value) {
    c->headers[c->n++] = (struct backend_header){.name = str_of(name), .value = str_of(value)};
}

static void causes_of(const struct dead_letter *d, const char *topic, struct causes *c) {
    c->n = 0;
    snprintf(c->numbers[0], sizeof(c->numbers[0]), "%d", d->record->partition);
    snprintf(c->numbers[1], sizeof(c->numbers[1]), "%lld", (long long)d->offset);
    snprintf(c->numbers[2], sizeof(c->numbers[2]), "%u", d->task);
    snprintf(c->trace, sizeof(c->trace), "%s%s%s", d->text, d->hint && *d->hint ? "\n\thint: " : "", d->hint ? d->hint : "");
    cause(c, "__connect.errors.topic", topic);
    if (d->offset >= 0) {
        cause(c, "__connect.errors.partition", c->numbers[0]);
        cause(c, "__connect.errors.offset", c->numbers[1]);
    }
    cause(c, "__connect.errors.connector.name", d->connector);
    cause(c, "__connect.errors.task.id", c->numbers[2]);
    cause(c, "__connect.errors.stage", error_stage_name(d->stage));
    cause(c, "__connect.errors.class.name", d->component);
    cause(c, "__connect.errors.exception.class.name", d->fail_class);
    cause(c, "__connect.errors.exception.message", d->text);
    cause(c, "__connect.errors.exception.stacktrace", c->trace);
}

int dead_letter_add(struct backend *b, struct producer *p, const char *topic, bool with_headers, const struct dead_letter *d, struct err *err) {
    _cleanup_free_ char *from = str_dup(d->record->topic);
    struct causes causes;
    causes_of(d, from, &causes);
    struct backend_record r = *d->record;
    struct backend_header *all = xcalloc(r.header_count + CAUSES, sizeof(*all));
    if (r.header_count) memcpy(all, r.headers, r.header_count * sizeof(*all));
    if (with_headers) memcpy(all + r.header_count, causes.headers, causes.n * sizeof(*all));
    r.headers = all;
    r.header_count += with_headers ? causes.n : 0;
    r.topic = str_of(topic);
    r.partition = -1;
    int rc = b->ops->add(p, &r, err);
    if (rc != 0 && err->code == ERR_TOO_LARGE) {
        char text[128];
        snprintf(text, sizeof(text), "the value of %zu bytes is too large for a dead letter", r.value.n);
        r.value = str_of(text);
        rc = b->ops->add(p, &r, err);
    }
    free(all);
    return rc == 0 ? 0 : err_wrap(err, "dead letter for %s", topic);
}
