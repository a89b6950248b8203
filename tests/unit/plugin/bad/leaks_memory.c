/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: close frees what open took. */
#include <stdlib.h>
static void *volatile lost; /* so that no optimiser takes the allocation out */
#define OPEN(t) (lost = malloc(100000))
#include "good_source.h"
