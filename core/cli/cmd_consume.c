// SPDX-License-Identifier: Apache-2.0
// consume, produce: records out of and into the log.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/term.h"

// ── consume ──

static void put_member(const struct doc_node *n, struct buf *out) {
    struct json_writer w = json_to(out);
    if (!n || n->kind == JSON_NULL) buf_putz(out, "null");
    else if (n->kind == JSON_STRING) buf_puts(out, n->text);
    else doc_write(n, &w);
}

// orders/0@7  2024-01-01T00:00:00.000Z  key  value, headers below.
static int show_record(void *arg, struct str line) {
    const struct args *a = arg;
    struct doc d;
    struct err err;
    struct buf out = {0};
    if (doc_parse(&d, line, &err) != 0) return -1;
    buf_printf(&out, "%s%s/%s@%s", term_colour(stdout, GREEN), doc_text(d.root, "topic", "?"), doc_text(d.root, "partition", "?"), doc_text(d.root, "offset", "?"));
    buf_printf(&out, "%s  %s", term_colour(stdout, PLAIN), term_colour(stdout, DIM));
    time_print(&out, doc_int(d.root, "timestamp", 0) * 1000);
    buf_printf(&out, "%s  ", term_colour(stdout, PLAIN));
    put_member(doc_get(d.root, "key"), &out);
    buf_putz(&out, "  ");
    put_member(doc_get(d.root, "value"), &out);
    buf_u8(&out, '\n');
    if (!arg_flag(a, "no-headers"))
        DOC_EACH(h, doc_get(d.root, "headers")) {
            buf_printf(&out, "    %s%s: ", term_colour(stdout, DIM), h->first && h->first->text.p ? h->first->text.p : "?");
            put_member(h->first ? h->first->next : NULL, &out);
            buf_printf(&out, "%s\n", term_colour(stdout, PLAIN));
        }
    bool ok = fwrite(out.p, 1, out.n, stdout) == out.n;
    buf_done(&out);
    doc_done(&d);
    return ok ? 0 : -1;
}

int command_consume(const struct args *a) {
    struct client c;
    client_begin(&c, a, a->command->name); // consume or tap
    json_kz(&c.request, "regex", a->words[0]);
    json_kb(&c.request, "from_beginning", arg_flag(a, "from-beginning"));
    json_kb(&c.request, "until_end", arg_flag(a, "until-end"));
    json_kb(&c.request, "internal", arg_flag(a, "internal"));
    json_ki(&c.request, "partition", arg_number(a, "partition", -1));
    json_ki(&c.request, "offset", arg_number(a, "offset", -1));
    json_ki(&c.request, "max", arg_number(a, "max", -1));
    if (arg_text(a, "group", NULL)) json_kz(&c.request, "group", arg_text(a, "group", NULL));
    return arg_flag(a, "json") ? client_run(&c, NULL, NULL) : client_run(&c, show_record, (void *)(uintptr_t)a);
}

// ── produce ──

static void show_produced(const struct doc_node *answer) {
    fprintf(stderr, "%s record%s to %s\n", doc_text(answer, "produced", "0"), doc_int(answer, "produced", 0) == 1 ? "" : "s", doc_text(answer, "topic", "?"));
}

static int produced_line(void *arg, struct str line) {
    const struct args *a = arg;
    struct doc d;
    struct err err;
    if (arg_flag(a, "json")) return printf("%.*s\n", (int)line.n, line.p) < 0;
    if (doc_parse(&d, line, &err) != 0) return -1;
    show_produced(d.root);
    doc_done(&d);
    return 0;
}

// Everything of standard input; ends early when the daemon has enough (it says why in its answer).
static void send_input(int fd) {
    char room[65536];
    for (ssize_t n; (n = read(STDIN_FILENO, room, sizeof(room))) != 0;) {
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) break;
        for (ssize_t at = 0; at < n;) {
            ssize_t sent = send(fd, room + at, (size_t)(n - at), MSG_NOSIGNAL);
            if (sent <= 0 && errno != EINTR) return;
            if (sent > 0) at += sent;
        }
    }
    shutdown(fd, SHUT_WR);
}

int command_produce(const struct args *a) {
    struct client c;
    const char *key = arg_text(a, "key", NULL);
    client_begin(&c, a, "produce");
    json_kz(&c.request, "topic", a->words[0]);
    if (key) json_kz(&c.request, "key", key);
    json_kb(&c.request, "json_lines", arg_flag(a, "json-lines"));
    json_ki(&c.request, "partition", arg_number(a, "partition", -1));
    int code = client_send(&c);
    if (code) return code;
    send_input(c.fd);
    return client_finish(&c, produced_line, (void *)(uintptr_t)a);
}
