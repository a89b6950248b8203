// SPDX-License-Identifier: Apache-2.0
// Partition folders: making them, burying those of deleted topics, and setting aside what the catalogue does not know.
#include <inttypes.h>
#include <stdio.h>

#include "recovery.h"

#define ASIDE "set-aside"

// ── making ───────────────────────────────────────────────────────────────────────────────────────────────────────────

static int write_small(struct store *s, const char *path, const struct buf *text, struct err *err) {
    struct fs_file *f;
    if (s->fs->ops->open(s->fs, path, FS_WRITE | FS_CREATE | FS_TRUNC, &f, err)) return -1;
    int failed = fs_pwrite(s->fs, f, text->p, text->n, 0, err);
    return s->fs->ops->close(f, failed ? NULL : err) || failed ? -1 : 0;
}

// Neither file is read by us beyond a check of the topic's id: they are there for Kafka's tools.
static int write_metadata(struct store *s, const struct partition *p, struct err *err) {
    char path[SEGMENT_PATH + 32], id[23];
    struct buf text = {0};
    uuid_kafka(p->topic->uuid, id);
    snprintf(path, sizeof(path), "%s-%" PRId32 "/partition.metadata", p->topic->name, p->index);
    buf_printf(&text, "version: 0\ntopic_id: %s", id);
    int failed = write_small(s, path, &text, err);
    buf_done(&text);
    return failed;
}

int folder_write_epochs(struct store *s, const struct partition *p, struct err *err) {
    char path[SEGMENT_PATH + 32];
    struct buf text = {0};
    snprintf(path, sizeof(path), "%s-%" PRId32 "/leader-epoch-checkpoint", p->topic->name, p->index);
    buf_printf(&text, "0\n%u\n", p->epoch_count);
    for (uint32_t i = 0; i < p->epoch_count; i++) buf_printf(&text, "%" PRId32 " %" PRId64 "\n", p->epochs[i].epoch, p->epochs[i].first);
    int failed = write_small(s, path, &text, err);
    buf_done(&text);
    return failed;
}

int folder_make(struct store *s, const struct partition *p, struct err *err) {
    char folder[SEGMENT_PATH];
    partition_folder(p, folder);
    return s->fs->ops->mkdir(s->fs, folder, err) || write_metadata(s, p, err) || folder_write_epochs(s, p, err) ? -1 : 0;
}

int folder_create(struct store *s, struct partition *p, struct err *err) {
    return folder_make(s, p, err) || segment_create_files(s, p, partition_active(p), err) ? -1 : 0;
}

// ── burying ──────────────────────────────────────────────────────────────────────────────────────────────────────────

void folder_deleted_name(const char *topic, int32_t index, struct uuid uuid, char out[SEGMENT_PATH]) {
    char id[23];
    uuid_kafka(uuid, id);
    snprintf(out, SEGMENT_PATH, "%.200s-%" PRId32 ".%s-delete", topic, index, id);
}

// Does the folder belong to the topic of this id? One made by an unfinished creation, without metadata, does not.
static bool folder_of_topic(struct store *s, const char *folder, struct uuid uuid) {
    char path[SEGMENT_PATH + 32], id[23];
    struct buf text = {0};
    uuid_kafka(uuid, id);
    snprintf(path, sizeof(path), "%s/partition.metadata", folder);
    bool is = !fs_read_all(s->fs, path, 4096, &text, NULL) && strstr(buf_cstr(&text), id);
    buf_done(&text);
    return is;
}

static int remove_folder(struct store *s, const char *folder, struct err *err) {
    struct fs_stat st;
    struct err why;
    if (s->fs->ops->stat(s->fs, folder, &st, &why)) {
        if (why.code == ERR_NOT_FOUND) return 0;
        *err = why;
        return -1;
    }
    return fs_remove_tree(s->fs, folder, err);
}

int folders_bury(struct store *s, const struct grave *g, struct err *err) {
    for (int32_t i = 0; i < g->count; i++) {
        char folder[SEGMENT_PATH];
        snprintf(folder, sizeof(folder), "%s-%" PRId32, g->name, i);
        if (folder_of_topic(s, folder, g->uuid) && remove_folder(s, folder, err)) return -1;
        folder_deleted_name(g->name, i, g->uuid, folder);
        if (remove_folder(s, folder, err)) return -1;
    }
    return s->fs->ops->sync_dir(s->fs, ".", err);
}

// ── what is there at start ───────────────────────────────────────────────────────────────────────────────────────────

struct names {
    char **items;
    size_t n, cap;
};

static int keep_name(void *arg, const char *name) {
    struct names *x = arg;
    VEC_PUSH(x->items, x->n, x->cap, xstrdup(name));
    return 0;
}

static void names_done(struct names *x) {
    for (size_t i = 0; i < x->n; i++) free(x->items[i]);
    free(x->items);
}

