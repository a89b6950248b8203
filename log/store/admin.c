// SPDX-License-Identifier: Apache-2.0
// Creating, deleting, growing and configuring topics; producer ids.
//
// The caller's thread makes or removes files; the flusher frames the change and applies it. One such change at a time (store.admin).
#include <inttypes.h>
#include <stdio.h>

#include "flusher.h"
#include "many.h"
#include "recovery.h"

enum { TOPIC_NAME_MOST = 249, PARTITIONS_MOST = 100000, PRODUCER_BLOCK = 1000 };

static int check_name(const char *name, struct err *err) {
    size_t n = strlen(name), ok = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    if (!n || n > TOPIC_NAME_MOST) return err_set(err, ERR_INVALID, "topic name of %zu characters, 1 to %d are allowed", n, TOPIC_NAME_MOST);
    if (ok != n) return err_set(err, ERR_INVALID, "topic name %s: character %zu is none of a-z, A-Z, 0-9, '.', '_', '-'", name, ok + 1);
    if (!strcmp(name, ".") || !strcmp(name, "..")) return err_set(err, ERR_INVALID, "topic name may not be %s", name);
    return 0;
}

static int check_count(const char *name, int64_t count, struct err *err) {
    if (count >= 1 && count <= PARTITIONS_MOST) return 0;
    return err_set(err, ERR_INVALID, "topic %s: %" PRId64 " partitions, 1 to %d are allowed", name, count, PARTITIONS_MOST);
}

// ── folders ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static int sync_made(void *arg, size_t i, struct err *err) {
    struct topic *t = arg;
    struct fs *fs = t->store->fs;
    char folder[SEGMENT_PATH];
    partition_folder(topic_partition(t, (int32_t)i), folder);
    return MUTANT("create-without-dir-sync") ? 0 : fs->ops->sync_dir(fs, folder, err);
}

// Makes the folders of partitions [from, from + count) through a stand-in that is thrown away; on failure none is left.
static int make_folders(struct store *s, const char *name, struct uuid uuid, struct settings *settings, const struct edit *e, struct err *err) {
    struct topic *t = topic_new(s, e->topic, uuid, str_of(name), settings);
    int failed = 0;
    uint32_t made = 0;
    for (; made < e->count && !failed; made++) {
        struct partition *p = partition_new_empty(t, e->partition + made, (int32_t)(e->index + made));
        topic_add_partition(t, p);
        failed = folder_create(s, p, err);
    }
    // All are made before the first is synced: one commit of the file system then serves them all.
    if (!failed) failed = many(made, sync_made, t, err);
    TEST_POINT("create-made");
    if (!failed) failed = s->fs->ops->sync_dir(s->fs, ".", err);
    TEST_POINT("create-synced");
    topic_unref(t);
    return failed ? -1 : 0;
}

static void remove_folders(struct store *s, const char *name, const struct edit *e) {
    for (uint32_t i = 0; i < e->count; i++) {
        char folder[SEGMENT_PATH];
        snprintf(folder, sizeof(folder), "%s-%" PRIu32, name, e->index + i);
        if (fs_remove_tree(s->fs, folder, NULL)) continue; // it is empty: the next creation or recovery removes it
    }
}

static int clear_folders(struct store *s, const char *name, const struct edit *e, struct err *err) {
    for (uint32_t i = 0; i < e->count; i++) {
        char folder[SEGMENT_PATH];
        snprintf(folder, sizeof(folder), "%s-%" PRIu32, name, e->index + i);
        if (folder_clear(s, folder, err)) return -1;
    }
    return 0;
}

// ── create ───────────────────────────────────────────────────────────────────────────────────────────────────────────

struct change {
    const struct edit *edit;
    struct settings *settings;
    struct topic *topic;
};

static int frame_create(struct store *s, void *arg, struct err *err) {
    struct change *c = arg;
    if (flusher_frame(s, NULL, c->edit, 1, err)) return -1;
    TEST_POINT("create-framed");
    c->topic = catalogue_create(s, c->edit, c->settings);
    c->settings = NULL;
    return 0;
}

static bool exists(struct store *s, const char *name) {
    struct topic *t = topic_get(s, name);
    topic_unref(t);
    return t != NULL;
}

