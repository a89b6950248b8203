// SPDX-License-Identifier: Apache-2.0
// A durable queue of lines, on connectd's log alone: put returns when its lines are safe on disk, take prints what there is and removes it.
//   cc queue.c -o queue $(pkg-config --cflags --libs connectd-store) && mkdir q && seq 3 | ./queue q put && ./queue q take
#include <stdio.h>
#include <stdlib.h>
#include "store/batch.h"
#include "store/store.h"

static int put(struct store *s, struct partition *p, struct err *err) {
    struct buf bytes = {0};
    struct batch_builder b;
    char *line = NULL;
    size_t cap = 0;
    batch_begin(&b, &bytes, CODEC_LZ4);
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0;)
        batch_add(&b, clock_wall_ms(&clock_real), (struct str){NULL, 0}, str_make(line, (size_t)n), NULL, 0);
    free(line);
    struct commit *c = commit_new(s);
    int failed = batch_end(&b, err) || (bytes.n && commit_append(c, p, &bytes, true, err));
    buf_done(&bytes);
    if (failed) return commit_free(c), -1;
    return store_commit_wait(s, c, NULL, err); // 0: from here on a power cut takes nothing back
}

static int print(const uint8_t *batch, size_t n, struct buf *plain, struct err *err) {
    struct record_iter it;
    struct record r;
    int more = record_iter_init(&it, batch, n, plain, 64 << 20, err);
    while (!more && (more = record_iter_next(&it, &r, err)) > 0) more = fwrite(r.value.p, 1, r.value.n, stdout) < r.value.n;
    return more;
}

static int take(struct partition *p, struct err *err) {
    struct buf stored = {0}, plain = {0};
    struct partition_offsets o;
    struct read_result got;
    struct batch_header h;
    partition_offsets(p, &o);
    int failed = partition_read(p, &(struct read_request){.from = o.log_start, .max_bytes = 64 << 20}, &stored, &got, err);
    for (size_t i = 0; !failed && i < stored.n; i += batch_size(&h))
        failed = batch_read_header(stored.p + i, stored.n - i, &h) || print(stored.p + i, batch_size(&h), &plain, err);
    buf_done(&stored), buf_done(&plain);
    return failed || fflush(stdout) ? -1 : partition_delete_before(p, got.next, err);
}

int main(int argc, char **argv) {
    struct err err = {.msg = "queue FOLDER put|take"};
    struct store_options o = {0};
    struct store *s;
    if (argc != 3 || fs_posix_open(argv[1], &o.fs, &err) || store_open(&o, &s, &err)) return fprintf(stderr, "%s\n", err.msg), 2;
    struct topic *t = topic_get(s, "queue");
    if (!t && !store_topic_create(s, "queue", 1, NULL, 0, &err)) t = topic_get(s, "queue");
    int failed = !t || (argv[2][0] == 'p' ? put(s, topic_partition(t, 0), &err) : take(topic_partition(t, 0), &err));
    if (failed) fprintf(stderr, "%s\n", err.msg);
    topic_unref(t);
    failed |= store_close(s, NULL) != 0;
    fs_close(o.fs);
    return failed;
}