// "<topic>-<n>": where the number begins, or 0.
static size_t partition_suffix(struct str name) {
    size_t at = name.n;
    while (at > 0 && name.p[at - 1] >= '0' && name.p[at - 1] <= '9') at--;
    return at > 1 && at < name.n && name.p[at - 1] == '-' ? at : 0;
}

static bool is_known(const struct store *s, const char *folder) {
    struct str name = str_of(folder);
    size_t at = partition_suffix(name);
    int64_t index;
    if (!at || !str_to_i64(str_from(name, at), &index)) return false;
    struct topic *t = map_get(&s->catalogue.topics, str_first(name, at - 1));
    char canonical[SEGMENT_PATH];
    if (!t || index >= t->count) return false;
    snprintf(canonical, sizeof(canonical), "%s-%" PRId64, t->name, index);
    return !strcmp(canonical, folder);
}

struct bytes_in { struct store *s; const char *folder; uint64_t n; };

static int add_bytes(void *arg, const char *name) {
    struct bytes_in *b = arg;
    char path[2 * SEGMENT_PATH];
    struct fs_stat st;
    if (!str_ends(str_of(name), STR(".log"))) return 0;
    snprintf(path, sizeof(path), "%s/%s", b->folder, name);
    if (!b->s->fs->ops->stat(b->s->fs, path, &st, NULL)) b->n += st.size;
    return 0;
}

static int set_aside(struct recovery *r, const char *folder, struct err *err) {
    struct store *s = r->s;
    char to[2 * SEGMENT_PATH];
    struct fs_stat st;
    if (fs_mkdirs(s->fs, ASIDE, err)) return -1;
    snprintf(to, sizeof(to), ASIDE "/%s", folder);
    for (unsigned i = 1; !s->fs->ops->stat(s->fs, to, &st, NULL) && i < 1000; i++) snprintf(to, sizeof(to), ASIDE "/%s.%u", folder, i);
    if (s->fs->ops->rename(s->fs, folder, to, err) || s->fs->ops->sync_dir(s->fs, ASIDE, err)) return -1;
    r->report->folders_set_aside++;
    store_event(s, STORE_EVENT_WARN, "folder %s is in no topic: set aside as %s", folder, to);
    return 0;
}

static bool is_of_grave(struct store *s, const char *folder) {
    for (const struct grave *g = s->catalogue.graves; g; g = g->next)
        if (folder_of_topic(s, folder, g->uuid)) return true;
    return false;
}

// An unfinished creation leaves a folder without bytes; anything else is kept for its owner to look at.
static int judge_folder(struct recovery *r, const char *name, struct err *err) {
    struct store *s = r->s;
    struct bytes_in b = {.s = s, .folder = name};
    struct fs_stat st;
    bool deleted = str_ends(str_of(name), STR("-delete"));
    if (!deleted && (!partition_suffix(str_of(name)) || is_known(s, name))) return 0;
    if (!deleted) deleted = is_of_grave(s, name);
    if (s->fs->ops->stat(s->fs, name, &st, err)) return -1;
    if (!st.is_dir) return 0;
    if (!deleted && s->fs->ops->list(s->fs, name, add_bytes, &b, err)) return -1;
    return b.n ? set_aside(r, name, err) : fs_remove_tree(s->fs, name, err);
}

int folder_clear(struct store *s, const char *folder, struct err *err) {
    struct bytes_in b = {.s = s, .folder = folder};
    struct fs_stat st;
    struct err why;
    if (s->fs->ops->stat(s->fs, folder, &st, &why)) return why.code == ERR_NOT_FOUND ? 0 : (*err = why, -1);
    if (st.is_dir && !is_of_grave(s, folder) && s->fs->ops->list(s->fs, folder, add_bytes, &b, err)) return -1;
    if (!st.is_dir || b.n) return err_set(err, ERR_EXISTS, "folder %s is in the way", folder);
    return fs_remove_tree(s->fs, folder, err);
}

static int judge_folders(struct recovery *r, struct err *err) {
    struct names x = {0};
    int failed = r->s->fs->ops->list(r->s->fs, ".", keep_name, &x, err);
    for (size_t i = 0; i < x.n && !failed; i++) failed = judge_folder(r, x.items[i], err);
    names_done(&x);
    return failed;
}

// ── files in a known folder ──────────────────────────────────────────────────────────────────────────────────────────

static bool has_segment(const struct partition *p, int64_t base) { return p->segs[partition_find_segment(p, base)]->base == base; }

// A log file of no segment: below the active one retention or compaction was interrupted after its frame; above it, it was made for a
// segment that no frame named.
static int judge_log(struct recovery *r, struct partition *p, int64_t base, struct err *err) {
    struct store *s = r->s;
    char path[SEGMENT_PATH];
    struct fs_file *f;
    struct fs_stat st;
    segment_path(p, base, ".log", path);
    if (base > partition_active(p)->base && !s->fs->ops->open(s->fs, path, FS_READ, &f, NULL)) {
        if (!s->fs->ops->fstat(f, &st, NULL) && st.size) quarantine_file(s, p, base, f, 0, st.size), r->report->cut_bytes += st.size;
        s->fs->ops->close(f, NULL);
    }
    r->report->files_removed++;
    return segment_unlink_files(s, p, base, err);
}

