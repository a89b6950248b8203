// SPDX-License-Identifier: Apache-2.0
// status, reload, pause, resume, stop, restart: what the worker does, for people.
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/term.h"

static enum colour state_colour(const char *state) {
    static const struct { const char *state; enum colour colour; } rows[] = {
        {"RUNNING", GREEN}, {"COMPLETED", GREEN}, {"FAILED", RED}, {"RESTARTING", YELLOW}, {"PAUSED", YELLOW}, {"STOPPED", YELLOW}};
    for (size_t i = 0; i < countof(rows); i++)
        if (strcmp(rows[i].state, state) == 0) return rows[i].colour;
    return PLAIN;
}

// ── a connector's line ──

// Its own state, unless a task's is worse: RUNNING 2/3 where one has failed.
static void put_state(const struct doc_node *c, struct buf *out) {
    const struct doc_node *tasks = doc_get(c, "tasks");
    size_t n = doc_count(tasks), same = 0;
    const char *state = doc_text(c, "state", "?");
    const char *worst = state;
    DOC_EACH(t, tasks) {
        const char *s = doc_text(t, "state", "?");
        if (strcmp(s, state) == 0) same++;
        else if (strcmp(worst, "FAILED") != 0) worst = s;
    }
    buf_putz(out, worst);
    if (n > 1) buf_printf(out, " %zu/%zu", worst == state ? same : n - same, n);
}

static int64_t sum_metric(const struct doc_node *c, const char *name) {
    int64_t sum = -1;
    DOC_EACH(t, doc_get(c, "tasks")) {
        int64_t v = doc_int(doc_get(t, "metrics"), name, -1);
        if (v >= 0) sum = (sum < 0 ? 0 : sum) + v;
    }
    return sum;
}

static void put_sum(const struct doc_node *c, const char *name, struct buf *out) {
    int64_t v = sum_metric(c, name);
    if (v < 0) buf_putz(out, "-");
    else term_count(out, v);
}

// Records of its topics that the sink has not delivered: not read yet, or read and unanswered.
static void put_lag(const struct doc_node *c, struct buf *out) {
    int64_t lag = 0;
    bool known = false;
    DOC_EACH(t, doc_get(c, "tasks")) {
        const struct doc_node *partitions = doc_get(t, "partitions");
        if (!partitions) continue;
        known = true;
        lag += doc_int(doc_get(t, "metrics"), "sink-record-active-count", 0);
        DOC_EACH(p, partitions) lag += doc_int(p, "end", 0) - doc_int(p, "next", 0);
    }
    if (known) term_count(out, lag);
    else put_sum(c, "sink-record-lag-max", out);
}

// The first task that has something to say.
static void put_news(const struct doc_node *c, struct buf *out) {
    DOC_EACH(t, doc_get(c, "tasks")) {
        const struct doc_node *blocked = doc_get(t, "blocked"), *hung = doc_get(t, "hung");
        const char *trace = doc_text(t, "trace", NULL), *progress = doc_text(t, "progress", NULL);
        if (trace) buf_printf(out, "%.*s", (int)strcspn(trace, "\n"), trace);
        else if (hung) buf_printf(out, "hangs in %s for %s s", doc_text(hung, "call", "?"), doc_text(hung, "seconds", "?"));
        else if (blocked) buf_printf(out, "blocked: %s", doc_text(blocked, "reason", "?"));
        else if (progress) buf_putz(out, progress);
        if (out->n) return;
    }
    const char *trace = doc_text(c, "trace", NULL);
    if (trace) buf_printf(out, "%.*s", (int)strcspn(trace, "\n"), trace);
}

