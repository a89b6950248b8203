// SPDX-License-Identifier: Apache-2.0
// Checkpoint slots.
#include "checkpoint.h"

#include <stdio.h>

static const char IMAGE[8] = "CNCKPT", CHANGES[8] = "CNCHNG";
enum { VERSION = 1, AT_CRC = 8, AT_VERSION = 12, AT_GENERATION = 16, AT_JOURNAL = 24, AT_POSITION = 40, AT_SEQ = 48, AT_LENGTH = 56 };
#define SLOT_MAX ((size_t)1 << 30)

static void slot_name(unsigned slot, char name[16]) { snprintf(name, 16, "checkpoint-%u", slot % CHECKPOINT_SLOTS); }

// ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

void checkpoint_begin(struct buf *image) { buf_fill(image, 0, CHECKPOINT_HEADER); }

static void header_put(uint8_t *p, const char magic[8], uint32_t version, const struct checkpoint *c, size_t n) {
    memcpy(p, magic, 8);
    put_be32(p + AT_VERSION, version);
    put_be64(p + AT_GENERATION, c->generation);
    memcpy(p + AT_JOURNAL, c->journal.b, sizeof(c->journal.b));
    put_be64(p + AT_POSITION, c->position);
    put_be64(p + AT_SEQ, c->seq);
    put_be64(p + AT_LENGTH, n - CHECKPOINT_HEADER);
    put_be32(p + AT_CRC, crc32c(0, p + AT_VERSION, n - AT_VERSION));
}

static int put(struct fs *fs, unsigned slot, int flags, const struct buf *b, uint64_t at, struct err *err) {
    char name[16];
    struct fs_file *f;
    slot_name(slot, name);
    if (fs->ops->open(fs, name, flags, &f, err)) return err_wrap(err, "checkpoint");
    int failed = fs_pwrite(fs, f, b->p, b->n, at, err) || fs->ops->fdatasync(f, err);
    if (fs->ops->close(f, failed ? NULL : err)) failed = 1;
    return failed ? err_wrap(err, "checkpoint") : 0;
}

int checkpoint_write(struct fs *fs, unsigned slot, const struct checkpoint *c, struct buf *image, struct err *err) {
    if (image->bad) return err_set(err, buf_fault(image), "checkpoint: no memory for its image");
    header_put(image->p, IMAGE, VERSION, c, image->n);
    return put(fs, slot, FS_WRITE | FS_CREATE, image, 0, err);
}

int checkpoint_add(struct fs *fs, unsigned slot, const struct checkpoint *c, const struct checkpoint_chain *x, struct buf *changes, struct err *err) {
    if (changes->bad) return err_set(err, buf_fault(changes), "checkpoint: no memory for changes");
    header_put(changes->p, CHANGES, x->crc, c, changes->n);
    return put(fs, slot, FS_WRITE, changes, x->end, err);
}

void checkpoint_wrote(struct checkpoint_chain *x, const struct buf *image) {
    *x = (struct checkpoint_chain){.image = image->n, .end = image->n, .crc = get_be32(image->p + AT_CRC)};
}

void checkpoint_added(struct checkpoint_chain *x, const struct buf *changes) {
    x->end += changes->n;
    x->crc = get_be32(changes->p + AT_CRC);
}

int checkpoint_settle(struct fs *fs, unsigned slot, struct err *err) {
    struct buf b = {0};
    char name[16];
    slot_name(slot, name);
    int failed = fs_read_all(fs, name, SLOT_MAX, &b, err) || put(fs, slot, FS_WRITE, &b, 0, err);
    buf_done(&b);
    return failed ? -1 : 0;
}

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

// What begins at p with this magic, or NULL with what is wrong. *ret_n: bytes of its edits.
static const char *parse(const uint8_t *p, size_t n, const char magic[8], struct checkpoint *ret, size_t *ret_n) {
    if (n < CHECKPOINT_HEADER || memcmp(p, magic, 8) != 0) return "not a checkpoint";
    uint64_t length = get_be64(p + AT_LENGTH);
    if (length > n - CHECKPOINT_HEADER) return "cut short";
    if (get_be32(p + AT_CRC) != crc32c(0, p + AT_VERSION, CHECKPOINT_HEADER - AT_VERSION + (size_t)length)) return "its checksum does not match";
    *ret = (struct checkpoint){.generation = get_be64(p + AT_GENERATION), .position = get_be64(p + AT_POSITION), .seq = get_be64(p + AT_SEQ)};
    memcpy(ret->journal.b, p + AT_JOURNAL, sizeof(ret->journal.b));
    *ret_n = (size_t)length;
    return NULL;
}

static bool follows(const struct checkpoint *a, const struct checkpoint *b) {
    return b->generation == a->generation + 1 && !memcmp(&a->journal, &b->journal, sizeof(a->journal));
}

// Takes the headers out of p[0..n), so that the edits of all follow each other, and returns how many bytes those are.
static size_t take_chain(uint8_t *p, size_t n, size_t first, struct checkpoint *c) {
    uint32_t crc = get_be32(p + AT_CRC);
    size_t at = CHECKPOINT_HEADER + first, length, kept = first;
    struct checkpoint next;
    memmove(p, p + CHECKPOINT_HEADER, first);
    while (!parse(p + at, n - at, CHANGES, &next, &length) && get_be32(p + at + AT_VERSION) == crc && follows(c, &next)) {
        crc = get_be32(p + at + AT_CRC);
        memmove(p + kept, p + at + CHECKPOINT_HEADER, length);
        kept += length;
        at += CHECKPOINT_HEADER + length;
        *c = next;
    }
    c->chain = (struct checkpoint_chain){.image = CHECKPOINT_HEADER + first, .end = at, .crc = crc};
    return kept;
}

int checkpoint_read(struct fs *fs, unsigned slot, struct checkpoint *ret, struct buf *image, struct err *err) {
    char name[16];
    size_t start = image->n, length = 0;
    struct checkpoint c;
    slot_name(slot, name);
    if (fs_read_all(fs, name, SLOT_MAX, image, err)) return -1;
    uint8_t *p = image->p + start;
    const char *wrong = parse(p, image->n - start, IMAGE, &c, &length);
    uint32_t version = wrong ? VERSION : get_be32(p + AT_VERSION);
    if (wrong || version != VERSION) {
        image->n = start;
        if (wrong) return err_set(err, ERR_CORRUPT, "%s: %s", name, wrong);
        return err_set(err, ERR_UNSUPPORTED, "%s: version %u, known is %d", name, version, VERSION);
    }
    image->n = start + take_chain(p, image->n - start, length, &c);
    *ret = c;
    return 0;
}
