// SPDX-License-Identifier: Apache-2.0
// Kafka's coordinator records. Each value begins with an int16 version; from some version on ("flexible") lengths are unsigned varints
// plus one, 0 is null, and every struct ends with tagged fields.
#include "coord/records.h"

#include "base/hash.h"
#include "base/mem.h"

int32_t coord_partition(struct str id, int32_t partitions) {
    int32_t h = java_string_hash(id.p, id.n);
    return (h == INT32_MIN ? 0 : h < 0 ? -h : h) % partitions;
}

// ── both wire dialects ───────────────────────────────────────────────────────────────────────────────────────────────

struct in {
    struct cur c;
    int16_t version;
    bool flexible;
};

// A length: -1 is null.
static int64_t take_length(struct in *in, bool wide) {
    if (in->flexible) return (int64_t)(cur_uvarint(&in->c) & INT64_MAX) - 1;
    return wide ? (int32_t)cur_be32(&in->c) : (int16_t)cur_be16(&in->c);
}
static struct str take_sized(struct in *in, bool wide, bool nullable) {
    int64_t n = take_length(in, wide);
    if (n == -1 && nullable) return (struct str){NULL, 0};
    return cur_bytes(&in->c, cur_count(&in->c, n, 1));
}
static struct str take_string(struct in *in) { return take_sized(in, false, false); }
static struct str take_nullable(struct in *in) { return take_sized(in, false, true); }
static struct str take_bytes(struct in *in) { return take_sized(in, true, false); }
static uint32_t take_count(struct in *in, size_t min_size) { return cur_count(&in->c, take_length(in, true), min_size); }

// The one tagged field, tag 0, that is an id; others are skipped.
static struct uuid take_tagged_id(struct in *in) {
    struct uuid id = {{0}};
    if (!in->flexible) return id;
    for (uint32_t n = cur_count(&in->c, (int64_t)(cur_uvarint(&in->c) & INT64_MAX), 2); n > 0 && !in->c.bad; n--) {
        uint64_t tag = cur_uvarint(&in->c);
        struct str value = cur_bytes(&in->c, cur_count(&in->c, (int64_t)(cur_uvarint(&in->c) & INT64_MAX), 1));
        if (tag == 0 && value.n == sizeof(id)) memcpy(&id, value.p, sizeof(id));
    }
    return id;
}
static void skip_tags(struct in *in) { (void)take_tagged_id(in); }

static void put_string(struct buf *out, struct str s) {
    buf_be16(out, (uint16_t)s.n);
    buf_puts(out, s);
}
static void put_compact(struct buf *out, struct str s) {
    buf_uvarint(out, s.n + 1);
    buf_puts(out, s);
}
static void put_tagged_id(struct buf *out, struct uuid id) {
    buf_uvarint(out, 1); // fields
    buf_uvarint(out, 0); // tag
    buf_uvarint(out, sizeof(id));
    buf_put(out, &id, sizeof(id));
}
static void put_nullable(struct buf *out, struct str s) {
    if (s.p) put_string(out, s);
    else buf_be16(out, (uint16_t)-1);
}
static void put_bytes(struct buf *out, struct str s) {
    buf_be32(out, (uint32_t)s.n);
    buf_puts(out, s);
}

// Begins a value: its version decides the dialect.
static int begin(struct in *in, struct str s, int16_t highest, int16_t flexible_from, const char *what, struct err *err) {
    *in = (struct in){.c = cur_str(s)};
    in->version = (int16_t)cur_be16(&in->c);
    in->flexible = in->version >= flexible_from;
    if (in->c.bad) return err_set(err, ERR_CORRUPT, "%s of %zu bytes", what, s.n);
    if (in->version >= 0 && in->version <= highest) return 0;
    return err_set(err, ERR_UNSUPPORTED, "%s of version %d, known are 0 to %d", what, in->version, highest);
}

static int end(const struct in *in, const char *what, struct err *err) {
    if (cur_done(&in->c)) return 0;
    return err_set(err, ERR_CORRUPT, "%s: %s", what, in->c.bad ? "cut" : "bytes after its end");
}

// ── __consumer_offsets ───────────────────────────────────────────────────────────────────────────────────────────────