static void put_row(struct table *t, const struct doc_node *c) {
    struct buf state = {0}, records = {0}, lag = {0}, news = {0};
    bool source = strcmp(doc_text(c, "type", ""), "source") == 0;
    put_state(c, &state);
    put_sum(c, source ? "source-record-write-total" : "sink-record-send-total", &records);
    if (source) buf_putz(&lag, "-");
    else put_lag(c, &lag);
    put_news(c, &news);
    _cleanup_free_ char *word = str_dup(str_first(buf_str(&state), str_find(buf_str(&state), ' ', 0)));
    table_cell(t, BOLD, "%s", doc_text(c, "name", "?"));
    table_cell(t, PLAIN, "%s", doc_text(c, "type", "?"));
    table_cell(t, PLAIN, "%s", doc_text(c, "plugin", doc_text(c, "connector", "?")));
    table_cell(t, state_colour(word), "%s", buf_cstr(&state));
    table_cell(t, PLAIN, "%s", buf_cstr(&records));
    table_cell(t, PLAIN, "%s", buf_cstr(&lag));
    table_cell(t, PLAIN, "%s", buf_cstr(&news));
    buf_done(&state);
    buf_done(&records);
    buf_done(&lag);
    buf_done(&news);
}

// ── below the table ──

static void show_failures(const struct doc_node *connectors) {
    DOC_EACH(c, connectors) DOC_EACH(t, doc_get(c, "tasks")) {
        const char *trace = doc_text(t, "trace", NULL), *hint = doc_text(t, "hint", NULL);
        if (!trace || (!strchr(trace, '\n') && !hint)) continue;
        printf("\n%s%s/%s%s %s\n", term_colour(stdout, RED), doc_text(c, "name", "?"), doc_text(t, "id", "0"), term_colour(stdout, PLAIN), trace);
        if (hint && !strstr(trace, hint)) printf("  hint: %s\n", hint);
    }
}

static void show_refused(const struct doc_node *refused) {
    DOC_EACH(r, refused) {
        printf("\n%srefused%s %s\n", term_colour(stdout, RED), term_colour(stdout, PLAIN), doc_text(r, "file", "?"));
        DOC_EACH(f, doc_get(r, "findings")) {
            printf("  %s:%s: %s\n", doc_text(f, "line", "0"), doc_text(f, "column", "0"), doc_text(f, "message", "?"));
            if (doc_text(f, "hint", NULL)) printf("    hint: %s\n", doc_text(f, "hint", ""));
        }
        if (doc_text(r, "error", NULL)) printf("  %s\n", doc_text(r, "error", ""));
    }
}

static void show_orphaned(const struct doc_node *orphaned) {
    DOC_EACH(o, orphaned)
        printf("\n%sorphaned%s %s: no file defines it any more, its offsets are kept; to remove them: %s\n", term_colour(stdout, YELLOW),
               term_colour(stdout, PLAIN), doc_text(o, "name", "?"), doc_text(o, "remove", "connectd offsets reset NAME"));
}

static bool is_listed(const struct doc_node *list, const struct doc_node *p) {
    DOC_EACH(x, list)
        if (strcmp(doc_text(x, "topic", ""), doc_text(p, "topic", "")) == 0 && doc_int(x, "partition", -1) == doc_int(p, "partition", -1)) return true;
    return false;
}

static void show_damaged(const struct doc_node *p) {
    printf("\n%sdamaged%s %s-%s: %s\n", term_colour(stdout, RED), term_colour(stdout, PLAIN), doc_text(p, "topic", "?"), doc_text(p, "partition", "?"), doc_text(p, "reason", "?"));
    if (*doc_text(p, "hint", "")) printf("  hint: %s\n", doc_text(p, "hint", ""));
}

// Partitions that the log has stopped, and internal ones that could not be loaded.
static void show_damage(const struct doc_node *backend) {
    const struct doc_node *unloaded = doc_get(backend, "damaged");
    DOC_EACH(p, unloaded) show_damaged(p);
    DOC_EACH(p, doc_get(doc_get(backend, "log"), "failed_partitions")) if (!is_listed(unloaded, p)) show_damaged(p);
}

static void show_losses(const struct doc_node *losses) {
    DOC_EACH(l, losses) {
        struct buf size = {0};
        term_bytes(&size, doc_int(l, "unread_bytes", 0));
        printf("\n%sabout to lose records%s %s: %s-%s, %s unread, about %s, when %s is full\n", term_colour(stdout, YELLOW), term_colour(stdout, PLAIN),
               doc_text(l, "holder", "?"), doc_text(l, "topic", "?"), doc_text(l, "partition", "?"), buf_cstr(&size), doc_text(l, "at", "?"),
               doc_text(l, "budget", "?"));
        buf_done(&size);
    }
}

