/* SPDX-License-Identifier: Apache-2.0 */
/* The http-sink: records become request bodies in their partition's lane; the client sends and settles them. */
#include "client.h"

struct sink {
    struct cn_host *host;
    struct http_options options;
    struct client *client;
};

static int validate(struct cn_host *h) {
    struct http_options o;
    return http_options_read(h, &o);
}

static int check(struct cn_host *h) {
    struct http_options o;
    return http_options_read(h, &o) == 0 ? client_check(h, &o) : -1;
}

static int sink_open(struct cn_host *h, void **ret_task) {
    struct sink *s = (struct sink *)calloc(1, sizeof *s);
    if (!s) abort();
    s->host = h;
    if (http_options_read(h, &s->options) == 0) s->client = client_new(h, &s->options);
    if (!s->client) {
        free(s);
        return -1;
    }
    *ret_task = s;
    return 0;
}

static void sink_close(void *task) {
    struct sink *s = (struct sink *)task;
    client_free(s->client);
    free(s);
}

static struct lane *lane_of(struct sink *s, struct lanes *l, const struct cn_text *topic, const char *name, int32_t partition) {
    struct lane *lane = lanes_find(l, name, topic->n, partition);
    return lane ? lane : lanes_add(l, name, topic->n, partition, &s->options);
}

/* Writes a record's value as the options say. */
static void render(const struct sink *s, const struct cn_batch *b, const struct cn_record *r, struct cn_json *out) {
    if (s->options.format == BODY_RAW && (r->value.type == CN_STRING || r->value.type == CN_BYTES))
        cn_json_raw(out, cn_bytes_at(b, r->value.u.at), r->value.n);
    else if (s->options.format == BODY_JSON || r->value.type != CN_NULL) cn_json_value(out, b, &r->value, r->value_schema);
}

/* A null value that is not sent, settled here: 1; 0 when the record goes the ordinary way. */
static int settle_null(struct sink *s, const struct lane *lane, const struct cn_record *r) {
    int fails = s->options.nulls == NULLS_FAIL;
    if (r->value.type != CN_NULL || s->options.nulls == NULLS_SEND) return 0;
    if (!fails) s->host->ops->metric(s->host, "null-values-ignored", CN_COUNTER, 1);
    cn_settle(s->host, lane->topic, lane->partition, r->offset, r->offset, fails ? CN_REJECT : CN_OK,
              fails ? "the value is null and behavior.on.null.values is fail" : NULL, 0);
    return 1;
}

/* Behind a failure everything of the partition comes again, so that order is kept. */
static void put_one(struct sink *s, struct lanes *l, struct lane *lane, const struct cn_batch *b, const struct cn_record *r) {
    struct cn_json *out;
    size_t before;
    if (lane->failed) {
        cn_settle(s->host, lane->topic, lane->partition, r->offset, r->offset, CN_RETRY, lane->reason, lane->retry_after_ms);
        return;
    }
    if (settle_null(s, lane, r)) return;
    out = lane_begin(lane, &s->options);
    before = out->n;
    render(s, b, r, out);
    if (out->failed == 1) abort(); /* out of memory: the byte limits are core's */
    if (out->failed) {
        out->n = before;
        out->failed = 0;
        cn_settle(s->host, lane->topic, lane->partition, r->offset, r->offset, CN_REJECT, "the value can not be written as JSON: it is nested too deeply", 0);
        return;
    }
    lane_end(l, lane, r->offset, &s->options);
}

static int sink_put(void *task, const struct cn_batch *b) {
    struct sink *s = (struct sink *)task;
    struct lanes *l = client_lock(s->client);
    const struct cn_record *last = NULL;
    struct lane *lane = NULL;
    uint32_t i, n = cn_count(b);
    for (i = 0; i < n; i++) {
        const struct cn_record *r = cn_record_at(b, i);
        const struct cn_text *topic = cn_topic_at(b, r->original_topic);
        if (r->flags & CN_RECORD_DROPPED) continue;
        if (!last || last->original_topic != r->original_topic || last->original_partition != r->original_partition)
            lane = lane_of(s, l, topic, cn_bytes_at(b, topic->at), r->original_partition);
        put_one(s, l, lane, b, r);
        last = r;
    }
    client_unlock(s->client);
    return client_report(s->client) == 0 ? CN_PUT_LATER : CN_PUT_FAILED;
}

static int sink_tick(void *task) { return client_report(((struct sink *)task)->client); }

static int sink_flush(void *task, uint32_t deadline_ms) {
    struct sink *s = (struct sink *)task;
    client_drain(s->client, deadline_ms); /* what is not answered by then stays unsettled */
    return client_report(s->client);
}

static void sink_revoke(void *task, const struct cn_sink_partition *parts, uint32_t n) {
    struct sink *s = (struct sink *)task;
    struct lanes *l = client_lock(s->client);
    uint32_t i;
    for (i = 0; i < n; i++) {
        struct lane *lane = lanes_find(l, parts[i].topic, strlen(parts[i].topic), parts[i].partition);
        if (!lane) continue;
        if (lane->under_way) lane->revoked = 1;
        else lanes_remove(l, lane);
    }
    client_unlock(s->client);
}

static const struct cn_sink_ops ops = {
    sizeof(struct cn_sink_ops), 0, NULL, validate, check, sink_open, NULL, sink_revoke, sink_put, sink_flush, sink_tick, sink_close,
};

static const struct cn_component http_sink = {
    sizeof(struct cn_component), CN_SINK, "http-sink",
    "http,HttpSink,io.confluent.connect.http.HttpSinkConnector,io.aiven.kafka.connect.http.HttpSinkConnector",
    "Sends records to an HTTP server, in order by partition", http_option_rows, HTTP_OPTIONS, sizeof(struct cn_option), &ops,
};
CN_PLUGIN("http-sink", CN_VERSION, "connectd", "Apache-2.0", NULL, &http_sink)