enum { KEY_GROUP = 2, OFFSET_HIGHEST = 4, GROUP_WRITTEN = 3, GROUP_HIGHEST = 4, COORD_FLEXIBLE = 4 };

void offsets_key_encode(struct buf *out, const struct offsets_key *k) {
    buf_be16(out, k->kind == OFFSETS_KEY_GROUP ? KEY_GROUP : 1);
    put_string(out, k->group);
    if (k->kind == OFFSETS_KEY_GROUP) return;
    put_string(out, k->topic);
    buf_be32(out, (uint32_t)k->partition);
}

int offsets_key_decode(struct str s, struct offsets_key *ret, struct err *err) {
    struct in in = {.c = cur_str(s)};
    struct offsets_key k = {.version = (int16_t)cur_be16(&in.c)};
    if (in.c.bad) return err_set(err, ERR_CORRUPT, "offsets key of %zu bytes", s.n);
    k.kind = k.version < 0 || k.version > KEY_GROUP ? OFFSETS_KEY_UNKNOWN : k.version == KEY_GROUP ? OFFSETS_KEY_GROUP : OFFSETS_KEY_COMMIT;
    if (k.kind != OFFSETS_KEY_UNKNOWN) {
        k.group = take_string(&in);
        if (k.kind == OFFSETS_KEY_COMMIT) {
            k.topic = take_string(&in);
            k.partition = (int32_t)cur_be32(&in.c);
        }
        if (end(&in, "offsets key", err) < 0) return -1;
    }
    *ret = k;
    return 0;
}

void offset_value_encode(struct buf *out, const struct offset_value *v) {
    bool flexible = !uuid_is_zero(v->topic_id);
    buf_be16(out, flexible ? COORD_FLEXIBLE : COORD_FLEXIBLE - 1);
    buf_be64(out, (uint64_t)v->offset);
    buf_be32(out, (uint32_t)v->leader_epoch);
    if (flexible) put_compact(out, v->metadata);
    else put_string(out, v->metadata);
    buf_be64(out, (uint64_t)v->commit_ms);
    if (flexible) put_tagged_id(out, v->topic_id);
}

int offset_value_decode(struct str s, struct offset_value *ret, struct err *err) {
    struct in in;
    struct offset_value v = {.leader_epoch = -1, .expire_ms = -1};
    if (begin(&in, s, OFFSET_HIGHEST, COORD_FLEXIBLE, "offset value", err) < 0) return -1;
    v.offset = (int64_t)cur_be64(&in.c);
    if (in.version >= 3) v.leader_epoch = (int32_t)cur_be32(&in.c);
    v.metadata = take_string(&in);
    v.commit_ms = (int64_t)cur_be64(&in.c);
    if (in.version == 1) v.expire_ms = (int64_t)cur_be64(&in.c);
    v.topic_id = take_tagged_id(&in);
    if (end(&in, "offset value", err) < 0) return -1;
    *ret = v;
    return 0;
}

static void put_member(struct buf *out, const struct group_member *m) {
    put_string(out, m->id);
    put_nullable(out, m->instance);
    put_string(out, m->client_id);
    put_string(out, m->client_host);
    buf_be32(out, (uint32_t)m->rebalance_timeout_ms);
    buf_be32(out, (uint32_t)m->session_timeout_ms);
    put_bytes(out, m->subscription);
    put_bytes(out, m->assignment);
}

void group_value_encode(struct buf *out, const struct group_value *v) {
    buf_be16(out, GROUP_WRITTEN);
    put_string(out, v->protocol_type);
    buf_be32(out, (uint32_t)v->generation);
    put_nullable(out, v->protocol);
    put_nullable(out, v->leader);
    buf_be64(out, (uint64_t)v->state_ms);
    buf_be32(out, v->member_count);
    for (uint32_t i = 0; i < v->member_count; i++) put_member(out, &v->members[i]);
}

