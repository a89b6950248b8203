// SPDX-License-Identifier: Apache-2.0
#include "scripted.h"

#include <connectd/sdk.h>
#include <poll.h>
#include <unistd.h>

struct source_script source_script;
struct sink_script sink_script;

// Field by field: a thread of an earlier case that was abandoned may still look at them.
void scripts_reset(void) {
    struct source_script *s = &source_script;
    _Atomic int *counts[] = {&s->asks_schema, &s->fail_open, &s->fail_poll, &s->fail_times, &s->opens, &s->closes, &s->polls, &s->ticks, &s->committed_calls};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) atomic_store(counts[i], 0);
    s->limit = 0;
    s->started_at = 0;
    s->committed = -1;
    s->hang = false;
    s->batch = s->open_every = s->abort_at = s->bad_at = 0;
    s->no_positions = s->done_at_limit = false;
    s->value_bytes = 0;
    free(sink_script.numbers);
    memset((void *)&sink_script, 0, sizeof(sink_script));
    sink_script.start_offset = -1;
    pthread_mutex_init(&sink_script.lock, NULL);
}

// Takes one failure of the script, if there is one left.
static int take_failure(_Atomic int *class) {
    int c = atomic_load(class);
    if (!c || atomic_fetch_sub(&source_script.fail_times, 1) <= 0) return 0;
    return c;
}

// ── source ──

struct counting {
    struct cn_host *host;
    int64_t next;
    int batches;
    struct { const char *topic; } o;
};
static const struct cn_option source_options[] = {
    CN_STR("topic", struct counting, o.topic, "numbers", 0, "Test", "Where to write."),
};

static int source_validate(struct cn_host *h) {
    struct cn_option_value v;
    if (h->ops->config(h, "topic", &v) != 0 || strcmp(v.text, "forbidden") != 0) return 0;
    return cn_failf(h, CN_FAIL_CONFIG, "choose another", "topic: forbidden may not be written to");
}

static int source_open(struct cn_host *h, const struct cn_stored_position *positions, uint32_t n, void **ret) {
    atomic_fetch_add(&source_script.opens, 1);
    int class = take_failure(&source_script.fail_open);
    if (class) return cn_failf(h, class, "look at the script", "open fails by script");
    struct counting *c = calloc(1, sizeof(*c));
    c->host = h;
    if (CN_BIND(h, source_options, c) != 0) return -1;
    for (uint32_t i = 0; i < n; i++) cn_pos_get_int(positions[i].offset, "n", &c->next);
    atomic_store(&source_script.started_at, c->next);
    if (source_script.asks_schema == 1) h->ops->schema_get(h, "numbers", NULL, 0);
    *ret = c;
    return 0;
}

static void add_number(struct counting *c, struct cn_batch *b, int64_t number) {
    uint32_t topic = cn_topic(b, c->o.topic, strlen(c->o.topic));
    uint32_t r = cn_record(b, topic);
    if (source_script.bad_at && number == source_script.bad_at) {
        cn_set_value(b, r, cn_run(CN_BYTES, cn_text(b, "\xff\xfe", 2).at, 2), CN_NO_SCHEMA);
        cn_header_add(b, r, "bad", cn_run(99, 0, 0)); // a type nobody knows
        return;
    }
    char key[24], *value = NULL;
    int k = snprintf(key, sizeof(key), "%lld", (long long)number);
    cn_set_key(b, r, cn_string(b, key, (size_t)k), CN_NO_SCHEMA);
    if (source_script.value_bytes) {
        value = malloc(source_script.value_bytes);
        memset(value, 'x', source_script.value_bytes);
        cn_set_value(b, r, cn_string(b, value, source_script.value_bytes), CN_NO_SCHEMA);
        free(value);
    } else {
        cn_set_value(b, r, cn_string(b, key, (size_t)k), CN_NO_SCHEMA);
    }
}

