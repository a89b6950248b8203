/* SPDX-License-Identifier: Apache-2.0 */
/* A sink: appends every record as a JSON line to a file, durable before it says so. Build it with
 *   cc -shared -fPIC hello-sink.c -o hello-sink.so $(pkg-config --cflags connectd) */
#include <connectd/json.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct hello {
    struct cn_host *host;
    const char *path; /* option */
    int fd;
    struct cn_json lines;
};

static const struct cn_option options[] = {
    CN_STR("path", struct hello, path, NULL, CN_OPT_REQUIRED, "Hello", "The file to append to."),
};

static void hello_close(void *task) {
    struct hello *t = task;
    cn_json_done(&t->lines);
    if (t->fd >= 0) close(t->fd);
    free(t);
}

static int hello_open(struct cn_host *h, void **ret_task) {
    struct hello *t = calloc(1, sizeof *t);
    if (!t) return cn_failf(h, CN_FAIL_TRANSIENT, NULL, "out of memory");
    t->host = h;
    t->fd = -1;
    if (CN_BIND(h, options, t) == 0) t->fd = open(t->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
    if (t->fd < 0) {
        cn_failf(h, CN_FAIL_CONFIG, "give a path this user can write", "open %s: %s", t->path, strerror(errno));
        hello_close(t);
        return -1;
    }
    *ret_task = t;
    return 0;
}

static int hello_put(void *task, const struct cn_batch *b) {
    struct hello *t = task;
    uint32_t i;
    cn_json_clear(&t->lines);
    for (i = 0; i < cn_count(b); i++) {
        cn_json_value(&t->lines, b, &cn_record_at(b, i)->value, cn_record_at(b, i)->value_schema);
        cn_json_char(&t->lines, '\n');
    }
    if (t->lines.failed || write(t->fd, t->lines.p, t->lines.n) != (ssize_t)t->lines.n || fdatasync(t->fd) != 0)
        return cn_failf(t->host, CN_FAIL_TRANSIENT, NULL, "write %s: %s", t->path, strerror(errno)), CN_PUT_FAILED;
    return CN_PUT_OK;
}

static const struct cn_sink_ops ops = {sizeof ops, 0, NULL, NULL, NULL, hello_open, NULL, NULL, hello_put, NULL, NULL, hello_close};
CN_COMPONENT(hello, CN_SINK, "hello-sink", NULL, "Appends JSON lines to a file", options, ops);
CN_PLUGIN("hello-sink", "1.0.0", "The connectd authors", "Apache-2.0", NULL, &hello)
