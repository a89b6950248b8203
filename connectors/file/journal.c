// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "journal.h"

static const char magic[8] = "CNFILEJ1";
enum { VERSION = 2, SLOT_FIXED = 56, ENTRY_FIXED = 16, HEADER_FIXED = 24, MODE = 0640 };

// ── bytes ──

static void put(uint8_t *to, uint64_t v, unsigned bytes) {
    for (unsigned i = 0; i < bytes; i++) to[i] = (uint8_t)(v >> 8 * i);
}
static uint64_t get(const uint8_t *p, unsigned bytes) {
    uint64_t v = 0;
    for (unsigned i = 0; i < bytes; i++) v |= (uint64_t)p[i] << 8 * i;
    return v;
}

uint32_t journal_crc(const void *p, size_t n) {
    static const uint32_t half[16] = { // of each four bits, reflected 0x1edc6f41
        0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
        0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
    };
    const uint8_t *at = p;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < n; i++) {
        crc ^= at[i];
        crc = crc >> 4 ^ half[crc & 15];
        crc = crc >> 4 ^ half[crc & 15];
    }
    return ~crc;
}

static size_t entry_size(const char *topic, bool tagged) { return (ENTRY_FIXED + strlen(topic) + (tagged ? 4 : 0) + 7) & ~(size_t)7; }

size_t journal_size(const struct journal_state *s) {
    size_t n = SLOT_FIXED;
    for (uint32_t i = 0; i < s->count; i++) n += entry_size(s->entries[i].topic, true);
    return n;
}

// 0 CRC of what follows, 4 size, 8 sequence, 16 length, 24 records, 32 started_ms, 40 roll, 48 count, 52 zero, 56 entries;
// an entry: 0 next, 8 partition, 12 length of the topic, 14 one, 16 topic, tag 4, zeros up to a multiple of 8. Version 1 had no tag, and zero at 14.
void journal_encode(const struct journal_state *s, uint8_t *to) {
    size_t size = journal_size(s), at = SLOT_FIXED;
    memset(to, 0, size);
    put(to + 4, size, 4);
    put(to + 8, s->sequence, 8);
    put(to + 16, (uint64_t)s->length, 8);
    put(to + 24, (uint64_t)s->records, 8);
    put(to + 32, (uint64_t)s->started_ms, 8);
    put(to + 40, s->roll, 8);
    put(to + 48, s->count, 4);
    for (uint32_t i = 0; i < s->count; i++) {
        const struct journal_entry *e = &s->entries[i];
        put(to + at, (uint64_t)e->next, 8);
        put(to + at + 8, (uint32_t)e->partition, 4);
        put(to + at + 12, strlen(e->topic), 2);
        put(to + at + 14, 1, 2);
        memcpy(to + at + ENTRY_FIXED, e->topic, strlen(e->topic));
        put(to + at + ENTRY_FIXED + strlen(e->topic), e->tag, 4);
        at += entry_size(e->topic, true);
    }
    put(to, journal_crc(to + 4, size - 4), 4);
}

static int decode_entry(const uint8_t *p, size_t left, struct journal_entry *ret, size_t *ret_size) {
    if (left < ENTRY_FIXED) return -1;
    size_t n = get(p + 12, 2), tagged = get(p + 14, 2);
    if (n > JOURNAL_TOPIC_MAX || tagged > 1 || left - ENTRY_FIXED < n + 4 * tagged || memchr(p + ENTRY_FIXED, 0, n)) return -1;
    ret->topic = strndup((const char *)p + ENTRY_FIXED, n);
    if (!ret->topic) abort();
    ret->next = (int64_t)get(p, 8);
    ret->partition = (int32_t)get(p + 8, 4);
    ret->tag = tagged ? (uint32_t)get(p + ENTRY_FIXED + n, 4) : 0;
    *ret_size = entry_size(ret->topic, tagged);
    return *ret_size <= left && ret->next >= -1 && ret->partition >= 0 ? 0 : -1;
}

int journal_decode(const uint8_t *p, size_t n, struct journal_state *ret) {
    struct journal_state s = {0};
    if (n < SLOT_FIXED) return -1;
    size_t size = get(p + 4, 4), at = SLOT_FIXED, count = get(p + 48, 4);
    if (size < SLOT_FIXED || size > n || get(p, 4) != journal_crc(p + 4, size - 4)) return -1;
    if (count > (size - SLOT_FIXED) / ENTRY_FIXED) return -1;
    s.sequence = get(p + 8, 8);
    s.length = (int64_t)get(p + 16, 8);
    s.records = (int64_t)get(p + 24, 8);
    s.started_ms = (int64_t)get(p + 32, 8);
    s.roll = get(p + 40, 8);
    s.entries = calloc(count ? count : 1, sizeof *s.entries);
    if (!s.entries) abort();
    int bad = s.length < 0 || s.records < 0;
    for (size_t i = 0; i < count && !bad; i++) {
        size_t took = 0;
        bad = decode_entry(p + at, size - at, &s.entries[s.count], &took) != 0;
        if (s.entries[s.count].topic) s.count++;
        at += took;
    }
    if (bad || at != size) {
        journal_state_done(&s);
        return -1;
    }
    *ret = s;
    return 0;
}

