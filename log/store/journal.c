// SPDX-License-Identifier: Apache-2.0
// The ring file of the commit journal.
#include "journal.h"

#include <limits.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/testpoint.h"

// Header: magic 8 | CRC-32C 4, over what follows | version 4 | id 16 | area 8.
static const char MAGIC[8] = "CNJOURN";
enum { VERSION = 1, AT_CRC = 8, AT_VERSION = 12, AT_ID = 16, AT_AREA = 32, HEADER_END = 40, FILL = 256 * 1024 };

static const uint8_t zeros[FRAME_ALIGN];

static void header_put(uint8_t *p, struct uuid id, uint64_t area) {
    memcpy(p, MAGIC, sizeof(MAGIC));
    put_be32(p + AT_VERSION, VERSION);
    memcpy(p + AT_ID, id.b, sizeof(id.b));
    put_be64(p + AT_AREA, area);
    put_be32(p + AT_CRC, crc32c(0, p + AT_VERSION, HEADER_END - AT_VERSION));
}

static int fill_zeros(struct fs *fs, struct fs_file *f, uint64_t bytes, struct err *err) {
    _cleanup_free_ uint8_t *chunk = xcalloc(1, FILL);
    for (uint64_t at = 0; at < bytes; at += FILL) {
        size_t n = bytes - at < FILL ? (size_t)(bytes - at) : FILL;
        if (fs_pwrite(fs, f, chunk, n, at, err)) return -1;
    }
    return 0;
}

int journal_create(struct fs *fs, uint64_t bytes, struct err *err) {
    uint8_t header[HEADER_END];
    struct fs_file *f;
    uint64_t area = bytes & ~(uint64_t)(FRAME_ALIGN - 1);
    if (area < JOURNAL_MIN) area = JOURNAL_MIN;
    if (fs->ops->open(fs, JOURNAL_NAME, FS_WRITE | FS_CREATE | FS_TRUNC, &f, err)) return -1;
    header_put(header, uuid_random(), area);
    int failed = fs->ops->allocate(f, 0, JOURNAL_HEADER + area, false, err) || fill_zeros(fs, f, JOURNAL_HEADER + area, err) ||
                 fs_pwrite(fs, f, header, sizeof(header), 0, err) || fs->ops->fdatasync(f, err);
    if (fs->ops->close(f, failed ? NULL : err)) failed = 1;
    return failed ? -1 : 0;
}

static int header_read(struct journal *j, struct err *err) {
    uint8_t p[HEADER_END];
    struct fs_stat st;
    if (fs_pread_full(j->fs, j->file, p, sizeof(p), 0, err)) return err_wrap(err, "journal");
    if (memcmp(p, MAGIC, sizeof(MAGIC)) != 0 || get_be32(p + AT_CRC) != crc32c(0, p + AT_VERSION, HEADER_END - AT_VERSION))
        return err_set(err, ERR_CORRUPT, "journal: its header is damaged");
    if (get_be32(p + AT_VERSION) != VERSION)
        return err_set(err, ERR_UNSUPPORTED, "journal: version %u, known is %d", get_be32(p + AT_VERSION), VERSION);
    memcpy(j->id.b, p + AT_ID, sizeof(j->id.b));
    j->area = get_be64(p + AT_AREA);
    if (j->fs->ops->fstat(j->file, &st, err)) return -1;
    if (j->area < JOURNAL_MIN || j->area % FRAME_ALIGN || j->area > st.size || st.size - j->area < JOURNAL_HEADER)
        return err_set(err, ERR_CORRUPT, "journal: %llu bytes long, its header says %llu", (unsigned long long)st.size,
                       (unsigned long long)(j->area + JOURNAL_HEADER));
    return 0;
}

int journal_open(struct fs *fs, struct journal **ret, struct err *err) {
    struct journal *j = xcalloc(1, sizeof(*j));
    j->fs = fs;
    if (fs->ops->open(fs, JOURNAL_NAME, FS_WRITE, &j->file, err)) {
        free(j);
        return -1;
    }
    if (header_read(j, err)) {
        journal_close(j);
        return -1;
    }
    *ret = j;
    return 0;
}

void journal_close(struct journal *j) {
    if (!j) return;
    j->fs->ops->close(j->file, NULL);
    free(j);
}

// ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static uint64_t lap_end(const struct journal *j, uint64_t position) { return (position / j->area + 1) * j->area; }

// Where a frame of n bytes begins that follows `position`.
static uint64_t place(const struct journal *j, uint64_t position, uint64_t n) {
    uint64_t end = lap_end(j, position);
    return n <= end - position ? position : end;
}

static uint64_t file_at(const struct journal *j, uint64_t position) { return JOURNAL_HEADER + position % j->area; }

bool journal_fits(const struct journal *j, uint64_t n) {
    return n <= j->area && place(j, j->head, n) + n - atomic_load(&j->tail) <= j->area;
}

unsigned journal_used(const struct journal *j) { return (unsigned)((j->head - atomic_load(&j->tail)) * 100 / j->area); }

static int sync_frame(struct journal *j, struct err *err) {
    if (!j->fs->ops->fdatasync(j->file, err)) return 0;
    return MUTANT("failed-sync-tried-again") && !j->fs->ops->fdatasync(j->file, err) ? 0 : -1;
}

