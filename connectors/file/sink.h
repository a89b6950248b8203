// SPDX-License-Identifier: Apache-2.0
// The file sink's task: which output a partition's records go to, putting, and a committer thread that syncs behind.
//
//   task       put: lines ─► buffer ─► write ─┐ publish                 flush, roll, revoke: wait for idle
//   committer                                 └► snapshot ─► fdatasync the files ─► their journals ─► settle
//
// While one commit syncs, puts go on; the next commit takes all that came meanwhile. A record is settled only after its journal's sync.
// The journals' offsets win at assign, so that a crash neither loses nor repeats a record.
// Lock: sink.lock guards what output.h marks [lock], and the fields below it says.
#ifndef FILE_SINK_H
#define FILE_SINK_H

#include "output.h"

struct sink_options {
    const char *path, *file;       // file: as Kafka's FileStreamSink names it
    int32_t format, content, existing;
    int64_t roll_size, roll_ms, roll_records, sync_ms;
    const char *mode;
};

int sink_read_options(struct cn_host *h, struct sink_options *o); // plugin.c: from the option rows
uint32_t sink_plan(struct cn_host *h, uint32_t max);
int sink_validate(struct cn_host *h);
int sink_check(struct cn_host *h);
int sink_open(struct cn_host *h, void **ret_task);
int sink_open_with(struct cn_host *h, const struct file_io *io, void **ret_task);
int sink_assign(void *task, struct cn_sink_partition *parts, uint32_t n);
void sink_revoke(void *task, const struct cn_sink_partition *parts, uint32_t n);
int sink_put(void *task, const struct cn_batch *batch);
int sink_flush(void *task, uint32_t deadline_ms);
int sink_tick(void *task);
void sink_close(void *task);

// The path of a partition's output: {topic} and {partition} replaced. 0, or -1 when it is too long or the topic can not be in a path. Pure.
int sink_path(char *to, size_t cap, const char *pattern, const char *topic, size_t topic_n, int32_t partition);

#endif