// A file listed before may have gone with another one of its segment.
static int unlink_listed(struct store *s, const char *path, struct err *err) {
    struct err why;
    if (!s->fs->ops->unlink(s->fs, path, &why) || why.code == ERR_NOT_FOUND) return 0;
    *err = why;
    return -1;
}

// "<base>.<generation>.cleaned.<what>": of a compaction that was not framed, or that was and has been renamed by recover_swaps.
static int judge_cleaned(struct recovery *r, struct partition *p, const char *name, struct err *err) {
    char path[2 * SEGMENT_PATH];
    partition_folder(p, path);
    snprintf(path + strlen(path), sizeof(path) - strlen(path), "/%s", name);
    r->report->files_removed++;
    return unlink_listed(r->s, path, err);
}

// A producer snapshot above the durable end tells of batches that are not there.
static int judge_snapshot(struct recovery *r, struct partition *p, int64_t offset, struct err *err) {
    char path[SEGMENT_PATH];
    segment_path(p, offset, ".snapshot", path);
    r->report->files_removed++;
    return unlink_listed(r->s, path, err);
}

enum stray { NO_STRAY, STRAY_CLEANED, STRAY_SNAPSHOT, STRAY_LOG };

static enum stray stray_of(const struct partition *p, const char *name, int64_t *ret_number) {
    struct str s = str_of(name);
    if (s.n <= 20 || !str_to_i64(str_first(s, 20), ret_number) || *ret_number < 0) return NO_STRAY;
    struct str suffix = str_from(s, 20);
    if (strstr(name, ".cleaned.")) return STRAY_CLEANED;
    if (str_eqz(suffix, ".snapshot")) return *ret_number > p->hw ? STRAY_SNAPSHOT : NO_STRAY;
    bool of_segment = str_eqz(suffix, ".log") || str_eqz(suffix, ".index") || str_eqz(suffix, ".timeindex") || str_eqz(suffix, ".txnindex");
    return of_segment && !has_segment(p, *ret_number) ? STRAY_LOG : NO_STRAY;
}

bool folder_has_stray(const struct partition *p, const char *name) {
    int64_t number;
    return stray_of(p, name, &number) != NO_STRAY;
}

static int judge_file(struct recovery *r, struct partition *p, const char *name, struct err *err) {
    int64_t number;
    switch (stray_of(p, name, &number)) {
    case STRAY_CLEANED: return judge_cleaned(r, p, name, err);
    case STRAY_SNAPSHOT: return judge_snapshot(r, p, number, err);
    case STRAY_LOG: return judge_log(r, p, number, err);
    case NO_STRAY: break;
    }
    return 0;
}

int recover_folder(struct recovery *r, struct partition *p, struct err *err) {
    struct names x = {0};
    char folder[SEGMENT_PATH];
    partition_folder(p, folder);
    if (p->failed) return 0; // its bytes are kept as they are
    int failed = r->s->fs->ops->list(r->s->fs, folder, keep_name, &x, err);
    for (size_t i = 0; i < x.n && !failed; i++) failed = judge_file(r, p, x.items[i], err);
    names_done(&x);
    return failed;
}

// A framed swap of which some files still have their temporary names. The others are given theirs again: after a failed sync of the folder those
// may be in the page cache only, and no later sync would make them durable.
int recover_swaps(struct store *s, struct partition *p, struct err *err) {
    char folder[SEGMENT_PATH];
    bool any = false;
    for (size_t i = 0; i < p->seg_count; i++) {
        char stem[SEGMENT_PATH];
        const struct segment *g = p->segs[i];
        if (!g->generation) continue;
        segment_cleaned_stem(p, g->base, g->generation, stem);
        if (segment_take_back_names(s, p, g->base, stem, err) || segment_rename_cleaned(s, p, g->base, stem, err)) return -1;
        any = true;
    }
    partition_folder(p, folder);
    return any ? s->fs->ops->sync_dir(s->fs, folder, err) : 0;
}

int recover_folders(struct recovery *r, struct err *err) {
    size_t at = 0;
    for (struct map_entry *e; (e = map_next(&r->s->catalogue.topics, &at));) {
        struct topic *t = e->value;
        for (int32_t i = 0; i < t->count; i++)
            if (!atomic_load(&topic_partition(t, i)->unsettled) && !r->report->was_clean && recover_folder(r, topic_partition(t, i), err)) return -1;
    }
    if (judge_folders(r, err)) return -1;
    while (r->s->catalogue.graves) catalogue_bury(r->s, r->s->catalogue.graves->topic); // their folders went just now
    return r->s->fs->ops->sync_dir(r->s->fs, ".", err);
}
