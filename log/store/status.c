// SPDX-License-Identifier: Apache-2.0
// The store's state as JSON.
#include <inttypes.h>

#include "risk.h"

static void put_latency(struct json_writer *w, const char *name, const struct histogram *h) {
    json_key(w, str_of(name));
    json_object(w);
    json_ki(w, "count", (int64_t)histogram_count(h));
    json_ki(w, "p50_us", histogram_quantile(h, 0.5));
    json_ki(w, "p99_us", histogram_quantile(h, 0.99));
    json_ki(w, "p999_us", histogram_quantile(h, 0.999));
    json_ki(w, "max_us", histogram_quantile(h, 1));
    json_object_end(w);
}

static void put_report(struct json_writer *w, const struct recovery_report *r) {
    json_key(w, STR("recovery"));
    json_object(w);
    json_kb(w, "was_clean", r->was_clean);
    json_ki(w, "frames", (int64_t)r->frames);
    json_ki(w, "frame_bytes", (int64_t)r->frame_bytes);
    json_ki(w, "partitions", r->partitions);
    json_ki(w, "partitions_checked", r->partitions_checked);
    json_ki(w, "partitions_left", r->partitions_left);
    json_ki(w, "partitions_failed", r->partitions_failed);
    json_ki(w, "restored_bytes", (int64_t)r->restored_bytes);
    json_ki(w, "cut_bytes", (int64_t)r->cut_bytes);
    json_ki(w, "files_removed", r->files_removed);
    json_ki(w, "indexes_rebuilt", r->indexes_rebuilt);
    json_ki(w, "transactions_aborted", r->transactions_aborted);
    json_ki(w, "folders_set_aside", r->folders_set_aside);
    json_ki(w, "took_ms", r->took_ms);
    json_ki(w, "catalogue_ms", r->catalogue_ms);
    json_ki(w, "journal_ms", r->journal_ms);
    json_ki(w, "partitions_ms", r->partitions_ms);
    json_ki(w, "folders_ms", r->folders_ms);
    json_ki(w, "checkpoint_ms", r->checkpoint_ms);
    json_object_end(w);
}

void losses_json(const struct losses *l, struct json_writer *w) {
    json_object(w);
    json_ki(w, "gaps", l->gaps);
    json_ki(w, "offsets", l->offsets);
    json_ki(w, "bytes", (int64_t)l->bytes);
    json_ki(w, "at", l->at_ms);
    json_object_end(w);
}

// [{topic, partition, losses}]: what was accepted as lost.
static int put_losses(void *arg, struct topic *t) {
    struct json_writer *w = arg;
    for (int32_t i = 0; i < topic_partitions(t); i++) {
        struct partition *p = topic_partition(t, i);
        LOCK_SCOPE(&p->lock);
        if (!p->losses) continue;
        json_object(w);
        json_kz(w, "topic", partition_topic(p));
        json_ki(w, "partition", i);
        json_key(w, STR("lost"));
        losses_json(p->losses, w);
        json_object_end(w);
    }
    return 0;
}

enum { BUSIEST = 20 };

// A partition and what was appended to it; a reference to its topic.
struct busy {
    struct partition *p;
    struct partition_activity a;
};

struct sums {
    struct json_writer *w;
    int64_t topics, partitions, segments, active;
    uint64_t bytes;
    struct busy busiest[BUSIEST]; // most bytes first
    size_t busy_count;
};

static void put_failed(struct json_writer *w, struct partition *p) {
    struct err err;
    if (!partition_health(p, &err) || err.code == ERR_NOT_FOUND) return;
    json_object(w);
    json_kz(w, "topic", partition_topic(p));
    json_ki(w, "partition", partition_index(p));
    json_kz(w, "reason", err.msg);
    json_kz(w, "hint", err.hint);
    json_object_end(w);
}

static void note_busy(struct sums *x, struct partition *p) {
    struct busy now = {.p = p};
    partition_activity(p, &now.a);
    if (!now.a.batches) return;
    x->active++;
    size_t at = x->busy_count < BUSIEST ? x->busy_count++ : BUSIEST - 1;
    struct partition *out = x->busiest[at].p;
    if (out && x->busiest[at].a.bytes >= now.a.bytes) return;
    for (; at > 0 && x->busiest[at - 1].a.bytes < now.a.bytes; at--) x->busiest[at] = x->busiest[at - 1];
    x->busiest[at] = now;
    topic_ref(p->topic);
    if (out) topic_unref(out->topic);
}

