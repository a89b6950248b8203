/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: a wake ends a waiting poll. */
#include <time.h>
#define WAIT(t, ms) nanosleep(&(struct timespec){(ms) / 1000, (ms) % 1000 * 1000000L}, NULL)
#include "good_source.h"
