// SPDX-License-Identifier: Apache-2.0
// Small durable state by connector, as maps over Kafka Connect's compacted topics, kept in memory whole.
//
//   connect-configs   target-state-<c>                     {"state","state.v2"}: running, paused, stopped
//                     owner-<c>                            {"type","connector","file"}: who it was, also after its file is gone
//   connect-status    status-connector-<c>, status-task-<c>-<n>   {"state","trace","worker_id","generation"}
//                     status-topic-<t>:connector-<c>       {"topic":{"name","connector","task","discoverTimestamp"}}
//   connect-schemas   <c>/<name>                           what plugins keep by cn_host.schema_put
//
// (Positions live in connect-offsets and are the backend's, since they travel with the records.) Thread-safe. Setters return
// when it is durable, except statuses: they are noted and written by state_flush.
//
// A topic of these that is damaged stops only what depends on it. What stands in connect-status follows from what runs: it is kept in memory.
// Target states and schemas can not be guessed: who asks for one is refused with the cause (ERR_CORRUPT).
#ifndef STATE_STATE_H
#define STATE_STATE_H

#include "backend/backend.h"

struct state;
int state_open(struct backend *b, const char *worker_id, struct state **ret, struct err *err) MUST_USE; // borrows b
void state_close(struct state *s);

enum target_state { TARGET_RUNNING, TARGET_PAUSED, TARGET_STOPPED };
const char *target_state_name(enum target_state t); // "RUNNING"
int state_target(struct state *s, const char *connector, enum target_state *ret, struct err *err) MUST_USE; // RUNNING when nothing was ever said
int state_target_set(struct state *s, const char *connector, enum target_state t, struct err *err) MUST_USE;

// Who a connector is. Texts of a found one are copies in `ret`, freed by state_owner_done.
struct state_owner { char *name, *type, *plugin, *file; };
int state_owner_set(struct state *s, const char *connector, bool source, const char *plugin, const char *file, struct err *err) MUST_USE;
bool state_owner_get(struct state *s, const char *connector, struct state_owner *ret);
void state_owner_done(struct state_owner *o);
// Every connector that was ever owned and not forgotten, in order of name; stops at non-zero.
int state_owners(struct state *s, int (*each)(void *arg, const struct state_owner *o), void *arg);

// A connector writes to, or reads from, a topic. Durable before it returns; known ones cost a look.
int state_topic_used(struct state *s, const char *connector, uint32_t task, const char *topic, struct err *err) MUST_USE;
bool state_topic_is_of(struct state *s, const char *connector, const char *topic);
bool state_topics_known(const struct state *s); // false: connect-status could not be read, and what was used before this start is not known
int state_topics(struct state *s, const char *connector, int (*each)(void *arg, const char *topic), void *arg);
int state_topics_reset(struct state *s, const char *connector, struct err *err) MUST_USE;

// task < 0: the connector. trace may be NULL.
void state_status(struct state *s, const char *connector, int task, const char *status, const char *trace);
int state_flush(struct state *s, struct err *err) MUST_USE; // writes the statuses noted since the last one

int state_schema_put(struct state *s, const char *connector, const char *name, const void *p, size_t n, struct err *err) MUST_USE; // n 0 deletes
// The full size, -1 absent (ERR_NOT_FOUND) or not known.
int64_t state_schema_get(struct state *s, const char *connector, const char *name, void *p, size_t max, struct err *err);

// Removes everything known of a connector (its positions and group are the caller's to remove).
int state_forget(struct state *s, const char *connector, struct err *err) MUST_USE;

#endif
