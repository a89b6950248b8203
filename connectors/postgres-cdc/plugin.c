/* SPDX-License-Identifier: Apache-2.0 */
/* postgres-cdc: rows and changes of a PostgreSQL database as records.
 *
 *   plugin.c   this: the descriptor, the life of a task
 *   options    rows and checks · filter, mask   what is selected and hidden
 *   open       what is stored, what the server has → what to do · slot, publication, catalog   one question to the server each
 *   snapshot   rows by COPY · copytext   its lines
 *   stream     changes · pgoutput   its messages · spool   transactions in progress
 *   table      columns, keys, schemas · types, value, defaults, pgtime, pgnumeric, pgarray   what becomes of a value
 *   envelope   records · envelope_schema   what stands around a row · position   how far
 *   conn       libpq behind a vtable */
#include "task.h"

extern const struct conn_ops *postgres_conn_ops; /* tests put a scripted server here, before open */
const struct conn_ops *postgres_conn_ops = &conn_libpq;

/* ── what is compiled from options ── */

struct compiled { const struct cn_list *list; struct filter **to; const char *name; };

static int compile_filters(struct task *t) {
    char error[256];
    const struct options *o = &t->o;
    const struct compiled all[] = {
        {&o->schema_include, &t->schema_include, "schema.include.list"}, {&o->schema_exclude, &t->schema_exclude, "schema.exclude.list"},
        {&o->table_include, &t->table_include, "table.include.list"},    {&o->table_exclude, &t->table_exclude, "table.exclude.list"},
        {&o->column_include, &t->column_include, "column.include.list"}, {&o->column_exclude, &t->column_exclude, "column.exclude.list"},
        {&o->message_include, &t->message_include, "message.prefix.include.list"},
        {&o->message_exclude, &t->message_exclude, "message.prefix.exclude.list"},
    };
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (filter_new(all[i].list, all[i].to, error, sizeof error) != 0)
            return cn_failf(t->h, CN_FAIL_CONFIG, NULL, "%s: %s", all[i].name, error);
    if (masks_init(&t->masks, o, error, sizeof error) != 0) return cn_failf(t->h, CN_FAIL_CONFIG, NULL, "%s", error);
    return 0;
}

static int add_key_column(struct task *t, const char *table, const char *column) {
    char pattern[1024], error[256];
    struct filter *f;
    while (*column == ' ') column++;
    snprintf(pattern, sizeof pattern, "%s.%s", table, column);
    if (filter_new_one(pattern, &f, error, sizeof error) != 0) return cn_failf(t->h, CN_FAIL_CONFIG, NULL, "message.key.columns: %s", error);
    const struct filter **p = realloc(t->key_tables, (t->key_table_count + 1) * sizeof *p);
    if (!p) return filter_free(f), cn_failf(t->h, CN_FAIL_TRANSIENT, NULL, "out of memory");
    t->key_tables = p;
    t->key_tables[t->key_table_count++] = f;
    return 0;
}

/* "regex:column,column;regex:column" */
static int compile_keys(struct task *t) {
    char *copy = t->o.message_key_columns ? strdup(t->o.message_key_columns) : NULL, *outer = NULL;
    int bad = 0;
    for (char *entry = copy ? strtok_r(copy, ";", &outer) : NULL; entry && !bad; entry = strtok_r(NULL, ";", &outer)) {
        char *colon = strchr(entry, ':'), *inner = NULL;
        while (*entry == ' ') entry++;
        if (!colon || colon == entry || !colon[1]) {
            bad = cn_failf(t->h, CN_FAIL_CONFIG, "write regex:column,column; regex:column", "message.key.columns: \"%s\" names no column", entry);
            break;
        }
        *colon = 0;
        for (char *column = strtok_r(colon + 1, ",", &inner); column && !bad; column = strtok_r(NULL, ",", &inner))
            bad = add_key_column(t, entry, column);
    }
    free(copy);
    return bad;
}

/* ── life ── */

static void task_free(struct task *t) {
    if (!t) return;
    snapshot_close(t);
    stream_close(t);
    if (t->sql) t->ops->close(t->sql);
    if (t->repl) t->ops->close(t->repl);
    struct filter *filters[] = {t->schema_include, t->schema_exclude, t->table_include, t->table_exclude,
                                t->column_include, t->column_exclude, t->message_include, t->message_exclude};
    for (size_t i = 0; i < sizeof filters / sizeof filters[0]; i++) filter_free(filters[i]);
    for (uint32_t i = 0; i < t->key_table_count; i++) {
        union { const struct filter *in; struct filter *out; } f = {t->key_tables[i]};
        filter_free(f.out);
    }
    free(t->key_tables);
    masks_done(&t->masks);
    envelope_done(&t->envelope);
    values_done(&t->values);
    catalog_done(&t->catalog);
    position_done(&t->pos);
    free(t);
}

