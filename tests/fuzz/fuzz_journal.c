// SPDX-License-Identifier: Apache-2.0
// A store's journal and checkpoint with any content, under checksums that match: opening refuses or recovers, and never reads out of
// bounds. The first byte chooses: records of a frame, records of a checkpoint's image, or raw bytes in the journal's area.
#include <stdlib.h>

#include "../../log/store/checkpoint.h" // private to the store, as the next two
#include "../../log/store/edit.h"
#include "../../log/store/journal.h"
#include "../lib/fs_mem.h"
#include "base/mem.h"
#include "store/batch.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct store_options options(struct fs *fs) {
    return (struct store_options){.fs = fs, .journal_bytes = JOURNAL_MIN, .checkpoint_ms = INT64_MAX / 4, .cleaner_off = true, .reserve_bytes = 4096};
}

static void put(struct store *s, const char *text) {
    struct batch_builder b;
    struct buf out = {0};
    struct err err;
    struct topic *t = topic_get(s, "t");
    struct commit *c = commit_new(s);
    batch_begin(&b, &out, CODEC_NONE);
    batch_add(&b, 1, (struct str){NULL, 0}, str_of(text), NULL, 0);
    if (batch_end(&b, &err) || commit_append(c, topic_partition(t, 0), &out, true, &err) || store_commit_wait(s, c, NULL, &err)) abort();
    topic_unref(t);
}

// A topic with some segments, some of it after the checkpoint, as a kill leaves it.
static struct fs *base_store(void) {
    struct fs *fs = fs_mem_new(), *copy;
    struct store_options o = options(fs);
    struct topic_setting small = {"segment.bytes", "150"};
    struct store *s;
    struct err err;
    if (store_open(&o, &s, &err) || store_topic_create(s, "t", 2, &small, 1, &err)) abort();
    for (int i = 0; i < 4; i++) put(s, "before");
    if (store_checkpoint(s, &err)) abort();
    put(s, "after");
    copy = fs_mem_clone(fs);
    if (store_close(s, &err)) abort();
    fs_close(fs);
    return copy;
}

// Records as far as they can be read; of a range with data the checksum is made to match.
static void put_records(struct cur c, struct buf *records, struct buf *inlined) {
    struct edit e;
    struct err err;
    while (edit_next(&c, &e, &err) > 0) {
        if (e.kind == EDIT_RANGE && e.flag) {
            size_t start = inlined->n;
            e.size %= 2048;
            for (uint64_t i = 0; i < e.size; i++) buf_u8(inlined, cur_left(&c) > i ? c.p[i] : 0);
            e.crc = crc32c(e.crc_before, e.size ? inlined->p + start : NULL, (size_t)e.size);
        }
        e.count %= 64; // each partition costs files
        edit_put(records, &e);
    }
}

// Where the next frame goes: after the last one there is.
static void find_end(struct journal *j, uint64_t *position) {
    struct checkpoint at;
    struct buf bytes = {0}, image = {0};
    struct journal_frame f;
    struct err err;
    if (checkpoint_read(j->fs, 0, &at, &image, &err)) abort();
    j->head = at.position;
    j->seq = at.seq;
    while (journal_read(j, j->head, j->seq, &bytes, &f, &err) > 0) j->head = f.next, j->seq++;
    atomic_store(&j->tail, j->head);
    *position = j->head;
    buf_done(&bytes);
    buf_done(&image);
}

static void add_frame(struct fs *fs, struct cur c) {
    struct journal *j;
    struct buf frame = {0}, inlined = {0};
    struct err err;
    uint64_t position;
    if (journal_open(fs, &j, &err)) abort();
    find_end(j, &position);
    frame_begin(&frame);
    put_records(c, &frame, &inlined);
    struct iovec iov = {inlined.p, inlined.n};
    if (journal_fits(j, frame_round(frame.n + inlined.n)) && journal_append(j, &frame, &iov, inlined.n > 0, 0, &err)) abort();
    journal_close(j);
    buf_done(&frame);
    buf_done(&inlined);
}

static void replace_image(struct fs *fs, struct cur c) {
    struct checkpoint at;
    struct buf old = {0}, image = {0}, ignored = {0};
    struct err err;
    if (checkpoint_read(fs, 0, &at, &old, &err)) abort();
    checkpoint_begin(&image);
    put_records(c, &image, &ignored);
    for (unsigned slot = 0; slot < CHECKPOINT_SLOTS; slot++)
        if (checkpoint_write(fs, slot, &at, &image, &err)) abort();
    buf_done(&old);
    buf_done(&image);
    buf_done(&ignored);
}

static void overwrite_journal(struct fs *fs, struct cur c) {
    struct fs_file *f;
    struct err err;
    uint64_t at = JOURNAL_HEADER + (uint64_t)(cur_u8(&c) % 8) * FRAME_ALIGN;
    if (fs->ops->open(fs, JOURNAL_NAME, FS_WRITE, &f, &err) || fs_pwrite(fs, f, c.p, cur_left(&c), at, &err)) abort();
    fs->ops->close(f, NULL);
}

static int read_topic(void *arg, struct topic *t) {
    struct buf out = {0};
    for (int32_t i = 0; i < topic_partitions(t) && i < 4; i++) {
        struct partition_offsets o;
        struct read_result r;
        struct err err;
        struct partition *p = topic_partition(t, i);
        partition_offsets(p, &o);
        struct read_request q = {.from = o.log_start, .max_bytes = 4096};
        for (int n = 0; n < 8 && !partition_read(p, &q, &out, &r, &err) && r.n; n++) q.from = r.next;
        buf_clear(&out);
    }
    buf_done(&out);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct fs *base;
    struct store *s;
    struct err err;
    if (!size || size > 64 * 1024) return 0;
    if (!base) base = base_store();
    struct fs *fs = fs_mem_clone(base);
    struct cur rest = cur_of(data + 1, size - 1);
    switch (data[0] % 3) {
    case 0: add_frame(fs, rest); break;
    case 1: replace_image(fs, rest); break;
    default: overwrite_journal(fs, rest);
    }
    struct store_options o = options(fs);
    if (!store_open(&o, &s, &err)) {
        store_topics(s, read_topic, NULL);
        store_close(s, &err);
    }
    fs_close(fs);
    return 0;
}
