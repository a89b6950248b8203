/* SPDX-License-Identifier: Apache-2.0 */
#include "client.h"

#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "status.h"

enum { ANSWER_SHOWN = 200, AUTH_RETRY_MS = 10000, CALM = 100, SENDERS_MOST = 4 };

/* A request under way. Its easy handle is used again and again, so that its options are set once. */
struct request {
    struct request *next;    /* idle */
    struct request *made;    /* all of its sender */
    struct client *client;
    CURL *easy;
    struct lane *lane;
    struct run run;
    char error[CURL_ERROR_SIZE];
    char answer[ANSWER_SHOWN + 1];
    size_t answered;
};

/* A thread with connections of its own. It takes any lane that is ready: a request costs libcurl and the kernel about 15 µs. */
struct sender {
    struct client *client;
    pthread_t thread;
    int started;
    CURLM *multi;
    struct request *idle, *made;
    int64_t under_way;       /* guarded by the client's mutex */
};

struct client {
    struct cn_host *host;
    const struct http_options *o;
    pthread_mutex_t mutex;   /* guards lanes, the failure, ending, draining, what is under way */
    pthread_cond_t changed;  /* something was answered or failed, for who drains */
    struct lanes lanes;
    int ending, draining;
    int ever_ok;             /* this start has succeeded once: later auth errors are transient */
    int fatal_class;         /* the task ends with it; 0 = none */
    char fatal[512];
    const char *fatal_hint;
    struct curl_slist *headers;
    struct sender senders[SENDERS_MOST];
    int sender_count;
    int64_t under_way;
};

/* ── outcomes, with the mutex held ── */

struct settling { struct client *client; const struct lane *lane; int kind; const char *reason; int64_t retry_after_ms; };

static void settle_run(void *arg, int64_t first, int64_t last) {
    const struct settling *s = (const struct settling *)arg;
    cn_settle(s->client->host, s->lane->topic, s->lane->partition, first, last, s->kind, s->reason, s->retry_after_ms);
}

/* Settles the lane's first n records. */
static void settle(struct client *c, const struct lane *lane, uint32_t n, int kind, const char *reason) {
    struct settling s = {c, lane, kind, reason, lane->retry_after_ms};
    if (!lane->revoked) lane_offsets(lane, n, settle_run, &s);
}

static void fail_lane(struct lane *lane, const char *reason, int64_t retry_after_ms) {
    lane->failed = 1;
    lane->retry_after_ms = retry_after_ms;
    snprintf(lane->reason, sizeof lane->reason, "%s", reason);
}

static void fail_task(struct client *c, int fail_class, const char *text, const char *hint) {
    if (c->fatal_class) return;
    c->fatal_class = fail_class;
    snprintf(c->fatal, sizeof c->fatal, "%s", text);
    c->fatal_hint = hint;
}

/* Twice as many records next time, up to the options' limit, and below what was too large a while ago. */
static void grow(struct lane *lane, const struct http_options *o) {
    uint32_t full = o->mode == BATCH_SINGLE ? 1 : (uint32_t)o->max_records;
    lane->limit = lane->limit > full / 2 ? full : lane->limit * 2;
    if (lane->too_large && ++lane->calm > CALM) lane->too_large = 0;
    if (lane->too_large && lane->limit >= lane->too_large) lane->limit = lane->too_large / 2;
}

static void on_ok(struct client *c, struct lane *lane, const struct run *r) {
    c->ever_ok = 1;
    settle(c, lane, r->records, CN_OK, NULL);
    grow(lane, c->o);
    lane_over(&c->lanes, lane, 1, c->o);
}

/* Half as much next time; one record alone is at fault itself. */
static void on_refused(struct client *c, struct lane *lane, const struct run *r, const char *reason) {
    if (r->records > 1) {
        lane->limit = r->records / 2;
        lane_over(&c->lanes, lane, 0, c->o);
        return;
    }
    settle(c, lane, 1, CN_REJECT, reason);
    lane_over(&c->lanes, lane, 1, c->o);
}

static void on_retry(struct client *c, struct lane *lane, const char *reason, int64_t after_ms) {
    lane_over(&c->lanes, lane, 0, c->o);
    fail_lane(lane, reason, after_ms);
    c->host->ops->metric(c->host, "request-retries-total", CN_COUNTER, 1);
}

/* 401, 403: nobody's records are at fault. Before the first success it is configuration, later a rotated secret. */
static void on_auth(struct client *c, struct lane *lane, const char *reason, int64_t after_ms) {
    if (!c->ever_ok) fail_task(c, CN_FAIL_AUTH, reason, "check auth.type and its secret");
    on_retry(c, lane, reason, after_ms ? after_ms : AUTH_RETRY_MS);
}

