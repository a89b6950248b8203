// SPDX-License-Identifier: Apache-2.0
// Opening what a crash left: the newest good checkpoint, the frames after it, and partitions made to end exactly where those end.
//
//   slot ─► catalogue ─► frames: edits applied, ranges noted ─► no later frame may exist
//        ─► each partition: journal bytes written back, pointed bytes checked, the rest cut into quarantine, files synced
//        ─► folders nobody knows set aside ─► full checkpoint
//
// A clean shutdown needs the first line only. Above the durable end everything is cut; below it nothing ever is: what the journal holds
// is restored, else the partition stops and says so.
#ifndef STORE_RECOVERY_H
#define STORE_RECOVERY_H

#include "catalogue.h"

// One range of a frame, to be replayed.
struct replay {
    size_t next;          // in the same partition; 0 the end (index 0 is unused)
    int64_t base, first, end;
    uint64_t position, size, data_at; // data_at: in the journal file, when inline
    uint32_t generation, crc_before, crc;
    bool is_inline;
};
struct work {             // a partition that frames name
    struct partition *p;
    size_t first, last;   // its ranges; 0 none
    bool swapped;
};
struct recovery {
    struct store *s;
    struct loader loader;
    struct checkpoint at;                     // the slot chosen
    struct replay *replays;
    size_t count, cap;
    struct map works;                         // by partition id
    struct recovery_report *report;
    uint64_t last_frame;                      // where it begins, if there is any
    int64_t told_ms;                          // when progress was last told
    int64_t lap_ms;                           // when the last part of it was done
};

int recover(struct store *s, struct err *err) MUST_USE;

// replay.c: one partition. Errors of its own stop that partition only; -1 is for what must stop the start (a failed sync).
int recover_partition(struct recovery *r, struct partition *p, struct err *err) MUST_USE;
// folders.c
int recover_folders(struct recovery *r, struct err *err) MUST_USE; // of partitions that are not left for later, and of none
int recover_folder(struct recovery *r, struct partition *p, struct err *err) MUST_USE;
// Would that do anything about this file of the partition's? With the lock, or the flusher.
bool folder_has_stray(const struct partition *p, const char *name);
int recover_swaps(struct store *s, struct partition *p, struct err *err) MUST_USE;
// quarantine.c: keeps bytes [from, to) of a file, as far as the budget goes. What can not be kept is told as an event.
void quarantine_file(struct store *s, const struct partition *p, int64_t base, struct fs_file *f, uint64_t from, uint64_t to);
void quarantine_bytes(struct store *s, const struct partition *p, int64_t base, uint64_t at, const void *bytes, size_t n);
// Keeps them for good, or fails; *path is the file then. Bytes that the disk does not give are zeros in it.
int quarantine_keep(struct store *s, const struct partition *p, int64_t base, struct fs_file *f, uint64_t from, uint64_t to,
                    struct buf *path, struct err *err) MUST_USE;
// Kafka's leader-epoch-checkpoint.
int folder_write_epochs(struct store *s, const struct partition *p, struct err *err) MUST_USE;
// A partition's folder without segments; and with the empty files of its first one. The caller syncs the folder and the root.
int folder_make(struct store *s, const struct partition *p, struct err *err) MUST_USE;
int folder_create(struct store *s, struct partition *p, struct err *err) MUST_USE;
// Makes way for a new partition's folder: what an unfinished creation or deletion left goes, by the rules of recovery. ERR_EXISTS: it holds bytes.
int folder_clear(struct store *s, const char *folder, struct err *err) MUST_USE;
// Removes the folders of a deleted topic; `known` tells which names belong to living ones.
int folders_bury(struct store *s, const struct grave *g, struct err *err) MUST_USE;
void folder_deleted_name(const char *topic, int32_t index, struct uuid uuid, char out[SEGMENT_PATH]);

#endif
