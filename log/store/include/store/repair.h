// SPDX-License-Identifier: Apache-2.0
// The way out for a partition that is damaged below its durable end: what is wrong, a copy of what is not, the loss accepted.
//
//   partition_examine ─► which bytes, which offsets     partition_salvage ─► a new topic     partition_accept ─► it serves again
//
// Each answers with a JSON object. All read the partition's files from the first to the last byte. Thread-safe; one acceptance at a time.
// What is whole in a damaged segment, and how that is told: log/store/examine.h.
#ifndef STORE_REPAIR_H
#define STORE_REPAIR_H

#include "store/store.h"

// {topic, partition, stopped, reason, log_start, next_offset, segments, bytes, batches, records: whole ones, unreadable: bytes,
//  lost: {areas, offsets, bytes}, damaged: [{file, base, end, size, file_size, batches, records, mended_byte, areas: [{position, size, first, end, why}]}],
//  transactions: [what is wrong with transaction indexes], accepted: {gaps, offsets, bytes, at} or null}. Changes nothing. An area's offsets
// are [first, end). Of a single changed byte (mended_byte) the checksums say what it was: it is read as that. ERR_AGAIN: retention or compaction changed the partition meanwhile.
int partition_examine(struct partition *p, struct json_writer *w, bool *ret_damaged, struct err *err) MUST_USE;

// Makes the topic `to` (one partition, keeps everything) and appends every record outside of the damage: same key, value, headers, timestamp,
// order, a batch for each batch, without producer. Left out: control batches, records of aborted and of open transactions.
// {topic, partition, to, records, batches, aborted, open: records left out, lost: as above, map: [{first, end, to}], more: ranges not listed}:
// offsets [first, end) became to, to + 1 …. The partition is not changed. ERR_EXISTS. When it fails, no topic is left.
int partition_salvage(struct partition *p, const char *to, struct json_writer *w, struct err *err) MUST_USE;

// Gives up what is damaged in a stopped partition: the damaged bytes go into quarantine/ (files *.damaged, which nothing removes), its segments are
// written anew without them, and it serves again: every other record at its offset, the next offset as it was, producers as they were. Who
// still had to read what is lost is told (store_on_lost). Where nothing is lost, because the file was put back, it just serves again.
// After a crash at any point it is either as before or done. `unreadable`: bytes that the disk does not give are lost, too; else that
// is ERR_IO, because it may give them another time.
// {topic, partition, lost: …, gaps: [{first, end, bytes}], quarantined: [files], batches, records, log_start, next_offset}
// ERR_INVALID: it is not stopped. ERR_NOSPACE, ERR_IO: nothing was changed.
int partition_accept(struct partition *p, bool unreadable, struct json_writer *w, struct err *err) MUST_USE;

#endif