static void describe(const struct request *q, CURLcode code, long status, char *out, size_t cap) {
    const struct http_options *o = q->client->o;
    int n = snprintf(out, cap, "%s %.*s: ", o->method, http_url_shown(q->lane->url), q->lane->url);
    if (n < 0 || (size_t)n >= cap) return;
    if (code != CURLE_OK) snprintf(out + n, cap - (size_t)n, "%s", q->error[0] ? q->error : curl_easy_strerror(code));
    else if (o->show_body && q->answered) snprintf(out + n, cap - (size_t)n, "answered %ld: %s", status, q->answer);
    else snprintf(out + n, cap - (size_t)n, "answered %ld", status);
}

static void answer(struct client *c, struct request *q, CURLcode code) {
    struct lane *lane = q->lane;
    char reason[512] = "";
    long status = 0;
    curl_off_t after = 0;
    enum outcome outcome;
    curl_easy_getinfo(q->easy, CURLINFO_RESPONSE_CODE, &status);
    /* A broken transfer is no answer, whatever its status line said. */
    outcome = status_outcome(code == CURLE_OK ? status : 0);
    if (outcome != OUTCOME_OK) {
        curl_easy_getinfo(q->easy, CURLINFO_RETRY_AFTER, &after);
        describe(q, code, status, reason, sizeof reason);
    }
    switch (outcome) {
    case OUTCOME_OK: on_ok(c, lane, &q->run); break;
    case OUTCOME_SPLIT:
        lane->too_large = q->run.records > 1 ? q->run.records : 0;
        lane->calm = 0;
        on_refused(c, lane, &q->run, reason);
        break;
    case OUTCOME_REJECT: on_refused(c, lane, &q->run, reason); break;
    case OUTCOME_AUTH: on_auth(c, lane, reason, after * 1000); break;
    case OUTCOME_REDIRECT:
        fail_task(c, CN_FAIL_CONFIG, reason, "redirects are not followed: set url to where the server points");
        on_retry(c, lane, reason, 0);
        break;
    case OUTCOME_RETRY: on_retry(c, lane, reason, after * 1000); break;
    }
    if (lane->revoked) lanes_remove(&c->lanes, lane);
    if (c->draining) pthread_cond_broadcast(&c->changed);
}

/* ── libcurl ── */

static size_t on_body(char *p, size_t size, size_t n, void *arg) {
    struct request *q = (struct request *)arg;
    size_t i;
    for (i = 0; i < size * n && q->answered < ANSWER_SHOWN; i++) q->answer[q->answered++] = (unsigned char)p[i] < ' ' ? ' ' : p[i];
    q->answer[q->answered] = 0;
    return size * n;
}

static void set_auth(CURL *e, const struct http_options *o) {
    if (o->auth == AUTH_BASIC) {
        curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
        curl_easy_setopt(e, CURLOPT_USERNAME, o->user);
        curl_easy_setopt(e, CURLOPT_PASSWORD, o->password);
    }
    if (o->auth == AUTH_BEARER) {
        curl_easy_setopt(e, CURLOPT_HTTPAUTH, (long)CURLAUTH_BEARER);
        curl_easy_setopt(e, CURLOPT_XOAUTH2_BEARER, o->token);
    }
}

static void set_tls(CURL *e, const struct http_options *o) {
    if (o->ca) curl_easy_setopt(e, CURLOPT_CAINFO, o->ca);
    if (o->certificate) curl_easy_setopt(e, CURLOPT_SSLCERT, o->certificate);
    if (o->key) curl_easy_setopt(e, CURLOPT_SSLKEY, o->key);
    if (o->key_password) curl_easy_setopt(e, CURLOPT_KEYPASSWD, o->key_password);
}

static void set_common(CURL *e, const struct http_options *o) {
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(e, CURLOPT_PROXY, o->proxy ? o->proxy : "");
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_timeout);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)o->request_timeout);
    set_auth(e, o);
    set_tls(e, o);
}

static struct request *request_new(struct sender *x) {
    struct client *c = x->client;
    struct request *q = (struct request *)calloc(1, sizeof *q);
    CURL *e = q ? curl_easy_init() : NULL;
    if (!e) abort();
    q->client = c;
    q->easy = e;
    q->made = x->made;
    x->made = q;
    set_common(e, c->o);
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, c->o->method);
    curl_easy_setopt(e, CURLOPT_POST, 1L);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->headers);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, q->error);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, q);
    curl_easy_setopt(e, CURLOPT_PRIVATE, q);
    return q;
}

