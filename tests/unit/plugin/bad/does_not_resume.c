/* SPDX-License-Identifier: Apache-2.0 */
/* Breaks: a source goes on at the position it is given. */
#define RESUME(t, positions, n) (void)(n)
#include "good_source.h"