static int create(struct store *s, const char *name, struct edit *e, struct settings *settings, struct err *err) {
    struct change c = {.edit = e, .settings = settings};
    struct settings *copy;
    e->id = uuid_random();
    e->topic = s->catalogue.next_topic;
    e->partition = s->catalogue.next_partition;
    if (store_check_running(s, err) || clear_folders(s, name, e, err) || settings_change(settings, NULL, 0, &copy, err)) {
        settings_free(settings);
        return -1;
    }
    int failed = make_folders(s, name, e->id, copy, e, err) || store_call(s, frame_create, &c, true, err);
    settings_free(c.settings);
    // When the store stopped nobody knows whether the frame is there: the folders stay, and recovery decides.
    if (failed && !atomic_load(&s->is_stopped)) remove_folders(s, name, e);
    return failed ? -1 : 0;
}

int store_topic_create(struct store *s, const char *name, int32_t partitions, const struct topic_setting *given, size_t n, struct err *err) {
    struct settings *none = settings_new(&s->o), *settings;
    struct buf text = {0};
    int failed = check_name(name, err) || check_count(name, partitions, err) || settings_change(none, given, n, &settings, err);
    settings_free(none);
    if (failed) return -1;
    LOCK_SCOPE(&s->admin);
    if (exists(s, name)) {
        settings_free(settings);
        return err_set(err, ERR_EXISTS, "topic %s exists", name);
    }
    settings_encode(settings, &text);
    struct edit e = {.kind = EDIT_CREATE, .name = str_of(name), .text = buf_str(&text), .count = (uint32_t)partitions};
    failed = create(s, name, &e, settings, err);
    buf_done(&text);
    return failed ? err_wrap(err, "create topic %s", name) : 0;
}

// ── delete ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static int frame_delete(struct store *s, void *arg, struct err *err) {
    const struct change *c = arg;
    struct edit e = {.kind = EDIT_DELETE, .topic = c->topic->id};
    if (flusher_frame(s, NULL, &e, 1, err)) return -1;
    TEST_POINT("delete-framed");
    catalogue_delete(s, c->topic);
    return 0;
}

static int apply_bury(struct store *s, void *arg, struct err *err) {
    catalogue_bury(s, *(uint32_t *)arg);
    return 0;
}

// The topic is gone whatever happens here; what can not be removed now goes at the next start.
static void remove_deleted(struct store *s, struct topic *t) {
    struct err err;
    pthread_rwlock_wrlock(&t->folders); // whoever is in there gets out, and nobody in any more
    pthread_rwlock_unlock(&t->folders);
    for (int32_t i = 0; i < t->count; i++) {
        char from[SEGMENT_PATH], to[SEGMENT_PATH];
        snprintf(from, sizeof(from), "%s-%" PRId32, t->name, i);
        folder_deleted_name(t->name, i, t->uuid, to);
        if (s->fs->ops->rename(s->fs, from, to, &err)) {
            store_event(s, STORE_EVENT_WARN, "topic %s is deleted, but its files are not: %s", t->name, err.msg);
            return;
        }
    }
    TEST_POINT("delete-renamed");
    struct grave *g = xcalloc(1, sizeof(*g) + strlen(t->name) + 1);
    *g = (struct grave){.topic = t->id, .uuid = t->uuid, .count = t->count};
    memcpy(g->name, t->name, strlen(t->name) + 1);
    uint32_t id = t->id;
    int failed = s->fs->ops->sync_dir(s->fs, ".", &err) || folders_bury(s, g, &err) || store_call(s, apply_bury, &id, false, &err);
    if (failed) store_event(s, STORE_EVENT_WARN, "topic %s is deleted, but not all its files are: %s", t->name, err.msg);
    free(g);
}

int store_topic_delete(struct store *s, const char *name, struct err *err) {
    LOCK_SCOPE(&s->admin);
    struct topic *t = topic_get(s, name);
    struct change c = {.topic = t};
    if (!t) return err_set(err, ERR_NOT_FOUND, "topic %s does not exist", name);
    if (MUTANT("delete-removes-before-frame")) remove_deleted(s, t);
    int failed = store_call(s, frame_delete, &c, true, err);
    if (!failed) remove_deleted(s, t);
    topic_unref(t);
    return failed ? err_wrap(err, "delete topic %s", name) : 0;
}

