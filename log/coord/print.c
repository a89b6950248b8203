// SPDX-License-Identifier: Apache-2.0
// Field names are those of Kafka's message definitions.
#include "coord/print.h"

#include "coord/records.h"

static void nullable(struct json_writer *w, const char *key, struct str s) {
    if (s.p) json_ks(w, key, s);
    else json_kz(w, key, NULL);
}

static void print_offset(struct json_writer *w, const struct offset_value *v) {
    json_ki(w, "offset", v->offset);
    json_ki(w, "leaderEpoch", v->leader_epoch);
    json_ks(w, "metadata", v->metadata);
    json_ki(w, "commitTimestamp", v->commit_ms);
    if (v->expire_ms >= 0) json_ki(w, "expireTimestamp", v->expire_ms);
    if (uuid_is_zero(v->topic_id)) return;
    char id[23];
    uuid_kafka(v->topic_id, id);
    json_kz(w, "topicId", id);
}

static void print_member(struct json_writer *w, const struct group_member *m) {
    json_object(w);
    json_ks(w, "memberId", m->id);
    nullable(w, "groupInstanceId", m->instance);
    json_ks(w, "clientId", m->client_id);
    json_ks(w, "clientHost", m->client_host);
    json_ki(w, "rebalanceTimeout", m->rebalance_timeout_ms);
    json_ki(w, "sessionTimeout", m->session_timeout_ms);
    json_ki(w, "subscriptionBytes", (int64_t)m->subscription.n);
    json_ki(w, "assignmentBytes", (int64_t)m->assignment.n);
    json_object_end(w);
}

static void print_group(struct json_writer *w, const struct group_value *v) {
    json_ks(w, "protocolType", v->protocol_type);
    json_ki(w, "generation", v->generation);
    nullable(w, "protocol", v->protocol);
    nullable(w, "leader", v->leader);
    json_ki(w, "currentStateTimestamp", v->state_ms);
    json_key(w, STR("members"));
    json_array(w);
    for (uint32_t i = 0; i < v->member_count; i++) print_member(w, &v->members[i]);
    json_array_end(w);
}

static void print_key(struct json_writer *w, const struct offsets_key *k) {
    json_key(w, STR("key"));
    json_object(w);
    json_ks(w, "group", k->group);
    if (k->kind == OFFSETS_KEY_COMMIT) {
        json_ks(w, "topic", k->topic);
        json_ki(w, "partition", k->partition);
    }
    json_object_end(w);
}

bool coord_print_offsets(struct str key, struct str value, struct json_writer *w) {
    struct offsets_key k;
    struct offset_value offset;
    struct group_value group = {0};
    if (!key.p || offsets_key_decode(key, &k, NULL) < 0 || k.kind == OFFSETS_KEY_UNKNOWN) return false;
    bool commit = k.kind == OFFSETS_KEY_COMMIT;
    if (value.p && (commit ? offset_value_decode(value, &offset, NULL) : group_value_decode(value, &group, NULL)) < 0) return false;
    print_key(w, &k);
    json_key(w, STR("value"));
    if (!value.p) {
        json_null(w);
        return true;
    }
    json_object(w);
    if (commit) print_offset(w, &offset);
    else print_group(w, &group);
    json_object_end(w);
    group_value_done(&group);
    return true;
}

static void print_topics(struct json_writer *w, const struct txn_value *v) {
    json_key(w, STR("transactionPartitions"));
    json_array(w);
    for (uint32_t i = 0; i < v->topic_count; i++) {
        json_object(w);
        json_ks(w, "topic", v->topics[i].name);
        json_key(w, STR("partitionIds"));
        json_array(w);
        for (uint32_t j = 0; j < v->topics[i].partition_count; j++) json_i64(w, v->topics[i].partitions[j]);
        json_array_end(w);
        json_object_end(w);
    }
    json_array_end(w);
}

static void print_txn(struct json_writer *w, const struct txn_value *v) {
    json_object(w);
    json_ki(w, "producerId", v->producer_id);
    json_ki(w, "producerEpoch", v->producer_epoch);
    json_ki(w, "transactionTimeoutMs", v->timeout_ms);
    json_kz(w, "transactionStatus", txn_status_name(v->status));
    print_topics(w, v);
    json_ki(w, "transactionLastUpdateTimestampMs", v->update_ms);
    json_ki(w, "transactionStartTimestampMs", v->start_ms);
    json_object_end(w);
}

bool coord_print_txn(struct str key, struct str value, struct json_writer *w) {
    struct str id;
    struct txn_value v;
    if (!key.p || txn_key_decode(key, &id, NULL) < 0 || (value.p && txn_value_decode(value, &v, NULL) < 0)) return false;
    json_key(w, STR("key"));
    json_object(w);
    json_ks(w, "transactionalId", id);
    json_object_end(w);
    json_key(w, STR("value"));
    if (!value.p) {
        json_null(w);
        return true;
    }
    print_txn(w, &v);
    txn_value_done(&v);
    return true;
}

// Is this the topic's folder, "<topic>-<n>", at the start of a part of the path?
static bool lies_in(const char *path, const char *topic) {
    size_t n = strlen(topic);
    for (const char *at = strstr(path, topic); at; at = strstr(at + 1, topic))
        if ((at == path || at[-1] == '/') && at[n] == '-') return true;
    return false;
}

bool coord_print(void *arg, const char *path, struct str key, struct str value, struct json_writer *w) {
    const char *topic = arg;
    if (topic ? !strcmp(topic, OFFSETS_TOPIC) : lies_in(path, OFFSETS_TOPIC)) return coord_print_offsets(key, value, w);
    if (topic ? !strcmp(topic, TXN_TOPIC) : lies_in(path, TXN_TOPIC)) return coord_print_txn(key, value, w);
    return false;
}
