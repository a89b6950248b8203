// SPDX-License-Identifier: Apache-2.0
// A tailing task: looks what there is, reads in turn, and puts lines and positions into the batch, so that both become durable in one commit.
#ifndef FILE_TAIL_H
#define FILE_TAIL_H

#include <stdbool.h>

#include <connectd/plugin.h>

struct tail_options {
    struct cn_list path, exclude;
    const char *file, *topic;
    int64_t max_line, batch_lines, max_open;
    int64_t scan_ms, rotate_wait_ms, idle_flush_ms, forget_ms;
    int32_t start, format, key;
    uint8_t headers;
};

int tail_validate(struct cn_host *h, const struct tail_options *o);
int tail_check(struct cn_host *h, const struct tail_options *o);
int tail_open(struct cn_host *h, const struct tail_options *o, const struct cn_stored_position *positions, uint32_t n, void **ret_task);
int tail_poll(void *task, struct cn_batch *batch, uint32_t timeout_ms);
int tail_tick(void *task);
void tail_close(void *task);

#endif
