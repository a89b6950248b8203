/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: standard output is the daemon's. */
#define OPEN(t) (puts("hello from open"), fflush(stdout))
#include "good_source.h"
