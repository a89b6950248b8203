// SPDX-License-Identifier: Apache-2.0
// The record of a message:
//
//   copy of the message in the batch   <34>1 2003-10-11T22:14:15.003Z mymachine su - ID47 - 'su root' failed
//   cells of its struct                    └ timestamp               └ hostname └ app  └ msgid └ message
//
// The fields are runs of bytes of that copy: no byte is copied twice. Only what must differ from the sent bytes has bytes of
// its own: values of structured data with escapes in them, and a message that is not UTF-8.
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include <connectd/json.h>

#include "record.h"

enum { ELEMENT_MAP = -1 }; // type of structured_data in the table below

enum field {
    F_TIMESTAMP, F_HOSTNAME, F_APP, F_PROCID, F_MSGID, F_FACILITY, F_FACILITY_NAME, F_SEVERITY, F_SEVERITY_NAME,
    F_DATA, F_MESSAGE, F_FORMAT, F_TRANSPORT, F_ADDRESS, F_PORT, F_RECEIVED,
    F_TIMESTAMP_TEXT, F_TRUNCATED, F_INCOMPLETE, F_PARSE_ERROR, F_RAW, // absent where there is nothing to say
    FIELDS
};

static const struct { const char *name; int type; bool required; const char *meaning; } fields[FIELDS] = {
    [F_TIMESTAMP] = {"timestamp", CN_INT64, false, "io.debezium.time.MicroTimestamp"},
    [F_HOSTNAME] = {"hostname", CN_STRING, false, NULL},
    [F_APP] = {"app_name", CN_STRING, false, NULL},
    [F_PROCID] = {"procid", CN_STRING, false, NULL},
    [F_MSGID] = {"msgid", CN_STRING, false, NULL},
    [F_FACILITY] = {"facility", CN_INT32, false, NULL},
    [F_FACILITY_NAME] = {"facility_name", CN_STRING, false, NULL},
    [F_SEVERITY] = {"severity", CN_INT32, false, NULL},
    [F_SEVERITY_NAME] = {"severity_name", CN_STRING, false, NULL},
    [F_DATA] = {"structured_data", ELEMENT_MAP, false, NULL},
    [F_MESSAGE] = {"message", CN_STRING, true, NULL},
    [F_FORMAT] = {"format", CN_STRING, true, NULL},
    [F_TRANSPORT] = {"transport", CN_STRING, true, NULL},
    [F_ADDRESS] = {"source_address", CN_STRING, false, NULL},
    [F_PORT] = {"source_port", CN_INT32, false, NULL},
    [F_RECEIVED] = {"received_at", CN_INT64, true, "io.debezium.time.MicroTimestamp"},
    [F_TIMESTAMP_TEXT] = {"timestamp_text", CN_STRING, false, NULL},
    [F_TRUNCATED] = {"truncated", CN_BOOLEAN, false, NULL},
    [F_INCOMPLETE] = {"incomplete", CN_BOOLEAN, false, NULL},
    [F_PARSE_ERROR] = {"parse_error", CN_STRING, false, NULL},
    [F_RAW] = {"raw", CN_BYTES, false, NULL},
};

// In the order of recorder.names.
enum { NAME_SEVERITY = 24, NAME_TRANSPORT = 32, NAME_FORMAT = 35 };
static const char *const name_texts[] = {
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp", "audit", "alert",
    "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
    "emerg", "alert", "crit", "err", "warning", "notice", "info", "debug",
    "udp", "tcp", "unix",
    "unknown", "rfc3164", "rfc5424",
};
_Static_assert(sizeof name_texts / sizeof *name_texts == sizeof((struct recorder *)0)->names / sizeof(struct cn_text), "names");

