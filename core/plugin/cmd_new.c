// SPDX-License-Identifier: Apache-2.0
// The templates: @NAME@ is the plugin's name, @IDENT@ the same as a C identifier.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "plugin/commands.h"

static const char source_c[] =
    "/* A source for connectd. The manual: `man 3 connectd-plugin`, or plugin-api/README.md. */\n"
    "#include <connectd/sdk.h>\n"
    "#include <poll.h>\n"
    "\n"
    "struct @IDENT@ {\n"
    "    struct cn_host *host;\n"
    "    const char *topic;    /* options */\n"
    "    int64_t interval_ms;\n"
    "    int64_t next, due_ms; /* where it stands */\n"
    "};\n"
    "\n"
    "static const struct cn_option options[] = {\n"
    "    CN_STR(\"topic\", struct @IDENT@, topic, \"@NAME@\", 0, \"General\", \"The topic to write to.\"),\n"
    "    CN_MS(\"interval\", struct @IDENT@, interval_ms, \"1s\", 0, 86400000, 0, \"General\", \"How often to look.\"),\n"
    "};\n"
    "\n"
    "static int source_open(struct cn_host *h, const struct cn_stored_position *positions, uint32_t n, void **ret_task) {\n"
    "    struct @IDENT@ *t = calloc(1, sizeof *t);\n"
    "    if (!t) return cn_failf(h, CN_FAIL_TRANSIENT, NULL, \"out of memory\");\n"
    "    t->host = h;\n"
    "    t->due_ms = h->ops->monotonic_ms(h);\n"
    "    if (CN_BIND(h, options, t) != 0 || (n > 0 && cn_pos_get_int(positions[0].offset, \"next\", &t->next) != 0)) {\n"
    "        free(t);\n"
    "        return cn_failf(h, CN_FAIL_CONFIG, \"reset the offsets\", \"the stored position has no number \\\"next\\\"\");\n"
    "    }\n"
    "    *ret_task = t;\n"
    "    return 0;\n"
    "}\n"
    "\n"
    "static int source_poll(void *task, struct cn_batch *b, uint32_t timeout_ms) {\n"
    "    struct @IDENT@ *t = task;\n"
    "    struct pollfd wake = {t->host->ops->wake_fd(t->host), POLLIN, 0};\n"
    "    int64_t wait = t->due_ms - t->host->ops->monotonic_ms(t->host);\n"
    "    struct cn_pos offset;\n"
    "    char text[64];\n"
    "    int n;\n"
    "    if (wait > 0) { /* never longer than asked, and back at once when woken */\n"
    "        if (poll(&wake, 1, (int)(wait < timeout_ms ? wait : timeout_ms)) > 0 || wait > timeout_ms) return CN_POLL_IDLE;\n"
    "    }\n"
    "    t->due_ms += t->interval_ms;\n"
    "    n = snprintf(text, sizeof text, \"record %lld\", (long long)t->next++);\n"
    "    cn_set_value(b, cn_record(b, cn_topic(b, t->topic, strlen(t->topic))), cn_string(b, text, (size_t)n), CN_NO_SCHEMA);\n"
    "    cn_pos_begin(&offset, text, sizeof text); /* comes back to open after a restart */\n"
    "    cn_pos_int(&offset, \"next\", t->next);\n"
    "    cn_position(b, \"{\\\"source\\\":\\\"@NAME@\\\"}\", cn_pos_end(&offset));\n"
    "    return CN_POLL_OK;\n"
    "}\n"
    "\n"
    "static const struct cn_source_ops ops = {sizeof ops, 0, NULL, NULL, NULL, source_open, source_poll, NULL, NULL, free};\n"
    "CN_COMPONENT(source, CN_SOURCE, \"@NAME@\", NULL, \"What it reads, in one line\", options, ops);\n"
    "CN_PLUGIN(\"@NAME@\", \"0.1.0\", \"Your name\", \"Apache-2.0\", NULL, &source)\n";

