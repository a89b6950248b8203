// SPDX-License-Identifier: Apache-2.0
// Checkpoint slots.
#include "checkpoint.h"

#include <stdio.h>

static const char MAGIC[8] = "CNCKPT";
enum { VERSION = 1, AT_CRC = 8, AT_VERSION = 12, AT_GENERATION = 16, AT_JOURNAL = 24, AT_POSITION = 40, AT_SEQ = 48, AT_LENGTH = 56 };
#define IMAGE_MAX ((size_t)1 << 30)

static void slot_name(unsigned slot, char name[16]) { snprintf(name, 16, "checkpoint-%u", slot % CHECKPOINT_SLOTS); }

void checkpoint_begin(struct buf *image) { buf_fill(image, 0, CHECKPOINT_HEADER); }

static void header_put(uint8_t *p, const struct checkpoint *c, size_t n) {
    memcpy(p, MAGIC, sizeof(MAGIC));
    put_be32(p + AT_VERSION, VERSION);
    put_be64(p + AT_GENERATION, c->generation);
    memcpy(p + AT_JOURNAL, c->journal.b, sizeof(c->journal.b));
    put_be64(p + AT_POSITION, c->position);
    put_be64(p + AT_SEQ, c->seq);
    put_be64(p + AT_LENGTH, n - CHECKPOINT_HEADER);
    put_be32(p + AT_CRC, crc32c(0, p + AT_VERSION, n - AT_VERSION));
}

static int write_slot(struct fs *fs, const char *name, const struct buf *bytes, struct err *err) {
    struct fs_file *f;
    if (fs->ops->open(fs, name, FS_WRITE | FS_CREATE, &f, err)) return -1;
    int failed = fs_pwrite(fs, f, bytes->p, bytes->n, 0, err) || fs->ops->fdatasync(f, err);
    if (fs->ops->close(f, failed ? NULL : err)) failed = 1;
    return failed ? err_wrap(err, "checkpoint") : 0;
}

int checkpoint_write(struct fs *fs, unsigned slot, const struct checkpoint *c, struct buf *image, struct err *err) {
    char name[16];
    if (image->bad) return err_set(err, ERR_INTERNAL, "checkpoint: no memory for its image");
    slot_name(slot, name);
    header_put(image->p, c, image->n);
    return write_slot(fs, name, image, err);
}

int checkpoint_settle(struct fs *fs, unsigned slot, struct err *err) {
    struct buf bytes = {0};
    char name[16];
    slot_name(slot, name);
    int failed = fs_read_all(fs, name, IMAGE_MAX, &bytes, err) || write_slot(fs, name, &bytes, err);
    buf_done(&bytes);
    return failed ? -1 : 0;
}

static int parse(const char *name, const struct buf *b, size_t start, struct checkpoint *ret, size_t *ret_n, struct err *err) {
    const uint8_t *p = b->p + start;
    size_t n = b->n - start;
    if (n < CHECKPOINT_HEADER || memcmp(p, MAGIC, sizeof(MAGIC)) != 0) return err_set(err, ERR_CORRUPT, "%s: not a checkpoint", name);
    uint64_t length = get_be64(p + AT_LENGTH);
    if (length > n - CHECKPOINT_HEADER) return err_set(err, ERR_CORRUPT, "%s: cut short", name);
    if (get_be32(p + AT_CRC) != crc32c(0, p + AT_VERSION, CHECKPOINT_HEADER - AT_VERSION + (size_t)length))
        return err_set(err, ERR_CORRUPT, "%s: its checksum does not match", name);
    if (get_be32(p + AT_VERSION) != VERSION)
        return err_set(err, ERR_UNSUPPORTED, "%s: version %u, known is %d", name, get_be32(p + AT_VERSION), VERSION);
    *ret = (struct checkpoint){.generation = get_be64(p + AT_GENERATION), .position = get_be64(p + AT_POSITION), .seq = get_be64(p + AT_SEQ)};
    memcpy(ret->journal.b, p + AT_JOURNAL, sizeof(ret->journal.b));
    *ret_n = (size_t)length;
    return 0;
}

int checkpoint_read(struct fs *fs, unsigned slot, struct checkpoint *ret, struct buf *image, struct err *err) {
    char name[16];
    size_t start = image->n, length = 0;
    slot_name(slot, name);
    if (fs_read_all(fs, name, IMAGE_MAX, image, err)) return -1;
    if (parse(name, image, start, ret, &length, err)) {
        image->n = start;
        return -1;
    }
    memmove(image->p + start, image->p + start + CHECKPOINT_HEADER, length);
    image->n = start + length;
    return 0;
}
