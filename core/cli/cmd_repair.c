// SPDX-License-Identifier: Apache-2.0
// log-repair: show, salvage, accept; through the daemon, or with --data-dir on a folder without one.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/subscription.h"
#include "base/fs.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/repair.h"
#include "cli/term.h"
#include "store/store.h"

// ── what people see ──

static const char *offsets_of(const struct doc_node *n, char out[80]) {
    int64_t first = doc_int(n, "first", 0), end = doc_int(n, "end", 0);
    if (end - first == 1) snprintf(out, 80, "offset %lld", (long long)first);
    else if (end > first) snprintf(out, 80, "offsets %lld to %lld", (long long)first, (long long)end - 1);
    else snprintf(out, 80, "no offset");
    return out;
}

static void show_area(const struct doc_node *a) {
    int64_t at = doc_int(a, "position", 0);
    char offsets[80];
    printf("    bytes %lld to %lld, %s: %s\n", (long long)at, (long long)(at + doc_int(a, "size", 0) - 1), offsets_of(a, offsets),
           doc_text(a, "why", "?"));
}

static void show_segment(const struct doc_node *g) {
    int64_t is = doc_int(g, "file_size", -1), size = doc_int(g, "size", 0);
    printf("  %s, %lld durable bytes of offsets %lld to %lld", doc_text(g, "file", "?"), (long long)size, (long long)doc_int(g, "base", 0),
           (long long)doc_int(g, "end", 0) - 1);
    if (is < 0) printf("; there is no such file\n");
    else if (is != size) printf("; the file has %lld bytes\n", (long long)is);
    else printf("\n");
    if (doc_get(g, "mended_byte"))
        printf("    byte %s was changed; its checksums say what it was: nothing is lost\n", doc_text(g, "mended_byte", "?"));
    DOC_EACH(a, doc_get(g, "areas")) show_area(a);
    printf("    whole around it: %s records, batches: %s\n", doc_text(g, "records", "0"), doc_text(g, "batches", "0"));
}

static void show_lost(const char *what, const struct doc_node *lost) {
    if (!doc_int(lost, "areas", 0)) printf("  nothing is lost\n");
    else
        printf("  %s%s%s: %s offsets in %s bytes\n", term_colour(stdout, RED), what, term_colour(stdout, PLAIN),
               doc_text(lost, "offsets", "0"), doc_text(lost, "bytes", "0"));
}

static void show_ways(const char *name, const struct doc_node *x) {
    printf("  to go on:\n");
    if (doc_int(doc_get(x, "lost"), "areas", 0)) {
        printf("    put the file back from a copy, if there is one: with it connectd log-repair accept %s loses nothing\n", name);
        printf("    connectd log-repair salvage %s --to NEW_TOPIC    copies the %s records that are whole\n", name,
               doc_text(x, "records", "0"));
    }
    printf("    connectd log-repair accept %s    keeps the damaged bytes aside, and the partition serves again without them\n", name);
}

static void show_inspection(const struct args *a, const struct doc_node *x) {
    bool stopped = doc_true(x, "stopped");
    struct buf name = {0};
    (void)a;
    buf_printf(&name, "%s-%s", doc_text(x, "topic", "?"), doc_text(x, "partition", "?"));
    if (stopped) printf("%s%s%s\n", term_colour(stdout, RED), doc_text(x, "reason", "?"), term_colour(stdout, PLAIN));
    else printf("%s%s%s is served\n", term_colour(stdout, BOLD), buf_cstr(&name), term_colour(stdout, PLAIN));
    DOC_EACH(g, doc_get(x, "damaged")) show_segment(g);
    DOC_EACH(t, doc_get(x, "transactions")) printf("  %s; it is made again from the batches\n", t->text.p ? t->text.p : "?");
    if (doc_int(x, "unreadable", 0))
        printf("  %s bytes are not given by the disk; it may give them another time\n", doc_text(x, "unreadable", "0"));
    show_lost("lost", doc_get(x, "lost"));
    printf("  whole: %s records, batches: %s, segments: %s, offsets %s to %lld\n", doc_text(x, "records", "0"), doc_text(x, "batches", "0"),
           doc_text(x, "segments", "0"), doc_text(x, "log_start", "0"), (long long)doc_int(x, "next_offset", 0) - 1);
    if (doc_get(doc_get(x, "accepted"), "gaps")) show_lost("accepted as lost before", doc_get(x, "accepted"));
    if (stopped) show_ways(buf_cstr(&name), x);
    buf_done(&name);
}