static const char sink_c[] =
    "/* A sink for connectd. The manual: `man 3 connectd-plugin`, or plugin-api/README.md. */\n"
    "#include <connectd/json.h>\n"
    "#include <errno.h>\n"
    "#include <fcntl.h>\n"
    "#include <unistd.h>\n"
    "\n"
    "struct @IDENT@ {\n"
    "    struct cn_host *host;\n"
    "    const char *path; /* option */\n"
    "    int fd;\n"
    "    struct cn_json lines;\n"
    "};\n"
    "\n"
    "static const struct cn_option options[] = {\n"
    "    CN_STR(\"path\", struct @IDENT@, path, NULL, CN_OPT_REQUIRED, \"General\", \"The file to append to.\"),\n"
    "};\n"
    "\n"
    "static void sink_close(void *task) {\n"
    "    struct @IDENT@ *t = task;\n"
    "    cn_json_done(&t->lines);\n"
    "    if (t->fd >= 0) close(t->fd);\n"
    "    free(t);\n"
    "}\n"
    "\n"
    "static int sink_open(struct cn_host *h, void **ret_task) {\n"
    "    struct @IDENT@ *t = calloc(1, sizeof *t);\n"
    "    if (!t) return cn_failf(h, CN_FAIL_TRANSIENT, NULL, \"out of memory\");\n"
    "    t->host = h;\n"
    "    t->fd = -1;\n"
    "    if (CN_BIND(h, options, t) == 0) t->fd = open(t->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);\n"
    "    if (t->fd < 0) {\n"
    "        cn_failf(h, CN_FAIL_CONFIG, \"give a path this user can write\", \"open %s: %s\", t->path, strerror(errno));\n"
    "        sink_close(t);\n"
    "        return -1;\n"
    "    }\n"
    "    *ret_task = t;\n"
    "    return 0;\n"
    "}\n"
    "\n"
    "/* CN_PUT_OK says that every record is safe at its destination, also after a power cut. */\n"
    "static int sink_put(void *task, const struct cn_batch *b) {\n"
    "    struct @IDENT@ *t = task;\n"
    "    uint32_t i;\n"
    "    cn_json_clear(&t->lines);\n"
    "    for (i = 0; i < cn_count(b); i++) {\n"
    "        const struct cn_record *r = cn_record_at(b, i);\n"
    "        cn_json_value(&t->lines, b, &r->value, r->value_schema);\n"
    "        cn_json_char(&t->lines, '\\n');\n"
    "    }\n"
    "    if (t->lines.failed || write(t->fd, t->lines.p, t->lines.n) != (ssize_t)t->lines.n || fdatasync(t->fd) != 0) {\n"
    "        cn_failf(t->host, CN_FAIL_TRANSIENT, NULL, \"write %s: %s\", t->path, strerror(errno));\n"
    "        return CN_PUT_FAILED;\n"
    "    }\n"
    "    return CN_PUT_OK;\n"
    "}\n"
    "\n"
    "static const struct cn_sink_ops ops = {sizeof ops, 0, NULL, NULL, NULL, sink_open, NULL, NULL, sink_put, NULL, NULL, sink_close};\n"
    "CN_COMPONENT(sink, CN_SINK, \"@NAME@\", NULL, \"Where it writes, in one line\", options, ops);\n"
    "CN_PLUGIN(\"@NAME@\", \"0.1.0\", \"Your name\", \"Apache-2.0\", NULL, &sink)\n";

static const char source_test[] =
    "/* Drives the source without a daemon: make test */\n"
    "#include <assert.h>\n"
    "#include <connectd/testhost.h>\n"
    "#include <stdio.h>\n"
    "#include <string.h>\n"
    "\n"
    "int main(void) {\n"
    "    static const char *const options[] = {\"interval=0\", NULL};\n"
    "    struct testhost *t = testhost_new(connectd_plugin_v1(), NULL, options);\n"
    "    assert(testhost_open(t) == 0);\n"
    "    assert(testhost_take(t, 2, 5000) == 2);\n"
    "    assert(strstr(t->lines[1], \"record 1\"));\n"
    "    testhost_commit(t);\n"
    "    testhost_close(t);\n"
    "    testhost_clear(t);\n"
    "    assert(testhost_open(t) == 0); /* goes on where it was committed */\n"
    "    assert(testhost_take(t, 1, 5000) == 1);\n"
    "    assert(strstr(t->lines[0], \"record 2\"));\n"
    "    testhost_free(t);\n"
    "    puts(\"ok\");\n"
    "    return 0;\n"
    "}\n";

static const char sink_test[] =
    "/* Drives the sink without a daemon: make test */\n"
    "#include <assert.h>\n"
    "#include <connectd/testhost.h>\n"
    "#include <stdio.h>\n"
    "#include <string.h>\n"
    "\n"
    "int main(void) {\n"
    "    static const char *const options[] = {\"path=test-output\", NULL};\n"
    "    struct testhost *t = testhost_new(connectd_plugin_v1(), NULL, options);\n"
    "    char line[64];\n"
    "    FILE *f;\n"
    "    remove(\"test-output\");\n"
    "    assert(testhost_open(t) == 0);\n"
    "    assert(testhost_put_json(t, \"{\\\"topic\\\":\\\"a\\\",\\\"offset\\\":7,\\\"value\\\":{\\\"x\\\":1}}\\n\") != CN_PUT_FAILED);\n"
    "    assert(testhost_settled(t, 5000) == 0);\n"
    "    assert(testhost_verdict(t, \"a\", 0, 7) == CN_OK);\n"
    "    testhost_free(t);\n"
    "    f = fopen(\"test-output\", \"r\");\n"
    "    assert(f && fgets(line, sizeof line, f) && strcmp(line, \"{\\\"x\\\":1}\\n\") == 0);\n"
    "    fclose(f);\n"
    "    remove(\"test-output\");\n"
    "    puts(\"ok\");\n"
    "    return 0;\n"
    "}\n";

