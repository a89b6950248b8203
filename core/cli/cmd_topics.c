// SPDX-License-Identifier: Apache-2.0
// topics, offsets: looking and changing.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/term.h"

// ── topics ──

static void count_cell(struct table *t, int64_t n) {
    struct buf text = {0};
    term_count(&text, n);
    table_cell(t, PLAIN, "%s", buf_cstr(&text));
    buf_done(&text);
}

static void bytes_cell(struct table *t, int64_t n) {
    struct buf text = {0};
    term_bytes(&text, n);
    table_cell(t, PLAIN, "%s", buf_cstr(&text));
    buf_done(&text);
}

static void show_topics(const struct args *a, const struct doc_node *answer) {
    static const char *const headings[] = {"TOPIC", "PARTITIONS", "RECORDS", "SIZE"};
    struct table t;
    if (arg_flag(a, "names")) {
        DOC_EACH(x, doc_get(answer, "topics")) printf("%s\n", doc_text(x, "name", ""));
        return;
    }
    table_init(&t, countof(headings), headings);
    DOC_EACH(x, doc_get(answer, "topics")) {
        table_cell(&t, BOLD, "%s", doc_text(x, "name", "?"));
        table_cell(&t, PLAIN, "%s", doc_text(x, "partitions", "?"));
        count_cell(&t, doc_int(x, "records", 0));
        bytes_cell(&t, doc_int(x, "bytes", 0));
    }
    table_print(&t, stdout);
}

static void ms_cell(struct table *t, const struct doc_node *commit, const char *name) { table_cell(t, PLAIN, "%.2f", (double)doc_int(commit, name, 0) / 1000); }

static void show_activity(const struct doc_node *answer) {
    static const char *const headings[] = {"PARTITION", "SEGMENTS", "BATCHES", "BYTES", "SYNCS", "P50 ms", "P99 ms", "P99.9 ms", "MAX ms"};
    struct table t;
    table_init(&t, countof(headings), headings);
    DOC_EACH(p, doc_get(answer, "partitions")) {
        const struct doc_node *commit = doc_get(p, "commit");
        if (!doc_int(p, "batches_appended", 0)) continue;
        table_cell(&t, BOLD, "%s", doc_text(p, "partition", "?"));
        count_cell(&t, doc_int(p, "segments", 0));
        count_cell(&t, doc_int(p, "batches_appended", 0));
        bytes_cell(&t, doc_int(p, "bytes_appended", 0));
        count_cell(&t, doc_int(p, "syncs", 0));
        ms_cell(&t, commit, "p50_us");
        ms_cell(&t, commit, "p99_us");
        ms_cell(&t, commit, "p999_us");
        ms_cell(&t, commit, "max_us");
    }
    printf("\nappended since the start:\n");
    table_print(&t, stdout);
}

static void show_topic(const struct args *a, const struct doc_node *answer) {
    static const char *const headings[] = {"PARTITION", "START", "END", "STABLE", "RECORDS", "SIZE", ""};
    struct table t;
    table_init(&t, countof(headings), headings);
    DOC_EACH(p, doc_get(answer, "partitions")) {
        int64_t start = doc_int(p, "log_start", 0), end = doc_int(p, "high_watermark", 0);
        table_cell(&t, BOLD, "%s", doc_text(p, "partition", "?"));
        table_cell(&t, PLAIN, "%lld", (long long)start);
        table_cell(&t, PLAIN, "%lld", (long long)end);
        table_cell(&t, PLAIN, "%s", doc_text(p, "last_stable", "-"));
        count_cell(&t, end - start);
        bytes_cell(&t, doc_int(p, "bytes", 0));
        table_cell(&t, RED, "%s", doc_text(p, "error", ""));
    }
    table_print(&t, stdout);
    if (arg_flag(a, "verbose")) show_activity(answer);
    DOC_EACH(setting, doc_get(answer, "config")) printf("%.*s=%.*s\n", STR_FMT(setting->key), STR_FMT(setting->text));
}