static void show_salvaged(const struct args *a, const struct doc_node *x) {
    (void)a;
    printf("%s records of %s-%s are in topic %s now, batches: %s\n", doc_text(x, "records", "0"), doc_text(x, "topic", "?"),
           doc_text(x, "partition", "?"), doc_text(x, "to", "?"), doc_text(x, "batches", "0"));
    if (doc_int(x, "aborted", 0)) printf("  left out: %s records of aborted transactions\n", doc_text(x, "aborted", "0"));
    if (doc_int(x, "open", 0)) printf("  left out: %s records of transactions that nobody has ended\n", doc_text(x, "open", "0"));
    if (doc_int(x, "undecodable", 0)) printf("  left out: %s batches that can not be expanded\n", doc_text(x, "undecodable", "0"));
    show_lost("lost", doc_get(x, "lost"));
    DOC_EACH(m, doc_get(x, "map")) {
        char offsets[80];
        printf("  %s -> %s …\n", offsets_of(m, offsets), doc_text(m, "to", "?"));
    }
    if (doc_int(x, "more", 0)) printf("  and %s more ranges\n", doc_text(x, "more", "0"));
    printf("  %s-%s is as it was\n", doc_text(x, "topic", "?"), doc_text(x, "partition", "?"));
}

static void show_accepted(const struct args *a, const struct doc_node *x) {
    const char *topic = doc_text(x, "topic", "?");
    printf("%s-%s serves again: %s records, batches: %s, offsets %s to %lld\n", topic, doc_text(x, "partition", "?"),
           doc_text(x, "records", "0"), doc_text(x, "batches", "0"), doc_text(x, "log_start", "0"),
           (long long)doc_int(x, "next_offset", 0) - 1);
    show_lost("lost for good", doc_get(x, "lost"));
    DOC_EACH(g, doc_get(x, "gaps")) {
        char offsets[80];
        printf("    %s, %s bytes\n", offsets_of(g, offsets), doc_text(g, "bytes", "0"));
    }
    DOC_EACH(k, doc_get(x, "quarantined")) printf("  kept: %s; remove it when nobody needs it\n", k->text.p ? k->text.p : "?");
    if (arg_text(a, "data-dir", NULL)) return;
    if (topic_is_internal(topic)) printf("  restart connectd: what depends on an internal topic is loaded at the start\n");
    else printf("  connectors that have failed for it go on after: connectd restart CONNECTOR\n");
}

// ── where ──

struct asking {
    const struct args *args;
    const char *request;
    void (*show)(const struct args *a, const struct doc_node *answer);
};

static int print_line(void *arg, struct str json) {
    const struct asking *q = arg;
    struct doc d;
    struct err err;
    if (arg_flag(q->args, "json")) return printf("%.*s\n", STR_FMT(json)) < 0;
    if (doc_parse(&d, json, &err) != 0) return -1;
    q->show(q->args, d.root);
    doc_done(&d);
    return 0;
}

static int ask_daemon(const struct asking *q) {
    struct client c;
    client_begin(&c, q->args, q->request);
    if (q->args->n) json_kz(&c.request, "partition", q->args->words[0]);
    if (arg_text(q->args, "to", NULL)) json_kz(&c.request, "to", arg_text(q->args, "to", NULL));
    json_kb(&c.request, "unreadable", arg_flag(q->args, "unreadable"));
    return client_show(&c, q->show);
}

static void store_said(void *arg, enum store_event_kind kind, const char *text) {
    (void)arg;
    if (kind != STORE_EVENT_INFO) fprintf(stderr, "connectd: log: %s\n", text);
}