void activity_json(const struct partition_activity *a, struct json_writer *w) {
    json_ki(w, "batches_appended", (int64_t)a->batches);
    json_ki(w, "bytes_appended", (int64_t)a->bytes);
    json_ki(w, "syncs", (int64_t)a->syncs);
    json_key(w, STR("commit"));
    json_object(w);
    json_ki(w, "p50_us", a->p50_us);
    json_ki(w, "p99_us", a->p99_us);
    json_ki(w, "p999_us", a->p999_us);
    json_ki(w, "max_us", a->max_us);
    json_object_end(w);
}

static void put_busiest(struct json_writer *w, struct sums *x) {
    json_key(w, STR("busiest_partitions"));
    json_array(w);
    for (size_t i = 0; i < x->busy_count; i++) {
        struct partition *p = x->busiest[i].p;
        struct partition_offsets o;
        partition_offsets(p, &o);
        json_object(w);
        json_kz(w, "topic", partition_topic(p));
        json_ki(w, "partition", partition_index(p));
        json_ki(w, "bytes", (int64_t)o.bytes);
        activity_json(&x->busiest[i].a, w);
        json_object_end(w);
        topic_unref(p->topic);
    }
    json_array_end(w);
}

static int sum_topic(void *arg, struct topic *t) {
    struct sums *x = arg;
    x->topics++;
    for (int32_t i = 0; i < topic_partitions(t); i++) {
        struct partition_offsets o;
        partition_offsets(topic_partition(t, i), &o);
        x->partitions++;
        x->segments += o.segments;
        x->bytes += o.bytes;
        put_failed(x->w, topic_partition(t, i));
        note_busy(x, topic_partition(t, i));
    }
    return 0;
}

void store_status_json(struct store *s, struct json_writer *w) {
    struct sums x = {.w = w};
    struct recovery_report report;
    struct err err;
    bool stopped = store_health(s, &err) != 0;
    store_report(s, &report);
    json_object(w);
    json_kz(w, "state", stopped ? "stopped" : "running");
    if (stopped) json_kz(w, "reason", err.msg);
    json_kz(w, "cluster_id", s->cluster_id);
    json_key(w, STR("failed_partitions"));
    json_array(w);
    store_topics(s, sum_topic, &x);
    json_array_end(w);
    json_key(w, STR("about_to_lose"));
    risk_json(s, w);
    json_key(w, STR("accepted_losses"));
    json_array(w);
    store_topics(s, put_losses, w);
    json_array_end(w);
    json_ki(w, "topics", x.topics);
    json_ki(w, "partitions", x.partitions);
    json_ki(w, "partitions_active", x.active);
    json_ki(w, "segments", x.segments);
    json_ki(w, "bytes", (int64_t)x.bytes);
    json_ki(w, "commits", (int64_t)atomic_load(&s->commits));
    json_ki(w, "batches", (int64_t)atomic_load(&s->batches));
    json_ki(w, "bytes_appended", (int64_t)atomic_load(&s->bytes_appended));
    json_ki(w, "total_bytes_limit", (int64_t)(s->budget.limit > INT64_MAX ? INT64_MAX : s->budget.limit));
    json_kb(w, "full", atomic_load(&s->budget.full));
    json_ki(w, "syncs", (int64_t)atomic_load(&s->groups));
    json_ki(w, "checkpoints", (int64_t)atomic_load(&s->checkpoints));
    json_ki(w, "open_files", (int64_t)files_count(&s->files));
    json_ki(w, "open_files_most", s->o.open_files);
    json_ki(w, "quarantined_bytes", (int64_t)atomic_load(&s->quarantined));
    json_ki(w, "quarantine_dropped_bytes", (int64_t)atomic_load(&s->quarantine_dropped));
    put_latency(w, "commit", s->commit_us);
    put_latency(w, "sync", s->sync_us);
    put_busiest(w, &x);
    put_report(w, &report);
    json_object_end(w);
}