static struct cn_schema_blob *message_schema(void) {
    struct cn_schema_builder s = {0};
    struct cn_sb_field rows[FIELDS];
    for (int i = 0; i < FIELDS; i++) {
        rows[i].name = fields[i].name;
        if (fields[i].type != ELEMENT_MAP) {
            rows[i].schema = cn_sb_type(&s, (uint8_t)fields[i].type, !fields[i].required, fields[i].meaning, fields[i].meaning != NULL);
            continue;
        }
        cn_off text = cn_sb_type(&s, CN_STRING, 0, NULL, 0);
        rows[i].schema = cn_sb_map(&s, text, cn_sb_map(&s, text, text, 0), 1);
    }
    cn_off root = cn_sb_type(&s, CN_STRUCT, 0, "connectd.syslog.Message", 1);
    cn_sb_fields(&s, root, rows, FIELDS);
    return cn_sb_finish(&s, root);
}

int recorder_init(struct recorder *r, const struct record_options *options) {
    memset(r, 0, sizeof *r);
    r->options = *options;
    r->schema = message_schema();
    return r->schema ? 0 : -1;
}

void recorder_done(struct recorder *r) {
    free(r->schema);
    free(r->mended);
    memset(r, 0, sizeof *r);
}

void recorder_begin(struct recorder *r, struct cn_batch *b) {
    r->batch++;
    r->topic = cn_topic(b, r->options.topic, strlen(r->options.topic));
    r->value_schema = r->options.format == RECORD_PARSED ? cn_schema_use(b, r->schema) : CN_NO_SCHEMA;
    memset(r->names, 0, sizeof r->names);
}

void peer_set(struct peer *p, enum transport transport, const void *sockaddr) {
    const struct sockaddr *a = sockaddr;
    memset(p, 0, sizeof *p);
    p->transport = transport;
    p->port = -1;
    if (!a) return;
    if (a->sa_family == AF_INET) {
        const struct sockaddr_in *in = sockaddr;
        inet_ntop(AF_INET, &in->sin_addr, p->address, sizeof p->address);
        p->port = ntohs(in->sin_port);
    } else if (a->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = sockaddr;
        if (IN6_IS_ADDR_V4MAPPED(&in->sin6_addr)) inet_ntop(AF_INET, in->sin6_addr.s6_addr + 12, p->address, sizeof p->address);
        else inet_ntop(AF_INET6, &in->sin6_addr, p->address, sizeof p->address);
        p->port = ntohs(in->sin6_port);
    }
    p->address_n = (uint32_t)strlen(p->address);
}

// One of name_texts, copied into the batch at its first use.
static struct cn_cell name_cell(struct recorder *r, struct cn_batch *b, int name) {
    struct cn_text *t = &r->names[name];
    if (!t->at) *t = cn_text(b, name_texts[name], strlen(name_texts[name]));
    return cn_run(CN_STRING, t->at, t->n);
}

static struct cn_cell address_cell(struct recorder *r, struct cn_batch *b, struct peer *peer) {
    if (!peer->address_n) return cn_null();
    if (peer->batch != r->batch) {
        peer->shared = cn_text(b, peer->address, peer->address_n).at;
        peer->batch = r->batch;
    }
    return cn_run(CN_STRING, peer->shared, peer->address_n);
}

// The message as the batch holds it: slices of `base` are runs from `at` on.
struct copy { const char *base; cn_off at; };

static struct cn_cell slice_cell(const struct copy *c, struct slice s) {
    return s.p ? cn_run(CN_STRING, c->at + (cn_off)(s.p - c->base), s.n) : cn_null();
}

// Undoes \" \\ and \]; any other backslash is meant (RFC 5424 §6.3.3).
static struct cn_cell unescaped(struct cn_batch *b, struct slice value) {
    cn_off at = cn_alloc(b, value.n);
    uint32_t n = 0;
    if (!at) return cn_null();
    char *to = (char *)b->base + at;
    for (uint32_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\\' && i + 1 < value.n && memchr("\"\\]", value.p[i + 1], 3)) i++;
        to[n++] = value.p[i];
    }
    return cn_run(CN_STRING, at, n);
}

static bool slice_same(struct slice a, struct slice b) { return a.n == b.n && memcmp(a.p, b.p, a.n) == 0; }

