/* SPDX-License-Identifier: Apache-2.0 */
#include "status.h"

#include <stddef.h>

struct row { long first, last; enum outcome outcome; };

/* First match wins. RFC 9110 §15; 425 RFC 8470, 429 RFC 6585, 507 RFC 4918. */
static const struct row rows[] = {
    {0, 0, OUTCOME_RETRY},       /* no answer */
    {200, 299, OUTCOME_OK},
    {300, 399, OUTCOME_REDIRECT},
    {401, 401, OUTCOME_AUTH},
    {403, 403, OUTCOME_AUTH},
    {407, 407, OUTCOME_AUTH},    /* the proxy's */
    {408, 408, OUTCOME_RETRY},   /* request timeout */
    {413, 413, OUTCOME_SPLIT},   /* content too large */
    {421, 421, OUTCOME_RETRY},   /* misdirected: another connection may do */
    {423, 425, OUTCOME_RETRY},   /* locked, failed dependency, too early */
    {429, 429, OUTCOME_RETRY},   /* too many requests */
    {400, 499, OUTCOME_REJECT},
    {501, 501, OUTCOME_REJECT},  /* not implemented */
    {505, 505, OUTCOME_REJECT},  /* HTTP version not supported */
    {500, 599, OUTCOME_RETRY},
};

enum outcome status_outcome(long status) {
    size_t i;
    for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (status >= rows[i].first && status <= rows[i].last) return rows[i].outcome;
    return OUTCOME_REJECT;
}