static void take_member(struct in *in, struct group_member *m) {
    *m = (struct group_member){.id = take_string(in)};
    if (in->version >= 3) m->instance = take_nullable(in);
    m->client_id = take_string(in);
    m->client_host = take_string(in);
    if (in->version >= 1) m->rebalance_timeout_ms = (int32_t)cur_be32(&in->c);
    m->session_timeout_ms = (int32_t)cur_be32(&in->c);
    if (in->version < 1) m->rebalance_timeout_ms = m->session_timeout_ms;
    m->subscription = take_bytes(in);
    m->assignment = take_bytes(in);
    skip_tags(in);
}

int group_value_decode(struct str s, struct group_value *ret, struct err *err) {
    struct in in;
    struct group_value v = {.state_ms = -1};
    enum { MEMBER_MIN = 15 }; // bytes of the smallest, in the flexible dialect
    if (begin(&in, s, GROUP_HIGHEST, COORD_FLEXIBLE, "group value", err) < 0) return -1;
    v.protocol_type = take_string(&in);
    v.generation = (int32_t)cur_be32(&in.c);
    v.protocol = take_nullable(&in);
    v.leader = take_nullable(&in);
    if (in.version >= 2) v.state_ms = (int64_t)cur_be64(&in.c);
    v.member_count = take_count(&in, MEMBER_MIN);
    v.members = v.member_count ? xcalloc(v.member_count, sizeof(v.members[0])) : NULL;
    for (uint32_t i = 0; i < v.member_count && !in.c.bad; i++) take_member(&in, &v.members[i]);
    skip_tags(&in);
    if (end(&in, "group value", err) < 0) {
        group_value_done(&v);
        return -1;
    }
    *ret = v;
    return 0;
}

void group_value_done(struct group_value *v) {
    free(v->members);
    v->members = NULL;
    v->member_count = 0;
}

// ── __transaction_state ──────────────────────────────────────────────────────────────────────────────────────────────

enum { TXN_FLEXIBLE = 1, TXN_HIGHEST = 1, TAG_PREVIOUS = 0, TAG_NEXT = 1, TAG_CLIENT = 2 };

const char *txn_status_name(enum txn_status s) {
    static const char *const names[TXN_STATUS_COUNT] = {
        "Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "Dead", "PrepareEpochFence",
    };
    return (unsigned)s < TXN_STATUS_COUNT ? names[s] : "Unknown";
}

void txn_key_encode(struct buf *out, struct str id) {
    buf_be16(out, 0);
    put_string(out, id);
}

int txn_key_decode(struct str s, struct str *ret_id, struct err *err) {
    struct in in;
    if (begin(&in, s, 0, INT16_MAX, "transaction key", err) < 0) return -1;
    struct str id = take_string(&in);
    if (end(&in, "transaction key", err) < 0) return -1;
    *ret_id = id;
    return 0;
}

static void put_topics(struct buf *out, const struct txn_value *v, bool flexible) {
    bool null = !v->topic_count && v->status == TXN_EMPTY;
    if (flexible) buf_uvarint(out, null ? 0 : v->topic_count + 1u);
    else buf_be32(out, null ? (uint32_t)-1 : v->topic_count);
    for (uint32_t i = 0; i < v->topic_count; i++) {
        const struct txn_topic *t = &v->topics[i];
        if (flexible) {
            buf_uvarint(out, t->name.n + 1);
            buf_puts(out, t->name);
            buf_uvarint(out, t->partition_count + 1u);
        } else {
            put_string(out, t->name);
            buf_be32(out, t->partition_count);
        }
        for (uint32_t j = 0; j < t->partition_count; j++) buf_be32(out, (uint32_t)t->partitions[j]);
        if (flexible) buf_uvarint(out, 0);
    }
}

static void put_tag64(struct buf *out, unsigned tag, int64_t v) {
    if (v < 0) return;
    buf_uvarint(out, tag);
    buf_uvarint(out, 8);
    buf_be64(out, (uint64_t)v);
}

static void put_txn_tags(struct buf *out, const struct txn_value *v) {
    buf_uvarint(out, (uint64_t)(v->previous_id >= 0) + (uint64_t)(v->next_id >= 0) + (uint64_t)(v->client_version > 0));
    put_tag64(out, TAG_PREVIOUS, v->previous_id);
    put_tag64(out, TAG_NEXT, v->next_id);
    if (v->client_version <= 0) return;
    buf_uvarint(out, TAG_CLIENT);
    buf_uvarint(out, 2);
    buf_be16(out, (uint16_t)v->client_version);
}

