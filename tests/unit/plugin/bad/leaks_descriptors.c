/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: close gives everything back. */
#include <fcntl.h>
#define OPEN(t) open("/dev/null", O_RDONLY)
#include "good_source.h"