// A name that came before in its map, where keys are to differ, gets "#2", "#3" … behind it.
static struct cn_cell numbered(struct cn_batch *b, struct slice name, unsigned times) {
    char suffix[16];
    size_t n = (size_t)snprintf(suffix, sizeof suffix, "#%u", times);
    cn_off at = cn_alloc(b, name.n + n);
    if (!at) return cn_null();
    memcpy(b->base + at, name.p, name.n);
    memcpy(b->base + at + name.n, suffix, n);
    return cn_run(CN_STRING, at, name.n + (uint32_t)n);
}

static struct cn_cell params_cell(struct cn_batch *b, const struct copy *c, const struct sd_param *params, uint32_t n) {
    cn_off cells = cn_cells(b, 2 * n);
    for (uint32_t i = 0; i < n; i++) {
        unsigned times = 1;
        for (uint32_t k = 0; k < i; k++) times += slice_same(params[k].name, params[i].name);
        cn_set(b, cells, 2 * i, times > 1 ? numbered(b, params[i].name, times) : slice_cell(c, params[i].name));
        cn_set(b, cells, 2 * i + 1, params[i].escaped ? unescaped(b, params[i].value) : slice_cell(c, params[i].value));
    }
    return cn_run(CN_MAP, cells, n);
}

static struct cn_cell data_cell(struct cn_batch *b, const struct copy *c, const struct message *m) {
    if (!m->element_count) return cn_null();
    cn_off cells = cn_cells(b, 2u * m->element_count);
    for (uint32_t i = 0; i < m->element_count; i++) {
        const struct sd_element *e = &m->elements[i];
        unsigned times = 1;
        for (uint32_t k = 0; k < i; k++) times += slice_same(m->elements[k].id, e->id);
        cn_set(b, cells, 2 * i, times > 1 ? numbered(b, e->id, times) : slice_cell(c, e->id));
        cn_set(b, cells, 2 * i + 1, params_cell(b, c, m->params + e->first, e->count));
    }
    return cn_run(CN_MAP, cells, m->element_count);
}

// Text to parse: the frame's bytes, or those with what is not UTF-8 replaced. *ret_bad is where that begins, or n.
static struct slice valid_text(struct recorder *r, const struct frame *f, size_t *ret_bad) {
    *ret_bad = cn_utf8_valid(f->p, f->n);
    if (*ret_bad == f->n) return (struct slice){f->p, (uint32_t)f->n};
    if (r->mended_cap < 3 * f->n) {
        char *p = realloc(r->mended, 3 * f->n);
        if (!p) abort();
        r->mended = p;
        r->mended_cap = 3 * f->n;
    }
    return (struct slice){r->mended, (uint32_t)cn_utf8_mend(r->mended, f->p, f->n)};
}

static struct cn_cell fault_cell(struct cn_batch *b, const struct message *m, size_t bad) {
    char text[160];
    int n;
    if (m->error) n = snprintf(text, sizeof text, "%s, at byte %u", m->error, m->error_at);
    else n = snprintf(text, sizeof text, "not UTF-8 at byte %zu: replaced", bad);
    return cn_string(b, text, (size_t)n);
}

static void set_fault(struct recorder *r, struct cn_batch *b, struct cn_cell *cells, const struct frame *f, size_t bad) {
    bool fault = r->message.error || bad < f->n;
    cells[F_PARSE_ERROR] = fault ? fault_cell(b, &r->message, bad) : cn_absent();
    cells[F_RAW] = fault || f->incomplete || r->options.always_raw ? cn_bytes(b, f->p, f->n) : cn_absent();
    r->counts.faults += fault;
}

static void set_priority(struct recorder *r, struct cn_batch *b, struct cn_cell *cells, int32_t priority) {
    bool known = priority >= 0;
    cells[F_FACILITY] = known ? cn_int(CN_INT32, priority >> 3) : cn_null();
    cells[F_FACILITY_NAME] = known ? name_cell(r, b, priority >> 3) : cn_null();
    cells[F_SEVERITY] = known ? cn_int(CN_INT32, priority & 7) : cn_null();
    cells[F_SEVERITY_NAME] = known ? name_cell(r, b, NAME_SEVERITY + (priority & 7)) : cn_null();
}

