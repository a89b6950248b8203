// SPDX-License-Identifier: Apache-2.0
// plugins: the list, and the author's tools of plugin/commands.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/client.h"
#include "cli/cmd.h"
#include "cli/control.h"
#include "cli/term.h"
#include "config/options.h"
#include "plugin/commands.h"

// ── the list ──

static void show_plugin(const struct doc_node *p) {
    bool faulty = strcmp(doc_text(p, "status", ""), "faulty") == 0;
    printf("%s%s%s %s  %s%s%s%s%s%s\n", term_colour(stdout, faulty ? RED : BOLD), doc_text(p, "name", "?"), term_colour(stdout, PLAIN), doc_text(p, "version", ""),
           doc_text(p, "status", "?"), doc_true(p, "changed") ? " (changed on disk, used after restart)" : "", doc_text(p, "path", NULL) ? "  " : "",
           term_colour(stdout, DIM), doc_text(p, "path", ""), term_colour(stdout, PLAIN));
    if (doc_text(p, "error", NULL)) printf("  %s\n", doc_text(p, "error", ""));
    if (doc_text(p, "hint", NULL)) printf("  hint: %s\n", doc_text(p, "hint", ""));
    DOC_EACH(c, doc_get(p, "components")) printf("  %-10s %-24s %s\n", doc_text(c, "kind", "?"), doc_text(c, "name", "?"), doc_text(c, "summary", ""));
}

static bool any_faulty(const struct doc_node *list) {
    DOC_EACH(p, list)
        if (strcmp(doc_text(p, "status", ""), "faulty") == 0) return true;
    return false;
}

struct shown { const struct args *a; bool faulty; };
static int show_plugins(void *arg, struct str json) {
    struct shown *s = arg;
    struct doc d;
    struct err err;
    if (doc_parse(&d, json, &err) != 0) return -1;
    if (arg_flag(s->a, "json")) printf("%.*s\n", (int)json.n, json.p);
    else
        DOC_EACH(p, d.root) show_plugin(p);
    s->faulty = any_faulty(d.root);
    doc_done(&d);
    return 0;
}

static bool daemon_answers(const struct args *a) {
    struct buf path = {0};
    struct err err;
    int fd = -1;
    client_socket_path(a, &path);
    if (control_connect(buf_cstr(&path), &fd, &err) == 0) close(fd);
    buf_done(&path);
    return fd >= 0;
}

static int list_folders(const struct args *a, struct shown *s) {
    struct worker_config *c;
    struct buf text = {0};
    struct json_writer w = json_to(&text);
    int code = cmd_load_config(a, &c);
    if (code) return code;
    struct plugins *p = cmd_load_plugins(c);
    plugins_json(p, &w);
    show_plugins(s, buf_str(&text));
    buf_done(&text);
    plugins_free(p);
    worker_config_free(c);
    return EXIT_OK;
}

int command_plugins(const struct args *a) {
    struct shown s = {a, false};
    struct client c;
    int code;
    if (arg_flag(a, "plugin-path") || arg_flag(a, "config") || !daemon_answers(a)) {
        code = list_folders(a, &s);
    } else {
        client_begin(&c, a, "plugins");
        code = client_run(&c, show_plugins, &s);
    }
    return code ? code : s.faulty ? EXIT_FAILED : EXIT_OK;
}

// ── one component ──

static const struct { enum cn_kind kind; const char *name; } kinds[] = {
    {CN_SOURCE, "source"}, {CN_SINK, "sink"}, {CN_TRANSFORM, "transform"}, {CN_PREDICATE, "predicate"}, {CN_CONVERTER, "converter"},
};

static void show_component(const struct args *a, const char *kind, const struct component *c) {
    struct buf out = {0};
    struct option_scope scope = {.prefix = "", .rows = c->options, .n = c->option_count, .owner = c->name};
    struct json_writer w = json_to(&out);
    if (arg_flag(a, "json")) {
        json_object(&w);
        json_kz(&w, "name", c->name);
        json_kz(&w, "kind", kind);
        json_kz(&w, "summary", c->summary);
        json_key(&w, STR("options"));
        options_config_keys(&scope, &w);
        json_object_end(&w);
        buf_u8(&out, '\n');
    } else {
        options_help(&scope, arg_flag(a, "advanced"), &out);
        printf("%s %s: %s\n\n", kind, c->name, c->summary);
    }
    fwrite(out.p, 1, out.n, stdout);
    buf_done(&out);
}

int command_plugins_show(const struct args *a) {
    struct worker_config *c;
    struct err err, unknown = {0}; // of the kinds that do not have it, the one that knows a name like it
    int code = cmd_load_config(a, &c);
    if (code) return code;
    struct plugins *p = cmd_load_plugins(c);
    unsigned found = 0;
    for (size_t i = 0; i < countof(kinds); i++) {
        const struct component *x;
        if (plugins_find(p, kinds[i].kind, a->words[0], &x, &err) != 0) {
            if (!i || (strstr(err.hint, "did you mean") && !strstr(unknown.hint, "did you mean"))) unknown = err;
            continue;
        }
        if (found++ && !arg_flag(a, "json")) putchar('\n');
        show_component(a, kinds[i].name, x);
    }
    if (!found) term_error(arg_flag(a, "json"), &unknown);
    plugins_free(p);
    worker_config_free(c);
    return found ? EXIT_OK : EXIT_FAILED;
}

int command_plugins_forgive(const struct args *a) {
    struct client c;
    client_begin(&c, a, "plugins-forgive");
    json_kz(&c.request, "plugin", a->words[0]);
    return client_run(&c, NULL, NULL);
}

// ── for authors ──

// The values of a repeated option, NULL-terminated; caller frees the array.
static const char **values_of(const struct args *a, const char *option) {
    const char **list = xcalloc(a->value_count + 1, sizeof(*list));
    size_t n = 0, at = 0;
    for (const char *v; (v = arg_next(a, option, &at));) list[n++] = v;
    return list;
}

static int end_with(const struct args *a, int rc, struct err *err) {
    if (err->code) term_error(arg_flag(a, "json"), err);
    return rc == 0 ? EXIT_OK : EXIT_FAILED;
}

int command_plugins_check(const struct args *a) {
    struct err err = {0};
    _cleanup_free_ const char **options = values_of(a, "option");
    struct check_params p = {.path = a->words[0], .component = arg_text(a, "component", NULL), .options = options};
    return end_with(a, cmd_plugins_check(&p, arg_flag(a, "json"), stdout, &err), &err);
}

int command_plugins_run(const struct args *a) {
    struct err err = {0};
    _cleanup_free_ const char **options = values_of(a, "option");
    struct run_params p = {
        .path = a->words[0],
        .component = arg_text(a, "component", NULL),
        .options = options,
        .max = (size_t)arg_number(a, "max", 0),
        .idle_ms = arg_number(a, "idle", 0),
        .verbose = arg_flag(a, "verbose"),
    };
    return end_with(a, cmd_plugins_run(&p, stdin, stdout, stderr, &err), &err);
}

int command_plugins_new(const struct args *a) {
    struct err err = {0};
    const char *kind = arg_text(a, "kind", "source");
    if (strcmp(kind, "source") != 0 && strcmp(kind, "sink") != 0) {
        err_set(&err, ERR_INVALID, "--kind %s: source or sink is expected", kind);
        term_error(false, &err);
        return EXIT_USAGE;
    }
    return end_with(a, cmd_plugins_new(a->words[0], strcmp(kind, "sink") == 0 ? CN_SINK : CN_SOURCE, arg_text(a, "directory", "."), stdout, &err), &err);
}
