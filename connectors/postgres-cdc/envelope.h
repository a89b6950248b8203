/* SPDX-License-Identifier: Apache-2.0 */
/* Rows, messages and transaction ends → records in the batch, as Debezium writes them: key, envelope, headers, tombstones.
 *
 * What is the same for many records (source names, headers, the source block of rows with one LSN) is put into a batch once
 * and shared by offset. envelope_batch must be called for every new batch. One thread. */
#ifndef ENVELOPE_H
#define ENVELOPE_H

#include "envelope_schema.h"
#include "table.h"

enum marker { MARKER_FALSE, MARKER_TRUE, MARKER_FIRST, MARKER_FIRST_IN, MARKER_LAST_IN, MARKER_LAST, MARKER_COUNT };
enum op { ENVELOPE_CREATE, ENVELOPE_UPDATE, ENVELOPE_DELETE, ENVELOPE_READ, ENVELOPE_TRUNCATE, ENVELOPE_MESSAGE, ENVELOPE_OPS };

struct source_info {
    uint64_t lsn;
    uint64_t last_commit; /* of the stream; 0: none yet */
    int64_t ts_us;        /* of the commit */
    int64_t txid;         /* -1: none */
    uint8_t marker;       /* enum marker */
    const char *origin;   /* NULL: none; of the transaction, so that it lives as long as this is used */
    uint64_t origin_lsn;
};

struct collection { /* one table of the transaction's end record */
    char *id;
    int64_t count;
};

struct envelope {
    const struct options *o;
    struct values *values;
    char run_id[37];
    char task[16];
    char *transaction_topic, *heartbeat_topic;
    struct cn_schema_blob *message_key, *message, *transaction_key, *transaction, *heartbeat_key, *heartbeat;
    struct cn_cell *row, *old_row; /* PGOUTPUT_MAX_COLUMNS each */
    int64_t now_us;

    /* of the current batch */
    uint64_t batch;
    struct cn_cell version, connector, prefix, db, empty, ops[ENVELOPE_OPS], markers[MARKER_COUNT];
    cn_off headers;
    uint32_t header_count;
    const struct table *source_table; /* the last source block: whose, where, and what was in it */
    cn_off source_at;
    struct source_info source;

    /* transaction metadata */
    uint64_t tx;        /* number of the current one, for table->tx_seen */
    int tx_open;
    int64_t tx_id, tx_total;
    struct collection *collections;
    uint32_t collection_count, collection_cap;
};

/* 0 or -1 when memory is short. */
int envelope_init(struct envelope *e, const struct options *o, struct values *v, uint32_t task, int64_t now_us);
void envelope_done(struct envelope *e);
/* A new batch has begun. */
void envelope_batch(struct envelope *e, struct cn_batch *b);
/* Forget the table (it is about to be freed). */
void envelope_forget(struct envelope *e, const struct table *t);

/* A change of a row: fields as table_row takes them; `old` may be NULL. Adds 0 to 3 records. 0, or -1 with the bad column. */
int envelope_change(struct envelope *e, struct cn_batch *b, struct table *t, uint8_t op, const struct source_info *s, const struct text *old,
                    const struct text *fresh, uint32_t *ret_bad);
/* A row of a snapshot. */
int envelope_read(struct envelope *e, struct cn_batch *b, struct table *t, const struct source_info *s, const struct text *fields,
                  uint32_t *ret_bad);
void envelope_truncate(struct envelope *e, struct cn_batch *b, struct table *t, const struct source_info *s);
void envelope_logical_message(struct envelope *e, struct cn_batch *b, const struct source_info *s, struct text prefix, struct text content);
/* Where transaction metadata is on: the BEGIN and END records. */
void envelope_tx_begin(struct envelope *e, struct cn_batch *b, const struct source_info *s);
void envelope_tx_end(struct envelope *e, struct cn_batch *b, const struct source_info *s);
void envelope_heartbeat(struct envelope *e, struct cn_batch *b);

#endif
