// SPDX-License-Identifier: Apache-2.0
// The JSON reader on hostile bytes; what it accepts, written again, it accepts again with the same tokens.
#include <stdlib.h>

#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_token(struct json_writer *w, enum json_token t, struct str text) {
    switch (t) {
    case JSON_OBJECT: json_object(w); break;
    case JSON_OBJECT_END: json_object_end(w); break;
    case JSON_ARRAY: json_array(w); break;
    case JSON_ARRAY_END: json_array_end(w); break;
    case JSON_KEY: json_key(w, text); break;
    case JSON_STRING: json_string(w, text); break;
    case JSON_NUMBER: json_raw(w, text); break;
    case JSON_TRUE: json_bool(w, true); break;
    case JSON_FALSE: json_bool(w, false); break;
    case JSON_NULL: json_null(w); break;
    default: break;
    }
}

// True when the text is a JSON document; `out` gets it without white space.
static bool rewrite(struct str in, struct buf *out) {
    struct json_reader r;
    struct json_writer w = json_to(out);
    enum json_token t;
    json_reader_init(&r, in);
    do write_token(&w, t = json_next(&r), r.text);
    while (t != JSON_END && t != JSON_BAD);
    if (t == JSON_BAD && !r.error) abort();
    json_reader_done(&r);
    return t == JSON_END;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct buf once = {0}, twice = {0};
    if (rewrite(str_make(data, size), &once) && (!rewrite(buf_str(&once), &twice) || !str_eq(buf_str(&once), buf_str(&twice)))) abort();
    buf_done(&once);
    buf_done(&twice);
    return 0;
}