// What somebody accepted as lost, so that nobody forgets that it is.
static void show_accepted(const struct doc_node *log) {
    DOC_EACH(p, doc_get(log, "accepted_losses")) {
        const struct doc_node *lost = doc_get(p, "lost");
        printf("\n%saccepted%s %s-%s is without %s offsets in %s bytes that were damaged\n", term_colour(stdout, YELLOW),
               term_colour(stdout, PLAIN), doc_text(p, "topic", "?"), doc_text(p, "partition", "?"), doc_text(lost, "offsets", "?"),
               doc_text(lost, "bytes", "?"));
    }
}

static void show_metric(const struct doc_node *m) {
    printf("  %-40s", m->key.p);
    if (m->text.p) printf(" %s", m->text.p);
    DOC_EACH(part, m) printf(" %s %s", part->key.p, part->text.p ? part->text.p : "");
    printf("\n");
}

static void show_metrics(const struct doc_node *connectors) {
    DOC_EACH(c, connectors) DOC_EACH(t, doc_get(c, "tasks")) {
        printf("\n%s/%s\n", doc_text(c, "name", "?"), doc_text(t, "id", "0"));
        DOC_EACH(m, doc_get(t, "metrics")) show_metric(m);
    }
}

static void show_head(const struct doc_node *s, size_t n) {
    struct buf up = {0};
    term_since(&up, doc_int(s, "uptime_ms", 0));
    printf("connectd %s, pid %s, up %s, data in %s\n", doc_text(s, "version", "?"), doc_text(s, "pid", "?"), buf_cstr(&up), doc_text(s, "data", "?"));
    if (!n) printf("no connectors\n");
    buf_done(&up);
}

// ── the log ──

static void put_count(struct buf *out, const struct doc_node *n, const char *name, const char *what) {
    term_count(out, doc_int(n, name, 0));
    buf_printf(out, " %s", what);
}

static void show_log(const struct doc_node *s, const struct doc_node *log) {
    struct buf line = {0};
    put_count(&line, log, "topics", "topics, ");
    put_count(&line, log, "partitions", "partitions, ");
    term_bytes(&line, doc_int(log, "bytes", 0));
    buf_putz(&line, "; ");
    put_count(&line, log, "open_files", "of ");
    put_count(&line, log, "open_files_most", "segment files open (the process may open ");
    put_count(&line, s, "open_files_limit", "files)");
    printf("log: %s\n", buf_cstr(&line));
    buf_done(&line);
}

static void show_recovery(const struct doc_node *r) {
    printf("\nthe log started in %s ms after %s stop: catalogue %s, journal %s, partitions %s, folders %s, checkpoint %s\n", doc_text(r, "took_ms", "?"),
           doc_true(r, "was_clean") ? "a clean" : "an unclean", doc_text(r, "catalogue_ms", "?"), doc_text(r, "journal_ms", "?"),
           doc_text(r, "partitions_ms", "?"), doc_text(r, "folders_ms", "?"), doc_text(r, "checkpoint_ms", "?"));
    DOC_EACH(x, r)
        if (!str_ends(x->key, STR("_ms")) && doc_int(r, x->key.p, 0)) printf("  %-40s %s\n", x->key.p, x->text.p);
}

static void show_busiest(const struct doc_node *busiest) {
    static const char *const headings[] = {"PARTITION", "BATCHES", "APPENDED", "SYNCS", "P50 ms", "P99 ms", "P99.9 ms", "MAX ms"};
    static const char *const times[] = {"p50_us", "p99_us", "p999_us", "max_us"};
    struct table t;
    if (!doc_count(busiest)) return;
    table_init(&t, countof(headings), headings);
    DOC_EACH(p, busiest) {
        struct buf bytes = {0};
        term_bytes(&bytes, doc_int(p, "bytes_appended", 0));
        table_cell(&t, BOLD, "%s/%s", doc_text(p, "topic", "?"), doc_text(p, "partition", "?"));
        table_cell(&t, PLAIN, "%s", doc_text(p, "batches_appended", "?"));
        table_cell(&t, PLAIN, "%s", buf_cstr(&bytes));
        table_cell(&t, PLAIN, "%s", doc_text(p, "syncs", "?"));
        for (size_t i = 0; i < countof(times); i++) table_cell(&t, PLAIN, "%.2f", (double)doc_int(doc_get(p, "commit"), times[i], 0) / 1000);
        buf_done(&bytes);
    }
    printf("\n");
    table_print(&t, stdout);
}