static int source_poll(void *task, struct cn_batch *b, uint32_t timeout_ms) {
    struct counting *c = task;
    struct cn_host *h = c->host;
    atomic_fetch_add(&source_script.polls, 1);
    while (atomic_load(&source_script.hang)) usleep(1000);
    int class = take_failure(&source_script.fail_poll);
    if (class) return cn_failf(h, class, "look at the script", "poll fails by script at %lld", (long long)c->next);
    if (source_script.asks_schema == 2) h->ops->schema_get(h, "numbers", NULL, 0);
    int64_t limit = atomic_load(&source_script.limit);
    if (c->next >= limit) {
        if (source_script.done_at_limit) return CN_POLL_DONE;
        struct pollfd fd = {.fd = h->ops->wake_fd(h), .events = POLLIN};
        poll(&fd, 1, timeout_ms < 10 ? (int)timeout_ms : 10);
        return CN_POLL_IDLE;
    }
    int n = source_script.batch ? source_script.batch : 10;
    c->batches++;
    if (source_script.abort_at == c->batches) {
        source_script.abort_at = 0;
        for (int i = 0; i < n; i++) add_number(c, b, 999999);
        cn_head(b)->boundary = CN_BOUNDARY_ABORT;
        c->next = atomic_load(&source_script.started_at);
        c->batches = 0;
        return CN_POLL_OK;
    }
    for (; n > 0 && c->next < limit; n--) add_number(c, b, c->next++);
    bool open = source_script.open_every > 1 && c->batches % source_script.open_every != 0 && c->next < limit;
    cn_head(b)->boundary = open ? CN_BOUNDARY_OPEN : CN_BOUNDARY_COMMIT;
    if (!source_script.no_positions) {
        char text[64];
        snprintf(text, sizeof(text), "{\"n\":%lld}", (long long)c->next);
        cn_position(b, "{\"source\":\"counting\"}", text);
    }
    return CN_POLL_OK;
}

static void source_committed(void *task, const struct cn_stored_position *p, uint32_t n) {
    atomic_fetch_add(&source_script.committed_calls, 1);
    for (uint32_t i = 0; i < n; i++) {
        int64_t at = -1;
        cn_pos_get_int(p[i].offset, "n", &at);
        if (at > atomic_load(&source_script.committed)) atomic_store(&source_script.committed, at);
    }
}

static int source_tick(void *task) {
    atomic_fetch_add(&source_script.ticks, 1);
    return 0;
}

static void source_close(void *task) {
    atomic_fetch_add(&source_script.closes, 1);
    free(task);
}

static const struct cn_source_ops source_ops = {
    .struct_size = sizeof(struct cn_source_ops),
    .validate = source_validate,
    .open = source_open,
    .poll = source_poll,
    .committed = source_committed,
    .tick = source_tick,
    .close = source_close,
};

// ── sink ──

struct held { char topic[64]; int32_t partition; int64_t offset, number; };
struct scripted {
    struct cn_host *host;
    pthread_mutex_t lock; // guards held
    struct held *held;
    size_t n, cap;
    bool closing;
    pthread_t thread;
};

static void delivered(int64_t number) {
    pthread_mutex_lock(&sink_script.lock);
    if (sink_script.n == sink_script.cap) {
        sink_script.cap = sink_script.cap ? sink_script.cap * 2 : 1024;
        sink_script.numbers = realloc(sink_script.numbers, sink_script.cap * sizeof(int64_t));
    }
    sink_script.numbers[sink_script.n++] = number;
    pthread_mutex_unlock(&sink_script.lock);
}

size_t sink_delivered(void) {
    pthread_mutex_lock(&sink_script.lock);
    size_t n = sink_script.n;
    pthread_mutex_unlock(&sink_script.lock);
    return n;
}

void sink_copy(int64_t *to, size_t n) {
    pthread_mutex_lock(&sink_script.lock);
    memcpy(to, sink_script.numbers, n * sizeof(*to));
    pthread_mutex_unlock(&sink_script.lock);
}

static void settle_one(struct scripted *s, const struct held *h, int kind) {
    if (kind == CN_OK) delivered(h->number);
    cn_settle(s->host, h->topic, h->partition, h->offset, h->offset, kind, kind == CN_OK ? NULL : "by script", sink_script.retry_after_ms);
}

static int verdict_of(int64_t number) {
    pthread_mutex_lock(&sink_script.lock);
    int attempt = number >= 0 && number < 100000 ? ++sink_script.attempts[number] : 1;
    int v = sink_script.verdict ? sink_script.verdict(number, attempt) : CN_OK;
    pthread_mutex_unlock(&sink_script.lock);
    return v;
}

// Settles what is held, last first.
static void settle_held(struct scripted *s) {
    pthread_mutex_lock(&s->lock);
    struct held *held = s->held;
    size_t n = s->n;
    s->held = NULL;
    s->n = s->cap = 0;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = n; i > 0; i--) settle_one(s, &held[i - 1], verdict_of(held[i - 1].number));
    free(held);
}

static void *settler(void *arg) {
    struct scripted *s = arg;
    for (;;) {
        pthread_mutex_lock(&s->lock);
        bool closing = s->closing;
        pthread_mutex_unlock(&s->lock);
        if (closing) return NULL;
        settle_held(s);
        usleep(500);
    }
}

