/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: a poll with nothing to say waits for its time-out. */
#define WAIT(t, ms) (void)(ms)
#include "good_source.h"
