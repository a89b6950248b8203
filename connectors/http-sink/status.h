/* SPDX-License-Identifier: Apache-2.0 */
/* What an HTTP status means for the records of its request: a table. Pure. */
#ifndef HTTP_SINK_STATUS_H
#define HTTP_SINK_STATUS_H

enum outcome {
    OUTCOME_OK,       /* delivered */
    OUTCOME_RETRY,    /* the same request may succeed later */
    OUTCOME_SPLIT,    /* too large: halves may pass; a single record is rejected */
    OUTCOME_AUTH,     /* not allowed now: never the records' fault */
    OUTCOME_REDIRECT, /* the configured URL is not the right one */
    OUTCOME_REJECT    /* this content is refused: halves find the record at fault */
};

/* status 0: no answer (connection refused, closed, timed out). */
enum outcome status_outcome(long status);

#endif
