// SPDX-License-Identifier: Apache-2.0
// `connectd run`, the daemon's life: everything opened in order, served until a signal, closed in the opposite order.
//
//   connectd.yaml ► data folder ► log (recovery) and plugins ► worker ► control socket ► pipelines ► READY=1
//   SIGHUP, `connectd reload`: pipelines again      SIGTERM, SIGINT: STOPPING=1, tasks drained, log closed
//
// What the control socket serves runs on its clients' threads (serve.h); this thread runs the loop.
#include <assert.h>
#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/backend_embedded.h"
#include "base/clock.h"
#include "base/fs.h"
#include "base/loop.h"
#include "base/mem.h"
#include "base/metric.h"
#include "base/say.h"
#include "base/thread.h"
#include "cli/cmd.h"
#include "cli/control.h"
#include "cli/notify.h"
#include "cli/paths.h"
#include "cli/serve.h"
#include "config/pipeline.h"
#include "core.h"
#include "plugin/crash.h"
#include "plugin/plugins.h"
#include "plugin/sockets.h"
#include "runtime/worker.h"
#include "store/store.h"

enum { APPLY_MS = 10000, STATUS_MS = 5000, EXTEND_MS = 30000, MMAP_BYTES = 128 << 10, TOPIC_DEFAULTS = 7 };

struct daemon {
    const struct args *args;
    struct worker_config *config;
    struct secret_places secrets;
    struct buf data, control_path, spool;
    struct loop *loop;
    int signals;
    struct loop_timer *watchdog, *status;
    atomic_bool broken; // the log stopped itself: end, so that the next start verifies it
    struct topic_setting defaults[TOPIC_DEFAULTS];
    char default_texts[TOPIC_DEFAULTS][24];
    struct fs *fs;
    struct store *store;
    struct backend *backend;
    struct plugins *plugins;
    struct sockets *sockets;
    struct metric_registry *metrics;
    struct worker *worker;
    struct control *control;
    struct served served;
    pthread_mutex_t reload; // one at a time, from the signal and the socket
    pthread_t reloader;     // serves SIGHUP beside the loop
    bool reloader_started;
    atomic_int reloads;     // asked for by signal and not done; 0: the reloader has ended
    bool ready;             // the pipelines were applied once; under `reload`
    bool linked;            // DATA/control.sock is a link to the socket
    int64_t started_ms;
};

// ── preparing the process ──

static void setup_messages(const struct daemon *d) {
    static const enum say_level levels[] = {SAY_ERROR, SAY_WARN, SAY_INFO, SAY_DEBUG};
    static const enum say_format formats[] = {SAY_TEXT, SAY_TEXT, SAY_JSON, SAY_JOURNAL};
    enum say_format format = d->config->say_format == WORKER_SAY_AUTO ? say_format_auto(STDERR_FILENO) : formats[d->config->say_format];
    say_setup(format, levels[d->config->say_level], STDERR_FILENO);
}

// Secrets live in this process's memory: no core files of it, and no looking in by other programs of the same user.
static void hide_memory(const struct daemon *d) {
#ifndef __SANITIZE_ADDRESS__
    if (!arg_flag(d->args, "core")) prctl(PR_SET_DUMPABLE, 0);
#endif
}

// What is kept back for when memory runs out. Large blocks go back to the system when they are freed. By itself glibc would come to keep them in its heaps, one a thread, where
// blocks that one thread allots and another frees leave holes: twice the memory under load, and none of it given back after.
static void bound_memory(void) {
    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    mem_reserve(MEM_LARGE);
}

// As many files as the hard limit lets us: the log keeps one open for each partition that is being written to, each connection is one, too. Nothing here
// uses select(2), which can not do with more than 1024; the soft limit stands at that for programs that do.
static void raise_files(void) {
    enum { ENOUGH = 1 << 20 };
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0) return;
    rlim_t most = r.rlim_max < ENOUGH ? r.rlim_max : ENOUGH;
    if (r.rlim_cur >= most) return;
    r.rlim_cur = most;
    if (setrlimit(RLIMIT_NOFILE, &r) != 0) say(SAY_WARN, "open files: the limit can not be raised to %llu: %s", (unsigned long long)most, strerror(errno));
}

