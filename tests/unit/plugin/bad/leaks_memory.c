/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: close frees what open took. */
#include <stdlib.h>
#include <string.h>
#define OPEN(t) memset(malloc(100000), 1, 100000)
#include "good_source.h"
