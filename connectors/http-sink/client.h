/* SPDX-License-Identifier: Apache-2.0 */
/* The requests: a few sender threads drive libcurl over the lanes and settle what is answered.
 *
 *   task thread: put ─► lanes ─► senders: take, send, answer ─► settle OK, REJECT; mark failed
 *                tick, put, flush ◄── failed lanes: settle RETRY for all they hold
 *
 * RETRY is settled on the task's thread only: core sees it before its next put, so nothing can overtake what failed.
 * OK and REJECT are settled by the sender, with the mutex held, so that revoke can promise silence. */
#ifndef HTTP_SINK_CLIENT_H
#define HTTP_SINK_CLIENT_H

#include <pthread.h>

#include "lanes.h"

struct client;

/* Starts the senders: one a core, at most four. NULL after cn_host.fail. The options are borrowed until client_free. */
struct client *client_new(struct cn_host *h, const struct http_options *o);
void client_free(struct client *c); /* what is under way is cut off, unsettled */

/* The lanes, guarded by this lock. */
struct lanes *client_lock(struct client *c);
void client_unlock(struct client *c); /* and has new work sent */

/* Settles RETRY for failed lanes, and reports a failure that ends the task: 0, or -1 after cn_host.fail. [task] */
int client_report(struct client *c);
/* Waits until no lane holds records that still may be answered: 1, or 0 at the deadline. [task] */
int client_drain(struct client *c, uint32_t deadline_ms);
/* Connects without sending (`check --connect`): 0, or -1 after cn_host.fail. */
int client_check(struct cn_host *h, const struct http_options *o);

#endif