// The signals the loop takes; threads started later inherit the mask.
static int take_signals(struct daemon *d, struct err *err) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    signal(SIGPIPE, SIG_IGN);
    sigprocmask(SIG_BLOCK, &set, NULL);
    d->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    return d->signals < 0 ? err_sys(err, errno, "signals") : 0;
}

// From here on a second signal ends the process at once: what is durable stays so.
static void release_signals(void) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
}

static int make_data_dir(struct daemon *d, struct err *err) {
    const char *dir = buf_cstr(&d->data);
    _cleanup_free_ char *path = xstrdup(dir);
    for (char *p = path + 1; *p; p++) {
        if (*p != '/') continue;
        *p = 0;
        mkdir(path, 0755);
        *p = '/';
    }
    if (mkdir(dir, 0700) != 0 && errno != EEXIST) return err_sys(err, errno, "data folder %s", dir);
    if (access(dir, W_OK | X_OK) == 0) return 0;
    err_sys(err, errno, "data folder %s", dir);
    return err_hint(err, "run as its owner, or name another one with --data");
}

// ── opening, in order ──

static void store_happened(void *arg, enum store_event_kind kind, const char *text) {
    static const enum say_level levels[] = {SAY_INFO, SAY_WARN, SAY_ERROR};
    struct daemon *d = arg;
    say(levels[kind], "log: %s", text);
    if (kind != STORE_EVENT_FATAL) return;
    atomic_store(&d->broken, true);
    loop_stop(d->loop);
}

static void store_progressed(void *arg, const struct store_progress *p) {
    notify_extend(EXTEND_MS);
    notify_status("recovering the log: %s, %.0f %%", p->what, p->total ? 100.0 * (double)p->done / (double)p->total : 0.0);
}

// connectd.yaml's log.* as the settings of topics that say nothing.
static void topic_defaults(struct daemon *d) {
    const struct worker_config *c = d->config;
    const struct { const char *name; int64_t value; } rows[] = {
        {"retention.ms", c->retention_ms},         {"retention.bytes", c->retention_bytes},
        {"segment.bytes", c->segment_bytes},       {"segment.ms", c->segment_ms},
        {"max.message.bytes", c->max_message_bytes}, {"index.interval.bytes", c->index_interval_bytes},
        {"delete.retention.ms", c->delete_retention_ms},
    };
    static_assert(countof(rows) == TOPIC_DEFAULTS, "one place for each");
    for (size_t i = 0; i < countof(rows); i++) {
        snprintf(d->default_texts[i], sizeof(d->default_texts[i]), "%lld", (long long)rows[i].value);
        d->defaults[i] = (struct topic_setting){rows[i].name, d->default_texts[i]};
    }
}

static int open_log(struct daemon *d, struct err *err) {
    const struct worker_config *c = d->config;
    topic_defaults(d);
    struct store_options o = {
        .clock = &clock_real,
        .journal_bytes = (uint64_t)c->journal_bytes,
        .commit_max_bytes = (uint64_t)c->commit_max_bytes,
        .group_max_bytes = (uint64_t)c->commit_max_bytes,
        .inline_max_bytes = (uint32_t)c->commit_inline_max_bytes,
        .reserve_bytes = (uint64_t)c->reserve_bytes,
        .total_bytes = (uint64_t)c->total_bytes,
        .dedupe_bytes = (size_t)c->dedupe_bytes,
        .verify_bytes = (uint64_t)c->verify_bytes,
        .quarantine_bytes = (uint64_t)c->quarantine_max_bytes,
        .queue_bytes = (uint64_t)c->commit_queue_bytes,
        .checkpoint_ms = c->checkpoint_interval_ms,
        .topic_defaults = d->defaults,
        .topic_default_count = TOPIC_DEFAULTS,
        .event = store_happened,
        .progress = store_progressed,
        .arg = d,
    };
    if (fs_posix_open(buf_cstr(&d->data), &d->fs, err) != 0) return -1;
    o.fs = d->fs;
    if (store_open(&o, &d->store, err) != 0) {
        if (err->code == ERR_BUSY) err_hint(err, "another connectd uses it: stop that one, or name another folder with --data");
        return err_wrap(err, "data folder %s", buf_cstr(&d->data));
    }
    struct embedded_options e = {
        .store = d->store,
        .default_partitions = (int32_t)c->default_partitions,
        .compression = (enum codec)c->producer_compression,
        .offsets_partitions = (int32_t)c->offsets_partitions,
        .txn_partitions = (int32_t)c->transactions_partitions,
        .commit_max_bytes = (size_t)c->commit_max_bytes - (1 << 20),
    };
    return backend_embedded_open(&e, &d->backend, err);
}

