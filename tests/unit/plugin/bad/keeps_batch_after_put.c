/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: a batch is the plugin's during put only. */
#define PUT(t, b) (t)->kept = (b)->base
#define FLUSH(t) ((t)->n += *(const char *)(t)->kept ? 0 : 1)
#include "good_sink.h"