static void set_up(struct task *t) {
    t->shape = (struct shape){.o = &t->o,
                              .column_include = t->column_include,
                              .column_exclude = t->column_exclude,
                              .masks = &t->masks,
                              .key_tables = t->key_tables,
                              .key_table_count = t->key_table_count,
                              .lookup = catalog_type,
                              .lookup_arg = &t->catalog,
                              .values = &t->values};
    position_partition(t->o.prefix, t->partition, sizeof t->partition);
    snprintf(t->where, sizeof t->where, "%.200s:%lld/%.80s", t->o.hostname, (long long)t->o.port, t->o.dbname);
    catalog_init(&t->catalog, t->ops);
}

/* A task with its options, before anything is dialled; NULL after cn_host.fail. */
static struct task *task_new(struct cn_host *h) {
    struct task *t = calloc(1, sizeof *t);
    if (!t) return cn_failf(h, CN_FAIL_TRANSIENT, NULL, "out of memory"), NULL;
    t->h = h;
    t->ops = postgres_conn_ops;
    if (options_bind(h, &t->o) != 0 || compile_filters(t) != 0 || compile_keys(t) != 0) {
        task_free(t);
        return NULL;
    }
    set_up(t);
    if (envelope_init(&t->envelope, &t->o, &t->values, h->ops->task_index(h), h->ops->now_us(h)) != 0) {
        task_free(t);
        return cn_failf(h, CN_FAIL_TRANSIENT, NULL, "out of memory"), NULL;
    }
    return t;
}

static int validate(struct cn_host *h) {
    struct task *t = task_new(h);
    task_free(t);
    return t ? 0 : -1;
}

static int check(struct cn_host *h) {
    struct pgerr e = {0};
    struct task *t = task_new(h);
    if (!t) return -1;
    int bad = task_check(t, &e) != 0 ? task_fail(t, &e) : 0;
    task_free(t);
    return bad;
}

static int open_task(struct cn_host *h, const struct cn_stored_position *positions, uint32_t n, void **ret) {
    struct pgerr e = {0};
    struct task *t = task_new(h);
    if (!t) return -1;
    if (task_start(t, positions, n, &e) != 0) {
        task_fail(t, &e);
        task_free(t);
        return -1;
    }
    *ret = t;
    return 0;
}

/* From rows to changes: a temporary slot's connection has done its work. */
static int go_streaming(struct task *t, struct pgerr *e) {
    int temporary = t->snap.temporary;
    snapshot_close(t);
    if (temporary && task_connect_repl(t, e) != 0) return -1;
    return stream_open(t, e);
}

static int poll_task(void *task, struct cn_batch *b, uint32_t timeout_ms) {
    struct task *t = task;
    struct pgerr e = {0};
    int r = CN_POLL_DONE;
    t->envelope.now_us = t->h->ops->now_us(t->h);
    if (t->phase == PHASE_DONE) return CN_POLL_DONE;
    envelope_batch(&t->envelope, b);
    if (t->phase == PHASE_SNAPSHOT) r = snapshot_poll(t, b, timeout_ms, &e);
    else if (!t->st.fields && go_streaming(t, &e) != 0) r = CN_POLL_FAILED;
    else r = stream_poll(t, b, timeout_ms, &e);
    if (r == CN_POLL_FAILED || b->failed) {
        if (!e.fail_class) pgerr_set(&e, CN_FAIL_CONFIG, NULL, "a record is larger than a batch may be");
        task_fail(t, &e);
        return CN_POLL_FAILED;
    }
    return r;
}

static void committed(void *task, const struct cn_stored_position *positions, uint32_t n) {
    struct task *t = task;
    uint64_t lsn;
    for (uint32_t i = 0; i < n; i++)
        if (position_offset_lsn(positions[i].offset, &lsn) == 0) stream_committed(t, lsn);
}

static int tick(void *task) {
    struct task *t = task;
    struct pgerr e = {0};
    if (t->phase != PHASE_STREAM || !t->st.fields || stream_tick(t, &e) == 0) return 0;
    return task_fail(t, &e);
}

static void close_task(void *task) { task_free(task); }

static const struct cn_source_ops ops = {
    .struct_size = sizeof ops,
    .validate = validate,
    .check = check,
    .open = open_task,
    .poll = poll_task,
    .committed = committed,
    .tick = tick,
    .close = close_task,
};

static const struct cn_component component = {
    .struct_size = sizeof component,
    .kind = CN_SOURCE,
    .name = "postgres-cdc",
    .aliases = "io.debezium.connector.postgresql.PostgresConnector",
    .summary = "Rows and changes of a PostgreSQL database, as Debezium writes them",
    .options = postgres_options,
    .option_count = POSTGRES_OPTION_COUNT,
    .option_size = sizeof(struct cn_option),
    .ops = &ops,
};
CN_PLUGIN("postgres-cdc", CN_VERSION, "connectd", "Apache-2.0", NULL, &component)