static int say_plugin(void *arg, const struct plugin *p) {
    size_t *n = arg;
    if (p->status == PLUGIN_LOADED) ++*n;
    if (p->status != PLUGIN_FAULTY) return 0;
    say(SAY_ERROR, "plugin %s is faulty: %s%s%s%s", p->path ? p->path : p->name, p->error, p->hint ? " (hint: " : "", p->hint ? p->hint : "", p->hint ? ")" : "");
    return 0;
}

static void *load_plugins(void *arg) {
    struct daemon *d = arg;
    d->plugins = cmd_load_plugins(d->config);
    return NULL;
}

// Plugins are tried and loaded while the log is recovered: neither needs the other.
static int open_log_and_plugins(struct daemon *d, struct err *err) {
    struct err unstarted;
    pthread_t loader;
    bool beside = thread_start(&loader, "plugins", load_plugins, d, &unstarted) == 0;
    int rc = open_log(d, err);
    if (beside) pthread_join(loader, NULL);
    else load_plugins(d);
    return rc;
}

static void say_plugins(struct daemon *d) {
    size_t n = 0;
    plugins_each(d->plugins, say_plugin, &n);
    say(SAY_INFO, "%zu plugin%s loaded", n, n == 1 ? "" : "s");
}

static int open_worker(struct daemon *d, struct err *err) {
    const struct worker_config *c = d->config;
    if (c->spool_dir) buf_putz(&d->spool, c->spool_dir);
    else buf_printf(&d->spool, "%s/spool", buf_cstr(&d->data));
    d->secrets.secrets_dir = c->secrets_dir;
    struct worker_options o = {
        .backend = d->backend,
        .plugins = d->plugins,
        .sockets = d->sockets,
        .metrics = d->metrics,
        .clock = &clock_real,
        .id = c->worker_id,
        .data_dir = buf_cstr(&d->data),
        .spool_dir = buf_cstr(&d->spool),
        .spool_max_bytes = c->spool_max_bytes,
        .secrets = &d->secrets,
        .key_converter = c->key_converter,
        .value_converter = c->value_converter,
        .worker_props = &c->props,
        .shutdown_ms = c->shutdown_ms,
        .hang_ms = c->hang_ms,
        .flush_interval_ms = c->offset_flush_interval_ms,
        .retry_max_ms = c->restart_delay_max_ms,
    };
    return worker_open(&o, &d->worker, err);
}

// ── pipelines ──

struct files { char **items; size_t n, cap; };

static int add_folder(struct files *f, const char *dir, struct err *err) {
    char **names;
    size_t n;
    if (pipeline_files(dir, &names, &n, err) != 0) return -1;
    for (size_t i = 0; i < n; i++) VEC_PUSH(f->items, f->n, f->cap, names[i]);
    free(names);
    return 0;
}