static void show_status(const struct args *a, const struct doc_node *s) {
    static const char *const headings[] = {"CONNECTOR", "TYPE", "PLUGIN", "STATE", "RECORDS", "LAG", ""};
    const struct doc_node *connectors = doc_get(s, "connectors");
    struct table t;
    if (arg_flag(a, "quiet")) return;
    if (arg_flag(a, "names")) {
        DOC_EACH(c, connectors) printf("%s\n", doc_text(c, "name", ""));
        return;
    }
    const struct doc_node *log = doc_get(doc_get(s, "backend"), "log");
    show_head(s, doc_count(connectors));
    if (log) show_log(s, log);
    if (doc_count(connectors)) {
        table_init(&t, countof(headings), headings);
        DOC_EACH(c, connectors) put_row(&t, c);
        table_print(&t, stdout);
    }
    show_failures(connectors);
    show_refused(doc_get(s, "refused"));
    show_orphaned(doc_get(s, "orphaned"));
    show_damage(doc_get(s, "backend"));
    show_losses(doc_get(doc_get(doc_get(s, "backend"), "log"), "about_to_lose"));
    show_accepted(log);
    if (!arg_flag(a, "verbose")) return;
    show_metrics(connectors);
    if (!log) return;
    show_recovery(doc_get(log, "recovery"));
    show_busiest(doc_get(log, "busiest_partitions"));
}

// One connector alone, as if it were all.
static void show_connector(const struct args *a, const struct doc_node *c) {
    struct doc_node list = {.kind = JSON_ARRAY, .first = (struct doc_node *)(uintptr_t)c};
    static const char *const headings[] = {"CONNECTOR", "TYPE", "PLUGIN", "STATE", "RECORDS", "LAG", ""};
    struct table t;
    table_init(&t, countof(headings), headings);
    put_row(&t, c);
    table_print(&t, stdout);
    show_failures(&list);
    show_metrics(&list);
}

int command_status(const struct args *a) {
    struct client c;
    client_begin(&c, a, a->n ? "connector" : "status");
    if (a->n) json_kz(&c.request, "connector", a->words[0]);
    return client_show(&c, a->n ? show_connector : show_status);
}

// ── reload ──

static void show_report(const struct args *a, const struct doc_node *report) {
    size_t changed = 0;
    DOC_EACH(c, doc_get(report, "changes")) {
        const char *what = doc_text(c, "change", "?"), *detail = doc_text(c, "detail", NULL);
        const char *name = doc_text(c, "connector", doc_text(c, "file", "?"));
        if (strcmp(what, "unchanged") == 0) continue;
        changed++;
        printf("%s%-10s%s %s\n", term_colour(stdout, strcmp(what, "refused") == 0 ? RED : GREEN), what, term_colour(stdout, PLAIN), name);
        if (detail) printf("%s\n", detail);
    }
    if (!changed) printf("nothing has changed\n");
}

int command_reload(const struct args *a) {
    struct client c;
    client_begin(&c, a, "reload");
    return client_show(&c, show_report);
}

// ── pause, resume, stop, restart ──

static void show_target(const struct args *a, const struct doc_node *answer) {
    printf("%s %s\n", doc_text(answer, "connector", "?"), doc_text(answer, "state", "?"));
}

int command_target(const struct args *a) {
    int worst = EXIT_OK;
    for (size_t i = 0; i < a->n; i++) {
        struct client c;
        struct str rest = str_of(a->words[i]), name, task;
        bool restart = strcmp(a->command->name, "restart") == 0;
        int64_t id;
        client_begin(&c, a, a->command->name);
        str_split(&rest, '/', &name);
        json_ks(&c.request, "connector", name);
        if (restart && str_split(&rest, '/', &task) && str_to_i64(task, &id)) json_ki(&c.request, "task", id);
        if (restart) json_kb(&c.request, "only_failed", arg_flag(a, "only-failed"));
        int code = client_show(&c, show_target);
        if (code) worst = code;
    }
    return worst;
}