static const char source_yaml[] =
    "# connectd run @NAME@.yaml --plugin-path .\n"
    "pipeline: @NAME@-demo\n"
    "source:\n"
    "  connector: @NAME@\n"
    "  topic: @NAME@\n"
    "  interval: 1s\n";
static const char sink_yaml[] =
    "# connectd run @NAME@.yaml --plugin-path .\n"
    "pipeline: @NAME@-demo\n"
    "sinks:\n"
    "  out:\n"
    "    connector: @NAME@\n"
    "    topics: [demo]\n"
    "    path: /tmp/@NAME@.out\n";

static const char makefile[] =
    "CFLAGS = -O2 -g -Wall -Wextra -fPIC -fvisibility=hidden $(shell pkg-config --cflags connectd)\n"
    "\n"
    "@NAME@.so: @NAME@.c\n"
    "\t$(CC) $(CFLAGS) -shared -Wl,-z,defs -o $@ $<\n"
    "\n"
    "test: test_@NAME@.c @NAME@.c\n"
    "\t$(CC) $(CFLAGS) -o test_@NAME@ $^ $(shell pkg-config --libs connectd-testhost) && ./test_@NAME@\n"
    "\n"
    "check: @NAME@.so\n"
    "\tconnectd plugins check @NAME@.so\n"
    "\n"
    "install: @NAME@.so\n"
    "\tinstall -D -m 644 @NAME@.so $(DESTDIR)$(shell pkg-config --variable=userplugindir connectd)/@NAME@.so\n"
    "\n"
    "clean:\n"
    "\trm -f @NAME@.so test_@NAME@\n"
    "\n"
    ".PHONY: test check install clean\n";

static char *fill(const char *text, const char *name) {
    struct buf b = {0};
    for (const char *at = text; *at;) {
        bool ident = strncmp(at, "@IDENT@", 7) == 0;
        if (!ident && strncmp(at, "@NAME@", 6) != 0) {
            buf_u8(&b, (uint8_t)*at++);
            continue;
        }
        at += ident ? 7 : 6;
        for (const char *c = name; *c; c++) buf_u8(&b, (uint8_t)(ident && *c == '-' ? '_' : *c));
    }
    buf_u8(&b, 0);
    return (char *)b.p;
}

static int write_file(const char *path, const char *text, struct err *err) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0 && errno == EEXIST) return err_set(err, ERR_EXISTS, "%s is there already and is left alone", path);
    if (fd < 0) return err_sys(err, errno, "%s", path);
    ssize_t n = write(fd, text, strlen(text));
    int sys = errno;
    close(fd);
    return n == (ssize_t)strlen(text) ? 0 : err_sys(err, sys, "write %s", path);
}

static int check_name(const char *name, struct err *err) {
    bool ok = *name >= 'a' && *name <= 'z' && strlen(name) <= 60;
    for (const char *c = name; *c; c++) ok = ok && ((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '-');
    if (ok) return 0;
    err_set(err, ERR_INVALID, "'%.100s' is no name for a plugin", name);
    return err_hint(err, "small letters, digits and '-', beginning with a letter, at most 60");
}

int cmd_plugins_new(const char *name, enum cn_kind kind, const char *folder, FILE *out, struct err *err) {
    bool source = kind == CN_SOURCE;
    const struct { const char *before, *after, *text; } files[] = {
        {"", ".c", source ? source_c : sink_c}, {"test_", ".c", source ? source_test : sink_test}, {"", ".yaml", source ? source_yaml : sink_yaml}};
    if (check_name(name, err) != 0) return -1;
    if (mkdir(folder, 0755) != 0 && errno != EEXIST) return err_sys(err, errno, "%s", folder);
    for (size_t i = 0; i <= countof(files); i++) {
        bool last = i == countof(files);
        _cleanup_free_ char *path = last ? xasprintf("%s/Makefile", folder) : xasprintf("%s/%s%s%s", folder, files[i].before, name, files[i].after);
        _cleanup_free_ char *text = fill(last ? makefile : files[i].text, name);
        if (write_file(path, text, err) != 0) return -1;
        fprintf(out, "%s\n", path);
    }
    fprintf(out, "next: cd %s && make && make test && make check\n", folder);
    return 0;
}