static int sink_open(struct cn_host *h, void **ret) {
    atomic_fetch_add(&sink_script.opens, 1);
    struct scripted *s = calloc(1, sizeof(*s));
    s->host = h;
    pthread_mutex_init(&s->lock, NULL);
    if (sink_script.later) pthread_create(&s->thread, NULL, settler, s);
    *ret = s;
    return 0;
}

static int sink_assign(void *task, struct cn_sink_partition *parts, uint32_t n) {
    atomic_fetch_add(&sink_script.assigned, (int)n);
    for (uint32_t i = 0; i < n; i++)
        if (atomic_load(&sink_script.start_offset) >= 0) parts[i].offset = atomic_load(&sink_script.start_offset);
    return 0;
}

static void sink_revoke(void *task, const struct cn_sink_partition *parts, uint32_t n) { atomic_fetch_add(&sink_script.revoked, (int)n); }

static struct held held_of(const struct cn_batch *b, const struct cn_record *r) {
    struct held h = {.partition = r->original_partition, .offset = r->offset, .number = -1};
    const struct cn_text *t = cn_topic_at(b, r->original_topic);
    snprintf(h.topic, sizeof(h.topic), "%.*s", (int)t->n, cn_bytes_at(b, t->at));
    if (r->value.type == CN_STRING) {
        char text[32];
        snprintf(text, sizeof(text), "%.*s", (int)(r->value.n < 31 ? r->value.n : 31), cn_bytes_at(b, r->value.u.at));
        h.number = strtoll(text, NULL, 10);
    }
    return h;
}

static void hold(struct scripted *s, const struct held *h) {
    pthread_mutex_lock(&s->lock);
    if (s->n == s->cap) s->held = realloc(s->held, (s->cap = s->cap ? s->cap * 2 : 64) * sizeof(*s->held));
    s->held[s->n++] = *h;
    if ((int64_t)s->n > atomic_load(&sink_script.most_held)) atomic_store(&sink_script.most_held, (int64_t)s->n);
    pthread_mutex_unlock(&s->lock);
}

static int sink_put(void *task, const struct cn_batch *b) {
    struct scripted *s = task;
    atomic_fetch_add(&sink_script.puts, 1);
    while (atomic_load(&sink_script.hang)) usleep(1000);
    int class = atomic_exchange(&sink_script.fail_put, 0);
    if (class == CN_FAIL_RECORD) return cn_fail_recordf(s->host, cn_count(b) - 1, NULL, "the last one is bad by script");
    if (class) return cn_failf(s->host, class, NULL, "put fails by script");
    bool all_ok = !sink_script.verdict && !sink_script.later && !sink_script.only_at_flush;
    for (uint32_t i = 0; i < cn_count(b); i++) {
        struct held h = held_of(b, cn_record_at(b, i));
        if (all_ok) delivered(h.number);
        else if (sink_script.later || sink_script.only_at_flush) hold(s, &h);
        else settle_one(s, &h, verdict_of(h.number));
    }
    return all_ok ? CN_PUT_OK : CN_PUT_LATER;
}

static int sink_flush(void *task, uint32_t deadline_ms) {
    atomic_fetch_add(&sink_script.flushes, 1);
    settle_held(task);
    return 0;
}

static int sink_tick(void *task) {
    atomic_fetch_add(&sink_script.ticks, 1);
    return 0;
}

static void sink_close(void *task) {
    struct scripted *s = task;
    pthread_mutex_lock(&s->lock);
    s->closing = true;
    pthread_mutex_unlock(&s->lock);
    if (s->thread) pthread_join(s->thread, NULL);
    atomic_fetch_add(&sink_script.closes, 1);
    free(s->held);
    free(s);
}

static const struct cn_sink_ops sink_ops = {
    .struct_size = sizeof(struct cn_sink_ops),
    .open = sink_open,
    .assign = sink_assign,
    .revoke = sink_revoke,
    .put = sink_put,
    .flush = sink_flush,
    .tick = sink_tick,
    .close = sink_close,
};

CN_COMPONENT(counting_source, CN_SOURCE, "counting-source", NULL, "Counts", source_options, source_ops);
CN_COMPONENT_PLAIN(scripted_sink, CN_SINK, "scripted-sink", NULL, "Settles by script", sink_ops);
static const struct cn_component *const components[] = {&counting_source, &scripted_sink};
const struct cn_plugin scripted_plugin = {
    .struct_size = sizeof(struct cn_plugin),
    .abi_major = CN_ABI_MAJOR,
    .abi_minor = CN_ABI_MINOR,
    .name = "scripted",
    .version = "1",
    .author = "tests",
    .license = "Apache-2.0",
    .components = components,
    .component_count = 2,
};
