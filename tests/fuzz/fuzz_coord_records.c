// SPDX-License-Identifier: Apache-2.0
// Any bytes as each record of the internal topics; what is accepted is written and read again, and printed. The first byte chooses.
#include <stdlib.h>

#include "coord/print.h"
#include "coord/records.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void offset(struct str in) {
    struct offset_value v, again;
    struct buf b = {0};
    if (offset_value_decode(in, &v, NULL) < 0) return;
    if (v.metadata.n <= INT16_MAX) {
        offset_value_encode(&b, &v);
        if (offset_value_decode(buf_str(&b), &again, NULL) < 0 || again.offset != v.offset || !str_eq(again.metadata, v.metadata)) abort();
    }
    buf_done(&b);
}

static void group(struct str in) {
    struct group_value v, again;
    struct buf b = {0};
    if (group_value_decode(in, &v, NULL) < 0) return;
    if (in.n < INT16_MAX) { // the written version's texts are shorter
        group_value_encode(&b, &v);
        if (group_value_decode(buf_str(&b), &again, NULL) < 0 || again.member_count != v.member_count) abort();
        group_value_done(&again);
    }
    group_value_done(&v);
    buf_done(&b);
}

static void txn(struct str in) {
    struct txn_value v, again;
    struct buf b = {0};
    if (txn_value_decode(in, &v, NULL) < 0) return;
    if (in.n < INT16_MAX) {
        txn_value_encode(&b, &v);
        if (txn_value_decode(buf_str(&b), &again, NULL) < 0 || again.topic_count != v.topic_count || again.status != v.status) abort();
        txn_value_done(&again);
    }
    txn_value_done(&v);
    buf_done(&b);
}

static void print(const char *topic, struct str key, struct str value) {
    struct buf out = {0};
    struct json_writer w = json_to(&out);
    json_object(&w);
    coord_print((void *)(uintptr_t)topic, "", key, value, &w);
    json_object_end(&w);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct offsets_key k;
    struct str id, in = str_make(data + 1, size - 1);
    if (!size) return 0;
    switch (data[0] % 6) {
    case 0: (void)!offsets_key_decode(in, &k, NULL); break;
    case 1: offset(in); break;
    case 2: group(in); break;
    case 3: (void)!txn_key_decode(in, &id, NULL); break;
    case 4: txn(in); break;
    default:
        print(OFFSETS_TOPIC, str_first(in, in.n / 3), str_from(in, in.n / 3));
        print(TXN_TOPIC, str_first(in, in.n / 3), str_from(in, in.n / 3));
    }
    return 0;
}
