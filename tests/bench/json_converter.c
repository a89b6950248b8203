// SPDX-License-Identifier: Apache-2.0
// What the json converter costs for one of Debezium's change events, beside a plain copy of the same bytes.
//
//   json_converter [seconds]      prints ns a record for writing and reading, and MB/s
#include <stdio.h>
#include <time.h>

#include "component_host.h"
#include "base/mem.h"
#include "converters/converter.h"
#include "converters/out.h"

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); // what others run does not count
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// Every field of the event is one leaf; an update of a row of eight columns has 39 of them.
static const char row_fields[] =
    "{\"type\":\"int32\",\"optional\":false,\"field\":\"id\"},{\"type\":\"string\",\"optional\":true,\"field\":\"name\"},"
    "{\"type\":\"string\",\"optional\":true,\"field\":\"email\"},{\"type\":\"int64\",\"optional\":true,\"field\":\"balance\"},"
    "{\"type\":\"boolean\",\"optional\":true,\"field\":\"active\"},{\"type\":\"double\",\"optional\":true,\"field\":\"score\"},"
    "{\"type\":\"int64\",\"optional\":true,\"name\":\"io.debezium.time.MicroTimestamp\",\"version\":1,\"field\":\"created\"},"
    "{\"type\":\"string\",\"optional\":true,\"field\":\"note\"}";
static const char source_fields[] =
    "{\"type\":\"string\",\"optional\":false,\"field\":\"version\"},{\"type\":\"string\",\"optional\":false,\"field\":\"connector\"},"
    "{\"type\":\"string\",\"optional\":false,\"field\":\"name\"},{\"type\":\"int64\",\"optional\":false,\"field\":\"ts_ms\"},"
    "{\"type\":\"string\",\"optional\":true,\"field\":\"snapshot\"},{\"type\":\"string\",\"optional\":false,\"field\":\"db\"},"
    "{\"type\":\"string\",\"optional\":true,\"field\":\"sequence\"},{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_us\"},"
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ns\"},{\"type\":\"string\",\"optional\":false,\"field\":\"schema\"},"
    "{\"type\":\"string\",\"optional\":false,\"field\":\"table\"},{\"type\":\"int64\",\"optional\":true,\"field\":\"txId\"},"
    "{\"type\":\"int64\",\"optional\":true,\"field\":\"lsn\"},{\"type\":\"int64\",\"optional\":true,\"field\":\"xmin\"}";
static const char row[] = "{\"id\":12345,\"name\":\"Ada Lovelace\",\"email\":\"ada@example.org\",\"balance\":1234567890,\"active\":true,"
                          "\"score\":12.5,\"created\":1700000000123456,\"note\":\"the first of them\"}";
static const char source[] = "{\"version\":\"3.6.0\",\"connector\":\"postgresql\",\"name\":\"shop\",\"ts_ms\":1700000000123,\"snapshot\":\"false\","
                             "\"db\":\"shop\",\"sequence\":\"[\\\"24023128\\\",\\\"24023128\\\"]\",\"ts_us\":1700000000123456,\"ts_ns\":1700000000123456000,"
                             "\"schema\":\"public\",\"table\":\"customers\",\"txId\":555,\"lsn\":24023128,\"xmin\":null}";

static char *envelope(void) {
    char *s = xasprintf("{\"type\":\"struct\",\"fields\":[%s],\"optional\":true,\"field\":\"", row_fields);
    char *text = xasprintf("{\"schema\":{\"type\":\"struct\",\"fields\":[%sbefore\"},%safter\"},"
                           "{\"type\":\"struct\",\"fields\":[%s],\"optional\":false,\"field\":\"source\"},"
                           "{\"type\":\"string\",\"optional\":false,\"field\":\"op\"},{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_ms\"},"
                           "{\"type\":\"int64\",\"optional\":true,\"field\":\"ts_us\"}],\"optional\":false,\"name\":\"shop.Envelope\",\"version\":2},"
                           "\"payload\":{\"before\":%s,\"after\":%s,\"source\":%s,\"op\":\"u\",\"ts_ms\":1700000000456,\"ts_us\":1700000000456789}}",
                           s, s, source_fields, row, row, source);
    free(s);
    return text;
}

struct bench {
    struct component_host host;
    const struct cn_converter_ops *ops;
    void *self;
    struct cn_batch b;
};

static void bench_open(struct bench *x, const char *const *settings) {
    component_host_init(&x->host, &converter_json, settings);
    x->ops = converter_json.ops;
    if (x->ops->open(&x->host.host, 0, &x->self) != 0) exit(1);
    batch_heap(&x->b);
}
static void bench_close(struct bench *x) {
    x->ops->close(x->self);
    batch_done(&x->b);
}

static void report(const char *what, double seconds, size_t records, size_t bytes) {
    printf("%-28s %8.0f ns a record  %7.0f MB/s\n", what, seconds * 1e9 / (double)records, (double)(records * bytes) / seconds / 1e6);
}

static void bench_write(struct bench *x, struct cn_cell v, uint16_t schema, double seconds, const char *what) {
    struct cn_out out = {.reserve = out_heap_reserve};
    size_t n = 0;
    double from = now(), took;
    do {
        for (int i = 0; i < 1000; i++, n++) {
            out.n = 0;
            if (x->ops->from_record(x->self, &x->b, NULL, &v, schema, &out) != 0) exit(1);
        }
    } while ((took = now() - from) < seconds);
    report(what, took, n, out.n);
    uint8_t *copy = xmalloc(out.n);
    from = now();
    for (size_t i = 0; i < n; i++) {
        memcpy(copy, out.p, out.n);
        __asm__ volatile("" ::"r"(copy) : "memory");
    }
    report("  copying those bytes", now() - from, n, out.n);
    free(copy);
    free(out.p);
}

static void bench_read(struct bench *x, struct str text, double seconds, const char *what) {
    size_t n = 0;
    double from = now(), took;
    do {
        for (int i = 0; i < 100; i++, n++) {
            struct cn_cell v;
            uint16_t schema;
            if (i == 0) cn_batch_init(&x->b, x->b.base, x->b.cap, x->b.grow, NULL);
            if (x->ops->to_record(x->self, &x->b, NULL, text.p, text.n, &v, &schema) != 0) exit(1);
        }
    } while ((took = now() - from) < seconds);
    report(what, took, n, text.n);
}

int main(int argc, char **argv) {
    double seconds = argc > 1 ? atof(argv[1]) : 1;
    static const char *const with[] = {"schemas.enable=true", NULL};
    struct bench x = {0}, plain = {0};
    struct cn_cell v;
    uint16_t schema;
    char *text = envelope();
    bench_open(&x, with);
    bench_open(&plain, NULL);
    if (x.ops->to_record(x.self, &x.b, NULL, text, strlen(text), &v, &schema) != 0) {
        fprintf(stderr, "%s\n", x.host.fail_text);
        return 1;
    }
    struct cn_batch own = plain.b;
    plain.b = x.b; // the same record, the other converter
    bench_write(&plain, v, schema, seconds, "write, 39 leaves");
    bench_write(&x, v, schema, seconds, "write, schema beside it");
    plain.b = own;
    const char *payload = strstr(text, "\"payload\":") + 10;
    bench_read(&plain, str_make(payload, strlen(payload) - 1), seconds, "read, without a schema");
    bench_read(&x, str_of(text), seconds, "read, with its schema");
    bench_close(&plain);
    bench_close(&x);
    free(text);
    return 0;
}
