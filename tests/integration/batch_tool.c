// SPDX-License-Identifier: Apache-2.0
// batch_tool write CODEC > BATCH: a batch of known records.   batch_tool read < BATCH: its records, one JSON object a line.
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "store/batch.h"

static int write_batch(const char *name) {
    struct buf out = {0};
    struct batch_builder b;
    struct err err;
    enum codec codec;
    if (codec_by_name(str_of(name), &codec) < 0) return 2;
    const struct record_header_in headers[] = {{STR("h"), STR("v"), false}, {STR("null"), {NULL, 0}, true}};
    batch_begin(&b, &out, codec);
    b.producer_id = 1234567890123;
    b.producer_epoch = 3;
    b.base_sequence = 17;
    for (int i = 0; i < 500; i++) {
        char key[32], value[64];
        snprintf(key, sizeof(key), "key-%d", i);
        snprintf(value, sizeof(value), "value %d value %d value %d", i, i, i);
        batch_add(&b, 1700000000000 + i * 3 - (i % 4) * 7, i % 5 ? str_of(key) : (struct str){NULL, 0}, i % 11 ? str_of(value) : (struct str){NULL, 0},
                  headers, i % 3 ? 0 : 2);
    }
    if (batch_end(&b, &err) < 0) return 1;
    batch_patch(out.p, 1000, 5);
    fwrite(out.p, 1, out.n, stdout);
    buf_done(&out);
    return 0;
}

static void nullable(struct json_writer *w, const char *name, struct str s) {
    if (s.p) json_ks(w, name, s);
    else json_kz(w, name, NULL);
}

static void print_record(struct record *r) {
    struct buf line = {0};
    struct json_writer w = json_to(&line);
    struct record_header h;
    json_object(&w);
    json_ki(&w, "offset", r->offset);
    json_ki(&w, "timestamp", r->timestamp);
    nullable(&w, "key", r->key);
    nullable(&w, "value", r->value);
    json_key(&w, STR("headers"));
    json_array(&w);
    while (record_header_next(r, &h)) {
        json_array(&w);
        json_string(&w, h.name);
        if (h.null_value) json_null(&w);
        else json_string(&w, h.value);
        json_array_end(&w);
    }
    json_array_end(&w);
    json_object_end(&w);
    puts(buf_cstr(&line));
    buf_done(&line);
}

static int read_batch(void) {
    struct buf in = {0}, scratch = {0};
    struct batch_header h;
    struct record_iter it;
    struct record r;
    struct err err = {0};
    char part[4096];
    int got = 0;
    for (size_t n; (n = fread(part, 1, sizeof(part), stdin)) > 0;) buf_put(&in, part, n);
    int failed = batch_check(in.p, in.n, false, &h, &err) || record_iter_init(&it, in.p, in.n, &scratch, 1 << 26, &err);
    while (!failed && (got = record_iter_next(&it, &r, &err)) > 0) print_record(&r);
    if (failed || got < 0) fprintf(stderr, "%s\n", err.msg);
    buf_done(&in);
    buf_done(&scratch);
    return failed || got < 0;
}

int main(int argc, char **argv) {
    if (argc == 3 && !strcmp(argv[1], "write")) return write_batch(argv[2]);
    if (argc == 2 && !strcmp(argv[1], "read")) return read_batch();
    return 2;
}