int journal_append(struct journal *j, struct buf *frame, const struct iovec *data, int data_count, int64_t time_ms, struct err *err) {
    size_t data_n = 0;
    for (int i = 0; i < data_count; i++) data_n += data[i].iov_len;
    uint64_t used = frame->n + data_n, total = frame_round(used), at = place(j, j->head, total);
    if (!MUTANT("room-not-looked-for") && !journal_fits(j, total)) return err_set(err, ERR_INTERNAL, "journal: frame of %llu bytes does not fit, %u %% are in use", (unsigned long long)total, journal_used(j));
    frame_end(frame, j->id, (uint32_t)(at / j->area), j->seq, time_ms, (uint32_t)data_n);
    _cleanup_free_ struct iovec *iov = xmalloc(((size_t)data_count + 2) * sizeof(*iov));
    iov[0] = (struct iovec){frame->p, frame->n};
    if (data_count) memcpy(iov + 1, data, (size_t)data_count * sizeof(*iov));
    iov[data_count + 1] = (struct iovec){(void *)(uintptr_t)zeros, (size_t)(total - used)};
    if (j->fs->ops->pwritev(j->file, iov, data_count + 2, file_at(j, at), err)) return -1;
    TEST_POINT("frame-written");
    if (!MUTANT("ack-before-sync") && sync_frame(j, err)) return -1;
    j->head = at + total;
    j->seq++;
    j->frames++;
    j->bytes += total;
    return 0;
}

// ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────

static int read_header(struct journal *j, uint64_t position, struct frame *ret, bool *ret_is, struct err *err) {
    uint8_t p[FRAME_HEADER];
    if (fs_pread_full(j->fs, j->file, p, sizeof(p), file_at(j, position), err)) return err_wrap(err, "journal");
    *ret_is = frame_header_read(p, sizeof(p), j->id, ret);
    return 0;
}

// The frame at exactly this position: 1, 0 none, -1.
static int read_at(struct journal *j, uint64_t position, uint64_t seq, struct buf *bytes, struct journal_frame *ret, struct err *err) {
    struct frame f;
    bool is = false;
    if (read_header(j, position, &f, &is, err)) return -1;
    if (!is || f.seq != seq || f.lap != (uint32_t)(position / j->area) || frame_bytes(&f) > lap_end(j, position) - position) return 0;
    buf_clear(bytes);
    size_t n = (size_t)f.records_n + f.data_n;
    if (!buf_reserve(bytes, n)) return err_set(err, buf_fault(bytes), "journal: no memory for a frame of %zu bytes", n);
    if (fs_pread_full(j->fs, j->file, bytes->p, n, file_at(j, position) + FRAME_HEADER, err)) return err_wrap(err, "journal");
    bytes->n = n;
    if (!frame_records_match(&f, j->id, bytes->p)) return 0;
    struct cur records = cur_of(bytes->p, f.records_n);
    if (!frame_data_match(&f, records, bytes->p + f.records_n)) return 0;
    *ret = (struct journal_frame){
        .frame = f,
        .position = position,
        .data_at = file_at(j, position) + FRAME_HEADER + f.records_n,
        .records = records,
        .next = position + frame_bytes(&f),
    };
    return 1;
}

int journal_read(struct journal *j, uint64_t position, uint64_t seq, struct buf *bytes, struct journal_frame *ret, struct err *err) {
    uint64_t end = lap_end(j, position);
    int got = read_at(j, position, seq, bytes, ret, err);
    if (got || position % j->area == 0) return got;
    got = read_at(j, end, seq, bytes, ret, err);
    // The writer begins a new lap only when the frame does not fit: anything else is not what it wrote.
    return got > 0 && frame_bytes(&ret->frame) <= end - position ? 0 : got;
}

int journal_settle(struct journal *j, uint64_t position, uint64_t next, struct err *err) {
    size_t n = (size_t)(next - position);
    _cleanup_free_ uint8_t *p = malloc(n);
    if (!p) return err_set(err, ERR_NOMEM, "journal: no memory for a frame of %zu bytes", n);
    if (fs_pread_full(j->fs, j->file, p, n, file_at(j, position), err) || fs_pwrite(j->fs, j->file, p, n, file_at(j, position), err)) return -1;
    return MUTANT("recovery-trusts-journal") ? 0 : j->fs->ops->fdatasync(j->file, err);
}

int journal_check_end(struct journal *j, uint64_t seq, struct err *err) {
    enum { CHUNK = 64 * FRAME_ALIGN };
    _cleanup_free_ uint8_t *p = xmalloc(CHUNK);
    struct frame f;
    for (uint64_t at = 0; at < j->area; at += CHUNK) {
        size_t n = j->area - at < CHUNK ? (size_t)(j->area - at) : CHUNK;
        if (fs_pread_full(j->fs, j->file, p, n, JOURNAL_HEADER + at, err)) return err_wrap(err, "journal");
        for (size_t i = 0; i < n; i += FRAME_ALIGN) {
            if (!frame_header_read(p + i, FRAME_HEADER, j->id, &f) || f.seq <= seq) continue;
            return err_set(err, ERR_CORRUPT, "journal: frame %llu is missing or damaged, but a later one, %llu, is there", (unsigned long long)seq,
                           (unsigned long long)f.seq);
        }
    }
    return 0;
}
