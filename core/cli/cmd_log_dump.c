// SPDX-License-Identifier: Apache-2.0
// log-dump: the batches of segment files, as Apache Kafka's DumpLogSegments shows them.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cmd.h"
#include "cli/record_json.h"
#include "cli/term.h"
#include "store/batch.h"

struct dump {
    const struct args *a;
    const char *path;
    bool json, records, values;
    int64_t left; // batches; <0: no limit
    struct buf out, scratch;
};

static void put_batch(struct dump *d, const struct batch_header *h, size_t at, const char *damage) {
    struct json_writer w = json_to(&d->out);
    if (d->json) {
        json_object(&w);
        json_kz(&w, "file", d->path);
        json_ki(&w, "position", (int64_t)at);
        json_ki(&w, "base_offset", h->base_offset);
        json_ki(&w, "last_offset", batch_last_offset(h));
        json_ki(&w, "count", h->count);
        json_ki(&w, "size", (int64_t)batch_size(h));
        json_ki(&w, "leader_epoch", h->leader_epoch);
        json_ki(&w, "producer_id", h->producer_id);
        json_ki(&w, "producer_epoch", h->producer_epoch);
        json_ki(&w, "base_sequence", h->base_sequence);
        json_kb(&w, "transactional", h->attributes & BATCH_TRANSACTIONAL);
        json_kb(&w, "control", h->attributes & BATCH_CONTROL);
        json_kz(&w, "compression", codec_name(h->attributes & BATCH_CODEC_MASK));
        json_ki(&w, "max_timestamp", h->max_timestamp);
        json_ki(&w, "crc", h->crc);
        if (damage) json_kz(&w, "damage", damage);
        json_object_end(&w);
        buf_u8(&d->out, '\n');
        return;
    }
    buf_printf(&d->out, "offsets %lld..%lld count %d position %zu size %zu epoch %d producer %lld/%d seq %d%s%s compression %s timestamp %lld crc %08x%s%s\n",
               (long long)h->base_offset, (long long)batch_last_offset(h), h->count, at, batch_size(h), h->leader_epoch, (long long)h->producer_id, h->producer_epoch,
               h->base_sequence, h->attributes & BATCH_TRANSACTIONAL ? " transactional" : "", h->attributes & BATCH_CONTROL ? " control" : "",
               codec_name(h->attributes & BATCH_CODEC_MASK), (long long)h->max_timestamp, h->crc, damage ? " DAMAGED: " : "", damage ? damage : "");
}

static void put_record(struct dump *d, const struct record *r) {
    struct consumed c = {.topic = "", .offset = r->offset, .timestamp = r->timestamp, .key = r->key, .value = d->values ? r->value : (struct str){0}};
    if (d->json && d->values) {
        record_json(&c, &d->out);
        buf_u8(&d->out, '\n');
        return;
    }
    struct buf key = {0};
    json_escape(&key, str_first(r->key, 200));
    buf_printf(&d->out, "  offset %lld timestamp %lld key %zu bytes%s%s%s value %s%zu bytes headers %u\n", (long long)r->offset, (long long)r->timestamp, r->key.n,
               r->key.p ? " \"" : "", r->key.p ? buf_cstr(&key) : "", r->key.p ? "\"" : " (null)", r->value.p ? "" : "null, ", r->value.n, r->header_count);
    if (d->values && r->value.p) {
        buf_putz(&d->out, "    ");
        json_escape(&d->out, r->value);
        buf_u8(&d->out, '\n');
    }
    buf_done(&key);
}

static int put_records(struct dump *d, const void *p, size_t n, struct err *err) {
    struct record_iter it;
    struct record r;
    int rc;
    if (record_iter_init(&it, p, n, &d->scratch, 256u << 20, err) != 0) return -1;
    while ((rc = record_iter_next(&it, &r, err)) > 0) put_record(d, &r);
    return rc;
}

static int print_out(struct dump *d) {
    bool ok = fwrite(d->out.p, 1, d->out.n, stdout) == d->out.n;
    buf_clear(&d->out);
    return ok ? 0 : -1;
}

// Every whole batch; what stands behind the last one (preallocated zeros, a torn tail) is told, not an error.
static int dump_bytes(struct dump *d, const uint8_t *p, size_t n) {
    struct batch_header h;
    struct err err;
    size_t at = 0;
    int code = EXIT_OK;
    while (at < n && d->left) {
        int rc = batch_read_header(p + at, n - at, &h);
        if (rc != 0) break;
        bool damaged = batch_check(p + at, batch_size(&h), false, &h, &err) != 0;
        put_batch(d, &h, at, damaged ? err.msg : NULL);
        if (!damaged && d->records && !(h.attributes & BATCH_CONTROL)) damaged = put_records(d, p + at, batch_size(&h), &err) != 0;
        if (damaged) code = EXIT_BAD_DATA;
        if (print_out(d) != 0) return EXIT_FAILED;
        at += batch_size(&h);
        if (d->left > 0) d->left--;
    }
    if (at < n && d->left) fprintf(stderr, "%s: %zu bytes behind the last whole batch, at %zu\n", d->path, n - at, at);
    return code;
}

static int dump_file(struct dump *d, struct err *err) {
    struct stat st;
    _cleanup_close_ int fd = open(d->path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) return err_sys(err, errno, "%s", d->path);
    if (st.st_size == 0) return EXIT_OK;
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (p == MAP_FAILED) return err_sys(err, errno, "%s", d->path);
    int code = dump_bytes(d, p, (size_t)st.st_size);
    munmap(p, (size_t)st.st_size);
    return code;
}

int command_log_dump(const struct args *a) {
    struct dump d = {.a = a, .json = arg_flag(a, "json"), .values = arg_flag(a, "values"), .left = arg_number(a, "max", -1)};
    int worst = EXIT_OK;
    d.records = d.values || arg_flag(a, "records");
    for (size_t i = 0; i < a->n; i++) {
        struct err err = {0};
        d.path = a->words[i];
        if (a->n > 1 && !d.json) printf("%s\n", d.path);
        int code = dump_file(&d, &err);
        if (code < 0) term_error(d.json, &err), code = EXIT_FAILED;
        if (code > worst) worst = code;
    }
    buf_done(&d.out);
    buf_done(&d.scratch);
    return worst;
}
