// SPDX-License-Identifier: Apache-2.0
// meta.properties and the clean-shutdown marker.
#include "meta.h"

#include <inttypes.h>

enum { META_LIMIT = 64 * 1024 };

static bool property(struct str text, const char *name, struct str *ret) {
    struct str line;
    while (str_split(&text, '\n', &line)) {
        size_t eq = str_find(line, '=', 0);
        if (eq == line.n || !str_eqz(str_trim(str_first(line, eq)), name)) continue;
        *ret = str_trim(str_from(line, eq + 1));
        return true;
    }
    return false;
}

static int parse(struct store *s, struct str text, struct err *err) {
    struct str id, node, format;
    int64_t number;
    if (!property(text, "connectd.format", &format) || !str_to_i64(format, &number) || number < 1)
        return err_set(err, ERR_CORRUPT, META_NAME ": connectd.format is missing");
    if (number > STORE_FORMAT) {
        err_set(err, ERR_UNSUPPORTED, META_NAME ": format %" PRId64 ", this version knows up to %d", number, STORE_FORMAT);
        return err_hint(err, "a newer connectd has written this folder: start that one");
    }
    if (!property(text, "cluster.id", &id) || uuid_from_kafka(id.p, id.n, &s->cluster)) return err_set(err, ERR_CORRUPT, META_NAME ": cluster.id is missing");
    if (!property(text, "node.id", &node) || !str_to_i64(node, &number)) return err_set(err, ERR_CORRUPT, META_NAME ": node.id is missing");
    s->node = (int32_t)number;
    uuid_kafka(s->cluster, s->cluster_id);
    return 0;
}

int meta_read(struct store *s, struct err *err) {
    struct buf text = {0};
    int failed = fs_read_all(s->fs, META_NAME, META_LIMIT, &text, err) || parse(s, buf_str(&text), err);
    buf_done(&text);
    return failed ? -1 : 0;
}

int meta_create(struct store *s, struct err *err) {
    struct buf text = {0};
    char directory[23];
    s->cluster = uuid_random();
    s->node = 1;
    uuid_kafka(s->cluster, s->cluster_id);
    uuid_kafka(uuid_random(), directory);
    buf_printf(&text, "#\nversion=1\ncluster.id=%s\nnode.id=%d\ndirectory.id=%s\nconnectd.format=%d\n", s->cluster_id, s->node, directory, STORE_FORMAT);
    int failed = fs_replace(s->fs, META_NAME, text.p, text.n, err);
    buf_done(&text);
    return failed;
}

int meta_settle(struct store *s, struct err *err) {
    struct buf text = {0};
    int failed = fs_read_all(s->fs, META_NAME, META_LIMIT, &text, err) || fs_replace(s->fs, META_NAME, text.p, text.n, err);
    buf_done(&text);
    return failed ? -1 : 0;
}

static void clean_text(const struct checkpoint *c, struct buf *out) {
    char id[23];
    uuid_kafka(c->journal, id);
    buf_printf(out, "journal=%s\ngeneration=%" PRIu64 "\nsequence=%" PRIu64 "\n", id, c->generation, c->seq);
}

int clean_write(struct store *s, const struct checkpoint *c, struct err *err) {
    struct buf text = {0};
    clean_text(c, &text);
    int failed = fs_replace(s->fs, CLEAN_NAME, text.p, text.n, err);
    buf_done(&text);
    return failed;
}

int clean_take(struct store *s, const struct checkpoint *c, bool *ret, struct err *err) {
    struct buf is = {0}, want = {0};
    struct err why = {0};
    clean_text(c, &want);
    bool there = !fs_read_all(s->fs, CLEAN_NAME, META_LIMIT, &is, &why);
    bool names_it = there && str_eq(buf_str(&is), buf_str(&want));
    buf_done(&is);
    buf_done(&want);
    if (!there && why.code == ERR_NOT_FOUND) {
        *ret = false;
        return 0;
    }
    // What can not be read counts as unclean, and goes.
    if (s->fs->ops->unlink(s->fs, CLEAN_NAME, err) || s->fs->ops->sync_dir(s->fs, ".", err)) return -1;
    *ret = names_it;
    return 0;
}