static int open_folder(const char *dir, struct fs **ret_fs, struct store **ret, struct err *err) {
    struct fs_stat st;
    if (fs_posix_open(dir, ret_fs, err) != 0) return -1;
    struct store_options o = {.fs = *ret_fs, .event = store_said, .cleaner_off = true};
    int failed = o.fs->ops->stat(o.fs, "meta.properties", &st, err);
    if (failed && err->code == ERR_NOT_FOUND) err_set(err, ERR_NOT_FOUND, "it is no data folder of connectd");
    if (!failed && (failed = store_open(&o, ret, err)) && err->code == ERR_BUSY)
        err_hint(err, "a daemon uses it, and can be asked itself: leave --data-dir away");
    if (!failed) return 0;
    fs_close(*ret_fs);
    return -1;
}

static int ask_store(const struct asking *q, struct store *s, struct err *err) {
    const char *name = q->args->n ? q->args->words[0] : NULL;
    if (strcmp(q->request, "log-show") == 0) return repair_show(s, name, print_line, (void *)(uintptr_t)q, err);
    if (strcmp(q->request, "log-salvage") == 0)
        return repair_salvage(s, name, arg_text(q->args, "to", ""), print_line, (void *)(uintptr_t)q, err);
    return repair_accept(s, name, arg_flag(q->args, "unreadable"), print_line, (void *)(uintptr_t)q, err);
}

// The folder is opened as a start of the daemon opens it, recovery and all.
static int ask_folder(const struct asking *q, const char *dir) {
    struct fs *fs;
    struct store *s;
    struct err err = {0}, closing;
    if (open_folder(dir, &fs, &s, &err) != 0) {
        err_wrap(&err, "data folder %s", dir);
        term_error(arg_flag(q->args, "json"), &err);
        return err.code == ERR_CORRUPT || err.code == ERR_UNSUPPORTED ? EXIT_BAD_DATA : EXIT_FAILED;
    }
    int code = ask_store(q, s, &err);
    if (code < 0) term_error(arg_flag(q->args, "json"), &err);
    if (store_close(s, &closing) != 0 && code >= 0) term_error(arg_flag(q->args, "json"), &closing), code = -1;
    fs_close(fs);
    return code < 0 ? EXIT_FAILED : code;
}

static int ask(const struct asking *q) {
    const char *dir = arg_text(q->args, "data-dir", NULL);
    return dir ? ask_folder(q, dir) : ask_daemon(q);
}

// ── the commands ──

int command_repair_show(const struct args *a) {
    struct asking q = {.args = a, .request = "log-show", .show = show_inspection};
    int code = ask(&q);
    if (code == EXIT_OK && !a->n && !arg_flag(a, "json")) printf("no partition is stopped\n");
    return code;
}

static int usage(const char *what, const char *hint) {
    struct err err;
    err_set(&err, ERR_INVALID, "%s", what);
    err_hint(&err, "%s", hint);
    term_error(false, &err);
    return EXIT_USAGE;
}

int command_repair_salvage(const struct args *a) {
    struct asking q = {.args = a, .request = "log-salvage", .show = show_salvaged};
    if (!arg_text(a, "to", NULL)) return usage("log-repair salvage: --to NEW_TOPIC is needed", "a topic that is not there yet");
    return ask(&q);
}

// Shows what will be lost and asks.
static int confirmed(const struct args *a, bool *ret) {
    struct asking q = {.args = a, .request = "log-show", .show = show_inspection};
    char line[16];
    int code = ask(&q);
    *ret = false;
    if (code != EXIT_OK && code != EXIT_BAD_DATA) return code;
    fprintf(stderr, "Accept this loss for good? Type yes: ");
    *ret = fgets(line, sizeof(line), stdin) && strcmp(line, "yes\n") == 0;
    if (!*ret) fprintf(stderr, "nothing was changed\n");
    return *ret ? EXIT_OK : EXIT_FAILED;
}

int command_repair_accept(const struct args *a) {
    struct asking q = {.args = a, .request = "log-accept", .show = show_accepted};
    bool yes = arg_flag(a, "yes");
    if (!yes && (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO) || arg_flag(a, "json")))
        return usage("log-repair accept: nobody is there to be asked, and nothing was changed",
                     "with --yes the loss is accepted without asking");
    int code = yes ? EXIT_OK : confirmed(a, &yes);
    return yes ? ask(&q) : code;
}
