// SPDX-License-Identifier: Apache-2.0
#include "tailing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "test.h"
#include "tmpdir.h"

struct tailing tailing_start(const char *pattern, const char *const *more) {
    struct tailing t = {.dir = tmpdir_new()};
    const char *options[16] = {"topic=lines", "headers=false"};
    char path[512];
    size_t n = 3;
    snprintf(path, sizeof path, "path=%s/%s", t.dir, pattern);
    options[2] = path;
    for (; more && *more; more++) options[n++] = *more;
    options[n] = NULL;
    t.host = testhost_new_component(connectd_plugin_v1()->components[0], options);
    return t;
}

void tailing_end(struct tailing *t) {
    testhost_free(t->host);
    for (size_t i = 0; i < t->kept_count; i++) free(t->kept[i]);
    free(t->kept);
}

static void opened(struct tailing *t) {
    if (!t->host->task && testhost_open(t->host) != 0) fail_msg("%s (%s)", t->host->failure.text, t->host->failure.hint);
}

// The value of a line's record: the text between "value": and ,"headers", without its quotes.
static char *value_of(const char *json) {
    const char *from = strstr(json, "\"value\":") + 8, *to = strstr(json, ",\"headers\":");
    return strndup(from + (*from == '"'), (size_t)(to - from) - 2 * (size_t)(*from == '"'));
}

static void commit(struct tailing *t) {
    for (; t->seen < t->host->line_count; t->seen++) {
        if (t->kept_count == t->kept_cap) t->kept = realloc(t->kept, (t->kept_cap = t->kept_cap * 2 + 64) * sizeof *t->kept);
        t->kept[t->kept_count++] = value_of(t->host->lines[t->seen]);
    }
    testhost_commit(t->host);
}

static int polled(struct tailing *t, unsigned ms) {
    opened(t);
    int got = testhost_poll(t->host, ms);
    if (got == CN_POLL_FAILED) fail_msg("%s", t->host->failure.text);
    return got;
}

void tailing_poll(struct tailing *t) { polled(t, 0); }

void tailing_step(struct tailing *t) {
    polled(t, 0);
    commit(t);
}

void tailing_drain(struct tailing *t, unsigned quiet_ms) {
    while (polled(t, quiet_ms) == CN_POLL_OK) commit(t);
}

void tailing_restart(struct tailing *t) {
    testhost_close(t->host);
    t->seen = t->host->line_count; // what was not committed is forgotten
    opened(t);
}

const char *tailing_lines(struct tailing *t) {
    static char *text;
    size_t n = 0, cap = 1;
    for (size_t i = 0; i < t->kept_count; i++) cap += strlen(t->kept[i]) + 1;
    free(text);
    text = malloc(cap);
    text[0] = '\0';
    for (size_t i = 0; i < t->kept_count; i++) n += (size_t)sprintf(text + n, "%s|", t->kept[i]);
    return text;
}

const char *file_path(struct tailing *t, const char *name) {
    static char paths[4][1024];
    static unsigned next;
    char *p = paths[next++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", t->dir, name);
    return p;
}

void file_append(struct tailing *t, const char *name, const char *text) {
    int fd = open(file_path(t, name), O_WRONLY | O_CREAT | O_APPEND, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

void file_rename(struct tailing *t, const char *from, const char *to) { assert_int_equal(rename(file_path(t, from), file_path(t, to)), 0); }

void file_copy(struct tailing *t, const char *from, const char *to) {
    char *text = tmpdir_read(file_path(t, from));
    assert_non_null(text);
    file_delete(t, to);
    file_append(t, to, text);
    free(text);
}

void file_cut(struct tailing *t, const char *name) { assert_int_equal(truncate(file_path(t, name), 0), 0); }
void file_delete(struct tailing *t, const char *name) { unlink(file_path(t, name)); }