int command_topics(const struct args *a) {
    struct client c;
    client_begin(&c, a, "topics");
    if (a->n) json_kz(&c.request, "topic", a->words[0]);
    json_kb(&c.request, "internal", arg_flag(a, "internal"));
    return client_show(&c, a->n ? show_topic : show_topics);
}

// name=value as a member; 0, or a usage error.
static int put_setting(struct json_writer *w, const char *text) {
    struct str rest = str_of(text), name;
    struct err err;
    if (str_split(&rest, '=', &name) && name.n && rest.p) {
        json_key(w, name);
        json_string(w, rest);
        return 0;
    }
    err_set(&err, ERR_INVALID, "--set %s: NAME=VALUE is expected", text);
    term_error(false, &err);
    return EXIT_USAGE;
}

// Topic, partitions and settings of create and alter.
static int put_spec(const struct args *a, struct json_writer *w) {
    size_t at = 0;
    json_kz(w, "topic", a->words[0]);
    json_ki(w, "partitions", arg_number(a, "partitions", 0));
    json_key(w, STR("config"));
    json_object(w);
    for (const char *s; (s = arg_next(a, "set", &at));)
        if (put_setting(w, s)) return EXIT_USAGE;
    at = 0;
    for (const char *s; (s = arg_next(a, "unset", &at));) json_kz(w, s, NULL);
    json_object_end(w);
    return 0;
}

static int create_or_alter(const struct args *a, const char *request) {
    struct client c;
    client_begin(&c, a, request);
    int code = put_spec(a, &c.request);
    if (!code) return client_run(&c, NULL, NULL);
    buf_done(&c.text);
    return code;
}

int command_topics_create(const struct args *a) { return create_or_alter(a, "topic-create"); }

int command_topics_alter(const struct args *a) { return create_or_alter(a, "topic-alter"); }

static void show_deleted(const struct args *a, const struct doc_node *answer) {
    (void)a;
    printf("%s/%s begins at %s\n", doc_text(answer, "topic", "?"), doc_text(answer, "partition", "?"), doc_text(answer, "log_start", "?"));
}

int command_topics_delete_records(const struct args *a) {
    struct client c;
    struct err err;
    if (arg_flag(a, "all") == (arg_number(a, "before", -1) >= 0)) {
        err_set(&err, ERR_INVALID, "either --before OFFSET or --all is expected");
        term_error(false, &err);
        return EXIT_USAGE;
    }
    client_begin(&c, a, "delete-records");
    json_kz(&c.request, "topic", a->words[0]);
    json_ki(&c.request, "partition", arg_number(a, "partition", 0));
    json_ki(&c.request, "before", arg_number(a, "before", -1));
    return client_show(&c, show_deleted);
}

int command_topics_delete(const struct args *a) {
    struct client c;
    client_begin(&c, a, "topic-delete");
    json_kz(&c.request, "topic", a->words[0]);
    return client_run(&c, NULL, NULL);
}

// ── offsets ──

static void print_node(const struct doc_node *n) {
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    if (n) doc_write(n, &w);
    else json_null(&w);
    printf("%s", buf_cstr(&out));
    buf_done(&out);
}

static void show_offsets(const struct args *a, const struct doc_node *answer) {
    const struct doc_node *offsets = doc_get(answer, "offsets");
    if (!doc_count(offsets)) printf("no offsets yet\n");
    DOC_EACH(o, offsets) {
        const struct doc_node *p = doc_get(o, "partition"), *offset = doc_get(o, "offset");
        if (doc_get(p, "kafka_topic")) {
            printf("%s/%s  %s\n", doc_text(p, "kafka_topic", "?"), doc_text(p, "kafka_partition", "?"), doc_text(offset, "kafka_offset", "-"));
            continue;
        }
        print_node(p);
        printf("  ");
        print_node(offset);
        printf("\n");
    }
}

