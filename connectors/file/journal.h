// SPDX-License-Identifier: Apache-2.0
// The sink's memory: beside each output file a small journal that says how long the file is and which offsets are in it.
//
//   ┌ header, 4096 bytes ─────────────┬ slot 0 ──────────┬ slot 1 ──────────┐   integers little-endian
//   │magic version slot size name CRC │ CRC size state … │ CRC size state … │
//   └─────────────────────────────────┴──────────────────┴──────────────────┘
//
// A commit syncs the data file, then writes the state into the slot that does not hold the latest one, and syncs that. The
// valid slot with the higher sequence counts: a torn write leaves the other. What the file holds beyond its recorded length was
// never promised and is cut when the file is opened. Slots are written at creation, so that a commit needs no room on the disk.
// The journal's lock (flock) makes the output ours: another task or process that wants it fails to open it.
// To change the format, raise the version; older versions must stay readable.
#ifndef FILE_JOURNAL_H
#define FILE_JOURNAL_H

#include "io.h"

enum { JOURNAL_HEADER = 4096, JOURNAL_SLOT = 4096, JOURNAL_NAME_MAX = 1024, JOURNAL_TOPIC_MAX = 255, JOURNAL_MAX = 64 << 20 };

struct journal_entry {
    char *topic;               // terminated, heap
    uint32_t tag;              // the topic's (cn_sink_partition.topic_tag); 0 not known
    int32_t partition;
    int64_t next;              // the first offset that is not in the file or its predecessors; -1: none of the topic's is
};

struct journal_state {
    uint64_t sequence;         // of the commit
    int64_t length;            // bytes of the active file that are ours and durable
    int64_t records;           // in the active file
    int64_t started_ms;        // when its first record was written, wall clock; 0: empty
    uint64_t roll;             // number the active file gets when it is rolled
    struct journal_entry *entries;
    uint32_t count;
};

struct journal {
    const struct file_io *io;
    int fd;
    uint32_t slot_bytes;
    unsigned next_slot;        // where the next state goes
    char *path, *name;         // name: whose it is
    uint8_t *scratch;          // slot_bytes
};

// ── pure ──
uint32_t journal_crc(const void *p, size_t n); // CRC-32C
// Bytes a state takes in a slot.
size_t journal_size(const struct journal_state *s);
// Into to[0..journal_size).
void journal_encode(const struct journal_state *s, uint8_t *to);
// A slot's bytes: 0 with *ret (journal_state_done), or -1 when they are no valid state.
int journal_decode(const uint8_t *p, size_t n, struct journal_state *ret);
void journal_state_done(struct journal_state *s);
void journal_header_encode(uint8_t to[JOURNAL_HEADER], const char *name, uint32_t slot_bytes);
// 0 with the name (terminated) and the slot size, or -1.
int journal_header_decode(const uint8_t *p, size_t n, char name[JOURNAL_NAME_MAX + 1], uint32_t *ret_slot_bytes);

// ── on disk ──
enum journal_result {
    JOURNAL_OK = 0,
    JOURNAL_ABSENT,            // there is none
    JOURNAL_BUSY,              // locked by somebody else
    JOURNAL_DAMAGED,           // neither header nor slots may be trusted
    JOURNAL_FOREIGN,           // of another connector: its name is in ret->name
    JOURNAL_FAILED             // errno says why
};
// Opens and locks the journal at `path`; *state is what was committed last. On any failure but FOREIGN nothing is left open.
enum journal_result journal_open(struct journal *ret, const struct file_io *io, const char *path, const char *name, struct journal_state *state);
// Makes it, durably, with this first state; then opens it.
enum journal_result journal_create(struct journal *ret, const struct file_io *io, const char *path, const char *name, struct journal_state *state);
void journal_close(struct journal *j);
// Makes the state durable under the next sequence number, which it gets. 0, or -1 with errno: then what is committed is unknown.
int journal_commit(struct journal *j, struct journal_state *state);

#endif