static void request_free(struct sender *x, struct request *q) {
    curl_multi_remove_handle(x->multi, q->easy); /* fine when it is idle */
    curl_easy_cleanup(q->easy);
    free(q);
}

static void start(struct sender *x, struct lane *lane, struct run r) {
    struct request *q = x->idle;
    if (q) x->idle = q->next;
    else q = request_new(x);
    curl_easy_setopt(q->easy, CURLOPT_URL, lane->url);
    q->lane = lane;
    q->run = r;
    q->answered = 0;
    q->error[0] = 0;
    curl_easy_setopt(q->easy, CURLOPT_POSTFIELDS, r.p);
    curl_easy_setopt(q->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r.n);
    curl_multi_add_handle(x->multi, q->easy);
    x->under_way++;
    x->client->under_way++;
}

/* Senders share what may be under way, so that one does not take all. */
static int may_start(const struct sender *x) {
    const struct client *c = x->client;
    return c->under_way < c->o->max_in_flight && x->under_way * c->sender_count < c->o->max_in_flight;
}

static void start_ready(struct sender *x) {
    struct client *c = x->client;
    struct lane *lane;
    for (lane = c->lanes.first; lane && may_start(x); lane = lane->next) {
        struct run r;
        if (lane->under_way || lane->failed || lane->revoked) continue;
        r = lane_take(lane, c->o);
        if (r.records) start(x, lane, r);
    }
}

static void finish(struct sender *x, struct request *q, CURLcode code) {
    curl_multi_remove_handle(x->multi, q->easy);
    answer(x->client, q, code);
    q->next = x->idle;
    x->idle = q;
    x->under_way--;
    x->client->under_way--;
}

/* How many were finished. */
static int finish_ready(struct sender *x) {
    CURLMsg *m;
    int left, n = 0;
    while ((m = curl_multi_info_read(x->multi, &left)) != NULL) {
        char *q = NULL;
        if (m->msg != CURLMSG_DONE) continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, &q);
        finish(x, (struct request *)(void *)q, m->data.result);
        n++;
    }
    return n;
}

