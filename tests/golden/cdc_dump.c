// SPDX-License-Identifier: Apache-2.0
// Runs the postgres-cdc source in the plugin test host and prints its records as the json converter writes them.
//
//   cdc_dump TOPIC OUT.jsonl option=value …
//
// Ends when a record of TOPIC that is no snapshot row is in a commit. key.converter.* and value.converter.* go to the converters.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <connectd/json.h>

#include "converters/converter.h"
#include "testhost.h"

const struct cn_plugin *connectd_plugin_v1(void);

struct converter {
    struct testhost *host;
    const struct cn_converter_ops *ops;
};

static struct converter converter_open(const char *prefix, char **args, int n) {
    const char *options[64] = {"replace.null.with.default=true"};
    int k = 1;
    for (int i = 0; i < n && k < 63; i++)
        if (strncmp(args[i], prefix, strlen(prefix)) == 0) options[k++] = args[i] + strlen(prefix);
    struct converter c = {testhost_new_component(&converter_json, options), converter_json.ops};
    if (testhost_open(c.host) != 0) fprintf(stderr, "converter: %s\n", c.host->failure.text), exit(1);
    return c;
}

static int more(struct cn_out *o, size_t n) {
    size_t cap = o->cap ? o->cap * 2 : 65536;
    while (cap < o->n + n) cap *= 2;
    o->p = realloc(o->p, cap);
    o->cap = cap;
    return o->p ? 0 : -1;
}

static void print_value(FILE *f, struct converter *c, const struct cn_batch *b, const struct cn_cell *v, uint16_t schema, const struct cn_text *topic) {
    static struct cn_out out = {.reserve = more};
    out.n = 0;
    int r = c->ops->from_record(c->host->task, b, topic, v, schema, &out);
    if (r < 0) fprintf(stderr, "converter: %s\n", c->host->failure.text), exit(1);
    if (r == 1) fputs("null", f);
    else fwrite(out.p, 1, out.n, f);
}

static void print_header(FILE *f, const struct cn_batch *b, const struct cn_header *h) {
    struct cn_json name = {0}, value = {0}, text = {0};
    cn_json_string(&name, cn_bytes_at(b, h->name.at), h->name.n);
    cn_json_value(&value, b, &h->value, h->schema);
    if (h->value.type == CN_STRING) cn_json_raw(&text, value.p, value.n);
    else cn_json_string(&text, value.p, value.n); // as SimpleHeaderConverter: structured values as JSON text
    fprintf(f, "[%.*s,%.*s]", (int)name.n, name.p, (int)text.n, text.p);
    cn_json_done(&name);
    cn_json_done(&value);
    cn_json_done(&text);
}

static void print_record(FILE *f, const struct cn_batch *b, const struct cn_record *r, struct converter *key, struct converter *value) {
    const struct cn_text *topic = cn_topic_at(b, r->topic);
    fprintf(f, "{\"topic\":\"%.*s\",\"key\":", (int)topic->n, cn_bytes_at(b, topic->at));
    print_value(f, key, b, &r->key, r->key_schema, topic);
    fputs(",\"value\":", f);
    print_value(f, value, b, &r->value, r->value_schema, topic);
    fputs(",\"headers\":[", f);
    for (uint32_t i = 0; i < r->header_count; i++) {
        if (i) fputc(',', f);
        print_header(f, b, cn_headers_of(b, r) + i);
    }
    fputs("]}\n", f);
}

int main(int argc, char **argv) {
    const char *options[128];
    int n = 0, seen = 0;
    if (argc < 4) return fprintf(stderr, "usage: cdc_dump TOPIC OUT option=value ...\n"), 2;
    FILE *f = fopen(argv[2], "w");
    if (!f) return perror(argv[2]), 1;
    for (int i = 3; i < argc && n < 127; i++)
        if (strncmp(argv[i], "key.converter.", 14) != 0 && strncmp(argv[i], "value.converter.", 16) != 0) options[n++] = argv[i];
    options[n] = NULL;
    struct converter key = converter_open("key.converter.", argv + 3, argc - 3), value = converter_open("value.converter.", argv + 3, argc - 3);
    struct testhost *t = testhost_new(connectd_plugin_v1(), NULL, options);
    if (getenv("VERBOSE")) testhost_verbose(t, 1);
    if (testhost_open(t) != 0) return fprintf(stderr, "open: %s; %s\n", t->failure.text, t->failure.hint), 1;
    for (int idle = 0; idle < 600 && !seen;) {
        int r = testhost_poll(t, 100);
        if (r < 0) return fprintf(stderr, "poll: %s; %s\n", t->failure.text, t->failure.hint), 1;
        idle = r == CN_POLL_IDLE ? idle + 1 : 0;
        for (uint32_t i = 0; r == CN_POLL_OK && i < cn_count(&t->batch); i++) {
            const struct cn_record *rec = cn_record_at(&t->batch, i);
            const struct cn_text *topic = cn_topic_at(&t->batch, rec->topic);
            print_record(f, &t->batch, rec, &key, &value);
            seen |= topic->n == strlen(argv[1]) && memcmp(cn_bytes_at(&t->batch, topic->at), argv[1], topic->n) == 0;
        }
        if (r == CN_POLL_OK && cn_head(&t->batch)->boundary != CN_BOUNDARY_COMMIT) seen = 0;
        testhost_commit(t);
        testhost_tick(t);
    }
    testhost_poll(t, 50); // what belongs to the same commit but comes behind it
    testhost_free(t);
    testhost_free(key.host);
    testhost_free(value.host);
    fclose(f);
    if (!seen) fprintf(stderr, "no record of %s within a minute\n", argv[1]);
    return seen ? 0 : 1;
}