void txn_value_encode(struct buf *out, const struct txn_value *v) {
    bool flexible = v->previous_id >= 0 || v->next_id >= 0 || v->client_version > 0;
    buf_be16(out, flexible ? TXN_FLEXIBLE : 0);
    buf_be64(out, (uint64_t)v->producer_id);
    buf_be16(out, (uint16_t)v->producer_epoch);
    buf_be32(out, (uint32_t)v->timeout_ms);
    buf_u8(out, (uint8_t)v->status);
    put_topics(out, v, flexible);
    buf_be64(out, (uint64_t)v->update_ms);
    buf_be64(out, (uint64_t)v->start_ms);
    if (flexible) put_txn_tags(out, v);
}

static void take_topic(struct in *in, struct txn_topic *t) {
    t->name = take_string(in);
    t->partition_count = take_count(in, sizeof(int32_t));
    int32_t *partitions = t->partition_count ? xcalloc(t->partition_count, sizeof(int32_t)) : NULL;
    for (uint32_t i = 0; i < t->partition_count; i++) partitions[i] = (int32_t)cur_be32(&in->c);
    t->partitions = partitions;
    skip_tags(in);
}

static void take_topics(struct in *in, struct txn_value *v) {
    int64_t n = take_length(in, true);
    if (n == -1) return;
    v->topic_count = cur_count(&in->c, n, 3); // the smallest topic of the flexible dialect
    struct txn_topic *topics = v->topic_count ? xcalloc(v->topic_count, sizeof(*topics)) : NULL;
    v->topics = v->memory = topics;
    for (uint32_t i = 0; i < v->topic_count && !in->c.bad; i++) take_topic(in, &topics[i]);
}

static void take_txn_tags(struct in *in, struct txn_value *v) {
    if (!in->flexible) return;
    for (uint32_t n = cur_count(&in->c, (int64_t)(cur_uvarint(&in->c) & INT64_MAX), 2); n > 0 && !in->c.bad; n--) {
        uint64_t tag = cur_uvarint(&in->c), size = cur_uvarint(&in->c);
        struct cur c = cur_str(cur_bytes(&in->c, cur_count(&in->c, (int64_t)(size & INT64_MAX), 1)));
        if (tag == TAG_PREVIOUS) v->previous_id = (int64_t)cur_be64(&c);
        if (tag == TAG_NEXT) v->next_id = (int64_t)cur_be64(&c);
        if (tag == TAG_CLIENT) v->client_version = (int16_t)cur_be16(&c);
        if (tag <= TAG_CLIENT && !cur_done(&c)) cur_fail(&in->c);
    }
}

int txn_value_decode(struct str s, struct txn_value *ret, struct err *err) {
    struct in in;
    struct txn_value v = {.previous_id = -1, .next_id = -1};
    if (begin(&in, s, TXN_HIGHEST, TXN_FLEXIBLE, "transaction value", err) < 0) return -1;
    v.producer_id = (int64_t)cur_be64(&in.c);
    v.producer_epoch = (int16_t)cur_be16(&in.c);
    v.timeout_ms = (int32_t)cur_be32(&in.c);
    uint8_t status = cur_u8(&in.c);
    take_topics(&in, &v);
    v.update_ms = (int64_t)cur_be64(&in.c);
    v.start_ms = (int64_t)cur_be64(&in.c);
    take_txn_tags(&in, &v);
    if (status >= TXN_STATUS_COUNT) cur_fail(&in.c);
    v.status = (enum txn_status)status;
    if (end(&in, "transaction value", err) < 0) {
        txn_value_done(&v);
        return -1;
    }
    *ret = v;
    return 0;
}

void txn_value_done(struct txn_value *v) {
    const struct txn_topic *topics = v->memory;
    for (uint32_t i = 0; topics && i < v->topic_count; i++) free((void *)(uintptr_t)topics[i].partitions);
    free(v->memory);
    v->memory = NULL;
    v->topics = NULL;
    v->topic_count = 0;
}