// The struct of r->message: its cells are put together here, all of them, and copied into the batch at once.
static struct cn_cell message_cell(struct recorder *r, struct cn_batch *b, const struct copy *c, struct peer *peer, const struct frame *f,
                                   size_t bad, int64_t received_us) {
    const struct message *m = &r->message;
    struct cn_cell cells[FIELDS];
    cells[F_TIMESTAMP] = m->when.known ? cn_int(CN_INT64, m->when.us) : cn_null();
    cells[F_HOSTNAME] = slice_cell(c, m->hostname);
    cells[F_APP] = slice_cell(c, m->app);
    cells[F_PROCID] = slice_cell(c, m->procid);
    cells[F_MSGID] = slice_cell(c, m->msgid);
    set_priority(r, b, cells, m->priority);
    cells[F_DATA] = data_cell(b, c, m);
    cells[F_MESSAGE] = slice_cell(c, m->text);
    cells[F_FORMAT] = name_cell(r, b, NAME_FORMAT + (int)m->format);
    cells[F_TRANSPORT] = name_cell(r, b, NAME_TRANSPORT + (int)peer->transport);
    cells[F_ADDRESS] = address_cell(r, b, peer);
    cells[F_PORT] = peer->port >= 0 ? cn_int(CN_INT32, peer->port) : cn_null();
    cells[F_RECEIVED] = cn_int(CN_INT64, received_us);
    cells[F_TIMESTAMP_TEXT] = m->when.guessed && m->when.text.p ? slice_cell(c, m->when.text) : cn_absent();
    cells[F_TRUNCATED] = f->truncated ? cn_bool(1) : cn_absent();
    cells[F_INCOMPLETE] = f->incomplete ? cn_bool(1) : cn_absent();
    set_fault(r, b, cells, f, bad);
    cn_off at = cn_alloc(b, sizeof cells);
    if (at) memcpy(cn_cells_at(b, at), cells, sizeof cells);
    return cn_run(CN_STRUCT, at, FIELDS);
}

static void add_parsed(struct recorder *r, struct cn_batch *b, uint32_t record, struct peer *peer, const struct frame *f, int64_t received_us) {
    size_t bad;
    struct slice text = valid_text(r, f, &bad);
    struct copy copy = {text.p, cn_text(b, text.p, text.n).at};
    message_parse(&r->message, text.p, text.n, received_us, &r->options.zone);
    cn_set_value(b, record, message_cell(r, b, &copy, peer, f, bad, received_us), r->value_schema);
    if (r->options.key == RECORD_KEY_HOSTNAME) cn_set_key(b, record, slice_cell(&copy, r->message.hostname), CN_NO_SCHEMA);
}

// The bytes alone; who sent them, and what is wrong with the frame, in headers.
static void add_raw(struct recorder *r, struct cn_batch *b, uint32_t record, struct peer *peer, const struct frame *f) {
    cn_set_value(b, record, cn_bytes(b, f->p, f->n), CN_NO_SCHEMA);
    cn_header_add(b, record, "syslog.transport", name_cell(r, b, NAME_TRANSPORT + (int)peer->transport));
    if (peer->address_n) cn_header_add(b, record, "syslog.source_address", address_cell(r, b, peer));
    if (f->truncated) cn_header_add(b, record, "syslog.truncated", cn_bool(1));
    if (f->incomplete) cn_header_add(b, record, "syslog.incomplete", cn_bool(1));
}

void recorder_add(struct recorder *r, struct cn_batch *b, struct peer *peer, const struct frame *f, int64_t received_us) {
    uint32_t record = cn_record(b, r->topic);
    if (b->failed) return;
    cn_record_at(b, record)->timestamp = received_us / 1000;
    if (r->options.format == RECORD_PARSED) add_parsed(r, b, record, peer, f, received_us);
    else add_raw(r, b, record, peer, f);
    if (r->options.key == RECORD_KEY_SOURCE) cn_set_key(b, record, address_cell(r, b, peer), CN_NO_SCHEMA);
    r->counts.records++;
    r->counts.bytes += (int64_t)f->n;
    r->counts.truncated += f->truncated;
    r->counts.incomplete += f->incomplete;
}