int command_offsets_get(const struct args *a) {
    struct client c;
    client_begin(&c, a, "offsets-get");
    json_kz(&c.request, "connector", a->words[0]);
    return client_show(&c, show_offsets);
}

static void show_changes(const struct args *a, const struct doc_node *answer) {
    if (!doc_count(doc_get(answer, "changes"))) printf("nothing changes\n");
    DOC_EACH(c, doc_get(answer, "changes")) {
        print_node(doc_get(c, "partition"));
        printf("  ");
        print_node(doc_get(c, "from"));
        printf(" -> ");
        print_node(doc_get(c, "to"));
        printf("\n");
    }
    if (arg_flag(a, "dry-run")) printf("nothing was changed: --dry-run\n");
}

static int bad_offset(const char *word) {
    struct err err;
    err_set(&err, ERR_INVALID, "'%s': TOPIC/PARTITION=OFFSET is expected", word);
    term_error(false, &err);
    return EXIT_USAGE;
}

// shop.orders/0=42
static int put_offset(struct json_writer *w, const char *word) {
    struct str s = str_of(word);
    size_t equals = str_find(s, '=', 0), slash = equals;
    while (slash > 0 && s.p[slash] != '/') slash--;
    int64_t partition, offset = 0;
    struct str to = str_from(s, equals + 1);
    bool reset = str_eqz(to, "null");
    if (!slash || equals == s.n || !str_to_i64(str_make(s.p + slash + 1, equals - slash - 1), &partition)) return bad_offset(word);
    if (!reset && !str_to_i64(to, &offset)) return bad_offset(word);
    json_object(w);
    json_key(w, STR("partition"));
    json_object(w);
    json_ks(w, "kafka_topic", str_first(s, slash));
    json_ki(w, "kafka_partition", partition);
    json_object_end(w);
    json_key(w, STR("offset"));
    if (reset) json_null(w);
    else {
        json_object(w);
        json_ki(w, "kafka_offset", offset);
        json_object_end(w);
    }
    json_object_end(w);
    return 0;
}

static int put_offsets_of_input(struct json_writer *w) {
    struct buf in = {.limit = 1 << 20};
    struct doc d;
    struct err err = {0};
    char room[4096];
    for (ssize_t n; (n = read(STDIN_FILENO, room, sizeof(room))) > 0;) buf_put(&in, room, (size_t)n);
    int rc = in.bad ? err_set(&err, ERR_TOO_LARGE, "standard input: more than 1 MiB") : doc_parse(&d, buf_str(&in), &err);
    if (rc == 0) {
        const struct doc_node *list = d.root->kind == JSON_ARRAY ? d.root : doc_get(d.root, "offsets");
        if (list) doc_write(list, w);
        else rc = err_set(&err, ERR_INVALID, "{\"offsets\":[…]} is expected, as `connectd offsets get --json` prints it");
        doc_done(&d);
    }
    buf_done(&in);
    if (rc == 0) return 0;
    err_wrap(&err, "standard input");
    term_error(false, &err);
    return EXIT_USAGE;
}

int command_offsets_set(const struct args *a) {
    struct client c;
    int code = 0;
    client_begin(&c, a, "offsets-set");
    json_kz(&c.request, "connector", a->words[0]);
    json_kb(&c.request, "dry_run", arg_flag(a, "dry-run"));
    json_key(&c.request, STR("offsets"));
    if (a->n == 1) code = put_offsets_of_input(&c.request);
    if (a->n > 1) json_array(&c.request);
    for (size_t i = 1; i < a->n && !code; i++) code = put_offset(&c.request, a->words[i]);
    if (a->n > 1) json_array_end(&c.request);
    if (!code) return client_show(&c, show_changes);
    buf_done(&c.text);
    return code;
}

int command_offsets_reset(const struct args *a) {
    struct client c;
    client_begin(&c, a, "offsets-reset");
    json_kz(&c.request, "connector", a->words[0]);
    json_kb(&c.request, "dry_run", arg_flag(a, "dry-run"));
    return client_show(&c, show_changes);
}