void journal_state_done(struct journal_state *s) {
    for (uint32_t i = 0; i < s->count; i++) free(s->entries[i].topic);
    free(s->entries);
    memset(s, 0, sizeof *s);
}

// 0 magic, 8 version, 12 slot size, 16 length of the name, 20 CRC of all but itself, 24 name.
static uint32_t header_crc(const uint8_t *p, size_t name) {
    uint8_t bytes[HEADER_FIXED + JOURNAL_NAME_MAX];
    memcpy(bytes, p, HEADER_FIXED + name);
    memset(bytes + 20, 0, 4);
    return journal_crc(bytes, HEADER_FIXED + name);
}

void journal_header_encode(uint8_t to[JOURNAL_HEADER], const char *name, uint32_t slot_bytes) {
    size_t n = strnlen(name, JOURNAL_NAME_MAX);
    memset(to, 0, JOURNAL_HEADER);
    memcpy(to, magic, sizeof magic);
    put(to + 8, VERSION, 4);
    put(to + 12, slot_bytes, 4);
    put(to + 16, n, 4);
    memcpy(to + HEADER_FIXED, name, n);
    put(to + 20, header_crc(to, n), 4);
}

int journal_header_decode(const uint8_t *p, size_t n, char name[JOURNAL_NAME_MAX + 1], uint32_t *ret_slot_bytes) {
    if (n < JOURNAL_HEADER || memcmp(p, magic, sizeof magic) != 0 || get(p + 8, 4) < 1 || get(p + 8, 4) > VERSION) return -1;
    size_t length = get(p + 16, 4);
    uint64_t slot = get(p + 12, 4);
    if (length > JOURNAL_NAME_MAX || get(p + 20, 4) != header_crc(p, length)) return -1;
    if (slot < JOURNAL_SLOT || slot % JOURNAL_SLOT || slot > JOURNAL_MAX) return -1;
    memcpy(name, p + HEADER_FIXED, length);
    name[length] = '\0';
    *ret_slot_bytes = (uint32_t)slot;
    return 0;
}

// ── on disk ──

static int read_at(int fd, uint8_t *p, size_t n, int64_t offset) {
    size_t done = 0;
    while (done < n) {
        ssize_t got = pread(fd, p + done, n - done, (off_t)(offset + (int64_t)done));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return -1;
        if (got == 0) break;
        done += (size_t)got;
    }
    memset(p + done, 0, n - done);
    return 0;
}

void journal_close(struct journal *j) {
    if (j->fd >= 0) close(j->fd);
    free(j->path);
    free(j->name);
    free(j->scratch);
    memset(j, 0, sizeof *j);
    j->fd = -1;
}

static enum journal_result give_up(struct journal *j, enum journal_result result) {
    int error = errno;
    journal_close(j);
    errno = error;
    return result;
}

