// SPDX-License-Identifier: Apache-2.0
// Loading connectd.yaml, and writing the one that is installed.
#include "config/worker_config.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "config/yaml.h"

static bool typed_key(const char *key) { return !strcmp(key, "key.converter") || !strcmp(key, "value.converter"); }

static int read_worker_file(struct worker_config *c, struct findings *f) {
    struct buf text = {0};
    struct yaml y = {0};
    int failed = yaml_read_file(c->file, &text, f) || yaml_parse(&y, c->file, buf_str(&text), f) ? -1 : 0;
    if (!failed && y.root && y.root->kind != YAML_MAP) failed = findings_error(f, y.root->at, NULL, "it is a map of options");
    if (!failed && y.root) failed = yaml_flatten(y.root, "", typed_key, &c->props, f);
    yaml_done(&y);
    buf_done(&text);
    return failed;
}

static void apply_overrides(struct worker_config *c, const struct props *overrides) {
    for (size_t i = 0; overrides && i < overrides->n; i++) {
        props_remove(&c->props, overrides->items[i].key);
    }
    if (overrides) props_copy(&c->props, overrides);
}

static void place_spool(struct worker_config *c) {
    if (!c->spool_dir || c->spool_dir[0] == '/' || !c->data_dir) return;
    c->spool_dir = c->spool_path = xasprintf("%s/%s", c->data_dir, c->spool_dir);
}

// What ranges alone can not say.
static void check_together(const struct worker_config *c, struct findings *f) {
    const struct prop *journal = props_get(&c->props, "log.journal.bytes"), *commit = props_get(&c->props, "log.commit.max.bytes");
    if (c->journal_bytes >= 2 * c->commit_max_bytes) return;
    findings_error(f,
                   journal  ? journal->at
                   : commit ? commit->at
                            : (struct place){c->file, 0, 0},
                   "log.journal.bytes", "log.journal.bytes (%lld) is less than twice log.commit.max.bytes (%lld)",
                   (long long)c->journal_bytes, (long long)c->commit_max_bytes);
}

static struct option_scope worker_scope(void) { return (struct option_scope){"", worker_rows, worker_row_count, NULL}; }

int worker_config_load(const char *path, const struct props *overrides, struct worker_config **ret, struct findings *f) {
    struct worker_config *c = xcalloc(1, sizeof(*c));
    struct option_scope scope = worker_scope();
    struct secret_places secrets = {0}; // the secrets folder is an option itself: only the environment and credentials
    size_t errors = f->errors;
    c->file = xstrdup(path ? path : "connectd.yaml");
    if (path && !access(path, F_OK)) read_worker_file(c, f);
    apply_overrides(c, overrides);
    options_read(&(struct option_read){.scope = &scope, .props = &c->props, .secrets = &secrets, .at = {c->file, 0, 0}},
                 f, &c->values);
    option_values_bind(c->values, c);
    place_spool(c);
    options_unknown(&c->props, &scope, 1, f);
    check_together(c, f);
    if (f->errors > errors) {
        worker_config_free(c);
        *ret = NULL;
        return -1;
    }
    *ret = c;
    return 0;
}

void worker_config_free(struct worker_config *c) {
    if (!c) return;
    option_values_free(c->values);
    props_done(&c->props);
    free(c->spool_path);
    free(c->file);
    free(c);
}

// ── the installed file ──

// A default as YAML: a list in brackets.
static void print_default(const struct cn_option *row, struct buf *out) {
    const char *text = row->def ? row->def : "";
    if (row->type == CN_OPT_LIST) buf_printf(out, "[%s]", text);
    else buf_putz(out, *text ? text : "\"\"");
}

static void print_row(const struct cn_option *row, struct buf *out) {
    struct buf shape = {0};
    buf_u8(out, '\n');
    options_wrap(out, row->doc, 0, "# ");
    option_shape(row, &shape);
    if (row->type != CN_OPT_STRING && row->type != CN_OPT_LIST && row->type != CN_OPT_MAP)
        buf_printf(out, "# (%s)\n", buf_cstr(&shape));
    if (row->type == CN_OPT_MAP) buf_printf(out, "#%s...: ...\n", row->name);
    else buf_printf(out, "#%s: ", row->name), print_default(row, out), buf_u8(out, '\n');
    buf_done(&shape);
}

void worker_config_print(struct buf *out) {
    const char *group = NULL;
    buf_putz(out, "# connectd's own options, each with its default. Remove the # to change one, then `connectd check` "
                  "and restart.\n"
                  "# Maps and dots are the same: `log: {level: debug}` is `log.level: debug`. Sizes are written 64k, "
                  "16MiB, 1GiB,\n"
                  "# durations 250ms, 10s, 5 min, 7d. Pipelines go into their own files, see pipelines.dir.\n");
    for (size_t i = 0; i < worker_row_count; i++) {
        const struct cn_option *row = &worker_rows[i];
        if (row->flags & (CN_OPT_REFUSED | CN_OPT_IGNORED)) continue;
        if (!group || strcmp(group, row->group)) buf_printf(out, "\n# ── %s ──\n", group = row->group);
        print_row(row, out);
    }
}