static bool is_dir(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

// The files to run now: those of the command line that (still) exist, else those of the folder.
static int list_files(struct daemon *d, struct files *f, struct err *err) {
    const struct args *a = d->args;
    for (size_t i = 0; i < a->n; i++) {
        if (is_dir(a->words[i]) && add_folder(f, a->words[i], err) != 0) return -1;
        if (!is_dir(a->words[i]) && access(a->words[i], F_OK) == 0) VEC_PUSH(f->items, f->n, f->cap, xstrdup(a->words[i]));
    }
    return a->n || !is_dir(d->config->pipelines_dir) ? 0 : add_folder(f, d->config->pipelines_dir, err);
}

static void apply(void *arg, struct worker_report *ret) {
    struct daemon *d = arg;
    struct files f = {0};
    struct err err;
    LOCK_SCOPE(&d->reload);
    if (d->ready) notify_reloading();
    // A folder that can not be read is no reason to stop what it had.
    if (list_files(d, &f, &err) == 0) worker_apply(d->worker, (const char *const *)f.items, f.n, APPLY_MS, ret);
    else worker_report_refuse(ret, "pipelines", err.msg);
    for (size_t i = 0; i < f.n; i++) free(f.items[i]);
    free(f.items);
    d->ready = true;
    notify_ready();
}

static void *reload_run(void *arg) {
    struct daemon *d = arg;
    int seen;
    do {
        struct worker_report report = {0};
        seen = atomic_load(&d->reloads);
        say(SAY_INFO, "SIGHUP: reading the pipelines again");
        apply(d, &report);
        worker_report_done(&report);
    } while (atomic_fetch_sub(&d->reloads, seen) != seen);
    return NULL;
}

static void reload_join(struct daemon *d) {
    if (d->reloader_started) pthread_join(d->reloader, NULL);
    d->reloader_started = false;
}

static void reload_by_signal(struct daemon *d) {
    struct err err;
    if (atomic_fetch_add(&d->reloads, 1) > 0) return; // the reloader goes round once more
    reload_join(d);
    if (thread_start(&d->reloader, "reload", reload_run, d, &err) == 0) d->reloader_started = true;
    else atomic_store(&d->reloads, 0), say_err(SAY_ERROR, &err, "reload");
}

// ── the control socket ──

// Other threads read these texts, terminated long ago: buf_cstr would write the terminator once more.
static const char *text_of(const struct buf *b) { return (const char *)b->p; }

// So that commands find the socket by the data folder, wherever it is.
static void link_socket(struct daemon *d) {
    _cleanup_free_ char *link = xasprintf("%s/control.sock", text_of(&d->data)), *target = realpath(text_of(&d->control_path), NULL);
    if (!target || strcmp(link, text_of(&d->control_path)) == 0) return;
    unlink(link);
    d->linked = symlink(target, link) == 0;
}

static int open_control(struct daemon *d, struct err *err) {
    d->served = (struct served){
        .backend = d->backend,
        .store = d->store,
        .plugins = d->plugins,
        .sockets = d->sockets,
        .worker = d->worker,
        .data_dir = buf_cstr(&d->data),
        .started_ms = d->started_ms,
        .deadline_ms = 30000,
        .reload = apply,
        .arg = d,
    };
    struct control_options o = {.path = buf_cstr(&d->control_path), .group = d->config->control_group, .handle = serve_request, .arg = &d->served};
    if (control_open(&o, &d->control, err) != 0) return -1;
    link_socket(d);
    return 0;
}

// ── running ──

static void on_signal(void *arg, unsigned events) {
    struct daemon *d = arg;
    struct signalfd_siginfo s;
    while (read(d->signals, &s, sizeof(s)) == sizeof(s)) {
        if (s.ssi_signo == SIGHUP) {
            reload_by_signal(d);
            continue;
        }
        say(SAY_INFO, "%s: stopping", s.ssi_signo == SIGINT ? "SIGINT" : "SIGTERM");
        loop_stop(d->loop);
    }
}

static void on_watchdog(void *arg) {
    struct daemon *d = arg;
    notify_alive();
    d->watchdog = loop_after(d->loop, notify_watchdog_ms(), on_watchdog, d);
}

static void on_status(void *arg) {
    struct daemon *d = arg;
    char line[256];
    worker_summary(d->worker, line, sizeof(line));
    notify_status("%s", line);
    say_flush();
    d->status = loop_after(d->loop, STATUS_MS, on_status, d);
}

static int open_all(struct daemon *d, struct err *err) {
    if (make_data_dir(d, err) != 0 || crash_setup(text_of(&d->data), err) != 0) return -1;
    if (!(d->loop = loop_new(err)) || take_signals(d, err) != 0) return -1;
    if (open_log_and_plugins(d, err) != 0) return -1;
    say_plugins(d);
    d->sockets = sockets_new();
    return open_worker(d, err) != 0 || open_control(d, err) != 0 ? -1 : 0;
}

static void say_started(struct daemon *d, const struct worker_report *r) {
    size_t started = 0;
    for (size_t i = 0; i < r->n; i++) started += r->changes[i].kind == WORKER_STARTED;
    if (!r->n) say(SAY_WARN, "no pipelines: give files on the command line, or put them into %s", d->config->pipelines_dir);
    say(SAY_INFO, "ready in %lld ms: %zu connector%s started%s; ask with: connectd --data %s status", (long long)(clock_mono_ms(&clock_real) - d->started_ms), started,
        started == 1 ? "" : "s", r->refused ? ", some files refused" : "", text_of(&d->data));
}

static int run(struct daemon *d, struct err *err) {
    struct worker_report report = {0};
    struct loop_fd *signals = loop_add(d->loop, d->signals, LOOP_READ, on_signal, d, err);
    if (!signals) return -1;
    apply(d, &report); // also says READY=1
    say_started(d, &report);
    worker_report_done(&report);
    if (notify_watchdog_ms()) on_watchdog(d);
    on_status(d);
    int rc = loop_run(d->loop, err);
    loop_remove(signals);
    return rc;
}

// In the opposite order; each part may be missing when the start failed half-way. Returns whether all went well.
static bool close_all(struct daemon *d) {
    struct err err;
    bool good = true;
    notify_stopping();
    notify_extend(d->config->shutdown_ms + EXTEND_MS);
    release_signals();
    reload_join(d);
    control_close(d->control);
    if (d->linked) {
        _cleanup_free_ char *link = xasprintf("%s/control.sock", text_of(&d->data));
        unlink(link);
    }
    int abandoned = d->worker ? worker_close(d->worker, d->config->shutdown_ms) : 0;
    if (abandoned) {
        // Their threads still run in the plugins' code and use everything below: leave it, the log is durable as it is.
        say(SAY_ERROR, "%d task%s did not stop and %s abandoned", abandoned, abandoned == 1 ? "" : "s", abandoned == 1 ? "was" : "were");
        say_flush();
        _exit(EXIT_FAILED);
    }
    if (d->backend) d->backend->ops->close(d->backend);
    if (d->store && store_close(d->store, &err) != 0) {
        say_err(SAY_ERROR, &err, "closing the log");
        good = false;
    }
    sockets_free(d->sockets);
    if (d->plugins) plugins_free(d->plugins);
    fs_close(d->fs);
    return good;
}

static void free_all(struct daemon *d) {
    if (d->metrics) metric_registry_free(d->metrics);
    if (d->watchdog) loop_cancel(d->watchdog);
    if (d->status) loop_cancel(d->status);
    if (d->loop) loop_free(d->loop);
    if (d->signals >= 0) close(d->signals);
    buf_done(&d->data);
    buf_done(&d->control_path);
    buf_done(&d->spool);
    worker_config_free(d->config);
    pthread_mutex_destroy(&d->reload);
}

static int code_of(const struct err *err) { return err->code == ERR_CORRUPT || err->code == ERR_UNSUPPORTED ? EXIT_BAD_DATA : EXIT_FAILED; }

// A file named on the command line that is not there is a wrong command line, now; at a reload it is a removed one.
static int check_files_exist(const struct args *a) {
    for (size_t i = 0; i < a->n; i++) {
        if (access(a->words[i], F_OK) == 0) continue;
        fprintf(stderr, "connectd: error: %s: %s\n", a->words[i], strerror(errno));
        return EXIT_USAGE;
    }
    return EXIT_OK;
}

int command_run(const struct args *a) {
    struct daemon d = {.args = a, .signals = -1, .reload = PTHREAD_MUTEX_INITIALIZER, .started_ms = clock_mono_ms(&clock_real)};
    struct err err = {0};
    int code = check_files_exist(a);
    if (code || (code = cmd_load_config(a, &d.config))) return code;
    setup_messages(&d);
    hide_memory(&d);
    bound_memory();
    raise_files();
    paths_data(NULL, config_text_set(d.config, "data.dir"), &d.data);
    paths_control(config_text_set(d.config, "control.socket"), buf_cstr(&d.data), &d.control_path);
    d.metrics = metric_registry_new();
    say(SAY_INFO, "connectd %s, data in %s", connectd_version(), buf_cstr(&d.data));
    if (open_all(&d, &err) != 0 || run(&d, &err) != 0) {
        say_err(SAY_ERROR, &err, "can not run");
        code = code_of(&err);
    }
    if (!close_all(&d) || atomic_load(&d.broken)) code = code ? code : EXIT_FAILED;
    say(SAY_INFO, "stopped");
    say_flush();
    free_all(&d);
    return code;
}