static void *run(void *arg) {
    struct sender *x = (struct sender *)arg;
    struct client *c = x->client;
    int running, finished;
    pthread_mutex_lock(&c->mutex);
    while (!c->ending) {
        do {
            start_ready(x);
            pthread_mutex_unlock(&c->mutex);
            curl_multi_perform(x->multi, &running);
            pthread_mutex_lock(&c->mutex);
            finished = finish_ready(x);
        } while (finished);
        pthread_mutex_unlock(&c->mutex);
        curl_multi_poll(x->multi, NULL, 0, 1000, NULL);
        pthread_mutex_lock(&c->mutex);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

/* ── life ── */

static const char *content_type(const struct http_options *o) {
    if (o->content_type) return o->content_type;
    if (o->mode == BATCH_NDJSON) return "application/x-ndjson";
    return o->mode == BATCH_SINGLE && o->format == BODY_RAW ? "application/octet-stream" : "application/json";
}

static struct curl_slist *add_header(struct curl_slist *list, const char *name, const char *value) {
    size_t n = strlen(name) + strlen(value) + 3;
    char *line = (char *)malloc(n);
    if (!line) abort();
    snprintf(line, n, "%s: %s", name, value);
    list = curl_slist_append(list, line);
    free(line);
    return list;
}

static struct curl_slist *request_headers(const struct http_options *o) {
    struct curl_slist *list = add_header(NULL, "Content-Type", content_type(o));
    uint32_t i;
    list = curl_slist_append(list, "Expect:"); /* no round trip before the body */
    list = add_header(list, "User-Agent", "connectd/" CN_VERSION);
    for (i = 0; i < o->headers.n; i++) list = add_header(list, o->headers.names[i], o->headers.values[i]);
    return list;
}

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static void curl_start(void) { curl_global_init(CURL_GLOBAL_DEFAULT); }

static int start_thread(struct sender *x) {
    sigset_t all, old;
    int rc;
    sigfillset(&all);
    /* its own faults: a blocked one ends the process without the host's report */
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    rc = pthread_create(&x->thread, NULL, run, x);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc == 0) pthread_setname_np(x->thread, "http-sink");
    x->started = rc == 0;
    return rc;
}

static int start_senders(struct client *c) {
    long cores = sysconf(_SC_NPROCESSORS_ONLN), most = c->o->max_in_flight < SENDERS_MOST ? (long)c->o->max_in_flight : SENDERS_MOST;
    int i, rc = 0;
    c->sender_count = (int)(cores < 1 ? 1 : cores < most ? cores : most);
    for (i = 0; i < c->sender_count; i++) {
        c->senders[i].client = c;
        c->senders[i].multi = curl_multi_init();
        if (!c->senders[i].multi) abort();
        curl_multi_setopt(c->senders[i].multi, CURLMOPT_MAXCONNECTS, (long)c->o->max_in_flight);
    }
    for (i = 0; i < c->sender_count && rc == 0; i++) rc = start_thread(&c->senders[i]);
    return rc;
}

struct client *client_new(struct cn_host *h, const struct http_options *o) {
    struct client *c = (struct client *)calloc(1, sizeof *c);
    pthread_condattr_t mono;
    int rc;
    if (!c) abort();
    pthread_once(&curl_once, curl_start);
    c->host = h;
    c->o = o;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_condattr_init(&mono);
    pthread_condattr_setclock(&mono, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &mono);
    pthread_condattr_destroy(&mono);
    c->headers = request_headers(o);
    rc = start_senders(c);
    if (rc == 0) return c;
    cn_failf(h, CN_FAIL_TRANSIENT, NULL, "start a thread: %s", strerror(rc));
    client_free(c);
    return NULL;
}

static void wake(struct client *c) {
    int i;
    for (i = 0; i < c->sender_count; i++) curl_multi_wakeup(c->senders[i].multi);
}

static void sender_done(struct sender *x) {
    if (x->started) pthread_join(x->thread, NULL);
    while (x->made) {
        struct request *q = x->made;
        x->made = q->made;
        request_free(x, q);
    }
    curl_multi_cleanup(x->multi);
}

void client_free(struct client *c) {
    int i;
    if (!c) return;
    pthread_mutex_lock(&c->mutex);
    c->ending = 1;
    pthread_mutex_unlock(&c->mutex);
    wake(c);
    for (i = 0; i < c->sender_count; i++) sender_done(&c->senders[i]);
    curl_slist_free_all(c->headers);
    lanes_done(&c->lanes);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

struct lanes *client_lock(struct client *c) {
    pthread_mutex_lock(&c->mutex);
    return &c->lanes;
}

void client_unlock(struct client *c) {
    pthread_mutex_unlock(&c->mutex);
    wake(c);
}

static void settle_failed(struct client *c, struct lane *lane) {
    settle(c, lane, UINT32_MAX, CN_RETRY, lane->reason);
    lane_clear(&c->lanes, lane);
    lane->failed = 0;
    lane->retry_after_ms = 0;
}

int client_report(struct client *c) {
    struct lane *lane;
    int rc = 0;
    pthread_mutex_lock(&c->mutex);
    if (c->fatal_class) rc = cn_failf(c->host, c->fatal_class, c->fatal_hint, "%s", c->fatal);
    for (lane = c->lanes.first; lane && rc == 0; lane = lane->next)
        if (lane->failed) settle_failed(c, lane);
    pthread_mutex_unlock(&c->mutex);
    return rc;
}

static int waiting(const struct client *c) {
    const struct lane *lane;
    for (lane = c->lanes.first; lane; lane = lane->next)
        if (lane->first && !lane->failed && !lane->revoked) return 1;
    return 0;
}

int client_drain(struct client *c, uint32_t deadline_ms) {
    struct timespec until;
    int rc = 0, drained;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += deadline_ms / 1000;
    until.tv_nsec += (long)(deadline_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    pthread_mutex_lock(&c->mutex);
    c->draining = 1;
    while (waiting(c) && !c->fatal_class && rc != ETIMEDOUT) rc = pthread_cond_timedwait(&c->changed, &c->mutex, &until);
    c->draining = 0;
    drained = !waiting(c);
    pthread_mutex_unlock(&c->mutex);
    return drained;
}

int client_check(struct cn_host *h, const struct http_options *o) {
    CURL *e;
    CURLcode code;
    char error[CURL_ERROR_SIZE] = "", *url = http_url_for(o->url, "check");
    pthread_once(&curl_once, curl_start);
    e = curl_easy_init();
    if (!e) abort();
    set_common(e, o);
    curl_easy_setopt(e, CURLOPT_URL, url);
    curl_easy_setopt(e, CURLOPT_ERRORBUFFER, error);
    curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L);
    code = curl_easy_perform(e);
    curl_easy_cleanup(e);
    if (code != CURLE_OK)
        cn_failf(h, CN_FAIL_TRANSIENT, "is the server up, and the URL right?", "connect to %.*s: %s", http_url_shown(url), url,
                 error[0] ? error : curl_easy_strerror(code));
    free(url);
    return code == CURLE_OK ? 0 : -1;
}
