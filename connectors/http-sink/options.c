/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <ctype.h>
#include <strings.h>

static const char *const modes[] = {"array", "ndjson", "single", NULL};
static const char *const formats[] = {"json", "raw", NULL};
static const char *const nulls[] = {"ignore", "send", "fail", NULL};
static const char *const auths[] = {"none", "basic", "bearer", NULL};
static const char *const methods[] = {"POST", "PUT", "PATCH"};

#define O struct http_options

const struct cn_option http_option_rows[HTTP_OPTIONS] = {
    {.name = "url", .type = CN_OPT_STRING, .flags = CN_OPT_REQUIRED, .at = offsetof(O, url), .group = "Connection",
     .doc = "Where to send, http:// or https://. {topic} stands for the record's original topic.", .aliases = "http.url, http.api.url"},
    {.name = "method", .type = CN_OPT_STRING, .at = offsetof(O, method), .def = "POST", .group = "Connection",
     .doc = "POST, PUT or PATCH.", .aliases = "request.method"},
    CN_PAIRS("header.", O, headers, 0, "Connection", "Request headers: `header: {X-Tenant: a}`."),
    CN_MS("connect.timeout.ms", O, connect_timeout, "10s", 1, 600000, 0, "Connection", "How long connecting may take."),
    CN_MS("request.timeout.ms", O, request_timeout, "30s", 1, 3600000, 0, "Connection", "How long a whole request may take; then it is retried."),
    CN_STR("proxy", O, proxy, NULL, CN_OPT_ADVANCED, "Connection", "A proxy's URL. The environment's proxy settings are not used."),
    CN_INT("max.in.flight", O, max_in_flight, "16", 1, 1000, 0, "Connection",
           "Requests under way at once, over all partitions. A partition never has more than one, so that its order is kept."),
    CN_ENUM("batch.mode", O, mode, "array", modes, 0, "Body", "array: one JSON array a request; ndjson: one line a record; single: one record a request."),
    {.name = "batch.max.records", .type = CN_OPT_INT, .at = offsetof(O, max_records), .def = "500", .min = 1, .max = 1000000,
     .group = "Body", .doc = "Most records in one request.", .aliases = "batch.max.size"},
    CN_SIZE("batch.max.bytes", O, max_bytes, "1MiB", 1, 1LL << 30, 0, "Body", "Most bytes in one request; one larger record goes alone."),
    CN_ENUM("request.body.format", O, format, "json", formats, 0, "Body",
            "json: values are written as JSON; raw: strings and bytes as they are (for values that are JSON text already)."),
    CN_STR("content.type", O, content_type, NULL, 0, "Body", "Content-Type; by default application/json, application/x-ndjson or, raw and single, application/octet-stream."),
    CN_ENUM("behavior.on.null.values", O, nulls, "ignore", nulls, 0, "Body",
            "Tombstones: ignore (counted in null-values-ignored), send (as null or an empty body), or fail (as a rejected record)."),
    CN_ENUM("auth.type", O, auth, "none", auths, 0, "Authentication", "How to authenticate."),
    CN_STR("connection.user", O, user, NULL, 0, "Authentication", "basic: the user."),
    CN_STR("connection.password", O, password, NULL, CN_OPT_SECRET, "Authentication", "basic: the password."),
    CN_STR("bearer.token", O, token, NULL, CN_OPT_SECRET, "Authentication", "bearer: the token."),
    CN_STR("ssl.ca.location", O, ca, NULL, 0, "TLS", "File with the certificate authorities to trust, instead of the system's. The server is always verified."),
    CN_STR("ssl.certificate.location", O, certificate, NULL, 0, "TLS", "File with the client's certificate (PEM)."),
    CN_STR("ssl.key.location", O, key, NULL, 0, "TLS", "File with the client's key (PEM)."),
    CN_STR("ssl.key.password", O, key_password, NULL, CN_OPT_SECRET, "TLS", "The key's passphrase."),
    CN_BOOL("errors.response.body", O, show_body, "false", CN_OPT_ADVANCED, "Errors", "Show the first 200 bytes of an error's body in reasons. It may echo what was sent."),
    CN_REFUSED("max.retries", "retries are core's: errors.retry.timeout bounds them; by default they go on for ever"),
    CN_REFUSED("retry.backoff.ms", "retries are core's: errors.retry.delay.max.ms bounds the back-off"),
    CN_REFUSED("oauth2.token.url", "OAuth 2 is not supported yet; use auth.type: bearer with a token from a file"),
};

