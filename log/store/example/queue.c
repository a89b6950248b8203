// SPDX-License-Identifier: Apache-2.0
// A durable queue of lines, on connectd's log alone: put returns when its lines are safe on disk, take prints what there is and removes it.
//   cc queue.c -o queue $(pkg-config --cflags --libs connectd-store) && mkdir q && seq 3 | ./queue q put && ./queue q take
#include <stdio.h>
#include "base/mem.h"
#include "store/scan.h"

static int put(struct partition *p, struct err *err) {
    _cleanup_free_ char *line = NULL;
    size_t cap = 0;
    for (ssize_t n; (n = getline(&line, &cap, stdin)) > 0;) // once appended, a power cut takes a line back no more
        if (partition_append(p, (struct str){0}, str_make(line, (size_t)n), NULL, err)) return -1;
    return 0;
}

static int take(struct partition *p, struct err *err) {
    struct scan queue;
    struct record r;
    int got;
    scan_init(&queue, p, 0);
    while ((got = scan_next(&queue, &r, err)) > 0 && fwrite(r.value.p, 1, r.value.n, stdout) == r.value.n) {}
    if (got > 0 || fflush(stdout)) got = err_set(err, ERR_IO, "standard output takes no more");
    if (!got) got = partition_delete_before(p, queue.next, err);
    scan_done(&queue);
    return got;
}

int main(int argc, char **argv) {
    struct err err = {.msg = "queue FOLDER put|take"};
    struct store_options o = {0};
    struct store *s;
    if (argc != 3 || fs_posix_open(argv[1], &o.fs, &err) || store_open(&o, &s, &err)) return fprintf(stderr, "%s\n", err.msg), 2;
    struct topic *t = topic_get(s, "queue");
    if (!t && !store_topic_create(s, "queue", 1, NULL, 0, &err)) t = topic_get(s, "queue");
    int failed = !t || (*argv[2] == 'p' ? put : take)(topic_partition(t, 0), &err);
    if (failed) fprintf(stderr, "%s\n", err.msg);
    topic_unref(t);
    failed |= store_close(s, NULL) != 0;
    return fs_close(o.fs), failed;
}
