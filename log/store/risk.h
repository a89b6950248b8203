// SPDX-License-Identifier: Apache-2.0
// What a lagging reader of ours is about to lose: retention waits for it (partition_hold) only until a byte budget is reached.
//
// Each round of the cleaner looks how much every holder has unread, and how fast that grows (over ten minutes or so). Where retention.bytes or
// log.total.bytes will get there within a day, that is said, for each holder and partition once an hour at most, and stands in the status.
// Not of a budget that is hardly used: what grows fast at first may be a backlog that is soon read. Under the cleaner's round; the list under
// store.state.
#ifndef STORE_RISK_H
#define STORE_RISK_H

#include "store_int.h"

struct risk {
    struct partition *p;     // with a reference to its topic
    char *holder;
    int64_t first, records;  // the lowest unread offset, and how many follow
    uint64_t bytes;          // of them
    int64_t dated;           // when its oldest segment was sealed: the log's budget takes the oldest first
    int64_t in_ms, at_ms;    // until it goes, as of the look; wall clock
    const char *budget;      // the setting's name
};

void risk_look(struct store *s);
void risk_json(struct store *s, struct json_writer *w); // an array
void risk_done(struct store *s);

#endif
