/* SPDX-License-Identifier: Apache-2.0 */
/* The options of the http-sink and what they say about a URL. */
#ifndef HTTP_SINK_OPTIONS_H
#define HTTP_SINK_OPTIONS_H

#include <connectd/sdk.h>

enum batch_mode { BATCH_ARRAY, BATCH_NDJSON, BATCH_SINGLE };
enum body_format { BODY_JSON, BODY_RAW };
enum auth_type { AUTH_NONE, AUTH_BASIC, AUTH_BEARER };
enum null_values { NULLS_IGNORE, NULLS_SEND, NULLS_FAIL };

struct http_options {
    const char *url, *method, *content_type;
    struct cn_pairs headers;
    int32_t mode, format, nulls, auth;
    int64_t max_records, max_bytes, max_in_flight, connect_timeout, request_timeout;
    const char *user, *password, *token;
    const char *ca, *certificate, *key, *key_password, *proxy;
    uint8_t show_body;
};

enum { HTTP_OPTIONS = 25 };
extern const struct cn_option http_option_rows[HTTP_OPTIONS];

/* Binds and checks: scheme http or https, no user in the URL, what auth needs. 0, or -1 after cn_host.fail(CN_FAIL_CONFIG). */
int http_options_read(struct cn_host *h, struct http_options *o);

/* The URL without its query, for messages: it may carry tokens. Returns its length. */
int http_url_shown(const char *url);

/* The URL for a topic: `{topic}` replaced, percent-encoded. On the heap. */
char *http_url_for(const char *url, const char *topic);

#endif