static int config_error(struct cn_host *h, const char *hint, const char *text) { return cn_failf(h, CN_FAIL_CONFIG, hint, "%s", text); }

static int check_url(struct cn_host *h, const char *url) {
    const char *host = NULL;
    if (strncasecmp(url, "http://", 7) == 0) host = url + 7;
    if (strncasecmp(url, "https://", 8) == 0) host = url + 8;
    if (!host || !*host || *host == '/')
        return cn_failf(h, CN_FAIL_CONFIG, "write it as http://host:port/path or https://…", "url %.*s: no http or https URL", http_url_shown(url), url);
    if (memchr(host, '@', strcspn(host, "/?#")))
        return config_error(h, "use auth.type: basic with connection.user and connection.password", "url: it names a user, which would show in logs");
    return 0;
}

static int check_auth(struct cn_host *h, const struct http_options *o) {
    if (o->auth == AUTH_BASIC && (!o->user || !o->password))
        return config_error(h, "set both, the password as ${file:NAME}", "auth.type basic: connection.user or connection.password is missing");
    if (o->auth == AUTH_BEARER && !o->token) return config_error(h, "set bearer.token: ${file:NAME}", "auth.type bearer: bearer.token is missing");
    if (!o->certificate != !o->key) return config_error(h, "set both or none", "ssl.certificate.location and ssl.key.location go together");
    return 0;
}

static int check_method(struct cn_host *h, const char *method) {
    size_t i;
    for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++)
        if (strcmp(method, methods[i]) == 0) return 0;
    return cn_failf(h, CN_FAIL_CONFIG, "use POST, PUT or PATCH", "method %s: not one that sends records", method);
}

/* A header's line may not end early: nothing below a space, and names without separators. */
static int check_headers(struct cn_host *h, const struct cn_pairs *p) {
    uint32_t i;
    for (i = 0; i < p->n; i++) {
        const char *c;
        for (c = p->values[i]; *c; c++)
            if ((unsigned char)*c < ' ' && *c != '\t') return cn_failf(h, CN_FAIL_CONFIG, NULL, "header.%s: a control character in its value", p->names[i]);
        if (!p->names[i][0] || strpbrk(p->names[i], " \t\r\n:")) return cn_failf(h, CN_FAIL_CONFIG, NULL, "header.%s: no header name", p->names[i]);
    }
    return 0;
}

int http_options_read(struct cn_host *h, struct http_options *o) {
    memset(o, 0, sizeof *o);
    if (cn_options_bind(h, http_option_rows, HTTP_OPTIONS, o) != 0) return -1;
    if (!o->url) return config_error(h, NULL, "url: it is required");
    if (check_url(h, o->url) != 0 || check_method(h, o->method) != 0 || check_headers(h, &o->headers) != 0) return -1;
    return check_auth(h, o);
}

int http_url_shown(const char *url) { return (int)strcspn(url, "?#"); }

char *http_url_for(const char *url, const char *topic) {
    static const char hex[] = "0123456789ABCDEF", mark[] = "{topic}";
    char *out = (char *)malloc(strlen(url) + 3 * strlen(topic) * (strlen(url) / (sizeof mark - 1) + 1) + 1), *to = out;
    const char *t;
    if (!out) abort();
    while (*url) {
        if (strncmp(url, mark, sizeof mark - 1) != 0) { *to++ = *url++; continue; }
        for (t = topic; *t; t++) {
            if (isalnum((unsigned char)*t) || strchr("-._~", *t)) { *to++ = *t; continue; }
            *to++ = '%';
            *to++ = hex[(unsigned char)*t >> 4];
            *to++ = hex[*t & 15];
        }
        url += sizeof mark - 1;
    }
    *to = 0;
    return out;
}
