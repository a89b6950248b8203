/* SPDX-License-Identifier: Apache-2.0 */
/* A source: says "hello 0", "hello 1", … and after a restart goes on where it was. Build it with
 *   cc -shared -fPIC hello-source.c -o hello-source.so $(pkg-config --cflags connectd) */
#include <connectd/sdk.h>
#include <poll.h>

struct hello {
    struct cn_host *host;
    const char *topic;
    int64_t count, interval_ms; /* options */
    int64_t next, due_ms;       /* what to say next, and when */
};

static const struct cn_option options[] = {
    CN_STR("topic", struct hello, topic, "hello", 0, "Hello", "Where to say it."),
    CN_INT("count", struct hello, count, "-1", -1, INT64_MAX, 0, "Hello", "How often to say it; -1: for ever."),
    CN_MS("interval", struct hello, interval_ms, "1s", 0, 3600000, 0, "Hello", "How long to wait in between."),
};

static int hello_open(struct cn_host *h, const struct cn_stored_position *positions, uint32_t n, void **ret_task) {
    struct hello *t = calloc(1, sizeof *t);
    if (!t) return cn_failf(h, CN_FAIL_TRANSIENT, NULL, "out of memory");
    t->host = h;
    t->due_ms = h->ops->monotonic_ms(h);
    if (CN_BIND(h, options, t) != 0 || (n > 0 && cn_pos_get_int(positions[0].offset, "next", &t->next) != 0)) {
        free(t);
        return cn_failf(h, CN_FAIL_CONFIG, "reset the offsets", "the stored position has no number \"next\"");
    }
    *ret_task = t;
    return 0;
}

static int hello_poll(void *task, struct cn_batch *b, uint32_t timeout_ms) {
    struct hello *t = task;
    struct pollfd wake = {t->host->ops->wake_fd(t->host), POLLIN, 0};
    int64_t wait = t->due_ms - t->host->ops->monotonic_ms(t->host);
    struct cn_pos offset;
    char text[64];
    int n;
    if (t->count >= 0 && t->next >= t->count) return CN_POLL_DONE;
    if (wait > timeout_ms) return poll(&wake, 1, (int)timeout_ms), CN_POLL_IDLE;
    if (wait > 0 && poll(&wake, 1, (int)wait) > 0) return CN_POLL_IDLE; /* wanted back */
    t->due_ms += t->interval_ms;
    n = snprintf(text, sizeof text, "hello %lld", (long long)t->next++);
    cn_set_value(b, cn_record(b, cn_topic(b, t->topic, strlen(t->topic))), cn_string(b, text, (size_t)n), CN_NO_SCHEMA);
    cn_pos_begin(&offset, text, sizeof text);
    cn_pos_int(&offset, "next", t->next);
    cn_position(b, "{\"source\":\"hello\"}", cn_pos_end(&offset));
    return CN_POLL_OK;
}

static const struct cn_source_ops ops = {sizeof ops, 0, NULL, NULL, NULL, hello_open, hello_poll, NULL, NULL, free};
CN_COMPONENT(hello, CN_SOURCE, "hello-source", NULL, "Says hello, again and again", options, ops);
CN_PLUGIN("hello-source", "1.0.0", "The connectd authors", "Apache-2.0", NULL, &hello)
