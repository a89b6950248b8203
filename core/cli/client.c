// SPDX-License-Identifier: Apache-2.0
#include "cli/client.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/control.h"
#include "cli/paths.h"
#include "cli/term.h"

void client_begin(struct client *c, const struct args *a, const char *command) {
    *c = (struct client){.args = a, .fd = -1};
    c->request = json_to(&c->text);
    json_object(&c->request);
    json_kz(&c->request, "command", command);
}

void client_socket_path(const struct args *a, struct buf *out) {
    paths_control_of_client(arg_text(a, "control", NULL), arg_text(a, "data", NULL), out);
}

static int no_daemon(struct client *c, struct err *err) {
    if (err->code == ERR_DENIED) err_hint(err, "the socket is open to root, the daemon's user and its group: usermod -a -G connectd $USER, then log in again");
    else err_hint(err, "start it with: connectd run pipeline.yaml; another one's folder is named by --data");
    if (!arg_flag(c->args, "quiet")) term_error(arg_flag(c->args, "json"), err);
    return EXIT_NO_DAEMON;
}

static int send_all(int fd, struct str s) {
    while (s.n) {
        ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return -1;
        s = str_from(s, (size_t)n);
    }
    return 0;
}

int client_send(struct client *c) {
    struct err err = {0};
    struct buf path = {0};
    json_object_end(&c->request);
    buf_u8(&c->text, '\n');
    client_socket_path(c->args, &path);
    int rc = control_connect(buf_cstr(&path), &c->fd, &err);
    if (rc == 0 && send_all(c->fd, buf_str(&c->text)) != 0) rc = err_set(&err, ERR_NETWORK, "the daemon closed the connection");
    buf_done(&path);
    buf_done(&c->text);
    return rc == 0 ? 0 : no_daemon(c, &err);
}

// The last line: {"done":true,"exit":…,"error":…,"hint":…}.
static int end_of(struct client *c, struct str line) {
    struct doc d;
    struct err err = {0};
    if (doc_parse(&d, line, &err) != 0) {
        term_error(arg_flag(c->args, "json"), &err);
        return EXIT_FAILED;
    }
    const char *why = doc_text(d.root, "error", NULL), *hint = doc_text(d.root, "hint", NULL);
    int code = (int)doc_int(d.root, "exit", 1);
    if (why) {
        err_set(&err, ERR_INVALID, "%s", why);
        if (hint) err_hint(&err, "%s", hint);
        term_error(arg_flag(c->args, "json"), &err);
    }
    doc_done(&d);
    return code;
}

static int print_line(void *arg, struct str line) {
    (void)arg;
    return fwrite(line.p, 1, line.n, stdout) == line.n && putchar('\n') != EOF ? 0 : -1;
}

struct lines { struct buf in; size_t at; };

// Takes whole lines off the buffer. Returns the exit code once the answer ended, -1 to go on, -2 when `line` had enough.
static int take_lines(struct client *c, struct lines *l, int (*line)(void *arg, struct str json), void *arg) {
    for (;;) {
        struct str in = buf_str(&l->in), text;
        size_t end = str_find(in, '\n', l->at);
        if (end == in.n) break;
        text = str_make(in.p + l->at, end - l->at);
        l->at = end + 1;
        if (str_starts(text, STR("{\"done\":"))) return end_of(c, text);
        if (line(arg, text) != 0) return -2;
    }
    memmove(l->in.p, l->in.p + l->at, l->in.n - l->at);
    l->in.n -= l->at;
    l->at = 0;
    return -1;
}

static int receive(struct client *c, int (*line)(void *arg, struct str json), void *arg) {
    struct lines l = {0};
    struct err err = {0};
    int code = -1;
    while (code == -1 && buf_reserve(&l.in, 65536)) {
        fflush(stdout); // what came so far is shown before waiting
        ssize_t n = recv(c->fd, l.in.p + l.in.n, l.in.cap - l.in.n, 0);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        l.in.n += (size_t)n;
        code = take_lines(c, &l, line, arg);
    }
    buf_done(&l.in);
    if (code >= 0) return code;
    if (code == -2) return EXIT_OK;
    err_set(&err, ERR_NETWORK, "the daemon went away in the middle of its answer");
    term_error(arg_flag(c->args, "json"), &err);
    return EXIT_NO_DAEMON;
}

int client_finish(struct client *c, int (*line)(void *arg, struct str json), void *arg) {
    int code = receive(c, line ? line : print_line, arg);
    close(c->fd);
    c->fd = -1;
    return code;
}

int client_run(struct client *c, int (*line)(void *arg, struct str json), void *arg) {
    int code = client_send(c);
    return code ? code : client_finish(c, line, arg);
}

struct showing { struct client *c; void (*show)(const struct args *a, const struct doc_node *answer); };
static int show_line(void *arg, struct str json) {
    struct showing *s = arg;
    struct doc d;
    struct err err;
    if (doc_parse(&d, json, &err) != 0) return -1;
    s->show(s->c->args, d.root);
    doc_done(&d);
    return 0;
}

int client_show(struct client *c, void (*show)(const struct args *a, const struct doc_node *answer)) {
    struct showing s = {c, show};
    return arg_flag(c->args, "json") ? client_run(c, NULL, NULL) : client_run(c, show_line, &s);
}
