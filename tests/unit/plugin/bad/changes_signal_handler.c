/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: signal handlers are the daemon's. */
#include <signal.h>
#define OPEN(t) signal(SIGTERM, SIG_IGN)
#include "good_source.h"