// The descriptor is of the file that has the path now, not of one that was replaced between open and lock.
static int is_at_path(int fd, const char *path) {
    struct stat a, b;
    return fstat(fd, &a) == 0 && stat(path, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

// Reads both slots; *state is the later valid one.
static enum journal_result read_slots(struct journal *j, struct journal_state *state) {
    struct journal_state slots[2] = {{0}, {0}};
    int valid[2];
    for (unsigned i = 0; i < 2; i++) {
        if (read_at(j->fd, j->scratch, j->slot_bytes, JOURNAL_HEADER + (int64_t)i * j->slot_bytes) != 0) {
            if (i) journal_state_done(&slots[0]);
            return JOURNAL_FAILED;
        }
        valid[i] = journal_decode(j->scratch, j->slot_bytes, &slots[i]) == 0;
    }
    if (!valid[0] && !valid[1]) return JOURNAL_DAMAGED;
    unsigned latest = valid[1] && (!valid[0] || slots[1].sequence > slots[0].sequence);
    *state = slots[latest];
    j->next_slot = !latest;
    if (valid[!latest]) journal_state_done(&slots[!latest]);
    return JOURNAL_OK;
}

enum journal_result journal_open(struct journal *ret, const struct file_io *io, const char *path, const char *name, struct journal_state *state) {
    uint8_t header[JOURNAL_HEADER];
    char owner[JOURNAL_NAME_MAX + 1];
    struct journal j = {.io = io, .fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK)};
    if (j.fd < 0) return errno == ENOENT ? JOURNAL_ABSENT : JOURNAL_FAILED;
    if (flock(j.fd, LOCK_EX | LOCK_NB) != 0) return give_up(&j, errno == EWOULDBLOCK ? JOURNAL_BUSY : JOURNAL_FAILED);
    if (!is_at_path(j.fd, path)) return give_up(&j, JOURNAL_BUSY);
    if (read_at(j.fd, header, sizeof header, 0) != 0) return give_up(&j, JOURNAL_FAILED);
    if (journal_header_decode(header, sizeof header, owner, &j.slot_bytes) != 0) return give_up(&j, JOURNAL_DAMAGED);
    j.path = strdup(path);
    j.name = strdup(owner);
    j.scratch = malloc(j.slot_bytes);
    if (!j.path || !j.name || !j.scratch) abort();
    if (strcmp(owner, name) != 0) {
        *ret = j;
        return JOURNAL_FOREIGN;
    }
    enum journal_result result = read_slots(&j, state);
    if (result != JOURNAL_OK) return give_up(&j, result);
    *ret = j;
    return JOURNAL_OK;
}

static void directory_of(const char *path, char *to, size_t cap) {
    const char *slash = strrchr(path, '/');
    size_t n = slash && slash != path ? (size_t)(slash - path) : 1;
    snprintf(to, cap, "%.*s", (int)n, path);
}

// Writes a whole journal beside its place and puts it there, durable in all its parts. The new file's locked descriptor, or -1.
static int write_new(const struct file_io *io, const char *path, const char *name, const struct journal_state *state, uint32_t slot_bytes, int replace) {
    char beside[4096 + 8], directory[4096];
    size_t size = JOURNAL_HEADER + 2 * (size_t)slot_bytes;
    uint8_t *bytes = calloc(1, size);
    if (!bytes) abort();
    journal_header_encode(bytes, name, slot_bytes);
    journal_encode(state, bytes + JOURNAL_HEADER);
    snprintf(beside, sizeof beside, "%s.new", path);
    directory_of(path, directory, sizeof directory);
    int fd = io->create(beside, O_RDWR, MODE); // of a creation that was interrupted there may be a rest
    int failed = fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0 || !is_at_path(fd, beside) || io->truncate(fd, 0) != 0 ||
                 io->write_at(fd, bytes, size, 0) != 0 || io->sync(fd) != 0 || io->rename(beside, path, replace) != 0 ||
                 io->sync_directory(directory) != 0;
    free(bytes);
    if (!failed) return fd;
    int error = errno;
    if (fd >= 0) close(fd);
    errno = error;
    return -1;
}

static uint32_t slot_for(const struct journal_state *s) {
    size_t slot = JOURNAL_SLOT;
    while (slot < journal_size(s)) slot *= 2;
    return (uint32_t)slot;
}

enum journal_result journal_create(struct journal *ret, const struct file_io *io, const char *path, const char *name, struct journal_state *state) {
    uint32_t slot = slot_for(state);
    if (slot > JOURNAL_MAX) {
        errno = EFBIG;
        return JOURNAL_FAILED;
    }
    state->sequence = 1;
    int fd = write_new(io, path, name, state, slot, 0);
    if (fd < 0) return errno == EEXIST || errno == EWOULDBLOCK ? JOURNAL_BUSY : JOURNAL_FAILED;
    *ret = (struct journal){io, fd, slot, 1, strdup(path), strdup(name), malloc(slot)};
    if (!ret->path || !ret->name || !ret->scratch) abort();
    return JOURNAL_OK;
}

// A journal with larger slots takes the place of one that has become too small.
static int grow(struct journal *j, const struct journal_state *state) {
    uint32_t slot = slot_for(state);
    if (slot > JOURNAL_MAX) {
        errno = EFBIG;
        return -1;
    }
    int fd = write_new(j->io, j->path, j->name, state, slot, 1);
    if (fd < 0) return -1;
    close(j->fd);
    free(j->scratch);
    j->fd = fd;
    j->slot_bytes = slot;
    j->next_slot = 1;
    j->scratch = malloc(slot);
    if (!j->scratch) abort();
    return 0;
}

int journal_commit(struct journal *j, struct journal_state *state) {
    size_t n = journal_size(state);
    state->sequence++;
    if (n > j->slot_bytes) return grow(j, state);
    journal_encode(state, j->scratch);
    if (j->io->write_at(j->fd, j->scratch, n, JOURNAL_HEADER + (int64_t)j->next_slot * j->slot_bytes) != 0) return -1;
    if (j->io->sync(j->fd) != 0) return -1;
    j->next_slot = !j->next_slot;
    return 0;
}