// ── grow and configure ───────────────────────────────────────────────────────────────────────────────────────────────

static int frame_grow(struct store *s, void *arg, struct err *err) {
    const struct change *c = arg;
    if (flusher_frame(s, NULL, c->edit, 1, err)) return -1;
    TEST_POINT("grow-framed");
    catalogue_grow(s, c->topic, c->edit);
    return 0;
}

static int grow(struct store *s, struct topic *t, int32_t partitions, struct err *err) {
    struct edit e = {.kind = EDIT_GROW, .topic = t->id, .index = (uint32_t)t->count, .count = (uint32_t)(partitions - t->count),
                     .partition = s->catalogue.next_partition};
    struct change c = {.edit = &e, .topic = t};
    struct settings *copy;
    if (store_check_running(s, err) || clear_folders(s, t->name, &e, err) || settings_change(topic_settings(t), NULL, 0, &copy, err)) return -1;
    int failed = make_folders(s, t->name, t->uuid, copy, &e, err) || store_call(s, frame_grow, &c, true, err);
    if (failed && !atomic_load(&s->is_stopped)) remove_folders(s, t->name, &e);
    return failed ? -1 : 0;
}

static int frame_config(struct store *s, void *arg, struct err *err) {
    struct change *c = arg;
    if (flusher_frame(s, NULL, c->edit, 1, err)) return -1;
    topic_set_settings(c->topic, c->settings);
    c->settings = NULL;
    return 0;
}

static int configure(struct store *s, struct topic *t, struct settings *settings, struct err *err) {
    struct buf text = {0};
    settings_encode(settings, &text);
    struct edit e = {.kind = EDIT_CONFIG, .topic = t->id, .text = buf_str(&text)};
    struct change c = {.edit = &e, .topic = t, .settings = settings};
    int failed = store_call(s, frame_config, &c, true, err);
    settings_free(c.settings);
    buf_done(&text);
    return failed;
}

// Everything is checked before anything is changed.
static int alter(struct store *s, struct topic *t, int32_t partitions, const struct topic_setting *given, size_t n, struct err *err) {
    struct settings *settings;
    if (partitions > 0 && partitions <= t->count)
        return err_set(err, ERR_INVALID, "topic %s has %d partitions already, it can not get %d", t->name, t->count, partitions);
    if (settings_change(topic_settings(t), given, n, &settings, err)) return -1;
    if (!n) settings_free(settings);
    else if (configure(s, t, settings, err)) return -1;
    return partitions > 0 ? grow(s, t, partitions, err) : 0;
}

int store_topic_alter(struct store *s, const char *name, int32_t partitions, const struct topic_setting *given, size_t n, struct err *err) {
    if (partitions > 0 && check_count(name, partitions, err)) return -1;
    LOCK_SCOPE(&s->admin);
    struct topic *t = topic_get(s, name);
    if (!t) return err_set(err, ERR_NOT_FOUND, "topic %s does not exist", name);
    int failed = alter(s, t, partitions, given, n, err);
    topic_unref(t);
    return failed;
}

// ── producer ids ─────────────────────────────────────────────────────────────────────────────────────────────────────

static int frame_producers(struct store *s, void *arg, struct err *err) {
    int64_t next = s->catalogue.next_producer + PRODUCER_BLOCK;
    struct edit e = {.kind = EDIT_PRODUCER_IDS, .first = next};
    if (!MUTANT("producer-ids-not-framed") && flusher_frame(s, NULL, &e, 1, err)) return -1;
    *(int64_t *)arg = s->catalogue.next_producer;
    s->catalogue.next_producer = next;
    return 0;
}

int store_producer_id(struct store *s, int64_t *ret, struct err *err) {
    LOCK_SCOPE(&s->admin);
    if (s->producer_next == s->producer_end) {
        int64_t first;
        if (store_call(s, frame_producers, &first, true, err)) return -1;
        s->producer_next = first;
        s->producer_end = first + PRODUCER_BLOCK;
    }
    *ret = s->producer_next++;
    return 0;
}
